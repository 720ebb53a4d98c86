"""
What refusals mean for the pace: strays, or a limit.

A few 429 come whatever the pace is (a restarted gateway, a shared network address), and a slower pace only wastes time.
Others come because somebody else uses the account, and a slower pace ends them. One refusal looks like the other, so a
small share of them is forgiven: each costs a request and no more. Where there are more, the pace falls to what was
accepted, and a trial of a few seconds tells the two apart. Under a limit there are hardly any refusals at the lower
pace; strays are as frequent as before. After a limit the pace comes back within a minute, along a curve that is flat
where the refusals came; after strays it comes back at once, and as many of them are forgiven for a while.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableSequence

FORGIVEN = 0.07
"""Share of the requests whose refusal costs nothing but the request."""
MOST_STRAYS = 0.06
"""Share of the requests that strays may be; more than that is a limit, whatever a trial says."""
MEMORY = 15.0
"""Seconds over which the share of refusals is looked at."""
DOUBT = 4.0
"""Requests that a trial is taken to have had besides, so that its first refusals do not decide alone."""
CREDIT = 3.0
"""Refusals beyond that share that are forgiven at once: a busy machine brings requests closer together."""
DEEPEST = 0.9
"""Share by which one decision slows down at most."""
BELOW = 0.97
"""The pace of a trial, as a share of what was accepted."""
ENOUGH = 8.0
"""Refusals that strays would bring in a trial; it lasts so long."""
SHORTEST, LONGEST = 1.0, 8.0
"""Seconds of a trial."""
RECOVERY = 40.0
"""Seconds after a trial until the pace is back."""
FLAT = 6.0
"""Power of the curve along which it comes back."""
PART = 3.0
"""Part of the refusals that strays would bring, from which on they are taken for strays."""
SLOWEST = 0.02
"""Share of the rate below which the pace never falls."""
STRAYS_HALVE = 150.0
"""Seconds in which half of what is known of strays is forgotten."""

IDLE = 0.65
"""Of the requests that could have been made, the share that counts as made: who sends little is forgiven as much."""

# Places, from the model's first one.
(
    _SPENT,
    _SPENT_AT,
    _SPENT_OF,
    _REFUSALS,
    _REQUESTS,
    _COUNTED_AT,
    _COUNTED_OF,
    _DECIDED_AT,
    _SLOWED_AT,
    _LOW,
    _BEFORE,
    _SHARE,
    _TRIAL_ENDS,
    _TRIAL_OF,
    _IN_TRIAL,
    _STRAYS,
    _STRAYS_AT,
    SIZE,
) = range(18)


@dataclass(frozen=True, slots=True)
class Slowness:
    """
    Why the pace is what it is.

    :param pace: Requests per second.
    :param before: Requests per second at which refusals came that were not forgiven.
    :param share: Their share of the requests.
    """

    pace: float
    before: float
    share: float


class PaceModel:
    """
    The model of one account; what it remembers lies on a board.

    :param rate: Requests per second where nothing is refused.
    :param first: Its first place on the board; it takes ``SIZE`` of them.
    """

    def __init__(self, rate: float, first: int) -> None:
        self._rate = rate
        self._first = first

    def pace(self, board: MutableSequence[float], now: float, requests: float) -> float:
        """
        Return the requests per second at present.

        :param board: The board, locked.
        :param now: The board's clock, in seconds.
        :param requests: How many requests there have been.
        """
        view = _View(board, self._first)
        self._conclude(view, now, requests)
        return self._pace(view, now)

    def slowness(self, board: MutableSequence[float], now: float, requests: float) -> Slowness:
        """
        Return the pace, and why it is what it is.

        :param board: The board, locked.
        :param now: The board's clock, in seconds.
        :param requests: How many requests there have been.
        """
        view = _View(board, self._first)
        return Slowness(self.pace(board, now, requests), view[_BEFORE], view[_SHARE])

    def refused(
        self, board: MutableSequence[float], now: float, requests: float, *, left_at: float, alone: bool
    ) -> None:
        """
        Learn from a refusal.

        :param board: The board, locked.
        :param now: The board's clock, in seconds.
        :param requests: How many requests there have been.
        :param left_at: When the request left.
        :param alone: It left after the refusal before it was known, so the two are two events.
        """
        view = _View(board, self._first)
        self._conclude(view, now, requests)
        if left_at <= view[_DECIDED_AT]:
            return  # it says nothing about the pace since then
        if view[_TRIAL_ENDS]:
            self._in_trial(view, now, requests)
            return
        pace = self._pace(view, now)
        share = self._share(view, now, requests)
        if alone and self._is_spent(view, now, requests, pace):
            self._slow_down(view, now, requests, pace, share)

    def _pace(self, view: _View, now: float) -> float:
        if not view[_SLOWED_AT]:
            return self._rate
        if view[_TRIAL_ENDS]:
            return view[_LOW]
        back = max(0.0, now - view[_SLOWED_AT]) / RECOVERY
        if back >= 1.0:
            return self._rate
        return float(view[_LOW] + (self._rate - view[_LOW]) * back**FLAT)

    def _is_spent(self, view: _View, now: float, requests: float, pace: float) -> bool:
        """Take a refusal from the credit, which grows with the requests; a little also without any."""
        made = max(requests - view[_SPENT_OF], IDLE * pace * (now - view[_SPENT_AT]))
        view[_SPENT] = max(0.0, view[_SPENT] - self._forgiven(view, now) * made) + 1.0
        view[_SPENT_AT], view[_SPENT_OF] = now, requests
        return view[_SPENT] > CREDIT

    def _forgiven(self, view: _View, now: float) -> float:
        faded = math.exp2(-(now - view[_STRAYS_AT]) / STRAYS_HALVE)
        return max(FORGIVEN, (1.4 * view[_STRAYS] + 0.015) * faded)

    def _share(self, view: _View, now: float, requests: float) -> float:
        """Count a refusal, and return the share of the last requests that was refused."""
        faded = math.exp(-(now - view[_COUNTED_AT]) / MEMORY)
        view[_REFUSALS] = view[_REFUSALS] * faded + 1.0
        view[_REQUESTS] = view[_REQUESTS] * faded + requests - view[_COUNTED_OF]
        view[_COUNTED_AT], view[_COUNTED_OF] = now, requests
        return min(DEEPEST, view[_REFUSALS] / max(view[_REFUSALS], view[_REQUESTS]))

    def _slow_down(self, view: _View, now: float, requests: float, pace: float, share: float) -> None:
        """Begin a trial at what was accepted."""
        low = max(pace * (1.0 - share) * BELOW, self._rate * SLOWEST)
        lasts = min(LONGEST, max(SHORTEST, ENOUGH / (share * low)))
        view[_BEFORE], view[_SHARE], view[_LOW] = pace, share, low
        view[_DECIDED_AT] = view[_SLOWED_AT] = now
        view[_TRIAL_ENDS], view[_TRIAL_OF], view[_IN_TRIAL] = now + lasts, requests, 0.0

    def _in_trial(self, view: _View, now: float, requests: float) -> None:
        view[_IN_TRIAL] += 1.0
        made = requests - view[_TRIAL_OF]
        if view[_IN_TRIAL] > 2.0 * view[_SHARE] * made + 2.0:
            # More are refused than before: the limit has come down meanwhile.
            share = min(DEEPEST, view[_IN_TRIAL] / max(view[_IN_TRIAL], made + DOUBT))
            self._slow_down(view, now, requests, view[_LOW], share)

    def _conclude(self, view: _View, now: float, requests: float) -> None:
        """End a trial whose time is over."""
        ends = view[_TRIAL_ENDS]
        if not ends or now < ends:
            return
        found, made = view[_IN_TRIAL], max(1.0, view[_IN_TRIAL], requests - view[_TRIAL_OF])
        most = MOST_STRAYS * made
        if max(2.0, view[_SHARE] * made / PART) <= found <= most + 1.5 * math.sqrt(most):
            view[_STRAYS], view[_STRAYS_AT] = min(MOST_STRAYS, found / made), now
            view[_LOW] = view[_BEFORE]
        else:
            view[_STRAYS] *= 0.5
            if found >= 2.0:
                # The limit is lower still by what was refused in the trial.
                view[_LOW] = max(view[_LOW] * (1.0 - min(DEEPEST, found / made)), self._rate * SLOWEST)
        view[_SLOWED_AT], view[_TRIAL_ENDS] = ends, 0.0
        view[_SPENT], view[_SPENT_AT], view[_SPENT_OF] = 0.0, now, requests
        view[_REFUSALS], view[_REQUESTS] = 0.0, 0.0
        view[_COUNTED_AT], view[_COUNTED_OF] = now, requests


class _View:
    """
    The model's places on a board.

    :param board: The board.
    :param first: The first of them.
    """

    __slots__ = ("_board", "_first")

    def __init__(self, board: MutableSequence[float], first: int) -> None:
        self._board = board
        self._first = first

    def __getitem__(self, place: int) -> float:
        return self._board[self._first + place]

    def __setitem__(self, place: int, value: float) -> None:
        self._board[self._first + place] = value
