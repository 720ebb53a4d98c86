"""What Meta refuses in a new template."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox import template_buttons
from airflow_provider_whatsapp.sandbox.errors import GraphError
from airflow_provider_whatsapp.sandbox.template_text import VARIABLE, component, emojis, variables

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.state import State

NAME, EXAMPLE, LENGTH, HEADER, BODY, FOOTER, TOO_MANY, AT_THE_EDGE = (
    2388046, 2388043, 2388040, 2388047, 2388072, 2388073, 2388293, 2388299,
)  # fmt: skip
EXISTS, BEING_DELETED, TOO_MANY_TEMPLATES, SAMPLE = 2388024, 2388023, 2388019, 2388155

_NAMED = re.compile(r"[a-z0-9_]+")
_FORMATS = {
    "IMAGE": ("image/jpeg", "image/png", "image/jpg"),
    "VIDEO": ("video/mp4",),
    "DOCUMENT": ("application/pdf",),
    "GIF": ("video/mp4",),
}
TTL = {"AUTHENTICATION": (30, 900), "UTILITY": (30, 43_200), "MARKETING": (43_200, 2_592_000)}
"""Bounds of ``message_send_ttl_seconds`` by category; -1 means 30 days, except for marketing."""

_FIELDS = {
    "HEADER": {"type", "format", "text", "example"},
    "BODY": {"type", "text", "example", "add_security_recommendation"},
    "FOOTER": {"type", "text", "code_expiration_minutes"},
    "BUTTONS": {"type", "buttons"},
    "CAROUSEL": {"type", "cards"},
    "LIMITED_TIME_OFFER": {"type", "limited_time_offer"},
    "CALL_PERMISSION_REQUEST": {"type"},
}


def refuse(subcode: int, title: str, text: str) -> GraphError:
    """Return an error in the form of template management: code 100, with the reason in the subcode and ``user``."""
    return GraphError(100, subcode=subcode, message="Invalid parameter", user=(title, text))


def check_components(state: State, components: Any, *, category: str, named: bool) -> list[dict[str, Any]]:
    """Check a template's components and return them as the sandbox stores them."""
    found = _objects(components)
    kinds = [part["type"] for part in found]
    if len(set(kinds)) != len(kinds):
        raise refuse(BODY, "Components repeat", "Each type of component may occur only once")
    if "BODY" not in kinds:
        raise refuse(BODY, "Body missing", "A template needs a body")
    if category == "AUTHENTICATION":
        return template_buttons.authentication(found)
    for part in found:
        _check_part(state, part, named=named, category=category)
    if "CAROUSEL" in kinds and ("HEADER" in kinds or "FOOTER" in kinds):
        raise refuse(HEADER, "Carousel", "A carousel has no header or footer above it")
    if "LIMITED_TIME_OFFER" in kinds:
        _check_offer(found, category)
    return found


def _objects(components: Any) -> list[dict[str, Any]]:
    if not isinstance(components, list) or not components:
        raise GraphError(100, message="(#100) components must be a list with at least a body")
    found = []
    for index, part in enumerate(components):
        where = f"components[{index}]"
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise GraphError(100, message=f"(#100) {where} must be an object with a type")
        kind = part["type"].upper()
        if kind not in _FIELDS:
            raise GraphError(100, message=f"(#100) {where}: unknown type {kind[:40]}")
        unknown = set(part) - _FIELDS[kind]
        if unknown:
            raise GraphError(100, f'Unexpected key "{min(unknown)}" on param "{where}"')
        found.append({**part, "type": kind})
    return found


def _check_part(state: State, part: dict[str, Any], *, named: bool, category: str) -> None:
    kind = part["type"]
    if kind == "HEADER":
        _check_header(state, part, named=named, category=category)
    elif kind == "BODY":
        _check_body(part, named=named, limit=1024)
    elif kind == "FOOTER":
        _check_footer(part)
    elif kind == "BUTTONS":
        part["buttons"] = template_buttons.check(part.get("buttons"))
    elif kind == "CAROUSEL":
        _check_carousel(state, part, named=named)


def _text(part: dict[str, Any], limit: int, subcode: int) -> str:
    value = part.get("text")
    name = part["type"].capitalize()
    if not isinstance(value, str) or not value.strip():
        raise refuse(subcode, f"{name} missing", f"The {name.lower()} has no text")
    if len(value) > limit:
        raise refuse(
            LENGTH, f"{name} too long", f"The {name.lower()} may have {limit} characters, it has {len(value)}"
        )
    return value


def _check_header(state: State, part: dict[str, Any], *, named: bool, category: str) -> None:
    form = str(part.get("format", "")).upper()
    part["format"] = form
    if form == "TEXT":
        value = _text(part, 60, HEADER)
        names = _check_variables(value, HEADER, named=named)
        if len(names) > 1:
            raise refuse(HEADER, "Header", "A header has at most one variable")
        if re.search(r"[\r\n*_~`]", VARIABLE.sub("", value)) or emojis(value):
            raise refuse(HEADER, "Header", "A header has no new lines, no emojis and no formatting")
        _check_example(part, names, "header_text", nested=False, named=named)
    elif form in _FORMATS:
        example = part.get("example")
        handles = example.get("header_handle") if isinstance(example, dict) else None
        if not isinstance(handles, list) or not handles or not isinstance(handles[0], str):
            raise refuse(EXAMPLE, "Sample missing", f"A header of format {form} needs example.header_handle")
        if state.handles.get(handles[0]) not in _FORMATS[form]:
            raise refuse(
                HEADER, "Sample unknown", f"header_handle is not the handle of an uploaded {form.lower()}"
            )
    elif form == "LOCATION":
        if category not in {"UTILITY", "MARKETING"}:
            raise refuse(HEADER, "Header", "A location header is allowed only for UTILITY and MARKETING")
    elif form != "PRODUCT":
        raise refuse(
            HEADER, "Header", "format must be TEXT, IMAGE, VIDEO, DOCUMENT, GIF, LOCATION or PRODUCT"
        )


