"""The thread that writes a ledger: how it is waited for, by a clock that the tests move, and how it ends."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.delivery import writer
from airflow_provider_whatsapp.delivery.stores import LedgerError
from airflow_provider_whatsapp.delivery.writer import Writer
from tests.time_limits import wait_for


@pytest.fixture
def goes_on():
    """Let every write go on that waits for it."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def made():
    """Make a writer whose thread ends with the test."""
    writers = []

    def make(write):
        writers.append(Writer(write))
        return writers[-1]

    yield make
    for each in writers:
        each.close()


def test_any_time_that_is_left_is_waited(made, monkeypatch):
    """The clock stands still, half a second before the time is over."""
    monkeypatch.setattr(writer, "time", SimpleNamespace(monotonic=lambda: 7.0))
    monkeypatch.setattr(writer, "_LOOK", 0.001)
    written, looks = [], []

    def until():
        looks.append(1)
        return 7.5 if len(looks) < 20_000 else 0.0

    assert made(lambda: written.append(1)).flush(until) == 0.0
    assert written == [1]


def test_a_wait_looks_again_how_much_time_there_is(made, monkeypatch, goes_on):
    """Whoever ends the task from outside makes the time shorter while a write hangs."""
    monkeypatch.setattr(writer, "_LOOK", 0.001)
    moments, ended = iter([60.0, 60.0]), []
    until = lambda: time.monotonic() + next(moments, -1.0)  # noqa: E731
    hanging = made(lambda: goes_on.wait(60))

    def flush():
        with pytest.raises(LedgerError, match="did not end in time"):
            hanging.flush(until)
        ended.append(True)

    thread = threading.Thread(target=flush, daemon=True)
    thread.start()
    thread.join(20)

    assert ended == [True]


def test_a_wait_outlasts_its_looks(made, monkeypatch):
    monkeypatch.setattr(writer, "_LOOK", 0.001)
    looks, looked = [], threading.Event()

    def until():
        looks.append(1)
        if len(looks) == 3:
            looked.set()
        return time.monotonic() + 20

    made(lambda: looked.wait(60)).flush(until)

    assert len(looks) >= 3


def test_whoever_waits_for_a_write_sleeps(made):
    looks = []

    def until():
        looks.append(1)
        return time.monotonic() + 20

    made(lambda: time.sleep(0.02)).flush(until)

    assert len(looks) == 1


def test_its_thread_begins_with_the_first_write_and_ends_with_the_writer():
    threads, written = [], []

    def write():
        threads.append(threading.current_thread())
        written.append(1)

    made = Writer(write)
    for _ in range(2):
        made.flush(lambda: time.monotonic() + 20)
    made.close()
    wait_for(lambda: not threads[0].is_alive())

    assert len(set(threads)) == 1
    assert threads[0].daemon
    assert len(written) == 2
