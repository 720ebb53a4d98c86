"""
How long the tab on a task instance takes for a broadcast of 10,000 that was delivered and read, against one second.

``python benchmarks/task_tab.py``: the whole answer of each view, from the results file and the event store (SQLite),
nothing kept from an earlier look, in seconds on the clock and of CPU; and what an import of the plugin costs the
components that never open a page.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from rows import Row, add_option, hand_over

PROMISED = 1.0
"""Seconds until the page has come."""
IMPORT = 0.005
"""Seconds of CPU that the import may cost."""
RUN = ("sales", "scheduled__2026-11-28T00:00:00+00:00", "broadcast", -1)
AT = datetime(2026, 11, 28, 9, tzinfo=UTC)
VIEWS = {
    "first page": ("GET", {}),
    "last page": ("POST", {"page": "9999"}),
    "one number": ("POST", {"find": "5550009999"}),
}
COST = """
import time, airflow.plugins_manager
began = time.process_time()
import airflow_provider_whatsapp.plugin
print(time.process_time() - began)
"""


def fill(folder: Path, count: int) -> None:
    """A results file of so many, and three receipts for each."""
    from sqlalchemy import insert

    from airflow_provider_whatsapp.delivery.callback_data import key_hash
    from airflow_provider_whatsapp.events.engine import open_engine
    from airflow_provider_whatsapp.events.store import EventStore
    from airflow_provider_whatsapp.events.tables import statuses

    send = key_hash(*map(str, RUN))
    with (folder / "results.jsonl").open("w") as file:
        for n in range(count):
            to = f"1555{n:07}"
            line = {
                "format": "whatsapp-results/1",
                "n": n,
                "to": to,
                "status": "sent",
                "message_id": f"wamid.{n:024}",
                "dag_id": RUN[0],
            }
            file.write(json.dumps(line | {"given": f"+{to}", "where": f"rows[{n}]"}) + "\n")
    database = f"sqlite:///{folder / 'events.db'}"
    EventStore.open(database).create_or_upgrade()
    rows = [
        {
            "message_id": f"wamid.{n:024}", "status": word, "participant": "", "status_rank": rank, "account_id": "1",
            "phone_number_id": "2", "recipient": f"1555{n:07}", "occurred_at": AT + timedelta(seconds=rank),
            "send_hash": send, "send_epoch": 1, "send_position": n, "verified": True, "received_at": AT, "raw": "{}",
        }
        for n in range(count)
        for word, rank in (("sent", 10), ("delivered", 30), ("read", 40))
    ]  # fmt: skip
    engine = open_engine(database)
    with engine.begin() as connection:
        for start in range(0, len(rows), 5_000):
            connection.execute(insert(statuses), rows[start : start + 5_000])
    engine.dispose()


def answers(folder: Path, count: int, times: int) -> dict[str, tuple[float, float]]:
    """Seconds on the clock and of CPU of each view, the least of some; Airflow's database is left out."""
    os.environ |= {
        "AIRFLOW__WHATSAPP__UI_RESULTS_ROOTS": str(folder),
        "AIRFLOW__WHATSAPP__EVENTS_CONN_ID": "events",
        "AIRFLOW_CONN_EVENTS": json.dumps({"conn_type": "sqlite", "host": str(folder / "events.db")}),
    }
    from starlette.requests import Request

    from airflow_provider_whatsapp.plugin import results_files, sources, task, task_facts, task_recipients
    from airflow_provider_whatsapp.plugin.metadata import TaskRun
    from airflow_provider_whatsapp.plugin.sources import Sources

    report = {"total": count, "sent": count, "failed": 0, "unknown": 0, "skipped": 0, "results": []}
    value = report | {"results_path": str(folder / "results.jsonl")}
    run = TaskRun(
        *RUN, state="success", fields={"recipients": "•••"}, xcoms={"return_value": value}, ended=AT
    )
    sources.WAIT = 120.0  # a busy machine may take longer than a page waits
    task.read_task = lambda *_: run
    task_facts.record_text = lambda _: None

    async def ask(method: str, form: dict[str, str]) -> str:
        task_recipients.RECEIPTS, task_recipients.TABLES, task_facts.STORE = (
            Sources(threads=2, most=4) for _ in range(3)
        )
        results_files.THREADS.clear()
        names = dict(zip(("dag_id", "run_id", "task_id", "map_index"), map(str, RUN), strict=True))
        body = urlencode(form).encode()
        headers = [(b"content-type", b"application/x-www-form-urlencoded")]
        scope = {"type": "http", "method": method, "path": "/", "path_params": names, "query_string": b""}

        async def receive() -> dict:
            return {"type": "http.request", "body": body, "more_body": False}

        request = Request(scope | {"headers": headers}, receive)
        return (await task.task(request, user=None)).body.decode()

    found = {}
    for name, (method, form) in VIEWS.items():
        clocks, seconds = [], []
        for _ in range(times):
            began, spent = time.perf_counter(), time.process_time()
            html = asyncio.run(ask(method, form))
            clocks.append(time.perf_counter() - began)
            seconds.append(time.process_time() - spent)
            assert f"{count:,} recipients" in html, html[-2000:]
            assert "has answered yet" not in html
        found[name] = min(clocks), min(seconds)
    return found


def import_cost(times: int) -> float:
    """Seconds of CPU that the plugin's import takes where Airflow's plugin manager is loaded."""
    costs = []
    for _ in range(times):
        done = subprocess.run([sys.executable, "-c", COST], capture_output=True, text=True, check=True)
        costs.append(float(done.stdout.splitlines()[-1]))
    return min(costs)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipients", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=3)
    add_option(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        os.environ.setdefault("AIRFLOW_HOME", str(folder / "airflow"))
        cost = import_cost(options.times)
        fill(folder, options.recipients)
        found = answers(folder, options.recipients, options.times)
    shown = ", ".join(
        f"{name} {clock * 1_000:.0f} ms, {seconds * 1_000:.0f} ms of CPU"
        for name, (clock, seconds) in found.items()
    )
    text = f"task_tab: {options.recipients:,} recipients: {shown}; import {cost * 1_000:.1f} ms of CPU"
    rows = [
        *(
            Row(
                name=f"tab of a broadcast of {options.recipients:,}, {what}",
                value=max(view[number] for view in found.values()),
                unit="s",
                against="what is promised of it",
                reference=PROMISED,
                at_most=most,
            )
            # On a machine that does other things the clock says how busy it is.
            for number, (what, most) in enumerate((("on the clock", None), ("CPU", 1)))
        ),
        Row(
            name="import of Airflow's plugin, CPU",
            value=cost * 1_000,
            unit="ms",
            against="what is promised of it",
            reference=IMPORT * 1_000,
            at_most=1,
        ),
    ]
    return hand_over(rows, text, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
