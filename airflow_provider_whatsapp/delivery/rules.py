"""The settings of a delivery."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_whatsapp.delivery.retry_policy import Begin, OnUnknown, State, sendable

AWAY = 300.0
"""Seconds for which answers wait in memory for a ledger that cannot be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """
    How to deliver.

    :param on_unknown: What to do with recipients whose answer an earlier try lost.
    :param begin: How the try begins, as the ledger returns it.
    :param varied: The messages differ from recipient to recipient.
    :param threads: Number of parallel requests.
    :param rate: Messages per second that the account allows; 0: no limit.
    :param run: Number of failures in a row that ends the delivery, if they have the same cause and it is not the
        recipient.
    :param away: Seconds for which answers wait for a ledger that cannot be written.
    :param recall: Send nothing, and only report what the ledger knows of everybody.
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
        """The states in which a recipient is sent to."""
        return frozenset() if self.recall else sendable(self.begin, self.on_unknown)

    @property
    def in_flight(self) -> int:
        """The most claims without a result, if answers are slow or there is no rate limit."""
        return 2 * self.threads
