"""Turns rows into the points of a chart: typed, added up if they are the same point, and limited in number."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.charts.spec import MOST_FIGURES, MOST_SERIES, PREVIOUS
from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.tables.cells import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_whatsapp.charts.spec import ChartSpec
    from airflow_provider_whatsapp.tables.rows import Rows

MOST_POINTS = 200_000
"""The most points of a chart in memory; a query adds up faster than a task can."""
LARGEST = 1e100
"""The largest value; larger ones are refused so that sums and the axis stay within the range of a float."""
LONGEST_LABEL = 120
NO_VALUE = "-"
DATE, NUMBER, CATEGORY = "date", "number", "category"
_WORDS = {DATE: "a date", NUMBER: "a number", CATEGORY: "text"}


@dataclass(slots=True)
class Series:
    """One line, or the bars of one colour."""

    name: str
    values: list[float | None]  # one per position of the chart; None: a gap


@dataclass(slots=True)
class ChartData:
    """The points of a chart."""

    axis: str  # date, number or category
    positions: list[Any]  # dates, numbers or names, in the order of the axis
    series: list[Series]
    compared: Series | None = None  # the only other series is compared with it
    rows: int = 0  # those that were read
    added_up: int = 0  # categories that were added up to the last position


@dataclass(slots=True)
class Figure:
    """One figure of the kind ``kpi``."""

    name: str
    value: float | None  # the last row's value; None: it has none
    compared: float | None = None  # the value with which it is compared
    trail: list[float | None] = field(default_factory=list)  # the values of all rows, for the sparkline


def collect(rows: Rows, spec: ChartSpec, *, texts: bool = False) -> ChartData:
    """Return the points of a chart from rows; rows with the same position and series are added up."""
    # With texts, every value is text, as in a CSV file, and those of y are read as numbers. A PayloadError names the
    # row, counted from 1.
    if not rows.columns:  # the columns of an empty list are not known
        return ChartData(CATEGORY, [], [])
    x = _index(rows, spec.x, "x")
    by = _index(rows, spec.series, "series") if spec.series else None
    columns = [(_index(rows, name, "y"), name) for name in spec.y]
    if spec.compare and spec.compare != (PREVIOUS,):
        columns.append((_index(rows, spec.compare[0], "compare"), spec.compare[0]))
    axis = _Axis(spec.x or "")
    sums: dict[str, dict[Any, float | None]] = {} if by is not None else {name: {} for _, name in columns}
    number = points = 0
    for number, row in enumerate(rows.take(None), start=1):
        position = axis.position(row[x], number)
        for index, column in columns:
            name = column if by is None else _label(row[by])
            if name not in sums and len(sums) == MOST_SERIES:
                raise _too_many_series(spec.series or "")
            values = sums.setdefault(name, {})
            value = _number(row[index], column, number, texts=texts)
            points += position not in values
            if points > MOST_POINTS:
                raise PayloadError(
                    f"the result has more than {MOST_POINTS:,} points",
                    field="sql",
                    advice="Aggregate the rows in the query.",
                )
            before = values.get(position)
            values[position] = value if before is None else before if value is None else before + value
    return _arranged(axis, sums, spec, number)


def collect_figures(rows: Rows, spec: ChartSpec, *, texts: bool = False) -> list[Figure]:
    """Return figures from rows: each is the last row's value, compared with the row before or another column."""
    # With texts, every value is text, as in a CSV file. The newest row is the last one.
    if not rows.columns:
        return []
    previous = spec.compare == (PREVIOUS,)
    compared = () if previous else spec.compare
    taken: list[Sequence[Any]] = []
    for row in rows.take(None):
        taken.append(row)
        if len(taken) > MOST_POINTS // 10:
            raise PayloadError(
                f"kpi takes {MOST_POINTS // 10:,} rows at most",
                field="sql",
                advice="Aggregate the rows in the query.",
            )
    names = spec.y or _with_numbers(rows.columns, taken, spec.x)
    figures = []
    for place, name in enumerate(names):
        index = _index(rows, name, "y")
        trail = [_number(row[index], name, number, texts=texts) for number, row in enumerate(taken, start=1)]
        against = None
        if previous:
            against = trail[-2] if len(trail) > 1 else None
        elif compared:
            other = _index(rows, compared[place], "compare")
            against = _number(taken[-1][other], compared[place], len(taken), texts=texts) if taken else None
        figures.append(Figure(_label(name), trail[-1] if trail else None, against, trail))
    return figures


