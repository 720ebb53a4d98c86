"""Rate limits: a sliding window, and a bucket."""

from __future__ import annotations

from collections import deque


class SlidingWindow:
    """
    At most ``limit`` events within any ``span`` seconds.

    This is the strictest reading of "10 requests per second": a fixed window lets 20 requests pass around its edge,
    and a token bucket lets a burst pass on top of the rate. A client that stays within this limit also stays within
    the real gateway's, no matter which kind it has. Refused events do not count, so waiting always helps.

    :param limit: Events per span; 0 for no limit.
    :param span: Seconds.
    """

    def __init__(self, limit: int, span: float = 1.0) -> None:
        self._limit = limit
        self._span = span
        self._times: deque[float] = deque(maxlen=limit or 1)

    @property
    def times(self) -> list[float]:
        """Times of the events that may still count."""
        return list(self._times)

    @times.setter
    def times(self, times: list[float]) -> None:
        self._times.extend(times)

    def wait(self, now: float) -> float:
        """
        Count an event if the limit allows it, and return 0; else return the seconds until it does.

        :param now: Seconds, from any clock that does not run backwards.
        """
        if not self._limit:
            return 0.0
        if len(self._times) == self._limit:
            left = self._times[0] + self._span - now
            if left > 0:
                return left
        self._times.append(now)
        return 0.0


class Bucket:
    """
    A burst of ``size``, then one every ``gap`` seconds: Meta's limit between one sender and one user.

    :param size: Messages in a burst (Meta: 45).
    :param gap: Seconds per further message (Meta: 6).
    """

    __slots__ = ("_gap", "_size", "full_at")

    def __init__(self, size: int, gap: float) -> None:
        self._size = size
        self._gap = gap
        self.full_at = float("-inf")

    def take(self, now: float) -> bool:
        """
        Take one message out of the bucket.

        :param now: Seconds, from any clock that does not run backwards.
        :return: Whether there was one.
        """
        full_at = max(self.full_at, now)
        if full_at - now > (self._size - 1) * self._gap:
            return False
        self.full_at = full_at + self._gap
        return True
