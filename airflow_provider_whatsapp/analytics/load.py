"""A load of analytics into files: what is there is read before anything is asked, merged, and written where it grew."""

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
    What a load has done.

    :param rows: Rows that Meta gave.
    :param added: Of these, rows that the files did not have.
    :param raised: Rows of which a value was greater than in the files.
    :param unchanged: Rows that the files had, with the same or greater values.
    :param without_cost: Rows without a cost, of a kind that has one.
    :param files: Files that hold the rows, written now or before.
    :param written: Of these, files that were written.
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
    Merge rows into the files of a destination, each value the greatest that was ever read.

    :param rows: From :meth:`~airflow_provider_whatsapp.client.resources.analytics.Analytics.rows`; requests go out
        while they are read.
    :param kind: Of all rows.
    :param destination: Where they go.
    :param days: The first day, and the day after the last.
    :raises PayloadError: A file that is there holds something else; nothing was asked of WhatsApp.
    :raises ConfigurationError: A file cannot be written there; nothing was asked of WhatsApp.
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
            know(part)  # a point may begin before the time that was asked for
            merge.add(part, row)
            touched.add(part)
            report.rows += 1
            report.without_cost += "cost" in kind.values and row["cost"] is None
        if not destination.has_parts:
            touched.add("")
            if not destination.exists(""):  # later tasks read it, empty as it may be
                merge.changed.add("")
        for part in sorted(merge.changed):
            report.written.append(str(destination.write(part, merge.rows(part))))
        report.files = [str(destination.path(part)) for part in sorted(touched)]
        report.added, report.raised = merge.counts["added"], merge.counts["raised"]
        report.unchanged = merge.counts["unchanged"]
    return report
