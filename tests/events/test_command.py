"""The command: it starts without Airflow, says when it is ready, ends cleanly, and survives being killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from airflow_provider_whatsapp import cli
from airflow_provider_whatsapp.events import tables
from airflow_provider_whatsapp.events.store import EventStore
from tests.campaigns.receiver_kills import play
from tests.events.bodies import SECRET, T0, body, change, signed, status, statuses, text
from tests.events.test_store import rows, write

ROOT = Path(__file__).parents[2]
NAMES = ("WHATSAPP_EVENTS_URL", "WHATSAPP_VERIFY_TOKEN", "WHATSAPP_APP_SECRET", "WHATSAPP_PATH_SECRET")
NAMES += ("WHATSAPP_OPT_OUT_WORDS",)


def test_it_starts_without_airflow_stores_and_ends_cleanly(tmp_path):
    """It looks through what it finds for opt-outs by its words, and takes those of new replies."""
    env = {**os.environ, "WHATSAPP_APP_SECRET": SECRET, "WHATSAPP_VERIFY_TOKEN": "token"}
    env["WHATSAPP_EVENTS_URL"] = f"sqlite:///{tmp_path}/events.db"
    env["WHATSAPP_OPT_OUT_WORDS"] = str(tmp_path / "words.json")
    (tmp_path / "words.json").write_text('{"all": ["raus"]}')
    store = EventStore.open(env["WHATSAPP_EVENTS_URL"])
    store.create_or_upgrade()
    write(store, body(change(messages=[text("wamid.R", "Raus!", T0, "15550100001")])))
    code = (
        "import sys, runpy\n"
        "class Nothing:\n"
        "    def find_spec(self, name, *_):\n"
        "        assert name.partition('.')[0] != 'airflow', 'Airflow is imported'\n"
        "sys.meta_path.insert(0, Nothing())\n"
        "sys.argv = ['whatsapp', 'receiver', '--port', '0']\n"
        "runpy.run_module('airflow_provider_whatsapp', run_name='__main__')\n"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=env, **pipes)
    try:
        ready, _, url = process.stdout.readline().strip().partition(" at ")
        assert ready == "WhatsApp receiver ready"
        content = statuses(status("wamid.A"))
        answer = requests.post(f"{url}/webhook", data=content, headers=signed(content), timeout=30)
        assert answer.status_code == 200
        content = body(change(messages=[text("wamid.S", "raus", T0, "15550100002"), text("wamid.T", "STOP")]))
        assert requests.post(url, data=content, headers=signed(content), timeout=30).status_code == 200
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[1]
    finally:
        process.kill()
    assert process.returncode == 0
    words, line, _ = said.splitlines()
    assert words.endswith("The opt-out words have changed: 1 stored messages match one of them")
    assert [row["contact"] for row in rows(store, tables.opt_outs)] == ["15550100001", "15550100002"]
    store.close()
    assert line.endswith("1 statuses, 0 messages, 0 other events")
    assert " INFO Stored 1 deliveries in " in line


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "no database"),
        (["--database", "sqlite://"], "no verify token"),
        (["--database", "sqlite://", "--verify-token", "t"], "anybody could post"),
        (["--database", "sqlite://", "--verify-token", "t", "--app-secret", "s"], "in memory"),
        (
            ["--database", "sqlite:////nowhere/at/all.db", "--verify-token", "t", "--app-secret", "s"],
            "does not answer",
        ),
        (
            ["--database", "sqlite://", "--opt-out-words", "/nowhere/words.json"],
            "cannot be read from words.json",
        ),
    ],
    ids=["database", "token", "secret", "memory", "folder", "words"],
)
def test_what_is_missing_is_said_before_it_listens(monkeypatch, capsys, arguments, complaint):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)

    assert cli.main(["receiver", *arguments]) == 1
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--port", "x"], ["--port", "65536"], ["--keep-days", "ever"]])
def test_an_option_that_is_none_is_refused(capsys, option):
    with pytest.raises(SystemExit) as caught:
        cli.main(["receiver", *option])

    assert caught.value.code == 1
    assert option[1] in capsys.readouterr().err


def test_a_port_that_is_taken_is_said(tmp_path, capsys):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        given = [
            "--verify-token",
            "t",
            "--app-secret",
            "s",
            "--database",
            f"sqlite:///{tmp_path}/e.db",
            "--port",
            port,
        ]
        assert cli.main(["receiver", *given]) == 1
    assert "--port 0" in capsys.readouterr().err


def test_no_kill_loses_what_was_answered_with_200(database):
    """`tests/campaigns/receiver_kills.py` kills fifty times."""
    accepted, lost, doubled = play(database, kills=4, seed=1)

    assert accepted > 0
    assert (lost, doubled) == ([], [])
