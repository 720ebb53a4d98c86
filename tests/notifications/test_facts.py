from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk import TaskInstanceState as State
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.messages import Template
from airflow_provider_whatsapp.notifications.facts import (
    NAMES,
    VALUE_LIMIT,
    default_key,
    facts,
    fit,
    is_failure,
    log_path,
)

TI = SimpleNamespace(
    dag_id="orders",
    task_id="load",
    run_id="manual__1",
    try_number=2,
    map_index=-1,
    log_url="https://airflow.example.com/dags/orders/runs/manual__1/tasks/load?try_number=2",
)
# What the DAG processor makes of a task whose worker was lost: no state, no start.
LOST = SimpleNamespace(dag_id="orders", task_id="load", run_id="manual__1", try_number=1, map_index=-1)
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


def test_an_airflow_below_a_path_is_in_the_button_already():
    url = "https://data.example.com/airflow/dags/orders/runs/r/tasks/load?try_number=1"

    assert log_path({"ti": SimpleNamespace(log_url=url)}) == "dags/orders/runs/r/tasks/load?try_number=1"


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
    assert log_path(context) == "dags/orders/runs/scheduled__1"


def test_a_dag_s_callback_does_not_blame_the_task_that_happened_to_be_last():
    found = facts({"ti": TI, "reason": "task_failure", "run_id": "manual__1"})

    assert (found["dag"], found["task"], found["try"], found["error"]) == ("orders", "-", "-", "task_failure")
    assert log_path({"ti": TI, "reason": "task_failure"}) == "dags/orders/runs/manual__1"
    assert log_path({"dag": TI, "reason": "task_failure"}) == "dags/orders"


@pytest.mark.parametrize(
    ("context", "key", "failure"),
    [
        pytest.param({"ti": TI, "exception": ValueError()}, "orders.load", True, id="task failed"),
        pytest.param(
            {"ti": SimpleNamespace(**vars(TI), state="failed")}, "orders.load", True, id="no exception"
        ),
        pytest.param(
            {"ti": SimpleNamespace(**vars(TI), state="success")}, "orders.load", False, id="task succeeded"
        ),
        pytest.param(
            {"ti": SimpleNamespace(**vars(TI), state="up_for_retry"), "exception": ValueError()},
            "orders.load.retry",
            True,
            id="try failed",
        ),
        pytest.param(
            {"ti": SimpleNamespace(**vars(TI), state="running"), "exception": ValueError()},
            "orders.load",
            True,
            id="an exception, whatever the state",
        ),
        pytest.param(
            {"ti": SimpleNamespace(**vars(TI), state="running")}, "orders.load", False, id="running"
        ),
        pytest.param({"ti": LOST}, "orders.load", True, id="worker lost"),
        pytest.param(
            {"ti": SimpleNamespace(**vars(LOST), max_tries=1)},
            "orders.load.retry",
            True,
            id="worker lost, try left",
        ),
        pytest.param({"ti": TI, "reason": "task_failure"}, "orders", True, id="DAG failed"),
        pytest.param({"ti": TI, "reason": "success"}, "orders", False, id="DAG succeeded"),
        pytest.param({}, "-", False, id="nothing"),
    ],
)
def test_what_is_the_same_alert(context, key, failure):
    assert default_key(context) == key
    assert is_failure(context) is failure


def test_a_deadline_s_callback():
    context = {
        "dag_run": {"dag_id": "orders", "dag_run_id": "scheduled__1", "logical_date": "2026-01-02T03:04:05Z"},
        "deadline": {"deadline_time": "2026-01-02T04:00:00Z"},
    }
    found = facts(context)

    assert (found["dag"], found["run"]) == ("orders", "scheduled__1")
    assert (found["when"], found["error"]) == ("2026-01-02 04:00", "deadline missed")
    assert log_path(context) == "dags/orders/runs/scheduled__1"


@pytest.mark.parametrize(
    "context", [{}, {"ti": None, "dag_run": None, "exception": None}, {"exception": "text"}]
)
def test_nothing_at_all_is_survived(context):
    assert set(facts(context)) == set(NAMES)
    assert all(facts(context).values())


def test_a_task_that_has_not_failed_is_told_by_its_state():
    assert facts({"ti": SimpleNamespace(state=State.SKIPPED)})["error"] == "skipped"
    assert facts({"ti": SimpleNamespace(state=None)})["error"] == "not stated"
    assert facts({"ti": LOST})["error"] == "its worker was lost"


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


@pytest.mark.parametrize(
    ("context", "error"),
    [
        ({"exception": "it broke\nhere", "reason": "r", "ti": TI}, "it broke"),
        ({"exception": ValueError("\n  first\nsecond")}, "ValueError: first"),
        ({"exception": "", "reason": "task_failure"}, "task_failure"),
        ({"reason": "task_failure", "deadline": {}}, "deadline missed"),
        ({"ti": SimpleNamespace(state=State.FAILED)}, "failed"),
    ],
    ids=["a text", "an exception's first line", "a reason", "a deadline", "a state"],
)
def test_what_is_said_of_the_error_comes_from_the_nearest(context, error):
    assert facts(context)["error"] == error
