"""
The tables of the event store, and how they are created and upgraded.

The receiver creates and upgrades them; the row of ``whatsapp_schema`` says which version a database has. Users query
these tables, so an upgrade only adds columns.
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
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.engine import Connection, Engine

VERSION = 4
_LOCK = 0x5748415453415050
"""The number of PostgreSQL's advisory lock under which the tables are created."""


class Moment(TypeDecorator[datetime]):
    """A time in UTC; SQLite stores no time zone, so it is added when a row is read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Return the time in UTC for the database."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Return the database's time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()
_key = BigInteger().with_variant(Integer(), "sqlite")  # SQLite assigns numbers only in this type
_id = String(255)
_number = String(32)
_word = String(64)
_long = Text().with_variant(LONGTEXT(), "mysql")
# A number is never reused, even after its row was deleted.
_kept: dict[str, Any] = {"sqlite_autoincrement": True}


def _row_id(doc: str) -> Column[int]:
    return Column("id", _key, primary_key=True, autoincrement=True, doc=doc)


def _as_received(what: str) -> tuple[Column[Any], ...]:
    """Return the columns that say how ``what`` arrived."""
    return (
        Column("verified", Boolean, nullable=False, doc="true: the delivery's signature was checked"),
        Column("received_at", Moment, nullable=False, doc="when it was received"),
        Column("raw", _long, nullable=False, doc=f"the {what} as JSON"),
    )


schema = Table(
    "whatsapp_schema",
    metadata,
    Column("name", String(32), primary_key=True, doc="always `events`"),
    Column("version", Integer, nullable=False, doc="which version of these tables the database holds"),
    Column("changed_at", Moment, nullable=False, doc="when it was made or upgraded"),
)

statuses = Table(
    "whatsapp_statuses",
    metadata,
    _row_id("rises with every row; a row that is replaced by a verified one gets a new number"),
    Column("message_id", _id, nullable=False, doc="the message (`wamid...`)"),
    Column(
        "status",
        _word,
        nullable=False,
        doc="`sent`, `delivered`, `read`, `played`, `failed`, or what WhatsApp adds",
    ),
    Column(
        "participant", _id, nullable=False, default="", doc="in a group, whose status it is; otherwise empty"
    ),
    Column(
        "status_rank",
        SmallInteger,
        nullable=False,
        doc="rank of the status: the highest rank among a message's rows says how far it got (sent 10, failed 20, "
        "delivered 30, read 40, played 50, unknown words 0)",
    ),
    Column("account_id", _number, nullable=False, doc="WhatsApp Business Account"),
    Column("phone_number_id", _number, nullable=False, doc="the sending number's ID"),
    Column("recipient", _id, doc="digits of the recipient's number, if WhatsApp shows it"),
    Column("recipient_user_id", _id, doc="the recipient's business-scoped user ID"),
    Column(
        "occurred_at",
        Moment,
        nullable=False,
        doc="when it happened; if the event does not say, when it was received",
    ),
    Column("callback_data", String(512), doc="the send's `biz_opaque_callback_data`"),
    Column("send_hash", String(22), doc="the hash in it, if this package wrote it: joins `whatsapp_sends`"),
    Column("send_epoch", Integer, doc="the epoch of the ledger in it"),
    Column("send_position", Integer, doc="the recipient's position in the list, from 0"),
    Column("error_code", Integer, doc="why it failed: WhatsApp's code"),
    Column("error_title", Text, doc="its title"),
    Column("error_details", Text, doc="its explanation"),
    Column("price_category", _word, doc="category in which the message is billed"),
    Column("price_type", _word, doc="`regular` is billed, `free_...` is not"),
    Column("price_model", _word, doc="how WhatsApp bills"),
    Column("billable", Boolean, doc="whether it is billed"),
    *_as_received("event"),
    UniqueConstraint("message_id", "status", "participant", name="whatsapp_statuses_once"),
    Index("whatsapp_statuses_callback", "callback_data"),
    Index("whatsapp_statuses_send", "send_hash", "send_position"),
    Index("whatsapp_statuses_received", "received_at"),
    **_kept,
)

messages = Table(
    "whatsapp_messages",
    metadata,
    _row_id("rises with every row, as in `whatsapp_statuses`"),
    Column("message_id", _id, nullable=False, doc="the message (`wamid...`)"),
    Column("kind", _word, nullable=False, doc="its type: `text`, `button`, `interactive`, `image` and so on"),
    Column("account_id", _number, nullable=False, doc="WhatsApp Business Account"),
    Column("phone_number_id", _number, nullable=False, doc="the ID of the number that it was sent to"),
    Column("sender", _id, doc="digits of the sender's number, if WhatsApp shows it"),
    Column("sender_user_id", _id, doc="the sender's business-scoped user ID"),
    Column("profile_name", Text, doc="the name that the sender chose"),
    Column("text", _long, doc="the text, the caption, or the label of the button that was pressed"),
    Column("payload", Text, doc="the payload of that button or list entry"),
    Column("context_id", _id, doc="the message that it answers"),
    Column("occurred_at", Moment, nullable=False, doc="when it was sent"),
    *_as_received("message"),
    Column("contact", _long, doc="the sender's contact as JSON; empty above 8,192 characters"),
    Column(
        "first_id", BigInteger, doc="the `id` of the unsigned row that this one replaced; otherwise empty"
    ),
    UniqueConstraint("message_id", name="whatsapp_messages_once"),
    Index("whatsapp_messages_first", "first_id"),
    Index("whatsapp_messages_context", "context_id"),
    Index("whatsapp_messages_sender", "sender"),
    Index("whatsapp_messages_received", "received_at"),
    **_kept,
)

others = Table(
    "whatsapp_other_events",
    metadata,
    _row_id("rises with every row"),
    Column("event_key", String(64), nullable=False, doc="equal for equal events"),
    Column(
        "field",
        _word,
        nullable=False,
        doc="the webhook's field: `account_update`, `messages.errors` and so on; empty if it has none",
    ),
    Column("account_id", _number, nullable=False, doc="WhatsApp Business Account"),
    Column("phone_number_id", _number, nullable=False, doc="the number that it is about, if any"),
    Column("occurred_at", Moment, nullable=False, doc="when it happened"),
    *_as_received("event"),
    UniqueConstraint("event_key", name="whatsapp_other_events_once"),
    Index("whatsapp_other_events_field", "field"),
    Index("whatsapp_other_events_received", "received_at"),
    **_kept,
)


def _wish(*, verified_key: bool) -> list[Column[Any]]:
    """Return the columns of an opt-out, or of a wish from which it follows."""
    return [
        Column("account_id", _number, primary_key=True, doc="WhatsApp Business Account"),
        Column(
            "contact",
            _id,
            primary_key=True,
            doc="the person in canonical form: the number's digits in one spelling, or the business-scoped user ID",
        ),
        Column("scope", String(16), primary_key=True, doc="`all` messages, or only `marketing`"),
        Column("opted_out", Boolean, nullable=False, doc="false: they want messages again"),
        Column(
            "source",
            _word,
            nullable=False,
            doc="where it comes from: `user_preferences`, `error_131050`, `reply`",
        ),
        Column("number", _id, doc="the number as it was received"),
        Column("user_id", _id, doc="the business-scoped user ID"),
        Column("changed_at", Moment, nullable=False, doc="when they said so"),
        Column(
            "verified",
            Boolean,
            primary_key=verified_key,
            nullable=False,
            doc="true: the receiver checked the webhook's signature, or the gateway said so to a task",
        ),
        Column("received_at", Moment, nullable=False, doc="when it was received"),
    ]


opt_outs = Table("whatsapp_opt_outs", metadata, *_wish(verified_key=False))

wishes = Table("whatsapp_opt_out_wishes", metadata, *_wish(verified_key=True))

cursors = Table(
    "whatsapp_cursors",
    metadata,
    Column("name", _id, primary_key=True, doc="the reader: a trigger, with a hash of its filters"),
    Column(
        "position", BigInteger, nullable=False, doc="the `id` up to which it has read `whatsapp_messages`"
    ),
    Column("changed_at", Moment, nullable=False, doc="when the position was written"),
)

sends = Table(
    "whatsapp_sends",
    metadata,
    Column("send_hash", String(22), primary_key=True, doc="the hash in the callback data of its messages"),
    Column("dag_id", Text, nullable=False, doc="the DAG"),
    Column("run_id", Text, nullable=False, doc="its run"),
    Column("task_id", Text, nullable=False, doc="the task"),
    Column("map_index", Integer, nullable=False, doc="of a mapped task; otherwise -1"),
    Column("account_id", _number, doc="WhatsApp Business Account"),
    Column("phone_number_id", _number, doc="the sending number's ID"),
    Column("template_name", Text, doc="the template, if there is one"),
    Column("sent_at", Moment, nullable=False, doc="when the task's first try began to send"),
    Index("whatsapp_sends_sent", "sent_at"),
)

alerts = Table(
    "whatsapp_alerts",
    metadata,
    Column("alert_hash", String(43), primary_key=True, doc="SHA-256 of the ID behind the alert's buttons"),
    Column("send_hash", String(22), nullable=False, doc="the send: joins `whatsapp_statuses`"),
    Column("key_hash", String(22), nullable=False, doc="a hash of `alert_key`, to look it up by"),
    Column(
        "alert_key", Text, nullable=False, doc="what the alert is about: DAG and task, or the `dedupe_key`"
    ),
    Column("dag_id", Text, nullable=False, doc="the DAG"),
    Column("run_id", Text, nullable=False, doc="its run"),
    Column("task", Text, nullable=False, doc="the task, with its map index"),
    Column("names", Text, nullable=False, doc="names of the recipients as JSON, in the order of the list"),
    Column("language", String(32), nullable=False, doc="language of the alert's template"),
    Column("phone_number_id", _number, doc="the sending number's ID"),
    Column("sent_at", Moment, nullable=False, doc="when the notifier began to send it"),
    Column(
        "noted",
        Text,
        nullable=False,
        doc="positions in the list, as JSON, of the recipients who were notified of who has it in hand",
    ),
    Index("whatsapp_alerts_key", "key_hash"),
    Index("whatsapp_alerts_send", "send_hash"),
    Index("whatsapp_alerts_sent", "sent_at"),
)

requests = Table(
    "whatsapp_requests",
    metadata,
    Column("request_hash", String(43), primary_key=True, doc="SHA-256 of the ID behind the reply buttons"),
    Column("send_hash", String(22), nullable=False, doc="the send that asked: joins `whatsapp_statuses`"),
    Column("ti_id", String(36), nullable=False, doc="the task instance, which a retry or clear replaces"),
    Column("dag_id", Text, nullable=False, doc="the DAG"),
    Column("run_id", Text, nullable=False, doc="its run"),
    Column("task_id", Text, nullable=False, doc="the task"),
    Column("map_index", Integer, nullable=False, doc="of a mapped task; otherwise -1"),
    Column("options", Text, nullable=False, doc="the possible answers, as JSON, in the order of the buttons"),
    Column("asked_at", Moment, nullable=False, doc="when it was asked"),
    Column("expires_at", Moment, doc="until when an answer counts; empty: no limit"),
    Column("answered_by", _id, doc="the press that answered it: joins `whatsapp_messages.message_id`"),
    Index("whatsapp_requests_send", "send_hash"),
    Index("whatsapp_requests_asked", "asked_at"),
)

_WISH = ", ".join(column.name for column in wishes.columns)
UPGRADES: Mapping[int, Sequence[str | Callable[[Connection], object]]] = {
    1: (
        wishes.create,
        f"INSERT INTO {wishes.name} ({_WISH}) SELECT {_WISH} FROM {opt_outs.name}",  # noqa: S608  (names of this module)
        cursors.create,
        "ALTER TABLE whatsapp_messages ADD COLUMN first_id BIGINT",
        "CREATE INDEX whatsapp_messages_first ON whatsapp_messages (first_id)",
    ),
    2: (alerts.create,),
    3: (requests.create,),
}
"""For each version except the newest, the steps that upgrade it to the next one; they run on every database."""

AGES = {
    **dict.fromkeys((statuses, messages, others), "received_at"),
    **dict.fromkeys((sends, alerts), "sent_at"),
    requests: "asked_at",
}
"""The tables from which retention deletes, and the column of each row's age; opt-outs are not among them."""


def create_or_upgrade(engine: Engine) -> None:
    """Create the tables, or upgrade those of an earlier version; two processes may do so at the same time."""
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
            for change in UPGRADES[step]:
                connection.execute(text(change)) if isinstance(change, str) else change(connection)
        if version < VERSION:
            now = datetime.now(UTC)
            reached = update(schema).where(schema.c.name == "events").values(version=VERSION, changed_at=now)
            connection.execute(reached)


def check_version(engine: Engine) -> None:
    """Check that the database has the tables of this version (else ConfigurationError)."""
    file = sqlite_file(engine)
    version = None
    if file is None or file.exists():  # connecting would create an empty file
        with engine.connect() as connection:
            version = _version(connection.execution_options(**READ_ONLY))
    if version is None:
        raise ConfigurationError(
            "the database has no event tables of this package",
            advice="Start the receiver with this database once: it creates them.",
        )
    _refuse_newer(version)
    if version < VERSION:
        raise ConfigurationError(
            f"the database has the event tables of an earlier version ({version}, this one needs {VERSION})",
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
            f"the database has the event tables of a newer version ({version}, this one knows {VERSION})",
            advice="Upgrade this package on every machine that reads or writes that database.",
        )
