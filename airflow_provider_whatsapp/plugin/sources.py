"""
Own threads for everything that blocks, and the gateway's answers of the last half minute, so that no page waits long.

A thread cannot be stopped, so each kind of source has its own threads: an object store that hangs does not block the
tables, and a secrets backend that hangs does not block the permissions.
"""

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
"""Seconds for which a page waits for a source; a later answer is kept for the next page."""
KEPT = 30.0
"""Seconds for which an answer, or an error, is reused."""
GIVEN_UP = 60.0
"""Seconds after which a question counts as never answered."""
QUEUE = 16
"""The most questions that may wait or run; a further one is refused immediately."""
DATABASE_WAIT = 10.0
"""Seconds for which a page waits for Airflow's own database or Variables."""


class SlowAirflowError(Exception):
    """Airflow itself did not answer in time; the text is a sentence for the page."""


class Threads:
    """Threads for calls that block briefly, and whose results are not kept."""

    def __init__(self, source: str, *, threads: int, queue: int) -> None:
        self._source = source  # what answers there, for the error
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="whatsapp-ui")
        self._free = threading.BoundedSemaphore(threads + queue)  # calls that run, and those that may wait

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run a function in a thread; raises SlowAirflowError after :data:`DATABASE_WAIT` or if too many wait."""
        if not self._free.acquire(blocking=False):
            raise SlowAirflowError(self._sentence())
        submitted = self._pool.submit(function, *args)
        submitted.add_done_callback(lambda _: self._free.release())
        future = asyncio.wrap_future(submitted)
        done, _ = await asyncio.wait({future}, timeout=DATABASE_WAIT)
        if not done:
            future.cancel()  # drops a call that has not begun
            raise SlowAirflowError(self._sentence())
        return future.result()

    def _sentence(self) -> str:
        return f"{self._source} did not answer in time. Look again in a moment."


in_thread = Threads("Airflow's database", threads=8, queue=64).run
"""Runs a query of Airflow's database."""
with_records = Threads("The store of the alerts' throttle state", threads=4, queue=16).run
"""Runs reads and writes of alerts' records: Variables, which a secrets backend may hold, or Redis."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a source."""

    value: Any = None
    problem: str = ""  # why there is no value, as a sentence
    at: float = 0.0  # Unix time of the question, in seconds
    late: bool = False  # the call is still running

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return not self.problem


@dataclass(slots=True)
class _Asked:
    future: Future[Answer]
    began: float
    ended: float | None = None

    def is_given_up(self, now: float) -> bool:
        """Return whether nobody waits for it any longer."""
        return self.ended is None and now - self.began >= GIVEN_UP


class Sources:
    """Asks sources that may be slow, such as the gateway; each question runs once for all pages that ask it."""

    def __init__(self, threads: int = 4, most: int = 256) -> None:
        self._threads = threads
        self._most = most  # answers that are kept
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="whatsapp-ui-sources")
        self._asked: dict[Hashable, _Asked] = {}
        self._lock = threading.Lock()

    async def ask(
        self, key: Hashable, function: Callable[..., Any], *args: Any, share: float = 1.0
    ) -> Answer:
        """Return an answer that is at most :data:`KEPT` seconds old, within :data:`WAIT` seconds."""
        # The key has to contain what differs between users. A WhatsAppError of the function becomes its sentence. The
        # share of WAIT is for one of several questions that are asked one after the other.
        found = self._find(key, function, args)
        if isinstance(found, Answer):
            return found
        waiting = asyncio.wrap_future(found.future)
        done, _ = await asyncio.wait({waiting}, timeout=WAIT * share)
        if not done:
            # Other pages may wait for it too, so it is not cancelled.
            return Answer(problem="There was no answer in time. Look again in a moment.", late=True)
        return waiting.result()

    def forget(self, key: Hashable) -> None:
        """Ask again the next time, because something was changed."""
        with self._lock:
            self._asked.pop(key, None)

    def _find(self, key: Hashable, function: Callable[..., Any], args: tuple[Any, ...]) -> _Asked | Answer:
        now = time.monotonic()
        with self._lock:
            self._drop_old(now)
            known = self._asked.get(key)
            given_up = sum(each.is_given_up(now) for each in self._asked.values())
            if given_up and (known.is_given_up(now) if known else given_up >= self._threads):
                return Answer(problem=f"There has been no answer for {GIVEN_UP:.0f} s. Look again later.")
            if known is not None:
                return known
            if sum(each.ended is None for each in self._asked.values()) >= QUEUE:
                return Answer(problem="Too many questions are waiting for an answer. Look again in a moment.")
            made = self._asked[key] = _Asked(Future(), now)
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
        # Its text may contain anything, such as an address with a password.
        logger.warning("A source of the WhatsApp page failed: %s", place_of(error))
        return Answer(problem=f"It could not be read ({type(error).__name__}).", at=at)


SOURCES = Sources()
"""Asks the gateway."""
STORE = Sources(threads=2)
"""Asks the event store, except for the recipients of a task."""
RECEIPTS = Sources(threads=2, most=4)
"""Asks the event store for the receipts of a task; they may be many, so few answers are kept."""
TABLES = Sources(threads=2, most=4)
"""Puts the recipients of a task together; it waits for nothing, so it never hangs."""
RECORDS = Sources(threads=2)
"""Asks for the throttle state of a task's alerts."""
