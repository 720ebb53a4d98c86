"""Turns a media source, as a DAG's author writes it, into a part of a message: a link or the ID of an upload."""

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
    """Return a readable source: the URL of an object store as an ``ObjectStoragePath``, any other unchanged."""
    source = readable(source, field=field)  # PayloadError: it is outside [whatsapp] media_roots
    if isinstance(source, str) and source_form(source) == "store":
        return object_path(source)
    return source


def own_name(source: Any) -> str | None:
    """Return the name that a file shows: the given path's, even if that is a link; None: no path with a name."""
    return PurePosixPath(str(source)).name or None if isinstance(source, str | os.PathLike) else None


def media_message(
    client: WhatsAppClient,
    source: Any,  # URL, media ID, path, ObjectStoragePath, bytes or binary file object
    *,
    kind: str | None = None,  # None: by the file's type
    caption: str | None = None,
    filename: str | None = None,  # that a document shows; None: the file's own
) -> Message:
    """Return a media message; check a file before its upload."""
    return _media_message(client, source, kind, KINDS, caption=caption, filename=filename)


def template_header(client: WhatsAppClient, header: Any, *, filename: str | None = None) -> Any:
    """Return a template's header: a text as it is, media as an uploaded or linked part."""
    # A string is media if it is a URL, a media ID (10 digits or more), or a path: it begins with "/", "./", "../" or
    # "~/", or ends in the suffix of a type that WhatsApp accepts. A dict says whether it is a text or media.
    found = media_of(header, filename)
    if found is None:
        return header
    source, kind, filename = found
    try:
        return _media_message(client, source, kind, HEADER_KINDS, filename=filename)
    except (InvalidRequestError, NotFoundError):
        if isinstance(header, str) and source_form(header) == "id":
            return header  # digits that are not a media ID, such as an order's number
        raise


def check_header(header: Any, *, filename: str | None = None) -> None:
    """Refuse a template's header that does not fit, such as a file that is too large, without any request."""
    found = media_of(header, filename)
    if found is not None:
        source, kind, filename = found
        _examine(source, kind, HEADER_KINDS, filename)


def media_of(header: Any, filename: str | None = None) -> tuple[Any, str | None, str | None] | None:
    """Return the source of a header's media, its kind (None: by the file's type) and file name; None: no media."""
    if isinstance(header, Mapping):
        if "media" not in header:
            return None  # a text, or Graph's own JSON
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
    _message(file.kind, {"id": "0"}, extras)  # refuses invalid extras before the upload
    return _message(file.kind, {"id": client.media.upload(file)}, extras)


def _examine(
    source: Any, kind: str | None, allowed: Collection[str], filename: str | None
) -> tuple[str | None, MediaFile | None]:
    """Check what needs no request; return the kind (None: the ID may be of any kind) and the file, if there is one."""
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
            advice="Send the text as a separate message.",
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
