"""
Let one task meet one fault, go on, and judge what is left: seeded rounds without a scheduler, three seconds each.

    python tests/campaigns/rounds.py --rounds 100                # each fault in turn; night-length
    python tests/campaigns/rounds.py --seconds 300 --seed 7      # as many as fit into the time
    python tests/campaigns/rounds.py --fault overlap --fault wire

Each try is a process of its own, which runs the broadcast operator against the sandbox as Airflow's task runner does:
SIGTERM is handed to ``on_kill``, the time-out is raised by SIGALRM. This process stands in for the scheduler and for
the person who mends what is broken and clears the task. What Airflow's own processes meet is in chaos.py.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from airflow_provider_whatsapp.pytest_plugin import WhatsAppSandbox  # noqa: E402
from tests.campaigns.judging import Round, read_lines, table  # noqa: E402

PEOPLE = 60
RATE = 20
LATENCY = 0.1
TRIES = 10
LOADED = [
    "airflow.providers.standard.triggers.temporal",
    "airflow_provider_whatsapp.delivery.engine",
    "airflow_provider_whatsapp.delivery.result_parts",
    "airflow_provider_whatsapp.hooks.maton_whatsapp",
    "airflow_provider_whatsapp.operators.broadcast",
]
PATIENCE = 90.0
"""Seconds after which a try that does not end is a fault of its own."""


def until(condition, what, seconds=PATIENCE):
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise TimeoutError(what)


@dataclass
class Scene:
    """
    One task, its files, and what has become of its tries.

    :param sandbox: Its URL, ``messages``, ``post`` and ``fault``, as of the tests' fixture.
    :param folder: For all files; ``ledger`` and ``results`` in it may be disks of their own.
    :param chance: Decides all that is random.
    :param rate: Messages per second, as the connection has it.
    """

    sandbox: object
    folder: Path
    chance: random.Random
    rate: float = RATE
    number: int = 0
    max_tries: int = 3
    ended: list[dict] = field(default_factory=list)
    interrupted: int = 0
    """Tries that had no time to write down what they knew."""
    doubted: set[str] = field(default_factory=set)
    """Numbers whose answer the wire has lost."""
    options: dict = field(default_factory=dict)
    mend: object = None
    """What a person does before the task is cleared."""

    def __post_init__(self):
        self.people = [f"1555{self.chance.randrange(10**6):06}{place % 10}" for place in range(PEOPLE)]
        self.people = list(dict.fromkeys(self.people))
        self.list = self.folder / "people.csv"
        self.write_list(self.people)
        for name in ("ledger", "results"):
            (self.folder / name).mkdir()
        self.results = self.folder / "results" / "results.jsonl"

    def write_list(self, people):
        self.list.write_text("to\n" + "".join(f"+{to}\n" for to in people))

    def start(self, **options):
        """Start the next try in a process of its own."""
        self.number += 1
        return Try(self, self.number, {**self.options, **options})

    def some(self):
        """Wait until some of the messages are out, never the first or the last ones."""
        count = len(self.sandbox.messages)
        moment = min(len(self.people) - 3, count + self.chance.randrange(4, 20))
        until(lambda: len(self.sandbox.messages) >= moment or self.last.over(), f"{moment} messages")

    def finish(self):
        """Retry and clear as Airflow and people do, until the task is done."""
        while not self.ended or self.ended[-1]["ended"] != "success":
            if len(self.ended) >= TRIES:
                raise TimeoutError(f"not done after {TRIES} tries")
            if self.ended and self.ended[-1]["ended"] == "failed":
                if self.mend is not None:
                    self.mend()
                self.max_tries += self.number
            self.start().wait()


class Try:
    """One try of the task, in a process of its own."""

    def __init__(self, scene, number, options):
        self.scene, self.path = scene, scene.folder / f"ended-{number}.json"
        scene.last = self
        self.status = None
        self.pid = os.fork()
        if self.pid == 0:
            try:
                with (scene.folder / f"try-{number}.log").open("w") as log:
                    os.dup2(log.fileno(), 1)
                    os.dup2(log.fileno(), 2)
                run_task(scene, number, self.path, options)
            finally:
                os._exit(0)

    def signal(self, what):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, what)

    def over(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
        return self.status is not None

    def wait(self):
        """Wait for its end, and take it down."""
        try:
            until(self.over, "a try did not end")
        except TimeoutError:
            self.signal(signal.SIGKILL)
            raise
        told = json.loads(self.path.read_text()) if self.path.exists() else {"ended": "died", "error": ""}
        self.scene.ended.append(told)
        self.scene.interrupted += told["ended"] == "died"
        return told

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait()


class TimeIsOver(BaseException):
    """Like Airflow's own, which lives in another module of each version."""


