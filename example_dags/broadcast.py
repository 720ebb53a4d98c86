"""
An invitation to everybody in a CSV file, sent by two tasks.

Shows: `BroadcastTemplateOperator` in shards, with a ledger, a results file, a suppression list, a share of failures
that the DAG tolerates, the category that it expects, and a dry run. A killed worker, a retry or a clear sends to
nobody twice.

Needs: the connection `maton_whatsapp_default`, and a folder for ledger and results that all workers can reach.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import Param, dag

from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator

INVITED = str(Path(__file__).parent / "data" / "invited.csv")
# With workers on several machines: a bucket, s3://... or gs://...
FOLDER = os.environ.get("WHATSAPP_BROADCAST_FOLDER", "/tmp/whatsapp_broadcast")  # noqa: S108


@dag(
    schedule=None,
    catchup=False,
    params={"dry_run": Param(False, type="boolean", title="Send nothing, report what the task would send")},
    tags=["whatsapp", "example"],
    doc_md=__doc__,
)
def broadcast() -> None:
    BroadcastTemplateOperator.partial(
        task_id="invite",
        recipients=INVITED,
        to_field="phone",
        # For a template of your own: body=["{name}", "{{ ds }}"] fills in the column "name".
        template_name="hello_world",
        # Another category has another price: if Meta has moved the template, the task sends nothing.
        expect_category="UTILITY",
        # send_window=("09:00", "20:00"), timezone="recipient" would send in the daytime of each recipient.
        shards=2,
        ledger_path=f"{FOLDER}/ledgers",
        results_path=f"{FOLDER}/results/{{{{ run_id }}}}.jsonl",
        suppression="{{ var.value.get('whatsapp_opted_out', '[]') }}",
        dry_run="{{ params.dry_run }}",
        max_failed=0.1,
        retries=3,
    ).expand(shard=[0, 1])


broadcast()
