"""What a recipient gets when the network or the service fails: never two messages, and the truth in the error."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.errors import (
    APIError,
    ConfigurationError,
    NotSentError,
    OutcomeUnknownError,
    RateLimitError,
    ServerError,
)
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.rate_limit import Pacer
from airflow_provider_whatsapp.client.transport import Transport
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
from tests.ports import free_port
from tests.time_limits import wait_for

TO = "+15550001111"
KEY = "a-key-that-must-not-leak"


class RawServer:
    """Accepts connections and answers each with the same bytes, then closes; keeps what was asked."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    self.asked.append(connection.recv(65536))
                    connection.sendall(self._answer)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def raw_server():
    servers = []

    def start(answer: bytes) -> RawServer:
        servers.append(RawServer(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_a_lost_answer_is_not_repeated(client, sandbox):
    sandbox.fail_next("drop_after", times=1)

    with pytest.raises(OutcomeUnknownError, match="may have been sent"):
        client.messages.send(TO, Text("once"))

    assert len(sandbox.messages) == 1
    assert len(sandbox.requests_to("/messages")) == 1


def test_a_connection_lost_before_the_work_is_not_repeated_either(client, sandbox):
    """The client cannot tell it from a lost answer."""
    sandbox.fail_next("drop_before", times=1)

    with pytest.raises(OutcomeUnknownError):
        client.messages.send(TO, Text("once"))

    assert sandbox.messages == []
    assert len(sandbox.requests_to("/messages")) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failing_service_is_not_asked_again(client, sandbox, status):
    sandbox.fail_next("status", status=status, times=1)

    with pytest.raises(OutcomeUnknownError) as caught:
        client.messages.send(TO, Text("once"))

    assert caught.value.http_status == status
    assert len(sandbox.requests_to("/messages")) == 1


def test_a_slow_answer_is_not_repeated(sandbox, make_client):
    client = make_client(
        api_key=sandbox.connection["password"], host=sandbox.url, timeout=(2, 0.2), **sandbox.extra
    )
    sandbox.fail_next("slow", seconds=2, times=1)

    with pytest.raises(OutcomeUnknownError):
        client.messages.send(TO, Text("once"))

    wait_for(lambda: sandbox.requests_to("/messages"))
    assert len(sandbox.requests_to("/messages")) == 1


def test_429_is_repeated_until_it_is_accepted(client, sandbox):
    sandbox.fail_next("status", status=429, times=2)

    sent = client.messages.send(TO, Text("once"))

    assert [message["id"] for message in sandbox.messages] == [sent.message_id]
    assert len(sandbox.requests_to("/messages")) == 3


@pytest.mark.parametrize("code", [4, 130429, 131056, 131057])
def test_graph_s_throttling_is_repeated_for_it_was_refused_before_acceptance(sandbox, make_client, code):
    """Graph throttles by a 400 (or even a 500) with a code; a stated wait of zero keeps the test quick."""
    client = make_client(api_key=sandbox.connection["password"], host=sandbox.url, **sandbox.extra)
    body = {"error": {"message": f"(#{code})", "type": "OAuthException", "code": code}}
    status = 500 if code == 131057 else 400
    sandbox.fail_next("status", status=status, times=1, body=body, headers={"Retry-After": "0"})

    sent = client.messages.send(TO, Text("once"))

    assert [message["id"] for message in sandbox.messages] == [sent.message_id]
    assert len(sandbox.requests_to("/messages")) == 2


@pytest.mark.parametrize("code", [1, 2, 131000, 131016])
def test_graph_s_doubt_is_not_repeated(client, sandbox, code):
    body = {"error": {"message": f"(#{code})", "type": "OAuthException", "code": code}}
    sandbox.fail_next("status", status=500, times=1, body=body)

    with pytest.raises(OutcomeUnknownError) as caught:
        client.messages.send(TO, Text("once"))

    assert caught.value.code == code
    assert len(sandbox.requests_to("/messages")) == 1


def test_429_without_end_is_given_up(client, sandbox):
    sandbox.fail_next("status", status=429, times=50)

    with pytest.raises(RateLimitError) as caught:
        client.messages.send(TO, Text("once"))

    assert caught.value.sent == "no"
    assert len(sandbox.requests_to("/messages")) == 4


def test_400_is_asked_once(client, sandbox):
    sandbox.fail_next("status", status=400, times=1)

    with pytest.raises(APIError) as caught:
        client.messages.send(TO, Text("once"))

    assert caught.value.permanent
    assert len(sandbox.requests_to("/messages")) == 1


@pytest.mark.parametrize(
    ("kind", "more"),
    [("drop_before", {}), ("drop_after", {}), ("status", {"status": 503}), ("status", {"status": 429})],
)
def test_reads_are_repeated(client, sandbox, kind, more):
    sandbox.fail_next(kind, times=2, method="GET", path="message_templates", **more)

    assert [template["name"] for template in client.templates.list()] == ["hello_world"]
    assert len(sandbox.requests_to("message_templates")) == 3


def test_a_read_that_keeps_failing_ends(client, sandbox):
    sandbox.fail_next("status", status=503, times=50)

    with pytest.raises(ServerError) as caught:
        client.phone_numbers.get()

    assert not caught.value.permanent
    assert len(sandbox.requests) == 4


@pytest.fixture
def closed_port():
    return free_port()


def test_a_refused_connection_means_not_sent(make_client, closed_port):
    client = make_client(api_key=KEY, host=f"http://127.0.0.1:{closed_port}", phone_number_id="1")

    with pytest.raises(NotSentError, match="Nothing was sent") as caught:
        client.messages.send(TO, Text("never"))

    assert caught.value.sent == "no"
    assert not caught.value.permanent


def test_an_unknown_host_means_not_sent(make_client):
    client = make_client(api_key=KEY, host="https://gateway.invalid", phone_number_id="1", max_retries=0)

    with pytest.raises(NotSentError):
        client.messages.send(TO, Text("never"))


def test_failing_tls_means_not_sent(make_client, raw_server):
    server = raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    client = make_client(api_key=KEY, host=server.url.replace("http:", "https:"), phone_number_id="1")

    with pytest.raises(NotSentError):
        client.messages.send(TO, Text("never"))

    assert not any(KEY.encode() in asked for asked in server.asked)


def test_a_proxy_that_refuses_means_not_sent(make_client, raw_server):
    proxy = raw_server(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    client = make_client(
        api_key=KEY, host="https://gateway.invalid", phone_number_id="1", proxies={"https": proxy.url}
    )

    with pytest.raises(NotSentError):
        client.messages.send(TO, Text("never"))

    assert proxy.asked[0].startswith(b"CONNECT gateway.invalid:443")
    assert not any(KEY.encode() in asked for asked in proxy.asked)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="half a header"),
        pytest.param(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"messages": [{"id"', id="half a body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", id="no object"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", id="no message id"),
        pytest.param(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>", id="502 with HTML"),
        pytest.param(b"not http at all", id="another protocol"),
    ],
)
def test_an_unusable_answer_is_not_repeated(make_client, raw_server, answer):
    server = raw_server(answer)
    client = make_client(api_key=KEY, host=server.url, phone_number_id="1")

    with pytest.raises(OutcomeUnknownError) as caught:
        client.messages.send(TO, Text("once"))

    assert len(server.asked) == 1
    assert KEY not in str(caught.value)
    assert "15550001111" not in str(caught.value)


def test_the_key_follows_no_redirect(make_client, raw_server):
    elsewhere = raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    server = raw_server(
        f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {elsewhere.url}/x\r\nContent-Length: 0\r\n\r\n".encode()
    )
    client = make_client(api_key=KEY, host=server.url, phone_number_id="1")

    with pytest.raises(APIError, match="redirected"):
        client.messages.send(TO, Text("once"))

    assert elsewhere.asked == []


def test_an_answer_that_repeats_the_key_does_not_show_it(make_client, raw_server, caplog):
    body = f'{{"message": "bad key {KEY}"}}'.encode()
    server = raw_server(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    client = make_client(api_key=KEY, host=server.url, phone_number_id="1")

    with pytest.raises(APIError) as caught:
        client.messages.send(TO, Text("once"))

    assert KEY not in str(caught.value)
    assert KEY not in repr(caught.value)
    assert KEY not in caplog.text


def test_pages_are_followed_by_cursor_and_never_by_their_link(make_client, raw_server):
    elsewhere = raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    paging = {"cursors": {"after": "QVFI"}, "next": f"{elsewhere.url}/x?access_token=t"}
    page = json.dumps({"data": [{"id": "1"}], "paging": paging})
    server = raw_server(f"HTTP/1.1 200 OK\r\nContent-Length: {len(page)}\r\n\r\n{page}".encode())
    client = make_client(api_key=KEY, host=server.url, waba_id="2")

    assert [number["id"] for number in client.phone_numbers.list()] == ["1", "1"]
    assert b"after=QVFI" not in server.asked[0]
    assert b"after=QVFI" in server.asked[1]
    assert elsewhere.asked == []


def test_netrc_does_not_replace_the_key(make_client, raw_server, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server = raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    make_client(api_key=KEY, host=server.url, phone_number_id="1").phone_numbers.get()

    assert f"Authorization: Bearer {KEY}".encode() in server.asked[0]


def test_a_missing_ca_bundle_is_told(make_client):
    client = make_client(
        api_key=KEY, host="https://gateway.invalid", phone_number_id="1", verify="/nowhere.pem"
    )

    with pytest.raises(ConfigurationError, match="CA bundle"):
        client.messages.send(TO, Text("never"))


def test_tls_is_verified_against_the_bundle_of_the_connection(
    certificate, make_client, start_whatsapp_sandbox
):
    cert, key = (str(path) for path in certificate)
    started = start_whatsapp_sandbox("--tls-cert", cert, "--tls-key", key)
    fields = {"api_key": started.connection["password"], "host": started.url, **started.extra}
    sent = make_client(**fields).messages.send(TO, Text("Hi"))
    with pytest.raises(NotSentError, match="certificate"):
        make_client(**{**fields, "verify": True}).messages.send(TO, Text("never"))
    assert [message["id"] for message in started.messages] == [sent.message_id]


def test_the_proxy_of_the_connection_is_used(make_client, raw_server):
    proxy = raw_server(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n")
    client = make_client(
        api_key=KEY,
        host="https://gateway.invalid",
        phone_number_id="1",
        proxies={"https": proxy.url},
        max_retries=0,
    )
    with pytest.raises(NotSentError):
        client.phone_numbers.get()

    assert proxy.asked[0].startswith(b"CONNECT gateway.invalid:443 ")
    assert KEY.encode() not in proxy.asked[0]


@pytest.mark.parametrize("where", ["connection", "environment"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_what_is_for_this_machine_goes_over_no_proxy(make_client, raw_server, monkeypatch, where, host):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    proxy, server = raw_server(answer), raw_server(answer)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url if where == "environment" else "")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    proxies = {"http": proxy.url, "all": proxy.url} if where == "connection" else None
    url = server.url.replace("127.0.0.1", host)
    make_client(api_key=KEY, host=url, phone_number_id="1", proxies=proxies).phone_numbers.get()

    assert proxy.asked == []
    assert server.asked[0].startswith(b"GET /whatsapp-business/v25.0/1?")


def test_what_has_no_moment_before_the_time_is_over_is_not_sent(sandbox):
    fields = {**sandbox.extra, "rate_limit": 0.01}
    config = ClientConfig(api_key=sandbox.connection["password"], host=sandbox.url, **fields)
    transport = Transport(config, pacer=Pacer(0.01), until=time.monotonic() + 50)
    client = WhatsAppClient(config, transport=transport)
    client.messages.send(TO, Text("in time"))

    with pytest.raises(NotSentError, match="no time was left"):
        client.messages.send(TO, Text("a hundred seconds later"))
    with pytest.raises(NotSentError, match="no time was left"):
        client.messages.send(TO, Text("later still"))

    assert len(sandbox.requests_to("/messages")) == 1


def test_one_client_serves_many_threads(client, sandbox):
    """Records of different threads do not mix: with a lost answer among them, each learns its own outcome."""
    sandbox.fail_next("drop_after", times=1)

    def send(number):
        try:
            return client.messages.send(f"+1555000{number:04}", Text("hello")).to
        except OutcomeUnknownError:
            return "unknown"

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(send, range(40)))

    assert results.count("unknown") == 1
    assert sorted(message["to"] for message in sandbox.messages) == [f"1555000{n:04}" for n in range(40)]


def test_a_refused_upload_is_repeated_whole(client, sandbox):
    sandbox.fail_next("status", status=503, times=1, path="/media")
    media_id = client.media.upload(b"%PDF-1.7\n" + b"x" * 200_000, filename="a.pdf")

    assert client.media.get(media_id)["file_size"] == 200_009
    assert len(sandbox.requests_to("/media")) == 2


def test_a_permit_that_was_taken_before_is_the_message_s_own(client, sandbox):
    permit = client.messages.permit(threading.Event())
    client.messages.send(TO, Text("hello"), permit=permit)

    assert len(sandbox.messages) == 1


def test_a_message_that_waits_to_be_repeated_is_given_up_when_it_is_stopped(client, sandbox):
    """Nothing of it has left, and the error says so; it is not tried again after the wait."""
    stop = threading.Event()
    sandbox.fail_next("status", status=429, headers={"Retry-After": "15"}, times=0, path="/messages")
    permit = client.messages.permit(stop)
    threading.Timer(0.1, stop.set).start()

    with pytest.raises(RateLimitError) as caught:
        client.messages.send(TO, Text("hello"), permit=permit)
    assert caught.value.sent == "no"
    assert len(sandbox.requests_to("/messages")) == 1
