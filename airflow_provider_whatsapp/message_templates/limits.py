"""
What Meta refuses in a template, told before any request.

Source: Meta's "Template components", "Template management" and "Configure message time-to-live" pages.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.message_templates import button_limits
from airflow_provider_whatsapp.message_templates.components import (
    FIXED_TEXT,
    MEDIA_FORMATS,
    NAMED,
    NUMBERED,
    VARIABLE,
    component,
    emojis,
    examples,
    lines_as_meta_counts,
    type_of,
    variables,
)
from airflow_provider_whatsapp.message_templates.documents import under

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_whatsapp.message_templates.documents import KeyPath, Note

CATEGORIES = ("AUTHENTICATION", "MARKETING", "UTILITY")
NAME = re.compile(r"[a-z0-9_]{1,512}", re.ASCII)
LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?", re.ASCII)
TTL = {"AUTHENTICATION": (30, 900), "UTILITY": (30, 43_200), "MARKETING": (43_200, 2_592_000)}
"""Category: least and most seconds of ``message_send_ttl_seconds``; -1 (30 days) also does, save for MARKETING."""

MAX_HEADER, MAX_BODY, MAX_FOOTER, MAX_CARD_BODY, MAX_OFFER, MAX_EMOJIS = 60, 1024, 60, 160, 16, 10
FORMATS = ("TEXT", *MEDIA_FORMATS, "LOCATION", "PRODUCT")
_FORMATTING = re.compile(r"[\r\n*_~`]")
_BRACE = re.compile(r"\{\{|\}\}")


def check(components: Sequence[Mapping[str, Any]], category: str, note: Note) -> None:
    """
    Check a template's components.

    :param components: Graph's, as they would be submitted.
    :param category: The template's.
    :param note: Takes the place of each mistake within ``components``, and what is wrong.
    """
    kinds = [type_of(part) for part in components]
    for index, kind in enumerate(kinds):
        if kind in kinds[:index]:
            note((index,), f"a template has one {kind}")
    if "BODY" not in kinds:
        note((), "a template needs a body")
    if "CAROUSEL" in kinds and {"HEADER", "FOOTER"} & set(kinds):
        note((), "beside a carousel there is no header and no footer")
    if category == "AUTHENTICATION":
        _check_authentication(components, note)
    else:
        for index, part in enumerate(components):
            _check_part(part, index, category, note)
    _check_variables(components, note)


def check_ttl(seconds: int, category: str) -> str | None:
    """
    Return what is wrong with ``message_send_ttl_seconds``, or None.

    :param seconds: The value.
    :param category: The template's.
    """
    low, high = TTL[category]
    if low <= seconds <= high or (seconds == -1 and category != "MARKETING"):
        return None
    also = "" if category == "MARKETING" else ", or -1 for 30 days"
    return f"{seconds} seconds: {category} allows {low} to {high}{also}"


def _check_part(part: Mapping[str, Any], index: int, category: str, note: Note) -> None:
    here = under(note, index)

    kind = type_of(part)
    if kind == "HEADER":
        _check_header(part, category, here)
    elif kind == "BODY":
        _check_body(part, MAX_BODY, here)
        if FIXED_TEXT & set(part):
            here((), "a text of Meta's own belongs to an AUTHENTICATION template")
    elif kind == "FOOTER":
        _check_length(part.get("text"), MAX_FOOTER, "footer", here)
        text = part.get("text")
        if variables(text):
            here(("text",), "a footer has no variables (Meta: 2388073)")
        if isinstance(text, str) and (_FORMATTING.search(text) or emojis(text)):
            here(("text",), "Meta was seen to refuse footers with new lines, emojis or * _ ~ `", warn=True)
    elif kind == "BUTTONS":
        button_limits.check(part.get("buttons"), here)
    elif kind == "CAROUSEL":
        _check_carousel(part.get("cards"), here)
    elif kind == "LIMITED_TIME_OFFER":
        offer = part.get("limited_time_offer")
        text = offer.get("text") if isinstance(offer, dict) else None
        _check_length(text, MAX_OFFER, "limited-time offer", here, ("limited_time_offer", "text"))


def _check_length(
    text: Any, most: int, what: str, note: Note, path: KeyPath = ("text",), *, subcode: str = "2388040"
) -> bool:
    if not isinstance(text, str) or not text.strip():
        note(path, f"the {what} needs a text")
        return False
    if len(text) > most:
        note(path, f"the {what} has {len(text)} characters, {most} are allowed (Meta: {subcode})")
    elif (units := len(text.encode("utf-16-le", "surrogatepass")) // 2) > most:
        # No document says how Meta counts what lies beyond the first 65,536 characters, most emojis say.
        note(
            path, f"the {what} has {units} characters if Meta counts as UTF-16, {most} are allowed", warn=True
        )
    return True


def _check_header(part: Mapping[str, Any], category: str, note: Note) -> None:
    form = str(part.get("format", "")).upper()
    if form not in FORMATS:
        note(("format",), f"format must be one of {', '.join(FORMATS)}")
    elif form == "LOCATION" and category == "AUTHENTICATION":
        note(("format",), "a location header goes with UTILITY and MARKETING")
    elif form == "TEXT" and _check_length(part.get("text"), MAX_HEADER, "header", note):
        names = variables(part["text"])
        if len(names) > 1:
            note(("text",), "a header has one variable at most (Meta: 2388047)")
        if _FORMATTING.search(VARIABLE.sub("", part["text"])):
            note(("text",), "a header has no new lines and none of * _ ~ ` (Meta: 2388047)")
        if emojis(part["text"]):
            note(("text",), "a header has no emojis (Meta: 2388047)")
        _check_examples(part, names, "header_text", note)


def _check_body(part: Mapping[str, Any], most: int, note: Note) -> None:
    if not _check_length(part.get("text"), most, "body", note):
        return
    text = lines_as_meta_counts(str(part["text"]))
    names, bare = variables(text), text.strip()
    first, last = VARIABLE.match(bare), bare.endswith("}}")
    if names and (first or last):
        shown = first[0] if first else VARIABLE.findall(bare)[-1].join(("{{", "}}"))
        place, word = ("start", "before") if first else ("end", "after")
        note(("text",), f"a body does not {place} with a variable: put a word {word} {shown} (Meta: 2388299)")
    if re.search(r"\}\}\s*\{\{", text):
        note(("text",), "two variables stand side by side: put a word between them (Meta: 2388072)")
    if len(re.findall(r"\w+", VARIABLE.sub(" ", text))) < len(names):
        note(("text",), "the body has more variables than words (Meta: 2388293)")
    if "\n\n\n" in text:
        note(("text",), "more than two new lines in a row (Meta: 2388072)")
    if emojis(text) > MAX_EMOJIS:
        note(("text",), f"more than {MAX_EMOJIS} emojis (Meta: 2388072)")
    _check_examples(part, names, "body_text", note)


def _check_examples(part: Mapping[str, Any], names: list[str], key: str, note: Note) -> None:
    given = examples(part, key, names)
    for name in names:
        if not given.get(name):
            note(("text",), f"{{{{{name}}}}} has no example; Meta's review needs one for each variable")


def _check_variables(components: Sequence[Mapping[str, Any]], note: Note) -> None:
    """Names and numbers: their form, no gaps, no mixing within one template."""
    kinds: set[bool] = set()
    for index, part in enumerate(components):
        if type_of(part) not in ("HEADER", "BODY"):
            continue
        text = part.get("text")
        names = variables(text)
        if isinstance(text, str) and _BRACE.search(VARIABLE.sub("", text)):
            note((index, "text"), "variables are written {{1}} or {{name}}; these braces do not close")
        for name in names:
            if not NAMED.fullmatch(name) and not NUMBERED.fullmatch(name):
                wanted = "lower-case letters, digits and underscores"
                note((index, "text"), f"the variable {{{{{name}}}}} may have {wanted}, or be a number from 1")
        numbers = sorted(int(name) for name in names if NUMBERED.fullmatch(name))
        if numbers and numbers != list(range(1, len(numbers) + 1)):
            note((index, "text"), "numbered variables count from {{1}} without a gap")
        kinds |= {bool(NUMBERED.fullmatch(name)) for name in names}
        if len(kinds) > 1:
            note((index, "text"), "named and numbered variables do not mix within one template")


def _check_authentication(components: Sequence[Mapping[str, Any]], note: Note) -> None:
    for index, part in enumerate(components):
        kind = type_of(part)
        if kind not in ("BODY", "FOOTER", "BUTTONS") or ("text" in part and not FIXED_TEXT & set(part)):
            note((index,), "an AUTHENTICATION template has Meta's own texts and no header")
        minutes = part.get("code_expiration_minutes")
        if kind == "FOOTER" and ("text" not in part or minutes is not None) and minutes not in range(1, 91):
            note((index, "code_expiration_minutes"), "code_expiration_minutes must be 1 to 90")
    buttons = component(components, "BUTTONS")
    listed = buttons.get("buttons") if buttons else None
    if not isinstance(listed, list) or len(listed) != 1 or not isinstance(listed[0], dict):
        note((), "an AUTHENTICATION template has one button, of type otp")
    else:
        index = next(place for place, part in enumerate(components) if part is buttons)
        button_limits.check_otp(listed[0], under(note, index, "buttons", 0))


def _check_carousel(cards: Any, note: Note) -> None:
    if not isinstance(cards, list) or not 2 <= len(cards) <= 10:
        note(("cards",), "a carousel has 2 to 10 cards")
        return
    shapes = set()
    for index, card in enumerate(cards):
        inner = card.get("components") if isinstance(card, dict) else None
        if not isinstance(inner, list) or not all(isinstance(part, dict) for part in inner):
            note(("cards", index), "a card has components")
            continue
        shapes.add(_check_card(inner, under(note, "cards", index)))
    if len(shapes) > 1:
        note(("cards",), "all cards of a carousel have the same components")


def _check_card(inner: list[Mapping[str, Any]], note: Note) -> tuple[Any, ...]:
    shape: list[Any] = []
    for index, part in enumerate(inner):
        kind = type_of(part)
        if kind not in ("HEADER", "BODY", "BUTTONS"):
            note(("components", index), "a card has a header, a body and one or two buttons")
        if kind == "BODY":
            _check_body(part, MAX_CARD_BODY, under(note, "components", index))
        else:
            _check_part(part, index, "MARKETING", under(note, "components"))
        buttons = part.get("buttons")
        listed = buttons if kind == "BUTTONS" and isinstance(buttons, list) else []
        if len(listed) > 2:
            note(("components", index), "a card has one or two buttons")
        types = tuple(type_of(each) for each in listed if isinstance(each, dict))
        shape.append((kind, str(part.get("format", "")).upper(), types))
    return tuple(shape)
