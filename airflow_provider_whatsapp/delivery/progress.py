"""The progress of a delivery: a log line at a steady interval, and numbers for metrics."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.phone import mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_whatsapp.delivery.report import Outcome

logger = logging.getLogger(__name__)

INTERVAL = 30.0
"""Seconds between two lines."""
NAMED = 20
"""The most recipients without a message that the log names; the report has the others."""


class Progress:
    """Counts outcomes, and logs the progress at a steady interval."""

    def __init__(
        self,
        total: int,
        *,
        interval: float = INTERVAL,  # seconds between two lines
        each: bool = False,  # name every recipient in the log, for a short list
        show: Callable[[str], str] = mask,
        observe: Callable[[dict[str, int], float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total = total
        self._interval = interval
        self._each = each
        self._show = show
        self._observe = observe  # gets the counts since its last call, and the messages per second
        self._clock = clock
        self._began = self._last = clock()
        self._done = 0
        self._now = {"sent": 0, "failed": 0, "unknown": 0}
        self._seen = dict(self._now)
        self._reported = dict(self._now)
        self._named = 0

    def count(self, outcome: Outcome, *, now: bool) -> None:
        """Count an outcome; ``now``: this try has just sent to the recipient, or tried; False: an earlier try."""
        self._done += 1
        if outcome.status in self._seen:
            self._seen[outcome.status] += 1
            self._now[outcome.status] += now
        self._name(outcome, now=now)
        if now:
            self.tick()

    def _name(self, outcome: Outcome, *, now: bool) -> None:
        if outcome.sent is not None and now and self._each:
            # The beginning of a message ID is the recipient's number, encoded.
            to, end = self._show(outcome.to), outcome.sent.message_id[-12:]
            logger.info("WhatsApp accepted the message to %s: ...%s", to, end)
        elif outcome.error is not None and (self._each or self._named < NAMED):
            self._named += 1
            what = "Not known whether it was sent to" if outcome.status == "unknown" else "Not sent to"
            logger.error("%s %s: %s", what, self._show(outcome.to), outcome.error)

    def tick(self) -> None:
        """Log a line if one is due."""
        if self._clock() - self._last >= self._interval:
            self._last = self._clock()
            logger.info("WhatsApp: %s", self.line())
            self._report()

    def end(self) -> None:
        """Report the counts that have not been reported yet."""
        self._report()

    def line(self) -> str:
        """Return the state as text: ``1200 of 5000 sent, 3 failed, 0 unknown; 9.9 per second, 6 min left``."""
        rate = self._rate()
        left = (self._total - self._done) / rate if rate else 0.0
        time_left = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
        seen = self._seen
        return (
            f"{seen['sent']} of {self._total} sent, {seen['failed']} failed, {seen['unknown']} unknown; "
            f"{rate:.1f} per second, {time_left} left"
        )

    def _rate(self) -> float:
        passed = self._clock() - self._began
        return sum(self._now.values()) / passed if passed > 0 else 0.0

    def _report(self) -> None:
        if self._observe is not None:
            news = {status: count - self._reported[status] for status, count in self._now.items()}
            self._reported = dict(self._now)
            self._observe(news, self._rate())
