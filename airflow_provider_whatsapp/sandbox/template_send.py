"""Checks a template message against the stored template."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.errors import GraphError
from airflow_provider_whatsapp.sandbox.rules import LOCATION
from airflow_provider_whatsapp.sandbox.shape import (
    Check,
    among,
    anything,
    array,
    invalid,
    link,
    missing,
    number,
    obj,
    some_object,
    structured,
    text,
    whole,
)
from airflow_provider_whatsapp.sandbox.template_text import component, fill, values_of, variables

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.model import Template
    from airflow_provider_whatsapp.sandbox.state import State

MAX_HEADER = 60
MAX_BODY = 1024
MAX_CODE = 15
MAX_COUPON = 20
MEDIA = frozenset({"image", "video", "document", "gif"})
_BROKEN = re.compile(r"[\n\r\t]| {5,}")

_SOURCE = obj(
    optional={
        "id": text(64, pattern=r"\d+", wanted="a media id (digits)"),
        "link": link(),
        "filename": text(1024),
    },
    exactly_one=("id", "link"),
)
_VALUES: dict[str, Check] = {
    "text": text(32_768, least=0),
    "currency": obj({"fallback_value": text(1024), "code": text(3), "amount_1000": number(-1e15, 1e15)}),
    "date_time": obj({"fallback_value": text(1024)}, dict.fromkeys(
        ("day_of_week", "year", "month", "day_of_month", "hour", "minute", "calendar", "timestamp"), anything)),
    **dict.fromkeys(MEDIA, _SOURCE),
    "location": LOCATION,
    "product": obj({"product_retailer_id": text(256), "catalog_id": text(64)}),
    "payload": text(256),
    "coupon_code": text(MAX_COUPON, pattern=r"[A-Za-z0-9]+", wanted="letters and digits"),
    "action": some_object,
    "limited_time_offer": obj({"expiration_time_ms": number(0, 1e14)}),
    "order_status": some_object,
    "tap_target_configuration": array(obj({"url": link(), "title": text(256)})),
}  # fmt: skip
"""The form of each parameter type's value."""

BUTTONS = (
    "quick_reply", "url", "copy_code", "flow", "catalog", "mpm", "voice_call", "order_details", "spm",
    "request_contact_info", "call_permission_request",
)  # fmt: skip
_NEEDS_PARAMETER = {"COPY_CODE": "coupon_code", "MPM": "action"}


def _sub_type(value: Any, where: str) -> None:
    if not isinstance(value, str) or value.lower() not in BUTTONS:
        allowed = ", ".join(each.upper() for each in BUTTONS)
        raise GraphError(100, message=f"(#100) Param {where} must be one of {{{allowed}}}")


@structured
def _parameter(value: Any, where: str) -> None:
    some_object(value, where)
    kind = value.get("type")
    if kind is None:
        raise missing(f"{where}['type']")
    if not isinstance(kind, str) or kind.lower() not in _VALUES:
        raise invalid(f"{where}['type']", f"one of {', '.join(sorted(_VALUES))}")
    kind = value["type"] = kind.lower()
    obj({"type": anything, kind: _VALUES[kind]}, {"parameter_name": text(512)})(value, where)


_PARAMETERS = array(_parameter, least=0, most=100)
_PART = obj({"type": among("header", "body", any_case=True)}, {"parameters": _PARAMETERS})
_BUTTON = obj(
    {"type": anything, "sub_type": _sub_type, "index": whole(0, 9)},
    {"parameters": _PARAMETERS},
)
_OTHER = obj(
    {"type": among("limited_time_offer", "order_status", "tap_target_configuration", any_case=True)},
    {"parameters": _PARAMETERS},
)


@structured
def _card(value: Any, where: str) -> None:
    obj({"card_index": whole(0, 9)}, {"components": array(_component, least=0)})(value, where)


@structured
def _component(value: Any, where: str) -> None:
    some_object(value, where)
    kind = str(value.get("type", "")).lower()
    if kind in {"header", "body"}:
        _PART(value, where)
    elif kind == "button":
        _BUTTON(value, where)
    elif kind == "carousel":
        obj({"type": anything, "cards": array(_card, least=1, most=10)})(value, where)
    elif not kind:
        raise missing(f"{where}['type']")
    else:
        _OTHER(value, where)


