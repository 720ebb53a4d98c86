"""Serves the receiver with uvicorn: says when it is ready, and ends when what was taken is stored."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

from airflow_provider_whatsapp.events.connections import BoundedProtocol
from airflow_provider_whatsapp.events.receiver import receiver_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_whatsapp.events.receiver import Settings
    from airflow_provider_whatsapp.events.store import EventStore

_BACKLOG = 2_048
_CONNECTIONS = 1_000
"""Connections at a time; more are answered with 503."""
_GRACE = 30
"""Seconds that a stop waits for deliveries on their way."""


class _Server(uvicorn.Server):
    """uvicorn, which says when it takes connections."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets=sockets)
        self._ready()


def bind(host: str, port: int) -> socket.socket:
    """
    Listen.

    :param host: Address or name.
    :param port: Port; 0 takes a free one.
    :raises OSError: The port is in use, or the address is none of this machine's.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(host: str, listener: socket.socket) -> str:
    """
    Return where the receiver is reached from this machine.

    :param host: As it was bound.
    :param listener: Knows the port.
    """
    reached = "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104
    shown = f"[{reached}]" if ":" in reached else reached
    return f"http://{shown}:{listener.getsockname()[1]}"


def serve(store: EventStore, settings: Settings, listener: socket.socket, ready: Callable[[], None]) -> None:
    """
    Serve until a signal ends it; the store is closed then.

    :param store: Its tables are there.
    :param settings: Who may deliver.
    :param listener: From :func:`bind`.
    :param ready: Called once connections are taken.
    """
    # uvicorn raises the signal again once it has ended; by default that would make a clean stop look like a crash.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        _Server(_config(store, settings), ready).run(sockets=[listener])
    except KeyboardInterrupt:
        return
    finally:
        store.close()


@contextlib.contextmanager
def running(store: EventStore, settings: Settings) -> Iterator[str]:
    """
    Serve in a thread of this process, at a free port, for tests; give the URL.

    :param store: Its tables are there; it stays open.
    :param settings: Who may deliver.
    """
    ready = threading.Event()
    host = "127.0.0.1"
    listener = bind(host, 0)
    server = _Server(_config(store, settings), ready.set)
    thread = threading.Thread(target=server.run, args=([listener],), name="whatsapp-receiver", daemon=True)
    thread.start()
    try:
        if not ready.wait(30):
            raise TimeoutError("the receiver does not start")
        yield url_of(host, listener)
    finally:
        server.should_exit = True
        thread.join(_GRACE)
        listener.close()


def _config(store: EventStore, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        receiver_app(store, settings),
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        access_log=False,  # a line per request would hold the path, and with it the secret
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE,
    )
