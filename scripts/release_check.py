"""
Checks everything that a release has to pass before the upload; RELEASING.md says when to run it.

    python scripts/release_check.py             everything, including the gate and the whole matrix (hours)
    python scripts/release_check.py --fast      without these two, which it then reports as not done

Every step runs, even if an earlier one failed; a table at the end says what is left to do. The exit code is 0 if that
is nothing, 2 if a person has to look at the named points, and 1 if it is not ready. It needs uv, and twine, nox and
pip-audit beside this Python.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
DIST = ROOT / "dist"


SLOW = ("gate", "matrix")
"""The steps that `--fast` leaves out."""

URLS = ("Documentation", "Source", "Changelog", "Issues")
"""The links on a package index's page."""

COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class ReleaseError(Exception):
    """A reason not to release."""


class LookError(Exception):
    """A point that no program can judge: a person has to look at it before the release."""


def run(*command: str | Path, **variables: str) -> list[str]:
    """
    Run a command from the root, print its output, and return its lines that are not empty.

    :param command: The command.
    :param variables: Environment variables in addition to those of this process.
    :raises ReleaseError: The command fails.
    """
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "NO_COLOR": "1", "PATH": path, **variables}
    lines = []
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for coloured in process.stdout or ():
            line = COLOUR.sub("", coloured).rstrip()
            print(f"    {line}", flush=True)
            lines.append(line.strip())
    if process.returncode:
        msg = f"{Path(command[0]).name} ends with {process.returncode}; see above"
        raise ReleaseError(msg)
    return [line for line in lines if line]


def last(lines: list[str]) -> str:
    """Return the last line, in which our own scripts print their result."""
    return lines[-1] if lines else ""


def git(*arguments: str) -> str:
    """
    Return the output of a git command.

    :raises ReleaseError: The command fails.
    """
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        msg = f"git {arguments[0]} fails: {last(done.stderr.splitlines())}"
        raise ReleaseError(msg)
    return done.stdout.strip()


def version() -> str:
    """Return the version that would be released."""
    source = (ROOT / "airflow_provider_whatsapp" / "__init__.py").read_text()
    return re.findall(r'^__version__ = "(.+)"$', source, re.MULTILINE)[0]


def check_tree() -> str:
    """Check that everything in the checkout is committed."""
    changed = git("status", "--porcelain")
    if changed:
        msg = f"{len(changed.splitlines())} files are not committed: {changed.splitlines()[0].strip()} ..."
        raise ReleaseError(msg)
    return f"{git('rev-parse', '--abbrev-ref', 'HEAD')} at {git('rev-parse', '--short', 'HEAD')}"


def check_changelog(text: str, number: str, today: dt.date) -> str:
    """
    Check that the first heading is this version with its day, and that "Unreleased" is empty.

    :param text: The changelog.
    :param number: The version.
    :param today: No release may have a later date.
    :raises ReleaseError: The changelog is wrong.
    """
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    if not headings or not headings[0].startswith(f"{number} - "):
        first = headings[0] if headings else "nothing"
        msg = f'the first heading is "{first}"; it has to be "{number} - {today}"'
        raise ReleaseError(msg)
    day = headings[0].removeprefix(f"{number} - ")
    try:
        future = dt.date.fromisoformat(day) > today
    except ValueError:
        msg = f'"{day}" is no day'
        raise ReleaseError(msg) from None
    if future:
        msg = f"{day} is still to come"
        raise ReleaseError(msg)
    return headings[0]


def check_tag() -> str:
    """Check that the tag does not exist, here and in the branch's remote."""
    tag = f"v{version()}"
    taken = git("tag", "--list", tag)
    remotes = git("remote").splitlines()
    taken = taken or next(
        (found for remote in remotes if (found := git("ls-remote", "--tags", remote, tag))), ""
    )
    if taken:
        msg = f"{tag} is taken: raise __version__"
        raise ReleaseError(msg)
    return f"{tag} is free"


def check_readme() -> str:
    """Check that a package index can follow every link of the README."""
    links = re.findall(
        r'\]\(\s*<?([^)\s>]+)|^\[[^\]]+\]:\s*(\S+)|(?:src|href)="([^"]+)"',
        (ROOT / "README.md").read_text(),
        re.MULTILINE,
    )
    relative = [
        link for alternatives in links for link in alternatives if link and not re.match(r"#|[a-z]+:", link)
    ]
    if relative:
        msg = f"{len(relative)} links are relative, and lead nowhere on a package index: {relative[0]} ..."
        raise ReleaseError(msg)
    return "every link is absolute"


