"""
A backfill that waits until a person has approved it.

Shows: `WhatsAppApprovalOperator`. The question has two buttons that open Airflow's page for it, where a person
answers. Without an answer everybody gets a reminder after an hour, and after four hours the operator rejects the
backfill. Create the template once: copy `airflow_provider_whatsapp/approvals/airflow_approval.yaml`, and run
`python -m airflow_provider_whatsapp templates apply airflow_approval.yaml --base-url https://your-airflow.example.com`.

Needs: the connection `maton_whatsapp_default` with phone_number_id and waba_id in its extra, and in `[api] base_url`
the address at which phones reach this Airflow. On Airflow 3.1 a triggerer must run.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from airflow.sdk import Param, dag, task

from airflow_provider_whatsapp.operators.approval import WhatsAppApprovalOperator

MANAGER = "{{ var.value.get('whatsapp_recipient', '+1 555 010 0199') }}"


@dag(
    schedule=None,
    catchup=False,
    params={"month": Param("2026-05", type="string", title="Month to load again")},
    tags=["whatsapp", "example"],
    doc_md=__doc__,
)
def approve_backfill() -> None:
    approve = WhatsAppApprovalOperator(
        task_id="approve",
        to=MANAGER,
        subject="Load the orders of {{ params.month }} again?",
        body="The orders of **{{ params.month }}** are deleted, and read from the shop's archive.",
        remind_after=timedelta(hours=1),
        response_timeout=timedelta(hours=4),
        defaults="Reject",
    )

    @task
    def backfill(params: dict[str, str]) -> None:
        logging.getLogger(__name__).info("Loading the orders of %s.", params["month"])

    approve >> backfill()


approve_backfill()
