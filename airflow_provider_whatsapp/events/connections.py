"""Closes connections that deliver nothing, because uvicorn waits for a request's headers without end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

if TYPE_CHECKING:
    import asyncio

    _Protocol = Any
else:
    _Protocol = AutoHTTPProtocol

HEADER_SECONDS = 10.0
"""Seconds within which the headers of a request have to arrive."""
MAX_HEADERS = 64 * 1024
"""The most bytes of headers; one of uvicorn's two parsers has no limit."""


class BoundedProtocol(_Protocol):  # type: ignore[misc]
    """uvicorn's protocol for one connection, with limits for the time and size of headers."""

    _timer: asyncio.TimerHandle | None = None
    _size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEADER_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        """Read data; the time of the headers begins with their first byte, and later bytes do not extend it."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
            return
        if self.cycle is None or not self.cycle.more_body:  # otherwise it is the rest of a refused body
            self._size += len(data)
        if self._size > MAX_HEADERS:
            self.transport.close()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop()
        super().connection_lost(exc)

    def _stop(self) -> None:
        self._size = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