def find(state: State, number_id: str, sent: dict[str, Any]) -> Template:
    """Return the template that a message's ``template`` object names, if it may be sent."""
    name, language = sent["name"], sent["language"]["code"]
    for found in state.find_templates(name, language, state.numbers[number_id].waba_id):
        if found.status == "APPROVED":
            return found
        if found.status == "PAUSED":
            raise GraphError(132015, f"template {name} is paused for its quality")
        if found.status == "DISABLED":
            raise GraphError(132016, f"template {name} is disabled for good")
    raise GraphError(132001, f"template name ({name}) does not exist in {language}")


def check(template: Template, sent: dict[str, Any], *, modern: bool) -> None:
    """Check a message's ``template`` object against its template; ``modern``: the API has code 132018 (from v23)."""
    parts = sent.get("components", [])
    array(_component, least=0)(parts, "template['components']")
    _check_parts(
        template.components, parts, modern=modern, named=template.parameter_format == "NAMED", place=""
    )
    if template.category == "AUTHENTICATION":
        _check_code(parts)
    offer = component(template.components, "LIMITED_TIME_OFFER")
    given = component(parts, "LIMITED_TIME_OFFER")
    if (
        offer
        and offer.get("limited_time_offer", {}).get("has_expiration")
        and not (given and given.get("parameters"))
    ):
        raise missing("limited_time_offer: expiration_time_ms, since the template declares an expiration")
    _check_cards(template, parts, modern=modern)


def _check_cards(template: Template, parts: list[dict[str, Any]], *, modern: bool) -> None:
    stored, given = component(template.components, "CAROUSEL"), component(parts, "CAROUSEL")
    wanted = len(stored["cards"]) if stored else 0
    cards = sorted(given["cards"], key=lambda card: int(card["card_index"])) if given else []
    if len(cards) != wanted or [int(card["card_index"]) for card in cards] != list(range(wanted)):
        raise GraphError(132012, f"carousel: {len(cards)} cards do not match the template's {wanted}")
    named = template.parameter_format == "NAMED"
    for index, card in enumerate(cards):
        inner = stored["cards"][index]["components"] if stored else []
        _check_parts(inner, card.get("components", []), modern=modern, named=named, place=f"card {index}: ")


def _check_parts(
    stored: list[dict[str, Any]], parts: list[dict[str, Any]], *, modern: bool, named: bool, place: str
) -> None:
    for kind in ("HEADER", "BODY"):
        if sum(str(part["type"]).upper() == kind for part in parts) > 1:
            raise invalid(f"{place}{kind.lower()}", "given once")
    _check_header(
        component(stored, "HEADER"), _parameters(parts, "HEADER"), modern=modern, named=named, place=place
    )
    body = component(stored, "BODY") or {}
    wanted = _wanted_in_body(body)
    given = _parameters(parts, "BODY")
    _check_texts(body.get("text", ""), wanted, given, f"{place}body", MAX_BODY, modern=modern, named=named)
    buttons = (component(stored, "BUTTONS") or {}).get("buttons", [])
    _check_buttons(
        buttons, [part for part in parts if str(part["type"]).lower() == "button"], place, modern=modern
    )


def _wanted_in_body(body: dict[str, Any]) -> list[str]:
    return variables(body.get("text", ""))


