"""Presses of this package's buttons: the secret behind the buttons, and what the store knows of a press."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import select

from airflow_provider_whatsapp.client.masking import mask
from airflow_provider_whatsapp.client.phone import canonical
from airflow_provider_whatsapp.events.tables import messages

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Select

    from airflow_provider_whatsapp.events.store import EventStore

PAGE = 500
"""Presses that a continuous reader reads together."""
SECRET = "[A-Za-z0-9_-]{32}"  # noqa: S105  (the form of one)
"""Regular expression of a secret."""


@dataclass(frozen=True, slots=True)
class SecretId:
    """The secret ID behind the buttons of one question or alert; the event store has only its hash."""

    secret: str = field(repr=False)  # 192 random bits

    @classmethod
    def new(cls) -> Self:
        """Return a new ID with a random secret."""
        return cls(secrets.token_urlsafe(24))

    @property
    def hash(self) -> str:
        """The event store's key for it: 43 characters."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.secret.encode()).digest()).decode().rstrip("=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """A button or list entry that somebody pressed."""

    id: int  # number of the row, which gives the order of presses
    message_id: str  # wamid of the press
    sender: str | None = field(repr=False)  # digits; None if WhatsApp does not show the number
    sender_user_id: str | None = field(repr=False)  # business-scoped
    payload: str = field(repr=False)
    context_id: str | None  # wamid of the message with the button
    occurred_at: datetime  # when it was pressed
    received_at: datetime  # when it was stored
    verified: bool  # the delivery's signature was checked

    @property
    def who(self) -> str:
        """The presser's number or ID, masked."""
        return mask(self.sender or self.sender_user_id or "")

    def is_by(self, number: str | None, user_id: str | None) -> bool:
        """Return whether the presser is a recipient of the message, as its receipts name them."""
        if number and self.sender:
            return canonical(number) == canonical(self.sender)
        return bool(user_id) and user_id == self.sender_user_id


def select_presses(prefix: str) -> Select[Any]:
    """Return the query for presses whose payloads begin with a prefix, including unsigned ones."""
    columns = [messages.c[name] for name in Press.__slots__]
    return select(*columns).where(messages.c.payload.startswith(prefix, autoescape=True))


def presses_after(store: EventStore, prefix: str, after: int) -> list[Press]:
    """Return presses after a row's number, in the order of rows, at most :data:`PAGE`, including unsigned ones."""
    query = select_presses(prefix).where(messages.c.id > after).order_by(messages.c.id).limit(PAGE)
    with store.reading() as connection:
        return [Press(**row) for row in connection.execute(query).mappings()]
