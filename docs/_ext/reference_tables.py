"""Tables and texts out of the code's own: error codes, connection fields, options, command lines, schema."""

from __future__ import annotations

import argparse
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Integer

from airflow_provider_whatsapp import cli
from airflow_provider_whatsapp import get_provider_info as info
from airflow_provider_whatsapp.client import error_codes, errors
from airflow_provider_whatsapp.events import tables as event_tables
from airflow_provider_whatsapp.sandbox.__main__ import parser as sandbox_parser

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


RETRY = {
    error_codes.Retry.NO: "no",
    error_codes.Retry.AUTH: "no, until you log in again",
    error_codes.Retry.WAIT: "after a wait",
    error_codes.Retry.AMBIGUOUS: "reads only; a send is unknown",
}


ADVICE = {
    "WhatsAppError": "Read the message: it says what to set and where.",
    "ConfigurationError": "Correct the field that the message names, in the connection or in the operator's arguments; "
    "`doctor` checks all of them.",
    "PayloadError": "Shorten or correct the field that the message names; nothing was sent.",
    "NotSentError": "Check the network, the proxy and `host`; then run the task again.",
    "OutcomeUnknownError": "Look whether the message arrived, then clear the task or leave it: "
    "[why a send can be unknown](../explanation/unknown.md).",
    "APIError": "Look the code up in the table above.",
    "AuthenticationError": "Set a valid Maton key, or log in to WhatsApp again with `connect`.",
    "PermissionDeniedError": "Log in again with `connect` and grant every permission; check `extra.waba_id`.",
    "ConnectionMissingError": "Run `connect`, and put the connection's id into `extra.connection_id`.",
    "NotFoundError": "Check `extra.phone_number_id` and `extra.waba_id`; they look alike.",
    "RateLimitError": "Lower `extra.rate_limit`, or share the rate: [rate limits](../how-to/rate-limits.md).",
    "InvalidRequestError": "Correct the parameter that the details name.",
    "TemplateError": "Compare the task's values with the template, and its status: "
    "[templates as code](../how-to/templates-as-code.md).",
    "RecipientError": "Check the number with its owner, or send an approved template.",
    "AccountError": "Resolve it in WhatsApp Manager; `doctor` shows what Meta says of number and account.",
    "ServerError": "Run it again later; metastatus.com shows disturbances.",
    "AnswerTooLargeError": "Ask for less: fewer fields, or a shorter time.",
}
"""What to do about each class of error."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """
    Return a Markdown table.

    :param header: Its columns' titles.
    :param rows: Its cells, in Markdown.
    """
    lines = [list(header), ["---"] * len(header), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def error_table() -> str:
    """Return every code that the package knows, in order."""
    merged: dict[tuple[Any, ...], list[error_codes.CodeInfo]] = {}
    for row in sorted(error_codes.TABLE, key=lambda row: row.subcode or 0):
        merged.setdefault((row.code, row.meaning, row.advice, row.error, row.retry), []).append(row)
    rows = [(same, _codes(same)) for same in merged.values()]
    rows += [([row], f"`{first}` to `{last}`") for first, last, row in error_codes.RANGES]
    rows.sort(key=lambda named: named[0][0].code or 0)
    anchored: set[str | None] = set()
    lines = []
    for same, name in rows:
        row = same[0]
        anchors = dict.fromkeys(error_codes.anchor_of(each.code, each.subcode) for each in same)
        lines.append(
            [
                "".join(f'<a id="{anchor}"></a>' for anchor in anchors if anchor not in anchored) + name,
                row.meaning + (" *(may come later, with the status)*" if row.asynchronous else ""),
                row.advice,
                RETRY[row.retry],
                f"`{row.error.__name__}`",
            ]
        )
        anchored |= {*anchors}
    return table(["code", "meaning", "what to do", "again?", "error"], lines)


def _codes(rows: Sequence[error_codes.CodeInfo]) -> str:
    subcodes = ", ".join(f"`{row.subcode}`" for row in rows if row.subcode is not None)
    return f"`{rows[0].code}`" + (f" / {subcodes}" if subcodes else "")


def error_class_table() -> str:
    """Return the errors that the package raises, each with the anchor that its link leads to."""
    lines = []
    for name, error in error_classes().items():
        meaning = " ".join((error.__doc__ or "").strip().split("\n\n")[0].split()).replace("``", "`")
        again = (
            "no"
            if error.default_permanent
            else "look first: it may have been sent"
            if error.default_sent != "no"
            else "yes"
        )
        lines.append([f'<a id="{name}"></a>`{name}`', meaning, ADVICE[name], again])
    return table(["error", "meaning", "what to do", "again?"], lines)


def error_classes() -> dict[str, type[errors.WhatsAppError]]:
    """Return the client's error classes by their names."""
    return {
        name: item
        for name, item in vars(errors).items()
        if isinstance(item, type) and issubclass(item, errors.WhatsAppError)
    }


