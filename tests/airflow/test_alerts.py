"""A running Airflow (scheduler, DAG processor, triggerer, API server), whose alerts reach the sandbox."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.airflow

HERE = Path(__file__).parent
ONCALL, EVERYBODY, POLICY = "+15550001111", "+15550002222", "+15550003333"
DEADLINE = 150
"""Seconds after which a running Airflow is given up; it takes 30 to 60 to be ready on two cores."""
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
HAS_SYNC_DEADLINES = importlib.metadata.version("apache-airflow-core") >= "3.2"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(home, connection):
    """Return the settings of an Airflow of its own, small and quick to notice what happens."""
    port = free_port()
    mine = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return mine | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT": json.dumps(connection),
        "AIRFLOW_VAR_ONCALL": json.dumps({"tag:finance": [ONCALL], "default": [EVERYBODY]}),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of the test that is long enough for SHA-512: 0123456789abcdef",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__WHATSAPP__ALERT_TO": POLICY,
        "AIRFLOW__WHATSAPP__ALERT_TEMPLATE": "something_wrong",
        # The API server's first answer takes seconds on a busy machine, and a task that waits in vain never runs.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "WHATSAPP_TEST_LIVE": "1",
    }


@pytest.fixture
def running_airflow(sandbox, tmp_path):
    """Start an Airflow whose DAG folder holds one file, and end it with everything that it has started."""
    home = tmp_path / "airflow"
    (home / "dags").mkdir(parents=True)
    (home / "config").mkdir()
    (home / "config" / "airflow_local_settings.py").write_text(
        "from airflow_provider_whatsapp.cluster_policy import task_policy\n"
    )
    shutil.copy(HERE / "dags" / "alerts_live.py", home / "dags")
    connection = {**sandbox.connection, "extra": {**sandbox.extra, "rate_limit": 0}}
    env = environment(home, connection)
    airflow = [sys.executable, "-m", "airflow"]
    subprocess.run([*airflow, "db", "migrate"], env=env, check=True, capture_output=True, timeout=DEADLINE)
    processes = []
    for name in COMPONENTS:
        with (home / f"{name}.log").open("wb") as log:
            processes.append(
                subprocess.Popen(
                    [*airflow, name],
                    env=env,
                    cwd=home,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
    yield home
    for process in processes:
        os.killpg(process.pid, signal.SIGTERM)
    for process in processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def reached(sandbox, home, count):
    """Wait until so many messages have come, and return them by recipient and type."""
    until = time.monotonic() + DEADLINE
    while len(sandbox.messages) < count and time.monotonic() < until:
        time.sleep(0.2)
    messages = sandbox.messages
    if len(messages) < count:
        for name in COMPONENTS:
            print(f"--- {name}", (home / f"{name}.log").read_text()[-3000:])
        for log in (home / "logs").rglob("*.log"):
            print(f"--- {log.relative_to(home)}", log.read_text()[-3000:])
    return messages


@pytest.mark.timeout(2 * DEADLINE + 60)
def test_failures_deadlines_and_questions_reach_their_phones(running_airflow, sandbox):
    """Also of the task that has no callback of its own: the cluster policy gave it one."""
    body = [{"type": "BODY", "text": "Something is wrong."}]
    sandbox.post("reset")
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    MatonWhatsAppHook().create_template("something_wrong", "en_US", "UTILITY", body)
    sandbox.post("templates", name="something_wrong", language="en_US", status="APPROVED")
    messages = reached(sandbox, running_airflow, 5 if HAS_SYNC_DEADLINES else 4)

    texts = {message["to"]: message["payload"].get("text", {}).get("body") for message in messages}
    assert texts.pop("15550001111") == "load: no rows"
    assert texts.pop("15550002222").endswith("of alerts_live is late"), "a deadline knows no tags"
    assert texts.pop("15550003333") is None, "the policy's template"
    assert texts.pop("15550004444").startswith("Publish the report? http://127.0.0.1:")
    if HAS_SYNC_DEADLINES:
        assert texts.pop("15550005555").endswith("of alerts_live is late")
    assert texts == {}
