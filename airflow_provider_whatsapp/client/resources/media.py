"""Media: uploads files, looks them up and deletes them."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import APIError, PayloadError
from airflow_provider_whatsapp.client.media import FileBody, form_body, media_file
from airflow_provider_whatsapp.client.resources.base import Resource, graph_id

if TYPE_CHECKING:
    from airflow_provider_whatsapp.client.media import MediaFile

SAMPLE_TYPES = ("application/pdf", "image/jpeg", "image/png", "video/mp4")
"""The types that the resumable upload accepts (Meta, "Resumable Upload API")."""
_SESSION = re.compile(r"upload:[A-Za-z0-9_=:+-]+(?:/[A-Za-z0-9_=:+-]+)*(?:\?[A-Za-z0-9_=&.%~-]+)?", re.ASCII)
"""It becomes a path, so it must not contain dots: ``/../`` would send key and file to another path there."""


class Media(Resource):
    """Files for messages and samples for templates."""

    def upload(
        self,
        source: Any,
        *,
        filename: str | None = None,
        mime_type: str | None = None,
        kind: str | None = None,
    ) -> str:
        """
        Upload a file for messages of the configured number and return its media ID, which is valid for 30 days.

        :param source: A path, an ``ObjectStoragePath``, bytes, a binary file object, or a checked ``MediaFile``.
        :param filename: Name to show; None: the file's own.
        :param mime_type: MIME type; None: derived from the content and the name.
        :param kind: The kind that it must have, such as ``image``; None: the kind of its type.
        :raises PayloadError: The file is missing, empty, too large or of a type that WhatsApp does not accept.
        :raises APIError: WhatsApp or the gateway refused it.
        """
        number = self._config.require("phone_number_id")
        file = as_media_file(source, filename=filename, mime_type=mime_type, kind=kind)
        boundary = f"part-{uuid.uuid4().hex}"
        fields = {"messaging_product": "whatsapp", "type": file.mime_type}
        # A repeated upload leaves at worst an unused file, which WhatsApp deletes.
        answer = self._call(
            "POST",
            f"{number}/media",
            open_body=lambda: form_body(fields, file, boundary),
            headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        )
        return _stated(answer, "id")

    def get(self, media_id: str) -> dict[str, Any]:
        """
        Return a file's metadata: ``mime_type``, ``file_size``, ``sha256`` and a ``url`` that is valid for 5 minutes.

        The bytes behind the URL need Meta's own token, which Maton does not give out.

        :param media_id: Media ID of an upload (valid for 30 days) or of a received file (7 days).
        :raises NotFoundError: It has expired or belongs to another number.
        """
        return self._call("GET", graph_id(media_id, "media_id"))

    def delete(self, media_id: str) -> None:
        """
        Delete a file.

        :param media_id: Media ID of an upload.
        :raises NotFoundError: No file has this ID.
        """
        self._call("DELETE", graph_id(media_id, "media_id"))

    def upload_sample(self, source: Any, *, filename: str | None = None, mime_type: str | None = None) -> str:
        """
        Upload the sample of a template's media header and return its handle (``4::...``).

        :param source: A path, an ``ObjectStoragePath``, bytes or a binary file object: PDF, JPEG, PNG or MP4.
        :param filename: Name of the file; None: the file's own.
        :param mime_type: MIME type; None: derived from the content and the name.
        :raises PayloadError: The file is not of one of these types, or breaks a limit.
        """
        file = as_media_file(source, filename=filename, mime_type=mime_type)
        if file.mime_type not in SAMPLE_TYPES:
            raise PayloadError(
                f"{file.name!r} is {file.mime_type}",
                field="sample",
                doc="Resumable Upload API",
                advice=f"Convert it to one of {', '.join(SAMPLE_TYPES)}.",
            )
        query = {"file_name": file.name, "file_length": file.size, "file_type": file.mime_type}
        session = _stated(self._call("POST", f"{self._config.app_id}/uploads", query=query), "id")
        if not _SESSION.fullmatch(session):
            raise APIError("the upload session has an id of an unknown form")
        answer = self._call(
            "POST",
            session,
            open_body=lambda: FileBody(file),
            headers={"Content-Type": file.mime_type, "file_offset": "0"},
        )
        return _stated(answer, "h")


def as_media_file(source: Any, **options: Any) -> MediaFile:
    """Return a source as a checked media file; it is not checked again if it is one already."""
    return (
        source if hasattr(source, "mime_type") and hasattr(source, "size") else media_file(source, **options)
    )


def _stated(answer: dict[str, Any], key: str) -> str:
    value = answer.get(key)
    if not isinstance(value, str | int) or not value:
        raise APIError(f"the answer carries no {key!r}")
    return str(value)
