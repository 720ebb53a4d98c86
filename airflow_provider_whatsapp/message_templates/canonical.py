"""
One form for what a file says and what Meta lists, so that they can be compared.

Meta reorders components, adds fields of its own, gives a sample's address for its handle, writes an authentication
template's texts itself and reports its button as a URL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from airflow_provider_whatsapp.message_templates.limits import examples
from airflow_provider_whatsapp.message_templates.texts import parameter_format, variables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ORDER = ("HEADER", "BODY", "LIMITED_TIME_OFFER", "FOOTER", "BUTTONS", "CAROUSEL")
_FILLED_IN = {"otp_text", "fixed_text", "flow_action", "flow_id", "navigate_screen"}
_END_OF_SENTENCE = re.compile(r"[.!?。।؟]")


def canonical(components: Sequence[Mapping[str, Any]], category: str) -> list[dict[str, Any]]:
    """
    Return components as they are compared: in one order, without what Meta adds or does not tell.

    :param components: Graph's, as they would be created or as they are listed.
    :param category: The template's.
    """
    parts = [_part(part, category) for part in components]
    return sorted(parts, key=lambda part: (_place(part["type"]), part["type"]))


def _place(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _part(part: Mapping[str, Any], category: str) -> dict[str, Any]:
    try:
        return _read(part, category)
    except (AttributeError, TypeError, ValueError, KeyError, IndexError):
        # It is not of the form that Meta documents, so it is compared as it is.
        return {**part, "type": str(part.get("type", "")).upper()}


def _read(part: Mapping[str, Any], category: str) -> dict[str, Any]:
    kind = str(part.get("type", "")).upper()
    if kind == "BUTTONS":
        return {"type": kind, "buttons": [_button(button, category) for button in part.get("buttons") or []]}
    fixed = category == "AUTHENTICATION" and kind in ("BODY", "FOOTER")
    read = _fixed if fixed else _READERS.get(kind, _other)
    return {"type": kind, **read(part)}


def _other(part: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "type"}


def _body(part: Mapping[str, Any]) -> dict[str, Any]:
    return _text(part, "body_text")


def _footer(part: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": _clean(part.get("text"))}


def _carousel(part: Mapping[str, Any]) -> dict[str, Any]:
    cards = part.get("cards") or []
    return {"cards": [canonical(card.get("components") or [], "MARKETING") for card in cards]}


def _offer(part: Mapping[str, Any]) -> dict[str, Any]:
    offer = part.get("limited_time_offer") or {}
    return {"text": offer.get("text"), "has_expiration": bool(offer.get("has_expiration"))}


def _header(part: Mapping[str, Any]) -> dict[str, Any]:
    form = str(part.get("format", "")).upper()
    return {"format": form, **(_text(part, "header_text") if form == "TEXT" else {})}


def _text(part: Mapping[str, Any], key: str) -> dict[str, Any]:
    names = variables(part.get("text"))
    return {"text": _clean(part.get("text")), "example": examples(part, key, names) if names else {}}


def _clean(text: Any) -> str:
    return str(text or "").replace("\r\n", "\n").strip()


def _fixed(part: Mapping[str, Any]) -> dict[str, Any]:
    """Meta words these itself, in the template's language; what was asked for shows in the sentences."""
    text = _clean(part.get("text"))
    if str(part.get("type", "")).upper() == "BODY":
        stated = part.get("add_security_recommendation")
        sentences = [piece for piece in _END_OF_SENTENCE.split(text) if piece.strip()]
        return {"add_security_recommendation": len(sentences) > 1 if stated is None else bool(stated)}
    minutes = part.get("code_expiration_minutes")
    number = re.search(r"\d+", text)
    return {"code_expiration_minutes": int(number[0]) if minutes is None and number else minutes}


_READERS = {
    "HEADER": _header,
    "BODY": _body,
    "FOOTER": _footer,
    "CAROUSEL": _carousel,
    "LIMITED_TIME_OFFER": _offer,
}


def _button(button: Mapping[str, Any], category: str) -> dict[str, Any]:
    kind = str(button.get("type", "")).upper()
    if category == "AUTHENTICATION" and kind in ("OTP", "URL"):
        # Its apps are not told again.
        return {"type": "OTP", "otp_type": otp_type(button), "otp_text": button.get("text")}
    made: dict[str, Any] = {"type": kind}
    if kind == "COPY_CODE":
        return made | {"example": _first(button.get("example"))}
    made["text"] = button.get("text")
    if kind == "URL":
        url = str(button.get("url", ""))
        made |= {"url": url, "example": _url_example(url, button.get("example"))}
    elif kind == "PHONE_NUMBER":
        made["phone_number"] = re.sub(r"\D", "", str(button.get("phone_number", "")))
    elif kind == "FLOW":
        action = button.get("flow_action")
        made["flow_action"] = str(action).upper() if action else None
        flow_id = button.get("flow_id")
        made["flow_id"] = None if flow_id is None else str(flow_id)
        made["navigate_screen"] = button.get("navigate_screen")
    elif kind != "QUICK_REPLY":
        made["fixed_text"] = made.pop("text")
    return made


def _url_example(url: str, example: Any) -> str | None:
    first = _first(example)
    if "{{" not in url or not first:
        return None
    whole = str(first).lower().startswith(("https://", "http://"))
    return str(first) if whole else url.partition("{{")[0] + str(first)


def _first(example: Any) -> Any:
    return example[0] if isinstance(example, list) and example else example


def otp_type(button: Mapping[str, Any]) -> str:
    """
    Return ``COPY_CODE``, ``ONE_TAP`` or ``ZERO_TAP``, from the field or from the URL that Meta reports in its place.

    :param button: A button of an authentication template.
    """
    stated = button.get("otp_type")
    if stated:
        return str(stated).upper()
    return parse_qs(urlsplit(str(button.get("url", ""))).query).get("otp_type", ["COPY_CODE"])[0].upper()


def equal(mine: Any, theirs: Any) -> bool:
    """
    Compare two canonical forms; what only one side states of the fields that Meta fills in by itself is no difference.

    :param mine: One, or a part of it.
    :param theirs: The other.
    """
    if mine == theirs:
        return True
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return all(
            (key in _FILLED_IN and None in (mine.get(key), theirs.get(key)))
            or equal(mine.get(key), theirs.get(key))
            for key in {*mine, *theirs}
        )
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(map(equal, mine, theirs))
    if isinstance(mine, str) != isinstance(theirs, str) and _is_number(mine, theirs):
        return str(mine) == str(theirs)  # Graph takes either for the other
    return False


def _is_number(*values: Any) -> bool:
    return any(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def same_format(components: Sequence[Mapping[str, Any]], first: str | None, second: str | None) -> bool:
    """
    Tell whether two parameter formats mean the same for these texts.

    :param components: The template's.
    :param first: ``NAMED``, ``POSITIONAL`` or None.
    :param second: The other.
    """
    if parameter_format(components) is None:
        return True
    return str(first or "POSITIONAL").upper() == str(second or "POSITIONAL").upper()
