"""
All benchmarks, one after the other, into one table and two plots.

    make bench                                        # about ten minutes on a machine that does nothing else
    python benchmarks/run.py [--quick] [--only threads pacing] [--write docs/benchmarks.md]

Every figure stands beside a peer or a limit that was measured in the same run. With --write the table goes between the
marks of a Markdown file, and the plots into the folder images beside it.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import rows
from plot import plot

FOLDER = Path(__file__).parent
MARKS = "<!-- bench-table: begin -->", "<!-- bench-table: end -->"
PLOTS = {
    "throughput": ("Messages per second, no limit, ledger and results file on a disk", "rate of a broadcast"),
    "memory": ("Peak of memory, MB", "the sending process"),
}
# Name, how often, the options of a run, and those of a quick one.
BENCHMARKS: list[tuple[str, int, list[str], list[str]]] = [
    ("send_cost", 3, [], ["--rounds", "3"]),
    ("threads", 3, [], []),
    ("import_time", 1, [], []),
    ("upload_memory", 1, [], []),
    ("broadcast_memory", 1, [], ["--sizes", "100", "1000", "10000"]),
    ("broadcast_rate", 1, [], ["--quick"]),
    ("pacing", 1, ["--sends", "600"], ["--sends", "100"]),
    ("templates_plan", 1, [], ["--templates", "100"]),
    ("triggers_loop", 1, [], ["--triggers", "200"]),
    ("sandbox_throughput", 3, [], ["--messages", "5000"]),
]


def main() -> int:
    """Run them, print the table, and return the exit code."""
    options = arguments()
    found, began = [], time.monotonic()
    for name, times, usual, quick in BENCHMARKS:
        if options.only and name not in options.only:
            continue
        runs = []
        for _ in range(1 if options.quick else times):
            print(f"{name} ...", flush=True)
            runs.append(run(name, quick if options.quick else usual))
        found += rows.medians(runs)
    text = f"{rows.table(row for row in found if not row.plot)}\n\n{conditions(options, time.monotonic() - began)}"
    print(f"\n{text}")
    if options.write:
        write(options.write, text, found)
    return 1 if any(row.good is False for row in found) else 0


def run(name: str, options: list[str]) -> list[rows.Row]:
    """Run one benchmark; it fails when it prints no figures."""
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = rows.read(done.stdout)
    if not found:
        raise SystemExit(f"{name} gave no figures:\n{done.stdout}{done.stderr}")
    return found


def conditions(options: argparse.Namespace, seconds: float) -> str:
    """Say under which conditions was measured."""
    names = (
        "apache-airflow",
        "pywa",
        "requests",
        "apache-airflow-providers-http",
        "apache-airflow-providers-slack",
    )
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    quick = " A quick run: short lists, no repetitions." if options.quick else ""
    return (
        f"Measured on {date.today().isoformat()} in {seconds:.0f} s, on {os.cpu_count()} cores, Python "  # noqa: DTZ011
        f"{platform.python_version()}, {versions}.{quick}"
    )


def write(path: Path, text: str, found: list[rows.Row]) -> None:
    """Put the table between the marks, and the plots beside the file."""
    before, _, rest = path.read_text().partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not end:
        raise SystemExit(f"{path} lacks the lines {MARKS[0]} and {MARKS[1]}")
    path.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}")
    for name, (title, line) in PLOTS.items():
        points = sorted((row.x, row.value) for row in found if row.plot == name)
        if points:
            image = path.parent / "images" / f"benchmark-{name}.svg"
            image.write_text(plot(title, "recipients in the list", {line: points}))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="short lists and no repetitions, about two minutes"
    )
    parser.add_argument("--only", nargs="+", choices=[name for name, *_ in BENCHMARKS], help="these alone")
    parser.add_argument("--write", type=Path, help="Markdown file whose marked part becomes the table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
