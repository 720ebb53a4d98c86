"""The outcome of each recipient, and the report that an operator returns as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_whatsapp.client import errors
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.delivery.ledger import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_whatsapp.delivery.routing import Router

Status = Literal["sent", "failed", "unknown", "skipped"]
STATUSES: tuple[Status, ...] = ("sent", "failed", "unknown", "skipped")
HELD = "held_for_quality_assessment"
SHOWN_FAILURES = 100
"""The most outcomes that a report of many recipients lists; the results file has the others."""
_FACTS = ("type", "message", "code", "subcode", "http_status", "details", "retry_after", "permanent")
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one recipient."""

    to: str = field(repr=False)  # digits of the number, or the ID; the given text if it is neither
    status: Status  # sent: accepted by WhatsApp; unknown: it left without an answer; skipped: nothing left
    sent: SentMessage | None = None  # None for a message of an earlier try whose IDs were not kept
    error: errors.WhatsAppError | None = None
    reason: str | None = None  # of skipped: duplicate, suppressed or stopped (the delivery ended before)
    callback_data: str | None = field(default=None, repr=False)  # of a message that left, or may have
    reached: str | None = None  # delivered or read, if a receipt says so; None: not known

    @property
    def again(self) -> bool:
        """Whether a later try may send: certainly nothing left, and a retry may help."""
        if self.status == "skipped":
            return self.reason == "stopped"
        return self.status == "failed" and self.error is not None and not self.error.permanent

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON primitives."""
        row: dict[str, Any] = {"to": self.to, "status": self.reached or self.status}
        if self.sent is not None:
            row |= {"message_id": self.sent.message_id, "wa_id": self.sent.wa_id}
            if self.sent.message_status:
                row["message_status"] = self.sent.message_status
            if self.sent.endpoint != "messages":
                row["endpoint"] = self.sent.endpoint
        if self.error is not None:
            row["error"] = self.error.to_dict()
        if self.reason is not None:
            row["reason"] = self.reason
        return row

    def to_note(self) -> Note:
        """Return the note for the ledger: without the number, and with texts shortened."""
        facts: dict[str, Any] = {}
        if self.sent is not None:
            facts = {"message_id": self.sent.message_id, "wa_id": self.sent.wa_id}
            facts |= {"message_status": self.sent.message_status} if self.sent.message_status else {}
            facts |= {"endpoint": self.sent.endpoint} if self.sent.endpoint != "messages" else {}
        elif self.error is not None:
            known = self.error.to_dict()
            facts = {key: _short(known[key]) for key in _FACTS if key in known}
        elif self.reason is not None:
            facts = {"reason": self.reason}
        return Note(self.status, facts, self.again)


def from_note(to: str, note: Note) -> Outcome:
    """Return the outcome that an earlier try has recorded."""
    facts = dict(note.facts)
    facts.pop("epoch", None)
    if note.status == "skipped":
        return Outcome(to, "skipped", reason=facts.get("reason"))
    if note.status == "sent":
        sent = SentMessage(
            message_id=facts["message_id"],
            wa_id=facts.get("wa_id"),
            to=to,
            message_status=facts.get("message_status"),
            endpoint=facts.get("endpoint", "messages"),
        )
        return Outcome(to, "sent", sent=sent)
    kind = getattr(errors, str(facts.pop("type", "")), errors.WhatsAppError)
    error = kind.__new__(kind)
    # Subclasses have other arguments; the facts are those of the base class.
    errors.WhatsAppError.__init__(error, facts.pop("message", "failed in an earlier try"), **facts)
    return Outcome(to, note.status, error=error)


def _short(value: Any) -> Any:
    return value[:_LONGEST] if isinstance(value, str) else value


@dataclass(slots=True)
class Report:
    """The outcomes of all recipients of a task."""

    limit: int | None = None  # the most outcomes to keep, of recipients not sent to; None: every outcome
    route: Router | None = None  # None: there was no choice of endpoint
    _kept: list[tuple[int, Outcome]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    held: int = 0
    again: int = 0
    first_error: errors.WhatsAppError | None = None
    first_again: errors.WhatsAppError | None = None
    stopped: errors.WhatsAppError | None = None

    @property
    def outcomes(self) -> list[Outcome]:
        """The kept outcomes, in the order of the recipients."""
        return [outcome for _, outcome in sorted(self._kept, key=itemgetter(0))]

    def add(self, outcome: Outcome, position: int) -> None:
        """Count an outcome."""
        self.counts[outcome.status] += 1
        if outcome.reason is not None:
            self.reasons[outcome.reason] += 1
        if outcome.sent is not None and outcome.sent.message_status == HELD:
            self.held += 1
        self.again += outcome.again
        self.first_error = self.first_error or outcome.error
        if outcome.again:
            self.first_again = self.first_again or outcome.error
        wanted = outcome.status in ("failed", "unknown") and len(self._kept) < (self.limit or 0)
        if self.limit is None or wanted:
            self._kept.append((position, outcome))

    @property
    def total(self) -> int:
        """The number of recipients."""
        return self.counts.total()

    def count(self, status: Status) -> int:
        """Return the number of recipients with a status."""
        return self.counts[status]

    def errors(self) -> Iterable[errors.WhatsAppError]:
        """Yield the errors of the kept outcomes, in the order of the recipients."""
        return (outcome.error for outcome in self.outcomes if outcome.error is not None)

    def summary(self) -> str:
        """Return the counts as text: ``2 sent, 1 failed of 3``."""
        counts = [f"{self.count(status)} {status}" for status in STATUSES if self.count(status)]
        held = f"{self.held} held for quality assessment" if self.held else ""
        more = ", ".join(filter(None, (held, self.route.summary() if self.route is not None else "")))
        return f"{', '.join(counts) or 'none sent'} of {self.total}{f' ({more})' if more else ''}"

    def named(self, show: Callable[[str], str]) -> str:
        """Return who did not get an accepted message, and why; empty, because this report does not know it."""
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON primitives for XCom."""
        row: dict[str, Any] = {"total": self.total}
        row |= {status: self.count(status) for status in STATUSES}
        if self.held:
            row["held"] = self.held
        if self.route is not None:
            row |= self.route.to_dict()
        if self.reasons:
            row["skipped_because"] = dict(self.reasons)
        return row | {"results": [outcome.to_dict() for outcome in self.outcomes]}
