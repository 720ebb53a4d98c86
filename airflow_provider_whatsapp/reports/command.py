"""``report preview``: writes the file of a report, for a look before anybody gets it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.reports.options import CHART_OPTIONS, KINDS, options_of

if TYPE_CHECKING:
    import argparse

HELP = "write a chart, PDF or table from a query or a file; sends nothing"
OPTIONS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("output",), {"metavar": "FILE", "help": "the file to write"}),
    (("--rows",), {"metavar": "PATH", "help": "a CSV, JSON lines or Parquet file"}),
    (("--sql",), {"metavar": "QUERY", "help": "a query, instead of --rows"}),
    (("--conn-id",), {"help": "Airflow connection of the database, for --sql"}),
    (("--format",), {"default": "chart", "choices": [*KINDS], "help": "default: chart"}),
    (("--chart",), {"help": "line, bar, stacked, area or kpi"}),
    (("--x",), {"metavar": "COLUMN", "help": "dates, numbers or categories"}),
    (("--y",), {"metavar": "COLUMN", "nargs": "+", "help": "numbers"}),
    (("--series",), {"metavar": "COLUMN", "help": "names of the series"}),
    (("--figures",), {"metavar": "COLUMN", "nargs": "+", "help": "figures above the table of a PDF"}),
    (("--title",), {"help": "text at the top"}),
    (("--unit",), {"help": "a currency code, %% or a word"}),
    (("--compare",), {"metavar": "COLUMN", "nargs": "+", "help": "previous, or columns to compare with"}),
    (("--top",), {"type": int, "metavar": "N", "help": "categories that bars show"}),
    (("--max-rows",), {"type": int, "metavar": "N", "help": "rows of a table"}),
    (("--locale",), {"default": "en_US", "help": "how numbers and dates are written"}),
    (("--font",), {"metavar": "FILE", "help": "a font file"}),
]


def report_command(given: argparse.Namespace) -> int:
    """Run ``report preview``, and return the exit status."""
    from airflow_provider_whatsapp.client.errors import ConfigurationError, WhatsAppError
    from airflow_provider_whatsapp.client.masking import printable

    try:
        if (given.rows is None) == (given.sql is None) or (given.sql is not None and not given.conn_id):
            raise ConfigurationError("give either --rows, or --sql with --conn-id")
        options = options_of(
            given.format,
            chart=given.chart,
            chart_options={name: getattr(given, name) for name in CHART_OPTIONS},
            figures=given.figures,
            title=given.title,
            max_rows=given.max_rows,
            locale=given.locale,
            font=given.font,
        )
        written = _write(given, options)
    except WhatsAppError as error:
        sys.stderr.write(printable(str(error)) + "\n")
        return 1
    sys.stdout.write(printable(f"{given.output}: {written.rows:,} rows, {written.left_out:,} left out\n"))
    return 0


def _write(given: argparse.Namespace, options: Any) -> Any:
    from airflow_provider_whatsapp.reports.write import write_report
    from airflow_provider_whatsapp.tables.rows import Rows
    from airflow_provider_whatsapp.tables.source import rows_of

    path = Path(given.output)
    if given.rows is not None:
        is_url = "://" in given.rows
        rows, texts = rows_of(given.open_url(given.rows) if is_url else Path(given.rows))
        return write_report(path, rows, options, texts=texts)
    found: list[Any] = []

    def handle(cursor: Any) -> list[Any]:
        if cursor.description:
            found.append(write_report(path, Rows.of_cursor(cursor), options))
        return []

    given.open_database(given.conn_id).run(given.sql, handler=handle)
    if not found:
        from airflow_provider_whatsapp.client.errors import PayloadError

        raise PayloadError("the query returned no result", field="sql", advice="End it with a SELECT.")
    return found[-1]
