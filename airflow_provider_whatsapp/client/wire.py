"""
The connection pool, with two additions: it records whether a request has begun to leave, and it waits and reads within
bounds.

Only that record says whether a failed request may be repeated. Exception types are no more than a hint (a TLS error can
come before or after the request was written), so the connection itself keeps the record.
"""

from __future__ import annotations

import functools
import logging
import math
import re
import threading
import time
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from requests.models import Response
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection

from airflow_provider_whatsapp.client.bounds import (
    BoundedResponse,
    Source,
    is_quiet,
    send_all,
    wait_until_sent,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests.models import PreparedRequest

    from airflow_provider_whatsapp.client.masking import Cleaner
    from airflow_provider_whatsapp.client.rate_limit import Departure

MAX_CONNECTIONS = 32
"""Connections that are kept alive per host; more threads than that work too, with connections that are not kept."""

MAX_IDLE = 4.0
"""
Seconds after which an idle connection is not used again.

If a server closes an idle connection just as a request is written to it, that request's outcome is unknown. Common
servers close after 5 seconds or more, so the pool replaces an older connection by a new one.
"""

UNWATCHED = 65_536
"""Bytes of a request that may be sent before the answer without a check whether they have left."""

PIECE = 65_536
"""Bytes of a file that are read and sent together: each piece costs a few system calls in addition to its bytes."""

_record = threading.local()


class _Discreet(logging.Filter):
    """Cleans what urllib3 logs about this package's requests: addresses with queries, and headers it cannot parse."""

    # What urllib3 logs about other requests stays unchanged.

    def filter(self, record: logging.LogRecord) -> bool:
        cleaner = getattr(_record, "cleaner", None)
        if cleaner is not None:
            record.msg, record.args = cleaner.line(_QUERY.sub("?...", record.getMessage())), ()
            record.exc_info = record.exc_text = record.stack_info = None
        return True


_QUERY = re.compile(r"\?\S*")
_DISCREET = _Discreet()
for _name in ("connection", "connectionpool", "poolmanager", "response", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_DISCREET)


def start_record(
    departure: Departure, *, progress_timeout: float, until: float = math.inf, cleaner: Cleaner | None = None
) -> None:
    """Begin a new record for this thread's next request."""
    # progress_timeout: seconds within which at least one byte has to leave; until: time.monotonic() of the deadline.
    _record.began = False
    _record.departure = departure
    _record.progress_timeout = progress_timeout
    _record.until = until
    _record.cleaner = cleaner


def end_record() -> None:
    """End the record of this thread's request: later log lines do not concern it."""
    _record.cleaner = None


def request_began() -> bool:
    """Return whether the network may have got a byte of this thread's last request."""
    return bool(getattr(_record, "began", True))


class _Recording(HTTPConnection):
    """Records a request's first byte, not that of a proxy's CONNECT or a TLS handshake, and bounds the answer."""

    _last_used = 0.0
    _answer_until = math.inf
    _held = b""
    # Set by the connect or by the first byte of a request; both come before anything reads them.
    _sent: int
    _spoilt: bool
    _quiet: bool
    _holds: bool

    def connect(self) -> None:
        self._spoilt = self._quiet = self._holds = False
        self._answer_until = self._moment()  # for a proxy's answer
        try:
            super().connect()
        finally:
            _record.began = False
            self._last_used = time.monotonic()

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._holds = True
        super().request(*args, **kwargs)
        if self._held:
            self.send(b"")

    def send(self, data: Any) -> None:
        if self._holds:
            # The head is sent with the first piece of the body: this saves a packet and a system call.
            self._holds, self._held = False, data
            return
        data, self._held = self._held + data, b""
        if self.sock is None:
            self.connect()
        if not _record.began:
            self._begin()
        self._last_used = time.monotonic()
        self._sent += len(data)
        try:
            send_all(self.sock, data, _record.progress_timeout, _record.until)
        except BrokenPipeError:
            self._spoilt = True  # a part of a request has left on it
            raise

    def _begin(self) -> None:
        # Bytes that arrived before the request cannot be its answer. A kept connection was checked when it was taken.
        if not self._quiet and not is_quiet(self.sock):
            raise ConnectionError(
                "the server closed the connection, or sent something on it, before the request"
            )
        self._quiet = False
        _record.began = True
        self._sent = 0
        _record.departure.left()

    def getresponse(self) -> Any:
        if self._sent > UNWATCHED:
            wait_until_sent(self.sock, _record.progress_timeout, _record.until)
        self._answer_until = self._moment()
        return super().getresponse()

    def response_class(self, sock: Any, *args: Any, **kwargs: Any) -> BoundedResponse:  # type: ignore[override]
        return BoundedResponse(Source(sock, self._answer_until, self._spoil), *args, **kwargs)  # type: ignore[arg-type]

    def _moment(self) -> float:
        """Return the time at which the present wait ends."""
        seconds = self.timeout if isinstance(self.timeout, int | float) else math.inf
        return float(min(time.monotonic() + seconds, getattr(_record, "until", math.inf)))

    def _spoil(self) -> None:
        self._spoilt = True

    @property
    def is_connected(self) -> bool:
        if self.sock is None or self._spoilt or time.monotonic() - self._last_used >= MAX_IDLE:
            return False
        self._quiet = is_quiet(self.sock)
        return self._quiet


def _recording(pools: Mapping[str, Any]) -> dict[str, Any]:
    """Return subclasses of pools, by scheme, whose connections record."""
    return {scheme: _recording_pool(pool) for scheme, pool in pools.items()}


@functools.cache
def _recording_pool(pool: Any) -> Any:
    plain = pool.ConnectionCls
    if issubclass(plain, _Recording):
        return pool
    connection = type(plain.__name__, (_Recording, plain), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class RecordingAdapter(HTTPAdapter):
    """A ``requests`` adapter over recording connections, for one client and so one proxy and TLS configuration."""

    def __init__(self) -> None:
        super().__init__(pool_maxsize=MAX_CONNECTIONS)
        self._pools: dict[str, Any] = {}

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool manager, with recording connections."""
        super().init_poolmanager(*args, blocksize=PIECE, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _recording(self.poolmanager.pool_classes_by_scheme)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Return the manager for a proxy, with recording connections."""
        manager = super().proxy_manager_for(proxy, blocksize=PIECE, **proxy_kwargs)
        manager.pool_classes_by_scheme = _recording(manager.pool_classes_by_scheme)
        return manager

    def get_connection_with_tls_context(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the pool for a request's host; looking it up each time would cost as much as the request itself."""
        origin = "/".join((request.url or "").split("/")[:3])
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = super().get_connection_with_tls_context(request, *args, **kwargs)
        return pool

    def close(self) -> None:
        """Close the connections that are kept alive."""
        self._pools.clear()
        super().close()

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """Return urllib3's response as the response of ``requests``."""
        # No cookies are kept, because the gateway uses none.
        response = Response()
        response.status_code = resp.status
        response.headers = resp.headers  # they ignore case too, so a copy is seldom needed
        if "Content-Encoding" in resp.headers:
            response.headers = CaseInsensitiveDict(resp.headers)
            resp.headers.discard(
                "Content-Encoding"
            )  # urllib3 would prepare to decompress as many layers as it names
        response.raw = resp
        response.url = req.url or ""
        response.request = req
        return response
