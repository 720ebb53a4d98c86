"""Triggers in one event loop, as a triggerer runs them, against the sandbox."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from airflow_provider_whatsapp.client.errors import NotSentError, RateLimitError
from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
from airflow_provider_whatsapp.triggers import polls
from airflow_provider_whatsapp.triggers.messages import MessageStatusTrigger
from airflow_provider_whatsapp.triggers.polls import Account, subscription
from airflow_provider_whatsapp.triggers.templates import (
    TemplateApprovalTrigger,
    TemplatePoll,
    TemplateStatusTrigger,
    _Approval,
)
from tests.time_limits import timeout_after_a_poll

CONN = "maton_whatsapp_default"


@pytest.fixture(autouse=True)
def templates(sandbox):
    """Two templates that wait for their review."""
    for name in ("first", "second"):
        _put(sandbox, name)


def _put(sandbox, name, status="PENDING", **more):
    body = [{"type": "BODY", "text": "Hello."}]
    sandbox.control("PUT", "templates", name=name, language="en_US", status=status, components=body, **more)


def approval(*names, seconds=20.0, interval=0.1, **options):
    wanted = [[name, "en_US", None] for name in names]
    usual = {"maton_conn_id": CONN, "waba_id": None, "poke_interval": interval}
    return TemplateApprovalTrigger(wanted=wanted, end_time=time.time() + seconds, **{**usual, **options})


async def event_of(trigger):
    return [event.payload async for event in trigger.run()][-1]


def approve(sandbox, *names, status="APPROVED", **fields):
    for name in names:
        sandbox.control("POST", "templates", name=name, language="en_US", status=status, **fields)


def lists(sandbox):
    return len(sandbox.requests_to("message_templates"))


async def polled(sandbox, times):
    """Wait until the sandbox was asked so often; bounded by the test's own time limit."""
    while await asyncio.to_thread(lists, sandbox) < times:  # noqa: ASYNC110  (another process counts)
        await asyncio.sleep(0.02)


def test_many_triggers_share_polls_and_one_look_up(sandbox, monkeypatch):
    looked_up = []
    from airflow_provider_whatsapp.hooks import maton_whatsapp

    aclient = maton_whatsapp.MatonWhatsAppHook.aclient

    async def counted(self):
        looked_up.append(self.maton_conn_id)
        return await aclient(self)

    monkeypatch.setattr(maton_whatsapp.MatonWhatsAppHook, "aclient", counted)

    async def run():
        waiting = [asyncio.create_task(event_of(approval(name))) for name in ("first", "second") * 50]
        await polled(sandbox, 3)
        await asyncio.to_thread(approve, sandbox, "first")
        events = await asyncio.gather(*waiting[::2])
        assert {event["state"] for event in events} == {"approved"}
        assert not any(task.done() for task in waiting[1::2])
        await asyncio.to_thread(approve, sandbox, "second", status="REJECTED", rejected_reason="SCAM")
        return await asyncio.gather(*waiting[1::2])

    began = time.monotonic()
    events = asyncio.run(run())
    assert {event["state"] for event in events} == {"refused"}
    assert "SCAM" in events[0]["message"]
    assert len(looked_up) == 1
    assert lists(sandbox) <= (time.monotonic() - began) / 0.1 + 1


def test_no_import_holds_up_a_triggerer_s_loop(sandbox, whatsapp_events):
    """The client takes a tenth of a second to import, and the triggerer warns of a loop that stood still so long."""
    sandbox.reply("+15550001111", "Hello")
    message_id = MatonWhatsAppHook().send_text("+15550001111", "Hello").message_id
    sandbox.clock.advance(60)
    command = [sys.executable, Path(__file__).with_name("imports_in_the_loop.py"), message_id]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"ends"')]

    triggers, alert = found
    ends = ["approved", "ready", "reached", "settled", "settled"]
    assert triggers["ends"] == ends, (triggers, done.stderr[-3000:])
    assert alert["ends"] == ["sent"], alert
    ours = ("airflow_provider_whatsapp.client.", "airflow_provider_whatsapp.events.")
    others = {"requests", "urllib3", "sqlalchemy", "attr", "phonenumbers"}
    names = triggers["imports"] + alert["imports"]
    assert [name for name in names if name.startswith(ours) or name.partition(".")[0] in others] == []


