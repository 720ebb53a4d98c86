"""
The connection pool, with one addition: it knows whether a request has begun to leave.

Whether a failed request may be repeated hangs on that alone. Exception types only hint at it (a TLS error can come
before or after the request was written), so the connection itself keeps the record.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from requests.models import Response
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    from requests.models import PreparedRequest

    from airflow_provider_whatsapp.client.rate_limit import Departure

MAX_CONNECTIONS = 32
"""Connections kept alive per host; more threads than this still work, with connections that are not kept."""

MAX_IDLE = 4.0
"""
Seconds after which an idle connection is not used again.

A server that closes an idle connection just as a request is written to it leaves that request's fate unknown. Common
servers close after 5 seconds or more, so an older connection is replaced by a new one.
"""

_record = threading.local()


def start_record(departure: Departure) -> None:
    """
    Begin a new record for this thread's next request; until a connection knows better, the request has left.

    :param departure: Is told when the first byte leaves.
    """
    _record.began = True
    _record.departure = departure


def request_began() -> bool:
    """Return whether a byte of this thread's last request may have been handed to the network."""
    return bool(getattr(_record, "began", True))


class _Recording(HTTPConnection):
    """Notes the first byte of a request, as opposed to those of a proxy's CONNECT or a TLS handshake."""

    _last_used = 0.0

    def connect(self) -> None:
        try:
            super().connect()
        finally:
            _record.began = False
            self._last_used = time.monotonic()

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        _record.began = True
        _record.departure.left()
        self._last_used = time.monotonic()
        super().send(data)

    @property
    def is_connected(self) -> bool:
        return super().is_connected and time.monotonic() - self._last_used < MAX_IDLE


class _RecordingHTTPSConnection(_Recording, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _Recording


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _RecordingHTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class RecordingAdapter(HTTPAdapter):
    """
    A ``requests`` adapter over recording connections, for one client and so with one way of proxying and TLS.

    It keeps no cookies, for the gateway uses none.
    """

    def __init__(self) -> None:
        super().__init__(pool_maxsize=MAX_CONNECTIONS)
        self._pools: dict[str, Any] = {}

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool manager, with recording connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Return the manager for a proxy, with recording connections."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def get_connection_with_tls_context(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """
        Return the pool for a request's host; finding it anew each time would cost as much as the request itself.

        :param request: The request.
        :param args: As for ``requests``.
        :param kwargs: As for ``requests``.
        """
        origin = "/".join((request.url or "").split("/", 3)[:3])
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = super().get_connection_with_tls_context(request, *args, **kwargs)
        return pool

    def close(self) -> None:
        """Close the connections that are kept alive."""
        self._pools.clear()
        super().close()

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """
        Wrap urllib3's answer.

        :param req: The request that was answered.
        :param resp: urllib3's response.
        """
        response = Response()
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(resp.headers)
        response.raw = resp
        response.url = req.url or ""
        response.request = req
        return response
