"""A clock that tests can move, and identifiers that a seed makes repeatable."""

from __future__ import annotations

import base64
import random
import string
import time
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_ALPHABET = string.ascii_letters + string.digits


class Clock:
    """The sandbox's only source of time, in seconds since the epoch."""

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._ahead = 0.0
        self._stopped_at: float | None = None

    @property
    def ahead(self) -> float:
        """How far it is ahead of its source, in seconds."""
        return self.now() - self._source() if self.stopped else self._ahead

    @property
    def stopped(self) -> bool:
        """Whether only :meth:`advance` moves it."""
        return self._stopped_at is not None

    def stop(self) -> None:
        """Stop the clock, so that only :meth:`advance` moves it and the speed of the machine has no effect."""
        self._stopped_at = self.now()

    def go(self) -> None:
        """Let it run again from its current time."""
        self._ahead, self._stopped_at = self.ahead, None

    def now(self) -> float:
        """Return seconds since the epoch, including every :meth:`advance` so far."""
        return self._source() + self._ahead if self._stopped_at is None else self._stopped_at

    def advance(self, seconds: float) -> float:
        """Move ahead by some seconds and return the new time; raises ValueError if they are negative."""
        if seconds < 0:  # the sandbox relies on time that never runs backwards
            raise ValueError("The clock only moves ahead")
        if self._stopped_at is None:
            self._ahead += seconds
        else:
            self._stopped_at += seconds
        return self.now()

    def reset(self) -> None:
        """Return to the source's time."""
        self._ahead, self._stopped_at = 0.0, None


class Ids:
    """Identifiers in the shapes of the real services; the same seed gives the same ones in the same order."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311  (repeatable on purpose; nothing here is a secret)

    def reset(self) -> None:
        """Start the sequence again."""
        self._random = random.Random(self._seed)  # noqa: S311

    def position(self) -> Any:
        """Return the position of the sequence, as values that JSON can hold."""
        version, inner, rest = self._random.getstate()
        return [version, list(inner), rest]

    def resume(self, position: Any) -> None:
        """Continue a sequence from a position that :meth:`position` returned."""
        version, inner, rest = position
        self._random.setstate((version, tuple(inner), rest))

    def number(self, digits: int = 16) -> str:
        """Return digits as in the ids of Graph's objects, without a leading zero."""
        return str(self._random.randrange(10 ** (digits - 1), 10**digits))

    def wamid(self, user: str) -> str:
        """Return a message id in WhatsApp's layout: base64 of the user's number and a random tail."""
        name = user.encode()
        tail = b"%018X" % self._random.getrandbits(72)
        packed = b"\x1c\x18%c%b\x15\x02\x00\x11\x18\x12%b\x00" % (len(name), name, tail)
        return "wamid." + base64.b64encode(packed).decode()

    def token(self, length: int = 23) -> str:
        """Return letters and digits, as in ``fbtrace_id``, handles and upload sessions."""
        return "".join(self._random.choices(_ALPHABET, k=length))

    def uuid(self) -> str:
        """Return a version 4 UUID."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def share(self) -> float:
        """Return a number in [0, 1), for faults that apply to a share of the requests."""
        return self._random.random()
