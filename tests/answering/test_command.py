"""``answer``: it starts without Airflow, says what is missing, and waits for what is away but for nothing else."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_whatsapp import cli
from airflow_provider_whatsapp.answering import command
from airflow_provider_whatsapp.events.store import EventStore
from tests.answering.fake_airflow import PASSWORD, USER

ROOT = Path(__file__).parents[2]
NAMES = (command.DATABASE, command.API_URL, command.API_TOKEN, command.API_USERNAME, command.API_PASSWORD)


@pytest.fixture
def database(tmp_path):
    """Give the URL of an event store."""
    url = f"sqlite:///{tmp_path}/events.db"
    with contextlib.closing(EventStore.open(url)) as store:
        store.create_or_upgrade()
    return url


@pytest.fixture
def run(monkeypatch):
    """Run the command with this environment and no other."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)

    def do(*arguments, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return cli.main(["answer", "--once", *arguments])

    return do


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({}, "Airflow's address is missing"),
        ({"AIRFLOW_API_URL": "airflow"}, "AIRFLOW_API_URL is not the address of a server"),
        ({"AIRFLOW_API_URL": "https://u:p@airflow.example.com"}, "carries a user name or a password"),
        ({"AIRFLOW_API_URL": "http://airflow.example.com"}, "would send the token unencrypted"),
        ({"AIRFLOW_API_URL": "https://airflow.example.com"}, "no database"),
        ({"WHATSAPP_EVENTS_URL": "sqlite:///x.db"}, "no Airflow user is set"),
        ({"AIRFLOW_API_USERNAME": "u"}, "no Airflow user is set"),
        ({"AIRFLOW_API_TOKEN": "two words"}, "AIRFLOW_API_TOKEN is not a token"),
        ({"AIRFLOW_API_TOKEN": "t"}, "has no event tables"),
    ],
    ids=[
        "address",
        "no address",
        "password",
        "http",
        "database",
        "user",
        "half a user",
        "token",
        "no tables",
    ],
)
def test_what_is_missing_is_said_before_anything_connects(run, capsys, tmp_path, environment, complaint):
    given = {
        "AIRFLOW_API_URL": "https://airflow.example.com",
        "WHATSAPP_EVENTS_URL": f"sqlite:///{tmp_path}/no.db",
    }
    if complaint.startswith(("Airflow", "no database")):
        given = {}
    assert run(**(given | environment)) == 1
    assert complaint in capsys.readouterr().err


def test_plain_http_is_taken_where_it_is_asked_for(run, capsys, database):
    given = {"AIRFLOW_API_URL": "http://airflow.invalid", "AIRFLOW_API_TOKEN": "t"}
    assert run("--allow-http", "--database", database, **given) == 1
    assert "Airflow's API does not answer" in capsys.readouterr().err


def test_a_refused_token_ends_it(run, capsys, airflow, database):
    assert run("--database", database, AIRFLOW_API_URL=airflow.url, AIRFLOW_API_TOKEN="old") == 1
    said = capsys.readouterr()
    assert "does not accept the token (HTTP 401" in said.err
    assert "ready" not in said.out


@pytest.mark.parametrize("interval", ["0", "61", "soon", "nan"])
def test_an_interval_that_is_none_is_refused(run, capsys, interval):
    with pytest.raises(SystemExit):
        run("--interval", interval)
    assert "must be 0.1 to 60 seconds" in capsys.readouterr().err


def test_it_waits_for_an_airflow_that_is_away_without_airflow_and_ends_cleanly(airflow, database):
    airflow.failing = (503, "away")
    code = (
        "import sys, runpy\n"
        "class Nothing:\n"
        "    def find_spec(self, name, *_):\n"
        "        assert name.partition('.')[0] not in ('airflow', 'uvicorn'), name + ' is imported'\n"
        "sys.meta_path.insert(0, Nothing())\n"
        "sys.argv = ['whatsapp', 'answer', '--interval', '0.1']\n"
        "runpy.run_module('airflow_provider_whatsapp', run_name='__main__')\n"
    )
    env = {name: value for name, value in os.environ.items() if name not in NAMES}
    env |= {
        "WHATSAPP_EVENTS_URL": database,
        "AIRFLOW_API_URL": airflow.url,
        "AIRFLOW_API_USERNAME": USER,
        "AIRFLOW_API_PASSWORD": PASSWORD,
    }
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=env, **pipes)
    try:
        assert "no press is lost" in process.stderr.readline()
        airflow.failing = None
        assert process.stdout.readline() == "Answering by WhatsApp is ready\n"
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[1]
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Traceback" not in said
