"""Bars for categories, one below the other, with names to the left and values at the ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.charts.canvas import (
    GREY,
    INK,
    MARGIN,
    NORMAL,
    PALETTE,
    PORTRAIT,
    SMALL,
    SQUARE,
    WIDTH,
    is_right_to_left,
)
from airflow_provider_whatsapp.charts.chart import GAP, Chart
from airflow_provider_whatsapp.charts.data import OTHER, ChartData

if TYPE_CHECKING:
    from airflow_provider_whatsapp.charts.data import Series

TALLEST_BAR = 80


def height_for(data: ChartData) -> int:
    """Return the height, in pixels, of a picture in which each bar has the height of a line of text."""
    per_row = 84 if len(data.series) == 1 else 64 + 36 * min(len(data.series), 4)
    return min(PORTRAIT, max(SQUARE, 320 + per_row * len(data.positions)))


@dataclass(frozen=True, slots=True)
class _Bars:
    """The axes of the bars, where they begin, and the number of pixels per unit."""

    axes: Any
    zero: float
    scale: float


class BarChart(Chart):
    """Horizontal bars, which leave room for names that are words."""

    def draw(self, top: float) -> None:
        """Draw the bars below ``top``, in pixels from the top."""
        top = self.draw_legend(top)
        names = [self._category(position).replace("_", " ") for position in self._data.positions]
        shown = [self._canvas.wrap(name, WIDTH * 0.36, NORMAL, 2) for name in names]
        left = MARGIN + max(self._canvas.width(line) for lines in shown for line in lines) + GAP
        totals = self._totals() if self._stacks else []
        bars = self._scaled(left, totals)
        step = (self._canvas.height - MARGIN - top) / len(names)
        for row, lines in enumerate(shown):
            middle = top + (row + 0.5) * step
            self._write_name(lines, left, middle)
            if self._stacks:
                self._draw_stack(bars, row, middle, height=min(TALLEST_BAR, 0.7 * step), total=totals[row])
            else:
                height = min(TALLEST_BAR * len(self._data.series), 0.8 * step)
                self._draw_group(bars, row, middle, height=height)
        bars.axes.plot([bars.zero] * 2, [top, self._canvas.height - MARGIN], color=GREY, linewidth=2)

    def _scaled(self, left: float, totals: list[float | None]) -> _Bars:
        """Return a scale at which the bars leave space for their labels at both ends."""
        values = [
            value
            for one in self._shown()
            for value in (totals if self._stacks else one.values)
            if value is not None
        ]
        low, high = min([*values, 0.0]), max([*values, 0.0])
        labels = [self._formats.number(value, compact=True) for value in values] or [""]
        widest = max(map(self._canvas.width, labels)) + GAP
        below = widest if low < 0 else 0.0
        scale = (WIDTH - MARGIN - left - widest - below) / ((high - low) or 1.0)
        axes = self._canvas.axes(0, 0, WIDTH, self._canvas.height)
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(self._canvas.height, 0)
        return _Bars(axes, left + below - low * scale, scale)

    def _write_name(self, lines: list[str], left: float, middle: float) -> None:
        right = is_right_to_left(lines[0])
        for number, line in enumerate(lines):
            y = middle + (number - (len(lines) - 1) / 2) * NORMAL * 1.1
            x, align = (left - GAP, "right") if right else (MARGIN, "left")
            self._canvas.text(x, y, line, align=align, middle=True)

    def _draw_group(self, bars: _Bars, row: int, middle: float, *, height: float) -> None:
        each = height / len(self._data.series)
        compared = self._data.compared.values[row] if self._data.compared else None
        mark = None if compared is None else bars.zero + compared * bars.scale
        labelled = self._labelled(row, each)
        for number, (one, color) in enumerate(zip(self._data.series, PALETTE, strict=False)):
            value = one.values[row]
            if value is None:
                continue
            centre = middle - height / 2 + (number + 0.5) * each
            other = self._data.positions[row] is OTHER and len(self._data.series) == 1
            bars.axes.barh(
                centre, value * bars.scale, each * 0.88, left=bars.zero, color=GREY if other else color
            )
            text = self._formats.number(value, compact=True)
            end = bars.zero + value * bars.scale
            if one not in labelled:
                continue
            size = NORMAL if each >= NORMAL else SMALL
            if mark is not None:
                end = beyond(mark, end, self._canvas.width(text, size) + 2 * GAP, upwards=value >= 0)
            self._canvas.text(
                end + (GAP if value >= 0 else -GAP),
                centre,
                text,
                size=size,
                align="left" if value >= 0 else "right",
                middle=True,
            )
        if mark is not None:
            bars.axes.plot(
                [mark, mark], [middle - height / 2 - 6, middle + height / 2 + 6], color=INK, linewidth=5
            )

    def _labelled(self, row: int, each: float) -> list[Series]:
        """Return the series whose values are written: only the longest bar's if bars are thinner than a line."""
        known = [one for one in self._data.series if one.values[row] is not None]
        if each >= 0.8 * SMALL or not known:
            return known
        return [max(known, key=lambda one: abs(one.values[row] or 0.0))]

    def _draw_stack(
        self, bars: _Bars, row: int, middle: float, *, height: float, total: float | None
    ) -> None:
        at = bars.zero
        for one, color in zip(self._data.series, PALETTE, strict=False):
            width = (one.values[row] or 0.0) * bars.scale
            bars.axes.barh(middle, width, height, left=at, color=color)
            at += width
        if total is not None:
            self._canvas.text(at + GAP, middle, self._formats.number(total, compact=True), middle=True)


def beyond(mark: float, end: float, width: float, *, upwards: bool) -> float:
    """Return where a bar's label begins: behind the compared value's mark, if that would cross the label."""
    # All are in pixels; the width is that of the label and its gaps, and upwards is to the right.
    if upwards:
        return mark if end <= mark <= end + width else end
    return mark if end - width <= mark <= end else end
