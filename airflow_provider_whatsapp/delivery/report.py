"""What became of each recipient, as the JSON that an operator returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_whatsapp.client.errors import WhatsAppError
    from airflow_provider_whatsapp.client.resources.messages import SentMessage

Status = Literal["sent", "failed", "unknown", "skipped"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What became of one recipient.

    :param to: Digits of the number, or the id.
    :param status: ``sent`` (accepted by WhatsApp, not yet delivered), ``failed``, ``unknown`` (it left and no answer
        came back) or ``skipped`` (nothing left).
    :param sent: What WhatsApp accepted.
    :param error: Why not.
    """

    to: str
    status: Status
    sent: SentMessage | None = None
    error: WhatsAppError | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON primitives."""
        row: dict[str, Any] = {"to": self.to, "status": self.status}
        if self.sent is not None:
            row |= {"message_id": self.sent.message_id, "wa_id": self.sent.wa_id}
            if self.sent.message_status:
                row["message_status"] = self.sent.message_status
        if self.error is not None:
            row["error"] = self.error.to_dict()
        return row


@dataclass(slots=True)
class Report:
    """
    What became of all recipients of a task.

    :param outcomes: One per recipient, in their order.
    """

    outcomes: list[Outcome] = field(default_factory=list)

    def count(self, status: Status) -> int:
        """
        Return how many ended so.

        :param status: The end.
        """
        return sum(outcome.status == status for outcome in self.outcomes)

    def errors(self) -> Iterable[WhatsAppError]:
        """Yield the errors, in the order of the recipients."""
        return (outcome.error for outcome in self.outcomes if outcome.error is not None)

    def summary(self) -> str:
        """Return the counts in words: ``2 sent, 1 failed of 3``."""
        statuses: tuple[Status, ...] = ("sent", "failed", "unknown", "skipped")
        counts = [f"{self.count(status)} {status}" for status in statuses if self.count(status)]
        return f"{', '.join(counts) or 'none sent'} of {len(self.outcomes)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON primitives, fit for XCom."""
        return {
            "total": len(self.outcomes),
            "sent": self.count("sent"),
            "failed": self.count("failed"),
            "unknown": self.count("unknown"),
            "skipped": self.count("skipped"),
            "results": [outcome.to_dict() for outcome in self.outcomes],
        }
