"""Pacing by a real Redis: slots in turn, what Redis has forgotten, its absence, and its ways of connecting."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import threading

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client import redis_pacing, redis_slots
from airflow_provider_whatsapp.client import redis_server as redis_server_module
from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.client.pace_model import SIZE
from airflow_provider_whatsapp.client.pacers import limiter, shared_pacer
from airflow_provider_whatsapp.client.rate_limit import Departure, Pacer
from airflow_provider_whatsapp.client.redis_pacing import MARGIN, RedisPacer
from airflow_provider_whatsapp.client.redis_server import (
    RedisServer,
    find_server,
    parse_redis_url,
    redis_server,
    server_from_environment,
)
from airflow_provider_whatsapp.client.redis_slots import AHEAD, COMMANDS, RedisAwayError, Slots
from airflow_provider_whatsapp.client.transport import Transport
from tests.ports import free_port
from tests.redis_server import RedisProcess, need_redis

names = (f"account {number}" for number in itertools.count())


@pytest.fixture(scope="module")
def server():
    need_redis()
    made = RedisProcess()
    yield made
    made.kill()


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def machine(server, account, rate=10, **options):
    return RedisPacer(rate, parse_redis_url(server.url), account, alone=Pacer(rate * 0.1), **options)


class Machine:
    """One that asks Redis by itself, and knows its state."""

    def __init__(self, server, account, ring=10):
        self.slots, self.stamp = Slots(parse_redis_url(server.url), account, ring), ""

    def reserve(self, *, spacing=0.1, window=1.0, reach=AHEAD, **told):
        for _ in range(2):
            found = self.slots.reserve(self.stamp, spacing=spacing, window=window, reach=reach, **told)
            if found.kind != "stale":
                break
            self.stamp = found.stamp
        return found


def settled(server, account, ring=10):
    """Give a machine whose account was first used long ago."""
    made = Machine(server, account, ring)
    made.reserve()
    client = redis.Redis.from_url(server.url)
    client.hset(made.slots.key, mapping={"floor": 0, "next": 0, "at": 0})
    client.close()
    return made


class TestSlots:
    def test_machines_get_moments_in_turn_and_evenly(self, server):
        account = next(names)
        first, second = settled(server, account), Machine(server, account)
        found = [each.reserve() for _ in range(4) for each in (first, second)]

        assert {reply.kind for reply in found} == {"granted"}
        gaps = [after.slot - before.slot for before, after in itertools.pairwise(found)]
        assert all(gap >= 0.0999 for gap in gaps)
        assert [reply.count for reply in found] == list(range(8))

    def test_a_moment_out_of_reach_is_not_reserved(self, server):
        one = settled(server, next(names))
        found = [one.reserve(spacing=0.4, reach=0.5) for _ in range(4)]

        assert [reply.kind for reply in found][-1] == "later"
        assert found[-1].slot > found[-1].now + 0.5
        granted = sum(reply.kind == "granted" for reply in found)
        assert found[-1].count == granted, "what was refused is not counted"

    def test_no_window_holds_more_than_the_ring(self, server):
        one = settled(server, next(names), ring=3)
        slots = [one.reserve(spacing=0.0, window=0.4).slot for _ in range(9)]

        assert all(after - before >= 0.3999 for before, after in zip(slots, slots[3:], strict=False))

    def test_a_late_departure_begins_the_window(self, server):
        one = settled(server, next(names), ring=2)
        first, _ = (one.reserve(spacing=0.0, window=0.2) for _ in range(2))
        left = first.slot + 0.15
        third = one.reserve(spacing=0.0, window=0.2, late=[(first.count, left)])
        fourth = one.reserve(spacing=0.0, window=0.2, late=[(99, left + 50), (first.count, left + 50)])

        assert third.slot == pytest.approx(left + 0.2, abs=1e-4)
        assert fourth.slot == third.slot, "nor do other numbers change anything"

    def test_what_is_forgotten_counts_as_used_up(self, server):
        one = Machine(server, next(names))
        assert forgets(one, one.reserve(reach=10))

    @pytest.mark.parametrize("how", ["another run", "a clock put back"])
    def test_a_redis_that_is_another_has_forgotten(self, server, how):
        one = settled(server, next(names))
        one.reserve()
        client = redis.Redis.from_url(server.url)
        client.hset(one.slots.key, *(("run", "b" * 12) if how == "another run" else ("at", "9" * 16)))
        client.close()
        found = one.reserve(reach=10)

        assert forgets(one, found)
        assert found.count == 0

    def test_a_state_is_learnt_once(self, server):
        account = next(names)
        one, other = settled(server, account), Machine(server, account)
        other.reserve()
        learnt = one.slots.learn(one.stamp, [1.0, 2.5])
        refused = other.slots.learn(other.stamp, [7.0])

        assert (learnt.kind, refused.kind) == ("learnt", "stale")
        assert refused.state == (1.0, 2.5)
        assert refused.stamp == learnt.stamp != other.stamp

    def test_the_key_shows_a_hash_alone(self, server):
        one = settled(server, "a-secret-key https://a.example 10")
        client = redis.Redis.from_url(server.url)
        assert client.exists(one.slots.key)
        assert not [key for key in client.scan_iter() if b"secret" in key]
        assert 0 < client.ttl(one.slots.key) <= 7 * 86_400
        client.close()


@pytest.fixture
def raw_redis(server):
    client = redis.Redis.from_url(server.url)
    yield client
    client.close()


def forgets(one, found):
    """Say whether a moment is as after a restart: a second for what was granted, and a window; none was before."""
    with redis.Redis.from_url(f"redis://{one.slots.server.name}/0") as client:
        floor = int(client.hget(one.slots.key, "floor")) / 1e6
    return floor > 0 and found.slot >= floor + 0.999


class TestForgotten:
    """What Redis may have lost, or holds by somebody else's hand."""

    HUGE = ("-1", "1e999", "nan", "inf", "0x10000000000000000", "9" * 30, "1.5", "word", "", "\x00")

    @pytest.mark.parametrize("value", HUGE, ids=ascii)
    @pytest.mark.parametrize("name", ["run", "next", "count", "floor", "at", "stamp"])
    def test_a_field_that_no_script_has_written(self, server, raw_redis, name, value):
        one = settled(server, next(names))
        raw_redis.hset(one.slots.key, name, value)

        assert forgets(one, one.reserve(reach=10))
        assert one.reserve(reach=10).kind == "granted"
        assert one.slots.learn(one.stamp, [1.0]).kind == "learnt"

    @pytest.mark.parametrize("value", HUGE, ids=ascii)
    def test_a_moment_that_no_script_has_written_is_as_if_it_were_now(self, server, raw_redis, value):
        one = settled(server, next(names), ring=2)
        raw_redis.hset(one.slots.key, mapping={"s0": value, "s1": value})
        found = one.reserve(reach=10)

        assert (found.kind, found.slot) == ("granted", pytest.approx(found.now + 1.0, abs=1e-3))

    @pytest.mark.parametrize(
        "how",
        [
            pytest.param(lambda client, key: client.delete(key), id="evicted"),
            pytest.param(lambda client, key: client.set(key, "x"), id="a text"),
            pytest.param(lambda client, key: (client.delete(key), client.rpush(key, "x")), id="a list"),
        ],
    )
    def test_a_key_that_is_gone_or_another_s(self, server, raw_redis, how):
        one = settled(server, next(names))
        one.reserve()
        how(raw_redis, one.slots.key)
        assert forgets(one, one.reserve(reach=10))

    def test_a_script_that_redis_has_forgotten_is_given_again(self, server, raw_redis):
        one = settled(server, next(names))
        before = one.reserve()
        raw_redis.script_flush()
        assert one.reserve().count == before.count + 1

    @pytest.mark.parametrize("quiet", [0, 60], ids=["others asked", "nobody asked"])
    @pytest.mark.parametrize("why", ["back", "a clock put forward", "neither"])
    def test_what_was_sent_without_asking(self, server, raw_redis, why, quiet):
        """Where others have asked meanwhile it is a machine's own share; where nobody has, all were away."""
        one = settled(server, next(names))
        one.reserve()
        seconds, micros = raw_redis.time()
        raw_redis.hset(one.slots.key, "at", (seconds - quiet) * 10**6 + micros)
        expected = seconds + micros / 1e6 - (9.0 if "forward" in why else 0.0)
        told = {"back": True} if why == "back" else {"expected": expected}
        found = one.reserve(reach=10, **told)

        assert forgets(one, found) is (quiet > 0 and why != "neither")
        assert one.reserve(reach=10, **told).count == found.count + 1, "it is forgotten once"

    @pytest.mark.parametrize(
        "answer",
        [
            "return 1",
            "return {}",
            "return 'text'",
            "return {'granted'}",
            "return {'granted', 'x', '1', 0, 's', ''}",
            "return {'granted', '1', '1', false, 's', ''}",
            "return {'a', 'b', {}, 1, 2, 3}",
        ],
    )
    def test_an_answer_that_is_none_of_the_script_s(self, server, monkeypatch, answer):
        one = Machine(server, next(names))
        monkeypatch.setattr(redis_slots, "SCRIPT", answer)
        monkeypatch.setattr(redis_slots, "_SHA", "0" * 40)
        with pytest.raises(RedisAwayError):
            one.reserve()

    @pytest.mark.parametrize(
        "state",
        [
            "[",
            "7",
            "null",
            '["x"]',
            "[true]",
            "[" * 5_000,
            json.dumps([1e300] * SIZE),
            json.dumps([-1.0] * SIZE),
            json.dumps([float("nan")] * SIZE),
            json.dumps([float("inf")] * SIZE),
            json.dumps([0.0] * 3),
        ],
        ids=lambda state: f"{len(state)}-{state[:5]}",  # the whole of it would be the test's name
    )
    def test_a_state_that_no_pacer_has_written_is_none(self, server, raw_redis, folder, state):
        account = next(names)
        key = settled(server, account, 50).slots.key
        raw_redis.hset(key, "state", state)
        pacer = machine(server, account, 50)
        departure = pacer.acquire(budget=30.0)
        departure.left()
        pacer.refused(departure)

        assert pacer.rate() == pytest.approx(50 * (1 - MARGIN))
        assert len(json.loads(raw_redis.hget(key, "state"))) == SIZE

    @given(st.lists(st.floats(0, 1.7e9 + 3600), min_size=SIZE, max_size=SIZE))
    def test_whatever_the_state_is_the_pace_stays_in_its_bounds(self, state):
        pacer = RedisPacer(
            10, RedisServer(nodes=(("127.0.0.1", 9),)), "state", alone=Pacer(1), clock=lambda: 1.7e9
        )
        pacer._state = state
        rate, window = pacer._pace(1.7e9)
        assert 0.02 * 9 < rate <= 10
        assert 1.0 <= window <= 1.1


