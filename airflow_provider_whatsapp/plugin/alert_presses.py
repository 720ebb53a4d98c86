"""
Presses below alerts, for the sheet of alerts: who mutes a key, and who has a run in hand.

These functions block: call them through ``STORE``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.masking import clean_line
from airflow_provider_whatsapp.events.alerts import judged_presses
from airflow_provider_whatsapp.hooks.event_store import events_conn_id
from airflow_provider_whatsapp.notifications.acknowledge import Pressed
from airflow_provider_whatsapp.plugin.event_store import opened_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from airflow_provider_whatsapp.events.alerts import Judged
    from airflow_provider_whatsapp.notifications.records import Record


@dataclass(frozen=True, slots=True)
class KeyPresses:
    """The presses below one key's alerts that count, in order."""

    presses: tuple[Judged, ...] = ()

    @classmethod
    def by_key(cls, presses: Iterable[Judged]) -> dict[str, Self]:
        """Return the presses of each key, without those that change nothing."""
        found: dict[str, list[Judged]] = {}
        for one in presses:
            if one.alert is not None and not one.refusal:
                found.setdefault(one.alert.alert_key, []).append(one)
        return {key: cls(tuple(several)) for key, several in found.items()}

    def applied(self, record: Record, now: float) -> Record:
        """Return a key's record with the mute that a press has set; ``now`` is Unix time in seconds."""
        return Pressed.of(self.presses, ("", "", ""), now).applied(record)

    @property
    def in_hand(self) -> str:
        """Who has which run in hand, by the latest press; empty: nobody has one."""
        last = next((one for one in reversed(self.presses) if one.button == "on-it"), None)
        if last is None or last.alert is None:
            return ""
        return f"{clean_line(last.who, limit=100)} has run {clean_line(last.alert.run_id, limit=250, masked=False)}"


def load_presses() -> Mapping[str, KeyPresses]:
    """Return the presses that count, by key, none without an event store; raises WhatsAppError if the store fails."""
    if events_conn_id() is None:
        return {}
    with opened_store() as store:
        return KeyPresses.by_key(judged_presses(store))
