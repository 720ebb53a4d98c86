"""The files for rows of analytics: one file, or one for each day or month; existing rows are read and kept."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from datetime import date, timedelta
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_whatsapp.analytics.formats import format_of
from airflow_provider_whatsapp.client.errors import ConfigurationError, WhatsAppError
from airflow_provider_whatsapp.delivery.local_files import replacing
from airflow_provider_whatsapp.delivery.stores import forget_listing, local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from zoneinfo import ZoneInfo

    from airflow_provider_whatsapp.client.analytics_kinds import Kind

    Row = dict[str, Any]

PLACES = {"{day}": "%Y-%m-%d", "{month}": "%Y-%m"}
"""Placeholders in a destination's name, and the format of the row's day in their place."""
PARTS = tuple(PLACES)


class DestinationError(WhatsAppError):
    """A file could not be read or written; it was not changed."""


class Destination:
    """The files to which rows are written."""

    def __init__(self, given: Any, kind: Kind, zone: ZoneInfo, opened: Callable[[str], Any]) -> None:
        self._given = given  # a path or URL, or an object of either; {day} or {month} makes a file for each
        self._kind = kind
        self._zone = zone  # of the days
        self._opened = opened  # makes a path from a text
        self._format = format_of(str(given))
        self._pattern = next((place for place in PARTS if place in str(given)), None)
        self._paths: dict[str, Any] = {}

    @property
    def has_parts(self) -> bool:
        """Whether each day or month has its own file."""
        return self._pattern is not None

    def part_of(self, row: Row) -> str:
        """Return the part that a row belongs to: its day or month, or an empty text."""
        return self._part(row["start"].astimezone(self._zone).date())

    def parts(self, first: date, last: date) -> list[str]:
        """Return the parts for a range of days without the last one, in order."""
        days = (first + timedelta(days=count) for count in range((last - first).days))
        return list(dict.fromkeys(map(self._part, days)))

    def _part(self, day: date) -> str:
        return f"{day:{PLACES[self._pattern]}}" if self._pattern is not None else ""

    def path(self, part: str) -> Any:
        """Return the file of a part."""
        if part not in self._paths:
            self._paths[part] = self._made(part)
        return self._paths[part]

    def _made(self, part: str) -> Any:
        pattern = self._pattern
        if isinstance(self._given, str):
            return self._opened(self._given.replace(pattern, part) if pattern else self._given)
        path, names = self._given, []
        while pattern and pattern in str(path) and path.name:
            names.append(path.name.replace(pattern, part))
            path = path.parent
        return path.joinpath(*reversed(names)) if names else path

    def check(self, part: str) -> None:
        """Create the folder of a part's file on a disk, and check that a file can be written there."""
        path = local_path(self.path(part))
        if path is None:  # an object store's permissions are known only when it is written to
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not path.is_file():
                raise IsADirectoryError(path)
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise ConfigurationError(
                f"destination: {path} cannot be written: {type(error).__name__}",
                advice="No request was sent. Give a path in a folder that the worker may write to.",
            ) from None

    def read(self, part: str) -> Iterator[Row]:
        """Yield the rows in a part's file, if there is one; raises PayloadError if it contains something else."""
        path = self.path(part)
        with self._reading(path) as file:
            if file is not None:
                yield from self._format.read(file, self._kind, path.name)

    @contextlib.contextmanager
    def _reading(self, path: Any) -> Iterator[IO[bytes] | None]:
        local = local_path(path)
        with contextlib.ExitStack() as stack:
            try:
                if local is not None:
                    file: IO[bytes] | None = stack.enter_context(local.open("rb")) if local.exists() else None
                else:
                    file = stack.enter_context(tempfile.TemporaryFile())
                    forget_listing(path)
                    with path.open("rb") as remote:
                        shutil.copyfileobj(remote, file)
                    file.seek(0)
            except FileNotFoundError:
                file = None
            except Exception as error:
                raise _failed("read", path, error) from error
            yield file

    def write(self, part: str, rows: Iterable[Row]) -> Any:
        """Write a part's file completely, replace an earlier one, and return its path."""
        path = self.path(part)
        local = local_path(path)
        try:
            if local is not None:
                local.parent.mkdir(parents=True, exist_ok=True)
                with replacing(local, mode=0o666) as file:
                    self._format.write(file, self._kind, rows)
            else:
                # Written to a local file first: an interrupted upload would leave half a file in the store.
                with tempfile.TemporaryFile() as file:
                    self._format.write(file, self._kind, rows)
                    file.seek(0)
                    with path.open("wb") as remote:
                        shutil.copyfileobj(file, remote)
        except WhatsAppError:
            raise
        except Exception as error:
            raise _failed("written", path, error) from error
        return path

    def exists(self, part: str) -> bool:
        """Return whether a part has a file."""
        return bool(self.path(part).exists())


def _failed(what: str, path: Any, error: Exception) -> DestinationError:
    return DestinationError(
        f"{path} could not be {what}: {type(error).__name__}: {str(error)[:200]}",
        advice="The earlier file is unchanged. Check the path, and the permissions of the worker's connection there.",
    )
