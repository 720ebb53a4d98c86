"""
How many receipts a second the receiver stores in PostgreSQL (in SQLite where there is none), against 500.

    python benchmarks/receiver.py [--seconds 10]

Signed deliveries of one status each, as WhatsApp posts them when there is little to tell, arrive at 500 a second and
are answered once they are on the disk; then as many as it takes over 32 connections; then batches of 1,000. The load
comes from this process, so receiver, database and load share the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from urllib.parse import urlsplit

from common import ROOT
from rows import Row, add_option, hand_over

sys.path.insert(0, str(ROOT))
from tests.events.bodies import SECRET, signed, status, statuses
from tests.events.postgres import Postgres, programs

PROMISED = 500
"""Events per second."""
MEDIAN, SLOW = 0.25, 1.0
"""Seconds that Meta advises for the median answer, and for 99 of 100."""
CONNECTIONS = 32


class Line:
    """A connection that is kept, and posts one delivery after the other."""

    def __init__(self, host: str, port: int) -> None:
        self._at = host, port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> Line:
        self._reader, self._writer = await asyncio.open_connection(*self._at)
        return self

    async def post(self, request: bytes) -> None:
        """Post, and wait for the answer, which has to be 200."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = next(
            int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        )
        await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


def request(*names: str) -> bytes:
    """Return a signed delivery with a status for each name, as it goes over the line."""
    content = statuses(*(status(name, biz_opaque_callback_data=f"awp1.{'h' * 22}.1.7") for name in names))
    headers = {"Host": "receiver", "Content-Length": str(len(content)), **signed(content)}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /webhook HTTP/1.1\r\n{head}\r\n".encode() + content


async def steady(lines: list[Line], rate: int, seconds: float) -> tuple[float, list[float]]:
    """Post at a rate whatever the answers take; return the rate that came out, and each answer's seconds."""
    requests = [request(f"wamid.steady.{number}") for number in range(int(rate * seconds))]
    free: asyncio.Queue[Line] = asyncio.Queue()
    for line in lines:
        free.put_nowait(line)
    took: list[float] = []

    async def one(content: bytes, due: float) -> None:
        line = await free.get()
        await line.post(content)
        took.append(time.perf_counter() - due)
        free.put_nowait(line)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, content in enumerate(requests):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(content, due))
    return len(requests) / (time.perf_counter() - began), took


async def flat_out(lines: list[Line], name: str, size: int, seconds: float) -> float:
    """Post as fast as answers come; return the events per second."""
    until = time.perf_counter() + seconds
    count = 0

    async def one(line: Line, place: int) -> None:
        nonlocal count
        number = 0
        while time.perf_counter() < until:
            await line.post(request(*(f"wamid.{name}.{place}.{number}.{each}" for each in range(size))))
            count += size
            number += 1

    began = time.perf_counter()
    await asyncio.gather(*(one(line, place) for place, line in enumerate(lines)))
    return count / (time.perf_counter() - began)


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    import psutil

    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


async def measure(url: str, pid: int, seconds: float) -> tuple[dict[str, float], list[float]]:
    """Return what came out of the three loads, and the seconds of each answer of the first."""
    at = urlsplit(url)
    lines = [await Line(str(at.hostname), int(at.port or 0)).open() for _ in range(CONNECTIONS)]
    await steady(lines, 100, 1)  # what is made once, is made now
    cpu = cpu_of(pid)
    rate, took = await steady(lines, PROMISED, seconds)
    found = {"steady": rate, "cpu": (cpu_of(pid) - cpu) / (PROMISED * seconds)}
    found["single"] = await flat_out(lines, "single", 1, seconds / 2)
    found["batches"] = await flat_out(lines[:4], "batch", 1_000, seconds / 2)
    for line in lines:
        line.close()
    return found, took


@contextlib.contextmanager
def database():
    """Give a database's kind and URL."""
    found = programs()
    if found is None:
        with tempfile.TemporaryDirectory() as folder:
            yield "SQLite", f"sqlite:///{folder}/events.db"
        return
    server = Postgres(found, durable=True)
    try:
        yield "PostgreSQL", server.url()
    finally:
        server.close()


@contextlib.contextmanager
def receiver(url: str):
    """Start the receiver; give its URL and process."""
    command = [sys.executable, "-m", "airflow_provider_whatsapp", "receiver", "--port", "0"]
    env = {
        **os.environ,
        "WHATSAPP_EVENTS_URL": url,
        "WHATSAPP_APP_SECRET": SECRET,
        "WHATSAPP_VERIFY_TOKEN": "token",
    }
    process = subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process.stdout.readline().strip().partition(" at ")[2], process.pid
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10, help="how long each load lasts")
    add_option(parser)
    options = parser.parse_args()
    with database() as (kind, url), receiver(url) as (address, pid):
        found, took = asyncio.run(measure(address, pid, options.seconds))
    median, slow = statistics.median(took), statistics.quantiles(took, n=100)[98]
    text = (
        f"receiver with {kind}: {found['steady']:.0f} events/s at {PROMISED}/s, one a delivery, answered in "
        f"{median * 1000:.0f} ms (median) and {slow * 1000:.0f} ms (99 of 100), {found['cpu'] * 1000:.2f} ms "
        f"of CPU each; as fast as it goes {found['single']:.0f}/s, in batches of 1,000 {found['batches']:.0f}/s"
    )
    wanted = {"unit": "events/s", "against": "what is promised", "reference": float(PROMISED)}
    rows = [
        Row(
            name=f"receiver with {kind}, one event a delivery", value=found["steady"], at_least=0.98, **wanted
        ),
        Row(name=f"receiver with {kind}, as fast as it goes", value=found["single"], at_least=1, **wanted),
        Row(name=f"receiver with {kind}, batches of 1,000", value=found["batches"], at_least=1, **wanted),
        Row(
            name=f"receiver with {kind}: median answer at {PROMISED} events/s",
            value=median,
            unit="s",
            against="Meta's advice",
            reference=MEDIAN,
            at_most=1,
        ),
        Row(
            name=f"receiver with {kind}: 99 of 100 answers at {PROMISED} events/s",
            value=slow,
            unit="s",
            against="Meta's advice",
            reference=SLOW,
            at_most=1,
        ),
    ]
    return hand_over(rows, text, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
