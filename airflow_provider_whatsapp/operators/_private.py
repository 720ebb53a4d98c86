"""What Airflow may show of a task's arguments: who is written to, and what, stays out of its database and pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HIDDEN = "•••"


def hidden_recipients(value: Any) -> Any:
    """
    Return recipients with the middle of each number hidden; paths stay.

    :param value: A number, a text of several, a list of them or of rows, or a path.
    """
    from airflow_provider_whatsapp.client.phone import is_user_id, mask, normalise

    if isinstance(value, str):
        if is_user_id(value):
            return mask(value)
        try:
            return mask(f"+{normalise(value)}")
        except ValueError:
            separated = any(mark in value for mark in ",;\n")
            is_path = any(char.isalpha() for char in value) and "/" in value
            return value if is_path or not separated else f"{HIDDEN} ({len(value)} characters)"
    if isinstance(value, list | tuple | set | frozenset):
        shown = [hidden_recipients(item) if isinstance(item, str) else HIDDEN for item in list(value)[:5]]
        return [*shown, f"... {len(value)} in all"] if len(value) > 5 else shown
    return value if value is None or not isinstance(value, Mapping) else HIDDEN


def hidden_values(value: Any) -> Any:
    """
    Return an argument with its texts hidden and its shape kept; ``"{column}"`` and paths say nothing about anybody.

    :param value: A text, a number, a list or dict of them.
    """
    if isinstance(value, Mapping):
        return {
            key: item if key in ("type", "sub_type", "index") else hidden_values(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [hidden_values(item) for item in value]
    if isinstance(value, str):
        harmless = value.startswith(("/", "./", "../", "http://", "https://", "s3://", "gs://", "file://"))
        template = value.startswith("{") and value.endswith("}") and value.count("{") == 1
        return value if harmless or template or not value else HIDDEN
    if isinstance(value, bytes | bytearray):
        return f"{HIDDEN} ({len(value)} bytes)"
    return HIDDEN if isinstance(value, int | float) and not isinstance(value, bool) else value


def hidden_content(value: Any) -> Any:
    """
    Return a media source as it is, but for bytes, which are a file's content.

    :param value: URL, media id, path, bytes or file object.
    """
    return hidden_values(value) if isinstance(value, bytes | bytearray) else value
