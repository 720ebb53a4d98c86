"""
Pacing: requests leave evenly spaced, so that they use the gateway's limit fully and never exceed it.

"10 per second" is read in its strictest sense: no second, no matter when it begins, contains more. So a request waits
for its slot in an even spacing, and for one second after the tenth request before it left.

The processes of one machine share their slots (see :mod:`~airflow_provider_whatsapp.client.pace_board`). Other machines
with the same account show only by the gateway's 429. A single 429 may come from the network or a busy machine, which
brought two requests closer together: it widens the second a little, for a while.
:mod:`~airflow_provider_whatsapp.client.pace_model` says what further ones mean.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from typing import TYPE_CHECKING, Protocol

from airflow_provider_whatsapp.client.pace_board import Board
from airflow_provider_whatsapp.client.pace_model import SIZE, PaceModel

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence

    from airflow_provider_whatsapp.client.pace_model import Slowness

logger = logging.getLogger(__name__)

MARGIN = 0.007
"""Share of the limit that stays free for the network's jitter, which brings two requests closer together."""

SLACK = 0.005
"""Seconds by which a single refusal widens the limit's second."""
MOST_SLACK = 0.03
SLACK_HALVES = 120.0
"""Seconds after which half of that is gone."""

NOTABLE = 0.7
"""Share of the rate below which the log says why the pace is low."""
SAY_EVERY = 300.0
"""Seconds between two such log lines of a process."""

AHEAD = 0.5
"""Seconds before its slot at which a request may take it. A request that would wait longer takes none yet: so a change
of the rate applies to it too, a process that dies loses nothing, and the board remembers enough departures."""
WAITING = 0.1
"""Seconds' worth of requests, at least one, that a process may have between taking a slot and leaving."""

# Places on the board. The departures of the last requests come after them, then the model's places. Version 0.1 used
# the places left out here for a model of its own, and shares the slots.
_NEXT, _COUNT, _REFUSED_AT, _SLACK, _RING = 0, 1, 2, 7, 8


class Departure:
    """The permit of one request to leave."""

    __slots__ = ("_pacer", "_place", "at", "stop")

    def __init__(
        self, pacer: Pacer | None = None, place: int = 0, stop: threading.Event | None = None
    ) -> None:
        self._pacer = pacer
        self._place = place  # of its departure on the board
        self.stop = stop  # set when the request is no longer wanted; None: it cannot be taken back
        self.at: float | None = None

    def left(self) -> None:
        """Record that the first byte leaves now, which may be later than the permit: connecting takes time."""
        if self._pacer is not None and self.at is None:
            self.at = self._pacer.left(self._place)


class Limiter(Protocol):
    """Gives a transport its permits: one machine's :class:`Pacer`, or what paces several machines."""

    def acquire(self, budget: float = math.inf, stop: threading.Event | None = None) -> Departure | None:
        """Wait for a permit, and return it, as :meth:`Pacer.acquire` does."""

    def refused(self, departure: Departure) -> None:
        """Slow down after a 429."""

    def rate(self) -> float:
        """Return the present requests per second; 0: no limit."""


class SlowPaceLog:
    """Logs, at most every few minutes, why requests are much slower than the limit."""

    def __init__(self, rate: float, limit: float) -> None:
        self._rate = rate  # requests per second without refusals
        self._limit = limit  # the configured requests per second
        self._said_at = -math.inf

    def tell(self, slow: Slowness, now: float) -> None:
        """Log the pace if it is notably slow and was not logged recently."""
        if slow.pace >= NOTABLE * self._rate or now - self._said_at < SAY_EVERY:
            return
        self._said_at = now
        logger.warning(
            "Pacing at %.1f of %.3g requests per second: at %.1f per second the gateway refused %.0f %% (429), as it "
            "does when others use the account too. The pace recovers within a minute after the refusals stop",
            slow.pace,
            self._limit,
            slow.before,
            100 * slow.share,
        )


