"""
Merges rows of several readings, and keeps the greatest value of each column, because Meta lowers its counts.

The rows are in a temporary SQLite file, so memory use does not depend on their number.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.analytics.formats import from_text, to_text
from airflow_provider_whatsapp.client.analytics_points import clicks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    from airflow_provider_whatsapp.client.analytics_kinds import Kind

    Row = dict[str, Any]

CACHE = 2_000
"""KiB of rows that SQLite keeps in memory."""


class Merge:
    """Collects rows by part, a file of the destination, and returns them in order."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self.counts: Counter[str] = Counter()
        """Numbers of rows from Meta that were ``added``, ``raised`` (a value grew) or ``unchanged``."""
        self.changed: set[str] = set()
        """Parts with new values."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="whatsapp-analytics-")
        # Autocommit: only this object uses the file, which is deleted with it.
        self._database = sqlite3.connect(Path(self._folder.name) / "rows.db", isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{CACHE}"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute(
            "CREATE TABLE found (part TEXT, key TEXT, row TEXT, PRIMARY KEY (part, key)) WITHOUT ROWID"
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self._folder.cleanup()

    def keep(self, part: str, rows: Iterable[Row]) -> None:
        """Add the rows that a file contains already; for the same key the greater values count."""
        for row in rows:
            self._put(part, row)

    def add(self, part: str, row: Row) -> None:
        """Add a row from the present reading."""
        outcome = self._put(part, row)
        self.counts[outcome] += 1
        if outcome != "unchanged":
            self.changed.add(part)

    def rows(self, part: str) -> Iterator[Row]:
        """Yield a file's rows, sorted by account, granularity, time and dimensions."""
        for (text,) in self._database.execute("SELECT row FROM found WHERE part = ? ORDER BY key", (part,)):
            row = from_text(json.loads(text))
            yield {name: row.get(name) for name in self._kind.columns}

    def _put(self, part: str, row: Row) -> str:
        plain = to_text(row)
        key = "\x1f".join("" if plain.get(name) is None else str(plain[name]) for name in self._kind.key)
        found = self._database.execute(
            "SELECT row FROM found WHERE part = ? AND key = ?", (part, key)
        ).fetchone()
        before = json.loads(found[0]) if found is not None else None
        if before is not None:
            plain = greatest(before, plain, self._kind)
            if plain == before:
                return "unchanged"
        self._database.execute(
            "INSERT OR REPLACE INTO found VALUES (?, ?, ?)",
            (part, key, json.dumps(plain, ensure_ascii=False)),
        )
        return "added" if before is None else "raised"


def greatest(before: Row, now: Row, kind: Kind) -> Row:
    """Return a row with the greatest values of two readings; the earlier row itself if no value has grown."""
    merged = dict(before)
    for name in kind.values:
        if name != "clicked":
            merged[name] = _most(before.get(name), now.get(name))
    if "clicked" in kind.values:  # a list, from which the sums are computed
        merged |= clicks(_most_clicks(before.get("clicked") or [], now.get("clicked") or []))
    for name in kind.about:
        merged[name] = before.get(name) if now.get(name) is None else now[name]
    if all(merged[name] == before.get(name) for name in (*kind.values, *kind.about)):
        return before
    return merged | {name: now[name] for name in ("currency", "read_at") if now.get(name) is not None}


def _most(before: Any, now: Any) -> Any:
    if before is None or now is None:
        return now if before is None else before
    return max(before, now)


def _most_clicks(before: list[Row], now: list[Row]) -> list[Row]:
    """Return clicks by button, each with its greatest count."""
    found: dict[tuple[Any, Any], Row] = {}
    for each in (*before, *now):
        key = each.get("type"), each.get("button_content")
        count = max(each.get("count", 0), found.get(key, each).get("count", 0))
        found[key] = {"type": key[0], "button_content": key[1], "count": count}
    return [found[key] for key in sorted(found, key=str)]
