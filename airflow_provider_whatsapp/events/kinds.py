"""What a webhook can say, as typed events; each keeps the JSON that it was read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

RANKS = {"sent": 10, "failed": 20, "delivered": 30, "read": 40, "played": 50}
"""How much a status says, by WhatsApp's order; a failure counts only where nothing better is known, for one of several
devices may have failed. A status that is not listed has rank 0."""

OPTED_OUT_OF_MARKETING = 131050
"""Code of the error that a recipient has stopped marketing messages of the account."""
SOURCE_REFUSED = f"error_{OPTED_OUT_OF_MARKETING}"
"""The source of an opt-out that this error reports."""


ALERT_BUTTON = "awa1."
"""Begins the payload of every alert's button, and of nothing else."""
QUESTION_BUTTON = "awr1."
"""Begins the payload of every button and list entry that answers a question, and of nothing else."""
OWN_BUTTONS = (ALERT_BUTTON, QUESTION_BUTTON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """
    A receipt: one message reached one status.

    :param message_id: The wamid of the message.
    :param status: ``sent``, ``delivered``, ``read``, ``played``, ``failed``, or a word that WhatsApp has added since.
    :param participant: In a group, the participant; empty otherwise.
    :param account_id: WhatsApp Business Account.
    :param phone_number_id: The sending number's ID.
    :param recipient: Digits of the recipient's number; None where WhatsApp does not show it.
    :param recipient_user_id: The recipient's business-scoped user ID.
    :param occurred_at: When it happened; None where the event does not say.
    :param callback_data: The ``biz_opaque_callback_data`` of the send.
    :param error_code: Why it failed.
    :param error_title: The error's title.
    :param error_details: The error's explanation.
    :param price_category: What the message is billed as.
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

    :param message_id: Its wamid.
    :param kind: Its type: ``text``, ``button``, ``interactive``, ``image`` and so on.
    :param account_id: WhatsApp Business Account.
    :param phone_number_id: The number that it was sent to.
    :param sender: Digits of the sender's number; None where WhatsApp does not show it.
    :param sender_user_id: The sender's business-scoped user ID.
    :param profile_name: The name that the sender gave themselves.
    :param text: What the sender wrote, or the label of the button that they pressed.
    :param payload: What stands behind that button or list entry.
    :param context_id: The wamid of the message that it answers.
    :param occurred_at: When it was sent; None where the event does not say.
    :param raw: The message as JSON.
    :param contact: The sender's contact as JSON; None where there is none.
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
    Somebody wants no messages any more, or wants them again.

    :param account_id: WhatsApp Business Account.
    :param number: Digits of the number; None where WhatsApp does not show it.
    :param user_id: The business-scoped user ID.
    :param scope: What it concerns: ``all`` messages, or ``marketing`` alone.
    :param opted_out: False: they want them again.
    :param source: Where it comes from: ``user_preferences``, ``error_131050``, ``reply``.
    :param occurred_at: When; None where the event does not say.
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
    Anything else: templates, the account, errors, and what this version does not know.

    :param field: The webhook's field, and what of it: ``account_update``, ``messages.errors``; empty where it has none.
    :param account_id: WhatsApp Business Account.
    :param phone_number_id: The number that it is about; empty where it names none.
    :param occurred_at: When; None where the event does not say.
    :param raw: The event as JSON.
    """

    field: str
    account_id: str
    phone_number_id: str
    occurred_at: datetime | None
    raw: str


Event = Status | Inbound | Preference | Other
