"""The suppression list of people who opted out. An unclear entry refuses the broadcast, because it may be a person."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.phone import canonical, is_user_id, mask, recipient_key
from airflow_provider_whatsapp.delivery.compact_sets import Seen
from airflow_provider_whatsapp.delivery.csv_rows import like_a_recipient, read_header, read_records
from airflow_provider_whatsapp.delivery.rows import USUAL_NAMES, check_once, is_json, json_rows, simple
from airflow_provider_whatsapp.delivery.text_files import open_text

FIELD = "suppression"
SEPARATORS = re.compile(r"[,;\r\n]")
"""Separators of the numbers in a text."""
_A_PATH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|/|\.{1,2}/|~")
_A_FILE = re.compile(r"[^,;\r\n]*[A-Za-z_/\\-][^,;\r\n]*\.[A-Za-z][A-Za-z0-9]{1,9}")
_PLAIN = "(numbers)"
_STOPPED = "Nothing was sent."


def is_path(text: str) -> bool:
    """Return whether a text names a file rather than containing the numbers."""
    text = text.strip()
    if is_user_id(text) or like_a_recipient(text) or len(text) > 4096 or "\n" in text:
        return False
    return _A_PATH.match(text) is not None or _A_FILE.fullmatch(text) is not None


def listed(text: str, *, field: str) -> Any:
    """Return the list in a text, as JSON or as Python writes it: Jinja renders a list in an XCom like this."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            found = None
    if isinstance(found, list):
        return found
    raise PayloadError(
        f"is a text that begins like a list but is not one ({len(text)} characters)",
        field=field,
        advice="Pass the task's output itself (task.output), or render it as JSON: {{ ... | tojson }}.",
    )


def read_suppressed(source: Any, *, to_field: str = "to", default_country: str | None = None) -> Seen:
    """Return the canonical forms of all members of the suppression list, read in the same way as recipients."""
    # The source is a path (CSV with a header, JSON lines, or only numbers), a list of numbers or of rows, or a text
    # with numbers that are separated by commas, semicolons or lines.
    seen = Seen()
    for where, entry in _entries(source, to_field):
        try:
            seen.add(canonical(recipient_key(entry, default_country=default_country)))
        except PayloadError as error:
            raise PayloadError(
                f"{where} {_shown(entry)} is neither a number nor an ID",
                field=FIELD,
                advice=f"{_STOPPED} {error.advice or ''}",
            ) from error
    return seen


def _shown(entry: Any) -> str:
    try:
        return mask(str(entry))
    except ValueError:  # Python refuses to write whole numbers of 5,000 digits
        return mask("")


def _entries(source: Any, to_field: str) -> Iterator[tuple[str, Any]]:
    """Yield every cell that has to be a recipient, with its place."""
    if hasattr(source, "open"):
        yield from _file_entries(source, to_field)
        return
    if isinstance(source, str):
        text = source.strip()
        if not text:
            raise _nothing("is an empty text")
        source = (
            listed(text, field=FIELD)
            if text.startswith("[")
            else [part for part in SEPARATORS.split(text) if part.strip()]
        )
    if isinstance(source, int | float) and not isinstance(source, bool):
        source = [source]  # Jinja's native types turn a text with one number into an int
    if not isinstance(source, Iterable) or isinstance(source, Mapping | bytes):
        raise _nothing(f"is {'None' if source is None else f'a {type(source).__name__}'}")
    yield from _item_entries(source, to_field)


def _item_entries(source: Iterable[Any], to_field: str) -> Iterator[tuple[str, Any]]:
    column: str | None = None
    for place, item in enumerate(source):
        where = f"{FIELD}[{place}]"
        if not isinstance(item, Mapping):
            yield where, item
            continue
        column = column if column in item else _column(list(map(str, item)), to_field, where)
        yield where, item[column]


def _file_entries(path: Any, to_field: str) -> Iterator[tuple[str, Any]]:
    with open_text(path, field=FIELD) as text:
        json_file, lines = is_json(text)
        if json_file is None:
            raise _nothing(f"{path.name} is empty")
        read = _json_entries if json_file else _csv_entries
        yield from read(lines, path.name, to_field)


def _json_entries(lines: Iterator[str], name: str, to_field: str) -> Iterator[tuple[str, Any]]:
    column: str | None = None
    for where, row in json_rows(lines, name, frozenset(), _PLAIN, FIELD, every_name_once=True):
        if isinstance(row, PayloadError):
            raise PayloadError(
                row.message.removeprefix(f"{FIELD}: ").removesuffix("."),
                field=FIELD,
                advice=f"{_STOPPED} {row.advice}",
            )
        if _PLAIN in row:
            yield where, row[_PLAIN]
            continue
        column = column if column in row else _column(list(row), to_field, where)
        yield where, row[column]


def _csv_entries(lines: Iterator[str], name: str, to_field: str) -> Iterator[tuple[str, Any]]:
    header = read_header(lines, name, (), field=FIELD)
    cells = [cell for cell in header.names if cell]
    where = f"{name}:{header.first}"
    if any(map(_is_recipient, cells)):  # no header: only numbers, one or several on a line
        for cell in cells:
            yield where, cell
        for line, row in read_records(lines, name, header, 0, field=FIELD):
            yield from ((f"{name}:{line}", cell) for cell in row if cell.strip())
        return
    column = _column(header.names, to_field, where)
    check_once(header.names, [column], where, FIELD)
    place, width = header.names.index(column), len(header.names)
    for line, row in read_records(lines, name, header, place, field=FIELD):
        where = f"{name}:{line}"
        if len(row) != width:
            raise PayloadError(
                f"{where} has {len(row)} cells, the header {width}",
                field=FIELD,
                advice=f"{_STOPPED} Correct this row.",
            )
        yield where, row[place]


def _is_recipient(cell: str) -> bool:
    try:
        recipient_key(cell)
    except PayloadError:
        return like_a_recipient(cell)
    return True


def _column(names: Collection[str], to_field: str, where: str) -> str:
    """Return the column of the numbers: the one with the recipients' name, one with a usual name, or the only one."""
    if to_field in names:
        return to_field
    usual = [name for name in dict.fromkeys(names) if simple(name) in USUAL_NAMES | {simple(to_field)}]
    only = [name for name in names if not any(map(str.isdigit, name))] if len(names) == 1 else []
    if len(usual) == 1 or only:
        return next(iter(usual or only))
    problem = f"has {len(usual)} columns that may hold the numbers" if usual else "has no column of numbers"
    raise PayloadError(
        f"{where} {problem} ({len(names)} columns in all)",
        field=FIELD,
        advice=f"{_STOPPED} Name the column {to_field!r}, as in the list of recipients, or give only one column.",
    )


def _nothing(problem: str) -> PayloadError:
    return PayloadError(
        problem,
        field=FIELD,
        advice=f"{_STOPPED} An empty list is a file with only its header, or []; leave the argument out "
        "if there is no list.",
    )
