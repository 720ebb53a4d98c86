"""
Measures whether the tests notice a change: changes the critical modules one place at a time, and runs their tests.

    python scripts/mutants.py --seed 7 --count 150        a sample
    python scripts/mutants.py --within delivery/engine     all of one module

A first pass records, with coverage.py, which test enters which function, and how long it takes; the record is kept in
`build/mutants` until the code changes. Each mutant is tested with the tests that enter its function, those of its own
module first, fast ones before slow ones, until one fails and so kills it. Each run uses a copy of the project, in a
process forked from one that has imported Airflow already.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import queue
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from mutations import Mutant, mutants_of

ROOT = Path(__file__).parents[1]
PACKAGE = Path("airflow_provider_whatsapp")
CORE = ("transport", "retry", "rate_limit", "pace_board", "pace_model", "wire", "answers", "phone", "media")
MODULES = (
    *(f"client/{name}.py" for name in CORE),
    "delivery/*.py",
    "message_templates/plan.py",
    "message_templates/apply.py",
    "notifications/*.py",
)
WIRED = (
    "operators/*.py",
    "sensors/*.py",
    "triggers/*.py",
    "hooks/maton_whatsapp.py",
    "hooks/media_source.py",
)
"""Where the workers are put together: with ``--wires`` their calls and arguments are left out."""
INNER = (
    *(
        "client/transport.py",
        "delivery/engine.py",
        "delivery/book.py",
        "delivery/writer.py",
        "delivery/results.py",
    ),
    *(
        f"notifications/{name}.py"
        for name in ("whatsapp", "alert", "alert_message", "recipient_gap", "window")
    ),
    *("message_templates/plan.py", "message_templates/apply.py"),
)
"""Modules below them that pass values on: engine to ledger, alert to throttle and gap, plan to apply to record."""
WIRES = ("call left out", "statement left out", "argument left out", "result not returned")
TESTS = (
    *("client", "delivery", "message_templates", "notifications", "operators", "hooks"),
    *(f"airflow/test_{name}.py" for name in ("triggers", "health", "sensor_wiring", "inbound_trigger")),
    *("test_cli.py", "test_stores.py"),
)
SLOW = 8.0
"""Seconds of a test from which on no mutant is tested with it: nobody runs so slow a test while working."""
REQUEST = f"{PACKAGE}/client/transport.py:Transport._exchange"
"""Tests that enter this function start a sandbox in each run, so they run last."""
AT_ONCE = 3.0
"""Seconds of the tests with which a mutant is tested first; most need no others."""
AT_MOST = 60.0
"""Seconds of all tests of a mutant, unless ``--most`` says otherwise."""
NEVER_ENDED = "(never ended)"
KEPT = ROOT / "build" / "mutants"


class Worker:
    """A process with a copy of the project, which imports Airflow once and forks for each run of tests."""

    def __init__(self, folder: Path) -> None:
        self.copy = folder / "project"
        copy_project(self.copy)
        scratch = folder / "tmp"
        scratch.mkdir()
        environment = {
            **os.environ,
            "TMPDIR": str(scratch),
            "PYTHONPATH": str(self.copy),
            # A compiled file counts as current by second and size, which may be equal for a mutant and the original.
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, str(Path(__file__).with_name("mutant_worker.py")), str(self.copy)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=self.copy
        )

    def ask(self, **task: Any) -> dict[str, Any]:
        """Send one run to the worker, and return its result."""
        assert self.process.stdin  # noqa: S101
        assert self.process.stdout  # noqa: S101
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def end(self) -> None:
        """Let the process end."""
        assert self.process.stdin  # noqa: S101
        self.process.stdin.close()
        self.process.wait()


def copy_project(target: Path) -> None:
    """Copy the files that git tracks, and new ones that it does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def in_parallel(tasks: list[Any], workers: list[Worker], one: Any) -> None:
    """Give each task to a worker that is free."""
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    failed: list[BaseException] = []

    def work(worker: Worker) -> None:
        try:
            while not failed:
                one(worker, waiting.get_nowait())
        except queue.Empty:
            pass
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def fingerprint(*paths: Path) -> str:
    """Return a hash of files' content."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def learn(workers: list[Worker], *, stale: bool) -> dict[str, dict[str, Any]]:
    """Return which functions each test enters, and its seconds; run the files that have changed since the last time."""
    kept = KEPT / "tests.json"
    known: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    code = "" if stale else fingerprint(*sorted((ROOT / PACKAGE).rglob("*.py")))
    files = [
        file
        for name in TESTS
        for file in (sorted((ROOT / "tests" / name).rglob("test_*.py")) or [ROOT / "tests" / name])
    ]
    found: dict[str, Any] = {}
    todo = []
    for file in files:
        name, now = str(file.relative_to(ROOT)), f"{fingerprint(file)}"
        if name in known and known[name]["test"] == now and code in ("", known[name]["code"]):
            found[name] = known[name]
        else:
            todo.append((name, now))
    began = time.monotonic()

    def one(worker: Worker, task: tuple[str, str]) -> None:
        name, now = task
        answer = worker.ask(do="learn", file=name)
        if answer["code"] not in (0, 1, 5):
            raise RuntimeError(f"{name}: pytest ended with {answer['code']}: {answer['end']}")
        if answer["code"] == 1:
            print(f"{name}: not regarded, for they fail or are skipped: {answer['failed']}", flush=True)
        passed = {test: it for test, it in answer["tests"].items() if test not in answer["failed"]}
        found[name] = {"test": now, "code": code or "unknown", "tests": passed}
        kept.write_text(json.dumps({**known, **found}))
        print(f"learnt {name}: {len(passed)} tests", flush=True)

    KEPT.mkdir(parents=True, exist_ok=True)
    in_parallel(todo, workers, one)
    tests = {test: it for file in found.values() for test, it in file["tests"].items()}
    if todo:
        print(f"{len(tests)} tests learnt in {time.monotonic() - began:.0f} s", flush=True)
    return tests


def meeting(mutant: Mutant, tests: dict[str, dict[str, Any]], most: float) -> list[list[str]]:
    """Return the tests of a mutant: its own file's first, because most need no others, then the fast ones."""
    module = mutant.module
    inside = f"{module}:{mutant.function}"

    def enters(functions: list[str]) -> bool:
        if mutant.shared:
            return any(it.startswith(f"{module}:") for it in functions)
        return inside in functions

    own = f"test_{Path(module).stem}.py"
    chosen = [
        (REQUEST in it["functions"], own not in test, it["seconds"], test)
        for test, it in tests.items()
        if it["seconds"] <= SLOW and enters(it["functions"])
    ]
    mine: list[str] = []
    first: list[str] = []
    then: list[str] = []
    total = 0.0
    for asks, others, seconds, test in sorted(chosen):
        total += seconds + 0.002
        if total > most:
            break
        (then if asks or total > AT_ONCE else first if others else mine).append(test)
    return [stage for stage in (mine, first, then) if stage]