@pytest.fixture
def paced(server, folder):
    """Give two machines, whose account was first used long ago."""
    account = next(names)
    settled(server, account, ring=50)
    return machine(server, account, 50), machine(server, account, 50)


class TestPacer:
    def test_the_limit_is_held_and_used_up(self, paced, monkeypatch):
        went, lock = [], threading.Lock()

        def go(pacer):
            for _ in range(20):
                departure = pacer.acquire()
                departure.left()
                with lock:
                    went.append((departure.at, pacer))

        threads = [threading.Thread(target=go, args=(pacer,)) for pacer in paced]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        slots = sorted(at for at, _ in went)

        assert len(slots) == 40
        assert slots[-1] - slots[0] >= 39 / 50 / (1 - MARGIN) * 0.9

    def test_no_time_is_no_permit(self, paced):
        assert paced[0].acquire(budget=5.0) is not None
        assert all(paced[0].acquire(budget=0.001) is None for _ in range(2))

    def test_a_stop_ends_the_wait(self, paced):
        stop = threading.Event()
        stop.set()
        assert paced[0].acquire(stop=stop) is None

    def test_a_refusal_on_one_machine_slows_all(self, paced):
        one, other = paced
        full = other.rate()
        for _ in range(8):
            departure = one.acquire()
            departure.left()
            one.refused(departure)
        other.acquire()

        assert one.rate() < 0.9 * full
        assert other.rate() == pytest.approx(one.rate(), rel=0.05)

    def test_redis_is_told_what_time_it_should_be(self, paced, monkeypatch):
        told = []
        reserve = paced[0]._slots.reserve

        def heard(stamp, **given):
            told.append((given["expected"], reserve(stamp, **given)))
            return told[-1][1]

        monkeypatch.setattr(paced[0]._slots, "reserve", heard)
        for _ in range(2):
            paced[0].acquire()

        assert told[0][0] == 0.0, "nobody has heard Redis yet"
        expected, reply = told[-1]
        assert reply.now == pytest.approx(expected, abs=60), "by Redis' clock, not by this machine's"

    def test_a_late_departure_is_said(self, paced, monkeypatch):
        told = []
        reserve = paced[0]._slots.reserve

        def heard(stamp, **given):
            told.append(given["late"])
            return reserve(stamp, **given)

        monkeypatch.setattr(paced[0]._slots, "reserve", heard)
        departure = paced[0].acquire()
        threading.Event().wait(0.01)
        departure.left()
        at = departure.at
        departure.left()
        paced[0].acquire()

        assert departure.at == at, "it leaves once"
        assert told[0] == []
        assert told[-1] == [(departure.number, at)]


