"""
The demo: a real Airflow runs example_dags/report_delivery.py against the sandbox.

Run it as ``make demo``. All its files are in the clone, in .airflow/ and demo-output/.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_whatsapp.client.masking import mask, mask_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "demo-output"
AIRFLOW = version("apache-airflow")
# A metadata database belongs to one Airflow version.
AIRFLOW_HOME = ROOT / ".airflow" / AIRFLOW
DAG = "report_delivery"
CONNECTION = "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"
PATIENCE = {"sandbox": 30, "database": 180, "run": 300, "delivery": 20}
"""Seconds after which a part of the demo counts as stuck."""

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class DemoError(Exception):
    """
    The demo failed.

    :param reason: One line for the reader.
    :param log: The file with the rest.
    """

    def __init__(self, reason: str, log: Path) -> None:
        super().__init__(reason)
        self.log = log


def main() -> int:
    """Run the demo and return the exit code."""
    for name in ("SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), _stop)
    OUTPUT.mkdir(exist_ok=True)
    for old in OUTPUT.iterdir():
        if old.is_file():
            old.unlink()
    try:
        run_demo()
    except DemoError as error:
        say(f"\nThe demo failed: {error}")
        say(f"  From its log, {shown(error.log)}:")
        for line in relevant_lines(error.log):
            say(f"    {line}")
        return 1
    except KeyboardInterrupt:
        say("\nStopped; nothing is left running.")
        return 130
    return 0


def run_demo() -> None:
    """Start the sandbox, run the DAG, and print the result."""
    began = time.monotonic()
    with sandbox() as (url, connection):
        say(f"Sandbox  {url}, in place of WhatsApp and Maton's gateway")
        env = airflow_environment(connection)
        prepare_database(env)
        say(f"Airflow  {AIRFLOW} runs the DAG {DAG}")
        run_dag(env)
        messages = delivered_messages(url)
        save_phone(url, messages[-1]["wa_id"])

    say("Arrived")
    for message in messages:
        say(f"  {describe(message)}, ID {mask_id(message['id'])}")
    say(f"\nDone in {time.monotonic() - began:.0f} s.")
    say(f"  The phone:   {shown(OUTPUT / 'phone.html')}  (open it in a browser)")
    for report in sorted(OUTPUT.glob("*.pdf")):
        say(f"  The report:  {shown(report)}")
    say('  Next:        the tutorial (docs/tutorial.md), from "1. Install" on: send from a DAG of your own')


def save_phone(url: str, wa_id: str) -> None:
    """Save the page that shows a person's phone, with the files in it beside it."""
    page = fetch(f"{url}/?with={wa_id}").decode()
    for media_id in sorted(set(re.findall(r'href="/files/(\d+)"', page))):
        name = f"phone/{media_id}.pdf"
        (OUTPUT / "phone").mkdir(exist_ok=True)
        (OUTPUT / name).write_bytes(fetch(f"{url}/files/{media_id}"))
        page = page.replace(f'href="/files/{media_id}"', f'href="{name}"')
    (OUTPUT / "phone.html").write_text(page)


def delivered_messages(url: str) -> list[dict[str, Any]]:
    """
    Return the messages, once all of them have reached the phone.

    :raises DemoError: There is none, or one could not be delivered.
    """
    log = OUTPUT / "airflow.log"
    deadline = time.monotonic() + PATIENCE["delivery"]
    while True:
        messages: list[dict[str, Any]] = json.loads(fetch(f"{url}/_sandbox/messages"))
        states = {message.get("status", "delivered") for message in messages}
        if not messages:
            reason = "the DAG run succeeded, but no message was sent."
            raise DemoError(reason, log)
        if states <= {"delivered", "read"}:
            return messages
        if "failed" in states or time.monotonic() > deadline:
            reason = f"the message was sent, but it did not reach the phone ({', '.join(sorted(states))})."
            raise DemoError(reason, log)
        time.sleep(0.2)


