"""Stores the sandbox's state between starts, in an SQLite file that the sandbox writes once a second."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox import store_rows
from airflow_provider_whatsapp.sandbox.model import Journal

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.model import Message, Reply, Request
    from airflow_provider_whatsapp.sandbox.state import State

VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS things (kind TEXT, key TEXT, place INTEGER, value TEXT, PRIMARY KEY (kind, key));
CREATE TABLE IF NOT EXISTS conversations (number_id TEXT, wa_id TEXT, open_until REAL, full_at REAL,
                                          PRIMARY KEY (number_id, wa_id));
CREATE TABLE IF NOT EXISTS contents (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS messages (place INTEGER PRIMARY KEY, content TEXT, value TEXT);
CREATE TABLE IF NOT EXISTS requests (place INTEGER PRIMARY KEY, value TEXT, sent BLOB, answered BLOB);
CREATE TABLE IF NOT EXISTS files (id TEXT PRIMARY KEY, data BLOB);
"""
_NAMES = ("things", "conversations", "contents", "messages", "requests", "files")
_DETAILED_REQUESTS = 1_000


class StoreError(Exception):
    """The file cannot be used; the text says why and what to do."""


def _for_the_owner_alone(path: str) -> None:
    """Let only the owner read the file, which holds numbers and texts; SQLite gives its other files the same mode."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise StoreError(
                    f"{path} cannot store the state (it is not a regular file): use another file"
                )
            os.fchmod(file, 0o600)
        finally:
            os.close(file)
    except OSError as error:
        raise StoreError(f"{path} cannot store the state ({error.strerror}): use another file") from error


class Store:
    """The SQLite file, created if need be; raises StoreError if it is unusable or another sandbox has it open."""

    def __init__(self, path: str) -> None:
        _for_the_owner_alone(path)
        try:
            self._base = sqlite3.connect(path, timeout=0.2)
            self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = NORMAL")
            version = self._base.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise StoreError(f"{path} belongs to another version of the sandbox: use another file")
            self._base.executescript(f"{_TABLES} PRAGMA user_version = {VERSION};")
        except sqlite3.Error as error:
            busy = "locked" in str(error)
            why = "another sandbox has it open" if busy else f"{error}"
            raise StoreError(f"{path} cannot store the state ({why}): use another file") from error
        self._known: dict[tuple[str, str], str] = {}
        self._contents: set[str] = set()
        self._last = {"messages": 0, "requests": 0, "things": 0}
        self._saved = -1

    def load(self, state: State) -> None:
        """Fill a new sandbox with the file, and start to record changes; raises StoreError if its accounts differ."""
        found: dict[str, dict[str, Any]] = {}
        rows = self._base.execute("SELECT place, kind, key, value FROM things ORDER BY place")
        for self._last["things"], kind, key, text in rows:
            self._known[kind, key] = text
            found.setdefault(kind, {})[key] = json.loads(text)
        if found:
            made_with = found["world"][""]["accounts"]
            if made_with != store_rows.accounts(state):
                raise StoreError(
                    f"{state.settings.state} belongs to other accounts and numbers, {json.dumps(made_with)}: start "
                    "with those, or use another file"
                )
            store_rows.restore(state, found, self._file)
            first, state.webhooks.subscribed = state.webhooks.subscribed, set()
            self._load_messages(state)
            for waba_id in first:
                state.webhooks.subscribe(waba_id)
            store_rows.restore_webhooks(state, found)
            self._load_requests(state)
        state.journal = Journal()

    def _file(self, media_id: str) -> bytes:
        row = self._base.execute("SELECT data FROM files WHERE id = ?", (media_id,)).fetchone()
        return row[0] if row else b""

    def _load_messages(self, state: State) -> None:
        contents = {
            name: json.loads(text) for name, text in self._base.execute("SELECT name, value FROM contents")
        }
        self._contents = set(contents)
        rows = self._base.execute("SELECT place, content, value FROM messages ORDER BY place")
        for self._last["messages"], content, text in rows:
            item = store_rows.read_item(text, contents.get(content, []))
            state.remember(state.conversation(item.number_id, item.wa_id), item)
        rows = self._base.execute("SELECT number_id, wa_id, open_until, full_at FROM conversations")
        for number_id, wa_id, open_until, full_at in rows.fetchall():
            found = state.conversations.get((number_id, wa_id))
            if found is None:
                self._base.execute(
                    "DELETE FROM conversations WHERE number_id = ? AND wa_id = ?", (number_id, wa_id)
                )
                continue
            found.open_until = open_until
            if found.pair and full_at is not None:
                found.pair.full_at = full_at

    def _load_requests(self, state: State) -> None:
        rows = self._base.execute("SELECT place, value, sent, answered FROM requests ORDER BY place")
        for self._last["requests"], text, sent, answered in rows:
            entry = store_rows.read_request(text)
            state.log(entry, sent or b"")
            entry.answered = answered or b""

    def save(self, state: State) -> None:
        """Write what has changed; raises StoreError if that fails, after which the sandbox stores nothing more."""
        journal = state.journal
        if journal is None or state.version == self._saved:
            return
        try:
            self._write(state, journal)
        except sqlite3.Error as error:
            state.journal = None
            raise StoreError(
                f"{state.settings.state} cannot be written; the sandbox stores nothing more from now on: {error}"
            ) from error
        state.journal = Journal(requests=[each for each in journal.requests if each.ms is None])
        self._saved = state.version

    def _write(self, state: State, journal: Journal) -> None:
        with self._base:
            if journal.wiped:
                for table in _NAMES:
                    self._base.execute(f"DELETE FROM {table}")  # noqa: S608  (names of our own)
                self._known.clear()
                self._contents.clear()
            self._save_things(state)
            self._save_messages(state, journal.items[-state.settings.keep :])
            self._save_requests(state, [each for each in journal.requests if each.ms is not None])

    def close(self, state: State) -> None:
        """Write what has changed, and close the file; raises StoreError if it cannot be written."""
        try:
            self.save(state)
        finally:
            self._base.close()

    def _save_things(self, state: State) -> None:
        now = dict(store_rows.things(state))
        for name in [each for each in self._known if each not in now]:
            self._base.execute("DELETE FROM things WHERE kind = ? AND key = ?", name)
            self._base.execute("DELETE FROM files WHERE id = ?", name[1:])
            del self._known[name]
        for name, text in now.items():
            if self._known.get(name) == text:
                continue
            if name[0] == "media" and name not in self._known:
                data = state.media[name[1]].data
                self._base.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (name[1], data))
            self._last["things"] += name not in self._known
            self._base.execute(
                "INSERT INTO things VALUES (?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
                (*name, self._last["things"], text),
            )
            self._known[name] = text

    def _save_messages(self, state: State, items: list[Message | Reply]) -> None:
        rows, touched = [], {}
        for item in items:
            content, text = store_rows.content(item)
            if content and content not in self._contents:
                self._contents.add(content)
                self._base.execute("INSERT INTO contents VALUES (?, ?)", (content, text))
            self._last["messages"] += 1
            rows.append((self._last["messages"], content, store_rows.write_item(item)))
            found = state.conversations.get((item.number_id, item.wa_id))
            if found:
                full_at = found.pair.full_at if found.pair else None
                touched[found.number_id, found.wa_id] = (found.open_until, full_at)
        self._base.executemany("INSERT INTO messages VALUES (?, ?, ?)", rows)
        self._base.executemany(
            "INSERT OR REPLACE INTO conversations VALUES (?, ?, ?, ?)",
            [(*key, *value) for key, value in touched.items()],
        )
        oldest = self._last["messages"] - state.settings.keep
        self._base.execute("DELETE FROM messages WHERE place <= ?", (oldest,))

    def _save_requests(self, state: State, entries: list[Request]) -> None:
        before, rows = self._last["requests"], []
        for entry in entries[-state.settings.keep :]:
            self._last["requests"] += 1
            rows.append((self._last["requests"], store_rows.write_request(entry), entry.sent, entry.answered))
        self._base.executemany("INSERT INTO requests VALUES (?, ?, ?, ?)", rows)
        low, high = before - _DETAILED_REQUESTS, self._last["requests"] - _DETAILED_REQUESTS
        self._base.execute(
            "UPDATE requests SET sent = NULL, answered = NULL WHERE place > ? AND place <= ?", (low, high)
        )
        oldest = self._last["requests"] - state.settings.keep
        self._base.execute("DELETE FROM requests WHERE place <= ?", (oldest,))
