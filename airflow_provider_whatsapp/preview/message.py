"""The contents of each bubble: a message or a template, split into the parts that the phone's screen shows."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_whatsapp.preview.markup import formatted
from airflow_provider_whatsapp.preview.template_text import component, fill, values_of

if TYPE_CHECKING:
    from markupsafe import Markup

MAX_INLINE = 2 * 1_024 * 1_024
"""Most bytes of a picture that the page embeds."""
LONG_CHARACTERS = 900
LONG_LINES = 16
"""The page folds a text of more characters than ``LONG_CHARACTERS``, or of more lines than this."""

_MEDIA = ("image", "video", "audio", "document", "sticker", "gif")


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file that a message names."""

    name: str
    mime: str
    size: int  # bytes
    data: bytes = b""  # only of a picture that the page can show
    href: str = ""  # address at which a browser opens it


Files = Callable[[str], File | None]
"""Returns the file of a media id, or None if it does not know the id."""


def no_files(_: str) -> File | None:
    """Return no file, so that the page shows each file by its name."""
    return None


@dataclass(slots=True)
class Attachment:
    """A picture, a file, a location, a contact or a product."""

    kind: str
    title: str = ""
    note: str = ""
    image: str | None = None
    href: str = ""


@dataclass(slots=True)
class Button:
    """One button; the page lets people press those of kind ``reply``."""

    kind: str
    text: str
    payload: str = ""
    note: str = ""


@dataclass(slots=True)
class Bubble:
    """One message on the screen."""

    kind: str
    id: str = ""
    mine: bool = False
    at: float = 0.0
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
    reacts_to: str = ""
    reacted: str = ""
    events: list[tuple[str, float]] = field(default_factory=list)
    payload: str = ""
    long: bool = False

    def say(self, text: str) -> None:
        """Set the body to a text with WhatsApp's marks: ``*bold*``, ``_italic_``."""
        self.body = formatted(text)
        self.long = len(text) > LONG_CHARACTERS or text.count("\n") >= LONG_LINES

    @property
    def preview(self) -> str:
        """The text that a list of conversations shows for it."""
        if self.reaction:
            return f"reacted {self.reaction}"
        if self.body:
            return self.body.striptags()
        if self.attachments:
            return self.attachments[0].title or self.attachments[0].kind.capitalize()
        return self.heading or self.kind


def message_bubble(
    kind: str, content: Any, *, components: Sequence[dict[str, Any]] = (), files: Files = no_files
) -> Bubble:
    """Return a message as the phone shows it; raises KeyError if its kind is unknown or its content lacks a field."""
    made = Bubble(kind)
    if kind == "template":
        _template(made, content, list(components), files)
    else:
        _FORMS[kind](made, content, files)
    return made


def template_bubble(components: Sequence[dict[str, Any]]) -> Bubble:
    """Return a template as its author wrote it, with its variables unfilled."""
    made = Bubble("template")
    _filled(made, list(components), [], no_files)
    header = component(list(components), "HEADER")
    if header and header.get("format", "TEXT") != "TEXT":
        form = str(header["format"])
        made.attachments.append(Attachment(form.lower(), f"{form.capitalize()} header", "sample"))
    return made


def size(count: int) -> str:
    """Return a size in bytes for people: ``340 B``, ``12 kB``, ``1.4 MB``."""
    if count < 1_024:
        return f"{count} B"
    return f"{count / 1_024:.0f} kB" if count < 1_024**2 else f"{count / 1_024**2:.1f} MB"


def _media(kind: str, source: dict[str, Any], files: Files) -> Attachment:
    found = files(str(source.get("id", "")))
    if found:
        name = source.get("filename") or (found.name if kind == "document" else "")
        # A CSV is sent as text/plain, so the name describes a document better than its MIME type.
        ending = PurePosixPath(name).suffix.removeprefix(".")
        if not ending.isalnum():
            ending = found.mime.rpartition("/")[2].rpartition(".")[2]
        made = Attachment(kind, name, f"{ending.upper()} · {size(found.size)}", href=found.href)
        if found.mime.startswith("image/") and 0 < len(found.data) <= MAX_INLINE:
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


def _text(made: Bubble, content: dict[str, Any], _: Files) -> None:
    made.say(content["body"])


def _file(made: Bubble, content: dict[str, Any], files: Files) -> None:
    made.attachments.append(_media(made.kind, content, files))
    if content.get("caption"):
        made.say(content["caption"])


