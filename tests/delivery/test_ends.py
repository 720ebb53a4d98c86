"""How a delivery ends that cannot go on: what had no permit is unclaimed, what came back is written or named."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import Counter

import pytest

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.rate_limit import Pacer
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.delivery import book
from airflow_provider_whatsapp.delivery.engine import Delivery, Rules
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, SourceChangedError, Try
from airflow_provider_whatsapp.delivery.recipients import Recipients
from airflow_provider_whatsapp.delivery.report import Report
from airflow_provider_whatsapp.delivery.stores import FileStore, LedgerError, StateStore
from tests.time_limits import ends


def reached(sandbox):
    return Counter(message["to"] for message in sandbox.messages)


class Permits:
    """Lets so many messages go, and everybody else wait until they are stopped."""

    def __init__(self, count):
        self.left, self.all_wait = count, threading.Event()
        self._lock = threading.Lock()

    def __call__(self, stop):
        with self._lock:
            self.left -= 1
            if self.left >= 0:
                return "go"
        self.all_wait.set()
        stop.wait()
        return None


def sending(client):
    return lambda to, message, permit: client.messages.send(to, message)


def test_whoever_waits_for_the_pace_is_unclaimed_when_the_task_is_stopped(
    deliver, client, sandbox, store, people
):
    permits, made = Permits(10), []

    def stop():
        permits.all_wait.wait()
        made[0].stop()

    threading.Thread(target=stop).start()
    first = deliver(people(100), permit=permits, send=sending(client), stop=made.append)

    assert (first.count("sent"), first.count("unknown")) == (10, 0)
    assert store.get("head")["claimed"] == []
    second = deliver(people(100), number=2)
    assert (second.count("sent"), second.count("unknown")) == (100, 0)
    assert reached(sandbox) == dict.fromkeys(people(100), 1)


class TaskTimeout(BaseException):
    """Like Airflow's: raised by a signal in the main thread, wherever that is."""


@pytest.fixture
def time_out():
    """Raise a time-out in this thread as soon as a condition holds; returns the thread that waits for it."""

    def arm(condition):
        def wait():
            condition()
            signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)

        threading.Thread(target=wait, daemon=True).start()

    def strike(*_):
        raise TaskTimeout

    before = signal.signal(signal.SIGALRM, strike)
    yield arm
    signal.signal(signal.SIGALRM, before)


def test_a_time_out_while_all_wait_for_the_pace_leaves_nobody_unknown(
    deliver, client, sandbox, store, people, time_out
):
    permits, told = Permits(10), []
    time_out(permits.all_wait.wait)
    with pytest.raises(TaskTimeout):
        deliver(
            people(100), permit=permits, send=sending(client), take=lambda row, outcome: told.append(outcome)
        )

    assert store.get("head")["claimed"] == []
    assert Counter(outcome.status for outcome in told) == {"sent": 10, "skipped": 90}
    second = deliver(people(100), number=2)
    assert (second.count("sent"), second.count("unknown")) == (100, 0)
    assert reached(sandbox) == dict.fromkeys(people(100), 1)


class HangingStore:
    """Takes its time with the n-th write, and says when it is at it."""

    name, durable, exclusive = "a slow store", True, True

    def __init__(self, inner, count):
        self.inner, self.count, self.reached, self.go_on = inner, count, threading.Event(), threading.Event()

    def get(self, key):
        return self.inner.get(key)

    def set(self, key, value):
        self.count -= 1
        if not self.count:
            self.reached.set()
            self.go_on.wait(60)
        self.inner.set(key, value)


def one_try(store, people, number=1, **options):
    """Deliver without a network; return the report or what it ended with, and who was sent to."""
    sent = Counter()

    def send(to, message, permit=None):
        sent[to] += 1
        return SentMessage(message_id="wamid", wa_id=to, to=to)

    recipients = options.pop("recipients", None) or Recipients(people)
    survey = recipients.survey()
    ledger = Ledger(store, pauses=())
    ledger.begin(Job(survey.digest, "message", survey.total), Try(number))
    options.setdefault("rules", Rules(threads=4))
    delivery = Delivery(ledger, lambda row: Text("hello"), options.pop("send", send), **options)
    try:
        with ends(delivery):
            return delivery.run(recipients, Report()), sent
    except (LedgerError, TaskTimeout) as error:
        return error, sent


def test_a_time_out_in_the_middle_of_a_write_cuts_no_write_in_two(store, people, time_out):
    hanging = HangingStore(store, 4)

    def wait():
        hanging.reached.wait()
        threading.Timer(0.2, hanging.go_on.set).start()

    time_out(wait)
    ended, sent = one_try(hanging, people(60))

    assert isinstance(ended, TaskTimeout)
    assert store.get("head")["claimed"] == []
    report, more = one_try(store, people(60), number=2)
    assert (report.count("sent"), report.count("unknown")) == (60, 0)
    assert sent + more == dict.fromkeys(people(60), 1)


class AwayStore(HangingStore):
    """Cannot be written for some writes from the n-th on."""

    def __init__(self, inner, count, writes):
        super().__init__(inner, count)
        self.away = range(count, count + writes)
        self.writes = 0

    def set(self, key, value):
        self.writes += 1
        if self.writes in self.away:
            raise OSError("away")
        self.inner.set(key, value)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(book, "PAUSES", (0.01,))


