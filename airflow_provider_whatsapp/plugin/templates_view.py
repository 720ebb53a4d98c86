"""The account's templates as the page shows them: status, category and its change, quality, pause, and a preview."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.masking import clean_line
from airflow_provider_whatsapp.events import tables
from airflow_provider_whatsapp.message_templates.statuses import STATUSES
from airflow_provider_whatsapp.plugin.connections import open_client
from airflow_provider_whatsapp.plugin.event_store import opened_store
from airflow_provider_whatsapp.preview.message import Bubble, template_bubble

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from airflow_provider_whatsapp.events.store import EventStore

MOST = 1_000
"""The most templates that are listed."""
PAGE = 24
"""The number of templates on a page."""
PAUSES = {"FIRST_PAUSE": timedelta(hours=3), "SECOND_PAUSE": timedelta(hours=6)}
"""How long Meta pauses a template for low quality; the third time Meta disables it (Meta, "Template pacing")."""
MOST_EVENTS = 2_000
"""The most webhooks about templates that are read, the latest first."""
_STATUS_FIELD = "message_template_status_update"

Pauses = dict[tuple[str, str], "datetime"]
"""The end of each template's pause, by name and language."""


@dataclass(frozen=True, slots=True)
class TemplateCard:
    """A template on the page."""

    name: str
    language: str
    status: str  # Meta's word
    category: str  # Meta's present category
    declared: str  # the submitted category, if Meta has changed it
    coming: str  # the category that Meta has announced, if any
    quality: str  # Meta's rating, if there is one
    advice: str  # what to do about the status
    paused_until: datetime | None  # None: it is not paused, or no webhook has said
    preview: Bubble | None  # None: it cannot be shown

    @property
    def searched(self) -> str:
        """The text that a search looks through."""
        body = self.preview.preview if self.preview else ""
        return f"{self.name} {self.language} {self.status} {self.category} {body}".casefold()


@dataclass(frozen=True, slots=True)
class TemplateList:
    """The account's templates."""

    cards: tuple[TemplateCard, ...]  # sorted by name and language
    complete: bool = True  # False: the account has more than are listed


def load_templates(conn_id: str) -> TemplateList:
    """Return the gateway's templates, with the event store's pauses; it blocks: call it through ``SOURCES``."""
    with open_client(conn_id) as client:
        found: list[dict[str, Any]] = []
        for item in client.templates.list():
            found.append(item)
            if len(found) > MOST:
                break
        account = client.config.waba_id or ""
    pauses = _pauses_or_none(account) if any(_word(item.get("status")) == "PAUSED" for item in found) else {}
    cards = sorted(
        (template_card(item, pauses) for item in found[:MOST]), key=lambda card: (card.name, card.language)
    )
    return TemplateList(tuple(cards), complete=len(found) <= MOST)


def template_card(item: Mapping[str, Any], pauses: Mapping[tuple[str, str], datetime]) -> TemplateCard:
    """Return a template from Graph's JSON; parts of another form are left empty."""
    name, language = _word(item.get("name")), _word(item.get("language"))
    status, category = _word(item.get("status")), _word(item.get("category"))
    before, coming = _word(item.get("previous_category")), _word(item.get("correct_category"))
    score = item.get("quality_score")
    quality = _word(score.get("score")) if isinstance(score, dict) else ""
    reason = _word(item.get("rejected_reason"))
    meant = STATUSES.get(status)
    advice = meant.advice if meant and meant.lasting else ""
    if status == "REJECTED" and reason not in ("", "NONE"):
        advice = f"Meta's reason: {reason}. {advice}"
    return TemplateCard(
        name=name,
        language=language,
        status=status or "UNKNOWN",
        category=category,
        declared=before if before != category else "",
        coming=coming if coming != category else "",
        quality="" if quality == "UNKNOWN" else quality,
        advice=advice,
        paused_until=pauses.get((name, _plain(language))) if status == "PAUSED" else None,
        preview=_preview(item.get("components")),
    )


def _preview(components: Any) -> Bubble | None:
    """Return the template on a phone; a future addition of Graph's must not break the page."""
    try:
        return template_bubble(components if isinstance(components, list) else [])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None


def _word(value: Any) -> str:
    return clean_line(value, limit=512, masked=False) if isinstance(value, str) else ""


def _plain(language: str) -> str:
    """Return a language in one form, because webhooks write ``en-US``."""
    return language.replace("-", "_")


def matching(cards: Sequence[TemplateCard], text: str, status: str) -> list[TemplateCard]:
    """Return the templates with a status (empty: any), and with all words of a text, in any case."""
    words = text.casefold().split()
    return [
        card for card in cards if status in ("", card.status) and all(word in card.searched for word in words)
    ]


def _pauses_or_none(account: str) -> Pauses:
    """Return the event store's pauses; if it cannot be read, none, because the templates are shown without them."""
    try:
        with opened_store() as store:
            return read_pauses(store, account)
    except WhatsAppError:
        return {}


def read_pauses(store: EventStore, account: str) -> Pauses:
    """Return the end of each template's pause, as signed webhooks have said."""
    of = tables.others.c
    query = (
        select(of.raw, of.occurred_at)
        .where(of.field == _STATUS_FIELD, of.account_id == account, of.verified.is_(True))
        .order_by(of.id.desc())
        .limit(MOST_EVENTS)
    )
    with store.reading() as connection:
        events = connection.execute(query).all()
    found: Pauses = {}
    for raw, at in sorted(events, key=lambda event: event[1]):
        value = json.loads(raw)
        about = value.get("other_info")
        title = about.get("title") if isinstance(about, dict) else None
        if value.get("event") == "PAUSED" and isinstance(title, str) and title in PAUSES:
            key = (
                _word(value.get("message_template_name")),
                _plain(_word(value.get("message_template_language"))),
            )
            found[key] = at + PAUSES[title]
    return found
