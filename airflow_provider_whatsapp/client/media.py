"""Files on their way to WhatsApp: what kind they are, whether they fit, and their bytes in small pieces."""

from __future__ import annotations

import io
import mimetypes
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, runtime_checkable

from airflow_provider_whatsapp.client.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DOC = "Supported media types"
KIB, MIB = 1024, 1024 * 1024

_OFFICE = "application/vnd.openxmlformats-officedocument"
KINDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "image": (5 * MIB, ("image/jpeg", "image/png")),
    "video": (16 * MIB, ("video/mp4", "video/3gpp")),
    "audio": (16 * MIB, ("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg")),
    "sticker": (500 * KIB, ("image/webp",)),
    "document": (
        100 * MIB,
        (
            "application/pdf",
            "text/plain",
            "application/msword",
            "application/vnd.ms-excel",
            "application/vnd.ms-powerpoint",
            f"{_OFFICE}.wordprocessingml.document",
            f"{_OFFICE}.spreadsheetml.sheet",
            f"{_OFFICE}.presentationml.presentation",
        ),
    ),
}
"""Largest size in bytes, and the MIME types, of each kind (Meta, "Supported media types")."""

STATIC_STICKER_LIMIT = 100 * KIB

_KIND_OF = {mime: kind for kind, (_, mimes) in KINDS.items() for mime in mimes}

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"%PDF-", "application/pdf"),
    (8, b"WEBP", "image/webp"),
    (0, b"OggS", "audio/ogg"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"ID3", "audio/mpeg"),
    (4, b"ftyp3g", "video/3gpp"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
)
_HEAD = 64
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_MEDIA_ID = re.compile(r"[0-9]{10,32}", re.ASCII)


@runtime_checkable
class _Openable(Protocol):
    """What :class:`pathlib.Path` and Airflow's ``ObjectStoragePath`` have in common."""

    name: str

    def open(self, mode: str) -> Any: ...

    def stat(self) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """
    A file that WhatsApp takes; made by :func:`media_file`, which checks it.

    :param name: File name as the recipient sees it.
    :param mime_type: MIME type, one of those in :data:`KINDS`.
    :param kind: ``image``, ``video``, ``audio``, ``sticker`` or ``document``.
    :param size: Bytes.
    :param open: Opens the content from its beginning; once per try of an upload.
    """

    name: str
    mime_type: str
    kind: str
    size: int
    open: Callable[[], BinaryIO]


def source_form(source: Any) -> str:
    """
    Say what a media source is: ``link``, ``id``, ``store`` (the URL of an object store) or ``file``.

    :param source: What a caller gave as media; digits alone (10 or more) are a media id, not the name of a file.
    """
    if isinstance(source, int) and not isinstance(source, bool):
        return "id"
    if not isinstance(source, str):
        return "file"
    if source.lower().startswith(("http://", "https://")):
        return "link"
    if _SCHEME.match(source):
        return "store"
    return "id" if _MEDIA_ID.fullmatch(source) else "file"


def looks_like_media(source: Any) -> bool:
    """
    Say whether a template's header is media rather than text.

    :param source: What a caller gave as header.
    """
    if not isinstance(source, str):
        return isinstance(source, _Openable | os.PathLike | bytes | bytearray) or hasattr(source, "read")
    if source_form(source) != "file" or source.startswith(("/", "./", "../", "~/")):
        return True
    return mimetypes.guess_type(source)[0] in _KIND_OF and not source.endswith(" ")


def media_file(
    source: Any, *, filename: str | None = None, mime_type: str | None = None, kind: str | None = None
) -> MediaFile:
    """
    Look at a file and check it against WhatsApp's types and sizes; no byte is sent.

    :param source: A path, an ``ObjectStoragePath``, bytes, or a seekable binary file object.
    :param filename: Name to show; None: the file's own.
    :param mime_type: MIME type; None: found from the content and the name.
    :param kind: What it must be, ``image`` say; None: what its type makes it.
    :raises PayloadError: It is missing, empty, too large for its kind, or of a type that WhatsApp does not take.
    """
    name, size, open_ = _look(source)
    name = filename or name
    with open_() as stream:
        head = stream.read(_HEAD)
    mime_type = mime_type or _mime_type(name, head)
    actual = _KIND_OF.get(mime_type)
    if actual is None:
        taken = sorted(mime for mime in _KIND_OF if kind is None or _KIND_OF[mime] == kind)
        raise PayloadError(
            f"{name!r} is {mime_type}, which WhatsApp does not take",
            field="media",
            doc=DOC,
            advice=f"Convert it, or pass mime_type= if that is wrong. Taken are {', '.join(taken)}.",
        )
    if kind is not None and kind != actual:
        raise PayloadError(
            f"{name!r} is {mime_type}, which goes as {_article(actual)}, not as {_article(kind)}",
            field="media",
            doc=DOC,
            advice=f"Leave kind out, or give {_article(kind)}: {', '.join(KINDS[kind][1])}."
            if kind in KINDS
            else f"kind is one of {', '.join(KINDS)}.",
        )
    _check_size(name, actual, size, head)
    return MediaFile(name=name, mime_type=mime_type, kind=actual, size=size, open=open_)


def file_size(source: Any) -> int:
    """
    Return the size of a file in bytes.

    :param source: A path, an ``ObjectStoragePath``, bytes, or a seekable binary file object.
    :raises PayloadError: It is missing, or cannot be read.
    """
    return _look(source)[1]


