"""
The throttle state of alerts in the Redis that paces their account: all machines share it, by compare and set.

An alert that gets no answer in time uses its other store. Of the records in Redis, it then knows only what it has
written itself: an outage costs one message too many per key. What alerts have written to the other store meanwhile, or
an earlier version has left there, moves to Redis with the next alert of the same key or person.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from airflow_provider_whatsapp.client.errors import ConfigurationError, WhatsAppError
from airflow_provider_whatsapp.client.redis_server import load_client
from airflow_provider_whatsapp.client.redis_slots import RedisAwayError
from airflow_provider_whatsapp.client.redis_texts import RedisTexts
from airflow_provider_whatsapp.notifications.alert_stores import (
    MOST_LISTED,
    MOVED,
    label_of,
    moved_of,
    name_of,
    parsed,
    text_of,
)
from airflow_provider_whatsapp.notifications.bounded import in_daemon
from airflow_provider_whatsapp.notifications.missed import Undelivered, on_leave
from airflow_provider_whatsapp.notifications.records import ALL_DAGS, MAX_DAGS, Person, Record
from airflow_provider_whatsapp.notifications.throttle import without_the_dead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed import DataclassInstance

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.redis_server import RedisServer
    from airflow_provider_whatsapp.notifications.alert_stores import Store

K = TypeVar("K", bound="DataclassInstance")
T = TypeVar("T")

logger = logging.getLogger(__name__)

SECONDS = 3.0
"""Seconds that one use takes at most; then Redis counts as down."""
LIST_SECONDS = 5.0
"""Seconds that a list of the records takes at most."""
LOOK_EVERY = 2.0
"""Seconds for which the alerts of a process do not ask a Redis that was down."""
HANDED_OVER = 60.0
"""Seconds after the end of a person's gap for which an alert may still be waiting."""


class RedisState(RedisTexts):
    """Records in Redis, for alerts and for the page in Airflow; alerts of one process share one such object."""

    def __init__(self, server: RedisServer, owner: str) -> None:  # owner: one account in one Airflow
        super().__init__(server, "alerts", owner)
        self._away, self._look_at = False, 0.0

    def is_worth_asking(self) -> bool:
        """Say whether to ask Redis; not if it was down a moment ago."""
        return not self._away or time.monotonic() >= self._look_at

    def went_away(self, error: Exception) -> None:
        """Note that Redis could not be used, and log it once."""
        first, self._away = not self._away, True
        self._look_at = time.monotonic() + LOOK_EVERY
        if first:
            # Our own errors say what to do; the text of others may quote what was sent to Redis.
            why = str(error) if isinstance(error, WhatsAppError | RedisAwayError) else type(error).__name__
            logger.warning(
                "Redis at %s, which stores the throttle state of alerts, cannot be reached (%s): alerts use "
                "Airflow's Variables until it can",
                self.server.name,
                why,
            )

    def reach(self, act: Callable[[Store], T]) -> T:
        """Use the records, in bounded time; raises any exception if Redis is down or does not answer in time."""
        load_client()  # takes seconds on a busy machine, for which Redis is not to blame
        until = time.monotonic() + SECONDS
        found = in_daemon(lambda: act(_InTime(self, until)), SECONDS)
        if self._away:
            self._away = False
            logger.info("Redis at %s answers again and stores the throttle state of alerts", self.server.name)
        return found

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield the names and texts of keys' records; raises ConfigurationError if Redis does not answer."""
        try:
            found = in_daemon(lambda: list(self.kept(MOST_LISTED)), LIST_SECONDS)
        except (RedisAwayError, TimeoutError) as error:
            raise ConfigurationError(
                f"Redis at {self.server.name}, which stores the throttle state of alerts, does not answer "
                f"({str(error) or type(error).__name__})",
                advice="Check its host, its port and the network. Until it answers, alerts use Airflow's Variables.",
            ) from None
        for key, text in found:
            name = name_of(label_of(text))
            if self.key(name) == key:  # those of people have no name to show
                yield name, text

    def moving(
        self, text: str | None, kind: type[K]
    ) -> Callable[[str | None], tuple[str | None, None]] | None:
        """Return a revision that moves here, once, a record written without Redis; None: there is nothing to move."""
        found = parsed(text, kind)
        if not text or found == kind() or _is_used(found, time.time()):
            return None
        label, mark = label_of(text), hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]

        def revise(before: str | None) -> tuple[str | None, None]:
            if moved_of(before) == mark:
                return None, None
            both = joined(parsed(before, kind), found, time.time())
            return text_of(both, label, before, **{MOVED: mark}), None

        return revise


