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


@pytest.fixture
def clock(monkeypatch):
    """Give this module's clocks: they stand still, so that times are exact."""
    from airflow_provider_whatsapp.notifications import time_budget

    class Now(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 1, 12, tzinfo=tz)

    monkeypatch.setattr(time_budget, "datetime", Now)
    monkeypatch.setattr(time_budget, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    return SimpleNamespace(
        now=Now.now, began=lambda at: monkeypatch.setattr(time_budget, "_first_of_the_file", lambda: at)
    )


@pytest.mark.parametrize(
    ("ended", "seconds"),
    [(0.0, 17.0), (15.0, 2.0), (14.0, 3.0), (19.0, 2.0), (20.0, 22.0), (21.0, 22.0), (None, 17.0)],
)
def test_a_task_s_time_to_the_second(in_a_task, clock, ended, seconds):
    from airflow_provider_whatsapp.notifications.time_budget import TimeBudget

    moment = None if ended is None else clock.now(UTC) - timedelta(seconds=ended)
    ti = SimpleNamespace(
        task_id="load", start_date=moment or datetime(2026, 1, 1, tzinfo=UTC), end_date=moment
    )

    assert TimeBudget.of({"ti": ti}).until == 1000.0 + seconds


@pytest.mark.parametrize(
    ("spent", "seconds"), [(0.0, 22.0), (15.0, 22.0), (16.0, 21.0), (38.0, 2.0), (49.9, 2.0), (50.0, 22.0)]
)
def test_a_file_s_time_to_the_second(in_a_task, clock, spent, seconds):
    from airflow_provider_whatsapp.notifications.time_budget import TimeBudget

    clock.began(1000.0 - spent)

    assert TimeBudget.of({"ti": LOST}).until == 1000.0 + seconds


@pytest.mark.parametrize(
    ("in_all", "left", "state", "lasts"),
    [(17.0, 12.0, 5.1, 30.0), (5.0, 0.0, 1.5, 30.0), (-1.0, 0.0, 0.0, 30.0), (57.0, 52.0, 17.1, 60.0)],
)
def test_the_parts_of_the_time(clock, in_all, left, state, lasts):
    from airflow_provider_whatsapp.notifications.time_budget import TimeBudget

    budget = TimeBudget(1000.0 + in_all)

    assert (budget.left(), budget.lasts()) == (left, lasts)
    assert budget.for_throttle_state() == pytest.approx(state)


def test_outside_of_a_task_a_callback_has_a_dag_s_time(monkeypatch, clock):
    from airflow_provider_whatsapp.notifications import time_budget

    monkeypatch.setattr(time_budget, "in_task", lambda: False)

    assert time_budget.TimeBudget.of({"ti": task(ended=5)}).until == 1022.0
    assert time_budget.TimeBudget.of({"deadline": {"id": 1}}).until == 1057.0
