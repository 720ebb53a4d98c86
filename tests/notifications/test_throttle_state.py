from __future__ import annotations

import fcntl
import itertools
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.notifications import throttle_state
from airflow_provider_whatsapp.notifications.alert_stores import Files
from airflow_provider_whatsapp.notifications.records import MAX_NAMES, Record, Sending
from airflow_provider_whatsapp.notifications.throttle import (
    on_claimed,
    on_failure,
    on_overtaken,
    on_success,
    on_summary,
    on_unsent,
    on_unsent_success,
)
from airflow_provider_whatsapp.notifications.throttle_state import ThrottleState


class Broken:
    def get(self, key, default=None):
        raise ConnectionError("no answer")

    def set(self, key, value):
        raise ConnectionError("no answer")


def fail(record, name="load", now=1000.0, **options):
    return on_failure(record, name=name, now=now, **{"cooldown": 300, **options})


def waiting(token):
    """Return the record after one failure was reported at 1000, whose alert waits until 1010."""
    return fail(Record(), token=token, waits=10).record


def test_the_first_failure_is_told():
    decision = fail(Record())

    assert decision.send
    assert decision.held == 0
    assert (decision.record.sent_at, decision.record.failures) == (1000, 1)


def test_further_failures_are_kept_back_and_told_after_the_cooldown():
    record = fail(Record()).record
    for number in range(MAX_NAMES + 8):
        decision = fail(record, name=f"load[{number}]", now=1001.0)
        record = decision.record
        assert not decision.send
    later = fail(record, now=1300.0)

    assert later.send
    assert later.held == MAX_NAMES + 8
    assert later.names == tuple(f"load[{number}]" for number in range(MAX_NAMES))
    assert (later.record.held, later.record.failures) == (0, MAX_NAMES + 10)


def test_a_moment_that_is_yet_to_come_keeps_nothing_back():
    """It was written by a machine whose clock is a day ahead."""
    ahead = fail(Record(), now=1000.0 + 86_400).record

    assert fail(ahead, now=1000.0).send


def test_without_a_cooldown_every_failure_is_told():
    record = fail(Record(), cooldown=0).record

    assert fail(record, cooldown=0, now=1000.0).send


def test_a_summary_tells_what_was_kept_back_once():
    record = fail(waiting("a"), name="b", now=1001.0).record
    summary = on_summary(record, now=1010.0, token="a")

    assert summary.send
    assert (summary.held, summary.names) == (1, ("b",))
    assert not on_summary(summary.record, now=1040.0, token="a").send
    assert not fail(summary.record, now=1100.0).send


def test_a_summary_that_dies_takes_no_name_along():
    """The failure of the worker that sends it has been told before, and Airflow tells of that worker."""
    record = fail(waiting("a"), name="b", now=1001.0).record
    record = fail(record, name="c", now=1002.0).record
    sending = Sending(token="a", lasts=30.0, attempt="try of a")
    summary = on_summary(record, now=1010.0, token="a", sending=sending)
    assert summary.names == ("b", "c")

    told = fail(
        summary.record,
        name="a",
        now=1015.0,
        sending=Sending(token="d", lasts=30.0, attempt="try of a", lost=True),
    )
    assert told.send
    assert (told.held, told.names) == (2, ("b", "c"))


def summed_up(record, failed, now):
    return on_summary(record, now=now, token="a", failed=failed)


def test_a_summary_tells_what_airflow_alone_has_counted():
    """Another machine's failure was overwritten in the moment in which it was recorded."""
    summary = summed_up(waiting("a"), failed=2, now=1010.0)

    assert (summary.send, summary.held, summary.names) == (True, 1, ())
    assert not summed_up(waiting("a"), failed=1, now=1010.0).send


def test_what_airflow_counts_is_told_once():
    first = fail(Record(), run="r1", token="a", waits=10).record
    summary = summed_up(first, failed=10, now=1010.0)
    second = fail(summary.record, run="r1", now=2000.0, token="a", waits=10).record
    more = fail(second, run="r1", now=2001.0).record

    assert summary.held == 9
    assert summed_up(second, failed=14, now=2010.0).held == 3
    assert summed_up(more, failed=12, now=2010.0).held == 1


