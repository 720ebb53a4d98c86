"""Where a ledger is stored: in Airflow's task state store, in small files on a disk or in a bucket, or in memory."""

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
from airflow_provider_whatsapp.delivery.local_files import replacing, sync_folder
from airflow_provider_whatsapp.delivery.retry_policy import BEGINS, cause_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RETENTION = timedelta(days=90)
"""How long Airflow keeps an unused ledger; longer than any retry or clear that may still come."""
PAUSES = (0.2, 1.0)
"""Seconds to wait before each further try of a failed write."""
_LONGEST_NAME = 150
GONE = (404, 409, 410)
"""HTTP statuses of Airflow's API server for a try that it has given up: a clear or retry gives the task a new ID."""


class LedgerError(WhatsAppError):
    """The ledger could not be read or written, so nothing more is sent: no message may leave without its claim."""


class Store(Protocol):
    """Keeps small JSON values under short names; a value is durable when ``set`` returns."""

    name: str
    """The store's name in logs and errors."""
    durable: bool
    """Whether a later try of the task finds what was written."""
    exclusive: bool
    """Whether a try that was given up, but still runs, can no longer write."""

    def get(self, key: str) -> Any:
        """Return the value; None: there is none."""

    def set(self, key: str, value: Any) -> None:
        """Write the whole value, and replace an earlier one."""


class MemoryStore:
    """Values that last as long as the process: if no other store is available, and for notifiers."""

    name = "memory"
    durable = False
    exclusive = True

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def get(self, key: str) -> Any:
        """Return the value; None: there is none."""
        return json.loads(self._values.get(key, "null"))

    def set(self, key: str, value: Any) -> None:
        """Write the value."""
        self._values[key] = json.dumps(value)


class Mark(Protocol):
    """Where a mark is stored: the class methods of an Airflow Variable."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value."""

    def set(self, key: str, value: Any, description: str | None = None) -> None:
        """Write a value; Airflow logs a failure and raises nothing."""

    def delete(self, key: str) -> None:
        """Delete a value."""


class MarkedMemory(MemoryStore):
    """Memory, and a mark that outlives it and says that a try has begun to send and has not succeeded."""

    def __init__(self, mark: Mark, task: Sequence[str]) -> None:
        super().__init__()
        self._mark = mark
        self._task = list(task)
        self._this = {"try_number": 1, "max_tries": 0}
        self._marked = False
        self.key = f"whatsapp_sending_{hashlib.sha256(json.dumps(self._task).encode()).hexdigest()[:20]}"
        self.name = f"the mark in Airflow's Variable {self.key}"

    def admit(self, number: int, max_tries: int, *, resend_on_clear: bool) -> bool:
        """Refuse a try if an earlier one has left its mark; return True if all are sent to again despite it."""
        self._this = {"try_number": number, "max_tries": max_tries}
        if number == 1:
            return False
        # To whom that try has sent is lost with its process, so a later try that finds the mark sends nothing.
        found = attempt(lambda: self._mark.get(self.key, None), f"{self.name} could not be read")
        if found is None:
            return False
        cleared = f'"max_tries": {max_tries}}}' not in str(found)  # a clear raises max_tries
        if BEGINS["mark"][cause_of(cleared=cleared, resend_on_clear=resend_on_clear)] != "refuse":
            return True
        # If a clear sends again anyway, the task may not accept the argument at all: a question does not.
        clear = "Clear the task" if resend_on_clear else "Clear the task with resend_on_clear=True"
        raise LedgerError(
            "an earlier try of this task had begun to send when it ended, and no ledger says to whom",
            permanent=True,
            advice=f"{clear} to send to everybody again. With ledger_path=, or on Airflow 3.3, a later try knows "
            f"whom "
            f"to leave out. (The Variable {self.key} records this.)",
        )

    def set(self, key: str, value: Any) -> None:
        """Write the value; the first claim sets the mark, and the task's success removes it."""
        super().set(key, value)
        if key != "head":
            return
        if value["claimed"] and not self._marked:
            self._set_mark()
        reached = value["sent"] or value["chunks"] or any(note[1] == "unknown" for note in value["notes"])
        if self._marked and (value["finished"] == "success" or (value["finished"] and not reached)):
            self._mark.delete(self.key)
            self._marked = False

    def _set_mark(self) -> None:
        names = dict(zip(("dag_id", "run_id", "task_id", "map_index"), self._task, strict=True))
        value = json.dumps(names | self._this)
        about = "A WhatsApp task has begun to send and has not succeeded yet. Delete this when you delete the run."
        self._mark.set(self.key, value, about)
        if self._mark.get(self.key, None) != value:  # Airflow would only have logged that the write failed
            msg = "it was not there when it was read again"
            raise OSError(msg)
        self._marked = True


