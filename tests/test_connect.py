"""The onboarding command in a real pseudo-terminal, against the sandbox."""

from __future__ import annotations

import contextlib
import importlib.metadata
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
from packaging.version import Version

from airflow_provider_whatsapp.pytest_plugin import WhatsAppSandbox
from tests.forks import run_module

ROOT = Path(__file__).parents[1]
PATIENCE = 60
COMMAND = ("airflow_provider_whatsapp", "connect")
AIRFLOW_COMMAND = ("airflow", "whatsapp", "connect")
AIRFLOW_HAS_IT = Version(importlib.metadata.version("apache-airflow")) >= Version("3.2.0")
# A shell would make something else of it, were it not quoted.
KEY = "it's-a-key-for-$HOME"
# The numbers of two accounts: what people know each by, and its ID.
ACCOUNTS = {
    "100": [("+1 555-010-1000", "101"), ("+1 555-010-1001", "102")],
    "200": [("+1 555-010-1002", "201"), ("+1 555-010-1003", "202")],
}


def without_a_key():
    """Return this process' environment, in which a developer may have a key."""
    return {name: value for name, value in os.environ.items() if name != "MATON_API_KEY"}


class Terminal:
    """
    A process that believes to be talked to by a person.

    :param forks: What starts it; None starts it as a shell does.
    """

    def __init__(self, forks, *command, **environment):
        self._master, slave = pty.openpty()
        options = {"cwd": ROOT, "env": {**without_a_key(), **environment}}
        if forks:
            self.process = forks.start(run_module, *command, files=(slave, slave, slave), **options)
        else:
            pipes = {"stdin": slave, "stdout": slave, "stderr": slave}
            command = [sys.executable, "-m", *command]
            self.process = subprocess.Popen(command, start_new_session=True, **pipes, **options)
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
        """Want no message to a phone, read to the end, and return the exit status."""
        with contextlib.suppress(AssertionError):
            self.wait_for("(Enter: no message): ")
            self.type("")
        with contextlib.suppress(AssertionError):
            self.wait_for("\0")
        return self.process.wait(timeout=PATIENCE)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(command_forks):
    opened = []

    def start(*command, forks=command_forks, **environment):
        opened.append(Terminal(forks, *command, **environment))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.fixture(scope="module")
def two_accounts_process():
    """Start a sandbox with two Maton connections, each of which sees an account with two numbers."""
    first = ("--waba-id", "100", "--phone-number-id", "101", "--phone-number-id", "102")
    with WhatsAppSandbox.start("--api-key", KEY, *first, "--account", "200:201,202") as started:
        yield started


@pytest.fixture
def two_accounts(two_accounts_process):
    two_accounts_process.reset()
    return two_accounts_process


def control_plane(sandbox, method="GET", path="", **options):
    """Ask the control plane for what is under ``/connections``, with the key as its owner would."""
    headers = {"Authorization": f"Bearer {sandbox.connection['password']}"}
    url = f"{sandbox.url}/connections{path}"
    answer = requests.request(method, url, headers=headers, timeout=10, **options)
    answer.raise_for_status()
    return answer.json()


def maton_connections(sandbox):
    return control_plane(sandbox)["connections"]


@pytest.fixture
def no_connection(sandbox):
    """Give a sandbox whose key has no connection yet."""
    for row in maton_connections(sandbox):
        control_plane(sandbox, "DELETE", f"/{row['connection_id']}")
    return sandbox


def line_of(text, start):
    (line,) = [line.strip() for line in text.splitlines() if line.strip().startswith(start)]
    return shlex.split(line)


def connection_of(text):
    """Return the variable and the connection that the line for a shell sets."""
    name, _, value = line_of(text, "export ")[1].partition("=")
    return name, json.loads(value)


def shown_once(text, key):
    """Whether the key stands in what is to be exported, and in no other line."""
    return [line.strip()[:7] for line in text.splitlines() if key in line] == ["export "]


def connection_to(sandbox, **extra):
    """Return the connection that is to be printed."""
    return {
        "conn_type": "maton_whatsapp",
        "password": sandbox.connection["password"],
        "host": sandbox.url,
        "extra": extra,
    }


def number_line(place, number, phone_number_id):
    return f"  {place}. {number}, WhatsApp Sandbox, quality GREEN, ID {phone_number_id}\n"


