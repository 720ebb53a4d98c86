"""What Meta refuses in a template's buttons."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_whatsapp.message_templates.components import VARIABLE, emojis, first_example, type_of
from airflow_provider_whatsapp.message_templates.documents import under

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_whatsapp.message_templates.documents import Note

MAX_BUTTONS, MAX_LABEL, MAX_URL, MAX_PHONE, MAX_CODE = 10, 25, 2000, 20, 20
MAX_APPS, MAX_PACKAGE, HASH_LENGTH = 5, 224, 11
LINKS_TO_WHATSAPP = ("wa.me", "api.whatsapp.com")
_NOT_IN_LABEL = re.compile(r"[\r\n*_~`]|\{\{|\}\}")
OTP_TYPES = ("COPY_CODE", "ONE_TAP", "ZERO_TAP")


@dataclass(frozen=True, slots=True)
class Form:
    """
    A type of button.

    :param most: How many a template may have.
    :param required: Fields that it needs.
    :param optional: Fields that it may have.
    """

    most: int
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields, the type apart."""
        return self.required + self.optional


_FLOW = ("flow_id", "flow_name", "flow_json", "flow_action", "navigate_screen", "icon")
FORMS = {
    "QUICK_REPLY": Form(10, ("text",)),
    "URL": Form(2, ("text", "url"), ("example", "app_deep_link")),
    "PHONE_NUMBER": Form(1, ("text", "phone_number")),
    "COPY_CODE": Form(1, ("example",), ("text",)),
    "FLOW": Form(1, ("text",), _FLOW),
    "OTP": Form(1, ("otp_type",), ("text", "autofill_text", "zero_tap_terms_accepted", "supported_apps")),
    **dict.fromkeys(
        ("CATALOG", "MPM", "SPM", "VOICE_CALL", "CALL_PERMISSION_REQUEST", "REQUEST_CONTACT_INFO", "APP"),
        Form(1, (), ("text", "ttl_minutes")),
    ),
}
"""Meta's types of buttons. ``autofill_text`` and ``supported_apps`` belong to one-tap and zero-tap codes."""


def check(buttons: Any, note: Note) -> None:
    """
    Check a BUTTONS component.

    :param buttons: Its list.
    :param note: Takes the place of each mistake within the component, and what is wrong.
    """
    if not isinstance(buttons, list) or not all(isinstance(button, dict) for button in buttons):
        note(("buttons",), "buttons must be a list of mappings")
        return
    if not 1 <= len(buttons) <= MAX_BUTTONS:
        note(("buttons",), f"{len(buttons)} buttons; a template has 1 to {MAX_BUTTONS}")
    kinds = [type_of(button) for button in buttons]
    for index, (kind, button) in enumerate(zip(kinds, buttons, strict=True)):
        _check_one(kind, button, under(note, "buttons", index))
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


def _check_one(kind: str, button: Mapping[str, Any], note: Note) -> None:
    if kind not in FORMS:
        note(("type",), f"{kind or 'nothing'} is not a type of button; there are {', '.join(FORMS)}")
        return
    if kind == "OTP":
        note((), "an otp button belongs to an AUTHENTICATION template")
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
        note(("text",), "a button's text has no variables, new lines, emojis and none of * _ ~ `")


def _check_code(code: Any, note: Note) -> None:
    _at_most({"example": code}, "example", MAX_CODE, note)
    if isinstance(code, str) and code and not (code.isascii() and code.isalnum()):
        note(("example",), "a code to copy has letters and digits alone")


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
        note(("url",), f"Meta was seen to refuse buttons that link to {_host(url)}", warn=True)
    if not fixed.isprintable() or any(char.isspace() for char in fixed):
        note(("url",), "a url has no spaces and no line breaks; write %20")
    if "{{" in fixed or "}}" in fixed:
        note(("url",), "a url's variable is written {{1}}; these braces do not close")
    found = VARIABLE.findall(url)
    if found and (len(found) > 1 or not url.endswith("{{1}}")):
        note(("url",), "a url has one variable, {{1}}, at its end")
    if found and not first_example(button.get("example")):
        note(("url",), "a url with {{1}} needs an example: what it may end in, or a whole url")


def check_otp(button: Mapping[str, Any], note: Note) -> None:
    """
    Check an authentication template's button.

    :param button: The button; a one-tap code's apps may be missing, as Meta does not tell them again.
    :param note: Takes the place of each mistake within the button, and what is wrong.
    """
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
