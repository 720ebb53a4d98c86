"""
What Meta refuses in a template, checked before any request.

Source: Meta's "Template components", "Template management" and "Configure message time-to-live" pages.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_whatsapp.client.template_limits import BODY_LIMIT, CARD_BODY_LIMIT, HEADER_LIMIT
from airflow_provider_whatsapp.message_templates.components import (
    FIXED_TEXT,
    MEDIA_FORMATS,
    NAMED,
    NUMBERED,
    VARIABLE,
    component,
    examples,
    first_example,
    type_of,
    variables,
)
from airflow_provider_whatsapp.message_templates.documents import under
from airflow_provider_whatsapp.message_templates.shape import FORMS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_whatsapp.message_templates.documents import KeyPath, Note

CATEGORIES = ("AUTHENTICATION", "MARKETING", "UTILITY")
TTL = {"AUTHENTICATION": (30, 900), "UTILITY": (30, 43_200), "MARKETING": (43_200, 2_592_000)}
"""Minimum and maximum of ``message_send_ttl_seconds`` by category; -1 (30 days) is also valid, except for MARKETING."""

MAX_FOOTER, MAX_OFFER, MAX_EMOJIS = 60, 16, 10
FORMATS = ("TEXT", *MEDIA_FORMATS, "LOCATION", "PRODUCT")
MAX_BUTTONS, MAX_LABEL, MAX_URL, MAX_PHONE, MAX_CODE = 10, 25, 2000, 20, 20
MAX_APPS, MAX_PACKAGE, HASH_LENGTH = 5, 224, 11
LINKS_TO_WHATSAPP = ("wa.me", "api.whatsapp.com")
_NOT_IN_LABEL = re.compile(r"[\r\n*_~`]|\{\{|\}\}")
OTP_TYPES = ("COPY_CODE", "ONE_TAP", "ZERO_TAP")
_FORMATTING = re.compile(r"[\r\n*_~`]")
_BRACE = re.compile(r"\{\{|\}\}")


def check(components: Sequence[Mapping[str, Any]], category: str, note: Note) -> None:
    """Check a template's components as they would be submitted; ``note`` takes the places of mistakes within them."""
    kinds = [type_of(part) for part in components]
    for index, kind in enumerate(kinds):
        if kind in kinds[:index]:
            note((index,), f"a template has one {kind}")
    if "BODY" not in kinds:
        note((), "a template needs a body")
    if "CAROUSEL" in kinds and {"HEADER", "FOOTER"} & set(kinds):
        note((), "a template with a carousel has no header and no footer")
    if category == "AUTHENTICATION":
        _check_authentication(components, note)
    else:
        for index, part in enumerate(components):
            _check_part(part, index, category, note)
    _check_variables(components, note)


def check_ttl(seconds: int, category: str) -> str | None:
    """Return what is wrong with ``message_send_ttl_seconds``, or None."""
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
        _check_body(part, BODY_LIMIT, here)
        if FIXED_TEXT & set(part):
            here((), "only an AUTHENTICATION template has a text of Meta's own")
    elif kind == "FOOTER":
        _check_length(part.get("text"), MAX_FOOTER, "footer", here)
        text = part.get("text")
        if variables(text):
            here(("text",), "a footer has no variables (Meta: 2388073)")
        if isinstance(text, str) and (_FORMATTING.search(text) or emojis(text)):
            here(("text",), "Meta has refused footers with new lines, emojis or * _ ~ `", warn=True)
    elif kind == "BUTTONS":
        _check_buttons(part.get("buttons"), here)
    elif kind == "CAROUSEL":
        _check_carousel(part.get("cards"), here)
    elif kind == "LIMITED_TIME_OFFER":
        offer = part.get("limited_time_offer")
        text = offer.get("text") if isinstance(offer, dict) else None
        _check_length(text, MAX_OFFER, "limited-time offer", here, ("limited_time_offer", "text"))


