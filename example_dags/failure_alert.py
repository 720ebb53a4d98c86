"""
A message when a task fails, and one when it works again. The task `load_orders` of this DAG fails on purpose.

Shows: `WhatsAppNotifier` as a callback of all tasks of a DAG. Failures of one task within five minutes give one
message, and many tasks that fail together give one message and a summary. The notifier fills in the stock template
`airflow_alert` with DAG, task, run and the error. Create it once: copy
`airflow_provider_whatsapp/notifications/airflow_alert.yaml`, put your Airflow's address into its button, and run
`python -m airflow_provider_whatsapp templates apply airflow_alert.yaml`.

Needs: the connection `maton_whatsapp_default` with phone_number_id and waba_id in its extra. With
`{"works": true}` as the run's configuration nothing fails, and a message reports the recovery.
"""

from __future__ import annotations

from airflow.sdk import Param, dag, task

from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

ONCALL = "{{ var.value.get('whatsapp_recipient', '+1 555 010 0199') }}"

alert = WhatsAppNotifier(to=ONCALL, template_name="airflow_alert")
recovered = WhatsAppNotifier(to=ONCALL, template_name="airflow_alert", recovery=True)


@dag(
    schedule=None,
    catchup=False,
    default_args={"on_failure_callback": alert, "on_success_callback": recovered},
    params={"works": Param(False, type="boolean", title="Nothing fails")},
    tags=["whatsapp", "example"],
    doc_md=__doc__,
)
def failure_alert() -> None:
    @task
    def load_orders(params: dict[str, bool]) -> None:
        if not params["works"]:
            msg = "the orders table is empty"
            raise ValueError(msg)

    load_orders()


failure_alert()
