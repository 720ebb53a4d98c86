"""Hundreds of tasks fail at once: one message now, and one summary."""

from __future__ import annotations

import copy
import itertools
import json
import os
import random
import re
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from tests.notifications.virtual_time import VirtualTime
from tests.time_limits import take_all_time

pytestmark = pytest.mark.airflow

PROCESSES, TASKS = 4, 50


def failed(index):
    ti = SimpleNamespace(
        dag_id="orders", task_id="load", run_id="r1", map_index=index, try_number=1, state="failed"
    )
    return {"ti": ti, "run_id": "r1", "exception": ValueError("no rows")}


def notify(folder, indexes, locks):
    """Let some of the tasks fail, in a process that shares its locks with those of its machine."""
    from airflow_provider_whatsapp.notifications.alert_stores import Files
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    take_all_time()
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
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda index: notifier(failed(index)), indexes))


@pytest.mark.once
@pytest.mark.timeout(300)
def test_two_hundred_failures_on_two_machines_that_share_no_lock(sandbox, forks, tmp_path, monkeypatch):
    """Their counts overwrite each other, which is why the summary of a real Airflow asks Airflow for its own."""
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    machines = [tmp_path / name for name in ("one", "two")]
    for machine in machines:
        machine.mkdir()
    parts = [range(part * TASKS, (part + 1) * TASKS) for part in range(PROCESSES)]
    processes = [
        forks.start(notify, tmp_path, part, machine)
        for part, machine in zip(parts, itertools.cycle(machines), strict=False)
    ]
    assert [process.wait() for process in processes] == [0] * PROCESSES
    # Where the other machine has written over who waits to sum up, the next failure does it.
    assert forks.start(notify, tmp_path, [PROCESSES * TASKS], machines[0]).wait() == 0

    told, *summaries = (message["payload"]["text"]["body"] for message in sandbox.messages)
    assert told == "load failed"
    # A second one where two machines have written over each other that it has been summed up.
    assert 1 <= len(summaries) <= 2
    assert all(re.fullmatch(r"DAG orders, run r1: \d+ more failures?: load\[.*", each) for each in summaries)


def notify_by_redis(folder, indexes):
    """Let some of the tasks fail on a machine that shares nothing with others but Redis."""
    from airflow_provider_whatsapp.notifications.alert_stores import Files
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    take_all_time()
    tempfile.tempdir = str(folder)

    class Notifier(WhatsAppNotifier):
        def _store(self, context):
            return Files(folder)

    notifier = Notifier(to="+15550001111", text="{{ ti.task_id }} failed", roll_up=4, gap=0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda index: notifier(failed(index)), indexes))


@pytest.mark.once
@pytest.mark.timeout(300)
def test_a_storm_on_two_machines_that_share_a_redis_alone(
    sandbox, forks, redis_process, tmp_path, monkeypatch
):
    """Each machine's own store would send a message of its own; by Redis there is one, and each failure is counted."""
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
    from airflow_provider_whatsapp.notifications.redis_state import redis_state

    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", f"http://{tmp_path.name}.example")
    sandbox.connect(pace_redis=redis_process.url)
    count = 40
    machines = [tmp_path / name for name in ("one", "two")]
    for folder in machines:
        folder.mkdir()
    processes = [
        forks.start(notify_by_redis, folder, range(part * count, (part + 1) * count))
        for part, folder in enumerate(machines)
    ]
    assert [process.wait() for process in processes] == [0, 0]

    first, *summaries = (message["payload"]["text"]["body"] for message in sandbox.messages)
    assert first == "load failed"
    assert len(summaries) == 1
    shared = redis_state(MatonWhatsAppHook().client.config)
    records = [json.loads(text) for _, text in shared.items()]
    (later,) = (record["held"] for record in records if record["key"] == "orders.load")
    told = re.fullmatch(r"DAG orders, run r1: (\d+) more failures?: load\[.*", summaries[0])
    assert told
    assert 1 + int(told[1]) + later == 2 * count
    assert not [path for folder in machines for path in folder.rglob("whatsapp_alert_*.json")]


def test_the_summary_counts_every_failure(sandbox, tmp_path, monkeypatch):
    """Two hundred fail within five seconds: the summary goes when ten are over, and names what came meanwhile."""
    from airflow_provider_whatsapp.notifications.alert import Alert
    from airflow_provider_whatsapp.notifications.alert_stores import Files
    from airflow_provider_whatsapp.notifications.bounded import directly
    from airflow_provider_whatsapp.notifications.time_budget import TimeBudget
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    clock = VirtualTime(monkeypatch)
    notifier = WhatsAppNotifier(to="+15550001111", text="{{ ti.task_id }} failed")

    def begin(index):
        context = failed(index)
        one = copy.copy(notifier)
        one._fill_in(context)
        patience = TimeBudget.of(context)
        return Alert(one, context, one._hook(patience), Files(tmp_path), patience, bounded=directly).steps()

    moments = random.Random(20)
    clock.run((moments.uniform(0, 5), lambda index=index: begin(index)) for index in range(200))

    told, summary = (message["payload"]["text"]["body"] for message in sandbox.messages)
    assert told == "load failed"
    assert re.fullmatch(r"DAG orders, run r1: 199 more failures: load\[.*\.\.\.", summary)
    records = [json.loads(path.read_text()) for path in tmp_path.glob("whatsapp_alert_*.json")]
    assert [record["held"] for record in records if record["key"] == "orders.load"] == [0]
