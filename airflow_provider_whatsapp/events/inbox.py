"""
Messages that people sent, read from a cursor: each once, in the order in which they were stored.

A signed message that replaces an unsigned one has two numbers. A reader of only signed messages uses ``id``, the number
of the signed row; a reader of all messages uses the first one, and does not read the message again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select
from sqlalchemy import func as sql

from airflow_provider_whatsapp.client.masking import clean_line, mask, printable
from airflow_provider_whatsapp.client.phone import canonical
from airflow_provider_whatsapp.events.cursors import position, put_position
from airflow_provider_whatsapp.events.opt_out_words import bare
from airflow_provider_whatsapp.events.tables import cursors, messages, sends, statuses

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.engine import Connection, RowMapping

    from airflow_provider_whatsapp.events.store import EventStore

PAGE = 500
"""Messages that are read together."""
TEXT_LIMIT = 4_096
"""The most characters of a message's text in an event; WhatsApp allows no more."""
NAME_LIMIT = 100
INCLUDABLE = ("sender", "text", "payload", "profile_name")
"""A person's text and identity, which an event contains only if requested."""
_COLUMNS = [
    *(messages.c[name] for name in ("id", "first_id", "message_id", "kind", "account_id", "phone_number_id")),
    *(messages.c[name] for name in ("sender", "sender_user_id", "profile_name", "payload", "context_id")),
    *(messages.c[name] for name in ("occurred_at", "received_at", "verified")),
    sql.substr(messages.c.text, 1, TEXT_LIMIT).label("text"),
]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The filter of messages; a list matches any of its values, and an empty list matches all messages."""

    kinds: tuple[str, ...] = ()  # text, button, interactive, image and so on
    payloads: tuple[str, ...] = ()  # of a button or list entry
    keywords: tuple[str, ...] = ()  # the whole text, regardless of case, accents and punctuation around it
    senders: tuple[str, ...] = ()  # canonical numbers, which match any spelling, or business-scoped user IDs
    reply_to: tuple[str, ...] = ()  # wamids of the answered messages
    template_names: tuple[str, ...] = ()  # answered templates, as Airflow's tasks sent them
    phone_number_ids: tuple[str, ...] = ()  # of the receiving numbers
    waba_ids: tuple[str, ...] = ()
    verified_only: bool = True

    @property
    def digest(self) -> str:
        """A text that differs for different filters."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:32]

    def keyword(self, row: RowMapping) -> str | None:
        """Return the keyword that a message matches, as the filter spells it; None: it matches none."""
        said = bare(row["text"]) if row["text"] else ""
        return next((word for word in self.keywords if bare(word) == said), None)

    def takes(self, row: RowMapping) -> bool:
        """Return whether a message matches, regardless of the answered template and of its signature."""
        known = {canonical(row["sender"] or ""), row["sender_user_id"]}
        return (
            _among(row["kind"], self.kinds)
            and _among(row["payload"], self.payloads)
            and _among(row["context_id"], self.reply_to)
            and _among(row["phone_number_id"], self.phone_number_ids)
            and _among(row["account_id"], self.waba_ids)
            and (not self.senders or not known.isdisjoint(map(canonical, self.senders)))
            and (not self.keywords or self.keyword(row) is not None)
        )


def _among(value: str | None, wanted: Sequence[str]) -> bool:
    return not wanted or value in wanted


@dataclass(slots=True)
class Found:
    """The result of one reading."""

    position: int  # where the next reading begins
    events: list[dict[str, Any]] = field(default_factory=list)  # one for each matching message
    unsigned: int = 0  # messages that would match if they were signed
    more: bool = False  # there may be more messages


