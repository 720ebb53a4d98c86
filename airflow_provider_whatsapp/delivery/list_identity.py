"""The identity of a list's file: a stamp that needs no reading, and the digest of its bytes."""

from __future__ import annotations

import hashlib
import io
from typing import IO, Any

from airflow_provider_whatsapp.delivery.stores import forget_listing, local_path

_MARKS = ("ETag", "etag", "md5Hash", "content_md5", "generation", "checksum")
"""Object stores' names for the value that changes with the content."""
_BLOCK = 1 << 20


def size_of(path: Any) -> int | None:
    """Return a file's size in bytes; None: it does not exist, or its store does not say."""
    try:
        return int(_facts(path)[0])
    except (
        Exception
    ):  # an object store's library raises errors of other types, and reading the list meets them
        return None


def stamp(path: Any) -> list[Any] | None:
    """Return a value that changes when the file is written, as JSON primitives; None: its store has none."""
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
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return digest_of_rest(file)


def digest_of_rest(file: IO[bytes]) -> str:
    """Return the SHA-256 of the rest of an open file."""
    # Only read is called, because the files of some object stores can do nothing else.
    found = hashlib.sha256()
    while block := file.read(_BLOCK):
        found.update(block)
    return found.hexdigest()


class Watched:
    """A list's file that is read once, and then has a digest."""

    def __init__(self, path: Any) -> None:
        self._path = path
        self._file: _WatchedFile | None = None
        self.name = str(path.name)
        # Attributes that say where the file is, which the reader of a list uses.
        local = local_path(path)
        self.protocol = "file" if local is not None else str(getattr(path, "protocol", "watched"))
        self.path = str(local) if local is not None else str(path)

    def __str__(self) -> str:
        return str(self._path)

    def open(self, mode: str = "rb") -> Any:
        """Open the file to read it, as bytes in any mode."""
        self._file = _WatchedFile(self._path.open("rb"))
        return self._file

    def digest(self) -> str:
        """Return the SHA-256 of all bytes of the file, which is closed already."""
        return self._file.found.hexdigest() if self._file is not None else ""


class _WatchedFile(io.RawIOBase):
    """Returns a file's bytes; the bytes after the end of a compressed file go only into the digest."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.found = hashlib.sha256()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer, and return the number of bytes."""
        content = self._file.read(len(buffer))
        self.found.update(content)
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        """Read to the end, so that the digest covers the whole file, and close it."""
        if not self.closed:
            try:
                while block := self._file.read(_BLOCK):
                    self.found.update(block)
            finally:
                self._file.close()
                super().close()
