"""
The version matrix: every supported Airflow with every supported Python, with our wheel installed.

``make full`` runs all of it (scripts/full.py), ``nox --list`` lists the sessions, ``nox -s "tests(3.1.8, 3.11)"`` runs
one. A missing interpreter is reported and left out. Arguments after ``--`` go to pytest.

Airflow is installed from the package index of the day in ``scripts/airflow-versions.txt``; "newest" is the version
without a day. Until the next minor version is released, its newest pre-release is tested too. The sessions test the
wheel, not the checkout: see ``run_tests``.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["tests", "fab", "lowest", "prerelease"]

ROOT = Path(__file__).parent
PYTHONS = ("3.11", "3.12", "3.13")
NEWEST = "newest"
DAYS = dict(
    line.split()
    for line in (ROOT / "scripts" / "airflow-versions.txt").read_text().splitlines()
    if line and not line.startswith("#")
)
"""The day of the index for each Airflow version, the lowest first."""
LOWEST, *TESTED = DAYS
YOUNGEST = "2100-01-01"
"""A day of the index on which all declared packages exist."""
YOUNGER = ("babel", "fpdf2", "matplotlib", "uharfbuzz")
"""Libraries that draw reports, in versions that may be newer than an Airflow, which does not use them."""
WITH_AIRFLOW = ("-m", "(airflow or faces) and not (browser or once)")
"""Tests with a real Airflow, and tests of the layers for it; tests/conftest.py says which."""
GROUPS = ("--group", "examples", "--group", "tests")
CORE = ("tests/client", "tests/delivery", "tests/message_templates")
"""The tests that coverage.py measures: pyproject.toml says which code, and how much of it they have to reach."""
FEW = "0.25"
"""
The share of their random examples that tests try, except with the newest Airflow, unless SHARE_OF_EXAMPLES says how
many: see tests/examples.py.
"""


def interpreter(version: str) -> str:
    """Return the path of the fastest Python of this version, or the version, which nox then reports as missing."""
    command = [ROOT / "scripts" / "setup.sh", "--find-python", version]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or version


FOUND = {version: interpreter(version) for version in PYTHONS}
HERE = [path for version, path in FOUND.items() if path != version] or PYTHONS
FIRST, LAST = HERE[0], HERE[-1]
MATRIX = [
    nox.param(airflow, FOUND[python], id=f"{airflow}, {python}")
    for airflow in (*TESTED, NEWEST)
    for python in PYTHONS
]


def wheel() -> str:
    """Return the wheel to test: the one in WHEEL, otherwise one that is built from this checkout, once."""
    given = os.environ.get("WHEEL")
    if given:
        return str(Path(given).resolve())
    folder = ROOT / ".nox" / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv") or "uv"
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", folder], cwd=ROOT, check=True)
    (built,) = folder.glob("*.whl")
    os.environ["WHEEL"] = str(built)
    return str(built)


@functools.cache
def newest_airflow() -> str:
    """Return the version of Airflow that the package index gives today."""
    uv = shutil.which("uv") or "uv"
    asked = [uv, "pip", "compile", "--quiet", "--no-deps", "--no-header", "--no-annotate", "-"]
    done = subprocess.run(asked, cwd=ROOT, input="apache-airflow", capture_output=True, text=True, check=True)
    return done.stdout.strip().partition("==")[2]


def install(session: nox.Session, airflow: str, *more: str) -> None:
    """
    Install an Airflow, the examples' dependencies, ``more`` groups, our wheel and the tests' tools.

    Skip the session if it has the Airflow of another: the last tested version, while no newer one is out.
    """
    if airflow == TESTED[-1] and airflow == newest_airflow():
        session.skip(f"Airflow {airflow} is the newest, which has sessions of its own")
    groups = [word for name in more for word in ("--group", name)]
    if airflow == NEWEST:
        session.install("apache-airflow", wheel(), *groups, *GROUPS)
        return
    pinned = f"apache-airflow=={airflow}"
    younger = [f"--exclude-newer-package={name}={YOUNGEST}" for name in YOUNGER]
    session.install("--exclude-newer", DAYS[airflow], *younger, pinned, *groups, "--group", "examples")
    session.install(pinned, wheel(), *GROUPS)


def run_tests(session: nox.Session, on: str, *options: str, measured: bool = False) -> None:
    """
    Run tests against the installed wheel, ``on`` an Airflow; if ``measured``, check their coverage against its floor.

    They import each other from the checkout, which contains our package too. So Python must not put the working
    directory first, and the checkout is last on the path, after the environment, for each process that is started.
    """
    code = (
        "import platform, sysconfig; from importlib.metadata import version; "
        "print(sysconfig.get_path('purelib'), version('apache-airflow'), platform.python_version(), sep='|')"
    )
    packages, airflow, python = session.run("python", "-c", code, silent=True, log=False).strip().split("|")
    session.log(f"Airflow {airflow} on Python {python}")
    Path(packages, "zz-checkout.pth").write_text(f"{ROOT}\n")
    share = os.environ.get("SHARE_OF_EXAMPLES", "1" if on == NEWEST else FEW)
    settings = {"PYTHONSAFEPATH": "1", "TESTED": "wheel", "PYTHONPATH": None, "SHARE_OF_EXAMPLES": share}
    # A separate folder for what the processes of one machine share, so that two sessions can run side by side.
    with tempfile.TemporaryDirectory(prefix="tests-") as folder:
        # A long time-out, because another session may run beside it.
        patient = ("--timeout", "360")
        measuring = ("python", "-m", "coverage", "run") if measured else ("python",)
        command = (*measuring, "-m", "pytest", "-o", "pythonpath=", *patient, *options, *session.posargs)
        env = {**settings, "TMPDIR": folder, "COVERAGE_FILE": f"{folder}/coverage"}
        session.run(*command, env=env)
        if measured:
            session.run("python", "-m", "coverage", "report", env=env)


@nox.session
@nox.parametrize(("airflow", "python"), MATRIX)
def tests(session: nox.Session, airflow: str) -> None:
    """All tests, on each Airflow and Python."""
    install(session, airflow)
    run_tests(session, airflow)


@nox.session
@nox.parametrize(("airflow", "python"), MATRIX)
def airflow(session: nox.Session, airflow: str) -> None:
    """The tests that depend on Airflow's version, on each Airflow and Python."""
    install(session, airflow)
    run_tests(session, airflow, *WITH_AIRFLOW)


