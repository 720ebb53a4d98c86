"""How much time a callback has, by where it runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.airflow


@pytest.fixture
def in_a_task(monkeypatch):
    monkeypatch.setattr("airflow_provider_whatsapp.notifications.time_budget.in_task", lambda: True)
    monkeypatch.setattr(
        "airflow_provider_whatsapp.notifications.time_budget._first_of_the_file", time.monotonic
    )


def left(**context):
    """Return the seconds that a callback with this context has for its last request."""
    from airflow_provider_whatsapp.notifications.time_budget import TimeBudget

    return TimeBudget.of(context).until - time.monotonic()


def task(*, ended):
    """Return a task instance that ended so many seconds ago."""
    now = datetime.now(UTC)
    moment = None if ended is None else now - timedelta(seconds=ended)
    return SimpleNamespace(task_id="load", start_date=now - timedelta(hours=2), end_date=moment)


# What the DAG processor makes of a task whose worker was lost.
LOST = SimpleNamespace(dag_id="orders", task_id="load", run_id="r", state=None)


@pytest.mark.parametrize(
    ("ended", "context", "seconds"),
    [
        pytest.param(0, {}, 17, id="a task's"),
        pytest.param(9, {}, 8, id="after another callback of the task"),
        pytest.param(19, {}, 2, id="there is always time for one request"),
        pytest.param(None, {}, 17, id="before the task"),
        pytest.param(0, {"ti": LOST}, 22, id="of a task that was lost, in the DAG processor"),
        pytest.param(0, {"reason": "task_failure"}, 22, id="a DAG's"),
        pytest.param(None, {"deadline": {"id": 1}}, 57, id="a deadline's"),
    ],
)
def test_the_time_of_a_callback(in_a_task, ended, context, seconds):
    assert left(**{"ti": task(ended=ended), **context}) == pytest.approx(seconds, abs=0.9)


@pytest.mark.parametrize(("spent", "seconds"), [(5, 22), (30, 7), (39, 2), (3600, 22)])
def test_all_callbacks_of_a_file_share_the_dag_processor_s_time(in_a_task, monkeypatch, spent, seconds):
    began = time.monotonic() - spent
    monkeypatch.setattr(
        "airflow_provider_whatsapp.notifications.time_budget._first_of_the_file", lambda: began
    )

    assert left(ti=LOST) == pytest.approx(seconds, abs=0.9)
    assert left(ti=task(ended=0), reason="task_failure") == pytest.approx(seconds, abs=0.9)


def test_the_time_that_airflow_is_configured_to_leave(in_a_task, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__TASK_SUCCESS_OVERTIME", "120")

    assert left(ti=task(ended=0)) == pytest.approx(117, abs=0.9)


def test_waiting_leaves_time_for_a_request():
    from airflow_provider_whatsapp.notifications.time_budget import TimeBudget

    assert TimeBudget(time.monotonic() + 17).left() == pytest.approx(12, abs=0.9)
    assert TimeBudget(time.monotonic() + 1).left() == 0
