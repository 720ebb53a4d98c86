"""
Every recipient's outcome in a file of JSON lines, which a later broadcast can take as its recipients.

Each try writes parts beside the file, so that the message ids of a try that is killed are not lost; at the end they
are put together, the newest outcome of each recipient first.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.delivery.result_lines import FORMAT, has_shape, is_unmarked, keeps_row
from airflow_provider_whatsapp.delivery.stores import forget_listing, local_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_whatsapp.delivery.recipients import Row
    from airflow_provider_whatsapp.delivery.report import Outcome

PART = 500
"""Outcomes in one upload to an object store, and so those whose message ids are lost when a worker is killed."""


class Results:
    """
    The file of one task's outcomes.

    :param path: ``ObjectStoragePath`` or ``pathlib.Path`` of the file.
    :param key: Tells this task run from others that write to the same path.
    :param number: The try.
    :param resumed: The file at ``path`` is an earlier try's of this task run.
    """

    def __init__(self, path: Any, *, key: str, number: int, resumed: bool = False) -> None:
        local = local_path(path)
        self._local = local is not None
        self._path = path if local is None else local
        self._folder = self._path.parent / f"{self._path.name}.{key}.parts"
        self._number = number
        self._resumed = resumed
        self._lines: list[str] = []
        self._parts = 0
        self._file: IO[str] | None = None

    def discard_earlier(self) -> None:
        """Forget what earlier tries have left: everybody is sent to again."""
        self._resumed = False
        for part in self._earlier():
            part.unlink()

    def take(self, row: Row, outcome: Outcome, message: dict[str, Any] | None = None) -> None:
        """
        Take an outcome.

        :param row: The recipient.
        :param outcome: What became of them.
        :param message: What they would have got, from a dry run.
        """
        line = {
            "format": FORMAT,
            "n": row.position,
            **outcome.to_dict(),
            "given": row.given,
            "where": row.where,
        }
        if outcome.status == "sent" and outcome.sent is None:
            line["earlier"] = True
        if keeps_row(line):
            line["row"] = dict(row.values)
        if message is not None:
            line["message"] = message
        self._lines.append(json.dumps(line, ensure_ascii=False, default=str))
        if self._local or len(self._lines) >= PART:
            self.flush()

    def flush(self) -> None:
        """Write what has come."""
        if not self._lines:
            return
        text = "".join(f"{line}\n" for line in self._lines)
        self._lines = []
        if self._local:
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file = (self._folder / f"{self._number:04}.jsonl").open("a", encoding="utf-8")
            self._file.write(text)
            self._file.flush()
            return
        (self._folder / f"{self._number:04}-{self._parts:06}.jsonl").write_bytes(text.encode())
        self._parts += 1

    def finish(self) -> int:
        """Put the parts together at the path, and return how many recipients are in the file."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None
        count = 0
        with tempfile.TemporaryFile() as whole:
            for line in self._merged():
                whole.write(line)
                count += 1
            whole.seek(0)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _replace(self._path, whole)
        return count

    def clean(self) -> None:
        """Delete the parts: no later try needs them."""
        for part in self._earlier():
            part.unlink()
        if self._local and self._folder.exists():
            self._folder.rmdir()

    def _earlier(self) -> list[Any]:
        forget_listing(self._folder)
        try:
            return sorted(self._folder.iterdir(), key=lambda part: str(part.name))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _merged(self) -> Iterator[bytes]:
        """Yield the newest line of each recipient; one with message ids is better than one that only says sent."""
        done, sent = _Places(), _Places()
        files = [*reversed(self._earlier())]
        if self._resumed and self._path.exists():
            files.append(self._path)
        for bare in (False, True):
            for file in files:
                for raw, line in _lines(file):
                    place = line["n"]
                    if bool(line.get("earlier")) is not bare:
                        if not bare:
                            sent.add(place)
                    elif place not in done and (bare or line["status"] == "sent" or place not in sent):
                        done.add(place)
                        yield raw


def mark_results(path: Any) -> int:
    """
    Mark a results file that version 0.1 wrote, and return how many recipients are in it.

    Values of those who are never sent to again leave the file, as they do not enter it now.

    :param path: ``ObjectStoragePath`` or ``pathlib.Path`` of the file.
    :raises PayloadError: The file holds something else; it stays as it is.
    :raises OSError: It cannot be read or written.
    """
    count, changed = 0, False
    with tempfile.TemporaryFile() as whole:
        with path.open("rb") as file:
            for number, raw in enumerate(iter(file.readline, b""), 1):
                line = _line(raw, f"{path.name}:{number}")
                if is_unmarked(line):
                    changed = True
                    line = {"format": FORMAT, **line}
                    if not keeps_row(line):
                        line.pop("row", None)
                whole.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
                count += 1
        if changed:
            whole.seek(0)
            _replace(path, whole)
    return count


def _line(raw: bytes, where: str) -> dict[str, Any]:
    try:
        line = json.loads(raw)
    except ValueError:
        line = None
    if isinstance(line, dict) and has_shape(line) and line.get("format", FORMAT) == FORMAT:
        return line
    raise PayloadError(
        f"{where} is no line of a results file",
        field="PATH",
        advice="Nothing was changed. Name a file that a task with results_path has written.",
    )


def _replace(path: Any, whole: IO[bytes]) -> None:
    local = local_path(path)
    path = path if local is None else local
    fresh = path if local is None else path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        shutil.copyfileobj(whole, file)
    if local is not None:
        fresh.replace(path)


class _Places:
    """A set of small numbers, one bit each."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, place: int) -> None:
        byte, bit = divmod(place, 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        self._bits[byte] |= 1 << bit

    def __contains__(self, place: int) -> bool:
        byte, bit = divmod(place, 8)
        return byte < len(self._bits) and bool(self._bits[byte] & (1 << bit))


def _lines(file: Any) -> Iterator[tuple[bytes, dict[str, Any]]]:
    with file.open("rb") as lines:
        for raw in iter(lines.readline, b""):  # Airflow 3.1.0's own files of object stores cannot be iterated
            try:
                yield raw.rstrip() + b"\n", json.loads(raw)
            except ValueError:  # the last line of a try that was killed
                continue
