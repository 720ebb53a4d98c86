"""
Pacing: requests leave evenly spaced, so that the gateway's limit is used up and never crossed.

Even spacing is kept rather than bursts, because a limit of "10 per second" may be counted over any second, and a
burst at the start of one and at the end of the one before would cross it.
"""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MARGIN = 0.005
"""Share of the limit left free: it absorbs the jitter of the network, which can bring two requests closer."""


class Pacer:
    """
    Gives each request its moment to leave; safe to use from many threads.

    :param rate: Requests per second; 0 for no limit.
    :param clock: Monotonic seconds.
    :param sleep: Waits for seconds.
    """

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._spacing = 1.0 / (rate * (1.0 - MARGIN)) if rate else 0.0
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = float("-inf")

    def acquire(self) -> float:
        """Wait for this request's moment and return the seconds waited."""
        if not self._spacing:
            return 0.0
        wait = self.reserve(self._clock())
        if wait > 0:
            self._sleep(wait)
        return wait

    def reserve(self, now: float) -> float:
        """
        Take the next free moment and return the seconds until then.

        :param now: The clock's present time.
        """
        with self._lock:
            moment = max(now, self._next)
            self._next = moment + self._spacing
            return moment - now

    def hold(self, seconds: float) -> None:
        """
        Let nothing leave for a while: the gateway has said that it is too fast.

        :param seconds: How long, from now.
        """
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)


_pacers: dict[tuple[str, str, float], Pacer] = {}
_pacers_lock = threading.Lock()


def shared_pacer(api_key: str, host: str, rate: float) -> Pacer:
    """
    Return the process-wide pacer of one account, since Maton counts per account and not per client.

    :param api_key: The account's key; only a hash of it is kept.
    :param host: Base URL of the data plane.
    :param rate: Requests per second; 0 for no limit.
    """
    identity = (hashlib.sha256(api_key.encode()).hexdigest(), host, rate)
    with _pacers_lock:
        return _pacers.setdefault(identity, Pacer(rate))