def _location(made: Bubble, content: dict[str, Any], _: Files) -> None:
    made.attachments.append(_place(content))


def _reaction(made: Bubble, content: dict[str, Any], _: Files) -> None:
    made.reaction, made.reacts_to = content["emoji"] or "∅", content["message_id"]


def _contacts(made: Bubble, content: list[dict[str, Any]], _: Files) -> None:
    for contact in content:
        phones = ", ".join(phone.get("phone", "") for phone in contact.get("phones", []))
        made.attachments.append(Attachment("contact", contact["name"]["formatted_name"], phones))


def _header(made: Bubble, header: dict[str, Any], files: Files) -> None:
    kind = header.get("type", "text")
    if kind == "text":
        made.heading = str(header.get("text", ""))
    elif kind in _MEDIA:
        made.attachments.append(_media(kind, header[kind], files))


def _interactive(made: Bubble, content: dict[str, Any], files: Files) -> None:
    _header(made, content.get("header", {}), files)
    if "body" in content:
        made.say(content["body"]["text"])
    made.footer = content.get("footer", {}).get("text", "")
    action = content.get("action", {})
    kind = content["type"]
    if kind == "button":
        made.buttons = [_reply(each["reply"]) for each in action["buttons"]]
    elif kind == "list":
        made.list_label, made.sections = action["button"], action["sections"]
    elif kind == "carousel":
        made.cards = [_card(card, files) for card in action["cards"]]
    else:
        made.buttons = [_action_button(kind, action)]


def _reply(reply: dict[str, Any]) -> Button:
    return Button("reply", reply["title"], reply["id"])


def _action_button(kind: str, action: dict[str, Any]) -> Button:
    parameters = action.get("parameters", {}) if isinstance(action.get("parameters", {}), dict) else {}
    if kind == "cta_url":
        return Button("url", parameters["display_text"], note=parameters["url"])
    labels = {
        "flow": str(parameters.get("flow_cta", "Start")),
        "location_request_message": "Send location",
        "request_contact_info": "Share contact info",
        "product": "View product",
        "product_list": "View items",
        "catalog_message": "View catalogue",
        "address_message": "Provide address",
    }
    return Button("other", labels.get(kind, kind.replace("_", " ").capitalize()))


def _card(card: dict[str, Any], files: Files) -> Bubble:
    made = Bubble("card")
    _header(made, card.get("header", {}), files)
    if "body" in card:
        made.say(card["body"]["text"])
    action = card["action"]
    if "buttons" in action:
        made.buttons = [_reply(each["quick_reply"]) for each in action["buttons"]]
    elif "product_retailer_id" in action:
        made.attachments.append(Attachment("product", action["product_retailer_id"], "Product"))
    else:
        made.buttons = [_action_button("cta_url", action)]
    return made


_FORMS: dict[str, Callable[[Bubble, Any, Files], None]] = {
    "text": _text,
    **dict.fromkeys(("image", "video", "audio", "document", "sticker"), _file),
    "location": _location,
    "reaction": _reaction,
    "contacts": _contacts,
    "interactive": _interactive,
}


def _template(made: Bubble, content: dict[str, Any], stored: list[Any], files: Files) -> None:
    made.label = f"{content['name']} · {content['language']['code']}"
    sent = content.get("components", [])
    _filled(made, stored, sent, files)
    cards, given = component(stored, "CAROUSEL"), component(sent, "CAROUSEL")
    if cards and given:
        for each, card in zip(cards["cards"], given["cards"], strict=False):
            inner = Bubble("card")
            _filled(inner, each["components"], card.get("components", []), files)
            made.cards.append(inner)


def _filled(made: Bubble, stored: list[Any], sent: list[Any], files: Files) -> None:
    header, given = component(stored, "HEADER"), component(sent, "HEADER")
    parameters = given.get("parameters", []) if given else []
    if header and header.get("format", "TEXT") == "TEXT":
        made.heading = fill(header["text"], values_of(parameters))
    elif parameters:
        kind = str(parameters[0]["type"]).lower()
        made.attachments.append(
            _place(parameters[0]["location"])
            if kind == "location"
            else _media(kind, parameters[0].get(kind, {}), files)
        )
    body = component(stored, "BODY")
    if body:
        made.say(fill(body["text"], values_of((component(sent, "BODY") or {}).get("parameters", []))))
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
