"""Fixtures of the event store: empty ones in SQLite and in PostgreSQL."""

from __future__ import annotations

import pytest

from tests.events.postgres import Postgres, programs


@pytest.fixture(scope="session")
def postgres():
    """Start a server for the session."""
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    server = Postgres(found)
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """Give the URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/events.db"
    return _empty(request.getfixturevalue("postgres"))


@pytest.fixture
def postgres_database(postgres):
    """Give the URL of an empty database in PostgreSQL."""
    return _empty(postgres)


def _empty(server):
    server.execute("DROP SCHEMA public CASCADE")
    server.execute("CREATE SCHEMA public")
    return server.url()


@pytest.fixture
def store(database):
    """Give an empty store with its tables."""
    from airflow_provider_whatsapp.events.store import EventStore

    made = EventStore.open(database)
    made.create_or_upgrade()
    yield made
    made.close()
