"""One connection and its record, without a gateway: what leaves together, what is looked at first, what is cleaned."""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import threading

import pytest
from requests.models import PreparedRequest
from urllib3.response import HTTPResponse

from airflow_provider_whatsapp.client import wire
from airflow_provider_whatsapp.client.masking import Cleaner
from airflow_provider_whatsapp.client.rate_limit import Pacer

Connection = wire._Recording


@pytest.fixture
def record():
    """Begin a record, as a transport does before each request."""

    def begin(**options):
        wire.start_record(Pacer(0).acquire(), **{"progress_timeout": 5.0, **options})

    yield begin
    wire.end_record()


@pytest.fixture
def server():
    """Listen, and answer nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def connection(server, record):
    made = Connection(*server.getsockname(), timeout=5)
    record()
    yield made
    made.close()


@pytest.fixture
def sends(monkeypatch):
    """Keep what leaves at one go, and send it."""
    found, send_all = [], wire.send_all

    def kept(sock, data, *bounds):
        found.append(bytes(data))
        send_all(sock, data, *bounds)

    monkeypatch.setattr(wire, "send_all", kept)
    return found


def answered(connection):
    """Let it take the next request, as after an answer."""
    connection._HTTPConnection__state = "Idle"
    wire.start_record(Pacer(0).acquire(), progress_timeout=5.0)


def test_the_head_leaves_with_the_first_piece_of_the_body(connection, sends):
    connection.request("POST", "/x", body=b"hello", headers={"A": "b"})

    assert len(sends) == 1
    assert sends[0].startswith(b"POST /x HTTP/1.1\r\n")
    assert sends[0].endswith(b"\r\n\r\nhello")


def test_a_head_without_a_body_leaves_too_and_the_next_request_repeats_nothing(connection, sends):
    for path in ("/a", "/b"):
        answered(connection)
        connection.request("GET", path)

    assert [piece.split()[1] for piece in sends] == [b"/a", b"/b"]


def test_a_request_has_begun_when_its_first_byte_leaves(connection, record):
    connection.connect()
    assert not wire.request_began()
    connection.request("GET", "/")
    assert wire.request_began()
    record()
    assert not wire.request_began()


def test_of_a_thread_that_has_sent_nothing_nobody_knows_what_began():
    found = []
    thread = threading.Thread(target=lambda: found.append(wire.request_began()))
    thread.start()
    thread.join()

    assert found == [True]


@pytest.mark.parametrize(("size", "looks"), [(10, 0), (wire.UNWATCHED + 1, 1)], ids=["small", "large"])
def test_whether_a_large_request_has_left_is_looked_at_for_each_request(connection, monkeypatch, size, looks):
    found = []
    monkeypatch.setattr(wire, "send_all", lambda *_: None)
    monkeypatch.setattr(wire, "wait_until_sent", lambda *_: found.append(1))
    monkeypatch.setattr(wire.HTTPConnection, "getresponse", lambda self: None)
    connection.request("POST", "/", body=b"x" * size)
    connection.getresponse()
    assert len(found) == looks

    answered(connection)
    connection.request("GET", "/")
    connection.getresponse()
    assert len(found) == looks, "the next one is small again"


def test_half_a_request_ends_it_and_its_connection(connection, monkeypatch):
    connection.connect()
    assert connection.is_connected
    monkeypatch.setattr(wire, "send_all", lambda *_: (_ for _ in ()).throw(BrokenPipeError()))
    with pytest.raises(BrokenPipeError):
        connection.send(b"half")

    assert not connection.is_connected
    connection.close()
    connection.connect()
    assert connection.is_connected, "a new one is as good as any"


def test_whoever_speaks_before_the_request_is_not_listened_to(server, connection):
    connection.connect()
    theirs, _ = server.accept()
    with theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        assert connection.sock.recv(1, socket.MSG_PEEK) == b"H", "it is there"
        with pytest.raises(ConnectionError, match="before the request"):
            connection.request("GET", "/")
    assert not wire.request_began()


def test_a_kept_connection_is_looked_at_once(connection, monkeypatch):
    looked = []
    monkeypatch.setattr(wire, "is_quiet", lambda sock: looked.append(sock) or True)
    connection.connect()
    assert connection.is_connected
    connection.request("GET", "/")
    assert len(looked) == 1
    answered(connection)
    connection.request("GET", "/")
    assert len(looked) == 2, "what was seen is of one request alone"


@pytest.mark.parametrize(("idle", "kept"), [(3.9, True), (4.0, False), (100, False)])
def test_an_idle_connection_is_kept_for_four_seconds(connection, monkeypatch, idle, kept):
    now = [1000.0]
    monkeypatch.setattr(wire.time, "monotonic", lambda: now[0])
    connection.connect()
    now[0] += idle
    assert connection.is_connected is kept

    connection._last_used = 0.0
    connection.send(b"x")
    now[0] += idle
    assert connection.is_connected is kept, "since it was last sent on"


@pytest.mark.parametrize(
    ("timeout", "until", "expected"),
    [
        (5, math.inf, 1005.0),
        (2.5, math.inf, 1002.5),
        (5, 1003.0, 1003.0),
        (None, math.inf, math.inf),
        (None, 9.0, 9.0),
    ],
)
def test_when_an_answer_has_to_be_there(record, monkeypatch, timeout, until, expected):
    monkeypatch.setattr(wire.time, "monotonic", lambda: 1000.0)
    record(until=until)

    assert Connection("127.0.0.1", 1, timeout=timeout)._moment() == expected


def test_a_proxy_s_answer_has_a_time_and_the_gateway_s_one_of_its_own(connection, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(wire.time, "monotonic", lambda: now[0])
    connection.connect()
    assert connection._answer_until == 1005.0
    now[0] = 1001.0
    connection.request("GET", "/")
    monkeypatch.setattr(wire.HTTPConnection, "getresponse", lambda self: None)
    connection.getresponse()

    assert connection._answer_until == 1006.0


def logged(message, *args):
    record = logging.LogRecord(
        "urllib3.connectionpool", 10, "x.py", 1, message, args, (ValueError, ValueError(), None)
    )
    record.exc_text = record.stack_info = "key"
    assert wire._Discreet().filter(record) is True
    return record


def test_what_urllib3_logs_of_a_request_is_cleaned_and_of_others_stays(record):
    record(cleaner=Cleaner("secret-key-1"))
    cleaned = logged("GET %s with %s", "/x?a=15550001111 HTTP/1.1", "secret-key-1")
    text = cleaned.getMessage()
    assert "15550001111" not in text
    assert "secret-key-1" not in text
    assert text.startswith("GET /x?... HTTP/1.1 with ")
    assert (cleaned.exc_info, cleaned.exc_text, cleaned.stack_info) == (None, None, None)

    wire.end_record()
    other = logged("GET %s", "/x?a=1")
    assert (other.getMessage(), other.exc_text, other.stack_info) == ("GET /x?a=1", "key", "key")
    assert other.exc_info


@pytest.mark.parametrize("name", ["connection", "connectionpool", "poolmanager", "response", "util.retry"])
def test_each_logger_of_urllib3_is_cleaned(name):
    assert any(isinstance(each, wire._Discreet) for each in logging.getLogger(f"urllib3.{name}").filters)


@pytest.fixture
def adapter():
    with contextlib.closing(wire.RecordingAdapter()) as made:
        yield made


def request(url="https://a.example/x/y?z=1"):
    made = PreparedRequest()
    made.url, made.method = url, "GET"
    return made


@pytest.mark.parametrize("encoded", [False, True])
def test_an_answer_becomes_a_response_that_unpacks_nothing(adapter, encoded):
    headers = {"Content-Type": "text/plain", **({"Content-Encoding": "gzip"} if encoded else {})}
    answer = HTTPResponse(body=b"", headers=headers, status=404, preload_content=False)
    made = request()
    found = adapter.build_response(made, answer)

    assert (found.status_code, found.url, found.request, found.raw) == (404, made.url, made, answer)
    assert found.headers["content-type"] == "text/plain"
    assert found.headers.get("content-encoding") == ("gzip" if encoded else None)
    assert "Content-Encoding" not in answer.headers
    made.url = None
    assert adapter.build_response(made, answer).url == ""


def test_each_host_has_one_pool_of_connections_that_record(adapter):
    def pool(url):
        return adapter.get_connection_with_tls_context(request(url), verify=True)

    first = pool("https://a.example/x")
    assert issubclass(first.ConnectionCls, Connection)
    assert pool("https://a.example/another/path?x=1") is first
    others = [pool(url) for url in ("https://b.example/x", "http://a.example/x", "https://a.example:8443/x")]
    assert len({id(each) for each in (first, *others)}) == 4
    assert first.pool.maxsize == 32
    assert first.conn_kw["blocksize"] == wire.PIECE
    adapter.close()
    assert pool("https://a.example/x") is not first


def test_connections_by_a_proxy_record_too(adapter):
    manager = adapter.proxy_manager_for("http://proxy.example:3128")
    pools = manager.pool_classes_by_scheme

    assert all(issubclass(pool.ConnectionCls, Connection) for pool in pools.values())
    assert manager.connection_pool_kw["blocksize"] == wire.PIECE
    assert wire._recording(pools) == pools, "they are made once"
