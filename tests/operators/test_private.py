"""What Airflow stores of a task's arguments holds nothing about anybody, whatever the arguments are."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from airflow_provider_whatsapp.operators import broadcast, messages, sql
from airflow_provider_whatsapp.operators._private import HIDDEN, hidden, hidden_recipients

SECRETS = ("5550001", "Anna", "Meier", "token", "reset", "bank", "IBAN", "DE89", "hunter2", "Berlin")
NUMBER = "+15550001111"

VALUES = [
    "https://bank.example/reset?token=hunter2",
    "HTTPS://bank.example/Anna.pdf",
    "/invoices/Anna Meier.pdf",
    "s3://bank/Anna/4711.PDF",
    "~/Anna.csv",
    "../bank.csv.gz",
    "./Anna",
    "Anna.pdf",
    "/Anna\nMeier",
    "Anna <+15550001111>",
    NUMBER,
    15550001111,
    1.5550001111e10,
    Decimal(15550001111),
    date(1970, 1, 1),
    "['+15550001111']",
    "+15550001111,+15550002222",
    "{Anna} {Meier}",
    "{Anna is at Berlin, her token is hunter2 and the IBAN DE89}",
    "{a15550001111}",
    "Berlin {name}",
    [NUMBER, 15550001111],
    (NUMBER, {"to": NUMBER, "name": "Anna"}),
    {NUMBER},
    [["Anna", {"b": "Meier"}], "Berlin"],
    {"to": NUMBER, "Anna": "Meier", NUMBER: 1, 15550001111: "x", "a15550001111": 1},
    {"type": "Anna", "sub_type": NUMBER, "index": 15550001111},
    b"Anna",
    Path("/bank/Anna.pdf"),
    object(),
    ["Anna"] * 500,
    {f"anna_{count}": "Meier" for count in range(500)},
]
SHOWN = [
    (None, None),
    (True, True),
    ("", ""),
    ([], []),
    ("{name}", "{name}"),
    (["{name}", "x"], ["{name}", HIDDEN]),
    ({"type": "document", "index": 0, "name": "x"}, {"type": "document", "index": 0, "name": HIDDEN}),
    ("s3://bucket/people.csv.gz", f"s3://{HIDDEN}.csv.gz"),
    ("/invoices/{number}.pdf", f"/{HIDDEN}.pdf"),
    (b"%PDF", f"{HIDDEN} (4 bytes)"),
]


def clean(shown):
    text = json.dumps(shown, ensure_ascii=False)
    return not [secret for secret in SECRETS if secret in text] and len(text) < 3000


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_are_hidden(value):
    assert clean(hidden(value))
    assert clean(hidden_recipients(value))


@pytest.mark.parametrize(("value", "shown"), SHOWN)
def test_what_is_known_to_be_harmless_is_shown(value, shown):
    assert hidden(value) == shown


def test_numbers_are_masked_so_that_who_knows_them_knows_them():
    assert hidden_recipients(NUMBER) == hidden_recipients(15550001111) == "15•••1111"
    assert hidden_recipients([NUMBER] * 7) == ["15•••1111"] * 5 + ["... 7 in all"]
    assert hidden_recipients(f"{NUMBER},{NUMBER}") == f"{HIDDEN} (25 characters)"


OPERATORS = [
    (messages.SendTextOperator, {"to": NUMBER, "text": "x"}),
    (messages.SendMediaOperator, {"to": NUMBER, "media": "x"}),
    (messages.SendTemplateOperator, {"to": NUMBER, "template_name": "x"}),
    (messages.SendMessageOperator, {"to": NUMBER, "message": {"type": "text"}}),
    (sql.SqlToWhatsAppOperator, {"to": NUMBER, "sql": "SELECT 1", "conn_id": "db"}),
    (broadcast.BroadcastTemplateOperator, {"recipients": [NUMBER], "template_name": "x"}),
]


@pytest.mark.parametrize(("operator", "needed"), OPERATORS, ids=lambda part: getattr(part, "__name__", ""))
def test_every_field_of_every_operator_is_hidden_unless_it_says_nothing(operator, needed):
    for name in operator.template_fields:
        if name in operator.shown_fields or name == "sql":
            continue
        for value in VALUES:
            task = operator(task_id="send", **{**needed, name: "{{ value }}"})
            task.render_template_fields({"value": value})
            assert clean(getattr(task, name)), name
            with task._arguments():
                # A broadcast doubles the braces that are no column.
                assert getattr(task, name).replace("{{", "{").replace("}}", "}") == str(value)


def test_fields_that_are_shown_are_switches_names_and_places_of_ours():
    """A field that is added is hidden until somebody has thought about it and put it here."""
    assert {name for operator, _ in OPERATORS for name in operator.shown_fields} == {
        *(
            "maton_conn_id",
            "phone_number_id",
            "waba_id",
            "ledger_path",
            "on_unknown",
            "resend_on_clear",
            "max_failed",
            "wait_for",
            "wait_timeout",
            "on_timeout",
            "poke_interval",
        ),
        *(
            "log_pii",
            "template_name",
            "language",
            "check_template",
            "check_health",
            "skip_if_empty",
            "kind",
            "preview_url",
            "conn_id",
        ),
        *(
            "format",
            "max_rows",
            "csv_formulas",
            *("chart", "x", "y", "series", "unit", "compare", "top", "locale", "figures"),
            "database",
            "to_field",
            "shard",
            "shards",
            "scope",
            "results_path",
        ),
        *("dry_run", "send_window", "timezone"),
        *("marketing", "message_activity_sharing", "expect_category", "rates", "max_cost"),
    }


def test_a_query_is_shown_without_numbers():
    task = sql.SqlToWhatsAppOperator(task_id="x", to=NUMBER, conn_id="db", sql="SELECT '{{ to }}' AS a")
    task.render_template_fields({"to": NUMBER})

    assert task.sql == "SELECT '15•••1111' AS a"


def test_fields_of_a_users_own_class_are_that_users():
    class Own(messages.SendTextOperator):
        template_fields = (*messages.SendTextOperator.template_fields, "day")

        def __init__(self, *, day, **kwargs):
            super().__init__(**kwargs)
            self.day = day

    task = Own(task_id="x", to=NUMBER, text="Anna", day="{{ ds }}")
    task.render_template_fields({"ds": "2024-01-31"})

    assert (task.day, task.text) == ("2024-01-31", HIDDEN)