@pytest.mark.parametrize("error", [TimeoutError("no answer"), OSError("away")], ids=["slow", "away"])
def test_a_connection_that_cannot_be_looked_up_is_an_error_and_not_the_end_of_the_time(monkeypatch, error):
    async def look_up(self):
        raise error

    monkeypatch.setattr(Account, "look_up", look_up)
    event = asyncio.run(event_of(approval("first", seconds=600)))

    assert (event["state"], event["message"]) == ("error", str(error))


def test_two_connections_to_one_account_share_its_polls(sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SAME", os.environ["AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"])

    async def run():
        waiting = [
            asyncio.create_task(event_of(approval("first", interval=3600, maton_conn_id=name)))
            for name in (CONN, "same", CONN, "same")
        ]
        await polled(sandbox, 1)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(run())
    assert lists(sandbox) == 1


def test_those_who_come_and_go_do_not_poll_more_often(sandbox):
    async def run():
        for _ in range(5):
            event = await event_of(approval("first", interval=3600, seconds=0.5))
            assert event["state"] == "timeout"

    asyncio.run(run())
    assert lists(sandbox) == 1


def test_one_name_is_asked_for_by_name(sandbox):
    timeout_after_a_poll(lambda seconds: approval("first", seconds=seconds))

    assert {
        parse_qs(request["query"])["name"][0] for request in sandbox.requests_to("message_templates")
    } == {"first"}


def test_a_lost_gateway_is_waited_out_with_longer_pauses(sandbox):
    sandbox.fail_next("status", status=503, times=3, path="message_templates")
    sandbox.fail_next("drop_before", times=2, path="message_templates")

    async def run():
        waiting = asyncio.create_task(event_of(approval("first")))
        await polled(sandbox, 6)
        await asyncio.to_thread(approve, sandbox, "first")
        return await waiting

    assert asyncio.run(run())["state"] == "approved"


def test_pauses_grow_and_heed_what_the_gateway_asks(sandbox):
    poll = TemplatePoll(client=None, interval=60)
    lost = NotSentError("no connection")

    assert [poll._back_off(failures, lost) for failures in (1, 2, 3, 4, 9)] == [120, 240, 480, 480, 480]
    assert poll._back_off(1, RateLimitError("slower", retry_after=1000)) == 1000


def test_a_refusal_of_the_account_ends_the_wait(sandbox, change_connection):
    change_connection(password="wrong-key-12345")

    event = asyncio.run(event_of(approval("first")))
    assert event["state"] == "error"
    assert "API key" in event["message"]


def test_a_connection_that_is_not_there(sandbox):
    event = asyncio.run(event_of(approval("first", maton_conn_id="nowhere")))
    assert event["state"] == "error"
    assert "nowhere" in event["message"]


def test_the_time_that_is_over_is_told_with_the_last_state(sandbox):
    event = timeout_after_a_poll(lambda seconds: approval("first", "second", seconds=seconds))
    assert "first (en_US) is PENDING" in event["message"]


def test_a_trigger_made_again_waits_on(sandbox):
    """After a restart Airflow makes it from what it stored; older versions stored lists of two and fewer arguments."""
    approve(sandbox, "first")
    path, kwargs = approval("first").serialize()
    assert path == "airflow_provider_whatsapp.triggers.templates.TemplateApprovalTrigger"
    assert (
        asyncio.run(event_of(TemplateApprovalTrigger(**json.loads(json.dumps(kwargs)))))["state"]
        == "approved"
    )
    old = {**kwargs, "wanted": [["first", "en_US"]]}
    old.pop("fail_on_drift")
    assert asyncio.run(event_of(TemplateApprovalTrigger(**old)))["state"] == "approved"
    assert "key" not in json.dumps(kwargs)


def test_a_poll_ends_with_its_last_subscriber(sandbox):
    async def run():
        one, two = (_Approval([("first", "en_US", None)], fail_on_drift=False) for _ in range(2))
        async with subscription(TemplatePoll, Account(CONN), 0.05, one):
            async with subscription(TemplatePoll, Account(CONN), 0.05, two):
                await polled(sandbox, 2)
            await polled(sandbox, 4)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        await asyncio.wait(left)
        return [task.cancelled() for task in left]

    assert asyncio.run(run()) == [True]


class Store:
    """Airflow 3.3's memory beside an asset, as its triggerer gives it."""

    def __init__(self, **values):
        self.values = values

    async def aget(self, key, default=None):
        return self.values.get(key, default)

    async def aset(self, key, value):
        self.values[key] = value


def watch(sandbox, steps, *, store=None, **options):
    """Run a watcher's trigger while things happen, and return its events."""
    trigger = TemplateStatusTrigger(template_name="first", poke_interval=0.05, **options)
    trigger.asset_state_store = store
    events = []

    async def collect():
        async for event in trigger.run():
            events.append(event.payload)  # noqa: PERF401  (kept when cancelled)

    async def run():
        task = asyncio.create_task(collect())
        for step in steps:
            await polled(sandbox, lists(sandbox) + 2)
            await asyncio.to_thread(step)
        await polled(sandbox, lists(sandbox) + 3)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    return [(event["previous_status"], event["status"]) for event in events]


def test_a_watcher_tells_changes_and_not_states(sandbox):
    steps = [lambda: approve(sandbox, "first"), lambda: approve(sandbox, "first", status="PAUSED")]

    assert watch(sandbox, steps) == [("PENDING", "APPROVED"), ("APPROVED", "PAUSED")]
    assert watch(sandbox, []) == []


def test_a_watcher_of_some_statuses(sandbox):
    steps = [lambda: approve(sandbox, "first", status="REJECTED"), lambda: approve(sandbox, "first")]

    assert watch(sandbox, steps, statuses=["APPROVED"]) == [("REJECTED", "APPROVED")]


def test_a_watcher_remembers_over_a_restart(sandbox):
    store = Store()
    assert watch(sandbox, [], store=store) == []
    assert store.values == {"whatsapp:first:en_US": "PENDING"}
    approve(sandbox, "first")  # while no triggerer runs

    assert watch(sandbox, [], store=store) == [("PENDING", "APPROVED")]
    assert watch(sandbox, [], store=store) == []


def test_a_watcher_outlives_failures(sandbox):
    def fail():
        sandbox.fail_next("status", status=401, times=1, path="message_templates")

    assert watch(sandbox, [fail, lambda: approve(sandbox, "first")]) == [("PENDING", "APPROVED")]


def test_a_watcher_that_cannot_poll_pauses_before_it_tries_again(sandbox, monkeypatch):
    class Ended(BaseException):
        pass

    async def pause(seconds):
        pauses.append(seconds)

    def fail(*_):
        raise errors.pop(0)

    pauses, errors = [], [OSError("away"), OSError("away"), Ended()]
    monkeypatch.setattr("airflow_provider_whatsapp.triggers.templates.subscription", fail)
    monkeypatch.setattr(asyncio, "sleep", pause)
    with pytest.raises(Ended):
        asyncio.run(event_of(TemplateStatusTrigger(template_name="first", poke_interval=7.5)))

    assert pauses == [60, 60]


def test_while_many_triggers_get_their_news_the_loop_runs_others_too():
    async def count():
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    async def run():
        other = asyncio.create_task(count())
        await polls._deliver([(_Approval([], fail_on_drift=False), "news") for _ in range(100)])
        other.cancel()

    turns = []
    asyncio.run(run())

    assert len(turns) >= 100 // polls.WAKE_AT_ONCE - 1


def test_watchers_and_sensors_share_a_poll(sandbox):
    async def run():
        trigger = TemplateStatusTrigger(template_name="second", poke_interval=3600)
        watcher = asyncio.create_task(anext(trigger.run()))
        waiting = [asyncio.create_task(event_of(approval("first", interval=3600))) for _ in range(3)]
        await polled(sandbox, 1)
        for task in (watcher, *waiting):
            task.cancel()
        await asyncio.gather(watcher, *waiting, return_exceptions=True)

    asyncio.run(run())
    assert lists(sandbox) == 1


def test_the_same_watcher_is_the_same_trigger():
    made = [TemplateStatusTrigger(template_name="first", waba_id="1").serialize() for _ in range(2)]
    assert made[0] == made[1]


def message(*ids, status="read", seconds=20.0):
    return MessageStatusTrigger(
        message_ids=list(ids),
        status=status,
        maton_conn_id=CONN,
        phone_number_id=None,
        poke_interval=0.1,
        end_time=time.time() + seconds,
    )


def test_messages_are_asked_for_once_however_many_wait(sandbox):
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    sent = MatonWhatsAppHook().send_template("+15550001111", "hello_world").message_id
    sandbox.control("POST", "clock", advance=3600)

    async def run():
        return await asyncio.gather(*(event_of(message(sent)) for _ in range(20)))

    events = asyncio.run(run())
    assert {event["state"] for event in events} == {"reached"}
    assert events[0]["statuses"][sent]["status"] == "read"
    assert (
        len(sandbox.requests_to("message_history")) <= 2
    )  # those who came as the first poll was under way: the next


def test_one_unknown_message_does_not_end_the_others(sandbox):
    event = timeout_after_a_poll(lambda seconds: message("wamid.unknown", seconds=seconds))
    assert "1 of 1 messages are not read yet" in event["message"]


def test_polls_that_drip_leave_threads_to_other_connections(sandbox, monkeypatch):
    """Eight and more polls of one connection hang; another connection's are answered meanwhile."""
    from airflow_provider_whatsapp.hooks.maton_whatsapp import THREADS_EACH
    from tests.hostile import HostileGateway, dripping, ok

    gateway = HostileGateway(dripping(ok(b"{", length=False), b" "))
    hanging = {"conn_type": "maton_whatsapp", "password": "key-of-another", "host": gateway.url}
    extra = {"waba_id": "7", "rate_limit": 0, "timeout": [2, 60]}
    monkeypatch.setenv("AIRFLOW_CONN_HANGING", json.dumps({**hanging, "extra": extra}))

    async def run():
        options = {"maton_conn_id": "hanging", "seconds": 30}
        held = [
            asyncio.create_task(event_of(approval("first", waba_id=str(waba), **options)))
            for waba in range(1, 3 * THREADS_EACH)
        ]
        while gateway.requests < THREADS_EACH:  # noqa: ASYNC110  (threads of another kind count)
            await asyncio.sleep(0.02)
        approve(sandbox, "first")
        found = await event_of(approval("first"))
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        return found, gateway.requests

    found, asked = asyncio.run(run())
    gateway.close()

    assert found["state"] == "approved"
    assert asked == THREADS_EACH, "the others of the same connection wait"


def test_the_triggerer_s_log_shows_no_message_id(sandbox):
    """It logs triggers and events by their repr, and an ID holds the recipient's number."""
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    whole = MatonWhatsAppHook().send_template("+15550001111", "hello_world").message_id

    async def fired(trigger):
        return [event async for event in trigger.run()][-1]

    trigger = message(whole, status="sent")
    event = asyncio.run(fired(trigger))

    assert whole in event.payload["statuses"]
    for said in (repr(trigger), str(trigger), repr(event), str(event)):
        assert whole[6:30] not in said
    assert whole[-12:] in repr(trigger)
    assert "reached" in repr(event)


@pytest.mark.parametrize(
    ("given", "asked", "shown"),
    [
        ("wamid.HBgLMTU1NTAwMDExMTEVAgARGBI5", ["wamid.HBgLMTU1NTAwMDExMTEVAgARGBI5"], ["...MTEVAgARGBI5"]),
        (["{{ 'wamid.x' }}"], ["wamid.x"], ["...d.x"]),
    ],
)
def test_the_status_sensor_s_rendered_fields_show_the_end_of_ids(given, asked, shown):
    from airflow_provider_whatsapp.sensors.messages import MessageStatusSensor

    task = MessageStatusSensor(task_id="wait", message_ids=given)
    task.render_template_fields({})

    assert task._checked() == asked
    assert [*task.message_ids] == shown
    assert "MTU1NTAw" not in str(task.message_ids)


@pytest.mark.parametrize("given", [None, "", [], 5, [None]])
def test_no_message_to_wait_for_stays_none_after_rendering(given):
    from airflow_provider_whatsapp._compat import AirflowFailException
    from airflow_provider_whatsapp.sensors.messages import MessageStatusSensor

    task = MessageStatusSensor(task_id="wait", message_ids=given)
    task.render_template_fields({})

    with pytest.raises(AirflowFailException, match="No message to wait for"):
        task._checked()
