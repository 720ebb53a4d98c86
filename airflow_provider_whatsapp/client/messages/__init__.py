"""
Messages: frozen models of every type, checked when they are made.

Each model's ``to_payload()`` returns only its type's part of Graph's JSON; the sender adds the recipient and the rest
of the envelope. ``parse_message`` makes any of them from plain fields. A module is loaded when one of its names is
first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_whatsapp.client.messages._base import Message, Part
    from airflow_provider_whatsapp.client.messages.basic import Location, RawMessage, Reaction, Text
    from airflow_provider_whatsapp.client.messages.commerce import (
        CatalogMessage,
        MediaCard,
        MediaCarousel,
        ProductCarousel,
        ProductList,
        ProductMessage,
    )
    from airflow_provider_whatsapp.client.messages.contacts import (
        Contact,
        ContactAddress,
        ContactEmail,
        ContactName,
        ContactOrg,
        ContactPhone,
        Contacts,
        ContactUrl,
    )
    from airflow_provider_whatsapp.client.messages.flow import Flow
    from airflow_provider_whatsapp.client.messages.interactive import (
        CtaUrl,
        ListMessage,
        LocationRequest,
        ReplyButton,
        ReplyButtons,
        Row,
        Section,
    )
    from airflow_provider_whatsapp.client.messages.media import Audio, Document, Image, Media, Sticker, Video
    from airflow_provider_whatsapp.client.messages.parameters import (
        Currency,
        DateTime,
        Product,
        RawParameter,
        TextValue,
    )
    from airflow_provider_whatsapp.client.messages.parse import MESSAGE_TYPES, parse_message
    from airflow_provider_whatsapp.client.messages.template import Card, Template
    from airflow_provider_whatsapp.client.messages.template_buttons import (
        CatalogButton,
        CopyCodeButton,
        FlowButton,
        MpmButton,
        ProductSection,
        QuickReplyButton,
        RawButton,
        TemplateButton,
        UrlButton,
    )

__all__ = [
    "MESSAGE_TYPES",
    "Audio",
    "Card",
    "CatalogButton",
    "CatalogMessage",
    "Contact",
    "ContactAddress",
    "ContactEmail",
    "ContactName",
    "ContactOrg",
    "ContactPhone",
    "ContactUrl",
    "Contacts",
    "CopyCodeButton",
    "CtaUrl",
    "Currency",
    "DateTime",
    "Document",
    "Flow",
    "FlowButton",
    "Image",
    "ListMessage",
    "Location",
    "LocationRequest",
    "Media",
    "MediaCard",
    "MediaCarousel",
    "Message",
    "MpmButton",
    "Part",
    "Product",
    "ProductCarousel",
    "ProductList",
    "ProductMessage",
    "ProductSection",
    "QuickReplyButton",
    "RawButton",
    "RawMessage",
    "RawParameter",
    "Reaction",
    "ReplyButton",
    "ReplyButtons",
    "Row",
    "Section",
    "Sticker",
    "Template",
    "TemplateButton",
    "Text",
    "TextValue",
    "UrlButton",
    "Video",
    "parse_message",
]

_MODULES = {
    "_base": "Message Part",
    "basic": "Location RawMessage Reaction Text",
    "commerce": "CatalogMessage MediaCard MediaCarousel ProductCarousel ProductList ProductMessage",
    "contacts": (
        "Contact ContactAddress ContactEmail ContactName ContactOrg ContactPhone ContactUrl Contacts"
    ),
    "flow": "Flow",
    "interactive": "CtaUrl ListMessage LocationRequest ReplyButton ReplyButtons Row Section",
    "media": "Audio Document Image Media Sticker Video",
    "parameters": "Currency DateTime Product RawParameter TextValue",
    "parse": "MESSAGE_TYPES parse_message",
    "template": "Card Template",
    "template_buttons": (
        "CatalogButton CopyCodeButton FlowButton MpmButton ProductSection QuickReplyButton"
        " RawButton TemplateButton UrlButton"
    ),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