def _check_body(part: dict[str, Any], *, named: bool, limit: int) -> None:
    value = _text(part, limit, BODY)
    names = _check_variables(value, BODY, named=named)
    bare = value.strip()
    if names and (re.match(r"\{\{[^{}]*\}\}", bare) or bare.endswith("}}")):
        raise refuse(AT_THE_EDGE, "Variable at the edge", "A body neither begins nor ends with a variable")
    if re.search(r"\}\}\s*\{\{", value):
        raise refuse(BODY, "Variables adjacent", "There must be words between variables")
    if len(re.findall(r"\w+", VARIABLE.sub(" ", value))) < len(names):
        raise refuse(TOO_MANY, "Too many variables", "The body has too many variables for its length")
    if "\n\n\n" in re.sub(r"\r\n?", "\n", value):
        raise refuse(BODY, "New lines", "At most two new lines in a row")
    if emojis(value) > 10:
        raise refuse(BODY, "Emojis", "At most ten emojis")
    _check_example(part, names, "body_text", nested=True, named=named)


def _check_footer(part: dict[str, Any]) -> None:
    value = _text(part, 60, FOOTER)
    if variables(value) or re.search(r"[\r\n]", value):
        raise refuse(FOOTER, "Footer", "A footer has no variables and no new lines")


def _check_variables(value: str, subcode: int, *, named: bool) -> list[str]:
    names = variables(value)
    if value.count("{{") != value.count("}}") or len(VARIABLE.findall(value)) != value.count("{{"):
        raise refuse(subcode, "Variables", "Variables are written {{1}} or {{name}}")
    if named and not all(_NAMED.fullmatch(name) and not name.isdigit() for name in names):
        raise refuse(subcode, "Variables", "Named variables have lower case letters, digits and underscores")
    if not named and sorted(names) != sorted(str(index) for index in range(1, len(names) + 1)):
        raise refuse(subcode, "Variables", "Numbered variables count from {{1}} without a gap")
    return names


def _check_example(part: dict[str, Any], names: list[str], key: str, *, nested: bool, named: bool) -> None:
    if not names:
        return
    example = part.get("example")
    given: Any = example.get(f"{key}_named_params" if named else key) if isinstance(example, dict) else None
    if named:
        pairs = (
            [each for each in given if isinstance(each, dict) and each.get("example")]
            if isinstance(given, list)
            else []
        )
        ok = sorted(str(each.get("param_name")) for each in pairs) == sorted(names)
    else:
        row = given[0] if nested and isinstance(given, list) and given else given
        ok = (
            isinstance(row, list)
            and len(row) == len(names)
            and all(isinstance(each, str) and each for each in row)
        )
    if not ok:
        text = f"The {part['type'].lower()} has {len(names)} variables and needs an example for each"
        raise refuse(EXAMPLE, "Example missing", text)


def _check_offer(components: list[dict[str, Any]], category: str) -> None:
    offer = (component(components, "LIMITED_TIME_OFFER") or {}).get("limited_time_offer")
    if category != "MARKETING":
        raise refuse(BODY, "Limited-time offer", "Limited-time offers are MARKETING")
    if (
        not isinstance(offer, dict)
        or not isinstance(offer.get("text"), str)
        or not 0 < len(offer["text"]) <= 16
    ):
        raise refuse(BODY, "Limited-time offer", "The offer has a text of 1 to 16 characters")
    if component(components, "FOOTER"):
        raise refuse(FOOTER, "Limited-time offer", "A limited-time offer has no footer")
    if len((component(components, "BODY") or {}).get("text", "")) > 600:
        raise refuse(LENGTH, "Body too long", "With a limited-time offer the body may have 600 characters")


def _check_carousel(state: State, part: dict[str, Any], *, named: bool) -> None:
    cards = part.get("cards")
    if not isinstance(cards, list) or not 2 <= len(cards) <= 10:
        raise refuse(BODY, "Carousel", "A carousel has 2 to 10 cards")
    stored, shapes = [], set()
    for card in cards:
        inner = _objects(card.get("components") if isinstance(card, dict) else None)
        kinds = [each["type"] for each in inner]
        if (
            not set(kinds) <= {"HEADER", "BODY", "BUTTONS"}
            or "HEADER" not in kinds
            or len(set(kinds)) != len(kinds)
        ):
            raise refuse(BODY, "Carousel", "A card has a header, a body and one or two buttons")
        for each in inner:
            if each["type"] == "BODY":
                _check_body(each, named=named, limit=160)
            else:
                _check_part(state, each, named=named, category="MARKETING")
        buttons = (component(inner, "BUTTONS") or {}).get("buttons", [])
        if len(buttons) > 2:
            raise refuse(BODY, "Carousel", "A card has at most two buttons")
        header = component(inner, "HEADER") or {}
        shapes.add((tuple(kinds), header.get("format"), tuple(button["type"] for button in buttons)))
        stored.append({"components": inner})
    if len(shapes) > 1:
        raise refuse(BODY, "Carousel", "All cards have the same components")
    part["cards"] = stored
