"""How a number, a date or a switch is written as text, the same everywhere in messages."""

from __future__ import annotations

import math
import re
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from airflow_provider_whatsapp.client.errors import PayloadError

_SIGNIFICANT = 15
"""Significant digits to which a float's decimal form is reliable: 0.1 + 0.2 is 0.3."""
_SMALL, _GREAT = 1e-12, 1e21
"""Floats beyond this are not amounts, and keep the short form: 1e+300."""
# What programs write for a missing value; people are called Nan and Null.
_NOTHING = frozenset({"nan", "NaN", "NAN", "NaT", "<NA>", "None", "null", "inf", "-inf"})
_SURROGATE = re.compile("[\ud800-\udfff]")
_WANTED = "a text, a number, a date or time, true or false, or a UUID"


def text_of(value: object, field: str, *, doc: str | None = None) -> str:
    """
    Return a value as a text.

    Numbers are written in full (not as ``1e+16``) and floats to 15 significant digits, dates and times as Python
    writes them, switches as ``True`` and ``False``. NumPy's scalars are written like the equal Python values.

    :param value: A text, a number, a date or time, a switch, or a UUID.
    :param field: Path of the value.
    :param doc: Title of Meta's document.
    :raises PayloadError: The value is a list, a dict, bytes or of another type; it is not a number (nan, infinity); or
        it is a text that programs write for a missing value (``None``, ``nan``), or contains half of a character.
    """
    text = value if isinstance(value, str) else _written(value)
    if text is None:
        given = "is missing; it must be" if value is None else f"is of type {type(value).__name__}, not"
        raise PayloadError(f"{given} {_WANTED}", field=field, doc=doc, advice=f"Give {_WANTED}.")
    if text in _NOTHING:
        raise PayloadError(
            f"is {text!r}, which programs write for a missing value",
            field=field,
            doc=doc,
            advice="Give the value, or leave the recipient out. In a template: {{ value or 'none' }}.",
        )
    if not text.isascii() and _SURROGATE.search(text):
        raise half_of_a_character(field)
    return text


def says_nothing(text: str) -> bool:
    """Return whether a text is what programs write for a missing value."""
    return text in _NOTHING


def whole_characters(text: str) -> str:
    """Return a text with a replacement character for each lone surrogate."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def half_of_a_character(field: str) -> PayloadError:
    """Return the error for a text that cannot be encoded, with the path ``field``."""
    return PayloadError(
        "contains half of a character (a lone surrogate), which cannot be sent",
        field=field,
        advice="Check where the text comes from: something cut it, or decoded it with the wrong encoding.",
    )


def has_half_of_a_character(text: str) -> bool:
    """Return whether a text contains a lone surrogate."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def _written(value: Any) -> str | None:
    """Return a scalar as text; None if it is not a scalar."""
    if isinstance(value, bool | date | time | timedelta | UUID):
        return str(value)
    if isinstance(value, int):
        return format(value, "d")
    if isinstance(value, float):
        return _float(float(value))
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else "nan"
    # This avoids an import of NumPy: its scalars return Python values.
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return str(value) if type(value).__name__.endswith("time64") else _written(value.item())
    return value if isinstance(value, str) else None


def _float(value: float) -> str:
    if not math.isfinite(value):
        return "nan"
    exact = repr(value)
    short = format(value, f".{_SIGNIFICANT}g")
    digits = len(exact.partition("e")[0].replace(".", "").strip("-0"))
    kept = exact if digits <= _SIGNIFICANT else short
    return format(Decimal(kept), "f") if "e" in kept and _SMALL <= abs(value) < _GREAT else kept
