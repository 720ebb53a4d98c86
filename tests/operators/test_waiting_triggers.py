"""Triggers that wait for delivery, many in one event loop as a triggerer runs them."""

from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.events import receipts
from airflow_provider_whatsapp.events.kinds import Status
from airflow_provider_whatsapp.events.store import EventStore
from airflow_provider_whatsapp.hooks import event_store
from airflow_provider_whatsapp.triggers import delivery as module
from airflow_provider_whatsapp.triggers import polls
from airflow_provider_whatsapp.triggers.delivery import DeliveryTrigger
from tests.time_limits import timeout_after_a_poll


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Give an empty store that Airflow has a connection to."""
    made = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    made.create_or_upgrade()
    monkeypatch.setenv(
        "AIRFLOW_CONN_EVENTS", json.dumps({"conn_type": "sqlite", "host": f"{tmp_path}/events.db"})
    )
    yield made
    made.close()


def send_hash(number=0):
    return f"{number:022}"


def receipt(status, position=0, *, number=0, epoch=1):
    """Return a receipt of one message of a send."""
    named = ("recipient", "recipient_user_id", "error_code", "error_title", "error_details")
    priced = ("price_category", "price_type", "price_model", "billable")
    none = dict.fromkeys((*named, *priced))
    return Status(
        message_id=f"wamid.{number}.{position}.{epoch}",
        status=status,
        participant="",
        account_id="1",
        phone_number_id="2",
        occurred_at=datetime.now(UTC),
        callback_data=f"awp1.{send_hash(number)}.{epoch}.{position}",
        raw="{}",
        **none,
    )


def arrive(store, *found):
    store.write([(list(found), True)])


def trigger(number=0, *, target=1, seconds=30.0, interval=0.05, **options):
    usual = {"wait_for": "delivered", "events_conn_id": "events", "send_hash": send_hash(number)}
    return DeliveryTrigger(
        target=target, poke_interval=interval, end_time=time.time() + seconds, **{**usual, **options}
    )


async def event_of(waiting):
    return [event.payload async for event in waiting.run()][-1]


@pytest.fixture
def queries(monkeypatch):
    """Count the questions to the store; each entry is the number of sends that it asks for."""
    asked, count = [], receipts.count_receipts

    def counted(store, hashes, **options):
        hashes = list(hashes)
        asked.append(len(hashes))
        return count(store, hashes, **options)

    monkeypatch.setattr(receipts, "count_receipts", counted)
    return asked


async def until(condition):
    """Wait until something is so; bounded by the test's own time limit."""
    while not condition():  # noqa: ASYNC110  (threads count)
        await asyncio.sleep(0.01)


def test_a_thousand_triggers_share_one_query_and_one_look_up(store, queries, monkeypatch):
    looked_up, look_up = [], event_store.aevent_store_url

    async def counted(conn_id):
        looked_up.append(conn_id)
        return await look_up(conn_id)

    monkeypatch.setattr(event_store, "aevent_store_url", counted)

    async def run():
        waiting = [asyncio.create_task(event_of(trigger(number, interval=0.5))) for number in range(1_000)]
        await until(lambda: 1_000 in queries)
        await asyncio.to_thread(
            arrive, store, *(receipt("delivered", number=number) for number in range(1_000))
        )
        return await asyncio.gather(*waiting)

    began = time.monotonic()
    events = asyncio.run(run())

    assert {event["state"] for event in events} == {"settled"}
    assert looked_up == ["events"]
    assert len(queries) <= (time.monotonic() - began) / 0.5 + 1


SETTLED = {
    "sent": ("sent", ["sent"], True),
    "failed-is-sent": ("sent", ["failed"], True),
    "only-sent": ("delivered", ["sent"], False),
    "delivered": ("delivered", ["sent", "delivered"], True),
    "read-is-delivered": ("delivered", ["read"], True),
    "failed": ("delivered", ["failed"], True),
    "only-delivered": ("read", ["delivered"], False),
    "read": ("read", ["read"], True),
    "played": ("read", ["played"], True),
    "word": ("sent", ["flown"], False),
}


