"""Media: files that messages name by their ids."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.errors import GraphError, unknown_object
from airflow_provider_whatsapp.sandbox.model import MEDIA_LIFE, Media
from airflow_provider_whatsapp.sandbox.rules import check_product
from airflow_provider_whatsapp.sandbox.shape import missing
from airflow_provider_whatsapp.sandbox.wire import Part, query_params, read_parts

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.state import State
    from airflow_provider_whatsapp.sandbox.wire import Call

MB = 1_024 * 1_024
_OFFICE = "application/vnd.openxmlformats-officedocument."
TYPES: dict[str, tuple[int, frozenset[str]]] = {
    "image": (5 * MB, frozenset({"image/jpeg", "image/png"})),
    "video": (16 * MB, frozenset({"video/mp4", "video/3gpp"})),
    "audio": (
        16 * MB,
        frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg", "audio/opus"}),
    ),
    "document": (
        100 * MB,
        frozenset(
            {
                "text/plain",
                "application/pdf",
                "application/msword",
                "application/vnd.ms-excel",
                "application/vnd.ms-powerpoint",
                f"{_OFFICE}wordprocessingml.document",
                f"{_OFFICE}spreadsheetml.sheet",
                f"{_OFFICE}presentationml.presentation",
            }
        ),
    ),
    "sticker": (500 * 1_024, frozenset({"image/webp"})),
}
"""Largest size in bytes and MIME types of each kind of media."""

_LISTED = (
    *("audio/aac", "audio/mp4", "audio/mpeg", "audio/amr", "audio/ogg", "audio/opus"),
    *("application/vnd.ms-powerpoint", "application/msword", f"{_OFFICE}wordprocessingml.document"),
    *(
        f"{_OFFICE}presentationml.presentation",
        f"{_OFFICE}spreadsheetml.sheet",
        "application/pdf",
        "text/plain",
    ),
    *("application/vnd.ms-excel", "image/jpeg", "image/png", "image/webp", "video/mp4", "video/3gpp"),
)
"""Every type that can be uploaded, in the order in which Graph's error lists them."""

_ZIP_OR_OLE = rb"PK\x03\x04|\xd0\xcf\x11\xe0"
_OPUS = rb"OggS.{22}\x01.OpusHead.\x01"
_MAGIC: dict[str, bytes] = {
    "image/jpeg": rb"\xff\xd8\xff",
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/webp": rb"RIFF.{4}WEBP",
    "video/mp4": rb".{4}ftyp(?!qt  |hei|mif1|avi|M4V)",
    "video/3gpp": rb".{4}ftyp(?!qt  |hei|mif1|avi|M4V)",
    "audio/mp4": rb".{4}ftyp(?!qt  |hei|mif1|avi|M4V)",
    "audio/amr": rb"#!AMR",
    "audio/ogg": _OPUS,
    "audio/opus": _OPUS,
    "application/pdf": rb".{0,1019}%PDF-",
    **dict.fromkeys((mime for mime in sorted(TYPES["document"][1]) if "officedocument" in mime), _ZIP_OR_OLE),
}
"""Pattern of a file's beginning, by its type; the sandbox does not check the content of other types."""

_MIME = re.compile(r"[\w.+-]+/[\w.+-]+")


def kind_of(mime: str) -> str | None:
    """Return the kind of message for a file's MIME type (without parameters); None if there is none."""
    return next((kind for kind, (_, types) in TYPES.items() if mime in types), None)


def find(state: State, media_id: str) -> Media | None:
    """Return a media object; None if there is none, or if it has expired, 30 days after its upload."""
    found = state.media.get(media_id)
    if found and state.clock.now() - found.uploaded_at >= MEDIA_LIFE:
        state.forget_media(media_id)
        return None
    return found


def upload(state: State, number_id: str, call: Call) -> dict[str, Any]:
    """``POST /{phone_number_id}/media``."""
    if not call.headers.get(b"content-type", b"").startswith(b"multipart/form-data"):
        raise GraphError(100, message="(#100) Media must be uploaded as multipart/form-data")
    parts = {part.name: part for part in read_parts(call)}
    fields = query_params(call) | {
        name: part.data.decode("utf-8", "replace") for name, part in parts.items() if name != "file"
    }
    unknown = set(fields) - {"messaging_product", "type", "ttl_minutes"}
    if unknown:
        raise GraphError(100, f'Unexpected key "{min(unknown)}" on param "media"')
    check_product(fields)
    if "file" not in parts:
        raise missing("file")
    mime = _judge(parts["file"], fields.get("type"))
    data = parts["file"].data
    magic = _MAGIC.get(mime)
    made = Media(
        id=state.ids.number(),
        number_id=number_id,
        mime=mime,
        filename=parts["file"].filename or "file",
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        uploaded_at=state.clock.now(),
        sound=magic is None or re.match(magic, data[:1024], re.DOTALL) is not None,
        data=data,
    )
    state.keep_media(made)
    return {"id": made.id}


def _judge(part: Part, declared: str | None) -> str:
    if part.filename is None or part.content_type is None:
        raise GraphError(100, "The file needs a file name and a MIME type of its own")
    mime = part.content_type.partition(";")[0].strip().lower()
    if not _MIME.fullmatch(mime):
        raise GraphError(100, "The file's MIME type is not valid")
    kind = kind_of(mime)
    if kind is None:
        text = f"Param file must be a file with one of these types: {', '.join(_LISTED)}."
        raise GraphError(100, message=f"(#100) {text} Received file of type '{mime}'.")
    # Old clients name the kind ("image") instead of the MIME type; Meta accepts both.
    if declared is not None and declared.partition(";")[0].strip().lower() not in {mime, kind}:
        raise GraphError(131053, f"type says {declared[:80]}, the file says {mime}")
    limit = TYPES[kind][0]
    if len(part.data) > limit:
        raise GraphError(131053, f"{len(part.data)} bytes are too many for {kind}: at most {limit}")
    if not part.data:
        raise GraphError(131053, "The file is empty")
    return mime


def _own(state: State, media_id: str, call: Call) -> Media:
    found = find(state, media_id)
    wanted = call.query.get("phone_number_id")
    if found is None or (wanted is not None and wanted != found.number_id):
        raise unknown_object(media_id, call.method)
    return found


def get(state: State, media_id: str, call: Call) -> dict[str, Any]:
    """``GET /{media_id}``: the file's properties, and a URL that opens only with Meta's own token."""
    found = _own(state, media_id, call)
    expires = int(state.clock.now()) + 300
    address = (
        f"https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid={found.id}&ext={expires}&hash=AT"
    )
    return {
        "messaging_product": "whatsapp",
        "url": address + found.sha256[:20],
        "mime_type": found.mime,
        "sha256": found.sha256,
        "file_size": found.size,
        "id": found.id,
    }


def delete(state: State, media_id: str, call: Call) -> dict[str, Any]:
    """``DELETE /{media_id}``."""
    state.forget_media(_own(state, media_id, call).id)
    return {"success": True}
