"""A DAG that uses many faces of the package; whom it tells, and what, is in the environment: no trace is its own."""

from __future__ import annotations

import pendulum
from airflow.sdk import dag

from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
from airflow_provider_whatsapp.operators.messages import SendTemplateOperator, SendTextOperator
from airflow_provider_whatsapp.sensors.messages import MessageStatusSensor

FROM = "{{ var.value.discreet_%s }}"


@dag(
    "discreet",
    schedule=None,
    catchup=False,
    start_date=pendulum.datetime(2026, 1, 1),
    default_args={"retries": 0},
)
def discreet():
    alert = WhatsAppNotifier(to=FROM % "to", text=f"{FROM % 'words'} {{{{ exception }}}}")
    common = {"max_failed": 10, "ledger_path": FROM % "ledger", "on_failure_callback": alert}
    several = SendTextOperator(task_id="several", to=FROM % "all", text=FROM % "words", **common)
    one = SendTextOperator(
        task_id="one",
        to=FROM % "refused",
        text=FROM % "words",
        on_failure_callback=alert,
        trigger_rule="all_done",
    )
    template = SendTemplateOperator(
        task_id="template",
        to=FROM % "all",
        template_name="late",
        body=[FROM % "words"],
        trigger_rule="all_done",
        **common,
    )
    broadcast = BroadcastTemplateOperator(
        task_id="broadcast",
        recipients=FROM % "file",
        template_name="late",
        body=["{name}"],
        results_path=FROM % "results",
        trigger_rule="all_done",
        **common,
    )
    status = MessageStatusSensor(
        task_id="status",
        message_ids=[FROM % "wamid"],
        poke_interval=0.1,
        timeout=1,
        trigger_rule="all_done",
        on_failure_callback=alert,
    )
    several >> one >> template >> broadcast >> status


discreet()
