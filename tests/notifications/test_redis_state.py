"""The throttle state of alerts, in a real Redis: several machines, an outage, an upgrade, and hostile values."""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
from dataclasses import replace
from functools import partial

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client import redis_server, redis_slots, redis_texts
from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.client.redis_server import RedisServer, parse_redis_url
from airflow_provider_whatsapp.notifications import alert as alert_module
from airflow_provider_whatsapp.notifications import redis_state, throttle_state
from airflow_provider_whatsapp.notifications.alert_stores import Files, name_of, text_of
from airflow_provider_whatsapp.notifications.missed import Missed, Undelivered
from airflow_provider_whatsapp.notifications.mute import alert_states, mute
from airflow_provider_whatsapp.notifications.records import ALL_DAGS, Person, Record
from airflow_provider_whatsapp.notifications.redis_state import RedisState, joined
from airflow_provider_whatsapp.notifications.throttle_state import ThrottleState
from tests.conftest import ROOT
from tests.notifications.test_alert_steps import Scene, failure, success
from tests.ports import free_port
from tests.redis_server import RedisProcess, need_redis

SECRET = "a-secret-key"


@pytest.fixture(autouse=True)
def any_speed(monkeypatch):
    """Take nothing for an outage that is a busy machine."""
    monkeypatch.setattr(redis_state, "SECONDS", 60.0)
    monkeypatch.setattr(redis_state, "LIST_SECONDS", 60.0)
    monkeypatch.setattr(throttle_state, "LONGEST_SWAP", 60.0)
    monkeypatch.setattr(redis_server, "TIMEOUT", 60.0)


def server_of(process):
    return parse_redis_url(process.url)


def one_more(record):
    return replace(record, held=record.held + 1), record.held


@pytest.fixture
def owner(tmp_path):
    return f"{SECRET} {tmp_path}"


@pytest.fixture
def shared(redis_process, owner):
    return RedisState(server_of(redis_process), owner)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return Files(tmp_path)


@pytest.fixture
def asked(files, shared):
    """Return a throttle state as an alert has it."""

    def make(shared=shared, store=files):
        made = ThrottleState(store)
        made.share(shared)
        return made

    return make


@pytest.fixture
def away():
    """Give where no Redis is."""
    return RedisState(RedisServer(nodes=(("127.0.0.1", free_port()),)), "away")


class TestShared:
    def test_what_is_recorded_is_in_redis_alone(self, asked, files, shared):
        known = asked()
        assert known.is_exact
        assert [known.change("key", Record, one_more) for _ in range(2)] == [0, 1]

        assert not list(files.items())
        assert ThrottleState(shared).read("key", Record) == Record(held=2)
        assert asked().read("key", Record) == Record(held=2)

    def test_what_another_machine_writes_between_is_not_lost(self, asked):
        between = [3]

        def rule(record):
            if between:
                for _ in range(between.pop()):
                    asked().change("key", Record, one_more)
            return one_more(record)

        assert asked().change("key", Record, rule) == 3
        assert asked().read("key", Record).held == 4

    def test_many_threads_count_each(self, asked):
        def count():
            for _ in range(10):
                assert asked().change("key", Record, one_more) is not None

        threads = [threading.Thread(target=count) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert asked().read("key", Record).held == 60

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param({"api_key": "another"}, id="account"),
            pytest.param({"host": "http://127.0.0.1:9"}, id="gateway"),
            pytest.param({"airflow": "https://staging.example"}, id="Airflow"),
        ],
    )
    def test_each_has_records_of_its_own(self, redis_process, monkeypatch, tmp_path, other):
        def records(airflow="https://prod.example", **more):
            monkeypatch.setenv("AIRFLOW__API__BASE_URL", airflow)
            known = {"api_key": f"k-{tmp_path.name}", "pace_redis": server_of(redis_process), **more}
            return redis_state.redis_state(ClientConfig(**known))

        one = records()
        one.set("key", "x")

        assert records() is one
        assert records(airflow="https://prod.example/") is one
        assert records(**other).get("key") is None
        assert redis_state.redis_state(ClientConfig(api_key="k")) is None

    def test_no_key_and_no_number_is_in_a_name_and_all_expires(self, asked, redis_process, shared):
        client = redis.Redis.from_url(redis_process.url)
        asked().change("person 11 +15550001111", Person, lambda it: (replace(it, held=1), 1), label="+1…11")
        asked().change("orders.load", Record, one_more)
        keys = [key.decode() for key in client.scan_iter(f"{shared.index}*")]

        assert len(keys) == 3
        assert not [key for key in keys if SECRET in key or name_of("person 11 +15550001111")[-16:] in key]
        assert all(0 < client.ttl(key) <= redis_texts.KEPT for key in keys)
        assert all(b"5550001111" not in client.get(key) for key in keys if client.type(key) == b"string")
        client.close()

    def test_the_page_lists_keys_the_last_first_and_mutes(self, asked, shared):
        for key in ("sales.load", "stock.count"):
            asked().change(key, Record, lambda record: (replace(record, failures=1, dags=("d",)), 0))
        asked().change("person 1", Person, lambda it: (replace(it, held=1), 1), label="+1…11")
        until = mute(shared, "sales.load", seconds=60, by="ann", sleep=pytest.fail)

        assert sorted(state.key for state in alert_states(shared)) == ["sales.load", "stock.count"]
        assert asked().read("sales.load", Record).muted_until == until

    def test_a_list_is_bounded(self, shared, monkeypatch):
        monkeypatch.setattr(redis_texts, "PORTION", 2)
        for number in range(5):
            shared.set(str(number), "x")

        assert [len(list(shared.kept(most))) for most in (0, 1, 3, 4, 9)] == [0, 1, 3, 4, 5]

    def test_what_was_not_written_for_long_is_not_listed(self, shared, redis_process):
        client = redis.Redis.from_url(redis_process.url)
        client.zadd(shared.index, {b"gone\xff": 1.0, b"expired": 9e9})
        assert list(shared.kept(9)) == []
        shared.set("key", "x")
        assert client.zrange(shared.index, 0, -1) == [shared._member("key").encode(), b"expired"]
        client.close()