class _InTime:
    """The records, until a moment: a use that its caller has given up must not change them any more."""

    def __init__(self, kept: RedisState, until: float) -> None:
        self._kept = kept
        self._until = until

    def get(self, key: str, default: Any = None) -> Any:
        return self._in_time().get(key, default)

    def set(self, key: str, value: Any) -> None:
        self._in_time().set(key, value)

    def delete(self, key: str) -> None:
        self._in_time().delete(key)

    def swap(self, key: str, before: str | None, after: str) -> bool:
        return self._in_time().swap(key, before, after)

    def _in_time(self) -> RedisState:
        if time.monotonic() >= self._until:
            raise TimeoutError
        return self._kept


_states: dict[tuple[RedisServer, str], RedisState] = {}
_lock = threading.Lock()


def redis_state(config: ClientConfig) -> RedisState | None:
    """Return the throttle state of a connection's alerts in Redis; None: the connection names no Redis."""
    if config.pace_redis is None:
        return None
    from airflow_provider_whatsapp._compat import conf

    # Several Airflows may share an account and a Redis; their base URLs distinguish them.
    airflow = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    key = config.pace_redis, f"{config.api_key} {config.data_url} {airflow}"
    with _lock:
        if key not in _states:
            _states[key] = RedisState(*key)
        return _states[key]


@functools.singledispatch
def _is_used(record: Any, now: float) -> bool:  # noqa: ARG001  (others use them)
    """Say whether an alert that uses the other store is about to read this record again."""
    return False


@_is_used.register
def _(record: Record, now: float) -> bool:
    return record.is_sending(now) or (bool(record.waiter) and now < record.waits_until)


@_is_used.register
def _(record: Person, now: float) -> bool:
    return bool(record.teller) and now < record.free_at + HANDED_OVER


@functools.singledispatch
def _joined(here: Any, there: Any, now: float) -> Any:  # noqa: ARG001  (others use them)
    """Merge two records of one key."""
    raise TypeError(type(here).__name__)


def joined(here: K, there: K, now: float) -> K:
    """Merge two records of one key, each of which may have failures that the other does not have."""
    # `now` is Unix time in seconds.
    if here == type(here)():
        return there
    return cast("K", _joined(here, there, now))


@_joined.register
def _(here: Record, there: Record, now: float) -> Record:
    last, first = sorted((here, there), key=lambda each: (each.sent_at, each.first_failed_at), reverse=True)
    first = without_the_dead(first, now)
    both = last.with_more(first.held, first.names)
    muted = max(here, there, key=lambda each: (each.mute_set_at, each.muted_until))
    began = [each.first_failed_at for each in (here, there) if each.failures]
    dags = tuple(dict.fromkeys((*here.dags, *there.dags)))
    return replace(
        both,
        failures=here.failures + there.failures,
        runs=here.runs + there.runs - (bool(here.run) and here.run == there.run),
        first_failed_at=min(began, default=0.0),
        told=last.told + first.told if last.run == first.run else last.told,
        muted_until=muted.muted_until,
        muted_by=muted.muted_by,
        mute_set_at=muted.mute_set_at,
        dags=(ALL_DAGS,) if ALL_DAGS in dags or len(dags) > MAX_DAGS else dags,
    )


@_joined.register
def _(here: Person, there: Person, now: float) -> Person:  # noqa: ARG001
    return replace(here.with_more(there.held, there.names), free_at=max(here.free_at, there.free_at))


@_joined.register
def _(here: Undelivered, there: Undelivered, now: float) -> Undelivered:  # noqa: ARG001
    return on_leave(here, there.entries)[0]
