"""
Runs tests for `scripts/mutants.py`: imports slow modules once, and forks a process for each run.

It reads tasks as lines of JSON, and writes one line for each.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

PACKAGE = "airflow_provider_whatsapp"
HEAVY = (
    "pytest",
    "hypothesis",
    "requests",
    "phonenumbers",
    "yaml",
    "airflow.sdk",
    "airflow.models",
    "airflow.io",
)
USUAL = ("-q", "-x", "--no-header", "-p", "no:cacheprovider", "--timeout", "60", "--hypothesis-seed", "0")
# pytest warns that plugins which the parent has imported cannot be rewritten; these contain no assertions.
QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
CHOSEN = "not browser and not clients"


class Plugin:
    """
    Chooses tests and keeps their order; records which ones failed, and on request which functions each of them enters.

    :param order: The tests to run, in this order; None: all.
    :param coverage: A running ``coverage.Coverage``, or None.
    """

    def __init__(self, order: list[str] | None, coverage: Any = None) -> None:
        self.order = None if order is None else {test: number for number, test in enumerate(order)}
        self.coverage = coverage
        self.failed: list[str] = []
        self.seconds: dict[str, float] = {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep the chosen tests; without a choice, those that need no Airflow with a database."""
        if self.order is None:
            items[:] = [item for item in items if "dag_bag" not in item.fixturenames]
        else:
            chosen = [item for item in items if item.nodeid in self.order]
            items[:] = sorted(chosen, key=lambda item: self.order[item.nodeid])

    def pytest_collectreport(self, report: Any) -> None:
        """Record a file that cannot be imported."""
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Set the test as coverage.py's context."""
        if self.coverage is not None:
            self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add up a test's parts."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0) + report.duration * (
            report.when == "call"
        )
        if report.failed or report.skipped:
            self.failed.append(report.nodeid)


def functions_of(file: Path) -> list[tuple[int, int, str]]:
    """Return first and last line of each function's body in a module, and its name with its classes."""
    found: list[tuple[int, int, str]] = []

    def walk(node: ast.AST, names: tuple[str, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            inside = names
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                inside = (*names, child.name)
                if not isinstance(child, ast.ClassDef):
                    found.append((child.body[0].lineno, child.end_lineno or 0, ".".join(inside)))
            walk(child, inside)

    walk(ast.parse(file.read_text()), ())
    return found


def entered(coverage: Any) -> dict[str, set[str]]:
    """Return the functions that each test enters."""
    by_test: dict[str, set[str]] = {}
    data = coverage.get_data()
    for measured in data.measured_files():
        file = Path(measured)
        functions = functions_of(file)
        module = str(file.relative_to(Path.cwd()))
        for line, contexts in data.contexts_by_lineno(measured).items():
            inside = [name for first, last, name in functions if first <= line <= last]
            for context in filter(None, contexts):
                by_test.setdefault(context, set()).update(f"{module}:{name}" for name in inside)
    return by_test


def run(task: dict[str, Any], answer: Path) -> int:
    """Run tests in this forked process, write the result, and return pytest's exit code."""
    import pytest

    coverage = None
    usual = [*USUAL, *QUIET, "-m", CHOSEN]
    if task["do"] == "learn":
        import coverage as measure

        os.environ.pop("COVERAGE_CORE", None)
        coverage = measure.Coverage(data_file=None, source=[PACKAGE], config_file=False, messages=False)
        coverage.start()
        usual.remove("-x")
        plugin, files = Plugin(None, coverage), [task["file"]]
    else:
        plugin = Plugin(task["tests"])
        files = sorted({test.partition("::")[0] for test in task["tests"]})
    code = int(pytest.main([*usual, *files], plugins=[plugin]))
    assert sys.modules[PACKAGE].__file__ == str(Path.cwd() / PACKAGE / "__init__.py")  # noqa: S101
    result: dict[str, Any] = {"failed": plugin.failed}
    if coverage is not None:
        coverage.stop()
        functions = entered(coverage)
        result["tests"] = {
            test: {"seconds": round(seconds, 3), "functions": sorted(functions.get(test, ()))}
            for test, seconds in plugin.seconds.items()
        }
    answer.write_text(json.dumps(result))
    return code


def in_a_fork(task: dict[str, Any], scratch: Path, seconds: float) -> dict[str, Any]:
    """Run tests in a separate process, which is ended with all its children when the time is over."""
    answer, said = scratch / "answer.json", scratch / "said.txt"
    answer.unlink(missing_ok=True)
    (scratch / "run").mkdir(exist_ok=True)
    child = os.fork()
    if child == 0:
        os.setsid()
        os.environ["TMPDIR"] = tempfile.tempdir = str(scratch / "run")
        nothing = os.open(os.devnull, os.O_RDONLY)
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number, target in ((nothing, 0), (out, 1), (out, 2)):
            os.dup2(number, target)
        code = 3
        try:
            code = run(task, answer)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    code: int | str = "late"
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if code == "late":
        os.waitpid(child, 0)
    shutil.rmtree(scratch / "run", ignore_errors=True)
    result = json.loads(answer.read_text()) if answer.exists() else {"failed": [], "tests": {}}
    return {**result, "code": code, "end": said.read_text(errors="replace")[-1500:]}


def main() -> None:
    """Import slow modules, then do one task after the other."""
    copy = Path(sys.argv[1])
    sys.path.insert(0, str(copy))
    from mutations import mutated

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    scratch = Path(tempfile.mkdtemp())
    os.environ.update(
        AIRFLOW_HOME=str(scratch / "airflow"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__UNIT_TEST_MODE="True",
        AIRFLOW__CORE__FERNET_KEY=base64.urlsafe_b64encode(bytes(range(32))).decode(),
        AIRFLOW__CORE__DAGS_FOLDER=str(scratch / "dags"),
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{scratch}/airflow.db",
    )
    for name in HEAVY:
        __import__(name)
    # Airflow has imported the package to ask what it provides; each fork imports it again as it is then.
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]
    # Python treats a compiled module as current if the time in seconds and the size of its source match.
    moment = int(time.time())
    for line in sys.stdin:
        task = json.loads(line)
        if task["do"] == "learn":
            answer = in_a_fork(task, scratch, 900)
        else:
            file = copy / task["module"]
            whole = file.read_text()
            moment += 2
            file.write_text(mutated(whole, task["number"]))
            os.utime(file, (moment, moment))
            try:
                answer = in_a_fork(task, scratch, task["seconds"])
            finally:
                file.write_text(whole)
                moment += 2
                os.utime(file, (moment, moment))
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
