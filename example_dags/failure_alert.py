"""
A message when a task fails. The task of this DAG fails on purpose.

Shows: `WhatsAppNotifier` as a callback, with Jinja in its text.
Needs: the connection `maton_whatsapp_default`.

WhatsApp delivers free text only within 24 hours of the recipient's last message to the sender, templates at
any time. An alert that must arrive names one: `template_name="task_failed", body=["{{ ti.task_id }}"]`.
"""

from __future__ import annotations

from airflow.sdk import dag, task

from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

alert = WhatsAppNotifier(
    to="{{ var.value.get('whatsapp_recipient', '+1 555 010 0199') }}",
    text="*{{ ti.dag_id }}*: task {{ ti.task_id }} failed, try {{ ti.try_number }}.\nRun: {{ run_id }}",
)


@dag(schedule=None, catchup=False, tags=["whatsapp", "example"], doc_md=__doc__)
def failure_alert() -> None:
    @task(on_failure_callback=alert)
    def load_orders() -> None:
        msg = "the orders table is empty"
        raise ValueError(msg)

    load_orders()


failure_alert()
