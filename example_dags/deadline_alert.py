"""
A message when a DAG run is late. A run of this DAG takes a minute, and should take half of one.

Shows: `WhatsAppNotifier` as the callback of a deadline. The class and its arguments are given, not an instance: the
triggerer makes one when the deadline passes. Such a callback knows the run and the deadline, but no task; the stock
template `airflow_alert` is filled in from that. Create it once:
`python -m airflow_provider_whatsapp templates apply airflow_alert.yaml`.

Needs: the connection `maton_whatsapp_default`, where the triggerer runs.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag, task
from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference

from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

late = DeadlineAlert(
    reference=DeadlineReference.DAGRUN_QUEUED_AT,
    interval=timedelta(seconds=30),
    callback=AsyncCallback(
        WhatsAppNotifier,
        kwargs={
            # The context of a deadline has no `var`; routes="a_variable" keeps numbers out of the DAG.
            "to": "+1 555 010 0199",
            "template_name": "airflow_alert",
        },
    ),
)


@dag(schedule=None, catchup=False, deadline=late, tags=["whatsapp", "example"], doc_md=__doc__)
def deadline_alert() -> None:
    @task
    def load_orders() -> None:
        import time

        time.sleep(60)

    load_orders()


deadline_alert()
