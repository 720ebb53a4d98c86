"""The function that draws a chart from rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.charts.axis_chart import AxisChart
from airflow_provider_whatsapp.charts.bar_chart import BarChart, height_for
from airflow_provider_whatsapp.charts.canvas import GREY, NO_DATA, SQUARE, WIDTH, Canvas
from airflow_provider_whatsapp.charts.data import CATEGORY, ChartData, collect, collect_figures
from airflow_provider_whatsapp.charts.kpi import draw_figures
from airflow_provider_whatsapp.charts.locales import Formats
from airflow_provider_whatsapp.tables.rows import Written

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_whatsapp.charts.chart import Chart
    from airflow_provider_whatsapp.charts.spec import ChartSpec
    from airflow_provider_whatsapp.tables.rows import Rows


def write_chart(
    path: Path,
    rows: Rows,
    spec: ChartSpec,
    *,
    locale: str = "en_US",  # of numbers and dates
    font: str | None = None,  # a file; None: matplotlib's own, then those of the system
    texts: bool = False,  # every value is text, as in a CSV file
) -> Written:
    """Draw rows as a chart into a PNG file, 1,080 pixels wide; raises PayloadError if the rows do not fit."""
    formats = Formats(locale, spec.unit)
    data: Any
    if spec.kind == "kpi":
        data = collect_figures(rows, spec, texts=texts)
        draw_figures(path, data, spec, formats, font=font)
        return Written(max((len(figure.trail) for figure in data), default=0))
    data = collect(rows, spec, texts=texts)
    _draw_chart(path, data, spec, formats, font=font)
    return Written(data.rows)


def _draw_chart(path: Path, data: ChartData, spec: ChartSpec, formats: Formats, *, font: str | None) -> None:
    across = data.axis == CATEGORY and spec.kind in ("bar", "stacked")
    canvas = Canvas(height_for(data) if across else SQUARE, font)
    kind: type[Chart] = BarChart if across else AxisChart
    chart = kind(canvas, data, spec, formats)
    top = canvas.heading(spec.title, chart.subtitle())
    if data.positions:
        chart.draw(top)
    else:
        canvas.text(WIDTH / 2, canvas.height / 2, NO_DATA, color=GREY, align="center", middle=True)
    canvas.save(path)
