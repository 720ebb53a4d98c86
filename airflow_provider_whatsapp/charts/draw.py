"""A chart with its title into a PNG file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_whatsapp.charts.axis_chart import AxisChart
from airflow_provider_whatsapp.charts.bar_chart import BarChart, height_for
from airflow_provider_whatsapp.charts.canvas import GREY, SQUARE, WIDTH, Canvas
from airflow_provider_whatsapp.charts.data import CATEGORY

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_whatsapp.charts.chart import Chart
    from airflow_provider_whatsapp.charts.data import ChartData
    from airflow_provider_whatsapp.charts.locales import Formats
    from airflow_provider_whatsapp.charts.spec import ChartSpec

NO_DATA = "No data"


def draw_chart(
    path: Path, data: ChartData, spec: ChartSpec, formats: Formats, *, font: str | None = None
) -> None:
    """
    Draw a chart into a PNG file.

    :param path: The file.
    :param data: Its points.
    :param spec: What it shows.
    :param formats: How numbers and dates are written.
    :param font: A font file; None: matplotlib's own, then those of the system.
    :raises ConfigurationError: matplotlib is not installed, or the font cannot be opened.
    """
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