def _check_length(text: Any, most: int, what: str, note: Note, path: KeyPath = ("text",)) -> bool:
    if not isinstance(text, str) or not text.strip():
        note(path, f"the {what} needs a text")
        return False
    if len(text) > most:
        note(path, f"the {what} has {len(text)} characters, {most} are allowed (Meta: 2388040)")
    elif (units := len(text.encode("utf-16-le", "surrogatepass")) // 2) > most:
        # Meta does not document how it counts characters beyond the first 65,536, such as most emojis.
        note(
            path, f"the {what} has {units} characters if Meta counts as UTF-16, {most} are allowed", warn=True
        )
    return True


def _check_header(part: Mapping[str, Any], category: str, note: Note) -> None:
    form = str(part.get("format", "")).upper()
    if form not in FORMATS:
        note(("format",), f"format must be one of {', '.join(FORMATS)}")
    elif form == "LOCATION" and category == "AUTHENTICATION":
        note(("format",), "only UTILITY and MARKETING templates have a location header")
    elif form == "TEXT" and _check_length(part.get("text"), HEADER_LIMIT, "header", note):
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
    text = _lines_as_meta_counts(str(part["text"]))
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
    """Check the form of names and numbers, that numbers have no gaps, and that a template does not mix both."""
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
            note((index, "text"), "a template has either named or numbered variables, not both")


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
        _check_otp(listed[0], under(note, index, "buttons", 0))


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
            _check_body(part, CARD_BODY_LIMIT, under(note, "components", index))
        else:
            _check_part(part, index, "MARKETING", under(note, "components"))
        buttons = part.get("buttons")
        listed = buttons if kind == "BUTTONS" and isinstance(buttons, list) else []
        if len(listed) > 2:
            note(("components", index), "a card has one or two buttons")
        types = tuple(type_of(each) for each in listed if isinstance(each, dict))
        shape.append((kind, str(part.get("format", "")).upper(), types))
    return tuple(shape)


def _check_buttons(buttons: Any, note: Note) -> None:
    if not isinstance(buttons, list) or not all(isinstance(button, dict) for button in buttons):
        note(("buttons",), "buttons must be a list of mappings")
        return
    if not 1 <= len(buttons) <= MAX_BUTTONS:
        note(("buttons",), f"{len(buttons)} buttons; a template has 1 to {MAX_BUTTONS}")
    kinds = [type_of(button) for button in buttons]
    for index, (kind, button) in enumerate(zip(kinds, buttons, strict=True)):
        _check_button(kind, button, under(note, "buttons", index))
        form = FORMS.get(kind)
        if form and kinds[: index + 1].count(kind) == form.most + 1:
            note(
                ("buttons", index), f"a template has {form.most} {kind} button{'s' * (form.most > 1)} at most"
            )
    labels = [button.get("text") for button in buttons]
    for index, label in enumerate(labels):
        if label and label in labels[:index]:
            note(("buttons", index, "text"), f"two buttons have the same text {label!r}", warn=True)
    order = "".join("q" if kind == "QUICK_REPLY" else "o" for kind in kinds)
    if re.search("oq+o|qo+q", order):
        note(("buttons",), "quick replies stand together, before or after all other buttons")


def _check_button(kind: str, button: Mapping[str, Any], note: Note) -> None:
    if kind not in FORMS:
        note(("type",), f"{kind or 'nothing'} is not a type of button; use one of {', '.join(FORMS)}")
        return
    if kind == "OTP":
        note((), "only an AUTHENTICATION template has an otp button")
    for field in FORMS[kind].required:
        if not button.get(field):
            note((), f"a {kind} button needs {field}")
    _at_most(button, "text", MAX_LABEL, note)
    _check_label(button.get("text"), note)
    _at_most(button, "url", MAX_URL, note)
    _at_most(button, "phone_number", MAX_PHONE, note)
    if kind == "URL":
        _check_url(button, note)
    elif kind == "COPY_CODE":
        _check_code(first_example(button.get("example")), note)
    elif kind == "FLOW" and sum(bool(button.get(key)) for key in ("flow_id", "flow_name", "flow_json")) != 1:
        note((), "a FLOW button has exactly one of flow_id, flow_name and flow_json")


def _check_label(text: Any, note: Note) -> None:
    if isinstance(text, str) and (_NOT_IN_LABEL.search(text) or emojis(text)):
        note(("text",), "a button's text has no variables, new lines or emojis, and none of * _ ~ `")


def _check_code(code: Any, note: Note) -> None:
    _at_most({"example": code}, "example", MAX_CODE, note)
    if isinstance(code, str) and code and not (code.isascii() and code.isalnum()):
        note(("example",), "a code to copy has only letters and digits")


def _check_url(button: Mapping[str, Any], note: Note) -> None:
    url = button.get("url")
    if not isinstance(url, str):
        return
    fixed = VARIABLE.sub("", url)
    if not url.lower().startswith(("https://", "http://")):
        note(("url",), "a url begins with https:// or http://")
    elif not _host(url):
        note(("url",), "a url names a host, x.example in https://x.example/a")
    elif _host(url) in LINKS_TO_WHATSAPP:
        note(("url",), f"Meta has refused buttons that link to {_host(url)}", warn=True)
    if not fixed.isprintable() or any(char.isspace() for char in fixed):
        note(("url",), "a url has no spaces and no line breaks; write %20")
    if "{{" in fixed or "}}" in fixed:
        note(("url",), "a url's variable is written {{1}}; these braces do not close")
    found = VARIABLE.findall(url)
    if found and (len(found) > 1 or not url.endswith("{{1}}")):
        note(("url",), "a url has one variable, {{1}}, at its end")
    if found and not first_example(button.get("example")):
        note(("url",), "a url with {{1}} needs an example: what it may end in, or a whole url")


def _check_otp(button: Mapping[str, Any], note: Note) -> None:
    """Check an authentication template's button; a listed one-tap code has no apps, because Graph omits them."""
    kind = str(button.get("otp_type", "")).upper()
    if type_of(button) != "OTP" or kind not in OTP_TYPES:
        wanted = ", ".join(OTP_TYPES).lower()
        note((), f"an AUTHENTICATION template has one button of type otp with an otp_type of {wanted}")
        return
    _at_most(button, "text", MAX_LABEL, note)
    _at_most(button, "autofill_text", MAX_LABEL, note)
    if kind == "ZERO_TAP" and button.get("zero_tap_terms_accepted") is False:
        note(("zero_tap_terms_accepted",), "zero-tap codes need zero_tap_terms_accepted: true")
    apps = button.get("supported_apps")
    if apps is not None and not (isinstance(apps, list) and 1 <= len(apps) <= MAX_APPS):
        note(("supported_apps",), f"supported_apps are 1 to {MAX_APPS}")
        return
    for index, app in enumerate(apps or []):
        package = app.get("package_name") if isinstance(app, dict) else None
        signature = app.get("signature_hash") if isinstance(app, dict) else None
        if not isinstance(package, str) or not 0 < len(package) <= MAX_PACKAGE:
            note(("supported_apps", index), f"an app has a package_name of up to {MAX_PACKAGE} characters")
        if not isinstance(signature, str) or len(signature) != HASH_LENGTH:
            note(("supported_apps", index), f"an app has a signature_hash of {HASH_LENGTH} characters")


def _at_most(button: Mapping[str, Any], field: str, most: int, note: Note) -> None:
    value = button.get(field)
    if isinstance(value, str) and len(value) > most:
        note((field,), f"{field} has {len(value)} characters, {most} are allowed (Meta: 2388040)")
    elif value is not None and not isinstance(value, str):
        note((field,), f"{field} must be a text")


def _host(url: str) -> str | None:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return None
    return None if not host or "{" in host or "}" in host else host


def emojis(text: str) -> int:
    """Return how many emojis a text has, as readers count them: a flag, a family or a thumb of some colour is one."""
    if text.isascii():
        return 0
    import regex  # type: ignore[import-untyped,import-not-found,unused-ignore]

    # Characters that are shown as text, such as a check mark, do not count.
    shown = regex.compile(r"[\p{Emoji_Presentation}\uFE0F]")
    return sum(1 for cluster in regex.findall(r"\X", text) if shown.search(cluster))


def _lines_as_meta_counts(text: str) -> str:
    """Return a text with one character for each line break."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
