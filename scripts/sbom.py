"""
Writes the bill of materials of the package, in a form that other programs read (CycloneDX).

    python scripts/sbom.py build/sbom.cdx.json

It lists the newest allowed version of every dependency, including indirect ones. Needs uv on PATH, and cyclonedx-bom
beside this Python.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


class SbomError(Exception):
    """The bill of materials is wrong."""


def declared(project: dict[str, Any]) -> set[str]:
    """
    Return the names of the package's declared dependencies, without its extras.

    :param project: ``[project]`` of pyproject.toml.
    """
    return {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}


def judge(bill: dict[str, Any], wanted: set[str]) -> str:
    """
    Return the size of a bill of materials as text.

    :param bill: The bill.
    :param wanted: Names that have to be in it.
    :raises SbomError: A name is missing, or has no version.
    """
    versions = {canonicalize_name(part["name"]): part.get("version") for part in bill.get("components", [])}
    missing = sorted(name for name in wanted if not versions.get(name))
    if missing:
        msg = f"the bill of materials lacks {', '.join(missing)}"
        raise SbomError(msg)
    return f"{len(versions)} components ({bill['bomFormat']} {bill['specVersion']})"


def write(target: Path) -> str:
    """
    Write the bill of materials, and return its size as text.

    :param target: The file.
    :raises SbomError: It is wrong, or could not be made.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder, "requirements.txt")
        run(
            "uv",
            "pip",
            "compile",
            "--quiet",
            "--no-header",
            "--no-annotate",
            "-o",
            pinned,
            ROOT / "pyproject.toml",
        )
        run(
            *(sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible", "--of", "JSON"),
            *("--pyproject", ROOT / "pyproject.toml", "--output-file", target, pinned),
        )
    return judge(json.loads(target.read_text()), declared(project))


def run(*command: str | Path) -> None:
    """
    Run a command.

    :raises SbomError: The command fails.
    """
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        msg = f"{Path(command[0]).name} ends with {done.returncode}: {done.stderr.strip()[-500:]}"
        raise SbomError(msg)


def main(arguments: list[str]) -> int:
    """Write the bill, and return the exit code."""
    try:
        print(f"{arguments[0]}: {write(Path(arguments[0]))}")
    except SbomError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
