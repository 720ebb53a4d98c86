"""Shards of a long list: each reads its own part of an index, sends what it would by the list, and leaves nothing."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.delivery.shard_index import BEGUN, CLAIM, HEAD
from airflow_provider_whatsapp.delivery.stores import LedgerError
from airflow_provider_whatsapp.operators import _shards
from airflow_provider_whatsapp.operators._recipients import ReadsRecipients
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator

pytestmark = pytest.mark.once

SHARDS = 3


@pytest.fixture(autouse=True)
def every_list_is_long(monkeypatch):
    monkeypatch.setattr(_shards, "LEAST", 0)


@pytest.fixture
def people(tmp_path):
    """Write a list, in which somebody stands twice."""

    def write(total=12, *, name="Ann", extra="+1 555 000 0000,Again\n"):
        path = tmp_path / "people.csv"
        path.write_text("to,name\n" + "".join(f"+1555{n:07},{name}\n" for n in range(total)) + extra)
        return path

    return write


@pytest.fixture
def send(sandbox, tmp_path):
    """Run one shard's task, and return its report."""

    def run(shard, *, number=1, max_tries=0, run_id="run", **arguments):
        pushed = {}
        ti = SimpleNamespace(
            dag_id="dag",
            run_id=run_id,
            task_id="send",
            map_index=shard,
            try_number=number,
            max_tries=max_tries,
            xcom_push=lambda key, value: pushed.update({key: value}),
        )
        task = BroadcastTemplateOperator(
            task_id="send",
            retries=0,
            **{
                "recipients": str(tmp_path / "people.csv"),
                "template_name": "hello_world",
                "shard": shard,
                "shards": SHARDS,
                "results_path": f"file://{tmp_path}/out/results.jsonl",
                "ledger_path": str(tmp_path / "ledger"),
                **arguments,
            },
        )
        return task.execute({"ti": ti, "run_id": run_id})

    return run


def folders(tmp_path):
    return [path for path in (tmp_path / "out").iterdir() if path.name.endswith(".shards")]


