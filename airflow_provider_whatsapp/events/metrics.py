"""What the receiver counts and logs, without anybody's data."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

QUIET = 60.0
"""Seconds in which a reason of refusals is logged only once, so that nobody can fill the log with nonsense."""


class Metrics:
    """Counters, for Prometheus and for the log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.posts: Counter[int] = Counter()
        """Number of answers by HTTP status."""
        self._events: Counter[str] = Counter()
        self._commits = 0
        self._seconds = 0.0
        self._last_commit = 0.0
        self._clock = clock
        self._silent: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def committed(self, kinds: Mapping[str, int], seconds: float) -> None:
        """Count a commit, its events by kind, and its duration in seconds."""
        with self._lock:
            self._events.update(kinds)
            self._commits += 1
            self._seconds += seconds
            self._last_commit = time.time()

    def refused(self, why: str, *, level: int = logging.WARNING) -> None:
        """Log a refusal, at most once a minute for each reason; a reason contains no text from outside."""
        now = self._clock()
        until, count = self._silent.get(why, (0.0, 0))
        if now < until:
            self._silent[why] = until, count + 1
            return
        more = f" ({count} more since it was last logged)" if count else ""
        logger.log(level, "Refused a delivery: %s%s", why, more)
        if len(self._silent) > 100:
            self._silent.clear()
        self._silent[why] = now + QUIET, 0

    def text(self) -> str:
        """Return the counts in Prometheus's text format."""
        with self._lock:
            events, commits = dict(self._events), self._commits
            seconds, last = self._seconds, self._last_commit
        return "".join(
            [
                *_family("answers", "counter", "Answers to webhooks, by HTTP status", "status", self.posts),
                *_family(
                    "events", "counter", "Events that were committed, repeated ones included", "kind", events
                ),
                *_family("commits", "counter", "Transactions", "", {"": commits}),
                *_family("commit_seconds", "counter", "Seconds that transactions took", "", {"": seconds}),
                *_family("last_commit_timestamp_seconds", "gauge", "When the last one ended", "", {"": last}),
            ]
        )


def _family(name: str, kind: str, text: str, label: str, values: Mapping[Any, float]) -> list[str]:
    full = f"whatsapp_receiver_{name}" + ("_total" if kind == "counter" else "")
    rows = [
        f'{full}{{{label}="{key}"}} {value:.15g}\n' if label else f"{full} {value:.15g}\n"
        for key, value in sorted(values.items(), key=str)
    ]
    return [f"# HELP {full} {text}.\n# TYPE {full} {kind}\n", *rows]
