"""
Limits for what the other side decides: the duration of a request and its answer, the size of the answer, and its size
after decompression.

An answer has one deadline, which begins when the request has left; further bytes do not extend it. An upload has none:
it fails when no more of it leaves the machine.
"""

from __future__ import annotations

import fcntl
import io
import math
import socket
import ssl
import struct
import termios
import time
import zlib
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any

from urllib3.util.wait import wait_for_read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_ANSWER = 8 * 1024 * 1024
"""The most bytes of an answer's body, after decompression."""
_OVERHEAD = 1024 * 1024
"""The most bytes of headers and of the framing of chunks, beside the body."""
MAX_INTERIM = 16
"""The most interim answers (HTTP 1xx) before the final one."""
_MAX_MEMBERS = 8
"""The most parts of a gzip file."""
_PIECE = 65_536
_SMALL = 8_192
"""Bytes that are written to a socket together, unless nothing leaves at all."""
_TLS_PIECE = 16_384
"""Bytes that TLS sends in one record."""
_LOOK_EVERY = 0.02
"""Seconds between two checks of what has left."""
_EARLY = 0.5
"""Seconds without progress after which an answer that has come may be one to a part of the request."""
_AS_GOOD = 0.01
"""Seconds by which a time-out may exceed the remaining time."""
_MAX_WAIT = 86_400.0
"""The longest time-out, in seconds, that a socket accepts."""

_WINDOW_BITS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
"""zlib's parameter for each encoding; some servers send deflate without zlib's header."""


class AnswerError(Exception):
    """An answer cannot be used; the text is our own, and quotes nothing of the answer."""


class LargeAnswerError(AnswerError):
    """An answer is larger than the limit."""


class _Raw(io.RawIOBase):
    """A socket that is read until a deadline, and up to a number of bytes."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        # The file keeps the socket open, even if http.client releases it before the body has been read.
        self._file: Any = sock.makefile("rb", buffering=0)
        self._until = until
        self._room = MAX_ANSWER + _OVERHEAD
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.ended:
            return None
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer did not end in time")
        _set_timeout(self._sock, min(left, _MAX_WAIT))
        count: int = self._file.readinto(buffer) or 0
        self._room -= count
        if self._room < 0:
            raise too_large()
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _Reader(io.BufferedReader):
    """Reports bytes that came with an answer and do not belong to it."""

    def __init__(self, raw: _Raw, on_leftover: Callable[[], None]) -> None:
        super().__init__(raw)
        self._bounded = raw
        self._on_leftover = on_leftover

    def close(self) -> None:
        if not self.closed:
            self._bounded.ended = True
            if self.peek(1):
                self._on_leftover()
        super().close()


class Source:
    """The source of :class:`BoundedResponse`: all that ``http.client`` needs of a socket."""

    def __init__(self, sock: socket.socket, until: float, on_leftover: Callable[[], None]) -> None:
        self._sock = sock
        self._until = until  # time.monotonic() by which the answer has to be complete
        self._on_leftover = on_leftover  # called if bytes follow the answer

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the file from which the answer is read."""
        return _Reader(_Raw(self._sock, self._until), self._on_leftover)


class BoundedResponse(HTTPResponse):
    """``http.client``'s response, which skips interim answers of every kind, up to a limit."""

    _interim = 0

    def begin(self) -> None:
        """Read the headers; drop lines that are not headers, because urllib3 would log them."""
        super().begin()
        self.headers.defects.clear()
        self.headers.set_payload("")

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        if not 100 <= status < 200 or status == 101:
            return version, status, reason
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise HTTPException(f"more than {MAX_INTERIM} interim (1xx) answers")
        return version, 100, reason  # the status that http.client skips


def read_body(raw: Any, headers: Mapping[str, str]) -> bytes:
    """Return the body of urllib3's response, decompressed; close a connection that cannot be read to its end."""
    pieces, size = [], 0
    try:
        while piece := raw.read(_PIECE, decode_content=False):
            size += len(piece)
            if size > MAX_ANSWER:
                raise too_large()
            pieces.append(piece)
            if raw.length_remaining == 0:
                break
    except BaseException:
        raw.close()
        raise
    return unpack(b"".join(pieces), headers.get("Content-Encoding") or "")


def unpack(body: bytes, encoding: str) -> bytes:
    """Return a body after decompressing one layer of gzip or deflate, if any; raises AnswerError if that fails."""
    # A proxy may have added a layer without being asked.
    if not encoding:
        return body
    layers = [layer for layer in map(str.strip, encoding.lower().split(",")) if layer not in ("", "identity")]
    if not layers or not body:
        return body
    ways = _WINDOW_BITS.get(layers[0])
    if ways is None or len(layers) > 1:
        raise AnswerError("the answer uses a compression that the request did not allow")
    for window_bits in ways:
        try:
            return _inflated(body, window_bits)
        except zlib.error:
            continue
    raise AnswerError("the compressed answer is damaged")


