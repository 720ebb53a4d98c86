"""Media files: their kind, whether they fit WhatsApp's limits, and their bytes in small pieces."""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, runtime_checkable

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.media_types import (
    HEAD,
    KIB,
    KIND_OF,
    KINDS,
    TEXT,
    shown_name,
    stated_type,
    type_by_suffix,
    type_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DOC = "Supported media types"
STATIC_STICKER_LIMIT = 100 * KIB

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_MEDIA_ID = re.compile(r"[0-9]{10,32}", re.ASCII)


@runtime_checkable
class _Openable(Protocol):
    """The methods that :class:`pathlib.Path` and Airflow's ``ObjectStoragePath`` share."""

    name: str

    def open(self, mode: str) -> Any: ...

    def stat(self) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """
    A file that WhatsApp accepts; :func:`media_file` checks and makes it.

    :param name: File name as the recipient sees it.
    :param mime_type: MIME type, one of those in :data:`~airflow_provider_whatsapp.client.media_types.KINDS`.
    :param kind: ``image``, ``video``, ``audio``, ``sticker`` or ``document``.
    :param size: Size in bytes.
    :param open: Opens the content at its beginning; called once per try of an upload.
    """

    name: str
    mime_type: str
    kind: str
    size: int
    open: Callable[[], BinaryIO]


def source_form(source: Any) -> str:
    """Return a media source's form: ``link``, ``id``, ``store`` (the URL of an object store) or ``file``."""
    # A text of 10 digits or more is a media ID, not a file name.
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
    """Return whether a template's header is media rather than text."""
    if not isinstance(source, str):
        return isinstance(source, _Openable | os.PathLike | bytes | bytearray) or hasattr(source, "read")
    if source_form(source) != "file" or source.startswith(("/", "./", "../", "~/")):
        return True
    return type_by_suffix(source) in KIND_OF and not source.endswith(" ")


def media_file(
    source: Any, *, filename: str | None = None, mime_type: str | None = None, kind: str | None = None
) -> MediaFile:
    """
    Return a file after checking it against WhatsApp's types and sizes; no byte is sent.

    :param source: A path, an ``ObjectStoragePath``, bytes, or a seekable binary file object.
    :param filename: Name to show; None: the file's own. A document's name gets the suffix of its type if it has
        another.
    :param mime_type: MIME type, with or without parameters; None: derived from the content and the name.
    :param kind: The kind that it must have, such as ``image``; None: the kind of its type.
    :raises PayloadError: The file is missing, empty, too large for its kind, of a type that WhatsApp does not accept,
        or its content is not of the type that its name says.
    """
    own_name, size, open_ = _look(source)
    name = filename or own_name
    if size == 0:
        raise PayloadError(f"{name!r} is empty", field="media", advice="Check the task that writes it.")
    head = _head(source, open_)
    mime_type = _mime_type(name, own_name, head, mime_type, kind)
    actual = _kind(name, mime_type, kind)
    _check_size(name, actual, size, head)
    if actual == "document":
        name = shown_name(name, mime_type)
    return MediaFile(name=name, mime_type=mime_type, kind=actual, size=size, open=open_)


def _head(source: Any, open_: Callable[[], BinaryIO]) -> bytes:
    """Return a file's first bytes; read no more from an object store, whose file objects would read far ahead."""
    store = getattr(source, "fs", None)
    try:
        if store is not None and hasattr(source, "path"):
            return bytes(store.cat_file(source.path, start=0, end=HEAD))
        with open_() as stream:
            return stream.read(HEAD)
    except OSError as error:
        raise _unreadable(source, error) from error


def _mime_type(name: str, own_name: str, head: bytes, stated: str | None, kind: str | None) -> str:
    """Return a file's type; WhatsApp accepts content that does not match its type, and drops it much later."""
    stated = stated_type(stated) if stated else None
    if stated == TEXT:
        return TEXT
    named = stated or type_by_suffix(name) or type_by_suffix(own_name)
    try:
        found = type_of(head, named=named, kind=kind)
    except ValueError as error:
        what = str(error)
    else:
        wanted = KIND_OF.get(stated) if stated else None
        if wanted is None or KIND_OF.get(found) in (None, wanted, kind):
            return found
        what = found
    said = "is declared as" if stated else "is named as"
    raise PayloadError(
        f"{name!r} {said} {named}, but contains {what}",
        field="media",
        doc=DOC,
        advice="Check what the task wrote: WhatsApp drops a file whose content does not match its type.",
    )


def file_size(source: Any) -> int:
    """Return the size in bytes of a path, bytes, or a file object; raises PayloadError if it cannot be read."""
    return _look(source)[1]


def _look(source: Any) -> tuple[str, int, Callable[[], BinaryIO]]:
    """Return the name of a source, its size in bytes, and a function that opens it."""
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
    except OSError as error:
        raise _unreadable(path, error) from error
    return path.name, size, lambda: path.open("rb")


def _unreadable(path: Any, error: OSError) -> PayloadError:
    what = {FileNotFoundError: "does not exist", IsADirectoryError: "is a folder"}.get(type(error))
    return PayloadError(
        f"file {str(path)!r} {what or f'cannot be read ({type(error).__name__})'}",
        field="media",
        advice="Check the path on the machine that runs the task; it cannot see another worker's disk.",
    )


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
    """A caller's file object: reads it from its position, restores that, and leaves closing to the owner."""

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


def _kind(name: str, mime_type: str, wanted: str | None) -> str:
    """Return the kind of a MIME type, such as ``image``; refuse it if another kind is wanted."""
    actual = KIND_OF.get(mime_type)
    if actual is None:
        taken = sorted(mime for mime in KIND_OF if wanted is None or KIND_OF[mime] == wanted)
        raise PayloadError(
            f"{name!r} is {mime_type}, which WhatsApp does not accept",
            field="media",
            doc=DOC,
            advice=f"Convert it to one of {', '.join(taken)}.",
        )
    if wanted is not None and wanted != actual:
        raise PayloadError(
            f"{name!r} is {mime_type}, which WhatsApp sends as {_article(actual)}, not as {_article(wanted)}",
            field="media",
            doc=DOC,
            advice=f"Send it as {_article(actual)}, or give {_article(wanted)}: {', '.join(KINDS[wanted][1])}."
            if wanted in KINDS
            else f"kind is one of {', '.join(KINDS)}.",
        )
    return actual


def _check_size(name: str, kind: str, size: int, head: bytes) -> None:
    limit = KINDS[kind][0]
    animated = head[12:16] == b"VP8X" and int.from_bytes(head[20:21]) & 0x02
    if kind == "sticker" and not animated:
        limit = STATIC_STICKER_LIMIT
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
    A request body around one file, read in pieces, so that memory use does not grow with the file.

    :param file: The file.
    :param head: Bytes before the file.
    :param tail: Bytes after the file.
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

        :param size: The most bytes to return.
        :raises PayloadError: The file has become shorter since its size was read.
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
    """Return a multipart form with one file, in the part named ``file``; the boundary separates the fields."""
    disposition = f"--{boundary}\r\nContent-Disposition: form-data; name="
    parts = [f'{disposition}"{key}"\r\n\r\n{value}\r\n' for key, value in fields.items()]
    shown = "".join(" " if char in "\r\n" else char for char in file.name).replace('"', "%22")
    parts.append(f'{disposition}"file"; filename="{shown}"\r\nContent-Type: {file.mime_type}\r\n\r\n')
    return FileBody(file, head="".join(parts).encode(), tail=f"\r\n--{boundary}--\r\n".encode())
