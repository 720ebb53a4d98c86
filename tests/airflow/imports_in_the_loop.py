"""
Runs coroutines as a fresh triggerer does, and prints as JSON which modules its event loop has imported meanwhile.

    python imports_in_the_loop.py triggers|notifier
"""

from __future__ import annotations

import asyncio
import json
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


def triggers():
    from airflow_provider_whatsapp.triggers.delivery import DeliveryTrigger
    from airflow_provider_whatsapp.triggers.health import HealthTrigger
    from airflow_provider_whatsapp.triggers.messages import InboundMessageTrigger, MessageStatusTrigger
    from airflow_provider_whatsapp.triggers.templates import TemplateApprovalTrigger, TemplateStatusTrigger

    conn = "maton_whatsapp_default"
    often, usual = {"poke_interval": 0.1}, {"poke_interval": 0.1, "end_time": time.time() + 600}
    by_store = {"events_conn_id": "events", "send_hash": "h"}
    made = [
        TemplateApprovalTrigger(wanted=[["a", "en_US", None]], maton_conn_id=conn, waba_id=None, **usual),
        TemplateStatusTrigger(template_name="a", maton_conn_id=conn, **often),
        MessageStatusTrigger(
            message_ids=["wamid.A"], status="read", maton_conn_id=conn, phone_number_id=None, **usual
        ),
        DeliveryTrigger(wait_for="read", target=1, **by_store, **usual),
        DeliveryTrigger(wait_for="read", target=1, message_ids=["wamid.A"], maton_conn_id=conn, **usual),
        InboundMessageTrigger(**often),
        HealthTrigger(
            template_name="a",
            language="en_US",
            maton_conn_id=conn,
            phone_number_id=None,
            waba_id=None,
            **usual,
        ),
    ]

    async def until_an_event(trigger):
        async for _ in trigger.run():
            return

    return [until_an_event(each) for each in made]


def notifier():
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    context = {"dag_run": {"dag_id": "orders", "run_id": "r1"}, "deadline": {"id": 1}}

    async def miss():
        return await WhatsAppNotifier(to="+15550001111", text="Late.", context=context)

    return [miss()]


async def run(made, imports):
    from airflow.sdk import BaseHook

    await BaseHook.aget_connection("maton_whatsapp_default")  # Airflow's own first look-up imports much
    imports.names.clear()
    await asyncio.wait([asyncio.create_task(each) for each in made], timeout=2)
    return list(imports.names)


if __name__ == "__main__":
    made = {"triggers": triggers, "notifier": notifier}[sys.argv[1]]()
    sys.meta_path.insert(0, Imports())
    print(json.dumps(asyncio.run(run(made, sys.meta_path[0]))))
