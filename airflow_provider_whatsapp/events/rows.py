"""Events as rows of the store's tables."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.phone import canonical
from airflow_provider_whatsapp.delivery.callback_data import parse_callback_data
from airflow_provider_whatsapp.events.kinds import RANKS, Event, Inbound, Other, Preference, Status

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

Row = dict[str, Any]


class Rows:
    """Rows that are written together, one for each key: the first verified one, otherwise the first one."""

    def __init__(self, now: datetime) -> None:
        self._now = now  # when the events were received
        self.statuses: dict[tuple[str, ...], Row] = {}
        self.messages: dict[tuple[str, ...], Row] = {}
        self.others: dict[tuple[str, ...], Row] = {}
        self.preferences: list[Row] = []

    def add(self, events: Iterable[Event], *, verified: bool) -> None:
        """Add the events of one delivery; verified: its signature was checked."""
        for event in events:
            row: Row = {"verified": verified, "received_at": self._now}
            if isinstance(event, Status):
                self._put(
                    self.statuses, (event.message_id, event.status, event.participant), row, _status(event)
                )
            elif isinstance(event, Inbound):
                self._put(self.messages, (event.message_id,), row, _fields(event))
            elif isinstance(event, Preference):
                self.preferences += [row | own for own in self._preference(event)]
            else:
                key = _key(event)
                self._put(self.others, (key,), row, {**_fields(event), "event_key": key})

    def _put(self, kept: dict[tuple[str, ...], Row], key: tuple[str, ...], row: Row, fields: Row) -> None:
        earlier = kept.get(key)
        if earlier is None or (row["verified"] and not earlier["verified"]):
            kept[key] = row | fields | {"occurred_at": fields["occurred_at"] or self._now}

    def _preference(self, event: Preference) -> Iterable[Row]:
        """Yield a row for the number, in canonical form, and one for the user ID."""
        number = canonical(event.number.removeprefix("+")) if event.number else None
        for contact in filter(None, (number, event.user_id)):
            yield {
                "account_id": event.account_id,
                "contact": contact,
                "scope": event.scope,
                "opted_out": event.opted_out,
                "source": event.source,
                "number": event.number,
                "user_id": event.user_id,
                # Not later than now: a wish in the future would override all that come before it.
                "changed_at": min(event.occurred_at or self._now, self._now),
            }


def _fields(event: Inbound | Other | Status) -> Row:
    return {name: getattr(event, name) for name in event.__slots__}


def _status(event: Status) -> Row:
    own = parse_callback_data(event.callback_data or "")
    send_hash, epoch, position = own or (None, None, None)
    return {
        **_fields(event),
        "status_rank": RANKS.get(event.status, 0),
        "send_hash": send_hash,
        "send_epoch": epoch,
        "send_position": position,
    }


def _key(event: Other) -> str:
    """Return a key that is equal if the same event is delivered again."""
    moment = event.occurred_at.isoformat() if event.occurred_at else ""
    facts = f"{event.field}\n{event.account_id}\n{event.phone_number_id}\n{moment}\n{event.raw}"
    return hashlib.sha256(facts.encode()).hexdigest()