def _with_numbers(columns: Sequence[str], rows: Sequence[Sequence[Any]], x: str | None) -> list[str]:
    found = []
    for index, name in enumerate(columns):
        values = [row[index] for row in rows if row[index] is not None]
        numeric = values and all(_is_number(value) for value in values)
        if numeric and name != x:
            found.append(name)
    if rows and not found:
        raise PayloadError(
            f"no column contains numbers; the columns are {_listed(columns)}",
            field="y",
            advice="Name a column of numbers.",
        )
    if len(found) > MOST_FIGURES:
        raise PayloadError(
            f"{len(found)} columns contain numbers",
            field="y",
            limit=MOST_FIGURES,
            advice="Name the columns to show.",
        )
    return found


class _Axis:
    """The type of the positions, which the first value determines for all."""

    def __init__(self, column: str) -> None:
        self._column = column
        self.kind = ""
        self._null = 0
        self._zone: Any = None

    def position(self, value: Any, number: int) -> Any:
        if _is_null(value) and self.kind in ("", CATEGORY):
            self._null = self._null or number
            return _label(value)
        kind, position = ("", None) if _is_null(value) else self._typed(value)
        if not kind or (self._null and kind != CATEGORY):
            raise PayloadError(
                f"column {_label(self._column)!r} contains NULL in row {(self._null if kind else number):,}, "
                f"and {_WORDS[kind or self.kind]} in other rows",
                field="x",
                advice="Leave such rows out in the query: WHERE ... IS NOT NULL.",
            )
        if not self.kind:
            self.kind = kind
        if kind != self.kind:
            raise PayloadError(
                f"column {_label(self._column)!r} contains {_WORDS[kind]} in row {number:,}, but "
                f"{_WORDS[self.kind]} in earlier rows",
                field="x",
                advice="Let the query return one type.",
            )
        return position

    def _typed(self, value: Any) -> tuple[str, Any]:
        if isinstance(value, str):
            return (DATE, self._moment(found)) if (found := _parsed(value)) else (CATEGORY, _label(value))
        if isinstance(value, date):
            return DATE, self._moment(value)
        if _is_number(value) and abs(value) <= LARGEST:
            return NUMBER, float(value)
        return CATEGORY, _label(value)

    def _moment(self, value: date) -> datetime:
        """Return the local time in the first value's time zone."""
        if not isinstance(value, datetime):
            return datetime.combine(value, time())
        self._zone = self._zone or value.tzinfo
        if value.tzinfo is not None and self._zone is not None:
            with contextlib.suppress(OverflowError):  # the first and the last day of the calendar
                value = value.astimezone(self._zone)
        return value.replace(tzinfo=None)


def _is_null(value: Any) -> bool:
    """Return whether a value is NULL for databases, NumPy or pandas: None, NaN, NaT, NA."""
    if value is None or isinstance(value, Decimal):
        return value is None or value.is_nan()
    try:
        return bool(value != value)  # noqa: PLR0124
    except (TypeError, ValueError, ArithmeticError):  # pandas' NA cannot be compared
        return type(value).__name__ == "NAType"


def _parsed(value: str) -> date | None:
    """Return the date in a text that begins like an ISO date, as databases without a date type return it."""
    if len(value) < 10 or value[4] != "-" or value[7] != "-":
        return None
    try:
        return datetime.fromisoformat(value) if len(value) > 10 else date.fromisoformat(value)
    except ValueError:
        return None


def _arranged(axis: _Axis, sums: dict[str, dict[Any, float | None]], spec: ChartSpec, rows: int) -> ChartData:
    """Return positions and series in order."""
    kind = axis.kind or CATEGORY
    positions: list[Any] = list(dict.fromkeys(key for values in sums.values() for key in values))
    if kind != CATEGORY:
        positions.sort()
    if spec.kind in ("line", "area") and len(positions) == 1:
        raise PayloadError(
            f"the result has one position in {_label(spec.x)!r}, and a {spec.kind} needs two",
            field="chart",
            advice="Give chart='bar' or chart='kpi'.",
        )
    added_up = 0
    if spec.kind in ("bar", "stacked") and kind == CATEGORY:
        positions, added_up = _largest(positions, sums, spec.top)
    series = [Series(_label(name), [values.get(key) for key in positions]) for name, values in sums.items()]
    data = ChartData(kind, positions, series, rows=rows, added_up=added_up)
    if spec.kind == "stacked" or (spec.kind == "area" and len(series) > 1):
        _refuse_negative(data, spec)
    if spec.compare == (PREVIOUS,):
        _split_periods(data)
    elif spec.compare:
        data.compared = data.series.pop()
    return data


