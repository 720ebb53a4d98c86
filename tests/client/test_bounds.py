"""The bounds of a request: its deadline, its progress, what a kept connection holds, and the pages of a list."""

from __future__ import annotations

import contextlib
import io
import json
import math
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_whatsapp.client.bounds import MAX_ANSWER, AnswerError, is_quiet, send_all, unpack
from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.errors import (
    APIError,
    InvalidRequestError,
    NotSentError,
    OutcomeUnknownError,
    ServerError,
)
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.resources import base
from airflow_provider_whatsapp.client.retry import RequestRetry
from airflow_provider_whatsapp.client.transport import Transport
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
from tests.hostile import ACCEPTED, CASES, HostileGateway, dripping, message, ok, read_request

TO = "+15550001111"
KEY = "a-key-that-must-not-leak"
BOUNDED = 60
"""Seconds; without bounds it would be for ever."""
SHORT = (30, 0.3)
"""Seconds for a connection and an answer, where a test waits for the end of the second; others need not meet it."""


@pytest.fixture
def gateway():
    """Start gateways that are closed at the end."""
    made = []

    def start(answer):
        made.append(HostileGateway(answer))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def client_of():
    """Make clients that try once."""
    made = []

    def make(url, *, until=None, timeout=(30, 30), retries=0, **fields):
        config = ClientConfig(
            api_key=KEY,
            host=url,
            phone_number_id="1",
            waba_id="2",
            rate_limit=0,
            timeout=timeout,
            **fields,
        )
        transport = Transport(config, retry=RequestRetry(max_retries=retries, base=0.01), until=until)
        made.append(WhatsAppClient(config, transport=transport))
        return made[-1]

    yield make
    for one in made:
        one.close()


def bounded(function, *args, **options):
    """Call in a thread, and fail instead of waiting for ever."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args, **options).result(timeout=BOUNDED)


# The deadline


TICK = 0.02
"""Seconds. Whoever counts them is held up by a busy machine as the one who is counted is: no clock is compared."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_answer_is_over_within_its_time_and_a_second(case, gateway, client_of):
    server = gateway(case.answer())
    client = client_of(server.url, timeout=(30, 30 if case.outcome == "sent" else 0.2))
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(client.messages.send, TO, Text("once"))
        while not (server.requests or done.done()):
            wait([done], TICK)
        ticks = 0
        while not done.done() and ticks * TICK <= 0.2 + 1:
            wait([done], TICK)
            ticks += 1
        ended = done.done()
        server.close()  # nobody waits for ever where it has not

    assert ended
    assert (done.exception() is None) is (case.outcome == "sent")


@pytest.mark.parametrize("start", [b"", ok(b"{", length=False)], ids=["head", "body"])
def test_a_caller_s_own_time_ends_an_answer_that_drips(gateway, client_of, start):
    server = gateway(dripping(start, b" " if start else b"H"))
    client = client_of(server.url, timeout=(2, 600), until=time.monotonic() + 1.5)

    with pytest.raises(OutcomeUnknownError):
        bounded(client.messages.send, TO, Text("once"))

    assert server.accepted == ["15550001111"]


