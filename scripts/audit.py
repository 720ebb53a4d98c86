"""
Looks for known vulnerabilities of everything that this package installs, in its newest allowed version, and of
everything that pyproject.toml declares, in its lowest version.

    python scripts/audit.py

It ignores the vulnerabilities in audit-ignored.txt, which have a reason there. It reports those of Airflow itself, and
those that Airflow forces by refusing every version without them (airflow-pins.txt), as Airflow's, and ignores them too.

If the vulnerability service does not answer, it compares the declared packages with the list in advisories.txt, and
prints the list's date; with `--strict` that is an error. A vulnerability is an error in either case. The last line
contains "AUDITED" in capitals if something was not audited: scripts/release_check.py looks for that. It needs uv on
PATH and pip-audit beside this Python.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
IGNORED = ROOT / "scripts" / "audit-ignored.txt"
ADVISORIES = ROOT / "scripts" / "advisories.txt"
PINS = ROOT / "scripts" / "airflow-pins.txt"

CANARY = "jinja2==2.4.1"
"""A version that is known to be vulnerable: a service that does not report it does not work, or lacks old versions."""

Forced = Callable[[str, list[str]], str | None]
"""Returns why Airflow forces a vulnerable version of a package, given the versions that fix it; None: it does not."""


class AuditError(Exception):
    """The audit is not possible, or one of its files is wrong."""


def entries(text: str) -> list[tuple[int, str]]:
    """Return the numbered lines of a file that are neither empty nor a comment."""
    lines = enumerate(text.splitlines(), 1)
    return [(number, line) for number, line in lines if line.strip() and not line.startswith("#")]


def read_ignored(text: str) -> dict[str, str]:
    """
    Return the vulnerabilities to ignore, each with its reason.

    :param text: Content of the file.
    :raises AuditError: A line has no reason.
    """
    ignored = {}
    for number, line in entries(text):
        name, _, reason = line.partition(" ")
        if len(reason.split()) < 3:
            msg = (
                f"{IGNORED.name}:{number}: {name} has no reason. Write why it does not concern this package."
            )
            raise AuditError(msg)
        ignored[name] = reason.strip()
    return ignored


def read_advisories(text: str) -> tuple[str, list[dict[str, Any]]]:
    """
    Return the list of known vulnerabilities, and its date.

    :param text: Content of the file.
    :raises AuditError: It has no date, or a line is wrong.
    """
    dated = re.search(r"^# As of (\d{4}-\d\d-\d\d)\.", text, re.MULTILINE)
    if dated is None:
        msg = f"{ADVISORIES.name} does not say as of when it is"
        raise AuditError(msg)
    known = []
    for number, line in entries(text):
        try:
            name, first, fixed, ids, what = line.split(None, 4)
            known.append(
                {
                    "name": canonicalize_name(name),
                    "first": Version(first),
                    "fixed": Version(fixed),
                    "ids": ids.split(","),
                    "what": what,
                }
            )
        except ValueError as error:
            msg = f"{ADVISORIES.name}:{number}: {error}"
            raise AuditError(msg) from None
    return dated[1], known


def compare(pinned: list[tuple[str, str]], known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    Return what the list knows about packages, in pip-audit's form.

    :param pinned: Names and versions.
    :param known: The list from :func:`read_advisories`.
    """
    return [
        {
            "name": name,
            "version": version,
            "vulns": [
                {"id": one["ids"][0], "aliases": one["ids"][1:], "fix_versions": [str(one["fixed"])]}
                for one in known
                if one["name"] == canonicalize_name(name) and one["first"] <= Version(version) < one["fixed"]
            ],
        }
        for name, version in pinned
    ]


