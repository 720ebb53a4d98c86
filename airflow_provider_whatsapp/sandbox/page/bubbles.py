"""Messages as the phone shows them: what stands in each bubble."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_whatsapp.sandbox.errors import CODES
from airflow_provider_whatsapp.sandbox.model import Message, Reply
from airflow_provider_whatsapp.sandbox.page.markup import formatted
from airflow_provider_whatsapp.sandbox.template_text import component, fill, values_of

if TYPE_CHECKING:
    from markupsafe import Markup

    from airflow_provider_whatsapp.sandbox.state import State

_INLINE_IMAGE = 2 * 1_024 * 1_024
_MEDIA = ("image", "video", "audio", "document", "sticker", "gif")


@dataclass(slots=True)
class Attachment:
    """A picture, a file or a place."""

    kind: str
    title: str = ""
    note: str = ""
    image: str | None = None


@dataclass(slots=True)
class Button:
    """One button: ``reply`` buttons can be pressed."""

    kind: str
    text: str
    payload: str = ""
    note: str = ""


@dataclass(slots=True)
class Bubble:
    """One message on the screen."""

    id: str
    mine: bool
    kind: str
    at: float
    heading: str = ""
    attachments: list[Attachment] = field(default_factory=list)
    body: Markup | None = None
    footer: str = ""
    buttons: list[Button] = field(default_factory=list)
    sections: list[dict[str, Any]] = field(default_factory=list)
    cards: list[Bubble] = field(default_factory=list)
    list_label: str = ""
    label: str = ""
    state: str = ""
    error: str = ""
    reaction: str = ""
    events: list[tuple[str, float]] = field(default_factory=list)
    payload: str = ""
    preview: str = ""


def bubble(state: State, item: Message | Reply) -> Bubble:
    """
    What to show of a message.

    :param state: Knows files, templates and how far the message came.
    :param item: The message.
    """
    if isinstance(item, Reply):
        made = Bubble(item.id, True, "reply", item.accepted_at, body=formatted(item.text), preview=item.text)
        made.label = "pressed" if item.pressed else ""
        return made
    payload = item.payload
    made = Bubble(item.id, False, item.type, item.accepted_at)
    made.payload = json.dumps(payload, indent=2, ensure_ascii=False)
    made.events = state.timeline(item)
    made.state = made.events[-1][0]
    if made.state == "failed" and item.failure is not None:
        made.error = f"{item.failure} · {CODES.get(item.failure, (0, 'Failed'))[1]}"
    content = payload.get(item.type, {})
    if item.type == "template":
        _template(state, made, item, content)
    else:
        _FORMS[item.type](state, made, content)
    made.preview = made.preview or _preview(made)
    return made


def _preview(made: Bubble) -> str:
    if made.body:
        return made.body.striptags()
    if made.attachments:
        return made.attachments[0].title or made.attachments[0].kind.capitalize()
    return made.heading or made.kind


def size(count: int) -> str:
    """
    A number of bytes for people.

    :param count: Bytes.
    """
    if count < 1_024:
        return f"{count} B"
    return f"{count / 1_024:.0f} kB" if count < 1_024**2 else f"{count / 1_024**2:.1f} MB"


def clock_time(at: float) -> str:
    """
    Hours and minutes on this machine's clock.

    :param at: Seconds since the epoch.
    """
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M")


def _media(state: State, kind: str, source: dict[str, Any]) -> Attachment:
    found = state.media.get(str(source.get("id", "")))
    if found:
        name = source.get("filename") or (found.filename if kind == "document" else "")
        # A CSV goes as text/plain, so the name says better what a document is.
        ending = PurePosixPath(name).suffix.removeprefix(".")
        if not ending.isalnum():
            ending = found.mime.rpartition("/")[2].rpartition(".")[2]
        note = f"{ending.upper()} · {size(found.size)}"
        made = Attachment(kind, name, note)
        if found.mime.startswith("image/") and found.sound and 0 < len(found.data) <= _INLINE_IMAGE:
            made.image = f"data:{found.mime};base64,{base64.b64encode(found.data).decode()}"
        return made
    link = str(source.get("link", ""))
    parts = urlsplit(link) if link else None
    name = source.get("filename") or (parts.path.rpartition("/")[2] if parts else "") or kind.capitalize()
    note = f"{parts.hostname or ''} · not fetched" if parts else "no longer stored"
    return Attachment(kind, name, note)


def _place(content: dict[str, Any]) -> Attachment:
    where = f"{content.get('latitude')}, {content.get('longitude')}"
    address = content.get("address")
    return Attachment(
        "location", content.get("name") or "Location", f"{address} · {where}" if address else where
    )


def _text(_: State, made: Bubble, content: dict[str, Any]) -> None:
    made.body = formatted(content["body"])


def _file(state: State, made: Bubble, content: dict[str, Any]) -> None:
    made.attachments.append(_media(state, made.kind, content))
    if content.get("caption"):
        made.body = formatted(content["caption"])


def _location(_: State, made: Bubble, content: dict[str, Any]) -> None:
    made.attachments.append(_place(content))


def _reaction(_: State, made: Bubble, content: dict[str, Any]) -> None:
    made.reaction = content["emoji"] or "∅"
    made.preview = f"reacted {made.reaction}"


def _contacts(_: State, made: Bubble, content: list[dict[str, Any]]) -> None:
    for contact in content:
        phones = ", ".join(phone.get("phone", "") for phone in contact.get("phones", []))
        made.attachments.append(Attachment("contact", contact["name"]["formatted_name"], phones))


def _header(state: State, made: Bubble, header: dict[str, Any]) -> None:
    kind = header.get("type", "text")
    if kind == "text":
        made.heading = str(header.get("text", ""))
    elif kind in _MEDIA:
        made.attachments.append(_media(state, kind, header[kind]))


def _interactive(state: State, made: Bubble, content: dict[str, Any]) -> None:
    _header(state, made, content.get("header", {}))
    if "body" in content:
        made.body = formatted(content["body"]["text"])
    made.footer = content.get("footer", {}).get("text", "")
    action = content.get("action", {})
    kind = content["type"]
    if kind == "button":
        made.buttons = [
            Button("reply", each["reply"]["title"], each["reply"]["id"]) for each in action["buttons"]
        ]
    elif kind == "list":
        made.list_label, made.sections = action["button"], action["sections"]
    elif kind == "carousel":
        made.cards = [_card(state, card) for card in action["cards"]]
    else:
        made.buttons = [_action_button(kind, action)]


def _action_button(kind: str, action: dict[str, Any]) -> Button:
    parameters = action.get("parameters", {}) if isinstance(action.get("parameters", {}), dict) else {}
    if kind == "cta_url":
        return Button("url", parameters["display_text"], note=parameters["url"])
    labels = {
        "flow": str(parameters.get("flow_cta", "Start")),
        "location_request_message": "Send location",
        "product": "View product",
        "product_list": "View items",
        "catalog_message": "View catalogue",
        "address_message": "Provide address",
    }
    return Button("other", labels.get(kind, kind.replace("_", " ").capitalize()))


def _card(state: State, card: dict[str, Any]) -> Bubble:
    made = Bubble("", False, "card", 0)
    _header(state, made, card.get("header", {}))
    if "body" in card:
        made.body = formatted(card["body"]["text"])
    action = card["action"]
    if "buttons" in action:
        replies = [each["quick_reply"] for each in action["buttons"]]
        made.buttons = [Button("reply", reply["title"], reply["id"]) for reply in replies]
    elif "parameters" in action:
        made.buttons = [_action_button("cta_url", action)]
    else:
        made.attachments.append(Attachment("product", action["product_retailer_id"], "Product"))
    return made


_FORMS: dict[str, Any] = {
    "text": _text,
    **dict.fromkeys(("image", "video", "audio", "document", "sticker"), _file),
    "location": _location,
    "reaction": _reaction,
    "contacts": _contacts,
    "interactive": _interactive,
}


def _template(state: State, made: Bubble, item: Message, content: dict[str, Any]) -> None:
    made.label = f"{content['name']} · {content['language']['code']}"
    sent = content.get("components", [])
    _filled(state, made, item.components, sent)
    cards, given = component(item.components, "CAROUSEL"), component(sent, "CAROUSEL")
    if cards and given:
        for stored, card in zip(cards["cards"], given["cards"], strict=False):
            inner = Bubble("", False, "card", 0)
            _filled(state, inner, stored["components"], card.get("components", []))
            made.cards.append(inner)


def _filled(state: State, made: Bubble, stored: list[dict[str, Any]], sent: list[dict[str, Any]]) -> None:
    header, given = component(stored, "HEADER"), component(sent, "HEADER")
    parameters = given.get("parameters", []) if given else []
    if header and header.get("format", "TEXT") == "TEXT":
        made.heading = fill(header["text"], values_of(parameters))
    elif parameters:
        kind = parameters[0]["type"]
        made.attachments.append(
            _place(parameters[0]["location"])
            if kind == "location"
            else _media(state, kind, parameters[0].get(kind, {}))
        )
    body = component(stored, "BODY")
    if body:
        made.body = formatted(
            fill(body["text"], values_of((component(sent, "BODY") or {}).get("parameters", [])))
        )
    made.footer = (component(stored, "FOOTER") or {}).get("text", "")
    for index, button in enumerate((component(stored, "BUTTONS") or {}).get("buttons", [])):
        made.buttons.append(_template_button(index, button, sent))


def _template_button(index: int, button: dict[str, Any], sent: list[dict[str, Any]]) -> Button:
    parts = [part for part in sent if str(part["type"]).lower() == "button" and int(part["index"]) == index]
    parameters = parts[0].get("parameters", []) if parts else []
    kind, label = button["type"], button.get("text", button["type"].replace("_", " ").capitalize())
    if kind == "QUICK_REPLY":
        return Button("reply", label, str(parameters[0].get("payload", label)) if parameters else label)
    if kind == "URL":
        return Button("url", label, note=fill(button["url"], values_of(parameters)))
    if kind == "PHONE_NUMBER":
        return Button("phone", label, note=button["phone_number"])
    if kind == "COPY_CODE":
        return Button(
            "copy", "Copy code", note=str(parameters[0].get("coupon_code", "")) if parameters else ""
        )
    return Button("other", label)


def template_preview(state: State, components: list[dict[str, Any]]) -> Bubble:
    """
    A template as it was made, its variables still open.

    :param state: For the media in it.
    :param components: The template's.
    """
    made = Bubble("", False, "template", 0)
    _filled(state, made, components, [])
    header = component(components, "HEADER")
    if header and header.get("format", "TEXT") != "TEXT":
        made.attachments.append(
            Attachment(header["format"].lower(), f"{header['format'].capitalize()} header", "sample")
        )
    return made
