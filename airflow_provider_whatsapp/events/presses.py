"""Presses of the buttons that this package sends: the secret behind the buttons, and what is stored of a press."""

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
"""Presses that are read at a time by a process that reads on."""
SECRET = "[A-Za-z0-9_-]{32}"  # noqa: S105  (the form of one)
"""A secret's form, as a regular expression."""


@dataclass(frozen=True, slots=True)
class SecretId:
    """
    The ID behind the buttons of one question or alert. It is a secret: only the messages hold it, and the event store
    its hash.

    :param secret: 192 random bits.
    """

    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """Return one that nothing has had before."""
        return cls(secrets.token_urlsafe(24))

    @property
    def hash(self) -> str:
        """What the event store knows it by: 43 characters."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.secret.encode()).digest()).decode().rstrip("=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """
    A button or list entry that somebody pressed.

    :param id: Of the row, by which presses are in order.
    :param message_id: The press as a message.
    :param sender: Digits of the presser's number; None where WhatsApp does not show it.
    :param sender_user_id: The presser's business-scoped user ID.
    :param payload: What stands behind the button.
    :param context_id: The message that it belongs to.
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
        Say whether somebody pressed to whom a message went, as its receipts name them.

        :param number: Digits of the number; None where WhatsApp does not show it.
        :param user_id: The business-scoped user ID.
        """
        if number and self.sender:
            return canonical(number) == canonical(self.sender)
        return bool(user_id) and user_id == self.sender_user_id


def select_presses(prefix: str) -> Select[Any]:
    """
    Return the query of presses, unsigned ones too.

    :param prefix: What the payloads begin with.
    """
    columns = [messages.c[name] for name in Press.__slots__]
    return select(*columns).where(messages.c.payload.startswith(prefix, autoescape=True))


def presses_after(store: EventStore, prefix: str, after: int) -> list[Press]:
    """
    Return presses in the order in which they were stored, :data:`PAGE` at most; unsigned ones too.

    :param store: The event store.
    :param prefix: What the payloads begin with.
    :param after: Number of the row after which they begin.
    :raises StoreError: The database cannot be reached, or refuses.
    """
    query = select_presses(prefix).where(messages.c.id > after).order_by(messages.c.id).limit(PAGE)
    with store.reading() as connection:
        return [Press(**row) for row in connection.execute(query).mappings()]
