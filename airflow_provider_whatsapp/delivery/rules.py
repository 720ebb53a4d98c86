"""How a delivery goes, as values."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_whatsapp.delivery.retry_policy import Begin, OnUnknown, State, sendable

AWAY = 300.0
"""Seconds that answers wait in memory for a ledger that cannot be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """
    How to deliver.

    :param on_unknown: What to do with those whose answer an earlier try has lost.
    :param begin: How the try begins, as the ledger returns it.
    :param varied: The messages differ from recipient to recipient.
    :param threads: Requests at a time.
    :param rate: Messages per second that the account allows; 0: no limit.
    :param run: Failures in a row, of the same cause that is not the recipient's, that end the delivery.
    :param away: Seconds that answers wait for a ledger that cannot be written.
    :param recall: Send to nobody: only report what the ledger knows of everybody.
    """

    on_unknown: OnUnknown = "report"
    begin: Begin = "again"
    varied: bool = False
    threads: int = 8
    rate: float = 0.0
    run: int = 5
    away: float = AWAY
    recall: bool = False

    @property
    def sendable(self) -> frozenset[State]:
        """States of those who are sent to."""
        return frozenset() if self.recall else sendable(self.begin, self.on_unknown)

    @property
    def in_flight(self) -> int:
        """Recipients that are claimed without a result at most, where answers are slow or there is no limit."""
        return 2 * self.threads
