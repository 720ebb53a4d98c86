"""Alerts on a clock of their own: an hour of their waiting takes as long as their requests do."""

from __future__ import annotations

import heapq
import importlib
import itertools
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    import pytest

MODULES = ("acknowledge", "alert", "throttle_state", "time_budget", "recipient_gap", "whatsapp", "window")
"""The modules of the package's notifications that read a clock."""


class VirtualTime:
    """
    Stands in for the module ``time`` where alerts use it.

    It begins at the real time and only moves when every alert waits. What a request may take ends at a moment of the
    real clock, so the one that counts seconds is an hour ahead of it, in which all that the alerts do has time.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed = 0.0
        self._began, self._monotonic = time.time(), time.monotonic() + 3_600
        for name in MODULES:
            module = importlib.import_module(f"airflow_provider_whatsapp.notifications.{name}")
            monkeypatch.setattr(module, "time", self)

    def time(self) -> float:
        return self._began + self.passed

    def monotonic(self) -> float:
        return self._monotonic + self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds

    def run(self, alerts: Iterable[tuple[float, Callable[[], Generator[float, None, Any]]]]) -> None:
        """
        Let alerts begin, each at its second, and go on whenever they have waited.

        :param alerts: The second at which each begins, and what gives its steps: the seconds for which it then waits.
        """
        order = itertools.count()
        due: list[tuple[float, int, Any]] = [(second, next(order), begin) for second, begin in alerts]
        heapq.heapify(due)
        while due:
            second, _, what = heapq.heappop(due)
            self.passed = max(self.passed, second)
            steps = what() if callable(what) else what
            pause = next(steps, None)
            if pause is not None:
                heapq.heappush(due, (self.passed + pause, next(order), steps))
