"""What the benchmarks share: a server of their own in another process, and figures that can be trusted."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
ANSWER = json.dumps(
    {
        "messaging_product": "whatsapp",
        "contacts": [{"input": "+15550001111", "wa_id": "15550001111"}],
        "messages": [{"id": "wamid.HBgLMTU1NTAwMDExMTEVAgARGBJCRU5DSE1BUksAAA=="}],
    }
).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class _Answering(asyncio.Protocol):
    """Answers every request with the same success, as cheaply as Python can."""

    latency = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""
        self.missing = 0

    def data_received(self, data: bytes) -> None:
        if self.missing:
            self.missing -= len(data)
        else:
            self.buffer += data
            head, end, body = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            length = next(
                (
                    int(line[15:])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ),
                0,
            )
            self.missing = length - len(body)
            self.buffer = b""
        if self.missing <= 0:
            self.missing = 0
            asyncio.get_running_loop().call_later(
                self.latency, self.answer
            ) if self.latency else self.answer()

    def answer(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(HEAD % len(ANSWER) + ANSWER)


async def _serve(latency: float) -> None:
    _Answering.latency = latency
    server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def stub_server(latency: float = 0.0) -> Iterator[str]:
    """Start a server that answers every request with a success after a while (seconds); give its URL."""
    command = [sys.executable, __file__, "--latency", str(latency)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def sandbox(*options: str) -> Iterator[dict]:
    """Start the sandbox; give its connection."""
    command = [sys.executable, "-m", "airflow_provider_whatsapp.sandbox", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        for line in process.stdout:
            if line.startswith("export "):
                yield json.loads(shlex.split(line)[1].partition("=")[2])
                break
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def in_turn(
    code: str, checkouts: list[Path], *arguments: str, rounds: int, repeats: int, warm: int
) -> list[list[float]]:
    """
    Run a program from several checkouts of this repository, a piece of each in turn, so that a busy machine meets all.

    The program prints the file of the package that it uses, reads numbers of repeats, one a line, and prints for each
    what one took.

    :return: For each round what it took in each checkout.
    """
    processes = [_started(code, checkout, arguments) for checkout in checkouts]
    try:
        for process in processes:
            _ask(process, warm)
        found = []
        for number in range(rounds):
            order = processes if number % 2 else processes[::-1]
            took = {process: _ask(process, repeats) for process in order}
            found.append([took[process] for process in processes])
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return found


def _started(code: str, checkout: Path, arguments: tuple[str, ...]) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
    )
    used = Path(process.stdout.readline().strip())
    if not used.is_relative_to(checkout):
        process.kill()
        sys.exit(f"{checkout} is no checkout: the package came from {used}")
    return process


def _ask(process: subprocess.Popen, count: int) -> float:
    process.stdin.write(f"{count}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def cost(action: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the wall and CPU seconds of one action, the mean of many."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        action()
    return (time.perf_counter() - wall) / repeats, (time.process_time() - cpu) / repeats


def medians(
    actions: dict[str, Callable[[], object]], *, rounds: int, repeats: int
) -> dict[str, tuple[float, float]]:
    """Time actions in turn, round after round, so that a drift of the machine meets all; return each one's medians."""
    for action in actions.values():
        cost(action, repeats)
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            samples[name].append(cost(action, repeats))
    return {
        name: tuple(statistics.median(column) for column in zip(*pairs, strict=True))
        for name, pairs in samples.items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0)
    asyncio.run(_serve(parser.parse_args().latency))
