"""Image, video, audio, document and sticker, each by the ID of an upload or by a public link."""

from __future__ import annotations

from typing import Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.media_types import link_name
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages import _fields as field
from airflow_provider_whatsapp.client.messages._base import Message, model, without_empty

#: Characters of a caption; Meta's pages of image, video and document messages.
CAPTION_LIMIT = 1024


@model(kw_only=True)
class Media(Message):
    """
    What the five kinds share; exactly one of ``id`` and ``link``.

    :param id: Media ID of an upload from the same phone number (Meta keeps uploads for 30 days).
    :param link: Public http(s) URL that needs no login; Meta caches the file for 10 minutes.
    """

    id: str | None = field.identifier(default=None)
    link: str | None = field.checked(_checks.http_url, default=None)

    def check(self) -> None:
        """Check that the file is given by exactly one of ``id`` and ``link``."""
        self._exactly_one("id", "link", advice="Give id for uploaded media or link for a public URL.")

    def content(self) -> dict[str, Any]:
        """Return only the media object: ``{"id": ...}`` or ``{"link": ...}`` with its other fields."""
        return {name: value for name, value in Message.content(self).items() if value is not False}


@model(kw_only=True)
class _Captioned(Media):
    caption: str | None = field.text(CAPTION_LIMIT, default=None)


@model("image", doc="Image messages", kw_only=True)
class Image(_Captioned):
    """
    A JPEG or PNG, up to 5 MB.

    :param id: Media ID of an upload.
    :param link: Public URL, instead of ``id``.
    :param caption: Text below the image, up to 1024 characters.
    """


@model("video", doc="Video messages", kw_only=True)
class Video(_Captioned):
    """
    An MP4 or 3GPP with H.264 and AAC, up to 16 MB.

    :param id: Media ID of an upload.
    :param link: Public URL, instead of ``id``.
    :param caption: Text below the video, up to 1024 characters.
    """


@model("document", doc="Document messages", kw_only=True)
class Document(_Captioned):
    """
    A PDF, Office or text file, up to 100 MB.

    :param id: Media ID of an upload.
    :param link: Public URL, instead of ``id``.
    :param caption: Text below the document, up to 1024 characters.
    :param filename: Name that the recipient sees, with its extension; None: the link's own. Folders before it are
        dropped, and a name without extension gets the link's. Without a name the app shows a generic one.
    """

    filename: str | None = field.text(default=None)

    def content(self) -> dict[str, Any]:
        """Return only the media object, with caption and file name."""
        found = {**Media.content(self), "filename": link_name(self.link, self.filename)}
        return without_empty(found)


@model("audio", doc="Audio messages", kw_only=True)
class Audio(Media):
    """
    A sound file (AAC, AMR, MP3, MP4, Ogg Opus), up to 16 MB; it has no caption.

    :param id: Media ID of an upload.
    :param link: Public URL, instead of ``id``.
    :param voice: Show it as a voice note; Ogg Opus only.
    """

    voice: bool | None = field.flag(default=False)


@model("sticker", doc="Sticker messages", kw_only=True)
class Sticker(Media):
    """
    A WebP of 512 x 512, up to 100 KB (animated: 500 KB).

    :param id: Media ID of an upload.
    :param link: Public URL, instead of ``id``.
    """


def without_caption(value: Image | Video | Document, path: str, doc: str) -> None:
    """Check that a header's picture, video or document has no caption."""
    if value.caption:
        advice = "Put the text into the body."
        raise PayloadError("cannot have a caption here", field=f"{path}.caption", doc=doc, advice=advice)
