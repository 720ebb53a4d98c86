"""What the tests that run DAGs share: what came of a run, and what the sandbox got."""

from __future__ import annotations

import functools
import inspect
import json
import subprocess
from collections import Counter
from pathlib import Path


def dagbag_module():
    """Return Airflow's module of bags of DAGs, which has moved since 3.1."""
    try:
        from airflow.dag_processing import dagbag
    except ImportError:
        from airflow.models import dagbag
    return dagbag


def bag_of(file):
    """Return what makes the bag that ``dag.test()`` writes into the database: the DAGs of one file, not of a folder."""
    # Not the one that tests of example DAGs keep: files of the same name differ.
    made = inspect.unwrap(dagbag_module().BundleDagBag)
    return functools.wraps(made)(lambda dag_folder, **options: made(dag_folder=file, **options))


def end(process, seconds=30):
    """End a process, and kill it where a busy machine keeps it from ending in time."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def is_there(pid):
    """Say whether a process of Linux runs; one that has ended and that nobody has asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def has_state_store():
    """Say whether this Airflow keeps state of tasks over their tries."""
    import airflow.sdk.execution_time.context as context

    return hasattr(context, "TaskStateStoreAccessor")


def reached(sandbox):
    """Return how many messages each number got."""
    return Counter(message["to"] for message in sandbox.messages)


def refusal(code, to, **fields):
    """Return a fault by which WhatsApp refuses a message."""
    body = {"error": {"message": "no", "type": "OAuthException", "code": code}}
    return {"status": 400, "body": body, "path": "messages", "to": to, **fields}


def xcom(dag_run, key="return_value", task_id="send"):
    """Return what a task has pushed."""
    return dag_run.get_task_instance(task_id).xcom_pull(task_ids=task_id, key=key)


def state(dag_run, task_id="send"):
    """Return how a task has ended."""
    return dag_run.get_task_instance(task_id).state


def lines(path):
    """Return the objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def speak_the_newest_version_alone():
    """
    Let the API servers for tasks that are made in this process speak their newest version alone, as their clients do.

    Making the routes of all older ones too would take twice the time.
    """
    from airflow.api_fastapi.execution_api import routes, versions
    from cadwyn import HeadVersion, Version, VersionBundle
    from cadwyn.route_generation import _DELETED_ROUTE_TAG

    made = versions.bundle
    newest = Version(made.versions[0].value)
    # The changes of older versions ask this very variable whether they apply.
    versions.bundle = VersionBundle(HeadVersion(), newest, api_version_var=made.api_version_var)
    router = routes.execution_api_router
    router.routes = [route for route in router.routes if _DELETED_ROUTE_TAG not in getattr(route, "tags", ())]
