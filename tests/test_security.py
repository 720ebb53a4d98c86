"""SECURITY.md: each promise names tests that try to break it, and they are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from airflow_provider_whatsapp.client.answers import Answer
from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.echo import Echo
from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.masking import Cleaner
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.client.transport import Call, Transport
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
from airflow_provider_whatsapp.delivery.ledger import Note
from airflow_provider_whatsapp.delivery.recipients import Row
from airflow_provider_whatsapp.delivery.report import Outcome
from airflow_provider_whatsapp.message_templates.files import load

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


KEY, NUMBER, NAME = "maton-key-that-must-not-show", "15550001111", "Anna Quincunx"


def things():
    """Return what holds keys, numbers or texts while a task runs, as a debugger or a traceback would print it."""
    config = ClientConfig(api_key=KEY, proxies={"https": f"http://u:{KEY}@proxy.example"})
    call = Call(
        method="POST", url="https://x.example", query={"to": NUMBER}, json={"to": NUMBER}, headers={"x": KEY}
    )
    sent = SentMessage(message_id=f"wamid.{NUMBER}{'A' * 30}", wa_id=NUMBER, to=NUMBER)
    row = Row(0, NUMBER, {"name": NAME}, given=f"+{NUMBER}")
    return [
        config,
        WhatsAppClient(config),
        Transport(config),
        Cleaner(KEY),
        Echo({"messaging_product": "whatsapp", "text": NAME}),
        call,
        Answer(200, {"X-Request-Id": KEY}, KEY.encode()),
        sent,
        row,
        Outcome(NUMBER, "sent", sent=sent),
        Note("sent", {"message_id": sent.message_id, "wa_id": NUMBER}),
    ]


@pytest.mark.parametrize("thing", things(), ids=lambda thing: type(thing).__name__)
def test_no_repr_shows_a_key_a_number_or_a_text(thing):
    for shown in (repr(thing), str(thing), repr([thing])):
        assert not [secret for secret in (KEY, NUMBER, NAME) if secret in shown]
