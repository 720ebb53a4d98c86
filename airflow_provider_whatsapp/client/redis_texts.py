"""
Texts by their names in Redis, with compare-and-set, which several machines read and write at the same time.

Each text is a key that expires, and a sorted set contains the time of each text's last write. All keys of one owner are
in one slot of a cluster. Their names are hashes, which nobody can guess without knowing the owner.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.redis_slots import Client, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_whatsapp.client.redis_server import RedisServer

KEPT = 100 * 86_400
"""Seconds for which a text is kept after its last write."""
LONGEST = 1_000_000
"""The most bytes that are read of a text; this package writes a hundredth of that, so a longer one is not its own."""
PORTION = 100
"""The number of texts that are read together."""
COMMANDS = "+eval +evalsha +type +getrange +set +del +time +zadd +zrem +zrevrange +zremrangebyscore +expire"
"""The commands that the script calls, in the form of Redis' ACL."""

# KEYS: the index, and the texts'. Keys of another type in their places are not this package's, and are replaced.
SCRIPT = """
local index, act, most, kept = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local function kind(key) return redis.call('TYPE', key)['ok'] end
local function read(key)
  local found = kind(key)
  if found == 'none' then return false end
  if found ~= 'string' then return '' end
  return redis.call('GETRANGE', key, 0, most - 1)
end
local function ready() return kind(index) == 'zset' end

if act == 'read' then
  local found = {}
  for i = 2, #KEYS do found[i - 1] = read(KEYS[i]) end
  return found
end
if act == 'names' then
  if not ready() then return {} end
  return redis.call('ZREVRANGE', index, ARGV[4], ARGV[5])
end

if act == 'delete' then
  if ready() then redis.call('ZREM', index, ARGV[4]) end
  return redis.call('DEL', KEYS[2])
end

local found = read(KEYS[2])
if act == 'replace' and found ~= ARGV[6] then return 0 end
if act == 'add' and found then return 0 end
local now = tonumber(redis.call('TIME')[1])
-- A script that has deleted something may write to a Redis that is full, where it has to fail before it writes.
if not ready() and kind(index) ~= 'none' then redis.call('DEL', index) end
redis.call('ZADD', index, now, ARGV[4])
redis.call('ZREMRANGEBYSCORE', index, '-inf', now - kept)
redis.call('EXPIRE', index, kept)
redis.call('SET', KEYS[2], ARGV[5], 'EX', kept)
return 1
"""
_SHA = hashlib.sha1(SCRIPT.encode()).hexdigest()  # noqa: S324  (the name by which Redis knows a script)


class RedisTexts:
    """The texts of one owner; safe to use from many threads, and by the forks of a process."""

    # Its methods raise RedisAwayError, after which a text may have changed, and ConfigurationError: see Client.run().

    index: str
    """Redis' key of the index, which distinguishes these texts from those of other owners."""

    def __init__(self, server: RedisServer, what: str, owner: str) -> None:
        self.server = server
        self._owner = owner  # a secret in it makes the keys' names impossible to guess
        self.index = key_of(what, owner)
        self._client = Client(server, COMMANDS)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a text; ``default`` if there is none."""
        (found,) = self._ask("read", (self.key(key),))
        return default if found is None else _text(found)

    def set(self, key: str, value: Any) -> None:
        """Store a text, and replace any earlier one."""
        self._write("set", key, str(value))

    def delete(self, key: str) -> None:
        """Delete a text."""
        self._ask("delete", (self.key(key),), self._member(key))

    def swap(self, key: str, before: str | None, after: str) -> bool:
        """Replace a text if it is still the one that was read (None: there was none); return whether it was."""
        if before is None:
            return self._write("add", key, after)
        return self._write("replace", key, after, _bytes(before))

    def look(self) -> None:
        """Try every command that texts need, and leave nothing in Redis."""
        self.set("look", "")
        list(self.kept(1))
        self.delete("look")

    def kept(self, most: int) -> Iterator[tuple[str, str]]:
        """Yield the keys and texts of at most ``most`` texts, the last written first."""
        for first in range(0, most, PORTION):
            last = min(first + PORTION, most) - 1
            keys = [f"{self.index}:".encode() + each for each in self._ask("names", (), first, last)]
            if not keys:
                return
            for key, found in zip(keys, self._ask("read", keys), strict=True):
                if found is not None:
                    yield _text(key), _text(found)

    def key(self, name: str) -> str:
        """Return Redis' key of a text."""
        return f"{self.index}:{self._member(name)}"

    def _member(self, name: str) -> str:
        return hashlib.sha256(f"{self._owner} {name}".encode()).hexdigest()[:32]

    def _write(self, act: str, name: str, text: str, *before: bytes) -> bool:
        return bool(self._ask(act, (self.key(name),), self._member(name), _bytes(text), *before))

    def _ask(self, act: str, keys: Any, *arguments: Any) -> Any:
        return self._client.run(SCRIPT, _SHA, (self.index, *keys), act, LONGEST, KEPT, *arguments)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
