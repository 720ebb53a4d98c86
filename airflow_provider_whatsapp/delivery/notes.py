"""What a ledger records: the job, the try, and the outcome of each recipient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

NoteStatus = Literal["sent", "failed", "unknown", "skipped"]


@dataclass(frozen=True, slots=True)
class Note:
    """
    The outcome of a recipient to whom the message was not simply sent.

    :param status: ``failed``, ``unknown``, ``skipped``; ``sent`` if the message's IDs are kept.
    :param facts: Facts of the error, or the message's IDs, and the epoch in which it left; JSON primitives.
    :param again: A later try may send, because certainly nothing left.
    """

    status: NoteStatus
    facts: dict[str, Any] = field(default_factory=dict, repr=False)
    again: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """
    What is sent to whom, so that a later try can recognise it.

    :param source: Digest of the recipients in their order.
    :param message: Digest of the message.
    :param total: Number of recipients.
    """

    source: str
    message: str
    total: int


@dataclass(frozen=True, slots=True)
class Try:
    """
    A try of the task.

    :param number: Number of the try, from 1.
    :param max_tries: Airflow's number of retries; a clear in the UI raises it and a retry does not, which distinguishes
        them.
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