def _inflated(body: bytes, window_bits: int) -> bytes:
    pieces: list[bytes] = []
    room = MAX_ANSWER
    while body and len(pieces) < _MAX_MEMBERS:
        unpacker = zlib.decompressobj(window_bits)
        try:
            pieces.append(unpacker.decompress(body, room + 1))
        except zlib.error:
            if pieces:
                break  # bytes after the end do not belong to it
            raise
        room -= len(pieces[-1])
        if room < 0:
            raise too_large()
        if not unpacker.eof:
            raise AnswerError("the compressed answer was cut short")
        body = unpacker.unused_data
    return b"".join(pieces)


def too_large() -> LargeAnswerError:
    """Return the error of an answer that is larger than the gateway has any reason to send."""
    return LargeAnswerError(f"the answer is larger than {MAX_ANSWER // 2**20} MiB")


def is_quiet(sock: Any) -> bool:
    """Return whether the other side has neither sent anything unasked nor closed the connection."""
    # No answer may be due on the connection: anything that it has received is lost.
    try:
        # A poll is the cheapest way to see that there is nothing. Only a read shows what there is: TLS keeps data that
        # it has decrypted, and its own messages are not answers.
        held = sock.pending() if isinstance(sock, ssl.SSLSocket) else 0
        # TLS inside the TLS of a proxy is not a socket, and its buffer says nothing.
        if isinstance(sock, socket.socket) and not held and not wait_for_read(sock, 0.0):
            return True
        sock.settimeout(0.0)
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except (OSError, ValueError):
        return False
    return False


def send_all(sock: Any, data: Any, progress_timeout: float, until: float) -> None:
    """Send bytes; this may take any time, as long as some of them leave."""
    # progress_timeout: seconds within which at least one byte has to leave; until: time.monotonic() of the deadline.
    view = memoryview(data).cast("B")
    if not isinstance(sock, socket.socket):
        # TLS inside the TLS of a proxy: a write that has begun cannot be repeated.
        for start in range(0, len(view), _TLS_PIECE):
            sock.settimeout(_slice(progress_timeout, until))
            sock.sendall(view[start : start + _TLS_PIECE])
        return
    # TLS reports a piece only after it has accepted all of it.
    most = _TLS_PIECE if isinstance(sock, ssl.SSLSocket) else None
    while view:
        _set_timeout(sock, _slice(progress_timeout, until))
        piece = view[:most]
        before = unsent(sock) if len(piece) > _SMALL else None
        try:
            view = view[sock.send(piece) :]
        except TimeoutError:
            # The system's buffers accept bytes again only after a large part of them has left.
            if not _has_left(sock, before):
                if wait_for_read(sock, 0.0):
                    # For urllib3 this error is a reason to read the answer, which may come before the whole request was
                    # sent.
                    raise BrokenPipeError("an answer came before the request had left") from None
                raise TimeoutError(f"no byte left this machine for {progress_timeout:g} s") from None


def wait_until_sent(sock: socket.socket, progress_timeout: float, until: float) -> None:
    """Wait until the rest of a request has left the system's buffers, or there is an answer."""
    # progress_timeout: seconds within which at least one byte has to leave; until: time.monotonic() of the deadline.
    before, since = unsent(sock), time.monotonic()
    while before:
        time.sleep(min(_LOOK_EVERY, _slice(progress_timeout, until)))
        now, still = unsent(sock), time.monotonic() - since
        if now is None or now < before:
            before, since = now, time.monotonic()
        # Readable data may be TLS's own, which comes while the other side accepts more.
        elif still > min(_EARLY, progress_timeout) and wait_for_read(sock, 0.0):
            return
        elif still > progress_timeout:
            raise TimeoutError(f"no byte left this machine for {progress_timeout:g} s")


def unsent(sock: socket.socket) -> int | None:
    """Return the number of sent bytes that the other side has not received; None: the system does not say."""
    try:
        found: int = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
    except (OSError, ValueError, AttributeError):
        return None
    return found


def _has_left(sock: socket.socket, before: int | None) -> bool:
    after = unsent(sock)
    return before is not None and after is not None and after < before


def _set_timeout(sock: socket.socket, seconds: float) -> None:
    """Set a socket's time-out, which costs a system call, unless the present one is close enough."""
    now = sock.gettimeout()
    if now is None or not 0.0 <= now - seconds <= _AS_GOOD:
        sock.settimeout(seconds)


def _slice(progress_timeout: float, until: float) -> float:
    left = math.inf if until == math.inf else until - time.monotonic()
    if left <= 0:
        raise TimeoutError("the request's time ran out")
    return min(progress_timeout, left, _MAX_WAIT)
