"""
An invitation to everybody in a CSV file, sent by two tasks at a time.

Shows: `BroadcastTemplateOperator` in shards, with a ledger, a file of results, numbers that have opted out, a share of
failures that is tolerated, the category that is expected, and a dry run. A worker that is killed, a retry and a clear
reach nobody twice.

Needs: the connection `maton_whatsapp_default`; a folder that all workers reach, for the ledger and the results.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import Param, dag

from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator

INVITED = str(Path(__file__).parent / "data" / "invited.csv")
# A bucket, s3://... or gs://..., where there are several workers.
FOLDER = os.environ.get("WHATSAPP_BROADCAST_FOLDER", "/tmp/whatsapp_broadcast")  # noqa: S108


@dag(
    schedule=None,
    catchup=False,
    params={"dry_run": Param(False, type="boolean", title="Send nothing, tell what would be sent")},
    tags=["whatsapp", "example"],
    doc_md=__doc__,
)
def broadcast() -> None:
    BroadcastTemplateOperator.partial(
        task_id="invite",
        recipients=INVITED,
        to_field="phone",
        # With a template of your own: body=["{name}", "{{ ds }}"] takes the column "name".
        template_name="hello_world",
        # Another category is another price: when Meta moves the template, nobody is sent to.
        expect_category="UTILITY",
        # send_window=("09:00", "20:00"), timezone="recipient" would wait for everybody's daytime.
        shards=2,
        ledger_path=f"{FOLDER}/ledgers",
        results_path=f"{FOLDER}/results/{{{{ run_id }}}}.jsonl",
        suppression="{{ var.value.get('whatsapp_opted_out', '[]') }}",
        dry_run="{{ params.dry_run }}",
        max_failed=0.1,
        retries=3,
    ).expand(shard=[0, 1])


broadcast()
