from __future__ import annotations

import itertools
import multiprocessing
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.notifications.memory import (
    MAX_NAMES,
    Files,
    Memory,
    Record,
    on_failure,
    on_success,
    on_summary,
    on_unsent,
)


class Broken:
    def get(self, key, default=None):
        raise ConnectionError("no answer")

    def set(self, key, value):
        raise ConnectionError("no answer")


def fail(record, name="load", now=1000.0, **options):
    return on_failure(record, name=name, now=now, **{"cooldown": 300, **options})


def test_the_first_failure_is_told():
    decision = fail(Record())

    assert decision.send
    assert decision.held == 0
    assert (decision.record.sent_at, decision.record.failures) == (1000, 1)


def test_further_failures_are_kept_back_and_told_after_the_cooldown():
    record = fail(Record()).record
    for number in range(8):
        decision = fail(record, name=f"load[{number}]", now=1001.0)
        record = decision.record
        assert not decision.send
    later = fail(record, now=1300.0)

    assert later.send
    assert later.held == 8
    assert later.names == tuple(f"load[{number}]" for number in range(MAX_NAMES))
    assert (later.record.held, later.record.failures) == (0, 10)


def test_without_a_cooldown_every_failure_is_told():
    record = fail(Record(), cooldown=0).record

    assert fail(record, cooldown=0, now=1000.0).send


def test_a_summary_tells_what_was_kept_back_once():
    record = fail(fail(Record()).record, name="b", now=1001.0).record
    summary = on_summary(record, now=1020.0)

    assert summary.send
    assert (summary.held, summary.names) == (1, ("b",))
    assert not on_summary(summary.record, now=1040.0).send
    assert not fail(summary.record, now=1100.0).send


def test_a_success_is_told_only_after_failures():
    assert not on_success(Record()).send
    recovered = on_success(fail(fail(Record()).record, now=1001.0).record)

    assert recovered.send
    assert recovered.held == 2
    assert recovered.record == Record()


def test_a_success_in_between_ends_the_row():
    record = fail(Record()).record

    assert fail(record, now=2000.0, succeeded_at=1500.0).record.failures == 1
    assert fail(record, now=2000.0, succeeded_at=500.0).record.failures == 2


def test_the_message_that_escalates_does_not_wait_for_the_cooldown():
    record = Record()
    for run, send, escalated in [("a", 1, 0), ("a", 0, 0), ("b", 1, 1), ("b", 0, 0), ("c", 0, 0)]:
        decision = fail(record, run=run, escalate_after=2)
        record = decision.record
        assert (decision.send, decision.escalated) == (bool(send), bool(escalated))

    assert (record.runs, record.failures) == (3, 5)
    assert fail(record, run="d", escalate_after=2, now=2000.0).escalated
    assert not fail(record, run="d", escalate_after=2, now=2000.0, succeeded_at=1500.0).escalated


def test_what_could_not_be_sent_is_told_by_the_next_message():
    told = fail(fail(Record()).record, name="b", now=2000.0)
    others = fail(told.record, name="c", now=2001.0).record
    record = on_unsent(others, name="b", held=told.held, names=told.names).record
    following = fail(record, name="d", now=2002.0)

    assert following.send
    assert (following.held, following.names) == (2, ("b", "c"))


@given(st.lists(st.floats(0, 100), max_size=50), st.floats(0, 200))
def test_no_failure_is_lost_and_messages_keep_their_distance(pauses, cooldown):
    """Whatever the pauses: what is told and what is still kept back add up, and the cooldown is kept."""
    record, now, told, moments = Record(), 1000.0, 0, []
    for pause in pauses:
        now += pause
        decision = on_failure(record, name="x", now=now, cooldown=cooldown)
        record = decision.record
        if decision.send:
            told += 1 + decision.held
            moments.append(now)

    assert told + record.held == len(pauses) == record.failures
    assert all(after - before >= cooldown for before, after in itertools.pairwise(moments))


@pytest.fixture(autouse=True)
def _own_locks(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_keys_do_not_meet(tmp_path):
    store = Files(tmp_path)

    assert Memory(store).decide("a", fail).send
    assert Memory(store).decide("b", fail).send
    assert not Memory(store).decide("a", fail).send


def test_an_unreachable_memory_says_so_and_leaves_the_decision():
    assert Memory(Broken()).decide("a", fail) is None


def test_a_damaged_record_is_begun_anew(tmp_path):
    store = Files(tmp_path)
    Memory(store).decide("a", fail)
    (record,) = [path for path in tmp_path.iterdir() if path.name.startswith("whatsapp_alert_")]
    record.write_text("{broken")

    assert Memory(store).decide("a", fail).send


def _storm(folder, count, results):
    import tempfile

    tempfile.tempdir = str(folder)
    sent = []

    def one():
        sent.append(Memory(Files(folder)).decide("storm", fail).send)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(sum(sent))


def test_of_many_failures_at_once_in_several_processes_one_is_told(tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=_storm, args=(tmp_path, 125, results)) for _ in range(4)]
    for process in processes:
        process.start()
    sent = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()

    assert sum(sent) == 1
    summary = Memory(Files(tmp_path)).decide("storm", lambda record: on_summary(record, now=1020.0))
    assert summary.held == 499
