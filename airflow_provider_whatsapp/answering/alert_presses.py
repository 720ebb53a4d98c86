"""
Presses below alerts: the log has a line for each, and the first "On it" of a run notifies the other recipients.

A press counts without this process: the next alert reads the same rows. Only the message to the others needs it.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func as sql
from sqlalchemy import select

from airflow_provider_whatsapp.answering.press_reader import RECEIPT_WAIT, PressReader
from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.masking import clean_line
from airflow_provider_whatsapp.client.messages import Template
from airflow_provider_whatsapp.client.phone import address
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
from airflow_provider_whatsapp.delivery.callback_data import key_hash, make_callback_data
from airflow_provider_whatsapp.events.alerts import (
    UNRECEIPTED,
    claim_note,
    judged_press,
    others_of,
)
from airflow_provider_whatsapp.events.kinds import ALERT_BUTTON
from airflow_provider_whatsapp.events.tables import messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.events.alerts import Judged, Notified, SentAlert
    from airflow_provider_whatsapp.events.presses import Press
    from airflow_provider_whatsapp.events.store import EventStore

logger = logging.getLogger(__name__)

IN_HAND_TEMPLATE = "airflow_alert_in_hand"
"""The stock template of the message to the others."""
CURSOR = "answer/alerts"
NEWS = timedelta(hours=1)
"""How long after a press the other recipients are notified; later it is no longer news."""
NO_CONNECTION = (
    "the other recipients are not notified, because this process has no connection: set "
    "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT or MATON_API_KEY in its environment"
)
LABELS = {"on-it": "On it", "mute": "Mute 1 h"}


class AlertPresses:
    """One reader of the presses below alerts, whose position is in the store."""

    def __init__(
        self,
        store: EventStore,
        config: ClientConfig | None,  # notifies the others; None: nobody is notified
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._clients: dict[str | None, WhatsAppClient] = {}
        self._reader = PressReader(store, prefix=ALERT_BUTTON, name=CURSOR, first=self._first)
        self._logged: set[int] = set()
        """Presses that will be decided later, and have been logged already."""
        self._away: WhatsAppError | None = None

    def close(self) -> None:
        """Close the connections to the gateway."""
        for client in self._clients.values():
            client.close()

    def look(self) -> int:
        """Decide all presses that can be decided now; return how many took a run in hand or muted a key."""
        self._away = None
        counted = self._reader.look(self._decide)
        if self._away is not None:  # a recipient was certainly not notified; the press is decided later
            raise self._away
        return counted

    def _first(self, connection: Connection) -> int:
        """Return where a new reader begins: with presses that are still news."""
        old = select(sql.max(messages.c.id)).where(messages.c.received_at < self._clock() - NEWS)
        return int(connection.execute(old).scalar() or 0)

    def _decide(self, press: Press) -> int | None:
        """Return whether a press counts; None: it is decided later."""
        found = judged_press(self._store, press)
        if not self._decided(found):
            return None
        self._logged.discard(press.id)
        return int(not found.refusal)

    def _decided(self, found: Judged) -> bool:
        """Decide a press; return False if it has to be decided later."""
        age = self._clock() - found.press.received_at
        if found.refusal == UNRECEIPTED and age < RECEIPT_WAIT:
            return False
        self._log(found)
        if found.refusal or found.button != "on-it":
            return True
        if age >= NEWS:
            logger.warning(
                "WhatsApp: the press is older than an hour, so the other recipients are not notified"
            )
            return True
        return self._let_others_know(found)

    def _log(self, found: Judged) -> None:
        if found.press.id in self._logged:
            return
        self._logged.add(found.press.id)
        who, what = found.press.who, f"{LABELS.get(found.button or '', 'a button')!r}"
        where = f" for {_place(found.alert)}" if found.alert else ""
        if found.refusal:
            logger.warning("%s pressed %s%s: ignored, because %s", who, what, where, found.refusal)
        elif found.button == "mute":
            until = datetime.fromtimestamp(found.muted_until, UTC)
            logger.info("%s pressed %s%s: muted until %s UTC", who, what, where, f"{until:%Y-%m-%d %H:%M}")
        else:
            logger.info("%s pressed %s%s: the run is in hand", who, what, where)

    def _let_others_know(self, found: Judged) -> bool:
        """Notify each other recipient once of who has it in hand; return False if some have to be notified later."""
        sent, away = 0, None
        if self._config is None:
            logger.warning("WhatsApp: %s", NO_CONNECTION)
            return True
        for alert, one in others_of(self._store, found):
            if not claim_note(self._store, alert, one.position):
                continue
            try:
                self._send(found, alert, one)
            except WhatsAppError as error:
                if error.sent == "no" and not error.permanent:
                    claim_note(self._store, alert, one.position, noted=False)
                    away = self._away = error
                else:
                    logger.warning(
                        "WhatsApp: could not notify a recipient of who has %s in hand: %s",
                        _place(alert),
                        error,
                    )
            else:
                sent += 1
        if sent:
            logger.info("WhatsApp: notified %d other recipients of who has the run in hand", sent)
        return away is None

    def _send(self, found: Judged, alert: SentAlert, one: Notified) -> None:
        values = {"who": found.who, "dag": alert.dag_id, "task": alert.task, "run": alert.run_id}
        message = Template(IN_HAND_TEMPLATE, alert.language, body=values)
        carried = make_callback_data(key_hash("alert note", alert.alert_hash), 1, one.position)
        to = address(one.number or one.user_id or "")
        self._client(alert.phone_number_id).messages.send(to, message, callback_data=carried)

    def _client(self, phone_number_id: str | None) -> WhatsAppClient:
        """Return a client that sends from the number that sent the alert."""
        assert self._config is not None  # noqa: S101  asked before
        if phone_number_id not in self._clients:
            number = phone_number_id or self._config.phone_number_id
            self._clients[phone_number_id] = WhatsAppClient(replace(self._config, phone_number_id=number))
        return self._clients[phone_number_id]


def _place(alert: SentAlert) -> str:
    return clean_line(f"{alert.alert_key}, run {alert.run_id}", masked=False)
