"""What tells a list's file from another: a stamp that costs no reading, and the digest of its bytes."""

from __future__ import annotations

import hashlib
import io
from typing import IO, Any

from airflow_provider_whatsapp.delivery.stores import forget_listing, local_path

_MARKS = ("ETag", "etag", "md5Hash", "content_md5", "generation", "checksum")
"""What object stores call that which another content changes."""
_BLOCK = 1 << 20


def size_of(path: Any) -> int | None:
    """
    Return a file's size in bytes; None: it is not there, or its store does not say.

    :param path: ``pathlib.Path`` or ``ObjectStoragePath``.
    """
    try:
        return int(_facts(path)[0])
    except (
        Exception
    ):  # an object store's library has errors of its own, and the one who reads the list meets them
        return None


def stamp(path: Any) -> list[Any] | None:
    """
    Return what is another one once a file was written again, as JSON primitives; None: its store does not say.

    :param path: ``pathlib.Path`` or ``ObjectStoragePath``.
    """
    try:
        size, marks = _facts(path)
    except Exception:
        return None
    return [size, *marks] if marks else None


def _facts(path: Any) -> tuple[int, list[str]]:
    local = local_path(path)
    if local is not None:
        found = local.stat()
        return found.st_size, [str(found.st_mtime_ns), str(found.st_ctime_ns), str(found.st_ino)]
    forget_listing(path)
    info = path.fs.info(path.path)
    return int(info["size"]), [f"{name}={info[name]}" for name in _MARKS if info.get(name)]


def digest_of(path: Any) -> str:
    """
    Return the SHA-256 of a file's bytes.

    :param path: A path with ``open``.
    :raises OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return digest_of_rest(file)


def digest_of_rest(file: IO[bytes]) -> str:
    """
    Return the SHA-256 of all that an open file still holds.

    :param file: Any that can be read: those of some object stores can nothing else.
    :raises OSError: It cannot be read.
    """
    found = hashlib.sha256()
    while block := file.read(_BLOCK):
        found.update(block)
    return found.hexdigest()


class Watched:
    """
    A list that is read once, and whose digest is known then.

    :param path: A path with ``open``.
    """

    def __init__(self, path: Any) -> None:
        self._path = path
        self._file: _WatchedFile | None = None
        self.name = str(path.name)
        # What says where the file lies: the one who reads a list asks for it.
        local = local_path(path)
        self.protocol = "file" if local is not None else str(getattr(path, "protocol", "watched"))
        self.path = str(local) if local is not None else str(path)

    def __str__(self) -> str:
        return str(self._path)

    def open(self, mode: str = "rb") -> Any:
        """
        Open the file to read it.

        :param mode: As for a path; it is read as bytes in any case.
        """
        self._file = _WatchedFile(self._path.open("rb"))
        return self._file

    def digest(self) -> str:
        """Return the SHA-256 of all bytes that came out of the file; it is closed already."""
        return self._file.found.hexdigest() if self._file is not None else ""


class _WatchedFile(io.RawIOBase):
    """Hands out a file's bytes, and those behind a compressed file's end to the digest alone."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.found = hashlib.sha256()

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """
        Read into a buffer, and return how many bytes.

        :param buffer: Where to.
        """
        content = self._file.read(len(buffer))
        self.found.update(content)
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        """Read to the end, so that the digest is that of the whole file, and close it."""
        if not self.closed:
            try:
                while block := self._file.read(_BLOCK):
                    self.found.update(block)
            finally:
                self._file.close()
                super().close()
