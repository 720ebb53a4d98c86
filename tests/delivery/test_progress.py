"""The line in the log and the numbers for metrics, by a clock that the test moves."""

from __future__ import annotations

import pytest

from airflow_provider_whatsapp.client.errors import OutcomeUnknownError, RecipientError
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.delivery.progress import INTERVAL, Progress
from airflow_provider_whatsapp.delivery.report import Outcome

SENT = Outcome("15550000001", "sent")
FAILED = Outcome("15550000002", "failed", error=RecipientError("no such number"))
UNKNOWN = Outcome("15550000003", "unknown", error=OutcomeUnknownError("no answer"))


@pytest.fixture
def clock():
    return [1000.0]


@pytest.fixture
def told():
    return []


@pytest.fixture
def progress(clock, told, caplog):
    caplog.set_level("INFO")
    return Progress(600, observe=lambda news, rate: told.append((news, rate)), clock=lambda: clock[0])


def lines(caplog):
    return [record.getMessage() for record in caplog.records if "per second" in record.getMessage()]


def test_a_line_comes_at_a_steady_interval(progress, clock, caplog):
    at = []
    for second in range(1, 151):  # two messages a second, for two and a half minutes
        clock[0] = 1000.0 + second
        for _ in range(2):
            before = len(lines(caplog))
            progress.count(SENT, now=True)
            at += [second] * (len(lines(caplog)) - before)

    assert at == [30, 60, 90, 120, 150]
    assert lines(caplog)[:2] == [
        "WhatsApp: 59 of 600 sent, 0 failed, 0 unknown; 2.0 per second, 5 min left",
        "WhatsApp: 119 of 600 sent, 0 failed, 0 unknown; 2.0 per second, 4 min left",
    ]


def test_it_comes_too_when_no_answer_does(progress, clock, caplog):
    progress.count(SENT, now=True)
    clock[0] += INTERVAL
    progress.tick()
    clock[0] += INTERVAL - 0.1
    progress.tick()

    assert lines(caplog) == ["WhatsApp: 1 of 600 sent, 0 failed, 0 unknown; 0.0 per second, 300 min left"]


def test_the_line_has_failures_rate_and_time_left(progress, clock):
    clock[0] += 2
    for outcome in (SENT, SENT, FAILED, UNKNOWN):
        progress.count(outcome, now=True)

    assert progress.line() == "2 of 600 sent, 1 failed, 1 unknown; 2.0 per second, 5 min left"


def test_seconds_are_told_when_there_are_few(clock):
    progress = Progress(14, clock=lambda: clock[0])
    clock[0] += 2
    for _ in range(4):
        progress.count(SENT, now=True)

    assert progress.line().endswith("2.0 per second, 5 s left")


def test_who_was_sent_to_by_an_earlier_try_counts_as_sent_but_not_for_the_rate_or_the_metrics(
    progress, clock, told
):
    for _ in range(300):
        progress.count(SENT, now=False)
    clock[0] += 10
    for _ in range(10):
        progress.count(SENT, now=True)
    progress.end()

    assert progress.line() == "310 of 600 sent, 0 failed, 0 unknown; 1.0 per second, 5 min left"
    assert told == [({"sent": 10, "failed": 0, "unknown": 0}, 1.0)]


def test_metrics_hear_what_is_new_since_the_last_time(progress, clock, told):
    clock[0] += 10
    for outcome in (SENT, FAILED):
        progress.count(outcome, now=True)
    clock[0] += 20
    progress.count(SENT, now=True)
    progress.count(UNKNOWN, now=True)
    progress.end()

    assert told == [
        ({"sent": 2, "failed": 1, "unknown": 0}, 0.1),
        ({"sent": 0, "failed": 0, "unknown": 1}, 4 / 30),
    ]


@pytest.mark.parametrize(
    ("total", "left"),
    [(11, "1 s"), (99, "89 s"), (100, "2 min"), (130, "2 min"), (160, "2 min"), (190, "3 min")],
)
def test_the_time_left_is_told_in_minutes_from_ninety_seconds_on(total, left):
    now = [0.0]
    progress = Progress(total, clock=lambda: now[0], interval=1_000)
    now[0] = 10.0
    for _ in range(10):
        progress.count(Outcome("15550000001", "sent"), now=True)

    assert progress.line() == f"10 of {total} sent, 0 failed, 0 unknown; 1.0 per second, {left} left"


def test_before_anything_was_sent_nothing_is_known_of_the_time_left():
    progress = Progress(5, clock=lambda: 0.0)

    assert progress.line() == "0 of 5 sent, 0 failed, 0 unknown; 0.0 per second, 0 s left"


@pytest.mark.parametrize(("passed", "lines"), [(29.9, 0), (30.0, 1)])
def test_a_line_is_due_when_the_interval_is_over(caplog, passed, lines):
    caplog.set_level("INFO")
    now, told = [0.0], []
    progress = Progress(
        5, interval=30.0, clock=lambda: now[0], observe=lambda news, rate: told.append((news, rate))
    )
    now[0] = passed
    progress.tick()
    progress.tick()

    assert len(caplog.records) == len(told) == lines


def test_what_was_skipped_is_no_outcome_of_a_message():
    told = []
    progress = Progress(5, clock=lambda: 0.0, observe=lambda news, rate: told.append((news, rate)))
    progress.count(Outcome("15550000001", "skipped", reason="duplicate"), now=False)
    progress.end()

    assert told == [({"sent": 0, "failed": 0, "unknown": 0}, 0.0)]


def test_whose_message_was_accepted_is_named_only_where_that_is_wanted(caplog):
    caplog.set_level("INFO")
    accepted = SentMessage(message_id="wamid.HBgLMTU1NTAw", wa_id=None, to="15550000001")
    Progress(5, clock=lambda: 0.0).count(Outcome("15550000001", "sent", sent=accepted), now=True)

    assert not caplog.records


def test_the_rate_is_known_in_the_first_second():
    now = [0.0]
    progress = Progress(8, clock=lambda: now[0])
    now[0] = 0.5
    progress.count(SENT, now=True)

    assert progress.line().endswith("2.0 per second, 4 s left")