class StateStore:
    """Airflow's task state store (3.3+), which outlives retries and clears of the task."""

    name = "Airflow's task state store"
    durable = True
    exclusive = True
    prefix: ClassVar[str] = "whatsapp/"

    def __init__(self, accessor: Any) -> None:
        self._accessor = accessor  # task_state_store in the task's context
        self._supervisor = os.getppid()

    def get(self, key: str) -> Any:
        """Return the value; None: there is none."""
        return self._accessor.get(self.prefix + key)

    def set(self, key: str, value: Any) -> None:
        """Write the value."""
        try:
            self._accessor.set(self.prefix + key, value, retention=RETENTION)
        except Exception as error:
            if _status(error) in GONE:
                raise LedgerError(
                    "this try is no longer the task's current one in Airflow: the task was cleared, or another try "
                    "took over",
                    permanent=True,
                ) from error
            if os.getppid() != self._supervisor:
                raise LedgerError(
                    "the process that supervises this task has died, so the task can no longer reach Airflow",
                    permanent=True,
                ) from error
            raise


class FileStore:
    """One small file per value in a folder, written completely: on a disk by renaming, in a bucket by one upload."""

    durable = True
    exclusive = False

    def __init__(self, folder: Any, *parts: str) -> None:
        self._local = local_path(folder)
        self._folder = self._local if self._local is not None else folder
        for part in parts:  # folders that belong to only one task's ledger
            self._folder = self._folder / _folder_name(part)
        self.name = f"the ledger in {self._folder}"

    def get(self, key: str) -> Any:
        """Return the value; None: there is none."""
        forget_listing(self._folder)
        try:
            content = (self._folder / self._file(key)).read_bytes()
        except FileNotFoundError:
            return None
        return json.loads(content)

    def set(self, key: str, value: Any) -> None:
        """Write the value."""
        # Nothing is ever appended, because object stores cannot append.
        content = json.dumps(value, separators=(",", ":")).encode()
        path = self._folder / self._file(key)
        if self._local is None:
            path.write_bytes(content)
            return
        try:
            replace_file(path, content)
        except FileNotFoundError:
            _make_folder(path.parent)
            replace_file(path, content)

    @staticmethod
    def _file(key: str) -> str:
        return f"{key.replace('/', '-')}.json"


def _status(error: Exception) -> int | None:
    """Return the HTTP status with which Airflow's API server refused a task's request; None: it was not a refusal."""
    detail = getattr(getattr(error, "error", None), "detail", None)
    return detail.get("status_code") if isinstance(detail, dict) else None


def _folder_name(part: str) -> str:
    """Return a unique name that every file system accepts."""
    name = part.replace(".", "%2E") if part in (".", "..") else quote(part, safe="=:+")
    if len(name) <= _LONGEST_NAME:
        return name or "%"
    return f"{name[:_LONGEST_NAME]}-{hashlib.sha256(part.encode()).hexdigest()[:12]}"


def local_path(path: Any) -> Path | None:
    """Return the path of a local file as ``pathlib.Path``; None: the file is not on a local disk."""
    if isinstance(path, str):
        return Path(path)
    # Checked first: with older libraries, as in Airflow 3.1, the path of an object store is a pathlib.Path too.
    protocol = getattr(path, "protocol", None)
    if protocol is not None:
        return Path(path.path) if protocol in ("file", "local", "") else None
    return path if isinstance(path, Path) else None


def forget_listing(path: Any) -> None:
    """Drop a file system's cached listings of an object store, which may be older than the last try."""
    system = getattr(path, "fs", None)
    if system is not None and hasattr(system, "invalidate_cache"):
        system.invalidate_cache()


def replace_file(path: Path, content: bytes) -> None:
    """Write a local file so that a crash or a second writer leaves either the old content or the new, complete."""
    with replacing(path, mode=0o666) as file:
        file.write(content)


def _make_folder(folder: Path) -> None:
    """Create a folder and its parents durably, so that they survive a power failure."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def attempt(action: Callable[[], Any], what: str, pauses: Sequence[float] = PAUSES) -> Any:
    """Call a function that uses a store, again after pauses (in seconds) if it fails, and return its result."""
    # A repetition of the action must not change the result.
    for pause in (*pauses, None):
        try:
            return action()
        except LedgerError:  # it says already that a repetition cannot help
            raise
        except Exception as error:
            if pause is None:
                raise LedgerError(
                    f"{what}: {type(error).__name__}: {str(error)[:200]}",
                    advice="Nothing was sent that is not in the ledger. When the store works again, retry or clear "
                    "the "
                    "task: recipients who have a message are left out.",
                ) from error
        time.sleep(pause)
    return None
