"""Receipts and replies in tests: the receiver and its store beside the plugin's sandbox, in the process of the test."""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Table

    from airflow_provider_whatsapp.events.store import EventStore
    from airflow_provider_whatsapp.pytest_plugin import WhatsAppSandbox

_DELIVERY_SECONDS = 30.0
"""Seconds that deliveries may take."""


class WhatsAppEvents:
    """
    What the receiver has stored of the sandbox's webhooks; each row is a dict whose keys are the store's columns.

    :param sandbox: The sandbox that delivers them.
    :param database: URL of the store, for SQLAlchemy.
    :param url: The receiver's address.
    """

    def __init__(self, sandbox: WhatsAppSandbox, database: str, url: str) -> None:
        self.database, self.url = database, url
        self._sandbox = sandbox

    def deliver(self, seconds: float = 0.0) -> None:
        """
        Move the sandbox's clock ahead, and wait until the receiver has stored everything up to then.

        :param seconds: How far.
        :raises TimeoutError: The receiver has not stored everything after 30 seconds.
        """
        if seconds:
            self._sandbox.clock.advance(seconds)
        end = time.monotonic() + _DELIVERY_SECONDS
        while self._sandbox.control("GET", "webhooks")["due"]:
            if time.monotonic() > end:
                raise TimeoutError(
                    "The receiver has not stored all webhooks after 30 seconds: the sandbox's page shows why"
                )
            time.sleep(0.01)

    @property
    def statuses(self) -> list[dict[str, Any]]:
        """``whatsapp_statuses``: one row for each message and status, in the order in which they happened."""
        return self._rows("statuses", "occurred_at", "status_rank")

    @property
    def messages(self) -> list[dict[str, Any]]:
        """``whatsapp_messages``: what recipients wrote and pressed."""
        return self._rows("messages", "occurred_at", "id")

    @property
    def opt_outs(self) -> list[dict[str, Any]]:
        """``whatsapp_opt_outs``: who wants no messages, or no marketing."""
        return self._rows("opt_outs", "changed_at", "contact")

    @property
    def sends(self) -> list[dict[str, Any]]:
        """``whatsapp_sends``: which task sent what."""
        return self._rows("sends", "sent_at")

    def _rows(self, name: str, *order: str) -> list[dict[str, Any]]:
        from sqlalchemy import select

        from airflow_provider_whatsapp.events import tables
        from airflow_provider_whatsapp.events.engine import open_engine

        table: Table = getattr(tables, name)
        ordered = select(table).order_by(*(table.c[each] for each in order))
        engine = open_engine(self.database)
        try:
            with engine.connect() as connection:
                return [dict(row) for row in connection.execute(ordered).mappings()]
        finally:
            engine.dispose()


@contextlib.contextmanager
def receiving(sandbox: WhatsAppSandbox, file: Path) -> Iterator[WhatsAppEvents]:
    """
    Run a receiver that the sandbox delivers to, with an SQLite file as its store.

    :param sandbox: The sandbox, whose app is subscribed to every account from then on.
    :param file: The store; made if it is not there.
    """
    from airflow_provider_whatsapp.events.receiver import Settings
    from airflow_provider_whatsapp.events.serve import running

    database = f"sqlite:///{file}"
    secret = sandbox.control("GET", "webhooks")["app_secret"]
    settings = Settings(verify_token=secrets.token_urlsafe(8), app_secret=secret)
    with contextlib.closing(_store(database)) as store, running(store, settings) as url:
        sandbox.control("POST", "webhooks", app_url=f"{url}/whatsapp")
        try:
            yield WhatsAppEvents(sandbox, database, url)
        finally:
            sandbox.control("POST", "webhooks", app_url="")


def _store(database: str) -> EventStore:
    from airflow_provider_whatsapp.events.store import EventStore

    made = EventStore.open(database)
    made.create_or_upgrade()
    return made
