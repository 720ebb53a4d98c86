"""A DAG that waits until messages can go."""

from __future__ import annotations

import pendulum
from airflow.sdk import dag

from airflow_provider_whatsapp.sensors.health import WhatsAppHealthSensor


@dag("healthy_deferrable", schedule=None, catchup=False, start_date=pendulum.datetime(2026, 1, 1))
def wait():
    WhatsAppHealthSensor(
        task_id="wait",
        template_name="{{ dag_run.conf['name'] }}",
        deferrable=True,
        poke_interval=0.1,
        timeout=60,
    )


wait()