class TestHostile:
    @pytest.fixture
    def raw(self, redis_process):
        client = redis.Redis.from_url(redis_process.url)
        yield client
        client.close()

    @pytest.mark.parametrize(
        "value",
        [
            b"",
            b"\xff\xfe",
            b"no JSON",
            b"[]",
            b"[" * 50000,
            b'{"held": "9"}',
            b'{"held": 1e999}',
            b"\x00",
            b'{"moved": 7, "held": []}',
            b'{"key": "\\ud800", "failures": 1}',
            b"x" * (redis_texts.LONGEST + 9),
        ],
        ids=lambda value: f"{len(value)}-{value[:9].hex()}",
    )
    def test_a_text_that_is_no_record_is_begun_again(self, asked, shared, raw, value):
        raw.set(shared.key(name_of("key")), value)
        shared.set("listed", "x")
        raw.set(shared.key("listed"), value)
        assert alert_states(shared) == []

        known = asked()
        assert known.change("key", Record, one_more) == 0
        assert known.is_exact
        assert asked().read("key", Record).held == 1

    @pytest.mark.parametrize("kind", ["list", "hash"])
    def test_keys_of_another_type_are_replaced(self, asked, shared, raw, kind):
        for key in (shared.key(name_of("orders.load")), shared.index):
            raw.rpush(key, "x") if kind == "list" else raw.hset(key, "x", "x")
        assert alert_states(shared) == []
        known = asked()
        failed = known.change("orders.load", Record, lambda record: (replace(record, failures=1), 7))

        assert (failed, known.is_exact) == (7, True)
        assert [state.key for state in alert_states(shared)] == ["orders.load"]

    def test_a_record_at_another_one_s_place_is_not_listed(self, shared):
        shared.set(name_of("one"), json.dumps({"key": "another", "failures": 3}))
        assert list(shared.items()) == []


