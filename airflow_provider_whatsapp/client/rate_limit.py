"""
Pacing: requests leave evenly spaced, so that the gateway's limit is used up and never crossed.

"10 per second" is read in its strictest sense: no second, wherever it begins, holds more. So a request waits for its
turn in an even rhythm, and for one second since the tenth request before it really left.

The processes of one machine keep one rhythm (see :mod:`~airflow_provider_whatsapp.client.pace_board`). Other machines
with the same account show only by the gateway's 429. A single one may come from the network or a busy machine, which
brought two requests closer together: it widens the second by a little, for a while. What more of them mean is said by
:mod:`~airflow_provider_whatsapp.client.pace_model`.
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
"""Share of the limit left free: it absorbs the network's jitter, which brings two requests closer together."""

SLACK = 0.005
"""Seconds by which a single refusal widens the limit's second."""
MOST_SLACK = 0.03
SLACK_HALVES = 120.0
"""Seconds in which half of that is taken back."""

NOTABLE = 0.7
"""Share of the rate below which the log says why."""
SAY_EVERY = 300.0
"""Seconds between two such lines of a process."""

AHEAD = 0.5
"""Seconds before its moment that a request may take it. One that waits longer takes none yet: a change of the rate then
counts for it too, nothing is lost with a process that dies, and the board's memory of departures is long enough."""
WAITING = 0.1
"""Seconds' worth of requests, one at least, that a process may have between taking its moment and leaving."""

# Places on the board. The departures of the last requests come after them, and after those the model's. Version 0.1
# kept a model of its own in the places that are passed over here, and shares the rhythm.
_NEXT, _COUNT, _REFUSED_AT, _SLACK, _RING = 0, 1, 2, 7, 8


class Departure:
    """
    The leave of one request to go.

    :param pacer: Who gave it.
    :param place: Where its moment is kept.
    :param stop: Set when the request is no longer wanted; None: nobody takes it back.
    """

    __slots__ = ("_pacer", "_place", "at", "stop")

    def __init__(
        self, pacer: Pacer | None = None, place: int = 0, stop: threading.Event | None = None
    ) -> None:
        self._pacer = pacer
        self._place = place
        self.stop = stop
        self.at: float | None = None

    def left(self) -> None:
        """Say that the first byte leaves now, which may be later than the leave: a connection takes its time."""
        if self._pacer is not None and self.at is None:
            self.at = self._pacer.left(self._place)


class Limiter(Protocol):
    """What a transport asks for permits: a machine's :class:`Pacer`, or what paces several machines."""

    def acquire(self, budget: float = math.inf, stop: threading.Event | None = None) -> Departure | None:
        """
        Wait for a request's moment, as :meth:`Pacer.acquire` does.

        :param budget: Seconds.
        :param stop: Ends the wait.
        """

    def refused(self, departure: Departure) -> None:
        """
        Learn from a 429.

        :param departure: The leave of the request that was refused.
        """

    def rate(self) -> float:
        """Return the requests per second at present; 0 for no limit."""


class SlowPaceLog:
    """
    Says in the log why requests go so much slower than the limit, every few minutes at most.

    :param rate: Requests per second where nothing is refused.
    :param limit: The configured limit.
    """

    def __init__(self, rate: float, limit: float) -> None:
        self._rate = rate
        self._limit = limit
        self._said_at = -math.inf

    def tell(self, slow: Slowness, now: float) -> None:
        """
        Say it, if it is notable and was not said a moment ago.

        :param slow: The pace.
        :param now: The clock's seconds.
        """
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
    """
    Gives each request its moment to leave; safe to use from many threads.

    :param rate: Requests per second; 0 for no limit.
    :param board: Where the rhythm is kept; None: in this process alone.
    :param clock: Monotonic seconds.
    :param sleep: Waits for seconds.
    :param wall: Unix time in seconds, which machines have in common.
    """

    def __init__(
        self,
        rate: float,
        *,
        board: Board | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        wall: Callable[[], float] = time.time,
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
        """
        Wait for this request's moment; the departure that is returned is called when it goes.

        :param budget: Seconds; a request whose moment comes later gets None, at once.
        :param stop: Ends the wait with None once it is set; None: nothing does.
        """
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
        """
        Take the next moment, if it is near enough, without waiting for it.

        :param now: The clock's seconds.
        :param stop: As for :meth:`acquire`.
        :return: The moment, and the leave to go at it; without a leave, when to ask again.
        """
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
        """Return what lets few threads of this process wait with a moment; a fork's threads are others."""
        if self._process != os.getpid():
            self._few, self._process = self._semaphore(), os.getpid()
        return self._few

    def _semaphore(self) -> threading.Semaphore:
        return threading.Semaphore(max(1, int(self._ring * WAITING)))

    def _reserve(self, numbers: MutableSequence[float], now: float) -> tuple[float, int | None]:
        """Return a moment and its place; without one, when to ask again."""
        place = _RING + int(numbers[_COUNT]) % self._ring
        # A full ring ago, this place's request left: the limit's second begins there.
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
        """
        Note that a request really leaves now, and return the clock's time.

        :param place: Where its moment is kept.
        """
        now = self._clock()
        # The place is this request's own until the ring comes round, so the lock is not needed.
        self._board.put(place, now)
        return now

    def rate(self) -> float:
        """Return the requests per second at which this process and its machine go at present; 0 for no limit."""
        with self._board.locked() as numbers:
            return self._model.pace(numbers, self._clock(), numbers[_COUNT])

    def refused(self, departure: Departure) -> None:
        """
        Learn from a 429: the gateway has said that requests come too fast.

        :param departure: The leave of the request that was refused.
        """
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
    """
    Return how many floats the board of a rate has.

    :param rate: Requests per second.
    """
    return _RING + max(1, int(rate)) + SIZE
