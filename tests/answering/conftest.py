"""A task that asks by the sandbox, the receiver that stores the presses, and an Airflow to answer."""

from __future__ import annotations

import contextlib
import json
import uuid
from importlib.resources import as_file, files
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.answering.airflow_api import AirflowApi, Credentials
from airflow_provider_whatsapp.answering.answering import Answering
from airflow_provider_whatsapp.events.store import EventStore
from tests.answering.fake_airflow import PASSWORD, USER, FakeAirflow, serving

ADA, BOB, EVE = "+15550000001", "+15550000002", "+15550000003"


class Parked(BaseException):
    """What the operator raises to wait, whatever this Airflow has for it."""


@pytest.fixture
def airflow():
    """Give an Airflow that answers, as far as requests go."""
    fake = FakeAirflow()
    with serving(fake) as url:
        fake.url = url
        yield fake


@pytest.fixture
def ti(tmp_path):
    """Give a task instance that keeps what is pushed."""
    pushed = {}
    return SimpleNamespace(
        id=uuid.uuid4(), dag_id="orders", run_id="manual__1+2", task_id="ask", map_index=-1, try_number=1,
        max_tries=1, pushed=pushed, xcom_push=lambda key, value: pushed.update({key: json.loads(json.dumps(value))}),
        xcom_pull=lambda key, **_: json.loads(json.dumps(pushed.get(key))), ledger=f"file://{tmp_path}/ledger",
    )  # fmt: skip


@pytest.fixture
def templates(sandbox):
    """Give the stock templates."""
    with as_file(files("airflow_provider_whatsapp.approvals")) as folder:
        sandbox.templates.load(folder, base_url="https://airflow.example.com")


@pytest.fixture
def asks(monkeypatch, airflow, ti, templates, whatsapp_events):
    """Run an operator until it waits; what it writes to Airflow, the stand-in gets."""
    hitl = pytest.importorskip("airflow.providers.standard.operators.hitl")

    def park(*_, **__):
        raise Parked

    def upsert(*, ti_id, options, params, **_):
        assert str(ti_id) == str(ti.id)
        # Airflow 3.1.0 writes values alone, and its API makes descriptions of them.
        shown = {
            name: {"value": value["value"] if isinstance(value, dict) else value}
            for name, value in params.items()
        }
        airflow.ask(ti, options, shown)

    monkeypatch.setattr(hitl, "upsert_hitl_detail", upsert)
    monkeypatch.setattr("airflow_provider_whatsapp.operators._asking.park", park)

    def ask(operator, **changes):
        vars(ti).update(changes)
        from airflow_provider_whatsapp.operators._parking import PARKED

        with pytest.raises((Parked, *PARKED)):
            operator.execute({"ti": ti, "task_instance": ti})
        whatsapp_events.deliver(60)

    return ask


@pytest.fixture
def store(whatsapp_events):
    """Give the event store."""
    with contextlib.closing(EventStore.open(whatsapp_events.database)) as made:
        yield made


@pytest.fixture
def api(airflow):
    """Give the client of Airflow's API, as a user with a password."""
    with contextlib.closing(AirflowApi(airflow.url, Credentials(username=USER, password=PASSWORD))) as made:
        yield made


@pytest.fixture
def answering(store, api):
    """Give what takes presses out of the store."""
    return Answering(store, api, name="tests")
