"""
Which files may be read: those below ``[whatsapp] media_roots``, if it is set. A row of a list may name only files
below the path that the DAG's author has written in front of the column.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from airflow_provider_whatsapp._compat import conf
from airflow_provider_whatsapp.client.errors import ConfigurationError, PayloadError
from airflow_provider_whatsapp.client.media import source_form

OPTION = "[whatsapp] media_roots"
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LOCAL = ("", "file", "local")
_SAME = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}
_WAYS = (
    f'Put the files\' folder in front of the column, as in "s3://bucket/invoices/{{number}}.pdf", or list the '
    f"folders that rows may choose from in {OPTION} of Airflow's configuration."
)


@dataclass(frozen=True, slots=True)
class Place:
    """The location of a file or folder, in a form that can be compared."""

    store: tuple[str, str, str] | None  # scheme, connection, bucket of an object store; None: the local disk
    parts: tuple[str, ...]

    def holds(self, other: Place) -> bool:
        """Return whether another place is this one or below it."""
        return self.store == other.store and other.parts[: len(self.parts)] == self.parts

    def resolved(self) -> Place:
        """Return the place with its links resolved, which reads the disk; raises ValueError if they form a circle."""
        if self.store is not None:
            return self
        try:
            return Place(None, Path(*self.parts).resolve().parts)
        except (OSError, RuntimeError) as error:
            raise ValueError(str(type(error).__name__)) from error

    @property
    def is_everything(self) -> bool:
        """Whether it contains everything on a disk or in a store."""
        return len(self.parts) < 2 if self.store is None else not self.store[2]


def place_of(source: Any) -> Place:  # a path, an ObjectStoragePath, or the URL of an object store
    """Return the place of a source, with links on a disk resolved; raises ValueError if it climbs or is no path."""
    return seeming_place(source).resolved()


def seeming_place(source: Any) -> Place:  # a path, an ObjectStoragePath, or the URL of an object store
    """Return the place that a source's name says, without resolving links; raises ValueError if it is no path."""
    store, path = _taken_apart(source)
    if store is None:
        try:
            return Place(None, Path(path).expanduser().absolute().parts)
        except (OSError, RuntimeError) as error:  # the user after ~ does not exist
            raise ValueError(str(type(error).__name__)) from error
    segments = path.strip("/").split("/") if path.strip("/") else []
    for spelling in spellings(path):
        if climbs(spelling) or "::" in spelling:
            msg = "the path contains '..'"
            raise ValueError(msg)
    return Place(store, tuple(segments))


def spellings(path: str) -> list[str]:
    """Return every spelling that a later reader may see in a path: with percent-encodings and backslashes decoded."""
    found = [path]
    for _ in range(4):
        decoded = unquote(found[-1])
        if decoded == found[-1]:
            break
        found.append(decoded)
    return [*found, *(each.replace("\\", "/") for each in found)]


def _taken_apart(source: Any) -> tuple[tuple[str, str, str] | None, str]:
    """Return the store of a source (None: the local disk) and its path there."""
    protocol = getattr(source, "protocol", None)
    # Airflow 3.1 keeps the connection only in the store's options.
    options = getattr(source, "storage_options", None) or {}
    conn_id = getattr(source, "conn_id", None) or options.get("conn_id")
    if isinstance(protocol, str):
        scheme, rest = protocol.lower(), str(source.path)
    elif isinstance(source, str) and (match := _URL.match(source)):
        scheme, rest = match[1].lower(), match[2]
        user, at, host = rest.partition("/")[0].rpartition("@")
        if at:
            conn_id, rest = user or None, host + rest[len(user) + 1 + len(host) :]
    else:
        return None, os.fspath(source)
    if scheme in _LOCAL:
        return None, rest
    bucket, _, path = rest.lstrip("/").partition("/") if isinstance(protocol, str) else rest.partition("/")
    return (_SAME.get(scheme, scheme), conn_id or "", bucket), path


def media_roots() -> list[Place] | None:
    """Return the folders of ``[whatsapp] media_roots``; None: it is not set, and no folder is excluded."""
    return configured_folders("media_roots") or None


