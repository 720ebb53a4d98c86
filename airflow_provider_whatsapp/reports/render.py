"""The functions for tasks of one's own."""

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
    Draw rows as a chart that is read on a phone: a PNG file, 1,080 pixels wide and 1,080 to 1,350 high.

    Rows with the same ``x`` and ``series`` are added up. The extra ``charts`` brings matplotlib and Babel.

    :param rows: A list of dicts, a data frame, or the path of a CSV, JSON lines or Parquet file; at most
        200,000 points.
    :param path: The file that is written.
    :param chart: ``line``, ``bar``, ``stacked``, ``area``, or ``kpi``: up to four figures with change and sparkline.
    :param x: Column of dates, numbers or categories; ``kpi`` needs none.
    :param y: Columns with numbers, eight at most; ``kpi`` shows the last row's values of four at most.
    :param series: Column whose values name the series, instead of several columns in ``y``.
    :param title: Text above the chart, 200 characters at most.
    :param unit: An ISO 4217 currency code, ``%``, or a word.
    :param compare: ``previous`` (with ``line`` the first half of the rows, with ``kpi`` the row before), or a column.
    :param top: Categories that bars show, 1 to 30; those with less are added up. None: 12.
    :param locale: How numbers and dates are written.
    :param font: A font file; None: matplotlib's own, then those of the machine that have the characters.
    :return: The file.
    :raises PayloadError: A column is missing, or holds what the chart cannot show; the error names column and row.
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
    Write rows as a PDF: a title, a chart where one is asked for, and the table over A4 pages with its heads on each.

    The extra ``pdf`` brings fpdf2 and what charts need.

    :param rows: As for :func:`render_chart`.
    :param path: The file that is written.
    :param title: Text at the top of the first page.
    :param figures: Columns with numbers, four at most: the last row's values stand below the title, with what they were
        in the row before.
    :param chart: The chart's kind; None: no chart.
    :param x: As for :func:`render_chart`, and so are ``y``, ``series``, ``unit``, ``compare`` and ``top``.
    :param max_rows: Rows of the table, 1 to 20,000; None: 2,000. The chart is of all.
    :param rest_at: Where all rows are, said where some are left out.
    :param locale: How the chart writes numbers and dates.
    :param font: A TrueType file; None: one that has the characters.
    :return: The file.
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
    Draw rows as a table in a PNG file. The extra ``png`` brings Pillow.

    :param rows: As for :func:`render_chart`.
    :param path: The file that is written.
    :param title: Text above the table.
    :param max_rows: Rows, 1 to 100; None: 25. The picture says how many are left out.
    :param font: A font file; None: one that has the characters.
    :return: The file.
    :raises PayloadError: The rows cannot be read, or ``max_rows`` is out of its bounds.
    :raises ConfigurationError: Pillow is not installed, or the font cannot be opened.
    """
    return _rendered(rows, path, options_of("png", title=title, max_rows=max_rows, font=font))


def _rendered(rows: Any, path: str | Path, options: ReportOptions) -> Path:
    source, texts = rows_of(Path(rows) if isinstance(rows, str) else rows)
    written = Path(path)
    write_report(written, source, options, texts=texts)
    return written