def test_what_airflow_counts_in_a_run_is_added_to_what_is_held_of_earlier_ones():
    record = fail(Record(), run="r1").record
    for _ in range(3):
        record = fail(record, run="r1", now=1001.0).record
    record = fail(record, run="r2", now=1002.0, token="a", waits=10).record

    assert summed_up(record, failed=5, now=1012.0).held == 8


def test_what_could_not_be_sent_is_not_taken_for_told():
    summary = summed_up(fail(Record(), run="r1", token="a", waits=10).record, failed=10, now=1010.0)
    back = on_unsent(summary.record, held=summary.held, names=()).record
    following = fail(back, run="r1", now=1020.0, token="a", waits=10)

    assert following.held == 9
    assert not summed_up(following.record, failed=11, now=1030.0).send


def test_who_comes_late_waits_in_the_place_of_the_first():
    """Airflow lets no callback wait for long, and a storm may be longer."""
    early = fail(waiting("a"), now=1004.0, token="b", waits=10)
    late = fail(early.record, now=1006.0, token="c", waits=10)

    assert not early.waits
    assert late.waits
    assert not on_summary(late.record, now=1010.0, token="a").send
    told = on_summary(late.record, now=1016.0, token="c")
    assert (told.send, told.held) == (True, 2)


def test_after_a_summary_nobody_waits_until_the_next_message():
    record = on_summary(fail(waiting("a")).record, now=1010.0, token="a").record

    assert not fail(record, now=1100.0, token="b", waits=10).waits
    following = fail(record, now=1310.0, token="c", waits=10)
    assert (following.send, following.waits) == (True, True)


def test_a_waiter_that_was_killed_is_followed_by_the_next_failure():
    assert fail(waiting("a"), now=1200.0, token="b", waits=10).waits


def test_a_success_is_told_only_after_failures():
    assert not on_success(Record()).send
    recovered = on_success(fail(fail(Record()).record, now=1001.0).record)

    assert recovered.send
    assert recovered.held == 2
    assert recovered.record == Record()


def test_a_success_that_could_not_be_told_is_told_by_the_next():
    recovered = on_success(fail(fail(Record()).record, now=1001.0).record)
    again = on_success(on_unsent_success(recovered.record, failures=recovered.held).record)

    assert (again.send, again.held) == (True, 2)


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
    record = on_unsent(others, held=told.held + 1, names=(*told.names, "b")).record
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

    assert ThrottleState(store).decide("a", fail).send
    assert ThrottleState(store).decide("b", fail).send
    assert not ThrottleState(store).decide("a", fail).send


def test_an_unreachable_memory_says_so_and_leaves_the_decision():
    assert ThrottleState(Broken()).decide("a", fail) is None


class Deaf(Files):
    """Variables on Airflow 3.1 and 3.2 that cannot be written: it logs an error and raises nothing."""

    def set(self, key, value):
        pass


def test_a_write_that_fails_in_silence_leaves_the_decision(tmp_path):
    ThrottleState(Files(tmp_path)).decide("a", fail)

    assert ThrottleState(Deaf(tmp_path)).decide("a", fail) is None
    assert ThrottleState(Deaf(tmp_path)).decide("b", fail) is None


def test_a_write_that_another_machine_overwrites_with_the_numbers_of_before_is_no_failure(
    tmp_path, monkeypatch
):
    """That machine has read what was there two failures ago, and counts one more."""
    monkeypatch.setattr(
        "airflow_provider_whatsapp.notifications.throttle_state._locked", lambda name: nullcontext()
    )
    first = []

    class Behind(Files):
        def get(self, key, default=None):
            return first.pop() if first else super().get(key, default)

    class Overwritten(Files):
        def set(self, key, value):
            super().set(key, value)
            assert not ThrottleState(Behind(tmp_path)).decide("a", fail).send

    ThrottleState(Files(tmp_path)).decide("a", fail)
    first += [path.read_text() for path in tmp_path.glob("whatsapp_alert_*.json")]
    ThrottleState(Files(tmp_path)).decide("a", fail)

    assert not ThrottleState(Overwritten(tmp_path)).decide("a", fail).send


