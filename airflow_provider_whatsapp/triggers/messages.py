"""The trigger that waits until messages are sent, delivered or read; and the one for messages from people."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.triggers.base import TriggerEvent

from airflow_provider_whatsapp.triggers._arguments import StoresArguments
from airflow_provider_whatsapp.triggers.inbound import InboundMessageTrigger
from airflow_provider_whatsapp.triggers.polls import Account, Poll, Subscriber, first_news

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from sqlalchemy.engine import URL

    from airflow_provider_whatsapp.client.errors import WhatsAppError

__all__ = ["InboundMessageTrigger", "MessagePoll", "MessageStatusTrigger", "Progress", "judge", "look"]

REACHED = ("accepted", "sent", "delivered", "read")
STATUSES = REACHED[1:]
"""The statuses to wait for."""

CLOSED = (
    "WhatsApp's message history is closed to this connection, and there is no event store, so the status of messages "
    "cannot be read. Meta opens the history to some apps only. Set up the receiver of receipts, and name its "
    "database in [whatsapp] events_conn_id."
)


@dataclass(frozen=True)
class Progress:
    """
    How far messages have got.

    :param state: ``reached`` (all of them), ``waiting`` or ``failed`` (at least one).
    :param message: The finding as a sentence.
    :param statuses: Status, time and error by wamid.
    """

    state: Literal["reached", "waiting", "failed"]
    message: str
    statuses: dict[str, dict[str, Any]] = field(default_factory=dict)


def judge(found: Mapping[str, Mapping[str, Any]], wanted: str) -> Progress:
    """Judge whether all messages, by wamid, have reached a status; one that is not known yet counts as accepted."""
    from airflow_provider_whatsapp.client.masking import mask_id

    failed, behind = [], []
    for message_id, fact in found.items():
        status = str(fact.get("status"))
        if status in ("failed", "deleted"):
            failed.append(f"{mask_id(message_id)} {status}: {fact.get('error') or 'no reason was given'}")
        elif status not in REACHED or REACHED.index(status) < REACHED.index(wanted):
            behind.append(message_id)
    statuses = {message_id: dict(fact) for message_id, fact in found.items()}
    if failed:
        return Progress("failed", f"WhatsApp could not deliver {'; '.join(failed)}.", statuses)
    if behind:
        return Progress("waiting", f"{len(behind)} of {len(found)} messages are not {wanted} yet.", statuses)
    return Progress("reached", f"All {len(found)} messages are {wanted}.", statuses)


def look(status_of: Callable[[str], Mapping[str, Any]], message_ids: Sequence[str], wanted: str) -> Progress:
    """Ask for each message once, and return the judgement."""
    from airflow_provider_whatsapp.client.errors import (
        InvalidRequestError,
        NotFoundError,
        PermissionDeniedError,
    )

    found: dict[str, Mapping[str, Any]] = {}
    for message_id in message_ids:
        try:
            found[message_id] = status_of(message_id)
        except NotFoundError as error:
            if error.http_status is not None:  # the endpoint refuses, not only this message
                raise _closed(error) from error
            found[message_id] = {"status": "accepted", "timestamp": None, "error": None}
        except (PermissionDeniedError, InvalidRequestError) as error:
            raise _closed(error) from error
    return judge(found, wanted)


def _closed(error: WhatsAppError) -> WhatsAppError:
    from airflow_provider_whatsapp.client.errors import PermissionDeniedError

    said = error.details or error.message
    return PermissionDeniedError(
        CLOSED, code=error.code, subcode=error.subcode, http_status=error.http_status, details=said
    )


class MessagePoll(Poll):
    """Asks for the messages of all waiting triggers, one request for each: the history has no request for several."""

    kind: ClassVar[str] = "messages"

    def ask(self, subscribers: Sequence[Subscriber]) -> list[tuple[Subscriber, Any]]:
        """
        Ask for each message once, even if several triggers wait for it, and return the news.

        :param subscribers: The waiting triggers.
        """
        from airflow_provider_whatsapp.client.errors import WhatsAppError

        known: dict[str, Mapping[str, Any]] = {}

        def history(message_id: str) -> Mapping[str, Any]:
            if message_id not in known:
                known[message_id] = self.client.history.status(message_id)
            return known[message_id]

        sources = _sources([each for each in subscribers if isinstance(each, _Messages)], history)
        news: list[tuple[Subscriber, Any]] = []
        for subscriber in subscribers:
            try:
                item = subscriber.judge(sources.get(getattr(subscriber, "url", None), history))
            except WhatsAppError as error:
                if not error.permanent:
                    raise
                item = error  # a wrong wamid does not concern the other triggers
            if item is not None:
                news.append((subscriber, item))
        return news


def _sources(
    waiting: Sequence[_Messages], history: Callable[[str], Mapping[str, Any]]
) -> dict[URL | None, Callable[[str], Mapping[str, Any]]]:
    """Return, for each store, what reads the messages' receipts there, with one query for all of them."""
    from airflow_provider_whatsapp.hooks.receipts_first import ReceiptsFirst, receipts_in

    ids: dict[URL, list[str]] = {}
    for each in waiting:
        if each.url is not None:
            ids.setdefault(each.url, []).extend(each.message_ids)
    found: dict[URL | None, Callable[[str], Mapping[str, Any]]] = {}
    for url, own in ids.items():
        known: dict[str, Mapping[str, Any]] = {}
        source = ReceiptsFirst(history, functools.partial(receipts_in, url))
        source.load(list(dict.fromkeys(own)))
        found[url] = functools.partial(_once, known, source)
    return found


