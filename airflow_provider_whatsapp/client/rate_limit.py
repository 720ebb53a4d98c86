"""
Pacing: requests leave evenly spaced, so that the gateway's limit is used up and never crossed.

"10 per second" is read in its strictest sense: no second, wherever it begins, holds more. So a request waits for its
turn in an even rhythm, and for one second since the tenth request before it really left.

The processes of one machine keep one rhythm (see :mod:`~airflow_provider_whatsapp.client.pace_board`). Other machines
with the same account show only by the gateway's 429. One or two may come from the network or a busy machine alone,
which brought two requests closer together: they widen the second by a little, for a while. More of them in a row mean
that the account is shared: the rhythm slows down, and returns along a curve that is flat around the rate at which the
refusal came, and steeper the longer none comes.
"""

from __future__ import annotations

import math
import os
import threading
import time
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.pace_board import Board, open_board

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence

MARGIN = 0.007
"""Share of the limit left free: it absorbs the network's jitter, which brings two requests closer together."""

SLACK = 0.005
"""Seconds by which a single refusal widens the limit's second."""
MOST_SLACK = 0.03
SLACK_HALVES = 120.0
"""Seconds in which half of that is taken back."""

SETTLING = 3.0
"""Seconds after a refusal in which the next one belongs to it."""
CROWDED = 3
"""So many refusals one after the other mean that somebody else uses the account as well; fewer come from a machine
that is busy, as when many tasks start at once."""
SETTLING_FACTOR = 0.7
YIELD = 0.05
"""Share of the rate that a single refusal takes away for a while."""
RECOVERY = 45.0
"""Seconds until the rate is back at where the refusal came; as long again, and it is a twentieth above."""
SLOWEST = 0.02
"""Share of the limit below which refusals do not slow a process any further."""

AHEAD = 0.5
"""Seconds before its moment that a request may take it. Whoever waits longer takes none yet: a change of the rate then
counts for them too, nothing is lost with a process that dies, and the board's memory of departures is long enough."""
WAITING = 0.1
"""Seconds' worth of requests, one at least, that a process may have between taking its moment and leaving."""

# Places on the board; the departures of the last requests come after them.
_NEXT, _COUNT, _REFUSED_AT, _IN_A_ROW, _SLOWED_AT, _PLATEAU, _OFFSET, _SLACK, _RING = range(9)


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


class Pacer:
    """
    Gives each request its moment to leave; safe to use from many threads.

    :param rate: Requests per second; 0 for no limit.
    :param board: Where the rhythm is kept; None: in this process alone.
    :param clock: Monotonic seconds.
    :param sleep: Waits for seconds.
    """

    def __init__(
        self,
        rate: float,
        *,
        board: Board | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ring = max(1, int(rate))
        self._board = board or Board(board_size(rate))
        self._rate = rate * (1.0 - MARGIN)
        self._clock = clock
        self._sleep = sleep
        self._few, self._process = self._semaphore(), os.getpid()

    def acquire(self, patience: float = math.inf, stop: threading.Event | None = None) -> Departure | None:
        """
        Wait for this request's moment; the leave that is returned wants to be told when it goes.

        :param patience: Seconds; a request whose moment comes later gets None, at once.
        :param stop: Ends the wait with None once it is set; None: nothing does.
        """
        if not self._rate:
            return None if stop is not None and stop.is_set() else Departure(stop=stop)
        last = self._clock() + patience
        with self._waiting():
            while stop is None or not stop.is_set():
                now = self._clock()
                with self._board.locked() as numbers:
                    moment, place = self._reserve(numbers, now)
                if place is None and moment > last:
                    return None
                if moment > now:
                    self._pause(moment - now, stop)
                if place is not None:
                    return None if stop is not None and stop.is_set() else Departure(self, place, stop)
        return None

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
        numbers[_NEXT] = moment + 1.0 / self._current(numbers, moment)
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
            return self._current(numbers, self._clock()) if self._rate else 0.0

    def refused(self, departure: Departure) -> None:
        """
        Learn from a 429: the gateway has said that requests come too fast.

        :param departure: The leave of the request that was refused.
        """
        if not self._rate or departure.at is None:
            return
        now = self._clock()
        with self._board.locked() as numbers:
            before, slowed = numbers[_REFUSED_AT], numbers[_SLOWED_AT]
            follows = bool(before) and now - before < SETTLING
            numbers[_SLACK] = min(MOST_SLACK, self._slack(numbers, now) + SLACK)
            numbers[_REFUSED_AT] = now
            if before and departure.at <= before:
                return  # it left before the last refusal was known, and says nothing about what followed from that
            numbers[_IN_A_ROW] = numbers[_IN_A_ROW] + 1 if follows else 1
            if numbers[_IN_A_ROW] >= CROWDED:
                self._slow_down(numbers, now, SETTLING_FACTOR, 0.0)
            elif slowed and self._current(numbers, now) < self._rate:
                # The account is shared, and its limit lies about here: a little less for a while.
                self._slow_down(numbers, now, 1.0, -1.0)

    def _slow_down(self, numbers: MutableSequence[float], now: float, factor: float, offset: float) -> None:
        """Begin the curve anew: at its flat part (offset 0), or below it (-1) to come back."""
        numbers[_PLATEAU] = max(self._current(numbers, now) * factor, self._rate * SLOWEST)
        numbers[_OFFSET] = offset
        numbers[_SLOWED_AT] = now

    def _slack(self, numbers: MutableSequence[float], now: float) -> float:
        if not numbers[_SLACK]:
            return 0.0
        return float(numbers[_SLACK] * 0.5 ** ((now - numbers[_REFUSED_AT]) / SLACK_HALVES))

    def _current(self, numbers: MutableSequence[float], now: float) -> float:
        if not numbers[_SLOWED_AT]:
            return self._rate
        periods = (now - numbers[_SLOWED_AT]) / RECOVERY + numbers[_OFFSET]
        return min(self._rate, numbers[_PLATEAU] * (1.0 + YIELD * periods**3))


def board_size(rate: float) -> int:
    """
    Return how many floats the board of a rate has.

    :param rate: Requests per second.
    """
    return _RING + max(1, int(rate))


_pacers: dict[tuple[str, str, float], Pacer] = {}
_pacers_lock = threading.Lock()


def shared_pacer(api_key: str, host: str, rate: float) -> Pacer:
    """
    Return the pacer of an account, one for all clients on this machine: Maton counts per account, not per client.

    :param api_key: The account's key; only a hash of it is kept.
    :param host: Base URL of the data plane.
    :param rate: Requests per second; 0 for no limit.
    """
    key = (api_key, host, rate)
    with _pacers_lock:
        if key not in _pacers:
            board = open_board(f"{api_key} {host} {rate}", board_size(rate)) if rate else None
            _pacers[key] = Pacer(rate, board=board)
        return _pacers[key]