@nox.session(python=LAST)
@nox.parametrize("airflow", [nox.param(airflow, id=airflow) for airflow in (*TESTED, NEWEST)])
def fab(session: nox.Session, airflow: str) -> None:
    """The page and the tab in Airflow with FAB's auth manager, which nothing else installs."""
    install(session, airflow, "fab")
    run_tests(session, airflow, "tests/plugin/test_fab.py")


@nox.session(python=FIRST)
@nox.parametrize("part", [nox.param(part, id=part) for part in ("core", "others")])
def lowest(session: nox.Session, part: str) -> None:
    """
    The fast tests with the lowest version of everything that pyproject.toml declares, Airflow included.

    Those of the core are a part of their own: what they cover is measured, which takes as long again.
    """
    compiled = session.create_tmp() + "/lowest.txt"
    lowest_of_all = ("--resolution", "lowest-direct", "--exclude-newer", DAYS[LOWEST], "--all-extras")
    # Floors above versions with known vulnerabilities are newer than that Airflow.
    lowest_of_all += tuple(f"--exclude-newer-package={name}={YOUNGEST}" for name in sorted(own()))
    quiet = ("--quiet", "--no-header", "--no-annotate", "--output-file", compiled)
    session.run_install("uv", "pip", "compile", *lowest_of_all, *quiet, "pyproject.toml")
    session.install("--requirements", compiled)
    # The declared packages keep their lowest versions while the tests' tools, which may be new, are installed.
    session.install(wheel(), *GROUPS, "--constraints", str(declared(compiled)))
    # Other people's clients have environments of their own.
    fast = ("-m", "not airflow and not browser and not clients")
    if part == "core":
        run_tests(session, LOWEST, *fast, *CORE, measured=not session.posargs)
        return
    # Outside of a task, Airflow 3.1.0 fails before it can report that a connection is missing.
    no_connection = "test_a_store_that_cannot_be_asked_fails_the_task_before_any_request[no connection"
    own_faults = (
        "tests/hooks/test_event_store.py::test_a_connection_that_is_not_there_says_who_named_it",
        "tests/hooks/test_event_store.py::test_a_store_that_is_away_stops_no_send_and_costs_one_line[no-connection]",
        f"tests/operators/test_opt_outs.py::{no_connection}",
        "tests/operators/test_sql.py::test_an_unknown_connection",
    )
    left_out = [word for name in own_faults for word in ("--deselect", name)]
    run_tests(session, LOWEST, *fast, *left_out, *(f"--ignore={folder}" for folder in CORE))


def own() -> set[str]:
    """Return the names of our own dependencies, including those of the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    return {re.match(r"[\w-]+", line)[0] for lines in (project["dependencies"], *extras) for line in lines}


def declared(compiled: str) -> Path:
    """Return a file with the lines of a compiled one that are about our own dependencies."""
    kept = [line for line in Path(compiled).read_text().splitlines() if line.partition("==")[0] in own()]
    file = Path(compiled).with_name("declared.txt")
    file.write_text("\n".join(kept) + "\n")
    print(*kept, sep=", ")
    return file


@nox.session(python=FIRST)
def prerelease(session: nox.Session) -> None:
    """All tests on the newest pre-release of the coming minor version of Airflow, for as long as it is not out."""
    _, minor, _ = TESTED[-1].split(".")
    coming = int(minor) + 1
    airflow = [f"apache-airflow{part}>=3.{coming}.0a0,<=3.{coming}.0" for part in ("", "-core")]
    try:
        session.install(*airflow, f"apache-airflow-task-sdk>=1.{coming}.0a0", wheel(), *GROUPS)
    except nox.command.CommandFailed:
        session.skip(f"The index has no Airflow 3.{coming} yet")
    code = "from importlib.metadata import version; print(version('apache-airflow'))"
    found = session.run("python", "-c", code, silent=True, log=False).strip()
    if re.fullmatch(r"[0-9.]+", found):
        session.skip(f"Airflow {found} is out: it is the newest, which has sessions of its own")
    run_tests(session, found)
