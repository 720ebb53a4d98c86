"""
Runs coroutines as a fresh triggerer does: the triggers, then an alert, each in a fork of a process that has Airflow.

    python imports_in_the_loop.py MESSAGE_ID

It prints a line of JSON for each: how they ended, and which modules the event loop imported.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time


class Imports:
    """Notes which modules this thread looks for."""

    def __init__(self):
        self.names = []
        self._thread = threading.get_ident()

    def find_spec(self, name, path=None, target=None):
        if threading.get_ident() == self._thread:
            self.names.append(name)


def triggers(message_id):
    """Return the events of triggers whose first poll ends them, once those that never end have polled too."""
    from airflow_provider_whatsapp.triggers.delivery import DeliveryTrigger
    from airflow_provider_whatsapp.triggers.health import HealthTrigger
    from airflow_provider_whatsapp.triggers.messages import InboundMessageTrigger, MessageStatusTrigger
    from airflow_provider_whatsapp.triggers.templates import TemplateApprovalTrigger, TemplateStatusTrigger

    conn, often = {"maton_conn_id": "maton_whatsapp_default"}, {"poke_interval": 0.1}
    usual = {**often, "end_time": time.time() + 600}
    sender, account = {**conn, "phone_number_id": None}, {**conn, "waba_id": None}
    ending = [
        TemplateApprovalTrigger(wanted=[["hello_world", "en_US", None]], **account, **usual),
        HealthTrigger(template_name="hello_world", language="en_US", **sender, waba_id=None, **usual),
        MessageStatusTrigger(message_ids=[message_id], status="sent", **sender, **usual),
        DeliveryTrigger(wait_for="sent", target=1, message_ids=[message_id], **sender, **usual),
        DeliveryTrigger(wait_for="sent", target=0, events_conn_id="whatsapp_events", send_hash="h", **usual),
    ]
    inbound = InboundMessageTrigger(**often)
    endless = [inbound, TemplateStatusTrigger(template_name="hello_world", **conn, **often)]

    async def states():
        watching = [asyncio.create_task(anext(each.run())) for each in endless]
        events = await asyncio.gather(*(anext(each.run()) for each in ending))
        while inbound._cursor is None:  # noqa: ASYNC110  (a thread sets it; the other one shares the first poll above)
            await asyncio.sleep(0.01)
        for each in watching:
            each.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        return [event.payload["state"] for event in events]

    return states()


async def notifier(_):
    """Send the alert of a deadline."""
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    context = {"dag_run": {"dag_id": "orders", "run_id": "r1"}, "deadline": {"id": 1}}
    return [await WhatsAppNotifier(to="+15550001111", text="Late.", context=context)]


async def run(made, imports):
    from airflow.sdk import BaseHook

    await BaseHook.aget_connection("maton_whatsapp_default")  # Airflow's own first look-up imports much
    imports.names.clear()
    ends = await made
    return {"ends": ends, "imports": list(imports.names)}


def in_a_fork(make, message_id):
    """Make coroutines and run them in a process that has imported nothing of ours."""
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        assert status == 0
        return
    made = make(message_id)
    sys.meta_path.insert(0, Imports())
    print(json.dumps(asyncio.run(run(made, sys.meta_path[0]))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    # No more than both need: what is there before the fork is not seen to be imported.
    from airflow.sdk import BaseHook  # noqa: F401

    for name in ("client", "events"):
        assert f"airflow_provider_whatsapp.{name}" not in sys.modules
    for kind in (triggers, notifier):
        in_a_fork(kind, sys.argv[1])
