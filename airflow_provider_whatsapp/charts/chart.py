"""What charts with axes share: the legend, names, sums."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.charts.canvas import GREY, INK, MARGIN, NORMAL, PALETTE, WIDTH
from airflow_provider_whatsapp.charts.data import OTHER
from airflow_provider_whatsapp.tables.cells import one_line

if TYPE_CHECKING:
    from airflow_provider_whatsapp.charts.canvas import Canvas
    from airflow_provider_whatsapp.charts.data import ChartData, Series
    from airflow_provider_whatsapp.charts.locales import Formats
    from airflow_provider_whatsapp.charts.spec import ChartSpec

GAP = 18
"""Pixels between a mark and its label."""
DASHED, TICK = "\N{BOX DRAWINGS LIGHT DOUBLE DASH HORIZONTAL}" * 2, "\N{LEFT ONE QUARTER BLOCK}"


class Chart(ABC):
    """One chart on its canvas."""

    def __init__(self, canvas: Canvas, data: ChartData, spec: ChartSpec, formats: Formats) -> None:
        self._canvas = canvas
        self._data = data
        self._spec = spec
        self._formats = formats
        self._stacks = spec.kind == "stacked" or (spec.kind == "area" and len(data.series) > 1)

    @abstractmethod
    def draw(self, top: float) -> None:
        """Draw the chart below ``top``, in pixels from the top."""

    def subtitle(self) -> str:
        """Return what the numbers mean, if no label beside them says it."""
        data = self._data
        if not data.series:
            return ""
        only = one_line(data.series[0].name.replace("_", " ")) if len(data.series) == 1 else ""
        return ", ".join(part for part in (only, self._spec.unit or "") if part)

    def draw_legend(self, top: float) -> float:
        """Write the series' names beside their colours; return where the chart begins, in pixels from the top."""
        series = self._data.series
        if len(series) < 2 and not self._data.compared:
            return top
        entries = [(one.name.replace("_", " "), color) for one, color in zip(series, PALETTE, strict=False)]
        if self._data.compared:
            entries.append((self._data.compared.name.replace("_", " "), INK))
        x = float(MARGIN)
        for name, color in entries:
            shown = self._canvas.fit(name, (WIDTH - 2 * MARGIN) / 2 - 60)
            width = 44 + self._canvas.width(shown) + 36
            if x > MARGIN and x + width > WIDTH - MARGIN:
                x, top = float(MARGIN), top + NORMAL * 1.4
            mark = "■" if color != INK else DASHED if self._spec.kind == "line" else TICK
            self._canvas.text(x, top, mark, color=GREY if mark == DASHED else color)
            self._canvas.text(x + 44, top, shown)
            x += width
        return top + NORMAL * 1.4 + 20

    def _totals(self) -> list[float | None]:
        """Return the sum of all series at each position."""
        found: list[float | None] = []
        for values in zip(*(one.values for one in self._data.series), strict=True):
            known = [value for value in values if value is not None]
            found.append(sum(known) if known else None)
        return found

    def _shown(self) -> list[Series]:
        return [*self._data.series, *([self._data.compared] if self._data.compared else [])]

    def _category(self, position: Any) -> str:
        return f"Other ({self._data.added_up})" if position is OTHER else str(position)
