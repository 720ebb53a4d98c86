"""What fits where: texts into a room, columns beside each other. Widths are pixels, or millimetres."""

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
    Return how many characters of a text fit, with an end after them.

    :param text: The text.
    :param room: The width that there is.
    :param width: Measures a text.
    :param end: What follows where the text is cut.
    :param least: Characters that count as fitting in any case.
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
    Return a text that is no wider than the room, cut with an ellipsis if need be.

    :param text: The text.
    :param room: The width that there is.
    :param width: Measures a text.
    :param least: Characters that stay in any case.
    """
    if width(text) <= room:
        return text
    return text[: fitting(text, room, width, least=least)].rstrip() + ELLIPSIS


def narrowest(
    columns: Sequence[Column], wanted: Sequence[Width], *, text: Width, room: float, gap: float = 0
) -> list[Width]:
    """
    Return the least widths of as many columns as fit, the first ones, and one at least.

    :param columns: The columns; numbers are never cut.
    :param wanted: The width that each needs to show all of it.
    :param text: The width that a column of texts keeps.
    :param room: The width that there is.
    :param gap: The width between two columns.
    """
    least = [
        want if column.numeric else min(want, text) for column, want in zip(columns, wanted, strict=True)
    ]
    while len(least) > 1 and sum(least) + gap * (len(least) - 1) > room:
        least.pop()
    return least
