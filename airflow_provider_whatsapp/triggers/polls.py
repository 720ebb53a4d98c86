"""
Polls that many triggers share: one request per account and interval, for any number of triggers.

The polls live in the triggerer's event loop; requests and judgements run in this package's threads. A trigger
subscribes to a poll, which wakes it only with news for it.
"""

from __future__ import annotations

import abc
import asyncio
import contextvars
import hashlib
import time
import weakref
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook, in_fair_thread, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable, Sequence

    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

MAX_BACK_OFF = 8
"""Most intervals between two polls, while the gateway does not answer."""
LOOK_UP_LIFE = 60.0
"""Seconds for which one look-up of a connection is used by all triggers that name it."""
FAILED_LIFE = 5.0
"""Seconds for which a failed look-up is used."""
WAKE_AT_ONCE = 20
"""Triggers that are woken before the loop may run something else."""


@dataclass(frozen=True)
class Account:
    """The account that a trigger polls."""

    conn_id: str
    waba_id: str | None = None  # None: the connection's
    phone_number_id: str | None = None  # None: the connection's

    async def look_up(self) -> WhatsAppClient:
        """Return the connection's client, without retries: the next poll repeats a failed request."""
        hook = MatonWhatsAppHook(self.conn_id, waba_id=self.waba_id, phone_number_id=self.phone_number_id)
        return await in_thread(_without_retries, await hook.aclient())

    def identity(self, client: WhatsAppClient) -> Hashable:
        """Return a key that is equal for the same account: two connections to it share one poll."""
        return _identity(client)


class Source(Protocol):
    """What can be polled, through the Airflow connection that leads to it."""

    @property
    def conn_id(self) -> str:
        """ID of the Airflow connection."""

    async def look_up(self) -> Any:
        """Return the client or URL that a poll uses."""

    def identity(self, found: Any, /) -> Hashable:
        """Return a key that is equal for the same source."""


class Subscriber(abc.ABC):
    """One waiting trigger: what it waits for, and its news."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[Any] = asyncio.Queue()
        self.last = "not polled yet"

    @abc.abstractmethod
    def judge(self, found: Any) -> Any:
        """Return the news in a poll's result, or None; runs in a thread."""


class Poll(abc.ABC):
    """
    One account polled at one interval.

    :param client: What the poll asks, such as the account's client; the next poll repeats a failed request.
    :param interval: Seconds between two polls.
    :param conn_id: The Airflow connection, in whose share of the threads the poll runs.
    """

    kind: ClassVar[str]

    def __init__(self, client: Any, interval: float, conn_id: str = "") -> None:
        self.client = client
        self.conn_id = conn_id
        self.interval = interval
        self.subscribers: set[Subscriber] = set()
        self.task: asyncio.Task[None] | None = None
        self.began = float("-inf")

    @abc.abstractmethod
    def ask(self, subscribers: Sequence[Subscriber]) -> list[tuple[Subscriber, Any]]:
        """Ask once, and return each news with its trigger; runs in a thread; raises WhatsAppError if it fails."""

    async def run(self, wait: float) -> None:
        """Poll while triggers wait, the first time after ``wait`` seconds."""
        failures = 0
        await asyncio.sleep(wait)
        while self.subscribers:
            waiting = list(self.subscribers)
            self.began = time.monotonic()
            pause = self.interval
            try:
                news = await in_fair_thread(self.conn_id, self.ask, waiting)
                failures = 0
            except Exception as error:
                failures += 1
                pause = self._back_off(failures, error)
                news = self.failed(error, waiting)
                for subscriber in waiting:
                    subscriber.last = said(error)
            await _deliver(news)
            await asyncio.sleep(max(0.0, self.began + pause - time.monotonic()))

    def failed(self, error: Exception, subscribers: Sequence[Subscriber]) -> list[tuple[Subscriber, Any]]:
        """Return the news of a failed poll; none if the failure may pass."""
        from airflow_provider_whatsapp.client.errors import WhatsAppError

        passing = isinstance(error, WhatsAppError) and not error.permanent
        return [] if passing else [(subscriber, error) for subscriber in subscribers]

    def close(self) -> None:  # noqa: B027  (most polls hold nothing)
        """Release what the poll holds, once no trigger waits any more."""

    def _back_off(self, failures: int, error: Exception) -> float:
        doubled: float = self.interval * min(2**failures, MAX_BACK_OFF)
        return max(doubled, float(getattr(error, "retry_after", None) or 0.0))