def _look(source: Any) -> tuple[str, int, Callable[[], BinaryIO]]:
    """Return the name, the size in bytes and a way to open a source."""
    if isinstance(source, bytes | bytearray):
        content = bytes(source)
        return "file", len(content), lambda: io.BytesIO(content)
    if isinstance(source, str | os.PathLike) and not isinstance(source, _Openable):
        if not str(source):
            raise PayloadError(
                "is empty", field="media", advice="Pass a URL, a media id, or the path of a file."
            )
        source = Path(source).expanduser()
    if isinstance(source, _Openable):
        return _look_at_path(source)
    if hasattr(source, "read") and hasattr(source, "seek"):
        return _look_at_stream(source)
    raise PayloadError(
        f"cannot read a {type(source).__name__}",
        field="media",
        advice="Pass a path, an ObjectStoragePath, bytes, or a binary file object that can seek.",
    )


def _look_at_path(path: _Openable) -> tuple[str, int, Callable[[], BinaryIO]]:
    try:
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as error:
        what = {FileNotFoundError: "does not exist", IsADirectoryError: "is a folder"}.get(type(error))
        raise PayloadError(
            f"file {str(path)!r} {what or f'cannot be read ({type(error).__name__})'}",
            field="media",
            advice="Check the path on the machine that runs the task; another worker's disk is not seen from here.",
        ) from error
    return path.name, size, lambda: path.open("rb")


def _look_at_stream(stream: Any) -> tuple[str, int, Callable[[], BinaryIO]]:
    start = stream.tell()
    size = stream.seek(0, os.SEEK_END) - start
    stream.seek(start)
    if isinstance(stream, io.TextIOBase):
        raise PayloadError("the file object is in text mode", field="media", advice="Open it with mode 'rb'.")

    def reopen() -> BinaryIO:
        stream.seek(start)
        return _Borrowed(stream, start)  # type: ignore[return-value]

    return Path(str(getattr(stream, "name", "file"))).name, size, reopen


class _Borrowed:
    """A caller's file object: read here, left where it was, since it may be looked at again; closed by its owner."""

    def __init__(self, stream: Any, start: int) -> None:
        self._stream = stream
        self._start = start

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._stream.seek(self._start)

    def __enter__(self) -> _Borrowed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _mime_type(name: str, head: bytes) -> str:
    for offset, signature, mime in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return mime
    guess = mimetypes.guess_type(name)[0]
    if guess and guess.startswith("audio/") and head[:2] in (b"\xff\xf1", b"\xff\xf9"):
        return "audio/aac"
    if guess is None or guess.startswith("text/") or guess in ("application/json", "application/x-ndjson"):
        # The only text type that WhatsApp takes; CSV, logs and JSON go as such.
        return "text/plain" if b"\0" not in head else (guess or "of an unknown type")
    return guess


def _check_size(name: str, kind: str, size: int, head: bytes) -> None:
    limit = KINDS[kind][0]
    animated = head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & 0x02)
    if kind == "sticker" and not animated:
        limit = STATIC_STICKER_LIMIT
    if size == 0:
        raise PayloadError(f"{name!r} is empty", field="media", advice="Check the task that writes it.")
    if size > limit:
        raise PayloadError(
            f"{name!r} has {size:,} bytes, too large for {_article(kind)}",
            field="media",
            limit=f"{limit:,} bytes",
            doc=DOC,
            advice="Make it smaller, or send a link instead.",
        )


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


class FileBody:
    """
    A request body around one file, read in pieces so that memory does not grow with the file.

    :param file: The file.
    :param head: Bytes before it.
    :param tail: Bytes after it.
    """

    def __init__(self, file: MediaFile, *, head: bytes = b"", tail: bytes = b"") -> None:
        self._file = file
        self._stream = file.open()
        self._left = file.size
        self._head, self._tail = io.BytesIO(head), io.BytesIO(tail)
        self._length = len(head) + file.size + len(tail)

    def __len__(self) -> int:
        return self._length

    def read(self, size: int = 65_536) -> bytes:
        """
        Return the next piece; empty at the end.

        :param size: Bytes at most.
        :raises PayloadError: The file has become shorter since it was looked at.
        """
        if piece := self._head.read(size):
            return piece
        if not self._left:
            return self._tail.read(size)
        piece = self._stream.read(min(size, self._left))
        if not piece:
            raise PayloadError(
                f"{self._file.name!r} became shorter while it was read",
                field="media",
                advice="Upload it when the task that writes it has finished.",
            )
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def form_body(fields: Mapping[str, str], file: MediaFile, boundary: str) -> FileBody:
    """
    Return a multipart form with one file, the part named ``file``.

    :param fields: The other fields of the form.
    :param file: The file.
    :param boundary: Line that parts the fields.
    """
    disposition = f"--{boundary}\r\nContent-Disposition: form-data; name="
    parts = [f'{disposition}"{key}"\r\n\r\n{value}\r\n' for key, value in fields.items()]
    shown = "".join(" " if char in "\r\n" else char for char in file.name).replace('"', "%22")
    parts.append(f'{disposition}"file"; filename="{shown}"\r\nContent-Type: {file.mime_type}\r\n\r\n')
    return FileBody(file, head="".join(parts).encode(), tail=f"\r\n--{boundary}--\r\n".encode())