def _once(
    known: dict[str, Mapping[str, Any]], source: Callable[[str], Mapping[str, Any]], message_id: str
) -> Mapping[str, Any]:
    """Return how far a message has got; ask for it once, even if several triggers wait for it."""
    if message_id not in known:
        known[message_id] = source(message_id)
    return known[message_id]


class _Messages(Subscriber):
    def __init__(self, message_ids: list[str], wanted: str, url: URL | None = None) -> None:
        super().__init__()
        self.message_ids = message_ids
        self.wanted = wanted
        self.url = url

    def judge(self, found: Callable[[str], Mapping[str, Any]]) -> Progress | None:
        progress = look(found, self.message_ids, self.wanted)
        self.last = progress.message
        return progress if progress.state != "waiting" else None


class MessageStatusTrigger(StoresArguments):
    """
    Wait until messages are sent, delivered or read, one of them has failed, or the time is over.

    It ends with one event: ``{"state": ..., "message": ..., "statuses": {...}}``, where the state is ``reached``,
    ``failed``, ``error`` or ``timeout``.

    :param message_ids: wamids.
    :param status: ``sent``, ``delivered`` or ``read``.
    :param maton_conn_id: The Airflow connection.
    :param phone_number_id: Sender; None: the connection's.
    :param poke_interval: Seconds between two polls.
    :param end_time: Unix time in seconds at which to give up.
    :param events_conn_id: Connection of the event store, which the trigger asks first; None: there is no store.
    """

    masked: ClassVar = {"message_ids": "mask_id"}

    def __init__(
        self,
        *,
        message_ids: list[str],
        status: str,
        maton_conn_id: str,
        phone_number_id: str | None,
        poke_interval: float,
        end_time: float,
        events_conn_id: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.message_ids = message_ids
        self.status = status
        self.maton_conn_id = maton_conn_id
        self.phone_number_id = phone_number_id
        self.poke_interval = poke_interval
        self.end_time = end_time
        self.events_conn_id = events_conn_id

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event."""
        subscriber = _Messages(self.message_ids, self.status, await self._store())
        account = Account(self.maton_conn_id, phone_number_id=self.phone_number_id)
        state, news = await first_news(
            MessagePoll,
            account,
            subscriber,
            interval=self.poke_interval,
            end_time=self.end_time,
            late=f"Not all messages were {self.status} within the timeout.",
        )
        if state:
            yield _event(state, news)
        else:
            yield _event(news.state, news.message, news.statuses)

    async def _store(self) -> URL | None:
        """Return the event store's URL; if it cannot be looked up, log that and return None: the history remains."""
        if self.events_conn_id is None:
            return None
        from airflow_provider_whatsapp.client.errors import WhatsAppError
        from airflow_provider_whatsapp.hooks.event_store import aevent_store_url

        try:
            return await aevent_store_url(self.events_conn_id)
        except Exception as error:  # a secrets backend raises errors of other types
            why = str(error) if isinstance(error, WhatsAppError) else type(error).__name__
            self.log.warning("WhatsApp: receipts cannot be looked up: %s", why)
            return None


class _Event(TriggerEvent):
    """An event whose ``repr`` the triggerer may log: only the payload contains message IDs, which contain numbers."""

    def __repr__(self) -> str:
        return f"TriggerEvent<{self.payload['state']}: {self.payload['message']}>"

    __str__ = __repr__


def _event(state: str, message: str, statuses: dict[str, dict[str, Any]] | None = None) -> TriggerEvent:
    payload = {"state": state, "message": message, "statuses": statuses or {}}
    return _Event(payload)  # type: ignore[call-arg]  # its constructor is untyped
