"""Local files in folders that others may write to: links are not followed, and no file is left half-written."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import uuid
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIVATE = 0o600
"""Only the owner may read a file with recipients."""


def create(path: Path, *, mode: int = PRIVATE) -> int:
    """Create a file that does not exist yet, even as a broken link, and return its descriptor, which appends."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, mode)


def open_resolved(path: Path) -> IO[bytes]:
    """Open a file for reading by an absolute path without links; refuse a link that was put into it since."""
    # Opened only to pass through, which needs no permission to list the folder.
    flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(path.anchor, flags)
    try:
        for part in path.parts[1:-1]:
            inner = os.open(part, flags, dir_fd=folder)
            os.close(folder)
            folder = inner
        return open_regular(path.name, folder=folder)
    finally:
        os.close(folder)


def open_regular(path: Path | str, *, folder: int | None = None) -> IO[bytes]:
    """Open a file for reading; refuse a link, a pipe or a device in its place, and do not hang."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def make_private_folder(folder: Path) -> None:
    """Create a folder, or accept one that is neither a link nor, in a shared folder like ``/tmp``, another user's."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    check_private_folder(folder)


def check_private_folder(folder: Path) -> None:
    """Refuse a folder that is a link or, in a shared folder like ``/tmp``, another user's."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "is not a folder", str(folder))
    if folder.parent.stat().st_mode & stat.S_ISVTX and found.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "belongs to another user", str(folder))


@contextlib.contextmanager
def replacing(path: Path, *, mode: int, durable: bool = True) -> Iterator[IO[bytes]]:
    """Write a file so that a crash or a second writer leaves either the old content or the new, complete."""
    # A link in the file's place is replaced, never followed. The process's umask applies to mode.
    fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
    try:
        with os.fdopen(create(fresh, mode=mode), "wb") as file:
            yield file
            if durable:
                file.flush()  # to survive a power failure too
                os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; a renamed file's content is on the disk before its name is."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder may permit writing, but not listing
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF):  # some file systems can only sync files
            raise
    finally:
        os.close(handle)
