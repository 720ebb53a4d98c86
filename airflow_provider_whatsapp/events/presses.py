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
    """
    The ID behind the buttons of one question or alert. It is a secret: only the messages contain it, and the event
    store has its hash.

    :param secret: 192 random bits.
    """

    secret: str = field(repr=False)

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
    """
    A button or list entry that somebody pressed.

    :param id: Number of the row, which gives the order of presses.
    :param message_id: wamid of the press.
    :param sender: Digits of the presser's number; None if WhatsApp does not show it.
    :param sender_user_id: The presser's business-scoped user ID.
    :param payload: Payload of the button.
    :param context_id: wamid of the message with the button.
    :param occurred_at: When it was pressed.
    :param received_at: When it was stored.
    :param verified: The delivery's signature was checked.
    """

    id: int
    message_id: str
    sender: str | None = field(repr=False)
    sender_user_id: str | None = field(repr=False)
    payload: str = field(repr=False)
    context_id: str | None
    occurred_at: datetime
    received_at: datetime
    verified: bool

    @property
    def who(self) -> str:
        """The presser's number or ID, masked."""
        return mask(self.sender or self.sender_user_id or "")

    def is_by(self, number: str | None, user_id: str | None) -> bool:
        """
        Return whether the presser is a recipient of the message, as its receipts name them.

        :param number: Digits of the number; None if WhatsApp does not show it.
        :param user_id: The business-scoped user ID.
        """
        if number and self.sender:
            return canonical(number) == canonical(self.sender)
        return bool(user_id) and user_id == self.sender_user_id


def select_presses(prefix: str) -> Select[Any]:
    """
    Return the query for presses, including unsigned ones.

    :param prefix: Beginning of the payloads.
    """
    columns = [messages.c[name] for name in Press.__slots__]
    return select(*columns).where(messages.c.payload.startswith(prefix, autoescape=True))


def presses_after(store: EventStore, prefix: str, after: int) -> list[Press]:
    """
    Return presses in the order in which they were stored, at most :data:`PAGE`, including unsigned ones.

    :param store: The event store.
    :param prefix: Beginning of the payloads.
    :param after: Number of the row after which they begin.
    :raises StoreError: The database cannot be reached, or refuses.
    """
    query = select_presses(prefix).where(messages.c.id > after).order_by(messages.c.id).limit(PAGE)
    with store.reading() as connection:
        return [Press(**row) for row in connection.execute(query).mappings()]
