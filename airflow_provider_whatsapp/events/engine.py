"""Makes an engine from a database URL; its waits are bounded, and its errors show no values."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import QueuePool

from airflow_provider_whatsapp.client.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL, Connection, Engine

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 15
"""Seconds after which a statement, a wait for a lock or a silent network is an error."""
_CHECK_EVERY = 50_000
"""Steps of SQLite between two checks of the time, about a millisecond."""
_BUSY_SECONDS = 10
"""Seconds for which SQLite waits for another process's transaction."""
READ_ONLY = {"whatsapp_read_only": True}
"""Execution options of a connection that only reads: in SQLite it takes no lock from writers."""
INSTALL = "pip install 'airflow-provider-whatsapp[events]'"


def open_engine(url: str | URL, *, pool_size: int = 3) -> Engine:
    """Return an engine for a database URL; it does not connect yet."""
    try:
        parsed = _with_driver(make_url(url))
        options = _options(parsed)
        engine = create_engine(
            parsed,
            future=True,  # SQLAlchemy 1.4 then behaves like 2.0
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=CONNECT_SECONDS,
            pool_pre_ping=True,
            hide_parameters=True,
            **options,
        )
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise
        # The text of these errors may contain the URL with its password.
        raise ConfigurationError(
            "the URL of the event database cannot be used, or its driver is not installed",
            advice="Write it as sqlite:////var/lib/whatsapp/events.db or postgresql://user:password@host/database; "
            f"PostgreSQL's driver comes with {INSTALL}.",
        ) from None
    if parsed.get_backend_name() == "sqlite":
        _prepare_sqlite(engine)
    elif parsed.get_backend_name() == "postgresql":
        event.listen(engine, "connect", _limit_statements)
    return engine


def _with_driver(url: URL) -> URL:
    """Return the URL with PostgreSQL's driver: SQLAlchemy's default has changed, and Airflow says ``postgres``."""
    if url.drivername not in ("postgres", "postgresql"):
        return url
    modern = not sqlalchemy.__version__.startswith("1.")
    for name, usable in (("psycopg2", True), ("psycopg", modern)):
        if usable and importlib.util.find_spec(name) is not None:
            return url.set(drivername=f"postgresql+{name}")
    raise ConfigurationError("no driver for PostgreSQL is installed", advice=f"Install one: {INSTALL}.")


def _options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        if url.database in (None, "", ":memory:") or "mode=memory" in str(url.database):
            raise ConfigurationError(
                "the event database is in memory, where its events would be lost",
                advice="Name a file: sqlite:////var/lib/whatsapp/events.db.",
            )
        return {"connect_args": {"timeout": _BUSY_SECONDS, "check_same_thread": False}}
    if url.get_driver_name() not in ("psycopg2", "psycopg"):
        return {}
    limits = {
        "connect_timeout": CONNECT_SECONDS,
        "tcp_user_timeout": STATEMENT_SECONDS * 1000,
        "keepalives_idle": STATEMENT_SECONDS,
        "application_name": "whatsapp-events",
    }
    own = {name: value for name, value in limits.items() if name not in url.query}
    # Many rows in few round trips; psycopg does that without this option.
    batches = {"executemany_mode": "values_plus_batch"} if url.get_driver_name() == "psycopg2" else {}
    return {"connect_args": own, **batches}


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connected(raw: Any, _: Any) -> None:
        # The driver's own transactions begin too late: two writers would read first, and then block each other.
        raw.isolation_level = None
        cursor = raw.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # The receiver answers 200 only for events that survive a power failure.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        reads = connection.get_execution_options().get("whatsapp_read_only")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def sqlite_file(engine: Engine) -> Path | None:
    """Return the file of an engine's SQLite database; None: it is another database, or has no path."""
    database = engine.url.database
    if engine.dialect.name != "sqlite" or not database or database.startswith("file:"):
        return None
    return Path(database)


def create_private(path: Path) -> None:
    """Create a file that only its owner can read, as it will contain numbers and texts; leave an existing one."""
    with contextlib.suppress(OSError):  # if it cannot be created, connecting says why
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _limit_statements(raw: Any, _: Any) -> None:
    cursor = raw.cursor()
    cursor.execute(f"SET statement_timeout = {STATEMENT_SECONDS * 1000}")
    cursor.execute("SET TIME ZONE 'UTC'")
    cursor.close()
    raw.commit()


@contextlib.contextmanager
def limited_time(connection: Connection, seconds: float) -> Iterator[None]:
    """Have the database stop a query inside the block that takes too long, since nobody waits for it any more."""
    # The limit is for each statement in PostgreSQL, for all together in SQLite; other databases have none.
    raw: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "postgresql":
        # Until the end of the transaction, which has to be the query's own.
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
    elif isinstance(raw, sqlite3.Connection):
        until = time.monotonic() + seconds
        raw.set_progress_handler(lambda: time.monotonic() > until, _CHECK_EVERY)
    try:
        yield
    finally:
        if isinstance(raw, sqlite3.Connection):
            raw.set_progress_handler(None, 0)
