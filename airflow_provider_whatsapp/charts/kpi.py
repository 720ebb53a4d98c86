"""Up to four figures, each with its change and a sparkline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.charts.canvas import (
    GREY,
    GRID,
    HUGE,
    INK,
    MARGIN,
    NO_DATA,
    NORMAL,
    PALETTE,
    SQUARE,
    WIDTH,
    Canvas,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow_provider_whatsapp.charts.data import Figure
    from airflow_provider_whatsapp.charts.locales import Formats
    from airflow_provider_whatsapp.charts.spec import ChartSpec

UP, DOWN, SAME = "▲", "▼", "="
RISEN, FALLEN = PALETTE[0], PALETTE[1]
NO_FIGURE = "-"


def draw_figures(
    path: Path, figures: Sequence[Figure], spec: ChartSpec, formats: Formats, *, font: str | None = None
) -> None:
    """Draw figures below each other into a PNG file."""
    canvas = Canvas(SQUARE, font)
    top = canvas.heading(spec.title)
    if not figures:
        canvas.text(WIDTH / 2, canvas.height / 2, NO_DATA, color=GREY, align="center", middle=True)
    height = (canvas.height - MARGIN - top) / max(len(figures), 1)
    axes = canvas.axes(0, 0, WIDTH, canvas.height)
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(canvas.height, 0)
    for number, figure in enumerate(figures):
        y = top + number * height
        if number:
            axes.plot([MARGIN, WIDTH - MARGIN], [y, y], color=GRID, linewidth=2)
        _draw_figure(canvas, axes, figure, formats, top=y, height=height)
    canvas.save(path)


def _draw_figure(
    canvas: Canvas, axes: Any, figure: Figure, formats: Formats, *, top: float, height: float
) -> None:
    trail = [value for value in figure.trail if value is not None]
    room = WIDTH - 2 * MARGIN - (360 if len(trail) > 2 else 0)
    size = min(HUGE, height * 0.42)
    value = (
        NO_FIGURE if figure.value is None else formats.number(figure.value, compact=abs(figure.value) >= 1e7)
    )
    while canvas.width(value, size, bold=True) > room and size > NORMAL:
        size *= 0.9
    block = NORMAL * 1.3 + size * 1.2 + (NORMAL * 1.4 if figure.compared is not None else 0)
    y = top + max(16.0, (height - block) / 2)
    canvas.text(MARGIN, y, canvas.fit(figure.name.replace("_", " "), room), color=GREY)
    y += NORMAL * 1.3
    canvas.text(MARGIN, y, value, size=size, bold=True)
    y += size * 1.2
    if figure.compared is not None and figure.value is not None:
        sign = UP if figure.value > figure.compared else DOWN if figure.value < figure.compared else SAME
        color = {UP: RISEN, DOWN: FALLEN, SAME: INK}[sign]
        change = f"{sign} {formats.change(figure.value, figure.compared)}"
        canvas.text(MARGIN, y, change, color=color, bold=True)
        x = MARGIN + canvas.width(change, bold=True) + 24
        canvas.text(x, y, f"({formats.number(figure.compared, compact=True)})", color=GREY)
    if len(trail) > 2:
        _draw_sparkline(axes, figure, top + 0.25 * height, 0.5 * height)


def _draw_sparkline(axes: Any, figure: Figure, top: float, height: float) -> None:
    known = [value for value in figure.trail if value is not None]
    low, span = min(known), (max(known) - min(known)) or 1.0
    left, right = WIDTH - MARGIN - 320, WIDTH - MARGIN - 16
    step = (right - left) / (len(figure.trail) - 1)
    xs = [left + index * step for index in range(len(figure.trail))]
    flat = min(known) == max(known)
    ys = [
        float("nan") if value is None else top + height * (0.5 if flat else 1 - (value - low) / span)
        for value in figure.trail
    ]
    axes.plot(xs, ys, color=RISEN, linewidth=4, solid_capstyle="round")
    axes.plot(xs[-1], ys[-1], "o", color=RISEN, markersize=16)