def said(error: Exception) -> str:
    """Return the text of this package's errors, and of others only the type: they may have a URL with a password."""
    from airflow_provider_whatsapp.client.errors import WhatsAppError

    return str(error) if isinstance(error, WhatsAppError) else type(error).__name__


async def _deliver(news: list[tuple[Subscriber, Any]]) -> None:
    for index, (subscriber, item) in enumerate(news, 1):
        subscriber.news.put_nowait(item)
        if index % WAKE_AT_ONCE == 0:
            await asyncio.sleep(0)


@dataclass
class _LookUp:
    """One look-up of a connection, and until when it is used."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    found: Any = None
    until: float = 0.0

    async def client(self, account: Source) -> Any:
        if self.found is None or time.monotonic() >= self.until:
            try:
                self.found = await account.look_up()
            except Exception as error:
                self.found = error
            life = FAILED_LIFE if isinstance(self.found, Exception) else LOOK_UP_LIFE
            self.until = time.monotonic() + life
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@dataclass
class _Hub:
    """What the triggers of one event loop share."""

    look_ups: dict[Source, _LookUp] = field(default_factory=dict)
    polls: dict[tuple[Any, ...], Poll] = field(default_factory=dict)
    ended: dict[tuple[Any, ...], float] = field(default_factory=dict)

    async def client(self, account: Source) -> Any:
        """Return an account's client; one look-up of its connection serves all triggers for a minute."""
        look_up = self.look_ups.setdefault(account, _LookUp())
        # The lock lets in one trigger at a time, so that a thousand triggers do not hold up the loop together.
        async with look_up.lock:
            return await look_up.client(account)

    def poll(self, kind: type[Poll], account: Source, client: Any, interval: float) -> Poll:
        """Return the poll of an account; start it if there is none, not sooner than its interval allows."""
        key = (kind.kind, account.identity(client), interval)
        found = self.polls.get(key)
        if found is None or found.task is None or found.task.done():
            found = kind(client, interval, account.conn_id)
            now = time.monotonic()
            self.ended = {old: at for old, at in self.ended.items() if now - at < old[-1]}
            found.began = self.ended.get(key, float("-inf"))
            self.polls[key] = found
            run = found.run(max(0.0, found.began + interval - now))
            found.task = asyncio.get_running_loop().create_task(run, context=contextvars.Context())
        return found

    def leave(self, poll: Poll, subscriber: Subscriber) -> None:
        """Remove a subscriber; end a poll that has no other one."""
        poll.subscribers.discard(subscriber)
        if poll.subscribers:
            return
        for key in [key for key, found in self.polls.items() if found is poll]:
            self.ended[key] = poll.began
            del self.polls[key]
        if poll.task is not None:
            poll.task.cancel()
        poll.close()


def _without_retries(client: WhatsAppClient) -> WhatsAppClient:
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

    return WhatsAppClient(replace(client.config, max_retries=0))


def _identity(client: WhatsAppClient) -> Hashable:
    config = client.config
    key = hashlib.sha256(config.api_key.encode()).hexdigest()
    return (config.data_url, key, config.connection_id, config.waba_id, config.phone_number_id)


_hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Hub] = weakref.WeakKeyDictionary()


@asynccontextmanager
async def subscription(
    kind: type[Poll], account: Source, interval: float, subscriber: Subscriber
) -> AsyncIterator[None]:
    """Subscribe to an account's poll inside the block; news come to ``subscriber.news``."""
    # Triggers with the same interval, in seconds, share a poll. The look-up of the client raises ConfigurationError
    # if the connection lacks a field.
    hub = _hubs.setdefault(asyncio.get_running_loop(), _Hub())
    poll = hub.poll(kind, account, await hub.client(account), interval)
    poll.subscribers.add(subscriber)
    try:
        yield
    finally:
        hub.leave(poll, subscriber)


async def first_news(
    kind: type[Poll], account: Source, subscriber: Subscriber, *, interval: float, end_time: float, late: str
) -> tuple[str, Any]:
    """Wait for a trigger's first news; return ("", news), ("timeout", sentence) or ("error", reason)."""
    limit = asyncio.timeout(max(0.0, end_time - time.time()))
    try:
        async with limit, subscription(kind, account, interval, subscriber):
            news = await subscriber.news.get()
    except Exception as error:
        if limit.expired():  # any other TimeoutError is the look-up's own
            return "timeout", f"{late} {subscriber.last}"
        news = error
    if isinstance(news, Exception):
        return "error", str(news) or type(news).__name__
    return "", news
