"""Fits texts into a width, and columns beside each other. Widths are in pixels, or in millimetres."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_whatsapp.tables.cells import Column

Width = TypeVar("Width", int, float)

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def fitting(
    text: str, room: float, width: Callable[[str], float], *, end: str = ELLIPSIS, least: int = 0
) -> int:
    """
    Return the number of a text's characters that fit, with an ending after them.

    :param text: The text.
    :param room: The available width.
    :param width: Returns the width of a text.
    :param end: The ending after a cut.
    :param least: Number of characters that count as fitting in any case.
    """
    low, high = least, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if width(text[:middle].rstrip() + end if end else text[:middle]) <= room:
            low = middle
        else:
            high = middle - 1
    return low


def shortened(text: str, room: float, width: Callable[[str], float], *, least: int = 0) -> str:
    """
    Return a text that is no wider than the room, cut with an ellipsis if necessary.

    :param text: The text.
    :param room: The available width.
    :param width: Returns the width of a text.
    :param least: Number of characters that stay in any case.
    """
    if width(text) <= room:
        return text
    return text[: fitting(text, room, width, least=least)].rstrip() + ELLIPSIS


def narrowest(
    columns: Sequence[Column], wanted: Sequence[Width], *, text: Width, room: float, gap: float = 0
) -> list[Width]:
    """
    Return the least widths of as many columns as fit, from the first one on, and of at least one.

    :param columns: The columns; numbers are never cut.
    :param wanted: The width that each column needs to show everything.
    :param text: The least width of a column of texts.
    :param room: The available width.
    :param gap: The width between two columns.
    """
    least = [
        want if column.numeric else min(want, text) for column, want in zip(columns, wanted, strict=True)
    ]
    while len(least) > 1 and sum(least) + gap * (len(least) - 1) > room:
        least.pop()
    return least
