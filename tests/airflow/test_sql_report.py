"""A real Airflow asks a real database and sends what it says; the sandbox holds what arrived."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("airflow.providers.sqlite")
pytestmark = pytest.mark.airflow

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 50
TEMPLATE = "picture_of_the_day"


@pytest.fixture(autouse=True)
def database(tmp_path, monkeypatch):
    path = tmp_path / "report.db"
    connection = json.dumps({"conn_type": "sqlite", "host": str(path)})
    monkeypatch.setenv("AIRFLOW_CONN_REPORT_DB", connection)
    monkeypatch.setenv("AIRFLOW_CONN_SALES_DB", connection)
    with sqlite3.connect(path) as opened:
        opened.execute("CREATE TABLE asked (n)")
    opened.close()
    return path


@pytest.fixture
def template(sandbox):
    """An approved template with a picture in its header."""
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    hook = MatonWhatsAppHook()
    handle = hook.upload_template_sample(PNG)
    components = [
        {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": [handle]}},
        {"type": "BODY", "text": "News of {{1}} today.", "example": {"body_text": [["sales"]]}},
    ]
    hook.create_template(TEMPLATE, "en_US", "UTILITY", components)
    sandbox.control("POST", "templates", name=TEMPLATE, language="en_US", status="APPROVED")


def uploads(sandbox):
    return [request for request in sandbox.requests_to("/media") if request["method"] == "POST"]


@pytest.mark.parametrize(
    ("format_", "kind", "filename"),
    [("csv", "document", "cities.csv"), ("xlsx", "document", "cities.xlsx"), ("png", "image", None)],
)
def test_a_file_and_its_caption_arrive(run_dag, sandbox, format_, kind, filename):
    assert run_dag("sql_send", format=format_)[0] == "success"

    (message,) = sandbox.messages
    media = message["payload"][kind]
    assert message["type"] == kind
    assert media["caption"] == f"{format_} of the day"
    assert media.get("filename") == filename
    assert len(uploads(sandbox)) == 1


def test_a_picture_in_a_template_arrives(run_dag, sandbox, template):
    assert run_dag("sql_template", format="png")[0] == "success"

    (message,) = sandbox.messages
    header, body = message["payload"]["template"]["components"]
    assert header["parameters"][0]["type"] == "image"
    assert body["parameters"][0]["text"] == "sql_template"


@pytest.mark.parametrize("format_", ["csv", "xlsx", "docx"])
def test_what_cannot_stand_in_a_template_fails_before_any_request(run_dag, sandbox, format_):
    assert run_dag("sql_template", format=format_)[0] == "failed"
    assert sandbox.requests == [], "nor was the database asked, and no try followed"


def test_a_retry_sends_the_same_upload_to_the_rest(run_dag, sandbox, database, tmp_path, change_connection):
    change_connection(extra={"max_retries": 0})
    sandbox.fail_next("status", status=429, times=2, path="/messages", to="15550002222")

    assert run_dag("sql_retry", ledger=f"file://{tmp_path}/ledgers")[0] == "success"

    messages = sandbox.messages
    assert Counter(message["to"] for message in messages) == {
        "15550001111": 1,
        "15550002222": 1,
        "15550003333": 1,
    }
    assert len({message["payload"]["document"]["id"] for message in messages}) == 1
    assert len(uploads(sandbox)) == 1
    with sqlite3.connect(database) as opened:
        assert opened.execute("SELECT COUNT(*) FROM asked").fetchone() == (1,)
    opened.close()


def test_no_rows_skip_the_task_or_send_the_header_alone(run_dag, sandbox):
    assert run_dag("sql_empty")[1] == {"skipped": "skipped", "header": "success"}

    (message,) = sandbox.messages
    assert message["payload"]["document"]["filename"] == "header.csv"


def test_bad_sql_and_an_unknown_connection_fail_and_nothing_leaves(run_dag, sandbox):
    assert run_dag("sql_wrong")[1] == {"sql": "failed", "connection": "failed"}
    assert sandbox.requests == []


@pytest.mark.parametrize("format_", ["csv", "png"])
def test_sql_report(run_dag, sandbox, format_):
    """The example, as it is."""
    assert run_dag("sql_report", to="+1 555 010 0199", format=format_)[0] == "success"

    (message,) = sandbox.messages
    assert message["to"] == "15550100199"
    kind = "image" if format_ == "png" else "document"
    assert message["payload"][kind]["caption"] == "Sales of the last seven days, by product."


def test_daily_figures(run_dag, sandbox, whatsapp_events, monkeypatch, tmp_path):
    """The example, as it is, after the one that fills the database; it waits, since receipts are set up."""
    from airflow_provider_whatsapp.cli import main
    from airflow_provider_whatsapp.triggers.delivery import StorePoll

    ask = StorePoll.ask

    def asked(poll, subscribers):
        whatsapp_events.deliver(60)
        return ask(poll, subscribers)

    monkeypatch.setattr(StorePoll, "ask", asked)

    for name in ("airflow_report", "airflow_report_pdf"):
        stock = Path(__file__).parents[2] / "airflow_provider_whatsapp" / "reports" / f"{name}.yaml"
        assert main(["templates", "apply", str(stock)]) == 0
        sandbox.control("POST", "templates", name=name, language="en_US", status="APPROVED")
    run_dag("sql_report", to="+1 555 010 0199", format="csv")

    conf = {"wait_for": "delivered", "ledger": f"file://{tmp_path}/ledgers"}
    assert run_dag("daily_figures", managers=["+1 555 010 0199"], **conf)[0] == "success"
    read = {row["message_id"] for row in whatsapp_events.statuses if row["status"] == "read"}
    assert {message["id"] for message in sandbox.messages[1:]} <= read
    headers = [
        message["payload"]["template"]["components"][0]["parameters"][0]["type"]
        for message in sandbox.messages[1:]
    ]
    assert headers == ["image", "document"]