class TestAway:
    def test_alerts_use_the_other_store_and_one_line_says_so(self, asked, files, away, caplog):
        caplog.set_level(logging.INFO)
        for number in range(4):
            known = asked(away)
            assert known.change("key", Record, one_more) == number
            assert not known.is_exact

        assert ThrottleState(files).read("key", Record).held == 4
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "ConnectionError" in caplog.text
        assert "Variables" in caplog.text

    def test_a_list_of_it_is_refused_by_name(self, away):
        with pytest.raises(ConfigurationError, match="throttle state of alerts, does not answer"):
            list(away.items())

    def test_it_is_asked_again_after_a_while_and_is_back_with_one_line(self, asked, files, caplog, owner):
        need_redis()
        process = RedisProcess()
        process.kill()
        caplog.set_level(logging.INFO)
        shared = RedisState(server_of(process), owner)
        try:
            assert asked(shared).change("key", Record, one_more) == 0
            assert not asked(shared).is_exact, "it has been away a moment ago"
            process.start()
            shared._look_at = 0.0
            assert [asked(shared).change("key", Record, one_more) for _ in range(2)] == [1, 2]
            assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
            assert "answers again" in caplog.text
            assert shared.get(name_of("key")) is not None
            assert not list(files.items()), "what was counted meanwhile has moved"
        finally:
            process.kill()

    def test_one_that_takes_connections_and_never_answers_is_waited_for_in_bounds(
        self, asked, monkeypatch, caplog
    ):
        monkeypatch.setattr(redis_state, "SECONDS", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            hanging = RedisState(RedisServer(nodes=(silent.getsockname(),)), "silent")
            assert asked(hanging).change("key", Record, one_more) == 0
        assert "TimeoutError" in caplog.text

    def test_without_the_package_one_line_says_what_to_install(self, asked, monkeypatch, shared, caplog):
        monkeypatch.setitem(sys.modules, "redis.cluster", None)
        assert [asked().change("key", Record, one_more) for _ in range(2)] == [0, 1]
        assert "airflow-provider-whatsapp[redis]" in caplog.text
        assert len(caplog.records) == 1

    def test_whoever_was_given_up_changes_nothing_any_more(self, shared, monkeypatch):
        monkeypatch.setattr(redis_state, "SECONDS", 0.05)
        given_up, tries = threading.Event(), []

        def act(kept):
            given_up.wait(60)
            for use in (
                lambda: kept.swap("key", None, "x"),
                lambda: kept.set("key", "x"),
                lambda: kept.get("key"),
            ):
                with pytest.raises(TimeoutError):
                    use()
                tries.append(use)

        with pytest.raises(TimeoutError):
            shared.reach(act)
        given_up.set()
        for thread in threading.enumerate():
            if thread.name == "whatsapp-alert-state":
                thread.join(60)
        assert len(tries) == 3
        assert shared.get("key") is None

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            pytest.param({"password": "hunter2"}, "login and password", id="wrong password"),
            pytest.param({"username": "few", "password": "hunter2"}, "+zadd", id="without permission"),
        ],
    )
    def test_one_that_refuses_is_said_with_what_to_do(self, asked, caplog, options, said):
        need_redis()
        process = RedisProcess("--user", "default", "on", ">right", "~*", "+@all", "--user", "few", "on")
        try:
            client = redis.Redis(port=process.port, password="right")
            client.execute_command("ACL", "SETUSER", "few", "on", ">hunter2", "~wa:*", "+@all", "-zadd")
            client.close()
            refusing = RedisState(RedisServer(nodes=(("127.0.0.1", process.port),), **options), "o")
            assert asked(refusing).change("key", Record, one_more) == 0
        finally:
            process.kill()
        (line,) = caplog.messages
        assert said in line
        assert "hunter2" not in line

    def test_the_commands_that_are_named_are_enough(self, redis_process, asked):
        client = redis.Redis.from_url(redis_process.url)
        commands = redis_texts.COMMANDS.split()
        client.execute_command("ACL", "SETUSER", "alerts", "reset", "on", ">pw", "~wa:*", *commands)
        client.close()
        node = RedisServer(nodes=(("127.0.0.1", redis_process.port),), username="alerts", password="pw")
        shared = RedisState(node, "acl")
        shared.set("key", "x")
        shared.swap("key", "x", "y")
        shared.delete("key")
        known = asked(shared)

        assert known.change("key", Record, one_more) == 0
        assert known.is_exact
        assert list(shared.kept(1))

    def test_a_write_that_a_full_or_read_only_redis_refuses(self, asked):
        need_redis()
        process = RedisProcess("--maxmemory", "1", "--maxmemory-policy", "noeviction")
        try:
            full = asked(RedisState(server_of(process), "full"))
            assert full.change("key", Record, one_more) == 0
            assert not full.is_exact
            client = redis.Redis.from_url(process.url)
            client.config_set("maxmemory", 0)
            client.execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
            client.close()
            replica = asked(RedisState(server_of(process), "replica"))
            assert replica.change("key", Record, one_more) == 1
            assert not replica.is_exact
        finally:
            process.kill()


class Locked(Files):
    """A store that can be read alone, as a synchronous deadline reads Variables."""

    def delete(self, key):
        raise PermissionError(key)


