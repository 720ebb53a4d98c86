"""Many alerts on one machine while the gateway is away and workers die: in the end every failure has been named."""

from __future__ import annotations

import heapq
import itertools
import json
import random
from types import SimpleNamespace

import pytest

from tests.notifications.test_outages import bodies, failure, named, success

pytestmark = pytest.mark.airflow

PEOPLE = ["+15550001111", "+15550002222"]
MODULES = ("alert", "time_budget", "recipient_gap", "whatsapp", "window")
OUTAGES = {
    "no answer": {"kind": "drop_before"},
    "503": {"kind": "status", "status": 503},
    "429": {"kind": "status", "status": 429},
    "a key that was revoked": {"kind": "status", "status": 401},
}


class DeadError(BaseException):
    """The worker is no more."""


class Variables(dict):
    """What Airflow's Variables are; a worker dies at its n-th use of them, before or after it."""

    left = None

    def count(self):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise DeadError

    def read(self, key, default=None):
        self.count()
        return self.get(key, default)

    def write(self, key, value, *_):
        self.count()
        self[key] = value
        self.count()


class Machine:
    """Runs many alerts at once, each step at its moment; the clock goes from moment to moment."""

    def __init__(self, sandbox, store, chance):
        self.sandbox, self.store, self.chance = sandbox, store, chance
        self.now, self.todo, self.order = 0.0, [], itertools.count()
        self.ended = []

    def time(self):
        return 1_800_000_000.0 + self.now

    def monotonic(self):
        return self.now

    def at(self, moment, act):
        heapq.heappush(self.todo, (moment, next(self.order), act))

    def run(self):
        while self.todo:
            moment, _, act = heapq.heappop(self.todo)
            self.now = max(self.now, moment)
            act()

    def alert(self, context, *, dies=None, then=None, **options):
        """Begin an alert; it may die at a use of Airflow's Variables, or while it waits."""
        from airflow_provider_whatsapp.client.errors import WhatsAppError
        from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
        from airflow_provider_whatsapp.notifications.alert import Alert
        from airflow_provider_whatsapp.notifications.bounded import directly
        from airflow_provider_whatsapp.notifications.time_budget import TimeBudget
        from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

        notifier = WhatsAppNotifier(**{"text": "it happened", **options})
        store = SimpleNamespace(get=self.store.read, set=self.store.write)
        patience = TimeBudget.of(context)
        steps = Alert(notifier, context, MatonWhatsAppHook(), store, patience, bounded=directly).steps()
        waits = self.chance.randrange(3) if dies == "while it waits" else 1_000

        def step():
            nonlocal waits
            self.store.left = self.chance.randrange(14) if dies == "at a use" else None
            try:
                pause = next(steps, None)
            except WhatsAppError:
                return
            except DeadError:
                then()
                return
            finally:
                self.store.left = None
            waits -= 1
            if waits < 0:
                self.ended.append(steps)  # nothing of it runs any more
                then()
            elif pause is not None:
                self.at(self.now + pause, step)

        step()


def fail(machine, number, outage):
    """Let a mapped task, one of several with a key of their own, or one by itself fail; return who is to be told."""
    kind = machine.chance.choice(["map", "key", "alone"])
    task, index = {"map": ("load", number), "key": (f"step{number}", -1), "alone": (f"other{number}", -1)}[
        kind
    ]
    options = {"to": PEOPLE if kind == "key" else PEOPLE[:1]} | (
        {"dedupe_key": "all"} if kind == "key" else {}
    )
    name = f"{task}[{index}]" if index >= 0 else task
    options["text"] = name

    def tell_of_lost_worker():
        lost = failure(task, "r1", map_index=index) | {"exception": None}
        lost["ti"].state = None
        machine.at(machine.now + machine.chance.choice([1, 10, 60]), lambda: machine.alert(lost, **options))

    dies = machine.chance.choice([None, None, "at a use", "while it waits"]) if outage != "ok" else None
    machine.alert(failure(task, "r1", map_index=index), dies=dies, then=tell_of_lost_worker, **options)
    return [(to, name) for to in options["to"]]


@pytest.mark.parametrize("seed", range(8))
def test_every_failure_of_an_outage_is_named_though_workers_die(
    sandbox, change_connection, monkeypatch, seed
):
    change_connection(extra={"max_retries": 0})
    chance = random.Random(seed)
    machine = Machine(sandbox, Variables(), chance)
    for module in MODULES:
        monkeypatch.setattr(f"airflow_provider_whatsapp.notifications.{module}.time", machine)
    outage, seconds = list(OUTAGES)[seed % len(OUTAGES)], 60
    begins, expected = chance.choice([0.0, 10.0]), []
    machine.at(begins, lambda: sandbox.fail_next(path="/messages", times=0, **OUTAGES[outage]))
    machine.at(begins + seconds, sandbox.clear_faults)
    moment = begins
    for number in range(35):
        moment += chance.choice([0.0, 0.1, 1, 2, 4])
        if moment < begins + seconds:
            machine.at(moment, lambda number=number: expected.extend(fail(machine, number, outage)))
    for wait in (70, 110, 500, 900):
        for call in (
            lambda: machine.alert(failure("load", "r2"), to=PEOPLE[:1]),
            lambda: machine.alert(success("load", "r3"), to=PEOPLE[:1], recovery=True),
            lambda: machine.alert(failure("last", "r2"), to=PEOPLE, dedupe_key="all"),
            lambda wait=wait: machine.alert(failure(f"final{wait}"), to=PEOPLE),
        ):
            machine.at(begins + seconds + wait, call)
    machine.run()

    said = json.dumps(sandbox.messages)
    assert said.count("it happened") >= 4
    told = {
        to: named([m["payload"]["text"]["body"] for m in sandbox.messages if m["to"] == to[1:]])
        for to in PEOPLE
    }
    assert bodies(sandbox)
    assert len(expected) > 10
    assert {(to, name) for to, name in expected if name not in told[to]} == set()
