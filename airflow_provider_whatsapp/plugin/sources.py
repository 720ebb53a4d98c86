"""Threads of our own for whatever blocks, and what the gateway said half a minute ago: nobody waits long for either."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.masking import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

logger = logging.getLogger(__name__)

WAIT = 3.0
"""Seconds that a page waits for a source; the answer is kept for the next look when it comes later."""
KEPT = 30.0
"""Seconds that an answer is shown again, an error too."""
QUEUE = 16
"""Questions that may wait or be asked at a time; one more is refused at once."""
DATABASE_WAIT = 10.0
"""Seconds that a page waits for Airflow's own database."""

_database = ThreadPoolExecutor(8, thread_name_prefix="whatsapp-ui")


class SlowDatabaseError(Exception):
    """Airflow's database did not answer in time."""


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """
    Run what blocks for a moment, a query of Airflow's database say, in a thread of our own.

    :param function: What to call.
    :param args: Its arguments.
    :raises SlowDatabaseError: It took longer than :data:`DATABASE_WAIT`.
    """
    future = asyncio.wrap_future(_database.submit(function, *args))
    done, _ = await asyncio.wait({future}, timeout=DATABASE_WAIT)
    if not done:
        raise SlowDatabaseError
    return future.result()


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a source said.

    :param value: The answer; None: there is none.
    :param problem: Why not, as a sentence; "" with a value.
    :param at: When it was asked: seconds since the epoch.
    :param late: It is still asked.
    """

    value: Any = None
    problem: str = ""
    at: float = 0.0
    late: bool = False

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return not self.problem


@dataclass(slots=True)
class _Asked:
    future: Future[Answer]
    ended: float | None = None


class Sources:
    """
    Asks what may be slow: the gateway, the event store. Each question is asked once, whoever looks.

    :param threads: How many are asked at a time.
    :param most: Answers that are kept.
    """

    def __init__(self, threads: int = 4, most: int = 256) -> None:
        self._most = most
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="whatsapp-ui-sources")
        self._asked: dict[Hashable, _Asked] = {}
        self._lock = threading.Lock()

    async def ask(self, key: Hashable, function: Callable[..., Any], *args: Any) -> Answer:
        """
        Return an answer that is at most :data:`KEPT` seconds old, within :data:`WAIT` seconds.

        :param key: What is asked of whom; what differs between users belongs in it.
        :param function: Asks, and may block; a ``WhatsAppError`` becomes its sentence.
        :param args: Its arguments.
        """
        found = self._find(key, function, args)
        if found is None:
            return Answer(problem="Too many questions are waiting for an answer. Look again in a moment.")
        waiting = asyncio.wrap_future(found.future)
        done, _ = await asyncio.wait({waiting}, timeout=WAIT)
        if not done:
            return Answer(
                problem=f"There was no answer within {WAIT:.0f} s. Look again in a moment.", late=True
            )
        return waiting.result()

    def forget(self, key: Hashable) -> None:
        """
        Ask again at the next look, because something was changed.

        :param key: As for :meth:`ask`.
        """
        with self._lock:
            self._asked.pop(key, None)

    def _find(self, key: Hashable, function: Callable[..., Any], args: tuple[Any, ...]) -> _Asked | None:
        now = time.monotonic()
        with self._lock:
            self._drop_old(now)
            if key in self._asked:
                return self._asked[key]
            if sum(each.ended is None for each in self._asked.values()) >= QUEUE:
                return None
            made = self._asked[key] = _Asked(Future())
        self._pool.submit(_answer, made, function, args)
        return made

    def _drop_old(self, now: float) -> None:
        ended = [(name, each.ended) for name, each in self._asked.items() if each.ended is not None]
        for place, (name, at) in enumerate(ended):
            if now - at >= KEPT or len(ended) - place >= self._most:
                del self._asked[name]


def _answer(asked: _Asked, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    answer = _said(function, args)
    asked.ended = time.monotonic()
    asked.future.set_result(answer)


def _said(function: Callable[..., Any], args: tuple[Any, ...]) -> Answer:
    at = time.time()
    try:
        return Answer(function(*args), at=at)
    except WhatsAppError as error:
        return Answer(problem=str(error), at=at)
    except Exception as error:
        # Its text may hold anything, an address with a password say.
        logger.warning("A source of the WhatsApp page failed: %s", place_of(error))
        return Answer(problem=f"It could not be read ({type(error).__name__}).", at=at)


SOURCES = Sources()
"""What all pages ask by."""
TABLES = Sources(threads=2, most=4)
"""What holds every recipient of a task, and so is kept for few."""
