"""How many are claimed ahead of their messages: as few as keep the rate, so that little is unknown after a crash."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 0.3
"""Seconds within which what is claimed should leave; where a write to the ledger takes longer, it is that long."""
_FASTEST = 1e6
_MEMORY = 3.0
"""Seconds of leaving that count; what was before is forgotten, bit by bit."""
_LEARN = 0.3
"""Share of a measured write in the estimate of the next one."""
_SAFETY = 2.0
"""Writes' worth of messages that are still to leave when the next write begins, so that the rate has no gap."""


def threads_for(rate: float, total: int, shards: int = 1) -> int:
    """
    Return how many requests at a time use up a rate when an answer takes up to 0.8 s; a short list keeps its order.

    Shards share the rate. What one of them has on the wire is unknown after a crash, so each takes no more than what
    uses it up while half of them run.

    :param rate: Messages per second; 0: no limit.
    :param total: How many recipients there are.
    :param shards: In how many parts the list is sent.
    """
    share = rate * min(1.0, 2 / shards)
    wanted = max(2, min(32, round(share * 0.8))) if rate else 8
    return min(wanted, -(-total // 8)) or 1


class ClaimWindow:
    """
    Watches how fast claimed messages leave, and says how many to claim, and when; safe to use from many threads.

    :param threads: Requests at a time.
    :param rate: Messages per second that the account allows; 0: no limit. Other tasks may have their part of it.
    :param clock: Monotonic seconds.
    """

    def __init__(
        self, threads: int, rate: float = 0.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._threads = threads
        self._limit = rate or _FASTEST
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting = 0
        self._since = 0.0
        self._left = 0.0
        self._seconds = 0.0
        self._write = 0.0

    @property
    def waiting(self) -> int:
        """How many are claimed and have not left."""
        return self._waiting

    def claimed(self, count: int) -> None:
        """
        Take note of a group that may leave now.

        :param count: How many.
        """
        with self._lock:
            if not self._waiting:
                self._since = self._clock()
            self._waiting += count
            if self._seconds > _MEMORY:
                self._left *= _MEMORY / self._seconds
                self._seconds = _MEMORY

    def left(self) -> bool:
        """Take note of one that leaves now or never will, and say whether it is time to claim the next."""
        with self._lock:
            now = self._clock()
            self._seconds += now - self._since
            self._left += 1
            self._since = now
            self._waiting -= 1
            # Said once for each group: a thread that is woken for nothing costs as much as a part of a message.
            return self._waiting in (0, self._low())

    def wrote(self, seconds: float) -> None:
        """
        Take note of a write to the ledger.

        :param seconds: How long it took.
        """
        with self._lock:
            self._write += (seconds - self._write) * (_LEARN if self._write else 1.0)

    def next(self, room: int, out: int) -> int:
        """
        Return how many to claim now; 0: none yet.

        :param room: How many more may be claimed at most.
        :param out: How many are claimed and have no result.
        """
        with self._lock:
            if out and self._waiting > self._low():
                return 0
            size = max(1, math.ceil(self._pace() * max(WINDOW, self._write)))
            # Groups rather than single ones, for each costs a write.
            return min(size, room) if not out or room >= min(size, self._threads) else 0

    def _pace(self) -> float:
        """Return how many leave per second while some are waiting to."""
        return min(self._limit, self._left / self._seconds) if self._seconds else self._limit

    def _low(self) -> int:
        return min(self._threads, int(self._pace() * self._write * _SAFETY + 0.5))
