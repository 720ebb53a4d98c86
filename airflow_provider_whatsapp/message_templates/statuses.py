"""What a template's status means, and what to do about it: all errors, plans and pages use these texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Status:
    """A status in which a template cannot be sent."""

    meaning: str  # what has happened, as a clause
    remedy: str  # what to do, as a clause
    lasting: bool = True  # waiting does not make it APPROVED

    @property
    def clause(self) -> str:
        """Meaning and remedy, without a capital and a full stop."""
        return f"{self.meaning}: {self.remedy}"

    @property
    def advice(self) -> str:
        """Meaning and remedy, as a sentence."""
        return f"{self.clause[0].upper()}{self.clause[1:]}."


_RECREATE = "create another one, under a new name or in 30 days"

STATUSES = {
    "PENDING": Status(
        "it is in Meta's review",
        "wait until the review has ended, as TemplateApprovalSensor does",
        lasting=False,
    ),
    "IN_APPEAL": Status("its rejection is being appealed", "wait until Meta has decided", lasting=False),
    "REJECTED": Status(
        "Meta has rejected it", "change it so that Meta's reason no longer applies, and submit it again"
    ),
    "PAUSED": Status(
        "Meta has paused it for low quality (3 hours, then 6)", "wait, and improve it; it then comes back"
    ),
    "DISABLED": Status("Meta has disabled it for good", "create another template under a new name"),
    "PENDING_DELETION": Status("it is being deleted", _RECREATE),
    "DELETED": Status("it was deleted", _RECREATE),
    "LIMIT_EXCEEDED": Status("the account has as many templates as Meta allows", "delete some"),
    "ARCHIVED": Status(
        "it is archived, and Meta removes it 28 days later", "unarchive it in WhatsApp Manager"
    ),
}
"""All except APPROVED. Meta adds new ones: a status that is not listed here counts as one that passes."""


def status_of(row: Mapping[str, Any]) -> str:
    """Return a template's status in capitals; empty if Graph does not list it."""
    return str(row.get("status") or "").upper()


def rejection(row: Mapping[str, Any]) -> str:
    """Return Meta's reason for a rejection in brackets, after a space; empty if there is none."""
    reason = row.get("rejected_reason")
    return f" ({reason})" if reason and reason != "NONE" else ""