def _parameters(parts: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    found = component(parts, kind)
    return list(found.get("parameters", [])) if found else []


def _check_header(
    stored: dict[str, Any] | None, given: list[dict[str, Any]], *, modern: bool, named: bool, place: str
) -> None:
    form = str(stored.get("format", "TEXT")).upper() if stored else "TEXT"
    where = f"{place}header"
    if form == "TEXT":
        raw = stored.get("text", "") if stored else ""
        _check_texts(raw, variables(raw), given, where, MAX_HEADER, modern=modern, named=named)
        return
    received = str(given[0]["type"]).upper() if given else "UNKNOWN"
    if received != form:
        raise GraphError(132012, f"{where}: Format mismatch, expected {form}, received {received}")
    if len(given) != 1:
        raise _count(where, len(given), 1)


def _count(where: str, given: int, wanted: int) -> GraphError:
    sentence = (
        f"number of localizable_params ({given}) does not match the expected number of params ({wanted})"
    )
    return GraphError(132000, f"{where}: {sentence}")


def _check_texts(
    raw: str,
    wanted: list[str],
    given: list[dict[str, Any]],
    where: str,
    limit: int,
    *,
    modern: bool,
    named: bool,
) -> None:
    for parameter in given:
        if parameter["type"] not in {"text", "currency", "date_time"}:
            raise GraphError(
                132012, f"{where}: Format mismatch, expected TEXT, received {parameter['type'].upper()}"
            )
    if len(given) != len(wanted):
        raise _count(where, len(given), len(wanted))
    if named:
        names = [parameter.get("parameter_name") for parameter in given]
        if None in names:
            raise GraphError(
                100, f"{where}: parameter_name is required, since the template's parameters are named"
            )
        if set(names) != set(wanted):
            raise GraphError(132012, f"{where}: parameters are {', '.join(wanted)}")
    for index, parameter in enumerate(given):
        if parameter["type"] == "text":
            _check_value(parameter["text"], f"{where}: parameter {index + 1}", modern=modern)
    values = values_of(given if named else [{**each, "parameter_name": None} for each in given])
    filled = fill(raw, values)
    if len(filled) > limit:
        raise GraphError(132005, f"{where}: {len(filled)} characters when filled, at most {limit}")


def _check_value(value: str, where: str, *, modern: bool) -> None:
    if not value.strip():
        raise missing(f"{where}: text")
    if _BROKEN.search(value):
        code = 132018 if modern else 132012
        raise GraphError(code, f"{where}: no new lines, tabs or more than four spaces in a row")


def _check_buttons(
    stored: list[dict[str, Any]], given: list[dict[str, Any]], place: str, *, modern: bool
) -> None:
    seen = {}
    for part in given:
        index = int(part["index"])
        if index >= len(stored):
            raise GraphError(131009, f"{place}buttons: there is no button at index {index}")
        if index in seen:
            raise GraphError(131009, f"{place}buttons: index {index} occurs twice")
        seen[index] = part
        wanted, sub_type = str(stored[index]["type"]).upper(), str(part["sub_type"]).upper()
        if sub_type != wanted and not (wanted == "OTP" and sub_type in {"URL", "COPY_CODE"}):
            raise GraphError(
                132012, f"{place}buttons: button at index {index} is of type {wanted}, not {sub_type}"
            )
    for index, button in enumerate(stored):
        parameters = seen[index].get("parameters", []) if index in seen else []
        _check_button(str(button["type"]).upper(), button, parameters, f"{place}buttons: button at index {index}",
                      modern=modern)  # fmt: skip


def _check_button(
    kind: str, button: dict[str, Any], given: list[dict[str, Any]], where: str, *, modern: bool
) -> None:
    if kind == "URL":
        wanted = 1 if variables(button.get("url", "")) else 0
        if wanted and not given:
            raise GraphError(131008, f"{where} of type Url requires a parameter")
        if len(given) != wanted:
            raise _count(where, len(given), wanted)
        if given and given[0]["type"] != "text":
            raise GraphError(
                132012, f"{where}: Format mismatch, expected TEXT, received {given[0]['type'].upper()}"
            )
        if given:
            _check_value(given[0]["text"], where, modern=modern)
    elif kind in _NEEDS_PARAMETER and not given:
        raise GraphError(131008, f"{where} of type {kind} requires a parameter")
    elif given:
        allowed = {"QUICK_REPLY": "payload", "FLOW": "action", "CATALOG": "action", **_NEEDS_PARAMETER}.get(
            kind
        )
        received = given[0]["type"]
        # Clients use both types for the value of a quick reply.
        if allowed and received != allowed and not (kind == "QUICK_REPLY" and received == "text"):
            raise GraphError(
                132012, f"{where}: Format mismatch, expected {allowed.upper()}, received {received.upper()}"
            )


def _check_code(parts: list[dict[str, Any]]) -> None:
    for parameter in _parameters(parts, "BODY"):
        if len(str(parameter.get("text", ""))) > MAX_CODE:
            raise GraphError(132018, f"body: a code has at most {MAX_CODE} characters")
