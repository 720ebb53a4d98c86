"""
Kill, stop and confuse the processes of a real Airflow in the middle of a broadcast, many times, and judge each round.

    python tests/campaigns/chaos.py --rounds 100                     # night-length
    python tests/campaigns/chaos.py --seconds 150 --seed 7           # as many as fit into the time
    python tests/campaigns/chaos.py --ledger files --fault scheduler # any version: ledger_path
    python tests/campaigns/chaos.py --wait-for accepted              # no receipts, and nobody waits for any

Scheduler, API server, DAG processor and triggerer are processes of their own, tasks run by the LocalExecutor, the rate
is 20 messages a second. Nobody may get two messages, nobody may be lost, every recipient stands in the results file and
each line of it agrees with the sandbox. The task waits until all messages are delivered: a receiver stores what the
sandbox reports, and in the end nobody may be pending. What a task meets that no process of Airflow has to do with is in
rounds.py.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from judging import Round, read_lines, table
from kill9 import HERE, ROOT, free_port, sandbox, until

from airflow_provider_whatsapp.pytest_events import receiving
from airflow_provider_whatsapp.pytest_plugin import WhatsAppSandbox

PEOPLE = 80
RATE = 20
LATENCY = 0.1
WRITES = {"state": 0.8, "files": 0.0}
"""Seconds that a write to the ledger takes at most, on a machine that runs all of this."""
COMMANDS = {
    "api server": ["api-server"],
    "scheduler": ["scheduler"],
    "dag processor": ["dag-processor"],
    "triggerer": ["triggerer"],
}


class Airflow:
    """A real Airflow in a folder of its own, each of its processes to be killed by itself."""

    def __init__(self, folder, connection, *, ledger, wait_for):
        self.folder, self.wait_for, self.receiver = Path(folder), wait_for, None
        self.pids = self.folder / "pids"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.session = requests.Session()
        (self.folder / "dags").mkdir()
        source = (HERE / "broadcast_dag.py").read_text()
        if ledger == "files":
            source = source.replace(
                'task_id="send",', f'task_id="send",\n        ledger_path="file://{self.folder}/ledgers",'
            )
        (self.folder / "dags" / "broadcast_dag.py").write_text(source)
        self.environment = self._environment(connection)
        self.processes = {}
        self._run(["db", "migrate"]).wait()

    def _environment(self, connection):
        settings = {
            "CORE__DAGS_FOLDER": self.folder / "dags",
            "CORE__LOAD_EXAMPLES": False,
            "CORE__PARALLELISM": 4,
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "API_AUTH__JWT_SECRET": "a-secret-of-the-campaign-that-all-its-processes-share",
            "API__PORT": self.port,
            "API__WORKERS": 1,
            "API__SECRET_KEY": "another-secret-of-the-campaign",
            "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.2,
            "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": 1,
            "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": 6,
            "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 3,
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": 1,
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 10,
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 2,
            "TRIGGERER__JOB_HEARTBEAT_SEC": 1,
            "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": 5,
        }
        return {
            **os.environ,
            **{f"AIRFLOW__{name}": str(value) for name, value in settings.items()},
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT": json.dumps(connection),
            "AIRFLOW__WHATSAPP__EVENTS_CONN_ID": "" if self.wait_for == "accepted" else "events",
            "AIRFLOW_CONN_EVENTS": json.dumps(
                {"conn_type": "sqlite", "host": str(self.folder / "events.db")}
            ),
            "CAMPAIGN_PID_FILE": str(self.pids),
            "PYTHONPATH": f"{HERE}{os.pathsep}{ROOT}",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def _run(self, arguments):
        with (self.folder / "airflow.log").open("a") as log:
            return subprocess.Popen(
                [str(Path(sys.executable).parent / "airflow"), *arguments],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start(self, name):
        self.processes[name] = self._run(COMMANDS[name])

    def kill(self, name):
        """Kill one process of Airflow, and start another in its place."""
        self.processes[name].kill()
        self.processes[name].wait()
        if name == "api server":  # its workers, which hold the port
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.processes[name].pid, signal.SIGKILL)

    def wait_until_ready(self):
        for name in COMMANDS:
            self.start(name)
        until(lambda: self.get("/api/v2/monitor/health") is not None, "Airflow did not start")
        token = until(lambda: self.get("/auth/token"), "no token")["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"
        until(lambda: self.get("/api/v2/dags/campaign"), "the DAG was not found")

    def get(self, path):
        try:
            answer = self.session.get(self.url + path, timeout=10)
        except requests.RequestException:
            return None
        return answer.json() if answer.ok else None

    def ask(self, method, path, **body):
        """Ask the API server for a change until it does it: it may have been killed a moment ago."""

        def asked():
            with contextlib.suppress(requests.RequestException):
                answer = self.session.request(method, self.url + path, json=body, timeout=30)
                return answer if answer.status_code < 500 else None

        answer = until(asked, f"{method} {path}", 60)
        answer.raise_for_status()

    def task(self, name):
        return self.get(f"/api/v2/dags/campaign/dagRuns/{name}/taskInstances/send") or {}

    def running(self):
        """Return the IDs of the task's process and of its supervisor."""
        task, supervisor = self.pids.read_text().split()
        return int(task), int(supervisor)

    def stop(self):
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class Running:
    """One broadcast, and what may be done to it."""

    def __init__(self, airflow, url, name, chance):
        self.airflow, self.url, self.name, self.chance = airflow, url, name, chance
        self.people = [f"1555{chance.randrange(10**6):06}{place % 10}" for place in range(PEOPLE)]
        self.people = list(dict.fromkeys(self.people))
        self.results = airflow.folder / f"{name}.jsonl"
        self.interrupted, self.finally_cleared = 1, False

    def messages(self):
        return requests.get(f"{self.url}/_sandbox/messages", timeout=30).json()

    def start(self, **conf):
        path = self.airflow.folder / f"{self.name}.csv"
        path.write_text("to\n" + "".join(f"+{to}\n" for to in self.people))
        self.airflow.pids.unlink(missing_ok=True)
        conf |= {"recipients": f"file://{path}", "results": f"file://{self.results}"}
        conf["wait_for"] = self.airflow.wait_for
        body = {"dag_run_id": self.name, "logical_date": None, "conf": conf}
        self.airflow.ask("POST", "/api/v2/dags/campaign/dagRuns", **body)

    def some(self):
        """Wait until some of the messages are out."""
        moment = len(self.messages()) + self.chance.randrange(3, 30)
        moment = min(moment, len(self.people) - 10)
        until(lambda: len(self.messages()) >= moment, f"{moment} messages were not sent")

    def state(self):
        return (self.airflow.get(f"/api/v2/dags/campaign/dagRuns/{self.name}") or {}).get("state")

    def pending(self):
        """Return of how many the report does not say that they were delivered."""
        path = f"/api/v2/dags/campaign/dagRuns/{self.name}/taskInstances/send/xcomEntries/return_value"
        report = (self.airflow.get(path) or {}).get("value")
        report = json.loads(report) if isinstance(report, str) else report or {}
        return report["sent"] - report["delivered"] if "delivered" in report else len(self.people)

    def clear(self):
        body = {"dry_run": False, "dag_run_id": self.name, "task_ids": ["send"], "reset_dag_runs": True}
        body |= {"only_failed": False}
        self.airflow.ask("POST", "/api/v2/dags/campaign/clearTaskInstances", **body)