def test_from_the_key_to_the_connection(terminal, sandbox):
    (maton,) = maton_connections(sandbox)
    talk = terminal(*COMMAND, "--host", sandbox.url, forks=None)
    talk.wait_for("not shown): ")
    talk.type(sandbox.connection["password"])
    shown = talk.wait_for("Account): ")
    assert f"WhatsApp connection at Maton: {maton['connection_id']}, active.\n" in shown
    talk.type(sandbox.extra["waba_id"])
    status = talk.end()

    assert status == 0
    shown, _, printed = talk.text.partition("The connection, with your key in it")
    # One number is shown, and not asked about.
    assert (
        "Phone number of the account:\n" + number_line(1, "+1 555-010-1000", sandbox.extra["phone_number_id"])
        in shown
    )
    assert "Sender" not in shown
    assert sandbox.connection["password"] not in shown
    expected = connection_to(
        sandbox,
        phone_number_id=sandbox.extra["phone_number_id"],
        waba_id=sandbox.extra["waba_id"],
        connection_id=maton["connection_id"],
    )
    assert connection_of(printed) == ("AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT", expected)
    assert shown_once(talk.text, sandbox.connection["password"])
    assert "airflow connections add" not in talk.text
    assert re.search(r"Receipts and replies:\s+No app is subscribed to this account", shown)


@pytest.mark.parametrize(
    ("place", "waba_id", "other", "sender"), [("", "100", "200", 2), (2, "200", "100", 1)]
)
def test_of_two_connections_and_two_numbers_the_chosen_ones(
    terminal, two_accounts, place, waba_id, other, sender
):
    there = [(row["connection_id"], row["creation_time"][:10]) for row in maton_connections(two_accounts)]
    numbers = ACCOUNTS[waba_id]
    talk = terminal(*COMMAND, "--host", two_accounts.url, MATON_API_KEY=KEY)
    assert talk.wait_for("]: ") == (
        "Maton API key: taken from MATON_API_KEY.\n"
        "The key has 2 active WhatsApp connections, the oldest first:\n"
        f"  1. {there[0][0]}, made {there[0][1]}\n"
        f"  2. {there[1][0]}, made {there[1][1]}\n"
        "Connection [1-2, Enter: 1]: "
    )
    for wrong in ("3", "0", "both"):
        talk.type(wrong)
        assert talk.wait_for("]: ") == f"{wrong}\n  Enter a number from 1 to 2.\nConnection [1-2, Enter: 1]: "
    talk.type(place)
    talk.wait_for("Account): ")
    talk.type(other)  # which only the connection that was not chosen may see
    assert f"Object with ID '{other}' does not exist" in talk.wait_for("Account): ")
    talk.type(waba_id)
    assert talk.wait_for("]: ") == (
        f"{waba_id}\n"
        "Phone numbers of the account:\n"
        f"{number_line(1, *numbers[0])}"
        f"{number_line(2, *numbers[1])}"
        "Sender [1-2]: "
    )
    talk.type("3")
    assert talk.wait_for("]: ") == "3\n  Enter a number from 1 to 2.\nSender [1-2]: "
    talk.type(sender)

    assert talk.end() == 0
    expected = connection_to(
        two_accounts,
        phone_number_id=numbers[sender - 1][1],
        waba_id=waba_id,
        connection_id=there[(place or 1) - 1][0],
    )
    assert connection_of(talk.text) == ("AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT", expected)


def test_what_it_prints_works(terminal, sandbox, monkeypatch):
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    talk = terminal(*COMMAND, "--host", sandbox.url, MATON_API_KEY=sandbox.connection["password"])
    talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])
    assert talk.end() == 0
    name, connection = connection_of(talk.text)
    monkeypatch.setenv(name, json.dumps(connection))

    right, words = MatonWhatsAppHook().test_connection()
    assert right, words


def open_the_address(talk):
    """Do what the screen asks for, as a browser would; return the address."""
    shown = talk.wait_for("Waiting for the login, 300 s at most ...")
    url = re.search(r"^ +(http\S+)$", shown, re.MULTILINE)[1]
    requests.get(url, timeout=10).raise_for_status()
    talk.wait_for("the connection is active")
    return url


def test_a_connection_is_made_where_there_is_none(terminal, no_connection):
    sandbox = no_connection
    talk = terminal(*COMMAND, "--host", sandbox.url, MATON_API_KEY=sandbox.connection["password"])
    open_the_address(talk)
    talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])

    assert talk.end() == 0
    (made,) = maton_connections(sandbox)
    assert connection_of(talk.text)[1]["extra"]["connection_id"] == made["connection_id"]