OTHER = object()
"""The position of the categories that were added up."""


def _largest(
    positions: list[Any], sums: dict[str, dict[Any, float | None]], top: int
) -> tuple[list[Any], int]:
    """Keep the largest categories, in the query's order, and add up the others."""
    if len(positions) <= top + 1:
        return positions, 0

    def size(key: Any) -> float:
        return sum(abs(values.get(key) or 0.0) for values in sums.values())

    kept = set(sorted(positions, key=size, reverse=True)[:top])
    for values in sums.values():
        rest = [values[key] for key in positions if key not in kept and values.get(key) is not None]
        values[OTHER] = math.fsum(value for value in rest if value is not None) if rest else None
    return [*(key for key in positions if key in kept), OTHER], len(positions) - top


def _refuse_negative(data: ChartData, spec: ChartSpec) -> None:
    for series in data.series:
        for position, value in zip(data.positions, series.values, strict=True):
            if value is not None and value < 0:
                where = "the others" if position is OTHER else str(position)
                raise PayloadError(
                    f"{series.name!r} is {value:g} at {where}: parts of a whole cannot be negative",
                    field="chart",
                    advice=f"Give chart='bar' or chart='line' instead of {spec.kind!r}.",
                )


def _split_periods(data: ChartData) -> None:
    """Compare the second half of the positions with the first half, the period before it."""
    if len(data.positions) < 4 or len(data.positions) % 2:
        raise PayloadError(
            f"{len(data.positions)} positions are not two periods of the same length",
            field="compare",
            advice="Let the query return an even number of positions: twice as many as the chart shows.",
        )
    half = len(data.positions) // 2
    (only,) = data.series
    data.compared = Series(PREVIOUS, only.values[:half])
    only.values = only.values[half:]
    data.positions = data.positions[half:]


def _index(rows: Rows, name: str | None, argument: str) -> int:
    try:
        return rows.columns.index(name or "")
    except ValueError:
        raise PayloadError(
            f"there is no column {_label(name)!r}",
            field=argument,
            advice=f"The columns are {_listed(rows.columns)}.",
        ) from None


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(_label(column) for column in columns[:20])
    return shown + (f" and {len(columns) - 20} more" if len(columns) > 20 else "")


def _number(value: Any, column: str, row: int, *, texts: bool) -> float | None:
    if _is_null(value) or (texts and value == ""):
        return None
    if texts and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise _not_a_number(column, row, "text that is not a number") from None
    if not _is_number(value):
        raise _not_a_number(column, row, f"a value of the type {type(value).__name__}")
    try:
        number = float(value)
    except (OverflowError, ValueError):  # an integer of more than 308 digits, a signalling NaN
        number = math.inf
    if math.isinf(number):
        raise _not_a_number(column, row, "an infinite number")
    if abs(number) > LARGEST:
        raise _not_a_number(column, row, "a number too large to draw")
    return None if math.isnan(number) else number


def _not_a_number(column: str, row: int, what: str) -> PayloadError:
    return PayloadError(
        f"column {_label(column)!r} has {what} in row {row:,}",
        field="y",
        advice="A chart needs numbers; let the query convert it.",
    )


def _too_many_series(column: str) -> PayloadError:
    return PayloadError(
        f"column {_label(column)!r} names more than {MOST_SERIES} series",
        field="series",
        limit=MOST_SERIES,
        advice="Combine the smaller ones in the query.",
    )


def _is_number(value: Any) -> bool:
    # Real includes NumPy's numbers, which data frames contain.
    return isinstance(value, Real | Decimal) and not isinstance(value, bool)


def _label(value: Any) -> str:
    if value is None or value == "":
        return NO_VALUE
    return one_line(str(value))[:LONGEST_LABEL]
