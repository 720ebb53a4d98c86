"""
Write the ledgers that version 0.1 left behind of tasks that were killed, or failed, into ledgers.json.

    git worktree add --detach /tmp/version-0.1 6f9f234
    PYTHONPATH=/tmp/version-0.1 python tests/data/written_by_0_1/make_ledgers.py

The operators of that version run without a scheduler, against its sandbox, and are killed after some messages. Numbers
are made up. Beside the records stands who had a message when all was over.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ledger_cases as cases
import requests
from make_results import start_sandbox

HERE = Path(__file__).parent
KILLED = 9


class Accessor:
    """Airflow's task state store for one task, in a file."""

    def __init__(self, path):
        self.path = Path(path)

    def get(self, key):
        return self._values().get(key)

    def set(self, key, value, retention=None):
        self.path.write_text(json.dumps(self._values() | {key: value}))

    def _values(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}


def records_of(case, folder):
    """Return the records of a case's store by their names."""
    if case["store"] == "state":
        return json.loads((folder / "state.json").read_text())
    if case["store"] == "bucket":
        return json.loads((folder / "bucket.json").read_text())
    found = sorted(path for path in (folder / "ledgers").rglob("*") if path.is_file())
    return {str(path.relative_to(folder / "ledgers")): path.read_text() for path in found}


def run_try(name, folder, number, kill):
    """Run one try of a case in this process, which ends in the middle when it is told to."""
    import fsspec
    from airflow.sdk.io import attach

    from airflow_provider_whatsapp.client.resources.messages import Messages
    from airflow_provider_whatsapp.delivery import ledger

    case, folder = cases.CASES[name], Path(folder)
    attach("memory", fs=fsspec.filesystem("memory"))
    ledger.HEAD_NOTES = case.get("notes", ledger.HEAD_NOTES)
    paths = {"files": f"file://{folder}/ledgers", "bucket": cases.BUCKET, "state": None}
    send, sent = Messages.send, []

    def end():
        if case["store"] == "bucket":
            bucket = fsspec.filesystem("memory")
            names = {path: path.partition("ledgers/")[2] for path in bucket.find("/")}
            records = {name: bucket.cat(path).decode() for path, name in names.items()}
            (folder / "bucket.json").write_text(json.dumps(records))
        os._exit(KILLED)

    def counted(*args, **kwargs):
        sent.append(1)
        if len(sent) == kill:
            end()
        return send(*args, **kwargs)

    Messages.send = counted
    accessor = Accessor(folder / "state.json") if case["store"] == "state" else None
    cases.task(case["task"], paths[case["store"]]).execute(cases.context(number, accessor))


def left_by(name, connection):
    """Run a case's tries, and return what they have left behind."""

    def post(control, **fields):
        requests.post(f"{connection['host']}/_sandbox/{control}", json=fields, timeout=10).raise_for_status()

    post("reset")
    cases.prepare(post)
    kills = cases.CASES[name]["kill"]
    with tempfile.TemporaryDirectory() as folder:
        for number, kill in enumerate(kills or [0], 1):
            command = [sys.executable, __file__, name, folder, str(number), str(kill)]
            ended = subprocess.run(
                command,
                env={**os.environ, "AIRFLOW_HOME": folder},
                capture_output=True,
                text=True,
                check=False,
            )
            if kill and ended.returncode != KILLED:
                sys.exit(
                    f"{name}, try {number} was not killed:\n{ended.stdout[-2000:]}{ended.stderr[-4000:]}"
                )
        records = records_of(cases.CASES[name], Path(folder))
    messages = requests.get(f"{connection['host']}/_sandbox/messages", timeout=10).json()
    return {"records": records, "accepted": [message["to"] for message in messages]}


def mark():
    """Return the Variable that a try leaves which was killed while it sent, where there is no store."""
    from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Try
    from airflow_provider_whatsapp.delivery.stores import MarkedMemory

    class Variables(dict):
        def set(self, key, value, description=None):
            self[key] = value

    variables = Variables()
    store = MarkedMemory(variables, ("campaign", "manual__2026-01-01", "send", "-1"))
    store.admit(1, 5, resend_on_clear=False)
    ledger = Ledger(store)
    ledger.begin(Job("source", "message", 24), Try(1, 5))
    ledger.claim([(0, "")])
    ledger.flush()
    return dict(variables)


def pace():
    """Return the numbers of a board on which the pace has met refusals, the clock's time and the board's size."""
    from airflow_provider_whatsapp.client.pace_board import Board
    from airflow_provider_whatsapp.client.rate_limit import Pacer, board_size

    board = Board(board_size(10))
    pacer = Pacer(10, board=board)
    for count in range(12):
        departure = pacer.acquire()
        departure.left()
        if count > 8:
            pacer.refused(departure)
    with board.locked() as numbers:
        return {"size": board_size(10), "now": time.monotonic(), "numbers": list(numbers)}


def main():
    """Write all of it anew."""
    process, connection = start_sandbox()
    connection["extra"] |= {"rate_limit": 0, "max_retries": 0}
    os.environ["AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"] = json.dumps(connection)
    try:
        ledgers = {name: left_by(name, connection) for name in cases.CASES}
    finally:
        process.terminate()
        process.wait()
    found = {"ledgers": ledgers, "mark": mark(), "pace": pace()}
    (HERE / "ledgers.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    if importlib.util.find_spec("airflow_provider_whatsapp.delivery.result_lines"):
        sys.exit("This is no checkout of version 0.1.")
    if sys.argv[1:]:
        run_try(*sys.argv[1:3], *map(int, sys.argv[3:]))
    else:
        main()