def kill_task(found):
    """The task's own process."""
    found.some()
    os.kill(found.airflow.running()[0], signal.SIGKILL)


def kill_supervisor(found):
    """The process that supervises the task: Airflow hears nothing more of it, and starts the next try."""
    found.some()
    os.kill(found.airflow.running()[1], signal.SIGKILL)


def kill_scheduler(found):
    """The scheduler; another one finds a task that runs and belongs to nobody."""
    found.some()
    found.airflow.kill("scheduler")
    found.airflow.start("scheduler")


def kill_api_server(found):
    """The API server, which writes the ledger in the task state store."""
    found.some()
    found.airflow.kill("api server")
    time.sleep(found.chance.uniform(0, 4))
    found.airflow.start("api server")


def kill_triggerer(found):
    """The triggerer, while the task waits for its hours."""
    until(lambda: found.airflow.task(found.name).get("state") == "deferred", "the task does not wait")
    found.airflow.kill("triggerer")
    found.airflow.start("triggerer")


def kill_triggerer_late(found):
    """The triggerer, while the task waits until all are delivered."""
    everybody = len(found.people)
    until(lambda: len(found.messages()) >= everybody, "not everybody was sent to")
    kill_triggerer(found)


def clear_late(found):
    """Somebody clears the task while it waits until all are delivered."""
    until(lambda: found.airflow.task(found.name).get("state") == "deferred", "the task does not wait")
    found.clear()


