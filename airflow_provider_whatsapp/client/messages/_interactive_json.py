"""Graph's nested JSON of interactive messages, taken apart into the flat fields of our models."""

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
    """
    Return our type and its flat fields, or None for an ``interactive.type`` that has no model here.

    :param content: The ``interactive`` object.
    :raises PayloadError: A part of it has the wrong shape.
    """
    kind = content.get("type")
    if not isinstance(kind, str) or kind not in _ACTIONS:
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
    found, more = _ACTIONS[kind](_object(content.get("action"), _ACTION))
    return found, fields | more


def _object(value: object, field: str) -> Mapping[str, Any]:
    return without_null(_checks.mapping(value, field, _DOC))


def _parameters(action: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_object(action.get("parameters", {}), f"{_ACTION}.parameters"))


def _buttons(action: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    found = _checks.items(action.get("buttons"), f"{_ACTION}.buttons", doc=_DOC)
    buttons = [_object(item, f"{_ACTION}.buttons[{i}]").get("reply") for i, item in enumerate(found)]
    return "button", {"buttons": buttons}


def _list(action: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "list", dict(action)


def _cta_url(action: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "cta_url", _parameters(action)


def _location_request(_action: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "location_request_message", {}


def _flow(action: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    fields = _parameters(action)
    fields.pop("flow_message_version", None)
    payload = fields.pop("flow_action_payload", None)
    if payload is not None:
        fields |= _object(payload, f"{_ACTION}.parameters.flow_action_payload")
    return "flow", fields


def _product(action: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "product", dict(action)


def _product_list(action: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    found = _checks.items(action.get("sections"), f"{_ACTION}.sections", doc=_DOC)
    sections = []
    for position, item in enumerate(found):
        section = dict(_object(item, f"{_ACTION}.sections[{position}]"))
        sections.append({"products": section.pop("product_items", None), **section})
    return "product_list", {**action, "sections": sections}


def _catalog(action: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "catalog_message", _parameters(action)


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
    """Return a card's link, or its quick replies."""
    if "buttons" not in action:
        return _parameters(action)
    field = f"{_ACTION}.cards[{position}].action.buttons"
    found = _checks.items(action["buttons"], field, doc=_DOC)
    return {"buttons": [_object(item, f"{field}[{i}]").get("quick_reply") for i, item in enumerate(found)]}


_ACTIONS: dict[str, Callable[[Mapping[str, Any]], tuple[str, dict[str, Any]]]] = {
    "button": _buttons,
    "list": _list,
    "cta_url": _cta_url,
    "location_request_message": _location_request,
    "flow": _flow,
    "product": _product,
    "product_list": _product_list,
    "catalog_message": _catalog,
    "carousel": _carousel,
}
