"""The store's opt-outs: which recipients have opted out, and the search of stored messages when the words change."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select
from sqlalchemy import func as sql

from airflow_provider_whatsapp.events.cursors import position, put_position
from airflow_provider_whatsapp.events.kinds import SOURCE_REFUSED, Preference
from airflow_provider_whatsapp.events.opt_out_words import KINDS, LONGEST
from airflow_provider_whatsapp.events.rows import Rows
from airflow_provider_whatsapp.events.store import CHUNK
from airflow_provider_whatsapp.events.tables import messages, opt_outs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_whatsapp.events.opt_out_words import OptOutWords
    from airflow_provider_whatsapp.events.store import EventStore

logger = logging.getLogger(__name__)

CURSOR = "opt-out words"
"""Name of the cursor whose position is the digest of the words for which the stored messages were searched."""
_COLUMNS = (
    *("id", "kind", "text", "payload", "account_id"),
    *("sender", "sender_user_id", "occurred_at", "verified"),
)
PAGE = 2_000
"""Messages that are searched together."""


def opted_out(store: EventStore, account: str, contacts: Sequence[str]) -> dict[str, set[str]]:
    """Return which contacts (canonical numbers or user IDs) have opted out, and of what: ``all``, ``marketing``."""
    found: dict[str, set[str]] = {}
    with store.reading() as connection:
        for start in range(0, len(contacts), CHUNK):
            some = and_(
                opt_outs.c.account_id == account,
                opt_outs.c.contact.in_(contacts[start : start + CHUNK]),
                opt_outs.c.opted_out.is_(True),
            )
            for contact, scope in connection.execute(
                select(opt_outs.c.contact, opt_outs.c.scope).where(some)
            ):
                found.setdefault(contact, set()).add(scope)
    return found


def record_refusals(store: EventStore, account: str, refused: Sequence[tuple[str, datetime]]) -> None:
    """Record recipients to whom WhatsApp refuses to send marketing; a StoreError may come after some are written."""
    for start in range(0, len(refused), CHUNK):
        rows = Rows(datetime.now(UTC))
        for to, moment in refused[start : start + CHUNK]:  # digits of a number, or a user ID
            wish = Preference(
                account_id=account,
                number=to if to.isdigit() else None,
                user_id=None if to.isdigit() else to,
                scope="marketing",
                opted_out=True,
                source=SOURCE_REFUSED,
                occurred_at=moment,
            )
            rows.add([wish], verified=True)  # the gateway's answer
        store.record_preferences(rows.preferences)


def look_through(store: EventStore, words: OptOutWords) -> int:
    """Record the opt-outs in all stored messages, once for the same words; return how many messages have one."""
    # Opt-outs by words that no longer count are kept, because somebody meant them.
    with store.reading() as connection:
        if position(connection, CURSOR) == words.digest:
            return 0
        last = connection.execute(select(sql.max(messages.c.id))).scalar() or 0
    rows, count, seen = Rows(datetime.now(UTC)), 0, 0
    short = or_(sql.length(messages.c.text) <= LONGEST, sql.length(messages.c.payload) <= LONGEST)
    page = (
        select(*(messages.c[name] for name in _COLUMNS))
        .where(messages.c.kind.in_(KINDS), messages.c.id <= last, short)
        .order_by(messages.c.id)
        .limit(PAGE)
    )
    while True:
        with store.reading() as connection:
            some = connection.execute(page.where(messages.c.id > seen)).all()
        for message in some:
            wishes = list(words.wishes(message))
            count += bool(wishes)
            rows.add(wishes, verified=message.verified)
        store.record_preferences(rows.preferences)
        rows.preferences.clear()
        if not some:
            break
        seen = some[-1].id
    put_position(store, CURSOR, words.digest)
    if count:
        logger.info("The opt-out words have changed: %d stored messages match one of them", count)
    return count
