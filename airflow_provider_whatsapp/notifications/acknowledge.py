"""
An alert with quick replies: "On it" ends repetitions for its run, "Mute 1 h" mutes its key.

Nothing waits for a press. Before it sends an alert, the notifier asks the event store which buttons people have pressed
below earlier ones. If it cannot reach the store, or cannot send the buttons, it sends the alert without them.
"""

from __future__ import annotations

import functools
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk import Variable

from airflow_provider_whatsapp.client.errors import ConfigurationError, WhatsAppError
from airflow_provider_whatsapp.client.phone import canonical
from airflow_provider_whatsapp.hooks.event_store import event_store_url
from airflow_provider_whatsapp.notifications.bounded import in_daemon
from airflow_provider_whatsapp.notifications.facts import fit
from airflow_provider_whatsapp.notifications.routes import load_routes, usable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.engine import URL

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.events.alerts import AlertId, Judged
    from airflow_provider_whatsapp.events.store import EventStore
    from airflow_provider_whatsapp.notifications.fields import AlertFields
    from airflow_provider_whatsapp.notifications.records import Decision, Record

T = TypeVar("T")

logger = logging.getLogger(__name__)

MAX_NAME = 60
"""Characters of a recipient's name."""
SHARE = 0.5
"""Share of the time for the throttle state that one use of the event store may take."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """What the presses below earlier alerts of a key say."""

    in_hand: Judged | None = None  # the press of the person who has this run in hand; None: nobody has
    mute: Judged | None = None  # the press that mutes the key the longest from now; None: none does

    @classmethod
    def of(cls, presses: Sequence[Judged], run: tuple[str, str, str], now: float) -> Pressed:
        """Return what all presses of a key say about a run (key, DAG, run ID) at a Unix time in seconds."""
        counting = [one for one in presses if not one.refusal and one.alert is not None]
        mutes = [one for one in counting if one.button == "mute" and one.muted_until > now]
        taken = (one for one in counting if one.button == "on-it" and one.alert and one.alert.run == run)
        return cls(next(taken, None), max(mutes, key=lambda one: one.muted_until, default=None))

    def applied(self, record: Record) -> Record:
        """Return a key's record with the mute, unless somebody has muted or unmuted the key since."""
        if self.mute is None:
            return record
        at = self.mute.press.occurred_at.timestamp()
        return record.with_mute(until=self.mute.muted_until, by=self.mute.who, at=at)


NOTHING = Pressed()


class Acknowledgement:
    """What one alert reads from the event store and writes there; nothing if nobody can acknowledge it."""

    def __init__(
        self,
        notifier: AlertFields,
        facts: Mapping[str, str],
        key: str,
        *,
        failed: bool,  # nobody can acknowledge anything but a failure
        ask: Callable[[Callable[[], Any]], Any],  # asks Airflow for something, in a bounded time
        seconds: Callable[[], float],  # for the throttle state; the event store takes a share of them
    ) -> None:
        self._is = notifier
        self._facts = facts
        self._key = key
        self._ask = ask
        self._seconds = seconds
        self._lost = not (notifier.acknowledge and failed)
        self._pressed = NOTHING
        self._url: URL | None = None

    def look(self) -> None:
        """Read the presses below earlier alerts of the key; a store that cannot be reached has none."""

        def read(store: EventStore) -> list[Judged]:
            from airflow_provider_whatsapp.events.alerts import judged_presses

            return judged_presses(store, key=self._key, now=_now())

        run = (self._key, self._facts["dag"], self._facts["run"])
        self._pressed = Pressed.of(self._reach(read) or (), run, time.time())

    @property
    def in_hand(self) -> str:
        """Who has the run in hand, by name or masked number; empty: nobody."""
        return self._pressed.in_hand.who if self._pressed.in_hand else ""

    def with_mute(self, rule: Callable[[Record], Decision]) -> Callable[[Record], Decision]:
        """Return a rule of the throttle that respects a mute by a button."""
        return lambda record: rule(self._pressed.applied(record))

    def offer(self, recipients: Sequence[str], config: ClientConfig, send_hash: str) -> AlertId | None:
        """Record that the alert is about to be sent with buttons, and return their ID; None: send without them."""
        if self._lost:
            return None
        from airflow_provider_whatsapp.events.alerts import AlertId, SentAlert, record_alert

        secret = AlertId.new()
        names = self._names(config.default_country)
        alert = SentAlert(
            alert_hash=secret.hash,
            send_hash=send_hash,
            alert_key=self._key,
            dag_id=self._facts["dag"],
            run_id=self._facts["run"],
            task=self._facts["task"],
            names=tuple(names.get(canonical(to), "") for to in recipients),  # in the order of their positions
            language=self._is.language,
            phone_number_id=config.phone_number_id,
            sent_at=_now(),
        )

        def write(store: EventStore) -> bool:
            record_alert(store, alert)
            return True

        return secret if self._reach(write) else None  # without a record, nobody could judge a press

    def _names(self, default_country: str | None) -> dict[str, str]:
        """Return the recipients' names by their numbers; without a name, people see the masked number."""
        if not self._is.names:
            return {}
        try:
            found = self._ask(lambda: load_routes(self._is.names, Variable))
            return {
                canonical(number): fit(name, MAX_NAME)
                for name, numbers in found.items()
                for number in usable(numbers, default_country=default_country)
            }
        except (WhatsAppError, TimeoutError) as error:
            what = str(error) or "Airflow did not return them in time"
            logger.warning(
                "WhatsApp: the message shows masked numbers, because the alert cannot read `names`. %s", what
            )
            return {}

    def _reach(self, act: Callable[[EventStore], T]) -> T | None:
        """Use the store; after a failure, the alert does not ask it again."""
        if self._lost:
            return None
        try:
            self._url = self._url or self._ask(event_store_url)
            if self._url is None:
                raise ConfigurationError(
                    "[whatsapp] events_conn_id is empty",
                    advice="Set up the receiver of receipts, or remove acknowledge=True.",
                )
            return in_daemon(functools.partial(_in_store, self._url, act), SHARE * self._seconds())
        except Exception as error:  # a database and a secrets backend have errors of their own
            self._lost = True
            why = str(error) if isinstance(error, WhatsAppError) else type(error).__name__
            logger.warning("WhatsApp: the alert is sent without its buttons, which need receipts: %s", why)
            return None


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def _in_store(url: URL, act: Callable[[EventStore], T]) -> T:
    from airflow_provider_whatsapp.events.store import EventStore

    with EventStore.checked(url) as store:
        return act(store)
