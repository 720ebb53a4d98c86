"""How many requests per second are too many."""

from __future__ import annotations

from collections import deque


class SlidingWindow:
    """
    At most ``limit`` events within any ``span`` seconds.

    A log of the last ``limit`` times is the strictest reading of "10 requests per second": a fixed window would let 20
    pass across its edge and a token bucket lets a burst pass on top of the rate. A client that stays within this stays
    within whichever the real gateway uses. Refused events do not count, so waiting always helps.

    :param limit: Events per span; 0 lets everything pass.
    :param span: Seconds.
    """

    def __init__(self, limit: int, span: float = 1.0) -> None:
        self._limit = limit
        self._span = span
        self._times: deque[float] = deque(maxlen=limit or 1)

    @property
    def times(self) -> list[float]:
        """When the events were that still may count."""
        return list(self._times)

    @times.setter
    def times(self, times: list[float]) -> None:
        self._times.extend(times)

    def wait(self, now: float) -> float:
        """
        Seconds until there is room; 0 takes the place at once.

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
    A burst of ``size``, refilled by one every ``gap`` seconds: Meta's limit between one sender and one user.

    :param size: The burst (Meta: 45).
    :param gap: Seconds per message after it (Meta: 6).
    """

    __slots__ = ("_gap", "_size", "full_at")

    def __init__(self, size: int, gap: float) -> None:
        self._size = size
        self._gap = gap
        self.full_at = float("-inf")

    def take(self, now: float) -> bool:
        """
        Take one if there is one.

        :param now: Seconds.
        """
        full_at = max(self.full_at, now)
        if full_at - now > (self._size - 1) * self._gap:
            return False
        self.full_at = full_at + self._gap
        return True
