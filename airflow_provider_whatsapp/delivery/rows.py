"""Reads the rows of a file or list: CSV, JSON lines, either compressed, on a disk or in a bucket."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.delivery.csv_rows import as_columns, read_header, read_records
from airflow_provider_whatsapp.delivery.text_files import open_text

if TYPE_CHECKING:
    import io

Raw = tuple[str, dict[str, Any] | PayloadError]
"""A row's place (``people.csv:12``), and its columns or what is wrong with it."""

USUAL_NAMES = frozenset(
    {
        *(
            "to",
            "phone",
            "phonenumber",
            "number",
            "mobile",
            "mobilenumber",
            "mobilephone",
            "cell",
            "cellphone",
            "tel",
        ),
        *("telephone", "msisdn", "whatsapp", "whatsappnumber", "waid", "recipient", "contact", "userid"),
    }
)
"""Usual names of the column of numbers, in lower case and without spaces."""

LONGEST_INTEGER = 40
"""The most digits of a whole number in JSON; a longer one cannot be a message's value, and stays a text."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_LEFT_OUT = "(left out: no value that can be written down)"


def read_rows(
    source: Any, *, value_field: str, needed: Iterable[str] = (), field: str = "recipients"
) -> Iterator[Raw]:
    """Yield the rows of a source, one at a time; raises PayloadError if it is unreadable or lacks a column."""
    # A source is a path with ``open``, or a list of dicts or of plain values, which get the column value_field. A CSV
    # file must have the needed columns, and no row may name one of them twice.
    needed = frozenset(needed)
    if hasattr(source, "open"):
        with open_text(source, field=field) as text:
            yield from _text_rows(text, source.name, needed, value_field, field)
        return
    for place, item in enumerate(source):
        where = f"{field}[{place}]"
        columns = dict(item) if isinstance(item, Mapping) else {value_field: item}
        yield where, _sound(columns, where, needed, field)


def is_json(text: io.TextIOWrapper) -> tuple[bool | None, Iterator[str]]:
    """Return whether a file contains JSON (None: it is empty), and its lines."""
    blank: list[str] = []
    for line in text:
        blank.append(line)
        if line.strip():
            return line.lstrip()[0] in "{[", chain(blank, text)
    return None, iter(blank)


def _text_rows(
    text: io.TextIOWrapper, name: str, needed: frozenset[str], value_field: str, field: str
) -> Iterator[Raw]:
    json_file, lines = is_json(text)
    if json_file:
        yield from json_rows(lines, name, needed, value_field, field)
    else:
        yield from _csv_rows(lines, name, needed, value_field, field)


def _csv_rows(
    text: Iterator[str], name: str, needed: frozenset[str], value_field: str, field: str
) -> Iterator[Raw]:
    header = read_header(text, name, needed, field=field)
    where = f"{name}:{header.first}"
    missing = sorted(needed - {*header.names})
    if missing:
        raise PayloadError(
            f"{where} has no column {', '.join(map(repr, missing))}{_hint(header.names, missing)}",
            field=field,
            advice="The first line names the columns. Name the numbers' column in to_field, and the others as they "
            "are "
            "in the file.",
        )
    check_once(header.names, needed, where, field)
    width, place = len(header.names), header.names.index(value_field) if value_field in header.names else 0
    records = read_records(text, name, header, place, field=field)
    for line, cells in records:
        where = f"{name}:{line}"
        if len(cells) == width:
            yield where, as_columns(header, cells)
        else:
            yield where, _bad(where, f"has {len(cells)} cells, the header {width}", field)


def check_once(names: Collection[str], needed: Collection[str], where: str, field: str) -> None:
    """Refuse a header that names a needed column twice, because it is unclear which one is meant."""
    twice = sorted(name for name in needed if list(names).count(name) > 1)
    if twice:
        raise PayloadError(
            f"{where} names the column {twice[0]!r} more than once",
            field=field,
            advice="Rename or remove the others: a message would get the value of one of them.",
        )


def simple(name: str) -> str:
    """Return a column's name in a form for comparison with the usual names."""
    return re.sub(r"[\W_]+", "", name).lower()