class TestMoving:
    """An upgrade, or an outage that is over: what stands in the other store is taken over once."""

    def test_nothing_of_an_upgrade_is_lost(self, asked, files):
        before = Record(sent_at=5.0, failures=3, held=2, names=("a", "b"), muted_until=9.0, muted_by="ann")
        files.set(name_of("key"), text_of(before, "key", None))

        assert asked().change("key", Record, lambda record: (record, record)) == before
        assert asked().change("key", Record, one_more) == 2
        assert files.get(name_of("key")) is None

    @pytest.mark.parametrize("store", [Files, Locked])
    def test_it_moves_once_though_it_cannot_be_forgotten_where_it_was(self, asked, tmp_path, files, store):
        kept = store(tmp_path)
        kept.set(name_of("key"), text_of(Record(held=5), "key", None))
        assert [asked(store=kept).change("key", Record, one_more) for _ in range(3)] == [5, 6, 7]

    def test_each_alert_looks_once(self, asked, files, monkeypatch):
        looks, known = [], asked()
        monkeypatch.setattr(files, "get", lambda key, default=None: looks.append(key))
        for key in ("one", "two", "one"):
            known.change(key, Record, one_more)

        assert looks == [name_of("one"), name_of("two")]

    def test_a_store_that_cannot_be_read_costs_one_try(self, asked, files, monkeypatch):
        tries, known = [], asked()

        def fail(key, default=None):
            tries.append(key)
            raise OSError("no answer")

        monkeypatch.setattr(files, "get", fail)
        assert [known.change(key, Record, one_more) for key in ("one", "two")] == [0, 0]
        assert known.is_exact
        assert len(tries) == 1

    def test_what_is_written_while_it_moves_stays(self, files):
        files.set("key", "later")
        throttle_state.forget(files, "key", "what was moved")
        assert files.get("key") == "later"

    @pytest.mark.parametrize(
        "used",
        [
            pytest.param(lambda now: Record(sender="t", sends_until=now + 30, held=1), id="one sends"),
            pytest.param(lambda now: Record(waiter="t", waits_until=now + 9, held=1), id="one waits"),
            pytest.param(lambda now: Person(teller="t", free_at=now + 5, held=1), id="one has handed over"),
        ],
    )
    def test_what_an_alert_there_is_about_to_look_at_stays(self, asked, files, used):
        import time

        record = used(time.time())
        files.set(name_of("key"), text_of(record, "key", None))
        asked().change("key", type(record), one_more)
        assert ThrottleState(files).read("key", type(record)) == record

        over = replace(
            record, **{name: "" for name in ("sender", "waiter", "teller") if hasattr(record, name)}
        )
        files.set(name_of("key"), text_of(over, "key", None))
        assert asked().change("key", type(record), one_more) == 2

    def test_each_kind_moves(self, asked, files):
        entry = Missed(held=1, names=("a",), token="t", key="k", at=1.0)
        for key, record in (("u", Undelivered(entries=(entry,))), ("p", Person(held=2, free_at=7.0))):
            files.set(name_of(key), text_of(record, key, None))
            asked().change(key, type(record), lambda found: (found, 0))
            assert asked().read(key, type(record)) == record


