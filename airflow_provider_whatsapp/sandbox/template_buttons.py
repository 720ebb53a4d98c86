"""What Meta refuses in a new template's buttons, and the fixed form of authentication templates."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_whatsapp.sandbox.errors import GraphError
from airflow_provider_whatsapp.sandbox.shape import (
    Check,
    among,
    anything,
    array,
    flag,
    link,
    number,
    obj,
    text,
)
from airflow_provider_whatsapp.sandbox.template_text import VARIABLE, component, emojis

MAX_BUTTONS = 10
_LABEL = text(25)
_APP = obj(
    {"package_name": text(224), "signature_hash": text(11, pattern=r".{11}", wanted="11 characters")},
)
_ONE = {"text": _LABEL}

FORMS: dict[str, tuple[int, Check]] = {
    "QUICK_REPLY": (10, obj({"type": anything, **_ONE})),
    "URL": (
        2,
        obj({"type": anything, "url": link(2000), **_ONE}, {"example": anything, "app_deep_link": anything}),
    ),
    "PHONE_NUMBER": (1, obj({"type": anything, "phone_number": text(20), **_ONE})),
    "COPY_CODE": (1, obj({"type": anything, "example": anything}, _ONE)),
    "FLOW": (
        1,
        obj(
            {"type": anything, **_ONE},
            {
                "flow_id": anything,
                "flow_name": text(256),
                "flow_json": anything,
                "flow_action": among("navigate", "data_exchange"),
                "navigate_screen": text(256),
                "icon": among("DOCUMENT", "PROMOTION", "REVIEW"),
            },
            exactly_one=("flow_id", "flow_name", "flow_json"),
        ),
    ),
    **dict.fromkeys(
        ("CATALOG", "MPM", "SPM", "VOICE_CALL", "CALL_PERMISSION_REQUEST", "REQUEST_CONTACT_INFO"),
        (1, obj({"type": anything}, {**_ONE, "ttl_minutes": anything})),
    ),
}
"""How many buttons of each type a template may have, and their form."""

_OTP = obj(
    {"type": among("OTP", "otp", "URL"), "otp_type": among("COPY_CODE", "ONE_TAP", "ZERO_TAP", "copy_code", "one_tap",
                                                           "zero_tap")},
    {
        "text": _LABEL,
        "autofill_text": _LABEL,
        "zero_tap_terms_accepted": flag,
        "supported_apps": array(_APP, most=5),
    },
)  # fmt: skip


_LINKS_TO_WHATSAPP = ("wa.me", "api.whatsapp.com")


def check(buttons: Any) -> list[dict[str, Any]]:
    """Check a template's buttons and return them with their types in capitals."""
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= MAX_BUTTONS:
        raise GraphError(100, message=f"(#100) buttons must be a list of 1 to {MAX_BUTTONS}")
    stored = []
    for index, button in enumerate(buttons):
        where = f"buttons[{index}]"
        kind = str(button.get("type", "")).upper() if isinstance(button, dict) else ""
        if kind not in FORMS:
            raise GraphError(100, message=f"(#100) {where} must have a type of {', '.join(sorted(FORMS))}")
        FORMS[kind][1](button, where)
        _check_label(button.get("text"), where)
        if kind == "URL":
            _check_url(button, where)
        elif kind == "COPY_CODE":
            _check_code(button["example"], where)
        stored.append({**button, "type": kind})
    kinds = [button["type"] for button in stored]
    for kind in set(kinds):
        if kinds.count(kind) > FORMS[kind][0]:
            raise GraphError(100, message=f"(#100) At most {FORMS[kind][0]} buttons of type {kind}")
    order = "".join("q" if kind == "QUICK_REPLY" else "o" for kind in kinds)
    if re.search("oq+o|qo+q", order):
        raise GraphError(100, message="(#100) Invalid combination of buttons: quick replies go together")
    return stored


def _check_label(label: Any, where: str) -> None:
    if isinstance(label, str) and (re.search(r"[\r\n*_~`]|\{\{|\}\}", label) or emojis(label)):
        said = "Buttons can't have any variables, newlines, emojis, or formatting characters"
        raise GraphError(100, message=f"(#100) {where}: {said}")


def _check_code(example: Any, where: str) -> None:
    code = example[0] if isinstance(example, list) and example else example
    if not (isinstance(code, str) and re.fullmatch(r"[A-Za-z0-9]{1,20}", code)):
        raise GraphError(100, message=f"(#100) {where}: a code to copy has 1 to 20 letters and digits")


def _check_url(button: dict[str, Any], where: str) -> None:
    fixed = VARIABLE.sub("", button["url"])
    if "{{" in fixed or "}}" in fixed or not re.match(r"https?://[^/?#{\s]+", button["url"], re.IGNORECASE):
        raise GraphError(100, message=f"(#100) {where}: the url names a host, and its variable is {{{{1}}}}")
    host = re.split(r"[/?#:]", button["url"].split("//")[1].lower())[0]
    if host.removeprefix("www.") in _LINKS_TO_WHATSAPP:
        raise GraphError(100, message=f"(#100) {where}: a button does not link to WhatsApp itself")
    found = VARIABLE.findall(button["url"])
    if not found:
        return
    if len(found) > 1 or not re.search(r"\{\{1\}\}$", button["url"]):
        raise GraphError(100, message=f"(#100) {where}: one variable {{{{1}}}}, at the end of the url")
    example = button.get("example")
    if not (isinstance(example, list) and len(example) == 1 and isinstance(example[0], str) and example[0]):
        raise GraphError(
            100, message=f"(#100) {where}: a url with a variable needs an example, as a list of one"
        )


def authentication(components: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Check an authentication template and return what Meta stores: fixed texts, and a button reported as a URL."""
    for part in components:
        if part["type"] not in {"BODY", "FOOTER", "BUTTONS"} or "text" in part:
            raise GraphError(100, message="(#100) Authentication templates have fixed texts and no header")
    body = "*{{1}}* is your verification code."
    if (component(components, "BODY") or {}).get("add_security_recommendation"):
        body += " For your security, do not share this code."
    stored: list[dict[str, Any]] = [{"type": "BODY", "text": body, "example": {"body_text": [["123456"]]}}]
    footer = component(components, "FOOTER")
    if footer:
        minutes = footer.get("code_expiration_minutes")
        number(1, 90)(minutes, "code_expiration_minutes")
        stored.append({"type": "FOOTER", "text": f"This code expires in {minutes} minutes."})
    buttons = (component(components, "BUTTONS") or {}).get("buttons")
    if not isinstance(buttons, list) or len(buttons) != 1:
        raise GraphError(100, message="(#100) Authentication templates have one OTP button")
    _OTP(buttons[0], "buttons[0]")
    kind = buttons[0]["otp_type"].upper()
    if kind != "COPY_CODE" and not buttons[0].get("supported_apps"):
        raise GraphError(100, message="(#100) buttons[0]: supported_apps is required")
    if kind == "ZERO_TAP" and buttons[0].get("zero_tap_terms_accepted") not in (True, "true"):
        raise GraphError(100, message="(#100) buttons[0]: zero_tap_terms_accepted must be true")
    url = f"https://www.whatsapp.com/otp/code/?otp_type={kind}&code=otp{{{{1}}}}"
    label = buttons[0].get("text", "Copy code")
    stored.append(
        {"type": "BUTTONS", "buttons": [{"type": "URL", "text": label, "url": url, "example": [url]}]}
    )
    return stored
