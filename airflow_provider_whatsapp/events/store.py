"""
The event store: each event once, regardless of the order and the number of deliveries.

Every status of a message has its own row, so no status overwrites another: the row with the highest ``status_rank``
says how far a message has got. A row with a signed delivery replaces one with an unsigned delivery, and gets a new
``id``, so a reader that continues from an ``id`` finds it.
"""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, and_, delete, insert, or_, select, text, update
from sqlalchemy import func as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.masking import clean_line
from airflow_provider_whatsapp.events import tables
from airflow_provider_whatsapp.events.engine import READ_ONLY, limited_time, open_engine
from airflow_provider_whatsapp.events.rows import Row, Rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy.engine import URL, Connection, Engine

    from airflow_provider_whatsapp.events.kinds import Event

CHUNK = 500
"""The most values of one IN list."""
DELETED_AT_ONCE = 5_000
"""Rows that one transaction of retention deletes from a table."""

_UPSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class StoreError(WhatsAppError):
    """The event store cannot be reached; if ``permanent`` is set, it refuses the statement."""


class EventStore:
    """Reads and writes the store's tables; safe to use from many threads."""

    def __init__(self, engine: Engine, *, read_seconds: float | None = None) -> None:
        self._engine = engine
        # The seconds are for all reads together, from now on; None: no common limit.
        self._reads_until = None if read_seconds is None else time.monotonic() + read_seconds
        self._insert = _UPSERTS.get(engine.dialect.name)

    @classmethod
    def open(cls, url: str | URL, *, pool_size: int = 3, read_seconds: float | None = None) -> EventStore:
        """Return a store, which does not connect yet."""
        return cls(open_engine(url, pool_size=pool_size), read_seconds=read_seconds)

    @classmethod
    @contextlib.contextmanager
    def checked(cls, url: str | URL, *, read_seconds: float | None = None) -> Iterator[EventStore]:
        """Open a store with the tables of this version, for one thread, and close it at the end of the block."""
        store = cls.open(url, pool_size=1, read_seconds=read_seconds)
        try:
            store.check()
            yield store
        finally:
            store.close()

    @property
    def kind(self) -> str:
        """The database's kind: ``sqlite``, ``postgresql`` and so on."""
        return self._engine.dialect.name

    def create_or_upgrade(self) -> None:
        """Create the tables, or upgrade those of an earlier version; raises ConfigurationError for newer ones."""
        with _reported():
            tables.create_or_upgrade(self._engine)

    def check(self) -> None:
        """Check that the database can be reached, and has the tables of this version (else ConfigurationError)."""
        with _reported():
            tables.check_version(self._engine)

    def ping(self) -> None:
        """Check that the database can be reached."""
        with self._reading() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def write(self, deliveries: Iterable[tuple[Sequence[Event], bool]]) -> None:
        """Write the events of deliveries in one transaction; they are durable once this method returns."""
        rows = Rows(datetime.now(UTC))
        for events, verified in deliveries:
            rows.add(events, verified=verified)
        with self._writing() as connection:
            self.put_events(connection, rows)

    def put_events(self, connection: Connection, rows: Rows) -> None:
        """Write events in a transaction of :meth:`writing`."""
        for table, kept in (
            (tables.statuses, rows.statuses),
            (tables.others, rows.others),
            (tables.messages, rows.messages),
        ):
            if kept and table is tables.messages:
                _one_at_a_time(connection)
            if kept:  # in a fixed order, so that two receivers never wait for each other
                self._put(connection, table, [kept[key] for key in sorted(kept)])
        for row in sorted(rows.preferences, key=_contact):
            self._put_preference(connection, row)

    def _put(self, connection: Connection, table: Table, rows: list[Row]) -> None:
        """Insert rows; replace an existing row only if it is not verified and the new one is."""
        if self._insert is None:
            self._put_each(connection, table, rows)
            return
        key = _ONCE[table]
        statement = self._insert(table)
        new = statement.excluded
        changes = {column.name: new[column.name] for column in table.c if column.name not in (*key, "id")}
        changes["id"] = (
            new.id if self.kind == "postgresql" else select(sql.max(table.c.id) + 1).scalar_subquery()
        )
        if table is tables.messages:
            changes["first_id"] = sql.coalesce(table.c.first_id, table.c.id)
        replace = and_(new.verified, table.c.verified.is_(False))
        connection.execute(
            statement.on_conflict_do_update(index_elements=list(key), set_=changes, where=replace), rows
        )

    def _put_each(self, connection: Connection, table: Table, rows: list[Row]) -> None:
        """Insert or replace rows like :meth:`_put`, row by row, in any database."""
        for given in rows:
            row = given
            if row["verified"]:
                unverified = and_(_is_row(table, row), table.c.verified.is_(False))
                if table is tables.messages:
                    first = select(sql.coalesce(table.c.first_id, table.c.id)).where(unverified)
                    row = row | {"first_id": connection.execute(first).scalar()}
                connection.execute(delete(table).where(unverified))
            self.insert_new(connection, table, row)

    def insert_new(self, connection: Connection, table: Table, row: Row) -> None:
        """Insert a row in a transaction of :meth:`writing`, unless its key exists."""
        if self._insert is not None:
            statement = self._insert(table).on_conflict_do_nothing(index_elements=list(_ONCE[table]))
            connection.execute(statement, [row])
        elif (
            connection.execute(select(sql.count()).select_from(table).where(_is_row(table, row))).scalar()
            == 0
        ):
            connection.execute(insert(table), [row])

    def _put_preference(self, connection: Connection, row: Row) -> None:
        """Keep a person's latest signed wish, their latest unsigned one, and the opt-out that follows from both."""
        # So the result does not depend on the order and number of deliveries.
        self.insert_new(connection, tables.opt_outs, row)
        this = _is_row(tables.opt_outs, row)
        # A concurrent writer of this person's wish waits here, and then sees this one.
        connection.execute(select(tables.opt_outs.c.scope).where(this).with_for_update()).all()
        table = tables.wishes
        self.insert_new(connection, table, row)
        newer = table.c.changed_at < row["changed_at"]
        if row["opted_out"]:  # of two at the same time, the opt-out counts
            newer = or_(newer, and_(table.c.changed_at == row["changed_at"], table.c.opted_out.is_(False)))
        connection.execute(update(table).where(_is_row(table, row), newer).values(row))
        person = and_(*(table.c[name] == row[name] for name in _ONCE[tables.opt_outs]))
        kept = {each["verified"]: each for each in connection.execute(select(table).where(person)).mappings()}
        counting = which_counts(kept.get(True), kept.get(False))
        connection.execute(update(tables.opt_outs).where(this).values(dict(counting)))

    def record_preferences(self, rows: Iterable[Row]) -> None:
        """Keep wishes, as rows of ``whatsapp_opt_outs``, from stored messages or from a task that sends."""
        with self._writing() as connection:
            for row in sorted(rows, key=_contact):
                self._put_preference(connection, row)

    def record_sends(self, rows: Sequence[Row]) -> None:
        """Keep what tasks send, as rows of ``whatsapp_sends``; an existing row is not changed."""
        with self._writing() as connection:
            for row in rows:
                self.insert_new(connection, tables.sends, row)

    def furthest(self, message_ids: Sequence[str]) -> dict[str, Row]:
        """Return for each message the row with the highest rank; messages without a status are left out."""
        best: dict[str, Row] = {}
        table = tables.statuses
        with self._reading() as connection:
            for start in range(0, len(message_ids), CHUNK):
                some = table.c.message_id.in_(message_ids[start : start + CHUNK])
                for row in connection.execute(select(table).where(some)).mappings():
                    known = best.get(row["message_id"])
                    if known is None or known["status_rank"] < row["status_rank"]:
                        best[row["message_id"]] = dict(row)
        return best

    def delete_older(self, days: float) -> int:
        """Delete some of the rows older than a number of days, except opt-outs; return how many, 0: none is left."""
        before, count = datetime.now(UTC) - timedelta(days=days), 0
        for table, column in tables.AGES.items():
            first = next(iter(table.primary_key.columns))
            some = select(first).where(table.c[column] < before).limit(DELETED_AT_ONCE)
            with self._writing() as connection:
                # Selected first, because not every database can delete by a limited subquery of the same table.
                keys = list(connection.execute(some).scalars())
                for start in range(0, len(keys), CHUNK):
                    connection.execute(delete(table).where(first.in_(keys[start : start + CHUNK])))
            count += len(keys)
        return count

    def reading(self) -> contextlib.AbstractContextManager[Connection]:
        """Yield a connection for queries of other modules; leaving the block ends its transaction."""
        # A database's error inside the block becomes a StoreError.
        return self._reading()

    def writing(self) -> contextlib.AbstractContextManager[Connection]:
        """Yield a connection for one transaction of other modules; leaving the block without an error commits."""
        # A database's error inside the block becomes a StoreError; then nothing was written.
        return self._writing()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Connection]:
        with _reported(), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        with _reported(), self._engine.connect() as connected:
            connection = connected.execution_options(**READ_ONLY)
            if self._reads_until is None:
                yield connection
                return
            rest = self._reads_until - time.monotonic()
            if rest <= 0:
                raise StoreError("the event store did not answer in time", advice="Try again in a moment.")
            with limited_time(connection, rest):
                yield connection


