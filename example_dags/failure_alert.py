"""
A message when a task fails. The task `load_orders` of this DAG fails on purpose.

Shows: `WhatsAppNotifier` as a callback, with Jinja in its values, and a template that is created when the
account does not have it. Free text would be shorter (`text="{{ ti.task_id }} failed"`), but later than 24 hours
after the recipient's last message WhatsApp drops it, and failures come at any hour.

Needs: the connection `maton_whatsapp_default` with phone_number_id and waba_id in its extra.
"""

from __future__ import annotations

from airflow.sdk import dag, task

from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier
from airflow_provider_whatsapp.sensors.templates import TemplateApprovalSensor

TEMPLATE = "task_failed"
BODY = "Task {{task}} of DAG {{dag}} failed on try {{try}}. Its log is in Airflow."
EXAMPLE = {"task": "load_orders", "dag": "daily_orders", "try": "1"}

alert = WhatsAppNotifier(
    to="{{ var.value.get('whatsapp_recipient', '+1 555 010 0199') }}",
    template_name=TEMPLATE,
    language="en_US",
    body={"task": "{{ ti.task_id }}", "dag": "{{ ti.dag_id }}", "try": "{{ ti.try_number }}"},
)


@dag(schedule=None, catchup=False, tags=["whatsapp", "example"], doc_md=__doc__)
def failure_alert() -> None:
    @task
    def create_template() -> None:
        hook = MatonWhatsAppHook()
        if hook.get_template(TEMPLATE, "en_US") is None:
            named = [{"param_name": name, "example": value} for name, value in EXAMPLE.items()]
            body = {"type": "BODY", "text": BODY, "example": {"body_text_named_params": named}}
            hook.create_template(
                name=TEMPLATE,
                language="en_US",
                category="UTILITY",
                parameter_format="NAMED",
                components=[body],
            )

    approved = TemplateApprovalSensor(
        task_id="wait_for_approval",
        template_name=TEMPLATE,
        language="en_US",
        deferrable=True,
        poke_interval=5,
    )

    @task(on_failure_callback=alert)
    def load_orders() -> None:
        msg = "the orders table is empty"
        raise ValueError(msg)

    create_template() >> approved >> load_orders()


failure_alert()
