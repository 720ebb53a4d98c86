"""Questions whose answer is a press on a phone: what a task has asked, and what has been pressed since."""

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
    A question that one send of a task puts to people.

    :param request_hash: Of the ID behind its buttons, from
        :attr:`~airflow_provider_whatsapp.answering.request_id.RequestId.hash`.
    :param send_hash: What the callback data of its messages holds.
    :param ti_id: The task instance's ID, which Airflow replaces at a retry and at a clear.
    :param dag_id: The DAG.
    :param run_id: Its run.
    :param task_id: The task.
    :param map_index: Of a mapped task; -1 otherwise.
    :param options: In the order of the buttons.
    :param asked_at: When.
    :param expires_at: Until when an answer counts; None: it has no end.
    :param answered_by: ID of the message with the press that answered it; None: none has yet.
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
    Whom a message went to, by its signed receipts.

    :param send_hash: Which send it belongs to; None: not one of this package's.
    :param number: Digits of the number; None where WhatsApp does not show it.
    :param user_id: The business-scoped user ID.
    """

    send_hash: str | None
    number: str | None = field(repr=False)
    user_id: str | None = field(repr=False)


def open_request(store: EventStore, request: Request, *, resumed: bool) -> None:
    """
    Write that a question is about to be asked.

    :param store: The event store.
    :param request: The question.
    :param resumed: An earlier try was ended while it sent this question: the buttons that it sent answer this try's.
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
    Return a question; None: there is none with this ID.

    :param store: The event store.
    :param request_hash: Of the ID.
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
    Write which press has answered a question; the first one stays.

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
    Return whom a message went to, as its signed receipts say; nothing: there is none yet.

    :param store: The event store.
    :param message_id: The message.
    :raises StoreError: The database cannot be reached, or refuses.
    """
    columns: list[Any] = [statuses.c[name] for name in ("send_hash", "recipient", "recipient_user_id")]
    signed = select(*columns).where(statuses.c.message_id == message_id, statuses.c.verified.is_(True))
    with store.reading() as connection:
        return {Recipient(*row) for row in connection.execute(signed)}
