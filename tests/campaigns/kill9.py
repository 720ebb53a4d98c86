"""
Kill the worker's process at a random moment of a broadcast, let Airflow retry, and count who got what; many times.

    python tests/campaigns/kill9.py --rounds 100            # Airflow 3.3: the task state store
    python tests/campaigns/kill9.py --ledger files          # any version: ledger_path
    python tests/campaigns/kill9.py --store failing         # the store refuses, loses answers and dawdles; no kills

A real Airflow (scheduler, API server, LocalExecutor) runs the DAG of ``broadcast_dag.py`` against a sandbox. Fails when
anybody got two messages, anybody is lost or without a state, somebody is called sent who was not, or more are unknown
than were in flight; with the failing store also when a message arrived before the write that claims it had come back,
and when a try failed without the ledger's own error. Ends with a table of all figures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import requests
from judging import Round, read_lines, table

from airflow_provider_whatsapp.pytest_plugin import WhatsAppSandbox

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SECONDS = 600


def until(condition, what, seconds=SECONDS):
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError(what)


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


@contextlib.contextmanager
def sandbox(latency):
    with WhatsAppSandbox.start("--latency", str(latency)) as started:
        yield started.connection


class Airflow:
    """A real Airflow in a folder of its own."""

    def __init__(self, folder, connection, *, ledger, store):
        self.folder = Path(folder)
        self.pid_file = self.folder / "pid"
        self.journal = self.folder / "store" / "journal"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (self.folder / "dags").mkdir()
        (self.folder / "store").mkdir()
        source = (HERE / "broadcast_dag.py").read_text()
        if ledger == "files":
            source = source.replace(
                'task_id="send",', f'task_id="send",\n        ledger_path="file://{self.folder}/ledgers",'
            )
        (self.folder / "dags" / "broadcast_dag.py").write_text(source)
        self.environment = {
            **os.environ,
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "1",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT": json.dumps(connection),
            "CAMPAIGN_PID_FILE": str(self.pid_file),
            "CAMPAIGN_STORE": str(self.folder / "store"),
            "PYTHONPATH": f"{HERE}{os.pathsep}{ROOT}",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        if store == "failing":
            self.environment["AIRFLOW__WORKERS__STATE_STORE_BACKEND"] = "failing_backend.FailingBackend"
        self.log = (self.folder / "airflow.log").open("w")
        self.process = subprocess.Popen(
            [str(Path(sys.executable).parent / "airflow"), "standalone"],
            env=self.environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.session = requests.Session()

    def wait_until_ready(self):
        until(lambda: self._get("/api/v2/monitor/health") is not None, "Airflow did not start")
        token = until(lambda: self._get("/auth/token"), "no token")["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"
        until(lambda: self._get("/api/v2/dags/campaign"), "the DAG was not found")

    def _get(self, path):
        try:
            answer = self.session.get(self.url + path, timeout=10)
        except requests.RequestException:
            return None
        return answer.json() if answer.ok else None

    def trigger(self, name, **conf):
        body = {"dag_run_id": name, "logical_date": None, "conf": conf}
        answer = self.session.post(f"{self.url}/api/v2/dags/campaign/dagRuns", json=body, timeout=30)
        answer.raise_for_status()

    def state(self, name):
        return (self._get(f"/api/v2/dags/campaign/dagRuns/{name}") or {}).get("state")

    def task(self, name):
        return self._get(f"/api/v2/dags/campaign/dagRuns/{name}/taskInstances/send") or {}

    def logs(self, name, tries):
        """Return the text of each try's log."""
        folder = self.folder / "logs" / "dag_id=campaign" / f"run_id={name}" / "task_id=send"
        return [(folder / f"attempt={number}.log").read_text() for number in range(1, tries + 1)]

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.log.close()


def accepted(url):
    return requests.get(f"{url}/_sandbox/messages", timeout=30).json()


def kill_at_random(airflow, url, recipients):
    """Kill the worker's process once so many messages are out; return how many there were then."""
    moment = random.randrange(1, recipients)
    until(lambda: len(accepted(url)) >= moment, f"{moment} messages were not sent")
    pid = int(airflow.pid_file.read_text().split()[0])
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return len(accepted(url))


def one_round(airflow, url, number, *, recipients, kills):
    """Run one broadcast to its end, its worker killed on the way or its store failing; return its figures."""
    requests.post(f"{url}/_sandbox/reset", timeout=10).raise_for_status()
    airflow.pid_file.unlink(missing_ok=True)
    airflow.journal.unlink(missing_ok=True)
    people = [f"1555{place:07}" for place in range(recipients)]
    source, results = airflow.folder / "people.csv", airflow.folder / f"results-{number}.jsonl"
    source.write_text("to\n" + "\n".join(people) + "\n")
    name = f"round-{number}"
    airflow.trigger(name, recipients=f"file://{source}", results=f"file://{results}")
    killed_at = kill_at_random(airflow, url, recipients) if kills else None
    state = until(lambda: (found := airflow.state(name)) in ("success", "failed") and found, "it did not end")
    tries = airflow.task(name).get("try_number")
    found = Round(people, accepted(url), read_lines(results), tries, state)
    if not kills:
        found.journal, found.logs = read_lines(airflow.journal), airflow.logs(name, tries)
    return found.figures(), {"round": number, "killed at": killed_at}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100, help="broadcasts that are interrupted")
    parser.add_argument("--recipients", type=int, default=500)
    parser.add_argument("--ledger", choices=["state", "files"], default="state")
    parser.add_argument("--store", choices=["well", "failing"], default="well")
    parser.add_argument(
        "--latency", type=float, default=0.01, help="seconds that the sandbox takes to answer"
    )
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    random.seed(options.seed)
    folder = tempfile.mkdtemp(prefix="campaign-")
    began, totals, most, number = time.monotonic(), Counter(), Counter(), 0
    kills = options.store == "well"
    with sandbox(options.latency) as connection:
        airflow = Airflow(folder, connection, ledger=options.ledger, store=options.store)
        try:
            airflow.wait_until_ready()
            print(f"Airflow is up after {time.monotonic() - began:.0f} s", flush=True)
            # A kill may come when all is done; a store that never failed in a round counts all the same.
            while (
                totals["interrupted"] if kills else number
            ) < options.rounds and number < 2 * options.rounds:
                number += 1
                found, facts = one_round(
                    airflow, connection["host"], number, recipients=options.recipients, kills=kills
                )
                totals.update(found)
                most |= Counter(found)
                wrong = {name: count for name, count in found.items() if "forbidden" in name and count}
                facts |= {name: count for name, count in found.items() if "forbidden" not in name}
                print(json.dumps(facts), f"WRONG: {wrong}" if wrong else "", flush=True)
        except KeyboardInterrupt:
            print("Ended from outside; the table holds the rounds that came to an end.")
            number -= 1
        finally:
            airflow.stop()
    print(table(totals, most, number, time.monotonic() - began))
    if any(count for name, count in totals.items() if "forbidden" in name):
        print(f"The folder is kept: {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