def check_urls() -> str:
    """Check that the metadata have the project's addresses."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    urls = project.get("urls", {})
    missing = [name for name in URLS if not urls.get(name, "").startswith("https://")]
    if missing:
        msg = f"[project.urls] has no address for {', '.join(missing)}"
        raise ReleaseError(msg)
    return f"{', '.join(URLS)} have one"


def check_metadata() -> str:
    """Check that the package index accepts the metadata of all files, and shows the README."""
    files = sorted(path.relative_to(ROOT) for path in DIST.glob("airflow_provider_whatsapp-*"))
    said = run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", *files)
    return ", ".join(line.removeprefix("Checking ") for line in said if line.startswith("Checking "))


def check_vulnerabilities() -> str:
    """
    Check that nothing that comes with the package is known to be vulnerable.

    :raises LookError: Not everything was audited.
    """
    said = last(run(sys.executable, ROOT / "scripts/audit.py"))
    if "AUDITED" in said:
        raise LookError(said)
    return said


def wheel() -> Path:
    """
    Return the wheel that was built.

    :raises ReleaseError: There is no wheel.
    """
    found = sorted(DIST.glob("*.whl"))
    if not found:
        msg = "nothing was built"
        raise ReleaseError(msg)
    return found[0]


def judge_matrix(sessions: list[dict[str, Any]]) -> str:
    """
    Return the outcomes of the matrix's sessions as text.

    :param sessions: The sessions in nox's report.
    :raises ReleaseError: One failed, or there was none.
    :raises LookError: One was skipped.
    """
    rest = [session for session in sessions if session["result"] != "success"]
    told = [f"{len(sessions) - len(rest)} of {len(sessions)} sessions succeeded"]
    for session in rest:
        reason = f" ({session['reason']})" if session.get("reason") else ""
        told.append(f"{session['signatures'][0]} {session['result']}{reason}")
    outcome = "; ".join(told)
    if not sessions or any(session["result"] != "skipped" for session in rest):
        raise ReleaseError(outcome)
    if rest:
        raise LookError(outcome)
    return f"all {len(sessions)} sessions succeeded"


def check_matrix() -> str:
    """Check that every session of the matrix succeeds with the wheel to upload; every Python has to be installed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        options = ("--error-on-missing-interpreters", "--report", report)
        failure = None
        try:
            run(sys.executable, "-m", "nox", *options, WHEEL=str(wheel()))
        except ReleaseError as error:
            failure = error
        if not report.exists():
            raise failure or ReleaseError("nox wrote no report")
        outcome = judge_matrix(json.loads(report.read_text())["sessions"])
        if failure:
            raise failure
        return outcome


def steps() -> dict[str, Callable[[], str]]:
    """Return the steps, in order."""
    python = sys.executable
    changelog = ROOT / "CHANGELOG.md"
    today = dt.datetime.now(tz=dt.UTC).date()
    return {
        "nothing uncommitted": check_tree,
        "changelog": lambda: check_changelog(changelog.read_text(), version(), today),
        "tag": check_tag,
        "build, contents, the same again": lambda: last(run(python, ROOT / "scripts/check_package.py", DIST)),
        "metadata and README": check_metadata,
        "links of the README": check_readme,
        "addresses": check_urls,
        "wheel in an empty environment": lambda: last(run(ROOT / "scripts/check_wheel.sh", python, wheel())),
        "known vulnerabilities": check_vulnerabilities,
        "bill of materials": lambda: last(
            run(python, ROOT / "scripts/sbom.py", ROOT / "build" / "sbom.cdx.json")
        ),
        "gate": lambda: last(run(ROOT / ".ci/run")),
        "matrix": check_matrix,
    }


def attempt(step: Callable[[], str]) -> tuple[str, str]:
    """Do a step; return the word for its outcome, and its result."""
    try:
        return "ok", step()
    except LookError as remark:
        return "LOOK", str(remark)
    except (ReleaseError, OSError) as error:
        return "TO DO", str(error)


def ending(outcomes: dict[str, tuple[str, str]], left_out: list[str]) -> tuple[str, int]:
    """
    Return the last sentence, and the exit code.

    :param outcomes: For each step that was done, its word and its result.
    :param left_out: The steps that were not done.
    """
    failed = [name for name, (word, _) in outcomes.items() if word == "TO DO"]
    reasons = [f"{len(failed)} left to do ({'; '.join(failed)})"] if failed else []
    reasons += [f"{' and '.join(left_out)} were left out"] if left_out else []
    if reasons:
        return f"Not ready: {'; '.join(reasons)}.", 1
    look = [f"{name}: {said}" for name, (word, said) in outcomes.items() if word == "LOOK"]
    if look:
        return "\n  ".join(["Ready but for what a person has to look at:", *look]), 2
    return "Ready: RELEASING.md says how to upload it.", 0


def main(arguments: list[str]) -> int:
    """Do all steps, and print what is left to do."""
    left_out = list(SLOW) if "--fast" in arguments else []
    print(f"Release {version()}, everything short of uploading")
    table, outcomes = [], {}
    for name, step in steps().items():
        if name in left_out:
            continue
        print(f"\n{name}", flush=True)
        began = time.monotonic()
        word, said = outcomes[name] = attempt(step)
        print(f"  {word}: {said}", flush=True)
        table.append(f"  {word:<6}{time.monotonic() - began:>7.0f} s  {name}: {said}")
    print(f"\nRelease {version()}", *table, sep="\n")
    if left_out:
        print(f"  NOT DONE         {', '.join(left_out)}: run again without --fast")
    sentence, code = ending(outcomes, left_out)
    print(f"\n{sentence}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
