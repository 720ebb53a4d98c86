"""
Alerts with quick replies, and what their recipients have pressed: who has a run in hand, and who mutes a key.

Judging a press writes nothing. All readers (the next alert, the page of alerts, ``answer``) read the same rows and get
the same result, so a press counts without a process that runs for it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from sqlalchemy import select, update

from airflow_provider_whatsapp.client.masking import mask
from airflow_provider_whatsapp.client.phone import canonical
from airflow_provider_whatsapp.delivery.callback_data import key_hash
from airflow_provider_whatsapp.events.kinds import ALERT_BUTTON
from airflow_provider_whatsapp.events.presses import SECRET, Press, SecretId, select_presses
from airflow_provider_whatsapp.events.tables import alerts, messages, statuses

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.engine import Connection, RowMapping

    from airflow_provider_whatsapp.events.store import EventStore

Button = Literal["on-it", "mute"]

IN_TIME = timedelta(hours=24)
"""How long after its alert a press counts."""
MUTED_FOR = timedelta(hours=1)
"""How long a press mutes the key."""
CLOCKS = timedelta(minutes=10)
"""The largest difference between the clocks of workers and of the receiver."""
MOST_ALERTS = 2_000
"""The most alerts that are read together, the latest first."""
MOST_PRESSES = 5_000
_FORM = re.compile(rf"{re.escape(ALERT_BUTTON)}({SECRET})\.(on-it|mute)", re.ASCII)

UNSIGNED = "its webhook was not signed"
UNKNOWN = "there is no alert with this ID"
UNRECEIPTED = "no signed receipt says yet who got the alert"
UNASKED = "the alert did not go to this person"
LATE = f"the press came more than {IN_TIME.total_seconds() / 3600:g} hours after the alert"
SECOND = "somebody already has the run in hand"
REPEATED = "somebody pressed the same button before"


class AlertId(SecretId):
    """The ID behind the buttons of one alert."""

    __slots__ = ()

    def payload(self, button: Button) -> str:
        """Return the payload of a button."""
        return f"{ALERT_BUTTON}{self.secret}.{button}"


def parse_payload(text: str) -> tuple[AlertId, Button] | None:
    """Return the ID and the button; None: the payload is not an alert's."""
    found = _FORM.fullmatch(text)
    return (AlertId(found[1]), "on-it" if found[2] == "on-it" else "mute") if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentAlert:
    """One alert with buttons."""

    alert_hash: str = field(repr=False)  # of the ID behind its buttons
    send_hash: str  # in the callback data of its messages
    alert_key: str  # DAG and task, or the notifier's dedupe_key
    dag_id: str
    run_id: str
    task: str  # with its map index
    names: tuple[str, ...] = field(repr=False)  # of the recipients, in the order of the list; "": not known
    language: str
    phone_number_id: str | None
    sent_at: datetime  # when the notifier began to send it
    noted: tuple[int, ...] = ()  # positions of the recipients who were notified of who has the run in hand

    @property
    def run(self) -> tuple[str, str, str]:
        """What one person takes in hand: DAG run and key."""
        return self.alert_key, self.dag_id, self.run_id


@dataclass(frozen=True, slots=True)
class Notified:
    """A recipient of an alert's message, by a signed receipt."""

    position: int  # in the alert's list
    number: str | None = field(repr=False)  # digits; None if WhatsApp does not show the number
    user_id: str | None = field(repr=False)  # business-scoped

    @property
    def person(self) -> str:
        """The person in canonical form, equal for all spellings of the number."""
        return canonical(self.number) if self.number else self.user_id or ""

    def name(self, alert: SentAlert) -> str:
        """Return the person's name for the others: the name in the alert, or the masked number."""
        named = alert.names[self.position] if self.position < len(alert.names) else ""
        return named or mask(self.number or self.user_id or "")


@dataclass(frozen=True, slots=True)
class Judged:
    """A press, and whether it counts."""

    press: Press
    alert: SentAlert | None = None  # None: no alert has this ID
    button: Button | None = None  # None: the payload is not an alert's
    by: Notified | None = None  # the person who pressed; None: the alert did not go to them
    refusal: str = ""  # why it changes nothing; "": it counts

    @property
    def who(self) -> str:
        """The person who pressed, as the others know them."""
        return self.by.name(self.alert) if self.by and self.alert else ""

    @property
    def muted_until(self) -> float:
        """Unix time in seconds until which a press of the mute button mutes its key."""
        return (self.press.occurred_at + MUTED_FOR).timestamp()


def judge(
    presses: Iterable[Press],  # in the order in which they were stored
    known: Mapping[str, SentAlert],  # by the hash of their ID
    notified: Mapping[str, Sequence[Notified]],  # by the alert's send_hash
) -> list[Judged]:
    """Return presses with their judgement; of two that exclude each other, the one that was stored first counts."""
    found: list[Judged] = []
    before: set[tuple[str, ...]] = set()
    for press in presses:
        one = _judged(press, known, notified)
        if not one.refusal and one.alert is not None and one.by is not None:
            again = (one.alert.alert_hash, str(one.button), one.by.person)
            once = ("run", *one.alert.run) if one.button == "on-it" else again
            if again in before or once in before:
                refusal = REPEATED if again in before else SECOND
                one = Judged(press, one.alert, one.button, one.by, refusal)
            before |= {again, once}
        found.append(one)
    return found


