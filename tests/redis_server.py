"""A Redis server on a free port of loopback, without a disk, which can be killed and started again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time

import pytest

from tests.ports import free_port


class RedisProcess:
    """
    A server, started at once.

    :param options: Of its command line, ``--tls-port`` say.
    :param url: Where to ask whether it answers; None: its plain port.
    """

    def __init__(self, *options: str, port: int | None = None, command: str = "redis-server") -> None:
        self.port = port or free_port()
        quiet = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._command = [command, "--port", str(self.port), *quiet, *options]
        self._process: subprocess.Popen | None = None
        self.start()

    @property
    def url(self) -> str:
        """Return its URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(self._command, **quiet)
        until = time.monotonic() + 30
        while not listens(self.port):
            assert self._process.poll() is None, "Redis has ended"
            assert time.monotonic() < until, "Redis does not answer"
            time.sleep(0.01)

    def pause(self) -> None:
        """Let it answer nobody, and forget nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(timeout=30)
            self._process = None


def need_redis() -> None:
    """Skip a test where there is no Redis."""
    if shutil.which("redis-server") is None:
        pytest.skip("Redis is not installed: apt-get install redis-server")


def listens(port: int) -> bool:
    """Tell whether somebody listens there."""
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex(("127.0.0.1", port)) == 0
