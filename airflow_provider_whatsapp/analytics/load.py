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
    """
    The result of a load.

    :param rows: Number of rows that Meta returned.
    :param added: How many of them the files did not have.
    :param raised: How many of them have a greater value than in the files.
    :param unchanged: How many of them the files had, with the same or greater values.
    :param without_cost: Number of rows without a cost, of a kind that has costs.
    :param files: Files that contain the rows, whether written now or before.
    :param written: The files that were written.
    """

    rows: int = 0
    added: int = 0
    raised: int = 0
    unchanged: int = 0
    without_cost: int = 0
    files: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)


def load(
    rows: Iterable[dict[str, Any]], kind: Kind, destination: Destination, days: tuple[date, date]
) -> Loaded:
    """
    Merge rows into the files of a destination, and keep the greatest value that was ever read; return what was done.

    :param rows: Rows from :meth:`~airflow_provider_whatsapp.client.resources.analytics.Analytics.rows`; requests go out
        while they are read.
    :param kind: Kind of all rows.
    :param destination: The files.
    :param days: The first day, and the day after the last.
    :raises PayloadError: An existing file contains something else; no request was sent.
    :raises ConfigurationError: A file cannot be written there; no request was sent.
    :raises DestinationError: A file could not be read or written.
    :raises APIError: WhatsApp or the gateway refused; no file was changed.
    """
    report = Loaded()
    with Merge(kind) as merge:
        known: set[str] = set()

        def know(part: str) -> None:
            if part not in known:
                destination.check(part)
                merge.keep(part, destination.read(part))
                known.add(part)

        for part in destination.parts(*days):
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
        for part in sorted(merge.changed):
            report.written.append(str(destination.write(part, merge.rows(part))))
        report.files = [str(destination.path(part)) for part in sorted(touched)]
        report.added, report.raised = merge.counts["added"], merge.counts["raised"]
        report.unchanged = merge.counts["unchanged"]
    return report
