"""When an unanswered question needs attention: pure rules, in seconds since it was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

EARLY = 1.0
"""Seconds by which a part of the wait may end early, because the clocks of several machines differ a little."""

Due = Literal["end", "look", "remind"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is due when."""

    response: float | None = None  # seconds until the wait is over; None: without a limit
    delivery: float | None = None  # seconds until somebody must have the question; None: not checked
    remind: float | None = None  # seconds until everybody is asked again; None: nobody is
    reminders: int = 0  # how many, each remind seconds after the one before

    @property
    def in_parts(self) -> bool:
        """Whether something is due before the end, so that the task has to wake up before it."""
        return self.delivery is not None or (self.remind is not None and self.reminders > 0)

    def due(self, state: Mapping[str, Any], now: float) -> Due | None:
        """Return what is due, None for nothing; the end comes before everything else."""
        # `state` has `asked_at`, `looked` and `reminded`; `asked_at` and `now` are Unix time in seconds.
        passed = [
            (moment, what)
            for moment, what in self._moments(state)
            if now - state["asked_at"] >= moment - EARLY
        ]
        found = {what for _, what in passed}
        if "end" in found:
            return "end"
        return min(passed)[1] if passed else None

    def seconds_left(self, state: Mapping[str, Any], now: float) -> float | None:
        """Return the seconds until something is due, at least one; None: nothing ever is."""
        moments = self._moments(state)
        return max(1.0, min(moments)[0] - (now - state["asked_at"])) if moments else None

    def _moments(self, state: Mapping[str, Any]) -> list[tuple[float, Due]]:
        moments: list[tuple[float, Due]] = []
        if self.response is not None:
            moments.append((self.response, "end"))
        if self.delivery is not None and not state["looked"]:
            moments.append((self.delivery, "look"))
        if self.remind is not None and state["reminded"] < self.reminders:
            moments.append((self.remind * (state["reminded"] + 1), "remind"))
        return moments
