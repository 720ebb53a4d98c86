"""Sets that need little memory: recipients, any number of them, and positions in their list, one bit each."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

IN_MEMORY = 20_000
"""The most recipients in memory; more move to a temporary file, which SQLite deletes on close."""


class Seen:
    """Recipients seen so far. Numbers are stored exactly, IDs by a hash of 63 bits."""

    def __init__(self) -> None:
        self._keys: set[int] = set()
        self._database: sqlite3.Connection | None = None

    def add(self, to: str) -> bool:
        """Add a recipient (digits of a number, or an ID), and return whether they are new."""
        key = _key(to)
        if self._database is not None:
            return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,)).rowcount == 1
        if key in self._keys:
            return False
        self._keys.add(key)
        if len(self._keys) > IN_MEMORY:
            self._spill()
        return True

    def __len__(self) -> int:
        if self._database is None:
            return len(self._keys)
        return int(self._database.execute("SELECT count(*) FROM seen").fetchone()[0])

    def __contains__(self, to: object) -> bool:
        key = _key(str(to))
        if self._database is None:
            return key in self._keys
        return self._database.execute("SELECT 1 FROM seen WHERE key = ?", (key,)).fetchone() is not None

    def _spill(self) -> None:
        import sqlite3

        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE seen (key INTEGER PRIMARY KEY)")
        self._database.executemany("INSERT INTO seen VALUES (?)", ((key,) for key in sorted(self._keys)))
        self._keys = set()


class Places:
    """Positions in a list, one bit each."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, place: int) -> None:
        """Add a number, from 0."""
        byte, bit = divmod(place, 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        self._bits[byte] |= 1 << bit

    def __contains__(self, place: int) -> bool:
        byte, bit = divmod(place, 8)
        return byte < len(self._bits) and bool(self._bits[byte] & (1 << bit))


def _key(to: str) -> int:
    if to.isascii() and to.isdigit() and len(to) <= 15:
        return int(to)
    # Negative, so that it differs from every number, and within SQLite's integers.
    return ~(int.from_bytes(hashlib.blake2b(to.encode(), digest_size=8).digest()) >> 1)
