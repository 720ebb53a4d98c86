"""Serves the sandbox with uvicorn, and closes connections as a bad network does."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from airflow_provider_whatsapp.sandbox.app import build
from airflow_provider_whatsapp.sandbox.edge import CONNECTION
from airflow_provider_whatsapp.sandbox.store import Store, StoreError
from airflow_provider_whatsapp.sandbox.terminal import line

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from airflow_provider_whatsapp.sandbox.edge import Edge
    from airflow_provider_whatsapp.sandbox.model import Request
    from airflow_provider_whatsapp.sandbox.settings import Settings

_BACKLOG = 2_048
_SAVE_EVERY = 1.0

# The class of httptools or of h11, depending on what uvicorn finds; both have the same constructor.
_Protocol: Any = AutoHTTPProtocol


class DroppingProtocol(_Protocol):  # type: ignore[misc]
    """uvicorn's HTTP protocol, with a way for a request to close its own connection."""

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], **options: Any) -> None:
        super().__init__(
            config=config, server_state=server_state, app_state={**app_state, CONNECTION: self}, **options
        )

    def drop(self) -> None:
        """Send what is already written, then close the connection."""
        self.transport.close()


class Server(uvicorn.Server):
    """uvicorn, which also reports when it is ready, delivers webhooks and stores the state."""

    def __init__(self, edge: Edge, ready: Callable[[], None], store: Store | None = None) -> None:
        config = uvicorn.Config(
            edge,
            http=DroppingProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="error",
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=75,
            ssl_certfile=edge.state.settings.tls_cert,
            ssl_keyfile=edge.state.settings.tls_key,
        )
        super().__init__(config)
        self._edge = edge
        self._ready = ready
        self._store = store
        self._tasks: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then call ``ready``."""
        if self.config.ssl:
            self.config.ssl.sni_callback = self._handshake
        await super().startup(sockets=sockets)
        if self._store:
            self._tasks.append(asyncio.create_task(self._save_often(self._store)))
        self._tasks.append(asyncio.create_task(self._edge.sender.run()))
        self._ready()

    async def _save_often(self, store: Store) -> None:
        stopping = self._edge.stopping
        while not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _SAVE_EVERY)
            try:
                store.save(self._edge.state)
            except StoreError as error:
                sys.stderr.write(f"{error}\n")
                return

    def _handshake(self, *_: object) -> int | None:
        """Refuse a handshake if a rule says so; OpenSSL calls this even if the client names no server."""
        if self._edge.state.faults.strike_handshake() is None:
            return None
        self._edge.state.changed()
        return ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End streams and slow answers, so that the server stops at once."""
        self._edge.stopping.set()
        super().handle_exit(sig, frame)


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 picks a free one."""
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


def serve(
    settings: Settings,
    listener: socket.socket,
    ready: Callable[[str], None],  # gets the URL once the sandbox answers
    tell: Callable[[str], None] | None = None,  # gets a line for each message and each refused request
) -> None:
    """Serve until a signal ends it; raises StoreError if the file cannot store the state."""
    edge = build(settings)
    store = Store(settings.state) if settings.state else None
    if store:
        store.load(edge.state)
    edge.state.base_url = url_of(settings, listener)
    if tell is not None:
        edge.noted = _teller(edge, tell)
    # uvicorn raises the signal again when it has stopped; without a handler, a clean stop would look like a crash.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        Server(edge, lambda: ready(edge.state.base_url), store).run(sockets=[listener])
    except KeyboardInterrupt:
        return
    finally:
        if store:
            store.close(edge.state)


def _teller(edge: Edge, tell: Callable[[str], None]) -> Callable[[Request], None]:
    def noted(request: Request) -> None:
        said = line(request, edge.state.base_url)
        if said is not None:
            tell(said)

    return noted


def url_of(settings: Settings, listener: socket.socket) -> str:
    """Return the URL at which this machine reaches the sandbox."""
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::", ""} else settings.host  # noqa: S104
    shown = f"[{host}]" if ":" in host else host
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://{shown}:{listener.getsockname()[1]}"