class TestJoined:
    """Where both stores know of failures."""

    @given(st.integers(0, 9), st.integers(0, 9), st.booleans())
    def test_no_failure_and_no_mute_is_lost(self, one, other, swapped):
        here = Record(sent_at=50.0, failures=2, runs=1, run="r", first_failed_at=7.0, held=one, dags=("a",))
        there = Record(
            sent_at=60.0, failures=3, runs=2, run="r", first_failed_at=5.0, held=other, dags=("b",)
        )
        there = replace(there, muted_until=99.0, muted_by="ann", cooldown=300.0)
        both = joined(there, here, 100.0) if swapped else joined(here, there, 100.0)

        assert (both.held, both.failures, both.runs, both.first_failed_at) == (one + other, 5, 2, 5.0)
        assert (both.sent_at, both.cooldown, both.muted_until, both.muted_by) == (60.0, 300.0, 99.0, "ann")
        assert set(both.dags) == {"a", "b"}

    @pytest.mark.parametrize("swapped", [False, True])
    @pytest.mark.parametrize(
        ("first", "second"),
        [((99.0, "ann"), (0.0, "")), ((0.0, ""), (99.0, "ann")), ((99.0, "ann"), (70.0, "bob"))],
    )
    def test_of_two_wishes_about_a_mute_the_later_one_counts(self, first, second, swapped):
        """Whichever message went last, and however long each lasts."""
        early = Record(sent_at=60.0, muted_until=first[0], muted_by=first[1], mute_set_at=10.0)
        late = Record(sent_at=50.0, muted_until=second[0], muted_by=second[1], mute_set_at=20.0)
        both = joined(late, early, 30.0) if swapped else joined(early, late, 30.0)

        assert (both.muted_until, both.muted_by, both.mute_set_at) == (*second, 20.0)

    def test_what_a_dead_alert_was_sending_is_told_by_the_next(self):
        dead = Record(sent_at=10.0, sender="t", sends_until=40.0, sending=2, sending_names=("a", "b"))
        assert joined(Record(sent_at=50.0, held=1), dead, 100.0).held == 3

    def test_many_dags_are_all(self):
        here, there = (Record(failures=1, dags=tuple(f"{side}{n}" for n in range(15))) for side in "ab")
        assert joined(here, there, 0.0).dags == (ALL_DAGS,)

    @pytest.mark.parametrize("swapped", [False, True])
    @pytest.mark.parametrize(
        ("run", "told", "runs"), [("r", 5, 2), ("another", 2, 3), ("", 2, 3)], ids=["same", "another", "none"]
    )
    def test_what_was_told_counts_for_its_run_alone(self, run, told, runs, swapped):
        last = Record(sent_at=60.0, failures=1, runs=2, run="r", told=2)
        first = Record(sent_at=50.0, runs=1, run=run, told=3)
        both = joined(first, last, 100.0) if swapped else joined(last, first, 100.0)

        assert (both.told, both.runs, both.run, both.sent_at) == (told, runs, "r", 60.0)

    def test_without_a_run_none_counts_twice(self):
        assert joined(Record(runs=1, sent_at=1.0), Record(runs=2, sent_at=2.0), 9.0).runs == 3
        assert joined(Record(runs=1, sent_at=1.0), Record(sent_at=2.0), 9.0).first_failed_at == 0.0

    @pytest.mark.parametrize(("count", "every"), [(20, False), (21, True)])
    def test_so_many_dags_are_named(self, count, every):
        names = tuple(f"d{n}" for n in range(count))
        found = joined(Record(failures=1, dags=names[:10]), Record(failures=1, dags=names[5:]), 0.0).dags

        assert found == ((ALL_DAGS,) if every else names)
        assert joined(Record(failures=1, dags=(ALL_DAGS,)), Record(failures=1, dags=("a",)), 0.0).dags == (
            ALL_DAGS,
        )

    def test_who_knows_nothing_adds_nothing(self):
        known = Record(failures=1, told=2, run="r")
        assert joined(Record(), known, 0.0) is known

    def test_a_person_is_free_when_both_say_so(self):
        both = joined(Person(free_at=9.0, held=1, names=("a",)), Person(free_at=5.0, held=2), 0.0)
        assert both == Person(free_at=9.0, held=3, names=("a",))

    def test_what_was_missed_is_missed_once(self):
        one, other = (Missed(held=1, token=token) for token in ("t1", "t2"))
        assert joined(Undelivered(entries=(one,)), Undelivered(entries=(one, other)), 0.0).entries == (
            one,
            other,
        )


@pytest.fixture
def machines(monkeypatch, tmp_path, redis_process):
    """Give two machines with stores of their own, whose alerts share one Redis alone."""
    monkeypatch.setattr(alert_module, "several_machines", lambda: True)
    monkeypatch.setattr(redis_state, "LOOK_EVERY", 0.0)
    one, other = Scene(monkeypatch, tmp_path), Scene(monkeypatch, tmp_path)
    one.clock = one.hook.clock = other.clock
    other.hook = one.hook
    place(one, redis_process, tmp_path)
    return one, other


def place(scene, process, owner):
    config = vars(scene.hook.client.config)
    config |= {"pace_redis": server_of(process), "api_key": str(owner), "data_url": "https://a.example"}


