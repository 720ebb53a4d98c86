"""
The account's limit, used up and not crossed: one process, four processes on one machine, four on as many machines.

The sandbox counts as strictly as can be: no second, wherever it begins, may hold more than ten accepted requests.
Processes on several machines are stood in for by processes that cannot see each other's temporary folder. With
redis-server installed, four such machines are measured with `extra.pace_redis` too: undisturbed, and with Redis killed
after a third of the messages and started again, empty, two seconds later.

``--against CHECKOUT`` asks instead whether one process alone, without Redis, is slower than in another checkout of this
repository: two processes send in turn, some messages each, and the median of the ratios is told. Machines with an
address of their own are measured by ``scale_out/rate.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from common import ROOT, in_turn, sandbox, stub_server
from rows import Row, add_option, against, hand_over

LIMIT = 10.0
NEAR = 0.95
REFUSED = 1.0
"""Percent of the requests."""
ALONE_AT_MOST = {"time": 1.02, "process_time": 1.05}
"""A paced message may take so much more time, and processor time, than in another checkout."""
# Reads how many messages to send, and prints the seconds that each took. Its key is its own, and so is its pace.
ALONE = """
import os, sys, time
from concurrent.futures import ThreadPoolExecutor
import airflow_provider_whatsapp as package
from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

host, rate, clock = sys.argv[1], float(sys.argv[2]), getattr(time, sys.argv[3])
config = ClientConfig(api_key=f"key-{os.getpid()}", host=host, phone_number_id="106540352242922", rate_limit=rate)
client = WhatsAppClient(config)
send = lambda number: client.messages.send(f"+1555{number:07}", Text("A line of a broadcast."))
print(package.__file__, flush=True)
with ThreadPoolExecutor(2) as threads:
    for line in sys.stdin:
        started = clock()
        list(threads.map(send, range(int(line))))
        print((clock() - started) / int(line), flush=True)
"""
REDIS_NEAR, REDIS_REFUSED, KILLED_REFUSED = 0.96, 0.5, 3.0


def send(connection, count):
    """Send so many messages with two threads; print the rate, and how many failed."""
    from concurrent.futures import ThreadPoolExecutor

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.errors import WhatsAppError
    from airflow_provider_whatsapp.client.messages import Text
    from airflow_provider_whatsapp.client.redis_server import parse_redis_url
    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient

    config = ClientConfig(
        api_key=connection["password"],
        host=connection["host"],
        phone_number_id=connection["extra"]["phone_number_id"],
        pace_redis=parse_redis_url(connection["redis"]) if connection.get("redis") else None,
    )
    client, message, failed = WhatsAppClient(config), Text("A line of a broadcast."), []

    def one(number):
        try:
            client.messages.send(f"+1555{os.getpid() % 1000:03}{number:04}", message)
        except WhatsAppError as error:
            failed.append(str(error))

    start = time.time()
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(one, range(count)))
    print(json.dumps({"rate": count / (time.time() - start), "failed": len(failed)}))


class Redis:
    """A redis-server without a disk on a free port of loopback, or none where it is not installed."""

    def __init__(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process = None

    def __enter__(self):
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            ["redis-server", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while True:
            with socket.socket() as caller:
                if caller.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def arrived_at(host):
    """Return the requests for messages that the sandbox has seen."""
    with urllib.request.urlopen(f"{host}/_sandbox/requests") as answer:
        return [row for row in json.load(answer) if row["path"].endswith("/messages")]


def interrupt(redis, host, requests, away=2.0):
    """Kill Redis after so many requests, and start it again."""

    def act():
        while len(arrived_at(host)) < requests:
            time.sleep(0.2)
        redis.__exit__()
        time.sleep(away)
        redis.__enter__()

    threading.Thread(target=act, daemon=True).start()


def measure(name, processes, count, *, apart=False, redis=None, kill=False):
    """Run processes that send so many messages each; return the rows and the line for a reader."""
    with (
        sandbox("--rate-limit", str(int(LIMIT)), "--pair-limit", "0") as connection,
        tempfile.TemporaryDirectory() as folder,
    ):
        connection["redis"] = redis.url if redis else ""
        if kill:
            interrupt(redis, connection["host"], processes * count // 3)
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
        arrived = arrived_at(connection["host"])
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
    held = not apart or (redis and not kill)
    wanted = {"at_least": REDIS_NEAR if redis else NEAR, "at_most": 1.0} if held else {}
    few = (
        {"at_most": KILLED_REFUSED if kill else REDIS_REFUSED if redis else REFUSED} if held or redis else {}
    )
    fair = (
        [Row(name=f"pacing, {name}: slowest/fastest", value=rates[0] / rates[-1], at_least=0.9)]
        if redis
        else []
    )
    return [
        *fair,
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


def compare(checkout, *, rounds=9):
    """Return the rows and the text of a comparison of one process alone with another checkout."""
    measured = []
    with stub_server() as url:
        for name, rate, clock, repeats in (
            ("one process alone at 10/s, a message", LIMIT, "time", 25),
            ("one process alone at 500/s, a message's CPU", 500, "process_time", 300),
        ):
            checkouts = [ROOT, Path(checkout).resolve()]
            found = in_turn(ALONE, checkouts, url, str(rate), clock, rounds=rounds, repeats=repeats, warm=15)
            bound = ALONE_AT_MOST[clock]
            measured.append(against(name, found, checkout=str(checkout), at_most=bound, unit="ms", scale=1e3))
    return [row for row, _ in measured], "\n".join(text for _, text in measured)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sends", type=int, default=1000, help="messages per measurement")
    parser.add_argument("--send", type=int)
    parser.add_argument("--connection", type=json.loads)
    parser.add_argument(
        "--against", metavar="CHECKOUT", help="compare one process alone with another checkout"
    )
    add_option(parser)
    options = parser.parse_args()
    if options.against:
        return hand_over(*compare(options.against), as_json=options.json)
    if options.send:
        send(options.connection, options.send)
        return 0
    measured = [
        measure("one process", 1, options.sends),
        measure("four processes", 4, options.sends // 4),
        measure("four machines", 4, options.sends // 4, apart=True),
    ]
    if shutil.which("redis-server"):
        with Redis() as redis:
            each = options.sends // 4
            measured += [
                measure("one process, Redis", 1, options.sends, redis=redis),
                measure("four machines, Redis", 4, each, apart=True, redis=redis),
                measure("four machines, Redis killed", 4, each, apart=True, redis=redis, kill=True),
            ]
    rows = [row for found, _ in measured for row in found]
    return hand_over(rows, "\n".join(text for _, text in measured), as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
