"""From what a DAG author writes as media to what a message carries: a link or the id of an upload."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_whatsapp.client.errors import InvalidRequestError, NotFoundError, PayloadError
from airflow_provider_whatsapp.client.media import looks_like_media, media_file, source_form
from airflow_provider_whatsapp.client.media_types import (
    KIND_OF,
    KINDS,
    stated_type,
    type_by_suffix,
)
from airflow_provider_whatsapp.client.messages import parse_message
from airflow_provider_whatsapp.hooks.file_policy import readable
from airflow_provider_whatsapp.hooks.object_stores import object_path

if TYPE_CHECKING:
    from airflow_provider_whatsapp.client.media import MediaFile
    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

HEADER_KINDS = ("image", "video", "document")
_CAPTIONED = ("image", "video", "document")
_SAY_KIND = (
    f"Say which kind it is: in a media message kind=, one of {', '.join(KINDS)}; in a template's header "
    f'{{"type": "document", "media": ...}}.'
)


def opened(source: Any, *, field: str = "media") -> Any:
    """
    Return what can be read: the URL of an object store becomes an ``ObjectStoragePath``, all else stays.

    :param source: What a DAG author gave.
    :param field: Argument that gave it, for the error.
    :raises PayloadError: It is a path that ``[whatsapp] media_roots`` does not hold.
    """
    source = readable(source, field=field)
    if isinstance(source, str) and source_form(source) == "store":
        return object_path(source)
    return source


def own_name(source: Any) -> str | None:
    """
    Return the name that a file shows: that of the path as it was given, though it may be a link to another file.

    :param source: What a DAG author gave.
    :return: None where it is no path with a name.
    """
    return PurePosixPath(str(source)).name or None if isinstance(source, str | os.PathLike) else None


def media_message(
    client: WhatsAppClient,
    source: Any,
    *,
    kind: str | None = None,
    caption: str | None = None,
    filename: str | None = None,
) -> Message:
    """
    Build a media message; a file is checked first and uploaded then.

    :param client: Uploads the file, and looks up what kind a media id is.
    :param source: URL, media id, path, ``ObjectStoragePath``, bytes or binary file object.
    :param kind: What it goes as; None: what its type makes it.
    :param caption: Text below it.
    :param filename: Name that a document shows; None: the file's own.
    :raises PayloadError: The file, or what goes with it, breaks a limit; no message was sent.
    """
    return _media_message(client, source, kind, KINDS, caption=caption, filename=filename)


def template_header(client: WhatsAppClient, header: Any, *, filename: str | None = None) -> Any:
    """
    Return a template's header: text as it is, media as an uploaded or linked part.

    A string is taken as media when it is a URL, a media id (10 digits or more) or a path (it starts with ``/``,
    ``./``, ``../`` or ``~/``, or ends in the suffix of a type that WhatsApp takes), and as text otherwise. A dict says
    it outright: ``{"type": "document", "media": "report"}`` or ``{"type": "text", "text": "report.pdf"}``. Digits that
    WhatsApp knows as no media id are a text.

    :param client: Uploads the file, and looks up what kind a media id is.
    :param header: What a DAG author gave.
    :param filename: Name that a document shows; None: the file's own.
    :raises PayloadError: The file does not suit a header; no message was sent.
    """
    found = media_of(header, filename)
    if found is None:
        return header
    source, kind, filename = found
    try:
        return _media_message(client, source, kind, HEADER_KINDS, filename=filename)
    except (InvalidRequestError, NotFoundError):
        if isinstance(header, str) and source_form(header) == "id":
            return header  # digits that are no upload's: an order's number, say
        raise


def check_header(header: Any, *, filename: str | None = None) -> None:
    """
    Refuse a template's header that does not suit, without any request.

    :param header: As for :func:`template_header`.
    :param filename: As for :func:`template_header`.
    :raises PayloadError: A file is missing, too large or of a type that no header takes.
    """
    found = media_of(header, filename)
    if found is not None:
        source, kind, filename = found
        _examine(source, kind, HEADER_KINDS, filename)


def media_of(header: Any, filename: str | None = None) -> tuple[Any, str | None, str | None] | None:
    """
    Return the source of a header's media, its kind (None: what its type makes it) and its file name.

    :param header: As for :func:`template_header`.
    :param filename: As for :func:`template_header`.
    :return: None where the header is no media: a text, nothing, or Graph's own JSON.
    """
    if isinstance(header, Mapping):
        if "media" not in header:
            return None
        return header["media"], header.get("type"), header.get("filename", filename)
    return None if header is None or not looks_like_media(header) else (header, None, filename)


def _media_message(
    client: WhatsAppClient, source: Any, kind: str | None, allowed: Collection[str], **extras: str | None
) -> Message:
    kind, file = _examine(source, kind, allowed, extras.get("filename"))
    if file is None:
        if kind is None:
            kind = _kind_of_id(client, source)
        if kind not in allowed:
            raise _not_allowed(kind, allowed)
        return _message(kind, {source_form(source): str(source)}, extras)
    extras["filename"] = file.name
    _message(file.kind, {"id": "0"}, extras)  # refuses what is wrong before the file is uploaded
    return _message(file.kind, {"id": client.media.upload(file)}, extras)


def _examine(
    source: Any, kind: str | None, allowed: Collection[str], filename: str | None
) -> tuple[str | None, MediaFile | None]:
    """Check what needs no request; return the kind (None for an id that may be of any) and the file, if it is one."""
    if kind is not None and kind not in allowed:
        raise _not_allowed(f"kind {kind!r}", allowed)
    form = source_form(source)
    file = None
    if form in ("file", "store"):
        file = media_file(opened(source), filename=filename or own_name(source), kind=kind)
        kind = file.kind
    elif form == "link":
        kind = kind or _kind_of_link(source)
    if kind is not None and kind not in allowed:
        raise _not_allowed(kind, allowed)
    return kind, file


def _not_allowed(what: str, allowed: Collection[str]) -> PayloadError:
    return PayloadError(
        f"{what} is not allowed here", field="media", limit=", ".join(allowed), doc="Media messages"
    )


def _message(kind: str, media: dict[str, str], extras: dict[str, str | None]) -> Message:
    given = {name: value for name, value in extras.items() if value is not None}
    if kind != "document":
        given.pop("filename", None)
    if "caption" in given and kind not in _CAPTIONED:
        raise PayloadError(
            f"does not go with media of the kind {kind}",
            field="caption",
            doc="Media messages",
            advice="Send the text as a message of its own.",
        )
    return parse_message({"type": kind, **media, **given})


def _kind_of_link(link: str) -> str:
    mime = type_by_suffix(urlsplit(link).path)
    kind = KIND_OF.get(mime or "")
    if kind is None:
        what = (
            f"names the type {mime}, which WhatsApp may refuse"
            if mime
            else "does not say what kind of media it is"
        )
        raise PayloadError(
            f"the link's path {what}",
            field="kind",
            advice=_SAY_KIND,
        )
    return kind


def _kind_of_id(client: WhatsAppClient, media_id: Any) -> str:
    mime = stated_type(str(client.media.get(str(media_id)).get("mime_type", "")))
    kind = KIND_OF.get(mime or "")
    if kind is None:
        raise PayloadError(f"is of type {mime or 'unknown'}", field="media", advice=_SAY_KIND)
    return kind
