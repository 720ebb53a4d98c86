"""Writes rows to CSV and XLSX files."""

from __future__ import annotations

import csv
import math
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import ConfigurationError, PayloadError
from airflow_provider_whatsapp.client.media import DOC
from airflow_provider_whatsapp.client.media_types import KINDS
from airflow_provider_whatsapp.tables.rows import Written, plain

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_whatsapp.tables.rows import Rows

CSV_ENCODING = "utf-8-sig"
"""UTF-8 with a byte order mark, without which Excel assumes one of its old encodings."""

SHEET_ROWS = 1_048_575
"""The most rows of a sheet, below its header."""

CELL_CHARACTERS = 32_767
EXACT_DIGITS = 15
"""The most digits of a number in a sheet; a longer one, such as an account number, becomes text."""

LARGEST_EXPONENT = 307
"""The largest number in a sheet, as for any double."""

SHEET_TITLE = 31
_NOT_IN_TITLE = re.compile(r"[\\*?:/\[\]]")
_NOT_IN_SHEET = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_CHECK_EACH = 500
_UNSEEN = r"\s\x00-\x1f\u200b\ufeff"
_TRIGGER = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"
_FORMULA = re.compile(rf"[{_UNSEEN}]*{_TRIGGER}")
_LATER_FORMULA = re.compile(rf"(?<=[;\t\r\n])(?=[{_UNSEEN}]*{_TRIGGER})")
"""Characters at which a spreadsheet with another separator would begin a cell."""
_PLAIN_NUMBER = re.compile(r"[+-]?(?:[0-9][0-9.,]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?%?|-+")


def write_csv(path: Path, rows: Rows, *, max_rows: int | None = None, formulas: bool = False) -> Written:
    """Write a CSV file row by row: RFC 4180, UTF-8 with a byte order mark, a header."""
    limit = KINDS["document"][0]  # bytes that WhatsApp accepts
    count = 0
    with path.open("w", encoding=CSV_ENCODING, errors="replace", newline="") as file:
        writer = csv.writer(file)
        text = plain if formulas else harmless
        writer.writerow([text(column) for column in rows.columns])
        for count, row in enumerate(rows.take(max_rows), start=1):
            writer.writerow([text(value) for value in row])
            if count % _CHECK_EACH == 0 and file.tell() > limit:
                raise PayloadError(
                    f"the CSV file is too large after {count:,} rows",
                    field="sql",
                    limit=f"{limit:,} bytes",
                    doc=DOC,
                    advice="Let the query return fewer rows, or give max_rows.",
                )
    return Written(count, rows.count_rest())


def harmless(value: Any) -> str:
    """Return a value as a text that no spreadsheet runs: ``=HYPERLINK(...)`` and the like get an apostrophe."""
    text = plain(value)
    # Numbers keep their form, also texts such as -5 and +15550001111.
    if isinstance(value, int | float | Decimal | timedelta) or _PLAIN_NUMBER.fullmatch(text):
        return text
    start = "'" if _FORMULA.match(text) else ""
    return start + _LATER_FORMULA.sub("'", text)


def write_xlsx(path: Path, rows: Rows, *, max_rows: int | None = None, title: str | None = None) -> Written:
    """Write an XLSX file row by row: one sheet, with a bold and fixed header, and columns as wide as needed."""
    try:
        from openpyxl import Workbook
        from openpyxl.styles import Font
    except ImportError as error:
        raise missing("openpyxl", "xlsx") from error
    book = Workbook(write_only=True)
    sheet: Any = book.create_sheet(_NOT_IN_TITLE.sub(" ", title or "").strip("' ")[:SHEET_TITLE] or "Report")
    sheet.freeze_panes = "A2"
    taken = rows.take(SHEET_ROWS if max_rows is None else min(max_rows, SHEET_ROWS))
    first = list(islice(taken, 100))
    _set_widths(sheet, rows.columns, first)
    written = 0
    try:
        sheet.append(_cells(sheet, rows.columns, Font(bold=True)))
        for row in chain(first, taken):
            sheet.append(_cells(sheet, row))
            written += 1
    finally:
        sheet.close()
    left_out = rows.count_rest()
    if left_out and written == SHEET_ROWS:
        raise PayloadError(
            "the result has more rows than a sheet holds",
            field="sql",
            limit=SHEET_ROWS,
            advice="Let the query return fewer rows, or give format='csv'.",
        )
    book.save(path)
    return Written(written, left_out)


def _set_widths(sheet: Any, columns: list[str], first: list[Any]) -> None:
    """Make columns as wide as their first rows need, because the file has the widths before the rows."""
    from openpyxl.utils import get_column_letter

    for index, column in enumerate(columns):
        longest = max([len(column), *(len(plain(row[index])) for row in first)])
        sheet.column_dimensions[get_column_letter(index + 1)].width = min(longest, 60) + 3


def _cells(sheet: Any, values: Any, font: Any = None) -> list[Any]:
    from openpyxl.cell import WriteOnlyCell

    made = []
    for value in values:
        content = _cell(value)
        cell: Any = WriteOnlyCell(sheet, value=content)
        if isinstance(content, str):
            cell.data_type = "s"  # otherwise "=1+1" would be a formula
        if font is not None:
            cell.font = font
        made.append(cell)
    return made


def missing(library: str, extra: str) -> ConfigurationError:
    """Return the error for a library that is not installed."""
    return ConfigurationError(
        f"{library} is not installed",
        advice=f"Where the task runs: pip install {library}, which airflow-provider-whatsapp[{extra}] brings.",
    )


def _cell(value: Any) -> Any:
    """Return a value in a type that a sheet has: a number, a date or a boolean unchanged, any other value as text."""
    if value is None or _holds(value):
        return value
    return _NOT_IN_SHEET.sub("\ufffd", plain(value))[:CELL_CHARACTERS]


def _holds(value: Any) -> bool:
    if isinstance(value, int):
        return bool(abs(value) < 10**EXACT_DIGITS)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) >= LARGEST_EXPONENT:
            return False
        return len(value.as_tuple().digits) <= EXACT_DIGITS
    # A sheet has no time zones and no days before 1900, and counts the days before March of that year wrongly.
    if isinstance(value, datetime | date):
        return value.year > 1900 and getattr(value, "tzinfo", None) is None
    return isinstance(value, time) and value.tzinfo is None
