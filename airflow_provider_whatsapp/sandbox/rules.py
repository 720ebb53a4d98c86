"""What Meta refuses in a message, as data: each ``type``, and the form of the object that it names."""

from __future__ import annotations

from typing import Any

from airflow_provider_whatsapp.sandbox.errors import GraphError
from airflow_provider_whatsapp.sandbox.rules_interactive import INTERACTIVE
from airflow_provider_whatsapp.sandbox.shape import (
    Check,
    among,
    anything,
    array,
    as_wanted,
    flag,
    invalid,
    link,
    missing,
    number,
    obj,
    text,
)

MAX_TEXT = 4096
MAX_CAPTION = 1024
MAX_CONTACTS = 257
MAX_CALLBACK_DATA = 512

_MEDIA_ID = text(64, pattern=r"\d+", wanted="a media id (digits)")
_SOURCE: dict[str, Check] = {"id": _MEDIA_ID, "link": link()}


def _media(**optional: Check) -> Check:
    return obj(optional={**_SOURCE, **optional}, exactly_one=("id", "link"))


_WORD = text(1024, least=0)
_NAME_PARTS = dict.fromkeys(("first_name", "last_name", "middle_name", "suffix", "prefix"), _WORD)
_ADDRESS = dict.fromkeys(("street", "city", "state", "zip", "country", "country_code", "type"), _WORD)

CONTACT = obj(
    {"name": obj({"formatted_name": text(1024)}, _NAME_PARTS)},
    {
        "phones": array(obj(optional={"phone": _WORD, "type": _WORD, "wa_id": _WORD}), least=0),
        "emails": array(obj(optional={"email": _WORD, "type": _WORD}), least=0),
        "urls": array(obj(optional={"url": _WORD, "type": _WORD}), least=0),
        "addresses": array(obj(optional=_ADDRESS), least=0),
        "org": obj(optional={"company": _WORD, "department": _WORD, "title": _WORD}),
        "birthday": text(10, pattern=r"\d{4}-\d{2}-\d{2}", wanted="a date as YYYY-MM-DD"),
    },
)


LOCATION = obj(
    {"latitude": number(-90, 90), "longitude": number(-180, 180)},
    {"name": text(1000, least=0), "address": text(1000, least=0)},
)

TYPES: dict[str, Check] = {
    "text": obj({"body": text(MAX_TEXT)}, {"preview_url": flag}),
    "image": _media(caption=text(MAX_CAPTION, least=0)),
    "video": _media(caption=text(MAX_CAPTION, least=0)),
    "document": _media(caption=text(MAX_CAPTION, least=0), filename=text(1024)),
    "audio": _media(voice=flag),
    "sticker": _media(),
    "location": LOCATION,
    "reaction": obj({"message_id": text(1024), "emoji": text(32, least=0)}),
    "contacts": array(CONTACT, most=MAX_CONTACTS),
    "interactive": INTERACTIVE,
    "template": obj(
        {
            "name": text(512),
            "language": obj({"code": text(16)}, {"policy": among("deterministic")}),
        },
        {"components": array(anything, least=0, most=100)},
    ),
}
"""What the object of each type of message may hold."""

GROUP_TYPES = frozenset({"text", "image", "video", "document", "audio", "sticker", "template"})
FREE_TYPES = frozenset(TYPES) - {"template"}

_COMMON: dict[str, Check] = {
    "messaging_product": among("whatsapp"),
    "recipient_type": among("individual", "group"),
    "to": text(256),
    "recipient": text(256),
    "type": text(64),
    "context": obj({"message_id": text(1024)}),
    "biz_opaque_callback_data": text(MAX_CALLBACK_DATA, least=0),
    "recipient_identity_key_hash": text(1024),
}

READ = obj(
    {"messaging_product": among("whatsapp"), "status": among("read"), "message_id": text(1024)},
    {"typing_indicator": obj({"type": among("text")})},
)


def check_product(params: dict[str, Any]) -> None:
    """Check ``messaging_product``, which every body of this API has to name."""
    product = params.get("messaging_product")
    if product is None:
        raise missing("messaging_product")
    if product != "whatsapp":
        raise GraphError(100, "Param messaging_product must be one of {WHATSAPP}")


def _implied_type(params: dict[str, Any]) -> Any:
    """Return the type of a message without ``type``: that of its object, as Meta's own examples rely on."""
    return next((kind for kind in TYPES if kind in params), "text")


def check_message(params: dict[str, Any]) -> str:
    """Check a message's form and return its type; it decodes inner JSON text in place."""
    check_product(params)
    kind = params.get("type", _implied_type(params))
    rule = TYPES.get(kind) if isinstance(kind, str) else None
    if rule is None:
        raise GraphError(131051, f"Message type {str(kind)[:64]!r} is not supported")
    for key, value in params.items():
        check = _COMMON.get(key)
        if check is not None:
            params[key] = as_wanted(value, check)
            check(params[key], key)
        elif key != kind:
            raise GraphError(100, f'Unexpected key "{key}" on param "message"')
    if kind not in params:
        raise missing(kind)
    params[kind] = as_wanted(params[kind], rule)
    rule(params[kind], kind)
    if "context" in params and kind == "reaction":
        raise GraphError(100, "A reaction names its message itself; context is not allowed")
    if params.get("recipient_type") == "group" and kind not in GROUP_TYPES:
        raise invalid("type", "text, media or template for a group")
    return str(kind)
