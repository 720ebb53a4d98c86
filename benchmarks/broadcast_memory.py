"""
Memory and cost of a broadcast: 100,000 recipients of a CSV against 1,000, each in a process of its own.

    python benchmarks/broadcast_memory.py [--many 100000]

The ledger is on a disk, the results file is written, the server answers at once.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import stub_server

LIMIT_MB = 20.0
GROWTH = 1.15


def one(url, count):
    """Send to so many people; print the peak of memory and the cost of a message."""
    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.messages import Template
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
    from airflow_provider_whatsapp.delivery.engine import Delivery, Rules
    from airflow_provider_whatsapp.delivery.fill import fill
    from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Try
    from airflow_provider_whatsapp.delivery.recipients import Recipients
    from airflow_provider_whatsapp.delivery.report import Report
    from airflow_provider_whatsapp.delivery.results import Results
    from airflow_provider_whatsapp.delivery.stores import FileStore

    config = ClientConfig(api_key="key", host=url, phone_number_id="1", rate_limit=0)
    with tempfile.TemporaryDirectory() as folder, WhatsAppClient(config) as client:
        path = Path(folder) / "people.csv"
        with path.open("w") as file:
            file.write("to,name\n")
            file.writelines(f"+1555{place:07},Person {place}\n" for place in range(count))
        began, cpu = time.perf_counter(), time.process_time()
        recipients = Recipients(path, columns=["name"])
        survey = recipients.survey()
        ledger = Ledger(FileStore(Path(folder) / "ledger"))
        ledger.begin(Job(survey.digest, "message", survey.total), Try())
        results = Results(Path(folder) / "results.jsonl", key="x", number=1)
        delivery = Delivery(
            ledger,
            lambda row: Template("hello", body=[fill("{name}", row.values)]),
            client.messages.send,
            rules=Rules(varied=True),
            take=results.take,
        )
        report = delivery.run(recipients, Report(limit=100))
        results.finish()
        figures = {
            "sent": report.count("sent"),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "wall_us": (time.perf_counter() - began) / count * 1e6,
            "cpu_us": (time.process_time() - cpu) / count * 1e6,
        }
    print(json.dumps(figures))


def measured(url, count):
    command = [sys.executable, __file__, "--url", url, "--count", str(count)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.url:
        one(options.url, options.count)
        return 0
    with stub_server() as url:
        few = measured(url, options.few)
        middle = measured(url, options.many // 10)
        many = measured(url, options.many)
    for figures in (few, middle, many):
        print(
            f"{figures['sent']:>7} sent: peak {figures['peak_mb']:.1f} MB; per message {figures['cpu_us']:.0f} us "
            f"of CPU, {figures['wall_us']:.0f} us in all"
        )
    more = many["peak_mb"] - few["peak_mb"]
    growth = many["cpu_us"] / middle["cpu_us"]
    print(f"{options.many} take {more:.1f} MB more than {options.few} (limit {LIMIT_MB:.0f})")
    print(
        f"a message of {options.many} costs {growth:.2f} times one of {options.many // 10} (limit {GROWTH})"
    )
    return 0 if more <= LIMIT_MB and growth <= GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
