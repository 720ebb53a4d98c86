"""
All benchmarks, one after the other, into one table and two plots.

    make bench                                        # half an hour on a machine that does nothing else
    python benchmarks/run.py [--quick] [--only threads pacing] [--write docs/benchmarks.md]

Every figure stands beside a peer or a limit that was measured in the same run. Table and plots go into the folder
build/benchmarks; with --write the table goes between the marks of a Markdown file instead, and the plots into the
folder images beside it.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import rows
from plot import plot

FOLDER = Path(__file__).parent
BUILT = FOLDER.parent / "build" / "benchmarks"
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
    ("delivery_report", 1, [], ["--rows", "5000"]),
    ("shards", 1, [], ["--count", "50000", "--shards", "16"]),
    ("broadcast_rate", 1, [], ["--quick"]),
    ("analytics", 1, [], ["--people", "10000", "--days", "10"]),
    ("pacing", 1, ["--sends", "600"], ["--sends", "100"]),
    ("pacing_model", 1, [], []),
    ("templates_plan", 1, [], ["--templates", "100"]),
    ("triggers_loop", 1, [], ["--triggers", "200"]),
    ("reports", 1, [], []),
    ("sandbox_throughput", 3, [], ["--messages", "5000"]),
    ("sandbox_page", 1, [], ["--messages", "500", "--times", "2"]),
    ("task_tab", 1, [], ["--times", "1"]),
    ("receiver", 1, [], ["--seconds", "2"]),
]


def main() -> int:
    """Run them, print the table, and return the exit code; one that fails stops no other."""
    options = arguments()
    found, failed, began = [], [], time.monotonic()
    for name, times, usual, quick in BENCHMARKS:
        if options.only and name not in options.only:
            continue
        runs = []
        try:
            for _ in range(1 if options.quick else times):
                print(f"{name} ...", flush=True)
                runs.append(run(name, quick if options.quick else usual))
        except NoFiguresError as error:
            print(error, flush=True)
            failed.append(name)
            continue
        found += rows.medians(runs)
    text = f"{rows.table(row for row in found if not row.plot)}\n\n{conditions(options, time.monotonic() - began)}"
    print(f"\n{text}")
    page = None if failed else options.write  # a page gets only a whole run
    if page:
        write(page, text, found)
    else:
        write_anew(BUILT, text, found)
    print(f"\nWritten: {page or BUILT / 'benchmarks.md'}")
    if failed:
        print(f"Without figures: {', '.join(failed)}.")
    return 1 if failed or any(row.good is False for row in found) else 0


class NoFiguresError(Exception):
    """A benchmark has printed no figures."""


def run(name: str, options: list[str]) -> list[rows.Row]:
    """Run one benchmark, and return its figures; raise a NoFiguresError if it prints none."""
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = rows.read(done.stdout)
    if not found:
        raise NoFiguresError(f"{name} gave no figures:\n{done.stdout}{done.stderr}")
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
    _, _, after = rest.partition(MARKS[1])
    path.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}")
    draw(path.parent / "images", found)


def write_anew(folder: Path, text: str, found: list[rows.Row]) -> None:
    """Put table and plots into a folder, without those of an earlier run."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    plots = [f"![{title}]({image.name})" for title, image in draw(folder, found)]
    (folder / "benchmarks.md").write_text("\n\n".join(["# Benchmarks", text, *plots]) + "\n")


def draw(folder: Path, found: list[rows.Row]) -> list[tuple[str, Path]]:
    """Draw each plot that has points, and return its title and file."""
    drawn = []
    for name, (title, line) in PLOTS.items():
        points = sorted((row.x, row.value) for row in found if row.plot == name)
        if points:
            image = folder / f"benchmark-{name}.svg"
            image.write_text(plot(title, "recipients in the list", {line: points}))
            drawn.append((title, image))
    return drawn


def arguments() -> argparse.Namespace:
    """Read the command line, and refuse before anything is measured what could not be written in the end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="short lists and no repetitions, about two minutes"
    )
    parser.add_argument("--only", nargs="+", choices=[name for name, *_ in BENCHMARKS], help="these alone")
    parser.add_argument("--write", type=Path, help="Markdown file whose marked part becomes the table")
    options = parser.parse_args()
    if options.write and (options.quick or options.only):
        parser.error("--write takes a whole run, without --quick and --only; those go into build/benchmarks")
    if options.write and not (
        options.write.is_file() and all(mark in options.write.read_text() for mark in MARKS)
    ):
        parser.error(f"{options.write} lacks the lines {MARKS[0]} and {MARKS[1]}")
    return options


if __name__ == "__main__":
    sys.exit(main())