def _judged(
    press: Press, known: Mapping[str, SentAlert], notified: Mapping[str, Sequence[Notified]]
) -> Judged:
    """Return one press with its judgement, regardless of others."""
    parsed = parse_payload(press.payload)
    alert = known.get(parsed[0].hash) if parsed else None
    if parsed is None or alert is None:
        return Judged(press, refusal=UNKNOWN if press.verified else UNSIGNED)
    people = notified.get(alert.send_hash, ())
    by = next((each for each in people if press.is_by(each.number, each.user_id)), None)
    if not press.verified:
        refusal = UNSIGNED
    elif press.occurred_at > alert.sent_at + IN_TIME:
        refusal = LATE
    elif by is None:
        refusal = UNASKED if people else UNRECEIPTED
    else:
        refusal = ""
    return Judged(press, alert, parsed[1], by, refusal)


def record_alert(store: EventStore, alert: SentAlert) -> None:
    """Record that an alert with buttons is about to be sent."""
    row = {name: getattr(alert, name) for name in alert.__slots__}
    row["names"] = json.dumps(alert.names, ensure_ascii=False)
    row["noted"] = json.dumps(alert.noted)
    row["key_hash"] = _key(alert.alert_key)
    with store.writing() as connection:
        store.insert_new(connection, alerts, row)


def judged_presses(store: EventStore, *, key: str | None = None, now: datetime | None = None) -> list[Judged]:
    """Return the judged presses of alerts that still count, in the order of the presses."""
    since = (now or datetime.now(UTC)) - IN_TIME - MUTED_FOR
    query = select(alerts).where(alerts.c.sent_at > since).order_by(alerts.c.sent_at.desc())
    if key is not None:
        query = query.where(alerts.c.key_hash == _key(key))
    with store.reading() as connection:
        rows = connection.execute(query.limit(MOST_ALERTS)).mappings()
        known = {alert.alert_hash: alert for alert in map(_alert, rows)}
        if not known:
            return []
        first = min(alert.sent_at for alert in known.values())
        presses = [press for press in _presses(connection, first - CLOCKS) if _hash(press) in known]
        hashes = {known[_hash(press)].send_hash for press in presses}
        return judge(presses, known, _notified(connection, hashes))


def judged_press(store: EventStore, press: Press) -> Judged:
    """Return one press with its judgement, given those before it."""
    with store.reading() as connection:
        query = select(alerts).where(alerts.c.alert_hash == _hash(press))
        row = connection.execute(query).mappings().first()
    known = {row["alert_hash"]: _alert(row)} if row is not None else {}
    if row is None or not press.verified:
        return _judged(press, known, {})
    alert = _alert(row)
    found = judged_presses(store, key=alert.alert_key, now=max(press.occurred_at, alert.sent_at))
    return next((one for one in found if one.press.id == press.id), Judged(press, alert, refusal=LATE))


def others_of(store: EventStore, found: Judged) -> list[tuple[SentAlert, Notified]]:
    """Return the other recipients of a press's key and run, each person once, whom nobody has notified yet."""
    assert found.alert is not None  # noqa: S101  a press that counts has its alert
    with store.reading() as connection:
        query = select(alerts).where(alerts.c.key_hash == _key(found.alert.alert_key))
        query = query.order_by(alerts.c.sent_at, alerts.c.alert_hash)
        same = [
            alert
            for alert in map(_alert, connection.execute(query).mappings())
            if alert.run == found.alert.run
        ]
        people = _notified(connection, {alert.send_hash for alert in same})
    pairs = [(alert, one) for alert in same for one in people.get(alert.send_hash, ())]
    done = {
        one.person
        for alert, one in pairs
        if one.position in alert.noted or found.press.is_by(one.number, one.user_id)
    }
    each = {one.person: (alert, one) for alert, one in reversed(pairs)}
    return [pair for person, pair in each.items() if person not in done]


def claim_note(store: EventStore, alert: SentAlert, position: int, *, noted: bool = True) -> bool:
    """Claim a recipient's notification, or give it back (``noted=False``); return False if another process has it."""
    this = alerts.c.alert_hash == alert.alert_hash
    with store.writing() as connection:
        text = connection.execute(select(alerts.c.noted).where(this).with_for_update()).scalar()
        places = set(json.loads(text or "[]"))
        if text is None or (position in places) is noted:
            return False
        after = json.dumps(sorted(places | {position} if noted else places - {position}))
        changed = update(alerts).where(this, alerts.c.noted == text).values(noted=after)
        return connection.execute(changed).rowcount == 1


def _key(alert_key: str) -> str:
    return key_hash("alert key", alert_key)


def _hash(press: Press) -> str:
    found = parse_payload(press.payload)
    return found[0].hash if found else ""


def _alert(row: RowMapping) -> SentAlert:
    values = {name: row[name] for name in SentAlert.__slots__}
    return SentAlert(
        **{**values, "names": tuple(json.loads(row["names"])), "noted": tuple(json.loads(row["noted"]))}
    )


def _presses(connection: Connection, since: datetime) -> list[Press]:
    signed = select_presses(ALERT_BUTTON).where(messages.c.received_at > since, messages.c.verified.is_(True))
    query = signed.order_by(messages.c.id).limit(MOST_PRESSES)
    return [Press(**row) for row in connection.execute(query).mappings()]


def _notified(connection: Connection, hashes: set[str]) -> dict[str, list[Notified]]:
    """Return the recipients of alerts, from signed receipts."""
    columns = [statuses.c[name] for name in ("send_hash", "send_position", "recipient", "recipient_user_id")]
    query = select(*columns).where(statuses.c.send_hash.in_(sorted(hashes)), statuses.c.verified.is_(True))
    found: dict[str, list[Notified]] = {}
    for send_hash, position, number, user_id in connection.execute(query.distinct().order_by(*columns)):
        if position is not None:
            found.setdefault(send_hash, []).append(Notified(position, number, user_id))
    return found
