"""The contents of a webhook as typed events; each keeps the JSON that it was read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

RANKS = {"sent": 10, "failed": 20, "delivered": 30, "read": 40, "played": 50}
"""The rank of each status, in WhatsApp's order; a failure ranks below a delivery, because only one of several devices
may have failed. A status that is not listed has rank 0."""

OPTED_OUT_OF_MARKETING = 131050
"""Code of the error that says that a recipient has stopped the account's marketing messages."""
SOURCE_REFUSED = f"error_{OPTED_OUT_OF_MARKETING}"
"""Source of an opt-out that this error reports."""


ALERT_BUTTON = "awa1."
"""The beginning of the payload of every alert's button, and of no other payload."""
QUESTION_BUTTON = "awr1."
"""The beginning of the payload of every button and list entry that answers a question, and of no other payload."""
OWN_BUTTONS = (ALERT_BUTTON, QUESTION_BUTTON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """
    A receipt: a message has reached a status.

    :param message_id: The wamid of the message.
    :param status: ``sent``, ``delivered``, ``read``, ``played``, ``failed``, or a word that WhatsApp has added since.
    :param participant: In a group, the participant; empty otherwise.
    :param account_id: WhatsApp Business Account.
    :param phone_number_id: The sending number's ID.
    :param recipient: Digits of the recipient's number; None if WhatsApp does not show it.
    :param recipient_user_id: The recipient's business-scoped user ID.
    :param occurred_at: When it happened; None if the event does not say.
    :param callback_data: The ``biz_opaque_callback_data`` of the send.
    :param error_code: Code of the error, if it failed.
    :param error_title: Title of the error.
    :param error_details: Explanation of the error.
    :param price_category: Category in which the message is billed.
    :param price_type: ``regular`` (billed), ``free_customer_service`` and the like.
    :param price_model: How WhatsApp bills.
    :param billable: Whether it is billed.
    :param raw: The event as JSON.
    """

    message_id: str
    status: str
    participant: str
    account_id: str
    phone_number_id: str
    recipient: str | None
    recipient_user_id: str | None
    occurred_at: datetime | None
    callback_data: str | None
    error_code: int | None
    error_title: str | None
    error_details: str | None
    price_category: str | None
    price_type: str | None
    price_model: str | None
    billable: bool | None
    raw: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """
    A message from a person: text, a button, a reaction, a file and so on.

    :param message_id: The message's wamid.
    :param kind: Type of the message: ``text``, ``button``, ``interactive``, ``image`` and so on.
    :param account_id: WhatsApp Business Account.
    :param phone_number_id: ID of the receiving number.
    :param sender: Digits of the sender's number; None if WhatsApp does not show it.
    :param sender_user_id: The sender's business-scoped user ID.
    :param profile_name: The name that the sender chose.
    :param text: The sender's text, or the label of the pressed button.
    :param payload: Payload of the pressed button or list entry.
    :param context_id: wamid of the answered message.
    :param occurred_at: When it was sent; None if the event does not say.
    :param raw: The message as JSON.
    :param contact: The sender's contact as JSON; None if there is none.
    """

    message_id: str
    kind: str
    account_id: str
    phone_number_id: str
    sender: str | None
    sender_user_id: str | None
    profile_name: str | None
    text: str | None
    payload: str | None
    context_id: str | None
    occurred_at: datetime | None
    raw: str
    contact: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """
    A person wants no more messages, or wants them again.

    :param account_id: WhatsApp Business Account.
    :param number: Digits of the number; None if WhatsApp does not show it.
    :param user_id: The business-scoped user ID.
    :param scope: ``all`` messages, or only ``marketing``.
    :param opted_out: False: they want messages again.
    :param source: Where it comes from: ``user_preferences``, ``error_131050``, ``reply``.
    :param occurred_at: When they said so; None if the event does not say.
    """

    account_id: str
    number: str | None
    user_id: str | None
    scope: Literal["all", "marketing"]
    opted_out: bool
    source: str
    occurred_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """
    Any other event: templates, the account, errors, and what this version does not know.

    :param field: The webhook's field and the part of it: ``account_update``, ``messages.errors``; empty if it has none.
    :param account_id: WhatsApp Business Account.
    :param phone_number_id: ID of the number that it is about; empty if it names none.
    :param occurred_at: When it happened; None if the event does not say.
    :param raw: The event as JSON.
    """

    field: str
    account_id: str
    phone_number_id: str
    occurred_at: datetime | None
    raw: str


Event = Status | Inbound | Preference | Other
