"""The description of a chart, checked before the rows are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_whatsapp.client.errors import PayloadError

KINDS = ("line", "bar", "stacked", "area", "kpi")
MOST_SERIES = 8
"""The most series of one chart; more colours than that look alike."""
MOST_FIGURES = 4
"""The most figures of one picture of the kind ``kpi``."""
DEFAULT_TOP = 12
"""Number of categories that fill a phone's screen in portrait format; the others are added up as one more."""
MOST_TOP = 30
LONGEST_NAME = 200
"""The most characters of a title, a unit or a column's name."""
PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """A chart as its author describes it."""

    kind: str  # one of KINDS
    x: str | None = None  # column of the horizontal axis, or of the categories; kpi needs none
    y: tuple[str, ...] = ()  # columns with numbers; empty with kpi: all that have numbers
    series: str | None = None  # column whose values name the series; None: each column of y is one
    title: str | None = None
    unit: str | None = None  # an ISO 4217 currency code, %, or a word after the number
    compare: tuple[str, ...] = ()  # previous, or the column to compare with; for kpi, one for each figure
    top: int = DEFAULT_TOP  # the most categories to show; the smaller ones are added up

    @classmethod
    def of(
        cls,
        kind: Any,
        *,
        x: Any = None,
        y: Any = None,
        series: Any = None,
        title: Any = None,
        unit: Any = None,
        compare: Any = None,
        top: Any = None,
    ) -> ChartSpec:
        """Return a checked description; ``y`` and ``compare`` may be one name; raises PayloadError if it is wrong."""
        if kind not in KINDS:
            raise PayloadError(
                f"{_shown(kind)} is not known", field="chart", advice=f"Use one of {', '.join(KINDS)}."
            )
        spec = cls(
            kind=kind,
            x=_name(x, "x"),
            y=_names(y, "y"),
            series=_name(series, "series"),
            title=_name(title, "title"),
            unit=_name(unit, "unit"),
            compare=_names(compare, "compare"),
            top=_top(top),
        )
        spec._check_kpi() if kind == "kpi" else spec._check_axes()
        return spec

    def _check_kpi(self) -> None:
        if self.series is not None:
            raise PayloadError(
                "does not go with kpi", field="series", advice="Name the figures' columns in y."
            )
        if len(self.y) > MOST_FIGURES:
            raise PayloadError(
                f"{len(self.y)} figures cannot be read at a glance", field="y", limit=MOST_FIGURES
            )
        if self.compare not in ((), (PREVIOUS,)) and len(self.compare) != len(self.y):
            raise PayloadError(
                f"names {len(self.compare)} columns for {len(self.y)} figures",
                field="compare",
                advice=f"Give {PREVIOUS!r}, or one column for each column in y.",
            )

    def _check_axes(self) -> None:
        if self.x is None or not self.y:
            missing = "x" if self.x is None else "y"
            raise PayloadError(f"{self.kind} needs the name of a column", field=missing)
        if self.series is not None and len(self.y) > 1:
            raise PayloadError(
                "goes with one column of numbers",
                field="series",
                advice="Name one column in y, or leave series out.",
            )
        if len(self.y) > MOST_SERIES:
            raise PayloadError(f"{len(self.y)} series cannot be distinguished", field="y", limit=MOST_SERIES)
        if not self.compare:
            return
        if (
            self.kind not in ("line", "bar")
            or self.series is not None
            or len(self.y) > 1
            or len(self.compare) > 1
        ):
            raise PayloadError(
                "goes with a line or bar chart of one series, and with kpi",
                field="compare",
                advice="Leave it out, or name one column in y.",
            )
        if self.compare == (PREVIOUS,) and self.kind != "line":
            raise PayloadError(
                f"{PREVIOUS!r} goes with line and kpi", field="compare", advice="Name a column."
            )


def _name(value: Any, field: str) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise PayloadError(f"a {type(value).__name__} is not text", field=field)
    if len(value) > LONGEST_NAME:
        raise PayloadError(f"{len(value)} characters are too many", field=field, limit=LONGEST_NAME)
    return value


def _names(value: Any, field: str) -> tuple[str, ...]:
    if value is None or isinstance(value, str):
        name = _name(value, field)
        return () if name is None else (name,)
    if not isinstance(value, Sequence):
        raise PayloadError(f"a {type(value).__name__} is neither a name nor a list of names", field=field)
    names = tuple(_name(each, field) or "" for each in value)
    if "" in names or len(set(names)) < len(names):
        raise PayloadError("a name is empty or given twice", field=field)
    return names


def _top(value: Any) -> int:
    if value is None:
        return DEFAULT_TOP
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_TOP:
        raise PayloadError(
            f"{_shown(value)} is not a whole number of categories", field="top", limit=f"1 to {MOST_TOP}"
        )
    return value


def _shown(value: Any) -> str:
    return repr(value if isinstance(value, int) else str(value)[:40])
