"""Loads analytics into files: reads the existing files before any request, merges, and writes files that changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.analytics.merge import Merge

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from airflow_provider_whatsapp.analytics.destination import Destination
    from airflow_provider_whatsapp.client.analytics_kinds import Kind


@dataclass(slots=True)
class Loaded:
    """The result of a load."""

    rows: int = 0  # returned by Meta
    added: int = 0  # rows that the files did not have
    raised: int = 0  # rows with a greater value than in the files
    unchanged: int = 0  # rows that the files had, with the same or greater values
    without_cost: int = 0  # rows without a cost, of a kind that has costs
    files: list[str] = field(default_factory=list)  # that contain the rows, whether written now or before
    written: list[str] = field(default_factory=list)


def load(
    rows: Iterable[dict[str, Any]], kind: Kind, destination: Destination, days: tuple[date, date]
) -> Loaded:
    """Merge rows into the files of a destination, keep the greatest value ever read, and return what was done."""
    report = Loaded()
    with Merge(kind) as merge:
        known: set[str] = set()

        def know(part: str) -> None:
            if part not in known:
                destination.check(part)
                merge.keep(part, destination.read(part))
                known.add(part)

        # Before the rows are read, which sends requests: an unusable file costs none.
        for part in destination.parts(*days):  # the first day, and the day after the last
            know(part)
        touched: set[str] = set()
        for row in rows:
            part = destination.part_of(row)
            know(part)  # a point may begin before the requested time
            merge.add(part, row)
            touched.add(part)
            report.rows += 1
            report.without_cost += "cost" in kind.values and row["cost"] is None
        if not destination.has_parts:
            touched.add("")
            if not destination.exists(""):  # later tasks read it, even if it is empty
                merge.changed.add("")
        # Only now, so that a failed request leaves all files unchanged.
        for part in sorted(merge.changed):
            report.written.append(str(destination.write(part, merge.rows(part))))
        report.files = [str(destination.path(part)) for part in sorted(touched)]
        report.added, report.raised = merge.counts["added"], merge.counts["raised"]
        report.unchanged = merge.counts["unchanged"]
    return report
