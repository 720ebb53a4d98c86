"""
What the store's receipts say about each message of a send, read in batches, so that memory never holds 100,000
messages.

A send is identified by its hash, a recipient by their position in its list; both are in the callback data that the
receipts repeat. One position has several messages if the recipient was sent to in several epochs.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import BigInteger, and_, bindparam, case, cast, or_, select
from sqlalchemy import func as sql

from airflow_provider_whatsapp.events.kinds import RANKS
from airflow_provider_whatsapp.events.store import CHUNK
from airflow_provider_whatsapp.events.tables import statuses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_whatsapp.events.store import EventStore

ReceiptStatus = Literal["accepted", "sent", "delivered", "read", "failed"]

PAGE = 2_000
"""Rows that are read together."""
MOST_MESSAGES = 100
"""The most messages of one position that are read: each epoch adds at most one, so more were forged."""
SENDS = 10_000
"""The most sends whose receipts one query counts: their hashes are 250 kB of SQL, and SQLite accepts a megabyte."""
_ARRIVED = RANKS["delivered"]
_ABOVE_EPOCHS = 10**12
"""Added to the order of a message that has arrived: the recipient has it, regardless of its epoch."""

_NAMES: dict[int, ReceiptStatus] = {
    RANKS["sent"]: "sent",
    RANKS["failed"]: "failed",
    RANKS["delivered"]: "delivered",
    RANKS["read"]: "read",
    RANKS["played"]: "read",
}
_READ_COLUMNS = [
    *("id", "message_id", "status", "status_rank", "recipient", "occurred_at"),
    *("send_hash", "send_epoch", "send_position", "error_code", "error_title", "error_details"),
    *("price_category", "price_type", "billable", "verified"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What receipts say about one message."""

    send_hash: str | None  # None, as the next two: the message carried the user's own callback data
    epoch: int | None  # the ledger's epoch in which it left
    position: int | None  # the recipient's in the list, from 0
    message_id: str  # wamid
    recipient: str | None = field(repr=False)  # digits; None if WhatsApp does not show the number
    status: ReceiptStatus  # the furthest of any participant; accepted: no word that this version knows
    verified: bool  # the signature of the receipt with this status was checked
    sent_at: datetime | None = None  # None, as for the other times: no receipt says
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    failed_at: datetime | None = None
    error_code: int | None = None  # None, as the next two, unless the message failed
    error_title: str | None = None
    error_details: str | None = None
    price_category: str | None = None  # in which the message is billed
    price_type: str | None = None  # regular is billed, free_... is not
    billable: bool | None = None

    @property
    def order(self) -> int:
        """Its rank within a position: first a message that arrived, in any epoch, then the latest epoch's."""
        return _order(self.epoch or 0, _RANK_OF[self.status])


_RANK_OF: Mapping[ReceiptStatus, int] = {"accepted": 0, **{name: rank for rank, name in _NAMES.items()}}


@dataclass(frozen=True, slots=True)
class Counts:
    """How many positions of a send have got how far, each counted once, and none without a receipt."""

    accepted: int = 0  # only receipts with words that this version does not know
    sent: int = 0  # sent on by WhatsApp, not delivered yet
    delivered: int = 0  # not read yet
    read: int = 0  # or played
    failed: int = 0

    @property
    def total(self) -> int:
        """The number of positions with a receipt."""
        return self.accepted + self.sent + self.delivered + self.read + self.failed


def count_receipts(
    store: EventStore, send_hashes: Iterable[str], *, since: Mapping[str, int] | None = None
) -> dict[str, Counts]:
    """Return for each send, by its hash, how far its positions have got, with one query for 10,000 sends."""
    # First epochs that count: after a clear that sends to everybody again, earlier messages say nothing.
    table, firsts = statuses.c, since or {}
    found: dict[str, dict[str, int]] = {send_hash: {} for send_hash in send_hashes}
    arrived = table.status_rank >= _ARRIVED
    # Of several messages of a position, one that arrived counts, in any epoch; otherwise that of the latest epoch.
    order = case(
        (arrived, _ABOVE_EPOCHS + table.status_rank),
        else_=cast(table.send_epoch, BigInteger) * 100 + table.status_rank,
    )
    for some in _by_first(list(found), firsts):
        chosen = or_(*(and_(table.send_epoch >= first, _is_one_of(own)) for first, own in some))
        best = (
            select(table.send_hash, table.send_position, sql.max(order).label("best"))
            .where(chosen)
            .group_by(table.send_hash, table.send_position)
            .subquery()
        )
        rank = (best.c.best % 100).label("rank")
        counted = select(best.c.send_hash, rank, sql.count().label("count")).group_by(best.c.send_hash, rank)
        with store.reading() as connection:
            for send_hash, number, count in connection.execute(counted):
                name = _NAMES.get(int(number), "accepted")
                found[send_hash][name] = found[send_hash].get(name, 0) + count
    return {send_hash: Counts(**counts) for send_hash, counts in found.items()}


def read_receipts(store: EventStore, send_hash: str) -> Iterator[Receipt]:
    """Yield what the receipts say about each message of a send, by position; within one, by epoch."""
    # Each page has its own query, so nothing is locked; a receipt that arrives meanwhile may be included or not.
    for _, rows in itertools.groupby(_pages(store, send_hash), key=lambda row: row["send_position"]):
        yield from _fold(rows)


