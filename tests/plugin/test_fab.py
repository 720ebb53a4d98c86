"""The tab and the page under FAB's auth manager: its roles, and a role of an administrator's own for one DAG of two."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WALK = Path(__file__).with_name("fab_walk.py")
DAGS = ["sales", "stock"]
NOTHING = {
    "tab": 403,
    "other tab": 403,
    "alerts": 403,
    "alerts seen": [],
    "health": 403,
    "mute sales": 403,
    "mute stock": 403,
}
DAGS_ALONE = NOTHING | {"tab": 200, "other tab": 404}
ALL = {
    "tab": 200,
    "other tab": 404,
    "alerts": 200,
    "alerts seen": DAGS,
    "health": 200,
    "mute sales": 303,
    "mute stock": 303,
}
EXPECTED = {
    "nobody": {name: [] if name == "alerts seen" else 401 for name in NOTHING},
    "Public": NOTHING,
    "Viewer": DAGS_ALONE,
    "User": DAGS_ALONE,
    "Op": ALL,
    "Admin": ALL,
    "SeesSales": NOTHING | {"tab": 200, "alerts": 200, "alerts seen": ["sales"]},
}
"""HTTP's status for each: 404 says that the DAG may be seen, and that it has no such run."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What each user was answered: Airflow's own app, in a process of its own."""
    if not any(
        importlib.metadata.distributions(name="apache-airflow-providers-fab")
    ):  # Airflow is not imported here
        pytest.skip("FAB's provider is not installed: nox -s fab")
    ours = ("AIRFLOW_", "AIRFLOW__")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    folder = tmp_path_factory.mktemp("fab")
    env["AIRFLOW_HOME"] = str(folder)
    command = [sys.executable, str(WALK), str(folder / "answers.json")]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    return json.loads((folder / "answers.json").read_text())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", EXPECTED)
def test_each_role_sees_what_airflow_lets_it_see(answers, role):
    missing = 401 if role == "nobody" else 403

    assert answers[role] == EXPECTED[role] | {"no such DAG": missing}
