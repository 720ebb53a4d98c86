"""How far single messages got: the event store is asked before the message history, and may be away."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.client.errors import (
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.events.receipts import Receipt
from airflow_provider_whatsapp.events.store import StoreError
from airflow_provider_whatsapp.hooks.receipts_first import ReceiptsFirst
from airflow_provider_whatsapp.sensors.messages import MessageStatusSensor
from airflow_provider_whatsapp.triggers.messages import MessageStatusTrigger, _Messages, _sources

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
ACCEPTED = {"status": "accepted", "timestamp": None, "error": None}


def receipt(status, **fields):
    names = ("send_hash", "epoch", "position", "recipient")
    return Receipt(**dict.fromkeys(names), message_id="wamid.A", status=status, verified=False, **fields)


FACTS = {
    "delivered": (receipt("delivered", delivered_at=AT), ("delivered", AT.isoformat(), None)),
    "accepted": (receipt("accepted"), ("accepted", None, None)),
    "failed": (
        receipt("failed", failed_at=AT, error_code=131047, error_title="Re-engagement message"),
        ("failed", AT.isoformat(), "(#131047) Re-engagement message"),
    ),
    "failed without a reason": (receipt("failed"), ("failed", None, "no reason was given")),
}


@pytest.mark.parametrize(("found", "fact"), FACTS.values(), ids=list(FACTS))
def test_a_receipt_says_it_in_the_history_s_words_and_the_history_is_not_asked(found, fact):
    status_of = ReceiptsFirst(lambda name: 1 / 0, lambda names: {"wamid.A": found})

    assert tuple(status_of("wamid.A").values()) == fact


def test_several_are_looked_up_at_once_and_a_second_look_asks_again():
    asked = []

    def find(names):
        asked.append(list(names))
        return {"wamid.A": receipt("sent")}

    status_of = ReceiptsFirst(lambda name: {"status": "read"}, find)
    status_of.load(["wamid.A", "wamid.B"])
    said = [status_of(name)["status"] for name in ("wamid.A", "wamid.B", "wamid.A")]

    assert (said, asked) == (["sent", "read", "sent"], [["wamid.A", "wamid.B"], ["wamid.A"]])


CLOSED = [PermissionDeniedError("x"), InvalidRequestError("x"), NotFoundError("x", http_status=404)]
PASSING = [NotFoundError("the history knows no such message"), RateLimitError("x")]


@pytest.mark.parametrize("error", [*CLOSED, *PASSING], ids=lambda error: f"{type(error).__name__}-{error}")
def test_with_a_store_a_closed_history_is_asked_once_and_the_message_counts_as_accepted(error):
    asked = []

    def history(name):
        asked.append(name)
        raise error

    with_store, without = ReceiptsFirst(history, lambda names: {}), ReceiptsFirst(history, None)
    if error in CLOSED:
        assert [with_store("wamid.A"), with_store("wamid.A"), asked] == [ACCEPTED, ACCEPTED, ["wamid.A"]]
    else:
        with pytest.raises(type(error)):
            with_store("wamid.A")
    with pytest.raises(type(error)):
        without("wamid.A")


def test_a_store_that_is_away_costs_one_line_until_it_is_back(caplog):
    gone = StoreError("the event store does not answer")
    answers = [gone, StoreError("x"), None, ValueError("s3cret")]

    def find(names):
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return {}

    status_of = ReceiptsFirst(lambda name: {"status": "sent"}, find)
    said = [status_of("wamid.A")["status"] for _ in range(4)]

    assert said == ["sent"] * 4
    assert caplog.messages == [
        f"WhatsApp: receipts could not be looked up: {gone}",
        "WhatsApp: receipts could not be looked up: ValueError",
    ]


@pytest.fixture
def message_id(sandbox, whatsapp_events):
    """Send a message whose history is closed to everybody."""
    sandbox.reply("+15550001111", "Hello")
    with sandbox.client() as client:
        sent = client.messages.send("+15550001111", Text("hello")).message_id
    sandbox.fail_next("status", status=403, times=50, path="message_history")
    return sent


def sensor(message_id, **options):
    return MessageStatusSensor(task_id="wait", message_ids=[message_id], deferrable=False, **options)


def test_the_sensor_reads_the_store_first(sandbox, whatsapp_events, message_id, monkeypatch):
    assert not sensor(message_id).poke({}).is_done
    whatsapp_events.deliver(60)
    found = sensor(message_id, status="read").poke({})

    assert (found.is_done, found.xcom_value[message_id]["status"]) == (True, "read")
    monkeypatch.delenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID")
    with pytest.raises(AirflowFailException, match="WhatsApp's message history is closed"):
        sensor(message_id).poke({})


def test_the_sensor_asks_the_store_once_for_all_its_messages(sandbox, monkeypatch):
    asked = []

    def find(names):
        asked.append(list(names))
        return dict.fromkeys(names, receipt("delivered", delivered_at=AT))

    store = ReceiptsFirst(lambda name: 1 / 0, find)
    monkeypatch.setattr(
        "airflow_provider_whatsapp.hooks.receipts_first.receipts_first", lambda history: store
    )
    names = ["wamid.A", "wamid.B", "wamid.C"]

    assert MessageStatusSensor(task_id="wait", message_ids=names, deferrable=False).poke({}).is_done
    assert asked == [names]


def test_the_sensor_s_trigger_reads_the_store_first(sandbox, whatsapp_events, message_id):
    trigger = MessageStatusTrigger(
        message_ids=[message_id],
        status="delivered",
        maton_conn_id="maton_whatsapp_default",
        phone_number_id=None,
        poke_interval=0.1,
        end_time=time.time() + 60,
        events_conn_id="whatsapp_events",
    )
    whatsapp_events.deliver(60)

    async def first():
        return await anext(trigger.run())

    event = asyncio.run(first())
    assert (event.payload["state"], event.payload["statuses"][message_id]["status"]) == ("reached", "read")


def test_triggers_that_share_a_poll_ask_the_store_once(monkeypatch):
    asked = []

    def look_up(url, names):
        asked.append((url, list(names)))
        return {"wamid.A": receipt("delivered", delivered_at=AT)}

    monkeypatch.setattr("airflow_provider_whatsapp.hooks.receipts_first.receipts_in", look_up)
    names = (["wamid.A", "wamid.B"], ["wamid.B", "wamid.C"])
    waiting = [_Messages(each, "delivered", url="sqlite://") for each in names]
    (status_of,) = _sources(waiting, lambda name: ACCEPTED).values()

    statuses = [status_of(name)["status"] for name in ("wamid.A", "wamid.B", "wamid.C")]

    assert statuses == ["delivered", "accepted", "accepted"]
    assert asked == [("sqlite://", ["wamid.A", "wamid.B", "wamid.C"])]
