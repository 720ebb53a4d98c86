"""
A load that has failed, and a person who chooses on the phone what to do.

Shows: `WhatsAppChoiceOperator`. When `load` fails, it sends a list of three options, and the run continues with the
task of the option that a person chooses, on the phone or on Airflow's page. When `load` succeeds, it asks nobody: start
the DAG with `fail` switched off to see that. Without a choice within four hours the run skips the day.

Needs: the connection `maton_whatsapp_default` with phone_number_id in its extra; a receiver with the app secret,
`[whatsapp] events_conn_id`, and `python -m airflow_provider_whatsapp answer`. A list reaches only people who wrote
within the last 24 hours; if nobody did, the task waits for the choice on Airflow's page. On Airflow 3.1 a triggerer
must run.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow.sdk import Param, TriggerRule, dag, task

from airflow_provider_whatsapp.operators.approval import WhatsAppChoiceOperator

MANAGER = "{{ var.value.get('whatsapp_recipient', '+1 555 010 0199') }}"
NEXT = {"Load again": "load_again", "Skip the day": "skip_the_day", "Stop": "stop"}
"""The task that follows each option."""

logger = logging.getLogger(__name__)


@dag(
    schedule=None,
    catchup=False,
    params={"fail": Param(True, type="boolean", title="Let the load fail")},
    tags=["whatsapp", "example"],
    doc_md=__doc__,
)
def failed_load() -> None:
    @task
    def load(params: dict[str, Any]) -> None:
        if params["fail"]:
            raise ValueError("the shop's file of today is empty")

    choose = WhatsAppChoiceOperator(
        task_id="choose",
        to=MANAGER,
        subject="The load of the orders has failed in run {{ run_id }}. What now?",
        options=list(NEXT),
        descriptions={"Skip the day": "The report of today has a gap"},
        on_unsent="wait",
        response_timeout=timedelta(hours=4),
        defaults="Skip the day",
        trigger_rule=TriggerRule.ONE_FAILED,
    )

    @task.branch
    def decide(answer: dict[str, Any]) -> str:
        return NEXT[answer["chosen_options"][0]]

    @task
    def load_again() -> None:
        logger.info("Loading the orders of yesterday's file.")

    @task
    def skip_the_day() -> None:
        logger.info("The report of today has a gap.")

    @task
    def stop() -> None:
        raise RuntimeError("somebody has chosen to stop")

    decided = decide(choose.output)  # type: ignore[arg-type]
    load() >> choose
    decided >> [load_again(), skip_the_day(), stop()]


failed_load()
