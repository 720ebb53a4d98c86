"""Whether a connection can send, and whether receipts arrive: doctor's checks, and the store's last receipt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.masking import mask_numbers
from airflow_provider_whatsapp.events import tables
from airflow_provider_whatsapp.examination import Examination, Finding
from airflow_provider_whatsapp.hooks.event_store import events_conn_id
from airflow_provider_whatsapp.plugin.connections import open_client
from airflow_provider_whatsapp.plugin.event_store import opened_store

if TYPE_CHECKING:
    from airflow_provider_whatsapp.events.store import EventStore

LEFT_OUT = "message"
"""The check of doctor that sends a message."""
DUE = timedelta(minutes=10)
"""Time without a receipt after a send from which on something must be wrong."""


@dataclass(frozen=True, slots=True)
class Receipts:
    """When the event store last received something for a number."""

    last: datetime | None = None  # a receipt of the number's messages
    last_reply: datetime | None = None  # a message that somebody sent to the number
    last_send: datetime | None = None  # a task began to send with the number


def load_health(conn_id: str) -> tuple[Finding, ...]:
    """Check a connection as ``doctor`` does, without sending a message; it blocks: call it through ``SOURCES``."""
    with open_client(conn_id) as client:
        found = [each for each in Examination(client, to=None, wait=0).run() if each.name != LEFT_OUT]
        number = client.config.phone_number_id or ""
    masked = [Finding(each.name, each.outcome, mask_numbers(each.said)) for each in found]
    return (*masked, _arrivals(number))


def _arrivals(number: str) -> Finding:
    """Return the finding about the store; a store that cannot be reached says nothing about sending."""
    name = "event store"
    if events_conn_id() is None:
        return Finding(
            name,
            "SKIPPED",
            "this Airflow has none. Start the receiver, and set [whatsapp] events_conn_id to a connection to its "
            "database.",
        )
    try:
        with opened_store() as store:
            return judge(read_arrivals(store, number), datetime.now(UTC))
    except WhatsAppError as error:
        return Finding(name, "FAIL", str(error))


def judge(found: Receipts, now: datetime) -> Finding:
    """Return the finding on whether receipts arrive."""
    name, said = "event store", []
    if found.last is not None:
        said.append(f"the last receipt came {ago(now - found.last)}")
    if found.last_reply is not None:
        said.append(f"the last reply came {ago(now - found.last_reply)}")
    if found.last_send is None:
        return Finding(
            name, "OK" if said else "SKIPPED", _sentence(said or ["no task has sent with this number yet"])
        )
    missing = found.last is None or found.last < found.last_send
    if missing and now - found.last_send > DUE:
        said.append(f"a task sent {ago(now - found.last_send)}, and no receipt has come since")
        advice = "Check that the receiver runs, and with `webhook status` that WhatsApp posts to it."
        return Finding(name, "FAIL", f"{_sentence(said)} {advice}")
    return Finding(
        name, "OK", _sentence(said or [f"a task sent {ago(now - found.last_send)}; its receipts are due"])
    )


def _sentence(said: list[str]) -> str:
    return f"{', '.join(said)}."


def ago(span: timedelta) -> str:
    """Return in words how long ago something was: ``5 minutes ago``."""
    seconds = span.total_seconds()
    for name, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count:,} {name}{'' if count == 1 else 's'} ago"
    return "less than a minute ago"  # also a time in the future, by another machine's clock


def read_arrivals(store: EventStore, number: str) -> Receipts:
    """Return when the event store last received something for a number."""
    questions = (
        (tables.statuses, tables.statuses.c.received_at),
        (tables.messages, tables.messages.c.received_at),
        (tables.sends, tables.sends.c.sent_at),
    )
    found = []
    for table, at in questions:
        # The index begins with the latest of all numbers; that of a number that seldom sends may be far away.
        query = select(at).where(table.c.phone_number_id == number).order_by(at.desc()).limit(1)
        with store.reading() as connection:
            found.append(connection.execute(query).scalar())
    last, reply, send = found
    return Receipts(last, reply, send)
