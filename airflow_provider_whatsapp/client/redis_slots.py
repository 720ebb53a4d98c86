"""
The slots of one account in Redis: a script that gives each request its moment, by Redis' own clock.

One hash per account holds the moments of its last requests, evenly spaced, as the board of one machine does. A request
reserves the next moment, a second ahead at most, and leaves at it; one that leaves later says so, and the limit's
second begins at its real departure. So no second holds more than the limit, whichever machine sends, and machines that
ask again after each request are served in turn. What Redis has forgotten counts as used up: after a restart, a failover
to a replica or an eviction, nothing leaves before all that may have been granted is a whole window old.
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
"""Seconds before its moment that a request may reserve it: so many machines are served in turn as go in that time."""
KEPT = 7 * 86_400
"""Seconds for which an unused account's hash is kept; a request that comes later waits for a window."""
COMMANDS = "+eval +evalsha +info +time +hmget +hget +hset +del +expire"
"""What the script calls, as Redis' ACL writes it."""

# A stamp tells the state that a caller knows from another: it holds the server's run, and how often the state changed.
# Others may have written to Redis what no script does: that counts as forgotten. So does what is known of a time in
# which nobody asked, where the caller has sent without asking, or Redis' clock has been put forward since.
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
    """Redis does not answer, or not as a master does; it may in a moment."""


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What the script has answered.

    :param kind: ``granted``, ``later`` (ask again), ``stale`` (the caller knows another state) or ``learnt``.
    :param now: Redis' clock, in seconds.
    :param slot: The moment by that clock, in seconds.
    :param count: Requests of the account before this one; the number of the one that is granted.
    :param stamp: Of the state.
    :param state: The state, where it is another than the caller knows.
    :param asked: The caller's clock before it asked.
    :param answered: The caller's clock afterwards.
    """

    kind: str
    now: float
    slot: float
    count: int
    stamp: str
    state: tuple[float, ...]
    asked: float
    answered: float


class Slots:
    """
    The slots of one account; safe to use from many threads, and by the forks of a process.

    :param server: Where Redis is.
    :param identity: What the account is known by; only its hash is kept.
    :param ring: Requests of the limit's window.
    :param clock: Monotonic seconds.
    """

    def __init__(
        self, server: RedisServer, identity: str, ring: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.server = server
        self.key = key_of("pace", f"{ring} {identity}")
        self._ring = ring
        self._clock = clock
        self._client = Client(server, COMMANDS)

    def reserve(
        self,
        stamp: str,
        *,
        spacing: float,
        window: float,
        reach: float,
        late: Sequence[tuple[int, float]] = (),
        expected: float = 0.0,
        back: bool = False,
    ) -> Reply:
        """
        Reserve the next moment, if it is near enough.

        :param stamp: Of the state that the caller knows.
        :param spacing: Seconds to the next request.
        :param window: Seconds that as many requests as the ring has take at least.
        :param reach: Seconds from now in which the moment has to lie.
        :param late: Requests that left later than their moments, by their numbers, with Redis' time of leaving.
        :param expected: Redis' clock at present, as the caller knows it, in seconds; 0: it does not.
        :param back: The caller has sent requests without asking.
        :raises RedisAwayError: There is no answer.
        :raises ConfigurationError: Redis refuses what waiting does not change.
        """
        words = [word for seq, left in late for word in (seq, _micros(left))]
        times = map(_micros, (spacing, window, AHEAD, reach))
        return self._ask("back" if back else "reserve", *times, stamp, "", KEPT, _micros(expected), *words)

    def look(self) -> None:
        """
        Ask without reserving anything.

        :raises RedisAwayError: There is no answer.
        :raises ConfigurationError: Redis refuses what waiting does not change.
        """
        self.reserve("", spacing=1.0, window=1.0, reach=0.0)

    def learn(self, stamp: str, state: Sequence[float]) -> Reply:
        """
        Change the state, if it is still the one that the caller knows.

        :param stamp: Of that state.
        :param state: The new one.
        :raises RedisAwayError: There is no answer.
        :raises ConfigurationError: Redis refuses what waiting does not change.
        """
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
    """
    A client of redis-py that says in two words what went wrong; a fork makes one of its own.

    :param server: Where Redis is.
    :param commands: What its scripts call, as Redis' ACL writes it, for the advice where it may not.
    """

    def __init__(self, server: RedisServer, commands: str) -> None:
        self._server = server
        self._commands = commands
        self._lock = threading.Lock()
        self._made: tuple[int, Any] | None = None
        self._worked = False

    def run(self, script: str, sha: str, keys: Sequence[str], *arguments: Any) -> Any:
        """
        Run a script, which Redis is given where it does not know it.

        :param script: Its text.
        :param sha: Its SHA-1, in hexadecimal digits.
        :param keys: The keys that it uses, all of one slot.
        :param arguments: What it is handed.
        :raises RedisAwayError: There is no answer; the script may have run.
        :raises ConfigurationError: Redis refuses what waiting does not change.
        """
        client = self.redis()
        import redis.exceptions

        try:
            try:
                found = client.evalsha(sha, len(keys), *keys, *arguments)
            except redis.exceptions.NoScriptError:
                found = client.eval(script, len(keys), *keys, *arguments)
        except Exception as error:  # a cluster without some of its slots has errors of its own
            raise self._fault(error) from None
        self._worked = True
        return found

    def redis(self) -> Any:
        """
        Return redis-py's client.

        :raises ConfigurationError: redis-py is not installed.
        :raises RedisAwayError: A cluster or a Sentinel does not answer.
        """
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                try:
                    self._made = os.getpid(), connect(self._server)
                except ConfigurationError:
                    raise
                except Exception as error:  # a cluster is asked for its nodes at once
                    raise self._fault(error) from None
            return self._made[1]

    def _fault(self, error: Exception) -> Exception:
        advice, kind = _advice(error, self._commands), type(error).__name__
        if advice is None or self._worked:  # what has worked may do so again when somebody has put it right
            return RedisAwayError(f"{kind}. {advice}" if advice else kind)
        return ConfigurationError(
            f"Redis at {self._server.name} refuses this connection ({kind})", advice=advice
        )


def _advice(error: Exception, commands: str) -> str | None:
    """Say what to do about an error that no waiting cures; None: waiting may."""
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
    # A client that has not logged in is refused the script for its length, where redis-py sends nothing before it.
    if kind.startswith(("Authentication", "Authorization")) or "unauthenticated" in said:
        return "Check login and password of the Airflow connection that pace_redis names."
    return None


def key_of(what: str, identity: str) -> str:
    """
    Return the name of a key in Redis; its braces keep it in one slot of a cluster.

    :param what: What it holds.
    :param identity: Whose it is; only its hash is shown.
    """
    return f"wa:{what}:{{{hashlib.sha256(identity.encode()).hexdigest()[:16]}}}"


def _numbers(text: str) -> tuple[float, ...]:
    """Read a state; what somebody else has written there is none."""
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
