"""The trigger that waits until a send's messages have arrived, and the polls that many such triggers share."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import TriggerEvent

from airflow_provider_whatsapp.triggers._arguments import StoresArguments
from airflow_provider_whatsapp.triggers.polls import Account, Poll, Subscriber, said, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable, Mapping, Sequence

    from sqlalchemy.engine import URL

    from airflow_provider_whatsapp.delivery.arrivals import Arrival
    from airflow_provider_whatsapp.events.store import EventStore
    from airflow_provider_whatsapp.triggers.polls import Source


@dataclass(frozen=True)
class StoreAccount:
    """
    The event store that an Airflow connection names.

    :param conn_id: The connection.
    """

    conn_id: str

    async def look_up(self) -> URL:
        """Return the URL of the store's database."""
        from airflow_provider_whatsapp.hooks.event_store import aevent_store_url

        return await aevent_store_url(self.conn_id)

    def identity(self, url: URL) -> Hashable:
        """
        Return a key that is equal for equal stores, which then share a poll.

        :param url: The URL from :meth:`look_up`.
        """
        return url


@dataclass(frozen=True)
class _NoAnswer:
    """The news that the store or the history does not answer; the trigger continues to wait."""

    why: str


_BACK = "back"
_SETTLED = "settled"


class _Waiting(Subscriber):
    """One waiting trigger: what it waits for, and which messages are settled."""

    def __init__(
        self, *, wait_for: str, target: int, send_hash: str, since: int, message_ids: Sequence[str]
    ) -> None:
        super().__init__()
        self.wait_for = wait_for
        self.target = target
        self.send_hash = send_hash
        self.since = since
        self.message_ids = message_ids
        self.away = False
        self._settled: set[str] = set()

    @property
    def open_ids(self) -> list[str]:
        """The IDs of the messages that have not arrived yet, if the poll asks by ID."""
        return [each for each in self.message_ids if each not in self._settled]

    def take(self, found: Mapping[str, Arrival]) -> int:
        """Record what a poll found about single messages, and return how many are settled."""
        self._settled |= {name for name, each in found.items() if each.is_settled(self.wait_for)}
        return len(self._settled)

    def judge(self, found: int) -> str | None:
        """Return the news, by how many messages are settled: settled, back after a failure, or None."""
        self.last = f"{found} of {self.target} are known"
        was_away, self.away = self.away, False
        if found >= self.target:
            return _SETTLED
        return _BACK if was_away else None


class _EndlessPoll(Poll):
    """A poll that no error ends: the triggers continue to wait, and each logs a failure once."""

    subscribers: set[Subscriber]

    def failed(self, error: Exception, subscribers: Sequence[Subscriber]) -> list[tuple[Subscriber, Any]]:
        """Return the news of a failure, for the triggers that do not know of it yet."""
        news: list[tuple[Subscriber, Any]] = []
        for subscriber in subscribers:
            if isinstance(subscriber, _Waiting) and not subscriber.away:
                subscriber.away = True
                news.append((subscriber, _NoAnswer(said(error))))
        return news


class StorePoll(_EndlessPoll):
    """Counts in the event store how far the sends of all waiting triggers got, with one query for 10,000 sends."""

    kind: ClassVar[str] = "receipts"
    _store: EventStore | None = None

    def ask(self, subscribers: Sequence[Subscriber]) -> list[tuple[Subscriber, Any]]:
        """
        Ask the store once, and return the news.

        :param subscribers: The waiting triggers.
        :raises StoreError: The store does not answer.
        """
        from airflow_provider_whatsapp.delivery.arrivals import arrivals_in_store, settled
        from airflow_provider_whatsapp.events.receipts import count_receipts
        from airflow_provider_whatsapp.events.store import EventStore

        if self._store is None:
            self._store = EventStore.open(self.client, pool_size=1)
        waiting = [each for each in subscribers if isinstance(each, _Waiting)]
        since = {each.send_hash: each.since for each in waiting if each.send_hash and each.since > 1}
        counts = count_receipts(
            self._store, dict.fromkeys(each.send_hash for each in waiting if each.send_hash), since=since
        )
        ids = list(dict.fromkeys(name for each in waiting for name in each.open_ids))
        found = arrivals_in_store(self._store, ids) if ids else {}
        news: list[tuple[Subscriber, Any]] = []
        for each in waiting:
            if each.send_hash:
                item = each.judge(settled(counts[each.send_hash], each.wait_for))
            else:
                item = each.judge(each.take({name: found[name] for name in each.open_ids if name in found}))
            if item is not None:
                news.append((each, item))
        return news

    def close(self) -> None:
        """Close the connection to the store."""
        if self._store is not None:
            self._store.close()