def test_answers_wait_for_a_store_that_is_away_and_nothing_new_is_sent(store, people, quick, caplog):
    caplog.set_level(logging.INFO)
    away, sent_while_away, claimed_before = AwayStore(store, 4, 12), [], set()
    written = away.set

    def watched(key, value):
        try:
            written(key, value)
        except OSError:
            sent_while_away.append(dict(sent))
            raise
        if not sent_while_away:
            claimed_before.update(people(60)[place] for place in value["claimed"])

    away.set = watched
    sent = Counter()

    def send(to, message):
        sent[to] += 1
        return SentMessage(message_id="wamid", wa_id=to, to=to)

    report, _ = one_try(away, people(60), send=send)

    assert report.count("sent") == 60
    assert sent == dict.fromkeys(people(60), 1)
    assert len(sent_while_away) == 12
    assert set(sent_while_away[-1]) <= claimed_before, "nobody but those who were claimed before"
    assert "Nothing new is sent until the ledger is back" in caplog.text
    assert "The ledger is back" in caplog.text


def test_a_store_that_stays_away_ends_the_task_which_says_what_it_could_not_write(
    store, people, quick, caplog
):
    ended, sent = one_try(AwayStore(store, 4, 10_000), people(60), rules=Rules(threads=4, away=0.05))

    assert isinstance(ended, LedgerError)
    assert not ended.permanent
    assert "A later try counts as unknown:" in caplog.text
    report, more = one_try(store, people(60), number=2)
    assert max((sent + more).values()) == 1
    assert report.count("sent") + report.count("unknown") == 60
    assert report.count("unknown") <= 8


class Superseded:
    """Airflow's store for a try whose task was cleared in the middle: the API server knows its ID no more."""

    def __init__(self, good):
        self.values, self.good, self.writes = {}, good, 0

    def get(self, key):
        return self.values.get(key)

    def set(self, key, value, retention):
        self.writes += 1
        if self.writes > self.good:
            error = RuntimeError("API_SERVER_ERROR")
            error.error = type(
                "ErrorResponse", (), {"detail": {"status_code": 404, "message": "Not Found"}}
            )()
            raise error
        self.values[key] = value


def test_a_task_that_lost_its_right_to_write_stops_at_once_and_says_so(people, caplog):
    accessor = Superseded(good=3)
    ended, sent = one_try(StateStore(accessor), people(60))

    assert isinstance(ended, LedgerError)
    assert ended.permanent
    assert "no longer the task's current one" in str(ended)
    assert "A later try counts as unknown:" in caplog.text
    assert accessor.writes <= 5, "it is tried once more at the end, and not for minutes"
    accessor.good = 10_000
    report, more = one_try(StateStore(accessor), people(60), number=2)
    assert max((sent + more).values()) == 1
    assert report.count("sent") + report.count("unknown") == 60


@pytest.mark.parametrize("kind", ["other order", "shorter"])
def test_a_list_that_is_rewritten_while_it_is_sent_stops_the_delivery(store, tmp_path, people, kind):
    path = tmp_path / "people.csv"
    numbers = people(2000)
    path.write_text("to\n" + "\n".join(numbers))
    told = []

    def take(row, outcome):
        told.append((row.to, outcome.status))
        if len(told) == 60:
            rewritten = numbers[::-1] if kind == "other order" else numbers[:-500]
            path.write_text("to\n" + "\n".join(rewritten))

    report, sent = one_try(store, None, recipients=Recipients(path), take=take)

    assert isinstance(report.stopped, SourceChangedError)
    assert f"({report.total} of 2000 recipients had been read)" in str(report.stopped)
    assert {to for to, status in told if status == "sent"} == set(sent)
    assert len(told) == report.total
    path.write_text("to\n" + "\n".join(numbers))
    second, more = one_try(store, None, number=2, recipients=Recipients(path))
    assert second.count("sent") == 2000
    assert sent + more == dict.fromkeys(numbers, 1)


def test_at_a_rate_no_more_is_claimed_than_leaves_within_the_window(tmp_path, people):
    """And the writes of a second are few, for each costs one on a disk, in a bucket or in Airflow's database."""
    sizes = []

    class Watched(FileStore):
        def set(self, key, value):
            super().set(key, value)
            if key.endswith("head"):
                sizes.append(len(value["claimed"]))

    pacer = Pacer(40)

    def send(to, message, permit):
        permit.left()
        time.sleep(0.01)
        return SentMessage(message_id="wamid", wa_id=to, to=to)

    report, _ = one_try(
        Watched(tmp_path),
        people(80),
        send=send,
        permit=lambda stop: pacer.acquire(stop=stop),
        rules=Rules(threads=32, rate=40),
    )

    assert report.count("sent") == 80
    assert max(sizes) <= 40 * 0.3 + 8, "a window, and what is on the wire"
    assert len(sizes) <= 2 + 80 / 40 / 0.25


def test_a_rate_limiter_whose_settings_are_wrong_ends_the_delivery(tmp_path, people):
    """Its threads go on, nobody is sent to, and the report says why."""

    def permit(stop):
        raise ConfigurationError("Redis refuses this connection", advice="Check its password.")

    report, _ = one_try(
        FileStore(tmp_path), people(3), send=lambda *_, **__: pytest.fail("it has no permit"), permit=permit
    )

    assert report.count("sent") == 0
    assert "Redis refuses" in str(report.stopped)


def test_a_task_whose_supervisor_has_died_does_not_wait_for_its_store(people, monkeypatch):
    """Nobody answers it any more, and Airflow starts the next try; before, every failure is one of the store's."""

    class Deaf(Superseded):
        def set(self, key, value, retention):
            self.writes += 1
            if self.writes > self.good:
                raise EOFError("Request socket closed before length")
            self.values[key] = value

    store = StateStore(Deaf(good=3))
    monkeypatch.setattr("os.getppid", lambda: 1)
    ended, sent = one_try(store, people(1000))

    assert isinstance(ended, LedgerError)
    assert ended.permanent
    assert "supervises this task has died" in str(ended)
    assert len(sent) < 1000
