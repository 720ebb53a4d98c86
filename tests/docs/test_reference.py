"""The reference leaves nothing out: modules, metrics, columns of the tables that are made of the code."""

from __future__ import annotations

import json
import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

import airflow_provider_whatsapp
from airflow_provider_whatsapp.delivery.arrivals import ArrivalReport
from airflow_provider_whatsapp.delivery.progress import Progress
from airflow_provider_whatsapp.events.parse import parse
from airflow_provider_whatsapp.events.store import EventStore
from airflow_provider_whatsapp.events.tables import metadata
from tests.docs.pages import ROOT, read

PACKAGE = Path(airflow_provider_whatsapp.__file__).parent
PUBLIC = ["operators", "sensors", "triggers", "client/resources", "client/messages"]
ALONE = [
    "hooks.maton_whatsapp",
    "notifications.whatsapp",
    "cluster_policy",
    "policies",
    "assets",
    "links",
    "pytest_plugin",
    "client.whatsapp",
    "client.config",
    "client.errors",
]
INNER = {"triggers.polls", "client.resources.base", "client.messages.parse"}


def public_modules():
    found = {
        ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
        for folder in PUBLIC
        for file in (PACKAGE / folder).glob("[a-z]*.py")
    }
    return found - INNER | set(ALONE)


def test_every_public_module_is_in_the_reference():
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs" / "reference").glob("*.md"))
    documented = set(re.findall(r"automodule:: airflow_provider_whatsapp\.([\w.]+)", pages))

    assert public_modules() - documented == set()
    places = [PACKAGE / name.replace(".", "/") for name in documented]
    assert all(place.with_suffix(".py").exists() or (place / "__init__.py").exists() for place in places)


