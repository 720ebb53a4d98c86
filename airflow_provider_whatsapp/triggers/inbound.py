"""The trigger with which an asset watcher turns each message that somebody sends into an event."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_whatsapp._compat import AirflowNotFoundException
from airflow_provider_whatsapp.client.errors import ConfigurationError, WhatsAppError
from airflow_provider_whatsapp.triggers._arguments import StoresArguments

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from airflow_provider_whatsapp.events.inbox import Found, Inbox
    from airflow_provider_whatsapp.events.store import EventStore

CONFIRM_SECONDS = 10.0
"""Seconds from an event until its position is written: a triggerer may stop before Airflow has stored the event."""
LONGEST_PAUSE = 60.0
"""Seconds between two polls at most, while the store cannot be read."""
SAY_EVERY = 300.0
"""Seconds between two log lines of the same kind."""
_FILTERS = (
    *("kind", "payload", "keyword", "sender", "reply_to"),
    *("template_name", "phone_number_id", "waba_id"),
)


class InboundMessageTrigger(StoresArguments, BaseEventTrigger):
    """
    For an ``AssetWatcher``: an event for each message that somebody sends, from the event store.

    .. code-block:: python

        from airflow.sdk import DAG, Asset, AssetWatcher

        from airflow_provider_whatsapp.operators.messages import SendTextOperator
        from airflow_provider_whatsapp.triggers.messages import InboundMessageTrigger

        trigger = InboundMessageTrigger(keyword=["LATE", "DELAY"])
        late = Asset("late_replies", watchers=[AssetWatcher(name="whatsapp", trigger=trigger)])
        with DAG("pass_on", schedule=late):
            SendTextOperator(task_id="send", to="+15550100123", text="Somebody is late.")

    It is edge-triggered: a new trigger begins with the messages that arrive after its start. It keeps its cursor in
        the store, so messages that arrive while no triggerer runs make their events later. Each message makes its event
        at least once, in the order in which the receiver stored them: after a triggerer has stopped, those of its last
        ten seconds may come again, with the same ``message_id``. A filter with a list matches any of its values; all
        filters have to match.

    Anybody who knows the receiver's address can post unsigned messages. Those make no event unless
    ``verified_only`` is False; then a forged message starts the DAG.

    Airflow keeps events in its database. An event contains the values that the filters name, and the masked sender;
    it contains the person's text and identity only with ``include``. ``message_id`` is the key of the row in
    ``whatsapp_messages``.

    :param kind: Types of messages: ``text``, ``button`` (of a template), ``interactive``, ``image`` and so on.
    :param payload: The value behind the button or list entry that somebody pressed.
    :param keyword: The whole text of the message; case, accents and punctuation around it do not matter.
    :param sender: Numbers of senders, in any spelling of their country, or business-scoped user IDs.
    :param reply_to: IDs of the messages that somebody answers by a quote or a button.
    :param template_name: Templates that somebody answers in this way; an Airflow task must have sent them, without
        ``callback_data`` of your own.
    :param phone_number_id: IDs of the numbers that received the message.
    :param waba_id: WhatsApp Business Accounts.
    :param verified_only: Only signed messages.
    :param include: What else the event holds: ``sender`` (not masked), ``text``, ``payload``, ``profile_name``.
    :param consumer: Name of this Airflow in the store, if several Airflows read it.
    :param events_conn_id: Connection of the store; None: ``[whatsapp] events_conn_id``.
    :param poke_interval: Seconds between two polls.
    :raises ConfigurationError: An argument has another type or value.
    """

    masked: ClassVar = {"sender": "mask", "reply_to": "mask_id"}

    def __init__(
        self,
        *,
        kind: str | Sequence[str] | None = None,
        payload: str | Sequence[str] | None = None,
        keyword: str | Sequence[str] | None = None,
        sender: str | Sequence[str] | None = None,
        reply_to: str | Sequence[str] | None = None,
        template_name: str | Sequence[str] | None = None,
        phone_number_id: str | Sequence[str] | None = None,
        waba_id: str | Sequence[str] | None = None,
        verified_only: bool = True,
        include: Sequence[str] = (),
        consumer: str = "airflow",
        events_conn_id: str | None = None,
        poke_interval: float = 5.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        given = (kind, payload, keyword, sender, reply_to, template_name, phone_number_id, waba_id)
        self.filters = {
            name: _texts(name, value)
            for name, value in zip(_FILTERS, given, strict=True)
            if value is not None
        }
        self.verified_only = verified_only
        self.include = _texts("include", include) if include else []
        self.consumer: Any = consumer
        self.events_conn_id = events_conn_id
        self.poke_interval = poke_interval
        self._cursor: _Cursor | None = None
        self._said: dict[str, float] = {}
        self._check()

    def _check(self) -> None:
        from airflow_provider_whatsapp.client.phone import recipient_key
        from airflow_provider_whatsapp.events.inbox import INCLUDABLE
        from airflow_provider_whatsapp.events.opt_out_words import bare

        for name in self.include:
            if name not in INCLUDABLE:
                raise ConfigurationError(
                    f"include: {name!r} is not known", advice=f"Give any of: {', '.join(INCLUDABLE)}."
                )
        for word in self.filters.get("keyword", ()):
            if not bare(word):
                raise ConfigurationError(
                    "keyword: a keyword is empty or has only punctuation",
                    advice="Give the whole text of a message.",
                )
        self._senders = [recipient_key(number) for number in self.filters.get("sender", ())]
        if not isinstance(self.consumer, str) or not 0 < len(self.consumer) <= 100 or "/" in self.consumer:
            raise ConfigurationError(
                "consumer: is not a name", advice="Give 1 to 100 characters without a slash."
            )
        if not self.poke_interval >= 0.1:
            raise ConfigurationError(
                "poke_interval: is below 0.1 seconds", advice="Give 0.1 seconds or more, such as 5."
            )

    def _argument(self, name: str) -> Any:
        return self.filters.get(name) if name in _FILTERS else getattr(self, name)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each matching message, without end; retry while the store cannot be read."""
        failures = 0
        while True:
            pause = self.poke_interval
            try:
                async with contextlib.aclosing(self._watch()) as events:
                    async for event in events:
                        failures = 0
                        yield event
            except Exception as error:
                failures += 1
                pause = min(LONGEST_PAUSE, self.poke_interval * 2 ** min(failures, 16))
                ours = isinstance(error, WhatsAppError | AirflowNotFoundException)
                why = str(error) if ours else type(error).__name__
                self._say("away", f"The event store cannot be read; the trigger tries again: {why}")
            await asyncio.sleep(pause)

    async def _watch(self) -> AsyncGenerator[TriggerEvent, None]:
        from airflow_provider_whatsapp.hooks.event_store import aevent_store_url, events_conn_id
        from airflow_provider_whatsapp.hooks.maton_whatsapp import in_thread

        conn_id = self.events_conn_id or events_conn_id()
        if conn_id is None:
            raise ConfigurationError(
                "there is no event store",
                advice="Set [whatsapp] events_conn_id to a connection to the receiver's database.",
            )
        url = await aevent_store_url(conn_id)
        shared = await in_thread(_SharedStore.open, url.render_as_string(hide_password=False))
        try:
            inbox = self._inbox(shared.store)
            if self._cursor is None:
                self._cursor = _Cursor(await in_thread(inbox.begin))
            cursor = self._cursor
            while True:
                found = await in_thread(inbox.read, cursor.position)
                self._warn(found)
                for payload in found.events:
                    yield _InboundEvent(payload)  # type: ignore[call-arg]  # its constructor is untyped
                cursor.move(found.position, confirm=bool(found.events))
                if (place := cursor.due()) is not None:
                    await in_thread(inbox.save, place)
                if not found.more:
                    await asyncio.sleep(self.poke_interval)
        finally:
            shared.release()

    def _inbox(self, store: EventStore) -> Inbox:
        from airflow_provider_whatsapp.events.inbox import Inbox, Wanted

        lists = {name: tuple(values) for name, values in self.filters.items()}
        wanted = Wanted(
            kinds=lists.get("kind", ()),
            payloads=lists.get("payload", ()),
            keywords=lists.get("keyword", ()),
            senders=tuple(self._senders),
            reply_to=lists.get("reply_to", ()),
            template_names=lists.get("template_name", ()),
            phone_number_ids=lists.get("phone_number_id", ()),
            waba_ids=lists.get("waba_id", ()),
            verified_only=self.verified_only,
        )
        return Inbox(store, wanted, consumer=self.consumer, include=self.include)

    def _warn(self, found: Found) -> None:
        if found.unsigned:
            self._say(
                "unsigned",
                f"WhatsApp: {found.unsigned} messages match, but make no event, because the receiver could not "
                "check their signature. Give the receiver the secret of your Meta app, or set verified_only=False "
                "if a forged message may start the DAG.",
            )

    def _say(self, kind: str, line: str) -> None:
        """Log a warning, at most once in five minutes for each kind."""
        if time.monotonic() - self._said.get(kind, float("-inf")) >= SAY_EVERY:
            self._said[kind] = time.monotonic()
            self.log.warning("%s", line)


