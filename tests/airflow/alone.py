"""A run of a DAG that has a process to itself: a fork of one in which all is there that a run needs."""

from __future__ import annotations

import asyncio
import functools
import os
from pathlib import Path

from tests.airflow.running import bag_of, dagbag_module, speak_the_newest_version_alone


def keep_between_tasks():
    """
    Let ``dag.test()`` keep what Airflow makes for each task: its API server, and what validates a rendered field.

    Airflow 3.3 keeps the server itself, which takes seconds to make. It speaks its newest version alone.
    """
    from airflow.sdk.execution_time import supervisor, task_runner

    if not hasattr(supervisor.in_process_api_server, "cache_info"):
        supervisor.in_process_api_server = functools.lru_cache(maxsize=1)(supervisor.in_process_api_server)
    if not hasattr(task_runner.TypeAdapter, "cache_info"):
        task_runner.TypeAdapter = functools.cache(task_runner.TypeAdapter)
    speak_the_newest_version_alone()


def prepare_to_run_alone():
    """Import what a run needs, and make the API server that ``dag.test()`` asks, which its first request completes."""
    import httpx
    from airflow.sdk.execution_time import supervisor

    import airflow_provider_whatsapp.operators.broadcast
    import airflow_provider_whatsapp.operators.messages  # noqa: F401

    async def ask():
        api = httpx.ASGITransport(supervisor.in_process_api_server().app)
        async with httpx.AsyncClient(transport=api, base_url="http://in-process") as client:
            await client.get("/health")

    keep_between_tasks()
    asyncio.run(ask())


def read_metrics_settings():
    """Let Airflow measure as the environment says now: it has read that when it was imported, before the fork."""
    try:
        from airflow.sdk import serde
    except ImportError:  # Airflow 3.1
        from airflow.stats import _Stats

        del _Stats.factory
        _Stats("Stats", (), {})
    else:
        serde._register()


def run_alone(dag_id, conf):
    """
    Run one of the DAGs that test delivery, as a process of its own.

    Only DAGs of the same file are written into the database before. Metrics are as the process's environment says, as
    in a worker.
    """
    dagbag = dagbag_module()
    file = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"], "test_dags", "delivery_dags.py")
    dagbag.BundleDagBag = bag_of(file)
    read_metrics_settings()
    dagbag.DagBag(str(file)).dags[dag_id].test(run_conf=conf)
