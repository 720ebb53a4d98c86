"""
Bounds on what the other side decides: how long a request and its answer take, how large the answer is, and to what
it unpacks.

An answer has one deadline, which begins when the request has left; no byte that drips in moves it. An upload has none:
it fails when nothing more of it leaves the machine.
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
"""Bytes of an answer's body, unpacked."""
_OVERHEAD = 1024 * 1024
"""Bytes that heads and the framing of chunks may have beside the body."""
MAX_INTERIM = 16
"""Interim answers (HTTP 1xx) before the final one."""
_MAX_MEMBERS = 8
"""Parts of which a gzip file may consist."""
_PIECE = 65_536
_SMALL = 8_192
"""Bytes that a socket takes at one go, unless nothing leaves at all."""
_TLS_PIECE = 16_384
"""Bytes that TLS sends in one record."""
_LOOK_EVERY = 0.02
"""Seconds between two looks at what has left."""
_EARLY = 0.5
"""Seconds in which nothing leaves, after which an answer that is there may be one to a half of the request."""
_AS_GOOD = 0.01
"""Seconds by which a time-out may be longer than what is left."""
_MAX_WAIT = 86_400.0
"""Seconds; what a socket takes as a time-out has an end."""

_WINDOW_BITS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
"""How zlib reads each encoding; some servers send deflate without zlib's own head."""


class AnswerError(Exception):
    """An answer that came cannot be used; the text is our own, and quotes nothing of it."""


class LargeAnswerError(AnswerError):
    """An answer that came is larger than what is read."""


class _Raw(io.RawIOBase):
    """A socket that is read until a moment, and only so much."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        # The file keeps the socket open, even where http.client lets go of it before the body is read.
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
    """Tells of bytes that came with an answer and do not belong to it."""

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
    """
    What :class:`BoundedResponse` reads from: all that ``http.client`` asks of a socket.

    :param sock: The socket.
    :param until: Moment of ``time.monotonic()`` at which the answer has to be there.
    :param on_leftover: Called when bytes follow the answer.
    """

    def __init__(self, sock: socket.socket, until: float, on_leftover: Callable[[], None]) -> None:
        self._sock = sock
        self._until = until
        self._on_leftover = on_leftover

    def makefile(self, mode: str) -> io.BufferedReader:
        """
        Return the file that the answer is read from.

        :param mode: ``rb``.
        """
        return _Reader(_Raw(self._sock, self._until), self._on_leftover)


class BoundedResponse(HTTPResponse):
    """``http.client``'s response, which passes over interim answers of every kind, but not for ever."""

    _interim = 0

    def begin(self) -> None:
        """Read the head; lines of it that are no headers are dropped, for urllib3 would write them into the log."""
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
        return version, 100, reason  # the one that http.client passes over


def read_body(raw: Any, headers: Mapping[str, str]) -> bytes:
    """
    Read an answer's body to its end and unpack it; what cannot be read to its end is closed.

    :param raw: urllib3's response, with its content encoding left alone.
    :param headers: The answer's headers.
    :raises AnswerError: It is too large, or packed in a way that is not read here.
    """
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
    """
    Undo one layer of gzip or deflate, which a proxy may have put around an answer unasked.

    :param body: What came.
    :param encoding: The header ``Content-Encoding``; may be empty.
    :raises AnswerError: It is packed in another way or several times, damaged, or too large.
    """
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
                break  # bytes after the end that are none of it
            raise
        room -= len(pieces[-1])
        if room < 0:
            raise too_large()
        if not unpacker.eof:
            raise AnswerError("the compressed answer was cut short")
        body = unpacker.unused_data
    return b"".join(pieces)


def too_large() -> LargeAnswerError:
    """Return the error of an answer that is larger than any that the gateway has reason to give."""
    return LargeAnswerError(f"the answer is larger than {MAX_ANSWER // 2**20} MiB")


