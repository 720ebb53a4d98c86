from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest

from tests.airflow.alone import keep_between_tasks, prepare_to_run_alone, run_alone
from tests.airflow.running import dagbag_module, has_state_store

ROOT = Path(__file__).parents[2]


def sync_once():
    """Let ``dag.test()`` parse and write a folder once, not before each run: that costs more than most runs."""
    dagbag = dagbag_module()
    made = dagbag.BundleDagBag

    @functools.cache
    def parse(times, **options):
        return made(**options)

    @functools.wraps(made)
    def bag(dag_folder, **options):
        times = frozenset((path, path.stat().st_mtime_ns) for path in Path(dag_folder).rglob("*.py"))
        return parse(times, dag_folder=dag_folder, **options)

    dagbag.BundleDagBag, dagbag.sync_bag_to_db = bag, functools.cache(dagbag.sync_bag_to_db)


@pytest.fixture(scope="session")
def dag_bag():
    """All example DAGs and test DAGs, in the database of a real Airflow."""
    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    folder.mkdir(exist_ok=True)
    (folder / "example_dags").symlink_to(ROOT / "example_dags")
    (folder / "test_dags").symlink_to(Path(__file__).parent / "dags")
    from airflow.utils.db import initdb

    initdb()
    keep_between_tasks()
    sync_once()
    bag = dagbag_module().DagBag(str(folder))
    assert bag.import_errors == {}
    return bag


@pytest.fixture
def run_dag(dag_bag, sandbox):
    """Run a DAG by its id against an empty sandbox; return its state, and task states by id."""

    from airflow.models.variable import Variable
    from airflow.utils.session import create_session

    with create_session() as session:  # the throttle state of alerts
        session.query(Variable).delete()

    def run(dag_id, **conf):
        dag_run = dag_bag.dags[dag_id].test(run_conf=conf or None)
        return dag_run.state, {ti.task_id: ti.state for ti in dag_run.get_task_instances()}

    return run


@pytest.fixture(params=["state store", "files"])
def ledger(request, tmp_path):
    """Give the run's configuration for either ledger."""
    if request.param == "files":
        return {"ledger": f"file://{tmp_path}/ledgers"}
    if not has_state_store():
        pytest.skip("this Airflow has no task state store")
    return {}


@pytest.fixture
def run(dag_bag, sandbox):
    """Run a DAG and return its run."""
    return lambda dag_id, **conf: dag_bag.dags[dag_id].test(run_conf=conf or None)


@pytest.fixture
def run_again(dag_bag):
    """Run a task of a run again, after a clear as in the UI, or as the scheduler does when its worker is gone."""

    def again(dag_run, task_id, *, clear):
        from airflow.models.taskinstance import TaskInstance, clear_task_instances
        from airflow.sdk.definitions.dag import _run_task
        from airflow.utils.session import create_session
        from sqlalchemy import select

        which = select(TaskInstance).where(
            TaskInstance.dag_id == dag_run.dag_id,
            TaskInstance.run_id == dag_run.run_id,
            TaskInstance.task_id == task_id,
        )
        with create_session() as session:
            found = session.scalar(which)
            if clear:
                clear_task_instances([found], session, dag_run_state=False)
            else:
                found.prepare_db_for_next_try(session)
        with create_session() as session:
            found = session.scalar(which)
            found.try_number += 1
            found.state = "scheduled"
            session.flush()
            session.refresh(found)
            session.expunge(found)
        found.task = dag_bag.dags[dag_run.dag_id].task_dict[task_id]
        _run_task(ti=found, task=found.task)
        return dag_run.get_task_instance(task_id)

    return again


@pytest.fixture
def start(dag_bag, sandbox, forks, tmp_path):
    """Run a DAG in a process of its own; return it and the file of what it says."""
    processes = []
    forks.prepare(prepare_to_run_alone)

    def started(dag_id, conf, **environment):
        log = tmp_path / "process.log"
        with log.open("w") as output:
            files = (None, output, output)
            processes.append(forks.start(run_alone, dag_id, conf, files=files, env=os.environ | environment))
        return processes[-1], log

    yield started
    for process in processes:
        process.kill()
        process.wait()
