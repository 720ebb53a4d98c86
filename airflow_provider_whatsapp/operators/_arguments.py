"""Readers of rendered arguments: Jinja renders texts, so ``"3"`` is read as 3 and ``"true"`` as True."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_whatsapp.client.errors import ConfigurationError

_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_NOTHING = ("", "none", "null")


def flag(name: str, value: Any) -> bool:
    """Return a switch as a boolean, also from its text; refuse any other value."""
    found = _FLAGS.get(str(value).strip().lower())
    if found is None:
        raise _refusal(
            name, value, "neither true nor false", "Give True or False; a template may give their names."
        )
    return found


def whole(name: str, value: Any) -> int:
    """Return a whole number, also from its text; refuse any other value."""
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise _refusal(name, value, "not a whole number", "Give a whole number, such as 3.")
    return int(text)


def text(name: str, value: Any) -> str | None:
    """Return a text, and None as it is; write any other scalar as ``text_of`` does."""
    # PayloadError: a list, a dict, bytes, or a text that programs write for a missing value ("None", "nan").
    from airflow_provider_whatsapp.client.messages.texts import text_of

    return None if value is None else text_of(value, name)


def seconds(name: str, value: Any) -> float:
    """Return a length of time in seconds, 0 or more, also from its text; refuse any other value."""
    return _number(name, value, "not a number of seconds", "Give a number of seconds, 0 or more.")


def duration(least: float, most: float) -> Callable[[str, Any], float]:
    """Return a reader of durations: it returns seconds, and refuses a duration outside the limits (seconds)."""

    def read(name: str, value: Any) -> float:
        length = value.total_seconds() if isinstance(value, timedelta) else _of_clock(value)
        found = seconds(name, value if length is None else max(0.0, length))
        if least <= found <= most:
            return found
        problem = f"{'below' if found < least else 'above'} the limit"
        raise _refusal(
            name, str(value), problem, f"Give {timedelta(seconds=least)} to {timedelta(seconds=most)}."
        )

    return read


def _of_clock(value: Any) -> float | None:
    """Return the seconds in the text of a ``timedelta``, as ``str()`` writes it; None for any other text."""
    found = re.fullmatch(
        r"(?:([0-9]{1,9}) days?, )?([0-9]{1,2}):([0-9]{2}):([0-9]{2}(?:\.[0-9]{1,6})?)", str(value)
    )
    if found is None:
        return None
    return int(found[1] or 0) * 86_400 + int(found[2]) * 3600 + int(found[3]) * 60 + float(found[4])


def count_or_share(name: str, value: Any) -> float:
    """Return a limit on a number of recipients, also from its text: a count, or a share if it is below 1."""
    return _number(name, value, "not a number", "Give a count (3), or a share below 1 (0.05).")


def amount(name: str, value: Any) -> Decimal:
    """Return an amount of money, 0 or more, also from its text; refuse any other value."""
    try:
        found = Decimal("nan" if isinstance(value, bool) else str(value).strip())
    except InvalidOperation:
        found = Decimal("nan")
    if not found.is_finite() or found < 0 or abs(found.adjusted()) > 12:
        raise _refusal(name, value, "not an amount of money", "Give a number, such as 250 or 99.50.")
    return found


def optional(read: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Return a reader that returns None for None and for the texts that a template renders for None."""

    def read_unless_none(name: str, value: Any) -> Any:
        is_none = value is None or (isinstance(value, str) and value.strip().lower() in _NOTHING)
        return None if is_none else read(name, value)

    return read_unless_none


def one_of(*allowed: str) -> Callable[[str, Any], str]:
    """Return a reader that accepts only certain texts."""

    def read(name: str, value: Any) -> str:
        if value not in allowed:
            raise _refusal(name, value, "not known", f"Give one of: {', '.join(allowed)}.")
        return str(value)

    return read


def hours(name: str, value: Any) -> Any:
    """Return the two hours of a window, also from a text: ``09:00-20:00``, or a list in JSON or Python."""
    if not isinstance(value, str):
        return value
    found = re.findall(r"[0-9:.]+", value)
    if len(found) != 2 or re.sub(r"[0-9:.]+|[\s\"'()\[\],-]", "", value):
        raise _refusal(
            name,
            value,
            "not a window",
            'Write it as ("09:00", "20:00"), or as the text "09:00-20:00".',
        )
    return found


def _number(name: str, value: Any, problem: str, advice: str) -> float:
    """Return a finite number that is not negative; refuse any other value with ``problem`` and ``advice``."""
    try:
        found = -1.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = -1.0
    if not 0 <= found < float("inf"):
        raise _refusal(name, value, problem, advice)
    return found


def _refusal(name: str, value: Any, problem: str, advice: str) -> ConfigurationError:
    from airflow_provider_whatsapp.client.errors import ConfigurationError

    shown = json.dumps(value, default=lambda other: type(other).__name__)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return ConfigurationError(f"{name}: {shown} is {problem}", advice=advice)
