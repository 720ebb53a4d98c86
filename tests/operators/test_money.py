"""The money of a broadcast: in the dry run by country, and a limit that is held before the first message."""

from __future__ import annotations

import json

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator

GERMANY, INDIA, KENYA = "+4915112345678", "+919812345678", "+254712345678"
# Invented prices.
CARD = "Market,Currency,Marketing,Utility\nGermany,$US,0.1365,0.055\nIndia,$US,0.0118,0.0014\n"


@pytest.fixture
def card(tmp_path):
    path = tmp_path / "card.csv"
    path.write_text(CARD)
    return str(path)


def run(recipients=(GERMANY, INDIA, INDIA[:-1] + "9"), **arguments):
    task = BroadcastTemplateOperator(
        task_id="send", **{"recipients": list(recipients), "template_name": "hello_world", **arguments}
    )
    task.render_template_fields({"card": arguments.get("rates"), "most": "0.05"})
    return task.execute({})


def test_the_dry_run_says_what_each_country_costs(sandbox, card, capsys):
    found = run([GERMANY, INDIA, INDIA, KENYA], dry_run=True, rates=card)

    assert found["cost"] == {
        "currency": "USD",
        "category": "UTILITY",
        "total": "0.0564",
        "countries": {
            "DE": {"messages": 1, "market": "Germany", "rate": "0.055", "cost": "0.055"},
            "IN": {"messages": 1, "market": "India", "rate": "0.0014", "cost": "0.0014"},
        },
        "missing": {"KE": 1},
    }
    log = capsys.readouterr().out
    assert "at most 0.0564 USD" in log
    assert "card.csv has no rate for 1 country (KE 1)" in log
    assert sandbox.messages == []
    assert "cost" not in run(dry_run=True)


def test_the_dry_run_says_that_the_limit_would_refuse(sandbox, card):
    over = run(dry_run=True, rates=card, max_cost="{{ most }}")["cost"]
    assert (over["max_cost"], over["total"]) == ("0.05", "0.0578")
    assert over["refused"] == "the broadcast may cost 0.0578 USD, more than the limit of 0.05"
    assert run(dry_run=True, rates=card, max_cost=0.0578)["cost"]["refused"] is None


def test_an_unknown_market_of_the_card_is_named(sandbox, tmp_path, capsys):
    path = tmp_path / "card.csv"
    path.write_text(CARD + "Atlantis,$US,1,1\n")
    run(dry_run=True, rates=path)
    assert "card.csv names markets that this version does not know: ['Atlantis']" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_cost": 0.05}, "max_cost: the broadcast may cost 0.0578 USD, more than the limit of 0.05"),
        (
            {"max_cost": 100, "recipients": [GERMANY, KENYA, KENYA[:-1] + "9"]},
            r"max_cost: card.csv has no utility rate for 1 country \(KE 2\)",
        ),
        ({"max_cost": 100, "check_template": False}, "neither its category nor its rate is known"),
    ],
    ids=["too much", "a country", "a category"],
)
def test_the_limit_refuses_before_the_first_message(sandbox, card, arguments, words):
    with pytest.raises(AirflowFailException, match=words):
        run(rates=card, **arguments)
    assert sandbox.messages == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_cost": 100}, "max_cost needs rates"),
        ({"max_cost": "much"}, "max_cost: .* is not an amount of money"),
        ({"max_cost": -1, "rates": "card.csv"}, "max_cost: -1 is not an amount of money"),
        ({"max_cost": True, "rates": "card.csv"}, "max_cost"),
        ({"rates": "none.csv"}, "rates: none.csv does not exist"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_bad_input_is_refused_before_any_request(sandbox, arguments, words, dry_run):
    with pytest.raises(AirflowFailException, match=words):
        run(dry_run=dry_run, **arguments)
    assert sandbox.requests == []


def test_what_costs_as_much_as_it_may_is_sent(sandbox, card):
    assert run(rates=card, max_cost="0.0578")["sent"] == 3
    # Who is suppressed, malformed or named twice costs nothing.
    rest = run(
        [GERMANY, GERMANY, INDIA, "12"], rates=card, max_cost="0.055", suppression=[INDIA], max_failed=1
    )
    assert (rest["sent"], rest["skipped"], rest["failed"]) == (1, 2, 1)


def test_of_several_shards_each_holds_the_limit_against_all_of_them(sandbox, card):
    people = [f"+4915112345{number:03d}" for number in range(20)]
    for shard in range(2):
        with pytest.raises(AirflowFailException, match=r"may cost 1.1 USD, more than the limit of 1\."):
            run(people, rates=card, max_cost=1, shard=shard, shards=2)
    assert sandbox.messages == []
    sent = [run(people, rates=card, max_cost="1.1", shard=shard, shards=2)["sent"] for shard in range(2)]
    assert sum(sent) == 20
    assert 0 not in sent


def test_a_card_outside_of_the_roots_is_not_read(sandbox, card, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__WHATSAPP__MEDIA_ROOTS", str(tmp_path / "elsewhere"))
    with pytest.raises(AirflowFailException, match="rates: names a file outside the folders of"):
        run(dry_run=True, rates=card)
    assert sandbox.requests == []


def test_a_dry_run_writes_its_results_file_and_leaves_no_parts(sandbox, tmp_path):
    path = tmp_path / "results.jsonl"
    found = run([GERMANY, INDIA, INDIA], dry_run=True, results_path=str(path))

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["status"] for line in lines] == ["skipped", "skipped", "skipped"]
    assert found["results_path"] == str(path)
    assert [each.name for each in tmp_path.iterdir()] == ["results.jsonl"]
    assert sandbox.messages == []
