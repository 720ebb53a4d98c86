"""Each step of a delivery by itself: what a row needs, what a thread makes of it, what an answer means for the rest."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.client.errors import (
    ConfigurationError,
    NotSentError,
    OutcomeUnknownError,
    PayloadError,
    RecipientError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.delivery import engine
from airflow_provider_whatsapp.delivery.engine import Delivery, Rules
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Try
from airflow_provider_whatsapp.delivery.notes import Note
from airflow_provider_whatsapp.delivery.recipients import Row
from airflow_provider_whatsapp.delivery.report import Outcome, Report
from airflow_provider_whatsapp.delivery.stores import MemoryStore

TO = "15550000000"


def sent(to=TO):
    return SentMessage(message_id="wamid", wa_id=None, to=to)


class Lasting(MemoryStore):
    """Outlives the tries of a test."""

    durable = True


@pytest.fixture
def made():
    """Make a delivery whose ledger holds a note of the first recipient, and end it."""
    found = []

    def make(note=None, *, marked=0, send=None, prepare=None, **options):
        store = Lasting()
        first = Ledger(store, pauses=())
        first.begin(Job("source", "message", 9), Try(1))
        first.claim((position, "") for position in range(marked))
        for position in range(marked):
            first.record(position, Note("sent"))
        if note is not None:
            first.claim([(0, "")])
            if note.status != "claimed":
                first.record(0, note)
        first.flush()
        ledger = Ledger(store, pauses=())
        ledger.begin(Job("source", "message", 9), Try(2))
        rules = Rules(**{"away": 0, **options.pop("rules", {})})
        delivery = Delivery(
            ledger,
            prepare or (lambda row: f"to {row.to}"),
            send or (lambda to, message, **_: sent(to)),
            rules=rules,
            **options,
        )
        found.append(delivery)
        return delivery

    yield make
    for delivery in found:
        delivery._dismiss()


AGAIN = Note("failed", {"type": "NotSentError", "message": "no"}, again=True)
REFUSED = Note("failed", {"type": "RecipientError", "message": "no", "permanent": True})
SKIPPED = Note("skipped", {"reason": "suppressed"})
STOPPED = Note("skipped", {"reason": "stopped"}, again=True)
CLAIMED = Note("claimed")
WITH_ID = Note("sent", {"message_id": "wamid.1", "wa_id": None})

SETTLED = {
    "nobody has claimed it": (None, {}, {}, None),
    "nobody has, and nobody is sent to": (None, {}, {"recall": True}, ("skipped", "stopped")),
    "a bad row": (None, {"error": PayloadError("bad", field="to")}, {}, ("failed", None)),
    "a bad row that is known": (AGAIN, {"error": PayloadError("bad", field="to")}, {}, ("failed", None)),
    "a duplicate": (None, {"skip": "duplicate"}, {}, ("skipped", "duplicate")),
    "a duplicate that is known": (AGAIN, {"skip": "duplicate"}, {}, ("skipped", "duplicate")),
    "suppressed": (None, {"skip": "suppressed"}, {}, ("skipped", "suppressed")),
    "suppressed by now": (AGAIN, {"skip": "suppressed"}, {}, ("failed", None)),
    "nothing left": (AGAIN, {}, {}, None),
    "nothing left, and nobody is sent to": (AGAIN, {}, {"recall": True}, ("failed", None)),
    "refused": (REFUSED, {}, {}, ("failed", None)),
    "refused, after a clear": (REFUSED, {}, {"begin": "cleared"}, None),
    "skipped": (SKIPPED, {}, {}, ("skipped", "suppressed")),
    "skipped, after a clear": (SKIPPED, {}, {"begin": "cleared"}, ("skipped", "suppressed")),
    "stopped": (STOPPED, {}, {}, None),
    "unknown": (CLAIMED, {}, {}, ("unknown", None)),
    "unknown, to be sent to again": (CLAIMED, {}, {"on_unknown": "resend"}, None),
    "unknown, and suppressed by now": (
        CLAIMED,
        {"skip": "suppressed"},
        {"on_unknown": "resend"},
        ("unknown", None),
    ),
    "unknown, after a clear": (CLAIMED, {}, {"begin": "cleared"}, ("unknown", None)),
}


@pytest.mark.parametrize("case", SETTLED)
def test_what_a_row_needs_in_this_try(made, case):
    note, row, rules, expected = SETTLED[case]
    outcome = made(note, rules=rules)._settled(Row(0, TO, **row))

    assert (outcome and (outcome.status, outcome.reason)) == expected
    assert outcome is None or outcome.to == TO
    if outcome is not None and outcome.status == "failed":
        assert outcome.error is not None


def test_who_was_sent_to_without_a_note_is_known_by_the_mark(made):
    delivery = made(marked=3)

    assert [delivery._settled(Row(position, TO)) for position in (2, 3)] == [Outcome(TO, "sent"), None]


@pytest.mark.parametrize(("skip", "noted"), [("suppressed", True), ("duplicate", False)])
def test_only_who_is_suppressed_is_noted(made, skip, noted):
    delivery = made()
    delivery._settled(Row(0, TO, skip=skip))

    assert [note[1] for note in delivery._ledger._notes] == (["skipped"] if noted else [])


def test_who_was_unknown_is_asked_about_and_the_rules_hold_for_what_is_known_then(made):
    asked = []

    def clear_up(row, note):
        asked.append((row.position, note.status))
        return AGAIN

    assert made(CLAIMED, clear_up=clear_up)._settled(Row(0, TO)) is None
    assert asked == [(0, "unknown")]
    assert made(AGAIN, clear_up=clear_up)._settled(Row(0, TO)) is None
    assert len(asked) == 1, "of others something is known"


@pytest.mark.parametrize(
    ("callback", "carried"),
    [
        (None, None),
        (lambda row, epoch: f"{row.position} in {epoch}", "0 in 1"),
        (lambda row, epoch: (_ for _ in ()).throw(PayloadError("too long", field="x")), None),
    ],
    ids=["none", "made", "cannot be made"],
)
def test_an_outcome_of_an_earlier_try_says_what_its_message_carries(made, callback, carried):
    found = made(CLAIMED, callback_data=callback)._settled(Row(0, TO))

    assert (found.status, found.callback_data) == ("unknown", carried)


def test_an_outcome_that_left_in_no_epoch_carries_nothing(made):
    found = made(REFUSED, callback_data=lambda row, epoch: "carried")._settled(Row(0, TO))

    assert found.callback_data is None


def fails(error):
    def act(*_, **__):
        raise error

    return act


def test_a_thread_makes_a_message_and_waits_for_its_permit(made):
    asked = []

    def permit(stop):
        asked.append(stop)
        return "leave"

    delivery = made(permit=permit, callback_data=lambda row, epoch: f"{row.position} in {epoch}")
    options, message = delivery._go_ahead(Row(4, TO))

    assert (options, message) == ({"callback_data": "4 in 2", "permit": "leave"}, f"to {TO}")
    assert asked == [delivery._stop]
    assert made()._go_ahead(Row(4, TO)) == ({}, f"to {TO}"), "each is optional"


GO_AHEAD = {
    "bad values": ({"prepare": fails(PayloadError("bad", field="body"))}, "failed", None, "bad"),
    "a fault of the row's function": (
        {"prepare": fails(KeyError(TO))},
        "failed",
        None,
        "an unexpected KeyError",
    ),
    "callback data": ({"callback_data": fails(PayloadError("long", field="x"))}, "failed", None, "long"),
    "the rate limiter's settings": ({"permit": fails(ConfigurationError("redis"))}, "failed", None, "redis"),
    "a stop": ({"permit": lambda stop: None}, "skipped", "stopped", None),
}


@pytest.mark.parametrize(("options", "status", "reason", "words"), GO_AHEAD.values(), ids=list(GO_AHEAD))
def test_what_keeps_a_message_from_going(made, caplog, options, status, reason, words):
    _, outcome = made(**options)._go_ahead(Row(0, TO))

    assert (outcome.to, outcome.status, outcome.reason) == (TO, status, reason)
    assert (outcome.error is None) if words is None else (words in str(outcome.error))
    assert TO not in caplog.text + str(outcome.error)
    if "unexpected" in (words or ""):
        assert outcome.error.permanent


def test_once_it_is_stopped_no_message_is_made(made):
    delivery = made(prepare=fails(AssertionError("it is made")))
    delivery.halt()

    assert delivery._go_ahead(Row(0, TO)) == ({}, Outcome(TO, "skipped", reason="stopped"))


def test_with_recall_it_is_stopped_from_the_beginning(made):
    assert made(rules={"recall": True})._stop.is_set()
    assert not made()._stop.is_set()


POSTED = {
    "sent": (lambda to, message, **_: sent(to), "sent", "carried"),
    "not sent": (fails(NotSentError("no")), "failed", None),
    "refused": (fails(RecipientError("no")), "failed", None),
    "lost": (fails(OutcomeUnknownError("lost")), "unknown", "carried"),
    "a fault": (fails(KeyError(TO)), "unknown", "carried"),
}


@pytest.mark.parametrize(("send", "status", "carried"), POSTED.values(), ids=list(POSTED))
def test_what_a_send_ends_with(made, caplog, send, status, carried):
    outcome = made(send=send)._post(TO, "message", {"callback_data": "carried"})

    assert (outcome.to, outcome.status, outcome.callback_data) == (TO, status, carried)
    assert (outcome.sent == sent()) if status == "sent" else isinstance(outcome.error, WhatsAppError)
    assert TO not in caplog.text + str(outcome.error)


def test_the_send_is_handed_what_belongs_to_the_message(made):
    got = []
    delivery = made(send=lambda *args, **options: got.append((args, options)) or sent())
    delivery._post(TO, "message", {"permit": 7})

    assert got == [((TO, "message"), {"permit": 7})]


JUDGED = {
    "accepted": (Outcome(TO, "sent", sent=sent()), 6, False),
    "one recipient's refusal": (Outcome(TO, "failed", error=RecipientError("no")), 2, False),
    "what meets all": (Outcome(TO, "failed", error=ConfigurationError("no")), 1, True),
    "one unknown": (Outcome(TO, "unknown", error=OutcomeUnknownError("x")), 1, False),
    "skipped": (Outcome(TO, "skipped", reason="stopped"), 1, False),
}


@pytest.mark.parametrize(("outcome", "limit", "stops"), JUDGED.values(), ids=list(JUDGED))
def test_what_an_answer_means_for_those_who_follow(made, outcome, limit, stops):
    delivery, report = made(rules={"threads": 3}), Report()
    delivery._judge(outcome, report)

    assert delivery._stop.is_set() is stops
    assert report.stopped is (outcome.error if stops else None)
    assert delivery._limit == limit


def test_who_has_stopped_it_first_is_named(made):
    delivery, report = made(), Report()
    delivery.halt()
    delivery._judge(Outcome(TO, "failed", error=ConfigurationError("no")), report)

    assert report.stopped is None, "it was ended from outside"
    assert delivery._limit == 2, "as by any failure"


def test_refusals_let_in_one_more_each_up_to_the_most(made):
    delivery, report = made(), Report()
    most = delivery._rules.in_flight
    for _ in range(most + 3):
        delivery._judge(Outcome(TO, "failed", error=RecipientError("no")), report)

    assert delivery._limit == most > 1


def test_a_list_that_is_another_one_now_stops_it_and_the_first_reason_stays(made):
    delivery, report = made(), Report()
    first, second = PayloadError("changed", field="x"), PayloadError("gone", field="x")

    assert delivery._read(iter(()), report) is None
    assert not delivery._stop.is_set()
    for error in (first, second):
        assert delivery._read((fails(error)() for _ in range(1)), report) is None
    assert report.stopped is first
    assert delivery._stop.is_set()


def test_so_many_are_drawn_as_are_wanted_and_the_others_are_told(made):
    delivery, report = made(later=lambda group: group == "asleep"), Report()
    rows = [
        Row(0, TO),
        Row(1, TO, skip="duplicate"),
        Row(2, TO, group="asleep"),
        Row(3, TO, group="awake"),
        Row(4, TO),
    ]
    source = iter(rows)

    assert delivery._draw(source, 2, report) == [rows[0], rows[3]]
    assert report.reasons == {"duplicate": 1}
    assert 1 in delivery._reported
    assert 2 not in delivery._reported, "a later pass tells"
    assert delivery._draw(source, 2, report) == [rows[4]]


def test_who_is_left_after_a_stop_is_told_so_and_who_needs_nothing_is_told_that(made):
    delivery, report = made(), Report()
    delivery._pass_by_rest(iter([Row(0, TO), Row(1, TO, skip="duplicate")]), report)

    assert [(each.status, each.reason) for each in report.outcomes] == [
        ("skipped", "stopped"),
        ("skipped", "duplicate"),
    ]


def test_who_was_claimed_and_not_handed_out_is_given_back_when_it_ends(made):
    counted = []
    progress = SimpleNamespace(
        count=lambda outcome, now: counted.append((outcome.status, now)), tick=lambda: None
    )
    delivery, report = made(progress=progress), Report()
    first, second = Row(0, TO), Row(1, TO)
    delivery._book.claim([first, second])
    delivery._out[0] = first
    delivery._book.hand_out(first)
    delivery._book.hurry(0.0)
    delivery._wind_up(report)

    assert [(each.status, each.reason) for each in report.outcomes] == [
        ("unknown", None),
        ("skipped", "stopped"),
    ]
    assert delivery._out == {}
    assert counted == [("skipped", False), ("unknown", True)], "the rate is of those who were sent to"
    assert delivery._ledger.claimed == 1
    assert [note[:2] for note in delivery._ledger._notes] == [[1, "skipped"]]


def test_an_answer_of_one_who_is_not_out_is_told_once(made):
    delivery, report = made(), Report()
    delivery._settle(Row(0, TO), Outcome(TO, "sent", sent=sent()), report)

    assert report.total == 0


@pytest.mark.parametrize(("answers", "ticks"), [(0, 1), (1, 0)])
def test_progress_ticks_where_nothing_has_come(made, answers, ticks):
    class Progress:
        def __init__(self):
            self.ticks, self.counted = 0, []

        def tick(self):
            self.ticks += 1

        def count(self, outcome, *, now):
            self.counted.append(now)

    progress, report = Progress(), Report()
    delivery = made(progress=progress)
    for position in range(answers):
        row = Row(position, TO)
        delivery._book.claim([row])
        delivery._book.hand_out(row)
        delivery._out[position] = row
        delivery._done.append((row, Outcome(TO, "sent", sent=sent())))

    assert delivery._collect(report, 0.0) is bool(answers)
    assert (progress.ticks, progress.counted) == (ticks, [True] * answers)
    assert not delivery._done


def within(act):
    """Return what something gives, in a thread of its own: where it does not end, the test fails and goes on."""
    found = []
    thread = threading.Thread(target=lambda: found.append(act()), daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "it does not end"
    assert found, "it raised an error"
    return found[0]


def test_a_thread_takes_one_after_the_other_until_it_is_let_go(made):
    """It says when the next are to be claimed, and that an answer has come."""
    delivery = made()
    rows = [Row(place, TO) for place in range(3)]
    delivery._window.claimed(len(rows))
    for row in (*rows, None):
        delivery._todo.put(row)
    within(lambda: delivery._work() or True)

    assert list(delivery._done) == [(row, Outcome(TO, "sent", sent=sent())) for row in rows]
    assert delivery._news.qsize() == 4, "one for each, and one for the last of those who left"
    assert delivery._window.waiting == 0


def test_a_thread_sends_nothing_for_whom_there_is_no_message(made):
    delivery = made(prepare=fails(PayloadError("bad", field="x")), send=fails(AssertionError("it is sent")))
    delivery._window.claimed(1)
    for row in (Row(0, TO), None):
        delivery._todo.put(row)
    within(lambda: delivery._work() or True)

    assert [(row.position, outcome.status) for row, outcome in delivery._done] == [(0, "failed")]


@pytest.mark.parametrize(("threads", "count", "started"), [(2, 1, 1), (2, 2, 2), (2, 3, 2)], ids=str)
def test_who_is_claimed_goes_to_the_threads_of_which_there_are_no_more_than_needed(
    made, threads, count, started
):
    goes_on, running = threading.Event(), set()

    def send(to, message, **_):
        running.add(threading.current_thread())
        goes_on.wait(60)
        return sent(to)

    delivery = made(send=send, rules={"threads": threads})
    rows = [Row(place, TO) for place in range(count)]
    delivery._book.claim(rows)
    delivery._dispatch(rows)
    try:
        assert delivery._out == {row.position: row for row in rows}
        assert delivery._book.close({}) == [], "each was handed out"
        assert delivery._workers == started
    finally:
        goes_on.set()

    def wait():
        until = time.monotonic() + 20
        while len(delivery._done) < count and time.monotonic() < until:
            time.sleep(0.005)
        return len(delivery._done)

    assert within(wait) == count
    assert 1 <= len(running) <= started
    assert delivery._window.waiting == 0


def test_nothing_that_has_come_is_nothing(made):
    delivery = made()

    assert within(lambda: delivery._collect(Report(), 0.0)) is False


def test_whoever_ends_it_waits_a_little_for_answers_and_no_longer(made, monkeypatch):
    monkeypatch.setattr(engine, "GRACE", 0.02)
    delivery, report = made(), Report()
    delivery._book.claim([Row(0, TO)])
    delivery._out[0] = Row(0, TO)
    within(lambda: delivery._wind_up(report) or True)

    assert [outcome.status for outcome in report.outcomes] == ["unknown"]
    assert delivery._go_ahead(Row(1, TO)) == ({}, Outcome(TO, "skipped", reason="stopped")), "nobody follows"
