"""The receipts of a task's messages and alerts, from the event store: call these functions through ``Sources``."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from airflow_provider_whatsapp.delivery.callback_data import key_hash
from airflow_provider_whatsapp.events import receipts
from airflow_provider_whatsapp.events.tables import sends
from airflow_provider_whatsapp.hooks.event_store import events_conn_id
from airflow_provider_whatsapp.plugin.event_store import opened_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_whatsapp.events.receipts import Receipt
    from airflow_provider_whatsapp.events.store import EventStore
    from airflow_provider_whatsapp.plugin.metadata import TaskRun

MOST_RECEIPTS = 200_000
"""The most messages of one send that are read."""
AFTER = timedelta(hours=1)
"""How long after a task's end its alerts are searched for."""
MOST_ALERTS = 50
MOST_ALERTED = 200
"""The most messages of one alert that are read."""


def store_is_named() -> bool:
    """Return whether there is an event store, so that a page can say what is missing without one."""
    return events_conn_id() is not None


def send_hash(run: TaskRun) -> str:
    """Return the hash at the start of the callback data of a task's messages."""
    return key_hash(run.dag_id, run.run_id, run.task_id, str(run.map_index))


class TaskReceipts(NamedTuple):
    """The receipts of a task's messages, by the recipient's position in its list, or by the messages' IDs."""

    by_position: dict[int, list[Receipt]]
    by_id: dict[str, Receipt]


def receipts_of_task(run: TaskRun, message_ids: Sequence[str]) -> TaskReceipts:
    """Return the receipts of a task's messages, none without a store; raises WhatsAppError if the store fails."""
    found: dict[int, list[Receipt]] = {}
    if not store_is_named():
        return TaskReceipts(found, {})
    with opened_store() as store:
        for receipt in itertools.islice(receipts.read_receipts(store, send_hash(run)), MOST_RECEIPTS):
            if receipt.position is not None:
                found.setdefault(receipt.position, []).append(receipt)
        # Messages with the user's own callback data are found by their IDs.
        by_id = receipts.receipts_of(store, message_ids) if message_ids and not found else {}
    return TaskReceipts(found, by_id)


def alerts_of(run: TaskRun) -> list[tuple[dict[str, Any], list[Receipt]]]:
    """Return the alerts that a task's callbacks have sent; raises WhatsAppError if the store fails."""
    if run.started is None or not store_is_named():
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
    with opened_store() as store:
        with store.reading() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return [(row, _receipts(store, row["send_hash"])) for row in rows]


def _receipts(store: EventStore, send: str) -> list[Receipt]:
    return list(itertools.islice(receipts.read_receipts(store, send), MOST_ALERTED))
