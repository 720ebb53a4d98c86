"""Rows of analytics in files: JSON lines, CSV and Parquet, by the suffix of the file's name."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.analytics_kinds import TYPES
from airflow_provider_whatsapp.client.errors import ConfigurationError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_whatsapp.client.analytics_kinds import Kind

    Row = dict[str, Any]

BATCH = 5_000
"""Rows of a Parquet file that are in memory together."""
LONGEST_LINE = 1_000_000
"""The most characters of a line; a row has a few hundred."""


@dataclass(frozen=True, slots=True)
class Format:
    """A file format."""

    suffix: str
    read: Callable[[IO[bytes], Kind, str], Iterator[Row]]  # yields a file's rows
    write: Callable[[IO[bytes], Kind, Iterable[Row]], None]  # writes rows, with all columns in order


def format_of(name: str) -> Format:
    """Return the format of a file by its name, and check that its package is installed."""
    for suffix, found in FORMATS.items():
        if name.lower().endswith(suffix):
            if suffix == ".parquet":
                _arrow()
            return found
    raise PayloadError(
        f"{name[-60:]!r} has no suffix that names a format",
        field="destination",
        limit=", ".join(FORMATS),
    )


def _arrow() -> Any:
    try:
        return import_module("pyarrow.parquet"), import_module("pyarrow")
    except ImportError:
        raise ConfigurationError(
            "pyarrow, which writes Parquet, is not installed",
            advice="Where the task runs: pip install 'airflow-provider-whatsapp[parquet]'. Files that end in .jsonl "
            "or "
            ".csv do not need it.",
        ) from None


def to_text(row: Row) -> Row:
    """Return a row as JSON primitives, with times in UTC as ISO 8601."""
    return {
        name: value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def from_text(row: Row) -> Row:
    """Return a row as before it was written, an empty text as None; raises ValueError if a value does not fit."""
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    if value is None or value == "":
        return None
    form = TYPES.get(name, "text")
    if form == "moment":
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    if form == "json":
        return json.loads(value) if isinstance(value, str) else value
    found = {"whole": int, "decimal": float, "text": str}[form](value)
    if form == "decimal" and not math.isfinite(found):  # comparisons with NaN are always false
        raise ValueError(value)
    return found


def _check_names(names: Iterable[str], kind: Kind, where: str) -> None:
    """Refuse a file whose columns are not those of the kind, because its rows would be lost."""
    given = set(names)
    foreign, missing = sorted(given - {*kind.columns}), sorted({*kind.key} - given)
    if foreign or missing:
        problem = f"contains {foreign[0]!r}, which" if foreign else f"has no column {missing[0]!r}, which"
        verb = "do not have" if foreign else "need"
        raise PayloadError(
            f"{where} {problem} {kind.name} analytics {verb}",
            field="destination",
            advice="The file contains another kind of analytics, and is unchanged. Give each kind its own file.",
        )


def _damaged(where: str) -> PayloadError:
    return PayloadError(
        f"{where} is not a row of analytics",
        field="destination",
        advice="The file is unchanged. Repair or move it, or give another destination.",
    )


def _read_json(file: IO[bytes], kind: Kind, name: str) -> Iterator[Row]:
    for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
        where = f"{name}:{number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise _damaged(where) from None
        if not isinstance(row, dict):
            raise _damaged(where)
        yield _sound(row, kind, where)


def _sound(row: Row, kind: Kind, where: str) -> Row:
    _check_names(row, kind, where)
    try:
        return from_text(row)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise _damaged(where) from None


def _write_json(file: IO[bytes], kind: Kind, rows: Iterable[Row]) -> None:
    for row in rows:
        plain = to_text({name: row[name] for name in kind.columns})
        file.write(json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")


def _read_csv(file: IO[bytes], kind: Kind, name: str) -> Iterator[Row]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        reader = csv.DictReader(text, strict=True)
        if reader.fieldnames is None:
            return
        _check_names(reader.fieldnames, kind, f"{name}:1")
        for row in reader:
            where = f"{name}:{reader.line_num}"
            if None in row or None in row.values():  # more cells than the header, or fewer
                raise _damaged(where)
            yield _sound(row, kind, where)
    except (csv.Error, UnicodeError):
        raise _damaged(name) from None
    finally:
        text.detach()


def _write_csv(file: IO[bytes], kind: Kind, rows: Iterable[Row]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.DictWriter(text, kind.columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(_packed(to_text(row)))
    text.detach()


def _packed(row: Row) -> Row:
    """Return a row with its lists as texts, for formats without lists."""
    return {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
        for name, value in row.items()
    }


def _read_parquet(file: IO[bytes], kind: Kind, name: str) -> Iterator[Row]:
    parquet, arrow = _arrow()
    try:
        opened = parquet.ParquetFile(file)
        _check_names(opened.schema_arrow.names, kind, name)
        for batch in opened.iter_batches(BATCH):
            for row in batch.to_pylist():
                yield _sound(row, kind, name)
    except arrow.ArrowException:
        raise _damaged(name) from None


def _write_parquet(file: IO[bytes], kind: Kind, rows: Iterable[Row]) -> None:
    parquet, arrow = _arrow()
    types = {
        "moment": arrow.timestamp("ms", tz="UTC"),
        "whole": arrow.int64(),
        "decimal": arrow.float64(),
        "json": arrow.string(),
        "text": arrow.string(),
    }
    schema = arrow.schema([(name, types[TYPES.get(name, "text")]) for name in kind.columns])
    pending = iter(rows)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while batch := [_packed(row) for row in islice(pending, BATCH)]:
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))


FORMATS = {
    ".jsonl": Format(".jsonl", _read_json, _write_json),
    ".ndjson": Format(".ndjson", _read_json, _write_json),
    ".csv": Format(".csv", _read_csv, _write_csv),
    ".parquet": Format(".parquet", _read_parquet, _write_parquet),
}
"""The formats by the suffix of a file's name."""
