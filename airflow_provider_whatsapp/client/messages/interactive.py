"""Interactive messages: reply buttons, lists, links and location requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages._base import Message, Part
from airflow_provider_whatsapp.client.messages.media import Document, Image, Video
from airflow_provider_whatsapp.client.messages.template_buttons import section_titles

#: Characters of header text, of a body, of a list's body and of a footer.
HEADER_LIMIT = 60
BODY_LIMIT = 1024
LIST_BODY_LIMIT = 4096
FOOTER_LIMIT = 60

Header = str | Image | Video | Document | Mapping[str, Any]

_HEADER_MEDIA: dict[str, type[Part]] = {"image": Image, "video": Video, "document": Document}


@dataclass(frozen=True, slots=True)
class Interactive(Message):
    """What interactive messages share: the checks of header, body and footer, and how they go out."""

    doc: ClassVar[str]
    #: Graph's ``interactive.type``, where it is not ``kind``.
    graph_type: ClassVar[str | None] = None

    def check_texts(self, body: object, footer: object, *, limit: int = BODY_LIMIT) -> None:
        """
        Check body and footer.

        :param body: The body, which must be there.
        :param footer: The footer, or None.
        :param limit: Most characters of the body.
        """
        _checks.required_text(body, f"{self.kind}.body", doc=self.doc, limit=limit)
        _checks.optional_text(footer, f"{self.kind}.footer", doc=self.doc, limit=FOOTER_LIMIT)

    def wrap(self, action: dict[str, Any], *, header: object = None, **texts: str | None) -> dict[str, Any]:
        """
        Return the message as Graph's JSON.

        :param action: The ``action`` object.
        :param header: A checked header, or None.
        :param texts: Body and footer.
        """
        fields: dict[str, Any] = {"type": self.graph_type or self.kind}
        if header:
            fields["header"] = _header_payload(header)
        for name, text in texts.items():
            if text:
                fields[name] = {"text": text}
        fields["action"] = action
        return {"type": "interactive", "interactive": fields}


@dataclass(frozen=True, slots=True)
class _HeaderText(Part):
    text: str

    def __post_init__(self) -> None:
        _checks.required_text(self.text, "text", doc="Interactive messages", limit=HEADER_LIMIT)


def header_part(value: object, field: str, *, doc: str) -> str | Image | Video | Document | None:
    """
    Return the checked header of an interactive message.

    :param value: A text of up to 60 characters; an image, video or document without caption, or a dict of
        one; None or an empty text for no header.
    :param field: Path of the header.
    :param doc: Title of Meta's document.
    """
    if isinstance(value, Mapping):
        if str(value.get("type")).lower() == "text":
            value = _checks.part(
                _HeaderText, {key: item for key, item in value.items() if key != "type"}, field
            ).text
        else:
            value = _checks.typed(value, field, _HEADER_MEDIA, doc=doc)
    if value is None or value == "":
        return None
    if isinstance(value, (Image, Video, Document)):
        if value.caption:
            raise PayloadError(
                "cannot have a caption here",
                field=f"{field}.caption",
                doc=doc,
                advice="Put the text into the body.",
            )
        return value
    if not isinstance(value, str):
        raise _checks.wrong_type(value, field, "a text, an image, a video or a document", doc=doc)
    _checks.required_text(value, field, doc=doc, limit=HEADER_LIMIT)
    return value


def text_header(value: object, field: str, *, doc: str) -> str | None:
    """
    Return the checked header of a message that takes no media there.

    :param value: A text of up to 60 characters, or Graph's dict of one, or None.
    :param field: Path of the header.
    :param doc: Title of Meta's document.
    """
    made = header_part(value, field, doc=doc)
    if made is not None and not isinstance(made, str):
        raise _checks.wrong_type(made, field, "a text", doc=doc)
    return made


def _header_payload(header: object) -> dict[str, Any]:
    if isinstance(header, (Image, Video, Document)):
        return header.to_payload()
    return {"type": "text", "text": header}


@dataclass(frozen=True, slots=True)
class ReplyButton(Part):
    """
    A button that sends its title as an answer.

    :param id: 1 to 256 characters, comes back in the webhook; no spaces at its ends.
    :param title: 1 to 20 characters.
    """

    doc: ClassVar[str] = "Interactive reply buttons messages"

    id: str
    title: str

    def __post_init__(self) -> None:
        _checks.required_text(self.id, "id", doc=self.doc, limit=256)
        if self.id != self.id.strip():
            raise PayloadError("begins or ends with a space", field="id", doc=self.doc, advice="Strip it.")
        _checks.required_text(self.title, "title", doc=self.doc, limit=20)

    def to_payload(self) -> dict[str, Any]:
        """Return the button as Graph's JSON."""
        return {"type": "reply", "reply": {"id": self.id, "title": self.title}}