class Inbox:
    """One reader of the store's messages, whose position is in the store."""

    def __init__(
        self, store: EventStore, wanted: Wanted, *, consumer: str, include: Iterable[str] = ()
    ) -> None:
        self._store = store
        self._wanted = wanted
        self._prefix = f"{consumer}/"  # the consumer is the reading side, such as this Airflow
        self._name = f"{self._prefix}{wanted.digest}"
        self._include = frozenset(include)  # items of INCLUDABLE

    def begin(self) -> int:
        """Return the position at which to begin."""
        self._store.check()
        ours = cursors.c.name.startswith(self._prefix, autoescape=True)
        with self._store.reading() as connection:
            found = position(connection, self._name)
            if found is not None:
                return found
            # Another reader of the same consumer may be this one with other filters.
            place = connection.execute(select(sql.max(cursors.c.position)).where(ours)).scalar()
            if place is None:  # the very first one begins with messages that arrive from now on
                place = connection.execute(select(sql.max(messages.c.id))).scalar()
        put_position(self._store, self._name, place or 0, forward=True)
        return place or 0

    def save(self, place: int) -> None:
        """Write where the next reader begins: the position up to which Airflow's database has the events."""
        put_position(self._store, self._name, place, forward=True)

    def read(self, after: int) -> Found:
        """Read at most :data:`PAGE` messages after a position."""
        with self._store.reading() as connection:
            rows = self._page(connection, after)
            wanted = [row for row in rows if self._wanted.takes(row)]
            templates = self._templates(connection, wanted)
        found = Found(_place(rows[-1], self._wanted) if rows else after, more=len(rows) == PAGE)
        for row in wanted:
            if self._wanted.template_names and templates.get(row["context_id"]) is None:
                continue
            if self._wanted.verified_only and not row["verified"]:
                found.unsigned += 1
            else:
                found.events.append(self._event(row, templates.get(row["context_id"])))
        return found

    def _page(self, connection: Connection, after: int) -> list[RowMapping]:
        of_all = select(*_COLUMNS).limit(PAGE)
        first = of_all.where(messages.c.id > after).order_by(messages.c.id)
        if self._wanted.verified_only:
            return list(connection.execute(first).mappings())
        replaced = of_all.where(messages.c.first_id > after).order_by(messages.c.first_id)
        rows = [
            *connection.execute(first.where(messages.c.first_id.is_(None))).mappings(),
            *connection.execute(replaced).mappings(),
        ]
        return sorted(rows, key=lambda row: _place(row, self._wanted))[:PAGE]

    def _templates(self, connection: Connection, rows: Iterable[RowMapping]) -> Mapping[str, str]:
        """Return the matching templates that messages answer, by the IDs of the sent messages."""
        sent = {row["context_id"] for row in rows if row["context_id"]}
        if not self._wanted.template_names or not sent:
            return {}
        joined = statuses.join(sends, statuses.c.send_hash == sends.c.send_hash)
        these = and_(
            statuses.c.message_id.in_(sorted(sent)), sends.c.template_name.in_(self._wanted.template_names)
        )
        if self._wanted.verified_only:
            these = and_(these, statuses.c.verified.is_(True))
        query = select(statuses.c.message_id, sends.c.template_name).select_from(joined).where(these)
        return {row.message_id: row.template_name for row in connection.execute(query)}

    def _event(self, row: RowMapping, template_name: str | None) -> dict[str, Any]:
        """Return a message as JSON: the values that the filters name, and other ones only if requested."""
        whole = "sender" in self._include
        sender, user_id = row["sender"], row["sender_user_id"]
        event: dict[str, Any] = {
            **{name: row[name] for name in ("message_id", "kind", "account_id", "phone_number_id")},
            "sender": sender if whole or not sender else mask(sender),
            "user_id": user_id if whole or not user_id else mask(user_id),
            "reply_to": row["context_id"],
            "template_name": template_name,
            "keyword": self._wanted.keyword(row),
            "payload": row["payload"] if self._wanted.payloads else None,
            "occurred_at": row["occurred_at"].isoformat(),
            "received_at": row["received_at"].isoformat(),
            "verified": row["verified"],
        }
        if "payload" in self._include:
            event["payload"] = _cleaned(row["payload"])
        if "text" in self._include:
            event["text"] = _cleaned(row["text"])
        if "profile_name" in self._include:
            name = row["profile_name"]
            event["profile_name"] = clean_line(name, limit=NAME_LIMIT, masked=False) if name else None
        return event


def _place(row: RowMapping, wanted: Wanted) -> int:
    place = row["id"] if wanted.verified_only or row["first_id"] is None else row["first_id"]
    return int(place)


def _cleaned(text: str | None) -> str | None:
    """Return a text without unprintable characters, but with its line breaks."""
    return None if text is None else "\n".join(map(printable, text[:TEXT_LIMIT].splitlines()))
