"""SECURITY.md: each promise names tests that try to break it, and they are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.message_templates.yamlfile import load

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")
_PROMISES = PAGE.partition("## What this package protects")[2].partition("\n## ")[0]
PROMISES = dict(re.findall(r"^- \*\*(.+?)\*\* (.+?)(?=^- |\Z)", _PROMISES, re.MULTILINE | re.DOTALL))
NAMED = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE)))


def test_the_promises_are_found():
    assert len(PROMISES) == _PROMISES.count("\n- **") > 10


@pytest.mark.parametrize("promise", PROMISES)
def test_each_promise_names_tests(promise):
    text = " ".join(PROMISES[promise].split())

    assert re.search(r"Tests? that attacks?: `tests/[^`]+\.py(::test_\w+)?`", text)


@pytest.mark.parametrize("name", NAMED)
def test_each_test_that_is_named_is_there(name):
    path, _, function = name.partition("::")
    tests = [
        node.name
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]

    assert tests
    assert not function or function in tests


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['touch {marker}']",
        "!!python/object/new:os.system ['touch {marker}']",
        "!!python/name:os.system",
        "!!python/module:antigravity",
    ],
)
def test_a_template_file_runs_no_code(tmp_path, value):
    marker = tmp_path / "marker"
    file = tmp_path / "late.yaml"
    body = value.replace("{marker}", str(marker))
    file.write_text(f"name: late\ncategory: UTILITY\nlanguages:\n  en_US: {{body: {body}}}\n")

    with pytest.raises(WhatsAppError):
        load(file)

    assert not marker.exists()