def floors() -> list[tuple[str, str]]:
    """Return the name and lowest version of everything that pyproject.toml declares."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = itertools.chain(
        project.get("dependencies", ()), *project.get("optional-dependencies", {}).values()
    )
    found = []
    for requirement in map(Requirement, lines):
        lowest = [one.version for one in requirement.specifier if one.operator == ">="]
        if not lowest:
            msg = f"{requirement.name} has no lowest version in pyproject.toml"
            raise AuditError(msg)
        found.append((requirement.name, lowest[0]))
    return found


def pins(text: str) -> list[tuple[str, str]]:
    """Return the names and versions of a compiled file."""
    return [(name, version) for name, _, version in (line.partition("==") for _, line in entries(text))]


def ask(requirements: Path) -> list[dict[str, Any]]:
    """
    Ask pip-audit about pinned requirements.

    :param requirements: A file with one ``name==version`` per line.
    :raises AuditError: pip-audit gave no answer.
    """
    options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    command = [sys.executable, "-m", "pip_audit", *options, "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise AuditError(last) from None
    return answer


def is_answering(folder: Path) -> bool:
    """Return whether the vulnerability service reports a vulnerability that everybody knows."""
    file = folder / "canary.txt"
    file.write_text(f"{CANARY}\n")
    try:
        return any(package.get("vulns") for package in ask(file))
    except AuditError as error:
        print(f"pip-audit: {error}")
        return False


def compile_requirements(folder: Path) -> Path:
    """Return a file with the newest allowed version of everything that an installation contains."""
    file = folder / "requirements.txt"
    options = ["--quiet", "--all-extras", "--no-header", "--no-annotate", "--output-file", str(file)]
    python = ["--python", sys.executable]
    subprocess.run(["uv", "pip", "compile", *options, *python, "pyproject.toml"], cwd=ROOT, check=True)
    return file


def read_pins(text: str) -> list[tuple[str, Version, str, str]]:
    """
    Return the versions that supported Airflows refuse: the package, the first refused version, the Airflow, and the
    reason.

    :param text: Content of the file.
    :raises AuditError: A line is wrong.
    """
    found = []
    for number, line in entries(text):
        try:
            name, first, airflow, why = line.split(None, 3)
            found.append((canonicalize_name(name), Version(first), airflow, why))
        except ValueError as error:
            msg = f"{PINS.name}:{number}: {error}"
            raise AuditError(msg) from None
    return found


def forced(name: str, fixed: list[str]) -> str | None:
    """Return why Airflow forces a vulnerable version; see :data:`Forced`."""
    if canonicalize_name(name).startswith("apache-airflow"):
        return "an upgrade of Airflow fixes it"
    for package, first, airflow, why in read_pins(PINS.read_text()):
        if fixed and package == canonicalize_name(name) and all(Version(one) >= first for one in fixed):
            return f"{airflow} refuses {first} and later ({why})"
    return None


def untrue_pins() -> list[str]:
    """Return a remark for each entry of airflow-pins.txt that is no longer true of its Airflow."""
    remarks = []
    for name, first, airflow, _ in read_pins(PINS.read_text()):
        wanted = f"apache-airflow=={airflow}\n{name}>={first}\n"
        command = ["uv", "pip", "compile", "--quiet", "--python", sys.executable, "-"]
        done = subprocess.run(command, input=wanted, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            remarks.append(f"{PINS.name}: Airflow {airflow} allows {name} {first}: the entry can go.")
    return remarks


def judge(
    packages: list[dict[str, Any]], ignored: dict[str, str], forced: Forced = lambda *_: None
) -> tuple[list[str], list[str]]:
    """
    Split an answer into vulnerabilities and remarks.

    :param packages: pip-audit's answer for each package.
    :param ignored: Vulnerabilities to ignore, with reasons.
    :param forced: Returns why Airflow forces a vulnerable version.
    :return: Lines about vulnerabilities, and lines of remarks.
    """
    found, remarks, met = [], [], set()
    for package in packages:
        if "skip_reason" in package:
            remarks.append(f"{package['name']} was not audited: {package['skip_reason']}")
        for vulnerability in package.get("vulns", ()):
            names = {vulnerability["id"], *vulnerability.get("aliases", ())}
            fixes = list(vulnerability.get("fix_versions") or [])
            line = f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in "
            line += ", ".join(fixes or ["no version"])
            known = names & set(ignored)
            met |= known
            if known:
                remarks.append(f"{line}; ignored: {ignored[known.pop()]}")
            elif reason := forced(package["name"], fixes):
                remarks.append(f"{line}; Airflow's: {reason}")
            else:
                found.append(line)
    remarks += [
        f"{name} is in {IGNORED.name} and was not met: it can go." for name in sorted(set(ignored) - met)
    ]
    return found, remarks


def summary(packages: list[dict[str, Any]], found: list[str]) -> str:
    """
    Return the result of the audit in a line.

    :param packages: pip-audit's answer for each package.
    :param found: Lines about vulnerabilities.
    """
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    line = f"{len(packages) - len(skipped)} packages audited, {len(found)} known vulnerabilities."
    return f"{line} NOT AUDITED: {', '.join(skipped)}." if skipped else line


def audit_by_service(folder: Path, ignored: dict[str, str]) -> tuple[list[str], list[str], str]:
    """Ask the service about the newest versions and about the lowest."""
    lowest = folder / "floors.txt"
    lowest.write_text("".join(f"{name}=={version}\n" for name, version in floors()))
    packages = [*ask(compile_requirements(folder)), *ask(lowest)]
    found, remarks = judge(packages, ignored, forced)
    return found, [*remarks, *untrue_pins()], summary(packages, found)


def audit_by_list(folder: Path, ignored: dict[str, str]) -> tuple[list[str], list[str], str]:
    """Compare the lowest versions, and the newest if the package index answers, with the list in the repository."""
    date, known = read_advisories(ADVISORIES.read_text())
    pinned = floors()
    declared = {canonicalize_name(name) for name, _ in pinned}
    try:
        newest = pins(compile_requirements(folder).read_text())
    except (OSError, subprocess.CalledProcessError):
        newest = []
        print("The package index does not answer: the newest versions were not compared.")
    pinned += [(name, version) for name, version in newest if canonicalize_name(name) in declared]
    found, remarks = judge(compare(pinned, known), ignored, forced)
    line = f"{len(pinned)} versions of {len(declared)} packages compared with the list of {date} in the repository"
    return (
        found,
        remarks,
        f"{line}: {len(found)} known vulnerabilities. NOT AUDITED by a service: none answers.",
    )


def main(arguments: list[str]) -> int:
    """Audit, and print the result."""
    try:
        ignored = read_ignored(IGNORED.read_text())
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            answers = is_answering(folder)
            found, remarks, line = (audit_by_service if answers else audit_by_list)(folder, ignored)
    except AuditError as error:
        print(f"The audit failed: {error}", file=sys.stderr)
        return 1
    print(*remarks, *found, sep="\n")
    print(line)
    return 1 if found or (not answers and "--strict" in arguments) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
