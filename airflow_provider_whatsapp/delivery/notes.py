"""What a ledger records: the job, the try, and the outcome of each recipient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

NoteStatus = Literal["sent", "failed", "unknown", "skipped"]


@dataclass(frozen=True, slots=True)
class Note:
    """The outcome of a recipient to whom the message was not simply sent."""

    status: NoteStatus  # sent only if the message's IDs are kept
    facts: dict[str, Any] = field(default_factory=dict, repr=False)  # error or IDs, and epoch, as JSON
    again: bool = False  # a later try may send, because certainly nothing left


@dataclass(frozen=True, slots=True)
class Job:
    """What is sent to whom, so that a later try can recognise it."""

    source: str  # digest of the recipients in their order
    message: str  # digest of the message
    total: int


@dataclass(frozen=True, slots=True)
class Try:
    """A try of the task."""

    number: int = 1
    max_tries: int = 0  # Airflow's number of retries; a clear in the UI raises it, and a retry does not


LOST = Note(
    "unknown",
    {
        "type": "OutcomeUnknownError",
        "message": "an earlier try ended before the answer was written down; the message may have been sent",
    },
)
