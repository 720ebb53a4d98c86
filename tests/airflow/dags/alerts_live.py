"""DAGs that a running Airflow schedules by itself: a task that fails, and a deadline that has passed already."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task
from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference

from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

LIVE = bool(os.environ.get("WHATSAPP_TEST_LIVE"))
WHEN = datetime(2026, 1, 1, tzinfo=timezone.utc)  # noqa: UP017
OPTIONS = {
    "schedule": "@once" if LIVE else None,
    "catchup": False,
    "start_date": WHEN,
    "is_paused_upon_creation": not LIVE,
    "tags": ["finance"],
}


@dag(
    "alerts_live",
    deadline=DeadlineAlert(
        reference=DeadlineReference.FIXED_DATETIME(WHEN),
        interval=timedelta(seconds=1),
        callback=AsyncCallback(
            WhatsAppNotifier,
            kwargs={
                "routes": "oncall",
                "text": "Run {{ dag_run.run_id }} of {{ dag_run.dag_id }} is late",
            },
        ),
    ),
    **OPTIONS,
)
def alerts_live():
    @task(on_failure_callback=WhatsAppNotifier(routes="oncall", text="{{ ti.task_id }}: {{ exception }}"))
    def load():
        raise ValueError("no rows")

    @task
    def without_a_callback():
        raise ValueError("no rows either")

    load()
    without_a_callback()


alerts_live()
