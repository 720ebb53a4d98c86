"""
The throttle state of alerts, for people who may see their DAGs: what is suppressed, until when, and what is muted.

These functions block: call them through ``with_records``.
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
"""The most suppressed failures that are named."""


class StoreAwayError(Exception):
    """A Redis with the throttle state of alerts does not answer, or refuses the login."""

    def __str__(self) -> str:
        return (
            "The page cannot show the alerts in Redis, because it cannot read Redis. The API server's log says "
            "why."
        )


class Variables:
    """Airflow's Variables, read and written in the API server, which has access to the database."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, or the default if there is no such Variable."""
        return Variable.get(key, default_var=default)

    def set(self, key: str, value: Any) -> None:
        """Set a value."""
        Variable.set(key, value)

    def delete(self, key: str) -> None:
        """Delete a value."""
        Variable.delete(key)

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield names and values of alerts' records, up to a limit."""
        like = PREFIX.replace("_", r"\_") + "%"
        query = select(Variable).where(Variable.key.like(like, escape="\\")).order_by(Variable.key)
        with create_session(scoped=False) as session:
            for found in session.scalars(query.limit(2 * MOST_LISTED)):
                text = found.val
                if not found.key.endswith(CLAIM) and isinstance(text, str):
                    yield found.key, text


def stores(conn: str = "") -> Mapping[str, ListedStore]:
    """Return the stores of this Airflow's alerts, by a name for the page's addresses."""
    # The caller checks that the user may see the connection, which may be listed nowhere.
    shared = {found.index: found for config in configs_with_redis(conn) if (found := redis_state(config))}
    return {"variables": Variables(), "files": Files(), **shared}


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert as the page shows it."""

    store: str
    key: str
    title: str  # the key as the page shows it
    state: str  # muted, sending, paused, suppressed, failing or quiet
    until: datetime | None  # end of the state; None: no time ends it, or the time is not known
    muted_by: str
    last_sent: datetime | None
    failures: int  # in a row
    runs: int  # failed runs in a row
    held: int  # failures that no message has named yet
    names: tuple[str, ...]  # of the first few held failures
    may_mute: bool
    in_hand: str = ""  # who has which run in hand; empty: nobody has one


def is_allowed(record: Record, method: Method, permits: DagPermits) -> bool:
    """Return whether a user may see or change an alert, which requires the permission for all DAGs in its record."""
    # A record of an earlier version names no DAG.
    if not record.dags or ALL_DAGS in record.dags:
        return permits.may_all(method)
    return all(permits.may(method, dag) for dag in record.dags)


def alert_rows(
    listed: Mapping[str, ListedStore],
    permits: DagPermits,
    now: float,  # Unix time in seconds
    pressed: Mapping[str, KeyPresses] = MappingProxyType({}),
) -> tuple[list[AlertRow], list[str]]:
    """Return the alerts that a user may see, quiet ones last, and sentences about stores that do not answer."""
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
    """Return the throttle state of a key; None: there is none; raises StoreAwayError if the store fails."""
    return next((state for state in _states(store) if state.key == key), None)


def record_text(name: str) -> str | None:
    """Return a record from any store; of several, the one in Redis, because records in Variables move there."""
    for store in stores().values():
        if isinstance(store, RedisState):
            with contextlib.suppress(Exception):  # the sheet of alerts says that Redis cannot be reached
                if found := store.reach(lambda kept: kept.get(name, default=None)):
                    return str(found)
    return metadata.variable(name)


def _states(store: ListedStore) -> list[AlertState]:
    try:
        return alert_states(store)
    except WhatsAppError as error:
        # The address of Redis is only for people who may see the connection.
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
    """Return a Unix time in seconds as a moment; None if no clock can have written it."""
    try:
        return datetime.fromtimestamp(at, UTC) if at > 0 else None
    except (OverflowError, ValueError, OSError):
        return None