class HistoryPoll(_EndlessPoll):
    """Asks WhatsApp's message history for each message that has not arrived yet."""

    kind: ClassVar[str] = "history"

    def ask(self, subscribers: Sequence[Subscriber]) -> list[tuple[Subscriber, Any]]:
        """
        Ask for each message once, even if several triggers wait for it, and return the news.

        :param subscribers: The waiting triggers.
        :raises WhatsAppError: The history does not answer.
        """
        from airflow_provider_whatsapp.delivery.arrivals import arrivals_in_history

        waiting = [each for each in subscribers if isinstance(each, _Waiting)]
        ids = list(dict.fromkeys(name for each in waiting for name in each.open_ids))
        found = arrivals_in_history(self.client.history.status, ids)
        news: list[tuple[Subscriber, Any]] = []
        for each in waiting:
            item = each.judge(each.take({name: found[name] for name in each.open_ids if name in found}))
            if item is not None:
                news.append((each, item))
        return news


class DeliveryTrigger(StoresArguments):
    """
    Wait until all messages of a send have the wanted status or have failed, or the time is over.

    It stores only the send's hash and a count, so its row in Airflow's database is as small for 100,000 messages as
    for one. It ends with one event: ``{"state": "settled" | "timeout", "message": ...}``. While the store is down it
    keeps waiting.

    :param wait_for: ``sent``, ``delivered`` or ``read``.
    :param target: How many messages must have this status or have failed.
    :param poke_interval: Seconds between two polls.
    :param end_time: Unix time in seconds at which to give up.
    :param not_before: Unix time in seconds of the first poll.
    :param events_conn_id: Airflow connection of the event store; None: the trigger asks the message history.
    :param send_hash: The hash at the start of the messages' callback data; empty: the trigger asks by their IDs.
    :param since: The first epoch that counts.
    :param message_ids: wamids of 100 messages at most, if there is no hash.
    :param maton_conn_id: The Airflow connection whose message history the trigger asks.
    :param phone_number_id: Sender; None: that connection's.
    """

    masked: ClassVar = {"message_ids": "mask_id"}

    def __init__(
        self,
        *,
        wait_for: str,
        target: int,
        poke_interval: float,
        end_time: float,
        not_before: float = 0.0,
        events_conn_id: str | None = None,
        send_hash: str = "",
        since: int = 0,
        message_ids: Sequence[str] = (),
        maton_conn_id: str = "",
        phone_number_id: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.wait_for = wait_for
        self.target = target
        self.poke_interval = poke_interval
        self.end_time = end_time
        self.not_before = not_before
        self.events_conn_id = events_conn_id
        self.send_hash = send_hash
        self.since = since
        self.message_ids = list(message_ids)
        self.maton_conn_id = maton_conn_id
        self.phone_number_id = phone_number_id
        self._away = False

    def _waiting(self) -> _Waiting:
        return _Waiting(
            wait_for=self.wait_for,
            target=self.target,
            send_hash=self.send_hash,
            since=self.since,
            message_ids=self.message_ids,
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event."""
        waiting = self._waiting()
        try:
            async with asyncio.timeout(max(0.0, self.end_time - time.time())):
                await asyncio.sleep(max(0.0, self.not_before - time.time()))
                await self._wait(waiting)
        except TimeoutError:
            yield _event("timeout", waiting)
        else:
            yield _event("settled", waiting)

    async def _wait(self, waiting: _Waiting) -> None:
        """Return once the messages are settled; retry failed look-ups until the time is over."""
        kind: type[Poll] = HistoryPoll
        source: Source = Account(self.maton_conn_id, phone_number_id=self.phone_number_id)
        if self.events_conn_id is not None:
            kind, source = StorePoll, StoreAccount(self.events_conn_id)
        while True:
            try:
                async with subscription(kind, source, self.poke_interval, waiting):
                    while (news := await waiting.news.get()) != _SETTLED:
                        self._say(news)
                    return
            except Exception as error:  # the connection cannot be looked up now
                self._say(_NoAnswer(said(error)))
                await asyncio.sleep(self.poke_interval)

    def _say(self, news: Any) -> None:
        """Log once that the store or the history cannot be read, and once that it can be read again."""
        if isinstance(news, _NoAnswer) and not self._away:
            self._away = True
            self.log.warning(
                "WhatsApp: the state of the messages cannot be read; the task keeps waiting: %s", news.why
            )
        elif news == _BACK and self._away:
            self._away = False
            self.log.info("WhatsApp: the state of the messages can be read again.")

    def wait_here(self, client: Any, *, once: bool = False) -> bool:
        """Wait in this thread, with the same polls, or poll once; return whether the messages are settled."""
        waiting = self._waiting()
        kind: type[Poll] = HistoryPoll if self.events_conn_id is None else StorePoll
        poll = kind(client, self.poke_interval)
        try:
            time.sleep(max(0.0, min(self.not_before, self.end_time) - time.time()))
            while time.time() < self.end_time:
                if self._look(poll, waiting):
                    return True
                if once:
                    break
                time.sleep(max(0.0, min(self.poke_interval, self.end_time - time.time())))
            return False
        finally:
            poll.close()

    def _look(self, poll: Poll, waiting: _Waiting) -> bool:
        try:
            news = poll.ask([waiting])
        except Exception as error:
            news = poll.failed(error, [waiting])
        for _, item in news:
            self._say(item)
        return any(item == _SETTLED for _, item in news)


def _event(state: str, waiting: _Waiting) -> TriggerEvent:
    return TriggerEvent({"state": state, "message": waiting.last})  # type: ignore[no-untyped-call]
