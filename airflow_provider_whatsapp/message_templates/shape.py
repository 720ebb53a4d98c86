"""The form of a template file: which keys are allowed where. Unknown keys are refused, with a hint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.message_templates.components import MEDIA_FORMATS
from airflow_provider_whatsapp.message_templates.documents import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_whatsapp.message_templates.documents import KeyPath, Notes

FILE_KEYS = ("$schema", "$comment", "templates", "prune")
OPTION_TYPES = {
    "message_send_ttl_seconds": int,
    "sub_category": str,
    "display_format": str,
    "cta_url_link_tracking_opted_out": bool,
    "is_primary_device_delivery_only": bool,
}
"""Graph's further fields that a file may set."""
TEMPLATE_KEYS = ("$schema", "name", "category", "parameters", "languages", *OPTION_TYPES)
SHORT_KEYS = ("header", "body", "footer", "buttons")
CONTENT_KEYS = (*SHORT_KEYS, "components", "parameters", "as_is")
TYPED_FIELDS = {"supported_apps": list, "zero_tap_terms_accepted": bool}
_NAMES = {str: "a text", int: "a whole number", bool: "true or false", list: "a list", dict: "a mapping"}
_QUOTE = "; quote it: "


@dataclass(frozen=True, slots=True)
class Form:
    """A type of button."""

    most: int  # how many a template may have
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields except the type."""
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


def check_template(value: Any, path: KeyPath, notes: Notes) -> bool:
    """Check the form of one template, and return whether it can be read further."""
    before = len(notes.problems)
    if not _mapping(value, path, notes, TEMPLATE_KEYS, required=("name", "category", "languages")):
        return False
    for key in ("name", "category", "$schema"):
        _typed(value, key, str, path, notes)
    for key, kind in OPTION_TYPES.items():
        _typed(value, key, kind, path, notes)
    check_parameters(value.get("parameters"), (*path, "parameters"), notes)
    languages = value.get("languages")
    if not isinstance(languages, dict) or not languages:
        if "languages" in value:
            notes.shape(
                (*path, "languages"), "languages must be a mapping from code, such as en_US, to content"
            )
    else:
        for code, content in languages.items():
            _check_content(content, (*path, "languages", code), notes)
    return len(notes.problems) == before


def check_parameters(value: Any, path: KeyPath, notes: Notes) -> None:
    """Check the form of ``parameters``."""
    if value is None:
        return
    if not isinstance(value, dict):
        notes.shape(
            path, f"parameters must be a mapping from name to {{example: ...}}, not {_kind_of(value)}"
        )
        return
    for name, fields in value.items():
        here = (*path, name)
        if _mapping(fields, here, notes, ("example",), required=("example",)):
            _example(fields["example"], (*here, "example"), notes)


def _check_content(value: Any, path: KeyPath, notes: Notes) -> None:
    if not _mapping(value, path, notes, CONTENT_KEYS):
        return
    check_parameters(value.get("parameters"), (*path, "parameters"), notes)
    _typed(value, "as_is", bool, path, notes)
    if "components" in value:
        _check_components(value, path, notes, kept=value.get("as_is") is True)
        return
    if "body" not in value:
        notes.shape(path, "body is missing")
    if "header" in value:
        _check_header(value["header"], (*path, "header"), notes)
    _check_text(value, "body", ("add_security_recommendation", bool), path, notes)
    _check_text(value, "footer", ("code_expiration_minutes", int), path, notes)
    _check_buttons(value, path, notes, kept=value.get("as_is") is True)


def _check_components(value: dict[str, Any], path: KeyPath, notes: Notes, *, kept: bool) -> None:
    here = (*path, "components")
    beside = [key for key in SHORT_KEYS if key in value]
    if beside:
        notes.shape((*path, beside[0]), f"components replace {beside[0]}: give one of the two")
    components = value["components"]
    if not isinstance(components, list) or not (components or kept):
        notes.shape(here, f"components must be a list as Graph takes it, not {_kind_of(components)}")
        return
    for index, part in enumerate(components):
        if not isinstance(part, dict) or not (kept or isinstance(part.get("type"), str)):
            notes.shape((*here, index), "a component is a mapping with a type, such as BODY")


def _check_header(value: Any, path: KeyPath, notes: Notes) -> None:
    kinds = ("text", *(form.lower() for form in MEDIA_FORMATS), "location")
    if isinstance(value, str):
        return
    if not _mapping(value, path, notes, (*kinds, "example")):
        return
    given = [kind for kind in kinds if kind in value]
    if len(given) != 1:
        notes.shape(path, f"a header has one of {', '.join(kinds)}")
    if "example" in value:
        if "text" in value:
            _example(value["example"], (*path, "example"), notes)
        else:
            notes.shape((*path, "example"), "example goes with text; a sample is the path itself")
    for kind in given:
        item = value[kind]
        if kind == "location" and item is not True:
            notes.shape((*path, kind), "write location: true")
        elif kind == "text":
            _typed(value, kind, str, path, notes)
        elif kind != "location" and item is not None and not (isinstance(item, str) and item):
            notes.shape((*path, kind), "must be the path of a sample file, relative to this file")


def _check_text(
    value: dict[str, Any], key: str, fixed: tuple[str, type], path: KeyPath, notes: Notes
) -> None:
    item, here = value.get(key), (*path, key)
    if key not in value or isinstance(item, str):
        return
    name, kind = fixed
    if not isinstance(item, dict):
        hint = _QUOTE + f'"{item}"' if isinstance(item, int | float) else ""
        notes.shape(here, f"must be a text, not {_kind_of(item)}{hint}")
    elif _mapping(item, here, notes, ("text", name)):
        if not item:
            notes.shape(here, f"needs text or {name}")
        _typed(item, "text", str, here, notes)
        _typed(item, name, kind, here, notes)


def _check_buttons(value: dict[str, Any], path: KeyPath, notes: Notes, *, kept: bool) -> None:
    buttons, here = value.get("buttons"), (*path, "buttons")
    if "buttons" not in value:
        return
    if not isinstance(buttons, list) or not buttons:
        notes.shape(here, f"buttons must be a list, not {_kind_of(buttons)}")
        return
    for index, button in enumerate(buttons):
        # Meta has types and fields that this package does not know; what Meta has is kept all the same.
        if not (kept and isinstance(button, dict) and isinstance(button.get("type"), str)):
            _check_button(button, (*here, index), notes)


def _check_button(button: Any, path: KeyPath, notes: Notes) -> None:
    types = {kind.lower(): form for kind, form in FORMS.items()}
    kind = button.get("type") if isinstance(button, dict) else None
    if not isinstance(kind, str):
        notes.shape(path, "a button is a mapping with a type, such as quick_reply")
        return
    if kind not in types:
        notes.shape((*path, "type"), f"{kind!r} is not a type of button{nearest(kind, types)}")
        return
    form = types[kind]
    if not _mapping(button, path, notes, ("type", *form.fields), required=form.required):
        return
    for field in form.fields:
        if field == "example" and field in button:
            _example(button[field], (*path, field), notes)
        elif field == "ttl_minutes":
            _typed(button, field, int, path, notes)
        elif field == "flow_id" and type(button.get(field)) is int:
            pass  # Graph lists it as a number
        elif field != "flow_json" or field not in button:
            _typed(button, field, TYPED_FIELDS.get(field, str), path, notes)
        elif not isinstance(button[field], str | dict):
            notes.shape((*path, field), "must be a text or a mapping")


def check_prune(value: Any, path: KeyPath, notes: Notes) -> None:
    """Check the form of ``prune``."""
    if not _mapping(value, path, notes, ("prefixes", "names")):
        return
    for key in ("prefixes", "names"):
        items = value.get(key)
        if key in value and not (
            isinstance(items, list) and items and all(isinstance(item, str) and item for item in items)
        ):
            notes.shape((*path, key), f"{key} must be a list of texts")


def _mapping(
    value: Any, path: KeyPath, notes: Notes, known: Iterable[str], required: Iterable[str] = ()
) -> bool:
    if not isinstance(value, dict):
        notes.shape(path, f"must be a mapping, not {_kind_of(value)}")
        return False
    known = tuple(known)
    for key in value:
        if key not in known:
            notes.shape((*path, key), f"unknown key {str(key)!r}{nearest(str(key), known)}")
    lacking = [key for key in required if key not in value]
    for key in lacking:
        notes.shape(path, f"{key} is missing")
    return not lacking


def _typed(value: dict[str, Any], key: str, kind: type, path: KeyPath, notes: Notes) -> None:
    if key not in value:
        return
    item = value[key]
    if isinstance(item, kind) and not (kind is int and isinstance(item, bool)):
        return
    hint = _QUOTE + f'"{item}"' if kind is str and isinstance(item, int | float) else ""
    notes.shape((*path, key), f"{key} must be {_NAMES[kind]}, not {_kind_of(item)}{hint}")


def _example(value: Any, path: KeyPath, notes: Notes) -> None:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        notes.shape(path, f"an example is a text, not {_kind_of(value) if value != '' else 'an empty one'}")


def _kind_of(value: Any) -> str:
    """Name a value's type as authors of YAML know it."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return "nothing" if value is None else names.get(type(value), "a mapping")
