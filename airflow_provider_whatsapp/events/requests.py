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
    """A question that one send of a task asks."""

    request_hash: str = field(repr=False)  # of the ID behind its buttons
    send_hash: str  # in the callback data of its messages
    ti_id: str  # the task instance's, which Airflow replaces at a retry and at a clear
    dag_id: str
    run_id: str
    task_id: str
    map_index: int  # -1: the task is not mapped
    options: tuple[str, ...]  # in the order of the buttons
    asked_at: datetime
    expires_at: datetime | None = None  # until which an answer counts; None: without a limit
    answered_by: str | None = None  # wamid of the press; None: no answer yet


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient of a message, by its signed receipts."""

    send_hash: str | None  # None: the message is not this package's
    number: str | None = field(repr=False)  # digits; None if WhatsApp does not show the number
    user_id: str | None = field(repr=False)  # business-scoped


def open_request(store: EventStore, request: Request, *, resumed: bool) -> None:
    """Record that a question is about to be asked."""
    row = {name: getattr(request, name) for name in request.__slots__}
    row["options"] = json.dumps(request.options, ensure_ascii=False)
    with store.writing() as connection:
        if resumed:  # an earlier try stopped while it sent this question: its buttons answer this try's
            earlier = update(requests).where(requests.c.send_hash == request.send_hash)
            connection.execute(earlier.values(ti_id=request.ti_id, expires_at=request.expires_at))
        store.insert_new(connection, requests, row)


def find_request(store: EventStore, request_hash: str) -> Request | None:
    """Return a question; None: no question has this ID."""
    with store.reading() as connection:
        query = select(requests).where(requests.c.request_hash == request_hash)
        row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return Request(**{**row, "options": tuple(json.loads(row["options"]))})


def close_request(store: EventStore, request: Request, press: Press) -> None:
    """Record the press that answered a question; an earlier record is kept."""
    this = requests.c.request_hash == request.request_hash
    with store.writing() as connection:
        unanswered = update(requests).where(this, requests.c.answered_by.is_(None))
        connection.execute(unanswered.values(answered_by=press.message_id))


def recipients_of(store: EventStore, message_id: str) -> Iterable[Recipient]:
    """Return the recipients of a message by its signed receipts; empty if there is none yet."""
    columns: list[Any] = [statuses.c[name] for name in ("send_hash", "recipient", "recipient_user_id")]
    signed = select(*columns).where(statuses.c.message_id == message_id, statuses.c.verified.is_(True))
    with store.reading() as connection:
        return {Recipient(*row) for row in connection.execute(signed)}