def reply_buttons(value: object, field: str, *, doc: str, high: int | None = None) -> tuple[ReplyButton, ...]:
    """
    Return buttons that send their titles, each with an id and a title of its own.

    :param value: A list of ``ReplyButton``, dicts of their fields, or plain titles.
    :param field: Path of the list.
    :param doc: Title of Meta's document.
    :param high: Most buttons; None: no document states it.
    """
    given = _checks.items(value, field, doc=doc, low=1, high=high)
    titled = [{"id": item.strip(), "title": item} if isinstance(item, str) else item for item in given]
    made = _checks.parts(ReplyButton, titled, field, doc=doc)
    _checks.unique([button.id for button in made], field, "id", doc=doc)
    _checks.unique([button.title for button in made], field, "title", doc=doc)
    return made


@dataclass(frozen=True, slots=True)
class ReplyButtons(Interactive):
    """
    A text with one to three answers to choose from.

    :param body: 1 to 1024 characters.
    :param buttons: 1 to 3 ``ReplyButton``, dicts of their fields, or plain titles (then the id is the title).
    :param header: A text of up to 60 characters, or an image, video or document.
    :param footer: Up to 60 characters.
    """

    kind: ClassVar[str] = "button"
    doc: ClassVar[str] = ReplyButton.doc

    body: str
    buttons: Sequence[ReplyButton | Mapping[str, Any] | str]
    header: Header | None = None
    footer: str | None = None

    def __post_init__(self) -> None:
        self.check_texts(self.body, self.footer)
        _checks.put(self, "header", header_part(self.header, "button.header", doc=self.doc))
        _checks.put(self, "buttons", reply_buttons(self.buttons, "button.buttons", doc=self.doc, high=3))

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        buttons = [button.to_payload() for button in cast("tuple[ReplyButton, ...]", self.buttons)]
        return self.wrap({"buttons": buttons}, header=self.header, body=self.body, footer=self.footer)


@dataclass(frozen=True, slots=True)
class Row(Part):
    """
    A row of a list.

    :param id: 1 to 200 characters, unique in the message; comes back in the webhook.
    :param title: 1 to 24 characters.
    :param description: Up to 72 characters.
    """

    doc: ClassVar[str] = "Interactive list messages"

    id: str
    title: str
    description: str | None = None

    def __post_init__(self) -> None:
        _checks.required_text(self.id, "id", doc=self.doc, limit=200)
        _checks.required_text(self.title, "title", doc=self.doc, limit=24)
        _checks.optional_text(self.description, "description", doc=self.doc, limit=72)

    def to_payload(self) -> dict[str, Any]:
        """Return the row as Graph's JSON."""
        return _checks.without_empty({"id": self.id, "title": self.title, "description": self.description})