def configured_folders(option: str, *, resolve: bool = True) -> list[Place]:
    """Return the folders in an option of ``[whatsapp]``; ``resolve``: resolve links, which reads the disk."""
    given = conf.get("whatsapp", option, fallback="") or ""
    texts = [text.strip() for text in re.split(r"[,\n]", given) if text.strip()]
    folders = []
    for text in texts:
        try:
            if not (_URL.match(text) or text.startswith(("/", "~"))):
                raise ValueError(text)
            folders.append(place_of(text) if resolve else seeming_place(text))
        except ValueError as error:
            raise ConfigurationError(
                f"[whatsapp] {option}: {text!r} is neither an absolute path nor the URL of an object store",
                advice="Separate the folders by commas: /srv/invoices, s3://bucket/media.",
            ) from error
    return folders


def readable(source: Any, *, field: str, links: bool = False) -> Any:
    """Return a source in the form in which to read it: unchanged, or with ``media_roots`` its path without links."""
    # With links, the task itself reads a URL, such as a list's; a media URL goes to WhatsApp unchanged.
    if not (_is_path(source) or (links and isinstance(source, str))):
        return source
    roots = media_roots()
    if roots is None:
        return source
    try:
        place = place_of(source)
    except ValueError:
        place = None
    if place is None or not any(root.holds(place) for root in roots):
        raise PayloadError(
            f"names a file outside the folders of {OPTION}",
            field=field,
            advice="Nothing was read. Add its folder to that option of Airflow's configuration, or move the file.",
        )
    return Path(*place.parts) if place.store is None else source


def _is_path(source: Any) -> bool:
    if isinstance(source, str):
        return source_form(source) in ("file", "store")
    return isinstance(source, os.PathLike) or isinstance(getattr(source, "protocol", None), str)


class RowFiles:
    """The files that the rows of a list may name."""

    def __init__(self, prefix: str) -> None:
        # What the author has written before the first column: "s3://bucket/invoices/" of "s3://bucket/invoices/{id}".
        self._prefix = prefix[: prefix.rfind("/") + 1]
        self._roots = media_roots()
        self._fence: Place | None = None
        if self._prefix:
            try:
                fence = place_of(self._prefix)
            except ValueError:
                return
            self._fence = None if fence.is_everything else fence

    def open(self, source: str) -> Any:
        """Return the path of a row's file, or refuse it; the error does not name the file."""
        try:
            place = place_of(source)
            if not self._may_read(source, place):
                raise ValueError(source)
        except ValueError:
            raise _forbidden(fenced=self._fence is not None) from None
        if place.store is not None:
            from airflow_provider_whatsapp.hooks.object_stores import object_path

            return object_path(source)
        path = Path(*place.parts)
        try:
            regular = stat.S_ISREG(path.stat().st_mode)
        except OSError as error:
            raise PayloadError(
                f"the row's file cannot be read: {type(error).__name__}",
                field="header",
                advice="Check that it exists on the machine that runs the task.",
            ) from None
        if not regular:
            raise PayloadError(
                "the row's file is not a regular file", field="header", advice="Correct this row."
            )
        return path

    def _may_read(self, source: str, place: Place) -> bool:
        if self._roots is not None and not any(root.holds(place) for root in self._roots):
            return False
        if self._fence is None:
            return self._roots is not None
        rest = source.removeprefix(self._prefix)
        leads_out = any(climbs(spelling) or "://" in spelling for spelling in spellings(rest))
        return not leads_out and _CONTROL.search(rest) is None and self._fence.holds(place)


def climbs(spelling: str) -> bool:
    """Return whether a path contains ``..``; in a URL the path ends at a question mark or a number sign."""
    return ".." in re.split(r"[/?#]", spelling)


def _forbidden(*, fenced: bool) -> PayloadError:
    if fenced:
        problem = "the row's value leads out of the folder in front of its column"
        return PayloadError(problem, field="header", advice=f"Correct this row. {_WAYS}")
    return PayloadError(
        "a row's value names a file, and no folder in front of its column allows that",
        field="header",
        advice=_WAYS,
    )
