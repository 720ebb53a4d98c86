"""What an Airflow lacks is made up for, or done without, as the documentation says: the same tests on each version."""

from __future__ import annotations

import argparse
import ast
import asyncio
import importlib
import importlib.metadata
import json
import os
import pkgutil
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.version import Version

import airflow_provider_whatsapp
from airflow_provider_whatsapp import _compat
from airflow_provider_whatsapp.get_provider_info import CONNECTION_FIELDS
from tests.conftest import CONN_VARIABLE
from tests.forks import run_module

pytestmark = pytest.mark.airflow

WRITTEN_BY_0_1 = Path(__file__).parents[1] / "data" / "written_by_0_1"

# As an error, for Airflow takes every warning that is only shown into its log.
IMPORT_ALL = """
import importlib, sys, warnings
import airflow.sdk
warnings.filterwarnings("error", module="airflow_provider_whatsapp")
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def at_least(version):
    return Version(importlib.metadata.version("apache-airflow")) >= Version(version)


def run(*command, **variables):
    """Run Python with arguments in a process of its own, away from the checkout."""
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=os.environ["AIRFLOW_HOME"],
        env={**os.environ, "NO_COLOR": "1", **variables},
    )


def test_what_there_is_follows_the_version():
    """A name that moves in a later Airflow must not pass for one that was never there."""
    assert (_compat.RetryPolicy is not None) == at_least("3.3.0")
    assert at_least("3.3.2") == _compat._SAFE_ASYNC_LOOKUP


def test_no_module_of_ours_uses_what_airflow_calls_deprecated():
    folder = list(airflow_provider_whatsapp.__path__)
    names = [module.name for module in pkgutil.walk_packages(folder, "airflow_provider_whatsapp.")]
    names = [name for name in names if not name.endswith("__main__")]

    done = run("-c", IMPORT_ALL, *names)

    assert len(names) > 100
    assert done.returncode == 0, done.stderr


def imported_of_airflow(path):
    """Yield what a file imports of Airflow when it runs, inside functions too: module, name and line."""
    tree = ast.parse(path.read_text("utf-8"))
    types_alone = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in types_alone:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "airflow":
            yield from ((node.module, alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names if alias.name.split(".")[0] == "airflow")
            yield from ((name, None, node.lineno) for name in names)


def test_what_is_imported_of_airflow_is_in_every_version():
    """Differences are the matter of one module: what the others import late is there on this Airflow too."""
    package = Path(airflow_provider_whatsapp.__file__).parent
    # `airflow whatsapp`, which came with 3.2, is never loaded before.
    elsewhere = {"_compat.py"} | (set() if at_least("3.2.0") else {"airflow_cli.py"})
    found = {
        (module, name): f"{path.relative_to(package)}:{line}"
        for path in package.rglob("*.py")
        if path.name not in elsewhere
        for module, name, line in imported_of_airflow(path)
    }

    missing = []
    for (module, name), place in found.items():
        try:
            holder = importlib.import_module(module)
            if name is not None and not hasattr(holder, name):
                importlib.import_module(f"{module}.{name}")
        except ImportError as error:
            missing.append(f"{place}: {error}")
    assert len(found) > 10
    assert missing == []


def print_form():
    """Print the form for our connections as the API server makes it."""
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    forms = HookMetaService.hook_meta_data()
    (form,) = [form for form in forms if form.connection_type == "maton_whatsapp"]
    print(form.model_dump_json())


def test_the_form_has_its_labels_and_fields_in_the_api_server(forks):
    """3.1 asks the hook's class, later versions the provider's metadata."""
    done = forks.run(print_form)

    assert done.returncode == 0, done.stderr
    form = json.loads(done.stdout.splitlines()[-1])
    assert form["hook_name"] == "WhatsApp (Maton)"
    assert set(form["extra_fields"]) == set(CONNECTION_FIELDS)
    assert form["standard_fields"]["password"]["title"] == "Maton API key"
    assert form["standard_fields"]["login"]["hidden"] is True


def test_the_commands_are_there_with_airflow_s_and_without(sandbox, forks, tmp_path):
    """``airflow whatsapp`` came with 3.2; the package's own commands do the same everywhere."""
    folder = tmp_path / "there"
    shutil.copy(WRITTEN_BY_0_1 / "results" / "results.jsonl", tmp_path)
    for start in (["-m", "airflow", "whatsapp"], ["-m", "airflow_provider_whatsapp"]):
        done = run(*start, "templates", "pull", str(folder))

        if start[1] == "airflow" and not at_least("3.2.0"):
            assert done.returncode == 2
            assert "invalid choice: 'whatsapp'" in done.stdout + done.stderr
            assert not folder.exists()
        else:
            assert done.returncode == 0, done.stderr
            assert [path.name for path in folder.iterdir()] == ["hello_world.yaml"]
            (folder / "hello_world.yaml").unlink()
            marked = forks.run(run_module, *start[1:], "results", str(tmp_path / "results.jsonl"))
            assert "8 recipients, marked as a results file." in marked.stdout


