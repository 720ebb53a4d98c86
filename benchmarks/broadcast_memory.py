"""
Memory and rate of a broadcast over the length of its list, from 100 to 100,000 recipients of a CSV.

    python benchmarks/broadcast_memory.py [--sizes 100 1000 10000 100000]

Each list is sent to by a process of its own.

The ledger is on a disk, the results file is written, the server answers at once.

``--against CHECKOUT`` compares the CPU time of a row with that of another checkout of this repository instead: the
operator sends to lists of a CSV in two processes in turn, and the median of the ratios is told.
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

from common import ROOT, in_turn, stub_server
from rows import Row, add_option, against, hand_over

FEW = 1_000
LIMIT_MB = 20.0
GROWTH = 1.15


# Reads from its input how many people to send to, and prints the seconds of CPU that each took.
SENDER = """
import json, os, sys, tempfile, time
from pathlib import Path

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # Airflow logs to where it first found the standard output

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp()
os.environ["AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"] = json.dumps(
    {"conn_type": "maton_whatsapp", "password": "benchmark-key", "host": sys.argv[1],
     "extra": {"phone_number_id": "106540352242922", "rate_limit": 0}}
)
import airflow_provider_whatsapp as package
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator

print(package.__file__, file=answers, flush=True)
for line in sys.stdin:
    count = int(line)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.csv"
        with path.open("w") as file:
            file.write("to,name,city\\n")
            file.writelines(f"+1555{place:07},Person {place},Rome\\n" for place in range(count))
        task = BroadcastTemplateOperator(
            task_id="send", recipients=str(path), template_name="hello", body=["{name}"], check_template=False,
            ledger_path=f"{folder}/ledger", results_path=f"{folder}/results.jsonl",
        )
        began = time.process_time()
        report = task.execute({})
        took = time.process_time() - began
    assert report["sent"] == count
    print(took / count, file=answers, flush=True)
"""
AT_MOST = 1.2
"""The cost of a row may grow by so much from one version to the next."""


def compare(checkout, *, count, rounds):
    with stub_server() as url:
        checkouts = [ROOT, Path(checkout).resolve()]
        found = in_turn(SENDER, checkouts, url, rounds=rounds, repeats=count, warm=200)
    return against(
        f"a row of a broadcast to {count:,}, CPU",
        found,
        checkout=str(checkout),
        at_most=AT_MOST,
        unit="us",
        scale=1e6,
    )


def one(url, count):
    """Send to so many people; print the peak of memory and the cost of a message."""
    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.messages import Template
    from airflow_provider_whatsapp.client.phone import address
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
            lambda to, message: client.messages.send(address(to), message),
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
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000])
    parser.add_argument("--against", metavar="CHECKOUT", help="compare with another checkout")
    parser.add_argument(
        "--rounds", type=int, default=5, help="rounds of that comparison, of the first size each"
    )
    add_option(parser)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.url:
        one(options.url, options.count)
        return 0
    if options.against:
        row, text = compare(options.against, count=options.sizes[0], rounds=options.rounds)
        return hand_over([row], text, as_json=options.json)
    with stub_server() as url:
        found = {count: measured(url, count) for count in sorted(options.sizes)}
    rows, text = [], []
    for count, figures in found.items():
        rate = 1e6 / figures["wall_us"]
        name = f"broadcast to {count:,}"
        rows += [
            Row(name=f"{name}: rate", value=rate, unit="messages/s", plot="throughput", x=count),
            Row(name=f"{name}: peak of memory", value=figures["peak_mb"], unit="MB", plot="memory", x=count),
        ]
        text.append(
            f"{figures['sent']:>7} sent: peak {figures['peak_mb']:.1f} MB; per message {figures['cpu_us']:.0f} us "
            f"of CPU, {figures['wall_us']:.0f} us in all"
        )
    return hand_over([*rows, *compared(found)], "\n".join(text), as_json=options.json)


def compared(found):
    """Hold the longest list against the shorter ones."""
    *_, middle, many = found
    few = next((count for count in found if count >= FEW), many)
    return [
        Row(
            name=f"broadcast to {many:,}: memory above that of {few:,}",
            value=found[many]["peak_mb"] - found[few]["peak_mb"],
            unit="MB",
            at_most=LIMIT_MB,
        ),
        Row(
            name=f"broadcast to {many:,}: CPU per message",
            value=found[many]["cpu_us"],
            unit="us",
            against=f"to {middle:,}",
            reference=found[middle]["cpu_us"],
            at_most=GROWTH,
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
