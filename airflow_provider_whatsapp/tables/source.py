"""Rows that do not come from a query: lists, data frames, and files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import chain, islice
from typing import Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.tables.files import missing
from airflow_provider_whatsapp.tables.rows import Rows

LOOKED_AT = 1_000
"""Number of rows of a list or of JSON lines whose keys are the columns; later rows may lack some, not have more."""
PARQUET = (".parquet", ".pq")


def rows_of(source: Any, *, field: str = "rows") -> tuple[Rows, bool]:
    """Return the rows of a source, and whether all their values are texts, as in a CSV file."""
    if hasattr(source, "open") and hasattr(source, "name"):  # a pathlib.Path or an ObjectStoragePath
        if str(source.name).lower().endswith(PARQUET):
            return _of_parquet(source, field), False
        return _of_text(source, field)
    if (frame := _of_frame(source)) is not None:
        return frame, False
    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        return _of_dicts(_checked(source, field)), False
    raise PayloadError(
        f"a value of type {type(source).__name__} cannot be read as rows",
        field=field,
        advice="Give a list of dicts, a data frame, or the path of a CSV, JSON lines or Parquet file.",
    )


def _of_text(path: Any, field: str) -> tuple[Rows, bool]:
    """Read a CSV or JSON lines file; its first character says which it is."""
    lines = _lines(path, field)
    first = next((line for line in lines if line.strip()), "")
    if first.lstrip()[:1] in ("{", "["):
        from airflow_provider_whatsapp.delivery.rows import json_rows

        found = json_rows(chain([first], lines), path.name, frozenset(), "value", field)
        return _of_dicts(_sound(columns for _, columns in found)), False
    delimiter = max(",;\t|", key=first.count)
    records = csv.reader(chain([first], lines), delimiter=delimiter)
    names = [name.strip() for name in next(records, [])]
    return Rows(names, _of_width(records, len(names), path.name, field)), True


def _lines(path: Any, field: str) -> Iterator[str]:
    from airflow_provider_whatsapp.delivery.text_files import open_text

    with open_text(path, field=field) as text:
        yield from text


def _sound(rows: Iterable[dict[str, Any] | PayloadError]) -> Iterator[Mapping[str, Any]]:
    for row in rows:
        if isinstance(row, PayloadError):
            raise row
        yield row


def _of_width(records: Any, width: int, name: str, field: str) -> Iterator[list[str]]:
    try:
        for cells in records:
            if len(cells) not in (0, width):
                raise PayloadError(
                    f"{name}:{records.line_num} has {len(cells)} cells, the header {width}", field=field
                )
            if cells:
                yield cells
    except csv.Error as error:
        raise PayloadError(f"{name}:{records.line_num} is not CSV: {error}", field=field) from error


def _of_parquet(path: Any, field: str) -> Rows:
    try:
        pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise missing("pyarrow", "parquet") from error
    try:
        file = path.open("rb")
    except OSError as error:
        raise PayloadError(f"{path.name} cannot be read: {type(error).__name__}", field=field) from error
    try:
        table = parquet.ParquetFile(file)
    except pyarrow.ArrowInvalid as error:
        file.close()
        raise PayloadError(f"{path.name} is not a Parquet file", field=field) from error
    names = table.schema_arrow.names

    def rows() -> Iterator[Sequence[Any]]:
        with file:
            for batch in table.iter_batches(batch_size=1_000):
                columns = [column.to_pylist() for column in batch.columns]
                yield from zip(*columns, strict=True)

    return Rows(names, rows())


def _of_frame(source: Any) -> Rows | None:
    """Read a data frame by the methods of pandas' and polars' frames, without importing either."""
    names = getattr(source, "columns", None)
    if names is None:
        return None
    if callable(getattr(source, "iter_rows", None)):  # polars
        return Rows(names, source.iter_rows())
    if callable(getattr(source, "itertuples", None)):  # pandas
        return Rows(names, source.itertuples(index=False, name=None))
    return None


def _checked(rows: Sequence[Any], field: str) -> Iterator[Mapping[str, Any]]:
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise PayloadError(
                f"row {number:,} is a {type(row).__name__}", field=field, advice="Give a dict for each row."
            )
        yield row


def _of_dicts(rows: Iterator[Mapping[str, Any]]) -> Rows:
    head = list(islice(rows, LOOKED_AT))
    names = list(dict.fromkeys(name for row in head for name in row))

    def values() -> Iterator[list[Any]]:
        for row in chain(head, rows):
            yield [row.get(name) for name in names]

    return Rows(names, values())
