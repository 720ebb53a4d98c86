"""
A reply starts a DAG: people who write STATUS get an answer.

Shows: an asset watcher on the messages that people send, and an answer within the 24 hours that their message opens.
Needs: the connection `maton_whatsapp_default`, and the receiver's event store (`[whatsapp] events_conn_id`).

`include=["sender"]` writes the full numbers into Airflow's database, which keeps asset events; without it an event
contains masked numbers. An event may come more than once, so the DAG answers each person once in a run.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_whatsapp.operators.messages import SendTextOperator
from airflow_provider_whatsapp.triggers.messages import InboundMessageTrigger

asked = Asset(
    "whatsapp_status_questions",
    watchers=[
        AssetWatcher(
            name="whatsapp",
            trigger=InboundMessageTrigger(keyword=["STATUS", "ESTADO"], include=["sender"]),
        )
    ],
)

with DAG(dag_id="answer_replies", schedule=asked, tags=["whatsapp", "example"], doc_md=__doc__):

    @task
    def who_asked(triggering_asset_events: Any = None) -> list[str]:
        """Return the people who have written; several messages may have started one run."""
        events = [event for found in (triggering_asset_events or {}).values() for event in found]
        messages = {event.extra["payload"]["message_id"]: event.extra["payload"] for event in events}
        return sorted({message["sender"] for message in messages.values() if message["sender"]})

    SendTextOperator.partial(task_id="answer", text="All pipelines are on time.").expand(to=who_asked())
