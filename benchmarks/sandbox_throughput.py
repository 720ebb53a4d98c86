"""
How many messages per second one sandbox accepts, so that it never hides the client's limits.

A process of its own sends texts over a few connections; the sandbox is another one. Only the standard library is used.

    python benchmarks/sandbox_throughput.py [--messages 20000] [--keep 200000] [--state FILE]

The printed line has the ratio to the 1,500 messages per second that are promised.
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
from pathlib import Path
from urllib.parse import urlsplit

from rows import Row, add_option, hand_over

ROOT = Path(__file__).parents[1]
PROMISED = 1_500
CONNECTIONS = 16
WARM_UP = 500


class Sender(asyncio.Protocol):
    """One connection: sends the next message when the last one's answer is whole."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        message = next(self._load.messages, None)
        if message is None:
            self._transport.close()
        else:
            self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) >= length:
            self._load.answered(head, body)
            self._buffer = b""
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        self._load.ended()


class Load:
    """Counts down messages over several connections."""

    def __init__(self, connection: dict, count: int) -> None:
        self._address = urlsplit(connection["host"])
        path = f"/whatsapp-business/v25.0/{connection['extra']['phone_number_id']}/messages"
        head = f"POST {path} HTTP/1.1\r\nHost: {self._address.netloc}\r\nContent-Type: application/json\r\n"
        head += f"Authorization: Bearer {connection['password']}\r\n"
        self.messages = (self._request(head, index) for index in range(count))
        self.accepted = 0
        self._open = CONNECTIONS
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @staticmethod
    def _request(head: str, index: int) -> bytes:
        text = {"body": f"Run {index} of daily_orders is late"}
        to = f"+1555{index % 10_000:07d}"
        fields = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": to}
        body = json.dumps({**fields, "type": "text", "text": text})
        return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    def answered(self, head: bytes, body: bytes) -> None:
        if not head.startswith(b"HTTP/1.1 200") or b'"wamid.' not in body:
            raise SystemExit(f"refused: {head!r} {body!r}")
        self.accepted += 1

    def ended(self) -> None:
        self._open -= 1
        if not self._open and not self._done.done():
            self._done.set_result(None)

    async def run(self) -> float:
        loop, began = asyncio.get_running_loop(), time.perf_counter()
        for _ in range(CONNECTIONS):
            await loop.create_connection(lambda: Sender(self), self._address.hostname, self._address.port)
        await self._done
        return self.accepted / (time.perf_counter() - began)


async def send(connection: dict, count: int) -> None:
    """Warm up, then print the rate of what follows."""
    await Load(connection, WARM_UP).run()
    print(await Load(connection, count).run())


def memory(pid: int) -> float:
    """Most memory that a process has had, in MB."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return float("nan")
    return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1_024


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return float("nan")
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def measure(options: argparse.Namespace) -> int:
    """Start the sandbox, let another process send, and hand over the figure."""
    arguments = ["--port", "0", "--rate-limit", "0", "--keep", str(options.keep)]
    if options.state:
        arguments += ["--state", options.state]
    command = [sys.executable, "-m", "airflow_provider_whatsapp.sandbox", *arguments]
    with tempfile.TemporaryFile("w+") as errors:
        sandbox = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            lines = (line for line in sandbox.stdout if line.startswith("export "))
            connection = next(lines).partition("'")[2].rstrip("'\n")
            sender = [sys.executable, __file__, "--messages", str(options.messages), "--send", connection]
            before = cpu(sandbox.pid)
            done = subprocess.run(sender, capture_output=True, text=True, check=False)
            most, used = memory(sandbox.pid), cpu(sandbox.pid) - before
        finally:
            sandbox.terminate()
            sandbox.wait(60)
        if done.returncode:
            sys.exit(done.stderr)
    rate = float(done.stdout)
    kept = "memory" if not options.state else "memory and file"
    text = (
        f"sandbox_throughput: {rate:,.0f} messages/s accepted, {rate / PROMISED:.2f} x {PROMISED:,} "
        f"({options.messages:,} sent, {(options.messages + WARM_UP) / used:,.0f} per CPU second of the sandbox; "
        f"{options.keep:,} kept in {kept}, at most {most:,.0f} MB)"
    )
    row = Row(
        name="messages that the sandbox accepts",
        value=rate,
        unit="messages/s",
        against="what is promised of it",
        reference=PROMISED,
        at_least=1,
    )
    return hand_over([row], text, as_json=options.json)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--keep", type=int, default=200_000)
    parser.add_argument("--state")
    parser.add_argument("--send", help=argparse.SUPPRESS)
    add_option(parser)
    options = parser.parse_args()
    if options.send:
        asyncio.run(send(json.loads(options.send), options.messages))
        return 0
    return measure(options)


if __name__ == "__main__":
    sys.exit(main())
