"""Redis' clock, as a machine knows it from the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_whatsapp.client.redis_slots import Reply

HEARD = 5.0
"""Seconds for which knowledge of Redis' clock can distinguish a jump of it from the drift of two clocks."""


class Clocks:
    """Redis' clock relative to this machine's: each answer bounds it by two times of this machine's clock."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._heard_at = 0.0
        self.round_trip = 0.0

    def hear(self, reply: Reply) -> None:
        """Learn from an answer."""
        self._heard_at = reply.answered
        lowest, highest = reply.now - reply.answered, reply.now - reply.asked
        took = highest - lowest
        if self._offset is None:
            self._offset = (lowest + highest) / 2
            self.round_trip = took
        # Earlier bounds stay as long as they can be true: a slow answer says little, a quick one much.
        self._offset = min(max(self._offset, lowest), highest)
        self.round_trip += 0.2 * (took - self.round_trip)

    def there(self, here: float) -> float:
        """Return Redis' time, in seconds, at a time of this machine's clock."""
        return here + (self._offset or 0.0)

    def expected(self, here: float) -> float:
        """Return Redis' time, in seconds, if it is known recently enough to detect a jump; otherwise 0."""
        known = self._offset is not None and here - self._heard_at < HEARD
        return self.there(here) if known else 0.0

    def here(self, there: float) -> float:
        """Return the time of this machine's clock, in seconds, at a time of Redis' clock."""
        return there - (self._offset or 0.0)
