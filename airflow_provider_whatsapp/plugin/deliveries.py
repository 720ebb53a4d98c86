"""Deliveries per day and DAG: the store's figures for the DAGs that a user may see, and their plot."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.events.daily import Deliveries, count_daily
from airflow_provider_whatsapp.plugin.connections import open_client
from airflow_provider_whatsapp.plugin.event_store import opened_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_whatsapp.events.daily import DailyDelivery

SPANS = (7, 14, 30)
"""Numbers of days to choose from; the first is the default."""
HEIGHT = 150
"""Height of the plot's highest column, in pixels."""
MOST_LABELS = 7
"""The most days that are labelled below the plot: more do not fit on a phone."""


def load_deliveries(days: int, conn_id: str) -> Deliveries:
    """Return the store's figures for some days, including today; it blocks: call it through ``Sources``."""
    phone_number_id = None  # all numbers
    if conn_id:
        with open_client(conn_id) as client:
            phone_number_id = client.config.phone_number_id or ""
    with opened_store() as store:
        return count_daily(store, days, phone_number_id=phone_number_id)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a column."""

    name: str  # delivered, pending or failed
    y: float  # pixels from the top
    height: float  # in pixels


@dataclass(frozen=True, slots=True)
class Column:
    """A day in the plot."""

    x: float  # left edge, in percent of the plot's width
    width: float  # in percent
    parts: tuple[Part, ...]  # from the bottom up
    label: str  # the day; empty: it is not labelled
    title: str  # the day and its figures as text


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """The content of the page."""

    rows: tuple[DailyDelivery, ...]  # one for each DAG and day, the latest day first
    columns: tuple[Column, ...]
    most: int  # messages of the highest day
    dags: tuple[str, ...]  # those to choose from
    sent: int  # messages with a receipt; the next three are parts of them
    delivered: int
    read: int
    failed: int


def delivery_page(
    found: Sequence[DailyDelivery],
    may_see: Callable[[str], bool],
    *,
    days: int,  # including today
    dag_id: str = "",  # empty: all
    today: date | None = None,  # None: today by UTC
) -> DeliveryPage:
    """Return the content of the page for a user."""
    allowed = [row for row in found if may_see(row.dag_id)]
    rows = sorted(
        (row for row in allowed if dag_id in ("", row.dag_id)),
        key=lambda row: (-row.day.toordinal(), row.dag_id),
    )
    last = today or datetime.now(UTC).date()
    span = [last - timedelta(days=before) for before in range(days - 1, -1, -1)]
    columns, most = _plot(rows, span)
    return DeliveryPage(
        rows=tuple(rows),
        columns=columns,
        most=most,
        dags=tuple(sorted({row.dag_id for row in allowed})),
        sent=sum(row.sent for row in rows),
        delivered=sum(row.delivered for row in rows),
        read=sum(row.read for row in rows),
        failed=sum(row.failed for row in rows),
    )


def _plot(rows: Sequence[DailyDelivery], span: Sequence[date]) -> tuple[tuple[Column, ...], int]:
    """Return a column for each day, including days without messages."""
    by_day: dict[date, list[DailyDelivery]] = defaultdict(list)
    for row in rows:
        by_day[row.day].append(row)
    most = max((sum(row.sent for row in own) for own in by_day.values()), default=0)
    width, every = 100 / len(span), -(-len(span) // MOST_LABELS)
    columns = []
    for number, day in enumerate(span):
        own = by_day.get(day, [])
        sent, delivered = sum(row.sent for row in own), sum(row.delivered for row in own)
        failed = sum(row.failed for row in own)
        counts = {"delivered": delivered, "pending": sent - delivered - failed, "failed": failed}
        named = (len(span) - 1 - number) % every == 0  # the last day is always labelled
        columns.append(
            Column(
                x=round(number * width, 3),
                width=round(width * 0.72, 3),
                parts=tuple(_parts(counts, most)),
                label=f"{day.day} {day:%b}" if named else "",
                title=f"{day.day} {day:%B %Y}: {sent:,} sent, {delivered:,} delivered, {failed:,} failed",
            )
        )
    return tuple(columns), most


def _parts(counts: dict[str, int], most: int) -> list[Part]:
    made, bottom = [], float(HEIGHT)
    for name, count in counts.items():
        if count > 0:
            height = HEIGHT * count / most
            bottom -= height
            made.append(Part(name, round(bottom, 2), round(height, 2)))
    return made


def duration(seconds: float | None) -> str:
    """Return a duration for people: ``4 s``, ``2 min 5 s``, ``3 h 10 min``; empty if it is not known."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.0f} s" if seconds == whole else f"{seconds:.1f} s"
    hours, rest = divmod(whole, 3_600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s"
