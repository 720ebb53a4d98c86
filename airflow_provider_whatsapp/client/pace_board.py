"""
Where the processes of one machine keep their common pace: a few numbers in a small file.

Maton counts per account, and one machine runs many workers with the same key. Each of them finds the file by the
account, so none has to be told of the others. Where there can be no such file, a process paces itself alone.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
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

BOOT_TOLERANCE = 60.0
"""Seconds by which two estimates of the machine's start may differ, for the wall clock may be corrected."""


class Board:
    """
    A fixed number of floats under a lock, for the threads of one process.

    :param size: How many.
    """

    def __init__(self, size: int) -> None:
        self._lock = threading.Lock()
        self._numbers: MutableSequence[float] = array.array("d", bytes(8 * size))

    @contextlib.contextmanager
    def locked(self) -> Iterator[MutableSequence[float]]:
        """Give the numbers, which nobody else changes meanwhile; all are zero at first."""
        with self._lock:
            yield self._numbers

    def put(self, place: int, number: float) -> None:
        """
        Write one number without the lock, where nobody else writes to that place.

        :param place: Which.
        :param number: What.
        """
        self._numbers[place] = number


class SharedBoard(Board):
    """
    The same for all processes of one user on one machine.

    :param path: The file, made when it is missing.
    :param size: How many floats.
    :raises OSError: The file cannot be made, locked or mapped.
    """

    def __init__(self, path: Path, size: int) -> None:
        super().__init__(size)
        # The first float tells which start of the machine the others belong to: their clock began anew with it.
        length = 8 * (size + 1)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if os.fstat(self._file).st_size < length:
            os.ftruncate(self._file, length)
        self._floats = memoryview(mmap.mmap(self._file, length)).cast("d")
        self._numbers = self._floats[1:]  # type: ignore[assignment]
        with self.locked():
            pass

    @contextlib.contextmanager
    def locked(self) -> Iterator[MutableSequence[float]]:
        """Give the numbers, which no thread and no process changes meanwhile."""
        with self._lock:
            # Locks of this kind belong to the process, so they hold between a parent and its forks too, and end
            # with a process that dies.
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                self._clear_if_stale()
                yield self._numbers
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _clear_if_stale(self) -> None:
        boot = time.time() - time.monotonic()
        if abs(self._floats[0] - boot) > BOOT_TOLERANCE:
            for place in range(len(self._floats)):
                self._floats[place] = 0.0
        self._floats[0] = boot


def open_board(identity: str, size: int) -> Board:
    """
    Return the machine's board for an account, or one of this process alone where that cannot be.

    :param identity: What the account is known by; only its hash is kept.
    :param size: How many floats.
    """
    name = hashlib.sha256(f"pace {size} {identity}".encode()).hexdigest()[:32]
    try:
        return SharedBoard(own_folder() / f"{name}.pace", size)
    except (OSError, ValueError) as error:
        logger.info("Pacing this process alone, for its machine offers no common place: %s", error)
        return Board(size)


def own_folder() -> Path:
    """
    Return this user's own folder for small files that the processes of one machine share.

    :raises OSError: It cannot be made, or somebody else has made it or may look into it.
    """
    folder = Path(tempfile.gettempdir()) / f"airflow-provider-whatsapp-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        msg = f"{folder} is not this user's own folder"
        raise PermissionError(msg)
    return folder
