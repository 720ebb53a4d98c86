"""
What refusals mean for the pace: strays, or a limit.

A few 429 come at any pace: strays, for example from a gateway that restarts. Others come because somebody else uses the
account, and a slower pace ends them. A likelihood ratio distinguishes the two: each refusal is evidence for the share
of refusals that a limit causes, and each accepted request is evidence for the share that strays explain. Once a limit
is nearly certain, the pace falls to what was accepted. At that low pace evidence is scarce, and a pace that rises
slowly would need either minutes or, on machines that share an account, one refused request in six. So the pace stays
low, falls with each further refusal, and within a minute rises to the full rate for a probe: there a limit shows within
a handful of requests, and the pace is low again; otherwise the full pace is restored. Machines with the same account do
not see each other, but their clocks agree. They probe in the same second, so a probe costs only its own few refusals,
and no machine mistakes another one's probe for a lower limit.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence

STRAYS = 0.06
"""The highest share of requests that are strays; up to this share, refusals do not change the pace."""
CROWDED = 0.25
"""The share of requests that a limit refuses, as the likelihood ratio assumes."""
CERTAIN = 5.7
"""Logarithm of the likelihood ratio above which it is a limit: four refusals in a row, or more among others."""
REFUSAL = math.log(CROWDED / STRAYS)
ACCEPTANCE = math.log((1.0 - CROWDED) / (1.0 - STRAYS))

EVERY = 50.0
"""Seconds of the wall clock between two probes."""
SOONEST = 5.0
"""The shortest time, in seconds, for which a slow pace lasts."""
PROBE = 20.0
"""Requests of a probe; if they give no evidence of a limit, the full pace is restored."""

BELOW = 0.85
"""The slow pace, as a share of the accepted pace."""
GIVE_WAY = 0.04
"""Share of the slow pace by which each further refusal lowers it."""
GROWTH = 0.002
"""Share of the slow pace by which it rises in a second without a refusal."""
AT_LEAST = 0.5
"""The lowest slow pace after a probe, as a share of the pace that the probe found accepted."""
SLOWEST = 0.02
"""The lowest pace, as a share of the rate."""

MEMORY = 15.0
"""Seconds over which the share of refusals is measured."""
DEEPEST = 0.9
"""The largest share by which one decision lowers the pace."""
FEWEST = 0.3
"""Share of the pace that counts as used, even with fewer requests."""
IDLE = 0.65
"""The share of possible requests that counts as accepted: time without refusals is evidence for strays too."""
RETRY_AFTER = 2.0
"""Seconds without requests that are not evidence: a refused thread waits as long as the gateway asks."""

# Places, from the model's first one. An earlier model used the places before it for other numbers.
_FIRST = 17
(
    _EVIDENCE,
    _WEIGHED_AT,
    _WEIGHED_OF,
    _REFUSALS,
    _REQUESTS,
    _SECONDS,
    _COUNTED_AT,
    _COUNTED_OF,
    _DECIDED_AT,
    _LOW,
    _LOW_AT,
    _PROBE_AT,
    _PROBE_OF,
    _BEFORE,
    _SHARE,
    SIZE,
) = range(_FIRST, _FIRST + 16)


@dataclass(frozen=True, slots=True)
class Slowness:
    """The present pace, and the reason for it."""

    pace: float  # requests per second
    before: float  # requests per second at which the limit showed
    share: float  # the share of requests that was refused at that pace


class PaceModel:
    """The model of one account; its state is on a board."""

    # Its methods get the board locked, the board's clock in seconds, and the number of requests so far.

    def __init__(self, rate: float, first: int, wall: Callable[[], float] = time.time) -> None:
        self._rate = rate  # requests per second without refusals
        self._first = first  # its first place on the board, of SIZE
        self._wall = wall  # Unix time in seconds, which all machines share

    def pace(self, board: MutableSequence[float], now: float, requests: float) -> float:
        """Return the present requests per second; the first call after the time of a probe begins it."""
        view = _View(board, self._first)
        if not view[_LOW]:
            return self._rate
        if now < view[_PROBE_AT]:
            return self._low(view, now)
        if not view[_PROBE_OF]:
            view[_LOW], view[_LOW_AT] = self._low(view, now), now
            view[_PROBE_AT], view[_PROBE_OF] = now, requests
            self._begin(view, now, requests)
        return self._rate

    def slowness(self, board: MutableSequence[float], now: float, requests: float) -> Slowness:
        """Return the present pace, and the reason for it."""
        view = _View(board, self._first)
        return Slowness(self.pace(board, now, requests), view[_BEFORE], view[_SHARE])

    def refused(
        self, board: MutableSequence[float], now: float, requests: float, *, left_at: float, alone: bool
    ) -> None:
        """Record a refusal, and lower the pace if it is due to a limit."""
        # left_at: when the request left, by the board's clock; alone: it left after the previous refusal was known,
        # so the two are separate events.
        view = _View(board, self._first)
        pace = self.pace(board, now, requests)
        slow = bool(view[_LOW]) and not view[_PROBE_OF]
        if left_at <= view[_DECIDED_AT] or (view[_PROBE_OF] and left_at < view[_PROBE_AT]):
            return  # it says nothing about the present pace
        self._count(view, now, requests)
        self._weigh(view, now, requests, pace=pace, alone=alone)
        if view[_EVIDENCE] > CERTAIN:
            self._slow_down(view, now, requests, pace=pace, slow=slow)
        elif slow:
            self._set_low(view, now, pace * (1.0 - GIVE_WAY))

    def _low(self, view: _View, now: float) -> float:
        return min(self._rate, view[_LOW] * (1.0 + GROWTH * (now - view[_LOW_AT])))

    def _set_low(self, view: _View, now: float, low: float) -> None:
        view[_LOW], view[_LOW_AT] = max(low, self._rate * SLOWEST), now

    def _count(self, view: _View, now: float, requests: float) -> None:
        """Count a refusal among the last requests."""
        faded = math.exp(-(now - view[_COUNTED_AT]) / MEMORY)
        view[_REFUSALS] = view[_REFUSALS] * faded + 1.0
        view[_REQUESTS] = view[_REQUESTS] * faded + requests - view[_COUNTED_OF]
        view[_SECONDS] = view[_SECONDS] * faded + now - view[_COUNTED_AT]
        view[_COUNTED_AT], view[_COUNTED_OF] = now, requests

    def _weigh(self, view: _View, now: float, requests: float, *, pace: float, alone: bool) -> None:
        """Add a refusal to the evidence for a limit, after the requests accepted since the last one."""
        made = max(requests - view[_WEIGHED_OF], IDLE * pace * (now - view[_WEIGHED_AT] - RETRY_AFTER))
        evidence = max(0.0, view[_EVIDENCE] + ACCEPTANCE * max(0.0, made - 1.0))
        view[_EVIDENCE] = evidence + (REFUSAL if alone else 0.0)
        view[_WEIGHED_AT], view[_WEIGHED_OF] = now, requests

    def _slow_down(self, view: _View, now: float, requests: float, *, pace: float, slow: bool) -> None:
        """Lower the pace to what was accepted, or after a probe to the pace before it, until the next probe."""
        refusals, made = view[_REFUSALS], view[_REQUESTS]
        share = min(DEEPEST, refusals / max(refusals, made))
        if view[_PROBE_OF] and requests - view[_PROBE_OF] < PROBE:
            low = max(view[_LOW], self._rate * (1.0 - share) * AT_LEAST)
        else:
            used = made / max(
                view[_SECONDS], 0.1
            )  # few threads wait for their answers, and go slower than they may
            low = min(pace, max(pace * FEWEST, used)) * (1.0 - share) * BELOW
        self._set_low(view, now, low)
        view[_BEFORE], view[_SHARE] = pace, share
        view[_DECIDED_AT] = now
        if not slow:
            view[_PROBE_AT] = now + SOONEST + EVERY - (self._wall() + SOONEST) % EVERY
            view[_PROBE_OF] = 0.0
        self._begin(view, now, requests)

    @staticmethod
    def _begin(view: _View, now: float, requests: float) -> None:
        """Discard all evidence, because the pace has changed."""
        view[_EVIDENCE], view[_WEIGHED_AT], view[_WEIGHED_OF] = 0.0, now, requests
        view[_REFUSALS] = view[_REQUESTS] = view[_SECONDS] = 0.0
        view[_COUNTED_AT], view[_COUNTED_OF] = now, requests


class _View:
    """The model's places on a board."""

    __slots__ = ("_board", "_first")

    def __init__(self, board: MutableSequence[float], first: int) -> None:
        self._board = board
        self._first = first

    def __getitem__(self, place: int) -> float:
        return self._board[self._first + place]

    def __setitem__(self, place: int, value: float) -> None:
        self._board[self._first + place] = value
