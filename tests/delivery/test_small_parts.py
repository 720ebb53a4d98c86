"""The parts of a delivery that decide something in a few lines: each rule to its edge."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.errors import (
    APIError,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    NotSentError,
    OutcomeUnknownError,
    PayloadError,
    RateLimitError,
    RecipientError,
    ServerError,
    TemplateError,
)
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.delivery import compact_sets, rows, windows
from airflow_provider_whatsapp.delivery.arrivals import STEPS, Arrival, arrivals_in_history
from airflow_provider_whatsapp.delivery.causes import scope
from airflow_provider_whatsapp.delivery.claims import threads_for
from airflow_provider_whatsapp.delivery.compact_sets import Places, Seen
from airflow_provider_whatsapp.delivery.cost import Estimate, Share, estimate, plain
from airflow_provider_whatsapp.delivery.fill import columns, fill, literal_prefix
from airflow_provider_whatsapp.delivery.notes import Note, Try
from airflow_provider_whatsapp.delivery.preview import preview
from airflow_provider_whatsapp.delivery.progress import Progress
from airflow_provider_whatsapp.delivery.recipients import Row
from airflow_provider_whatsapp.delivery.report import SHOWN_FAILURES, Outcome, Report, from_note
from airflow_provider_whatsapp.delivery.windows import Gate, window


@pytest.mark.parametrize(
    ("error", "same", "varied"),
    [
        (RecipientError("x"), "one", "one"),
        (PayloadError("x", field="to"), "one", "one"),
        (RateLimitError("x", code=131056), "one", "one"),
        (RateLimitError("x", code=130429), "perhaps", "perhaps"),
        (TemplateError("x", code=132005), "all", "one"),
        (TemplateError("x", code=132018), "all", "one"),
        (TemplateError("x", code=132001), "all", "all"),
        (NotSentError("x"), "perhaps", "perhaps"),
        (OutcomeUnknownError("x"), "perhaps", "perhaps"),
        (ServerError("x"), "perhaps", "perhaps"),
        (InvalidRequestError("x", code=100), "all", "perhaps"),
        (APIError("x", code=7), "all", "perhaps"),
        (AuthenticationError("x"), "all", "all"),
    ],
    ids=lambda value: f"{type(value).__name__} {value.code}" if isinstance(value, Exception) else value,
)
def test_whom_an_error_concerns(error, same, varied):
    assert (scope(error, varied=False), scope(error, varied=True)) == (same, varied)


@pytest.mark.parametrize(
    ("rate", "total", "shards", "threads"),
    [
        (0, 1, 1, 1),
        (0, 8, 1, 1),
        (0, 9, 1, 2),
        (0, 1000, 1, 8),
        (10, 1000, 1, 8),
        (1, 1000, 1, 2),
        (100, 1000, 1, 32),
        (10, 1000, 2, 8),
        (10, 1000, 4, 4),
        (100, 24, 1, 3),
        (10, 0, 1, 1),
    ],
)
def test_how_many_send_at_a_time(rate, total, shards, threads):
    assert threads_for(rate, total, shards) == threads


@given(st.lists(st.integers(0, 5000)), st.integers(0, 5000))
def test_places_are_a_set(added, asked):
    places = Places()
    for place in added:
        places.add(place)

    assert (asked in places) is (asked in added)
    assert all(place in places for place in added)
    assert len(places._bits) == (max(added) // 8 + 1 if added else 0)


PEOPLE = ["15550001111", "999999999999999", "1000000000000000", "9" * 20, "US.13491208655302741918"]
PEOPLE += ["0", "3", "٣", "²", ""]


@pytest.mark.parametrize("in_memory", [0, 3, 100])
def test_who_has_come_by_is_known_in_memory_and_in_a_file(monkeypatch, in_memory):
    monkeypatch.setattr(compact_sets, "IN_MEMORY", in_memory)
    known = Seen()
    for place, to in enumerate(PEOPLE):
        assert to not in known
        assert known.add(to) is True
        assert known.add(to) is False
        assert len(known) == place + 1
    assert all(to in known for to in PEOPLE)


def test_a_long_list_of_recipients_takes_no_memory(monkeypatch):
    monkeypatch.setattr(compact_sets, "IN_MEMORY", 5000)
    known = Seen()
    tracemalloc.start()
    try:
        for number in range(15_550_000_000, 15_550_010_000):
            known.add(str(number))
        traces = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, compact_sets.__file__)])
        taken = sum(each.size for each in traces.statistics("filename"))
    finally:
        tracemalloc.stop()

    assert len(known) == 10_000
    assert taken < 100_000, "5000 numbers in a set take 400 kB"


CARD = SimpleNamespace(
    currency="EUR",
    rate=lambda country, category: {
        "DE": ("germany", Decimal("0.1131")),
        "FR": ("france", Decimal("0.0700")),
    }.get(country if category == "MARKETING" else ""),
)


def test_what_messages_cost_and_where_no_rate_is_known():
    found = estimate(CARD, {"FR": 100, "DE": 1000, "XX": 2, "YY": 5}, "MARKETING")

    assert found.to_dict() == {
        "currency": "EUR",
        "category": "MARKETING",
        "total": "120.1",
        "countries": {
            "DE": {"messages": 1000, "market": "germany", "rate": "0.1131", "cost": "113.1"},
            "FR": {"messages": 100, "market": "france", "rate": "0.07", "cost": "7"},
        },
        "missing": {"XX": 2, "YY": 5},
    }
    assert list(found.to_dict()["countries"]) == ["DE", "FR"], "the dearest first"
    assert found.missing_text() == "2 countries (YY 5, XX 2)"


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "1 country (C00 1)"), (10, "10 countries (C09 10, "), (12, ", C02 3 and 2 more)")],
)
def test_countries_without_a_rate_are_named_up_to_ten(count, text):
    found = Estimate("EUR", "UTILITY", missing={f"C{number:02}": number + 1 for number in range(count)})

    assert text in found.missing_text()
    assert ("more" in found.missing_text()) is (count > 10)


@pytest.mark.parametrize(
    ("amount", "text"), [("1E+3", "1000"), ("0.50", "0.5"), ("100", "100"), ("2.00", "2")]
)
def test_an_amount_has_no_exponent_and_no_zeros_at_its_end(amount, text):
    assert plain(Decimal(amount)) == text


ARGUMENT = {"a": ["{ name } {{x}}", ("{day}",), 7], "b": "none"}


def test_columns_are_found_and_filled_wherever_they_stand():
    assert columns(ARGUMENT, "{other}") == {"name", "day", "other"}
    assert fill(ARGUMENT, {"name": "Ann", "day": 9}) == {"a": ["Ann {x}", ["9"], 7], "b": "none"}
    assert fill("}} {{", {}) == "} {"
    assert fill("}}", {}) == "}}", "without a brace that opens nothing is looked for"


@pytest.mark.parametrize("row", [{}, {"name": None}, {"name": " "}, {"name": ""}], ids=str)
def test_a_row_without_a_value_is_refused(row):
    with pytest.raises(PayloadError, match="is missing or empty in this row") as caught:
        fill("Dear { name }", row)
    assert caught.value.field == "name"
    with pytest.raises(PayloadError) as caught:
        fill("Dear { name }", {"name": [1]})
    assert caught.value.field == "name"


@pytest.mark.parametrize(
    ("argument", "prefix"),
    [
        ("https://x/{id}", "https://x/"),
        ("{{a}}/{id}/{b}", "{a}/"),
        ("{id}", ""),
        ("{{id}}", None),
        ("x", None),
    ],
)
def test_what_stands_before_the_first_column(argument, prefix):
    assert literal_prefix(argument) == prefix


class Now(datetime):
    """A clock that the test moves."""

    moment = datetime(2026, 1, 1, 8, 59, 59, tzinfo=UTC)

    @classmethod
    def now(cls, zone=None):
        return cls.moment.astimezone(zone)


@pytest.fixture
def clock(monkeypatch):
    """Move both clocks of the gate."""
    state = SimpleNamespace(passed=100.0)
    start = datetime(2026, 1, 1, 8, 0, tzinfo=UTC)
    monkeypatch.setattr(windows, "monotonic", lambda: state.passed)
    monkeypatch.setattr(windows, "datetime", Now)

    def at(hour, minute=0, second=0):
        Now.moment = start.replace(hour=hour, minute=minute, second=second)
        state.passed = 100.0 + (Now.moment - start).total_seconds()

    return at


def test_whoever_has_waited_waits_to_the_end_of_the_pass(clock):
    gate = Gate(window(("09:00", "20:00"), "UTC"))
    clock(8, 59, 59)
    assert gate.holds("UTC")
    clock(9, 0, 1)
    assert gate.holds("UTC"), "their places in the ledger are passed by already"
    assert gate.closed == {"UTC": 2}


def test_a_group_is_looked_at_once_a_second(clock):
    gate = Gate(window(("09:00", "20:00"), "UTC"))
    clock(19, 59, 59)
    assert not gate.holds("UTC")
    Now.moment += timedelta(seconds=30)
    assert not gate.holds("UTC"), "the same second still"
    clock(20, 0, 0)
    assert gate.holds("UTC")


def test_the_next_pass_begins_when_the_first_of_those_who_wait_can_be_written_to(clock):
    gate = Gate(window(("09:00", "20:00"), "recipient"))
    clock(21)
    for group in ("UTC", "Asia/Tokyo", "Europe/Berlin"):
        gate.holds(group)

    assert gate.closed.keys() == {"UTC", "Asia/Tokyo", "Europe/Berlin"}
    assert gate.opens() == datetime(2026, 1, 2, 0, 0, tzinfo=UTC)


def names(caplog):
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(("each", "named"), [(False, 20), (True, 23)])
def test_the_log_names_the_first_who_were_not_sent_to_and_all_of_a_short_list(caplog, each, named):
    caplog.set_level("INFO")
    progress = Progress(100, each=each, show=lambda to: f"<{to[-2:]}>", clock=lambda: 0.0)
    sent = Outcome(
        "15550000099", "sent", sent=SentMessage(message_id="wamid.HBgLMTU1NTAw", wa_id=None, to="1")
    )
    for earlier in (sent, Outcome("15550000099", "sent")):
        progress.count(earlier, now=earlier is not sent)
    progress.count(sent, now=True)
    for place in range(23):
        error = OutcomeUnknownError("lost") if place == 1 else RecipientError("no")
        status = "unknown" if place == 1 else "failed"
        progress.count(Outcome(f"155500000{place:02}", status, error=error), now=False)
    progress.count(Outcome("15550000055", "skipped", reason="duplicate"), now=False)

    found = names(caplog)
    assert (found[0] == "WhatsApp accepted the message to <99>: ...HBgLMTU1NTAw") is each
    errors = [line for line in found if "sent to" in line]
    assert len(found) == len(errors) + each
    assert len(errors) == named
    assert errors[0].startswith("Not sent to <00>: no.")
    assert errors[1].startswith("Not known whether it was sent to <01>: lost.")


def test_a_preview_makes_every_message_and_sends_none():
    rows = [
        Row(0, "4915550000001"),
        Row(1, "15550000001", skip="duplicate"),
        Row(2, "bad", error=PayloadError("is no number", field="to")),
        Row(3, "15550000003"),
        Row(4, "15550000004"),
    ]

    def prepare(row):
        if row.position == 4:
            raise PayloadError("is missing", field="name")
        return SimpleNamespace(to_payload=lambda: {"for": row.to})

    taken = []
    approved = SimpleNamespace(render=lambda payload: {"body": payload["for"]}, category="UTILITY")
    found = preview(rows, prepare, approved, rate=4.0, take=lambda *what: taken.append(what))

    assert [(row.position, outcome.status, outcome.reason, shown) for row, outcome, shown in taken] == [
        (0, "skipped", "dry_run", {"body": "4915550000001"}),
        (1, "skipped", "duplicate", None),
        (2, "failed", None, None),
        (3, "skipped", "dry_run", {"body": "15550000003"}),
        (4, "failed", None, None),
    ]
    wanted = {
        "dry_run": True,
        "would_send": 2,
        "countries": {"DE": 1, "US": 1},
        "category": "UTILITY",
        "seconds": 0.5,
        "messages": [
            {"to": "4915550000001", "body": "4915550000001"},
            {"to": "15550000003", "body": "15550000003"},
        ],
    }
    assert {name: found[name] for name in wanted} == wanted


def test_a_preview_shows_the_first_hundred_and_without_a_template_what_it_would_send():
    rows = [Row(place, f"1555{place:07}") for place in range(105)]
    message = SimpleNamespace(to_payload=lambda: {"type": "text"})
    found = preview(rows, lambda row: message, None, rate=0)

    assert (found["would_send"], len(found["messages"])) == (105, 100)
    assert found["messages"][0] == {"to": "15550000000", "type": "text"}
    assert (found["category"], found["seconds"]) == ("unknown", 0.0)
    assert preview(rows, lambda row: message, None, rate=9)["seconds"] == 11.7


def test_a_preview_keeps_the_first_hundred_of_those_who_cannot_be_sent_to():
    error = PayloadError("is no number", field="to")
    found = preview([Row(place, "x", error=error) for place in range(105)], print, None, rate=0)

    assert (found["failed"], len(found["results"]), found["would_send"]) == (105, 100, 0)


def accepted(**facts):
    return SentMessage(**{"message_id": "wamid.1", "wa_id": "15550001111", "to": "15550001111", **facts})


REFUSED = RecipientError(
    "x" * 400,
    code=131026,
    subcode=7,
    http_status=400,
    details="d",
    retry_after=3.0,
    permanent=True,
    advice="a",
)
OUTCOMES = [
    Outcome("1", "sent", sent=accepted()),
    Outcome(
        "1",
        "sent",
        sent=accepted(message_status="held_for_quality_assessment", endpoint="marketing_messages"),
    ),
    Outcome("1", "failed", error=REFUSED),
    Outcome("1", "failed", error=NotSentError("no way")),
    Outcome("1", "unknown", error=OutcomeUnknownError("lost", http_status=504)),
    Outcome("1", "skipped", reason="stopped"),
    Outcome("1", "skipped", reason="suppressed"),
]
IDS = ["sent", "held", "refused", "not sent", "unknown", "stopped", "suppressed"]


@pytest.mark.parametrize(
    ("outcome", "again"),
    list(zip(OUTCOMES, [False, False, False, True, False, True, False], strict=True)),
    ids=IDS,
)
def test_what_an_earlier_try_has_noted_is_what_a_later_one_reports(outcome, again):
    note = outcome.to_note()
    found = from_note("1", replace(note, facts={**note.facts, "epoch": 3}))

    assert (note.status, note.again, outcome.again) == (outcome.status, again, again)
    assert (found.status, found.reason) == (outcome.status, outcome.reason)
    assert type(found.error) is type(outcome.error)
    told, kept = outcome.to_dict(), found.to_dict()
    for row in (told, kept):
        row.get("error", {}).pop("advice", None)
        row.get("error", {}).pop("request_id", None)
        row.get("error", {}).pop("fbtrace_id", None)
        if "error" in row:
            row["error"]["message"] = row["error"]["message"][:300]
            row["error"] = {name: value for name, value in row["error"].items() if value is not None}
    assert kept == told
    assert "to" not in note.facts
    assert all(len(text) <= 300 for text in note.facts.values() if isinstance(text, str))


def test_a_report_counts_and_shows_what_became_of_all():
    report, names = Report(limit=2), ("message_id", "wa_id", "message_status", "endpoint")
    for place, outcome in enumerate([*OUTCOMES, OUTCOMES[4]]):
        report.add(outcome, 10 - place)

    assert report.summary() == "2 sent, 2 failed, 2 unknown, 2 skipped of 8 (1 held for quality assessment)"
    found = report.to_dict()
    shown = found.pop("results")
    assert found == {
        "total": 8,
        "sent": 2,
        "failed": 2,
        "unknown": 2,
        "skipped": 2,
        "held": 1,
        "skipped_because": {"stopped": 1, "suppressed": 1},
    }
    assert [row["error"]["type"] for row in shown] == ["NotSentError", "RecipientError"], "by their places"
    assert (report.first_error, report.first_again, report.again) == (REFUSED, OUTCOMES[3].error, 2)
    assert list(report.errors()) == [OUTCOMES[3].error, REFUSED]
    assert [outcome.to_dict().keys() & {*names} for outcome in OUTCOMES[:2]] == [
        {"message_id", "wa_id"},
        {*names},
    ]


def test_a_report_without_a_limit_keeps_everybody_and_one_of_none_nobody():
    everybody, nobody = Report(), Report(limit=0)
    for report in (everybody, nobody):
        for place, outcome in enumerate(OUTCOMES):
            report.add(outcome, place)

    assert everybody.outcomes == OUTCOMES
    assert list(everybody.errors()) == [outcome.error for outcome in OUTCOMES[2:5]]
    assert nobody.outcomes == []
    assert Report().summary() == "none sent of 0"
    route = SimpleNamespace(
        summary=lambda: "1 by /marketing_messages", to_dict=lambda: {"category": "MARKETING"}
    )
    routed = Report(route=route)
    routed.add(OUTCOMES[1], 0)
    assert routed.summary() == "1 sent of 1 (1 held for quality assessment, 1 by /marketing_messages)"
    assert routed.to_dict()["category"] == "MARKETING"


def test_what_the_history_says_of_messages():
    facts = {
        "a": {"status": "read"},
        "b": NotFoundError("no such message"),
        "c": {"status": "deleted"},
        "d": {"status": "failed", "error": "(#131026) not on WhatsApp"},
        "e": {"status": "failed", "error": "(#12x) odd"},
        "f": {"status": "failed"},
    }

    def status_of(message_id):
        found = facts[message_id]
        if isinstance(found, Exception):
            raise found
        return found

    found = arrivals_in_history(status_of, list(facts))

    assert {name: (one.status, one.error and one.error.code) for name, one in found.items()} == {
        "a": ("read", None),
        "c": ("failed", None),
        "d": ("failed", 131026),
        "e": ("failed", None),
        "f": ("failed", None),
    }
    assert "could not deliver it: (#131026) not on WhatsApp" in str(found["d"].error)
    assert "no reason was given" in str(found["f"].error)
    assert all(one.error.permanent for one in found.values() if one.error is not None)
    facts["b"] = NotFoundError("no such address", http_status=404)
    with pytest.raises(NotFoundError):
        arrivals_in_history(status_of, list(facts))


@pytest.mark.parametrize(
    ("status", "reached"),
    [("accepted", 1), ("sent", 2), ("delivered", 3), ("read", 4), ("failed", 4), ("warning", 1)],
)
def test_how_far_a_message_has_got(status, reached):
    found = [Arrival(status, "wamid").is_settled(step) for step in STEPS]

    assert found == [place < reached for place in range(4)]


@pytest.mark.parametrize(
    ("value", "sound"),
    [(2**160 - 1, True), (2**160, False), ("é", True), ("\ud800", False), (None, True), ({"a": {1}}, True)],
    ids=["160 bits", "161 bits", "text", "half a character", "nothing", "what has a text"],
)
def test_what_a_results_file_can_hold(value, sound):
    assert rows._is_sound(value) is sound


def test_an_estimate_as_json_has_the_dearest_country_first_and_exact_texts():
    found = Estimate(
        "USD",
        "UTILITY",
        {"US": Share(10, "North America", Decimal("0.0040")), "DE": Share(2, "Germany", Decimal("0.0550"))},
        {"XX": 3},
    )

    assert list(found.to_dict()["countries"]) == ["DE", "US"]
    assert found.to_dict() == {
        "currency": "USD",
        "category": "UTILITY",
        "total": "0.15",
        "countries": {
            "DE": {"messages": 2, "market": "Germany", "rate": "0.055", "cost": "0.11"},
            "US": {"messages": 10, "market": "North America", "rate": "0.004", "cost": "0.04"},
        },
        "missing": {"XX": 3},
    }
    assert Estimate("USD", "UTILITY").to_dict()["total"] == "0"


@pytest.mark.parametrize("limit", range(1, 6))
def test_a_report_names_the_first_who_failed_or_are_unknown(limit):
    report = Report(limit=limit)
    for place, outcome in enumerate([*OUTCOMES, OUTCOMES[4]]):
        report.add(outcome, place)

    assert [outcome.status for outcome in report.outcomes] == ["failed", "failed", "unknown", "unknown"][
        :limit
    ]


def test_outcomes_at_one_place_stay_in_the_order_in_which_they_came():
    report = Report()
    for outcome in (OUTCOMES[3], OUTCOMES[0]):
        report.add(outcome, 0)

    assert report.outcomes == [OUTCOMES[3], OUTCOMES[0]]


def test_a_failure_that_nobody_explains_is_not_worth_another_try():
    assert not Outcome("1", "failed").again
    assert not Outcome("1", "unknown", error=NotSentError("x")).again


def test_what_goes_without_saying_in_a_ledger():
    assert (Note("failed").again, Note("failed").facts) == (False, {})
    assert Try() == Try(number=1, max_tries=0)
    assert SHOWN_FAILURES == 100, "as the operator's reference says"
