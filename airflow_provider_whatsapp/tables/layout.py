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
    """Return how many characters of a text fit, with an ending after them; ``least`` count as fitting in any case."""
    low, high = least, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if width(text[:middle].rstrip() + end if end else text[:middle]) <= room:
            low = middle
        else:
            high = middle - 1
    return low


def shortened(text: str, room: float, width: Callable[[str], float], *, least: int = 0) -> str:
    """Return a text that fits the room, cut with an ellipsis if necessary; ``least`` characters stay in any case."""
    if width(text) <= room:
        return text
    return text[: fitting(text, room, width, least=least)].rstrip() + ELLIPSIS


def narrowest(
    columns: Sequence[Column], wanted: Sequence[Width], *, text: Width, room: float, gap: float = 0
) -> list[Width]:
    """Return the least widths of as many columns as fit, from the first one on, and of at least one."""
    # ``wanted`` shows a column in full; ``text`` is the least width of a column of texts. Numbers are never cut.
    least = [
        want if column.numeric else min(want, text) for column, want in zip(columns, wanted, strict=True)
    ]
    while len(least) > 1 and sum(least) + gap * (len(least) - 1) > room:
        least.pop()
    return least
