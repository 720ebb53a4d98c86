"""A gateway that repeats what it was told, key and number, in every place of its answer: nothing of it is shown."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import pickle
import socket
import threading
import traceback
from urllib.parse import quote

import pytest

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.messages import Text

TO = "+15550001111"
DIGITS = "15550001111"
_INSIDE = b"\x1d\x18\x0b" + DIGITS.encode() + b"\x15\x02\x00\x11\x18\x12" + b"9A3CA5B3D4" * 2
WAMID = f"wamid.{base64.b64encode(_INSIDE).decode()}"
WORDS = "for your eyes only"
KEYS = {"plain": "a-key-that-must-not-leak", "with quotes": 'a"key\\that%41must&not+leak'}


class Echo:
    """Answers each request with what a function makes of the key that came with it."""

    def __init__(self, answer):
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, contextlib.suppress(OSError):
                    asked = connection.recv(65536)
                    key = asked.partition(b"Authorization: Bearer ")[2].partition(b"\r\n")[0].decode()
                    connection.sendall(self._answer(key))

    def close(self):
        self._listener.close()


@pytest.fixture
def echo():
    servers = []

    def start(answer):
        servers.append(Echo(answer))
        return servers[-1].url

    yield start
    for server in servers:
        server.close()


def http(status, body, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} Words\r\n{lines}Content-Length: {len(raw)}\r\nConnection: close\r\n\r\n"
    return head.encode("latin-1") + raw


def graph(text, **fields):
    return {"error": {"message": text, "code": 100, "type": "OAuthException", **fields}}


def said(key):
    return f"Bearer {key} to{DIGITS} %2B{DIGITS} {TO}.Please {WAMID} \x1b[31m\x1b]0;x\x07\u202e"


def escaped(text):
    return '"' + "".join(f"\\u{ord(char):04x}" for char in text) + '"'


REFUSALS = {
    "gateway's message": lambda key: http(401, {"message": said(key)}),
    "gateway's detail": lambda key: http(422, {"detail": [{"loc": ["query", key], "msg": said(key)}]}),
    "Graph's message": lambda key: http(400, graph(said(key))),
    "Graph's details": lambda key: http(400, graph("no", error_data={"details": said(key)})),
    "Graph's user message": lambda key: http(
        400, graph("no", error_user_title=key, error_user_msg=said(key))
    ),
    "Graph's trace": lambda key: http(400, graph("no", fbtrace_id=key)),
    "the request's ID": lambda key: http(400, graph("no"), X_Request_Id=key),
    "the request's ID, said in full": lambda key: http(
        502, b"<html>", X_Request_Id=f"Bearer {key} {DIGITS} {WAMID}"
    ),
    "Retry-After": lambda key: http(429, graph("no"), Retry_After=key),
    "escaped": lambda key: http(401, f'{{"message": {escaped(said(key))}}}'.encode()),
    "JSON in JSON": lambda key: http(400, graph(json.dumps(graph(said(key))))),
    "percent": lambda key: http(400, graph(quote(said(key)))),
    "base64": lambda key: http(400, graph(base64.b64encode(f"Bearer {key}".encode()).decode())),
    "the tail of a long text": lambda key: http(400, graph("x" * 295 + key + TO)),
    "a success without an ID": lambda key: http(200, {key: said(key), "messages": [{"id": "\u200b"}]}),
    "a broken status line": lambda key: f"{said(key)}\r\n\r\n".encode(),
    "a broken version": lambda key: f"HTTP/{key} 200 {DIGITS}\r\n\r\n".encode(),
    "a status that is none": lambda key: f"HTTP/1.1 {key} {DIGITS}\r\n\r\n".encode(),
    "a header that is none": lambda key: (
        f"HTTP/1.1 401 No\r\n{key} {DIGITS}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    ),
    "a broken chunk": lambda key: (
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{key}{DIGITS}\r\n".encode()
    ),
    "a broken encoding": lambda key: http(400, f"{key} {DIGITS}".encode(), Content_Encoding="gzip"),
    "a redirect": lambda key: http(302, b"", Location=f"https://x.example/{key}/{DIGITS}"),
    "nothing": lambda key: b"",
}


def everything(error):
    """Return all that anybody may print of an error, and of what hangs on it."""
    found = []
    while error is not None:
        found += [
            str(error),
            repr(error),
            repr(error.args),
            repr(vars(error)),
            *traceback.format_exception(error),
        ]
        if isinstance(error, WhatsAppError):
            found += [json.dumps(error.to_dict()), repr(pickle.loads(pickle.dumps(error)))]
        error = error.__cause__ or error.__context__
    return "\n".join(found)


def assert_discreet(text, key):
    code = base64.b64encode(key.encode()).decode()[:16]
    hexed = escaped(key)[1:-1]
    spellings = (key, json.dumps(key)[1:-1], quote(key, safe=""), quote(key), hexed, code)
    leaks = [secret for secret in (*spellings, DIGITS, WAMID, WAMID[10:24], WORDS) if secret in text]
    leaks += [repr(char) for char in "\x1b\x00\x07\u202e" if char in text]
    assert leaks == [], text


@pytest.mark.parametrize("key", [pytest.param(key, id=name) for name, key in KEYS.items()])
@pytest.mark.parametrize("answer", [pytest.param(answer, id=name) for name, answer in REFUSALS.items()])
def test_no_error_and_no_log_repeats_what_the_gateway_repeats(make_client, echo, caplog, capfd, key, answer):
    caplog.set_level(logging.DEBUG)
    client = make_client(api_key=key, host=echo(answer), phone_number_id="106540352242922", max_retries=1)

    with pytest.raises(WhatsAppError) as caught:
        client.messages.send(TO, Text(WORDS))
    with pytest.raises(WhatsAppError) as read:
        client.history.events(WAMID)

    shown = everything(caught.value) + everything(read.value) + caplog.text
    shown += "".join(str(vars(record)) for record in caplog.records)
    assert_discreet(shown + "".join(capfd.readouterr()), key)


def accepted(key):
    sent = {"id": f"{WAMID}{key}\x1b[31m\x00", "message_status": f"accepted{key}"}
    return http(200, {"messages": [sent], "contacts": [{"wa_id": key}], "input": said(key)}, X_Request_Id=key)


@pytest.mark.parametrize("key", [pytest.param(key, id=name) for name, key in KEYS.items()])
def test_what_was_accepted_holds_ids_and_no_key(make_client, echo, caplog, key):
    caplog.set_level(logging.DEBUG)
    client = make_client(api_key=key, host=echo(accepted), phone_number_id="106540352242922")

    sent = client.messages.send(TO, Text(WORDS))

    assert sent.message_id.startswith(WAMID)  # reports hold it whole
    assert_discreet(sent.message_id.replace(WAMID, "") + str(sent.wa_id) + str(sent.message_status), key)
    assert_discreet(repr(sent) + caplog.text, key)


def test_another_s_requests_are_logged_as_ever(make_client, echo, caplog):
    import requests

    caplog.set_level(logging.DEBUG)
    url = echo(lambda _: http(200, {}))
    make_client(api_key=KEYS["plain"], host=url, phone_number_id="1").phone_numbers.get(fields="id")
    requests.get(f"{url}/other?a=1", timeout=5)

    lines = [record.getMessage() for record in caplog.records if record.name == "urllib3.connectionpool"]
    assert [line for line in lines if '"GET /other?a=1 HTTP/1.1" 200' in line]
    assert [line for line in lines if '"GET /whatsapp-business/v25.0/1?...' in line]


def test_the_words_about_a_template_are_lines_and_its_texts_stay(make_client, echo):
    text = "Dear {{1}},\n\u200f\u05e9\u05dc\u200f 👨\u200d👩"
    row = {
        "id": "1",
        "name": "late",
        "language": "en_US",
        "status": "REJECTED\nforged line\u202e",
        "rejected_reason": "x" * 1000 + "\u2028forged",
        "components": [{"type": "BODY", "text": text}],
    }
    client = make_client(
        api_key=KEYS["plain"], host=echo(lambda _: http(200, {"data": [row]})), waba_id="200"
    )

    (template,) = client.templates.list()

    assert template["status"] == "REJECTED forged line"
    assert len(template["rejected_reason"]) == 300
    assert template["components"] == row["components"]
