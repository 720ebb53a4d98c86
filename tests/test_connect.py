"""The onboarding command in a real pseudo-terminal, against the sandbox."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parents[1]
PATIENCE = 30


class Terminal:
    """A process that believes to be talked to by a person."""

    def __init__(self, *arguments, **environment):
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "airflow_provider_whatsapp", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            cwd=ROOT,
            env={
                **{name: value for name, value in os.environ.items() if name != "MATON_API_KEY"},
                **environment,
            },
        )
        os.close(slave)
        self.text = ""
        self._seen = 0

    def wait_for(self, words):
        """Read until the words have come after those waited for before; return what came up to their end."""
        start = self._seen
        until = time.monotonic() + PATIENCE
        while words not in self.text[start:]:
            ready, _, _ = select.select([self._master], [], [], max(0, until - time.monotonic()))
            data = b""
            with contextlib.suppress(OSError):  # the other side is gone
                data = os.read(self._master, 65536) if ready else b""
            if not data:
                raise AssertionError(f"{words!r} did not come; the screen holds:\n{self.text}")
            self.text += data.decode().replace("\r\n", "\n")
        self._seen = self.text.index(words, start) + len(words)
        return self.text[start : self._seen]

    def type(self, line):
        os.write(self._master, f"{line}\n".encode())

    def end(self):
        """Read to the end and return the exit status."""
        with contextlib.suppress(AssertionError):
            self.wait_for("\0")
        return self.process.wait(timeout=PATIENCE)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal():
    opened = []

    def start(*arguments, **environment):
        opened.append(Terminal(*arguments, **environment))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def connection_of(text):
    line = next(line for line in text.splitlines() if line.strip().startswith("export AIRFLOW_CONN_"))
    name, _, value = shlex.split(line)[1].partition("=")
    return name, json.loads(value)


def test_from_the_key_to_the_connection(terminal, sandbox):
    talk = terminal("connect", "--host", sandbox.url)
    talk.wait_for("not shown): ")
    talk.type(sandbox.connection["password"])
    talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])
    status = talk.end()

    assert status == 0
    name, connection = connection_of(talk.text)
    assert name == "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"
    assert connection["conn_type"] == "maton_whatsapp"
    assert connection["password"] == sandbox.connection["password"]
    assert connection["extra"]["phone_number_id"] == sandbox.extra["phone_number_id"]
    assert connection["extra"]["waba_id"] == sandbox.extra["waba_id"]
    assert "airflow connections add maton_whatsapp_default --conn-json " in talk.text
    shown_before = talk.text.partition("The connection, with your key in it")[0]
    assert sandbox.connection["password"] not in shown_before


def test_what_it_prints_works(terminal, sandbox, monkeypatch):
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    talk = terminal("connect", "--host", sandbox.url, MATON_API_KEY=sandbox.connection["password"])
    talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])
    assert talk.end() == 0
    name, connection = connection_of(talk.text)
    monkeypatch.setenv(name, json.dumps(connection))

    right, words = MatonWhatsAppHook().test_connection()
    assert right, words


def test_a_connection_is_made_where_there_is_none(terminal, sandbox):
    base = {"Authorization": f"Bearer {sandbox.connection['password']}"}
    for row in requests.get(f"{sandbox.url}/connections", headers=base, timeout=10).json()["connections"]:
        requests.delete(f"{sandbox.url}/connections/{row['connection_id']}", headers=base, timeout=10)
    talk = terminal("connect", "--host", sandbox.url, MATON_API_KEY=sandbox.connection["password"])
    shown = talk.wait_for("Waiting until you have")
    url = re.search(r"^ +(http\S+)$", shown, re.MULTILINE)[1]
    requests.get(url, timeout=10).raise_for_status()
    talk.wait_for("the connection is active")
    talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])

    assert talk.end() == 0
    assert connection_of(talk.text)[1]["extra"]["connection_id"]


def test_a_wrong_account_is_asked_for_again(terminal, sandbox):
    talk = terminal("connect", "--host", sandbox.url, MATON_API_KEY=sandbox.connection["password"])
    for wrong in ("", "+15550001111", "123"):
        talk.wait_for("Account): ")
        talk.type(wrong)
    talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])

    assert talk.end() == 0
    assert "waba_id is not set" in talk.text
    assert "waba_id is not a numeric ID" in talk.text


def test_a_wrong_key_is_told(terminal, sandbox):
    talk = terminal("connect", "--host", sandbox.url, MATON_API_KEY="wrong-key")

    assert talk.end() == 1
    assert "the Maton API key was not accepted" in talk.text
    assert "Traceback" not in talk.text
    assert "wrong-key" not in talk.text


def test_an_end_of_input_is_an_end(terminal, sandbox):
    talk = terminal("connect", "--host", sandbox.url)
    talk.wait_for("not shown): ")
    os.write(talk._master, b"\x04")

    assert talk.end() == 1
    assert "Stopped" in talk.text
    assert "Traceback" not in talk.text