def outcomes(tmp_path):
    lines = [
        json.loads(line)
        for path in (tmp_path / "out").glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    return sorted(
        (line["where"], line["n"], line["to"], line["status"], line.get("reason")) for line in lines
    )


def reached(sandbox):
    return Counter(message["to"] for message in sandbox.messages)


def test_the_shards_send_what_they_would_by_the_list_and_leave_nothing_beside_the_results(
    sandbox, people, send, tmp_path, monkeypatch
):
    people()
    for shard in range(SHARDS):
        send(shard)
        names = {path.name.rpartition("-")[2] for folder in folders(tmp_path) for path in folder.iterdir()}
        parts = {f"{rest}.jsonl" for rest in range(shard + 1, SHARDS)}
        assert names == (parts | {HEAD, BEGUN} if parts else set())
    found = outcomes(tmp_path)
    assert reached(sandbox) == {f"1555{n:07}": 1 for n in range(12)}
    assert folders(tmp_path) == []

    shutil.rmtree(tmp_path / "out")
    monkeypatch.setattr(_shards, "LEAST", 1 << 40)
    for shard in range(SHARDS):
        send(shard, run_id="another")
    assert folders(tmp_path) == []
    assert outcomes(tmp_path) == found


def test_a_shard_whose_part_is_there_does_not_read_the_list(sandbox, people, send, tmp_path, monkeypatch):
    path = people()
    send(0)
    monkeypatch.setattr(_shards.ShardIndex, "is_of_list", lambda self, head: True)
    path.write_text("nobody\n")

    for shard in (1, 2):
        send(shard)
    assert reached(sandbox) == {f"1555{n:07}": 1 for n in range(12)}


def test_a_list_that_changes_once_a_shard_has_begun_is_refused(sandbox, people, send, tmp_path):
    people()
    send(0)
    before = reached(sandbox)
    people(30)

    for shard in (1, 2):
        with pytest.raises(AirflowFailException, match=r"people\.csv has changed since other shards began"):
            send(shard)
    assert reached(sandbox) == before
    people()
    for shard in (1, 2):
        send(shard, number=2)
    assert reached(sandbox) == {f"1555{n:07}": 1 for n in range(12)}
    assert folders(tmp_path) == []


def test_a_list_that_was_cut_short_once_a_shard_has_begun_is_refused(
    sandbox, people, send, tmp_path, monkeypatch
):
    path = people()
    monkeypatch.setattr(_shards, "LEAST", path.stat().st_size)
    send(0)
    before = reached(sandbox)
    people(3)
    with pytest.raises(AirflowFailException, match=r"people\.csv has changed since other shards began"):
        send(1)
    assert reached(sandbox) == before


def test_a_change_that_no_message_shows_is_none(sandbox, people, send, tmp_path):
    people()
    send(0)
    people(name="Ann Other")
    for shard in (1, 2):
        send(shard)
    assert reached(sandbox) == {f"1555{n:07}": 1 for n in range(12)}
    assert folders(tmp_path) == []


def test_a_list_that_is_corrected_before_anybody_was_sent_to_is_divided_again(
    sandbox, people, send, tmp_path
):
    people()
    with pytest.raises(AirflowFailException, match="hello_wrold"):
        send(0, template_name="hello_wrold")
    assert not (folders(tmp_path)[0] / BEGUN).exists()
    people(20)
    for shard in range(SHARDS):
        send(shard, number=2)
    assert reached(sandbox) == {f"1555{n:07}": 1 for n in range(20)}
    assert folders(tmp_path) == []


def test_a_cleared_task_that_sends_to_everybody_again_may_have_another_list(sandbox, people, send, tmp_path):
    people()
    first = send(0)["sent"]
    people(20)
    for shard in range(SHARDS):
        send(shard, number=2, max_tries=1, resend_on_clear=True)
    assert set(reached(sandbox)) == {f"1555{n:07}" for n in range(20)}
    assert reached(sandbox).total() == 20 + first
    assert folders(tmp_path) == []


def test_a_shard_that_is_cleared_when_all_have_ended_reads_the_list(sandbox, people, send, tmp_path):
    people()
    for shard in range(SHARDS):
        send(shard)
    send(1, number=2, max_tries=1)
    assert folders(tmp_path) == []
    assert reached(sandbox).total() == 12


@pytest.mark.parametrize("content", ['{"format": "whatsapp-shard-index/2"}', "nonsense", ""])
def test_an_index_of_another_version_is_not_read(sandbox, people, send, tmp_path, content, capsys):
    people()
    with pytest.raises(AirflowFailException, match="hello_wrold"):
        send(0, template_name="hello_wrold")
    (folders(tmp_path)[0] / HEAD).write_text(content)
    for shard in range(SHARDS):
        send(shard)
    assert reached(sandbox) == {f"1555{n:07}": 1 for n in range(12)}
    assert "this shard reads the whole list" in capsys.readouterr().out


def test_an_index_that_cannot_be_written_is_done_without(sandbox, people, send, tmp_path, capsys):
    people()
    task = {"results_path": f"file://{tmp_path}/out/results.jsonl"}
    (tmp_path / "out").mkdir()
    with pytest.raises(AirflowFailException, match="hello_wrold"):
        send(0, template_name="hello_wrold", **task)
    (folder,) = folders(tmp_path)
    shutil.rmtree(folder)
    folder.write_text("in the way")
    for shard in range(SHARDS):
        send(shard, **task)
    assert reached(sandbox) == {f"1555{n:07}": 1 for n in range(12)}
    assert "this shard reads the whole list" in capsys.readouterr().out
    assert folder.read_text() == "in the way"


def test_the_next_try_takes_over_a_survey_that_was_killed(sandbox, people, send, tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_provider_whatsapp.delivery.shard_survey.STALE", -1.0)
    people()
    send(0, dry_run=True)
    (folder,) = folders(tmp_path)
    for path in folder.iterdir():
        path.unlink()
    (folder / CLAIM).write_text('{"survey": "killed", "beat": 1}')

    send(1, number=2)

    assert (folder / HEAD).exists()
    assert sandbox.messages


def test_a_dry_run_needs_its_part_no_more(sandbox, people, send, tmp_path):
    people()
    assert sum(send(shard, dry_run=True)["would_send"] for shard in range(SHARDS)) == 12
    assert folders(tmp_path) == []


@pytest.mark.parametrize(
    ("broken", "max_tries", "kept"),
    [
        ("all are refused", 1, True),
        ("all are refused", 0, False),
        ("while it sends", 1, True),
        ("while it sends", 0, False),
        ("the ledger is another try's", 0, True),
    ],
)
def test_a_part_is_kept_as_long_as_a_retry_may_need_it(
    sandbox, people, send, tmp_path, monkeypatch, broken, max_tries, kept
):
    people(3)
    if broken == "all are refused":
        sandbox.fail_next("status", status=429, times=50)
    else:
        error = RuntimeError(broken) if broken == "while it sends" else LedgerError(broken)

        def run(self, recipients, report):
            raise error

        monkeypatch.setattr("airflow_provider_whatsapp.delivery.engine.Delivery.run", run)
    with pytest.raises(Exception, match=rf"First error|{broken}") as caught:
        send(0, max_failed=0, max_tries=max_tries, check_template=False, check_health=False)
    if broken == "all are refused":
        assert not isinstance(caught.value, AirflowFailException), "Airflow decides whether there is a retry"
    assert bool(list(folders(tmp_path)[0].glob("*-0.jsonl"))) is kept
    assert list(folders(tmp_path)[0].glob("*-1.jsonl"))


@pytest.mark.parametrize(
    "arguments",
    [{"results_path": None}, {"shards": 1}, {"recipients": ["+15550000001", "+15550000002"]}],
    ids=["no results", "one shard", "a list"],
)
def test_without_a_place_or_a_file_there_is_no_index(sandbox, people, send, tmp_path, arguments):
    people()
    (tmp_path / "out").mkdir()
    send(0, dry_run=True, **arguments)
    assert folders(tmp_path) == []


def test_the_index_knows_what_the_whole_list_costs(sandbox, people, send, tmp_path):
    people(extra="+4915112345678,Eva\n+4915112345678,Eva\n12,Nobody\n")
    card = tmp_path / "card.csv"
    card.write_text(
        "Market,Currency,Marketing,Utility\nGermany,$US,0.1365,0.055\nNorth America,$US,0.1,0.01\n"
    )
    for arguments in ({}, {"suppression": ["+15550009999"]}):
        with pytest.raises(AirflowFailException, match=r"may cost 0.175 USD, more than the limit of 0.17"):
            send(1, rates=str(card), max_cost="0.17", **arguments)
    with pytest.raises(AirflowFailException, match=r"may cost 0.165 USD, more than the limit of 0.16"):
        send(1, rates=str(card), max_cost="0.16", suppression=["+15550000003"])
    assert sandbox.messages == []


def test_only_a_list_of_suppressed_people_makes_a_shard_count_the_whole_list():
    task = SimpleNamespace(
        _part=SimpleNamespace(countries={"DE": 2}), has_suppression=False, suppression=None
    )
    assert ReadsRecipients._countries(task, {}, None) == {"DE": 2}
