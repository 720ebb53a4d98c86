"""Two tries at once on a ledger that both can write to: in every order of what they do, nobody gets two messages."""

from __future__ import annotations

import json
import threading
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.delivery import ledger as ledger_module
from airflow_provider_whatsapp.delivery.engine import Delivery, Rules
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Note, Try
from airflow_provider_whatsapp.delivery.recipients import Row
from airflow_provider_whatsapp.delivery.report import Report
from airflow_provider_whatsapp.delivery.stores import FileStore, LedgerError
from tests.examples import examples

GROUPS = ((0,), (1, 2))
REFUSED = 0
JOB = Job("source", "message", 3)


class Paused(BaseException):
    """The try has done its next step."""


class SteppedStore:
    """
    Repeats the answers of the steps that a try has done already, does one step more, and pauses the try.

    So a try can be stopped between any two operations, and left there for good, without a thread.
    """

    name = "a store that both can write to"
    durable = True
    exclusive = False

    def __init__(self, values, done=(), steps=1):
        self.values, self.answers, self.left = values, list(done), steps
        self.before = iter(done)

    def get(self, key):
        return json.loads(self._step(lambda: self.values.get(key, "null")))

    def set(self, key, value):
        self._step(lambda: self.values.update({key: json.dumps(value)}))

    def _step(self, act):
        try:
            return next(self.before)
        except StopIteration:
            if not self.left:
                raise Paused from None
        self.left -= 1
        self.answers.append(act())
        return self.answers[-1]


class Known:
    """What a try has sent, and what it has found."""

    def __init__(self):
        self.sent, self.found = [], {}


def deliver(store, number):
    """Deliver as the engine does: claim, flush, send, record."""
    known = Known()
    ledger = Ledger(store, pauses=())
    ledger._owner.name = f"try {number}"
    try:
        ledger.begin(JOB, Try(number))
        for group in GROUPS:
            known.found |= {place: ledger.look_up(place) for place in group}
            wanted = [place for place in group if may_have(known.found[place])]
            ledger.claim((place, "") for place in wanted)
            try:
                ledger.flush()
            except LedgerError:
                for place in wanted:
                    ledger.record(place, Note("skipped", again=True))
                ledger.flush()
            known.sent += wanted
            for place in wanted:
                ledger.record(place, Note("failed" if place == REFUSED else "sent"))
        ledger.finish("success")
    except (Paused, LedgerError):
        pass
    return known


def may_have(note):
    return note is None or (note != "sent" and note.again)


def step(values, done, number):
    """Return the store, the answers and what is known after one more step of a try; None when it has ended."""
    store = SteppedStore(dict(values), done)
    known = deliver(store, number)
    return None if store.left else (store.values, tuple(store.answers), known)


def judge(values, tries):
    """Let a last try deliver, whatever has become of the others, which then wake up; nobody has two, nobody is lost."""
    sent = Counter(place for known, _ in tries for place in known.sent)
    store = SteppedStore(dict(values), steps=1000)
    last = deliver(store, 9)
    for place in range(JOB.total):
        found = last.found[place]
        assert sent[place] or found != "sent", "called sent, and never was"
        assert sent[place] or place in last.sent or found.status == "unknown", "lost"
    sent.update(last.sent)
    for number, (known, done) in enumerate(tries, 1):
        late = deliver(SteppedStore(store.values, done, steps=1000), number)
        sent.update(late.sent[len(known.sent) :])
    assert max(sent.values(), default=0) <= 1, "sent twice"


@pytest.fixture
def small(monkeypatch):
    """Notes leave the head at once, so that their records are written to as well."""
    monkeypatch.setattr(ledger_module, "HEAD_NOTES", 0)


def moves(values, tries):
    """Return the states that follow when one of the tries does its next step."""
    for place, (_, done) in enumerate(tries):
        after = step(values, done, place + 1)
        if after is not None:
            values_then, done_then, known = after
            yield values_then, (*tries[:place], (known, done_then), *tries[place + 1 :])


def test_in_every_order_of_two_tries_nobody_gets_two_and_nobody_is_lost(small):
    seen, todo = set(), [({}, ((Known(), ()), (Known(), ())))]
    while todo:
        values, tries = todo.pop()
        state = (*sorted(values.items()), *(done for _, done in tries))
        if state not in seen:
            seen.add(state)
            judge(values, tries)
            todo += moves(values, tries)
    assert len(seen) > 1000, "the orders were not tried"


@settings(max_examples=examples(400), deadline=None)
@given(order=st.lists(st.integers(0, 3), min_size=20, max_size=60))
def test_in_many_orders_of_four_tries_nobody_gets_two_and_nobody_is_lost(order):
    values, tries = {}, ((Known(), ()),) * 4
    for place in order:
        after = step(values, tries[place][1], place + 1)
        if after is not None:
            values, done, known = after
            tries = (*tries[:place], (known, done), *tries[place + 1 :])
    judge(values, tries)


class HeldStore(FileStore):
    """Hangs before it writes its head for the n-th time, as a slow upload or a stopped container does."""

    def __init__(self, folder, count):
        super().__init__(folder)
        self.left, self.reached, self.go_on = count, threading.Event(), threading.Event()

    def set(self, key, value):
        if key.endswith("head"):
            self.left -= 1
            if not self.left:
                self.reached.set()
                self.go_on.wait()
        super().set(key, value)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_try_that_hangs_in_a_write_sends_nothing_more_once_the_next_has_begun(tmp_path, count):
    sent, ends = Counter(), []

    def run(store, number):
        ledger = Ledger(store)
        ledger.begin(Job("source", "message", 60), Try(number))

        def send(to, _message):
            sent[to] += 1
            return SentMessage(message_id="wamid", wa_id=to, to=to)

        rows = [Row(place, f"1555{place:07}") for place in range(60)]
        try:
            Delivery(ledger, lambda row: row.to, send, rules=Rules(threads=2)).run(rows, Report())
            ends.append("well")
        except LedgerError as error:
            ends.append(str(error))

    held = HeldStore(tmp_path, count)
    old = threading.Thread(target=run, args=(held, 1))
    old.start()
    held.reached.wait()
    run(FileStore(tmp_path), 2)
    held.go_on.set()
    old.join()

    assert ends[0] == "well"
    assert ends[1].startswith("another try of this task has taken over.")
    assert len(ends) == 2
    assert len(sent) == 60
    assert max(sent.values()) == 1
