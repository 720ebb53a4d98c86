"""What a benchmark hands back: rows of figures, each beside what it is measured against."""

from __future__ import annotations

import dataclasses
import json
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable


@dataclass(frozen=True, kw_only=True)
class Row:
    """
    One figure.

    :param name: What was measured; runs of a benchmark are matched by it and ``against``.
    :param value: What came out.
    :param unit: Of it.
    :param against: The peer or limit that it is held against; empty: none.
    :param reference: The same figure of that; None: there is none.
    :param at_most: The most that the ratio may be, or the value where there is no reference; None: anything.
    :param at_least: The least.
    :param plot: The plot that it is a point of.
    :param x: Where.
    """

    name: str
    value: float
    unit: str = ""
    against: str = ""
    reference: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    plot: str = ""
    x: float = 0.0

    @property
    def ratio(self) -> float | None:
        """The value in terms of the reference."""
        return self.value / self.reference if self.reference else None

    @property
    def good(self) -> bool | None:
        """Whether it is as wanted; None: nothing is."""
        judged = self.value if self.ratio is None else self.ratio
        if self.at_most is None and self.at_least is None:
            return None
        return (self.at_most is None or judged <= self.at_most) and (
            self.at_least is None or judged >= self.at_least
        )


def add_option(parser: argparse.ArgumentParser) -> None:
    """Give a benchmark the option that makes it readable for a program."""
    parser.add_argument("--json", action="store_true", help="print the figures as JSON lines")


def hand_over(rows: Iterable[Row], text: str, *, as_json: bool) -> int:
    """Print what a benchmark has found, for a person or for a program; return its exit code."""
    rows = list(rows)
    if as_json:
        for row in rows:
            print(json.dumps(dataclasses.asdict(row)))
    else:
        print(text)
        for row in rows:
            if row.good is False:
                print(f"  NOT AS WANTED: {row.name}: {wanted(row)}")
    return 1 if any(row.good is False for row in rows) else 0


def read(output: str) -> list[Row]:
    """Return the rows of what a benchmark has printed for a program."""
    return [Row(**json.loads(line)) for line in output.splitlines() if line.startswith("{")]


def against(
    name: str, rounds: list[list[float]], *, checkout: str, at_most: float, unit: str, scale: float
) -> tuple[Row, str]:
    """
    Return the row and the text of a comparison with another checkout: the median of the ratios of all rounds.

    :param rounds: For each round the seconds here and there, measured one after the other.
    :param scale: Units in a second.
    """
    ratio = statistics.median(here / there for here, there in rounds)
    here, there = (statistics.median(column) * scale for column in zip(*rounds, strict=True))
    row = Row(
        name=f"{name}, against another checkout",
        value=ratio * there,
        unit=unit,
        against=checkout,
        reference=there,
        at_most=at_most,
    )
    return row, f"{name}: {here:.3f} {unit}, there {there:.3f} {unit}, median of the ratios {ratio:.3f}"


def medians(runs: list[list[Row]]) -> list[Row]:
    """Return one row for each figure, with the medians of all runs that have it."""
    named: dict[tuple[str, str], list[Row]] = {}
    for row in (row for run in runs for row in run):
        named.setdefault((row.name, row.against), []).append(row)
    return [_median(rows) for rows in named.values()]


def _median(rows: list[Row]) -> Row:
    """Take the run whose judged figure is in the middle, so that value, reference and ratio belong together."""
    value = statistics.median_low(row.value if row.ratio is None else row.ratio for row in rows)
    return next(row for row in rows if value == (row.value if row.ratio is None else row.ratio))


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| measured | found | against | ratio | wanted | met |", "| --- | --: | --- | --: | --- | --- |"]
    for row in rows:
        against = row.against
        if row.reference is not None:
            against += f": {number(row.reference, row.unit)}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        met = {True: "yes", False: "**no**", None: ""}[row.good]
        found = number(row.value, row.unit)
        lines.append(f"| {row.name} | {found} | {against} | {ratio} | {wanted(row)} | {met} |")
    return "\n".join(lines)


def wanted(row: Row) -> str:
    """Say what is wanted of a row."""
    unit = row.unit if row.ratio is None else ""
    words = [
        f"{word} {number(limit, unit)}"
        for word, limit in (("at most", row.at_most), ("at least", row.at_least))
        if limit is not None
    ]
    return ", ".join(words)


def number(value: float, unit: str = "") -> str:
    """Return a figure with its unit, no more exact than it is."""
    if value == int(value):
        shown = f"{int(value):,}"
    else:
        size = abs(value)
        shown = f"{value:,.0f}" if size >= 1_000 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"
    return f"{shown} {unit}".strip()