@contextlib.contextmanager
def sandbox() -> Iterator[tuple[str, str]]:
    """Keep the sandbox running, and yield its URL and the connection that it printed."""
    command = [sys.executable, "-m", "airflow_provider_whatsapp.sandbox", "--port=0", "--approve-after=3"]
    log = OUTPUT / "sandbox.log"
    with started(command, log, {**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        wait_until(lambda: printed_connection(log) is not None, process, log, what="sandbox")
        connection = printed_connection(log) or ""
        url = json.loads(connection)["host"].rstrip("/")
        wait_until(lambda: answers(f"{url}/_sandbox/health"), process, log, what="sandbox")
        yield url, connection


def printed_connection(log: Path) -> str | None:
    """Return the connection from the line that the sandbox prints for pasting."""
    found = re.search(rf"^.*{CONNECTION}=.*\n", log.read_text(errors="replace"), re.MULTILINE)
    words = shlex.split(found[0]) if found else []
    return next((word.partition("=")[2] for word in words if word.startswith(f"{CONNECTION}=")), None)


def airflow_environment(connection: str) -> dict[str, str]:
    """Return the environment for Airflow: this clone's own, without settings of the caller's shell."""
    foreign = ("AIRFLOW", "_AIRFLOW", "MATON_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    no_proxy = ",".join(filter(None, ["127.0.0.1,localhost", env.get("NO_PROXY") or env.get("no_proxy")]))
    return env | {
        CONNECTION: connection,
        "AIRFLOW_HOME": str(AIRFLOW_HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{AIRFLOW_HOME / 'airflow.db'}",
        "NO_COLOR": "1",
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        "PYTHONUNBUFFERED": "1",
        "REPORT_FOLDER": f"file://{OUTPUT}",
    }


def prepare_database(env: Mapping[str, str]) -> None:
    """Create Airflow's database if this version of Airflow has none yet."""
    done = AIRFLOW_HOME / "migrated"
    if done.exists():
        return
    say(f"Airflow  {AIRFLOW} makes its database in {shown(AIRFLOW_HOME)} (once)")
    AIRFLOW_HOME.mkdir(parents=True, exist_ok=True)
    log = OUTPUT / "airflow-db-migrate.log"
    with started([sys.executable, "-m", "airflow", "db", "migrate"], log, env) as process:
        wait_until(lambda: process.poll() == 0, process, log, what="database")
    done.touch()


def run_dag(env: Mapping[str, str]) -> None:
    """Run the DAG once, print each task's end when it comes, and check that the run succeeded."""
    log = OUTPUT / "airflow.log"
    before = query("SELECT coalesce(max(id), 0) FROM dag_run")[0][0]
    told: set[str] = set()
    with started([sys.executable, "-m", "airflow", "dags", "test", DAG], log, env) as process:

        def ended() -> bool:
            over = process.poll() is not None  # read before the last query of the tasks
            for task, state, seconds in tasks_after(before):
                if task not in told:
                    told.add(task)
                    say(f"  {task:<20}{state:<16}{seconds or 0:>5} s")
            return over

        wait_until(ended, None, log, what="run")

    # The exit code of `airflow dags test` need not show a failed run, so the database decides.
    states = query("SELECT state FROM dag_run WHERE dag_id = ? AND id > ?", DAG, before)
    if not states:
        reason = f"Airflow did not start a run of {DAG} (exit code {process.returncode})."
        raise DemoError(reason, log)
    if states[-1][0] != "success":
        failed = ", ".join(task for task, state, _ in tasks_after(before) if state == "failed")
        reason = f"task {failed} failed: {last_exception(log)}" if failed else f"the run is {states[-1][0]}."
        raise DemoError(reason, log)


def tasks_after(run: int) -> list[tuple[Any, ...]]:
    """Return name, state and seconds of each task that has ended in a run later than this one."""
    return query(
        "SELECT ti.task_id, ti.state, round(ti.duration, 1) FROM task_instance ti "
        "JOIN dag_run run ON run.dag_id = ti.dag_id AND run.run_id = ti.run_id "
        "WHERE run.dag_id = ? AND run.id > ? "
        "AND ti.state IN ('success', 'failed', 'skipped', 'upstream_failed') ORDER BY ti.end_date",
        DAG,
        run,
    )


@contextlib.contextmanager
def started(command: list[str], log: Path, env: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command with its output in a file; at the end of the block stop it with all its children."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop_group(process)


def stop_group(process: subprocess.Popen[bytes]) -> None:
    """Stop a process and its children, first politely, then by force; a second Ctrl-C does not interrupt this."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
    signal.signal(signal.SIGINT, before)


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes] | None, log: Path, *, what: str
) -> None:
    """
    Wait until a condition is true.

    :raises DemoError: The process ended before, or the time is over.
    """
    deadline = time.monotonic() + PATIENCE[what]
    while not ready():
        if process is not None and process.poll() is not None and not ready():
            reason = f"the {what} came to an end with exit code {process.returncode}."
            raise DemoError(reason, log)
        if time.monotonic() > deadline:
            reason = f"the {what} was not ready after {PATIENCE[what]} s."
            raise DemoError(reason, log)
        time.sleep(0.2)


def query(sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Query Airflow's database, while Airflow writes to it."""
    uri = f"{(AIRFLOW_HOME / 'airflow.db').as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
        return connection.execute(sql, values).fetchall()


def fetch(url: str) -> bytes:
    """Return a page of the sandbox, read without a proxy."""
    with _opener.open(url, timeout=10) as answer:
        page: bytes = answer.read()
    return page


def answers(url: str) -> bool:
    """Return whether a page of the sandbox exists."""
    try:
        return bool(fetch(url))
    except OSError:
        return False


def describe(message: Mapping[str, Any]) -> str:
    """Return in a line what a message is and to whom it went, without revealing the number."""
    name = f" {message['payload']['template']['name']}" if message["type"] == "template" else ""
    return f"{message['type']}{name} to {mask(message['to'])}"


def relevant_lines(log: Path, count: int = 8) -> list[str]:
    """Return the last lines that name an error, or the last lines at all."""
    lines = [line.rstrip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    telling = re.compile(r"\b(error|critical|refused)\b|\w(Error|Exception)\b", re.IGNORECASE)
    errors = [line for line in lines if telling.search(line)]
    return [line[:300] for line in (errors or lines)[-count:]]


def last_exception(log: Path) -> str:
    """Return the line that names the last exception of a log."""
    found = re.findall(r"^[\w.]*(?:Error|Exception): .*$", log.read_text(errors="replace"), re.MULTILINE)
    return found[-1] if found else "no exception is in the log."


def shown(path: Path) -> str:
    """Return a path as the reader types it: from the clone's folder."""
    return str(path.relative_to(ROOT))


def say(text: str) -> None:
    """Print a line immediately, for readers of a pipe."""
    print(text, flush=True)


def _stop(number: int, _frame: object) -> NoReturn:
    """Exit in the same way as Ctrl-C, so that everything is stopped."""
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    sys.exit(main())
