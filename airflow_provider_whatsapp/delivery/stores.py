"""Where a ledger lives: Airflow's task state store, small files on a disk or in a bucket, or memory alone."""

from __future__ import annotations

import hashlib
import json
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from urllib.parse import quote

from airflow_provider_whatsapp.client.errors import WhatsAppError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RETENTION = timedelta(days=90)
"""How long Airflow keeps a ledger that is no longer written to; longer than any retry or clear that still matters."""
PAUSES = (0.2, 1.0)
"""Seconds to wait before a failed write to a store is tried again."""
_LONGEST_NAME = 150


class LedgerError(WhatsAppError):
    """The ledger could not be read or written, so nothing more is sent: what is not written down must not leave."""


class Store(Protocol):
    """Keeps small JSON values under short names; a value is durable when ``set`` returns."""

    name: str
    """What it is called in logs and errors."""
    durable: bool
    """Whether a later try of the task finds what was written."""
    exclusive: bool
    """Whether a try that was given up, but still runs, can no longer write."""

    def get(self, key: str) -> Any:
        """Return the value, or None when there is none."""

    def set(self, key: str, value: Any) -> None:
        """Write the value whole, over what was there."""


class MemoryStore:
    """Forgets with the process: for where no other store is to be had, and for notifiers."""

    name = "memory"
    durable = False
    exclusive = True

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def get(self, key: str) -> Any:
        """
        Return the value, or None when there is none.

        :param key: Its name.
        """
        return json.loads(self._values.get(key, "null"))

    def set(self, key: str, value: Any) -> None:
        """
        Write the value.

        :param key: Its name.
        :param value: JSON primitives.
        """
        self._values[key] = json.dumps(value)


class StateStore:
    """
    Airflow's task state store (3.3+), which outlives retries and clears of the task.

    A try that Airflow has given up cannot write to it any more, so two tries never share a ledger.

    :param accessor: ``context["task_state_store"]``.
    """

    name = "Airflow's task state store"
    durable = True
    exclusive = True
    prefix: ClassVar[str] = "whatsapp/"

    def __init__(self, accessor: Any) -> None:
        self._accessor = accessor

    def get(self, key: str) -> Any:
        """
        Return the value, or None when there is none.

        :param key: Its name.
        """
        return self._accessor.get(self.prefix + key)

    def set(self, key: str, value: Any) -> None:
        """
        Write the value.

        :param key: Its name.
        :param value: JSON primitives.
        """
        self._accessor.set(self.prefix + key, value, retention=RETENTION)


class FileStore:
    """
    One small file per value in a folder, written whole: on a disk by renaming, in a bucket by one upload.

    Nothing is ever appended, since object stores cannot.

    :param folder: ``pathlib.Path``, or an ``ObjectStoragePath``.
    :param parts: Names of the folders below it that make the ledger one task's alone.
    """

    durable = True
    exclusive = False

    def __init__(self, folder: Any, *parts: str) -> None:
        self._local = local_path(folder)
        self._folder = self._local if self._local is not None else folder
        for part in parts:
            self._folder = self._folder / _folder_name(part)
        self.name = f"the ledger in {self._folder}"

    def get(self, key: str) -> Any:
        """
        Return the value, or None when there is none.

        :param key: Its name.
        """
        forget_listing(self._folder)
        try:
            content = (self._folder / self._file(key)).read_bytes()
        except FileNotFoundError:
            return None
        return json.loads(content)

    def set(self, key: str, value: Any) -> None:
        """
        Write the value.

        :param key: Its name.
        :param value: JSON primitives.
        """
        content = json.dumps(value, separators=(",", ":")).encode()
        path = self._folder / self._file(key)
        if self._local is None:
            path.write_bytes(content)
            return
        try:
            replace_file(path, content)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)

    @staticmethod
    def _file(key: str) -> str:
        return f"{key.replace('/', '-')}.json"


def _folder_name(part: str) -> str:
    """Return a name that every file system takes, and no other part shares."""
    name = part.replace(".", "%2E") if part in (".", "..") else quote(part, safe="=:+")
    if len(name) <= _LONGEST_NAME:
        return name or "%"
    return f"{name[:_LONGEST_NAME]}-{hashlib.sha256(part.encode()).hexdigest()[:12]}"


def local_path(path: Any) -> Path | None:
    """
    Return the path of a local file as ``pathlib.Path``, or None for one that is not on a local disk.

    :param path: ``pathlib.Path`` or ``ObjectStoragePath``.
    """
    if isinstance(path, str):
        return Path(path)
    if getattr(path, "protocol", None) in ("file", "local", "") and hasattr(path, "path"):
        return Path(path.path)
    return path if isinstance(path, Path) else None


def forget_listing(path: Any) -> None:
    """
    Drop what a file system of an object store remembers of its listings, which may be older than the last try.

    :param path: ``pathlib.Path`` or ``ObjectStoragePath``.
    """
    system = getattr(path, "fs", None)
    if system is not None and hasattr(system, "invalidate_cache"):
        system.invalidate_cache()


def replace_file(path: Path, content: bytes) -> None:
    """
    Write a local file so that a crash leaves the old content or the new, whole.

    :param path: The file; its folder exists.
    :param content: All of it.
    """
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def attempt(action: Callable[[], Any], what: str, pauses: Sequence[float] = PAUSES) -> Any:
    """
    Do something with a store, again after short pauses when it fails.

    :param action: What to do; doing it twice must be the same as once.
    :param what: What it is, for the error: ``"Airflow's task state store could not be written"``.
    :param pauses: Seconds to wait before each further try.
    :raises LedgerError: It failed every time.
    """
    for pause in (*pauses, None):
        try:
            return action()
        except Exception as error:
            if pause is None:
                raise LedgerError(
                    f"{what}: {type(error).__name__}: {str(error)[:200]}",
                    advice="Nothing was sent that is not in the ledger. When the store works again, retry or clear the "
                    "task: whoever has a message is left out.",
                ) from error
        time.sleep(pause)
    return None