@pytest.mark.parametrize("case", SETTLED)
@pytest.mark.parametrize("by_id", [False, True], ids=["hash", "ids"])
def test_what_is_waited_for(store, case, by_id):
    wait_for, found, ends = SETTLED[case]
    arrive(store, *map(receipt, found))
    known = {"send_hash": "", "message_ids": ["wamid.0.0.1"]} if by_id else {}

    def made(seconds=30.0):
        return trigger(wait_for=wait_for, seconds=seconds, **known)

    event = asyncio.run(event_of(made())) if ends else timeout_after_a_poll(made)

    assert event["state"] == ("settled" if ends else "timeout")
    assert event["message"] == f"{int(ends)} of 1 are known"


def test_a_clear_that_sends_to_everybody_again_does_not_count_what_arrived_before(store):
    arrive(store, receipt("delivered", epoch=1))

    assert timeout_after_a_poll(lambda seconds: trigger(since=2, seconds=seconds))["state"] == "timeout"
    arrive(store, receipt("delivered", epoch=2))
    assert asyncio.run(event_of(trigger(since=2)))["state"] == "settled"


def test_a_store_that_goes_away_is_waited_for_and_said_once(store, monkeypatch, capfd, caplog):
    from airflow_provider_whatsapp.events.store import StoreError

    caplog.set_level("INFO")
    count, asked = receipts.count_receipts, []

    def away(*args, **options):
        asked.append(1)
        if len(asked) <= 3:
            raise StoreError("the event store does not answer: gone", permanent=True)
        return count(*args, **options)

    monkeypatch.setattr(receipts, "count_receipts", away)

    async def run():
        waiting = asyncio.create_task(event_of(trigger(interval=0.02)))
        await until(lambda: len(asked) >= 5)
        await asyncio.to_thread(arrive, store, receipt("delivered"))
        return await waiting

    assert asyncio.run(run())["state"] == "settled"
    written = capfd.readouterr()[0]
    for text in ("the task keeps waiting: the event store does not answer: gone", "can be read again"):
        assert max(written.count(text), caplog.text.count(text)) == 1


def test_a_connection_that_is_not_found_for_a_while_is_waited_for(store, monkeypatch, capfd, caplog):
    from airflow_provider_whatsapp.triggers import polls

    monkeypatch.setattr(polls, "FAILED_LIFE", 0.0)
    given = os.environ.pop("AIRFLOW_CONN_EVENTS")
    looked_up, look_up = [], event_store.aevent_store_url

    async def counted(conn_id):
        looked_up.append(conn_id)
        return await look_up(conn_id)

    monkeypatch.setattr(event_store, "aevent_store_url", counted)

    async def run():
        waiting, began = asyncio.create_task(event_of(trigger())), time.monotonic()
        await until(lambda: len(looked_up) >= 3)
        assert not waiting.done()
        assert len(looked_up) <= (time.monotonic() - began) / 0.05 + 1, "it pauses before each further look"
        os.environ["AIRFLOW_CONN_EVENTS"] = given
        await asyncio.to_thread(arrive, store, receipt("delivered"))
        return await waiting

    assert asyncio.run(run())["state"] == "settled"
    written = capfd.readouterr()[0]
    said = "the state of the messages cannot be read; the task keeps waiting"
    assert max(written.count(said), caplog.text.count(said)) == 1


def test_a_trigger_that_is_made_again_waits_for_the_same():
    first = trigger(message_ids=["wamid.HBgLMTU1NTAwMDExMTE"], since=3, not_before=5.0, phone_number_id="1")
    path, kwargs = first.serialize()

    assert path == "airflow_provider_whatsapp.triggers.delivery.DeliveryTrigger"
    assert DeliveryTrigger(**kwargs).serialize() == first.serialize()
    assert "HBgLMTU1NTAwMDExMTE" not in repr(first)


def test_the_first_poll_waits_for_its_time(store, queries):
    arrive(store, receipt("delivered"))

    event = asyncio.run(event_of(trigger(not_before=time.time() + 60, seconds=0.2)))

    assert (event["state"], queries) == ("timeout", [])


@pytest.mark.parametrize("here", [False, True], ids=["triggerer", "worker"])
def test_the_history_is_asked_for_what_has_not_arrived(sandbox, here):
    hook_client = sandbox.client()
    from airflow_provider_whatsapp.client.messages import Template

    ids = [
        hook_client.messages.send(f"+1555000000{n}", Template("hello_world", "en_US")).message_id
        for n in (1, 2)
    ]
    sandbox.clock.advance(60)
    waiting = trigger(
        send_hash="", events_conn_id=None, message_ids=ids, target=2, maton_conn_id="maton_whatsapp_default"
    )

    if here:
        waiting.wait_here(hook_client)
    else:
        assert asyncio.run(event_of(waiting))["state"] == "settled"

    assert len(sandbox.requests_to("message_history")) == 2
    hook_client.close()


