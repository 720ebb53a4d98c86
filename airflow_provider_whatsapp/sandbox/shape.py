"""Small checks of which the rules consist; each refuses with Meta's code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_whatsapp.sandbox.errors import GraphError
from airflow_provider_whatsapp.sandbox.wire import decoded

Check = Callable[[Any, str], None]
"""Takes a value and its place in the request; raises :class:`GraphError`."""

_LINK = re.compile(r"https?://[^\s]+", re.IGNORECASE)


def structured(check: Check) -> Check:
    """Mark a rule as one for an object or a list, which Graph also accepts as JSON text."""
    check.structured = True  # type: ignore[attr-defined]
    return check


def as_wanted(value: Any, check: Check) -> Any:
    """Return a value as its rule needs it: decoded if that is a rule for an object or a list."""
    return decoded(value) if getattr(check, "structured", False) else value


def missing(where: str) -> GraphError:
    """Return the error for a required parameter that is missing."""
    text = f"Parameter {where} is required"
    return GraphError(100, text, message=f"(#100) {text}")


def invalid(where: str, wanted: str) -> GraphError:
    """Return the error for a parameter with a wrong value."""
    return GraphError(131009, f"Parameter {where} must be {wanted}")


def too_long(where: str, limit: int) -> GraphError:
    """Return the error for a text that exceeds its limit."""
    details = f"Param {where} must be at most {limit} characters long"
    return GraphError(100, details, message=f"(#100) {details}")


def text(
    limit: int, *, least: int = 1, pattern: str | None = None, wanted: str = "in the right form"
) -> Check:
    """Return the check for a text of ``least`` to ``limit`` characters; ``wanted`` says the pattern in words."""
    compiled = re.compile(pattern) if pattern else None

    def check(value: Any, where: str) -> None:
        if not isinstance(value, str):
            raise invalid(where, "a string")
        if len(value.strip() if least else value) < least:
            raise missing(where)
        if len(value) > limit:
            raise too_long(where, limit)
        if compiled and not compiled.fullmatch(value):
            raise invalid(where, wanted)

    return check


def link(limit: int = 2048) -> Check:
    """Return the check for a web address of at most ``limit`` characters."""
    return text(limit, pattern=_LINK.pattern.replace("https?", "(?i:https?)"), wanted="an http or https URL")


def among(*values: str, any_case: bool = False) -> Check:
    """Return the check for one of some words."""
    allowed = frozenset(values)

    def check(value: Any, where: str) -> None:
        word = value.lower() if any_case and isinstance(value, str) else value
        if not isinstance(word, str) or word not in allowed:
            raise invalid(where, f"one of {', '.join(sorted(allowed))}")

    return check


def number(low: float, high: float) -> Check:
    """Return the check for a number within bounds, which Graph also accepts as text."""

    def check(value: Any, where: str) -> None:
        try:
            found = (
                float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
            )
        except (ValueError, OverflowError):
            found = None
        if found is None or not low <= found <= high:
            raise invalid(where, f"a number from {low:g} to {high:g}")

    return check


def whole(low: int, high: int) -> Check:
    """Return the check for a whole number within bounds, or for its digits."""

    def check(value: Any, where: str) -> None:
        shown = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
        if not (shown.isascii() and shown.isdigit() and len(shown) < 20 and low <= int(shown) <= high):
            raise invalid(where, f"a whole number from {low} to {high}")

    return check


def flag(value: Any, where: str) -> None:
    """Check for true or false, which forms write as text."""
    if not isinstance(value, bool) and value not in ("true", "false"):
        raise invalid(where, "true or false")


def anything(value: Any, where: str) -> None:
    """Accept any value: Meta's own rules for it are not published."""


@structured
def some_object(value: Any, where: str) -> None:
    """Check for an object, with any fields."""
    if not isinstance(value, dict):
        raise invalid(where, "an object")


def array(item: Check, *, least: int = 1, most: int = 1_000) -> Check:
    """Return the check for a list of ``least`` to ``most`` items; it decodes inner JSON text in place."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise invalid(where, "a list")
        if not least <= len(value) <= most:
            raise invalid(where, f"a list of {least} to {most}")
        for index, each in enumerate(value):
            value[index] = as_wanted(each, item)
            item(value[index], f"{where}[{index}]")

    return structured(check)


def obj(
    required: Mapping[str, Check] | None = None,
    optional: Mapping[str, Check] | None = None,
    *,
    exactly_one: tuple[str, ...] = (),
    then: Check | None = None,  # a last check of the whole object
) -> Check:
    """Return the check for an object with these fields and no others; it decodes inner JSON text in place."""
    wanted = dict(required or {})
    known = {**wanted, **(optional or {})}

    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise invalid(where, "an object")
        for key, each in value.items():
            inner = known.get(key)
            if inner is None:
                raise GraphError(100, f'Unexpected key "{key}" on param "{where}"')
            value[key] = as_wanted(each, inner)
            inner(value[key], f"{where}['{key}']")
        for key in wanted:
            if key not in value:
                raise missing(f"{where}['{key}']")
        if exactly_one:
            found = sum(key in value for key in exactly_one)
            if found != 1:
                names = " or ".join(exactly_one)
                raise (
                    missing(f"{where}: {names}") if not found else invalid(where, f"given {names}, not both")
                )
        if then:
            then(value, where)

    return structured(check)