class _Cursor:
    """A position in the store that is written only once Airflow has stored the events before it."""

    def __init__(self, position: int) -> None:
        self.position = position
        self._steps: deque[tuple[float, int]] = deque()

    def move(self, position: int, *, confirm: bool) -> None:
        """Move to a later position; with ``confirm``, Airflow first has to store the events before it."""
        if position != self.position:
            self.position = position
            self._steps.append((time.monotonic() + (CONFIRM_SECONDS if confirm else 0.0), position))

    def due(self) -> int | None:
        """Return the position that may be written now; None: there is none."""
        place = None
        while self._steps and self._steps[0][0] <= time.monotonic():
            place = self._steps.popleft()[1]
        return place


class _SharedStore:
    """One store for all triggers of a process that read the same database."""

    _open: dict[str, _SharedStore] = {}  # noqa: RUF012  (what all share)
    _lock = threading.Lock()

    def __init__(self, url: str) -> None:
        from airflow_provider_whatsapp.events.store import EventStore

        self._url = url
        self.users = 0
        self.store = EventStore.open(url)

    @classmethod
    def open(cls, url: str) -> _SharedStore:
        """Return the store; open it if no trigger uses it yet."""
        with cls._lock:
            found = cls._open.get(url) or cls(url)
            cls._open[url] = found
            found.users += 1
            return found

    def release(self) -> None:
        """Close the store if no other trigger uses it."""
        with self._lock:
            self.users -= 1
            if self.users == 0:
                del self._open[self._url]
                self.store.close()


class _InboundEvent(TriggerEvent):
    """An event whose ``repr`` the triggerer may log: only the payload contains personal data."""

    def __repr__(self) -> str:
        return f"TriggerEvent<a message of type {self.payload['kind']}>"

    __str__ = __repr__


def _texts(name: str, value: str | Sequence[str]) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if (
        not isinstance(texts, list | tuple)
        or not texts
        or not all(isinstance(text, str) and text for text in texts)
    ):
        raise ConfigurationError(
            f"{name}: is neither a text nor a list of texts", advice="Leave it out to match all."
        )
    return list(texts)