def receipts_at(store: EventStore, send_hash: str, positions: Sequence[int]) -> dict[int, list[Receipt]]:
    """Return what the receipts say about positions of a send, by epoch; those without a receipt are left out."""
    table = statuses.c
    found: dict[int, list[Receipt]] = {}
    for some in _chunks(positions, CHUNK):
        query = (
            _rows()
            .where(table.send_hash == send_hash, table.send_position.in_(some))
            .order_by(table.send_position, table.id)
        )
        with store.reading() as connection:
            rows = _read(connection, query)
            for position, own in itertools.groupby(rows, key=lambda row: int(row["send_position"])):
                found[position] = _fold(own)
    return found


def receipts_of(store: EventStore, message_ids: Sequence[str]) -> dict[str, Receipt]:
    """Return what the receipts say about messages, with any callback data; those without a receipt are left out."""
    table = statuses.c
    found: dict[str, Receipt] = {}
    for some in _chunks(message_ids, CHUNK):
        query = _rows().where(table.message_id.in_(some)).order_by(table.message_id, table.id)
        with store.reading() as connection:
            rows = _read(connection, query)
            for message_id, own in itertools.groupby(rows, key=lambda row: str(row["message_id"])):
                found[message_id] = _fold(own)[0]
    return found


def _by_first(send_hashes: Sequence[str], firsts: Mapping[str, int]) -> Iterator[list[tuple[int, list[str]]]]:
    """Yield for each query its sends by the first epoch that counts; SQLite accepts at most 1,000 conditions."""
    for some in _chunks(send_hashes, SENDS):
        by_first: dict[int, list[str]] = {}
        for each in some:
            by_first.setdefault(firsts.get(each, 0), []).append(each)
        for own in _chunks(sorted(by_first.items()), CHUNK):
            yield list(own)


def _is_one_of(send_hashes: list[str]) -> Any:
    """Return a condition with the hashes in the statement itself, because databases limit the number of parameters."""
    return statuses.c.send_hash.in_(
        bindparam(None, send_hashes, expanding=True, unique=True, literal_execute=True)
    )


def _chunks(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _rows() -> Any:
    return select(*(statuses.c[name] for name in _READ_COLUMNS))


def _read(connection: Connection, query: Any) -> Iterator[dict[str, Any]]:
    # Python's garbage collector does not follow such dicts; pages of rows, which it follows, make it search everything.
    return (dict(zip(_READ_COLUMNS, row, strict=True)) for row in connection.execute(query))


def _pages(store: EventStore, send_hash: str) -> Iterator[dict[str, Any]]:
    """Yield a send's rows by position and ID, in pages, each from the end of the last one."""
    table = statuses.c
    position, last = -1, -1
    while True:
        # Not only one condition with OR: the first half lets the database start at the right place in its index.
        after = and_(table.send_position >= position, or_(table.send_position > position, table.id > last))
        query = _rows().where(table.send_hash == send_hash, after)
        with store.reading() as connection:
            ordered = query.order_by(table.send_position, table.id).limit(PAGE)
            page = list(_read(connection, ordered))
        yield from page
        if len(page) < PAGE:
            return
        position, last = page[-1]["send_position"], page[-1]["id"]


def _order(epoch: int, rank: int) -> int:
    """Return the value by which the query of :func:`count_receipts` orders."""
    return _ABOVE_EPOCHS + rank if rank >= _ARRIVED else epoch * 100 + rank


def _fold(rows: Iterable[dict[str, Any]]) -> list[Receipt]:
    """Return one receipt for each message of the rows, by epoch."""
    messages: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        own = messages.get(row["message_id"])
        if own is not None:
            # A group has a row for each participant and status, and up to 1,000 participants.
            own.append(row)
        elif len(messages) < MOST_MESSAGES:
            messages[row["message_id"]] = [row]
    return sorted((_receipt(own) for own in messages.values()), key=lambda receipt: receipt.epoch or 0)


def _receipt(rows: Sequence[dict[str, Any]]) -> Receipt:
    # Of two rows with the same status, the signed one.
    best = max(rows, key=lambda row: (row["status_rank"], row["verified"]))
    priced = [row for row in rows if row["price_category"] is not None]
    price = max(priced, key=lambda row: (row["verified"], row["status_rank"]), default=best)
    times: dict[str, datetime] = {}
    for row in rows:
        name = _NAMES.get(row["status_rank"])
        if name is not None:
            times[name] = min(times.get(name, row["occurred_at"]), row["occurred_at"])
    status: ReceiptStatus = _NAMES.get(best["status_rank"], "accepted")
    error = {
        name: best[name] for name in ("error_code", "error_title", "error_details") if status == "failed"
    }
    return Receipt(
        send_hash=best["send_hash"],
        epoch=best["send_epoch"],
        position=best["send_position"],
        message_id=best["message_id"],
        recipient=best["recipient"],
        status=status,
        verified=best["verified"],
        sent_at=times.get("sent"),
        delivered_at=times.get("delivered"),
        read_at=times.get("read"),
        failed_at=times.get("failed"),
        price_category=price["price_category"],
        price_type=price["price_type"],
        billable=price["billable"],
        **error,
    )
