"""How many recipients are claimed ahead: only enough to keep the rate, so that a crash leaves few unknown."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 0.3
"""Seconds within which a claimed message should leave; longer if a write to the ledger takes longer."""
_FASTEST = 1e6
_MEMORY = 3.0
"""Seconds over which departures are counted; older ones fade."""
_LEARN = 0.3
"""Weight of a measured write in the estimate of the next one."""
_SAFETY = 2.0
"""Messages that are still to leave when the next write begins, in writes' worth, so that the rate has no gap."""


def threads_for(rate: float, total: int, shards: int = 1) -> int:
    """Return how many parallel requests use the full rate per second (0: no limit) if an answer takes up to 0.8 s."""
    # Shards share the rate. A shard's requests in flight are unknown after a crash, so each shard gets only as many as
    # use the rate while half of the shards run.
    share = rate * min(1.0, 2 / shards)
    wanted = max(2, min(32, round(share * 0.8))) if rate else 8
    return min(wanted, -(-total // 8)) or 1  # a short list keeps its order


class ClaimWindow:
    """Measures how fast claimed messages leave, and decides how many to claim; safe to use from many threads."""

    def __init__(
        self, threads: int, rate: float = 0.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._threads = threads
        self._limit = rate or _FASTEST  # messages per second; other tasks may use a part of it
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting = 0
        self._since = 0.0
        self._left = 0.0
        self._seconds = 0.0
        self._write = 0.0

    @property
    def waiting(self) -> int:
        """The number of claimed messages that have not left."""
        return self._waiting

    def claimed(self, count: int) -> None:
        """Record a group of claims, whose messages may leave now."""
        with self._lock:
            if not self._waiting:
                self._since = self._clock()
            self._waiting += count
            if self._seconds > _MEMORY:
                self._left *= _MEMORY / self._seconds
                self._seconds = _MEMORY

    def left(self) -> bool:
        """Record a message that leaves now or never will, and return whether it is time to claim the next group."""
        with self._lock:
            now = self._clock()
            self._seconds += now - self._since
            self._left += 1
            self._since = now
            self._waiting -= 1
            # True once for each group: waking a thread for nothing costs as much as a part of a message.
            return self._waiting in (0, self._low())

    def wrote(self, seconds: float) -> None:
        """Record a write to the ledger, and its duration in seconds."""
        with self._lock:
            self._write += (seconds - self._write) * (_LEARN if self._write else 1.0)

    def next(self, room: int, out: int) -> int:
        """Return how many of ``room`` to claim now, while ``out`` claims have no result; 0: none yet."""
        with self._lock:
            if out and self._waiting > self._low():
                return 0
            size = max(1, math.ceil(self._pace() * max(WINDOW, self._write)))
            # A group rather than a single recipient, because each claim costs a write.
            return min(size, room) if not out or room >= min(size, self._threads) else 0

    def _pace(self) -> float:
        """Return how many messages leave per second while some are waiting."""
        return min(self._limit, self._left / self._seconds) if self._seconds else self._limit

    def _low(self) -> int:
        return min(self._threads, int(self._pace() * self._write * _SAFETY + 0.5))
