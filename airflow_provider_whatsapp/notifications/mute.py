"""The throttle state for people who look at it: a list of the keys, and how to mute one of them."""

from __future__ import annotations

import functools
import json
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from airflow_provider_whatsapp.client.errors import PayloadError, WhatsAppError
from airflow_provider_whatsapp.client.masking import clean_line
from airflow_provider_whatsapp.notifications.alert_stores import (
    Store,
    SwapStore,
    is_name_of,
    label_of,
    parsed,
)
from airflow_provider_whatsapp.notifications.records import LONGEST_MUTE, Record
from airflow_provider_whatsapp.notifications.throttle import on_mute
from airflow_provider_whatsapp.notifications.throttle_state import SETTLING, ThrottleState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROUNDS = 3
"""How often to write a mute that another machine overwrites."""


class ListedStore(Store, Protocol):
    """A store that can list what is in it."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Yield the names and texts of alerts' records, a limited number of them."""


class MuteError(WhatsAppError):
    """A mute could not be written."""


@dataclass(frozen=True, slots=True)
class AlertState:
    """The throttle state of one key."""

    key: str  # dag.task, or the notifier's dedupe_key
    record: Record


def alert_states(store: ListedStore) -> list[AlertState]:
    """Return the throttle state of alerts by key, the latest failure first, without other records of the store."""
    found = (_state(name, text) for name, text in store.items())
    return sorted(filter(None, found), key=lambda state: (-_latest(state.record), state.key))


def _latest(record: Record) -> float:
    moment = max(record.sent_at, record.first_failed_at)
    return moment if math.isfinite(moment) else 0.0


def _state(name: str, text: str) -> AlertState | None:
    """Read a key's record; those of people and of claims have other fields, or a label that is not their key."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or "failures" not in found:
        return None
    key = label_of(text)
    if not is_name_of(name, key):
        return None
    record = parsed(text, Record)
    return AlertState(key, record) if record != Record() else None  # a damaged one counts as empty


def who_muted(record: Record) -> str:
    """Say who has muted a key and until when."""
    by = clean_line(record.muted_by, limit=100) or "somebody"
    return f"{by} has muted this alert until {datetime.fromtimestamp(record.muted_until, UTC):%Y-%m-%d %H:%M} UTC"


def mute(
    store: Store,
    key: str,
    *,
    seconds: float,  # from now; 0: unmute it
    by: str,  # Airflow's name of the user
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Mute or unmute a key, and return the Unix time in seconds until which it is muted; 0: it is not."""
    if not 0 <= seconds <= LONGEST_MUTE:
        days = LONGEST_MUTE / 86_400
        raise PayloadError(f"{seconds:g} seconds", field="mute", limit=f"0 seconds to {days:g} days")
    now = time.time()
    until = now + seconds if seconds else 0.0
    rule = functools.partial(on_mute, until=until, by=by, at=now)
    for _ in range(ROUNDS):
        state = ThrottleState(store)
        if state.decide(key, rule) is None:
            raise MuteError("the throttle state of alerts cannot be reached", advice="Try again in a moment.")
        if isinstance(store, SwapStore):
            return until  # nobody overwrites it there
        # Variables have no compare-and-swap: an alert on another machine that read the record earlier may write it
        # later, without the mute.
        sleep(SETTLING)
        found = state.read(key, Record)
        if found is not None and found.muted_until == until:
            return until
    raise MuteError(
        "alerts on other machines keep changing this throttle state at the same time",
        advice="Try again in a moment.",
    )
