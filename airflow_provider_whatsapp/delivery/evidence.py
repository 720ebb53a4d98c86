"""
What a receipt proves about a message whose answer was lost, or which WhatsApp accepted and could not deliver.

A receipt is about a message if it repeats that message's callback data, and names the same person if it names one.
Anyone who knows the names of DAG, run and task can compute callback data, so an unsigned receipt proves less: it may
resolve an unknown message, but it never causes a message to be sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.error_codes import look_up
from airflow_provider_whatsapp.client.phone import canonical
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.delivery.report import Outcome
from airflow_provider_whatsapp.delivery.retry_policy import proven

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airflow_provider_whatsapp.client.errors import APIError
    from airflow_provider_whatsapp.delivery.ledger import Ledger
    from airflow_provider_whatsapp.delivery.notes import Note
    from airflow_provider_whatsapp.delivery.recipients import Row
    from airflow_provider_whatsapp.delivery.retry_policy import State
    from airflow_provider_whatsapp.events.receipts import Receipt


def names(receipt: Receipt, to: str) -> bool:
    """Return whether a receipt may be about a message to a recipient."""
    if receipt.recipient is None or not to.isdigit():  # an ID cannot be compared with a number
        return True
    return canonical(receipt.recipient) == canonical(to)


def proof(receipts: Iterable[Receipt], *, epoch: int | None, to: str) -> Receipt | None:
    """Return the receipt that gives the outcome of a message whose answer was lost; None: there is none."""
    own = [receipt for receipt in receipts if epoch in (None, receipt.epoch) and names(receipt, to)]
    found = [receipt for receipt in own if proves(receipt)]
    return max(found, key=lambda receipt: (receipt.verified, receipt.order), default=None)


def proves(receipt: Receipt) -> bool:
    """Return whether a receipt resolves an unknown message; an unsigned failure alone does not."""
    return _proven(receipt) is not None


def has_failed(receipt: Receipt) -> bool:
    """Return whether a message whose answer was lost has certainly failed, by a signed receipt."""
    return _proven(receipt) == "permanent"


def _proven(receipt: Receipt) -> State | None:
    return proven(receipt.status, signed=receipt.verified, accepted=receipt.sent_at is not None)


def error_of(receipt: Receipt) -> APIError:
    """Return why WhatsApp could not deliver a message, as the error of a refusal with the same code."""
    known = look_up(receipt.error_code)
    said = receipt.error_title or (known.meaning if receipt.error_code is not None else "no reason was given")
    return known.error(
        f"WhatsApp accepted the message and could not deliver it: {said}",
        code=receipt.error_code,
        details=receipt.error_details,
        advice=known.advice,
        permanent=True,  # for any code: WhatsApp has accepted it once, so no retry repeats it
    )


def code_in(said: str) -> int | None:
    """Return WhatsApp's code at the start of a text like ``(#131047) Message failed``; None: there is none."""
    number = said.removeprefix("(#").partition(")")[0] if said.startswith("(#") else ""
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None


class LostAnswers:
    """Resolves recipients whose answer an earlier try lost, by receipts: sent, failed, or still unknown."""

    def __init__(
        self, ledger: Ledger, find: Callable[[Sequence[int]], Mapping[int, Sequence[Receipt]]]
    ) -> None:
        self._ledger = ledger  # begun already
        self._found = find(ledger.unknown_positions)
        self.accepted = 0
        """The number of them to whom the message was sent."""
        self.failed = 0
        """The number of them whose message has certainly failed."""

    def __call__(self, row: Row, note: Note) -> Note:
        """Return what is now known of a recipient; the next write of the ledger keeps it."""
        receipt = proof(self._found.get(row.position, ()), epoch=note.facts.get("epoch", 0), to=row.to)
        if receipt is None:
            return note
        if has_failed(receipt):
            self.failed += 1
            outcome = Outcome(row.to, "failed", error=error_of(receipt))
        else:
            self.accepted += 1
            sent = SentMessage(message_id=receipt.message_id, wa_id=receipt.recipient, to=row.to)
            outcome = Outcome(row.to, "sent", sent=sent)
        found = outcome.to_note()
        found.facts["epoch"] = receipt.epoch  # the message carries the epoch of the try that sent it
        self._ledger.record(row.position, found)
        return found