@pytest.mark.skipif(not at_least("3.2.0"), reason="`airflow whatsapp` came with 3.2")
def test_airflow_s_command_takes_airflow_s_connection_before_a_key_in_the_environment(monkeypatch, dag_bag):
    from airflow.models import Connection
    from airflow.utils.session import create_session

    from airflow_provider_whatsapp.airflow_cli import _config
    from airflow_provider_whatsapp.client.errors import ConfigurationError

    def key(conn_id=None):
        return _config(SimpleNamespace(conn_id=conn_id, host=None)).api_key

    monkeypatch.delenv(CONN_VARIABLE, raising=False)
    with pytest.raises(ConfigurationError, match="there is no connection 'maton_whatsapp_default'"):
        key()
    monkeypatch.setenv("MATON_API_KEY", "key-of-the-environment")
    assert key() == "key-of-the-environment"
    with pytest.raises(ConfigurationError, match="there is no connection 'another'"):
        key("another")
    with create_session() as session:
        session.add(Connection("maton_whatsapp_default", "maton_whatsapp", password="key-of-the-database"))
    try:
        assert key() == "key-of-the-database"
    finally:
        with create_session() as session:
            session.query(Connection).filter_by(conn_id="maton_whatsapp_default").delete()


@pytest.mark.skipif(not at_least("3.2.0"), reason="`airflow whatsapp` came with 3.2")
def test_airflow_s_doctor_examines_airflow_s_connection(sandbox, capsys):
    from airflow_provider_whatsapp.airflow_cli import get_cli_commands

    (group,) = get_cli_commands()
    (command,) = [each for each in group.subcommands if each.name == "doctor"]
    parser = argparse.ArgumentParser()
    for each in command.args:
        each.add_to_parser(parser)

    with pytest.raises(SystemExit) as ended:
        command.func(parser.parse_args(["--phone-number-id", sandbox.extra["phone_number_id"]]))

    assert ended.value.code == 0
    assert "OK      number            +1 555-010-1000" in capsys.readouterr().out


@pytest.mark.skipif(not at_least("3.2.0"), reason="`airflow whatsapp` came with 3.2")
@pytest.mark.parametrize(
    ("name", "options", "status", "said"),
    [
        ("subscribe", ["--url", "https://mine.example/"], 1, "no verify token is set"),
        ("status", [], 0, "subscribed"),
        ("unsubscribe", [], 0, "nothing to remove"),
    ],
    ids=["subscribe", "status", "unsubscribe"],
)
def test_airflow_s_webhook_commands_are_the_module_s(
    sandbox, capsys, monkeypatch, name, options, status, said
):
    from airflow_provider_whatsapp.airflow_cli import get_cli_commands

    monkeypatch.delenv("WHATSAPP_VERIFY_TOKEN", raising=False)
    (group,) = get_cli_commands()
    (webhook,) = [each for each in group.subcommands if each.name == "webhook"]
    (command,) = [each for each in webhook.subcommands if each.name == name]
    parser = argparse.ArgumentParser()
    for each in command.args:
        each.add_to_parser(parser)

    with pytest.raises(SystemExit) as ended:
        command.func(parser.parse_args(options))

    output = capsys.readouterr()
    assert ended.value.code == status
    assert said in (output.err if status else output.out)


def test_many_coroutines_look_up_a_connection_at_once(sandbox):
    """Before 3.3.2 Airflow's own way can stand still when two do."""

    async def look_up():
        with ThreadPoolExecutor(4) as executor:
            found = [_compat.aget_connection("maton_whatsapp_default", executor) for _ in range(20)]
            return await asyncio.wait_for(asyncio.gather(*found), 60)

    connections = asyncio.run(look_up())

    expected = json.loads(os.environ[CONN_VARIABLE])["password"]
    assert {connection.password for connection in connections} == {expected}


def test_a_trigger_without_a_memory_of_its_asset_does_without():
    """Before 3.3 no trigger has ``asset_state_store``."""
    from airflow.triggers.base import BaseEventTrigger

    class Trigger(BaseEventTrigger):
        def serialize(self):
            return "", {}

        async def run(self):
            yield

    async def remember():
        memory = _compat.AssetMemory(Trigger(), "status")
        await memory.write("APPROVED")
        return await memory.read()

    assert asyncio.run(remember()) is None


@pytest.mark.skipif(_compat.RetryPolicy is not None, reason="Airflow from 3.3 on has retry policies")
def test_without_retry_policies_an_operator_is_made_all_the_same():
    from airflow_provider_whatsapp.operators.messages import SendTextOperator

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        operator = SendTextOperator(task_id="send", to="+1 555 010 0199", text="Hello", retries=2)

    assert operator.retries == 2


def test_an_object_store_s_path_is_never_taken_for_a_local_file():
    """With the libraries of 3.1 it is a ``pathlib.Path`` too."""
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_whatsapp.delivery.stores import local_path

    assert local_path(ObjectStoragePath("memory://bucket/ledger")) is None
    assert local_path(ObjectStoragePath("file:///tmp/ledger")) == Path("/tmp/ledger")
    assert local_path(Path("/tmp/ledger")) == Path("/tmp/ledger")
