"""
One account's limit, kept by several machines: with Redis, with Redis killed in the middle, and without.

    make scale-out-rate                             # sets up an environment of its own
    python benchmarks/scale_out/rate.py [--seconds 60] [--times 3] [--only redis killed] [--write FILE]

Every machine is a network namespace of its own (machines.py), and a process on each sends as fast as it may. Wants
root, and Debian's packages `iproute2`, `postgresql` and `redis-server`. Takes eight minutes. The sandbox's log judges:
no second, wherever it begins, may hold more than the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import services as own
from harness import conditions, measure, say
from limits import Bounds, Kept, kept
from machines import machines

if TYPE_CHECKING:
    from machines import Machine

SENDER = Path(__file__).with_name("sender.py")
MARKS = "<!-- scale-out-rate: begin -->", "<!-- scale-out-rate: end -->"
AWAY = 2.0
"""Seconds for which Redis is away."""
HEAD = "| | of the limit | 429 | slowest/fastest | failed | fullest second: accepted, arrived | as wanted |"
FAR = 0.1
"""Seconds by which what the far machine sends arrives later."""
KINDS = {
    "redis": ("Redis", Bounds(rate=0.96, refused=0.005, fair=0.9)),
    "killed": (f"Redis, killed after a third and empty again {AWAY:.0f} s later", Bounds(refused=0.03)),
    "far": ("Redis, one machine 100 ms further away from Redis and gateway", Bounds(refused=0.03)),
    "alone": ("they do not know of each other", Bounds()),
    "one": ("one of them sends for all (one queue)", Bounds(rate=0.95, refused=0.01)),
}


class Campaign:
    """
    Runs of senders on machines.

    :param services: What runs.
    :param options: The command line.
    :param connection: The sandbox's.
    :param redis: The Redis server that paces.
    :param made: The machines.
    """

    def __init__(
        self,
        services: own.Services,
        options: argparse.Namespace,
        connection: dict,
        redis: own.Redis,
        made: list[Machine],
    ) -> None:
        self.services = services
        self.options = options
        self.connection = connection
        self.redis = redis
        self.made = made
        self.sandbox = connection["host"].rstrip("/") + "/_sandbox"

    def measure(self, kind: str, number: int) -> Kept:
        """Let the machines send for a while, and return what came of it."""
        far, *near = self.made
        sending = {"one": near[:1], "far": [far, *near[1:]]}.get(kind, near)
        folder = self.services.folder / f"{kind}-{number}"
        folder.mkdir()
        own.fetch(f"{self.sandbox}/reset", "POST")
        names = self._start(kind, folder, sending)
        self.services.wait(
            lambda: len(list(folder.glob("ready-*"))) == len(sending), "the senders are ready", 120
        )
        (folder / "go").touch()
        if kind == "killed":
            time.sleep(self.options.seconds / 3)
            self.services.kill(self.redis.name)
            time.sleep(AWAY)
            self.redis.start(self.services)
        said = []
        for name in names:
            self.services.finish(name, self.options.seconds + 120)
            said.append(json.loads(self.services.log(name).read_text().splitlines()[-1]))
        requests = json.loads(own.fetch(f"{self.sandbox}/requests") or "[]")
        messages = json.loads(own.fetch(f"{self.sandbox}/messages") or "[]")
        (folder / "facts.json").write_text(json.dumps({"requests": requests, "said": said}))
        return kept(
            requests,
            messages,
            machines=len(sending),
            limit=self.options.rate,
            failed=sum(each["failed"] for each in said),
        )

    def _start(self, kind: str, folder: Path, sending: list[Machine]) -> list[str]:
        paced = kind in ("redis", "killed", "far")
        redis = {"port": self.redis.port, "password": self.redis.password} if paced else None
        names = []
        for number, machine in enumerate(sending):
            name = f"{folder.name}-{machine.name}"
            env = {**os.environ, "SCALE_OUT_SENDER": json.dumps(self.connection | {"redis": redis})}
            command = [sys.executable, str(SENDER), str(number), str(folder), str(self.options.seconds)]
            self.services.start(name, command, env=env, machine=machine)
            names.append(name)
        return names


def campaign(services: own.Services, programs: own.Programs, options: argparse.Namespace) -> tuple[bool, str]:
    """Measure each kind so often, and return whether all is well, with the table."""
    redis = own.start_redis(services, programs, "pacing-redis")
    connection = own.start_sandbox(services, options.rate, options.latency)
    ports = [int(connection["host"].rstrip("/").rpartition(":")[2]), redis.port]
    rows, good = [], True
    with machines(services, options.machines + 1, ports, FAR) as made:  # the first one is the far one
        found = Campaign(services, options, connection, redis, made)
        for kind in options.only:
            title, bounds = KINDS[kind]
            for number in range(options.times if kind == "redis" else 1):
                one = found.measure(kind, number)
                faults = one.faults(bounds)
                good = good and not faults
                rows.append(row(title, one, faults))
                say(rows[-1])
    text = "\n".join([HEAD, "| --- | --- | --- | --- | --- | --- | --- |", *rows])
    sizes = (
        f"{options.machines} machines with one process and two threads each, {options.rate} requests a second, "
        f"{options.seconds:g} s, {options.latency * 1e3:.0f} ms per answer"
    )
    return good, f"{text}\n\n{conditions(programs, sizes)}"


def row(title: str, one: Kept, faults: list[str]) -> str:
    """Return a run's line of the table."""
    judged = f"**no**: {', '.join(faults)}" if faults else "yes"
    return (
        f"| {title} | {one.share:.3f} | {one.refused:.1%} | {one.fair:.2f} | {one.failed} | "
        f"{one.most_accepted}, {one.most_arrived} | {judged} |"
    )


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machines", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each run")
    parser.add_argument("--times", type=int, default=3, help="runs with Redis undisturbed")
    parser.add_argument("--rate", type=int, default=10, help="the sandbox's limit per second")
    parser.add_argument("--latency", type=float, default=0.15, help="seconds per answer")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), help="what is measured")
    parser.add_argument("--write", type=Path, help="Markdown file whose marked part becomes the table")
    options = parser.parse_args()
    return measure(lambda services, programs: campaign(services, programs, options), options.write, MARKS)


if __name__ == "__main__":
    sys.exit(main())
