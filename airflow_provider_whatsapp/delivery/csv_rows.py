"""Reads CSV files strictly: a stray quotation mark refuses the file instead of swallowing the recipients after it."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.phone import is_user_id

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

DELIMITERS = ",;\t|"
LONGEST_CELL = 16 * 1024 * 1024
"""The most characters of a cell. Python's own limit of 131,072 would end the whole reading at one long cell."""

HEADER_LINES = 50
_SEP_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_LINE_BREAK = re.compile(r"\s*[\r\n]+\s*")
_LIKE_A_NUMBER = re.compile(r"[\s\"'(+]*(?:\d[\s.()/\"'-]*){7,20}")
_QUOTES = (
    "Nothing was sent. In CSV, write a quotation mark inside a cell twice, and put the cell in quotation marks; or "
    "write JSON lines."
)


@dataclass(frozen=True, slots=True)
class Header:
    """The first record of a CSV file."""

    names: list[str]  # without spaces around them, and with spaces instead of line breaks
    delimiter: str
    first: int  # number of its first line
    lines: int  # number of lines up to its end


def read_header(text: Iterable[str], name: str, needed: Collection[str], *, field: str) -> Header:
    """Return the header, whose lines are consumed; the right delimiter is the one that gives the needed columns."""
    _allow_long_cells()
    lines: list[str] = []
    first, number, given = 1, 0, ""
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        if not lines and not given and (found := _SEP_LINE.fullmatch(line)):
            given = found[1]
            continue
        first = first if lines else number
        lines.append(line)
        names, delimiter = _names(lines, given or DELIMITERS, needed)
        if names is not None and len(lines) > 1 and _holds_recipients(lines, delimiter):
            break
        if names is not None:
            return Header(names, delimiter, first, number)
        if len(lines) > HEADER_LINES:
            break
    if lines:
        raise _stray(name, first, field)
    return Header([], DELIMITERS[0], first, number)


def _holds_recipients(lines: Iterable[str], delimiter: str) -> bool:
    """Return whether a header of several lines has swallowed rows."""
    return any(like_a_recipient(cell.strip(" \"'\r\n")) for line in lines for cell in line.split(delimiter))


def _names(
    lines: Sequence[str], delimiters: Sequence[str], needed: Collection[str]
) -> tuple[list[str] | None, str]:
    """Return the names and their delimiter; None: the header continues in the next line."""
    record = "".join(lines)
    best: tuple[list[str] | None, str] | None = None
    for delimiter in sorted(delimiters, key=record.count, reverse=True):
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            cells = next(reader, [])
        except csv.Error as error:
            if best is None and "end of data" in str(error):
                best = None, delimiter
            continue
        if reader.line_num < len(lines):  # this delimiter ended earlier; another one needed these lines
            continue
        names = [_LINE_BREAK.sub(" ", cell.strip()) for cell in cells]
        if needed and {*needed} <= {*names}:
            return names, delimiter
        best = best or (names, delimiter)
    return best or (None, delimiters[0])


def read_records(
    text: Iterable[str], name: str, header: Header, place: int, *, field: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield the records after the header, each with the number of its first line; empty ones are left out."""
    # place is the index of the recipient's cell in a record, from 0.
    lines: list[str] = []
    reader = csv.reader(_remembered(text, lines), delimiter=header.delimiter, strict=True)
    line = header.lines + 1
    try:
        for cells in reader:
            if len(lines) > 1 and _swallowed(lines, cells, header, place):
                raise _stray(name, line, field)
            # The last rows of a sheet, and blank ones, contain only delimiters.
            if any(map(str.strip, cells)):
                yield line, cells
            line += len(lines)
            lines.clear()
    except csv.Error as error:
        raise _stray(name, line, field) from error


def _remembered(text: Iterable[str], lines: list[str]) -> Iterator[str]:
    for line in text:
        lines.append(line)
        yield line


def _swallowed(lines: Sequence[str], cells: Sequence[str], header: Header, place: int) -> bool:
    """Return whether a record of several lines contains a line that is a separate record with another recipient."""
    if len(cells) != len(header.names):
        return True
    own = cells[place].strip()
    return any(
        found != own and like_a_recipient(found)
        for line in lines
        for found in _possible(line.rstrip("\r\n").split(header.delimiter), len(header.names), place)
    )


def _possible(parts: Sequence[str], width: int, place: int) -> Iterator[str]:
    """Yield the cells that may be the recipient's, of a line that was cut at every delimiter."""
    # A line without quoted cells is a row only if it is as wide as the header: a letter's lines with numbers are not.
    surplus = len(parts) - width
    if surplus and not _holds_quoted(parts):
        return
    # A cell in quotation marks may be several parts, and such parts before the recipient move it.
    for moved in range(surplus + 1):
        if not moved or _holds_quoted(parts[: place + moved]):
            yield parts[place + moved].strip(" \"'")


def _holds_quoted(parts: Sequence[str]) -> bool:
    return sum(part.count('"') for part in parts) > 1


def like_a_recipient(cell: str) -> bool:
    """Return whether a cell looks like a number or a business-scoped user ID, valid or not."""
    return _LIKE_A_NUMBER.fullmatch(cell) is not None or is_user_id(cell)


def _stray(name: str, line: int, field: str) -> PayloadError:
    return PayloadError(
        f"{name}:{line} begins a row whose quotation marks do not match, so nobody can tell where it ends",
        field=field,
        advice=_QUOTES,
    )


def _allow_long_cells() -> None:
    # The limit applies to the process; it is only ever raised, so readers in other threads keep theirs.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))


def as_columns(header: Header, cells: Sequence[str]) -> dict[str, Any]:
    """Return a record's cells by the names of their columns."""
    return dict(zip(header.names, cells, strict=True))