def test_a_log_in_that_does_not_come_in_time_is_told(terminal, no_connection):
    key = no_connection.connection["password"]
    talk = terminal(*COMMAND, "--host", no_connection.url, "--timeout", "0.5", MATON_API_KEY=key)

    assert talk.end() == 1
    assert "Waiting for the login, 0.5 s at most ...\n" in talk.text
    assert "the Maton connection is still PENDING after 0.5 s" in talk.text
    assert "Open its URL in a browser and finish the login." in talk.text
    assert "AIRFLOW_CONN_" not in talk.text
    assert "Traceback" not in talk.text


def test_the_log_in_may_be_finished_in_a_later_run(terminal, no_connection):
    sandbox = no_connection
    control_plane(sandbox, "POST", json={"app": "whatsapp-business"})
    (pending,) = maton_connections(sandbox)
    talk = terminal(*COMMAND, "--host", sandbox.url, MATON_API_KEY=sandbox.connection["password"])
    assert open_the_address(talk) == pending["url"]
    talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])

    assert talk.end() == 0
    (active,) = maton_connections(sandbox)
    assert (active["connection_id"], active["status"]) == (pending["connection_id"], "ACTIVE")
    assert connection_of(talk.text)[1]["extra"]["connection_id"] == pending["connection_id"]


def test_a_wrong_account_is_asked_for_again(terminal, sandbox):
    talk = terminal(*COMMAND, "--host", sandbox.url, MATON_API_KEY=sandbox.connection["password"])
    talk.wait_for("Account): ")
    for wrong in ("", "+15550001111"):
        talk.type(wrong)
        assert "That is not an account ID: an ID has only digits" in talk.wait_for("Account): ")
    talk.type("123")
    assert "Object with ID '123' does not exist" in talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])

    assert talk.end() == 0
    assert connection_of(talk.text)[1]["extra"]["waba_id"] == sandbox.extra["waba_id"]


def test_an_account_without_a_number_is_asked_for_again(terminal, sandbox):
    sandbox.fail_next("status", status=200, body={"data": []}, path="phone_numbers")
    talk = terminal(*COMMAND, "--host", sandbox.url, MATON_API_KEY=sandbox.connection["password"])
    talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])
    assert "This account has no phone number yet." in talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])

    assert talk.end() == 0
    assert connection_of(talk.text)[1]["extra"]["phone_number_id"] == sandbox.extra["phone_number_id"]


def test_a_wrong_key_is_told(terminal, sandbox):
    talk = terminal(*COMMAND, "--host", sandbox.url, MATON_API_KEY="wrong-key")

    assert talk.end() == 1
    assert "Maton did not accept the API key" in talk.text
    assert "Traceback" not in talk.text
    assert "wrong-key" not in talk.text


def test_an_id_that_no_shell_takes_as_a_variable_s_name(terminal, sandbox):
    key = sandbox.connection["password"]
    talk = terminal(*COMMAND, "--host", sandbox.url, "--conn-id", "sales-team", MATON_API_KEY=key)
    talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])

    assert talk.end() == 0
    assert "export " not in talk.text
    (line,) = [line for line in talk.text.splitlines() if key in line]
    assert json.loads(line)["password"] == key
    assert "The connection sales-team" in talk.text


def test_an_end_of_input_is_an_end(terminal, sandbox):
    talk = terminal(*COMMAND, "--host", sandbox.url)
    talk.wait_for("not shown): ")
    os.write(talk._master, b"\x04")

    assert talk.end() == 1
    assert "Stopped" in talk.text
    assert "Traceback" not in talk.text


def test_what_is_given_is_not_asked_for_and_the_key_goes_into_a_file_of_one_s_own(
    terminal, two_accounts, tmp_path
):
    first, second = (row["connection_id"] for row in maton_connections(two_accounts))
    file = tmp_path / ".env"
    file.write_text("# mine\nA=1\nexport AIRFLOW_CONN_SALES = old\nB='2'\n")
    file.chmod(0o644)
    given = ("--connection-id", second, "--waba-id", "200", "--phone-number-id", "202", "--to", "")
    stored = ("--conn-id", "sales", "--env-file", str(file))
    talk = terminal(*COMMAND, "--host", two_accounts.url, *given, *stored, MATON_API_KEY=KEY)

    assert talk.end() == 0
    assert "]: " not in talk.text
    assert "Account): " not in talk.text
    assert KEY not in talk.text
    assert f"{file} now sets AIRFLOW_CONN_SALES" in talk.text
    kept, line = file.read_text().rstrip("\n").rsplit("\n", 1)
    assert kept == "# mine\nA=1\nB='2'"
    assert file.stat().st_mode & 0o777 == 0o600
    name, _, value = shlex.split(line)[0].partition("=")
    assert (name, json.loads(value)) == (
        "AIRFLOW_CONN_SALES",
        connection_to(two_accounts, phone_number_id="202", waba_id="200", connection_id=second),
    )
    assert first not in line


