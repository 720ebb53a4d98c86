"""Five hundred tasks fail at once, in several processes: one message now, and one summary."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.airflow

PROCESSES, TASKS = 4, 125


def notify(folder, indexes, locks=None):
    """Let some of the tasks fail, in a process that has its locks in a folder of its own if need be."""
    from airflow_provider_whatsapp.notifications.memory import Files
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    if locks is not None:
        locks.mkdir()
        tempfile.tempdir = str(locks)

    class Whole(Files):
        """No lock keeps another machine from reading a record while it is written."""

        def set(self, key, value):
            new = self._path(key).with_suffix(f".{os.getpid()}-{threading.get_ident()}")
            new.write_text(str(value))
            new.replace(self._path(key))

    class Notifier(WhatsAppNotifier):
        def _store(self, context):
            return Whole(folder)

    notifier = Notifier(to="+15550001111", text="{{ ti.task_id }} failed", roll_up=6)

    def fail(index):
        ti = SimpleNamespace(
            dag_id="orders", task_id="load", run_id="r1", map_index=index, try_number=1, state="failed"
        )
        notifier({"ti": ti, "run_id": "r1", "exception": ValueError("no rows")})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(fail, indexes))


def storm(folder, *, apart):
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(
            target=notify,
            args=(folder, range(start, start + TASKS), folder / f"machine-{start}" if apart else None),
        )
        for start in range(0, PROCESSES * TASKS, TASKS)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * PROCESSES


@pytest.mark.timeout(300)
def test_five_hundred_failures_on_machines_that_share_no_lock(sandbox, tmp_path, monkeypatch):
    """Their counts overwrite each other, which is why the summary of a real Airflow asks Airflow for its own."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    storm(tmp_path, apart=True)

    told, *summaries = (message["payload"]["text"]["body"] for message in sandbox.messages)
    assert told == "load failed"
    # A second one where two machines have written over each other that it has been summed up.
    assert 1 <= len(summaries) <= 2
    assert all(re.fullmatch(r"DAG orders, run r1: \d+ more failures?: load\[.*", each) for each in summaries)


@pytest.mark.timeout(300)
def test_five_hundred_failures_at_once(sandbox, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    storm(tmp_path, apart=False)

    told, summary = (message["payload"]["text"]["body"] for message in sandbox.messages)
    assert told == "load failed"
    words = re.fullmatch(r"DAG orders, run r1: (\d+) more failures: load\[.*\.\.\.", summary)
    records = [json.loads(path.read_text()) for path in tmp_path.glob("whatsapp_alert_*.json")]
    (record,) = (record for record in records if record["key"] == "orders.load")
    # On a slow machine the last failures come after the summary; they wait for the next message.
    assert int(words[1]) + record["held"] == PROCESSES * TASKS - 1
