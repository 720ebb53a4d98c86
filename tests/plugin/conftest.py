"""The plugin's app as Airflow mounts it, with Airflow's own users; what is blocked is asked of a real database."""

from __future__ import annotations

import inspect
import json
import os
import time

import pytest

from tests.plugin.reports import AT, EVIL, NOW_FAILURE, PATH, RUN


@pytest.fixture(scope="session")
def airflow_users():
    """Return what gives the token of a user with a role, from SimpleAuthManager."""
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.utils.db import initdb

    settings = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "v:viewer,u:user,o:op,a:admin",
        "AIRFLOW__API_AUTH__JWT_SECRET": "s" * 64,
    }
    os.environ.update(settings)
    initdb()
    manager = create_auth_manager()
    manager.init()
    yield lambda role: manager.generate_jwt(SimpleAuthManagerUser(username=role[0], role=role))
    for name in settings:
        del os.environ[name]


@pytest.fixture(scope="session")
def app():
    """The plugin's app, below a base path."""
    from fastapi import FastAPI

    from airflow_provider_whatsapp.plugin import PREFIX, WhatsAppPlugin

    outer, airflow = FastAPI(), FastAPI()
    airflow.mount(PREFIX, WhatsAppPlugin.fastapi_apps[0]["app"])
    outer.mount("/airflow", airflow)
    return outer


def forget_alerts():
    """Delete what alerts of this test, or of another one before, have left in Airflow's Variables."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(Variable).where(Variable.key.like("whatsapp_alert_%")))


@pytest.fixture
def look(app, airflow_users, monkeypatch):
    """Open a page as a user with a role, or as nobody: None."""
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi.testclient import TestClient

    if "request" not in inspect.signature(get_user).parameters:
        pytest.skip("The API server of Airflow 3.1.0 reads no cookie: a plugin's page has no user there.")
    forget_alerts()
    from airflow_provider_whatsapp.plugin import browse, event_store, sources
    from airflow_provider_whatsapp.plugin.sources import Sources

    # A busy machine is no slow database.
    monkeypatch.setattr(sources, "DATABASE_WAIT", 60.0)
    monkeypatch.setattr(event_store, "SECONDS", 60.0)
    for name in ("SOURCES", "STORE"):  # what another test was told is kept for half a minute
        monkeypatch.setattr(browse, name, Sources(threads=2))

    def ask(path, role="viewer", method="GET", *, body=None, follow=True, **headers):
        client = TestClient(app, base_url="http://airflow.example", raise_server_exceptions=True)
        if role is not None:
            client.cookies.set("_token", airflow_users(role))
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.request(
            method, f"/airflow/whatsapp/{path}", headers=headers, data=body, follow_redirects=follow
        )

    return ask


@pytest.fixture
def tab(monkeypatch, look):
    """Open the tab of a task instance that Airflow's database would hold with these rendered fields and XComs."""
    from airflow_provider_whatsapp.plugin import (
        access,
        results_files,
        sources,
        task,
        task_facts,
        task_recipients,
    )
    from airflow_provider_whatsapp.plugin.metadata import TaskRun
    from airflow_provider_whatsapp.plugin.sources import Sources

    monkeypatch.setattr(access, "dag_is_there", lambda _: True)
    monkeypatch.setattr(sources, "WAIT", 60.0)  # a busy machine may take longer than a page waits

    def ask(fields=None, value=None, path=PATH, state="success", **how):
        kept = [(task_facts, name) for name in ("SOURCES", "STORE", "RECORDS")]
        for module, name in [*kept, (task_recipients, "RECEIPTS"), (task_recipients, "TABLES")]:
            monkeypatch.setattr(
                module, name, Sources(threads=2)
            )  # what was said a moment ago is kept otherwise
        monkeypatch.setattr(results_files, "THREADS", {})
        xcoms = {} if value is None else {"return_value": value}
        run = TaskRun(*RUN, state=state, started=AT, ended=AT, fields=fields or {}, xcoms=xcoms)
        monkeypatch.setattr(task, "read_task", lambda *names: run if names == RUN else None)
        return look(path, **how)

    return ask


@pytest.fixture
def dags(airflow_users):
    """Let Airflow know some DAGs."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    names = ["sales", "stock", EVIL]
    with create_session() as session:
        session.merge(DagBundleModel(name="browse-test"))
        session.flush()
        for name in names:
            session.merge(DagModel(dag_id=name, bundle_name="browse-test", fileloc="x"))
    yield names
    with create_session() as session:
        session.execute(delete(DagModel).where(DagModel.dag_id.in_(names)))
        session.execute(delete(DagBundleModel).where(DagBundleModel.name == "browse-test"))


@pytest.fixture
def store(monkeypatch, tmp_path):
    """Give an event store that Airflow's configuration names."""
    from airflow_provider_whatsapp.events.store import EventStore

    url = f"{tmp_path}/events.db"
    monkeypatch.setenv("AIRFLOW_CONN_EVENTS", json.dumps({"conn_type": "sqlite", "host": url}))
    monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", "events")
    made = EventStore.open(f"sqlite:///{url}")
    made.create_or_upgrade()
    yield made
    made.close()


@pytest.fixture
def alerts(dags, monkeypatch, tmp_path):
    """Keep alerts' records in Airflow's Variables, and the machine's files elsewhere."""
    from airflow_provider_whatsapp.notifications import mute, throttle
    from airflow_provider_whatsapp.notifications.records import Sending
    from airflow_provider_whatsapp.notifications.throttle_state import ThrottleState
    from airflow_provider_whatsapp.plugin.alerts_view import Variables

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(mute, "SETTLING", 0.0)
    kept = Variables()

    def fail(key, dag="sales", name="load", now=None):
        ThrottleState(kept).decide(
            key,
            lambda record: throttle.on_failure(
                record, name=name, now=now or time.time(), dag=dag, sending=Sending(), **NOW_FAILURE
            ),
        )
        return kept

    yield fail
    forget_alerts()
