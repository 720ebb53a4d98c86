"""
Memory and processor's time of a delivery report over a results file of 100,000 recipients, with an SQLite store.

    python benchmarks/delivery_report.py [--rows 100000]

The report runs in a process of its own; its memory is held against what that process needs before the first line.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from rows import Row, add_option, hand_over

LIMIT_MB = 30.0
"""The most that a report may take above what its libraries do."""
KEY = "k" * 22
AT = datetime(2026, 7, 1, tzinfo=UTC)


def event_store(folder):
    from airflow_provider_whatsapp.events.store import EventStore

    return EventStore.open(f"sqlite:///{folder}/events.db")


def make(folder, count):
    """Write a results file, and receipts for it: of ten messages nine were delivered and one failed."""
    from sqlalchemy import insert

    from airflow_provider_whatsapp.delivery.callback_data import make_callback_data
    from airflow_provider_whatsapp.events import tables
    from airflow_provider_whatsapp.events.engine import open_engine

    store = event_store(folder)
    store.create_or_upgrade()
    usual = {
        "format": "whatsapp-results/1",
        "status": "sent",
        "row": {"name": "Ada Lovelace", "city": "London"},
    }
    shared = {
        "participant": "",
        "account_id": "1",
        "phone_number_id": "2",
        "occurred_at": AT,
        "received_at": AT,
    }
    shared |= {
        "send_hash": KEY,
        "send_epoch": 1,
        "verified": True,
        "raw": "{}",
        "price_category": "marketing",
    }
    engine = open_engine(f"sqlite:///{folder}/events.db")
    with (folder / "results.jsonl").open("w") as file, engine.begin() as connection:
        for n in range(count):
            to, message_id = f"1555{n:07}", f"wamid.HBgLMTU1NT{n:09}"
            own = {
                "n": n,
                "to": to,
                "given": f"+{to}",
                "where": f"people.csv:{n + 2}",
                "message_id": message_id,
            }
            file.write(json.dumps({**usual, **own, "callback_data": make_callback_data(KEY, 1, n)}) + "\n")
            ends = ("delivered", 30, None) if n % 10 else ("failed", 20, 131026)
            receipts = [
                {**shared, "message_id": message_id, "recipient": to, "send_position": n}
                | {"status": status, "status_rank": rank, "error_code": code}
                for status, rank, code in (("sent", 10, None), ends)
            ]
            connection.execute(insert(tables.statuses), receipts)
    engine.dispose()
    store.close()


def report(folder):
    """Run the report, and print the counts, the peak of memory before and after in MB, and the seconds of CPU."""
    from airflow_provider_whatsapp.delivery.delivery_report import DeliveryCounts, rewrite, survey_of
    from airflow_provider_whatsapp.delivery.report_sources import StoreSource

    store = event_store(folder)
    source = StoreSource(store)
    source.look_up([{"n": 0, "to": "1", "status": "sent", "message_id": "wamid.none"}])
    before, began = _peak(), time.process_time()
    survey_of(folder / "results.jsonl")
    counts = DeliveryCounts()
    rewrite(folder / "results.jsonl", source, counts)
    seconds = time.process_time() - began
    store.close()
    print(json.dumps([counts.steps["delivered"], counts.late, before, _peak(), seconds]))


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="recipients in the file")
    parser.add_argument("--report", help=argparse.SUPPRESS)
    add_option(parser)
    options = parser.parse_args()
    if options.report:
        report(Path(options.report))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), options.rows)
        command = [sys.executable, __file__, "--report", folder]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    delivered, failed, before, after, seconds = json.loads(printed)
    assert delivered + failed == options.rows, "each line says how far its message got"
    name = f"delivery report of {options.rows:,} recipients"
    rows = [
        Row(name=f"{name}: memory above its start", value=after - before, unit="MB", at_most=LIMIT_MB),
        Row(name=f"{name}: processor's time", value=seconds, unit="s"),
    ]
    text = (
        f"delivery report: {options.rows:,} lines take {after - before:.1f} MB above {before:.0f} MB at the start "
        f"(at most {LIMIT_MB:g}), {seconds:.1f} s of the processor"
    )
    return hand_over(rows, text, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
