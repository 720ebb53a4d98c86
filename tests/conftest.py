"""Fixtures: the sandbox of the pytest plugin, and a real Airflow with a home of its own."""

from __future__ import annotations

import base64
import functools
import gc
import json
import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

import tests.every_process.sitecustomize  # noqa: F401 - this process has begun without it
from tests.examples import examples

# A slow machine is no failure: no test is about how long an example takes.
settings.register_profile("any speed", deadline=None, max_examples=examples(100))
settings.load_profile("any speed")

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
# Processes that a test starts begin with what is in this folder.
_path = (str(ROOT / "tests" / "every_process"), os.environ.get("PYTHONPATH"))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, _path))
if "PYTEST_XDIST_WORKER" in os.environ:
    # Processes of one machine share folders of locks and of pace there, and the other workers test just that.
    os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(dir=_home.name)
for variable in ("MATON_API_KEY", "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"):
    os.environ.pop(variable, None)

CONN_VARIABLE = "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"

# Where the tests lie of what Airflow sees of us.
FACES = (
    "airflow",
    "hooks",
    "notifications",
    "operators",
    "plugin",
    "test_policies.py",
    "test_provider_info.py",
)


def pytest_sessionstart():
    """
    Take no failure for what garbage fails with at the end of the stack.

    Tests that parse JSON which is nested too deeply use up the stack on purpose. Where Python collects garbage of other
    tests just then, its finalizers fail, whatever they finalize.
    """
    report = sys.unraisablehook

    def hook(unraisable):
        if not isinstance(unraisable.exc_value, RecursionError):
            report(unraisable)

    sys.unraisablehook = hook


def pytest_collection_finish():
    """Exempt Airflow and the tests themselves from garbage collection, which takes a tenth of the time."""
    gc.collect()
    gc.freeze()


@functools.cache
def place_of(path):
    """Return the first part of a path below the tests, or nothing."""
    return path.relative_to(ROOT / "tests").parts[0] if path.is_relative_to(ROOT / "tests") else ""


def pytest_collection_modifyitems(items):
    """Mark tests by what they use, so that no file has to remember it."""
    for item in items:
        # Processes that share the tests have to collect the same names.
        assert " at 0x" not in item.nodeid, f"an address is in the name of {item.nodeid}: give it an id"
        for value in item.callspec.params.values() if hasattr(item, "callspec") else ():
            several = isinstance(value, set | frozenset) and len(value) > 1
            assert not (several and str(value) in item.nodeid), f"a set is in the name of {item.nodeid}"
        place = place_of(item.path)
        if place == "airflow" or {"dag_bag", "run_dag"} & set(item.fixturenames):
            item.add_marker(pytest.mark.airflow)
        if place in FACES:
            item.add_marker(pytest.mark.faces)
        if place in ("campaigns", "docs"):
            item.add_marker(pytest.mark.once)
        if place == "clients":
            item.add_marker(pytest.mark.clients)
        if "chromium" in item.fixturenames:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def redis_process():
    """Give a Redis that nobody kills; whoever uses it takes names of their own."""
    from tests.redis_server import RedisProcess, need_redis

    need_redis()
    made = RedisProcess()
    yield made
    made.kill()


@pytest.fixture(scope="session")
def forks():
    """Start processes that have imported Airflow already."""
    from tests.forks import Forks

    with Forks("airflow.sdk", "airflow_provider_whatsapp.notifications.alert") as made:
        yield made


@pytest.fixture(scope="session")
def command_forks():
    """Start processes that have imported what commands need, and nothing of Airflow."""
    from tests.forks import Forks

    names = ("cli", "connect", "sandbox.server", *(f"message_templates.{name}" for name in ("apply", "pull")))
    with Forks(*(f"airflow_provider_whatsapp.{name}" for name in names)) as made:
        yield made


@pytest.fixture
def sandbox(whatsapp_sandbox):
    """Give an empty sandbox, which the default connection of Airflow points to."""
    return whatsapp_sandbox


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
    sandbox.control("POST", "templates", name="report", language="en_US", status="APPROVED")


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
