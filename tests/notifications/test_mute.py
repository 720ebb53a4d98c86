"""Muting an alert's key: the rules, the list of what can be muted, and the write that another machine may undo."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.notifications import throttle
from airflow_provider_whatsapp.notifications.alert_stores import Files
from airflow_provider_whatsapp.notifications.mute import ROUNDS, MuteError, alert_states, mute, who_muted
from airflow_provider_whatsapp.notifications.records import (
    ALL_DAGS,
    LONGEST_MUTE,
    MAX_DAGS,
    Person,
    Record,
    Sending,
)
from airflow_provider_whatsapp.notifications.throttle_state import ThrottleState

NOW = 1_000_000.0
SENDING = Sending(token="me", lasts=60.0)
FAILURE = {"name": "load", "now": NOW, "cooldown": 300.0, "run": "r2", "token": "me", "sending": SENDING}
MUTED = Record(muted_until=NOW + 60, muted_by="ann", dags=("sales",))


def test_a_muted_failure_is_counted_and_told_by_the_first_message_afterwards():
    first = throttle.on_failure(MUTED, dag="sales", **FAILURE)

    assert (first.send, first.muted) == (False, True)
    assert (first.record.held, first.record.names, first.record.failures) == (1, ("load",), 1)
    after = throttle.on_failure(first.record, dag="sales", **{**FAILURE, "now": NOW + 60})
    assert (after.send, after.held, after.names) == (True, 1, ("load",))


@pytest.mark.parametrize("escalate_after", [0, 1])
def test_a_muted_failure_is_not_escalated_either(escalate_after):
    assert not throttle.on_failure(MUTED, **FAILURE, escalate_after=escalate_after).send


def test_a_muted_summary_leaves_what_it_would_tell():
    waiting = replace(MUTED, waiter="me", waits_until=NOW, held=2, names=("a", "b"))

    decision = throttle.on_summary(waiting, now=NOW, token="me", sending=SENDING)

    assert decision == throttle.Decision(False, replace(waiting, waiter="", waits_until=0.0), muted=True)


def test_a_muted_success_ends_the_row_without_a_message():
    failed = replace(MUTED, failures=3, runs=2, sent_at=NOW - 10, held=2, names=("a",))

    assert throttle.on_success(failed, now=NOW, sending=SENDING) == throttle.Decision(
        False, MUTED, muted=True
    )
    assert throttle.on_success(MUTED, now=NOW) == throttle.Decision(False, MUTED)


@pytest.mark.parametrize("sending", [SENDING, throttle.AT_ONCE], ids=["sending", "at once"])
def test_a_success_that_is_told_keeps_who_may_see_the_key_and_a_later_mute(sending):
    failed = Record(failures=1, sent_at=NOW - 10, dags=("sales",))
    told = throttle.on_success(failed, now=NOW, sending=sending)
    record = throttle.on_mute(told.record, until=NOW + 60, by="ann").record

    ended = throttle.on_recovered(record, failures=1, token="me") if sending.lasts else None

    assert told.send
    assert (ended.record if ended else record) == MUTED


@pytest.mark.parametrize(
    ("until", "muted"),
    [
        (NOW, False),
        (NOW - 1, False),
        (NOW + 1, True),
        (NOW + LONGEST_MUTE, True),
        (NOW + LONGEST_MUTE + 61, False),
        (float("nan"), False),
        (float("inf"), False),
    ],
)
def test_how_long_a_mute_lasts(until, muted):
    assert Record(muted_until=until).is_muted(NOW) is muted


@pytest.mark.parametrize(
    ("at", "until", "by"),
    [(NOW - 1, NOW + 60, "ann"), (NOW, NOW + 60, "ann"), (NOW + 1, NOW + 99, "bob")],
    ids=["earlier", "at once", "later"],
)
def test_of_two_wishes_the_later_one_counts(at, until, by):
    muted = throttle.on_mute(Record(), until=NOW + 60, by="ann", at=NOW).record

    found = muted.with_mute(until=NOW + 99, by="bob", at=at)

    assert (found.muted_until, found.muted_by) == (until, by)


def test_a_wish_outlives_the_row_of_failures_and_an_earlier_clock():
    unmuted = throttle.on_mute(Record(failures=1), until=0.0, by="ann", at=NOW).record

    assert unmuted.emptied().mute_set_at == NOW
    assert throttle.on_mute(unmuted, until=NOW + 9, by="bob", at=NOW - 5).record.mute_set_at == NOW


def test_a_record_names_its_dags_and_of_too_many_all():
    record = Record()
    for number in range(MAX_DAGS):
        record = throttle.on_failure(record, **FAILURE, dag=f"d{number}").record
    assert record.dags == tuple(f"d{number}" for number in range(MAX_DAGS))
    assert throttle.on_failure(record, **FAILURE, dag="d3").record.dags == record.dags

    record = throttle.on_failure(record, **FAILURE, dag="one more").record

    assert record.dags == (ALL_DAGS,)
    assert throttle.on_failure(record, **FAILURE, dag="d3").record.dags == (ALL_DAGS,)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return Files(tmp_path)


def fail(store, key, dag="sales", now=NOW):
    return ThrottleState(store).decide(
        key, lambda record: throttle.on_failure(record, **{**FAILURE, "now": now}, dag=dag)
    )


def test_the_list_holds_the_throttle_s_records_and_nothing_else(store, tmp_path):
    fail(store, "sales.load")
    fail(store, "stock.count", dag="stock", now=NOW + 5)
    ThrottleState(store).claim("sales.load", "me")
    ThrottleState(store).change(
        "person 1 15550001111", Person, lambda it: (replace(it, free_at=1.0), 1), label="15•••1111"
    )
    name = next(tmp_path.glob("whatsapp_alert_*.json")).stem
    foreign = {"key": "another key", **asdict(Record(failures=1))}
    for field, value in {
        "sent_at": "soon",
        "names": [1],
        "dags": [None],
        "muted_by": 3,
        "held": "2",
        "summed_up": 0,
    }.items():
        fail(store, f"edited {field}")
        ((edited, text),) = ((it, text) for it, text in store.items() if f"edited {field}" in text)
        store.set(edited, json.dumps({**json.loads(text), field: value}))
    for number, text in enumerate(["", "[]", "{", "null", json.dumps(foreign), '{"failures": 1, "key": 3}']):
        store.set(f"whatsapp_alert_{number:016x}", text)

    found = alert_states(store)

    assert [(each.key, each.record.dags) for each in found] == [
        ("stock.count", ("stock",)),
        ("sales.load", ("sales",)),
    ]
    assert name


def test_a_record_of_an_earlier_version_is_listed_and_says_no_dag(store):
    fail(store, "sales.load")
    (name, text), *_ = store.items()
    earlier = {
        field: value for field, value in json.loads(text).items() if not field.startswith(("muted", "dags"))
    }
    store.set(name, json.dumps(earlier))

    assert [each.record.dags for each in alert_states(store)] == [()]
    assert not fail(store, "sales.load", now=NOW + 1).send


def test_a_mute_is_written_once_and_ended(store):
    fail(store, "sales.load")
    pauses = []

    until = mute(store, "sales.load", seconds=3600, by="ann", sleep=pauses.append)

    (state,) = alert_states(store)
    assert (state.record.muted_until, state.record.muted_by, state.record.failures) == (until, "ann", 1)
    assert state.record.mute_set_at == until - 3600
    assert fail(store, "sales.load", now=until - 1).muted
    assert mute(store, "sales.load", seconds=0, by="bob", sleep=pauses.append) == 0
    assert fail(store, "sales.load", now=until - 1).send
    assert len(pauses) == 2


@pytest.mark.parametrize("times", [1, ROUNDS])
def test_a_mute_that_another_machine_writes_over_is_written_again(store, times):
    fail(store, "sales.load")
    before = list(store.items())
    left = [*range(times)]

    def sleep(_):
        if left:  # a worker on another machine writes what it has read before
            left.pop()
            for name, text in before:
                store.set(name, text)

    if times == ROUNDS:
        with pytest.raises(MuteError, match="other machines keep changing"):
            mute(store, "sales.load", seconds=60, by="ann", sleep=sleep)
        return
    mute(store, "sales.load", seconds=60, by="ann", sleep=sleep)
    assert alert_states(store)[0].record.muted_by == "ann"


class Away:
    def get(self, key, default=None):
        raise ConnectionError("no answer")

    def set(self, key, value):
        raise ConnectionError("no answer")


def test_a_store_that_is_away_is_an_error():
    with pytest.raises(MuteError, match="cannot be reached"):
        mute(Away(), "sales.load", seconds=60, by="ann")


@pytest.mark.parametrize("seconds", [-1, LONGEST_MUTE + 1, float("nan"), float("inf")])
def test_a_mute_has_an_end(store, seconds):
    with pytest.raises(PayloadError, match="7 days"):
        mute(store, "sales.load", seconds=seconds, by="ann")
    assert not list(store.items())


@pytest.mark.parametrize(
    ("by", "said"),
    [("ann", "ann"), ("", "somebody"), ("a\nb", "a b"), ("x" * 200, "x" * 99)],
    ids=["a name", "none", "two lines", "a long one"],
)
def test_who_has_muted_a_key_is_said_in_one_short_line(by, said):
    line = who_muted(Record(muted_until=0.0, muted_by=by))

    assert line.startswith(said)
    assert line.endswith(" has muted this alert until 1970-01-01 00:00 UTC")
    assert len(line) <= 100 + len(" has muted this alert until 1970-01-01 00:00 UTC")
