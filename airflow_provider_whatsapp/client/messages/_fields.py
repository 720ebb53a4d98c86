"""
How the models declare their fields: each once, with its type, its check and its default.

A check takes the value, the path of the field and the title of Meta's document, and returns the value that the model
keeps. Modules import this one as ``field``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, field
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages._parts import parts

if TYPE_CHECKING:
    from airflow_provider_whatsapp.client.messages._base import Part

Check = Callable[..., Any]


def checked(check: Check, *, default: Any = MISSING, **options: Any) -> Any:
    """Declare a field by its check and the check's options; None means the default, which is not checked."""
    given = partial(check, **options) if options else check
    return field(default=default, metadata={"check": given, **options})


def text(limit: int | None = None, *, default: Any = MISSING) -> Any:
    """Declare a text of at most ``limit`` characters; with a default it may be left out or empty."""
    check = _checks.required_text if default is MISSING else _checks.optional_text

    def limited(
        value: object, path: str, doc: str
    ) -> str:  # takes half the time of a partial, and most fields are texts
        return check(value, path, doc, limit=limit)

    return field(default=default, metadata={"check": limited, "limit": limit})


def identifier(*, default: Any = MISSING) -> Any:
    """Declare an ID: a text without white space."""
    return checked(_checks.identifier, default=default)


def flag(*, default: bool) -> Any:
    """Declare a switch."""
    return checked(_checks.flag, default=default)


def whole(low: int, high: int | None = None, *, default: Any = MISSING) -> Any:
    """Declare a whole number."""
    return checked(_checks.integer, default=default, low=low, high=high)


def choice(*words: str, default: Any = MISSING) -> Any:
    """Declare a keyword."""
    return checked(_checks.choice, default=default, allowed=words)


def some(model: type[Part], high: int | None = None, *, low: int = 1, default: Any = MISSING) -> Any:
    """Declare a list of parts, or of dicts of their fields."""
    return checked(parts, default=default, model=model, low=low, high=high)
