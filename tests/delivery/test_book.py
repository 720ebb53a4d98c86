"""How a ledger that is away is waited for, by a clock that the tests move, and what is said of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.delivery import book, writer
from airflow_provider_whatsapp.delivery.book import Book
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Try
from airflow_provider_whatsapp.delivery.recipients import Row
from airflow_provider_whatsapp.delivery.report import Outcome
from airflow_provider_whatsapp.delivery.stores import LedgerError, MemoryStore


class Away(MemoryStore):
    """Refuses so many writes."""

    durable = True

    def __init__(self):
        super().__init__()
        self.refuses = self.tried = 0

    def set(self, key, value):
        self.tried += 1
        if self.refuses:
            self.refuses -= 1
            raise OSError("refused")
        super().set(key, value)


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves only where somebody is idle."""
    state = SimpleNamespace(now=1000.0, idle=[])

    def idle(seconds):
        state.idle.append(seconds)
        assert seconds > 0
        assert len(state.idle) < 1000, "the wait has no end"
        state.now += seconds

    state.wait = idle
    for module in (book, writer):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: state.now))
    return state


@pytest.fixture
def open_book():
    """Open a book over a ledger of ten thousand recipients that has begun."""
    books = []

    def opened(store, *, away=0.0):
        ledger = Ledger(store, pauses=())
        ledger.begin(Job("source", "message", 10_000), Try(1))
        store.tried = 0
        books.append(Book(ledger, away=away))
        return books[-1]

    yield opened
    for each in books:
        each.dismiss()


def test_the_tries_come_after_longer_pauses_and_then_after_the_longest(clock, open_book):
    store = Away()
    found = open_book(store, away=3600)
    store.refuses = 6

    assert found.commit(clock.wait) == 0.0
    assert (store.tried, sum(clock.idle)) == (7, 1 + 2 + 5 + 10 + 10 + 10)
    assert max(clock.idle) == 0.5, "somebody may come in between"


@pytest.mark.parametrize("bound", ["away", "time"])
@pytest.mark.parametrize(
    ("seconds", "tries"), [(0.5, 1), (1.0, 2), (2.5, 2), (3.0, 3), (7.5, 3), (8.0, 4)], ids=str
)
def test_no_try_begins_that_would_come_too_late(clock, open_book, bound, seconds, tries):
    store = Away()
    found = open_book(store, away=seconds if bound == "away" else 3600)
    if bound == "time":
        found.hurry(seconds + 1e-9)
    store.refuses = 99
    with pytest.raises(LedgerError, match="refused"):
        found.commit(clock.wait)

    assert store.tried == tries


def test_a_pause_ends_with_the_time(clock, open_book):
    store = Away()
    found = open_book(store, away=3600)
    store.refuses = 99

    def hurry(seconds):
        clock.wait(seconds)
        found.hurry(0.25)

    with pytest.raises(LedgerError):
        found.commit(hurry)
    assert clock.idle == [0.5, 0.25]


def test_the_time_is_over_when_its_last_moment_has_come(clock, open_book):
    found = open_book(Away())
    assert found.has_time()
    found.hurry(1.0)
    assert found.has_time()
    clock.now += 1.0

    assert not found.has_time()


@pytest.mark.parametrize(("count", "said"), [(9, "recipient 9)"), (10, "recipient 10)"), (11, "and 1 more)")])
def test_the_log_names_ten_of_those_whose_result_is_lost(open_book, caplog, count, said):
    store = Away()
    found = open_book(store)
    for place in range(count):
        row = Row(place, f"1555{place:07}")
        found.record(row, Outcome(row.to, "sent"))
    store.refuses = 99
    found.close({})

    assert caplog.text.strip().endswith(f"{said}.")


def test_who_is_claimed_and_not_handed_out_is_known_until_the_end(open_book):
    found = open_book(Away())
    rows = [Row(place, f"1555{place:07}") for place in range(3)]
    found.claim(rows)
    found.commit(lambda seconds: None)
    found.hand_out(rows[0])

    assert found.close({2: rows[2]}) == [rows[1]], "whose message may have left keeps the claim"
