"""Interactive messages: reply buttons, lists, links and location requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages import _fields as field
from airflow_provider_whatsapp.client.messages._base import Message, Part, graph, model, without_empty
from airflow_provider_whatsapp.client.messages._parts import lower, part, parts, typed
from airflow_provider_whatsapp.client.messages.media import Document, Image, Video, without_caption
from airflow_provider_whatsapp.client.messages.template_buttons import section_titles

#: Characters of header text, of a body, of a list's body and of a footer.
HEADER_LIMIT = 60
BODY_LIMIT = 1024
LIST_BODY_LIMIT = 4096
FOOTER_LIMIT = 60
#: Characters of the label on a button.
LABEL_LIMIT = 20
#: Rows of a list, in all sections together.
ROWS_LIMIT = 10

Header = str | Image | Video | Document | Mapping[str, Any]


@model()
class Interactive(Message):
    """What interactive messages share: header, body and footer, and an action with the other fields."""

    #: Graph's ``interactive.type``, if it is not ``kind``.
    graph_type: ClassVar[str | None] = None
    #: The action's ``name`` in types that have one: the fields are then in its ``parameters``, else in the action.
    _action_name: ClassVar[str | None] = None

    def action(self) -> dict[str, Any]:
        """Return the action object."""
        fields = self._graph_fields("header", "body", "footer")
        if self._action_name is None:
            return fields
        named = {"name": self._action_name}
        return {**named, "parameters": fields} if fields else named

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        fields: dict[str, Any] = {"type": self.graph_type or self.kind}
        if header := getattr(self, "header", None):
            fields["header"] = {"type": "text", "text": header} if isinstance(header, str) else graph(header)
        for name in ("body", "footer"):
            if words := getattr(self, name, None):
                fields[name] = {"text": words}
        fields["action"] = self.action()
        return {"type": "interactive", "interactive": fields}


@model(doc="Interactive messages")
class _HeaderText(Part):
    text: str = field.text(HEADER_LIMIT)


_HEADERS: dict[str, type[Part]] = {"text": _HeaderText, "image": Image, "video": Video, "document": Document}


def header_part(value: object, path: str, doc: str) -> str | Image | Video | Document | None:
    """Return a header: a text, an image, video or document without caption, Graph's dict of one, or None."""
    if isinstance(value, Mapping):
        if lower(value.get("type")) == "text":
            fields = {key: item for key, item in value.items() if key != "type"}
            return part(fields, path, model=_HeaderText).text
        value = typed(value, path, doc, _HEADERS)
    if value is None or value == "":
        return None
    if isinstance(value, (Image, Video, Document)):
        without_caption(value, path, doc)
        return value
    if not isinstance(value, str):
        raise _checks.wrong_type(value, path, "a text, an image, a video or a document", doc=doc)
    return _checks.required_text(value, path, doc, limit=HEADER_LIMIT)


def text_header(value: object, path: str, doc: str) -> str | None:
    """Return the header of a message whose header cannot be media."""
    made = header_part(value, path, doc)
    if made is not None and not isinstance(made, str):
        raise _checks.wrong_type(made, path, "a text", doc=doc)
    return made


@model(doc="Interactive reply buttons messages")
class ReplyButton(Part):
    """
    A button that sends its title as an answer.

    :param id: 1 to 256 characters, without spaces at its ends; comes back in the webhook.
    :param title: 1 to 20 characters.
    """

    id: str = field.text(256)
    title: str = field.text(LABEL_LIMIT)

    def check(self) -> None:
        """Check that the ID has no spaces at its ends."""
        if self.id != self.id.strip():
            raise PayloadError("begins or ends with a space", field="id", doc=self.doc, advice="Strip it.")

    def to_payload(self) -> dict[str, Any]:
        """Return the button as Graph's JSON."""
        return {"type": "reply", "reply": Part.to_payload(self)}


def reply_buttons(value: object, path: str, doc: str, *, high: int | None = None) -> tuple[ReplyButton, ...]:
    """Return buttons, given as such, as dicts of their fields or as plain titles, with unique IDs and titles."""
    given = _checks.items(value, path, doc, low=1, high=high)
    titled = [{"id": item.strip(), "title": item} if isinstance(item, str) else item for item in given]
    made = parts(titled, path, doc, model=ReplyButton)
    _checks.unique([button.id for button in made], path, doc, what="id")
    _checks.unique([button.title for button in made], path, doc, what="title")
    return made


