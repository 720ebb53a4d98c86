"""
The slots of one account in Redis: a script that gives each request its slot, by Redis' clock.

One hash per account contains the times of its last requests, evenly spaced, like the board of one machine. A request
reserves the next slot, at most a second ahead, and leaves at its time; a request that leaves later reports that, and
the limit's second begins at its real departure. So no second contains more than the limit, regardless of which machines
send, and machines that ask again after each request are served in turn. Slots that Redis has forgotten count as used:
after a restart, a failover to a replica or an eviction, nothing leaves until everything that may have been granted is a
whole window old.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.client.redis_server import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_whatsapp.client.redis_server import RedisServer

AHEAD = 1.0
"""Seconds before its slot at which a request may reserve it: this bounds how many machines are served in turn."""
KEPT = 7 * 86_400
"""Seconds for which the hash of an unused account is kept; a later request waits for one window."""
COMMANDS = "+eval +evalsha +info +time +hmget +hget +hset +del +expire"
"""The commands that the script calls, in the form of Redis' ACL."""

# A stamp identifies the state that a caller knows: the server's run, and the number of changes to the state. A hash
# that no script has written counts as forgotten. So does knowledge of a time in which nobody asked, if the caller has
# sent without asking, or if Redis' clock has jumped ahead since.
SCRIPT = """
local info = redis.pcall('INFO', 'server')
if type(info) == 'table' then return redis.error_reply('NOPERM INFO: ' .. tostring(info['err'])) end
local key, ring, spacing, window = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local ahead, reach, stamp, state = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8]
local expected = tonumber(ARGV[10])
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local function text(number) return string.format('%.0f', number) end

local run = string.sub(string.match(info, 'run_id:(%w+)'), 1, 12)
local found = redis.pcall('HMGET', key, 'run', 'next', 'count', 'floor', 'at', 'stamp', 'state')
if found['err'] then
  if not string.find(found['err'], 'WRONGTYPE') then return found end
  found = {}
end

local far = now + 3600000000 + 100 * math.max(spacing, window)
local function number(value, most)
  local read = tonumber(value or '')
  if read and read >= 0 and read <= most and read == math.floor(read) then return read end
end
local next, count, floor = number(found[2], far), number(found[3], 1e15), number(found[4], far)
local at = number(found[5], now + 100000)
local sound = next and count and floor and at and string.match(found[6] or '', '^' .. run .. ':%d+$')
local unseen = ARGV[1] == 'back' or (expected > 0 and now - expected > 1500000)
if found[1] ~= run or not sound or (unseen and now - at > 3 * ahead + window) then
  next, count, floor = 0, 0, now + ahead
  found[6], found[7] = run .. ':0', ''
  redis.call('DEL', key)
  redis.call('HSET', key, 'run', run, 'next', '0', 'count', '0', 'floor', text(floor), 'at', text(now),
             'stamp', found[6], 'state', '')
end
redis.call('EXPIRE', key, ARGV[9])

if stamp ~= found[6] then return {'stale', text(now), '0', count, found[6], found[7]} end
if ARGV[1] == 'learn' then
  local version = tonumber(string.match(stamp, ':(%d+)')) + 1
  stamp = run .. ':' .. text(version)
  redis.call('HSET', key, 'stamp', stamp, 'state', state)
  return {'learnt', text(now), '0', count, stamp, state}
end

for i = 11, #ARGV, 2 do
  local seq, left = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  if seq < count and count - seq <= ring then redis.call('HSET', key, 's' .. seq % ring, text(left)) end
end
local place = 's' .. count % ring
local before = redis.call('HGET', key, place)
before = before and (number(before, far) or now) or floor
local slot = math.max(now, next, before + window)
if slot - now > reach then return {'later', text(now), text(slot), count, stamp, ''} end
redis.call('HSET', key, place, text(slot), 'next', text(slot + spacing), 'count', text(count + 1), 'at', text(now))
return {'granted', text(now), text(slot), count, stamp, ''}
"""
_SHA = hashlib.sha1(SCRIPT.encode()).hexdigest()  # noqa: S324  (the name by which Redis knows a script)


class RedisAwayError(Exception):
    """Redis does not answer, or not as a master does; it may answer later."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the script."""

    kind: str  # granted, later (ask again), stale (the caller knows another state) or learnt
    now: float  # Redis' clock, in seconds
    slot: float  # time of the slot by that clock, in seconds
    count: int  # requests of the account before this one; for a granted request its number
    stamp: str  # of the state
    state: tuple[float, ...]  # empty unless the kind is stale or learnt
    asked: float  # the caller's clock before the request to Redis, in seconds
    answered: float  # the caller's clock after the answer, in seconds


