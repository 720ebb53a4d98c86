"""
A template message every weekday at eight.

Shows: the least that a scheduled message needs.
Needs: the connection `maton_whatsapp_default`.

Test numbers and the sandbox have the template `hello_world`, without variables. A template with variables
takes `body=["{{ ds }}"]`, or by name `body={"day": "{{ ds }}"}`, with Jinja in every value.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_whatsapp.operators.messages import SendTemplateOperator

with DAG(
    dag_id="scheduled_notification",
    schedule="0 8 * * MON-FRI",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["whatsapp", "example"],
    doc_md=__doc__,
):
    SendTemplateOperator(
        task_id="send",
        to="{{ var.value.get('whatsapp_recipient', '+1 555 010 0199') }}",
        template_name="hello_world",
        language="en_US",
    )
