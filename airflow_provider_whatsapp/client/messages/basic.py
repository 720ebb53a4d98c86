"""Text, location and reaction; and a raw message for types that have no model here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages._base import Message

#: Characters of a text message.
TEXT_LIMIT = 4096

# A keycap, a flag, or symbols with skin tone, variation and tags, joined by zero-width joiners.
_SYMBOL = "[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001fbff]"
_MARKS = "\ufe0f?[\U0001f3fb-\U0001f3ff]?\ufe0f?[\U000e0020-\U000e007f]*"
_JOINED = f"{_SYMBOL}{_MARKS}(?:\u200d{_SYMBOL}{_MARKS}){{0,9}}"
_ONE_EMOJI = f"[0-9#*]\ufe0f?\u20e3|[\U0001f1e6-\U0001f1ff]{{2}}|{_JOINED}"


@dataclass(frozen=True, slots=True)
class Text(Message):
    """
    A text.

    :param body: 1 to 4096 characters; WhatsApp's markup (``*bold*``, ``_italic_``) is understood.
    :param preview_url: Show a preview of the first link in it.
    """

    kind: ClassVar[str] = "text"
    doc: ClassVar[str] = "Text messages"

    body: str
    preview_url: bool | None = False

    def __post_init__(self) -> None:
        _checks.required_text(self.body, "text.body", doc=self.doc, limit=TEXT_LIMIT)
        if self.preview_url is None:
            _checks.put(self, "preview_url", False)
        _checks.put(self, "preview_url", _checks.flag(self.preview_url, "text.preview_url", doc=self.doc))

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        return {"type": "text", "text": {"body": self.body, "preview_url": self.preview_url}}


@dataclass(frozen=True, slots=True)
class Location(Message):
    """
    A pin on the map.

    :param latitude: Decimal degrees, -90 to 90; a number or its text.
    :param longitude: Decimal degrees, -180 to 180; a number or its text.
    :param name: Name of the place.
    :param address: Address of the place; WhatsApp shows it only together with ``name``.
    """

    kind: ClassVar[str] = "location"
    doc: ClassVar[str] = "Location messages"

    latitude: float | str
    longitude: float | str
    name: str | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        _checks.put(self, "latitude", _degrees(self.latitude, "location.latitude", 90, self.doc))
        _checks.put(self, "longitude", _degrees(self.longitude, "location.longitude", 180, self.doc))
        _checks.optional_text(self.name, "location.name", doc=self.doc)
        _checks.optional_text(self.address, "location.address", doc=self.doc)

    def content(self) -> dict[str, Any]:
        """Return the location object alone."""
        fields: dict[str, Any] = {"latitude": self.latitude, "longitude": self.longitude}
        return fields | _checks.without_empty({"name": self.name, "address": self.address})

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        return {"type": "location", "location": self.content()}


def _degrees(value: object, field: str, most: int, doc: str) -> float:
    number = value
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = None
    if not isinstance(number, (int, float)) or isinstance(number, bool):
        raise _checks.wrong_type(value, field, "a number of decimal degrees", doc=doc)
    if not -most <= number <= most:  # also false for NaN
        raise PayloadError(
            "is out of range",
            field=field,
            limit=f"-{most} to {most}",
            doc=doc,
            advice="Give decimal degrees (WGS 84).",
        )
    return number


@dataclass(frozen=True, slots=True)
class Reaction(Message):
    """
    An emoji on an earlier message.

    :param message_id: The wamid of that message, no older than 30 days and not a reaction itself.
    :param emoji: One emoji; an empty text takes the reaction back.
    """

    kind: ClassVar[str] = "reaction"
    doc: ClassVar[str] = "Reaction messages"

    message_id: str
    emoji: str

    def __post_init__(self) -> None:
        _checks.identifier(self.message_id, "reaction.message_id", doc=self.doc)
        _checks.string(self.emoji, "reaction.emoji", doc=self.doc)
        if self.emoji and not re.fullmatch(_ONE_EMOJI, self.emoji):
            raise PayloadError(
                f"is not one emoji ({len(self.emoji)} characters)",
                field="reaction.emoji",
                limit="1 emoji",
                doc=self.doc,
                advice='Give one emoji, or "" to take the reaction back.',
            )

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        return {"type": "reaction", "reaction": {"message_id": self.message_id, "emoji": self.emoji}}


@dataclass(frozen=True, slots=True)
class RawMessage(Message):
    """
    A message of a type that has no model here, or that a model refuses: sent as it is, nothing checked.

    :param type: Graph's ``type``.
    :param content: Graph's JSON for the object of that name.
    """

    kind: ClassVar[str] = "raw"

    type: str
    content: Mapping[str, Any] | Sequence[Any]

    def __post_init__(self) -> None:
        _checks.required_text(self.type, "type", doc="Messages API")
        content: object = self.content
        if isinstance(content, (str, bytes)) or not isinstance(content, (Mapping, Sequence)):
            raise _checks.wrong_type(self.content, "content", "a dict or a list of Graph's JSON")

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        return {"type": self.type, self.type: self.content}
