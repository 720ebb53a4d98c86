"""A port for a server that a test starts by its number."""

from __future__ import annotations

import random
import socket

FIRST, LAST = 10_000, 19_999
"""
Below what systems hand out to whoever asks for any port: another test's connection never takes it meanwhile. So is the
second port of a Redis cluster's node, 10,000 higher, which is none of these.
"""


def free_port() -> int:
    """Return a port of loopback that nobody listens on, and that nobody gets who has not chosen it."""
    for _ in range(1_000):
        port = random.randint(FIRST, LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("no port is free")
