"""
The throttle state of alerts, for those who may see their DAGs: what is suppressed, until when, and what is muted.

These functions block: call them by ``with_records``.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow.models.variable import Variable
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.masking import clean_line
from airflow_provider_whatsapp.notifications.alert_stores import CLAIM, MOST_LISTED, PREFIX, Files
from airflow_provider_whatsapp.notifications.mute import alert_states
from airflow_provider_whatsapp.notifications.records import ALL_DAGS, Record
from airflow_provider_whatsapp.notifications.redis_state import RedisState, redis_state
from airflow_provider_whatsapp.plugin import metadata
from airflow_provider_whatsapp.plugin.alert_presses import KeyPresses
from airflow_provider_whatsapp.plugin.connections import configs_with_redis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_whatsapp.notifications.mute import AlertState, ListedStore
    from airflow_provider_whatsapp.plugin.permits import DagPermits, Method

logger = logging.getLogger(__name__)

MAX_NAMES = 5
"""Suppressed failures that are named."""


class StoreAwayError(Exception):
    """A Redis with alerts' records does not answer, or lets nobody in."""

    def __str__(self) -> str:
        return (
            "The page cannot show the alerts in Redis, because it cannot read Redis. The API server's log says "
            "why."
        )


class Variables:
    """Airflow's Variables, read and written in the API server, which has the database."""

    def get(self, key: str, default: Any = None) -> Any:
        """
        Return a value.

        :param key: Its name.
        :param default: What is returned where there is none.
        """
        return Variable.get(key, default_var=default)

    def set(self, key: str, value: Any) -> None:
        """
        Keep a value.

        :param key: Its name.
        :param value: Text.
        """
        Variable.set(key, value)

    def delete(self, key: str) -> None:
        """
        Forget a value.

        :param key: Its name.
        """
        Variable.delete(key)

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield names and values of alerts' records, a bounded number of them."""
        like = PREFIX.replace("_", r"\_") + "%"
        query = select(Variable).where(Variable.key.like(like, escape="\\")).order_by(Variable.key)
        with create_session(scoped=False) as session:
            for found in session.scalars(query.limit(2 * MOST_LISTED)):
                text = found.val
                if not found.key.endswith(CLAIM) and isinstance(text, str):
                    yield found.key, text


def stores(conn: str = "") -> Mapping[str, ListedStore]:
    """
    Return where alerts of this Airflow keep their records, by a name for the page's addresses.

    :param conn: A connection that may be listed nowhere, and that the user may see.
    """
    shared = {found.index: found for config in configs_with_redis(conn) if (found := redis_state(config))}
    return {"variables": Variables(), "files": Files(), **shared}


@dataclass(frozen=True, slots=True)
class AlertRow:
    """
    An alert as the page shows it.

    :param store: Where its record lives.
    :param key: What the record is found by.
    :param title: The key, fit to be shown.
    :param state: ``muted``, ``sending``, ``paused``, ``suppressed``, ``failing`` or ``quiet``.
    :param until: When that state ends with the time; None: it does not, or nobody knows.
    :param muted_by: Who muted it.
    :param last_sent: When the last message went.
    :param failures: Failures in a row.
    :param runs: Runs in a row that have failed.
    :param held: Failures that no message has named yet.
    :param names: The first few names among them.
    :param may_mute: The user may mute it.
    :param in_hand: Who has which run in hand; empty: nobody has any.
    """

    store: str
    key: str
    title: str
    state: str
    until: datetime | None
    muted_by: str
    last_sent: datetime | None
    failures: int
    runs: int
    held: int
    names: tuple[str, ...]
    may_mute: bool
    in_hand: str = ""


def is_allowed(record: Record, method: Method, permits: DagPermits) -> bool:
    """
    Say whether a user may see an alert, or change it: what they may with all DAGs whose failures it has counted.

    :param record: The key's record; one of an earlier version names no DAG, and is for those who may see all.
    :param method: ``GET`` or ``PUT``.
    :param permits: What the user may do.
    """
    if not record.dags or ALL_DAGS in record.dags:
        return permits.may_all(method)
    return all(permits.may(method, dag) for dag in record.dags)


def alert_rows(
    listed: Mapping[str, ListedStore],
    permits: DagPermits,
    now: float,
    pressed: Mapping[str, KeyPresses] = MappingProxyType({}),
) -> tuple[list[AlertRow], list[str]]:
    """
    Return the alerts that a user may see, what is muted, suppressed or failing first, and which stores do not answer.

    :param listed: The stores.
    :param permits: What the user may do.
    :param now: Unix time in seconds.
    :param pressed: What was pressed below them, by their keys.
    """
    rows, problems = [], []
    for name, store in listed.items():
        try:
            states = _states(store)
        except StoreAwayError as error:
            problems.append(str(error))
            continue
        rows += [
            _row(
                name,
                state,
                now,
                pressed.get(state.key, KeyPresses()),
                may_mute=is_allowed(state.record, "PUT", permits),
            )
            for state in states
            if is_allowed(state.record, "GET", permits)
        ]
    return sorted(rows, key=lambda row: row.state == "quiet"), problems


def find_alert(store: ListedStore, key: str) -> AlertState | None:
    """
    Return the throttle state of a key; None: there is none.

    :param store: Where it would be.
    :param key: What is alerted of.
    :raises StoreAwayError: The store does not answer.
    """
    return next((state for state in _states(store) if state.key == key), None)


def record_text(name: str) -> str | None:
    """
    Return a record wherever it lives; of several, the one in Redis, for what stands in Variables moves there.

    :param name: The record's name.
    """
    for store in stores().values():
        if isinstance(store, RedisState):
            with contextlib.suppress(Exception):  # the sheet of alerts says that Redis is away
                if found := store.reach(lambda kept: kept.get(name, default=None)):
                    return str(found)
    return metadata.variable(name)


def _states(store: ListedStore) -> list[AlertState]:
    try:
        return alert_states(store)
    except WhatsAppError as error:
        # Where Redis is, is for those who may see the connection.
        logger.warning("WhatsApp: the page cannot show alerts. %s", error)
        raise StoreAwayError from None


def _row(store: str, found: AlertState, now: float, pressed: KeyPresses, *, may_mute: bool) -> AlertRow:
    record = pressed.applied(found.record, now)
    state, until = _state(record, now)
    return AlertRow(
        store=store,
        key=found.key,
        title=clean_line(found.key, limit=300),
        state=state,
        until=moment_of(until),
        muted_by=clean_line(record.muted_by, limit=100) if state == "muted" else "",
        last_sent=moment_of(record.sent_at),
        failures=record.failures,
        runs=record.runs,
        held=record.held,
        names=tuple(clean_line(name, limit=120) for name in list(dict.fromkeys(record.names))[:MAX_NAMES]),
        may_mute=may_mute,
        in_hand=pressed.in_hand,
    )


def _state(record: Record, now: float) -> tuple[str, float]:
    if record.is_muted(now):
        return "muted", record.muted_until
    if record.is_sending(now):
        return "sending", record.sends_until
    if record.is_paused(now):
        return "paused", record.paused_until
    if record.failures and record.sent_at and abs(now - record.sent_at) < record.cooldown:
        return "suppressed", record.sent_at + record.cooldown
    return ("failing" if record.failures else "quiet"), 0.0


def moment_of(at: float) -> datetime | None:
    """
    Return a time; what no clock can have written is none.

    :param at: Unix time in seconds.
    """
    try:
        return datetime.fromtimestamp(at, UTC) if at > 0 else None
    except (OverflowError, ValueError, OSError):
        return None
