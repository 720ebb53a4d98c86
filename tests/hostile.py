"""A gateway of raw sockets that takes every message and answers as no gateway should; and the table of its answers."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import struct
import threading
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGE_ID = "wamid.HBgLMTU1NTAwMDExMTEVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"
CONTACT = {"input": "1", "wa_id": "1"}
ACCEPTED = {"messaging_product": "whatsapp", "contacts": [CONTACT], "messages": [{"id": MESSAGE_ID}]}
ERROR = {"message": "no", "type": "OAuthException", "code": 131026}
DRIP = 0.02
"""Seconds between two drops; far below any time-out, so that each drop seems to be progress."""


class HostileGateway:
    """
    Reads each request whole, notes whom it is to, and answers with what it is given.

    :param answer: Bytes, or what writes them to a socket; the connection is closed after either.
    """

    def __init__(self, answer: bytes | Callable[[socket.socket], None] = b"") -> None:
        self.answer = answer
        self.accepted: list[str] = []
        self.requests = 0
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            body = read_request(connection)
            self.requests += 1
            self.accepted += re.findall(r'"to":"\+?(\d+)"', body.decode())
            if callable(self.answer):
                self.answer(connection)
            else:
                connection.sendall(self.answer)
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(5)
            while connection.recv(65536):  # a reset would take away what the client has not read yet
                pass

    def close(self) -> None:
        """Let go of whoever still waits, too."""
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def read_request(connection: socket.socket) -> bytes:
    """Read one request, and return its body; empty at the end of the connection."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            return b""
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while len(body) < (int(length[1]) if length else 0):
        body += connection.recv(65536)
    return body


def ok(
    body: bytes | str | dict = ACCEPTED, *headers: str, status: str = "200 OK", length: bool = True
) -> bytes:
    """Return a whole answer."""
    content = json.dumps(body) if isinstance(body, dict) else body
    raw = content.encode() if isinstance(content, str) else content
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(raw)}"] if length else []), "", ""]
    return "\r\n".join(lines).encode("latin-1") + raw


def message(**fields: object) -> dict:
    """Return the body of an accepted message with other fields."""
    return {**ACCEPTED, **fields}


def chunked(*pieces: bytes) -> bytes:
    """Return an accepting answer whose body is what these are."""
    return ok(b"", "Transfer-Encoding: chunked", length=False) + b"".join(pieces)


