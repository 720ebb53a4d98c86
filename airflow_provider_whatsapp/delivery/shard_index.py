"""
The rows of a long list, divided by shard once, so that each shard reads its own rows and not the whole list.

The index is in a folder beside the results: a part for each shard, with its rows in the list's order, and a head, which
is written last. The head identifies the list and each part by their digests; an index is only read as far as its head
confirms it. The number alone decides to which shard a row belongs, so a shard that reads the list itself finds the same
rows at the same positions.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.delivery.compact_sets import Seen
from airflow_provider_whatsapp.delivery.countries import country
from airflow_provider_whatsapp.delivery.ledger import SourceChangedError
from airflow_provider_whatsapp.delivery.list_identity import Watched, digest_of, digest_of_rest, stamp
from airflow_provider_whatsapp.delivery.local_files import (
    PRIVATE,
    check_private_folder,
    make_private_folder,
    open_regular,
    replacing,
)
from airflow_provider_whatsapp.delivery.recipients import Recipients
from airflow_provider_whatsapp.delivery.stores import forget_listing, local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_whatsapp.delivery.rows import Raw

FORMAT = "whatsapp-shard-index/1"
BUFFER = 4 * 1024 * 1024
"""Bytes of rows that wait in memory while a list is divided."""
LARGEST_HEAD = 8 * 1024 * 1024
"""The most bytes that are read of a head; that of 50,000 shards is smaller."""
HEAD, CLAIM, BEGUN = "index.json", "survey.json", "begun.json"
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an index."""

    digest: str  # SHA-256 of the list's bytes
    stamp: list[Any] | None  # changes when the list's file is written; None: its store has no such value
    parts: list[str]  # SHA-256 of each shard's part
    countries: dict[str, int] = field(default_factory=dict)  # recipients, each once, also suppressed ones

    def to_bytes(self) -> bytes:
        """Return the head as bytes, as it is written."""
        facts = {"list": self.digest, "stamp": self.stamp, "parts": self.parts, "countries": self.countries}
        return json.dumps({"format": FORMAT, **facts}).encode()

    @classmethod
    def parse(cls, content: bytes, shards: int) -> Head:
        """Return a head from a file's content; raises ValueError if it is not one of this version."""
        try:
            match json.loads(content):
                case {
                    "format": str(format),
                    "list": str(digest),
                    "stamp": list() | None as stamp,
                    "parts": list(parts),
                    "countries": dict(countries),
                } if format == FORMAT:
                    pass
                case _:
                    msg = "it is of another version, or is not an index"
                    raise ValueError(msg)
        except RecursionError:
            msg = "it is nested too deeply"
            raise ValueError(msg) from None
        good = (
            digest.isascii()
            and digest.isalnum()  # it becomes part of a file's name
            and len(parts) == shards
            and all(isinstance(part, str) for part in parts)
            and all(type(count) is int for count in countries.values())
        )
        if not good:
            msg = "it is damaged"
            raise ValueError(msg)
        return cls(digest, stamp, parts, countries)


