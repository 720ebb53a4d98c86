"""The stores of the throttle state: where its records are, under which names and in which form."""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from airflow_provider_whatsapp.client.pace_board import own_folder
from airflow_provider_whatsapp.delivery.local_files import replacing
from airflow_provider_whatsapp.notifications.records import is_sound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from _typeshed import DataclassInstance

K = TypeVar("K", bound="DataclassInstance")

logger = logging.getLogger(__name__)

PREFIX = "whatsapp_alert_"
CLAIM = "_claim"
MOVED = "moved"
"""Field of a stored text: the hash of what was moved into it last, so that nobody moves it twice."""
MOST_LISTED = 2_000
"""Records of a store that are listed, at most."""


class Store(Protocol):
    """Where records are stored: it has the class methods of Airflow's ``Variable``."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value."""

    def set(self, key: str, value: Any) -> None:
        """Store a value."""

    def delete(self, key: str) -> None:
        """Delete a value."""


@runtime_checkable
class SwapStore(Store, Protocol):
    """A store that several machines can write to at the same time."""

    def swap(self, key: str, before: str | None, after: str) -> bool:
        """Replace a value by another; False: the store does not hold the first any more."""


class Files:
    """Files on this machine, for synchronous deadlines: Airflow 3.3 lets them read Variables, but not write them."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder  # None: this user's own folder for temporary files

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, or the default if there is none."""
        path = self._path(key)
        return path.read_text(encoding="utf-8") if path.exists() else default

    def set(self, key: str, value: Any) -> None:
        """Store a value as text."""
        with replacing(self._path(key), mode=0o600, durable=False) as file:
            file.write(str(value).encode())

    def delete(self, key: str) -> None:
        """Delete a value, if there is one."""
        self._path(key).unlink(missing_ok=True)

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield names and values."""
        for path in sorted((self._folder or own_folder()).glob(f"{PREFIX}*.json"))[:MOST_LISTED]:
            yield path.stem, path.read_text(encoding="utf-8")

    def _path(self, key: str) -> Path:
        return (self._folder or own_folder()) / f"{key}.json"


def name_of(key: str) -> str:
    """Return the name under which a key's record is stored."""
    return PREFIX + hashlib.sha256(key.encode()).hexdigest()[:16]


def text_of(record: DataclassInstance, label: str, before: str | None, **more: str) -> str:
    """Return a record as the text that a store holds; it keeps the field ``moved`` of the text before."""
    # The stamp makes each text different: two machines can write the same numbers.
    kept = {"key": label, "stamp": uuid.uuid4().hex[:12]}
    if moved := moved_of(before):
        kept[MOVED] = moved
    return json.dumps(kept | more | asdict(record))


def moved_of(text: str | None) -> str:
    """Return the hash of what was moved into a stored record last; empty: nothing was."""
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return ""
    moved = found.get(MOVED) if isinstance(found, dict) else None
    return moved if isinstance(moved, str) else ""


def label_of(text: str) -> str:
    """Return a stored record's label for people; empty: it has none that can be shown."""
    try:
        found = json.loads(text)
        label = found.get("key") if isinstance(found, dict) else None
        return label if isinstance(label, str) and label.encode() else ""
    except (ValueError, RecursionError):
        return ""


def is_name_of(name: str, key: str) -> bool:
    """Say whether a key's record is stored under a name."""
    return name == name_of(key)


def parsed(text: str | None, kind: type[K], *, name: str = "") -> K:
    """Read a record; an unreadable or damaged one counts as empty, and is logged if ``name`` is given."""
    known = {item.name: item.metadata.get("each") for item in fields(kind)}
    try:
        found = json.loads(text) if text else {}
        values = {key: _read(value, known[key]) for key, value in found.items() if key in known}
        record = kind(**values)
        if is_sound(record):
            return record
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    if name:
        logger.warning("WhatsApp: the throttle state in %s is damaged and counts as empty", name)
    return kind()


def _read(value: Any, each: Callable[[Any], Any] | None) -> Any:
    """Return a field's value; if the field holds records, ``each`` reads one of them."""
    if each is not None:
        return tuple(map(each, value))
    return tuple(value) if isinstance(value, list) else value
