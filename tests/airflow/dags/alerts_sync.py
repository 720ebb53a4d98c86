"""A DAG that a running Airflow schedules by itself, with a synchronous deadline that has passed."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference, SyncCallback

from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

LIVE = bool(os.environ.get("WHATSAPP_TEST_LIVE"))
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def missed(**kwargs):
    """Give a deadline that has passed before its run began."""
    callback = SyncCallback(WhatsAppNotifier, kwargs=kwargs)
    reference = DeadlineReference.FIXED_DATETIME(WHEN)
    try:
        yield DeadlineAlert(reference=reference, interval=timedelta(seconds=1), callback=callback)
    except ValueError:  # Airflow 3.1 has the name alone
        return


@dag(
    "alerts_sync",
    deadline=[*missed(routes="oncall_sync")],
    schedule="@once" if LIVE else None,
    start_date=WHEN,
    catchup=False,
)
def alerts_sync():
    @task
    def well():
        pass

    well()


alerts_sync()
