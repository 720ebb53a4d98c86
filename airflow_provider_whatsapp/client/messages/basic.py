"""Text, location and reaction, and a raw message for types that have no model here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages import _fields as field
from airflow_provider_whatsapp.client.messages._base import Message, model

#: Characters of a text message.
TEXT_LIMIT = 4096

# A keycap, a flag, or symbols with skin tone, variation and tags, joined by zero-width joiners.
_SYMBOL = "[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001fbff]"
_MARKS = "\ufe0f?[\U0001f3fb-\U0001f3ff]?\ufe0f?[\U000e0020-\U000e007f]*"
_JOINED = f"{_SYMBOL}{_MARKS}(?:\u200d{_SYMBOL}{_MARKS}){{0,9}}"
_ONE_EMOJI = f"[0-9#*]\ufe0f?\u20e3|[\U0001f1e6-\U0001f1ff]{{2}}|{_JOINED}"


@model("text", doc="Text messages")
class Text(Message):
    """
    A text.

    :param body: 1 to 4096 characters; WhatsApp's markup (``*bold*``, ``_italic_``) is understood.
    :param preview_url: Show a preview of the first link.
    """

    body: str = field.text(TEXT_LIMIT)
    preview_url: bool | None = field.flag(default=False)


def _degrees(value: object, field: str, doc: str, *, most: int) -> float:
    number = value
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = None
    if not isinstance(number, (int, float)) or isinstance(number, bool):
        raise _checks.wrong_type(value, field, "a number of decimal degrees", doc=doc)
    if not -most <= number <= most:  # also false for NaN
        advice = "Give decimal degrees (WGS 84)."
        raise PayloadError("is out of range", field=field, limit=f"-{most} to {most}", doc=doc, advice=advice)
    return number


@model("location", doc="Location messages")
class Location(Message):
    """
    A pin on the map.

    :param latitude: Decimal degrees, -90 to 90; a number or its text.
    :param longitude: Decimal degrees, -180 to 180; a number or its text.
    :param name: Name of the place.
    :param address: Address of the place; WhatsApp shows it only together with ``name``.
    """

    latitude: float | str = field.checked(_degrees, most=90)
    longitude: float | str = field.checked(_degrees, most=180)
    name: str | None = field.text(default=None)
    address: str | None = field.text(default=None)


def _one_emoji(value: object, field: str, doc: str) -> str:
    emoji = _checks.string(value, field, doc)
    if emoji and not re.fullmatch(_ONE_EMOJI, emoji):
        problem = f"is not one emoji ({len(emoji)} characters)"
        advice = 'Give one emoji, or "" to remove the reaction.'
        raise PayloadError(problem, field=field, limit="1 emoji", doc=doc, advice=advice)
    return emoji


@model("reaction", doc="Reaction messages")
class Reaction(Message):
    """
    An emoji on an earlier message.

    :param message_id: The wamid of that message, no older than 30 days and not a reaction itself.
    :param emoji: One emoji; an empty text removes the reaction.
    """

    message_id: str = field.identifier()
    emoji: str = field.checked(_one_emoji)

    def content(self) -> dict[str, Any]:
        """Return only the reaction object."""
        return {"message_id": self.message_id, "emoji": self.emoji}


def _graph_json(value: object, field: str, _doc: str) -> object:
    if isinstance(value, (str, bytes)) or not isinstance(value, (Mapping, Sequence)):
        raise _checks.wrong_type(value, field, "a dict or a list of Graph's JSON")
    return value


@model(doc="Messages API")
class RawMessage(Message):
    """
    A message of a type that has no model here, or that a model refuses: sent unchanged and unchecked.

    :param type: Graph's ``type``.
    :param content: Graph's JSON for the object of that name.
    """

    kind: ClassVar[str] = "raw"

    type: str = field.text()
    content: Mapping[str, Any] | Sequence[Any] = field.checked(_graph_json)  # type: ignore[assignment]  # no method here

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        return {"type": self.type, self.type: self.content}
