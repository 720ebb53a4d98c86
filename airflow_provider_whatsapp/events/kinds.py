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
    """A receipt: a message has reached a status."""

    message_id: str  # wamid
    status: str  # sent, delivered, read, played, failed, or a word that WhatsApp has added since
    participant: str  # in a group; otherwise ""
    account_id: str  # WhatsApp Business Account
    phone_number_id: str  # of the sending number
    recipient: str | None  # digits; None if WhatsApp does not show the number
    recipient_user_id: str | None  # business-scoped
    occurred_at: datetime | None  # None if the event does not say
    callback_data: str | None  # the send's biz_opaque_callback_data
    error_code: int | None
    error_title: str | None
    error_details: str | None
    price_category: str | None  # in which the message is billed
    price_type: str | None  # regular (billed), free_customer_service and the like
    price_model: str | None
    billable: bool | None
    raw: str  # JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A message from a person: text, a button, a reaction, a file and so on."""

    message_id: str  # wamid
    kind: str  # text, button, interactive, image and so on
    account_id: str
    phone_number_id: str  # of the receiving number
    sender: str | None  # digits; None if WhatsApp does not show the number
    sender_user_id: str | None  # business-scoped
    profile_name: str | None
    text: str | None  # the sender's, or the label of the pressed button
    payload: str | None  # of the pressed button or list entry
    context_id: str | None  # wamid of the answered message
    occurred_at: datetime | None  # None if the event does not say
    raw: str  # JSON
    contact: str | None  # the sender's, as JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """A person wants no more messages, or wants them again."""

    account_id: str
    number: str | None  # digits; None if WhatsApp does not show the number
    user_id: str | None  # business-scoped
    scope: Literal["all", "marketing"]
    opted_out: bool  # False: they want messages again
    source: str  # user_preferences, error_131050 or reply
    occurred_at: datetime | None  # None if the event does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Any other event: templates, the account, errors, and what this version does not know."""

    field: str  # the webhook's field and the part of it: account_update, messages.errors; "" if it has none
    account_id: str
    phone_number_id: str  # of the number that it is about; "" if it names none
    occurred_at: datetime | None  # None if the event does not say
    raw: str  # JSON


Event = Status | Inbound | Preference | Other
