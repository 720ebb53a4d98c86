"""Checks of fields in control requests; their errors are for people who write tests."""

from __future__ import annotations

from typing import Any


class ControlError(ValueError):
    """A control request that the sandbox refuses, with the HTTP status of the answer."""

    def __init__(self, text: str, status: int = 400) -> None:
        self.status = status
        super().__init__(text)


def text(body: dict[str, Any], name: str, *, required: bool = True) -> str | None:
    """Return a text that is not empty, or None without an optional field; raises ControlError for another value."""
    value = body.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not value:
        raise ControlError(f"{name} must be a text, and not empty")
    return value


def one_of(body: dict[str, Any], name: str, words: tuple[str, ...]) -> str | None:
    """Return one of some words, or None without the field; raises ControlError for another value."""
    value = text(body, name, required=False)
    if value is not None and value not in words:
        raise ControlError(f"{name} must be one of {', '.join(words)}")
    return value


def flag(body: dict[str, Any], name: str) -> bool | None:
    """Return true or false, or None without the field; raises ControlError for another value."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise ControlError(f"{name} must be true or false")
    return value


def whole(body: dict[str, Any], name: str, usual: int) -> int:
    """Return a whole number, 0 or more, or the usual one without the field; raises ControlError for another value."""
    value = body.get(name, usual)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 10**9:
        raise ControlError(f"{name} must be a whole number, 0 or more")
    return value
