"""
Write what version 0.1 left behind of a broadcast's results: the file of a task, and the parts of one that was killed.

    git worktree add --detach /tmp/version-0.1 6f9f234
    PYTHONPATH=/tmp/version-0.1 python tests/data/written_by_0_1/make_results.py

The messages go to the sandbox of that version, through its own engine; numbers and values are made up.
"""

from __future__ import annotations

import importlib.util
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
from airflow_provider_whatsapp.delivery.engine import Delivery, Rules
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Try
from airflow_provider_whatsapp.delivery.recipients import Recipients
from airflow_provider_whatsapp.delivery.report import Report
from airflow_provider_whatsapp.delivery.results import Results
from airflow_provider_whatsapp.delivery.stores import MemoryStore

HERE = Path(__file__).parent / "results"
PEOPLE = [
    {"to": "+1 555 010 0100", "name": "Zoë"},
    {"to": "+1 555 010 0101", "name": "Refused"},
    {"to": "+1 555 010 0102", "name": "Answer lost"},
    {"to": "+1 555 010 0103", "name": "Opted out"},
    {"to": "+1 555 010 0100", "name": "Again"},
    {"to": "12", "name": "Malformed"},
    {"to": "US.13491208655302741918", "name": "By ID"},
    {"to": "+1 555 010 0104", "name": "Last"},
]


def start_sandbox():
    """Start the sandbox; return its process and its connection."""
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_whatsapp.sandbox", "--port", "0", "--rate-limit", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    line = next(line for line in process.stdout if line.startswith("export AIRFLOW_CONN_"))
    return process, json.loads(shlex.split(line)[1].partition("=")[2])


def deliver(connection, results, people, store, *, number=1, stop_after=None):
    """Send to the people as a task does, to some of them where it is stopped."""
    extra = connection["extra"]
    config = ClientConfig(
        api_key=connection["password"],
        host=connection["host"],
        phone_number_id=extra["phone_number_id"],
        rate_limit=0,
        max_retries=0,
    )
    recipients = Recipients(people, suppressed={"15550100103"})
    ledger = Ledger(store)
    ledger.begin(Job("source", "message", len(people)), Try(number))
    taken = []

    def take(row, outcome):
        taken.append(row)
        results.take(row, outcome)
        if stop_after is not None and len(taken) == stop_after:
            delivery.stop()

    with WhatsAppClient(config) as client:
        delivery = Delivery(
            ledger, lambda row: Text("hello"), client.messages.send, rules=Rules(threads=1), take=take
        )
        delivery.run(recipients, Report())


def main():
    """Write all files anew."""
    import requests

    shutil.rmtree(HERE, ignore_errors=True)
    process, connection = start_sandbox()
    faults = [
        {
            "kind": "status",
            "status": 400,
            "to": "15550100101",
            "path": "/messages",
            "times": 0,
            "body": {"error": {"message": "no", "type": "OAuthException", "code": 131026}},
        },
        {"kind": "drop_after", "to": "15550100102", "path": "/messages", "times": 0},
    ]
    try:
        for fault in faults:
            requests.post(f"{connection['host']}/_sandbox/faults", json=fault, timeout=10).raise_for_status()
        whole = Results(HERE / "results.jsonl", key="0123456789ab", number=1)
        deliver(connection, whole, PEOPLE, MemoryStore(), stop_after=5)
        whole.finish()
        whole.clean()

        killed = Results(HERE / "killed.jsonl", key="0123456789ab", number=1)
        store = MemoryStore()
        deliver(connection, killed, PEOPLE[:4], store)
        again = Results(HERE / "killed.jsonl", key="0123456789ab", number=2)
        deliver(connection, again, PEOPLE[:4], store, number=2)
    finally:
        process.terminate()
        process.wait()
    part = HERE / "killed.jsonl.0123456789ab.parts" / "0002.jsonl"
    first, second, third, _ = part.read_text().splitlines(keepends=True)
    part.write_text(first + second + third[:20])  # where the kill struck


if __name__ == "__main__":
    if importlib.util.find_spec("airflow_provider_whatsapp.delivery.result_lines"):
        sys.exit("This is no checkout of version 0.1.")
    main()