class Slots:
    """The slots of one account; safe to use from many threads, and by the forks of a process."""

    # Its methods raise RedisAwayError and ConfigurationError: see Client.run().

    def __init__(
        self, server: RedisServer, identity: str, ring: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.server = server
        self.key = key_of("pace", f"{ring} {identity}")
        self._ring = ring  # number of requests in the limit's window
        self._clock = clock
        self._client = Client(server, COMMANDS)

    def reserve(
        self,
        stamp: str,  # of the state that the caller knows
        *,
        spacing: float,  # seconds to the next request
        window: float,  # the least seconds in which as many requests leave as the ring has
        reach: float,  # seconds from now within which the slot has to be
        late: Sequence[tuple[int, float]] = (),  # numbers of late requests, and Redis' times of leaving
        expected: float = 0.0,  # Redis' clock now, in seconds; 0: the caller does not know it
        back: bool = False,  # the caller has sent requests without asking
    ) -> Reply:
        """Reserve the next slot, if it is near enough."""
        words = [word for seq, left in late for word in (seq, _micros(left))]
        times = map(_micros, (spacing, window, AHEAD, reach))
        return self._ask("back" if back else "reserve", *times, stamp, "", KEPT, _micros(expected), *words)

    def look(self) -> None:
        """Ask without reserving anything."""
        self.reserve("", spacing=1.0, window=1.0, reach=0.0)

    def learn(self, stamp: str, state: Sequence[float]) -> Reply:
        """Change the state, if it is still the one that the caller knows."""
        return self._ask("learn", 0, 0, _micros(AHEAD), 0, stamp, json.dumps(list(state)), KEPT, 0)

    def _ask(self, act: str, *arguments: Any) -> Reply:
        asked = self._clock()
        found = self._client.run(SCRIPT, _SHA, (self.key,), act, self._ring, *arguments)
        answered = self._clock()
        try:
            kind, now, slot, count, new, text = (_text(each) for each in found)
            times = int(now) / 1e6, int(slot) / 1e6
            return Reply(kind, *times, int(count), new, _numbers(text), asked, answered)
        except (TypeError, ValueError):
            raise RedisAwayError("an answer that the pacing script never gives") from None


class Client:
    """A client of redis-py whose errors say briefly what went wrong; a forked process makes its own."""

    def __init__(self, server: RedisServer, commands: str) -> None:
        self._server = server
        self._commands = commands  # those that its scripts call, in the form of Redis' ACL
        self._lock = threading.Lock()
        self._made: tuple[int, Any] | None = None
        self._worked = False

    def run(self, script: str, sha: str, keys: Sequence[str], *arguments: Any) -> Any:
        """Run a script, and load it into Redis first if Redis does not know it."""
        # All keys are in one slot of a cluster. After a RedisAwayError the script may have run; a ConfigurationError
        # says that Redis refuses something that waiting does not change.
        client = self.redis()
        import redis.exceptions

        try:
            try:
                found = client.evalsha(sha, len(keys), *keys, *arguments)
            except redis.exceptions.NoScriptError:
                found = client.eval(script, len(keys), *keys, *arguments)
        except Exception as error:  # a cluster without some of its slots raises errors of other types
            raise self._fault(error) from None
        self._worked = True
        return found

    def redis(self) -> Any:
        """Return redis-py's client; raises RedisAwayError if a cluster or a Sentinel does not answer."""
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                try:
                    self._made = os.getpid(), connect(self._server)
                except ConfigurationError:
                    raise
                except Exception as error:  # a client of a cluster asks for its nodes immediately
                    raise self._fault(error) from None
            return self._made[1]

    def _fault(self, error: Exception) -> Exception:
        advice, kind = _advice(error, self._commands), type(error).__name__
        if advice is None or self._worked:  # after success, a fix may help
            return RedisAwayError(f"{kind}. {advice}" if advice else kind)
        return ConfigurationError(
            f"Redis at {self._server.name} refuses this connection ({kind})", advice=advice
        )


def _advice(error: Exception, commands: str) -> str | None:
    """Return what to do about an error that waiting does not cure; None: waiting may."""
    kind, said = type(error).__name__, str(error)
    if kind == "NoPermissionError" and "INFO" in said:
        return (
            "Its user may not call INFO inside scripts, with which pacing recognises a restarted Redis: ACL SETUSER "
            "<name> +info."
        )
    # Redis 7, of what a script calls: "The user executing the script can't run this command".
    if kind == "NoPermissionError" or "unknown command" in said or "executing the script" in said:
        return f"Its user needs {commands}, on the keys ~wa:*."
    if kind == "MovedError" or said.startswith("MOVED "):  # redis-py 4 has no name for it
        return 'It is a node of a cluster: add ?cluster=true to the URL, or "cluster": true to the connection\'s extra.'
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return "Its certificate is not trusted: set ssl_ca_certs to the CA bundle that signed it."
    # For a client that has not logged in, Redis refuses the script for its length if redis-py sends nothing before
    # it.
    if kind.startswith(("Authentication", "Authorization")) or "unauthenticated" in said:
        return "Check login and password of the Airflow connection that pace_redis names."
    return None


def key_of(what: str, identity: str) -> str:
    """Return the name of a key in Redis; its braces keep an account's keys in one slot of a cluster."""
    return f"wa:{what}:{{{hashlib.sha256(identity.encode()).hexdigest()[:16]}}}"


def _numbers(text: str) -> tuple[float, ...]:
    """Parse a state; one that another program has written there is empty."""
    try:
        found = json.loads(text) if text else []
    except (ValueError, RecursionError):
        return ()
    right = isinstance(found, list) and all(type(each) in (int, float) for each in found)
    return tuple(found) if right else ()


def _micros(seconds: float) -> str:
    return f"{seconds * 1e6:.0f}"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
