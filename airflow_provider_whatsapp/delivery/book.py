"""The ledger as a delivery keeps it: what is claimed and not handed out, what has come back and is not written."""

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
"""Seconds between the tries to write a ledger that is away; the last one goes on."""
LEAST = 0.5
"""Seconds that the last write gets in any case."""
SHOWN = 10
"""Recipients that one line of the log names."""


class Book:
    """
    Writes the ledger for one thread, waits for it where it is away, and says what it could not write.

    :param ledger: Begun already.
    :param away: Seconds to wait for a ledger that cannot be written.
    """

    def __init__(self, ledger: Ledger, *, away: float) -> None:
        self._ledger = ledger
        self._away = away
        self._writer = Writer(ledger.flush)
        self._until = math.inf
        self._held: dict[int, Row] = {}
        self._unwritten: list[tuple[Row, Outcome]] = []

    def hurry(self, seconds: float) -> None:
        """
        Have so much time left, and no more than before. May be called from a signal handler.

        :param seconds: How much.
        """
        self._until = min(self._until, time.monotonic() + seconds)

    def has_time(self) -> bool:
        """Say whether there is time left."""
        return time.monotonic() < self._until

    def claim(self, rows: Sequence[Row]) -> None:
        """
        Claim recipients; they may be handed out once :meth:`commit` has returned.

        :param rows: Who.
        """
        self._held = {row.position: row for row in rows}
        self._ledger.claim((row.position, row.group) for row in rows)

    def record(self, row: Row, outcome: Outcome) -> None:
        """
        Take what came back; the next :meth:`commit` makes it durable.

        :param row: The recipient.
        :param outcome: What became of them.
        """
        self._ledger.record(row.position, outcome.to_note())
        self._unwritten.append((row, outcome))

    def commit(self, idle: Callable[[float], object]) -> float:
        """
        Make claims and results durable, and return the seconds that the write took.

        :param idle: Does something else for so many seconds at most, between two tries of a ledger that is away.
        :raises LedgerError: It stayed away, or belongs to another try now.
        """
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
        """
        Take note that a recipient is with the threads from now on.

        :param row: The recipient.
        """
        del self._held[row.position]

    def close(self, handed_out: Container[int]) -> list[Row]:
        """
        Give back what was claimed and never handed out, write for the last time, and say what could not be written.

        :param handed_out: Positions of those whose message may have left.
        :return: Who was given back.
        """
        until = max(self._until, time.monotonic() + LEAST)
        back = [row for row in self._held.values() if row.position not in handed_out]
        if not self._writer.settle(until):
            self._say_lost("a write did not end in time")
            return back
        for row in back:
            self._ledger.record(row.position, Note("skipped", {"reason": "stopped"}, again=True))
        try:
            self._writer.flush(lambda: until)
        except LedgerError as error:
            self._say_lost(error.message)
        return back

    def _say_lost(self, why: str) -> None:
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
        """Let the thread that writes end."""
        self._writer.close()
