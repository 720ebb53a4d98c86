"""Five hundred tasks fail at once, in several processes: one message now, and one summary."""

from __future__ import annotations

import json
import multiprocessing
import re
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.airflow

PROCESSES, TASKS = 4, 125


def notify(folder, indexes):
    from airflow_provider_whatsapp.notifications.memory import Files
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    class Notifier(WhatsAppNotifier):
        def _store(self, context):
            return Files(folder)

    notifier = Notifier(to="+15550001111", text="{{ ti.task_id }} failed", roll_up=6)

    def fail(index):
        ti = SimpleNamespace(
            dag_id="orders", task_id="load", run_id="r1", map_index=index, try_number=1, state="failed"
        )
        notifier({"ti": ti, "run_id": "r1", "exception": ValueError("no rows")})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(fail, indexes))


@pytest.mark.timeout(300)
def test_five_hundred_failures_at_once(sandbox, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=notify, args=(tmp_path, range(start, start + TASKS)))
        for start in range(0, PROCESSES * TASKS, TASKS)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0] * PROCESSES
    told, summary = (message["payload"]["text"]["body"] for message in sandbox.messages)
    assert told == "load failed"
    words = re.fullmatch(r"DAG orders, run r1: (\d+) more failures: load\[.*\.\.\.", summary)
    records = [json.loads(path.read_text()) for path in tmp_path.glob("whatsapp_alert_*.json")]
    (record,) = (record for record in records if record["key"] == "orders.load")
    # On a slow machine the last failures come after the summary; they wait for the next message.
    assert int(words[1]) + record["held"] == PROCESSES * TASKS - 1