def stop_both(found):
    """Task and supervisor are stopped for so long that the next try begins, and then wake up."""
    found.some()
    stopped = found.airflow.running()
    for pid in stopped[::-1]:
        os.kill(pid, signal.SIGSTOP)
    until(lambda: found.airflow.running() != stopped, "no other try has begun")
    found.some()
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def clear(found):
    """Somebody clears the task while it runs."""
    found.some()
    found.clear()


def mark(found):
    """Somebody marks the task as failed while it runs, and clears it later."""
    found.some()
    path = f"/api/v2/dags/campaign/dagRuns/{found.name}/taskInstances/send"
    found.airflow.ask("PATCH", path, new_state="failed")
    until(lambda: found.state() == "failed", "the run did not fail")
    time.sleep(6)  # Airflow has its time to end the process
    found.clear()


FAULTS = {
    "task": kill_task,
    "supervisor": kill_supervisor,
    "scheduler": kill_scheduler,
    "api server": kill_api_server,
    "triggerer": kill_triggerer,
    "stop": stop_both,
    "clear": clear,
    "mark": mark,
}
LATE = {"triggerer late": kill_triggerer_late, "clear late": clear_late}
"""What meets a task that waits for delivery."""


def play(airflow, url, name, number, seed, ledger):
    """Run one broadcast to its end, and return its figures."""
    requests.post(f"{url}/_sandbox/reset", timeout=30)
    if airflow.receiver is not None:
        address = {"app_url": f"{airflow.receiver}/whatsapp"}
        requests.post(f"{url}/_sandbox/webhooks", json=address, timeout=30).raise_for_status()
    found = Running(airflow, url, f"round_{number}", random.Random(f"{name} {seed}"))
    conf = {}
    if name == "triggerer":
        opens = datetime.now(UTC) + timedelta(seconds=12)
        closes = opens - timedelta(minutes=2)
        conf["send_window"] = f"{opens:%H:%M:%S}-{closes:%H:%M:%S}"
    found.start(**conf)
    until(airflow.pids.exists, "the task did not begin")
    (FAULTS | LATE)[name](found)
    until(lambda: found.state() in ("success", "failed"), f"{found.name} does not end", 300)
    tries = airflow.task(found.name).get("try_number", 1)
    late = {} if airflow.wait_for == "accepted" else {"pending at the end (forbidden)": found.pending()}
    return (
        late
        | Round(
            people=found.people,
            messages=found.messages(),
            lines=read_lines(found.results),
            tries=tries,
            state=found.state(),
            rate=RATE,
            latency=LATENCY,
            write=WRITES[ledger],
            interrupted=found.interrupted,
        ).figures()
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no round after so long")
    parser.add_argument("--fault", action="append", choices=FAULTS | LATE, help="only these; may be repeated")
    parser.add_argument("--ledger", choices=["state", "files"], default="state")
    parser.add_argument("--wait-for", choices=["accepted", "delivered"], default="delivered")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    names, folder = options.fault or list(FAULTS), tempfile.mkdtemp(prefix="chaos-")
    if not options.fault and options.wait_for != "accepted":
        names += LATE
    totals, most, began, rounds, bad = Counter(), Counter(), time.monotonic(), 0, 0
    print(f"seed {options.seed}", flush=True)
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(sandbox(LATENCY))
        connection["extra"]["rate_limit"] = RATE
        airflow = Airflow(folder, connection, ledger=options.ledger, wait_for=options.wait_for)
        if options.wait_for != "accepted":
            store = Path(folder) / "events.db"
            airflow.receiver = stack.enter_context(receiving(WhatsAppSandbox(connection), store)).url
        try:
            airflow.wait_until_ready()
            print(f"Airflow is up after {time.monotonic() - began:.0f} s", flush=True)
            while rounds < options.rounds and time.monotonic() - began < options.seconds:
                name, rounds = names[rounds % len(names)], rounds + 1
                at = time.monotonic()
                try:
                    found = play(
                        airflow, connection["host"], name, rounds, options.seed + rounds, options.ledger
                    )
                except TimeoutError as error:
                    found = {f"rounds without an end (forbidden): {error}": 1}
                totals.update(found)
                most |= Counter(found)
                wrong = {what: count for what, count in found.items() if "forbidden" in what and count}
                bad += bool(wrong)
                facts = f"{found.get('tries')} tries, {found.get('unknown')} unknown"
                print(
                    f"{rounds} {name}: {facts}, {time.monotonic() - at:.0f} s",
                    f"WRONG: {wrong}" if wrong else "",
                    flush=True,
                )
        finally:
            airflow.stop()
    print(table(totals, most, rounds, time.monotonic() - began))
    if bad:
        print(f"The folder is kept: {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
