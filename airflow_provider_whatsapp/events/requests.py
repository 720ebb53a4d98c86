"""Questions that are answered by a press on a phone: what a task has asked, and the press that answered."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from airflow_provider_whatsapp.events.tables import requests, statuses

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from airflow_provider_whatsapp.events.presses import Press
    from airflow_provider_whatsapp.events.store import EventStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    A question that one send of a task asks.

    :param request_hash: Hash of the ID behind its buttons, from
        :attr:`~airflow_provider_whatsapp.answering.request_id.RequestId.hash`.
    :param send_hash: The hash in the callback data of its messages.
    :param ti_id: The task instance's ID, which Airflow replaces at a retry and at a clear.
    :param dag_id: The DAG.
    :param run_id: The DAG run.
    :param task_id: The task.
    :param map_index: Index of a mapped task; otherwise -1.
    :param options: The options, in the order of the buttons.
    :param asked_at: When the question was asked.
    :param expires_at: Time until which an answer counts; None: without a limit.
    :param answered_by: wamid of the press that answered it; None: it has no answer yet.
    """

    request_hash: str = field(repr=False)
    send_hash: str
    ti_id: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    options: tuple[str, ...]
    asked_at: datetime
    expires_at: datetime | None = None
    answered_by: str | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """
    A recipient of a message, by its signed receipts.

    :param send_hash: Hash of the message's send; None: the message is not this package's.
    :param number: Digits of the number; None if WhatsApp does not show it.
    :param user_id: The business-scoped user ID.
    """

    send_hash: str | None
    number: str | None = field(repr=False)
    user_id: str | None = field(repr=False)


def open_request(store: EventStore, request: Request, *, resumed: bool) -> None:
    """
    Record that a question is about to be asked.

    :param store: The event store.
    :param request: The question.
    :param resumed: An earlier try stopped while it sent this question: the buttons that it sent answer this try's
        question.
    :raises StoreError: Nothing was written.
    """
    row = {name: getattr(request, name) for name in request.__slots__}
    row["options"] = json.dumps(request.options, ensure_ascii=False)
    with store.writing() as connection:
        if resumed:
            earlier = update(requests).where(requests.c.send_hash == request.send_hash)
            connection.execute(earlier.values(ti_id=request.ti_id, expires_at=request.expires_at))
        store.insert_new(connection, requests, row)


def find_request(store: EventStore, request_hash: str) -> Request | None:
    """
    Return a question; None: no question has this ID.

    :param store: The event store.
    :param request_hash: Hash of the ID.
    :raises StoreError: The database cannot be reached, or refuses.
    """
    with store.reading() as connection:
        query = select(requests).where(requests.c.request_hash == request_hash)
        row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return Request(**{**row, "options": tuple(json.loads(row["options"]))})


def close_request(store: EventStore, request: Request, press: Press) -> None:
    """
    Record the press that answered a question; an earlier record is kept.

    :param store: The event store.
    :param request: The question.
    :param press: The press.
    :raises StoreError: Nothing was written.
    """
    this = requests.c.request_hash == request.request_hash
    with store.writing() as connection:
        unanswered = update(requests).where(this, requests.c.answered_by.is_(None))
        connection.execute(unanswered.values(answered_by=press.message_id))


def recipients_of(store: EventStore, message_id: str) -> Iterable[Recipient]:
    """
    Return the recipients of a message by its signed receipts; empty if there is none yet.

    :param store: The event store.
    :param message_id: wamid of the message.
    :raises StoreError: The database cannot be reached, or refuses.
    """
    columns: list[Any] = [statuses.c[name] for name in ("send_hash", "recipient", "recipient_user_id")]
    signed = select(*columns).where(statuses.c.message_id == message_id, statuses.c.verified.is_(True))
    with store.reading() as connection:
        return {Recipient(*row) for row in connection.execute(signed)}
