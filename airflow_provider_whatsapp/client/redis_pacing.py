"""
Pacing of several machines by Redis: one script gives each request of an account its slot.

One request of a machine asks at a time, so machines share the rate evenly, regardless of how many processes they run.
If Redis does not answer, requests wait for a few seconds; then the machine uses its own limiter at a share of the rate,
and checks every second whether Redis answers again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import math
import os
import random
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.client.pace_board import own_folder
from airflow_provider_whatsapp.client.pace_model import SIZE, SLOWEST, PaceModel
from airflow_provider_whatsapp.client.rate_limit import (
    MOST_SLACK,
    SLACK,
    SLACK_HALVES,
    Departure,
    SlowPaceLog,
)
from airflow_provider_whatsapp.client.redis_clock import Clocks
from airflow_provider_whatsapp.client.redis_slots import AHEAD, RedisAwayError, Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from airflow_provider_whatsapp.client.rate_limit import Limiter
    from airflow_provider_whatsapp.client.redis_server import RedisServer
    from airflow_provider_whatsapp.client.redis_slots import Reply

logger = logging.getLogger(__name__)

MARGIN = 0.015
"""Share of the limit that stays free, because requests of different machines come closer together on the network."""
WAIT = 10.0
"""Seconds for which requests wait for Redis before their machine uses its own limiter."""
WAIT_SHARE = 0.25
"""The largest share of a request's time for which it waits for Redis."""
PAUSES = (0.1, 0.3)
"""Seconds between two requests to a Redis that does not answer."""
LOOK_EVERY = 1.0
"""Seconds between two checks whether Redis answers again."""
QUEUE = 5.0
"""Seconds for which a request lets others of its machine ask first; after that it asks in parallel."""
LATE = 0.001
"""Seconds after its slot from which on a request reports that it left late."""
LATE_MATTERS = 2.0
"""Seconds after which a late departure no longer matters."""
MOST_ROUND_TRIP = 0.5
"""The most seconds before its slot at which the next request of the machine may ask."""
LEARN_TRIES = 5
AHEAD_OF_US = 3_600.0
"""Seconds from now within which all times lie in a state that a pacer has written."""

_SLACK, _REFUSED_AT = 0, 1
"""Number of a state's places in Redis; the pace model's places are further behind."""


class _Slot(Departure):
    """The permit to leave at a slot that Redis has given."""

    __slots__ = ("_by", "number", "planned")

    def __init__(self, pacer: RedisPacer, reply: Reply, stop: threading.Event | None) -> None:
        super().__init__(stop=stop)
        self._by = pacer
        self.number = reply.count
        self.planned = reply.slot

    def left(self) -> None:
        """Record that the first byte leaves now."""
        if self.at is None:
            self.at = self._by.slot_left(self.number, self.planned)


