"""The reference leaves nothing out: modules, metrics, columns of the tables that are made of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import airflow_provider_whatsapp
from airflow_provider_whatsapp.delivery.progress import Progress
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
    assert all((PACKAGE / f"{name.replace('.', '/')}.py").exists() for name in documented)


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
            ("connection.md", "connection"),
            ("notifier.md", "options"),
            ("template-file.md", "schema template"),
            ("template-file.md", "schema prune"),
            ("command-lines.md", "help connect"),
            ("command-lines.md", "help doctor"),
            ("command-lines.md", "help receiver"),
            ("command-lines.md", "help results"),
            ("command-lines.md", "help sandbox"),
            *(
                ("command-lines.md", f"help webhook {name}")
                for name in ("subscribe", "status", "unsubscribe")
            ),
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

    lines = made.error_table().splitlines()[2:]

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


def test_the_connection_and_its_options_are_whole(made):
    from airflow_provider_whatsapp.get_provider_info import CONFIG_OPTIONS, CONNECTION_FIELDS

    connection, options = made.connection_table(), made.options_table()

    assert set(re.findall(r"`extra\.(\w+)`", connection)) == set(CONNECTION_FIELDS)
    assert {"`password`", "`host`"} <= set(re.findall(r"`\w+`", connection))
    assert set(re.findall(r"^\| `(\w+)`", options, re.MULTILINE)) == set(CONFIG_OPTIONS)


def test_a_command_s_help_is_its_own(made):
    assert "--prune" in made.command_help(["templates", "apply"])
    assert "--prune" not in made.command_help(["templates", "pull"])
    assert "--status-delays" in made.command_help(["sandbox"])


def test_a_template_s_table_names_what_is_needed(made):
    table = made.schema_table("template")

    assert re.findall(r"^\| `(\w+)` \| yes", table, re.MULTILINE) == ["name", "category", "languages"]
