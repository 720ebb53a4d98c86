"""A running Airflow, all its parts, below a base path and with a user: small, and quick to notice what happens."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sqlite3
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.airflow.components import COMPONENTS, Components
from tests.ports import free_port

ONCALL, EVERYBODY, POLICY, SYNC = "+15550001111", "+15550002222", "+15550003333", "+15550005555"
HEARTBEAT_TIMEOUT = 600
"""Seconds after which the scheduler takes a task's worker for lost."""
DEADLINE = 180
"""Seconds after which a running Airflow is given up; it takes 30 to 60 to be ready on two cores."""
LATER_DEADLINE = 20
"""The same once it has been given up: by then it has done what it can do."""


def environment(home, connection):
    """Return the settings of an Airflow of its own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/airflow"
    mine = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return mine | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT": json.dumps(connection),
        # Nothing answers there.
        "AIRFLOW_CONN_AWAY": json.dumps({**connection, "host": f"http://127.0.0.1:{free_port()}"}),
        "AIRFLOW_VAR_ONCALL": json.dumps({"tag:finance": [ONCALL], "default": [EVERYBODY]}),
        "AIRFLOW_VAR_ONCALL_SYNC": json.dumps({"default": [SYNC]}),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of the test that is long enough for SHA-512: 0123456789abcdef",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__FERNET_KEY": "",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "5",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "ada:admin",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        # On a busy machine a part may hold the lock for longer than the default, 5 s. See also IMPATIENT.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=60",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        # No task is ever so late, however busy the machine: see miss_the_lost_worker.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT),
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW_CONN_EVENTS": json.dumps({"conn_type": "sqlite", "host": f"{home}/events.db"}),
        "AIRFLOW__WHATSAPP__EVENTS_CONN_ID": "events",
        "AIRFLOW__WHATSAPP__ALERT_TO": POLICY,
        "AIRFLOW__WHATSAPP__ALERT_TEMPLATE": "something_wrong",
        # The API server's first answer takes seconds on a busy machine, and a task that waits in vain never runs.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "WHATSAPP_TEST_LIVE": "1",
    }


@contextlib.contextmanager
def start_airflow(home, connection):
    """Start an Airflow, and end all that it has started."""
    env = environment(home, connection)
    with Components(env, home) as parts:
        airflow = LiveAirflow(home, env["AIRFLOW__API__BASE_URL"], parts)
        parts.run("db", "migrate")
        parts.start("api-server")
        # A task that begins before the API server answers has failed.
        airflow.wait_for(airflow.answers)
        for name, options in COMPONENTS.items():
            parts.start(name, *options)
        yield airflow


class LiveAirflow:
    """
    An Airflow that runs.

    :param folder: Its home, with the logs of its parts.
    :param url: Of its API server.
    :param parts: Its processes.
    """

    def __init__(self, folder, url, parts):
        self.folder, self.url = folder, url
        self._parts = parts
        self._is_late = False

    def answers(self):
        try:
            return requests.get(f"{self.url}/api/v2/version", timeout=5).ok
        except requests.RequestException:
            return False

    @functools.cached_property
    def password(self):
        (file,) = self.folder.glob("simple_auth_manager_passwords*")
        return json.loads(file.read_text())["ada"]

    @functools.cached_property
    def _token(self):
        user = {"username": "ada", "password": self.password}
        return requests.post(f"{self.url}/auth/token", json=user, timeout=60).json()["access_token"]

    def ask(self, method, path, **fields):
        """Ask Airflow's API as the user."""
        headers = {"Authorization": f"Bearer {self._token}"}
        return requests.request(
            method, f"{self.url}/api/v2/{path}", headers=headers, json=fields or None, timeout=60
        )

    def begins(self, dag_id, **fields):
        """Begin a run, and say whether that was possible: not if another part held SQLite's lock for too long."""
        answer = self.ask("POST", f"dags/{dag_id}/dagRuns", logical_date=None, **fields)
        # It may have begun although the answer was another.
        begun = answer.ok or answer.status_code == 409
        assert begun or answer.status_code >= 500, answer.text
        return begun

    def has(self, dag_id):
        """Say whether the DAG processor has found a DAG."""
        return self.rows(f"SELECT 1 FROM serialized_dag WHERE dag_id = '{dag_id}'")

    def log_of(self, dag_id):
        """Return what the scheduler has logged about a DAG, its last 20 lines."""
        log = (self.folder / "scheduler.log").read_text().splitlines()
        return "\n".join([line for line in log if dag_id in line][-20:])

    def rows(self, query, name="airflow"):
        """Ask a database in its home."""
        file = f"file:{self.folder}/{name}.db?mode=ro"
        with contextlib.closing(sqlite3.connect(file, uri=True, timeout=60)) as database:
            return database.execute(query).fetchall()

    def wait_for(self, condition):
        """Wait until a condition is true and return its value; say what Airflow has logged where it never is."""
        until = time.monotonic() + (LATER_DEADLINE if self._is_late else DEADLINE)
        while not (found := condition()):
            if time.monotonic() > until:
                self._is_late = True
                print(self.rows("SELECT dag_id, state, last_scheduling_decision FROM dag_run"))
                print(self.rows("SELECT dag_id, task_id, try_number, state FROM task_instance"))
                self._parts.say_where()
                pytest.fail("Airflow did not come so far")
            self._parts.look_after()
            time.sleep(0.5)
        return found