def test_a_first_message_goes_to_the_user_s_own_phone(terminal, sandbox):
    talk = terminal(*COMMAND, "--host", sandbox.url, MATON_API_KEY=sandbox.connection["password"])
    talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])
    talk.wait_for("(Enter: no message): ")
    talk.type("12")
    talk.wait_for("(Enter: no message): ")
    talk.type("+1 555 010 0199")

    assert talk.end() == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", talk.text)
    assert re.search(r"OK +key ", plain)
    assert re.search(r"OK +message +accepted as ", plain)
    (message,) = sandbox.messages
    assert message["payload"]["template"]["name"] == "hello_world"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--env-file", "x", "--conn-id", "sales-team"), "cannot be part of a variable's name"),
        (("--env-file", "/nowhere/at/all"), "its folder does not exist"),
    ],
    ids=["name", "folder"],
)
def test_what_could_not_be_stored_is_refused_before_a_question(terminal, options, words):
    talk = terminal(*COMMAND, *options)

    assert talk.end() == 1
    assert words in talk.text
    assert "API key" not in talk.text


def test_a_file_that_cannot_be_written_is_an_error_in_a_sentence(tmp_path):
    from airflow_provider_whatsapp.client.errors import ConfigurationError
    from airflow_provider_whatsapp.connect import set_variable

    file = tmp_path / ".env"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="it is not UTF-8"):
        set_variable(file, "A", "{}")
    assert file.read_bytes() == b"\xff\xfe"
    with pytest.raises(ConfigurationError, match="Is a directory"):
        set_variable(tmp_path, "A", "{}")
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


@pytest.mark.airflow
def test_airflow_keeps_the_connection_and_another_one_is_replaced_by_force_alone(terminal, sandbox, forks):
    from airflow.models.connection import Connection
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session

    initdb()
    key = sandbox.connection["password"]
    given = ("--waba-id", sandbox.extra["waba_id"], "--to", "", "--conn-id", "stored_by_connect", "--save")
    command = (*COMMAND, "--host", sandbox.url, *given)
    for place, (more, status, by) in enumerate([((), 0, None), ((), 1, forks), (("--force",), 0, forks)]):
        talk = terminal(*command, *more, forks=by, MATON_API_KEY=key)
        assert talk.end() == status, talk.text
        assert key not in talk.text
        said = "Airflow now has the connection stored_by_connect." if not status else "Add --force"
        assert said in talk.text, place
        assert ("airflow whatsapp doctor --conn-id stored_by_connect" in talk.text) is (status == 0), place

    found = Connection.get_connection_from_secrets("stored_by_connect")
    assert (found.conn_type, found.password, found.host) == ("maton_whatsapp", key, sandbox.url)
    assert found.extra_dejson["waba_id"] == sandbox.extra["waba_id"]
    with create_session() as session:
        session.query(Connection).filter(Connection.conn_id == "stored_by_connect").delete()


@pytest.mark.airflow
@pytest.mark.skipif(not AIRFLOW_HAS_IT, reason="Airflow takes commands of providers from 3.2 on")
def test_airflow_s_own_command_asks_the_same(terminal, sandbox, forks):
    (maton,) = maton_connections(sandbox)
    talk = terminal(*AIRFLOW_COMMAND, "--host", sandbox.url, "--conn-id", "orders", forks=forks)
    talk.wait_for("not shown): ")
    talk.type(sandbox.connection["password"])
    talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])

    assert talk.end() == 0, talk.text
    expected = connection_to(
        sandbox,
        phone_number_id=sandbox.extra["phone_number_id"],
        waba_id=sandbox.extra["waba_id"],
        connection_id=maton["connection_id"],
    )
    assert connection_of(talk.text) == ("AIRFLOW_CONN_ORDERS", expected)


@pytest.mark.airflow
@pytest.mark.skipif(AIRFLOW_HAS_IT, reason="Airflow 3.2 has the command")
def test_airflow_3_1_has_the_package_s_command_alone(terminal, forks):
    """As the reference says; the other tests here show that the package's own works on 3.1 too."""
    talk = terminal(*AIRFLOW_COMMAND, forks=forks, NO_COLOR="1")

    assert talk.end() == 2
    assert "invalid choice: 'whatsapp'" in talk.text
