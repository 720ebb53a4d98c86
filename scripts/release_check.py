"""
Everything that a release has to pass, short of uploading it: RELEASING.md says when to run it.

    python scripts/release_check.py             all of it, the gate and the whole matrix included (hours)
    python scripts/release_check.py --fast      without these two, which it then names as not done

Every step runs, whatever became of those before; a table at the end says what is left to do. The exit code is 0 if
that is nothing, 2 if only a person can say, who has to look at what is named, and 1 if it is not ready. Needs uv, and
twine, nox and pip-audit beside this Python.
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
"""What the page of a package index links to."""

COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class ReleaseError(Exception):
    """A reason not to release."""


class LookError(Exception):
    """What no program can judge: a person has to look at it before the release."""


def run(*command: str | Path, **variables: str) -> list[str]:
    """
    Run a command from the root with its output on the screen; return the lines of it that are not empty.

    :param command: The command.
    :param variables: Environment variables, beside those of this process.
    :raises ReleaseError: It fails.
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
    """Return the last of some lines, in which our own scripts say what came out."""
    return lines[-1] if lines else ""


def git(*arguments: str) -> str:
    """
    Return what git says.

    :raises ReleaseError: It fails.
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
    """The checkout is what is committed."""
    changed = git("status", "--porcelain")
    if changed:
        msg = f"{len(changed.splitlines())} files are not committed: {changed.splitlines()[0].strip()} ..."
        raise ReleaseError(msg)
    return f"{git('rev-parse', '--abbrev-ref', 'HEAD')} at {git('rev-parse', '--short', 'HEAD')}"


def check_changelog(text: str, number: str, today: dt.date) -> str:
    """
    The first heading is this version with its day, and nothing is left under "Unreleased".

    :param text: The changelog.
    :param number: The version.
    :param today: No release is dated later.
    :raises ReleaseError: It is otherwise.
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
    """The tag is still free, here and where the branch came from."""
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
    """The package index can follow every link of the README."""
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
    """The package index is told where the project lives."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    urls = project.get("urls", {})
    missing = [name for name in URLS if not urls.get(name, "").startswith("https://")]
    if missing:
        msg = f"[project.urls] has no address for {', '.join(missing)}"
        raise ReleaseError(msg)
    return f"{', '.join(URLS)} have one"


def check_metadata() -> str:
    """The package index accepts the metadata of all files, and shows the README."""
    files = sorted(path.relative_to(ROOT) for path in DIST.glob("airflow_provider_whatsapp-*"))
    said = run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", *files)
    return ", ".join(line.removeprefix("Checking ") for line in said if line.startswith("Checking "))


def check_vulnerabilities() -> str:
    """
    Nothing that comes with the package is known to be vulnerable.

    :raises LookError: Not everything was audited.
    """
    said = last(run(sys.executable, ROOT / "scripts/audit.py"))
    if "AUDITED" in said:
        raise LookError(said)
    return said


def wheel() -> Path:
    """
    Return the wheel that was built.

    :raises ReleaseError: There is none.
    """
    found = sorted(DIST.glob("*.whl"))
    if not found:
        msg = "nothing was built"
        raise ReleaseError(msg)
    return found[0]


def judge_matrix(sessions: list[dict[str, Any]]) -> str:
    """
    Sum up what became of the matrix's sessions.

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
    """Every session of the matrix succeeds with the wheel that will be uploaded; each Python has to be there."""
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
    """Return what is done, in order."""
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
    """Do a step; return the word for what became of it, and what it says."""
    try:
        return "ok", step()
    except LookError as remark:
        return "LOOK", str(remark)
    except (ReleaseError, OSError) as error:
        return "TO DO", str(error)


def ending(outcomes: dict[str, tuple[str, str]], left_out: list[str]) -> tuple[str, int]:
    """
    Return the last sentence, and the exit code.

    :param outcomes: For each step that was done, its word and what it says.
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
    """Do all steps, and say what is left to do."""
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