class Pacer:
    """Gives each request a permit to leave at its slot; safe to use from many threads."""

    def __init__(
        self,
        rate: float,  # requests per second; 0: no limit
        *,
        board: Board | None = None,  # where the pace is kept; None: only in this process
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        wall: Callable[[], float] = time.time,  # Unix time in seconds, which all machines share
    ) -> None:
        self._ring = max(1, int(rate))
        self._board = board or Board(board_size(rate))
        self._rate = rate * (1.0 - MARGIN)
        self._model = PaceModel(self._rate, _RING + self._ring, wall)
        self._slow: Slowness | None = None
        self._log = SlowPaceLog(self._rate, rate)
        self._clock = clock
        self._sleep = sleep
        self._few, self._process = self._semaphore(), os.getpid()

    def acquire(self, budget: float = math.inf, stop: threading.Event | None = None) -> Departure | None:
        """Wait for a slot, and return the permit; call its :meth:`Departure.left` when the request leaves."""
        # If the slot is more than budget seconds away, return None without waiting; stop ends the wait with None.
        if not self._rate:
            return None if stop is not None and stop.is_set() else Departure(stop=stop)
        last = self._clock() + budget
        with self._waiting():
            while stop is None or not stop.is_set():
                now = self._clock()
                moment, departure = self.take(now, stop)
                if departure is None and moment > last:
                    return None
                if moment > now:
                    self._pause(moment - now, stop)
                if departure is not None:
                    return None if stop is not None and stop.is_set() else departure
        return None

    def take(self, now: float, stop: threading.Event | None = None) -> tuple[float, Departure | None]:
        """Take the next slot if it is near; return its time and the permit to leave then, or when to ask again."""
        with self._board.locked() as numbers:
            moment, place = self._reserve(numbers, now)
        if self._slow is not None:
            self._log.tell(self._slow, now)
        return moment, None if place is None else Departure(self, place, stop)

    def _pause(self, seconds: float, stop: threading.Event | None) -> None:
        if stop is None:
            self._sleep(seconds)
        else:
            stop.wait(seconds)

    def _waiting(self) -> threading.Semaphore:
        """Return the semaphore that lets few threads wait with a slot; a forked process has its own."""
        if self._process != os.getpid():
            self._few, self._process = self._semaphore(), os.getpid()
        return self._few

    def _semaphore(self) -> threading.Semaphore:
        return threading.Semaphore(max(1, int(self._ring * WAITING)))

    def _reserve(self, numbers: MutableSequence[float], now: float) -> tuple[float, int | None]:
        """Return a slot's time and its place; without a place, the time to ask again."""
        place = _RING + int(numbers[_COUNT]) % self._ring
        # The request a full ring ago left from this place: the limit's second begins there.
        full = self._ring / self._rate + self._slack(numbers, now)
        earliest = numbers[place] + full if numbers[_COUNT] >= self._ring else now
        moment = max(now, numbers[_NEXT], earliest)
        if moment - now > AHEAD:
            return moment - AHEAD, None
        slow = self._model.slowness(numbers, now, numbers[_COUNT])
        self._slow = slow
        numbers[_NEXT] = moment + 1.0 / slow.pace
        numbers[place] = moment
        numbers[_COUNT] += 1
        return moment, place

    def left(self, place: int) -> float:
        """Record that a request leaves now, and return the clock's time."""
        now = self._clock()
        # No other request uses the place until the ring comes round, so the lock is not needed.
        self._board.put(place, now)
        return now

    def rate(self) -> float:
        """Return the present requests per second of this machine; 0: no limit."""
        with self._board.locked() as numbers:
            return self._model.pace(numbers, self._clock(), numbers[_COUNT])

    def refused(self, departure: Departure) -> None:
        """Slow down after a 429, with which the gateway says that requests come too fast."""
        if departure.at is None:
            return
        now = self._clock()
        with self._board.locked() as numbers:
            before = numbers[_REFUSED_AT]
            numbers[_SLACK] = min(MOST_SLACK, self._slack(numbers, now) + SLACK)
            numbers[_REFUSED_AT] = now
            self._model.refused(
                numbers, now, numbers[_COUNT], left_at=departure.at, alone=departure.at > before
            )

    def _slack(self, numbers: MutableSequence[float], now: float) -> float:
        if not numbers[_SLACK]:
            return 0.0
        return float(numbers[_SLACK] * 0.5 ** ((now - numbers[_REFUSED_AT]) / SLACK_HALVES))


def board_size(rate: float) -> int:
    """Return the number of floats that the board of a rate, in requests per second, needs."""
    return _RING + max(1, int(rate)) + SIZE
