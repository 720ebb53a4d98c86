"""DAGs whose task instances the tab WhatsApp shows."""

from __future__ import annotations

import pendulum
from airflow.sdk import dag, task

from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
from airflow_provider_whatsapp.operators.messages import SendTemplateOperator, SendTextOperator
from airflow_provider_whatsapp.operators.templates import SyncTemplatesOperator
from airflow_provider_whatsapp.sensors.templates import TemplateApprovalSensor

PEOPLE = [
    {"to": f"+1555000{number:04}", "first_name": f"Person {number}", "order": f"A{number}"}
    for number in range(120)
]
TEMPLATE = {"template_name": "order_shipped", "language": "en_US"}
VALUES = {"header": "Order A-1042", "body": ["Ana Souza", "*Monday*"], "buttons": ["A-1042"]}
WANTED = {
    "name": "order_late",
    "category": "UTILITY",
    "languages": {"en_US": {"body": "Your order is late."}},
}


@dag(
    "whatsapp_tab", schedule=None, catchup=False, start_date=pendulum.datetime(2026, 1, 1), tags=["whatsapp"]
)
def whatsapp_tab():
    SendTemplateOperator(task_id="shown", to=["+15550001111"], log_pii=True, **TEMPLATE, **VALUES)
    SendTemplateOperator(task_id="hidden", to=["+15550002222"], **TEMPLATE, **VALUES)
    BroadcastTemplateOperator(
        task_id="broadcast",
        recipients=PEOPLE,
        header="Order {order}",
        body=["{first_name}", "Monday"],
        buttons=["{order}"],
        results_path="{{ dag_run.conf['results'] }}",
        ledger_path="{{ dag_run.conf['ledger'] }}",
        max_failed=10,
        **TEMPLATE,
    )
    SendTextOperator.partial(task_id="mapped", log_pii=True).expand_kwargs(
        [{"to": "+15550003333", "text": "for the first"}, {"to": "+15550004444", "text": "for the second"}]
    )
    TemplateApprovalSensor(
        task_id="approved", template_name="order_shipped", language="en_US", poke_interval=1
    )
    SyncTemplatesOperator(task_id="planned", templates=[WANTED], dry_run=True)

    @task
    def nothing() -> str:
        return "no message"

    @task(on_failure_callback=WhatsAppNotifier(to="+15550005555", text="It failed.", roll_up=0))
    def alerted() -> None:
        raise ValueError("on purpose")

    nothing()
    alerted()


whatsapp_tab()
