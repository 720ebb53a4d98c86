"""What a DAG run leaves behind, against a gateway that repeats key, numbers and texts wherever it can."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import socket
import threading
from pathlib import Path
from urllib.parse import quote

import pytest

KEY = 'a"key\\that%41must&not+leak-09871'
NUMBERS = {
    "accepted": "15550987651",
    "refused": "15550987652",
    "broken": "15550987653",
    "failing": "15550987654",
}
WORDS = "quincunx confidential"
NAME = "Perpetua Quincunx"
MESSAGE_ID = (
    f"wamid.{base64.b64encode(b'HBgL' + NUMBERS['accepted'].encode() + b'0011223344556677').decode()}"
)
TEMPLATE = {
    "id": "1",
    "name": "late",
    "language": "en_US",
    "status": "APPROVED",
    "category": "UTILITY",
    "components": [{"type": "BODY", "text": "It is {{1}}."}],
}
NUMBER_TABLES = {"xcom", "xcom_v2", "task_state_store", "task_state"}
"""Where numbers stand by contract: reports in XCom, and ledgers in Airflow's state store."""


class Gateway:
    """Decides by the number what goes wrong, and repeats key, number and text in each answer."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as lines:
            head = [line.decode("latin-1") for line in iter(lines.readline, b"\r\n") if line]
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
            }
            body = lines.read(int(headers.get("content-length", 0))).decode()
            path = head[0].split(" ")[1]
            self.asked.append((path, body))
            connection.sendall(self._answer(path, headers["authorization"], body))

    def _answer(self, path, key, body):
        said = f"{key} {body} {json.dumps(key)} {quote(key)} {path} \x1b]0;x\x07"
        if "/message_templates" in path:
            return self._http(200, {"data": [{**TEMPLATE, "rejected_reason": said}]}, key)
        kind = next((kind for kind, number in NUMBERS.items() if number in body), "refused")
        if kind == "broken":
            return f"HTTP/1.1 {said}\r\n\r\n".encode()
        if kind == "failing":
            return self._http(502, {"message": said}, f"{key} {NUMBERS['failing']}")
        if kind == "accepted":
            sent = {"messages": [{"id": MESSAGE_ID}], "contacts": [{"wa_id": NUMBERS[kind]}], "said": said}
            return self._http(200, sent, key)
        details = {"messaging_product": "whatsapp", "details": said}
        return self._http(400, {"error": {"code": 131026, "message": said, "error_data": details}}, key)

    @staticmethod
    def _http(status, found, request_id):
        body = json.dumps(found).encode()
        head = f"HTTP/1.1 {status} {request_id}\r\nX-Request-Id: {request_id}\r\n{request_id}\r\n"
        return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode("latin-1") + body

    def close(self):
        self._listener.close()


@pytest.fixture
def hostile(monkeypatch, tmp_path):
    """The gateway, and an environment that holds all that must not be told."""
    gateway = Gateway()
    everybody = [f"+{number}" for number in NUMBERS.values()]
    people = tmp_path / "people.csv"
    people.write_text("to,name\n" + "".join(f"{to},{NAME}\n" for to in everybody))
    given = {
        "to": everybody[0],
        "refused": f"+{NUMBERS['refused']}",
        "all": ",".join(everybody),
        "words": WORDS,
        "file": str(people),
        "ledger": f"file://{tmp_path}/ledger",
        "results": f"{tmp_path}/results.jsonl",
        "wamid": MESSAGE_ID,
    }
    for name, value in given.items():
        monkeypatch.setenv(f"AIRFLOW_VAR_DISCREET_{name.upper()}", value)
    connection = {
        "conn_type": "maton_whatsapp",
        "password": KEY,
        "host": gateway.url,
        "extra": {"phone_number_id": "106540352242922", "waba_id": "102290129340398", "rate_limit": 0},
    }
    gateway.connection = json.dumps(connection)
    yield gateway
    gateway.close()


@pytest.fixture
def metrics(monkeypatch):
    """Keep what is told to Airflow's metrics."""
    from airflow_provider_whatsapp import _compat

    told = []
    for name in ("incr", "gauge", "timing"):
        keep = lambda *args, **kwargs: told.append((args, kwargs))  # noqa: E731
        monkeypatch.setattr(_compat.Stats, name, keep, raising=False)
    return told


def database():
    """Return the text of each table, key and row, as whoever may read the database sees it."""
    from airflow.settings import engine
    from sqlalchemy import MetaData, select

    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        return {
            table.name: "\n".join(str(tuple(row)) for row in connection.execute(select(table)))
            for table in tables.sorted_tables
        }


def spellings(secret):
    """Return a secret as programs write it."""
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        repr(secret)[1:-1],
        quote(secret),
    }


def assert_discreet(text, where, *, numbers=False):
    secrets = set().union(*map(spellings, (KEY, WORDS, NAME)))
    if not numbers:
        secrets |= {*NUMBERS.values(), MESSAGE_ID, MESSAGE_ID[12:26]}
    found = [text[max(0, at - 200) : at + 100] for at in map(text.find, secrets) if at >= 0]
    assert not found, where


def test_a_run_leaves_no_key_number_or_text_behind(
    hostile, run_dag, metrics, monkeypatch, caplog, capfd, tmp_path
):
    caplog.set_level(logging.DEBUG)
    # The fixture of runs points to the sandbox; this one talks to somebody else.
    monkeypatch.setenv("AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT", hostile.connection)

    _, states = run_dag("discreet")

    assert len([path for path, _ in hostile.asked if path.endswith("/messages")]) >= 4 * 3 + 1
    assert states["broadcast"] == "success", states
    assert states["one"] == states["status"] == "failed"
    assert_discreet("".join(capfd.readouterr()), "terminal")
    assert_discreet(caplog.text + "".join(str(vars(record)) for record in caplog.records), "log")
    assert_discreet(repr(metrics), "metrics")
    for table, rows in database().items():
        assert_discreet(rows, f"table {table}", numbers=table in NUMBER_TABLES)
    for file in Path(os.environ["AIRFLOW_HOME"]).rglob("*.log"):
        assert_discreet(file.read_text(errors="replace"), file)
    ours = [file for file in tmp_path.rglob("*") if file.is_file() and file.name != "people.csv"]
    assert {"results.jsonl"} < {file.name for file in ours}
    for file in ours:
        text = file.read_text()
        if file.name == "results.jsonl":
            # It can be run again, so it holds the rows as they were given, and the numbers; its errors do not.
            told = [json.loads(line) for line in text.splitlines()]
            assert_discreet(json.dumps([row.get("error") for row in told]), f"errors of {file}")
            text = json.dumps([{**row, "row": None} for row in told])
        assert_discreet(text, file, numbers=True)
