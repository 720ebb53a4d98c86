"""The functions for your own tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.reports.options import options_of
from airflow_provider_whatsapp.reports.write import write_report
from airflow_provider_whatsapp.tables.source import rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_whatsapp.reports.options import ReportOptions


def render_chart(
    rows: Any,
    path: str | Path,
    *,
    chart: str,
    x: str | None = None,
    y: str | Sequence[str] | None = None,
    series: str | None = None,
    title: str | None = None,
    unit: str | None = None,
    compare: str | Sequence[str] | None = None,
    top: int | None = None,
    locale: str = "en_US",
    font: str | None = None,
) -> Path:
    """
    Draw rows as a chart that people can read on a phone: a PNG file, 1,080 pixels wide and 1,080 to 1,350 high.

    Rows with the same ``x`` and ``series`` are added up. The extra ``charts`` installs matplotlib and Babel.

    :param rows: A list of dicts, a data frame, or the path of a CSV, JSON lines or Parquet file; at most
        200,000 points.
    :param path: The file to write.
    :param chart: ``line``, ``bar``, ``stacked``, ``area``, or ``kpi``: up to four figures with change and sparkline.
    :param x: Column of dates, numbers or categories; ``kpi`` needs none.
    :param y: Columns with numbers, at most eight; ``kpi`` shows the last row's values of at most four.
    :param series: Column whose values name the series, instead of several columns in ``y``.
    :param title: Text above the chart, at most 200 characters.
    :param unit: An ISO 4217 currency code, ``%``, or a word.
    :param compare: ``previous`` (with ``line`` the first half of the rows, with ``kpi`` the row before), or a column.
    :param top: The most categories that bars show, 1 to 30; the smaller ones are added up. None: 12.
    :param locale: How numbers and dates are written.
    :param font: A font file; None: matplotlib's own, then those of the machine that have the characters.
    :return: The path of the file.
    :raises PayloadError: A column is missing, or contains values that the chart cannot show; the error names column and
        row.
    :raises ConfigurationError: A library is not installed, or the font cannot be opened.
    """
    chosen = {"x": x, "y": y, "series": series, "unit": unit, "compare": compare, "top": top}
    options = options_of("chart", chart=chart, chart_options=chosen, title=title, locale=locale, font=font)
    return _rendered(rows, path, options)


def render_pdf(
    rows: Any,
    path: str | Path,
    *,
    title: str | None = None,
    figures: str | Sequence[str] | None = None,
    chart: str | None = None,
    x: str | None = None,
    y: str | Sequence[str] | None = None,
    series: str | None = None,
    unit: str | None = None,
    compare: str | Sequence[str] | None = None,
    top: int | None = None,
    max_rows: int | None = None,
    rest_at: str | None = None,
    locale: str = "en_US",
    font: str | None = None,
) -> Path:
    """
    Write rows as a PDF: a title, optionally a chart, and the table on A4 pages with its header on each.

    The extra ``pdf`` installs fpdf2 and the libraries of charts.

    :param rows: As for :func:`render_chart`.
    :param path: The file to write.
    :param title: Text at the top of the first page.
    :param figures: Columns with numbers, at most four: the PDF shows the last row's values below the title, with those
        of the row before.
    :param chart: The chart's kind; None: no chart.
    :param x: As for :func:`render_chart`, and so are ``y``, ``series``, ``unit``, ``compare`` and ``top``.
    :param max_rows: The most rows of the table, 1 to 20,000; None: 2,000. The chart uses all rows.
    :param rest_at: Where all rows are, which the PDF says if it leaves some out.
    :param locale: How the chart writes numbers and dates.
    :param font: A TrueType file; None: one that has the characters.
    :return: The path of the file.
    :raises PayloadError: As for :func:`render_chart`.
    :raises ConfigurationError: A library is not installed, or the font cannot be opened.
    """
    chosen = {"x": x, "y": y, "series": series, "unit": unit, "compare": compare, "top": top}
    options = options_of(
        "pdf",
        chart=chart,
        chart_options=chosen,
        figures=figures,
        title=title,
        max_rows=max_rows,
        rest_at=rest_at,
        locale=locale,
        font=font,
    )
    return _rendered(rows, path, options)


def render_table(
    rows: Any,
    path: str | Path,
    *,
    title: str | None = None,
    max_rows: int | None = None,
    font: str | None = None,
) -> Path:
    """
    Draw rows as a table in a PNG file. The extra ``png`` installs Pillow.

    :param rows: As for :func:`render_chart`.
    :param path: The file to write.
    :param title: Text above the table.
    :param max_rows: The most rows, 1 to 100; None: 25. The picture says how many are left out.
    :param font: A font file; None: one that has the characters.
    :return: The path of the file.
    :raises PayloadError: The rows cannot be read, or ``max_rows`` is out of range.
    :raises ConfigurationError: Pillow is not installed, or the font cannot be opened.
    """
    return _rendered(rows, path, options_of("png", title=title, max_rows=max_rows, font=font))


def _rendered(rows: Any, path: str | Path, options: ReportOptions) -> Path:
    source, texts = rows_of(Path(rows) if isinstance(rows, str) else rows)
    written = Path(path)
    write_report(written, source, options, texts=texts)
    return written
