"""
Everything that a release has to pass, short of uploading it: RELEASING.md says when to run it.

    python scripts/release_check.py             all of it, the gate and the whole matrix included (hours)
    python scripts/release_check.py --fast      without these two, which it then names as not done

Every step runs, whatever became of those before; a table at the end says what is left to do. Needs uv, and twine,
nox and pip-audit beside this Python.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
DIST = ROOT / "dist"


class ReleaseError(Exception):
    """A reason not to release."""


def run(*command: str | Path) -> str:
    """
    Run a command from the root with its output on the screen; return the output's last line.

    :raises ReleaseError: It fails.
    """
    env = {**os.environ, "NO_COLOR": "1", "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}
    lines = [""]
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            print(f"    {line}", end="", flush=True)
            lines.append(line.strip())
    if process.returncode:
        msg = f"{Path(command[0]).name} ends with {process.returncode}; see above"
        raise ReleaseError(msg)
    return next((line for line in reversed(lines) if line), "")


def git(*arguments: str) -> str:
    """Return what git says."""
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


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
    relative = [
        link
        for link in re.findall(r'\]\(([^)\s]+)\)|src="([^"]+)"', (ROOT / "README.md").read_text())
        for link in link
        if link and "://" not in link and not link.startswith("#")
    ]
    if relative:
        msg = f"{len(relative)} links are relative, and lead nowhere on a package index: {relative[0]} ..."
        raise ReleaseError(msg)
    return "every link is absolute"


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


def steps(*, fast: bool) -> dict[str, Callable[[], str]]:
    """Return what is done, in order."""
    python = sys.executable
    changelog = ROOT / "CHANGELOG.md"
    today = dt.datetime.now(tz=dt.UTC).date()
    quick: dict[str, Callable[[], str]] = {
        "nothing uncommitted": check_tree,
        "changelog": lambda: check_changelog(changelog.read_text(), version(), today),
        "tag": check_tag,
        "build, contents, the same again": lambda: run(python, ROOT / "scripts/check_package.py", DIST),
        "metadata and README": lambda: run(
            python, "-m", "twine", "check", "--strict", *DIST.glob("airflow_provider_whatsapp-*")
        ),
        "links of the README": check_readme,
        "wheel in an empty environment": lambda: run(ROOT / "scripts/check_wheel.sh", python, wheel()),
        "known vulnerabilities": lambda: run(python, ROOT / "scripts/audit.py"),
    }
    if fast:
        return quick
    return quick | {
        "gate": lambda: run(ROOT / ".ci/run"),
        "matrix": lambda: run(python, "-m", "nox"),
    }


def main(arguments: list[str]) -> int:
    """Do all steps, and say what is left to do."""
    fast = "--fast" in arguments
    print(f"Release {version()}, everything short of uploading")
    table, failed = [], 0
    for name, step in steps(fast=fast).items():
        print(f"\n{name}", flush=True)
        began = time.monotonic()
        try:
            outcome = step()
            word = "LOOK" if "NOTHING" in outcome else "ok"
        except (ReleaseError, subprocess.CalledProcessError) as error:
            outcome, word = str(error), "TO DO"
            failed += 1
        print(f"  {word}: {outcome}", flush=True)
        table.append(f"  {word:<6}{time.monotonic() - began:>7.0f} s  {name}: {outcome}")
    print(f"\nRelease {version()}", *table, sep="\n")
    if fast:
        print("  NOT DONE         gate, matrix: run again without --fast")
    print(f"\n{failed} left to do." if failed else "\nReady: RELEASING.md says how to upload it.")
    return 1 if failed or fast else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
