"""
The tables of the event store, and how a database gets them.

They are made and upgraded by the receiver; the row of ``whatsapp_schema`` says which version a database holds. Users
query these tables, so a column that is there stays: an upgrade adds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.types import TypeDecorator

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.events.engine import READ_ONLY, create_private, sqlite_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.engine import Connection, Engine

VERSION = 1
UPGRADES: Mapping[int, Sequence[str]] = {}
"""For each version but the newest, the statements that make the next one of it; they run on every database."""
_LOCK = 0x5748415453415050
"""Of PostgreSQL's advisory locks, the one under which the tables are made."""


class Moment(TypeDecorator[datetime]):
    """A time in UTC; SQLite keeps no time zone, so it is put back when a row is read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Write it in UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Read it in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()
_key = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up by itself in this type alone
_id = String(255)
_number = String(32)
_word = String(64)
_long = Text().with_variant(LONGTEXT(), "mysql")
_kept: dict[str, Any] = {
    "sqlite_autoincrement": True
}  # a number is not given twice, even when its row is gone

schema = Table(
    "whatsapp_schema",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("changed_at", Moment, nullable=False),
)

statuses = Table(
    "whatsapp_statuses",
    metadata,
    Column("id", _key, primary_key=True, autoincrement=True),
    Column("message_id", _id, nullable=False),
    Column("status", _word, nullable=False),
    Column("participant", _id, nullable=False, default=""),
    Column("status_rank", SmallInteger, nullable=False),
    Column("account_id", _number, nullable=False),
    Column("phone_number_id", _number, nullable=False),
    Column("recipient", _id),
    Column("recipient_user_id", _id),
    Column("occurred_at", Moment, nullable=False),
    Column("callback_data", String(512)),
    Column("send_hash", String(22)),
    Column("send_epoch", Integer),
    Column("send_position", Integer),
    Column("error_code", Integer),
    Column("error_title", Text),
    Column("error_details", Text),
    Column("price_category", _word),
    Column("price_type", _word),
    Column("price_model", _word),
    Column("billable", Boolean),
    Column("verified", Boolean, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("raw", _long, nullable=False),
    UniqueConstraint("message_id", "status", "participant", name="whatsapp_statuses_once"),
    Index("whatsapp_statuses_callback", "callback_data"),
    Index("whatsapp_statuses_send", "send_hash", "send_position"),
    Index("whatsapp_statuses_received", "received_at"),
    **_kept,
)

messages = Table(
    "whatsapp_messages",
    metadata,
    Column("id", _key, primary_key=True, autoincrement=True),
    Column("message_id", _id, nullable=False),
    Column("kind", _word, nullable=False),
    Column("account_id", _number, nullable=False),
    Column("phone_number_id", _number, nullable=False),
    Column("sender", _id),
    Column("sender_user_id", _id),
    Column("profile_name", Text),
    Column("text", _long),
    Column("payload", Text),
    Column("context_id", _id),
    Column("occurred_at", Moment, nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("raw", _long, nullable=False),
    Column("contact", _long),
    UniqueConstraint("message_id", name="whatsapp_messages_once"),
    Index("whatsapp_messages_context", "context_id"),
    Index("whatsapp_messages_sender", "sender"),
    Index("whatsapp_messages_received", "received_at"),
    **_kept,
)

others = Table(
    "whatsapp_other_events",
    metadata,
    Column("id", _key, primary_key=True, autoincrement=True),
    Column("event_key", String(64), nullable=False),
    Column("field", _word, nullable=False),
    Column("account_id", _number, nullable=False),
    Column("phone_number_id", _number, nullable=False),
    Column("occurred_at", Moment, nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("raw", _long, nullable=False),
    UniqueConstraint("event_key", name="whatsapp_other_events_once"),
    Index("whatsapp_other_events_field", "field"),
    Index("whatsapp_other_events_received", "received_at"),
    **_kept,
)

opt_outs = Table(
    "whatsapp_opt_outs",
    metadata,
    Column("account_id", _number, primary_key=True),
    Column("contact", _id, primary_key=True),
    Column("scope", String(16), primary_key=True),
    Column("opted_out", Boolean, nullable=False),
    Column("source", _word, nullable=False),
    Column("number", _id),
    Column("user_id", _id),
    Column("changed_at", Moment, nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("received_at", Moment, nullable=False),
)

sends = Table(
    "whatsapp_sends",
    metadata,
    Column("send_hash", String(22), primary_key=True),
    Column("dag_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("map_index", Integer, nullable=False),
    Column("account_id", _number),
    Column("phone_number_id", _number),
    Column("template_name", Text),
    Column("sent_at", Moment, nullable=False),
    Index("whatsapp_sends_sent", "sent_at"),
)

AGES = {statuses: "received_at", messages: "received_at", others: "received_at", sends: "sent_at"}
"""What retention deletes from, and by which column; opt-outs are not among them."""


def create_or_upgrade(engine: Engine) -> None:
    """
    Make the tables, or upgrade those of an earlier version; two processes may do so at once.

    :param engine: From :func:`~airflow_provider_whatsapp.events.engine.open_engine`.
    :raises ConfigurationError: A newer version of this package has made them.
    """
    file = sqlite_file(engine)
    if file is not None:
        create_private(file)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        version = _version(connection)
        if version is None:
            metadata.create_all(connection)
            row = {"name": "events", "version": VERSION, "changed_at": datetime.now(UTC)}
            connection.execute(insert(schema), [row])
            return
        _refuse_newer(version)
        for step in range(version, VERSION):
            for statement in UPGRADES[step]:
                connection.execute(text(statement))
        if version < VERSION:
            now = datetime.now(UTC)
            change = update(schema).where(schema.c.name == "events").values(version=VERSION, changed_at=now)
            connection.execute(change)


def check_version(engine: Engine) -> None:
    """
    Check that the database holds the tables of this version.

    :param engine: From :func:`~airflow_provider_whatsapp.events.engine.open_engine`.
    :raises ConfigurationError: It holds none, or those of another version.
    """
    file = sqlite_file(engine)
    version = None
    if file is None or file.exists():  # connecting would make an empty one
        with engine.connect() as connection:
            version = _version(connection.execution_options(**READ_ONLY))
    if version is None:
        raise ConfigurationError(
            "the database holds no tables of WhatsApp's events",
            advice="Start the receiver with this database once: it makes them.",
        )
    _refuse_newer(version)
    if version < VERSION:
        raise ConfigurationError(
            f"the database holds the event tables of an earlier version ({version}, this one needs {VERSION})",
            advice="Start the receiver of this version with it once: it upgrades them.",
        )


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(schema.name):
        return None
    found = connection.execute(select(func.max(schema.c.version)).where(schema.c.name == "events")).scalar()
    return None if found is None else int(found)


def _refuse_newer(version: int) -> None:
    if version > VERSION:
        raise ConfigurationError(
            f"the database holds the event tables of a newer version ({version}, this one knows {VERSION})",
            advice="Upgrade this package wherever it reads or writes that database.",
        )