class Clock:
    """In the place of ``time``: sleeping moves it, and what others do meanwhile comes with it."""

    def __init__(self, *meanwhile):
        self.now, self.slept, self.meanwhile = 1_000.0, [], list(meanwhile)

    def time(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.slept.append(seconds)
        if self.meanwhile:
            self.meanwhile.pop(0)()


def waiting_here(monkeypatch, clock, *, seconds=60.0, **options):
    """Return a trigger that a worker's thread waits by, and whose time is the clock's."""
    monkeypatch.setattr(module, "time", clock)
    usual = {"wait_for": "delivered", "events_conn_id": "events", "send_hash": send_hash(), "target": 1}
    return DeliveryTrigger(poke_interval=7.0, end_time=clock.now + seconds, **{**usual, **options})


@pytest.fixture
def closed(monkeypatch):
    """Note which stores are closed."""
    found, close = [], EventStore.close

    def noted(self):
        found.append(self)
        close(self)

    monkeypatch.setattr(EventStore, "close", noted)
    return found


def url_of(store):
    return store._engine.url


def test_a_thread_that_waits_looks_again_after_each_pause_and_lets_go_of_the_store(
    store, closed, monkeypatch
):
    clock = Clock(lambda: None, lambda: arrive(store, receipt("delivered")))
    waiting = waiting_here(monkeypatch, clock)

    assert waiting.wait_here(url_of(store)) is True
    assert clock.slept == [0.0, 7.0, 7.0][: len(clock.slept)] == [0.0, 7.0]
    assert len(closed) == 1


@pytest.mark.parametrize(
    ("not_before", "slept"),
    [(1_030.0, [30.0, 7.0, 7.0, 7.0, 7.0, 2.0]), (2_000.0, [60.0]), (5.0, [0.0, *[7.0] * 8, 4.0])],
)
def test_a_thread_s_first_look_has_its_time_and_the_wait_its_end(
    store, closed, queries, monkeypatch, not_before, slept
):
    clock = Clock()
    waiting = waiting_here(monkeypatch, clock, not_before=not_before)

    assert waiting.wait_here(url_of(store)) is False
    assert clock.slept == slept
    assert len(queries) == len(slept) - 1
    assert len(closed) == (1 if queries else 0)


@pytest.mark.parametrize("arrived", [False, True])
def test_a_thread_that_only_looks_does_not_wait(store, closed, monkeypatch, arrived):
    if arrived:
        arrive(store, receipt("delivered"))
    clock = Clock()

    assert waiting_here(monkeypatch, clock).wait_here(url_of(store), once=True) is arrived
    assert clock.slept == [0.0]
    assert len(closed) == 1


def test_a_thread_says_once_that_the_store_is_away_and_once_that_it_is_back(
    store, monkeypatch, caplog, capfd
):
    from airflow_provider_whatsapp.events.store import StoreError

    caplog.set_level("INFO")
    count, fails = receipts.count_receipts, [1, 1, 1]

    def unsteady(*args, **options):
        if fails:
            fails.pop()
            raise StoreError("the event store does not answer: gone")
        return count(*args, **options)

    monkeypatch.setattr(receipts, "count_receipts", unsteady)
    clock = Clock()

    assert waiting_here(monkeypatch, clock).wait_here(url_of(store)) is False
    written = capfd.readouterr()[0]
    for text in ("the task keeps waiting: the event store does not answer: gone", "can be read again"):
        assert max(written.count(text), caplog.text.count(text)) == 1


def test_whoever_waits_in_the_triggerer_lets_go_of_the_store(store, closed):
    arrive(store, receipt("delivered"))
    before = len(closed)

    assert asyncio.run(event_of(trigger()))["state"] == "settled"
    assert len(closed) == before + 1


def test_an_error_that_is_not_ours_is_said_by_its_kind_alone():
    """What a library says may hold the URL of a database with its password."""
    from airflow_provider_whatsapp.client.errors import NotSentError

    assert polls.said(ValueError("postgresql://user:secret@host")) == "ValueError"
    assert polls.said(NotSentError("no connection")).startswith("no connection")


def test_an_event_shows_no_error_that_is_not_ours(store, monkeypatch):
    """Airflow keeps and logs a trigger's event."""

    def broken(*_):
        raise ValueError("postgresql://user:s3cret@host")

    monkeypatch.setattr(module.StorePoll, "ask", broken)

    event = timeout_after_a_poll(lambda seconds: trigger(seconds=seconds))

    assert event == {"state": "timeout", "message": "ValueError"}


def test_one_poll_asks_for_each_send_and_each_message_once(store, monkeypatch):
    arrive(store, receipt("delivered"), receipt("read", number=1, epoch=2), receipt("sent", 5, number=2))
    asked, count = [], receipts.count_receipts

    def kept(store, hashes, *, since=None):
        asked.append((sorted(hashes), since))
        return count(store, hashes, since=since)

    monkeypatch.setattr(receipts, "count_receipts", kept)
    ids = ["wamid.0.0.1", "wamid.2.5.1", "wamid.9.9.9"]
    waiting = [
        trigger(0)._waiting(),
        trigger(0)._waiting(),
        trigger(1, since=2)._waiting(),
        trigger(1, since=1, target=2)._waiting(),
        trigger(send_hash="", message_ids=ids, target=2)._waiting(),
        trigger(send_hash="", message_ids=ids[:1])._waiting(),
    ]
    poll = module.StorePoll(url_of(store), 1.0)
    news = poll.ask(waiting)
    poll.close()

    assert asked == [([send_hash(0), send_hash(1)], {send_hash(1): 2})]
    assert [(waiting.index(each), item) for each, item in news] == [(n, "settled") for n in (0, 1, 2, 5)]
    assert [each.last for each in waiting] == [
        "1 of 1 are known",
        "1 of 1 are known",
        "1 of 1 are known",
        "1 of 2 are known",
        "1 of 2 are known",
        "1 of 1 are known",
    ]
    assert waiting[4].open_ids == ids[1:]


def test_one_look_into_the_history_asks_for_each_message_once():
    asked, far = [], {"a": "delivered", "b": "read", "c": "sent"}

    def status(name):
        asked.append(name)
        return {"status": far[name], "timestamp": None, "error": None}

    waiting = [
        trigger(send_hash="", message_ids=["a", "b"], target=2)._waiting(),
        trigger(send_hash="", message_ids=["b"])._waiting(),
        trigger(send_hash="", message_ids=["b", "c"], target=2)._waiting(),
    ]
    waiting[2].away = True
    client = SimpleNamespace(history=SimpleNamespace(status=status))
    news = module.HistoryPoll(client, 1.0).ask(waiting)

    assert asked == ["a", "b", "c"]
    assert [(waiting.index(each), item) for each, item in news] == [
        (0, "settled"),
        (1, "settled"),
        (2, "back"),
    ]
    assert [each.open_ids for each in waiting] == [[], [], ["c"]]


def test_without_ids_no_message_is_asked_for_one_by_one(store, monkeypatch):
    from airflow_provider_whatsapp.delivery import arrivals

    monkeypatch.setattr(arrivals, "arrivals_in_store", lambda *_: pytest.fail("nobody asks by an ID"))
    poll = module.StorePoll(url_of(store), 1.0)

    assert poll.ask([trigger(0)._waiting()]) == []
    poll.close()


def test_a_poll_that_has_asked_nothing_holds_no_store(closed):
    module.StorePoll("sqlite://", 1.0).close()

    assert closed == []


def test_a_trigger_knows_what_it_was_made_with():
    made = trigger(
        3, target=9, since=4, message_ids=("a",), not_before=2.0, maton_conn_id="m", phone_number_id="7"
    )

    _, kwargs = made.serialize()
    assert kwargs.pop("end_time") > time.time()
    assert kwargs == {
        "wait_for": "delivered",
        "target": 9,
        "poke_interval": 0.05,
        "not_before": 2.0,
        "events_conn_id": "events",
        "send_hash": send_hash(3),
        "since": 4,
        "message_ids": ["a"],
        "maton_conn_id": "m",
        "phone_number_id": "7",
    }
    assert made.trigger_id is None, "Airflow's own part was made too"
