"""Rows of a file or list as they stand: CSV, JSON lines, either compressed, on a disk or in a bucket."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_whatsapp.client.errors import PayloadError

Raw = tuple[str, dict[str, Any] | PayloadError]
"""Where a row stands (``people.csv:12``), and its columns or what is wrong with it."""

_DELIMITERS = ",;\t|"


def read_rows(source: Any, *, needed: Iterable[str] = (), value_field: str = "to") -> Iterator[Raw]:
    """
    Yield the rows of a source, one at a time.

    :param source: A path with ``open`` (``pathlib.Path``, ``ObjectStoragePath``), or a list of dicts or plain values.
    :param needed: Columns that a CSV file must have.
    :param value_field: Column that the plain values of a list stand for.
    :raises PayloadError: The file is missing or unreadable, or lacks a column; the error names file and line.
    """
    if hasattr(source, "open"):
        yield from _file_rows(source, frozenset(needed))
        return
    for place, item in enumerate(source):
        where = f"recipients[{place}]"
        if isinstance(item, Mapping):
            yield where, dict(item)
        else:
            yield where, {value_field: item}


def _file_rows(path: Any, needed: frozenset[str]) -> Iterator[Raw]:
    name = path.name
    try:
        with path.open("rb") as file:
            raw = _buffered(file)
            if raw.peek(2)[:2] == b"\x1f\x8b":
                raw = io.BufferedReader(gzip.GzipFile(fileobj=raw))
            start = raw.peek(256).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
            text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
            yield from _json_rows(text, name) if start in (b"{", b"[") else _csv_rows(text, name, needed)
    except OSError as error:
        raise PayloadError(
            f"{name} cannot be read: {type(error).__name__}",
            field="recipients",
            advice="Check the path, and that the worker may read it.",
        ) from error
    except (UnicodeDecodeError, EOFError) as error:
        raise PayloadError(
            f"{name} is not UTF-8 text, or its compression is broken", field="recipients"
        ) from error


def _buffered(file: Any) -> io.BufferedReader:
    return file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)


def _csv_rows(text: io.TextIOWrapper, name: str, needed: frozenset[str]) -> Iterator[Raw]:
    first = text.readline()
    delimiter = max(_DELIMITERS, key=first.count)
    header = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter), [])]
    missing = sorted(needed - set(header))
    if missing:
        raise PayloadError(
            f"{name}:1 has no column {', '.join(map(repr, missing))}; it has {', '.join(header) or 'none'}",
            field="recipients",
            advice="Name the column of the numbers in to_field, and the others as they are in the file.",
        )
    reader = csv.reader(text, delimiter=delimiter)
    try:
        for cells in reader:
            where = f"{name}:{reader.line_num + 1}"
            if not cells:
                continue
            if len(cells) != len(header):
                yield where, _bad(where, f"has {len(cells)} cells, the header {len(header)}")
            else:
                yield where, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise PayloadError(f"{name}:{reader.line_num + 1} is no CSV: {error}", field="recipients") from error


def _json_rows(text: io.TextIOWrapper, name: str) -> Iterator[Raw]:
    for number, line in enumerate(text, 1):
        where = f"{name}:{number}"
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            yield where, _bad(where, "is not a JSON object on one line")
            continue
        if isinstance(value, list) and number == 1:
            yield from read_rows(value)
        elif isinstance(value, dict):
            yield where, value
        else:
            yield where, _bad(where, f"is a {type(value).__name__}, not an object")


def _bad(where: str, problem: str) -> PayloadError:
    return PayloadError(f"{where} {problem}", field="recipients", advice="Correct this row.")
