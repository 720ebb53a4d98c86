"""How a delivery goes, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OnUnknown = Literal["report", "resend"]
AWAY = 300.0
"""Seconds that answers wait in memory for a ledger that cannot be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """
    How to deliver.

    :param on_unknown: What to do with those whose answer an earlier try has lost.
    :param retry_refused: Send also to those whom an earlier try found refused for good; what refused them may be fixed.
    :param varied: The messages differ from recipient to recipient.
    :param threads: Requests at a time.
    :param rate: Messages per second that the account allows; 0: no limit.
    :param run: Failures in a row, of the same cause that is not the recipient's, that end the delivery.
    :param away: Seconds that answers wait for a ledger that cannot be written.
    :param recall: Send to nobody: only report what the ledger knows of everybody.
    """

    on_unknown: OnUnknown = "report"
    retry_refused: bool = False
    varied: bool = False
    threads: int = 8
    rate: float = 0.0
    run: int = 5
    away: float = AWAY
    recall: bool = False

    @property
    def in_flight(self) -> int:
        """Recipients that are claimed without a result at most, where answers are slow or there is no limit."""
        return 2 * self.threads
