"""
Asks for known vulnerabilities of everything that this package brings with it, in its newest allowed version.

    python scripts/audit.py

Vulnerabilities named in audit-ignored.txt, with a reason, are passed over. Where the vulnerability service does not
answer the audit says so and passes, for it knows nothing then: `--strict` makes that an error. The last line says
"AUDITED" in capitals where something was not: scripts/release_check.py looks for that. Needs uv on PATH and pip-audit
beside this Python.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
IGNORED = ROOT / "scripts" / "audit-ignored.txt"

CANARY = "jinja2==2.4.1"
"""Known to be vulnerable: a service that does not say so cannot be asked, or does not know old versions."""


class AuditError(Exception):
    """The audit cannot be made, or what it reads is not right."""


def read_ignored(text: str) -> dict[str, str]:
    """
    Read the vulnerabilities to pass over, each with its reason.

    :param text: What the file holds.
    :raises AuditError: A line has no reason.
    """
    ignored = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, reason = line.partition(" ")
        if len(reason.split()) < 3:
            msg = (
                f"{IGNORED.name}:{number}: {name} has no reason. Write why it does not concern this package."
            )
            raise AuditError(msg)
        ignored[name] = reason.strip()
    return ignored


def ask(requirements: Path) -> list[dict[str, Any]]:
    """
    Ask pip-audit about pinned requirements.

    :param requirements: A file, one ``name==version`` a line.
    :raises AuditError: It gave no answer.
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
    """Tell whether the vulnerability service knows what everybody knows."""
    file = folder / "canary.txt"
    file.write_text(f"{CANARY}\n")
    try:
        return any(package.get("vulns") for package in ask(file))
    except AuditError as error:
        print(f"pip-audit: {error}")
        return False


def compile_requirements(folder: Path) -> Path:
    """Return a file with the newest allowed version of everything that an installation brings."""
    file = folder / "requirements.txt"
    options = ["--quiet", "--all-extras", "--no-header", "--no-annotate", "--output-file", str(file)]
    python = ["--python", sys.executable]
    subprocess.run(["uv", "pip", "compile", *options, *python, "pyproject.toml"], cwd=ROOT, check=True)
    return file


def judge(packages: list[dict[str, Any]], ignored: dict[str, str]) -> tuple[list[str], list[str]]:
    """
    Sort an answer into what is wrong and what is to be known.

    :param packages: What pip-audit says of each.
    :param ignored: Vulnerabilities to pass over, with reasons.
    :return: Lines of vulnerabilities, and lines of remarks.
    """
    found, remarks, met = [], [], set()
    for package in packages:
        if "skip_reason" in package:
            remarks.append(f"{package['name']} was not audited: {package['skip_reason']}")
        for vulnerability in package.get("vulns", ()):
            names = {vulnerability["id"], *vulnerability.get("aliases", ())}
            fixed = ", ".join(vulnerability.get("fix_versions") or ["no version"])
            line = f"{package['name']} {package['version']}: {vulnerability['id']}, mended in {fixed}"
            known = names & set(ignored)
            met |= known
            if known:
                remarks.append(f"{line}; passed over: {ignored[known.pop()]}")
            else:
                found.append(line)
    remarks += [
        f"{name} is in {IGNORED.name} and was not met: it can go." for name in sorted(set(ignored) - met)
    ]
    return found, remarks


def summary(packages: list[dict[str, Any]], found: list[str]) -> str:
    """
    Say in a line what came of the audit.

    :param packages: What pip-audit says of each.
    :param found: Lines of vulnerabilities.
    """
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    line = f"{len(packages) - len(skipped)} packages audited, {len(found)} known vulnerabilities."
    return f"{line} NOT AUDITED: {', '.join(skipped)}." if skipped else line


def main(arguments: list[str]) -> int:
    """Audit, and say what came of it."""
    try:
        ignored = read_ignored(IGNORED.read_text())
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if not is_answering(folder):
                print("The vulnerability service is not reachable from here: NOTHING WAS AUDITED.")
                return 1 if "--strict" in arguments else 0
            packages = ask(compile_requirements(folder))
    except AuditError as error:
        print(f"The audit failed: {error}", file=sys.stderr)
        return 1
    found, remarks = judge(packages, ignored)
    print(*remarks, *found, sep="\n")
    print(summary(packages, found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
