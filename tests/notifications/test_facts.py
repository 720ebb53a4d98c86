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
    attempt_of,
    cut,
    default_key,
    facts,
    fit,
    is_failure,
    is_lost,
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


@pytest.mark.parametrize(
    ("text", "limit", "found"),
    [
        ("abcde", 5, "abcde"),
        ("abcdef", 5, "abcd…"),
        ("abc  def", 6, "abc…"),
        ("", 5, ""),
        ("a", 1, "a"),
    ],
)
def test_a_text_that_is_too_long_ends_with_an_ellipsis(text, limit, found):
    assert cut(text, limit) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [("a\tb \n c", "a b c"), ("  ", "-"), (None, "-"), (0, "0"), ("x" * 150, "x" * 150)],
    ids=["spaces", "blank", "none", "zero", "longest"],
)
def test_how_a_value_is_made_fit(value, found):
    assert fit(value) == found
    assert fit("x" * 151) == "x" * 149 + "…"


def things(**names):
    return SimpleNamespace(**names)


WHERE = {
    "the task": ({"ti": things(dag_id="a"), "dag_run": things(dag_id="b"), "dag": things(dag_id="c")}, "a"),
    "the run": ({"ti": things(), "dag_run": things(dag_id="b"), "dag": things(dag_id="c")}, "b"),
    "the DAG": ({"dag": things(dag_id="c")}, "c"),
    "nobody": ({}, "-"),
}


@pytest.mark.parametrize(("context", "dag"), WHERE.values(), ids=list(WHERE))
def test_who_says_which_dag_it_was(context, dag):
    assert facts(context)["dag"] == dag


RUNS = {
    "the task": ({"ti": things(run_id="a"), "run_id": "b", "dag_run": things(run_id="c")}, "a"),
    "the context": ({"run_id": "b", "dag_run": things(run_id="c")}, "b"),
    "the run": ({"dag_run": things(run_id="c", dag_run_id="d")}, "c"),
    "a deadline's run": ({"dag_run": {"dag_run_id": "d"}}, "d"),
    "nobody": ({}, "-"),
}


@pytest.mark.parametrize(("context", "run"), RUNS.values(), ids=list(RUNS))
def test_who_says_which_run_it_was(context, run):
    assert facts(context)["run"] == run


LATER = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)
MOMENTS = {
    "the deadline": ({"deadline": {"deadline_time": LATER}, "logical_date": WHEN}, "2026-05-06 07:08"),
    "the context": ({"logical_date": LATER, "dag_run": things(logical_date=WHEN)}, "2026-05-06 07:08"),
    "the run's date": ({"dag_run": things(logical_date=LATER, run_after=WHEN)}, "2026-05-06 07:08"),
    "when it was due": (
        {"dag_run": things(logical_date=None, run_after=LATER, start_date=WHEN)},
        "2026-05-06 07:08",
    ),
    "when it began": ({"dag_run": things(start_date="2026-05-06T07:08:09")}, "2026-05-06 07:08"),
    "nobody": ({"dag_run": things()}, "-"),
}


@pytest.mark.parametrize(("context", "moment"), MOMENTS.values(), ids=list(MOMENTS))
def test_who_says_when_it_was(context, moment):
    assert facts(context)["when"] == moment


@pytest.mark.parametrize(
    ("index", "task"), [(0, "load[0]"), (7, "load[7]"), (-1, "load"), (None, "load"), ("0", "load")]
)
def test_a_task_s_index_is_told_where_it_has_one(index, task):
    assert facts({"ti": things(task_id="load", map_index=index)})["task"] == task
    assert facts({"ti": things(map_index=index)})["task"] == "-"


PATHS = {
    "the log": ({"ti": things(log_url="https://a.example/af/dags/x/runs/y")}, "dags/x/runs/y"),
    "with a query": ({"ti": things(log_url="https://a.example/dags/x?try=2")}, "dags/x?try=2"),
    "elsewhere": ({"ti": things(log_url="https://a.example/log/x?try=2")}, "log/x?try=2"),
    "no URL": ({"ti": things(log_url="", dag_id="a b", run_id="r/1")}, "dags/a%20b/runs/r/1"),
    "no text": ({"ti": things(log_url=7, dag_id="x")}, "dags/x"),
    "the DAG's own": (
        {"ti": things(log_url="https://a.example/dags/x", dag_id="x"), "reason": "r"},
        "dags/x",
    ),
    "nothing": ({}, "dags"),
}


@pytest.mark.parametrize(("context", "path"), PATHS.values(), ids=list(PATHS))
def test_where_the_button_leads(context, path):
    assert log_path(context) == path


def test_each_try_is_known_by_all_that_tells_it_from_others():
    tries = [TI] + [
        SimpleNamespace(**{**vars(TI), name: "another"})
        for name in ("dag_id", "task_id", "run_id", "map_index", "try_number")
    ]
    found = [attempt_of({"ti": ti}) for ti in tries]

    assert len({*found}) == 6
    assert all(len(each) == 12 for each in found)
    assert found[0] == attempt_of({"ti": SimpleNamespace(**vars(TI), log="x")})
    assert attempt_of({"ti": TI, "reason": "task_failure"}) == attempt_of({}) == ""


LOST_WORKERS = {
    "no state, no start": (things(task_id="load"), True),
    "a state": (things(task_id="load", state="failed"), False),
    "a start": (things(task_id="load", start_date=WHEN), False),
    "no task": (things(), False),
    "nothing": (None, False),
}


@pytest.mark.parametrize(("ti", "lost"), LOST_WORKERS.values(), ids=list(LOST_WORKERS))
def test_whose_worker_was_lost(ti, lost):
    assert is_lost(ti) is lost


@pytest.mark.parametrize("reason", ["success", "all_success"])
def test_a_dag_s_success_is_no_failure(reason):
    assert not is_failure({"reason": reason, "exception": ValueError()})


ERRORS = {
    "a deadline of an exception": ({"exception": ValueError("no"), "deadline": {}}, "ValueError: no"),
    "an empty deadline": ({"deadline": None, "reason": "timed_out"}, "timed_out"),
    "lines": ({"exception": "\n one\ntwo"}, "one"),
    "an exception of spaces": ({"exception": KeyError("")}, "KeyError: ''"),
    "nothing": ({}, "not stated"),
}


@pytest.mark.parametrize(("context", "error"), ERRORS.values(), ids=list(ERRORS))
def test_what_is_said_where_little_is_known(context, error):
    assert facts(context)["error"] == error
