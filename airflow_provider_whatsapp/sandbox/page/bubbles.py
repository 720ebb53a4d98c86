"""The sandbox's messages as bubbles: the preview's bubble of each, with the message's status."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.preview.message import Bubble, File, message_bubble
from airflow_provider_whatsapp.sandbox.errors import CODES
from airflow_provider_whatsapp.sandbox.model import Message, Reply

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_whatsapp.sandbox.state import State

OPENS = ("application/pdf", "image/jpeg", "image/png", "image/webp", "text/plain")
"""MIME types that a browser shows without another program."""


def bubble(state: State, item: Message | Reply) -> Bubble:
    """Return the bubble of a message or of a reply."""
    if isinstance(item, Reply):
        made = Bubble("reply", item.id, mine=True, at=item.accepted_at)
        made.say(item.text)
        made.label = "pressed" if item.pressed else ""
        return made
    payload = item.payload
    made = message_bubble(
        item.type,
        payload.get(item.type, {}),
        components=item.components,
        files=lambda media_id: _file(state, media_id),
    )
    made.id, made.at = item.id, item.accepted_at
    made.payload = json.dumps(payload, indent=2, ensure_ascii=False)
    made.events = state.timeline(item)
    made.state = made.events[-1][0]
    if made.state == "failed" and item.failure is not None:
        made.error = f"{item.failure} · {CODES.get(item.failure, (0, 'Failed'))[1]}"
    return made


def with_reactions(bubbles: Iterable[Bubble]) -> list[Bubble]:
    """Return bubbles (oldest first) with each reaction on its message; one to any other message stays a bubble."""
    shown: dict[str, Bubble] = {}
    for each in bubbles:
        target = shown.get(each.reacts_to)
        if each.reacts_to and target is not None and each.state != "failed":
            target.reacted = "" if each.reaction == "∅" else each.reaction
        else:
            shown[each.id] = each
    return list(shown.values())


def _file(state: State, media_id: str) -> File | None:
    found = state.media.get(media_id)
    if found is None:
        return None
    href = f"/files/{found.id}" if found.data and found.sound and found.mime in OPENS else ""
    return File(found.filename, found.mime, found.size, found.data if found.sound else b"", href)
