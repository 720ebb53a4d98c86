"""Fields of control requests, checked; the refusals are for people who write tests."""

from __future__ import annotations

from typing import Any


class ControlError(ValueError):
    """
    A control request that makes no sense.

    :param text: What to do about it.
    :param status: HTTP status.
    """

    def __init__(self, text: str, status: int = 400) -> None:
        self.status = status
        super().__init__(text)


def text(body: dict[str, Any], name: str, *, required: bool = True) -> str | None:
    """
    A text.

    :param body: The request.
    :param name: The field.
    :param required: Whether it must be there.
    :raises ControlError: It is missing, empty or no text.
    """
    value = body.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not value:
        raise ControlError(f"{name} must be a text")
    return value


def one_of(body: dict[str, Any], name: str, words: tuple[str, ...]) -> str | None:
    """
    One of some words, if it is there at all.

    :param body: The request.
    :param name: The field.
    :param words: What it may say.
    :raises ControlError: It says something else.
    """
    value = text(body, name, required=False)
    if value is not None and value not in words:
        raise ControlError(f"{name} must be one of {', '.join(words)}")
    return value


def flag(body: dict[str, Any], name: str) -> bool | None:
    """
    True or false, if it is there at all.

    :param body: The request.
    :param name: The field.
    :raises ControlError: It is neither.
    """
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise ControlError(f"{name} must be true or false")
    return value


def whole(body: dict[str, Any], name: str, usual: int) -> int:
    """
    A whole number from 0 up.

    :param body: The request.
    :param name: The field.
    :param usual: Its value when it is left out.
    :raises ControlError: It is none.
    """
    value = body.get(name, usual)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 10**9:
        raise ControlError(f"{name} must be a whole number, 0 or more")
    return value
