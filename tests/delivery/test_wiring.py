"""
What passes between engine, ledger, transport and report, one wire at a time: each test fails when its call is left out.

The other side of each wire is in memory, so that a message's way can be stopped at any point of it.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.client.errors import (
    APIError,
    NotSentError,
    OutcomeUnknownError,
    PayloadError,
    RateLimitError,
    RecipientError,
    ServerError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.delivery import engine, writer
from airflow_provider_whatsapp.delivery.book import Book
from airflow_provider_whatsapp.delivery.causes import Runs
from airflow_provider_whatsapp.delivery.engine import Delivery, Rules
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Note, Try
from airflow_provider_whatsapp.delivery.recipients import Row
from airflow_provider_whatsapp.delivery.report import Outcome, Report
from airflow_provider_whatsapp.delivery.stores import LedgerError, MemoryStore
from tests.time_limits import ends, wait_for


class Kept(MemoryStore):
    """Lasts from try to try, and fails when it is told to."""

    durable = True

    def __init__(self):
        super().__init__()
        self.fails = lambda value: False

    def set(self, key, value):
        if key == "head" and self.fails(value):
            raise OSError("refused")
        super().set(key, value)

    @property
    def head(self):
        return self.get("head") or {"claimed": [], "sent": 0, "notes": []}


def rows(count):
    return [Row(place, f"1555{place:07}") for place in range(count)]


def begun(store, count, number=1):
    ledger = Ledger(store, pauses=())
    ledger.begin(Job("source", "message", count), Try(number))
    return ledger


class Sends:
    """Takes messages; what is done first may raise."""

    def __init__(self, first=lambda to: None):
        self.to, self.first = [], first

    def __call__(self, to, message, **options):
        self.to.append(to)
        self.first(to)
        return SentMessage(message_id="wamid", wa_id=to, to=to)


class Bounded(Delivery):
    """A delivery that is stopped where it does not end, so that its test fails instead of waiting for ever."""

    def run(self, rows, report):
        with ends(self):
            return super().run(rows, report)


def delivery_of(ledger, send, **options):
    rules = Rules(**{"threads": 1, "away": 0, **options.pop("rules", {})})
    return Bounded(ledger, lambda row: row.to, send, rules=rules, **options)


def test_claims_that_could_not_be_written_are_given_back():
    """The store takes the first claim, refuses the next once, and works again: nobody of those is unknown."""
    store, send = Kept(), Sends()
    refused = []
    store.fails = lambda value: len(value["claimed"]) == 2 and not refused and not refused.append(1)
    with pytest.raises(LedgerError):
        delivery_of(begun(store, 6), send).run(rows(6), Report())

    assert refused
    assert send.to == ["15550000000"]
    assert store.head["claimed"] == []
    report = delivery_of(begun(store, 6, 2), again := Sends()).run(rows(6), Report())
    assert again.to == [row.to for row in rows(6)[1:]]
    assert (report.count("sent"), report.count("unknown")) == (6, 0)


def test_a_result_is_written_though_the_next_answer_takes_its_time(monkeypatch):
    monkeypatch.setattr(engine, "COMMIT_AFTER", 0.01)
    store, seen = Kept(), []

    def look(to):
        if to == rows(3)[2].to:  # claimed together with the second, whose answer has come
            wait_for(lambda: store.head["claimed"] == [2])
            seen.append(store.head["sent"])

    delivery_of(begun(store, 3), Sends(look)).run(rows(3), Report())

    assert seen == [2]


def test_results_wait_for_each_other_before_they_are_written(monkeypatch):
    """Each write costs a request; the last one takes along what has come since the last claim."""
    monkeypatch.setattr(engine, "COMMIT_AFTER", 60.0)
    store, writes, told = Kept(), [], threading.Event()
    store.fails = lambda value: writes.append((value["claimed"], value["sent"]))

    def hold(to):
        assert to != rows(3)[2].to or told.wait(60)

    delivery_of(begun(store, 3), Sends(hold), take=lambda row, outcome: row.position == 1 and told.set()).run(
        rows(3), Report()
    )

    assert writes == [([0], 0), ([1, 2], 1), ([], 3)]


@pytest.mark.parametrize("way", ["halt", "stop"])
def test_whoever_is_claimed_is_not_sent_to_once_the_delivery_is_stopped(way):
    store = Kept()

    def stop(to):
        if to == rows(9)[1].to:
            assert store.head["claimed"] == [1, 2]
            getattr(delivery, way)()

    delivery = delivery_of(begun(store, 9), send := Sends(stop))
    report = delivery.run(rows(9), Report())

    assert send.to == [row.to for row in rows(2)]
    assert report.reasons == {"stopped": 7}
    assert store.head["claimed"] == []


def test_who_was_unknown_and_is_sent_to_again_gets_no_third_message():
    store = Kept()

    def lose(to):
        raise OutcomeUnknownError("lost")

    first = delivery_of(begun(store, 1), Sends(lose)).run(rows(1), Report())
    second = delivery_of(begun(store, 1, 2), Sends(), rules={"on_unknown": "resend"}).run(rows(1), Report())
    third = delivery_of(begun(store, 1, 3), send := Sends(), rules={"on_unknown": "resend"}).run(
        rows(1), Report()
    )

    assert [report.outcomes[0].status for report in (first, second, third)] == ["unknown", "sent", "sent"]
    assert send.to == []


@pytest.mark.parametrize(
    ("errors", "ends"),
    [
        pytest.param([OutcomeUnknownError("x")], False, id="one unknown answer says nothing of others"),
        pytest.param([OutcomeUnknownError("x")] * 2, False, id="nor do two"),
        pytest.param([OutcomeUnknownError("x")] * 3, True, id="a run of them does"),
        pytest.param([NotSentError("x")], True, id="what never left meets all"),
        pytest.param([None, NotSentError("x")], False, id="unless one was accepted"),
        pytest.param([None, *[NotSentError("x")] * 3], True, id="a run after one was accepted"),
        pytest.param(
            [None, *[NotSentError("x")] * 2, None, NotSentError("x")], False, id="an accepted one ends a run"
        ),
        pytest.param(
            [None, NotSentError("x"), ServerError("x"), NotSentError("x")],
            False,
            id="other causes are other runs",
        ),
        pytest.param(
            [None, RateLimitError("x", code=4), RateLimitError("x", code=80007), RateLimitError("x", code=4)],
            False,
            id="other codes too",
        ),
        pytest.param(
            [None, *[NotSentError("x")] * 2, RecipientError("x"), NotSentError("x")],
            False,
            id="a recipient's own refusal ends a run",
        ),
        pytest.param([RecipientError("x")] * 9, False, id="a recipient's own refusal is nobody else's"),
        pytest.param([RateLimitError("x", code=131056)] * 9, False, id="nor is the limit of a pair"),
        pytest.param([None, APIError("x")], True, id="a refusal of the same message meets all"),
        pytest.param(
            [None, *[NotSentError("x")] * 2, None, *[NotSentError("x")] * 2],
            False,
            id="and the next is counted from one",
        ),
        pytest.param(
            [None, *[NotSentError("x")] * 2, RecipientError("x"), *[NotSentError("x")] * 2],
            False,
            id="so it is after a recipient's own refusal",
        ),
    ],
)
def test_a_run_of_failures(errors, ends):
    runs = Runs(3, varied=False)
    found = []
    for error in errors:
        if error is None:
            runs.accepted()
        else:
            found.append(runs.ends_with(error))

    assert found[-1] is ends
    assert not any(found[:-1])


def test_each_part_of_a_delivery_hears_of_each_outcome():
    """Ledger, report, results and progress: who leaves one of them out is seen."""
    store, taken, heard = Kept(), [], []
    progress = SimpleNamespace(
        count=lambda outcome, now: heard.append((outcome.to, outcome.status, now)),
        tick=lambda: None,
        end=lambda: heard.append("end"),
    )
    list_of_three = [*rows(2), Row(2, "15550000002", skip="duplicate")]

    def refuse(to):
        if to == list_of_three[1].to:
            raise RecipientError("no", code=131026)

    report = delivery_of(
        begun(store, 3),
        Sends(refuse),
        progress=progress,
        take=lambda row, outcome: taken.append((row.position, outcome.status)),
    ).run(list_of_three, Report())

    statuses = ["sent", "failed", "skipped"]
    assert [outcome.status for outcome in report.outcomes] == statuses
    assert sorted(taken) == list(enumerate(statuses))
    assert sorted(heard[:-1]) == [
        ("15550000000", "sent", True),
        ("15550000001", "failed", True),
        ("15550000002", "skipped", False),
    ]
    assert heard[-1] == "end"
    assert [note[:2] for note in store.head["notes"]] == [[1, "failed"]]
    assert (store.head["sent"], store.head["claimed"]) == (1, [])


def test_progress_ticks_while_nothing_comes():
    ticked = threading.Event()
    progress = SimpleNamespace(count=lambda outcome, now: None, tick=ticked.set, end=lambda: None)

    def hold(to):
        assert ticked.wait(30)

    delivery_of(begun(Kept(), 1), Sends(hold), progress=progress).run(rows(1), Report())


def test_what_the_permit_gives_is_handed_to_the_send():
    permits, got = iter("ab"), []

    def send(to, message, **options):
        got.append(options)
        return SentMessage(message_id="wamid", wa_id=to, to=to)

    delivery_of(begun(Kept(), 2), send, permit=lambda stop: next(permits)).run(rows(2), Report())

    assert got == [{"permit": "a"}, {"permit": "b"}]


def test_the_permit_is_waited_for_with_what_stops_the_delivery():
    waiting = []

    def permit(stop):
        waiting.append(stop.is_set())
        delivery.halt()
        waiting.append(stop.is_set())

    delivery = delivery_of(begun(Kept(), 2), send := Sends(), permit=permit)
    report = delivery.run(rows(2), Report())

    assert waiting == [False, True]
    assert (send.to, report.reasons) == ([], {"stopped": 2})


def test_a_claim_carries_the_epoch_of_its_try_to_its_message():
    store, got = Kept(), []

    def send(to, message, **options):
        got.append(options["callback_data"])
        raise NotSentError("no", permanent=False)

    for number in (1, 2):
        delivery_of(
            begun(store, 1, number), send, callback_data=lambda row, epoch: f"{epoch}.{row.position}"
        ).run(rows(1), Report())

    assert got == ["1.0", "2.0"]


def test_what_an_earlier_try_sent_keeps_its_callback_data_where_the_row_is_still_good_for_it():
    store = Kept()

    def lose(to):
        raise OutcomeUnknownError("lost")

    def data(row, epoch):
        if len(found) >= 2 and row.position == 1:
            raise PayloadError("is too long", field="callback_data")
        return f"{epoch}.{row.position}"

    found = []
    for number in (1, 2):
        ledger = begun(store, 2, number)
        delivery_of(
            ledger,
            Sends(lose),
            rules={"run": 9},
            callback_data=data,
            take=lambda row, outcome: found.append(outcome.callback_data),
        ).run(rows(2), Report())

    assert found == ["1.0", "1.1", "1.0", None]


@pytest.mark.parametrize("count", [2, 30])
def test_the_threads_end_with_the_delivery(count):
    before = threading.active_count()
    delivery_of(begun(Kept(), count), Sends(), rules={"threads": 4}).run(rows(count), Report())

    wait_for(lambda: threading.active_count() <= before)


class TestBook:
    """The book by itself: what it gives back, and what it says that it could not write."""

    def test_who_was_handed_out_is_not_given_back(self):
        ledger = begun(Kept(), 3)
        book = Book(ledger, away=0)
        book.claim(rows(3))
        book.hand_out(rows(1)[0])

        assert [row.position for row in book.close({1: None})] == [2]
        book.dismiss()
        assert ledger.claimed == 2

    def test_what_is_written_is_not_called_lost(self, caplog):
        store = Kept()
        book = Book(begun(store, 2), away=0)
        book.record(rows(2)[0], Outcome("15550000000", "sent"))
        book.commit(lambda seconds: None)
        store.fails = lambda value: True
        book.record(rows(2)[1], Outcome("15550000001", "failed", error=RecipientError("no")))
        book.close({})
        book.dismiss()

        assert "A later try counts as unknown: 1 failed (recipient 2)." in caplog.text

    def test_time_only_becomes_less(self):
        book = Book(begun(Kept(), 1), away=0)
        assert book.has_time()
        book.hurry(0)
        book.hurry(60)
        assert not book.has_time()
        book.dismiss()


def test_the_next_are_claimed_while_the_answers_of_those_before_them_are_awaited(monkeypatch):
    """Whoever leaves last of a group says so; nobody waits for an answer, or for the time that ends a commit."""
    monkeypatch.setattr(engine, "COMMIT_AFTER", 60.0)
    store = Kept()

    def hold(to):
        if to in {row.to for row in rows(4)[1:]}:  # claimed together, once the first was accepted
            wait_for(lambda: 4 in store.head["claimed"])

    report = delivery_of(begun(store, 7), Sends(hold), rules={"threads": 4, "rate": 10.0}).run(
        rows(7), Report()
    )

    assert report.count("sent") == 7


def test_whoever_ends_a_delivery_from_outside_waits_only_a_little_for_an_answer(monkeypatch):
    monkeypatch.setattr(engine, "COMMIT_AFTER", 0.01)
    monkeypatch.setattr(engine, "GRACE", 0.05)
    out, over, ends = threading.Event(), threading.Event(), [KeyboardInterrupt()]

    def tick():
        if out.is_set() and ends:
            raise ends.pop()

    def hold(to):
        out.set()
        over.wait(60)

    counted = []
    progress = SimpleNamespace(
        count=lambda outcome, now: counted.append((outcome.status, now)), tick=tick, end=lambda: None
    )
    report = Report()
    with pytest.raises(KeyboardInterrupt):
        delivery_of(begun(Kept(), 2), Sends(hold), progress=progress).run(rows(2), report)
    over.set()

    assert [outcome.status for outcome in report.outcomes] == ["unknown", "skipped"]
    assert counted == [("unknown", True), ("skipped", False)], "the first was sent to in this try"


def test_a_try_finds_its_turn_at_once_however_many_there_were_before():
    """Each look costs a request where the store is a bucket."""
    looks = []

    class Shared(Kept):
        exclusive = False

        def get(self, key):
            looks.append(key)
            return super().get(key)

    store = Shared()
    for number in range(1, 9):
        begun(store, 1, number)
    looks.clear()
    begun(store, 1, 9)

    assert sorted(key for key in looks if key.endswith("taken")) == ["8/taken", "9/taken"]


def test_a_claim_s_write_takes_the_answers_along_that_have_come():
    """One write serves both: it is the dearest part of a delivery."""
    store = Kept()
    delivery, report = delivery_of(begun(store, 2), Sends()), Report()
    first, second = rows(2)
    delivery._out[0] = first
    delivery._done.append((first, Outcome(first.to, "sent")))
    delivery._claim([second], report)
    delivery._dismiss()

    assert (store.head["sent"], store.head["claimed"]) == (1, [1])


def test_an_answer_that_has_not_come_when_the_time_is_over_is_unknown(monkeypatch):
    monkeypatch.setattr(engine, "COMMIT_AFTER", 0.01)
    monkeypatch.setattr(engine, "GRACE", 0.05)
    store, over = Kept(), threading.Event()

    def hold(to):
        delivery.stop()
        over.wait(60)

    delivery = delivery_of(begun(store, 2), Sends(hold))
    report = delivery.run(rows(2), Report())
    over.set()

    assert [outcome.status for outcome in report.outcomes] == ["unknown", "skipped"]
    assert store.head["claimed"] == [0], "a later try finds it"


def test_a_list_that_can_no_longer_be_read_stops_the_delivery():
    """Nobody behind that place is sent to, though the source would go on."""

    class Broken:
        def __init__(self):
            self.left = [rows(1)[0], WhatsAppError("the list is another one now"), rows(3)[2]]

        def __iter__(self):
            return self

        def __next__(self):
            if not self.left:
                raise StopIteration
            found = self.left.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

    report = delivery_of(begun(Kept(), 3), send := Sends()).run(Broken(), Report())

    assert send.to == ["15550000000"]
    assert report.stopped.message == "the list is another one now"
    assert report.reasons == {"stopped": 1}


def test_those_who_need_no_message_leave_no_trace_in_the_ledger():
    """The mark goes with the claims alone, so whoever is passed by is judged again by each try."""
    store = Kept()
    several = [
        *rows(2),
        Row(2, "x", error=PayloadError("is no number", field="to")),
        Row(3, "1", skip="duplicate"),
    ]
    delivery_of(begun(store, 4), Sends()).run(several, Report())

    assert store.head["marks"] == {"": 2}
    assert store.head["notes"] == []


def test_a_delivery_that_waits_for_an_answer_sleeps():
    """A thread that spins would take the others' time."""
    delivery, waited = delivery_of(begun(Kept(), 1), Sends()), []

    class Watched:
        def __init__(self, news):
            self.put, self.get_nowait, self._get = news.put, news.get_nowait, news.get

        def get(self, timeout):
            waited.append(timeout)
            return self._get(timeout=timeout)

    delivery._news = Watched(delivery._news)
    delivery.run(rows(1), Report())

    assert waited[:2] == [0.0, engine.COMMIT_AFTER]


