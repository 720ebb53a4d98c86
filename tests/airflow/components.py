"""
Start the parts of a real Airflow (scheduler, API server...) by one process, which imports Airflow once for all of them.

Each part is what its own command runs, in a process and a group of its own; by itself each would spend seconds of CPU
on the same import. Whatever was started ends with the pipe of this process, so also when the tests are killed, and
where this process itself is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import functools
import gc
import importlib
import json
import os
import signal
import sqlite3
import sqlite3.dbapi2
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.airflow.running import speak_the_newest_version_alone
from tests.forks import end_with

ROOT = Path(__file__).parents[2]

SHARED = (
    "airflow.dag_processing.bundles.local",
    "airflow.dag_processing.manager",
    "airflow.jobs.scheduler_job_runner",
    "airflow.jobs.triggerer_job_runner",
    "airflow.providers.standard.decorators.python",
    "airflow.providers.standard.operators.hitl",
    "airflow.providers.standard.sensors.external_task",
    "airflow.sdk.bases.sensor",
    "airflow.sdk.definitions.decorators",
    "airflow.sdk.execution_time.task_runner",
    "airflow.version",
    "airflow_provider_whatsapp.client.connection",
    "airflow_provider_whatsapp.client.whatsapp",
    "airflow_provider_whatsapp.delivery.recipients",
    "airflow_provider_whatsapp.events.store",
    "airflow_provider_whatsapp.hooks.maton_whatsapp",
    "airflow_provider_whatsapp.hooks.media_source",
    "airflow_provider_whatsapp.notifications.alert",
    "airflow_provider_whatsapp.notifications.time_budget",
    "airflow_provider_whatsapp.notifications.whatsapp",
    "airflow_provider_whatsapp.operators.approval",
    "jinja2.ext",
    "phonenumbers",
    "requests",
)
"""What several parts or tasks import; where a version has no such module, its part imports what it needs."""
COMPONENTS = {
    # Without this option logs would be served to other machines too.
    "scheduler": ["--skip-serve-logs"],
    "triggerer": ["--skip-serve-logs"],
    "dag-processor": [],
}
"""The parts beside the API server."""
PR_SET_PDEATHSIG = 1
SECONDS = 5
"""A part that is asked to end is killed after so many."""
IMPATIENT = {"api-server": 5}
"""Seconds for which a part waits for SQLite's lock, where it is not the time that its connection states.

A thread of the API server may hold the lock until the server's event loop continues, and the loop may wait for that
very lock. Then all parts wait until the API server gives up; its clients ask again.
"""
RESTARTS = 3
"""A part that ends is started again so often, as a service manager would: a scheduler ends if SQLite stays locked."""


class Components:
    """
    An Airflow whose parts start one after the other, and end together.

    :param environment: Of all of them.
    :param folder: Where they run and their logs lie.
    :param shared: The modules that all of them begin with.
    """

    def __init__(self, environment, folder, shared=SHARED):
        self.folder = folder
        self._begun = {}
        self.ends = Counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.airflow.components", folder, *shared],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(60)

    def start(self, name, *options):
        """Start a part, named as its command."""
        self._begun[name] = options
        self._order("start", arguments=[name, *options], log=self._log(name))

    def run(self, *arguments):
        """Run a command to its end, which has to be a good one."""
        code = self._order("run", arguments=arguments, log=self._log(arguments[0]))
        assert code == 0, self._end_of_log(arguments[0])

    def look_after(self):
        """Start again what has ended, and print what it said last; complain where it ends time and again."""
        for name in self._order("ended"):
            self.ends[name] += 1
            said = f"--- {name} ended ({self.ends[name]}):\n{self._end_of_log(name)}"
            assert self.ends[name] <= RESTARTS, said
            print(said)
            self.start(name, *self._begun[name])

    def say_where(self):
        """Have each part write to its log where all its threads are, and print the ends of all logs."""
        self._order("where")
        time.sleep(1)  # nothing says when they have done it, and the tests have failed already
        for log in sorted(self.folder.rglob("*.log")):
            print(f"--- {log.relative_to(self.folder)}", log.read_text()[-6000:])

    def _log(self, name):
        return str(self.folder / f"{name}.log")

    def _end_of_log(self, name):
        return (self.folder / f"{name}.log").read_text()[-3000:]

    def _order(self, what, **order):
        self._process.stdin.write(json.dumps({"what": what, **order}).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def serve(shared):
    """Fork for each order that comes in; at the end of the orders end all parts."""
    # What Airflow says while it is imported must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from airflow.__main__ import main

    with contextlib.suppress(ImportError, AttributeError):
        build_the_execution_api()
    for name in shared:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # Looking for garbage among all that takes a third of a start, and there is none.
    gc.freeze()
    gc.set_threshold(100_000)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parts, gone = {}, []
    try:
        follow(main, answers, parts, gone)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end(list(parts))
        for pid in gone:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


def build_the_execution_api():
    """
    Build what answers tasks inside a process, and give it to each part that asks for one.

    The triggerer and the DAG processor both have one, and its routes in all versions cost seconds of CPU.
    """
    from airflow.api_fastapi.execution_api import app

    speak_the_newest_version_alone()
    made = app.InProcessExecutionAPI().app
    made._cadwyn_initialize()
    app.InProcessExecutionAPI = functools.partial(app.InProcessExecutionAPI, made)


def follow(main, answers, parts, gone):
    """Do what is ordered; keep the processes of the parts, and of those that have ended."""
    for line in sys.stdin:
        order = json.loads(line)
        if order["what"] == "ended":
            ended = [pid for pid in parts if os.waitpid(pid, os.WNOHANG) != (0, 0)]
            gone += ended
            answer = [parts.pop(pid) for pid in ended]
        elif order["what"] == "where":
            for pid in parts:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGUSR1)
            answer = None
        else:
            pid = os.fork()
            if pid == 0:
                end_with(become, main, order["arguments"], order["log"])
            if order["what"] == "run":
                answer = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            else:
                parts[pid] = order["arguments"][0]
                answer = None
        print(json.dumps(answer), file=answers, flush=True)


def end_with_the_parent():
    """Ask the kernel for a SIGTERM when the process that has forked this one is killed and can end nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def become(main, arguments, log):
    """Be a command from now on."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_the_parent()
    nothing, output = (
        os.open(os.devnull, os.O_RDONLY),
        os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
    )
    for there, here in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(there, here)
    faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)
    if arguments[0] in IMPATIENT:
        wait_for_sqlite(IMPATIENT[arguments[0]])
    sys.argv = ["airflow", *arguments]
    main()


def wait_for_sqlite(seconds):
    """Let each connection to SQLite that this process makes wait for so many seconds, whatever its own setting."""
    connect = sqlite3.connect

    def impatient(*arguments, **options):
        return connect(*arguments, **options | {"timeout": seconds})

    sqlite3.connect = sqlite3.dbapi2.connect = impatient


def end(parts):
    """End all parts with what they have started, the last one first."""
    for pid in reversed(parts):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGTERM)
    until = time.monotonic() + SECONDS
    for pid in reversed(parts):
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > until:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                break
            time.sleep(0.05)


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    serve(sys.argv[2:])
