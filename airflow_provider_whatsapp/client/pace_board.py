"""
Where the processes of one machine keep their common pace: a few numbers in a small file.

Maton counts per account, and one machine runs many workers with the same key. The account determines the file, so the
processes need not know each other. If no such file is possible, a process paces only itself.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import functools
import hashlib
import logging
import mmap
import os
import stat
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableSequence

logger = logging.getLogger(__name__)

_NAME = "airflow-provider-whatsapp"
LONGEST_HOLD = 2.0
"""Seconds for which a process that was stopped while it had the lock delays the others; usually microseconds."""
BOOT_TOLERANCE = 60.0
"""Seconds by which two estimates of the machine's start may differ, because the wall clock may be corrected."""


class Board:
    """A fixed number of floats with a lock, for the threads of one process."""

    def __init__(self, size: int) -> None:
        self._lock = threading.Lock()
        self._numbers: MutableSequence[float] = array.array("d", bytes(8 * size))

    @contextlib.contextmanager
    def locked(self) -> Iterator[MutableSequence[float]]:
        """Yield the numbers, which no other thread changes inside the block; initially all are zero."""
        with self._lock:
            yield self._numbers

    def put(self, place: int, number: float) -> None:
        """Write one number without the lock, to a place that nobody else writes to."""
        self._numbers[place] = number


class SharedBoard(Board):
    """A board for all processes of one user on one machine; raises OSError if its file cannot be used."""

    def __init__(self, path: Path, size: int) -> None:
        super().__init__(size)
        # The first float says since when the machine runs, because the clock of the other floats starts at zero with
        # it.
        length = 8 * (size + 1)
        self._own: MutableSequence[float] | None = None
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _allocate(self._file, length)
            self._floats = memoryview(mmap.mmap(self._file, length)).cast("d")
            self._numbers = self._floats[1:]  # type: ignore[assignment]
            with self.locked():
                pass
        except BaseException:
            os.close(self._file)
            raise

    @contextlib.contextmanager
    def locked(self) -> Iterator[MutableSequence[float]]:
        """Yield the numbers, which no other thread or process changes inside the block."""
        with self._lock:
            # While another process holds the lock for too long, they are this process's own, which begin as a copy.
            if not self._lock_file():
                yield self._present()
                return
            try:
                self._clear_if_stale()
                yield self._numbers
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)

    def put(self, place: int, number: float) -> None:
        """Write one number without the lock, to a place that nobody else writes to."""
        self._present()[place] = number

    def _present(self) -> MutableSequence[float]:
        """Return this process's own numbers if it has any, otherwise the common ones."""
        return self._own or self._numbers

    def _lock_file(self) -> bool:
        """Lock the file; after a holder kept the lock for too long, do not wait again until it is released."""
        until = time.monotonic() + (LONGEST_HOLD if self._own is None else 0.0)
        pause = 0.0005
        while True:
            try:
                # These locks belong to the process, so they also work between a parent and its forks, and end when a
                # process dies.
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                if time.monotonic() >= until:
                    self._go_alone()
                    return False
                time.sleep(pause)
                pause = min(2 * pause, 0.02)
            else:
                self._own = None
                return True

    def _go_alone(self) -> None:
        if self._own is None:
            self._own = array.array("d", self._numbers)
            logger.warning(
                "Another process has locked this machine's pacing file for %g s: this process paces only its own "
                "requests until it is released",
                LONGEST_HOLD,
            )

    def _clear_if_stale(self) -> None:
        boot = time.time() - time.monotonic()
        if abs(self._floats[0] - boot) > BOOT_TOLERANCE:
            for place in range(len(self._floats)):
                self._floats[place] = 0.0
        self._floats[0] = boot


def _allocate(file: int, length: int) -> None:
    """Allocate the file on the disk: writing to a page without a disk block would kill the process."""
    found = os.fstat(file)
    if found.st_size >= length and found.st_blocks * 512 >= length:
        return
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, length)
    else:
        os.ftruncate(file, max(length, found.st_size))


def open_board(identity: str, size: int, *, more: int = 0) -> Board:
    """Return the machine's board for an account; if that is not possible, one for this process only."""
    # more: floats that an earlier version, which shares the board, does not know.
    name = hashlib.sha256(f"pace {size} {identity}".encode()).hexdigest()[:32]
    try:
        return SharedBoard(own_folder() / f"{name}.pace", size + more)
    except (OSError, ValueError) as error:
        logger.warning(
            "Pacing only this process, because it has no folder to share with other processes of this machine: %s",
            error,
        )
        return Board(size + more)


def own_folder() -> Path:
    """Return this user's private folder for small files that the processes of one machine share."""
    refused = []
    for folder in _folders():
        try:
            found = _made(folder)
        except OSError as error:
            refused.append(f"{folder}: {error.strerror or error}")
            continue
        if refused:
            _warn_once(
                f"The processes of this machine share files in {found}, because another folder cannot be used "
                f"({'; '.join(refused)}). If another user created that one, ask for its removal."
            )
        return found
    raise PermissionError(f"there is no folder that belongs only to this user: {'; '.join(refused)}")


def _folders() -> Iterator[Path]:
    # Another user may have created this one, or be able to read it; then the next ones are tried.
    yield Path(tempfile.gettempdir()) / f"{_NAME}-{os.getuid()}"
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    if runtime.is_absolute() and runtime.is_dir():
        yield runtime / _NAME
    with contextlib.suppress(RuntimeError):  # the user has no home directory
        yield Path.home() / ".cache" / _NAME


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True, parents=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError("does not belong only to this user")
    return folder


@functools.cache
def _warn_once(text: str) -> None:
    logger.warning("%s", text)
