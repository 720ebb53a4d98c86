"""The DAG of the campaigns: one broadcast, whose process says which it is."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import DAG

from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator


def say_which_process(context: object) -> None:
    """Write down this process, so that the campaign can kill it."""
    Path(os.environ["CAMPAIGN_PID_FILE"]).write_text(f"{os.getpid()} {os.getppid()}")


with DAG(
    "campaign", schedule=None, catchup=False, start_date=pendulum.datetime(2026, 1, 1), max_active_runs=1
):
    BroadcastTemplateOperator(
        task_id="send",
        recipients="{{ dag_run.conf['recipients'] }}",
        template_name="hello_world",
        check_template=False,
        results_path="{{ dag_run.conf['results'] }}",
        send_window="{{ dag_run.conf.get('send_window', '') }}",
        timezone="UTC",
        # Those whose answer was lost must not fail the task: the campaign judges them itself.
        max_failed=100,
        wait_for="{{ dag_run.conf.get('wait_for', 'accepted') }}",
        wait_timeout=timedelta(minutes=1),
        poke_interval=1,
        deferrable=True,
        retries=30,
        retry_delay=timedelta(0),
        on_execute_callback=say_which_process,
    )
