from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.messages import Template
from airflow_provider_whatsapp.notifications.facts import NAMES, VALUE_LIMIT, facts, fit, log_path

TI = SimpleNamespace(
    dag_id="orders",
    task_id="load",
    run_id="manual__1",
    try_number=2,
    map_index=-1,
    log_url="https://airflow.example.com/dags/orders/runs/manual__1/tasks/load?try_number=2",
)
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_task_s_callback():
    context = {
        "ti": TI,
        "run_id": "manual__1",
        "exception": ValueError("no rows\nin 3 files"),
        "logical_date": WHEN,
    }

    assert facts(context) == {
        "dag": "orders",
        "task": "load",
        "run": "manual__1",
        "when": "2026-01-02 03:04",
        "error": "ValueError: no rows",
        "try": "2",
    }
    assert log_path(context) == "dags/orders/runs/manual__1/tasks/load?try_number=2"


def test_a_mapped_task_is_told_by_its_index():
    assert facts({"ti": SimpleNamespace(**{**vars(TI), "map_index": 7})})["task"] == "load[7]"


def test_a_dag_s_callback_without_a_task():
    context = {"dag": SimpleNamespace(dag_id="orders"), "run_id": "scheduled__1", "reason": "task_failure"}

    assert facts(context) == {
        "dag": "orders",
        "task": "-",
        "run": "scheduled__1",
        "when": "-",
        "error": "task_failure",
        "try": "-",
    }
    assert log_path(context) is None


def test_a_deadline_s_callback():
    context = {
        "dag_run": {"dag_id": "orders", "run_id": "scheduled__1", "logical_date": "2026-01-02T03:04:05Z"},
        "deadline": {"deadline_time": "2026-01-02T04:00:00Z"},
    }
    found = facts(context)

    assert (found["dag"], found["run"]) == ("orders", "scheduled__1")
    assert (found["when"], found["error"]) == ("2026-01-02 04:00", "deadline missed")


@pytest.mark.parametrize(
    "context", [{}, {"ti": None, "dag_run": None, "exception": None}, {"exception": "text"}]
)
def test_nothing_at_all_is_survived(context):
    assert set(facts(context)) == set(NAMES)
    assert all(facts(context).values())


def test_an_exception_without_words_is_told_by_its_name():
    assert facts({"exception": KeyError()})["error"] == "KeyError"


@given(st.text() | st.none() | st.integers() | st.binary())
def test_any_value_fits_a_template(value):
    fitted = fit(value)

    assert 1 <= len(fitted) <= VALUE_LIMIT
    Template("any_name", body=[fitted])


@given(st.lists(st.text(max_size=3000), min_size=6, max_size=6))
def test_all_values_together_fit_a_template_s_body(values):
    context = {
        "ti": SimpleNamespace(dag_id=values[0], task_id=values[1], run_id=values[2], try_number=values[3]),
        "exception": ValueError(values[4]),
        "logical_date": values[5],
    }

    assert sum(map(len, facts(context).values())) < 1024
    Template("any_name", body=facts(context))