_ONCE: dict[Table, tuple[str, ...]] = {
    tables.statuses: ("message_id", "status", "participant"),
    tables.messages: ("message_id",),
    tables.others: ("event_key",),
    tables.opt_outs: ("account_id", "contact", "scope"),
    tables.wishes: ("account_id", "contact", "scope", "verified"),
    tables.sends: ("send_hash",),
    tables.cursors: ("name",),
    tables.alerts: ("alert_hash",),
    tables.requests: ("request_hash",),
}
"""The key columns of each table."""


def which_counts(signed: Any, unsigned: Any) -> Any:
    """Return which of a person's latest signed and latest unsigned wish counts; None: there is no wish."""
    if signed is None or unsigned is None:
        return signed or unsigned
    # No unsigned wish ends a signed opt-out, because anyone who knows the receiver's address could have sent it.
    # But an unsigned opt-out counts until a later signed wish ends it: a message too few harms nobody.
    stands = unsigned["opted_out"] and not signed["opted_out"]
    return unsigned if stands and unsigned["changed_at"] >= signed["changed_at"] else signed


def _one_at_a_time(connection: Connection) -> None:
    """Wait until no other transaction is open that inserts messages."""
    # So their numbers rise in the order of the commits, and a reader that continues from a number misses none.
    # In SQLite only one transaction can write in any case.
    connection.execute(select(tables.schema.c.version).with_for_update()).all()


def _is_row(table: Table, row: Row) -> Any:
    return and_(*(table.c[name] == row[name] for name in _ONCE[table]))


def _contact(row: Row) -> tuple[Any, ...]:
    return row["account_id"], row["contact"], row["scope"], row["changed_at"]


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """Turn a database's errors into errors that show no rows."""
    try:
        yield
    except OperationalError as error:
        # The text of these errors is about the server, the file or the lock, not about a row.
        said = clean_line(str(error.orig).strip().partition("\n")[0], limit=200)
        raise StoreError(
            f"the event store does not answer: {said}",
            advice="Check that it runs, and that this machine reaches it.",
        ) from None
    except DBAPIError as error:
        raise StoreError(f"the event store refuses ({type(error.orig).__name__})", permanent=True) from None
    except SQLAlchemyError as error:
        raise StoreError(f"the event store does not answer ({type(error).__name__})") from None
