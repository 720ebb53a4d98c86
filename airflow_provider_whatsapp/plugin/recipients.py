"""Each recipient of a task: the outcome that the task knows, and how far the message has got by its receipts."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.error_codes import look_up
from airflow_provider_whatsapp.client.masking import clean_line
from airflow_provider_whatsapp.delivery.report import STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow_provider_whatsapp.events.receipts import Receipt

OUTCOMES = ("accepted", "delivered", "read", "failed", "unknown", "skipped", "pending")
"""The possible outcomes; each recipient has one."""
LEFT = frozenset({"accepted", "delivered", "read"})
"""Outcomes of messages that WhatsApp has accepted."""
_LONGEST = 400
_REASONS = {
    "duplicate": "A duplicate: the list has the same recipient further up.",
    "suppressed": "The recipient is on the suppression list.",
    "dry_run": "A dry run sends nothing.",
    "stopped": "The task ended before it sent to them. A retry or a clear does.",
}
_UNKNOWN = (
    "The answer was lost, so the message may have arrived. Check its receipt before you send again: "
    'on_unknown="resend", or scope="unknown", may reach them twice.'
)
_STATES = {
    "accepted": "accepted",
    "sent": "accepted",
    "delivered": "delivered",
    "read": "read",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient."""

    position: int | None  # in the list, from 0; None: the task does not say
    to: str  # digits of the number, or the ID
    outcome: str  # one of OUTCOMES
    message_id: str = ""  # WhatsApp's, if it gave one
    code: int | None = None  # WhatsApp's error code
    why: str = ""  # what went wrong, or why nothing was sent
    advice: str = ""  # what to do about it
    sent_at: datetime | None = None  # when WhatsApp sent it on; None, as in the next three: no receipt says
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    failed_at: datetime | None = None

    @property
    def at(self) -> datetime | None:
        """The time of its furthest status."""
        return self.failed_at or self.read_at or self.delivered_at or self.sent_at


def is_report(value: Any) -> bool:
    """Return whether an XCom is the report of a task that sent."""
    return (
        isinstance(value, dict)
        and all(type(value.get(name)) is int and value[name] >= 0 for name in ("total", *STATUSES))
        and isinstance(value.get("results"), list)
    )


def from_outcome(outcome: Mapping[str, Any], position: int | None) -> Recipient | None:
    """Return the recipient of an outcome, in the form of ``Outcome.to_dict``; None: it is not an outcome."""
    to, status, reason = outcome.get("to"), outcome.get("status"), outcome.get("reason")
    if not isinstance(to, str) or status not in STATUSES:
        return None
    error = outcome.get("error")
    error = error if isinstance(error, dict) else {}
    why, advice = _text(error.get("message")), _text(error.get("advice"))
    details = _text(error.get("details"))
    if details and details not in why:
        why = f"{why} {details}"
    if status == "skipped":
        why = _REASONS.get(str(reason), _text(reason))
    elif status == "unknown":
        advice = _UNKNOWN
    code, message_id = error.get("code"), outcome.get("message_id")
    word = {"sent": "accepted", "skipped": "pending" if reason == "stopped" else "skipped"}.get(
        status, status
    )
    return Recipient(
        position=position,
        to=to[:_LONGEST],
        outcome=word,
        message_id=message_id[:_LONGEST] if status == "sent" and isinstance(message_id, str) else "",
        code=code if type(code) is int else None,
        why=why,
        advice=advice,
    )


def from_receipt(receipt: Receipt) -> Recipient:
    """Return the recipient of a message that only the event store knows."""
    return with_receipt(Recipient(receipt.position, receipt.recipient or "", "accepted"), receipt)


def with_receipt(it: Recipient, receipt: Receipt) -> Recipient:
    """Return a recipient with what the message's receipts say."""
    changes: dict[str, Any] = {
        name: getattr(receipt, name) for name in ("sent_at", "delivered_at", "read_at")
    }
    changes |= {"outcome": _STATES[receipt.status], "message_id": receipt.message_id, "why": "", "advice": ""}
    if receipt.status == "failed":
        known = look_up(receipt.error_code)
        changes |= {
            "failed_at": receipt.failed_at,
            "code": receipt.error_code,
            "why": _text(receipt.error_details or receipt.error_title) or known.meaning,
            "advice": known.advice,
        }
    return replace(it, **changes)


def merged(
    known: Sequence[Recipient], by_position: Mapping[int, Sequence[Receipt]], by_id: Mapping[str, Receipt]
) -> list[Recipient]:
    """Return the recipients with their receipts in the list's order, including those known only from receipts."""
    found = []
    positions = {each.position for each in known}
    for each in known:
        receipt = by_id.get(each.message_id)
        if receipt is None and each.position is not None and each.outcome not in ("skipped", "pending"):
            receipt = _best(by_position.get(each.position, ()), each.message_id)
        found.append(each if receipt is None else with_receipt(each, receipt))
    others = (_best(receipts, "") for position, receipts in by_position.items() if position not in positions)
    found += [from_receipt(receipt) for receipt in others if receipt is not None]
    # Recipients without a known position come last.
    return sorted(found, key=lambda each: (each.position is None, each.position or 0))


def _best(receipts: Iterable[Receipt], message_id: str) -> Receipt | None:
    """Return the receipt of a message; if its ID is not known, the furthest one."""
    some = list(receipts)
    own = [each for each in some if each.message_id == message_id] if message_id else some
    return max(own, key=lambda each: each.order, default=None)


def count(recipients: Iterable[Recipient]) -> Counter[str]:
    """Return the number of recipients by outcome."""
    return Counter(each.outcome for each in recipients)


def chosen(
    recipients: Iterable[Recipient], outcome: str, find: str, *, shown: Callable[[str], str] = str
) -> list[Recipient]:
    """Return the recipients with an outcome (empty: any), and with a text in the shown number, code or reason."""
    # The hidden part of a number cannot be searched for in pieces, because a few searches would reveal it. A complete
    # number finds its recipient, hidden or not.
    words = find.strip().casefold()
    digits = "".join(filter(str.isdigit, words)) if not any(map(str.isalpha, words)) else ""

    def matches(each: Recipient) -> bool:
        seen = shown(each.to).casefold()
        whole = words == each.to.casefold() or (bool(digits) and digits in (each.to, str(each.code)))
        part = bool(digits) and any(digits in run for run in re.findall(r"[0-9]+", seen))
        return whole or part or words in f"{seen} {each.why}".casefold()

    return [each for each in recipients if outcome in ("", each.outcome) and (not words or matches(each))]


def _text(value: Any) -> str:
    """Return a text from outside as one line, with numbers in it masked."""
    return clean_line(value, limit=_LONGEST) if isinstance(value, str) and value else ""
