"""What Meta refuses in an interactive message, as data: each ``interactive.type`` and its form."""

from __future__ import annotations

from typing import Any

from airflow_provider_whatsapp.sandbox.errors import GraphError
from airflow_provider_whatsapp.sandbox.shape import (
    Check,
    among,
    anything,
    array,
    invalid,
    link,
    missing,
    obj,
    some_object,
    structured,
    text,
    whole,
)

MAX_BODY = 1024
MAX_LIST_BODY = 4096
MAX_FOOTER = 60
MAX_HEADER = 60
MAX_ROWS = 10
MAX_PRODUCTS = 30

_SOURCE = obj(optional={"id": text(64), "link": link(), "filename": text(1024)}, exactly_one=("id", "link"))


def _header(*kinds: str) -> Check:
    forms: dict[str, Check] = {kind: _SOURCE for kind in kinds if kind != "text"}
    if "text" in kinds:
        forms["text"] = text(MAX_HEADER)
    inner = obj({"type": among(*kinds)}, {**forms, "sub_text": text(MAX_HEADER)}, exactly_one=kinds)

    def check(value: Any, where: str) -> None:
        inner(value, where)
        if value["type"] not in value:
            raise missing(f"{where}['{value['type']}']")

    return structured(check)


def _body(limit: int = MAX_BODY) -> Check:
    return obj({"text": text(limit)})


_FOOTER = obj({"text": text(MAX_FOOTER)})
_ANY_HEADER = _header("text", "image", "video", "document")


def _unique(items: list[str], where: str) -> None:
    if len(set(items)) != len(items):
        raise invalid(where, "different for each one")


def _buttons(value: list[dict[str, Any]], where: str) -> None:
    replies = [button["reply"] for button in value]
    _unique([reply["id"] for reply in replies], f"{where}: reply id")
    _unique([reply["title"] for reply in replies], f"{where}: reply title")


def _reply_id(value: Any, where: str) -> None:
    text(256)(value, where)
    if value != value.strip():
        raise invalid(where, "without space at its ends")


def _list_rules(value: dict[str, Any], where: str) -> None:
    sections = value["sections"]
    rows = [row for section in sections for row in section["rows"]]
    if len(rows) > MAX_ROWS:
        raise invalid(f"{where}['sections']", f"of at most {MAX_ROWS} rows in all")
    _unique([row["id"] for row in rows], f"{where}: row id")
    if len(sections) > 1 and not all(section.get("title") for section in sections):
        raise missing(f"{where}['sections']: title of each")


def _products(value: dict[str, Any], where: str) -> None:
    if sum(len(section["product_items"]) for section in value["sections"]) > MAX_PRODUCTS:
        raise invalid(f"{where}['sections']", f"of at most {MAX_PRODUCTS} products in all")


def _flow(value: dict[str, Any], where: str) -> None:
    if "flow_action_payload" in value and value.get("flow_action", "navigate") != "navigate":
        raise GraphError(100, f"{where}: flow_action_payload is allowed only with navigate")


def _named(name: str, parameters: Check | None = None, *, required: bool = True) -> Check:
    if parameters is None:
        return obj({"name": among(name)})
    if required:
        return obj({"name": among(name), "parameters": parameters})
    return obj({"name": among(name)}, {"parameters": parameters})


_BUTTON = obj({"type": among("reply"), "reply": obj({"id": _reply_id, "title": text(20)})})


@structured
def _button_list(value: Any, where: str) -> None:
    array(_BUTTON, most=3)(value, where)
    _buttons(value, where)


_ROW = obj({"id": text(200), "title": text(24)}, {"description": text(72, least=0)})
_SECTION = obj({"rows": array(_ROW, most=MAX_ROWS)}, {"title": text(24)})
_PRODUCT = obj({"product_retailer_id": text(256)})
_PRODUCT_SECTION = obj({"product_items": array(_PRODUCT, most=MAX_PRODUCTS)}, {"title": text(24)})
_CTA = _named("cta_url", obj({"display_text": text(20), "url": link(2000)}))
_FLOW = _named(
    "flow",
    obj(
        {"flow_message_version": among("3"), "flow_cta": text(256)},
        {
            "flow_id": text(64),
            "flow_name": text(256),
            "mode": among("published", "draft"),
            "flow_token": text(4096),
            "flow_action": among("navigate", "data_exchange"),
            "flow_action_payload": obj(optional={"screen": text(256), "data": some_object}),
        },
        exactly_one=("flow_id", "flow_name"),
        then=_flow,
    ),
)
_ADDRESS = _named(
    "address_message",
    obj(
        {"country": among("IN")},
        {"values": some_object, "saved_addresses": anything, "validation_errors": some_object},
    ),
)