@dataclass(frozen=True, slots=True)
class Section(Part):
    """
    A section of a list.

    :param rows: ``Row`` or dicts of their fields; at most 10 over all sections of the message.
    :param title: Up to 24 characters; needed when there is more than one section.
    """

    doc: ClassVar[str] = Row.doc

    rows: Sequence[Row | Mapping[str, Any]]
    title: str | None = None

    def __post_init__(self) -> None:
        _checks.put(self, "rows", _checks.parts(Row, self.rows, "rows", doc=self.doc, high=10))
        _checks.optional_text(self.title, "title", doc=self.doc, limit=24)

    def to_payload(self) -> dict[str, Any]:
        """Return the section as Graph's JSON."""
        rows = [row.to_payload() for row in cast("tuple[Row, ...]", self.rows)]
        return {**({"title": self.title} if self.title else {}), "rows": rows}


@dataclass(frozen=True, slots=True)
class ListMessage(Interactive):
    """
    A text with a button that opens a list to choose from.

    :param body: 1 to 4096 characters (older documents of Meta say 1024).
    :param button: Label of the button that opens the list, 1 to 20 characters.
    :param sections: 1 to 10 ``Section``, or dicts of their fields, with at most 10 rows over all.
    :param header: A text of up to 60 characters.
    :param footer: Up to 60 characters.
    """

    kind: ClassVar[str] = "list"
    doc: ClassVar[str] = Row.doc

    body: str
    button: str
    sections: Sequence[Section | Mapping[str, Any]]
    header: str | Mapping[str, Any] | None = None
    footer: str | None = None

    def __post_init__(self) -> None:
        self.check_texts(self.body, self.footer, limit=LIST_BODY_LIMIT)
        _checks.put(self, "header", text_header(self.header, "list.header", doc=self.doc))
        _checks.required_text(self.button, "list.button", doc=self.doc, limit=20)
        sections = _checks.parts(Section, self.sections, "list.sections", doc=self.doc, high=10)
        rows = [cast("Row", row) for section in sections for row in section.rows]
        if len(rows) > 10:
            raise PayloadError(
                f"has {len(rows)} rows",
                field="list.sections",
                limit="10 rows over all sections",
                doc=self.doc,
                advice=f"Leave {len(rows) - 10} out, or send several messages.",
            )
        _checks.unique([row.id for row in rows], "list.sections", "row id", doc=self.doc)
        section_titles([section.title for section in sections], "list.sections", doc=self.doc)
        _checks.put(self, "sections", sections)

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        sections = [section.to_payload() for section in cast("tuple[Section, ...]", self.sections)]
        action = {"button": self.button, "sections": sections}
        return self.wrap(action, header=self.header, body=self.body, footer=self.footer)


@dataclass(frozen=True, slots=True)
class CtaUrl(Interactive):
    """
    A text with a button that opens a link.

    :param body: 1 to 1024 characters.
    :param display_text: Label of the button, 1 to 20 characters.
    :param url: http(s) link.
    :param header: A text of up to 60 characters, or an image, video or document.
    :param footer: Up to 60 characters.
    """

    kind: ClassVar[str] = "cta_url"
    doc: ClassVar[str] = "Interactive call-to-action URL button messages"

    body: str
    display_text: str
    url: str
    header: Header | None = None
    footer: str | None = None

    def __post_init__(self) -> None:
        self.check_texts(self.body, self.footer)
        _checks.put(self, "header", header_part(self.header, "cta_url.header", doc=self.doc))
        _checks.required_text(self.display_text, "cta_url.display_text", doc=self.doc, limit=20)
        _checks.http_url(self.url, "cta_url.url", doc=self.doc)

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        action = {"name": "cta_url", "parameters": {"display_text": self.display_text, "url": self.url}}
        return self.wrap(action, header=self.header, body=self.body, footer=self.footer)


@dataclass(frozen=True, slots=True)
class LocationRequest(Interactive):
    """
    A text with a button by which the recipient sends a location.

    :param body: 1 to 1024 characters.
    """

    kind: ClassVar[str] = "location_request_message"
    doc: ClassVar[str] = "Location request messages"

    body: str

    def __post_init__(self) -> None:
        self.check_texts(self.body, None)

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        return self.wrap({"name": "send_location"}, body=self.body)
