"""The DAGs that the scale-out measurement runs: one broadcast in shards, with retries, paced in one way or another."""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator

FOLDER = os.environ["SCALE_OUT_FOLDER"]
SHARDS = int(os.environ["SCALE_OUT_SHARDS"])
WAYS = {
    "scale_out": {},
    "scale_out_alone": {"maton_conn_id": "whatsapp_alone"},
    "scale_out_pool": {"maton_conn_id": "whatsapp_alone", "pool": "whatsapp"},
    "scale_out_queue": {"maton_conn_id": "whatsapp_alone", "queue": "whatsapp"},
}

for name, way in WAYS.items():
    with DAG(name, schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False):
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
            **way,
        ).expand(shard=list(range(SHARDS)))
