"""Rate limits: a sliding window, and a bucket."""

from __future__ import annotations

from collections import deque


class SlidingWindow:
    """At most ``limit`` events within any ``span`` seconds; no limit if it is 0."""

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
        """Count an event and return 0, or the seconds until the limit allows one; ``now`` never runs backwards."""
        # The strictest reading of a rate: a client that stays within it also stays within the real gateway's limit,
        # whatever kind that is. Refused events do not count, so waiting always helps.
        if not self._limit:
            return 0.0
        if len(self._times) == self._limit:
            left = self._times[0] + self._span - now
            if left > 0:
                return left
        self._times.append(now)
        return 0.0


class Bucket:
    """A burst of ``size``, then one per ``gap`` seconds: Meta's limit between a sender and a user (45, then 6 s)."""

    __slots__ = ("_gap", "_size", "full_at")

    def __init__(self, size: int, gap: float) -> None:
        self._size = size
        self._gap = gap
        self.full_at = float("-inf")

    def take(self, now: float) -> bool:
        """Take one message out of the bucket and return whether there was one; ``now`` never runs backwards."""
        full_at = max(self.full_at, now)
        if full_at - now > (self._size - 1) * self._gap:
            return False
        self.full_at = full_at + self._gap
        return True
