"""A delivery's ledger: claims that are not handed out yet, and results that are not written yet."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections import Counter
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.delivery.ledger import Note
from airflow_provider_whatsapp.delivery.stores import LedgerError
from airflow_provider_whatsapp.delivery.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from airflow_provider_whatsapp.delivery.ledger import Ledger
    from airflow_provider_whatsapp.delivery.recipients import Row
    from airflow_provider_whatsapp.delivery.report import Outcome

logger = logging.getLogger(__name__)

PAUSES = (1.0, 2.0, 5.0, 10.0)
"""Seconds between tries to write a ledger that cannot be reached; the last value repeats."""
LEAST = 0.5
"""The least time, in seconds, for the last write."""
SHOWN = 10
"""The most recipients that one log line names."""


class Book:
    """Writes the ledger for one thread, waits if it cannot be reached, and logs what could not be written."""

    def __init__(self, ledger: Ledger, *, away: float) -> None:
        self._ledger = ledger  # begun already
        self._away = away  # the longest wait, in seconds, for a ledger that cannot be written
        self._writer = Writer(ledger.flush)
        self._until = math.inf
        self._held: dict[int, Row] = {}
        self._unwritten: list[tuple[Row, Outcome]] = []

    def hurry(self, seconds: float) -> None:
        """Limit the remaining time, in seconds, never extend it. A signal handler may call this."""
        self._until = min(self._until, time.monotonic() + seconds)

    def has_time(self) -> bool:
        """Return whether there is time left."""
        return time.monotonic() < self._until

    def claim(self, rows: Sequence[Row]) -> None:
        """Claim recipients; they may be handed out once :meth:`commit` has returned."""
        self._held = {row.position: row for row in rows}
        self._ledger.claim((row.position, row.group) for row in rows)

    def record(self, row: Row, outcome: Outcome) -> None:
        """Accept a result; the next :meth:`commit` makes it durable."""
        self._ledger.record(row.position, outcome.to_note())
        self._unwritten.append((row, outcome))

    def commit(self, idle: Callable[[float], object]) -> float:
        """Make claims and results durable, and return the seconds that the write took; raises LedgerError."""
        # idle does something else for at most the given seconds, between two tries to write the ledger.
        began, warned = time.monotonic(), False
        for pause in itertools.chain(PAUSES, itertools.repeat(PAUSES[-1])):
            try:
                seconds = self._writer.flush(lambda: self._until)
            except LedgerError as error:
                if error.permanent or time.monotonic() + pause > min(began + self._away, self._until):
                    raise
                if not warned:
                    warned = True
                    self._warn(error)
                self._wait(pause, idle)
                continue
            if warned:
                logger.info(
                    "The ledger is back after %.0f s, and the task continues.", time.monotonic() - began
                )
            self._unwritten.clear()
            return seconds
        raise AssertionError

    def _warn(self, error: LedgerError) -> None:
        logger.warning(
            "%s. Nothing new is sent until the ledger is back, for %.0f s at most; %d answers wait for it.",
            error.message,
            self._away,
            len(self._unwritten),
        )

    def _wait(self, seconds: float, idle: Callable[[float], object]) -> None:
        until = time.monotonic() + seconds
        while (left := min(until, self._until) - time.monotonic()) > 0:
            idle(min(left, LEAST))

    def hand_out(self, row: Row) -> None:
        """Record that a recipient is now with the sending threads."""
        del self._held[row.position]

    def close(self, handed_out: Container[int]) -> list[Row]:
        """Release and return the claims never handed out, write a last time, and log what was not written."""
        until = max(self._until, time.monotonic() + LEAST)
        # handed_out are positions whose message may have left.
        back = [row for row in self._held.values() if row.position not in handed_out]
        if not self._writer.settle(until):
            self._log_lost("a write did not end in time")
            return back
        for row in back:
            self._ledger.record(row.position, Note("skipped", {"reason": "stopped"}, again=True))
        try:
            self._writer.flush(lambda: until)
        except LedgerError as error:
            self._log_lost(error.message)
        return back

    def _log_lost(self, why: str) -> None:
        counts = Counter(outcome.status for _, outcome in self._unwritten)
        places = [row.where or f"recipient {row.position + 1}" for row, _ in self._unwritten]
        more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
        logger.error(
            "The last results could not be written to the ledger (%s). A later try counts as unknown: %s (%s%s).",
            why,
            ", ".join(f"{count} {status}" for status, count in counts.items()) or "none that came back",
            ", ".join(places[:SHOWN]) or "nobody",
            more,
        )

    def dismiss(self) -> None:
        """Let the writing thread end."""
        self._writer.close()