class TestAway:
    @pytest.fixture
    def quick(self, monkeypatch):
        monkeypatch.setattr(redis_pacing, "WAIT", 0.2)
        monkeypatch.setattr(redis_pacing, "LOOK_EVERY", 0.05)
        monkeypatch.setattr(redis_pacing, "PAUSES", (0.01, 0.02))

    def test_the_machine_goes_alone_and_comes_back(self, folder, quick, caplog, monkeypatch):
        need_redis()
        process = RedisProcess()
        try:
            pacer, told = machine(process, next(names), 40), []
            reserve = pacer._slots.reserve

            def heard(stamp, **given):
                reply = reserve(stamp, **given)
                told.append(given["back"])
                return reply

            monkeypatch.setattr(pacer._slots, "reserve", heard)
            assert type(pacer.acquire()) is not Departure
            assert set(told) == {False}
            told.clear()
            process.kill()
            with caplog.at_level("INFO"):
                alone = [pacer.acquire() for _ in range(2)]
                assert [type(each) for each in alone] == [Departure] * 2
                assert pacer.rate() == pytest.approx(4, rel=0.05), "at its share"
                process.start()
                while type(pacer.acquire()) is Departure:
                    pass
            assert set(told) == {True}
            pacer.acquire()
            assert told[-1] is False
            assert pacer.rate() == pytest.approx(40, rel=0.05)
            said = [record.message for record in caplog.records]
            assert len([line for line in said if "cannot be reached" in line]) == 1
            assert len([line for line in said if "paces again" in line]) == 1
        finally:
            process.kill()

    def test_a_refusal_meanwhile_is_the_machine_s_own(self, folder, quick):
        pacer = RedisPacer(
            10, RedisServer(nodes=(("127.0.0.1", free_port()),)), "away", alone=(own := Pacer(1))
        )
        departure = pacer.acquire()
        heard = []
        own.refused = heard.append
        pacer.refused(departure)
        assert heard == [departure]

    def test_after_an_outage_of_which_redis_knows_nothing_nobody_goes_at_once(
        self, folder, quick, monkeypatch
    ):
        """The network was away, so machines went alone, and Redis remembers what was long ago."""
        need_redis()
        monkeypatch.setattr(redis_server_module, "TIMEOUT", 0.3)
        process, account = RedisProcess(), next(names)
        try:
            key = settled(process, account, 40).slots.key
            pacer = machine(process, account, 40)
            pacer.acquire()
            with redis.Redis.from_url(process.url) as client:
                client.hset(key, "at", int(client.hget(key, "at")) - 60 * 10**6)
            process.pause()
            assert type(pacer.acquire()) is Departure
            # What was asked meanwhile is answered when it goes on: an outage that matters has lasted longer than that.
            threading.Event().wait(1.6)
            process.go_on()
            with redis.Redis.from_url(process.url) as client:
                there_again = client.time()[0]
            while type(departure := pacer.acquire()) is Departure:
                pass
            assert departure.planned >= there_again + AHEAD + 0.99
        finally:
            process.go_on()
            process.kill()

    def test_one_that_never_answers_is_waited_for_in_bounds(self, folder, quick, monkeypatch):
        monkeypatch.setattr(redis_server_module, "TIMEOUT", 0.1)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            pacer = RedisPacer(10, RedisServer(nodes=(silent.getsockname(),)), "silent", alone=Pacer(10))
            assert type(pacer.acquire()) is Departure

    def test_a_login_that_has_worked_and_is_taken_away_stops_nobody(self, folder, quick, caplog):
        need_redis()
        process = RedisProcess()
        try:
            pacer = machine(process, next(names), 40)
            pacer.acquire()
            with redis.Redis.from_url(process.url) as client:
                client.config_set("requirepass", "new")
                client.client_kill_filter(_type="normal", skipme=True)
            assert type(pacer.acquire()) is Departure
        finally:
            process.kill()
        assert "Check login and password" in caplog.text

    def test_a_replica_is_no_master(self, folder, quick):
        need_redis()
        process = RedisProcess("--replicaof", "127.0.0.1", str(free_port()))
        try:
            assert type(machine(process, next(names), 40).acquire()) is Departure
        finally:
            process.kill()

    def test_a_share_may_be_less_than_one_a_second(self, folder):
        pacer = limiter(next(names), "h", 1, redis=RedisServer(nodes=(("h", 1),)), share=0.1)
        assert pacer._alone.acquire(budget=0) is not None
        assert pacer._alone.acquire(budget=5) is None

    def test_where_time_is_short_a_share_of_it_is_waited(self, folder):
        pacer = RedisPacer(10, RedisServer(nodes=(("127.0.0.1", free_port()),)), "short", alone=Pacer(1))
        assert type(pacer.acquire(budget=1.0)) is Departure


