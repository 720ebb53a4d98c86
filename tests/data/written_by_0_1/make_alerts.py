"""
Write what version 0.1 left behind of alerts and of the pace: Variables, a deadline's file, and a pace file.

    git worktree add --detach /tmp/version-0.1 6f9f234
    PYTHONPATH=/tmp/version-0.1 python tests/data/written_by_0_1/make_alerts.py

The messages go to the sandbox of that version; numbers are made up.
"""

from __future__ import annotations

import json
import os
import shlex
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).parent
CONNECTION = "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"


def start_sandbox():
    """Start the sandbox; return the process and the connection to it."""
    command = [sys.executable, "-m", "airflow_provider_whatsapp.sandbox", "--port", "0", "--rate-limit", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("export AIRFLOW_CONN_"):
            return process, json.loads(shlex.split(line)[1].partition("=")[2])
    raise RuntimeError("the sandbox did not start")


def failure(task, run):
    """Return the context of a failed task."""
    ti = SimpleNamespace(
        dag_id="orders", task_id=task, run_id=run, try_number=1, map_index=-1, state="failed"
    )
    vars(ti).update(log_url="", start_date=None)
    return {"ti": ti, "run_id": run, "exception": ValueError("no rows")}


def alerts(connection):
    """Return the Variables after a storm, a hand-over and an alert that was not sent, and a deadline's file."""
    from airflow.sdk import Variable

    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    kept: dict[str, str] = {}
    Variable.get = lambda key, default=None: kept.get(key, default)
    Variable.set = kept.__setitem__

    def notify(context, **options):
        WhatsAppNotifier(to="+15550001111", text="no rows", **options)(context)

    notify(failure("load", "r1"))
    for run in ("r2", "r3", "r4"):
        notify(failure("load", run))
    ((key, person),) = ((key, text) for key, text in kept.items() if "free_at" in text)
    kept[key] = json.dumps(json.loads(person) | {"teller": "another", "free_at": time.time() + 12})
    notify(failure("check", "r4"))
    away = {**connection, "host": "http://127.0.0.1:9", "extra": {"phone_number_id": "1", "max_retries": 0}}
    os.environ["AIRFLOW_CONN_AWAY"] = json.dumps(away)
    notify(failure("export", "r4"), maton_conn_id="away")
    found = {"variables": dict(kept), "at": time.time()}
    notify({"dag_run": {"dag_id": "orders", "run_id": "r9"}, "deadline": {"id": 1}})
    files = Path(tempfile.gettempdir()).rglob("whatsapp_alert_*.json")
    return found | {"files": {file.name: file.read_text() for file in files}}


def pace():
    """Return the file of a pace that has met refusals, as numbers."""
    from airflow_provider_whatsapp.client.rate_limit import shared_pacer

    pacer = shared_pacer("key of 0.1", "https://earlier.example", 10.0)
    for count in range(14):
        departure = pacer.acquire()
        departure.left()
        if count > 9:
            pacer.refused(departure)
    (file,) = Path(tempfile.gettempdir()).rglob("*.pace")
    raw = file.read_bytes()
    numbers = struct.unpack(f"{len(raw) // 8}d", raw)
    return {"name": file.name, "clock": time.monotonic(), "numbers": list(numbers)}


def main():
    """Write all of it anew."""
    os.environ["AIRFLOW__CORE__EXECUTOR"] = "CeleryExecutor"
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = os.environ["AIRFLOW_HOME"] = folder
        (HERE / "pace.json").write_text(json.dumps(pace(), indent=1) + "\n")
        process, connection = start_sandbox()
        connection["extra"] |= {"rate_limit": 0, "max_retries": 0}
        os.environ[CONNECTION] = json.dumps(connection)
        try:
            (HERE / "alerts.json").write_text(json.dumps(alerts(connection), indent=1) + "\n")
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
