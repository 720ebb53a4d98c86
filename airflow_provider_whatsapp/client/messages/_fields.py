"""
How the models declare their fields: each once, with its type, the check that it has to pass, and its default.

A check takes the value, the path of the field and the title of Meta's document, and returns the value as the model
keeps it. Modules import this one as ``field``.
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

Check = Callable[[Any, str, str], Any]


def checked(check: Check, *, default: Any = MISSING, none: Any = MISSING) -> Any:
    """Declare a field by its check; with ``none``, None stands for that value and is not checked."""
    if none is not MISSING:
        check = partial(_or_none, check, none)
    return field(default=default, metadata={"check": check})


def text(limit: int | None = None, *, default: Any = MISSING) -> Any:
    """Declare a text of so many characters at most; with a default it may be left out or empty."""
    check = _checks.required_text if default is MISSING else _checks.optional_text
    return checked(partial(check, limit=limit), default=default)


def identifier(*, default: Any = MISSING) -> Any:
    """Declare an ID: a text without white space."""
    return checked(_checks.identifier, default=default, none=default)


def flag(*, default: bool) -> Any:
    """Declare a switch; None stands for its default."""
    return checked(_checks.flag, default=default, none=default)


def whole(low: int, high: int | None = None, *, default: Any = MISSING) -> Any:
    """Declare a whole number."""
    return checked(partial(_checks.integer, low=low, high=high), default=default, none=default)


def choice(*words: str, default: Any = MISSING) -> Any:
    """Declare a keyword."""
    return checked(partial(_checks.choice, allowed=words), default=default)


def some(model: type[Part], high: int | None = None, *, low: int = 1, default: Any = MISSING) -> Any:
    """Declare a list of parts, or of dicts of their fields."""
    return checked(partial(parts, model, low=low, high=high), default=default, none=default)


def _or_none(check: Check, none: Any, value: Any, path: str, doc: str) -> Any:
    return none if value is None else check(value, path, doc)