class TestConnecting:
    def test_a_password(self, folder):
        need_redis()
        process = RedisProcess("--requirepass", "s3cr/t")
        try:
            url = f"redis://:s3cr%2Ft@127.0.0.1:{process.port}/0"
            right = parse_redis_url(url, may_hold_password=True)
            assert Slots(right, "a", 10).reserve("", spacing=1, window=1, reach=1).kind == "stale"
            wrong = machine(process, next(names))
            with pytest.raises(ConfigurationError, match="login and password") as caught:
                wrong.acquire()
            assert "s3cr" not in str(caught.value)
            assert type(wrong.acquire(budget=20.0)) is Departure, "an alert goes all the same"
        finally:
            process.kill()

    @pytest.mark.parametrize(
        ("rules", "said"),
        [
            pytest.param("+@all -info", "INFO inside scripts", id="without INFO"),
            pytest.param("+@all -eval -evalsha", "needs .eval", id="without scripts"),
            pytest.param("+@all -expire", "needs .eval", id="without a command of the script"),
            pytest.param(COMMANDS, None, id="with what is named"),
        ],
    )
    def test_a_user_of_the_acl(self, server, folder, rules, said):
        client = redis.Redis.from_url(server.url)
        client.execute_command("ACL", "SETUSER", "wa", "reset", "on", ">pw", "~wa:*", *rules.split())
        client.close()
        known = RedisServer(nodes=(("127.0.0.1", server.port),), username="wa", password="pw")
        slots = Slots(known, next(names), 10)
        if said is None:
            assert slots.reserve("", spacing=1, window=1, reach=1).kind == "stale"
            return
        with pytest.raises(ConfigurationError, match=said):
            slots.reserve("", spacing=1, window=1, reach=1)

    def test_tls(self, folder, tmp_path):
        need_redis()
        certificate, key, port = tmp_path / "c.pem", tmp_path / "k.pem", free_port()
        made = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=r -addext subjectAltName=IP:127.0.0.1"
        subprocess.run([*made.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
        files = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate]
        process = RedisProcess("--tls-port", str(port), "--tls-auth-clients", "no", *map(str, files))
        try:
            trusted = parse_redis_url(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}")
            assert Slots(trusted, "a", 10).reserve("", spacing=1, window=1, reach=1).kind == "stale"
            with pytest.raises(ConfigurationError, match="ssl_ca_certs"):
                Slots(parse_redis_url(f"rediss://127.0.0.1:{port}/0"), "a", 10).reserve(
                    "", spacing=1, window=1, reach=1
                )
        finally:
            process.kill()

    def test_a_cluster(self, folder, tmp_path):
        need_redis()
        process = RedisProcess("--cluster-enabled", "yes", "--dir", str(tmp_path), port=free_port())
        try:
            client = redis.Redis.from_url(process.url)
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            until(lambda: b"cluster_state:ok" in raw(process.port, "CLUSTER INFO"))
            client.close()
            slots = Slots(parse_redis_url(f"{process.url}?cluster=true"), next(names), 10)
            first = slots.reserve("", spacing=0.1, window=1, reach=5)
            assert slots.reserve(first.stamp, spacing=0.1, window=1, reach=5).kind == "granted"
            client = redis.Redis.from_url(process.url)
            client.execute_command("CLUSTER", "DELSLOTSRANGE", 0, 16383)
            client.close()
            with pytest.raises(RedisAwayError):
                slots.reserve(first.stamp, spacing=0.1, window=1, reach=5)
        finally:
            process.kill()

    def test_a_node_of_a_cluster_that_is_not_called_one(self, folder, tmp_path):
        need_redis()
        process = RedisProcess("--cluster-enabled", "yes", "--dir", str(tmp_path), port=free_port())
        try:
            with redis.Redis.from_url(process.url) as client:
                here = client.execute_command("CLUSTER", "MYID")
                other = f"127.0.0.1 {free_port()}"
                client.execute_command("CLUSTER", "MEET", *other.split())
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
                until(lambda: b"cluster_state:ok" in raw(process.port, "CLUSTER INFO"))
                slots = Slots(parse_redis_url(process.url), next(names), 10)
                slot = client.execute_command("CLUSTER", "KEYSLOT", slots.key)
                assert here
                nodes = raw(process.port, "CLUSTER NODES").decode().split("\n")
                (there,) = (line.split()[0] for line in nodes if len(line) > 60 and "myself" not in line)
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", there)
            with pytest.raises((ConfigurationError, RedisAwayError), match="cluster"):
                slots.reserve("", spacing=0.1, window=1, reach=5)
        finally:
            process.kill()

    def test_sentinel_follows_a_failover(self, folder, tmp_path):
        need_redis()
        first = RedisProcess()
        second = RedisProcess("--replicaof", "127.0.0.1", str(first.port))
        port, settings = free_port(), tmp_path / "sentinel.conf"
        settings.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor main 127.0.0.1 {first.port} 1\n"
            "sentinel down-after-milliseconds main 200\nsentinel failover-timeout main 1000\n"
        )
        watcher = subprocess.Popen(["redis-server", settings, "--sentinel"], stdout=subprocess.DEVNULL)
        try:
            slots = Slots(parse_redis_url(f"redis://127.0.0.1:{port}/0?sentinel=main"), "s", 10)
            run = answer_of(slots).partition(":")[0]
            until(lambda: b"slaves=1" in raw(port, "INFO sentinel"))
            first.kill()
            until(lambda: answer_of(slots).partition(":")[0] not in ("", run))
        finally:
            watcher.kill()
            watcher.wait()
            first.kill()
            second.kill()