def _hint(names: Collection[str], missing: Collection[str]) -> str:
    """Return the columns that may be meant. Without a header the names are personal data, so name no others."""
    alike = {simple(name) for name in missing} | USUAL_NAMES
    known = [name for name in names if simple(name) in alike]
    columns = f"{len(names)} column{'' if len(names) == 1 else 's'}"
    return (
        f"; of its {columns}, {', '.join(map(repr, known[:5]))} may be meant"
        if known
        else f"; it has {columns}"
    )


def json_rows(
    lines: Iterator[str],
    name: str,
    needed: frozenset[str],  # columns that no row may name twice
    value_field: str,  # column for plain values in an array
    field: str,
    *,
    every_name_once: bool = False,  # no row may name any column twice
) -> Iterator[Raw]:
    """Yield the rows of JSON lines, or of one JSON array; raises PayloadError if an array is broken."""
    pairs, begun = _unique(None if every_name_once else needed), False
    for number, line in enumerate(lines, 1):
        where = f"{name}:{number}"
        if not line.strip():
            continue
        first, begun = not begun, True
        try:
            value = json.loads(line, parse_int=_whole, object_pairs_hook=pairs)
        except (ValueError, RecursionError) as error:
            if first and line.lstrip().startswith("["):
                value = _array([line, *lines], name, pairs, field)
            else:
                yield where, _bad(where, _why(error), field)
                continue
        if isinstance(value, list) and first:
            yield from read_rows(value, needed=needed, value_field=value_field, field=field)
        elif isinstance(value, dict):
            yield where, _sound(value, where, needed, field)
        else:
            yield where, _bad(where, f"is a {type(value).__name__}, not an object", field)


def _array(lines: list[str], name: str, pairs: Any, field: str) -> Any:
    """Return an array that spans several lines; a broken one has no rows."""
    try:
        return json.loads("".join(lines), parse_int=_whole, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        at = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise PayloadError(
            f"{name}{at} is not a valid JSON array ({_why(error)})",
            field=field,
            advice="Nothing was sent. Correct it, or write JSON lines: there one bad row is one failure.",
        ) from None


def _why(error: Exception) -> str:
    if isinstance(error, _TwiceError):
        return str(error)
    return "is nested too deeply" if isinstance(error, RecursionError) else "is not a JSON object on one line"


class _TwiceError(ValueError):
    """A row names a needed column twice."""


def _unique(needed: frozenset[str] | None) -> Any:
    """Return what makes an object of its pairs; it refuses needed names that occur twice, or with None any name."""

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        columns = dict(pairs)
        if len(columns) != len(pairs):
            names = [name for name, _ in pairs]
            for name in names if needed is None else needed:
                if names.count(name) > 1:
                    msg = f"names {name!r} more than once"
                    raise _TwiceError(msg)
        return columns

    return made


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= LONGEST_INTEGER else digits


def _sound(
    columns: dict[str, Any], where: str, needed: Collection[str], field: str
) -> dict[str, Any] | PayloadError:
    """Return a row that can be sent and written to a file; a value that cannot be is an error of only this row."""
    poisoned = [name for name, value in columns.items() if not (_is_sound(name) and _is_sound(value))]
    for name in poisoned:
        if name in needed:
            return _bad(where, f"has a value in {name!r} that is not text: {_poison(columns[name])}", field)
    for name in poisoned:
        value = columns.pop(name)
        shown = _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value
        columns[_SURROGATE.sub("\ufffd", str(name))] = shown if _is_sound(shown) else _LEFT_OUT
    return columns


def _is_sound(value: Any) -> bool:
    """Return whether a value can be written to a results file."""
    kind = type(value)
    if kind is str:
        return value.isascii() or _SURROGATE.search(value) is None
    if kind is int:
        return bool(value.bit_length() <= 4 * LONGEST_INTEGER)
    if value is None or kind is bool or kind is float:
        return True
    try:
        json.dumps(value, default=str, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError):  # UnicodeEncodeError is a ValueError
        return False
    return True


def _poison(value: Any) -> str:
    if isinstance(value, str):
        return "half of a character (a lone surrogate)"
    return (
        "a number of too many digits"
        if isinstance(value, int)
        else f"a {type(value).__name__} that JSON cannot hold"
    )


def _bad(where: str, problem: str, field: str) -> PayloadError:
    return PayloadError(f"{where} {problem}", field=field, advice="Correct this row.")
