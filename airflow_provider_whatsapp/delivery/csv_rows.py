"""CSV files, read strictly: a stray quotation mark refuses the file instead of swallowing the people after it."""

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
"""Characters of a cell. Python's own limit of 131,072 would end the reading of all rows for one long cell."""

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
    """
    The first record of a CSV file.

    :param names: Its cells, without spaces around them; a line break in one is a space.
    :param delimiter: What separates the cells of this file.
    :param first: Line where it begins.
    :param lines: Lines up to its end.
    """

    names: list[str]
    delimiter: str
    first: int
    lines: int


def read_header(text: Iterable[str], name: str, needed: Collection[str], *, field: str) -> Header:
    """
    Read the first record, and find out what separates the cells.

    :param text: The file's lines; those of the header are taken from it.
    :param name: The file's name, for errors.
    :param needed: Columns that are wanted: the delimiter that gives them is the right one.
    :param field: Argument that named the file.
    :raises PayloadError: A quotation mark in it is never closed.
    """
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
    """Say whether a header of several lines has swallowed rows."""
    return any(like_a_recipient(cell.strip(" \"'\r\n")) for line in lines for cell in line.split(delimiter))


def _names(
    lines: Sequence[str], delimiters: Sequence[str], needed: Collection[str]
) -> tuple[list[str] | None, str]:
    """Return the names and what separates them; None where the header goes on in the next line."""
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
        if reader.line_num < len(lines):  # it ended before, so another delimiter has asked for these lines
            continue
        names = [_LINE_BREAK.sub(" ", cell.strip()) for cell in cells]
        if needed and {*needed} <= {*names}:
            return names, delimiter
        best = best or (names, delimiter)
    return best or (None, delimiters[0])


def read_records(
    text: Iterable[str], name: str, header: Header, place: int, *, field: str
) -> Iterator[tuple[int, list[str]]]:
    """
    Yield the records after the header, each with the number of its first line; empty ones are left out.

    :param text: The lines after the header.
    :param name: The file's name, for errors.
    :param header: What :func:`read_header` has found.
    :param place: Which cell of a record is the recipient, from 0.
    :param field: Argument that named the file.
    :raises PayloadError: A quotation mark makes it unclear where a record ends.
    """
    lines: list[str] = []
    reader = csv.reader(_remembered(text, lines), delimiter=header.delimiter, strict=True)
    line = header.lines + 1
    try:
        for cells in reader:
            if len(lines) > 1 and _swallowed(lines, cells, header, place):
                raise _stray(name, line, field)
            # A sheet's last rows, and its blank ones, are delimiters alone.
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
    """Say whether a record of several lines holds a line that is a record of its own, with another recipient."""
    if len(cells) != len(header.names):
        return True
    own = cells[place].strip()
    return any(
        found != own and like_a_recipient(found)
        for line in lines
        for found in _possible(line.rstrip("\r\n").split(header.delimiter), len(header.names), place)
    )


def _possible(parts: Sequence[str], width: int, place: int) -> Iterator[str]:
    """
    Yield what may be the recipient's cell of a line that was cut at every delimiter.

    A cell in quotation marks may be several parts, and those before the recipient move it. A line without such cells is
    a row only where it is as wide as the header: a letter's lines, a number among them, are no rows.
    """
    surplus = len(parts) - width
    if surplus and not _holds_quoted(parts):
        return
    for moved in range(surplus + 1):
        if not moved or _holds_quoted(parts[: place + moved]):
            yield parts[place + moved].strip(" \"'")


def _holds_quoted(parts: Sequence[str]) -> bool:
    return sum(part.count('"') for part in parts) > 1


def like_a_recipient(cell: str) -> bool:
    """
    Say whether a cell has the look of a number or of a business-scoped user ID, right or wrong.

    :param cell: Its text.
    """
    return _LIKE_A_NUMBER.fullmatch(cell) is not None or is_user_id(cell)


def _stray(name: str, line: int, field: str) -> PayloadError:
    return PayloadError(
        f"{name}:{line} begins a row whose quotation marks do not match, so nobody can tell where it ends",
        field=field,
        advice=_QUOTES,
    )


def _allow_long_cells() -> None:
    # The limit is the process's; it is only ever raised here, so readers in other threads keep what they need.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))


def as_columns(header: Header, cells: Sequence[str]) -> dict[str, Any]:
    """
    Return a record's cells by the names of their columns.

    :param header: The file's header.
    :param cells: As many as it has names.
    """
    return dict(zip(header.names, cells, strict=True))
