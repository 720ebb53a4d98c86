"""Image, video, audio, document and sticker: each by the id of an upload or by a public link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.media_types import link_name
from airflow_provider_whatsapp.client.messages import _checks
from airflow_provider_whatsapp.client.messages._base import Message

#: Characters of a caption; Meta's pages of image, video and document messages.
CAPTION_LIMIT = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Media(Message):
    """
    What the five kinds share; exactly one of ``id`` and ``link``.

    :param id: Media id of an upload from the same phone number (Meta keeps uploads for 30 days).
    :param link: Public http(s) URL that needs no login; Meta caches what it fetched for 10 minutes.
    """

    doc: ClassVar[str]

    id: str | None = None
    link: str | None = None

    def __post_init__(self) -> None:
        kind = self.kind
        if (self.id is None) == (self.link is None):
            raise PayloadError(
                "needs id or link" if self.id is None else "has both id and link",
                field=kind,
                limit="exactly one of id, link",
                doc=self.doc,
                advice="Give id for uploaded media or link for a public URL.",
            )
        if self.id is not None:
            _checks.identifier(self.id, f"{kind}.id", doc=self.doc)
        else:
            _checks.http_url(self.link, f"{kind}.link", doc=self.doc)
        self.check_more()

    def check_more(self) -> None:
        """Check what one kind has beyond the others."""

    def content(self) -> dict[str, Any]:
        """Return the media object alone: ``{"id": ...}`` or ``{"link": ...}`` with what belongs to it."""
        return {"id": self.id} if self.id is not None else {"link": self.link}

    def to_payload(self) -> dict[str, Any]:
        """Return the message as Graph's JSON."""
        return {"type": self.kind, self.kind: self.content()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Captioned(Media):
    caption: str | None = None

    def check_more(self) -> None:
        """Check what this kind has beyond the others."""
        _checks.optional_text(self.caption, f"{self.kind}.caption", doc=self.doc, limit=CAPTION_LIMIT)

    def content(self) -> dict[str, Any]:
        """Return the media object alone, with its caption."""
        fields = Media.content(self)
        if self.caption:
            fields["caption"] = self.caption
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(_Captioned):
    """
    A JPEG or PNG, up to 5 MB.

    :param id: Media id.
    :param link: Public URL, instead of ``id``.
    :param caption: Text under it, up to 1024 characters.
    """

    kind: ClassVar[str] = "image"
    doc: ClassVar[str] = "Image messages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Video(_Captioned):
    """
    An MP4 or 3GPP with H.264 and AAC, up to 16 MB.

    :param id: Media id.
    :param link: Public URL, instead of ``id``.
    :param caption: Text under it, up to 1024 characters.
    """

    kind: ClassVar[str] = "video"
    doc: ClassVar[str] = "Video messages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(_Captioned):
    """
    A PDF, Office or text file, up to 100 MB.

    :param id: Media id.
    :param link: Public URL, instead of ``id``.
    :param caption: Text under it, up to 1024 characters.
    :param filename: Name that the recipient sees, with its extension; None: the link's own. Folders before it are
        left out, and a name without extension gets the link's. The app shows a generic name where there is none.
    """

    kind: ClassVar[str] = "document"
    doc: ClassVar[str] = "Document messages"

    filename: str | None = None

    def check_more(self) -> None:
        """Check what this kind has beyond the others."""
        _Captioned.check_more(self)
        _checks.optional_text(self.filename, "document.filename", doc=self.doc)

    def content(self) -> dict[str, Any]:
        """Return the media object alone, with caption and file name."""
        fields = _Captioned.content(self)
        if name := link_name(self.link, self.filename):
            fields["filename"] = name
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Audio(Media):
    """
    A sound file (AAC, AMR, MP3, MP4, Ogg Opus), up to 16 MB; it has no caption.

    :param id: Media id.
    :param link: Public URL, instead of ``id``.
    :param voice: Show it as a voice note; Ogg Opus only.
    """

    kind: ClassVar[str] = "audio"
    doc: ClassVar[str] = "Audio messages"

    voice: bool | None = False

    def check_more(self) -> None:
        """Check what this kind has beyond the others."""
        if self.voice is None:
            _checks.put(self, "voice", False)
        _checks.put(self, "voice", _checks.flag(self.voice, "audio.voice", doc=self.doc))

    def content(self) -> dict[str, Any]:
        """Return the media object alone, marked as voice note if it is one."""
        fields = Media.content(self)
        if self.voice:
            fields["voice"] = True
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Sticker(Media):
    """
    A WebP of 512 x 512, up to 100 KB (animated: 500 KB).

    :param id: Media id.
    :param link: Public URL, instead of ``id``.
    """

    kind: ClassVar[str] = "sticker"
    doc: ClassVar[str] = "Sticker messages"
