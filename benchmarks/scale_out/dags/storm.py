"""The DAG of the storm: mapped tasks that all fail, with one notifier; a share of them, on each of two machines."""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

TASKS = int(os.environ.get("SCALE_OUT_TASKS", "500"))

with DAG(
    "storm",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_tasks=TASKS,
):

    @task(on_failure_callback=WhatsAppNotifier(to="+15550001111", text="{{ ti.task_id }}: {{ exception }}"))
    def load(number: int) -> None:
        """Fail."""
        raise ValueError(f"no rows in part {number}")

    load.expand(number=list(range(TASKS)))