@pytest.mark.parametrize(
    ("where", "status", "kind", "permanent"),
    [("prepare", "failed", WhatsAppError, True), ("send", "unknown", OutcomeUnknownError, False)],
)
def test_what_nobody_expected_says_whether_anything_left_and_holds_no_data(
    caplog, where, status, kind, permanent
):
    def fail(*_, **__):
        raise KeyError("15550000000 and her secret")

    if where == "send":
        delivery = delivery_of(begun(Kept(), 1), fail)
    else:
        delivery = Delivery(begun(Kept(), 1), fail, Sends(), rules=Rules(threads=1, away=0))
    (outcome,) = delivery.run(rows(1), Report()).outcomes

    assert (outcome.status, type(outcome.error), outcome.error.permanent) == (status, kind, permanent)
    assert "an unexpected KeyError; the task's log has the details" in str(outcome.error)
    assert "secret" not in str(outcome.error) + caplog.text
    assert "KeyError" in caplog.text


class TestWriter:
    """The thread that writes, and the one that waits for it."""

    def test_whoever_waits_for_a_write_is_woken_by_its_end(self, monkeypatch):
        monkeypatch.setattr(writer, "_LOOK", 60.0)
        written, done = [], threading.Event()
        made = writer.Writer(lambda: time.sleep(0.01) or written.append(1))

        def flush():
            made.flush(lambda: time.monotonic() + 60)
            done.set()

        threading.Thread(target=flush, daemon=True).start()
        assert done.wait(60)
        assert written == [1]
        made.close()

    def test_an_error_of_the_store_is_raised_where_the_write_was_asked_for_and_once(self):
        fails = [LedgerError("full")]

        def write():
            if fails:
                raise fails.pop()

        made = writer.Writer(write)
        with pytest.raises(LedgerError, match="full"):
            made.flush(lambda: time.monotonic() + 60)
        assert made.flush(lambda: time.monotonic() + 60) < 60
        made.close()

    def test_a_write_that_does_not_end_is_left_to_itself_and_no_other_begins(self):
        goes_on = threading.Event()
        made = writer.Writer(lambda: goes_on.wait(60))
        soon = time.monotonic() + 0.02
        with pytest.raises(LedgerError, match="did not end in time"):
            made.flush(lambda: soon)
        with pytest.raises(LedgerError, match="an earlier write to the ledger has not ended"):
            made.flush(lambda: time.monotonic() + 60)
        assert not made.settle(time.monotonic() + 0.01)
        goes_on.set()
        assert made.settle(time.monotonic() + 60)
        made.close()


