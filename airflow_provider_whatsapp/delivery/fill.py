"""Fills ``"{column}"`` in an argument with the value of each recipient's row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages.texts import text_of

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")


def columns(*arguments: Any) -> set[str]:
    """Return the names of the columns in texts, and in lists and dicts of them; other values have no columns."""
    found: set[str] = set()
    for argument in arguments:
        if isinstance(argument, str):
            found |= {match[1].strip() for match in _PLACE.finditer(argument) if match[1]}
        elif isinstance(argument, Mapping):
            found |= columns(*argument.values())
        elif isinstance(argument, list | tuple):
            found |= columns(*argument)
    return found


def literal_prefix(argument: str) -> str | None:
    """Return the text before the first column of an argument; None: it has no column."""
    for match in _PLACE.finditer(argument):
        if match[1]:
            return argument[: match.start()].replace("{{", "{").replace("}}", "}")
    return None


def fill(argument: Any, row: Mapping[str, Any]) -> Any:
    """Return an argument with the row's values in place of ``"{column}"``; raises PayloadError if one is missing."""
    if isinstance(argument, str):
        return _PLACE.sub(lambda match: _value(match, row), argument) if "{" in argument else argument
    if isinstance(argument, Mapping):
        return {key: fill(value, row) for key, value in argument.items()}
    if isinstance(argument, list | tuple):
        return [fill(value, row) for value in argument]
    return argument


def _value(match: re.Match[str], row: Mapping[str, Any]) -> str:
    if match[1] is None:
        return match[0][0]  # a doubled brace becomes one
    value = row.get(match[1].strip())
    if value is None or (isinstance(value, str) and not value.strip()):
        raise PayloadError(
            "is missing or empty in this row",
            field=match[1].strip(),
            advice="WhatsApp takes no empty value: fill the cell, or leave the row out.",
        )
    return text_of(value, match[1].strip())
