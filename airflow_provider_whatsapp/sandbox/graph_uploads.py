"""The resumable upload, which gives a handle for template samples and profile pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.errors import GraphError
from airflow_provider_whatsapp.sandbox.model import Upload
from airflow_provider_whatsapp.sandbox.wire import MalformedBodyError, read_params

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.state import State
    from airflow_provider_whatsapp.sandbox.wire import Call

TYPES = frozenset({"application/pdf", "image/jpeg", "image/jpg", "image/png", "video/mp4"})
_MAX_LENGTH = 100 * 1_024 * 1_024
_MAX_OPEN = 1_000


def start(state: State, app_id: str, call: Call) -> dict[str, Any]:  # noqa: ARG001
    """``POST /{app_id}/uploads``."""
    try:
        given = {name: str(value) for name, value in read_params(call).items()}
    except MalformedBodyError:
        raise GraphError(100, message="(#100) Invalid parameter") from None
    length = given.get("file_length", "")
    if not (
        length.isascii() and length.isdigit() and 0 < len(length) < 12 and 0 < int(length) <= _MAX_LENGTH
    ):
        raise GraphError(100, message="(#100) file_length must be a number of bytes within the limit")
    mime = given.get("file_type", "").lower()
    if mime not in TYPES:
        raise GraphError(100, message=f"(#100) file_type must be one of {', '.join(sorted(TYPES))}")
    made = Upload("upload:" + state.ids.token(40), given.get("file_name", "file"), int(length), mime)
    state.uploads[made.id] = made
    if len(state.uploads) > _MAX_OPEN:
        del state.uploads[next(iter(state.uploads))]
    return {"id": made.id}


def get(state: State, upload_id: str, call: Call) -> dict[str, Any]:  # noqa: ARG001
    """``GET /upload:...``: how many bytes have arrived."""
    found = state.uploads[upload_id]
    return {"id": found.id, "file_offset": found.received}


def append(state: State, upload_id: str, call: Call) -> dict[str, Any]:
    """``POST /upload:...``: add the bytes from an offset."""
    found = state.uploads[upload_id]
    offset = call.header("file_offset")
    if offset is None or not (offset.isascii() and offset.isdigit()) or int(offset[:15]) != found.received:
        raise GraphError(100, message=f"(#100) The header file_offset must be {found.received}")
    if found.received + len(call.body) > found.length:
        raise GraphError(100, message=f"(#100) More than the announced {found.length} bytes")
    found.received += len(call.body)
    if found.received < found.length:
        return get(state, upload_id, call)
    if found.handle is None:
        found.handle = f"4::{state.ids.token(60)}:ARZ{state.ids.token(24)}"
        state.handles[found.handle] = found.mime
    return {"h": found.handle}
