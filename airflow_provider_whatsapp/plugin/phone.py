"""
The message of a task as the phone shows it, from what Airflow stores about the task anyway.

Values are shown if the task ran with ``log_pii=True``: then its rendered fields contain them. Otherwise Airflow has
dots there, and each variable is shown by its name, or by the list's column that fills it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.messages import Template, parse_message
from airflow_provider_whatsapp.operators._arguments import flag
from airflow_provider_whatsapp.preview.message import Bubble, message_bubble, template_bubble

_UNFIT = (WhatsAppError, KeyError, TypeError, ValueError, AttributeError)
"""The errors that a message or template of an unknown form may raise."""
KINDS = ("image", "video", "audio", "document", "sticker")
_COLUMN = re.compile(r"\{[A-Za-z_][\w .-]{0,40}\}")
_HIDDEN = (
    "Airflow does not store this message's texts and values. A task with log_pii=True shows them, here and in its "
    "log."
)
_NOT_SHOWN = "The page cannot show the message itself; this is its template."


@dataclass(frozen=True, slots=True)
class Phone:
    """The content of the phone."""

    bubble: Bubble | None = None  # None: there is nothing to show
    notes: list[str] = field(default_factory=list)  # sentences for the page


def shows_values(fields: Mapping[str, Any]) -> bool:
    """Return whether a task ran with ``log_pii=True``, by its rendered fields."""
    try:
        return flag("log_pii", fields.get("log_pii", False))
    except ValueError:
        return False


def template_of(fields: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return name and language of a task's template, by its rendered fields; None: it sends none."""
    name, language = fields.get("template_name"), fields.get("language")
    sends = "to" in fields or "recipients" in fields
    return (
        (name, language) if sends and name and isinstance(name, str) and isinstance(language, str) else None
    )


def phone(fields: Mapping[str, Any], template: Mapping[str, Any] | None) -> Phone:
    """Return the content of the phone for a task, by its rendered fields and the template as Graph lists it."""
    named = template_of(fields)
    if named is not None:
        return _template(fields, *named, _components(template))
    if not ("to" in fields or "recipients" in fields):
        return Phone()
    if not shows_values(fields):
        return Phone(notes=[_HIDDEN])
    try:
        return Phone(_message(fields))
    except _UNFIT:
        return Phone(notes=["The page cannot show the message from its rendered fields."])


def _components(template: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    found = (template or {}).get("components")
    return [dict(each) for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _template(fields: Mapping[str, Any], name: str, language: str, components: list[dict[str, Any]]) -> Phone:
    if not components:
        return Phone()
    shown = shows_values(fields)
    notes = [] if shown else [_HIDDEN]
    try:
        bubble = _filled(fields, name, language, components) if shown else _by_names(fields, components)
    except _UNFIT:
        try:
            bubble, notes = template_bubble(components), [_NOT_SHOWN]
        except _UNFIT:
            return Phone(
                notes=["The page cannot show the template: this version does not know the form of its parts."]
            )
    bubble.label = f"{name} · {language}"
    for attachment in bubble.attachments:
        attachment.note = "" if attachment.note in ("no longer stored", "sample") else attachment.note
    return Phone(bubble, notes)


def _filled(fields: Mapping[str, Any], name: str, language: str, components: list[dict[str, Any]]) -> Bubble:
    """Fill a template with the values of the rendered fields, using the model that sent them."""
    parts = {key: fields[key] for key in ("body", "buttons", "components") if fields.get(key)}
    sent = Template(name, language, **parts).to_payload()["template"]
    header = next((each for each in components if str(each.get("type", "")).upper() == "HEADER"), None)
    if header is not None and fields.get("header") and not parts.get("components"):
        parameter = _header(str(header.get("format", "TEXT")).lower(), fields)
        sent = {
            **sent,
            "components": [{"type": "header", "parameters": [parameter]}, *sent.get("components", [])],
        }
    return message_bubble("template", sent, components=components)


def _header(form: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a header's parameter; a file is named and never opened, and a link is not fetched."""
    header = fields["header"]
    if form == "text":
        (text,) = header.values() if isinstance(header, Mapping) and len(header) == 1 else [header]
        return {"type": "text", "text": text.get("text", "") if isinstance(text, Mapping) else str(text)}
    if isinstance(header, Mapping):
        header = header.get("media", header.get("link", ""))
    return {"type": form, form: _file(str(header), fields.get("header_filename"))}


def _file(source: str, filename: Any) -> dict[str, Any]:
    if source.startswith(("http://", "https://")):
        return {"link": source, **({"filename": filename} if filename else {})}
    return {"filename": str(filename or PurePosixPath(source).name)}


def _by_names(fields: Mapping[str, Any], components: list[dict[str, Any]]) -> Bubble:
    """Show a template with its variables' names, or with the list's columns that fill them."""
    columns = _columns(fields.get("body"))
    bodies = [
        {**each, "text": _with_columns(str(each.get("text", "")), columns)}
        if str(each.get("type", "")).upper() == "BODY"
        else each
        for each in components
    ]
    return template_bubble(bodies)


def _columns(body: Any) -> dict[str, str]:
    if isinstance(body, Mapping):
        items: Sequence[tuple[Any, Any]] = list(body.items())
    else:
        items = list(enumerate(body, start=1)) if isinstance(body, list | tuple) else []
    return {str(name): value for name, value in items if isinstance(value, str) and _COLUMN.fullmatch(value)}


def _with_columns(text: str, columns: Mapping[str, str]) -> str:
    return re.sub(r"\{\{([^{}]*)\}\}", lambda match: columns.get(match[1].strip(), match[0]), text)


def _message(fields: Mapping[str, Any]) -> Bubble | None:
    """Show a message that is not a template, with the values of the rendered fields."""
    if fields.get("text"):
        return message_bubble("text", {"body": str(fields["text"])})
    if isinstance(fields.get("message"), Mapping):
        payload = parse_message(fields["message"]).to_payload()
        kind = str(payload["type"])
        return message_bubble(kind, payload[kind])
    if fields.get("media"):
        kind = str(fields.get("kind") or "document")
        content = _file(str(fields["media"]), fields.get("filename"))
        caption = {"caption": str(fields["caption"])} if fields.get("caption") else {}
        made = message_bubble(kind if kind in KINDS else "document", {**content, **caption})
        for attachment in made.attachments:
            attachment.note = "" if attachment.note == "no longer stored" else attachment.note
        return made
    return None