def _short_lines(value: Any, where: str) -> None:
    text(160)(value, where)
    if value.count("\n") > 2:
        raise invalid(where, "of at most two line breaks")


_QUICK_REPLY = obj({"type": among("quick_reply"), "quick_reply": obj({"id": _reply_id, "title": text(20)})})


@structured
def _quick_replies(value: Any, where: str) -> None:
    array(_QUICK_REPLY)(value, where)
    replies = [button["quick_reply"] for button in value]
    _unique([reply["id"] for reply in replies], f"{where}: quick_reply id")


@structured
def _card_action(value: Any, where: str) -> None:
    (obj({"buttons": _quick_replies}) if "buttons" in value else _CTA)(value, where)


_MEDIA_CARD = obj(
    {"card_index": whole(0, 9), "header": _header("image", "video"), "action": _card_action},
    {"body": obj({"text": _short_lines}), "type": among("cta_url")},
)
_PRODUCT_CARD = obj(
    {
        "card_index": whole(0, 9),
        "type": among("product"),
        "action": obj({"product_retailer_id": text(256), "catalog_id": text(64)}),
    },
)


@structured
def _cards(value: Any, where: str) -> None:
    array(some_object, least=2, most=10)(value, where)
    for index, card in enumerate(value):
        (_PRODUCT_CARD if card.get("type") == "product" else _MEDIA_CARD)(card, f"{where}[{index}]")
    _unique([str(card["card_index"]) for card in value], f"{where}: card_index")
    shapes = {
        (
            card.get("type", "cta_url"),
            card.get("header", {}).get("type"),
            len(card["action"].get("buttons", ())),
        )
        for card in value
    }
    if len(shapes) > 1:
        raise invalid(where, "cards of one kind")
    if len({card["action"].get("catalog_id") for card in value}) > 1:
        raise invalid(where, "products of one catalogue")


def _kind(action: Check, *, header: Check | None = None, body: int = MAX_BODY, footer: bool = True) -> Check:
    optional: dict[str, Check] = {"header": header} if header else {}
    if footer:
        optional["footer"] = _FOOTER
    return obj({"type": anything, "body": _body(body), "action": action}, optional)


_ANY = obj(
    {"type": anything, "action": some_object}, {"header": some_object, "body": _body(), "footer": _FOOTER}
)

KINDS: dict[str, Check] = {
    "button": _kind(obj({"buttons": _button_list}), header=_ANY_HEADER),
    "list": _kind(
        obj({"button": text(20), "sections": array(_SECTION, most=10)}, then=_list_rules),
        header=_header("text"),
        body=MAX_LIST_BODY,
    ),
    "cta_url": _kind(_CTA, header=_ANY_HEADER),
    "flow": _kind(_FLOW, header=_ANY_HEADER),
    "location_request_message": _kind(_named("send_location"), footer=False),
    "product": obj(
        {"type": anything, "action": obj({"catalog_id": text(64), "product_retailer_id": text(256)})},
        {"body": _body(), "footer": _FOOTER},
    ),
    "product_list": obj(
        {
            "type": anything,
            "header": _header("text"),
            "body": _body(),
            "action": obj(
                {"catalog_id": text(64), "sections": array(_PRODUCT_SECTION, most=10)}, then=_products
            ),
        },
        {"footer": _FOOTER},
    ),
    "catalog_message": _kind(
        _named("catalog_message", obj(optional={"thumbnail_product_retailer_id": text(256)}), required=False)
    ),
    "carousel": _kind(obj({"cards": _cards}), footer=False),
    "address_message": _kind(_ADDRESS, header=_ANY_HEADER),
    "request_contact_info": obj(
        {"type": anything, "body": _body(), "action": _named("request_contact_info")}
    ),
    **dict.fromkeys(("call_permission_request", "voice_call", "order_details", "order_status"), _ANY),
}
"""What the object of each interactive type may hold; Meta gates the last four, so the sandbox hardly checks them."""


@structured
def INTERACTIVE(value: Any, where: str) -> None:  # noqa: N802  (a rule among the others, which are constants)
    """Check an interactive object."""
    if not isinstance(value, dict):
        raise invalid(where, "an object")
    kind = value.get("type")
    if kind is None:
        raise missing(f"{where}['type']")
    if not isinstance(kind, str) or kind not in KINDS:
        # Meta's page used to say contact_request; a webhook's contact still says it.
        details = f"Param {where}['type'] must be one of {', '.join(sorted(KINDS))}"
        raise GraphError(100, details, message=f"(#100) {details}")
    KINDS[kind](value, where)
