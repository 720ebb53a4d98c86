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
    """How rows become a file."""

    format: str  # one of KINDS
    spec: ChartSpec | None = None  # of a chart
    figures: ChartSpec | None = None  # of a PDF
    title: str | None = None  # text at the top, or name of the sheet
    max_rows: int | None = None  # of the table; None: all that the format accepts
    formulas: bool = False  # leave texts in a CSV file that a spreadsheet would run as formulas
    rest_at: str | None = None  # where all rows are, which a PDF says if it leaves some out
    locale: str | None = None  # of numbers and dates; None: as the language writes them, if Babel knows it
    language: str = "en_US"  # one of WhatsApp's templates
    font: str | None = None  # a font file; None: one that has the characters

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
    """Return checked options; raises PayloadError if a value is not valid, or does not fit the format."""
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