def run_task(scene, number, path, options):
    """Run one try as Airflow's task runner does, and say how it ended."""
    import logging

    from airflow_provider_whatsapp._compat import AirflowFailException
    from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator

    def strike(*_):
        raise TimeIsOver("the time is over")

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
    time_out = options.pop("time_out", None)
    task = BroadcastTemplateOperator(
        task_id="send",
        recipients=f"file://{scene.list}",
        template_name="hello_world",
        check_template=False,
        ledger_path=f"file://{scene.folder}/ledger",
        results_path=f"file://{scene.results}",
        max_failed=len(scene.people),
        **options,
    )
    ti = SimpleNamespace(dag_id="campaign", run_id="run", task_id="send", map_index=-1)
    ti.try_number, ti.max_tries, ti.xcom_push = number, scene.max_tries, lambda **_: None
    signal.signal(signal.SIGTERM, lambda *_: task.on_kill())
    signal.signal(signal.SIGALRM, strike)
    told = {"ended": "success", "error": ""}
    try:
        if time_out is not None:
            signal.setitimer(signal.ITIMER_REAL, time_out)
        task.execute({"ti": ti})
    except BaseException as error:
        traceback.print_exc()
        told = {
            "ended": "failed" if isinstance(error, AirflowFailException) else "retry",
            "error": str(error),
        }
    signal.setitimer(signal.ITIMER_REAL, 0)
    path.write_text(json.dumps(told | {"by": signal.SIGALRM if time_out else 0}))


# The faults. Each is done to a task that is in the middle of its messages; what follows is the same for all.


def kill(scene):
    """The task's process dies, twice."""
    for _ in range(2):
        found = scene.start()
        scene.some()
        found.kill()


def terminate(scene):
    """Airflow ends the task; it has five seconds, and needs fewer."""
    found = scene.start()
    scene.some()
    found.signal(signal.SIGTERM)
    scene.expect(found.wait(), "retry")


def time_out(scene):
    """The task's execution_timeout is over."""
    scene.expect(scene.start(time_out=scene.chance.uniform(0.3, 2.0)).wait(), "retry", "time is over")


def overlap(scene):
    """The task is stopped (a suspended machine, say), the next try begins, and the first one wakes up."""
    first = scene.start()
    scene.some()
    first.signal(signal.SIGSTOP)
    scene.interrupted += 1
    second = scene.start()
    scene.some()
    first.signal(signal.SIGCONT)
    scene.expect(first.wait(), "failed", "another try of this task has taken over")
    second.wait()


def rewritten(scene):
    """The list is rewritten in place: in another order, shorter, or longer."""
    found = scene.start()
    scene.some()
    changed = {
        "order": scene.people[::-1],
        "shorter": scene.people[:-2],
        "longer": [*scene.people, "15559999999"],
    }[scene.chance.choice(["order", "shorter", "longer"])]
    scene.write_list(changed)
    scene.mend = lambda: scene.write_list(scene.people)
    told = found.wait()
    if told["ended"] == "success":  # the list is small, and may have been read already
        return
    scene.expect(told, "failed", "was changed while it was being sent")


