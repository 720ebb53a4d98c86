"""Positions of readers in the store, which outlive the reading process."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from airflow_provider_whatsapp.events.tables import cursors

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_whatsapp.events.store import EventStore


def position(connection: Connection, name: str) -> int | None:
    """Return the position of a reader; None: it has not begun."""
    found = connection.execute(select(cursors.c.position).where(cursors.c.name == name)).scalar()
    return None if found is None else int(found)


def put_position(store: EventStore, name: str, place: int, *, forward: bool = False) -> None:
    """Write the position of a reader; with ``forward``, keep a position that is further ahead."""
    row = {"name": name, "position": place, "changed_at": datetime.now(UTC)}
    move = update(cursors).where(cursors.c.name == name)
    if forward:  # another process may read for the same reader
        move = move.where(cursors.c.position < place)
    with store.writing() as connection:
        store.insert_new(connection, cursors, row)
        connection.execute(move.values(row))