def test_every_metric_is_in_the_reference():
    told = []
    Progress(1, observe=lambda news, rate: told.append(news)).end()
    alerts = "".join(file.read_text("utf-8") for file in (PACKAGE / "notifications").glob("*.py"))
    counted = {
        *re.findall(r'_count\("(\w+)"', alerts),
        *re.findall(r'Stats\.incr\("whatsapp\.alerts\.(\w+)"', alerts),
    }

    page = (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(whatsapp\.[\w.]+)`", page, re.MULTILINE)) == {
        "whatsapp.rate",
        *(f"whatsapp.{status}" for status in told[0]),
        *(f"whatsapp.{name}" for name in ArrivalReport().metrics),
        *(f"whatsapp.alerts.{what}" for what in counted),
    }


def test_every_table_that_is_made_of_the_code_is_in_the_reference():
    """A table by hand in its place would grow old."""
    pages = (ROOT / "docs" / "reference").glob("*.md")
    made = {(page.name, block.language) for page in pages for block in read(page)}

    assert {(page, language) for page, language in made if language.startswith("{from-code}")} == {
        (page, f"{{from-code}} {what}")
        for page, what in [
            ("errors.md", "errors"),
            ("errors.md", "error-classes"),
            ("connection.md", "connection"),
            ("notifier.md", "options"),
            ("template-file.md", "schema template"),
            ("template-file.md", "schema prune"),
            ("command-lines.md", "help connect"),
            ("command-lines.md", "help doctor"),
            ("command-lines.md", "help receiver"),
            ("command-lines.md", "help answer"),
            ("command-lines.md", "help results"),
            ("command-lines.md", "help sandbox"),
            *(
                ("command-lines.md", f"help webhook {name}")
                for name in ("subscribe", "status", "unsubscribe")
            ),
            *(("events.md", f"events {name}") for name in metadata.tables if name != "whatsapp_schema"),
            *(("command-lines.md", f"help templates {command}") for command in ("plan", "apply", "pull")),
        ]
    }


@pytest.fixture
def made(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    import reference_tables

    return reference_tables


def test_the_error_table_has_every_code_and_what_to_do(made):
    from airflow_provider_whatsapp.client.error_codes import RANGES, TABLE

    lines = [re.sub(r'<a id="\d+"></a>', "", line) for line in made.error_table().splitlines()[2:]]

    for row in TABLE:
        code = f"| `{row.code}`"
        (line,) = [
            line
            for line in lines
            if line.startswith((f"{code} |", f"{code} /"))
            and row.meaning in line
            and row.advice in line
            and (row.subcode is None or f"`{row.subcode}`" in line)
        ]
        assert f"`{row.error.__name__}`" in line
    assert all(
        any(line.startswith(f"| `{first}` to `{last}`") for line in lines) for first, last, _ in RANGES
    )


def test_every_error_ends_with_a_link_to_its_row(made):
    from airflow_provider_whatsapp.client import error_codes, errors

    rows = list(error_codes.TABLE) + [row for _, _, row in error_codes.RANGES]
    anchors = re.findall(r'<a id="(\w+)">', made.error_table() + made.error_class_table())
    assert len(anchors) == len({*anchors})

    raised = [row.error("it failed", code=row.code, subcode=row.subcode) for row in rows]
    raised += [errors.APIError("it failed", code=code) for code in (139005, 2388999, 987654)]
    raised += [
        error("it failed") for error in made.error_classes().values() if error is not errors.PayloadError
    ]
    raised += [errors.PayloadError("is too long", field="text.body", advice="Shorten it")]
    for error in raised:
        text, _, link = str(error).rpartition(" See ")
        address, _, anchor = link.partition("#")
        assert address == errors.ERRORS_PAGE
        assert anchor in anchors
        assert text.endswith((".", "]"))

    leads = {(error.code, error.subcode): error.link.partition("#")[2] for error in raised}
    assert leads[100, 2388024] == "2388024"
    assert leads[190, 463] == "190"
    assert leads[139005, None] == "139000"
    assert leads[987654, None] == "APIError"


def test_an_error_that_quotes_another_has_one_link():
    from airflow_provider_whatsapp.client import errors

    inner = errors.RecipientError("no", code=131026)
    outer = errors.OutcomeUnknownError(f"nothing came back ({inner})", advice="Look.")

    assert str(outer).count(errors.ERRORS_PAGE) == 1
    assert inner.link in str(outer)


def test_the_public_address_is_declared_once():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["urls"]["Documentation"] == airflow_provider_whatsapp.DOCUMENTATION_URL
    assert project["urls"]["Changelog"].startswith(project["urls"]["Documentation"])
    assert project["urls"]["Issues"].startswith(project["urls"]["Source"])


def test_the_connection_and_its_options_are_whole(made):
    from airflow_provider_whatsapp.get_provider_info import CONFIG_OPTIONS, CONNECTION_FIELDS

    connection, options = made.connection_table(), made.options_table()

    assert set(re.findall(r"`extra\.(\w+)`", connection)) == set(CONNECTION_FIELDS)
    assert {"`password`", "`host`"} <= set(re.findall(r"`\w+`", connection))
    assert set(re.findall(r"^\| `(\w+)`", options, re.MULTILINE)) == set(CONFIG_OPTIONS)


def test_every_column_of_the_event_store_is_explained(made):
    for name, table in metadata.tables.items():
        lines = made.event_table(name).splitlines()[2:]
        assert [re.match(r"\| `(\w+)`", line)[1] for line in lines] == [
            column.name for column in table.columns
        ]
        assert all(line.split(" | ")[2].strip(" |") not in ("", "None") for line in lines)


def test_the_query_of_the_page_says_how_far_each_message_got(tmp_path):
    (query,) = [
        block.text for block in read(ROOT / "docs" / "reference" / "events.md") if block.language == "sql"
    ]
    store = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    store.create_or_upgrade()
    row = {"run_id": "r", "map_index": -1, "account_id": "1", "phone_number_id": "2", "template_name": None}
    row |= {"send_hash": "h" * 22, "dag_id": "reports", "task_id": "send", "sent_at": datetime.now(UTC)}
    store.record_sends([row, {**row, "send_hash": "i" * 22, "task_id": "other"}])
    for name, life in {"a": ["sent", "read"], "b": ["failed", "sent"]}.items():
        for sender in "hi":
            data = f"awp1.{sender * 22}.1.0"
            items = [
                {"id": f"{sender}.{name}", "status": each, "biz_opaque_callback_data": data} for each in life
            ]
            value = {"statuses": items}
            body = {
                "object": "whatsapp_business_account",
                "entry": [{"changes": [{"field": "messages", "value": value}]}],
            }
            store.write([(parse(json.dumps(body).encode()), True)])
    store.close()

    found = sqlite3.connect(tmp_path / "events.db").execute(query).fetchall()
    assert sorted(found) == [("h.a", "read", None), ("h.b", "failed", None)]


def test_a_command_s_help_is_its_own(made):
    assert "--prune" in made.command_help(["templates", "apply"])
    assert "--prune" not in made.command_help(["templates", "pull"])
    assert "--status-delays" in made.command_help(["sandbox"])


def test_a_template_s_table_names_what_is_needed(made):
    table = made.schema_table("template")

    assert re.findall(r"^\| `(\w+)` \| yes", table, re.MULTILINE) == ["name", "category", "languages"]
