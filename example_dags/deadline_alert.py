"""
A message when a DAG run is late. A run of this DAG takes a minute; its deadline is half a minute.

Shows: `WhatsAppNotifier` as the callback of a deadline. Give the class and its arguments, not an instance: the
triggerer makes one when the deadline passes. Such a callback knows the run and the deadline, but no task; the notifier
fills in the stock template `airflow_alert` from that. Create it once: copy
`airflow_provider_whatsapp/notifications/airflow_alert.yaml`, put your Airflow's address into its button, and run
`python -m airflow_provider_whatsapp templates apply airflow_alert.yaml`.

Needs: the connection `maton_whatsapp_default`, on the machine of the triggerer.
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
            # A deadline's context has no `var`; routes="a_variable" instead keeps numbers out of the DAG.
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
