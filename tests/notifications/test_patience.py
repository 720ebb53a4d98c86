"""How much time a callback has, by where it runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.airflow


@pytest.fixture
def in_a_task(monkeypatch):
    monkeypatch.setattr("airflow_provider_whatsapp.notifications.patience.in_task", lambda: True)


def left(**context):
    """Return the seconds that a callback with this context has for its last request."""
    from airflow_provider_whatsapp.notifications.patience import Patience

    return Patience.of(context).until - time.monotonic()


def task(*, ended):
    """Return a task instance that ended so many seconds ago."""
    moment = None if ended is None else datetime.now(UTC) - timedelta(seconds=ended)
    return SimpleNamespace(end_date=moment)


@pytest.mark.parametrize(
    ("ended", "context", "seconds"),
    [
        pytest.param(0, {}, 17, id="a task's"),
        pytest.param(9, {}, 8, id="after another callback of the task"),
        pytest.param(19, {}, 2, id="there is always time for one request"),
        pytest.param(None, {}, 17, id="before the task"),
        pytest.param(3600, {}, 22, id="of a task that was lost, in the DAG processor"),
        pytest.param(0, {"reason": "task_failure"}, 22, id="a DAG's"),
        pytest.param(None, {"deadline": {"id": 1}}, 57, id="a deadline's"),
    ],
)
def test_the_time_of_a_callback(in_a_task, ended, context, seconds):
    assert left(ti=task(ended=ended), **context) == pytest.approx(seconds, abs=0.9)


def test_the_time_that_airflow_is_configured_to_leave(in_a_task, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__TASK_SUCCESS_OVERTIME", "120")

    assert left(ti=task(ended=0)) == pytest.approx(117, abs=0.9)


def test_waiting_leaves_time_for_a_request():
    from airflow_provider_whatsapp.notifications.patience import Patience

    assert Patience(time.monotonic() + 17).left() == pytest.approx(12, abs=0.9)
    assert Patience(time.monotonic() + 1).left() == 0
