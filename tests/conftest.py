"""Fixtures: the sandbox as a process of its own, and a real Airflow with a home of its own."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parents[1]

# Airflow reads its settings when it is first imported, so they are made before any test module is.
_home = tempfile.TemporaryDirectory(prefix="airflow-home-")
os.environ.update(
    {
        "AIRFLOW_HOME": _home.name,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        # Processes that a test starts must read what this one has encrypted into the database.
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(bytes(range(32))).decode(),
        "AIRFLOW__CORE__DAGS_FOLDER": f"{_home.name}/dags",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_home.name}/airflow.db",
    }
)
if "PYTEST_XDIST_WORKER" in os.environ:
    # Processes of one machine share folders of locks and of pace there, and the other workers test just that.
    os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(dir=_home.name)
for variable in ("MATON_API_KEY", "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"):
    os.environ.pop(variable, None)

CONN_VARIABLE = "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"

# Where the tests lie of what Airflow sees of us.
FACES = ("airflow", "hooks", "notifications", "operators", "test_policies.py", "test_provider_info.py")


def pytest_collection_modifyitems(items):
    """Mark tests by what they use, so that no file has to remember it."""
    for item in items:
        # Processes that share the tests have to collect the same names.
        assert " at 0x" not in item.nodeid, f"an address is in the name of {item.nodeid}: give it an id"
        place = (
            item.path.relative_to(ROOT / "tests").parts[0] if item.path.is_relative_to(ROOT / "tests") else ""
        )
        if place == "airflow" or {"dag_bag", "run_dag"} & set(item.fixturenames):
            item.add_marker(pytest.mark.airflow)
        if place in FACES:
            item.add_marker(pytest.mark.faces)
        if place == "clients":
            item.add_marker(pytest.mark.clients)
        if "chromium" in item.fixturenames:
            item.add_marker(pytest.mark.browser)


class SandboxProcess:
    """The sandbox on a free port, and what its controls offer."""

    def __init__(self, *options: str, verify: str | bool = True) -> None:
        command = [sys.executable, "-m", "airflow_provider_whatsapp.sandbox", "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("export AIRFLOW_CONN_"):
                assignment = shlex.split(line)[1]
                self.connection = json.loads(assignment.partition("=")[2])
                break
        else:
            raise RuntimeError(f"the sandbox ended with status {self.process.wait()}")
        self.url = self.connection["host"]
        self.extra = self.connection["extra"]
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = verify

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)
        self.process.stdout.close()
        self._session.close()

    def get(self, control: str):
        answer = self._session.get(f"{self.url}/_sandbox/{control}", timeout=10)
        answer.raise_for_status()
        return answer.json()

    def post(self, control: str, **fields):
        answer = self._session.post(f"{self.url}/_sandbox/{control}", json=fields, timeout=10)
        answer.raise_for_status()
        return answer.json()

    @property
    def messages(self) -> list[dict]:
        """Every message that WhatsApp accepted, in order."""
        return self.get("messages")

    def requests(self, path: str = "") -> list[dict]:
        """Every request that arrived, refused ones included, whose path holds a text."""
        return [request for request in self.get("requests") if path in request["path"]]

    def fault(self, kind: str, **fields) -> None:
        """Let the next requests fail."""
        self.post("faults", kind=kind, **fields)

    def clear_faults(self) -> None:
        """Let requests through again."""
        self._session.delete(f"{self.url}/_sandbox/faults", timeout=10).raise_for_status()


@pytest.fixture(scope="session")
def sandbox_process():
    """Start one sandbox for the whole session; it has no rate limit and approves templates when the clock moves."""
    process = SandboxProcess("--rate-limit", "0", "--approve-after", "3600")
    yield process
    process.stop()


@pytest.fixture
def sandbox(sandbox_process, monkeypatch):
    """Give an empty sandbox, which the default connection of Airflow points to."""
    sandbox_process.post("reset")
    extra = {**sandbox_process.extra, "rate_limit": 0}
    monkeypatch.setenv(CONN_VARIABLE, json.dumps({**sandbox_process.connection, "extra": extra}))
    return sandbox_process


@pytest.fixture
def report(sandbox):
    """Give an approved template with a document in its header."""
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    hook = MatonWhatsAppHook()
    handle = hook.upload_template_sample(b"%PDF-1.7\n")
    components = [
        {"type": "HEADER", "format": "DOCUMENT", "example": {"header_handle": [handle]}},
        {"type": "BODY", "text": "The report is here."},
    ]
    hook.create_template("report", "en_US", "UTILITY", components)
    sandbox.post("templates", name="report", language="en_US", status="APPROVED")


@pytest.fixture
def change_connection(monkeypatch):
    """Change parts of the default connection: extra fields, or password and host."""

    def change(*, drop=(), extra=None, **parts):
        connection = json.loads(os.environ[CONN_VARIABLE])
        connection |= parts
        connection["extra"] |= extra or {}
        for name in drop:
            connection["extra"].pop(name, None)
            connection.pop(name, None)
        monkeypatch.setenv(CONN_VARIABLE, json.dumps(connection))

    return change
