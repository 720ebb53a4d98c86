"""Workers that are killed and stores that fail: a real Airflow goes on, and nobody gets a message twice."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from tests.airflow.running import has_state_store, lines, reached, refusal, state
from tests.campaigns.judging import Round, read_lines

pytestmark = pytest.mark.airflow


@pytest.fixture
def no_ledger(no_marks):
    """Leave the test to the versions that have no store of their own."""
    if has_state_store():
        pytest.skip("this Airflow has a task state store")


@pytest.fixture
def killed(start, sandbox):
    """Kill the process of a DAG's run at a random moment; return the run, which Airflow takes to be running."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    runs = []

    def run_and_kill(conf):
        sandbox.fail_next("slow", seconds=0.1, times=0, path="/messages")
        process, log = start("broadcast_kill", conf)
        until = random.randrange(1, 100)
        while len(sandbox.messages) < until:
            assert process.poll() is None, log.read_text()[-3000:]
            threading.Event().wait(0.05)
        process.kill()
        process.wait()
        (dag_run,) = DagRun.find(dag_id="broadcast_kill", state="running")
        runs.append(dag_run)
        return dag_run

    yield run_and_kill
    for dag_run in runs:
        dag_run.set_state("failed")
        with create_session() as session:
            session.merge(dag_run)


@pytest.mark.once
def test_a_process_killed_in_the_middle_repeats_nothing(killed, run_again, sandbox, ledger, tmp_path):
    """Kill -9, then what the scheduler does about it. The campaign in tests/campaigns does this many times over."""
    results = tmp_path / "results.jsonl"
    dag_run = killed({**ledger, "results": f"file://{results}"})

    assert run_again(dag_run, "send", clear=False).state == "success"

    counts = reached(sandbox)
    assert max(counts.values()) == 1
    found = {row["to"]: row["status"] for row in lines(results)}
    assert len(found) == 200
    assert {to for to, status in found.items() if status == "sent"} <= set(counts)
    unknown = {to for to, status in found.items() if status == "unknown"}
    assert len(counts.keys() | unknown) == 200
    assert len(unknown) <= 16


def marks():
    """Return the keys of the Variables that say that a task has begun to send."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        keys = session.scalars(select(Variable.key)).all()
    return [key for key in keys if key.startswith("whatsapp_sending_")]


@pytest.fixture
def no_marks(dag_bag):
    """Begin without what other tests have left."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(Variable).delete()


@pytest.mark.usefixtures("no_ledger")
def test_without_a_ledger_a_retry_after_a_kill_sends_nothing(killed, run_again, sandbox, tmp_path):
    dag_run = killed({"results": f"file://{tmp_path}/results.jsonl"})
    sent = reached(sandbox)
    (mark,) = marks()

    assert run_again(dag_run, "send", clear=False).state == "failed"
    assert run_again(dag_run, "send", clear=True).state == "failed", "resend_on_clear is not set"

    assert reached(sandbox) == sent
    assert marks() == [mark]


@pytest.mark.usefixtures("no_ledger")
def test_without_a_ledger_a_retry_after_a_time_out_sends_nothing(run, sandbox):
    sandbox.fail_next("slow", seconds=9, to="15550000002", path="/messages")

    dag_run = run("delivery_time_out")

    assert state(dag_run) == "failed"
    assert dag_run.get_task_instance("send").try_number == 2, "the second try refuses, and there is no third"
    assert set(reached(sandbox).values()) == {1}


@pytest.mark.usefixtures("no_ledger")
def test_without_a_ledger_nothing_is_retried_once_anything_was_sent(start, sandbox, change_connection):
    change_connection(extra={"max_retries": 0})
    sandbox.fail_next("status", **refusal(131056, "15550000005"))

    process, log = start("delivery_time_out", {})
    process.wait(timeout=100)

    assert set(reached(sandbox).values()) == {1}
    assert len(sandbox.requests_to("/messages")) == 12, "there is no second try"
    assert log.read_text().count("No ledger outlives this try") == 1


@pytest.mark.usefixtures("no_ledger")
def test_without_a_ledger_a_task_that_reached_nobody_is_retried(run, sandbox, change_connection):
    change_connection(extra={"max_retries": 0})
    sandbox.fail_next("status", status=429, path="/messages", times=1)

    dag_run = run("delivery_time_out")

    assert state(dag_run) == "success"
    assert dag_run.get_task_instance("send").try_number == 2
    assert set(reached(sandbox).values()) == {1}
    assert marks() == []


@pytest.mark.once
def test_a_store_that_fails_at_random_lets_nothing_leave_unclaimed(start, sandbox, tmp_path):
    """The campaign with --store failing does this many times over, with 500 recipients."""
    from airflow.models.dagrun import DagRun

    if not has_state_store():
        pytest.skip("this Airflow has no task state store")
    store, results = tmp_path / "store", tmp_path / "results.jsonl"
    store.mkdir()
    process, log = start(
        "broadcast_unlucky",
        {"results": f"file://{results}"},
        AIRFLOW__WORKERS__STATE_STORE_BACKEND="failing_backend.FailingBackend",
        CAMPAIGN_STORE=str(store),
        PYTHONPATH=str(Path(__file__).parents[1] / "campaigns"),
    )
    assert process.wait(timeout=110) == 0, log.read_text()[-3000:]

    (dag_run,) = DagRun.find(dag_id="broadcast_unlucky")
    tries = dag_run.get_task_instance("send").try_number
    found = Round(
        people=[f"1555{number:07}" for number in range(60)],
        messages=sandbox.messages,
        lines=read_lines(results),
        tries=tries,
        state=dag_run.state,
        journal=read_lines(store / "journal"),
        logs=[log.read_text()] * tries,
    ).figures()
    assert {name: count for name, count in found.items() if "forbidden" in name and count} == {}
    assert found["store: refused"] > 0
    assert found["store: written"] > 0
