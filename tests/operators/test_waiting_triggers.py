"""Triggers that wait for delivery, many in one event loop as a triggerer runs them."""

from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import UTC, datetime

import pytest

from airflow_provider_whatsapp.events import receipts
from airflow_provider_whatsapp.events.kinds import Status
from airflow_provider_whatsapp.events.store import EventStore
from airflow_provider_whatsapp.hooks import event_store
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
    for text in ("the task waits on: the event store does not answer: gone", "can be asked again"):
        assert max(written.count(text), caplog.text.count(text)) == 1


def test_a_connection_that_is_not_found_for_a_while_is_waited_for(store, monkeypatch):
    from airflow_provider_whatsapp.triggers import polls

    monkeypatch.setattr(polls, "FAILED_LIFE", 0.0)
    given = os.environ.pop("AIRFLOW_CONN_EVENTS")

    async def run():
        waiting = asyncio.create_task(event_of(trigger()))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        os.environ["AIRFLOW_CONN_EVENTS"] = given
        await asyncio.to_thread(arrive, store, receipt("delivered"))
        return await waiting

    assert asyncio.run(run())["state"] == "settled"


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
