"""What Airflow is told of the package: malformed, it would take down every airflow command."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import jsonschema
import pytest

from airflow_provider_whatsapp import __version__, get_provider_info

INFO = get_provider_info.get_provider_info()


def test_it_satisfies_airflow_s_schema():
    import airflow

    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(INFO, schema)


def test_the_entry_point_leads_to_it_under_the_distribution_s_name():
    distribution = importlib.metadata.distribution("airflow-provider-whatsapp")
    (entry,) = [point for point in distribution.entry_points if point.group == "apache_airflow_provider"]

    assert entry.load()() == INFO
    assert INFO["package-name"] == distribution.name
    assert distribution.version == __version__


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_every_module_that_it_names_is_there(kind):
    for entry in INFO[kind]:
        for module in entry["python-modules"]:
            assert import_module(module)


def test_every_class_that_it_names_is_there():
    names = [*INFO["notifications"], *INFO["extra-links"], INFO["connection-types"][0]["hook-class-name"]]
    for name in names:
        module, _, cls = name.rpartition(".")
        assert isinstance(getattr(import_module(module), cls), type)


def test_the_form_is_the_same_for_every_airflow(monkeypatch):
    """3.2+ reads the metadata, 3.1 asks the hook's classmethods."""
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    (connection_type,) = INFO["connection-types"]
    behaviour = MatonWhatsAppHook.get_ui_field_behaviour()

    assert {key.replace("_", "-"): value for key, value in behaviour.items()} == connection_type[
        "ui-field-behaviour"
    ]
    assert connection_type["connection-type"] == MatonWhatsAppHook.conn_type
    assert connection_type["hook-name"] == MatonWhatsAppHook.hook_name
    assert "__" not in MatonWhatsAppHook.conn_type


def test_the_form_of_airflow_3_1_has_every_field(monkeypatch):
    pytest.importorskip("wtforms", reason="only Airflow 3.1's API server asks for it, and mocks it")
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    assert set(MatonWhatsAppHook.get_connection_form_widgets()) == set(get_provider_info.CONNECTION_FIELDS)


def test_every_field_of_the_form_is_read():
    """A field that nobody reads would be a promise that is not kept."""
    source = Path(import_module("airflow_provider_whatsapp.client.connection").__file__).read_text()
    texts = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}

    assert set(get_provider_info.CONNECTION_FIELDS) <= texts


def test_airflow_s_commands_load_next_to_nothing_of_it():
    code = """
import sys
import airflow_provider_whatsapp.get_provider_info
print([name for name in sys.modules if name.startswith("airflow")])
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = ast.literal_eval(printed)

    assert set(loaded) == {"airflow_provider_whatsapp", "airflow_provider_whatsapp.get_provider_info"}


def test_parsing_a_dag_file_imports_neither_requests_nor_our_client_nor_what_an_alert_says():
    # Each module in a fork of its own, for Airflow's own imports take seconds.
    code = """
import os, sys
from importlib import import_module
import airflow.sdk, airflow.sdk.bases.hook
from airflow.sdk import BaseHook, BaseNotifier, BaseOperator, BaseSensorOperator, PokeReturnValue
before = set(sys.modules)
for name in sys.argv[1:]:
    if os.fork() == 0:
        import_module(name)
        heavy = ("requests", "airflow_provider_whatsapp.client.", "airflow_provider_whatsapp.notifications.wording")
        print(name, [new for new in sorted(set(sys.modules) - before) if new.startswith(heavy)], flush=True)
        os._exit(0)
    os.wait()
"""
    parts = (
        "hooks.maton_whatsapp",
        *(f"operators.{name}" for name in ("analytics", "broadcast", "delivery_report", "messages")),
        *("operators.sql", "operators.templates"),
        *(f"sensors.{name}" for name in ("health", "messages", "templates")),
        "notifications.whatsapp",
    )
    names = [f"airflow_provider_whatsapp.{part}" for part in parts]
    command = [sys.executable, "-c", code, *names]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert printed.split("\n")[-len(names) - 1 : -1] == [f"{name} []" for name in names]
