"""Lines, areas and columns over an axis of dates, numbers or names."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.charts.canvas import (
    GREY,
    GRID,
    INK,
    LINE,
    MARGIN,
    NORMAL,
    PALETTE,
    SMALL,
    WIDTH,
)
from airflow_provider_whatsapp.charts.chart import GAP, Chart
from airflow_provider_whatsapp.charts.data import CATEGORY, DATE
from airflow_provider_whatsapp.tables.cells import GROUPED_FROM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_whatsapp.charts.data import Series


EPOCH, DAY = datetime(1970, 1, 1), timedelta(days=1)  # noqa: DTZ001  (positions are wall clock times)


@dataclass(slots=True)
class _Frame:
    """The rectangle of the axes, in pixels, and the range of values that it shows."""

    left: float
    top: float
    width: float
    height: float
    low: float
    high: float

    def y(self, value: float) -> float:
        """Return the position of a value, in pixels from the top."""
        return self.top + self.height * (self.high - value) / (self.high - self.low)


class AxisChart(Chart):
    """Lines, areas or columns; series are labelled at their end if the labels fit."""

    def draw(self, top: float) -> None:
        """Draw lines, areas or columns, and label each at its end if the labels fit."""
        data, spec = self._data, self._spec
        columns = spec.kind in ("bar", "stacked")
        direct = not columns and len(data.series) <= 4 and not self._stacks
        if not direct or data.compared:
            top = self.draw_legend(top)
        ends = [self._end_label(one, named=len(data.series) > 1) for one in data.series] if direct else []
        right = max((self._canvas.width(line) for lines in ends for line in lines), default=0.0)
        room = min(right + GAP, WIDTH / 3) if ends else 0.0
        low, high = self._range()
        ticks = self._ticks(low, high)
        left = MARGIN + max((self._canvas.width(text, SMALL) for _, text in ticks), default=0.0) + GAP
        frame = _Frame(left, top + SMALL, WIDTH - left - MARGIN - room, 0, low, high)
        frame.height = self._canvas.height - frame.top - MARGIN - SMALL * 1.6
        axes = self._canvas.axes(frame.left, frame.top, frame.width, frame.height)
        places = self._places()
        pad = (places[-1] - places[0]) / max(len(places), 1) * (0.6 if columns else 0.02) or 0.5
        axes.set_xlim(places[0] - pad, places[-1] + pad)
        axes.set_ylim(low, high)
        self._draw_grid(axes, frame, ticks)
        if columns:
            self._draw_columns(axes, places)
        else:
            self._draw_lines(axes, places)
        self._label_axis(axes, frame, places)
        if ends:
            self._label_ends(ends, frame)
        elif columns:
            self._label_last_column(axes, frame, places)

    def _places(self) -> list[float]:
        """Return the positions as numbers: days, the numbers themselves, or the index of names."""
        data = self._data
        if data.axis == DATE:
            return [(moment - EPOCH) / DAY for moment in data.positions]
        return (
            [float(number) for number in data.positions]
            if data.axis != CATEGORY
            else [*map(float, range(len(data.positions)))]
        )

    def _range(self) -> tuple[float, float]:
        """Return the lowest and highest value of the axis; columns and areas begin at zero."""
        values = [value for one in self._shown() for value in one.values if value is not None]
        if self._stacks:
            values = [value for value in self._totals() if value is not None]
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        from_zero = self._spec.kind != "line" or (low >= 0 and low < 0.5 * high)
        low = min(low, 0.0) if from_zero else low
        high = max(high, 0.0) if from_zero else high
        if low == high:
            return (low - 0.5, high + 0.5) if low else (0.0, 1.0)
        room = 0.08 * (high - low)
        return (low - room if low < 0 or not from_zero else low), (
            high + room if high > 0 or not from_zero else high
        )

    def _ticks(self, low: float, high: float) -> list[tuple[float, str]]:
        """Return a few round values of the axis, each with its text."""
        from matplotlib.ticker import MaxNLocator

        values = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        ticks = [float(value) for value in values if low <= value <= high]
        step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
        digits = len(f"{step:.6f}".rstrip("0").partition(".")[2])
        return [(tick, self._formats.number(tick, digits=digits, compact=True, unit=False)) for tick in ticks]

    def _draw_grid(self, axes: Any, frame: _Frame, ticks: list[tuple[float, str]]) -> None:
        """Draw a few lines, each with its number to the left."""
        for tick, text in ticks:
            axes.axhline(tick, color=GREY if tick == 0 else GRID, linewidth=2, zorder=0)
            self._canvas.text(
                frame.left - GAP, frame.y(tick), text, size=SMALL, color=GREY, align="right", middle=True
            )

    def _draw_lines(self, axes: Any, places: list[float]) -> None:
        base = [0.0] * len(places)
        for one, color in zip(self._data.series, PALETTE, strict=False):
            values = [float("nan") if value is None else value for value in one.values]
            if self._stacks:
                above = [low + (value or 0.0) for low, value in zip(base, one.values, strict=True)]
                axes.fill_between(places, base, above, color=color, alpha=0.85, linewidth=0)
                base = above
                continue
            if self._spec.kind == "area":
                axes.fill_between(places, values, 0.0, color=color, alpha=0.2, linewidth=0)
            axes.plot(places, values, color=color, linewidth=5, solid_capstyle="round", zorder=3)
            self._draw_lonely(axes, places, one, color)
            if (last := _last(one)) is not None:
                axes.plot(
                    places[last], one.values[last], "o", color=color, markersize=18, zorder=4, clip_on=False
                )
        if self._data.compared:
            compared = [float("nan") if value is None else value for value in self._data.compared.values]
            axes.plot(places, compared, color=GREY, linewidth=3.5, dashes=(2, 1.5), zorder=2)

    @staticmethod
    def _draw_lonely(axes: Any, places: list[float], one: Series, color: str) -> None:
        """Draw a point between two gaps, to which no line leads."""
        around = [None, *one.values, None]
        lonely = [
            index
            for index, value in enumerate(one.values)
            if value is not None and around[index] is None and around[index + 2] is None
        ]
        axes.plot(
            [places[i] for i in lonely],
            [one.values[i] for i in lonely],
            "o",
            color=color,
            markersize=9,
            zorder=3,
        )

    def _draw_columns(self, axes: Any, places: list[float]) -> None:
        data = self._data
        gaps = [after - before for before, after in itertools.pairwise(places)]
        whole = 0.8 * min(gaps, default=1.0)
        count = 1 if self._stacks else len(data.series)
        base = [0.0] * len(places)
        for number, (one, color) in enumerate(zip(data.series, PALETTE, strict=False)):
            heights = [value or 0.0 for value in one.values]
            offset = (number - (count - 1) / 2) * whole / count if not self._stacks else 0.0
            centres = [place + offset for place in places]
            faint = len(data.series) == 1 and len(places) > 1
            colors = [color] * len(places)
            bars = axes.bar(
                centres,
                heights,
                whole / count * 0.96,
                bottom=base if self._stacks else 0.0,
                color=colors,
                zorder=2,
            )
            for bar in bars[:-1] if faint else ():
                bar.set_alpha(0.55)
            if self._stacks:
                base = [low + height for low, height in zip(base, heights, strict=True)]
        if data.compared:
            for place, value in zip(places, data.compared.values, strict=True):
                if value is not None:
                    axes.plot(
                        [place - whole / 2, place + whole / 2],
                        [value, value],
                        color=INK,
                        linewidth=5,
                        zorder=4,
                    )

    def _label_axis(self, axes: Any, frame: _Frame, places: list[float]) -> None:
        """Label the first, the last and, if there is space, some positions between them."""
        y = frame.top + frame.height + GAP
        for count in (5, 4, 3, 2, 1):
            picked = sorted({round(index * (len(places) - 1) / max(count - 1, 1)) for index in range(count)})
            if count == 1:
                picked = [len(places) - 1]
            texts = self._axis_texts(picked)
            spans = []
            for index, text in zip(picked, texts, strict=True):
                x = self._pixel(axes, frame, places[index])
                width = self._canvas.width(text, SMALL)
                left = min(max(x - width / 2, MARGIN / 2), WIDTH - MARGIN / 2 - width)
                spans.append((left, left + width, text))
            if all(before[1] + GAP <= after[0] for before, after in itertools.pairwise(spans)):
                break
        for left, _, text in spans:
            self._canvas.text(left, y, text, size=SMALL, color=GREY)

    def _axis_texts(self, picked: Sequence[int]) -> list[str]:
        data = self._data
        chosen = [data.positions[index] for index in picked]
        if data.axis == DATE:
            return self._formats.moments(chosen, data.positions)
        if data.axis == CATEGORY:
            return [self._canvas.fit(self._category(position), WIDTH / 4, SMALL) for position in chosen]
        years = all(position == int(position) and abs(position) < GROUPED_FROM for position in data.positions)
        return [
            self._formats.number(position, compact=True, unit=False, grouped=not years) for position in chosen
        ]

    @staticmethod
    def _pixel(axes: Any, frame: _Frame, place: float) -> float:
        low, high = axes.get_xlim()
        return float(frame.left + frame.width * (place - low) / (high - low))

    def _end_label(self, one: Series, *, named: bool) -> list[str]:
        last = _last(one)
        value = "" if last is None else self._formats.number(one.values[last] or 0.0, compact=True)
        name = self._canvas.wrap(one.name.replace("_", " "), WIDTH / 3 - GAP, NORMAL, 2) if named else []
        return [*name, value]

    def _label_ends(self, ends: list[list[str]], frame: _Frame) -> None:
        """Write each series' name and last value beside its end, without overlaps."""
        blocks: list[tuple[float, list[str], str]] = []
        for one, color, lines in zip(self._data.series, PALETTE, ends, strict=False):
            last = _last(one)
            if last is not None:
                blocks.append((frame.y(one.values[last] or 0.0), lines, color))
        blocks.sort(key=lambda block: block[0])
        step = NORMAL * LINE
        middles = _apart([(y, len(lines) * step) for y, lines, _ in blocks], frame)
        for middle, (_, lines, color) in zip(middles, blocks, strict=True):
            y = middle - len(lines) * step / 2
            for number, line in enumerate(lines):
                last_line = number == len(lines) - 1
                self._canvas.text(
                    frame.left + frame.width + GAP, y + number * step, line, color=color, bold=last_line
                )

    def _label_last_column(self, axes: Any, frame: _Frame, places: list[float]) -> None:
        """Write the last column's value above it."""
        values = self._totals() if self._stacks else self._data.series[0].values
        if (len(self._data.series) > 1 and not self._stacks) or values[-1] is None:
            return
        text = self._formats.number(values[-1], compact=True)
        width = self._canvas.width(text, bold=True)
        x = min(self._pixel(axes, frame, places[-1]), WIDTH - MARGIN / 2 - width / 2)
        y = frame.y(max(values[-1], 0.0)) - NORMAL * LINE
        self._canvas.text(x, y, text, align="center", bold=True)


def _last(one: Series) -> int | None:
    return next((index for index in reversed(range(len(one.values))) if one.values[index] is not None), None)


def _apart(blocks: list[tuple[float, float]], frame: _Frame) -> list[float]:
    """Return middles of labels that do not overlap, as near to their targets as possible, for blocks in order."""
    top, bottom = frame.top - SMALL, frame.top + frame.height + SMALL
    middles: list[float] = []
    edge = top
    for y, height in blocks:
        middles.append(max(y, edge + height / 2))
        edge = middles[-1] + height / 2
    edge = bottom
    for index in reversed(range(len(blocks))):
        height = blocks[index][1]
        middles[index] = min(middles[index], edge - height / 2)
        edge = middles[index] - height / 2
    return middles
