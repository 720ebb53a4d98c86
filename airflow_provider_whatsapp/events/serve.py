"""Serves the receiver with uvicorn: reports when it is ready, and ends when all accepted deliveries are stored."""

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
"""The most connections at a time; further ones get 503."""
_GRACE = 30
"""Seconds for which a stop waits for deliveries in progress."""


class _Server(uvicorn.Server):
    """uvicorn, which reports when it accepts connections."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then report that."""
        await super().startup(sockets=sockets)
        self._ready()


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0: a free one."""
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
    """Return the receiver's URL on this machine."""
    reached = "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104
    shown = f"[{reached}]" if ":" in reached else reached
    return f"http://{shown}:{listener.getsockname()[1]}"


def serve(store: EventStore, settings: Settings, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until a signal ends it, then close the store; call ``ready`` once the server accepts connections."""
    # After its end uvicorn raises the signal again, which by default would make a clean stop look like a crash.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        _Server(_config(store, settings), ready).run(sockets=[listener])
    except KeyboardInterrupt:
        return
    finally:
        store.close()


@contextlib.contextmanager
def running(store: EventStore, settings: Settings) -> Iterator[str]:
    """Serve in a thread of this process, at a free port, for tests; yield the URL, and leave the store open."""
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
        access_log=False,  # a line per request would contain the path, which has the secret in it
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE,
    )
