"""The DAG that the scale-out measurement runs: one broadcast in shards, with retries."""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator

FOLDER = os.environ["SCALE_OUT_FOLDER"]
SHARDS = int(os.environ["SCALE_OUT_SHARDS"])

with DAG("scale_out", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False):
    BroadcastTemplateOperator.partial(
        task_id="broadcast",
        recipients=f"{FOLDER}/people.csv",
        template_name="hello_world",
        shards=SHARDS,
        results_path=f"{FOLDER}/results/{{{{ run_id }}}}.jsonl",
        # Whoever is unknown after the kill is in the results; without this their shard would end as failed.
        max_failed=0.5,
        retries=3,
        retry_delay=timedelta(seconds=1),
    ).expand(shard=list(range(SHARDS)))
