"""
Graph's components of a template: their variables and examples, and the form in which two templates are compared.

Meta reorders components, adds fields of its own, lists a sample's address instead of its handle, writes an
authentication template's texts itself and lists its button as a URL. None of that counts as a difference.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

VARIABLE = re.compile(r"\{\{([^{}]*)\}\}")
NAMED = re.compile(r"[a-z0-9_]*[a-z_][a-z0-9_]*", re.ASCII)
NUMBERED = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
MEDIA_FORMATS = ("IMAGE", "VIDEO", "DOCUMENT", "GIF")
FIXED_TEXT = {"add_security_recommendation", "code_expiration_minutes"}
"""Fields that ask for a text of Meta's own; a ``text`` beside them is Meta's, kept for people who read the file."""
_ORDER = ("HEADER", "BODY", "LIMITED_TIME_OFFER", "FOOTER", "BUTTONS", "CAROUSEL")
_FILLED_IN = {"otp_text", "fixed_text", "flow_action", "flow_id", "navigate_screen"}
_END_OF_SENTENCE = re.compile(r"[.!?。।؟]")


def variables(text: Any) -> list[str]:
    """Return the names of a text's variables, each once, in order of appearance."""
    found = VARIABLE.findall(text) if isinstance(text, str) else []
    return list(dict.fromkeys(name.strip() for name in found))


def type_of(part: Mapping[str, Any]) -> str:
    """Return the type of a component or a button, in capitals; empty if it has none."""
    return str(part.get("type", "")).upper()


def component(components: Iterable[Mapping[str, Any]], kind: str) -> Mapping[str, Any] | None:
    """Return the component of a type, such as ``BODY``, or None."""
    return next((part for part in components if type_of(part) == kind), None)


def walk(components: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield all components, including those of a carousel's cards."""
    for part in components:
        if not isinstance(part, dict):
            continue
        yield part
        cards = part.get("cards")
        for card in cards if isinstance(cards, list) else ():
            inner = card.get("components") if isinstance(card, dict) else None
            yield from walk(inner if isinstance(inner, list) else ())


def parameter_format(components: Iterable[Mapping[str, Any]]) -> str | None:
    """Return ``NAMED`` or ``POSITIONAL``, as the texts' variables need it; None: there are no variables."""
    names = [
        name
        for part in walk(components)
        if type_of(part) in ("HEADER", "BODY")
        for name in variables(part.get("text"))
    ]
    if not names:
        return None
    return "POSITIONAL" if all(NUMBERED.fullmatch(name) for name in names) else "NAMED"


def examples(part: Mapping[str, Any], key: str, names: Sequence[str]) -> dict[str, str]:
    """Return a component's examples by variable, without malformed ones; key: ``header_text`` or ``body_text``."""
    example = part.get("example")
    if not isinstance(example, dict):
        return {}
    pairs = example.get(f"{key}_named_params")
    if isinstance(pairs, list):
        return {
            str(each.get("param_name")): str(each.get("example")) for each in pairs if isinstance(each, dict)
        }
    row = example.get(key)
    if key == "body_text" and isinstance(row, list) and row:
        row = row[0]
    if not isinstance(row, list):
        return {}
    numbers = sorted(names, key=lambda name: int(name) if NUMBERED.fullmatch(name) else 0)
    return {name: str(value) for name, value in zip(numbers, row, strict=False)}


def header_handles(part: Mapping[str, Any]) -> Any:
    """Return a media header's ``header_handle``, a list of samples if it is well formed; None: there is none."""
    example = part.get("example")
    return example.get("header_handle") if isinstance(example, dict) else None


def first_example(example: Any) -> Any:
    """Return a button's example, which Graph lists as a value or as a list of one."""
    return example[0] if isinstance(example, list) and example else example


def canonical(components: Sequence[Mapping[str, Any]], category: str) -> list[dict[str, Any]]:
    """Return components as they are compared: in one order, without what Meta adds or does not list."""
    parts = [_part(part, category) for part in components]
    return sorted(parts, key=lambda part: (_place(part["type"]), part["type"]))


def _place(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _part(part: Mapping[str, Any], category: str) -> dict[str, Any]:
    try:
        return _read(part, category)
    except (AttributeError, TypeError, ValueError, KeyError, IndexError):
        # It does not have the form that Meta documents, so it is compared as it is.
        return {**part, "type": type_of(part)}


def _read(part: Mapping[str, Any], category: str) -> dict[str, Any]:
    kind = type_of(part)
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
    """Read what was asked for from the sentences, which Meta writes itself, in the template's language."""
    text = _clean(part.get("text"))
    if type_of(part) == "BODY":
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
    kind = type_of(button)
    if category == "AUTHENTICATION" and kind in ("OTP", "URL"):
        # Graph does not list its apps.
        return {"type": "OTP", "otp_type": otp_type(button), "otp_text": button.get("text")}
    made: dict[str, Any] = {"type": kind}
    if kind == "COPY_CODE":
        return made | {"example": first_example(button.get("example"))}
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
    first = first_example(example)
    if "{{" not in url or not first:
        return None
    is_url = str(first).lower().startswith(("https://", "http://"))
    return str(first) if is_url else url.partition("{{")[0] + str(first)


def otp_type(button: Mapping[str, Any]) -> str:
    """Return ``COPY_CODE``, ``ONE_TAP`` or ``ZERO_TAP``, from the field or from the URL that Graph lists instead."""
    stated = button.get("otp_type")
    if stated:
        return str(stated).upper()
    return parse_qs(urlsplit(str(button.get("url", ""))).query).get("otp_type", ["COPY_CODE"])[0].upper()


def equal(mine: Any, theirs: Any) -> bool:
    """Compare two canonical forms; a field that Meta fills in itself is not a difference if one side lacks it."""
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
        return str(mine) == str(theirs)  # to Graph, a number and its text are the same
    return False


def _is_number(*values: Any) -> bool:
    return any(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def same_format(components: Sequence[Mapping[str, Any]], first: str | None, second: str | None) -> bool:
    """Return whether two parameter formats mean the same for these texts."""
    if parameter_format(components) is None:
        return True
    return str(first or "POSITIONAL").upper() == str(second or "POSITIONAL").upper()