class TestStorm:
    """Alerts of two machines, second by second."""

    def test_two_machines_are_as_one(self, machines):
        """Claims would take a second each; here nothing waits, and the summary is exact."""
        sent = machines[0].run(
            *((n / 10, machines[n % 2].begin(failure(index=n), gap=0)) for n in range(60)),
            (400, machines[1].begin(failure(run="r2"), gap=0)),
        )

        assert [second for second, _, _ in sent] == [0, 15, 400], "whoever fails in the second half waits"
        assert sent[1][2].startswith("DAG orders, run r1: 59 more failures: load[1-")
        assert sent[2][2] == "it happened"
        assert not machines[0].store
        assert not machines[1].store

    def test_each_person_is_told_at_a_distance_by_whichever_machine(self, machines):
        sent = machines[0].run(
            *((n / 10, machines[n % 2].begin(failure(f"t{n}"))) for n in range(9)),
        )
        assert [second for second, _, _ in sent] == [0, 6.5]
        assert sent[1][2].startswith("it happened (7 other alerts: ")

    def test_a_recovery_on_another_machine_knows_of_the_failure(self, machines):
        one, other = machines
        sent = one.run((0, one.begin(failure(), gap=0)), (9, other.begin(success(), gap=0, recovery=True)))
        assert [second for second, _, _ in sent] == [0, 9]

    def test_that_an_alert_of_another_machine_is_sending_is_true(self, machines):
        """Variables may have lost that it has ended, so a summary goes in any case there."""
        one, other = machines
        shared = redis_state.redis_state(one.hook.client.config)

        def begins():
            until = one.clock.time() + 60
            rule = partial(replace, sender="another", sends_until=until)
            ThrottleState(shared).change("orders.load", Record, lambda record: (rule(record), 0))
            yield from ()

        mapped = [(second, other.begin(failure(index=second), gap=0)) for second in (0, 3)]
        assert [second for second, _, _ in one.run(*mapped, (9, begins))] == [0]

    def outage(self, machines, tmp_path, *, empties):
        """Kill Redis five seconds after a storm has begun, and start it again in the twentieth."""
        need_redis()
        options = (
            () if empties else ("--dir", str(tmp_path), "--appendonly", "yes", "--appendfsync", "always")
        )
        process = RedisProcess(*options)
        one, other = machines
        other.store = one.store  # Airflow's Variables are one for both
        place(one, process, tmp_path / "outage")

        def does(act):
            def steps():
                act()
                yield from ()

            return steps

        try:
            sent = one.run(
                *((n / 10, machines[n % 2].begin(failure(index=n), gap=0)) for n in range(50)),
                (5, does(process.kill)),
                *((5 + n / 10, machines[n % 2].begin(failure(index=n), gap=0)) for n in range(1, 50)),
                (40, does(process.start)),
                *((41 + n, machines[n % 2].begin(failure(index=n), gap=0)) for n in range(9)),
                (800, one.begin(failure(run="r2"), gap=0)),
            )
        finally:
            process.kill()
        return sent

    @pytest.mark.parametrize("empties", [True, False], ids=["it forgets", "it keeps them"])
    def test_redis_killed_in_a_storm_is_no_storm_and_no_silence(self, machines, tmp_path, caplog, empties):
        caplog.set_level(logging.INFO)
        sent = self.outage(machines, tmp_path, empties=empties)
        seconds = [second for second, _, _ in sent]
        notes = [record.levelname for record in caplog.records if record.name == redis_state.__name__]

        assert seconds == [0, 6.1, 15.1, 800], "one more alert and its summary, after a claim"
        assert "48 more failures" in sent[2][2]
        assert f"({9 if empties else 9 + 49} more failures" in sent[3][2], (
            "what Redis knew is as safe as Redis"
        )
        assert notes == ["WARNING", "INFO"]

    def test_a_redis_that_forgets_while_an_alert_waits_keeps_no_summary_back(self, machines, tmp_path):
        one, _other = machines

        def forget():
            with redis.Redis.from_url(url_of(one)) as client:
                client.flushall()
            yield from ()

        contexts = [failure(index=n) for n in range(3)]
        for context in contexts:
            context["ti"].get_ti_count = lambda **_: 2
        sent = one.run(
            *((n, machines[n % 2].begin(each, gap=0)) for n, each in enumerate(contexts)), (5, forget)
        )

        assert [second for second, _, _ in sent] == [0, 10]
        assert "2 more failures" in sent[1][2]


def url_of(scene):
    ((host, port),) = scene.hook.client.config.pace_redis.nodes
    return f"redis://{host}:{port}/0"


def test_a_recorded_text_has_what_others_moved_there(shared):
    first = text_of(Record(held=1), "key", None, moved="m")
    assert json.loads(text_of(Record(held=2), "key", first))["moved"] == "m"
    assert "moved" not in json.loads(text_of(Record(held=2), "key", None))


def test_the_guide_names_every_command():
    guide = (ROOT / "docs/reference/rate-limiter.md").read_text("utf-8")
    for commands in (redis_slots.COMMANDS, redis_texts.COMMANDS):
        assert {each for each in commands.split() if each not in guide} == set()
