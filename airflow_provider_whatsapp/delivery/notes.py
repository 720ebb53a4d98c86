"""What a ledger records: the job, the try, and the outcome of each recipient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

NoteStatus = Literal["sent", "failed", "unknown", "skipped"]


@dataclass(frozen=True, slots=True)
class Note:
    """
    What became of a recipient to whom it was not simply sent.

    :param status: ``failed``, ``unknown``, ``skipped``; ``sent`` where the message's ids are kept.
    :param facts: Of the error, or the message's ids, and the epoch in which it left; JSON primitives.
    :param again: A later try may send, because certainly nothing left.
    """

    status: NoteStatus
    facts: dict[str, Any] = field(default_factory=dict, repr=False)
    again: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """
    What is sent to whom, to be recognised by a later try.

    :param source: Digest of the recipients in their order.
    :param message: Digest of what they are sent.
    :param total: Number of recipients.
    """

    source: str
    message: str
    total: int


@dataclass(frozen=True, slots=True)
class Try:
    """
    Which try of the task this is.

    :param number: From 1.
    :param max_tries: Airflow's count of retries; a clear in the UI raises it, a retry does not, so it tells them apart.
    """

    number: int = 1
    max_tries: int = 0


LOST = Note(
    "unknown",
    {
        "type": "OutcomeUnknownError",
        "message": "an earlier try ended before the answer was written down; the message may have been sent",
    },
)