def test_a_ledger_that_is_away_is_waited_for_and_said_once(monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr("airflow_provider_whatsapp.delivery.book.PAUSES", (0.01, 0.02))
    store, idle, fails = Kept(), [], [1, 1, 1]
    store.fails = lambda value: bool(fails and fails.pop())
    book = Book(begun(store, 1), away=60)
    fails[:] = [1, 1, 1]
    book.record(rows(1)[0], Outcome("15550000000", "sent"))
    book.commit(lambda seconds: idle.append(seconds) or time.sleep(seconds))

    assert store.head["sent"] == 1
    assert len(idle) >= 3
    assert all(0 < seconds <= 0.5 for seconds in idle)
    said = [record.getMessage() for record in caplog.records]
    assert [
        line for line in said if "Nothing new is sent until" in line and "60 s at most; 1 answers" in line
    ] == said[:1]
    (back,) = said[1:]
    assert re.fullmatch(r"The ledger is back after \d+ s, and the task continues\.", back)
    book.dismiss()


def test_a_write_that_has_not_ended_when_all_ends_is_said_with_whom_it_concerns(caplog, monkeypatch):
    monkeypatch.setattr("airflow_provider_whatsapp.delivery.book.LEAST", 0.02)
    store, goes_on = Kept(), threading.Event()
    book = Book(begun(store, 12), away=0)
    store.fails = lambda value: not goes_on.wait(60)
    first, *others = rows(12)
    for row in (replace(first, where="list.csv:2"), *others):
        book.record(row, Outcome(row.to, "sent"))
    book.hurry(0.02)
    with pytest.raises(LedgerError):
        book.commit(lambda seconds: None)
    assert book.close({}) == []
    goes_on.set()
    book.dismiss()

    assert (
        "(a write did not end in time). A later try counts as unknown: 12 sent (list.csv:2, recipient 2, "
        in caplog.text
    )
    assert "recipient 10 and 2 more)" in caplog.text


def test_the_last_write_has_its_time_though_none_is_left_and_gives_claims_back(monkeypatch):
    monkeypatch.setattr("airflow_provider_whatsapp.delivery.book.LEAST", 60)
    store = Kept()
    book = Book(begun(store, 3), away=0)
    book.claim(rows(3))
    book.commit(lambda seconds: None)
    book.hand_out(rows(3)[0])
    book.record(rows(3)[0], Outcome("15550000000", "sent"))
    book.hurry(-1)
    store.fails = lambda value: time.sleep(0.05)  # longer than the other thread needs to look

    assert book.close({1: None}) == [rows(3)[2]]
    book.dismiss()

    assert (store.head["sent"], store.head["claimed"]) == (1, [1])
    assert begun(store, 3, number=2).look_up(2) == Note("skipped", {"reason": "stopped"}, again=True)
