"""Converts Graph's nested JSON of interactive messages into the flat fields of this package's models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages._parts import without_null

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DOC = "Interactive messages"
_ACTION = "interactive.action"


def flatten(content: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return our type and the flat fields of an ``interactive`` object; None: its ``type`` has no model here."""
    kind = content.get("type")
    if not isinstance(kind, str) or (kind not in _READERS and kind != "carousel"):
        return None
    content = without_null(content)
    for name in content:
        if name not in {"type", "header", "body", "footer", "action"}:
            raise PayloadError(
                f"has an unknown field {_checks.shown(name)}",
                field="interactive",
                doc=_DOC,
                advice="Fields: type, header, body, footer, action.",
            )
    fields: dict[str, Any] = {}
    if "header" in content:
        fields["header"] = content["header"]
    for name in ("body", "footer"):
        if name in content:
            fields[name] = _object(content[name], f"interactive.{name}").get("text")
    action = _object(content.get("action"), _ACTION)
    kind, own = _carousel(action) if kind == "carousel" else (kind, _READERS[kind](action))
    return kind, fields | own


def _object(value: object, field: str) -> Mapping[str, Any]:
    return without_null(_checks.mapping(value, field, _DOC))


def _parameters(action: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_object(action.get("parameters", {}), f"{_ACTION}.parameters"))


def _buttons(action: Mapping[str, Any]) -> dict[str, Any]:
    found = _checks.items(action.get("buttons"), f"{_ACTION}.buttons", doc=_DOC)
    replies = [_object(item, f"{_ACTION}.buttons[{i}]").get("reply") for i, item in enumerate(found)]
    return {"buttons": replies}


def _flow(action: Mapping[str, Any]) -> dict[str, Any]:
    fields = _parameters(action)
    fields.pop("flow_message_version", None)
    payload = fields.pop("flow_action_payload", None)
    if payload is not None:
        fields |= _object(payload, f"{_ACTION}.parameters.flow_action_payload")
    return fields


def _product_list(action: Mapping[str, Any]) -> dict[str, Any]:
    found = _checks.items(action.get("sections"), f"{_ACTION}.sections", doc=_DOC)
    sections = []
    for position, item in enumerate(found):
        section = dict(_object(item, f"{_ACTION}.sections[{position}]"))
        sections.append({"products": section.pop("product_items", None), **section})
    return {**action, "sections": sections}


def _carousel(action: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    found = _checks.items(action.get("cards"), f"{_ACTION}.cards", doc=_DOC)
    cards = [_object(item, f"{_ACTION}.cards[{position}]") for position, item in enumerate(found)]
    actions = [_object(card.get("action"), f"{_ACTION}.cards[{i}].action") for i, card in enumerate(cards)]
    if cards and cards[0].get("type") == "product":
        catalogues = {str(item.get("catalog_id")) for item in actions}
        if len(catalogues) > 1:
            raise PayloadError(
                f"names {len(catalogues)} catalogues",
                field=f"{_ACTION}.cards",
                limit="one catalogue for all cards",
                doc="Interactive product carousel messages",
                advice="Send one message per catalogue.",
            )
        products = [item.get("product_retailer_id") for item in actions]
        return "product_carousel", {"catalog_id": actions[0].get("catalog_id"), "products": products}
    media = []
    for position, card in enumerate(cards):
        flat = {"header": card.get("header"), **_card_buttons(actions[position], position)}
        if "body" in card:
            flat["body"] = _object(card["body"], f"{_ACTION}.cards[{position}].body").get("text")
        media.append(flat)
    return "media_carousel", {"cards": media}


def _card_buttons(action: Mapping[str, Any], position: int) -> dict[str, Any]:
    """Return the fields of a card's link, or of its quick replies."""
    if "buttons" not in action:
        return _parameters(action)
    field = f"{_ACTION}.cards[{position}].action.buttons"
    found = _checks.items(action["buttons"], field, doc=_DOC)
    return {"buttons": [_object(item, f"{field}[{i}]").get("quick_reply") for i, item in enumerate(found)]}


# How to read each type's fields from its action; Graph's carousel is one of two types here.
_READERS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "button": _buttons,
    "list": dict,
    "cta_url": _parameters,
    "location_request_message": lambda _action: {},
    "flow": _flow,
    "product": dict,
    "product_list": _product_list,
    "catalog_message": _parameters,
}
