"""
What refusals do to the pace, simulated: gateways that count in different ways, strays, and others who use the account.

Nothing waits: the clock is the simulation's, and the same seed gives the same figures. A machine sends as fast as its
pace allows, and learns of a refusal a network's time later.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import logging
import math
import random
import statistics
import sys
from collections import deque
from dataclasses import dataclass, field

from rows import Row, add_option, hand_over

from airflow_provider_whatsapp.client.errors import RateLimitError
from airflow_provider_whatsapp.client.rate_limit import Departure, Pacer
from airflow_provider_whatsapp.client.retry import RequestRetry

LIMIT = 10.0
SECONDS = 300.0
NETWORK = (0.03, 0.12)
"""Seconds from leaving to the answer."""
CLOCKS = 0.3
"""Seconds by which a machine's wall clock is off."""
RETRY = RequestRetry()
RETRY_AFTER: float | None = 1.0
"""Seconds that the gateway asks a refused request to wait; None: it names none."""


class Unlimited:
    """A gateway without a limit."""

    def takes(self, now: float) -> bool:
        return True


class StrictWindow:
    """No second, wherever it begins, holds more than the limit; what is refused does not count."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=int(LIMIT))

    def takes(self, now: float) -> bool:
        if len(self._last) == LIMIT and self._last[0] > now - 1.0:
            return False
        self._last.append(now)
        return True


class FixedWindow:
    """No second of the clock holds more than the limit."""

    def __init__(self) -> None:
        self._second, self._count = -1, 0

    def takes(self, now: float) -> bool:
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        return self._count <= LIMIT


class TokenBucket:
    """A burst of a second's requests, filled up at the limit."""

    def __init__(self) -> None:
        self._tokens, self._at = LIMIT, 0.0

    def takes(self, now: float) -> bool:
        self._tokens = min(LIMIT, self._tokens + (now - self._at) * LIMIT)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


GATEWAYS = {
    "none": Unlimited,
    "strict window": StrictWindow,
    "fixed window": FixedWindow,
    "token bucket": TokenBucket,
}


@dataclass
class Machine:
    """
    What one machine did.

    :param moments: When its requests arrived.
    :param accepted: When those that were accepted did.
    :param paces: Moments and paces.
    """

    pacer: Pacer
    waiting: bool = False
    queue: deque[int] = field(default_factory=deque)
    failed: int = 0
    moments: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    paces: list[tuple[float, float]] = field(default_factory=list)

    def rate(self, start: float, end: float) -> float:
        return sum(start <= at < end for at in self.accepted) / (end - start)

    def refused(self, start: float, end: float) -> float:
        all_of_it = sum(start <= at < end for at in self.moments)
        return 1.0 - sum(start <= at < end for at in self.accepted) / max(1, all_of_it)

    def back_at(self, after: float, pace: float) -> float:
        """Return the seconds after a moment until the pace reaches another, and stays there for ten seconds."""
        since = math.inf
        for at, found in self.paces:
            since = min(since, at) if at >= after and found >= pace else math.inf
            if at - since >= 10:
                return since - after
        return math.inf