def dripping(start: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    """Return an answer that never ends, a drop at a time."""

    def write(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(drop)
            time.sleep(DRIP)

    return write


def endless(start: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    """Return an answer that never ends, as fast as it is read."""

    def write(connection: socket.socket) -> None:
        connection.sendall(start)
        block = piece * max(1, 65536 // len(piece))
        while True:
            connection.sendall(block)

    return write


def _silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def _reset(connection: socket.socket) -> None:
    connection.sendall(ok()[:-20])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _bomb() -> bytes:
    """Return about 1 MB that unpacks to 256 MB."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    zeros = bytes(2**20)
    return b"".join(packer.compress(zeros) for _ in range(2**8)) + packer.flush()


def _nested() -> bytes:
    """Return 260 bytes that unpack to many MB, through two layers."""
    return gzip.compress(gzip.compress(bytes(2**26)))


def _raw_deflate(raw: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(raw) + packer.flush()


@dataclass(frozen=True)
class Case:
    """
    One answer.

    :param name: What it is.
    :param answer: Makes what the gateway answers; called late, for some are large.
    :param outcome: What becomes of the message; every message has been accepted.
    :param large: It tries to fill the memory.
    """

    name: str
    answer: Callable[[], bytes | Callable[[socket.socket], None]]
    outcome: str = "unknown"
    large: bool = False


PLAIN = json.dumps(ACCEPTED).encode()
CASES = [
    # status lines
    Case("nothing", lambda: b""),
    Case("not HTTP", lambda: b"220 mail.example.com ESMTP\r\n"),
    Case("a status that is no number", lambda: ok(status="abc OK")),
    Case("status 999", lambda: ok(status="999 Odd")),
    Case("status 101", lambda: ok(b"", status="101 Switching Protocols", length=False)),
    Case("status 103 alone", lambda: ok(b"", status="103 Early Hints", length=False)),
    Case("status 199 alone", lambda: ok(b"", status="199 Odd", length=False)),
    Case("103, then the answer", lambda: ok(b"", status="103 Early Hints", length=False) + ok(), "sent"),
    Case("status 204", lambda: ok(b"", status="204 No Content", length=False)),
    Case("status 303", lambda: ok(b"", "Location: /done", status="303 See Other")),
    Case("HTTP/2.0", lambda: ok().replace(b"HTTP/1.1", b"HTTP/2.0")),
    Case("a status line without end", lambda: endless(b"HTTP/1.1 200 ", b"x"), large=True),
    Case("interim answers without end", lambda: endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
    Case("interim answers, dripping", lambda: dripping(b"", b"HTTP/1.1 102 Processing\r\n\r\n")),
    Case("429 that has accepted", lambda: ok(status="429 Too Many Requests")),
    Case("400 that has accepted", lambda: ok(message(error=ERROR), status="400 Bad Request")),
    # headers
    Case("two lengths", lambda: ok(PLAIN, f"Content-Length: {len(PLAIN) + 1}")),
    Case("a header without end", lambda: endless(b"HTTP/1.1 200 OK\r\nX: ", b"x"), large=True),
    Case("headers without end", lambda: endless(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n")),
    Case("headers, dripping", lambda: dripping(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n")),
    Case("a header, dripping", lambda: dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x")),
    Case("headers that are none", lambda: ok(PLAIN, "\x00\xff\x1b]0;x\x07", ": :", "="), "sent"),
    Case(
        "a terminal's commands", lambda: ok(b"\x1b[2J\x9b31m", "X-Request-Id: \x1b]8;;x\x07", status="503 No")
    ),
    # lengths
    Case("a length of 10^18", lambda: ok(PLAIN, f"Content-Length: {10**18}", length=False), large=True),
    Case("a length that is too short", lambda: ok(PLAIN, "Content-Length: 20", length=False)),
    Case("9 MiB", lambda: ok(b'{"a": "' + bytes(9 * 2**20) + b'"}'), large=True),
    Case("a body without end", lambda: endless(ok(b"{", length=False), b'"a":1,'), large=True),
    Case("chunks without end", lambda: endless(chunked(), b"1000\r\n" + b" " * 4096 + b"\r\n"), large=True),
    Case("chunks of one byte without end", lambda: endless(chunked(), b"1\r\n \r\n"), large=True),
    Case("a chunk of no size", lambda: chunked(b"zz\r\n", PLAIN)),
    Case("a chunk of 10^18", lambda: chunked(b"%x\r\n" % 10**18, PLAIN), large=True),
    Case("trailers without end", lambda: endless(chunked(b"2\r\n{}\r\n0\r\n"), b"X: x\r\n")),
    # encodings
    Case("gzip", lambda: ok(gzip.compress(PLAIN), "Content-Encoding: gzip"), "sent"),
    Case("deflate", lambda: ok(zlib.compress(PLAIN), "Content-Encoding: deflate"), "sent"),
    Case("deflate without head", lambda: ok(_raw_deflate(PLAIN), "Content-Encoding: deflate"), "sent"),
    Case("a bomb", lambda: ok(_bomb(), "Content-Encoding: gzip"), large=True),
    Case("nested gzip", lambda: ok(_nested(), "Content-Encoding: gzip, gzip"), large=True),
    Case("ten thousand layers", lambda: ok(PLAIN, "Content-Encoding: " + "gzip," * 10_000), large=True),
    Case("another encoding", lambda: ok(PLAIN, "Content-Encoding: br")),
    Case("damaged gzip", lambda: ok(b"\x1f\x8b\x08" + PLAIN, "Content-Encoding: gzip")),
    Case("half of a gzip", lambda: ok(gzip.compress(PLAIN)[:-12], "Content-Encoding: gzip")),
    # JSON
    Case("half of a JSON", lambda: ok(PLAIN[:-9])),
    Case("deep JSON", lambda: ok(b"[" * 200_000), large=True),
    Case("many small objects", lambda: ok(b'{"a":[' + b"{}," * (8 * 2**20 // 3 - 9) + b"{}]}"), large=True),
    Case("a number of 10,000 digits", lambda: ok(b'{"messages":[{"id":' + b"9" * 10_000 + b"}]}")),
    Case("contacts of another type", lambda: ok(message(contacts=["x"]))),
    Case("contacts that are an object", lambda: ok(message(contacts={"wa_id": "1"}))),
    Case("an ID that is a number", lambda: ok(message(messages=[{"id": 7}]))),
    Case("an ID that is a list", lambda: ok(message(messages=[{"id": ["wamid.x"]}]))),
    Case("an ID of 100,000 characters", lambda: ok(message(messages=[{"id": "w" * 100_000}]))),
    Case("messages that are an object", lambda: ok(message(messages={"id": MESSAGE_ID}))),
    Case(
        "a status that is an object", lambda: ok(message(messages=[{"id": MESSAGE_ID, "message_status": {}}]))
    ),
    Case("a recipient that is a number", lambda: ok(message(contacts=[{"wa_id": 1}]))),
    Case("an error beside the message", lambda: ok(message(error=ERROR))),
    Case("an error that is a text beside it", lambda: ok(message(error="no"))),
    Case("no error beside the message", lambda: ok(message(error=None)), "sent"),
    # unicode
    Case("UTF-16", lambda: ok(json.dumps(ACCEPTED).encode("utf-16")), "sent"),
    Case("a byte order mark", lambda: ok(b"\xef\xbb\xbf" + PLAIN), "sent"),
    Case("bytes that are no UTF-8", lambda: ok(PLAIN.replace(b"wamid", b"\xff\xfe\xc3"))),
    Case("an ID with half of a character", lambda: ok(message(messages=[{"id": "\ud800"}]))),
    Case("an ID of two lines", lambda: ok(message(messages=[{"id": "wamid.x\nINFO sent"}]))),
    # timing
    Case("silence", lambda: _silent),
    Case("a body, dripping", lambda: dripping(ok(b'{"a": "', length=False), b"x")),
    Case("chunks, dripping", lambda: dripping(chunked(), b"1\r\n \r\n")),
    Case("a reset in the body", lambda: _reset),
]
