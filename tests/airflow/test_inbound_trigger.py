# ruff: noqa: ASYNC110  (threads and databases are waited for, which set no event)
"""The trigger for messages of people: at least once, in order, over restarts and while the store is away."""

from __future__ import annotations

import asyncio
import contextlib
import json
from functools import partial

import pytest

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.events.inbox import Found, Inbox
from airflow_provider_whatsapp.events.store import EventStore
from airflow_provider_whatsapp.triggers import inbound as module
from airflow_provider_whatsapp.triggers.messages import InboundMessageTrigger
from airflow_provider_whatsapp.triggers.templates import TemplateStatusTrigger
from tests.events.bodies import body, change
from tests.events.bodies import text as reply
from tests.events.test_store import write


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "CONFIRM_SECONDS", 0.2)


@pytest.fixture
def path(monkeypatch, tmp_path):
    path = tmp_path / "events.db"
    monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", "events")
    monkeypatch.setenv("AIRFLOW_CONN_EVENTS", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    return path


@pytest.fixture
def store(path):
    made = EventStore.open(f"sqlite:///{path}")
    made.create_or_upgrade()
    yield made
    made.close()


def say(store, *names, said="Yes", verified=True):
    write(store, body(change(messages=[reply(name, said) for name in names])), verified=verified)


def trigger(**arguments):
    return InboundMessageTrigger(poke_interval=0.1, **arguments)


@pytest.mark.parametrize(
    "made",
    [InboundMessageTrigger, partial(TemplateStatusTrigger, template_name="sale")],
    ids=["inbound", "template"],
)
def test_the_triggerer_finds_what_it_keeps_of_each_trigger(made):
    made = made()

    assert (made.trigger_id, made.task_instance) == (None, None)


class Running:
    """A trigger that runs as in a triggerer, and the messages of its events."""

    def __init__(self, trigger):
        self.trigger = trigger
        self.seen = []

    async def __aenter__(self):
        self.task = asyncio.create_task(self._run())
        return self

    async def _run(self):
        async for event in self.trigger.run():
            assert "1555" not in repr(event)
            self.seen.append(event.payload["message_id"])

    async def saw(self, *names):
        while len(self.seen) < len(names):
            await asyncio.sleep(0.02)
        assert self.seen == list(names)

    async def __aexit__(self, *_):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


async def positions(store, count):
    """Wait until the store holds the positions of so many readers, and return them."""
    from sqlalchemy import select

    from airflow_provider_whatsapp.events.tables import cursors

    while True:
        with store.reading() as connection:
            found = list(connection.execute(select(cursors.c.position)).scalars())
        if len(found) == count:
            return found
        await asyncio.sleep(0.02)


async def last(store):
    """Return the number of the newest message."""
    from sqlalchemy import func, select

    from airflow_provider_whatsapp.events.tables import messages

    with store.reading() as connection:
        return connection.execute(select(func.max(messages.c.id))).scalar()


async def written(store, position):
    while await positions(store, 1) != [position]:
        await asyncio.sleep(0.02)


def test_a_restart_neither_loses_nor_repeats_what_was_confirmed(store):
    async def run():
        say(store, "old")
        async with Running(trigger()) as first:
            await positions(store, 1)  # it has begun
            say(store, "a", "b")
            await first.saw("a", "b")
            await written(store, 3)
            say(store, "c")
            await first.saw("a", "b", "c")
        say(store, "d")  # nobody watches
        async with Running(trigger()) as second:
            # c made its event a moment before the end: Airflow may not have stored it.
            await second.saw("c", "d")
            await written(store, 5)
        async with Running(trigger()) as third:
            say(store, "e")
            await third.saw("e")

    asyncio.run(run())
    assert module._SharedStore._open == {}


def test_a_store_that_is_away_is_waited_for(path, tmp_path, capsys):
    """Its file has no tables at first, and is moved away later."""

    async def run():
        async with Running(trigger()) as watching:
            while "has no event tables" not in capsys.readouterr().out:
                await asyncio.sleep(0.05)
            made = EventStore.open(f"sqlite:///{path}")
            made.create_or_upgrade()
            await positions(made, 1)
            say(made, "a")
            await watching.saw("a")
            with made.writing() as connection:
                connection.exec_driver_sql("ALTER TABLE whatsapp_messages RENAME TO gone")
            await asyncio.sleep(0.3)
            with made.writing() as connection:
                connection.exec_driver_sql("ALTER TABLE gone RENAME TO whatsapp_messages")
            say(made, "b")
            await watching.saw("a", "b")
            made.close()

    asyncio.run(run())


def test_a_store_that_is_not_set_up_is_said(monkeypatch, capsys):
    monkeypatch.delenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", raising=False)

    async def run():
        async with Running(trigger()):
            while "Set [whatsapp] events_conn_id" not in capsys.readouterr().out:
                await asyncio.sleep(0.05)

    asyncio.run(run())


def test_what_is_not_signed_makes_no_event_unless_that_is_allowed(store, capsys):
    async def run():
        async with Running(trigger()) as strict, Running(trigger(verified_only=False)) as all_:
            await positions(store, 2)
            say(store, "forged", verified=False)
            say(store, "signed")
            await strict.saw("signed")
            await all_.saw("forged", "signed")

    asyncio.run(run())
    assert "1 messages match, but make no event" in capsys.readouterr().out


def test_a_flood_of_forged_messages_is_one_line_of_the_log(store, capsys):
    async def run():
        async with Running(trigger()) as strict:
            await positions(store, 1)
            for count in (1, 2, 10, 100):
                say(store, *(f"forged-{count}-{number}" for number in range(count)), verified=False)
                await written(store, await last(store))
            say(store, "signed")
            await strict.saw("signed")

    asyncio.run(run())
    assert capsys.readouterr().out.count("match, but make no event") == 1


def test_filters_reach_the_store(store):
    async def run():
        chosen = trigger(kind="text", keyword=["late"], sender="+1 555 010 0123")
        async with Running(chosen) as watching:
            await positions(store, 1)
            say(store, "a", said="no")
            say(store, "b", said="Late!")
            await watching.saw("b")

    asyncio.run(run())


REFUSED = {
    "kind": ({"kind": []}, "kind"),
    "text": ({"keyword": ""}, "keyword"),
    "number": ({"payload": 5}, "payload"),
    "punctuation": ({"keyword": "!!"}, "keyword"),
    "sender": ({"sender": "tomorrow"}, "to: "),
    "include": ({"include": ["everything"]}, "include: 'everything'"),
    "consumer": ({"consumer": "a/b"}, "consumer"),
    "no consumer": ({"consumer": ""}, "consumer"),
    "interval": ({"poke_interval": 0}, "poke_interval"),
    "nan": ({"poke_interval": float("nan")}, "poke_interval"),
}


@pytest.mark.parametrize(("arguments", "complaint"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_with_it_fails_where_the_dag_is_written(arguments, complaint):
    with pytest.raises(WhatsAppError, match=complaint):
        InboundMessageTrigger(**arguments)


def test_it_pauses_before_it_reads_a_store_without_news_again(store, monkeypatch):
    class Ended(BaseException):
        pass

    async def pause(seconds):
        pauses.append(seconds)

    def read(self, position):
        if len(reads) == 2:
            raise Ended
        reads.append(position)
        return Found(position)

    async def run():
        async for _ in InboundMessageTrigger(poke_interval=7.5).run():
            pass

    pauses, reads = [], []
    monkeypatch.setattr(Inbox, "read", read)
    monkeypatch.setattr(asyncio, "sleep", pause)
    with pytest.raises(Ended):
        asyncio.run(run())

    assert pauses == [7.5, 7.5]


def test_the_last_trigger_that_leaves_closes_the_store_that_they_shared(store, path, monkeypatch):
    closed = []

    def close(store):
        closed.append(store)

    monkeypatch.setattr(EventStore, "close", close)
    first, second = (module._SharedStore.open(f"sqlite:///{path}") for _ in range(2))
    first.release()
    assert (first is second, closed) == (True, [])
    second.release()

    assert closed == [first.store]


def test_it_is_made_again_from_what_airflow_stores():
    given = {"sender": "+15550100123", "reply_to": ["wamid.HBgLMTU1NTAxMDAxMjMVAgARGBI"], "keyword": "late"}
    made = InboundMessageTrigger(**given, include=["text"], consumer="prod")
    classpath, kwargs = made.serialize()

    assert json.loads(json.dumps(kwargs)) == kwargs
    again = InboundMessageTrigger(**kwargs)
    assert again.serialize() == (classpath, kwargs)
    assert made.hash(classpath, kwargs) == again.hash(*again.serialize())
    assert "15550100123" not in repr(made)
    assert given["reply_to"][0] not in repr(made)
