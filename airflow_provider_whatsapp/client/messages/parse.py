"""Messages from plain JSON fields, as in an operator's argument, a YAML file or an XCom."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages._interactive_json import flatten
from airflow_provider_whatsapp.client.messages._parts import check_names, without_null
from airflow_provider_whatsapp.client.messages.basic import RawMessage

if TYPE_CHECKING:
    from airflow_provider_whatsapp.client.messages._base import Message

_DOC = "Messages API"

# The class of each type, by its name in the package, whose module is loaded with the first message of the type.
_MODELS = {
    "text": "Text",
    "image": "Image",
    "video": "Video",
    "audio": "Audio",
    "document": "Document",
    "sticker": "Sticker",
    "location": "Location",
    "reaction": "Reaction",
    "contacts": "Contacts",
    "button": "ReplyButtons",
    "list": "ListMessage",
    "cta_url": "CtaUrl",
    "location_request_message": "LocationRequest",
    "flow": "Flow",
    "product": "ProductMessage",
    "product_list": "ProductList",
    "catalog_message": "CatalogMessage",
    "media_carousel": "MediaCarousel",
    "product_carousel": "ProductCarousel",
    "template": "Template",
}

#: The values of ``type`` that :func:`parse_message` knows.
MESSAGE_TYPES = tuple(_MODELS)

# Fields of the envelope, which the send call sets.
_ENVELOPE = {"messaging_product", "recipient_type", "to", "recipient", "context", "biz_opaque_callback_data"}


def parse_message(fields: Mapping[str, Any]) -> Message:
    """
    Return the message that plain fields describe.

    The fields are ``type`` and those of the model, flat: ``{"type": "location", "latitude": 1, "longitude":
    2}``. Graph's own nested form (the result of ``to_payload()``) is read and checked in the same way. A type
    that has no model here is accepted in the nested form, unchecked: ``{"type": "order", "order": {...}}``.

    :param fields: The type and its fields.
    :raises PayloadError: The type or a field is unknown, one is missing, or the model refuses a value.
    """
    if not isinstance(fields, Mapping):
        raise _checks.wrong_type(fields, "message", "a dict with type and its fields", doc=_DOC)
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise PayloadError(
            "is missing" if kind is None else f"must be a string, not {type(kind).__name__}",
            field="type",
            doc=_DOC,
            advice=f"Types: {', '.join(MESSAGE_TYPES)}.",
        )
    rest = {name: value for name, value in without_null(fields).items() if name != "type"}
    _refuse_envelope(rest)
    nested = rest.get(kind) if len(rest) == 1 else None
    if kind == "interactive" and isinstance(nested, Mapping):
        found = flatten(nested)
        return RawMessage(kind, nested) if found is None else _built(*found)
    if kind in _MODELS:
        return _built(kind, nested if isinstance(nested, Mapping) else rest)
    if isinstance(nested, (Mapping, list, tuple)):
        return RawMessage(kind, nested)
    raise PayloadError(
        f"{_checks.shown(kind)} is unknown",
        field="type",
        doc=_DOC,
        advice=f"Types: {', '.join(MESSAGE_TYPES)}; or Graph's own JSON: "
        '{"type": "order", "order": {...}}.',
    )


def _refuse_envelope(rest: Mapping[str, Any]) -> None:
    for name in rest:
        if name in _ENVELOPE:
            raise PayloadError(
                "belongs to the send call, not to the message",
                field=name,
                doc=_DOC,
                advice="Leave it out here; recipient, reply and callback data are separate arguments.",
            )


def _model(kind: str) -> type[Message]:
    return cast("type[Message]", getattr(import_module(__package__), _MODELS[kind]))


def _built(kind: str, fields: Mapping[str, Any]) -> Message:
    flat = without_null(fields)
    language = flat.get("language")
    if kind == "template" and isinstance(language, Mapping):
        flat["language"] = language.get("code")
    model = _model(kind)
    check_names(model, flat, kind)
    return model(**flat)
