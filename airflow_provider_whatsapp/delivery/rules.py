"""The settings of a delivery."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_whatsapp.delivery.retry_policy import Begin, OnUnknown, State, sendable

AWAY = 300.0
"""Seconds for which answers wait in memory for a ledger that cannot be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How to deliver."""

    on_unknown: OnUnknown = "report"
    begin: Begin = "again"
    varied: bool = False  # the messages differ from recipient to recipient
    threads: int = 8
    rate: float = 0.0  # messages per second that the account allows; 0: no limit
    run: int = 5  # failures in a row that end the delivery, if they have one cause that is not the recipient
    away: float = AWAY  # seconds for which answers wait for a ledger that cannot be written
    recall: bool = False  # send nothing, and only report what the ledger knows of everybody

    @property
    def sendable(self) -> frozenset[State]:
        """The states in which a recipient is sent to."""
        return frozenset() if self.recall else sendable(self.begin, self.on_unknown)

    @property
    def in_flight(self) -> int:
        """The most claims without a result, if answers are slow or there is no rate limit."""
        return 2 * self.threads
