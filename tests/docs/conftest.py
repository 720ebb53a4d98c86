from __future__ import annotations

import json
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.airflow.alone import keep_between_tasks
from tests.airflow.running import bag_of, dagbag_module


@pytest.fixture(scope="session")
def airflow_database():
    from airflow.utils.db import initdb

    initdb()
    keep_between_tasks()


@pytest.fixture
def dag_folder(request):
    """A folder below Airflow's own for DAGs, gone when the page is read."""
    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"], "docs")
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


def in_order(printed, records):
    """Return as one log what was printed and what went through logging, which pytest takes aside."""
    entries = []
    for line in printed.splitlines():
        if re.match(r"\d{4}-\d\d-\d\dT", line) or not entries:
            entries.append(line)
        else:
            entries[-1] += f"\n{line}"
    for record in records:
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        message = f"{moment} [{record.levelname.lower():9}] {record.getMessage():30} [{record.name}]"
        entries.append(f"{message} loc={record.filename}:{record.lineno}")
    return "\n".join(sorted(entries, key=lambda entry: entry[:27])) + "\n"


@pytest.fixture
def run_dag(airflow_database, capfd, caplog, monkeypatch):
    """
    Give the ids of a file's DAGs; or run one of them and give its state and log.

    Only DAGs of the same file are written into the database before.
    """
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session

    dagbag = dagbag_module()
    with create_session() as session:  # the throttle state of alerts
        session.query(Variable).delete()

    def run(file, dag_id=None, conf=None):
        bag = dagbag.DagBag(str(file))
        if bag.import_errors:
            raise AssertionError("\n".join(bag.import_errors.values()))
        if dag_id is None:
            return [found for found, dag in bag.dags.items() if dag.tasks]
        monkeypatch.setattr(dagbag, "BundleDagBag", bag_of(file))
        capfd.readouterr()
        caplog.clear()
        dag_run = bag.dags[dag_id].test(run_conf=json.loads(conf) if conf else None)
        out, err = capfd.readouterr()
        return str(dag_run.state), in_order(out + err, caplog.records)

    return run