@dataclass(frozen=True)
class Judged:
    """
    The outcome of a mutant.

    :param mutant: The mutant.
    :param status: ``killed``, ``survived`` or ``unreached``.
    :param test: The test that killed it.
    :param met: Number of tests for it.
    :param seconds: Duration, including the start of pytest.
    """

    mutant: Mutant
    status: str
    test: str
    met: int = 0
    seconds: float = 0.0


def judge(worker: Worker, mutant: Mutant, tests: dict[str, dict[str, Any]], most: float) -> Judged:
    """Test a mutant, and return its outcome."""
    began = time.monotonic()
    stages = meeting(mutant, tests, most)
    status, test = meet(worker, mutant, stages, tests)
    return Judged(mutant, status, test, sum(map(len, stages)), time.monotonic() - began)


def meet(
    worker: Worker, mutant: Mutant, stages: list[list[str]], tests: dict[str, dict[str, Any]]
) -> tuple[str, str]:
    """Return a mutant's status, and the test that killed it."""
    if not stages:
        return "unreached", ""
    for chosen in stages:
        seconds = sum(tests[test]["seconds"] for test in chosen)
        answer = worker.ask(
            do="mutant", module=mutant.module, number=mutant.number, tests=chosen, seconds=60 + 5 * seconds
        )
        if answer["code"] == "late":
            return "killed", NEVER_ENDED
        if answer["code"] in (1, 2):
            return "killed", (answer["failed"] or ["(cannot be imported)"])[0]
        if answer["code"] != 0:
            raise RuntimeError(f"{mutant.place}: pytest ended with {answer['code']}: {answer['end']}")
    return "survived", ""


def population(within: str, *, wires: bool) -> list[Mutant]:
    """Return every mutant of the modules whose path contains a text; with ``wires`` only the workers' wires."""
    paths = []
    for pattern in (*WIRED, *INNER) if wires else MODULES:
        matching = sorted((ROOT / PACKAGE).glob(pattern))
        if not matching:
            sys.exit(f"no module matches {pattern!r}: put its new name into {Path(__file__).name}")
        paths += matching
    names = [str(path.relative_to(ROOT)) for path in paths]
    found = [mutant for name in names if within in name for mutant in mutants_of(ROOT / name, name)]
    return [mutant for mutant in found if not wires or mutant.kind in WIRES]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, help="which sample (default: 1)")
    parser.add_argument(
        "--count", type=int, help="mutants in it (default: 300, and all with --within or --line); 0: all"
    )
    parser.add_argument("--within", default="", help="only modules whose path holds this text")
    parser.add_argument(
        "--wires", action="store_true", help="what passes between the modules of the workers instead"
    )
    parser.add_argument("--kind", default="", help="only changes of this kind, as the results name it")
    parser.add_argument("--line", type=int, nargs="*", help="only mutants that begin in these lines")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--minutes", type=float, default=55, help="begin no mutant after these (default: 55)")
    parser.add_argument(
        "--again", action="store_true", help="only what was not killed in the seed's last run"
    )
    parser.add_argument("--most", type=float, default=AT_MOST, help="seconds of tests for each (default: 60)")
    parser.add_argument(
        "--stale", action="store_true", help="learn changed tests alone, whatever else has changed"
    )
    parser.add_argument(
        "--least", type=float, default=0.0, help="fail below this share of killed ones, 0.9 for 90 %%"
    )
    return parser.parse_args()