@model("button", doc=ReplyButton.doc)
class ReplyButtons(Interactive):
    """
    A text with one to three answers to choose from.

    :param body: 1 to 1024 characters.
    :param buttons: 1 to 3 ``ReplyButton``, dicts of their fields, or plain titles (then the id is the title).
    :param header: A text of up to 60 characters, or an image, video or document.
    :param footer: Up to 60 characters.
    """

    body: str = field.text(BODY_LIMIT)
    buttons: Sequence[ReplyButton | Mapping[str, Any] | str] = field.checked(reply_buttons, high=3)
    header: Header | None = field.checked(header_part, default=None)
    footer: str | None = field.text(FOOTER_LIMIT, default=None)


@model(doc="Interactive list messages")
class Row(Part):
    """
    A row of a list.

    :param id: 1 to 200 characters, unique in the message; comes back in the webhook.
    :param title: 1 to 24 characters.
    :param description: Up to 72 characters.
    """

    id: str = field.text(200)
    title: str = field.text(24)
    description: str | None = field.text(72, default=None)


@model(doc=Row.doc)
class Section(Part):
    """
    A section of a list.

    :param rows: ``Row`` or dicts of their fields; at most 10 over all sections of the message.
    :param title: Up to 24 characters; needed when there is more than one section.
    """

    rows: Sequence[Row | Mapping[str, Any]] = field.some(Row, ROWS_LIMIT)
    title: str | None = field.text(24, default=None)

    def to_payload(self) -> dict[str, Any]:
        """Return the section as Graph's JSON."""
        return without_empty({"title": self.title, "rows": graph(self.rows)})


def _sections(value: object, path: str, doc: str) -> tuple[Section, ...]:
    sections = parts(value, path, doc, model=Section, high=10)
    rows = [row for section in sections for row in section.rows if isinstance(row, Row)]
    limit = f"{ROWS_LIMIT} rows over all sections"
    _checks.in_all(len(rows), path, doc, high=ROWS_LIMIT, what="rows", limit=limit)
    _checks.unique([row.id for row in rows], path, doc, what="row id")
    section_titles([section.title for section in sections], path, doc)
    return sections


@model("list", doc=Row.doc)
class ListMessage(Interactive):
    """
    A text with a button that opens a list to choose from.

    :param body: 1 to 4096 characters (older documents of Meta say 1024).
    :param button: Label of the button that opens the list, 1 to 20 characters.
    :param sections: 1 to 10 ``Section``, or dicts of their fields, with at most 10 rows over all.
    :param header: A text of up to 60 characters.
    :param footer: Up to 60 characters.
    """

    body: str = field.text(LIST_BODY_LIMIT)
    button: str = field.text(LABEL_LIMIT)
    sections: Sequence[Section | Mapping[str, Any]] = field.checked(_sections)
    header: str | Mapping[str, Any] | None = field.checked(text_header, default=None)
    footer: str | None = field.text(FOOTER_LIMIT, default=None)


@model("cta_url", doc="Interactive call-to-action URL button messages")
class CtaUrl(Interactive):
    """
    A text with a button that opens a link.

    :param body: 1 to 1024 characters.
    :param display_text: Label of the button, 1 to 20 characters.
    :param url: http(s) link.
    :param header: A text of up to 60 characters, or an image, video or document.
    :param footer: Up to 60 characters.
    """

    _action_name: ClassVar[str | None] = "cta_url"

    body: str = field.text(BODY_LIMIT)
    display_text: str = field.text(LABEL_LIMIT)
    url: str = field.checked(_checks.http_url)
    header: Header | None = field.checked(header_part, default=None)
    footer: str | None = field.text(FOOTER_LIMIT, default=None)


@model("location_request_message", doc="Location request messages")
class LocationRequest(Interactive):
    """
    A text with a button by which the recipient sends a location.

    :param body: 1 to 1024 characters.
    """

    _action_name: ClassVar[str | None] = "send_location"

    body: str = field.text(BODY_LIMIT)
