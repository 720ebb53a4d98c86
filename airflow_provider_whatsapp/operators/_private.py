"""
Which of a task's arguments Airflow may show: recipients and contents must not appear in its database and pages.

Every value is hidden unless it is known to identify nobody: shapes, counts, kinds, names of variables, an author's
``"{column}"``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "•••"
SHOWN = 5
"""The most recipients of a list that are shown, masked."""
MOST = 50
"""The most values of a list that are shown, hidden."""

_COLUMN = re.compile(r"\{(?!\D*(?:\d\D*){5})[A-Za-z_][\w .-]{0,40}\}")
_NAME = re.compile(r"(?!\D*(?:\d\D*){5})[a-z0-9_]{1,60}")
_KEYS = frozenset(["type", "sub_type", "index", "format"])
_SAID = frozenset(
    {
        *(
            "text",
            "image",
            "video",
            "audio",
            "document",
            "sticker",
            "location",
            "contacts",
            "interactive",
            "template",
        ),
        *(
            "header",
            "body",
            "footer",
            "button",
            "buttons",
            "list",
            "carousel",
            "url",
            "quick_reply",
            "copy_code",
        ),
        *(
            "phone_number",
            "flow",
            "catalog",
            "mpm",
            "payload",
            "product",
            "reaction",
            "currency",
            "date_time",
        ),
        "limited_time_offer",
    }
)
_START = re.compile(
    r"((?:https?|file|local|s3a?|gs|gcs|abfss?|wasbs?|adl|hdfs)://|~?/|\.{1,2}/)", re.IGNORECASE
)
_SUFFIX = re.compile(
    r"\.(?:csv|tsv|txt|jsonl?|ndjson|xlsx?|docx?|pptx?|pdf|png|jpe?g|webp|mp[34]|3gp|ogg|aac|amr|m4a)(?:\.gz)?$",
    re.IGNORECASE,
)


def hidden(value: Any) -> Any:
    """Return an argument with its texts and numbers hidden and its shape kept; of other values only the type."""
    if isinstance(value, Mapping):
        return _hidden_items(value)
    if isinstance(value, list | tuple | set | frozenset):
        shown = [hidden(item) for item in list(value)[:MOST]]
        return [*shown, f"... {len(value)} in all"] if len(value) > MOST else shown
    if value is None or isinstance(value, bool) or value == "":
        return value
    if isinstance(value, str):
        return value if _COLUMN.fullmatch(value) else _hidden_text(value)
    if isinstance(value, os.PathLike) or hasattr(value, "protocol"):
        return _hidden_text(str(value))
    return HIDDEN if isinstance(value, int | float) else f"{HIDDEN} ({_kind(value)})"


def _kind(value: Any) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes | bytearray) else type(value).__name__


def _hidden_items(value: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in list(value.items())[:MOST]:
        name = key if isinstance(key, str) and _NAME.fullmatch(key) else f"{HIDDEN} {len(found) + 1}"
        said = key in _KEYS and ((isinstance(item, int) and 0 <= item < 100) or str(item).lower() in _SAID)
        found[name] = item if said else hidden(item)
    return found


def _hidden_text(text: str) -> str:
    """Return a text with everything hidden except the beginning and the suffix of a path or link."""
    start = _START.match(text)
    if start is None or "\n" in text:
        return HIDDEN
    end = _SUFFIX.search(text)
    return f"{start[1]}{HIDDEN}{end[0] if end else ''}"


def hidden_recipients(value: Any) -> Any:
    """Return recipients (numbers, a list of them or of rows, or a path) with the middle of each number hidden."""
    from airflow_provider_whatsapp.client.phone import is_user_id, mask, normalise

    if isinstance(value, list | tuple | set | frozenset):
        shown = [
            HIDDEN if isinstance(item, Mapping) else hidden_recipients(item) for item in list(value)[:SHOWN]
        ]
        return [*shown, f"... {len(value)} in all"] if len(value) > SHOWN else shown
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return HIDDEN if isinstance(value, Mapping) else hidden(value)
    if is_user_id(value):
        return mask(str(value))
    try:
        return mask(normalise(value))
    except ValueError:
        said = hidden(str(value))
        return f"{HIDDEN} ({len(str(value))} characters)" if said == HIDDEN else said


def masked_numbers(value: Any) -> Any:
    """Return a text, such as a query, or a list of texts, with what looks like a phone number masked."""
    from airflow_provider_whatsapp.client.phone import mask_numbers

    if isinstance(value, str):
        return mask_numbers(value)
    return [masked_numbers(item) for item in value] if isinstance(value, list | tuple) else hidden(value)
