"""
Walks the tab and the page as users of FAB's auth manager, in Airflow's own app; writes what each was answered
into a file, as JSON.

A process of its own, because the auth manager is chosen once in one: ``AIRFLOW_HOME`` is an empty folder.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

CONN = {
    "conn_type": "maton_whatsapp",
    "password": "k",
    "host": "http://127.0.0.1:9",
    "extra": {"waba_id": "1"},
}
os.environ |= {
    "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__API_AUTH__JWT_SECRET": "s" * 64,
    "AIRFLOW__API__BASE_URL": "http://airflow.example",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT": json.dumps(CONN),
}

DAGS = ("sales", "stock")
DAG_FILE = f"""
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
for name in {DAGS}:
    with DAG(name, schedule=None):
        EmptyOperator(task_id="send")
"""
SEES = [
    ("can_read", name) for name in ("Website", "Plugins", "Task Instances", "XComs", "DAG Runs", "DAG:sales")
]
"""What a role of an administrator's own may: one DAG of two, to read."""
PATHS = {
    "tab": "task/sales/{run}/send/-1",
    "other tab": "task/stock/{run}/send/-1",
    "no such DAG": "task/no_such_dag/{run}/send/-1",
    "alerts": "browse/alerts",
    "health": "browse/health?conn=maton_whatsapp_default",
}


def run_dags() -> str:
    """Let Airflow know the DAGs, and the first of them run; return the run's ID."""
    import pendulum

    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag
    folder = Path(os.environ["AIRFLOW_HOME"], "dags")
    folder.mkdir(parents=True)
    (folder / "walked.py").write_text(DAG_FILE)
    bag = DagBag(str(folder))
    when = pendulum.datetime(2026, 1, 1)
    return str(bag.dags["sales"].test(logical_date=when).run_id)


def add_alerts() -> None:
    """Leave what an alert of each DAG would."""
    from airflow.models.variable import Variable

    from airflow_provider_whatsapp.notifications.alert_stores import name_of

    for dag_id in DAGS:
        record = {
            "key": f"{dag_id}.send",
            "dags": [dag_id],
            "failures": 1,
            "sent_at": time.time(),
            "cooldown": 3600.0,
        }
        Variable.set(name_of(f"{dag_id}.send"), json.dumps(record))


def tokens() -> dict[str, str]:
    """Return the token of a user of each role."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        manager = builder.sm
        for pair in SEES:
            manager.create_permission(*pair)
        manager.bulk_sync_roles([{"role": "SeesSales", "perms": SEES}])
        found = {}
        for role in ("Admin", "Op", "User", "Viewer", "Public", "SeesSales"):
            name = role.lower()
            user = manager.add_user(
                name, name, "x", f"{name}@example.com", manager.find_role(role), password="p"
            )
            found[role] = get_auth_manager().generate_jwt(user)
        return found


def main() -> None:
    from airflow.utils.db import initdb

    initdb()
    run_id = run_dags()
    add_alerts()
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    app = create_app(apps="core")
    answers: dict[str, dict[str, object]] = {}
    for role, token in {"nobody": "", **tokens()}.items():
        client = TestClient(app, base_url="http://airflow.example", follow_redirects=False)
        if token:
            client.cookies.set("_token", token)
        found: dict[str, object] = {}
        for name, path in PATHS.items():
            answer = client.get(f"/whatsapp/{path.format(run=run_id)}")
            found[name] = answer.status_code
            if name == "alerts":
                found["alerts seen"] = [dag_id for dag_id in DAGS if f"{dag_id}.send" in answer.text]
        for dag_id in DAGS:
            form = {"store": "variables", "key": f"{dag_id}.send", "seconds": "3600"}
            same = {"Sec-Fetch-Site": "same-origin", "Origin": "http://airflow.example"}
            answer = client.post("/whatsapp/browse/alerts/mute", data=form, headers=same)
            found[f"mute {dag_id}"] = answer.status_code
        answers[role] = found
    Path(sys.argv[1]).write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
