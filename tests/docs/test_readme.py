"""What the README says is there: names, connection fields, files, and the DAG of its first screen."""

from __future__ import annotations

import ast
import importlib
import json
import re
from pathlib import Path

import pytest

from airflow_provider_whatsapp.get_provider_info import CONN_TYPE, CONNECTION_FIELDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def _block(language: str, holding: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(block for block in blocks if holding in block)


@pytest.mark.airflow
def test_names_exist():
    names = re.findall(r"^\| `([a-z_]+\.[a-z_.]+\.[A-Z]\w+)` \|", README, re.MULTILINE)

    assert names
    for name in names:
        module, _, member = name.rpartition(".")
        assert hasattr(importlib.import_module(f"airflow_provider_whatsapp.{module}"), member)


def test_connection_to_paste_is_valid():
    line = _block("bash", "AIRFLOW_CONN_")
    connection = json.loads(re.search(r"='(.*)'", line, re.DOTALL)[1])

    assert connection["conn_type"] == CONN_TYPE
    assert set(connection["extra"]) <= set(CONNECTION_FIELDS)


@pytest.mark.airflow
def test_first_dag_is_short_and_whole():
    code = _block("python", "with DAG(")
    names: dict[str, object] = {}

    assert len(code.splitlines()) <= 15
    exec(compile(ast.parse(code), "README.md", "exec"), names)