def main() -> int:
    """Take a sample, test it, and print the survivors, the score, and its row for the docs."""
    options = arguments()
    began, commit = time.monotonic(), commit_here()
    everything = population(options.within, wires=options.wires)
    everything = [it for it in everything if options.kind in it.kind]
    sample = [it for it in everything if not options.line or it.line in options.line]
    count = (0 if options.within or options.line else 300) if options.count is None else options.count
    if count:
        sample = random.Random(options.seed).sample(sample, min(count, len(sample)))  # noqa: S311
    if options.again:
        sample = not_killed(kept_in(options), everything)
    results: list[Judged] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        workers = []
        for number in range(options.jobs):
            (place := Path(folder, str(number))).mkdir()
            workers.append(Worker(place))
        try:
            tests = learn(workers, stale=options.stale)

            def one(worker: Worker, mutant: Mutant) -> None:
                if time.monotonic() - began > options.minutes * 60:
                    return
                found = judge(worker, mutant, tests, options.most)
                results.append(found)
                if found.status != "killed" or found.test == NEVER_ENDED:
                    print(line_of(found), flush=True)
                elif len(results) % 25 == 0:
                    print(
                        f"{len(results)} of {len(sample)} after {(time.monotonic() - began) / 60:.1f} min",
                        flush=True,
                    )

            in_parallel(sample, workers, one)
        finally:
            for worker in workers:
                worker.end()
    late = "" if len(results) == len(sample) else f" ({len(sample) - len(results)} were not reached in time)"
    code = summary(results, len(everything), len(sample), options, time.monotonic() - began)
    if results:
        killed = sum(found.status == "killed" for found in results)
        judged = f"{len(results)} of {len(everything)}{late}"
        print(
            f"\n| {options.seed} | `{commit}` | {judged} | {killed} | {100 * killed / len(results):.1f} % | |"
        )
    return code


def commit_here() -> str:
    """Return the tested commit, because the copies are made now."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.strip()


def kept_in(options: argparse.Namespace, more: str = "") -> Path:
    """Return the file with the results of a run."""
    what = ("-wires" if options.wires else "") + re.sub(
        r"\W+", "-", f"-{options.within}" if options.within else ""
    )
    return KEPT / f"seed-{options.seed}{what}{more}.json"


def not_killed(file: Path, everything: list[Mutant]) -> list[Mutant]:
    """Return the mutants that a run has not killed, even if their lines have changed."""
    rows = json.loads(file.read_text())
    facts = ("function", "kind", "before", "after")
    left = {tuple(row[name] for name in facts) for row in rows if row["status"] != "killed"}
    return [mutant for mutant in everything if tuple(getattr(mutant, name) for name in facts) in left]


def line_of(found: Judged) -> str:
    """Return a mutant as a line of text."""
    it, late = found.mutant, f" {found.test}" if found.test == NEVER_ENDED else ""
    return f"{found.status}{late}: {it.place} {it.function}: {it.kind}: `{it.before}` -> `{it.after}`"


def summary(
    results: list[Judged],
    known: int,
    wanted: int,
    options: argparse.Namespace,
    seconds: float,
) -> int:
    """Print the score, write it into `build/mutants`, and return the exit code."""
    if not results:
        print("No mutant was judged.")
        return 1
    counts = Counter(found.status for found in results)
    share = counts["killed"] / len(results)
    KEPT.mkdir(parents=True, exist_ok=True)
    rows = [
        {"place": it.place, "function": it.function, "kind": it.kind, "before": it.before, "after": it.after}
        | {"status": found.status, "test": found.test, "met": found.met, "seconds": round(found.seconds, 2)}
        for found in sorted(results, key=lambda found: (found.mutant.module, found.mutant.number))
        for it in [found.mutant]
    ]
    kept_in(options, "-again" if options.again else "").write_text(json.dumps(rows, indent=1))
    print(f"\nSeed {options.seed}: {len(results)} of {known} mutants in {seconds / 60:.1f} minutes")
    if len(results) < wanted:
        print(f"{wanted - len(results)} of the sample were not reached in time.")
    late = sum(found.test == NEVER_ENDED for found in results)
    print(
        f"Each met {statistics.mean(found.met for found in results):.0f} tests at most, and took "
        f"{statistics.mean(found.seconds for found in results):.1f} s."
    )
    print(
        f"killed {counts['killed']} ({late} of them because tests never ended), survived {counts['survived']}, "
        f"unreached {counts['unreached']}: {share:.1%}"
    )
    return int(share < options.least)


if __name__ == "__main__":
    sys.exit(main())
