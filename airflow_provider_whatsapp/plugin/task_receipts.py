"""The receipts of a task's messages, and its alerts, from the event store: call these functions by ``SOURCES``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_provider_whatsapp.delivery.callback_data import key_hash
from airflow_provider_whatsapp.events import receipts
from airflow_provider_whatsapp.events.store import EventStore
from airflow_provider_whatsapp.events.tables import sends
from airflow_provider_whatsapp.hooks.event_store import event_store_url, events_conn_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_whatsapp.events.receipts import Receipt
    from airflow_provider_whatsapp.plugin.metadata import TaskRun

MOST_RECEIPTS = 200_000
"""Messages of one send that are read."""
AFTER = timedelta(hours=1)
"""How long after a task's end its alerts are looked for."""
MOST_ALERTS = 50


def store_is_named() -> bool:
    """Say whether there is an event store, so that a page can say what it lacks without one."""
    return events_conn_id() is not None


def open_store() -> EventStore | None:
    """
    Return the event store; None where Airflow's configuration names none.

    :raises WhatsAppError: Its connection is not there, or names no database.
    """
    url = event_store_url()
    return None if url is None else _open(url.render_as_string(hide_password=False))


@lru_cache(maxsize=2)
def _open(url: str) -> EventStore:
    return EventStore.open(url)


def send_hash(run: TaskRun) -> str:
    """
    Return what the callback data of a task's messages begins with.

    :param run: The task instance.
    """
    return key_hash(run.dag_id, run.run_id, run.task_id, str(run.map_index))


def receipts_by_position(run: TaskRun) -> dict[int, list[Receipt]]:
    """
    Return the receipts of a task's messages; nothing where there is no store.

    :param run: The task instance.
    :raises WhatsAppError: The store cannot be read.
    """
    store = open_store()
    found: dict[int, list[Receipt]] = {}
    if store is None:
        return found
    for number, receipt in enumerate(receipts.read_receipts(store, send_hash(run))):
        if number == MOST_RECEIPTS:
            break
        if receipt.position is not None:
            found.setdefault(receipt.position, []).append(receipt)
    return found


def receipts_by_id(message_ids: Sequence[str]) -> dict[str, Receipt]:
    """
    Return the receipts of some messages; nothing where there is no store.

    :param message_ids: wamids.
    :raises WhatsAppError: The store cannot be read.
    """
    store = open_store()
    return {} if store is None or not message_ids else receipts.receipts_of(store, message_ids)


def alerts_of(run: TaskRun) -> list[tuple[dict[str, Any], list[Receipt]]]:
    """
    Return the alerts that callbacks of a task instance have sent, with their receipts.

    :param run: The task instance.
    :raises WhatsAppError: The store cannot be read.
    """
    store = open_store()
    if store is None or run.started is None:
        return []
    end = (run.ended or datetime.now(UTC)) + AFTER
    query = (
        select(sends)
        .where(
            sends.c.sent_at >= run.started - AFTER,
            sends.c.sent_at <= end,
            sends.c.dag_id == run.dag_id,
            sends.c.run_id == run.run_id,
            sends.c.task_id == run.task_id,
            sends.c.map_index == run.map_index,
            sends.c.send_hash != send_hash(run),
        )
        .order_by(sends.c.sent_at)
        .limit(MOST_ALERTS)
    )
    with store.reading() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return [(row, list(receipts.read_receipts(store, row["send_hash"]))) for row in rows]