class Simulation:
    """
    Machines and others before one gateway.

    :param gateway: Its name.
    :param strays: Share of the requests that are refused whatever the pace is.
    :param others: Share of the limit that others use, evenly but for chance.
    :param others_until: Seconds after which they stop.
    :param machines: How many machines of ours.
    :param threads: Of each; one sends a message after the other, and waits before it repeats one.
    :param seed: Of the chance.
    """

    def __init__(
        self,
        gateway: str,
        *,
        strays: float = 0.0,
        others: float = 0.0,
        others_until: float = SECONDS,
        machines: int = 1,
        threads: int = 8,
        seed: int = 1,
        pacer: type[Pacer] = Pacer,
    ) -> None:
        self.now = 0.001
        self._chance = random.Random(seed)
        self._gateway = GATEWAYS[gateway]()
        self._strays = strays
        self._events: list = []
        self._order = itertools.count()
        self.machines = [Machine(self._pacer(pacer)) for _ in range(machines)]
        for machine in self.machines:
            for _ in range(threads):
                self._at(self._chance.random() * 0.1, self._send, machine)
        if others:
            self._at(0.0, self._other, others * LIMIT, others_until)

    def _pacer(self, pacer: type[Pacer]) -> Pacer:
        """Make one whose wall clock differs a little from the others'."""
        off = self._chance.uniform(-CLOCKS, CLOCKS)
        return pacer(LIMIT, clock=lambda: self.now, wall=lambda: self.now + off)

    def run(self, seconds: float = SECONDS) -> None:
        """Let time pass."""
        while self._events and self._events[0][0] < seconds:
            self.now, _, act, values = heapq.heappop(self._events)
            act(*values)

    def _at(self, moment: float, act, *values) -> None:
        heapq.heappush(self._events, (max(moment, self.now), next(self._order), act, values))

    def _send(self, machine: Machine, refusals: int = 0) -> None:
        """Take a moment as the pacer's ``acquire`` does, and leave at it; one at a time waits for it."""
        if machine.waiting:
            machine.queue.append(refusals)
            return
        machine.waiting = True
        self._take(machine, refusals)

    def _take(self, machine: Machine, refusals: int) -> None:
        moment, departure = machine.pacer.take(self.now)
        if departure is None:
            self._at(moment, self._take, machine, refusals)
        else:
            self._at(moment, self._leave, machine, departure, refusals)

    def _leave(self, machine: Machine, departure: Departure, refusals: int) -> None:
        departure.left()
        machine.paces.append((self.now, machine.pacer.rate()))
        there = self._chance.uniform(*NETWORK)
        self._at(self.now + there / 2, self._arrive, machine, departure, there / 2, refusals)
        machine.waiting = False
        if machine.queue:
            self._send(machine, machine.queue.popleft())

    def _arrive(self, machine: Machine, departure: Departure, back: float, refusals: int) -> None:
        machine.moments.append(self.now)
        if self._chance.random() >= self._strays and self._gateway.takes(self.now):
            machine.accepted.append(self.now)
            self._at(self.now + back, self._send, machine)
        else:
            self._at(self.now + back, self._refuse, machine, departure, refusals + 1)

    def _refuse(self, machine: Machine, departure: Departure, refusals: int) -> None:
        """Learn from a refusal, and send again after the transport's back-off."""
        machine.pacer.refused(departure)
        error, jitter = RateLimitError("429", retry_after=RETRY_AFTER), self._chance.random()
        wait = RETRY.delay(error, attempt=refusals, elapsed=0.0, jitter=jitter)
        machine.failed += wait is None
        self._at(self.now + (wait or 0.0), self._send, machine, refusals if wait is not None else 0)

    def _other(self, rate: float, until: float) -> None:
        self._gateway.takes(self.now)
        if self.now < until:
            self._at(self.now + self._chance.expovariate(rate), self._other, rate, until)


def hold(gateway: str, strays: float, others: float, *, pacer: type[Pacer] = Pacer, seeds: int = 3):
    """Return what share of the best rate was reached, and what share was refused."""
    best = LIMIT * (1.0 if gateway == "none" else 1.0 - others) * (1.0 - strays)
    rates, refused = [], []
    for seed in range(seeds):
        held = Simulation(gateway, strays=strays, others=others, seed=seed, pacer=pacer)
        held.run()
        (machine,) = held.machines
        rates.append(machine.rate(20, SECONDS) / best)
        refused.append(machine.refused(20, SECONDS))
    return statistics.mean(rates), statistics.mean(refused)


def measure(gateway: str, strays: float, others: float, *, pacer: type[Pacer] = Pacer, seeds: int = 3):
    """Return what :func:`hold` does, and the seconds of recovery."""
    recoveries = []
    for seed in range(seeds):
        # The pace is tried in seconds of the clock, so the others stop at another distance from those each time.
        for until in (101, 113, 129, 144):
            freed = Simulation(
                gateway, strays=strays, others=others, others_until=until, seed=seed, pacer=pacer
            )
            freed.run(until + 120)
            recoveries.append(freed.machines[0].back_at(until, 0.9 * LIMIT))
    return *hold(gateway, strays, others, pacer=pacer, seeds=seeds), max(recoveries)


STRAYS = (0.0, 0.01, 0.02, 0.05)
OTHERS = (0.0, 0.3, 0.5, 0.8)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_option(parser)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    rows = []
    lines = [
        "| gateway | others use | " + " | ".join(f"{strays:.0%} strays" for strays in STRAYS) + " |",
        "| --- | --- |" + " --- |" * len(STRAYS),
    ]
    for gateway, others in itertools.product(GATEWAYS, OTHERS):
        if gateway == "none" and others:
            continue
        cells = []
        for strays in STRAYS:
            rate, refused, recovery = measure(gateway, strays, others)
            back = f", {recovery:.0f} s" if others else ""
            cells.append(f"{rate:.2f}, {refused:.0%}{back}")
            if strays == 0.02 and others in (0.0, 0.5):
                name = f"pacing model, {gateway}, others use {others:.0%}, 2% strays: rate"
                reached = Row(name=name, value=rate, against="what they leave", reference=1.0, at_least=0.5)
                rows.append(reached)
        lines.append(f"| {gateway} | {others:.0%} | {' | '.join(cells)} |")
    return hand_over(rows, "\n".join(lines), as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
