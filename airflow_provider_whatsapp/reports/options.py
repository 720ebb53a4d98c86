"""The options of a report: its format, and what it contains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.charts.spec import PREVIOUS, ChartSpec
from airflow_provider_whatsapp.client.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = {"csv": "document", "xlsx": "document", "png": "image", "chart": "image", "pdf": "document"}
"""The kind of message in which each format is sent."""
IN_A_HEADER = ("png", "chart", "pdf")
"""Formats that a template's header accepts, so that they reach people at any time."""
CHART_FORMATS = ("chart", "pdf")
CHART_OPTIONS = ("x", "y", "series", "unit", "compare", "top")


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """
    How rows become a file.

    :param format: One of :data:`KINDS`.
    :param spec: The chart; None: there is none.
    :param figures: The figures of a PDF; None: there are none.
    :param title: Text at the top, or name of the sheet.
    :param max_rows: The most rows of the table; None: all that the format accepts.
    :param formulas: Leave texts in a CSV file that a spreadsheet would run as formulas.
    :param rest_at: Where all rows are, which a PDF says if it leaves some out.
    :param locale: How a chart writes numbers and dates; None: as the language does, if Babel knows it.
    :param language: A language of WhatsApp's templates.
    :param font: A font file; None: one that has the characters.
    """

    format: str
    spec: ChartSpec | None = None
    figures: ChartSpec | None = None
    title: str | None = None
    max_rows: int | None = None
    formulas: bool = False
    rest_at: str | None = None
    locale: str | None = None
    language: str = "en_US"
    font: str | None = None

    @property
    def suffix(self) -> str:
        """The file's suffix, including the point."""
        return ".png" if self.format == "chart" else f".{self.format}"


def options_of(
    format: str,  # noqa: A002
    *,
    chart: str | None = None,
    chart_options: Mapping[str, Any] | None = None,
    figures: Any = None,
    title: str | None = None,
    **options: Any,
) -> ReportOptions:
    """
    Return checked options.

    :param format: One of :data:`KINDS`.
    :param chart: The chart's kind; None: no chart.
    :param chart_options: Values of :data:`CHART_OPTIONS`.
    :param figures: Columns whose last values a PDF shows above the table, at most four.
    :param title: Text at the top.
    :param options: The other fields of :class:`ReportOptions`.
    :raises PayloadError: A value is not valid, or does not fit the format.
    """
    if format not in KINDS:
        raise PayloadError(
            f"{format!r} is not known", field="format", advice=f"Use one of {', '.join(KINDS)}."
        )
    max_rows = options.get("max_rows")
    if max_rows is not None and max_rows < 1:
        raise PayloadError(
            f"{max_rows!r} is not a number of rows from 1", field="max_rows", advice="Give 1 or more."
        )
    if figures:
        if format != "pdf":
            raise PayloadError(
                "goes with format='pdf' only", field="figures", advice="Give chart='kpi' for a picture."
            )
        unit = (chart_options or {}).get("unit")
        options["figures"] = ChartSpec.of("kpi", y=figures, unit=unit, compare=PREVIOUS)
    given = {name: value for name, value in (chart_options or {}).items() if value is not None}
    if chart is None:
        _check_without_chart(format, [name for name in given if name != "unit" or not figures])
        return ReportOptions(format, title=title, **options)
    if format not in CHART_FORMATS:
        raise PayloadError(
            f"a file in the format {format} contains no chart",
            field="chart",
            advice="Give format='chart' or format='pdf', or leave it out.",
        )
    # A PDF has its title above the picture.
    spec = ChartSpec.of(chart, title=title if format == "chart" else None, **given)
    return ReportOptions(format, spec=spec, title=title, **options)


def _check_without_chart(format: str, given: list[str]) -> None:  # noqa: A002
    if format == "chart":
        raise PayloadError(
            "format='chart' needs a kind", field="chart", advice="Use line, bar, stacked, area or kpi."
        )
    if given:
        raise PayloadError(
            "goes with chart only", field=given[0], advice="Give chart as well, for example chart='line'."
        )