@contextlib.contextmanager
def own_disk(folder, kilobytes=256):
    """Make a folder a small disk of its own."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], check=True, capture_output=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True, capture_output=True)


def has_disks():
    """Say whether this process may mount disks."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with own_disk(folder):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


def fill(folder):
    """Use up a disk; return what frees it again."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))
    return filler.unlink


def full_ledger(scene):
    """The disk of the ledger is full for a while: the task waits, and goes on by itself."""
    with own_disk(scene.folder / "ledger"):
        found = scene.start()
        scene.some()
        free = fill(scene.folder / "ledger")
        time.sleep(scene.chance.uniform(0.2, 2.0))
        free()
        scene.expect(found.wait(), "success")
        scene.finish()


def readonly_ledger(scene):
    """The disk of the ledger cannot be written for a while."""
    with own_disk(scene.folder / "ledger"):
        found = scene.start()
        scene.some()
        remount = ["mount", "-o", "remount,ro", scene.folder / "ledger"]
        until(
            lambda: subprocess.run(remount, check=False, capture_output=True).returncode == 0,
            "no remount",
            10,
        )
        time.sleep(scene.chance.uniform(0.2, 2.0))
        remount[2] = "remount,rw"
        subprocess.run(remount, check=True, capture_output=True)
        scene.expect(found.wait(), "success")
        scene.finish()


def full_results(scene):
    """The disk of the results is full: the task stops with every answer in the ledger, and a retry finds room."""
    with own_disk(scene.folder / "results", 512):
        found = scene.start()
        scene.some()
        free = fill(scene.folder / "results")
        scene.expect(found.wait(), "retry", "No space left on device")
        free()
        scene.ids = False  # those of the last answers had nowhere to go
        scene.finish()
        scene.keep_results()


def readonly_results(scene):
    """The results cannot be written from the beginning: nobody is sent to."""
    with own_disk(scene.folder / "results", 512):
        subprocess.run(
            ["mount", "-o", "remount,ro", scene.folder / "results"], check=True, capture_output=True
        )
        scene.expect(scene.start().wait(), "retry", "Read-only file system")
        if scene.sandbox.messages:
            scene.wrong("sent although the results could not be written")
        subprocess.run(
            ["mount", "-o", "remount,rw", scene.folder / "results"], check=True, capture_output=True
        )
        scene.finish()
        scene.keep_results()


def wire(scene):
    """The network and the service fail here and there, in every way; the process dies as well."""
    kinds = ["drop_before", "drop_after", "status 500", "status 503", "status 429", "refused", "slow", "half"]
    for to in scene.chance.sample(scene.people, len(scene.people) // 3):
        kind = scene.chance.choice(kinds)
        fields = {"to": to, "path": "/messages", "times": 1}
        if kind.startswith("status"):
            fields |= {"status": int(kind[7:])}
        elif kind == "refused":
            body = {"error": {"message": "no", "type": "OAuthException", "code": 131026}}
            kind, fields = "status", {**fields, "status": 400, "body": body, "times": 0}
        elif kind == "slow":
            fields |= {"seconds": scene.chance.uniform(0.2, 1.0)}
        scene.sandbox.fail_next(kind.split()[0], **fields)
        scene.doubted.add(to)
    found = scene.start()
    scene.some()
    if scene.chance.random() < 0.5:
        found.kill()
    else:
        found.wait()


FAULTS = {
    found.__name__: found
    for found in (
        kill,
        terminate,
        time_out,
        overlap,
        rewritten,
        full_ledger,
        readonly_ledger,
        full_results,
        readonly_results,
        wire,
    )
}
DISKS = ("full_ledger", "readonly_ledger", "full_results", "readonly_results")


class Played(Scene):
    """A scene whose end is judged."""

    def __post_init__(self):
        super().__post_init__()
        self.mistakes, self.lines, self.ids, self.write = [], None, True, 0.0
        self.load()

    def wrong(self, what):
        self.mistakes.append(what)

    def expect(self, told, ended, words=""):
        """Note a try that did not end as it must; one that was done before the fault struck is well, too."""
        if told["ended"] not in (ended, "success") or (told["ended"] == ended and words not in told["error"]):
            self.wrong(f"a try ended as {told['ended']} instead of {ended}: {told['error'][:300]}")

    def keep_results(self):
        """Read the results before their disk goes."""
        self.lines = read_lines(self.results)

    def load(self):
        """Import what a try needs, once for all of them."""
        for name in LOADED:
            importlib.import_module(name)
        from airflow.sdk import ObjectStoragePath

        ObjectStoragePath(f"file://{self.folder}").exists()

    def figures(self):
        found = Round(
            people=self.people,
            messages=self.sandbox.messages,
            lines=read_lines(self.results) if self.lines is None else self.lines,
            tries=len(self.ended),
            state=self.ended[-1]["ended"],
            rate=self.rate,
            latency=LATENCY,
            write=self.write,
            interrupted=self.interrupted,
            doubted=self.doubted,
            ids=self.ids,
        ).figures()
        return {"not as expected (forbidden)": len(self.mistakes)} | found


def play(name, sandbox, folder, seed, rate=RATE, write=0.0):
    """
    Play one round.

    :param name: Of the fault.
    :param sandbox: Empty, and Airflow's default connection leads to it.
    :param folder: An empty one.
    :param seed: Decides all that is random.
    :param rate: Messages per second, as the connection has it.
    :param write: Seconds that a write to the ledger may take; what leaves meanwhile is claimed before.
    :return: The round's figures, and what was wrong in words.
    """
    scene = Played(sandbox, Path(folder), random.Random(f"{name} {seed}"), rate)
    scene.write = write
    sandbox.fail_next("slow", seconds=LATENCY, times=0, path="/messages")
    try:
        FAULTS[name](scene)
        scene.finish()
    except TimeoutError as error:
        scene.wrong(str(error))
    finally:
        scene.last.signal(signal.SIGCONT)
        scene.last.signal(signal.SIGKILL)
    if not scene.ended:
        scene.ended.append({"ended": "never", "error": ""})
    return scene.figures(), scene.mistakes


def forbidden(found):
    """Return the figures that must not be."""
    return {name: count for name, count in found.items() if "forbidden" in name and count}


def main():
    """Play rounds until their number or the time is over, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no round after so long")
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only these; may be repeated")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--rate", type=float, default=RATE, help="messages per second")
    options = parser.parse_args()
    names = options.fault or list(FAULTS)
    if not has_disks():
        print("Disks cannot be mounted here: their faults are left out.")
        names = [name for name in names if name not in DISKS]
    sandbox = WhatsAppSandbox.start("--approve-after", "2")
    sandbox.connect(rate_limit=options.rate, max_retries=1)
    totals, most, began, rounds, bad = Counter(), Counter(), time.monotonic(), 0, 0
    print(f"seed {options.seed}", flush=True)
    try:
        while rounds < options.rounds and time.monotonic() - began < options.seconds:
            name, folder = names[rounds % len(names)], tempfile.mkdtemp(prefix="round-")
            sandbox.reset()
            found, mistakes = play(name, sandbox, folder, options.seed + rounds, options.rate)
            rounds += 1
            totals.update(found)
            most |= Counter(found)
            print(f"{rounds} {name}: {found['tries']} tries, {found['unknown']} unknown", flush=True)
            if forbidden(found):
                bad += 1
                print(f"  WRONG: {forbidden(found)} {mistakes}; {folder} is kept", flush=True)
            else:
                shutil.rmtree(folder)
    finally:
        sandbox.stop()
    print(table(totals, most, rounds, time.monotonic() - began))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