class ShardIndex:
    """The index of one list, for one run and one way to read the list."""

    def __init__(self, folder: Any, source: Any, *, shards: int, **options: Any) -> None:
        self._local = local_path(folder)
        self.folder = folder if self._local is None else self._local  # it may not exist yet
        self.source = source
        self.shards = shards
        self.options = options  # of Recipients: to_field, columns, scope, default_country

    def load(self, name: str = HEAD) -> Head | None:
        """Return the head of the index, or that by which the first shard began to send; None: there is none."""
        content = self.read(name)  # HEAD or BEGUN
        return None if content is None else Head.parse(content, self.shards)

    def is_of_list(self, head: Head) -> bool:
        """Return whether an index is of the list in its present state."""
        now = stamp(self.source)
        return (now is not None and now == head.stamp) or digest_of(self.source) == head.digest

    def has_part(self, head: Head, shard: int) -> bool:
        """Return whether a shard's part exists, as the head says."""
        try:
            with self._open(self._part(head, shard)) as file:
                return digest_of_rest(file) == head.parts[shard]
        except OSError:
            return False

    def rows(self, head: Head, shard: int) -> Iterator[Raw]:
        """Yield a shard's rows as they are in the list; raises ValueError if the part is damaged."""
        with self._open(self._part(head, shard)) as file:
            for line in iter(file.readline, b""):  # Airflow 3.1.0's files in object stores are not iterable
                where, columns, *error = json.loads(line)
                yield where, columns if columns is not None else _error(*error)

    def build(self, beat: Callable[[], None]) -> Head:
        """Divide the list, calling ``beat`` repeatedly; return the head, which is written after all parts."""
        before, source = stamp(self.source), Watched(self.source)
        with tempfile.TemporaryFile() as spool:
            blocks, countries = self._divide(source, spool, beat)
            digest = source.digest()
            if stamp(self.source) != before:
                raise SourceChangedError(
                    f"{self.source.name} was changed while it was being read",
                    advice="This try sent nothing. Write a new list to a separate file, and rename it when it is "
                    "complete.",
                    permanent=False,
                )
            head = Head(digest, before, [""] * self.shards, countries)
            for shard, places in enumerate(blocks):
                beat()
                head.parts[shard] = self._write_part(self._part(head, shard), spool, places)
        self.write(HEAD, head.to_bytes())
        return head

    def _divide(
        self, source: Watched, spool: IO[bytes], beat: Callable[[], None]
    ) -> tuple[list[list[tuple[int, int]]], Counter[str]]:
        """Write each shard's rows to a file in blocks; return the places of the blocks and the countries' counts."""
        blocks: list[list[tuple[int, int]]] = [[] for _ in range(self.shards)]
        waiting = [bytearray() for _ in range(self.shards)]
        size, seen, countries = 0, Seen(), Counter[str]()

        def spill() -> None:
            for shard, lines in enumerate(waiting):
                if lines:
                    blocks[shard].append((spool.tell(), len(lines)))
                    spool.write(lines)
                    lines.clear()

        recipients = Recipients(source, shards=self.shards, **self.options)
        for count, (shard, (where, columns), to) in enumerate(recipients.by_shard()):
            if count % 1_000 == 0:
                beat()
            line = _line(where, columns)
            waiting[shard] += line
            size += len(line)
            if size >= BUFFER:
                spill()
                size = 0
            if to is not None and seen.add(to[1]):
                countries[country(to[0])] += 1
        spill()
        return blocks, countries

    def _write_part(self, path: Any, spool: IO[bytes], places: list[tuple[int, int]]) -> str:
        found = hashlib.sha256()
        with self._writing(path) as file:
            for start, length in places:
                spool.seek(start)
                block = spool.read(length)
                found.update(block)
                file.write(block)
        return found.hexdigest()

    def begin(self, head: Head, *, fresh: bool = False) -> None:
        """Record that somebody is about to send by this index, so the list must not change any more."""
        if fresh or self.read(BEGUN) is None:  # fresh: all are sent to again, so no earlier record counts
            self.write(BEGUN, head.to_bytes())

    def clean(self, shard: int) -> None:
        """Delete a shard's part, and with the last part everything else."""
        for name in self._names():
            if name.endswith(f"-{shard}.jsonl"):
                self.delete(name)
        # Listed again: if two shards end at the same time, the later one has to see that no part is left.
        rest = self._names()
        if any(name.endswith(".jsonl") for name in rest):
            return
        # The last one also deletes what a killed survey left half-written, because the folder contains only the index.
        for name in rest:
            self.delete(name)
        if self._local is not None:
            with contextlib.suppress(FileNotFoundError):
                self._local.rmdir()

    def read(self, name: str) -> bytes | None:
        """Return a small file of the folder; None: it does not exist."""
        try:
            with self._open(self.folder / name) as file:
                content: bytes = file.read(LARGEST_HEAD + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if len(content) > LARGEST_HEAD:
            msg = "it is too long for an index"
            raise ValueError(msg)
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a small file of the folder completely."""
        with self._writing(self.folder / name) as file:
            file.write(content)

    def delete(self, name: str) -> None:
        """Delete a small file of the folder if it exists."""
        with contextlib.suppress(FileNotFoundError):
            (self.folder / name).unlink()

    def _part(self, head: Head, shard: int) -> Any:
        # Named by the list's digest: two shards that divide the same list write the same bytes under the same name.
        return self.folder / f"{head.digest[:16]}-{shard}.jsonl"

    def _names(self) -> list[str]:
        forget_listing(self.folder)
        try:
            return [str(each.name) for each in self.folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _open(self, path: Any) -> IO[bytes]:
        if self._local is not None:
            check_private_folder(self._local)
            return open_regular(path)
        forget_listing(self.folder)
        found: IO[bytes] = path.open("rb")
        return found

    @contextlib.contextmanager
    def _writing(self, path: Any) -> Iterator[IO[bytes]]:
        """Write a file completely or not at all; an upload begins when all of it is known."""
        if self._local is not None:
            make_private_folder(self._local)
            with replacing(path, mode=PRIVATE) as file:
                yield file
            return
        with tempfile.TemporaryFile() as whole:
            yield whole
            whole.seek(0)
            with path.open("wb") as file:
                shutil.copyfileobj(whole, file)


def _line(where: str, columns: dict[str, Any] | PayloadError) -> bytes:
    if isinstance(columns, PayloadError):
        message = columns.message.removeprefix(f"{columns.field}: ")
        line: list[Any] = [where, None, message, columns.field, columns.advice]
    else:
        line = [where, columns]
    return _encode(line).encode() + b"\n"


def _error(message: str, field: str, advice: str | None) -> PayloadError:
    return PayloadError(message, field=field, advice=advice)
