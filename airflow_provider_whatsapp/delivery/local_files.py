"""Files on a local disk that others may write beside: nothing planted is followed, nothing is left half-written."""

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
"""Nobody but the owner reads what holds recipients."""


def create(path: Path, *, mode: int = PRIVATE) -> int:
    """
    Create a file that is not there yet, and return its descriptor, which appends.

    :param path: The file; its folder exists.
    :param mode: Who may read and write it.
    :raises FileExistsError: Something of that name is there, a link to nowhere among them.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, mode)


def open_resolved(path: Path) -> IO[bytes]:
    """
    Open a file by a path without links, to read it: a link that was put into any part of the path since is refused.

    :param path: The file; absolute.
    :raises OSError: It is not there, is not a regular file, or a part of its path is not a folder.
    """
    # A folder is only passed through, which needs no permission to list it.
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
    """
    Open a file to read it; a link, a pipe or a device in its place is refused, and nothing hangs.

    :param path: The file.
    :param folder: Descriptor of the folder that a relative path begins in; None: the working directory.
    :raises OSError: It is not there, or is not a regular file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def make_private_folder(folder: Path) -> None:
    """
    Make a folder, or take one that is there; not a link, and in a folder like ``/tmp`` not somebody else's.

    :param folder: The folder.
    :raises OSError: It cannot be made, or is not one's own.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    check_private_folder(folder)


def check_private_folder(folder: Path) -> None:
    """
    Refuse a folder that somebody else may have put there: a link, and in a folder like ``/tmp`` another user's.

    :param folder: The folder.
    :raises OSError: It is not there, or is not one's own.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "is not a folder", str(folder))
    if folder.parent.stat().st_mode & stat.S_ISVTX and found.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "belongs to another user", str(folder))


@contextlib.contextmanager
def replacing(path: Path, *, mode: int, durable: bool = True) -> Iterator[IO[bytes]]:
    """
    Write a file so that a crash leaves the old content or the new, whole, and so do two writers at once.

    :param path: The file; its folder exists. A link in its place is replaced, never followed.
    :param mode: Who may read and write it, less what the process's umask takes.
    :param durable: Wait until the disk holds it, so that it outlives a loss of power too.
    """
    fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
    try:
        with os.fdopen(create(fresh, mode=mode), "wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """
    Make the names in a folder durable: a renamed file's content is on the disk before its name is.

    :param folder: The folder.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # it may be written to, and not be listed
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF):  # some file systems sync files alone
            raise
    finally:
        os.close(handle)
