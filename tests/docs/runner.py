"""Runs a page's blocks one after the other, in a folder of their own, as a reader would."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import runpy
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from tests.airflow.running import end
from tests.docs import data
from tests.docs.commands import check_commands
from tests.docs.pages import DIRECTIVES, ROOT, Block, PageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.docs.setups import Setup

PORT = "127.0.0.1:8425"
AIRFLOW_RUN = re.compile(r"airflow dags test (\w+)(?: -c '(?P<conf>[^']*)')?(?: 2>&1)?")
KNOWN = {"python", "bash", "text", "csv", *data.READERS}
NOT_RUN = {"docker", "nginx", "sql"}
"""Languages of blocks that nothing here can run."""
_ANY_LINES = r"(?:[^\n]*\n)*?"

HIDDEN = {"MATON_API_KEY", "AIRFLOW__CORE__UNIT_TEST_MODE", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"}
"""What the tests' own environment has and a reader's has not."""
SANDBOX = "python -m airflow_provider_whatsapp.sandbox"
RECEIVER = "python -m airflow_provider_whatsapp receiver"
RECEIVER_PORT = "127.0.0.1:8426"


class Runner:
    """
    What a page's blocks share: a folder, an environment, names of Python.

    :param page: The page's name in DAG ids and files.
    :param folder: An empty folder.
    :param dags: A folder below Airflow's DAG folder.
    :param setup: What the page takes for granted.
    :param run_dag: Runs a DAG in this process: its file and id, and the run's configuration; returns state and log.
    :param url: The sandbox that the tests' connection points to.
    """

    def __init__(
        self,
        page: str,
        folder: Path,
        dags: Path,
        setup: Setup,
        run_dag: Callable[..., Any],
        url: str = "",
    ) -> None:
        self.page, self.folder, self.dags, self.setup, self.url = page, folder, dags, setup, url
        self._run_dag = run_dag
        self._imports: list[str] = []
        self._background: list[subprocess.Popen[str]] = []
        self._output: str | None = None
        self.address, self.receiver = PORT, RECEIVER_PORT
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in HIDDEN},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "AIRFLOW_HOME": str(folder / "airflow"),
            **{name: self._here(value) for name, value in setup.variables.items()},
        }

    def run(self, blocks: Sequence[Block]) -> None:
        """
        Run all blocks.

        :param blocks: The page's.
        :raises PageError: One of them does not do what the page says.
        """
        shell = [block for block in blocks if block.language == "bash" and "not run" not in block.marks]
        self._tested = {found[1] for block in shell for found in AIRFLOW_RUN.finditer(block.text)}
        with contextlib.ExitStack() as stack:
            stack.callback(self._stop)
            for place, block in enumerate(blocks, 1):
                self._below = blocks[place:]
                self._one(block)

    def _stop(self) -> None:
        for process in self._background:
            end(process)
            process.stdout.close()

    def _one(self, block: Block) -> None:
        if block.directive in DIRECTIVES:
            _check_directive(block)
            return
        if block.language not in (KNOWN | NOT_RUN if "not run" in block.marks else KNOWN):
            raise PageError(f"{block.place}: nothing runs {block.language or 'a block without a language'!r}")
        if "not run" in block.marks:
            self._leave_out(block)
            return
        kinds = {"python": self._python, "bash": self._bash, "text": self._text, "csv": self._csv}
        file = self._write(block)
        if block.language in kinds:
            kinds[block.language](block)
        else:
            data.check(block, self.folder)
        if file is None and block.language != "text" and block.language != "bash":
            self._output = None

    def _leave_out(self, block: Block) -> None:
        if len(block.marks["not run"]) < 10:
            raise PageError(f"{block.place}: say why it is not run")
        self._write(block)
        check_commands(block)
        if block.language == "python":
            _parse(self.local(block.text), block)

    def _write(self, block: Block) -> Path | None:
        if block.file is None or block.language in ("bash", "text"):
            return None
        path = self.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.local(block.text), "utf-8")
        return path

    def local(self, text: str) -> str:
        """
        Return a text with this machine's places in it.

        :param text: As it stands on the page.
        """
        ports = {PORT: self.address, RECEIVER_PORT: self.receiver}
        for there, here in {**self.setup.places, **ports}.items():
            text = text.replace(there, self._here(here))
        return text

    def _here(self, text: str) -> str:
        return text.replace("{folder}", str(self.folder)).replace("{url}", self.url)

    # --- Python

    def _python(self, block: Block) -> None:
        code = self.local(block.text)
        tree = _parse(code, block)
        if block.file is not None and not block.file.startswith("dags/"):
            self._run_named(block, block.file)
            return
        imports = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        name = f"{self.page}_{block.line}"
        whole = block.file is not None or re.search(r"\bDAG\(|^@dag", code, re.MULTILINE)
        if not whole:
            # Operators by themselves: the reader's DAG stands around them.
            head = [*self._imports, "from airflow.sdk import DAG as _DAG"]
            code = "\n".join([*head, f"with _DAG({name!r}):", textwrap.indent(code, "    ")])
        elif block.file is None:
            code = "\n".join([*self._imports, code])
        # `from __future__` may stand at the top alone.
        self._imports += [line for line in imports if "__future__" not in line and line not in self._imports]
        file = self.dags / f"{name}.py"
        file.write_text(code, "utf-8")
        if not self._run_file(block, file) and whole:
            raise PageError(f"{block.place}: there is no DAG with tasks in it")

    def _run_named(self, block: Block, file: str) -> None:
        """Import a file, unless a shell below runs it or pytest does."""
        if any(_runs(shell, file) for shell in self._below):
            return
        if _TEST_FILE.search(file):
            raise PageError(f"{block.place}: no pytest below runs {file}")
        try:
            with self._surroundings():
                runpy.run_path(str(self.folder / file))
        except Exception as error:
            raise PageError(f"{block.place}: {type(error).__name__}: {error}") from error

    def _run_file(self, block: Block, file: Path) -> list[str]:
        with self._surroundings():
            found = self._run_dag(file)
            for dag_id in found:
                if dag_id in self._tested or "parsed" in block.marks:
                    continue
                state, log = self._run_dag(file, dag_id)
                wanted = block.marks.get("state", "success")
                if state != wanted:
                    raise PageError(
                        f"{block.place}: DAG {dag_id} ended as {state}, not {wanted}\n{log[-6000:]}"
                    )
                self._output = log
        return found

    @contextlib.contextmanager
    def _surroundings(self) -> Iterator[None]:
        """Let this process be where the page's shell is: its folder, its connections."""
        names = [
            name for name in self.environment if name.startswith(("AIRFLOW_CONN_", "AIRFLOW_VAR_", "MATON_"))
        ]
        before, place = {name: os.environ.get(name) for name in names}, Path.cwd()
        os.environ.update({name: self.environment[name] for name in names})
        os.chdir(self.folder)
        try:
            yield
        finally:
            os.chdir(place)
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)

    # --- Shell

    def _bash(self, block: Block) -> None:
        code = self.local(block.text)
        if "background" in block.marks:
            self._start(block, code)
            return
        for found in AIRFLOW_RUN.finditer(block.text):
            code = code.replace(self.local(found[0]), self._airflow(block, found[1], found["conf"]), 1)
        state = self.folder / ".environment"
        script = f"set -euo pipefail\ntrap 'export -p > {state}' EXIT\n{code}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=100,
            check=False,
        )
        self._output = done.stdout
        if done.returncode != int(block.marks.get("exit", 0)):
            raise PageError(f"{block.place}: ended with status {done.returncode}\n{done.stdout[-4000:]}")
        shell = subprocess.run(
            ["bash", "-c", f"source {state} && env -0"], env={}, capture_output=True, text=True, check=True
        )
        self.environment = dict(item.split("=", 1) for item in shell.stdout.split("\0") if item)

    def _airflow(self, block: Block, dag_id: str, conf: str | None) -> str:
        """Run a DAG here, where Airflow has started already, and return a command that prints its log."""
        if self._background:  # Airflow's own start takes longer than a review in the sandbox
            requests.post(f"http://{self.address}/_sandbox/clock", json={"advance": 10}, timeout=10)
        for file in sorted(self.dags.glob("*.py")):
            with self._surroundings():
                if dag_id in self._run_dag(file):
                    _, log = self._run_dag(file, dag_id, conf)
                    break
        else:
            raise PageError(f"{block.place}: the page has no DAG {dag_id!r}")
        path = self.folder / f".log-{dag_id}"
        path.write_text(log, "utf-8")
        return f"cat {path}"

    def _start(self, block: Block, code: str) -> None:
        command = code.strip()
        is_receiver = command.startswith(f"{RECEIVER} ")
        if command != SANDBOX and not is_receiver:
            raise PageError(f"{block.place}: only the sandbox and the receiver may stay in the background")
        process = subprocess.Popen(
            [*command.split(), "--port", "0"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._background.append(process)
        lines = [process.stdout.readline() for _ in range(1 if is_receiver else 2)]
        address = re.search(r"http://(\S+)", lines[0])[1]
        if is_receiver:
            self.receiver = address
        else:
            self.address = address
        self._output = "".join(lines)

    # --- What comes out

    def _text(self, block: Block) -> None:
        if self._output is None:
            raise PageError(
                f"{block.place}: text that no block above it prints; say by a mark why it is not checked"
            )
        shown = (
            self._output.replace(self.address, PORT)
            .replace(self.receiver, RECEIVER_PORT)
            .replace(str(self.folder) + "/", "")
        )
        if not re.search(rf"(?m)^{_pattern(block.text)}$", shown):
            raise PageError(f"{block.place}: the block above it printed\n{shown[-5000:]}")

    def _csv(self, block: Block) -> None:
        import csv

        rows = list(csv.reader(block.text.splitlines()))
        if block.file is None or len({len(row) for row in rows}) != 1:
            raise PageError(f"{block.place}: CSV needs a name and as many fields in each row")


_TEST_FILE = re.compile(r"(^|/)(test_\w+|conftest)\.py$")


def _runs(shell: Block, file: str) -> bool:
    """Whether a shell block runs a Python file, or a test of ours that reads the page does it in its place."""
    if shell.language != "bash":
        return False
    command = r"pytest\b" if _TEST_FILE.search(file) else rf"python {re.escape(file)}(\s|$)"
    if not re.search(rf"(?m)^{command}", shell.text):
        return False
    if "not run" not in shell.marks:
        return True
    tests = [ROOT / name for name in re.findall(r"tests/[\w/]+\.py", shell.marks["not run"])]
    return any(test.is_file() and Path(shell.page).name in test.read_text("utf-8") for test in tests)


def _parse(code: str, block: Block) -> ast.Module:
    try:
        return ast.parse(code, block.place)
    except SyntaxError as error:
        raise PageError(f"{block.place}: SyntaxError: {error}") from error


def _check_directive(block: Block) -> None:
    """Refuse code in what Sphinx reads as reStructuredText; there are docstrings alone."""
    if block.directive != "eval-rst":
        return
    others = set(re.findall(r"\.\. ([\w-]+)::", block.text)) - {"automodule"}
    if others or re.search(r"(?m)::$|^ *>>> ", block.text):
        raise PageError(f"{block.place}: nothing runs what is in {{eval-rst}}; only automodule may be")


def _pattern(text: str) -> str:
    """Return what matches a text in which dots stand for the rest of a line, or alone in a line for lines."""
    lines = text.strip("\n").split("\n")
    parts = [r"[^\n]*".join(map(re.escape, line.split("..."))) + r"\n" for line in lines]
    whole = "".join(_ANY_LINES if line == "..." else part for line, part in zip(lines, parts, strict=True))
    return whole.removesuffix(r"\n")