def is_quiet(sock: Any) -> bool:
    """
    Tell whether the other side has neither said anything unasked nor closed the connection.

    :param sock: A connection on which no answer is due; what it has received is lost.
    """
    try:
        # A poll tells at the least cost that nothing is there. Only a read tells what is: TLS keeps what it has
        # decrypted, and its own messages are no answers.
        held = sock.pending() if isinstance(sock, ssl.SSLSocket) else 0
        # TLS inside the TLS of a proxy, which is no socket, has a buffer that tells nothing.
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
    """
    Send bytes, however long it takes, as long as some of them leave.

    :param sock: The connection.
    :param data: The bytes.
    :param progress_timeout: Seconds in which at least one byte has to leave.
    :param until: Moment of ``time.monotonic()`` at which it is given up all the same.
    :raises TimeoutError: Nothing has left for so long, or the moment has come.
    :raises BrokenPipeError: Nothing has left for so long, and there is an answer already.
    """
    view = memoryview(data).cast("B")
    if not isinstance(sock, socket.socket):
        # TLS inside the TLS of a proxy: what it has begun to send cannot be sent again.
        for start in range(0, len(view), _TLS_PIECE):
            sock.settimeout(_slice(progress_timeout, until))
            sock.sendall(view[start : start + _TLS_PIECE])
        return
    # TLS tells nothing of a piece before the whole of it has been taken.
    most = _TLS_PIECE if isinstance(sock, ssl.SSLSocket) else None
    while view:
        _set_timeout(sock, _slice(progress_timeout, until))
        piece = view[:most]
        before = unsent(sock) if len(piece) > _SMALL else None
        try:
            view = view[sock.send(piece) :]
        except TimeoutError:
            # Buffers of the system take bytes again only when a good part of them has left.
            if not _has_left(sock, before):
                if wait_for_read(sock, 0.0):
                    # To urllib3 that is a reason to read the answer, which need not wait for the whole request.
                    raise BrokenPipeError("an answer came before the request had left") from None
                raise TimeoutError(f"no byte left this machine for {progress_timeout:g} s") from None


def wait_until_sent(sock: socket.socket, progress_timeout: float, until: float) -> None:
    """
    Wait until what the system holds of a request has left as well, or there is an answer.

    :param sock: The connection.
    :param progress_timeout: Seconds in which at least one byte has to leave.
    :param until: Moment of ``time.monotonic()`` at which it is given up all the same.
    :raises TimeoutError: Nothing has left for so long, or the moment has come.
    """
    before, since = unsent(sock), time.monotonic()
    while before:
        time.sleep(min(_LOOK_EVERY, _slice(progress_timeout, until)))
        now, still = unsent(sock), time.monotonic() - since
        if now is None or now < before:
            before, since = now, time.monotonic()
        # What can be read may be TLS's own, which comes while the other side takes more.
        elif still > min(_EARLY, progress_timeout) and wait_for_read(sock, 0.0):
            return
        elif still > progress_timeout:
            raise TimeoutError(f"no byte left this machine for {progress_timeout:g} s")


def unsent(sock: socket.socket) -> int | None:
    """
    Return the bytes that the system has taken and the other side has not received; None where it does not tell.

    :param sock: The connection.
    """
    try:
        found: int = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
    except (OSError, ValueError, AttributeError):
        return None
    return found


def _has_left(sock: socket.socket, before: int | None) -> bool:
    after = unsent(sock)
    return before is not None and after is not None and after < before


def _set_timeout(sock: socket.socket, seconds: float) -> None:
    """Set a socket's time-out, a call of the system for each message, unless the one that it has is as good."""
    now = sock.gettimeout()
    if now is None or not 0.0 <= now - seconds <= _AS_GOOD:
        sock.settimeout(seconds)


def _slice(progress_timeout: float, until: float) -> float:
    left = math.inf if until == math.inf else until - time.monotonic()
    if left <= 0:
        raise TimeoutError("the request's time ran out")
    return min(progress_timeout, left, _MAX_WAIT)