def raw(port, command):
    """Return the beginning of what Redis answers, as the network has it."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
        caller.sendall(command.encode() + b"\r\n")
        return caller.recv(65536)


def answer_of(slots):
    """Return the stamp, which holds the server's run; "" while no master answers."""
    for _ in range(500):
        try:
            return slots.reserve("", spacing=1, window=1, reach=1).stamp
        except RedisAwayError:
            threading.Event().wait(0.02)
    return ""


def until(holds):
    for _ in range(1000):
        if holds():
            return
        threading.Event().wait(0.02)
    pytest.fail("it did not come to hold")


class TestSettings:
    @pytest.mark.parametrize(
        ("url", "found"),
        [
            ("redis://r.example", {"nodes": (("r.example", 6379),)}),
            (
                "rediss://u@r.example:1/3",
                {"nodes": (("r.example", 1),), "db": 3, "tls": True, "username": "u"},
            ),
            ("redis://[::1]:7/0", {"nodes": (("::1", 7),)}),
            ("redis://a,b:7/?cluster=true", {"nodes": (("a", 6379), ("b", 7)), "cluster": True}),
            ("redis://a/1?sentinel=main", {"nodes": (("a", 26379),), "sentinel": "main", "db": 1}),
        ],
        ids=["plain", "TLS", "IPv6", "cluster", "sentinel"],
    )
    def test_urls(self, url, found):
        assert parse_redis_url(url) == RedisServer(**found)

    @pytest.mark.parametrize(
        "setting",
        [
            "redis://:hunter2@r.example/0",
            "redis://u:hunter2@r.example/0",
            "http://hunter2",
            "redis:hunter2",
            "redis://r.example/0?password=hunter2",
            "redis://r.example:hunter2/0",
            "redis://r.example/hunter2",
            "redis://a,b/0",
            "redis://",
            "redis://r.example:99999/0",
            "redis://r.example/1?cluster=true",
            "redis://r.example/0?ssl_cert_reqs=hunter2",
            "redis://r.example/0?cluster=hunter2",
            "redis://[hunter2/0",
            "hunter2 hunter2",
        ],
    )
    def test_what_is_refused_is_not_repeated(self, setting):
        with pytest.raises(ConfigurationError) as caught:
            find_server(setting, lambda conn_id: pytest.fail("it is no ID"))
        assert "hunter2" not in str(caught.value)

    def test_no_setting_is_none(self):
        assert find_server(None, lambda conn_id: pytest.fail("nothing is looked up")) is None

    def test_a_connection_of_the_provider_for_redis(self):
        extra = {
            "db": 2,
            "ssl": True,
            "ssl_ca_certs": "c.pem",
            "ssl_check_hostname": False,
            "cluster": "false",
        }
        found = redis_server(
            "r", conn_type="redis", host="h", port=None, login="u", password="hunter2", extra=extra
        )
        assert found == RedisServer(
            nodes=(("h", 6379),), db=2, username="u", password="hunter2", tls=True, ssl_ca_certs="c.pem",
            ssl_check_hostname=False,
        )  # fmt: skip
        assert "hunter2" not in repr(found)

    def test_nodes_of_a_cluster_and_of_sentinels(self):
        plain = {"conn_type": "redis", "host": None, "port": None, "login": None, "password": None}
        cluster = {"cluster": True, "startup_nodes": [{"host": "a", "port": 7}, {"host": "b"}]}
        watched = {"sentinel": "main", "sentinels": '["a:7", "b"]', "sentinel_password": "hunter2"}

        assert redis_server("r", **plain, extra=cluster).nodes == (("a", 7), ("b", 6379))
        found = redis_server("r", **plain, extra=watched)
        assert (found.nodes, found.sentinel_password) == ((("a", 7), ("b", 26379)), "hunter2")

    def test_another_connection_is_refused(self):
        with pytest.raises(ConfigurationError, match="not of type redis"):
            redis_server("r", conn_type="http", host="h", port=1, login=None, password=None, extra={})

    def test_the_environment(self):
        by_json = {"AIRFLOW_CONN_R": '{"conn_type": "redis", "host": "h", "password": "p"}'}
        by_url = {"WHATSAPP_PACE_REDIS_URL": "redis://:p@h/0"}
        assert server_from_environment("r", by_json) == server_from_environment("r", by_url)
        with pytest.raises(ConfigurationError, match="AIRFLOW_CONN_R"):
            server_from_environment("r", {})

    def test_the_configuration_chooses_the_limiter(self, folder):
        here = RedisServer(nodes=(("127.0.0.1", 1),))
        more = {"api_key": "key", "host": "http://127.0.0.1:9", "rate_limit": 7}
        by_redis = Transport(ClientConfig(**more, pace_redis=here, pace_share=0.5))._pacer
        assert isinstance(by_redis, RedisPacer)
        assert by_redis._alone.rate() == pytest.approx(3.5, rel=0.01)
        assert by_redis.rate() == pytest.approx(7, rel=0.03)
        assert isinstance(Transport(ClientConfig(**more))._pacer, Pacer)
        assert limiter("key", "h", 0, redis=here, share=0.1) is shared_pacer("key", "h", 0)

    @pytest.mark.parametrize("share", [0, -1, 1.5])
    def test_a_share_that_is_none(self, share):
        with pytest.raises(ConfigurationError, match="pace_share"):
            ClientConfig(api_key="key", pace_share=share)
