"""
Counts, for each DAG and day, the messages that arrived, in one query over the store.

A message counts on the day, by UTC, on which its task began to send, so late receipts change that day's figures and no
message counts on two days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Float, and_, case, cast, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from airflow_provider_whatsapp.events.engine import limited_time
from airflow_provider_whatsapp.events.kinds import RANKS
from airflow_provider_whatsapp.events.tables import sends, statuses

if TYPE_CHECKING:
    from airflow_provider_whatsapp.events.store import EventStore

MOST_RECEIPTS = 1_000_000
"""The most receipts that one query counts; the page says if there are more."""
MOST_ROWS = 5_000
"""The most pairs of DAG and day that it returns."""
SECONDS = 8.0
"""Seconds after which the database stops the query."""


@dataclass(frozen=True, slots=True)
class DailyDelivery:
    """The messages of one DAG whose sending began on one day; messages without a receipt are not counted."""

    day: date  # by UTC
    dag_id: str
    sent: int  # messages with a receipt: arrived, failed, and still on their way
    delivered: int  # including those that were read
    read: int
    failed: int  # failed, and delivered on no device
    timed: int  # messages with known times of sending and delivery
    median_seconds: float | None  # from WhatsApp's sending to the delivery; None: no message is timed


@dataclass(frozen=True, slots=True)
class Deliveries:
    """The result of the count."""

    rows: tuple[DailyDelivery, ...] = ()  # one for each DAG and day, by day
    complete: bool = True  # False: there are more receipts than are counted, so the figures are too low


class _Seconds(GenericFunction[float]):
    """A time as seconds since 1970, in any database."""

    type = Float()
    name = "whatsapp_seconds"
    inherit_cache = True


@compiles(_Seconds)
def _by_mysql(element: Any, compiler: Any, **options: Any) -> str:
    return f"unix_timestamp({compiler.process(element.clauses, **options)})"


@compiles(_Seconds, "postgresql")
def _by_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return f"extract(epoch from {compiler.process(element.clauses, **options)})"


@compiles(_Seconds, "sqlite")
def _by_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    # WhatsApp's times are whole seconds.
    return f"cast(strftime('%s', {compiler.process(element.clauses, **options)}) as integer)"


def count_daily(
    store: EventStore,
    days: int,  # including today
    *,
    phone_number_id: str | None = None,  # the sending number's; None: all numbers
    now: datetime | None = None,
    most: int = MOST_RECEIPTS,  # receipts to count
    seconds: float = SECONDS,  # after which the database stops the query
) -> Deliveries:
    """Return what arrived, per day and DAG; raises StoreError also if the query takes longer than allowed."""
    today = (now or datetime.now(UTC)).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = today - timedelta(days=days - 1)
    with store.reading() as connection, limited_time(connection, seconds):
        found = connection.execute(_query(since, phone_number_id, most)).mappings().all()
    rows = tuple(_row(row) for row in found)
    return Deliveries(rows, complete=sum(row["receipts"] for row in found) < most and len(rows) < MOST_ROWS)


def _row(row: Any) -> DailyDelivery:
    day = row["day"] if isinstance(row["day"], date) else date.fromisoformat(str(row["day"]))
    median = row["median"]
    return DailyDelivery(
        day=day,
        dag_id=row["dag_id"],
        **{name: int(row[name] or 0) for name in ("sent", "delivered", "read", "failed", "timed")},
        median_seconds=None if median is None else max(0.0, float(median)),
    )


def _query(since: datetime, phone_number_id: str | None, most: int) -> Any:
    """Return the query: it selects receipts by send, folds them to messages, ranks these by delay, and groups them."""
    return _grouped(_ranked(_messages(_receipts(since, phone_number_id, most))))


def _receipts(since: datetime, phone_number_id: str | None, most: int) -> Any:
    chosen = [sends.c.sent_at >= since]
    if phone_number_id is not None:
        chosen.append(sends.c.phone_number_id == phone_number_id)
    return (
        select(
            sends.c.dag_id,
            func.date(sends.c.sent_at).label("day"),
            statuses.c.message_id,
            statuses.c.status_rank,
            statuses.c.occurred_at,
        )
        .select_from(sends.join(statuses, statuses.c.send_hash == sends.c.send_hash))
        .where(and_(*chosen))
        .limit(most)
        .subquery()
    )


def _messages(receipts: Any) -> Any:
    rank, at = receipts.c.status_rank, _Seconds(receipts.c.occurred_at)
    took = func.min(case((rank == RANKS["delivered"], at))) - func.min(case((rank == RANKS["sent"], at)))
    return (
        select(
            receipts.c.dag_id,
            receipts.c.day,
            func.max(rank).label("rank"),
            func.count().label("receipts"),
            took.label("took"),
        )
        .group_by(receipts.c.dag_id, receipts.c.day, receipts.c.message_id)
        .subquery()
    )


def _ranked(messages: Any) -> Any:
    place = [messages.c.dag_id, messages.c.day]
    return select(
        messages,
        func.row_number()
        .over(partition_by=[*place, messages.c.took.is_(None)], order_by=messages.c.took)
        .label("number"),
        func.count(messages.c.took).over(partition_by=place).label("timed"),
    ).subquery()


def _grouped(ranked: Any) -> Any:
    of = ranked.c
    # The middle one of an odd number, both middle ones of an even number.
    middle = and_(of.took.is_not(None), of.number * 2 >= of.timed, of.number * 2 <= of.timed + 2)
    return (
        select(
            of.dag_id,
            of.day,
            func.count().label("sent"),
            func.sum(case((of["rank"] >= RANKS["delivered"], 1), else_=0)).label("delivered"),
            func.sum(case((of["rank"] >= RANKS["read"], 1), else_=0)).label("read"),
            func.sum(case((of["rank"] == RANKS["failed"], 1), else_=0)).label("failed"),
            func.sum(of.receipts).label("receipts"),
            func.max(of.timed).label("timed"),
            func.avg(case((middle, cast(of.took, Float)))).label("median"),
        )
        .group_by(of.dag_id, of.day)
        .order_by(of.day, of.dag_id)
        .limit(MOST_ROWS)
    )