def connection_table() -> str:
    """Return the connection's fields as Airflow gets them."""
    own = [(f"`{name}`", label) for name, label in info.RELABELING.items()]
    rows = [[name, label, info.PLACEHOLDERS[name.strip("`")]] for name, label in own]
    for name, field in info.CONNECTION_FIELDS.items():
        rows.append([f"`extra.{name}`", field["label"], field["description"]])
    return table(["field", "in the form", "meaning"], rows)


def options_table() -> str:
    """Return the options of ``[whatsapp]`` in Airflow's configuration."""
    return table(
        ["option", "default", "meaning"],
        (
            [f"`{name}`", f"`{option['default']}`" if option["default"] else "", option["description"]]
            for name, option in info.CONFIG_OPTIONS.items()
        ),
    )


def schema_table(name: str) -> str:
    """
    Return the properties of a part of the template file's schema.

    :param name: The part's name in the schema's ``$defs``.
    """
    text = resources.files("airflow_provider_whatsapp.message_templates").joinpath("template.schema.json")
    part = json.loads(text.read_text("utf-8"))["$defs"][name]
    return table(
        ["field", "needed", "may be"],
        (
            [f"`{field}`", "yes" if field in part.get("required", ()) else "", _may_be(rule)]
            for field, rule in part["properties"].items()
            if not field.startswith("$")
        ),
    )


def event_table(name: str) -> str:
    """
    Return the columns of a table of the event store.

    :param name: The table.
    """
    found = event_tables.metadata.tables[name]
    return table(
        ["column", "type", "meaning"],
        (
            [
                f"`{column.name}`" + (" (key)" if column.primary_key else ""),
                _type_of(column) + (", may be empty" if column.nullable else ""),
                str(column.doc),
            ]
            for column in found.columns
        ),
    )


def _type_of(column: Any) -> str:
    kinds = {event_tables.Moment: "time, UTC", Boolean: "boolean", Integer: "integer"}
    return next((name for kind, name in kinds.items() if isinstance(column.type, kind)), "text")


def _may_be(rule: dict[str, Any]) -> str:
    said = [rule["description"]] if "description" in rule else []
    if "enum" in rule:
        said.append(", ".join(f"`{value}`" for value in rule["enum"]))
    elif "pattern" in rule:
        said.append(f"text that matches `{rule['pattern']}`")
    elif "$ref" in rule:
        said.append(f"{rule['$ref'].rpartition('/')[2]}, see below")
    elif not said:
        said.append({"boolean": "`true` or `false`", "string": "text"}.get(rule["type"], rule["type"]))
    return "; ".join(said)


def command_help(words: Sequence[str]) -> str:
    """
    Return what a command says with ``--help``.

    :param words: The command: ``sandbox``, or the words after ``python -m airflow_provider_whatsapp``.
    """
    parser = sandbox_parser() if words == ["sandbox"] else cli.parser()
    for word in () if words == ["sandbox"] else words:
        groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
        parser = groups[0].choices[word]
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=88, max_help_position=30)
    return f"```text\n{parser.format_help()}```"