class RedisPacer:
    """Gives each request of an account its slot on all machines that ask one Redis; safe to use from many threads."""

    def __init__(
        self,
        rate: float,  # requests per second
        server: RedisServer,
        identity: str,  # of the account; only its hash is kept
        *,
        alone: Limiter,  # this machine's own, at its share of the rate, for while Redis cannot be reached
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ring = max(1, int(rate))
        self._rate = rate * (1.0 - MARGIN)
        self._slots = Slots(server, identity, self._ring, clock)
        self._alone = alone
        self._clock = clock
        self._model = PaceModel(self._rate, 0, time.time)
        self._log = SlowPaceLog(self._rate, rate)
        self._front = _Front(identity, clock)
        self._lock = threading.Lock()
        self._stamp, self._state = "", [0.0] * SIZE
        self._count, self._clocks = 0, Clocks()
        self._late: deque[tuple[int, float]] = deque(maxlen=2 * self._ring)
        self._away, self._look_at = False, 0.0

    def acquire(self, budget: float = math.inf, stop: threading.Event | None = None) -> Departure | None:
        """Wait for a slot, and return the permit; call its :meth:`Departure.left` when the request leaves."""
        # If the slot is more than budget seconds away, return None without waiting; stop ends the wait with None.
        now = self._clock()
        last, give_up = now + budget, now + min(WAIT, WAIT_SHARE * budget)
        tries = 0
        while not _is_set(stop) and self._asks():
            try:
                found = self._take(last, stop)
            except RedisAwayError as error:
                tries += 1
                if self._clock() >= give_up or self._away:
                    self._go_alone(str(error))
                elif tries > 1:  # the first failure may be due to a connection that was idle for too long
                    _pause(random.uniform(*PAUSES), stop)  # noqa: S311  (nothing here is a secret)
            except ConfigurationError as error:
                # Waiting does not change this refusal; if time is short, the machine uses its own limiter instead.
                if budget == math.inf:
                    raise
                self._go_alone(str(error))
            else:
                self._is_back()
                return found
        return None if _is_set(stop) else self._alone.acquire(last - self._clock(), stop)

    def rate(self) -> float:
        """Return the present requests per second, as far as this process knows."""
        return self._alone.rate() if self._away else self._pace(self._clocks.there(self._clock()))[0]

    def refused(self, departure: Departure) -> None:
        """Slow down after a 429, and inform all machines through Redis."""
        if not isinstance(departure, _Slot):
            self._alone.refused(departure)
            return
        try:
            for _ in range(LEARN_TRIES):
                with self._lock:
                    stamp, state = self._stamp, self._learnt(departure)
                if self._hear(self._slots.learn(stamp, state)).kind == "learnt":
                    return
        except (RedisAwayError, ConfigurationError) as error:
            logger.debug("Could not report a refusal to Redis: %s", error)

    def slot_left(self, number: int, planned: float) -> float:
        """Record that a request leaves now, and return Redis' time; the slot's time is by Redis' clock too."""
        now = self._clocks.there(self._clock())
        if now > planned + LATE:
            self._late.append((number, now))
        return now

    def _take(self, last: float, stop: threading.Event | None) -> Departure | None:
        """Reserve a slot and wait for it, one request of the machine at a time."""
        with self._front.turn(min(last, self._clock() + QUEUE), stop):
            reply = self._reserve(last, stop)
            if reply is None:
                return None
            moment = self._clocks.here(reply.slot)
            # If the next request asks now, its answer may arrive by this request's slot.
            self._wait_until(moment - min(MOST_ROUND_TRIP, self._clocks.round_trip), stop)
        self._wait_until(moment, stop)
        return None if _is_set(stop) else _Slot(self, reply, stop)

    def _reserve(self, last: float, stop: threading.Event | None) -> Reply | None:
        while not _is_set(stop):
            now = self._clock()
            with self._lock:
                stamp = self._stamp
                rate, window = self._pace(self._clocks.there(now))
                late = self._late_ones(now)
            reach = min(AHEAD, max(0.0, last - now))
            reply = self._slots.reserve(
                stamp,
                spacing=1.0 / rate,
                window=window,
                reach=reach,
                late=late,
                expected=self._clocks.expected(now),
                back=self._away,
            )
            self._hear(reply)
            if reply.kind == "granted":
                return reply
            if reply.kind == "later":
                moment = self._clocks.here(reply.slot)
                if moment > last:
                    return None
                self._wait_until(moment - reach, stop)
        return None

    def _hear(self, reply: Reply) -> Reply:
        """Record what a reply says about the clock and the state, and return it."""
        with self._lock:
            self._clocks.hear(reply)
            self._count = reply.count
            if reply.kind in ("stale", "learnt"):
                self._stamp = reply.stamp
                self._state = list(reply.state) if _is_sound(reply.state, reply.now) else [0.0] * SIZE
        return reply

    def _pace(self, there: float) -> tuple[float, float]:
        """Return the requests per second, and the length of the limit's window in seconds."""
        slow = self._model.slowness(self._state, there, self._count)
        self._log.tell(slow, self._clock())
        pace = max(slow.pace, self._rate * SLOWEST)
        return pace, self._ring / self._rate + self._slack(self._state, there)

    def _learnt(self, departure: _Slot) -> list[float]:
        state, now = list(self._state), self._clocks.there(self._clock())
        before, left_at = state[_REFUSED_AT], departure.at or departure.planned
        state[_SLACK] = min(MOST_SLACK, self._slack(state, now) + SLACK)
        state[_REFUSED_AT] = now
        self._model.refused(state, now, self._count, left_at=left_at, alone=left_at > before)
        return state

    @staticmethod
    def _slack(state: list[float], now: float) -> float:
        return min(MOST_SLACK, state[_SLACK] * math.exp2((state[_REFUSED_AT] - now) / SLACK_HALVES))

    def _late_ones(self, now: float) -> list[tuple[int, float]]:
        found = [each for each in self._late if each[1] > self._clocks.there(now) - LATE_MATTERS]
        self._late.clear()
        return found

    def _asks(self) -> bool:
        """Return whether to ask Redis: while it cannot be reached, one request per second does."""
        with self._lock:
            now = self._clock()
            if self._away and now < self._look_at:
                return False
            self._look_at = now + LOOK_EVERY
            return True

    def _go_alone(self, why: str) -> None:
        with self._lock:
            first, self._away = not self._away, True
            self._look_at = self._clock() + LOOK_EVERY
        if first:
            logger.warning(
                "Redis at %s, which paces all machines, cannot be reached (%s): this machine sends at its own share, "
                "%.3g requests per second, until Redis is back",
                self._slots.server.name,
                why,
                self._alone.rate(),
            )

    def _is_back(self) -> None:
        if self._away:
            self._away = False
            logger.info("Redis at %s is back and paces again", self._slots.server.name)

    def _wait_until(self, moment: float, stop: threading.Event | None) -> None:
        seconds = moment - self._clock()
        if seconds > 0:
            _pause(seconds, stop)


class _Front:
    """Lets one request of this machine ask at a time; if no lock is possible, Redis orders them."""

    def __init__(self, identity: str, clock: Callable[[], float]) -> None:
        self._name = f"{hashlib.sha256(f'front {identity}'.encode()).hexdigest()[:32]}.front"
        self._clock = clock

    @contextlib.contextmanager
    def turn(self, until: float, stop: threading.Event | None) -> Iterator[None]:
        """Wait until no other request asks, or until a time of the clock, from which on requests ask in parallel."""
        try:
            handle = os.open(self._path(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            yield
            return
        try:
            self._lock(handle, until, stop)
            yield
        finally:
            os.close(handle)

    def _path(self) -> Path:
        return own_folder() / self._name

    def _lock(self, handle: int, until: float, stop: threading.Event | None) -> None:
        pause = 0.001
        while not _is_set(stop):
            try:
                # These locks belong to the open file, so they separate threads as well as processes.
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._clock() >= until:
                    return
                _pause(pause, stop)
                pause = min(1.5 * pause, 0.02)
            else:
                return


def _is_sound(state: Sequence[float], now: float) -> bool:
    """Return whether a state is valid: all of its numbers are counts, shares or times."""
    return len(state) == SIZE and all(0.0 <= each <= now + AHEAD_OF_US for each in state)


def _is_set(stop: threading.Event | None) -> bool:
    return stop is not None and stop.is_set()


def _pause(seconds: float, stop: threading.Event | None) -> None:
    if stop is None:
        time.sleep(seconds)
    else:
        stop.wait(seconds)