def test_an_older_claim_that_cannot_be_overwritten_does_not_stand(tmp_path):
    ThrottleState(Files(tmp_path)).claim("a", "older")
    state = ThrottleState(Deaf(tmp_path))
    state.claim("a", "mine")

    assert state.is_claimed_by("a", "mine")


def test_a_process_that_hangs_in_its_turn_keeps_nobody_waiting_for_long(tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_provider_whatsapp.notifications.throttle_state.LONGEST_LOCK", 0.1)
    state = ThrottleState(Files(tmp_path))
    state.decide("a", fail)
    (path,) = tmp_path.rglob("whatsapp_alert_*.lock")
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert state.decide("a", fail) is None

    assert not ThrottleState(Files(tmp_path)).decide("a", fail).send


def test_a_slow_memory_is_asked_once(tmp_path, monkeypatch):
    """An API server that is ill may take ten seconds for each answer, and Airflow kills callbacks after twenty."""
    monkeypatch.setattr("airflow_provider_whatsapp.notifications.throttle_state.LONGEST_LOCK", 0.05)
    asked = []

    class Slow(Files):
        def get(self, key, default=None):
            asked.append(key)
            threading.Event().wait(0.06)
            return super().get(key, default)

    state = ThrottleState(Slow(tmp_path))

    assert state.decide("a", fail).send, "what was found is gone by"
    count = len(asked)
    assert state.decide("b", fail) is None
    assert state.is_claimed_by("b", "token")
    assert len(asked) == count


def test_a_damaged_record_is_begun_anew(tmp_path):
    store = Files(tmp_path)
    ThrottleState(store).decide("a", fail)
    (record,) = [path for path in tmp_path.iterdir() if path.name.startswith("whatsapp_alert_")]
    record.write_text("{broken")

    assert ThrottleState(store).decide("a", fail).send


@pytest.mark.parametrize(
    "damage",
    [
        [], "x", 7, None, {"sent_at": "yesterday"}, {"failures": "2"}, {"failures": True}, {"names": "abc"},
        {"names": [1]},
        {"summed_up": 1}, {"dags": {"a": 1}}, {"sender": None}, {"runs": 2.5}, {"muted_until": [1]},
    ],
    ids=repr,
)  # fmt: skip
def test_a_record_that_somebody_has_edited_is_begun_again(tmp_path, damage):
    store = Files(tmp_path)
    ThrottleState(store).decide("a", fail)
    (record,) = [path for path in tmp_path.iterdir() if path.name.startswith("whatsapp_alert_")]
    if isinstance(damage, dict):
        damage = json.loads(record.read_text()) | damage
    record.write_text(json.dumps(damage))

    assert ThrottleState(store).decide("a", fail).send


@pytest.mark.parametrize("entries", [7, [7], [{"names": 1}], [{"at": "now"}], [{"token": None}]], ids=repr)
def test_what_a_person_has_missed_is_read_or_begun_again(entries):
    from airflow_provider_whatsapp.notifications.alert_stores import parsed
    from airflow_provider_whatsapp.notifications.missed import Missed, Undelivered

    kept = {"entries": [{"token": "t", "key": "k", "at": 1, "until": 2.5, "held": 1, "names": ["a"]}]}
    assert parsed(json.dumps(kept), Undelivered).entries == (
        Missed(token="t", key="k", at=1, until=2.5, held=1, names=("a",)),
    )
    assert parsed(json.dumps({"entries": entries}), Undelivered) == Undelivered()


def _storm(folder, count):
    import tempfile

    tempfile.tempdir = str(folder)
    throttle_state.LONGEST_LOCK = 60.0  # the counting is tested, whatever else keeps the machine busy
    sent = []

    def one():
        sent.append(ThrottleState(Files(folder), seconds=60.0).decide("storm", fail).send)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (folder / f"sent-{os.getpid()}").write_text(str(sum(sent)))


@pytest.mark.once
def test_of_many_failures_at_once_in_several_processes_one_is_told(forks, tmp_path):
    processes = [forks.start(_storm, tmp_path, 50) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4

    assert sum(int(path.read_text()) for path in tmp_path.glob("sent-*")) == 1
    summary = ThrottleState(Files(tmp_path)).decide(
        "storm", lambda record: on_summary(record, now=1020.0, token="")
    )
    assert summary.held == 199


@given(st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_a_storm_is_told_once_and_summed_up_once_it_is_over(pauses):
    """Whatever the pauses in it: one waits at a time, two at most, and nobody is left out of what is told."""
    now, record, told, waiters = 1000.0, Record(), [], []

    def sum_up(until):
        nonlocal record
        for moment, token in sorted(waiters):
            if moment <= until:
                waiters.remove((moment, token))
                decision = on_summary(record, now=moment, token=token)
                record = decision.record
                if decision.send:
                    told.append(decision.held)

    for number, pause in enumerate(pauses):
        now += pause
        sum_up(now)
        decision = fail(record, now=now, cooldown=10_000, token=str(number), waits=10)
        record = decision.record
        if decision.send:
            told.append(1)
        if decision.waits:
            waiters.append((now + 10, str(number)))
        assert len(waiters) <= 2
    sum_up(now + 20)

    assert told[0] == 1
    assert len(told) <= 2
    assert sum(told) + record.held == len(pauses)
    assert record.held == 0 or record.summed_up, "they came more than half of the time after all others"
    if max(pauses[1:], default=0) < 5:
        assert record.held == 0


class Apart(Files):
    """Another machine's view of a common store: it has the records, and none of the locks."""

    def set(self, key, value):
        path = self._path(key)
        new = path.with_suffix(f".{threading.get_ident()}")
        new.write_text(str(value))
        new.replace(path)


def test_of_many_machines_whose_tasks_fail_together_one_tells(tmp_path, monkeypatch):
    """They read the record before any of them has written, which no lock prevents between machines."""
    (tmp_path / "store").mkdir()
    together = threading.Barrier(20)

    class Slow(Apart):
        def get(self, key, default=None):
            found = super().get(key, default)
            if not key.endswith("_claim"):
                together.wait()
            return found

    monkeypatch.setattr(
        "airflow_provider_whatsapp.notifications.throttle_state._locked", lambda name: nullcontext()
    )

    def first_half(token):
        state = ThrottleState(Slow(tmp_path / "store"))
        assert state.decide("storm", lambda record: fail(record, token=token)).send
        state.claim("storm", token)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(first_half, map(str, range(20))))
    claims = [
        ThrottleState(Apart(tmp_path / "store")).is_claimed_by("storm", str(token)) for token in range(20)
    ]
    assert sum(claims) == 1


def test_an_unreachable_memory_leaves_every_claim():
    state = ThrottleState(Broken())
    state.claim("storm", "a")

    assert state.is_claimed_by("storm", "a")


def test_whose_claim_stands_waits_for_the_others():
    """Another machine's alert, whose claim does not stand, was the last to write that it waits."""
    other = fail(waiting("another"), name="b", now=1001.0).record
    record = on_claimed(other, token="mine", waits_until=1010.0).record

    assert not on_summary(record, now=1010.0, token="another").send
    assert on_summary(record, now=1010.0, token="mine").held == 1


def test_whose_claim_was_overtaken_is_counted_with_the_others():
    mine = fail(fail(fail(Record()).record, name="b", now=1001.0).record, name="c", now=2000.0)
    record = on_overtaken(mine.record, name="c", held=mine.held, names=mine.names).record

    assert (record.held, record.names) == (2, ("c", "b"))


def test_a_file_of_throttle_state_is_replaced_whole(tmp_path):
    """A link in its place is not followed, nobody else can read it, and nothing else is left in the folder."""
    other = tmp_path / "other"
    other.write_text("untouched")
    (tmp_path / "key.json").symlink_to(other)

    Files(tmp_path).set("key", "whole")

    assert (Files(tmp_path).get("key"), other.read_text()) == ("whole", "untouched")
    assert (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.json", "other"]


def test_files_without_a_folder_are_in_the_user_s_own(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = Files()

    store.set("whatsapp_alert_a", "whole")

    assert list(store.items()) == [("whatsapp_alert_a", "whole")]
    assert [path.name for path in tmp_path.rglob("*.json")] == ["whatsapp_alert_a.json"]
