"""The rows of a result, read in pieces, and each value as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from airflow_provider_whatsapp.client.errors import PayloadError

PIECE = 1000
"""Number of rows that are fetched from a database together."""

LONGEST_INTEGER = 14_000
"""Bits of an integer that Python writes in decimals: it refuses those of more than 4,300 digits."""

COUNTED = 100_000
"""The most rows left out that are counted; reading a whole result only to count it can take hours."""


@dataclass(frozen=True, slots=True)
class Written:
    """The result of writing a file."""

    rows: int  # without the header
    left_out: int = 0  # beyond the limit, counted up to COUNTED


class Rows:
    """A result that is read once, from its first row to its last."""

    def __init__(self, columns: Iterable[Any], rows: Iterable[Any]) -> None:
        self.columns = [str(column) for column in columns]
        self._rows: Iterator[Any] = iter(rows)

    @classmethod
    def of_cursor(cls, cursor: Any) -> Rows:
        """Return the result of a DB-API cursor whose query was executed."""

        def rows() -> Iterator[Any]:
            while fetched := cursor.fetchmany(PIECE):
                yield from fetched

        return cls((column[0] for column in cursor.description), rows())

    def any(self) -> bool:
        """Return whether there is a row left, without consuming it."""
        first = list(islice(self._rows, 1))
        self._rows = chain(first, self._rows)
        return bool(first)

    def take(self, limit: int | None) -> Iterator[Sequence[Any]]:
        """Return the next rows, at most ``limit``; None: all."""
        for row in islice(self._rows, limit):
            yield self._values(row) if isinstance(row, Mapping) else row

    def _values(self, row: Mapping[Any, Any]) -> list[Any]:
        values = list(row.values())
        if len(values) != len(self.columns):
            raise PayloadError(
                f"the query names {len(self.columns)} columns, and its rows hold {len(values)} values",
                field="sql",
                advice="Give each column its own name: SELECT a.id AS a_id, b.id AS b_id.",
            )
        return values

    def count_rest(self) -> int:
        """Return the number of rows that were not taken, at most :data:`COUNTED`."""
        return sum(1 for _ in islice(self._rows, COUNTED))


def counted(number: int) -> str:
    """Return a number of rows left out, as text."""
    return f"{number:,}" + (" or more" if number >= COUNTED else "")


def plain(value: Any) -> str:
    """Return a value as text; an empty text for NULL."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.replace("\0", "")  # programs treat a text file that contains NUL as binary
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=str, ensure_ascii=False)
    if isinstance(value, int) and value.bit_length() > LONGEST_INTEGER:
        return hex(value)
    return str(value).replace("\0", "")
