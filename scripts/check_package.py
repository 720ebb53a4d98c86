"""
Builds the package and checks the result: no file too many, none missing, and a second build gives the same files.

    python scripts/check_package.py dist            builds into dist/, then checks

The package contains what git tracks: a file that is not committed yet counts as one too many.

The wheel is built three times: from the checkout through the source archive, from the source archive, and from copies
of the checkout in another folder. All have to be the same file, byte for byte. pyproject.toml pins the build tools and
their dependencies, so that this stays true. Needs uv on PATH and git.
"""

from __future__ import annotations

import email
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "airflow_provider_whatsapp"

KINDS = {".css", ".html", ".js", ".json", ".pdf", ".png", ".py", ".svg", ".typed", ".yaml"}
"""Allowed kinds of files in the wheel."""

REQUIRED = {
    f"{PACKAGE}/py.typed",
    f"{PACKAGE}/get_provider_info.py",
    f"{PACKAGE}/message_templates/template.schema.json",
    f"{PACKAGE}/notifications/airflow_alert.yaml",
    f"{PACKAGE}/notifications/airflow_alert_ack.yaml",
    f"{PACKAGE}/notifications/airflow_alert_in_hand.yaml",
    f"{PACKAGE}/approvals/airflow_approval.yaml",
    f"{PACKAGE}/approvals/airflow_approval_outcome.yaml",
    f"{PACKAGE}/approvals/airflow_approval_reply.yaml",
    f"{PACKAGE}/reports/airflow_report.yaml",
    f"{PACKAGE}/reports/airflow_report_pdf.yaml",
    f"{PACKAGE}/reports/sample.pdf",
    f"{PACKAGE}/reports/sample.png",
    f"{PACKAGE}/sandbox/page/static/page.css",
    f"{PACKAGE}/sandbox/page/static/page.js",
    f"{PACKAGE}/sandbox/page/templates/base.html",
}
"""Files whose absence only a user would notice."""

METADATA = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
LEFT_OUT = {".gitattributes", ".github", ".gitlab-ci.yml", ".readthedocs.yaml"}
"""Tracked files that are not in the source archive."""


class PackageError(Exception):
    """The package is wrong."""


def tracked(folder: str = "") -> set[str]:
    """Return the files that git tracks in a folder, as paths from the root."""
    command = ["git", "ls-files", "-z", "--", folder or "."]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return {name for name in names if name and (ROOT / name).exists()}


def compare(what: str, found: set[str], wanted: set[str]) -> None:
    """
    Compare two lists of files.

    :raises PackageError: They differ.
    """
    for names, word in ((found - wanted, "holds what it should not"), (wanted - found, "lacks")):
        if names:
            msg = f"{what} {word}: {', '.join(sorted(names)[:10])}" + (" ..." if len(names) > 10 else "")
            raise PackageError(msg)


def check_wheel(wheel: Path, sources: set[str]) -> None:
    """
    Check the content of a wheel.

    :param wheel: The file.
    :param sources: The files of our package, as paths from the root.
    :raises PackageError: A file is missing, too many, or of an unusual kind.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        (info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
        metadata = email.message_from_bytes(archive.read(f"{info}/METADATA"))
    compare(wheel.name, names, sources | {f"{info}/{name}" for name in METADATA})
    compare(wheel.name, names & REQUIRED, REQUIRED)
    odd = {name for name in names if ".dist-info/" not in name and Path(name).suffix not in KINDS}
    if odd:
        msg = f"{wheel.name} holds files of unusual kinds: {', '.join(sorted(odd))}"
        raise PackageError(msg)
    version = wheel.name.split("-")[1]
    if metadata["Version"] != version:
        msg = f"{wheel.name} calls itself {metadata['Version']}"
        raise PackageError(msg)


def check_sdist(sdist: Path, sources: set[str]) -> None:
    """
    Check the content of a source archive: what git tracks, and no more.

    :param sdist: The file.
    :param sources: Everything that git tracks.
    :raises PackageError: A file is missing or too many, or is outside of the archive's only folder.
    """
    top = sdist.name.removesuffix(".tar.gz") + "/"
    with tarfile.open(sdist) as archive:
        members = [member for member in archive.getmembers() if not member.isdir()]
    strange = [member.name for member in members if not member.isfile() or not member.name.startswith(top)]
    if strange:
        msg = f"{sdist.name} holds links, or files outside of {top}: {', '.join(strange[:10])}"
        raise PackageError(msg)
    found = {member.name.removeprefix(top) for member in members}
    wanted = {name for name in sources if name.split("/")[0] not in LEFT_OUT}
    compare(sdist.name, found, wanted | {"PKG-INFO"})


def needed(requires: list[str]) -> set[str]:
    """Return everything that requirements install today, each with its version."""
    command = ["uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "-"]
    done = subprocess.run(command, input="\n".join(requires), check=True, stdout=subprocess.PIPE, text=True)
    return set(done.stdout.split())


def build_requirements() -> list[str]:
    """Return what pyproject.toml requires to build the package."""
    requires: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    return requires


def check_pins(requires: list[str], brought: set[str]) -> None:
    """
    Check that the tools that build the package do not change.

    :param requires: What pyproject.toml requires.
    :param brought: What that installs today, each with its version.
    :raises PackageError: Something is not pinned.
    """
    compare("build-system.requires", set(requires), brought)


def build(source: Path, target: Path, *options: str) -> list[Path]:
    """Build a folder or a source archive; return the files, the wheel last."""
    command = ["uv", "build", "--quiet", *options, "--out-dir", str(target), str(source)]
    subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": last_change()})
    return sorted(target.glob("airflow_provider_whatsapp-*"), key=lambda path: path.suffix == ".whl")


def last_change() -> str:
    """Return the time of the last commit in seconds, which is the time of the files in archives."""
    command = ["git", "log", "-1", "--format=%ct"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_same(first: list[Path], second: list[Path], how: str) -> None:
    """
    Compare two builds.

    :raises PackageError: A file of the second differs from that of the first.
    """
    for again in second:
        before = next(path for path in first if path.name == again.name)
        if digest(before) != digest(again):
            msg = f"{again.name} is another file when it is built {how}"
            raise PackageError(msg)


def check_again(built: list[Path], names: set[str]) -> None:
    """
    Build a second time, in another folder with other permissions, and from the source archive; compare.

    :param built: The files of the first build.
    :param names: The files of the checkout.
    :raises PackageError: A file differs.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "another", "place")
        for name in names:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)  # without its modification time
            (copy / name).chmod(0o700 if os.access(ROOT / name, os.X_OK) else 0o600)
        check_same(built, build(copy, Path(folder, "copy")), "in another folder")
        sdist = next(path for path in built if path.suffix == ".gz")
        check_same(built, build(sdist, Path(folder, "sdist"), "--wheel"), "from the source archive")


def main(arguments: list[str]) -> int:
    """Build, check, and print the files."""
    target = Path(arguments[0] if arguments else "dist")
    shutil.rmtree(target, ignore_errors=True)
    built = build(ROOT, target)
    try:
        names = tracked()
        requires = build_requirements()
        check_pins(requires, needed(requires))
        check_sdist(built[0], names)
        check_wheel(built[1], {name for name in names if name.startswith(f"{PACKAGE}/")})
        check_again(built, names)
    except PackageError as error:
        print(f"The package is not right: {error}", file=sys.stderr)
        return 1
    for path in built:
        print(f"{digest(path)}  {path} ({path.stat().st_size:,} bytes)")
    print("They hold what they should, and come out the same elsewhere and from the source archive.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
