"""
The account's limit, used up and not crossed: one process, four processes on one machine, four on as many machines.

The sandbox counts as strictly as can be: no second, wherever it begins, may hold more than ten accepted requests.
Processes on several machines are stood in for by processes that cannot see each other's temporary folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from common import sandbox
from rows import Row, add_option, hand_over

LIMIT = 10.0
NEAR = 0.95
REFUSED = 1.0
"""Percent of the requests."""


def send(connection, count):
    """Send so many messages; print when the first and the last of them were accepted, and how many failed."""
    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.errors import WhatsAppError
    from airflow_provider_whatsapp.client.messages import Text
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

    config = ClientConfig(
        api_key=connection["password"],
        host=connection["host"],
        phone_number_id=connection["extra"]["phone_number_id"],
    )
    client, message, failed = WhatsAppClient(config), Text("A line of a broadcast."), 0
    start = time.time()
    for number in range(count):
        try:
            client.messages.send(f"+1555{os.getpid() % 1000:03}{number:04}", message)
        except WhatsAppError:
            failed += 1
    print(json.dumps({"rate": count / (time.time() - start), "failed": failed}))


def measure(name, processes, count, *, apart=False):
    """Run processes that send so many messages each; return the rows and the line for a reader."""
    with (
        sandbox("--rate-limit", str(int(LIMIT)), "--pair-limit", "0") as connection,
        tempfile.TemporaryDirectory() as folder,
    ):
        command = [sys.executable, __file__, "--send", str(count), "--connection", json.dumps(connection)]
        started = []
        for number in range(processes):
            place = f"{folder}/{number}" if apart else folder
            Path(place).mkdir(exist_ok=True)
            started.append(
                subprocess.Popen(
                    command,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    env={**os.environ, "TMPDIR": place},
                )
            )
        results = [json.loads(process.communicate()[0]) for process in started]
        with urllib.request.urlopen(f"{connection['host']}/_sandbox/requests") as answer:
            arrived = [row for row in json.load(answer) if row["path"].endswith("/messages")]
    accepted = sorted(row["at"] for row in arrived if row["status"] == 200)
    refused = sum(row["status"] == 429 for row in arrived)
    later = [at for at in accepted if at > accepted[0] + 1]
    rate = (len(later) - 1) / (later[-1] - later[0])
    rates = sorted(result["rate"] for result in results)
    text = (
        f"pacing, {name}: {rate:.2f}/s after the first second ({rate / LIMIT:.3f} of the limit), "
        f"429: {refused} of {len(arrived)} ({refused / len(arrived):.1%}), "
        f"failed: {sum(result['failed'] for result in results)}, slowest/fastest: {rates[0] / rates[-1]:.2f}"
    )
    wanted = {} if apart else {"at_least": NEAR, "at_most": 1.0}
    few = {} if apart else {"at_most": REFUSED}
    return [
        Row(
            name=f"pacing, {name}: rate",
            value=rate,
            unit="messages/s",
            against="the limit",
            reference=LIMIT,
            **wanted,
        ),
        Row(name=f"pacing, {name}: share of 429", value=100 * refused / len(arrived), unit="%", **few),
        Row(name=f"pacing, {name}: failed", value=sum(result["failed"] for result in results), at_most=0),
    ], text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sends", type=int, default=1000, help="messages per measurement")
    parser.add_argument("--send", type=int)
    parser.add_argument("--connection", type=json.loads)
    add_option(parser)
    options = parser.parse_args()
    if options.send:
        send(options.connection, options.send)
        return 0
    measured = [
        measure("one process", 1, options.sends),
        measure("four processes", 4, options.sends // 4),
        measure("four machines", 4, options.sends // 4, apart=True),
    ]
    rows = [row for found, _ in measured for row in found]
    return hand_over(rows, "\n".join(text for _, text in measured), as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
