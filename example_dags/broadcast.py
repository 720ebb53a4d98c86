"""
An invitation to everybody in a CSV, each with values of their own, in the daytime.

Shows: `BroadcastTemplateOperator` with columns, a ledger, a results file, a share of failures that is tolerated.
Needs: the connection `maton_whatsapp_default`, and on Airflow 3.1 and 3.2 a folder for the ledger.

A worker that is killed, a retry and a clear reach nobody twice. `dry_run` in the run's configuration sends nothing and
says what would be sent.
"""

from __future__ import annotations

import os
from pathlib import Path

import pendulum
from airflow.sdk import DAG

from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator

# A bucket, s3://... or gs://..., where there are several workers.
FOLDER = os.environ.get("WHATSAPP_BROADCAST_FOLDER", "/tmp/whatsapp_broadcast")  # noqa: S108

with DAG(
    dag_id="broadcast",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["whatsapp", "example"],
    doc_md=__doc__,
):
    BroadcastTemplateOperator(
        task_id="invite",
        recipients=str(Path(__file__).parent / "data" / "invited.csv"),
        # With a template of your own: body=["{name}", "{{ ds }}"] takes the column "name".
        template_name="hello_world",
        to_field="phone",
        ledger_path=f"{FOLDER}/ledgers",
        results_path=f"{FOLDER}/results/{{{{ run_id }}}}.jsonl",
        suppression="{{ var.value.get('whatsapp_opted_out', '') }}",
        dry_run="{{ dag_run.conf.get('dry_run', False) }}",
        max_failed=0.1,
        retries=3,
    )
