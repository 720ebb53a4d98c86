from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def dag_bag():
    """All example DAGs and test DAGs, in the database of a real Airflow."""
    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    folder.mkdir()
    (folder / "example_dags").symlink_to(ROOT / "example_dags")
    (folder / "test_dags").symlink_to(Path(__file__).parent / "dags")
    from airflow.utils.db import initdb

    initdb()
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag
    bag = DagBag(str(folder))
    assert bag.import_errors == {}
    return bag


@pytest.fixture
def run_dag(dag_bag, sandbox):
    """Run a DAG by its id against an empty sandbox; return its state, and task states by id."""

    from airflow.models.variable import Variable
    from airflow.utils.session import create_session

    with create_session() as session:  # what alerts remember of each other
        session.query(Variable).delete()

    def run(dag_id, **conf):
        dag_run = dag_bag.dags[dag_id].test(run_conf=conf or None)
        return dag_run.state, {ti.task_id: ti.state for ti in dag_run.get_task_instances()}

    return run
