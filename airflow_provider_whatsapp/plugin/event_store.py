"""The event store, opened for one query. These functions block: call them through ``SOURCES``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.hooks.event_store import event_store_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_whatsapp.events.store import EventStore


SECONDS = 8.0
"""Seconds for all reads of one query together, once the database is connected."""


@contextlib.contextmanager
def opened_store() -> Iterator[EventStore]:
    """Yield the event store, whose tables are of this version; raises StoreError if the database fails or is slow."""
    url = event_store_url()
    if url is None:
        raise ConfigurationError(
            "this Airflow has no event store",
            advice="Start the receiver, and set [whatsapp] events_conn_id to a connection to its database.",
        )
    from airflow_provider_whatsapp.events.store import EventStore

    with EventStore.checked(url, read_seconds=SECONDS) as store:
        yield store
