"""Values in a picture of a table: numbers in one form within their column, everything on one line."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.tables.rows import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST = 400
"""The most characters of a cell that are read; far more than fit."""

WIDEST_NUMBER = 24
"""The most characters of a number that is never cut; a column with longer ones is drawn as text."""

NULL = "-"
GROUPED_FROM = 10_000
"""Whole numbers from which on thousands are separated, so that years keep their form; others from 1,000."""

_AN_ID = re.compile(r"(^|[_ ])(id|no|nr|number|code|year|zip|phone)$", re.IGNORECASE)
_SPACES = re.compile(r"\s+")
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u202d\u202e\ufeff\ud800-\udfff]")


@dataclass(slots=True)
class Column:
    """A column to draw."""

    title: str
    cells: list[str]
    numeric: bool  # numbers are aligned by their last digit and never cut


def columns(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Column]:
    """Return the columns of a table."""
    return [_column(title, [row[index] for row in rows]) for index, title in enumerate(titles)]


def _column(title: str, values: list[Any]) -> Column:
    title = one_line(title)
    known = [value for value in values if value is not None]
    if (
        known
        and all(isinstance(value, int | float | Decimal) for value in known)
        and bool not in map(type, known)
        and not any(map(_is_beyond, known))
    ):
        cells = _numbers(title, values, known)
        if max(map(len, cells)) <= WIDEST_NUMBER:
            return Column(title, cells, numeric=True)
    return Column(title, [_text(value) for value in values], numeric=False)


def _numbers(title: str, values: list[Any], known: list[Any]) -> list[str]:
    finite = [value for value in known if _is_finite(value)]
    digits = max(map(_digits, finite), default=0)
    least = GROUPED_FROM if all(isinstance(value, int) for value in finite) else 1000
    large = any(abs(value) >= least for value in finite) and not _AN_ID.search(title)
    form = ("," if large else "") + (f".{digits}f" if digits else "d")
    cells = []
    for value in values:
        if value is None:
            cells.append(_text(None))
        elif not _is_finite(value):
            cells.append(str(value))
        else:
            cells.append(format(value if digits else int(value), form))
    return cells


def _is_finite(value: Any) -> bool:
    """Return whether a number is finite; ``math.isfinite`` refuses a signalling NaN and very large integers."""
    return value.is_finite() if isinstance(value, Decimal) else isinstance(value, int) or math.isfinite(value)


def _is_beyond(value: Any) -> bool:
    """Return whether a number is too long to write: ``Decimal("1E+999999")`` would have a million digits."""
    if isinstance(value, Decimal):
        return value.is_finite() and value.adjusted() > WIDEST_NUMBER
    return isinstance(value, int) and value.bit_length() > 4 * WIDEST_NUMBER


def _digits(value: Any) -> int:
    """Return the number of decimal places: a decimal's own, and two for a float."""
    if isinstance(value, int):
        return 0
    if isinstance(value, Decimal):
        return min(max(-int(value.as_tuple().exponent), 0), 6)
    if value.is_integer():
        return 0
    return 2 if abs(value) >= 0.1 else 4


def _text(value: Any) -> str:
    if value is None:
        return NULL
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="minutes")
    return one_line(plain(value))


def one_line(text: str) -> str:
    """Return a text on one line, without invisible characters."""
    return _SPACES.sub(
        " ", _UNSEEN.sub(lambda found: " " if found[0].isspace() else "", text[:LONGEST])
    ).strip()
