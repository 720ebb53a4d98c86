"""The sandbox's ASGI application: reads a whole request, applies faults, answers and keeps the log."""

from __future__ import annotations

import asyncio
import json
from time import perf_counter
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox import graph, maton
from airflow_provider_whatsapp.sandbox.errors import GatewayError
from airflow_provider_whatsapp.sandbox.guard import Guard
from airflow_provider_whatsapp.sandbox.model import Request
from airflow_provider_whatsapp.sandbox.webhooks.sender import Sender
from airflow_provider_whatsapp.sandbox.wire import Answer, Call, read_query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from airflow_provider_whatsapp.sandbox.faults import Fault
    from airflow_provider_whatsapp.sandbox.state import State

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

OWN = frozenset(
    {
        "",
        "_sandbox",
        "templates",
        "requests",
        "faults",
        "webhooks",
        "events",
        "files",
        "connect",
        "favicon.ico",
    }
)
"""First segments of paths that belong to the sandbox itself and not to the gateway."""

MAX_JSON = 4 * 1_024 * 1_024
MAX_FILE = 102 * 1_024 * 1_024
CONNECTION = "sandbox.connection"
"""Key in the ASGI scope's state under which :mod:`server` puts the connection, so that faults can close it."""

_TRICKLES = 100
_SANDBOX = (b"x-whatsapp-sandbox", b"1")


class ClientGoneError(Exception):
    """The client closed the connection before it had sent the whole request."""


class Edge:
    """The ASGI application; ``inner`` serves the page and the controls."""

    noted: Callable[[Request], None] = staticmethod(lambda _: None)
    """Called with each request to the gateway when its outcome is known."""

    def __init__(self, state: State, inner: App) -> None:
        self.state = state
        self.stopping = asyncio.Event()
        self.sender = Sender(state)
        self._inner = inner
        self._guard = Guard(state.settings.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        headers = dict(scope["headers"])
        own = _first_segment(path) in OWN
        refusal = self._guard.refusal(
            method, headers, scheme=scope["scheme"], page=own and path[:10] != "/_sandbox/"
        )
        if refusal is not None:
            await _send(send, method, Answer(403, json.dumps({"message": refusal}).encode()))
        elif own:
            await self._inner(scope, receive, send)
        else:
            try:
                await self._gateway(scope, receive, send, headers)
            except ClientGoneError:
                return

    async def _gateway(self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes]) -> None:
        started = perf_counter()
        state, method, path = self.state, scope["method"], scope["path"]
        raw_query = scope["query_string"]
        body = await _read(receive, _limit(path))
        call = Call(method, path, read_query(raw_query), headers, body or b"")
        entry = Request(method, path, raw_query.decode("latin-1"), state.clock.now())
        state.log(entry, call.body)
        fault = state.faults.strike(method, path, call.body)
        if fault:
            entry.fault = fault.kind
        if fault and fault.kind == "drop_before":
            state.close_log(entry, None, b"", (perf_counter() - started) * 1_000)
            self.noted(entry)
            await _drop(scope, receive)
            return
        answer = _too_large() if body is None else self._answer(call, fault)
        if fault and fault.kind in {"drop_after", "half"} and answer.status >= 400:
            state.faults.undo(fault)
            entry.fault = fault = None
        if call.pending is not None and answer.status == 200:
            answer = await call.pending(self.sender) or answer
        seconds = state.settings.latency + (fault.seconds if fault and fault.kind == "slow" else 0)
        if seconds:
            await self._pause(seconds)
        entry.about, entry.to, entry.code = call.about, call.to, answer.code
        answer.headers.append((b"x-request-id", state.ids.uuid().encode()))
        kind = fault.kind if fault else None
        status = None if kind == "drop_after" else answer.status
        answered = b"" if kind in {"drop_after", "half"} else answer.body
        state.close_log(entry, status, answered, (perf_counter() - started) * 1_000)
        self.noted(entry)
        if fault and kind == "slow_headers":
            await self._trickle(scope, answer, fault.seconds)
        elif kind != "drop_after":
            await _send(send, method, answer, half=kind == "half")
        if kind in {"drop_after", "half", "slow_headers"}:
            await _drop(scope, receive)

    async def _trickle(self, scope: Scope, answer: Answer, seconds: float) -> None:
        """Write the head bit by bit, without the server, which writes it in one piece; then the connection closes."""
        connection = scope["state"][CONNECTION]
        headers = [*_headers(answer), (b"connection", b"close")]
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        head = b"HTTP/1.1 %d \r\n%b\r\n" % (answer.status, lines)
        step = len(head) // _TRICKLES + 1
        for start in range(0, len(head), step):
            if connection.transport.is_closing():
                return
            connection.transport.write(head[start : start + step])
            await self._pause(seconds / _TRICKLES)
        connection.transport.write(answer.body)

    def _answer(self, call: Call, fault: Fault | None) -> Answer:
        if fault and fault.kind == "status":
            extra = [(name.lower().encode(), value.encode()) for name, value in fault.headers.items()]
            return Answer(fault.status, fault.answer_body(), extra)
        try:
            maton.admit(self.state, call)
            app = _first_segment(call.path)
            if app == "connections":
                return maton.control(self.state, call)
            if app != maton.APP:
                raise GatewayError(400, {"message": f"Invalid app name: {app[:64]}"})
            call.waba_id = maton.choose_connection(self.state, call).waba_id
        except GatewayError as error:
            return error.answer()
        return graph.answer(self.state, call)

    async def _pause(self, seconds: float) -> None:
        """Wait, but return at once when the sandbox stops."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return


def _first_segment(path: str) -> str:
    return path.removeprefix("/").partition("/")[0]  # the path of OPTIONS may be "*", without a slash


def _limit(path: str) -> int:
    return MAX_FILE if path.endswith("/media") or "/upload:" in path else MAX_JSON


def _too_large() -> Answer:
    answer = Answer(413, b"<html><head><title>413 Request Entity Too Large</title></head></html>")
    answer.content_type = b"text/html"
    return answer


async def _read(receive: Receive, limit: int) -> bytes | None:
    """Return the body; None if it exceeds the limit, after reading and discarding it."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body if len(body) <= limit else None
    chunks, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        size += len(message.get("body", b""))
        if size <= limit:
            chunks.append(message.get("body", b""))
        else:
            chunks.clear()
    return b"".join(chunks) if size <= limit else None


def _headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", answer.content_type),
        (b"content-length", b"%d" % len(answer.body)),
        _SANDBOX,
        *answer.headers,
    ]


async def _send(send: Send, method: str, answer: Answer, *, half: bool = False) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer)})
    body = answer.body if method != "HEAD" else b""
    await send(
        {"type": "http.response.body", "body": body[: len(body) // 2] if half else body, "more_body": half}
    )


async def _drop(scope: Scope, receive: Receive) -> None:
    scope["state"][CONNECTION].drop()
    while (await receive())["type"] != "http.disconnect":
        pass
