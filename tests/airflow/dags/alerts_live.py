"""A DAG that a running Airflow schedules by itself: tasks that fail or ask, and deadlines that have passed already."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import dag, task
from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference, SyncCallback

from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

LIVE = bool(os.environ.get("WHATSAPP_TEST_LIVE"))
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS = {
    "schedule": "@once" if LIVE else None,
    "catchup": False,
    "start_date": WHEN,
    "is_paused_upon_creation": not LIVE,
    "tags": ["finance"],
}


LATE = "Run {{ dag_run.run_id }} of {{ dag_run.dag_id }} is late"
DEADLINE = {"reference": DeadlineReference.FIXED_DATETIME(WHEN), "interval": timedelta(seconds=1)}

deadlines = [
    DeadlineAlert(
        **DEADLINE, callback=AsyncCallback(WhatsAppNotifier, kwargs={"routes": "oncall", "text": LATE})
    )
]
try:
    synchronous = SyncCallback(WhatsAppNotifier, kwargs={"to": "+15550005555", "text": LATE})
    deadlines.append(DeadlineAlert(**DEADLINE, callback=synchronous))
except ValueError:  # Airflow 3.1 has the name alone
    pass


@dag("alerts_live", deadline=deadlines, **OPTIONS)
def alerts_live():
    @task(on_failure_callback=WhatsAppNotifier(routes="oncall", text="{{ ti.task_id }}: {{ exception }}"))
    def load():
        raise ValueError("no rows")

    @task
    def without_a_callback():
        raise ValueError("no rows either")

    load()
    without_a_callback()
    link = "{{ task.generate_link_to_ui(task_instance=ti) }}"
    ask = WhatsAppNotifier(to="+15550004444", text=f"Publish the report? {link}")
    ApprovalOperator(task_id="approve", subject="Publish the report?", notifiers=[ask])


alerts_live()
