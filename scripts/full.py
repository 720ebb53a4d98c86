"""
Runs every session of noxfile.py, a few at a time, and writes the results into a page of the documentation.

    make full                                            # into build/full: a log for each session, and the table
    make full ARGS="--write docs/tested-versions.md"     # the table between the marks of this page instead
    make full ARGS="--only-write docs/tested-versions.md"    # run nothing: what a stopped run has found so far

Sessions that passed on the same commit are not run again, so an interrupted run continues; ``--again`` starts over.
All sessions test the same wheel, which is built from the commit.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILT = ROOT / "build" / "full"
MARKS = "<!-- full-table: begin -->", "<!-- full-table: end -->"


@dataclass
class Result:
    """
    The result of a session.

    :param commit: The tested commit, abbreviated by git.
    :param found: The versions that ran, as the session prints them: "Airflow 3.3.2 on Python 3.13.1".
    :param said: pytest's closing line, or why the session did not run; several are joined.
    :param outcome: "passed", "failed", "skipped" or "not run".
    :param seconds: CPU seconds of the session including its installation, all processes together.
    """

    session: str
    commit: str
    found: str
    said: str
    outcome: str
    seconds: int


def main() -> int:
    """Run the sessions that have not passed, print the table, and return the exit code."""
    options = arguments()
    commit = git("rev-parse", "--short", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no")
    if options.write and changed:
        sys.exit(f"What is written names a commit, and these files differ from it:\n{changed}")
    known = {} if options.again or changed else remembered(commit)
    passed = {name: result for name, result in known.items() if result.outcome == "passed"}
    names = sessions()
    if options.only_write:
        missing = Result("", commit, "", "", "not run", 0)
        return write(options, [known.get(name) or replace(missing, session=name) for name in names])
    left = [name for name in names if name not in passed]
    for name in passed.keys() & set(names):
        print(f"{name} passed before, on this commit.")
    os.environ["WHEEL"] = str(wheel())
    with ThreadPoolExecutor(options.jobs) as lanes:
        results = passed | dict(
            zip(left, lanes.map(lambda name: run(name, commit, options), left), strict=True)
        )
    return write(options, [results[name] for name in names])


def write(options: argparse.Namespace, results: list[Result]) -> int:
    """Print and write the table, and return the exit code."""
    text = table(results)
    print(f"\n{text}")
    page = options.write or BUILT / "tested-versions.md"
    page.write_text(between_the_marks(page.read_text(), text) if options.write else f"{text}\n")
    print(f"\nWritten: {page}")
    return 1 if any(result.outcome == "failed" for result in results) else 0


def git(*words: str) -> str:
    """Return the output of a git command in this checkout."""
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def sessions() -> list[str]:
    """Return the names of the sessions that ``nox`` runs by default."""
    listed = subprocess.run(
        [sys.executable, "-m", "nox", "--list", "--json"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [session["session"] for session in json.loads(listed.stdout)]


def wheel() -> Path:
    """Build the wheel that all sessions test."""
    folder = BUILT / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv") or "uv"
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", str(folder)], cwd=ROOT, check=True)
    (built,) = folder.glob("*.whl")
    return built


def remembered(commit: str) -> dict[str, Result]:
    """Return the last results of the sessions that have run on this commit."""
    found = [Result(**json.loads(file.read_text())) for file in sorted(BUILT.glob("*.json"))]
    return {result.session: result for result in found if result.commit == commit}


def run(name: str, commit: str, options: argparse.Namespace) -> Result:
    """Run a session, store its log and its result, and print how it ended."""
    file = BUILT / re.sub(r"[^\w.]+", "-", name).strip("-")
    file.parent.mkdir(parents=True, exist_ok=True)
    log = file.with_name(f"{file.name}.log")
    began = time.monotonic()
    with log.open("w") as output:
        nox = [sys.executable, "-m", "nox", "--session", name, "--", *options.pytest]
        process = subprocess.Popen(
            nox, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    result = read(name, commit, log.read_text(), process.returncode, round(used.ru_utime + used.ru_stime))
    file.with_name(f"{file.name}.json").write_text(json.dumps(asdict(result), indent=2) + "\n")
    print(f"{name} {result.outcome} after {time.monotonic() - began:.0f} s: {result.said or log}", flush=True)
    return result


def read(name: str, commit: str, log: str, code: int, seconds: int) -> Result:
    """
    Return the result in a session's log.

    A session without a closing line of pytest has tested nothing: it failed, unless it says that it was skipped.
    """
    found = re.findall(r"^nox > (Airflow \S+ on Python \S+)", log, re.MULTILINE)
    closed = re.findall(r"^=+ (.*\b\d+ (?:passed|failed|errors?)\b.*) in [\d.]+s.*=$", log, re.MULTILINE)
    skipped = re.findall(r"^nox > Session \S.* skipped: (.*?)\.?$", log, re.MULTILINE)
    if code:
        outcome = "failed"
    elif closed:
        outcome = "passed"
    else:
        outcome = "skipped" if skipped else "failed"
    said = "; ".join(closed or skipped)
    return Result(name, commit, found[-1] if found else "", said, outcome, seconds)


def table(results: list[Result]) -> str:
    """Return a Markdown table of the results, and a sentence that counts them."""
    rows = [
        f"| {result.session} | {result.found or '-'} | {result.said or '-'} | {result.seconds} s | {result.outcome} |"
        for result in results
    ]
    head = ["| session | what ran | pytest | CPU | outcome |", "| --- | --- | --- | --: | --- |"]
    passed = sum(result.outcome == "passed" for result in results)
    skipped = sum(result.outcome == "skipped" for result in results)
    commits = ", ".join(sorted({f"`{result.commit}`" for result in results}))
    on = datetime.now(UTC).date().isoformat()
    closing = f"{passed} of {len(results)} sessions passed with the wheel of {commits}, on {on}."
    if skipped:
        closing += f" {skipped} did not run; the table says why."
    return "\n".join([*head, *rows, "", closing])


def between_the_marks(page: str, text: str) -> str:
    """Return the page with ``text`` between its marks."""
    before, _, rest = page.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}"


def arguments() -> argparse.Namespace:
    """Read the command line, and refuse before hours of tests what could not be written at the end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=3,
        help="sessions at a time; each waits half of its time, so three fill two cores (default: 3)",
    )
    parser.add_argument("--again", action="store_true", help="run what has passed on this commit as well")
    parser.add_argument("--write", type=Path, help="Markdown file whose marked part becomes the table")
    parser.add_argument(
        "--only-write", type=Path, help="the same, but of what has run on this commit; run nothing"
    )
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --; not with --write")
    options = parser.parse_args()
    options.write = options.write or options.only_write
    if options.jobs < 1:
        parser.error(f"--jobs is {options.jobs}, and has to be 1 or more")
    if options.write and options.pytest:
        parser.error("--write takes whole sessions, without arguments for pytest")
    if options.write and not (
        options.write.is_file() and all(mark in options.write.read_text() for mark in MARKS)
    ):
        parser.error(f"{options.write} lacks the lines {MARKS[0]} and {MARKS[1]}")
    return options


if __name__ == "__main__":
    sys.exit(main())