def test_a_proxy_that_drips_its_answer_to_connect_is_given_up_and_nothing_was_sent(gateway, client_of):
    proxy = gateway(dripping(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n"))
    client = client_of("https://gateway.invalid", timeout=(0.3, 600), proxies={"https": proxy.url})

    with pytest.raises(NotSentError):
        bounded(client.messages.send, TO, Text("never"))


# Uploads


@pytest.fixture
def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


class SlowReader:
    """Takes an upload slowly, with a ``pause`` (seconds) before each small part, and answers when it has all of it.

    :param most: Bytes after which it takes no more, and answers ``early``.
    """

    def __init__(self, most=None, *, tls=None, early=b"", pause=0.01):
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self.read = 0
        self._tls = tls
        self._most = most
        self._early = early
        self._pause = pause
        self._given_up = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                with connection:
                    self._take(connection)

    def _take(self, connection):
        head = connection.recv(1024)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        self.read = len(head.partition(b"\r\n\r\n")[2])
        while self.read < length:
            if self._most is not None and self.read >= self._most:
                connection.sendall(self._early)
                self._given_up.wait(BOUNDED)
                return
            time.sleep(self._pause)
            self.read += len(connection.recv(65_536 if self._tls else 32_768))
        connection.sendall(ok({"id": "7"}))

    def close(self):
        self._given_up.set()
        self._listener.close()


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_an_upload_over_a_slow_line_succeeds_however_long_it_takes(client_of, tls, certificate, secure):
    """It takes several times the time-out, most of it in the system's own buffers."""
    for slower in (1, 5, 25):
        server = SlowReader(tls=tls if secure else None, pause=0.01 * slower)
        client = client_of(server.url, verify=str(certificate[0]), timeout=(30, 0.3 * slower))
        began = time.monotonic()
        try:
            found = bounded(client.media.upload, b"%PDF-1.7\n" + b"x" * 3_000_000, filename="a.pdf")
        except ServerError:
            # A reader that a busy machine lets wait stands still. Uploads that are not slow enough fail at every pace.
            if slower == 25:
                raise
        else:
            break
        finally:
            server.close()

    assert found == "7"
    assert time.monotonic() - began > 2 * client.config.timeout[1], "it was slow enough to tell"


def test_an_upload_goes_in_few_pieces(gateway, client_of):
    """Each costs a look at what has left."""

    class Counted(io.BytesIO):
        pieces = 0

        def read(self, size=-1):
            self.pieces += 1
            return super().read(size)

    file = Counted(b"%PDF-1.7\n" + b"x" * (2**22 - 9))

    assert client_of(gateway(ok({"id": "7"})).url).media.upload(file, filename="a.pdf") == "7"
    assert file.pieces <= 2**22 / 65_536 + 2


def test_an_upload_that_stands_still_is_given_up(client_of):
    server = SlowReader(most=100_000)
    client = client_of(server.url, timeout=SHORT)
    try:
        with pytest.raises(ServerError, match="no byte left this machine"):
            bounded(client.media.upload, b"%PDF-1.7\n" + b"x" * 9_000_000, filename="a.pdf")
    finally:
        server.close()


def test_an_upload_that_is_refused_in_the_middle_tells_the_refusal(client_of):
    """The other side answers and reads no more; the connection, with half of a request on it, is not used again."""
    body = {"error": {"message": "too large", "code": 100}}
    server = SlowReader(most=100_000, early=ok(body, status="413 Payload Too Large"))
    client = client_of(server.url, timeout=SHORT)
    try:
        with pytest.raises(InvalidRequestError, match="too large"):
            bounded(client.media.upload, b"%PDF-1.7\n" + b"x" * 9_000_000, filename="a.pdf")
        (pool,) = client._transport._adapter._pools.values()
        with contextlib.closing(pool.pool.get_nowait()) as connection:
            assert not connection.is_connected
    finally:
        server.close()


def test_what_leaves_the_system_s_buffer_is_progress():
    """A socket takes bytes again only when a good part of its buffer is free, which lasts longer than the time-out."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as mine:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        mine.connect(listener.getsockname())
        theirs, _ = listener.accept()
        held = mine.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        data = bytes(2 * held)
        done = threading.Event()

        def read():
            while not done.is_set() and theirs.recv(8192):
                time.sleep(8192 / (held / 2))  # a third of the buffer lasts two thirds of a second

        reader = threading.Thread(target=read)
        reader.start()
        try:
            bounded(send_all, mine, data[: held + 2 * 65_536], 0.3, math.inf)
        finally:
            done.set()
            mine.close()
            reader.join()
            theirs.close()


# Kept connections


class KeptConnections:
    """Answers all requests of a connection, and counts connections; ``after`` goes out behind each answer."""

    def __init__(self, after=b"", *, tls=None, length=0):
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self.after = after
        self.connections = 0
        self.requests = 0
        self._length = length
        self._tls = tls
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        with contextlib.suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                while read_request(connection):
                    self.requests += 1
                    own = {"id": f"wamid.{self.requests}"}
                    answer = json.dumps(message(messages=[own])).ljust(self._length)
                    connection.sendall(ok(answer) + self.after)

    def close(self):
        self._listener.close()


FORGED = ok(message(messages=[{"id": "wamid.forged"}]))


def sent_ids(client, count=3):
    return [bounded(client.messages.send, TO, Text("hello")).message_id for _ in range(count)]


def test_a_connection_is_kept_where_nothing_is_wrong_with_it(client_of):
    server = KeptConnections()
    assert sent_ids(client_of(server.url)) == ["wamid.1", "wamid.2", "wamid.3"]
    server.close()

    assert server.connections == 1


@pytest.mark.parametrize("after", [FORGED, b"\r\n", FORGED * 200], ids=["answer", "line", "many answers"])
def test_bytes_after_an_answer_close_the_connection(client_of, after):
    server = KeptConnections(after)
    assert sent_ids(client_of(server.url)) == ["wamid.1", "wamid.2", "wamid.3"]
    server.close()

    assert server.connections == 3


@pytest.mark.parametrize(
    "length", [0, io.DEFAULT_BUFFER_SIZE - len(ok(" " * 8000)) + 8000], ids=["", "the buffer full"]
)
@pytest.mark.parametrize(("after", "connections"), [(b"", 1), (FORGED, 3), (FORGED * 50, 3)])
def test_what_tls_has_decrypted_already_is_no_answer_to_the_next_request(
    client_of, tls, certificate, after, connections, length
):
    server = KeptConnections(after, tls=tls, length=length)
    client = client_of(server.url, verify=str(certificate[0]))
    assert sent_ids(client) == ["wamid.1", "wamid.2", "wamid.3"]
    server.close()

    assert server.connections == connections


class Tunnel:
    """A proxy that opens tunnels to one server, whatever CONNECT names, and counts them."""

    def __init__(self, server, tls=None):
        self._server = server.url.rpartition(":")[2]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self.tunnels = 0
        self._tls = tls
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        with contextlib.suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            assert connection.recv(65536).startswith(b"CONNECT gateway.invalid:443 ")
            with connection, socket.create_connection(("127.0.0.1", int(self._server))) as beyond:
                self.tunnels += 1
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                threading.Thread(target=pipe, args=(beyond, connection), daemon=True).start()
                pipe(connection, beyond)

    def close(self):
        self._listener.close()


def pipe(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("secure", [False, True], ids=["http proxy", "https proxy"])
def test_a_tunnel_through_a_proxy_is_kept_and_carries_uploads(client_of, tls, secure):
    server = KeptConnections(tls=tls)
    proxy = Tunnel(server, tls if secure else None)
    client = client_of("https://gateway.invalid", timeout=(5, 5), verify=False, proxies={"https": proxy.url})
    assert sent_ids(client) == ["wamid.1", "wamid.2", "wamid.3"]
    # The answer is that of a message, and shows that all of the file has left.
    with pytest.raises(APIError, match="carries no 'id'"):
        bounded(client.media.upload, b"%PDF-1.7\n" + b"x" * 2_000_000, filename="a.pdf")
    server.close()
    proxy.close()

    assert (proxy.tunnels, server.connections, server.requests) == (1, 1, 4)


def test_bytes_before_the_request_close_the_connection():
    mine, theirs = socket.socketpair()
    with mine, theirs:
        assert is_quiet(mine)
        theirs.sendall(FORGED)
        assert not is_quiet(mine)
    assert not is_quiet(mine), "closed by ourselves"


def test_a_connection_on_which_somebody_speaks_first_sends_nothing(client_of, monkeypatch):
    """The answer lies there before the request can be written."""
    server = socket.create_server(("127.0.0.1", 0))
    asked = []

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(FORGED)
                    spoken.set()
                    asked.append(connection.recv(65536))

    spoken = threading.Event()
    threading.Thread(target=serve, daemon=True).start()
    from airflow_provider_whatsapp.client import wire

    def after_it_has_spoken(sock):
        assert spoken.wait(60)
        return is_quiet(sock)

    monkeypatch.setattr(wire, "is_quiet", after_it_has_spoken)
    client = client_of(f"http://127.0.0.1:{server.getsockname()[1]}")

    with pytest.raises(NotSentError, match="or sent something on it, before the request"):
        bounded(client.messages.send, TO, Text("never"))
    server.close()

    assert all(not request for request in asked)


# Lists


class Pages:
    """Answers each request of a list by a function of its cursor; closes each connection."""

    def __init__(self, page):
        self.cursors = []
        self._page = page
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                with connection:
                    path = connection.recv(65536).split(b" ", 2)[1].decode()
                    after = parse_qs(urlsplit(path).query).get("after", [None])[0]
                    self.cursors.append(after)
                    connection.sendall(ok(json.dumps(self._page(after)), "Connection: close"))

    def close(self):
        self._server.close()


def page(after, *ids):
    return {
        "data": [{"id": one} for one in ids],
        "paging": {"cursors": {"after": after}, "next": "https://x"},
    }


@pytest.fixture
def pages():
    made = []

    def start(answer):
        made.append(Pages(answer))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_each_cursor_is_followed_once(pages, client_of):
    server = pages(lambda after: page({None: "A", "A": "B", "B": "A"}[after], f"item after {after}"))

    found = [item["id"] for item in bounded(list, client_of(server.url).phone_numbers.list())]

    assert found == ["item after None", "item after A", "item after B"]
    assert server.cursors == [None, "A", "B"]


def test_a_list_that_never_ends_is_given_up(pages, client_of, monkeypatch):
    monkeypatch.setattr(base, "MAX_PAGES", 20)
    server = pages(lambda after: page(f"{int(after or 0) + 1}", "1"))

    with pytest.raises(ServerError, match="does not end after 20 pages"):
        bounded(list, client_of(server.url).phone_numbers.list())

    assert len(server.cursors) == 20


def test_a_list_whose_pages_are_together_too_large_is_given_up(pages, client_of, monkeypatch):
    monkeypatch.setattr(base, "MAX_LIST", 2**20)
    server = pages(lambda after: page(f"{int(after or 0) + 1}", "1" * 300_000))

    with pytest.raises(ServerError, match="all pages of the list together are larger than 1 MiB"):
        bounded(list, client_of(server.url).phone_numbers.list())

    assert len(server.cursors) == 4


@pytest.mark.parametrize(
    "answer",
    [
        {"data": "text"},
        {"data": 7},
        {"data": {"0": {}}},
        {"data": ["text"]},
        {"data": [None]},
        {"data": [[1]]},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda client: list(client.phone_numbers.list()),
        lambda client: list(client.templates.list()),
        lambda client: client.business_profile.get(),
        lambda client: client.history.events("wamid.x"),
        lambda client: client.connections.list(),
    ],
    ids=["numbers", "templates", "profile", "history", "connections"],
)
def test_a_list_of_another_type_is_an_error_of_ours(gateway, client_of, ask, answer):
    server = gateway(ok({**answer, "connections": answer["data"]}))

    with pytest.raises(ServerError, match="other than a list"):
        ask(client_of(server.url))


@pytest.mark.parametrize(
    "paging", [7, [], "next", {"next": 1, "cursors": 7}, {"next": 1, "cursors": {"after": 7}}], ids=json.dumps
)
def test_paging_of_another_type_ends_the_list(gateway, client_of, paging):
    server = gateway(ok({"data": [{"id": "1"}], "paging": paging}))

    assert list(client_of(server.url).phone_numbers.list()) == [{"id": "1"}]


BODY = {"type": "BODY", "text": "Hello"}


@pytest.mark.parametrize(
    "change",
    [
        {"name": 7},
        {"status": {}},
        {"language": ["en_US"]},
        {"components": "BODY"},
        {"components": [None]},
        {"components": ["BODY"]},
        {"components": [{"type": 7}]},
        {"components": [{**BODY, "text": ["Hello"]}]},
        {"components": [{"type": "BUTTONS", "buttons": {"0": {}}}]},
        {"components": [{"type": "BUTTONS", "buttons": [[]]}]},
        {"components": [{"type": "CAROUSEL", "cards": [{"components": 7}]}]},
    ],
    ids=json.dumps,
)
def test_a_template_of_another_type_is_an_error_of_ours(gateway, client_of, change):
    template = {"id": "1", "name": "late", "language": "en_US", "status": "APPROVED", "components": [BODY]}
    server = gateway(ok({"data": [template | change]}))
    with pytest.raises(ServerError, match=r"another type|other than a list"):
        list(client_of(server.url).templates.list())

    server.answer = ok({"data": [template]})
    assert list(client_of(server.url).templates.list()) == [template]


# Compression


def test_an_answer_of_just_the_size_is_taken():
    import gzip

    body = b" " * MAX_ANSWER
    assert unpack(gzip.compress(body), "GZIP") == body
    assert unpack(gzip.compress(body[:9]) + gzip.compress(b"end"), "gzip") == body[:9] + b"end"
    assert unpack(gzip.compress(b"{}") + b"\0\0", "gzip") == b"{}"
    assert unpack(json.dumps(ACCEPTED).encode(), "identity") == json.dumps(ACCEPTED).encode()
    with pytest.raises(AnswerError, match="larger than 8 MiB"):
        unpack(gzip.compress(body + b" "), "gzip")


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, 5.0), (0.0, 5.0), (4.9, 5.0), (5.0, 5.0), (5.005, 5.005), (5.2, 5.0)],
    ids=["none", "not-waiting", "shorter", "the-same", "as-good", "longer"],
)
def test_a_time_out_is_set_unless_the_one_there_is_as_good(before, after):
    mine, theirs = socket.socketpair()
    with mine, theirs:
        mine.settimeout(before)
        send_all(mine, b"hello", 5.0, math.inf)
        assert mine.gettimeout() == after
        assert theirs.recv(9) == b"hello"
