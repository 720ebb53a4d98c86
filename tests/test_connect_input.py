"""What the onboarding command makes of wrong answers, and of having nobody to ask."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_whatsapp.cli import main
from airflow_provider_whatsapp.connect import how_to_check
from tests.airflow.running import refusal

# The fixtures are taken by their names.
from tests.test_connect import (  # noqa: F401
    COMMAND,
    KEY,
    connection_of,
    maton_connections,
    terminal,
    two_accounts,
    two_accounts_process,
    without_a_key,
)

ROOT = Path(__file__).parents[1]


def without_a_terminal(*command, **options):
    """Run a command, ``connect`` where none is given, without a key in its environment."""
    return subprocess.run(
        command or [sys.executable, "-m", *COMMAND],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=without_a_key(),
        timeout=60,
        **options,
    )


@pytest.mark.parametrize("options", [{"input": "a-key\n"}, {"stdin": subprocess.DEVNULL}])
def test_without_a_terminal_one_line_says_what_is_missing(options):
    done = without_a_terminal(**options)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("connect cannot ask, because its standard input is not a terminal")
    assert "MATON_API_KEY" in done.stderr
    assert "--waba-id" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_closed_input_is_no_terminal_either():
    done = without_a_terminal(stdin=subprocess.DEVNULL, preexec_fn=lambda: os.close(0))

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "not a terminal" in done.stderr


@pytest.fixture
def unattended(sandbox, monkeypatch, capsys):
    """Run the command here, on an input that is not a terminal; the key is in the environment, or None is."""

    def run(*options, key=sandbox.connection["password"], url=sandbox.url):
        monkeypatch.setattr("sys.stdin", io.StringIO("this is no answer\n"))
        monkeypatch.delenv("MATON_API_KEY", raising=False)
        if key is not None:
            monkeypatch.setenv("MATON_API_KEY", key)
        status = main(["connect", "--host", url, *options])
        return status, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("key", "given", "missing"),
    [
        (None, ("--waba-id", "1"), "missing: the Maton API key (set MATON_API_KEY)."),
        (" ", ("--waba-id", "1"), "missing: the Maton API key (set MATON_API_KEY)."),
        ("k", (), "missing: the WhatsApp Business Account (give --waba-id ID)."),
        (
            None,
            ("--to", ""),
            "missing: the Maton API key (set MATON_API_KEY) and the WhatsApp Business Account (give --waba-id ID).",
        ),
    ],
    ids=["key", "empty key", "account", "both"],
)
def test_all_that_is_missing_is_named_before_any_request(unattended, sandbox, key, given, missing):
    status, said, error = unattended(*given, key=key)

    assert (status, said) == (1, "")
    assert missing in error
    assert sandbox.requests == []


@pytest.mark.parametrize("to", [None, "", "+1 555 010 0199"], ids=["nothing", "no message", "a phone"])
def test_with_all_given_nothing_is_asked_and_a_message_goes_only_where_to_says(
    unattended, sandbox, monkeypatch, to
):
    monkeypatch.setattr("airflow_provider_whatsapp.doctor.WAIT", 0.0)
    given = ["--waba-id", sandbox.extra["waba_id"], *([] if to is None else ["--to", to])]
    status, said, error = unattended(*given)

    assert (status, error) == (0, "")
    assert [message["payload"]["template"]["name"] for message in sandbox.messages] == ["hello_world"] * bool(
        to
    )
    name, connection = connection_of(said)
    assert name == "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"
    assert connection["extra"]["phone_number_id"] == sandbox.extra["phone_number_id"]
    assert "(Enter: no message)" not in said
    assert said.rstrip().endswith(
        "To check the connection: set its variable in your shell, then `python -m airflow_provider_whatsapp doctor`."
    )


def test_a_message_that_fails_is_in_the_exit_status_and_the_connection_is_there(
    unattended, sandbox, monkeypatch
):
    monkeypatch.setattr("airflow_provider_whatsapp.doctor.WAIT", 0.0)
    sandbox.fail_next("status", **refusal(131026, "15550100199"))
    status, said, error = unattended("--waba-id", sandbox.extra["waba_id"], "--to", "+1 555 010 0199")

    assert (status, error) == (1, "The connection is stored or printed above, but a check of it failed.\n")
    assert "131026" in said
    assert connection_of(said)[0] == "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"


def test_an_output_that_may_be_a_log_holds_no_key_and_the_connection_works(unattended, sandbox, monkeypatch):
    for given in ((), ("--conn-id", "sales-team")):
        status, said, _ = unattended("--waba-id", sandbox.extra["waba_id"], *given)
        assert status == 0
        assert sandbox.connection["password"] not in said
        assert "without your key, which stays in MATON_API_KEY" in said

    name, connection = connection_of(unattended("--waba-id", sandbox.extra["waba_id"])[1])
    monkeypatch.setenv(name, json.dumps(connection))
    assert main(["doctor"]) == 0


def test_a_file_gets_the_key_and_what_the_last_line_says_works(unattended, sandbox, tmp_path):
    file = tmp_path / "my folder" / ".env"
    file.parent.mkdir()
    given = ("--waba-id", sandbox.extra["waba_id"], "--env-file", str(file), "--conn-id", "sales")
    status, said, _ = unattended(*given)

    assert (status, sandbox.connection["password"] in said) == (0, False)
    last = said.rstrip().splitlines()[-1]
    load, doctor = re.findall("`(.+?)`", last)
    done = without_a_terminal("bash", "-c", f"{load}\n{doctor.replace('python', sys.executable, 1)}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--waba-id", "sales"), "--waba-id: That is not an account ID"),
        (("--waba-id", "123"), "A phone number's ID looks similar"),
        (
            ("--phone-number-id", "123"),
            "--phone-number-id: The account has no phone number with the ID 123; it has ",
        ),
        (("--to", "5550001111x"), "not part of a phone number"),
    ],
    ids=["no account ID", "account", "number", "recipient"],
)
def test_what_is_wrong_ends_the_command_without_a_connection(unattended, sandbox, given, words):
    status, said, error = unattended("--waba-id", sandbox.extra["waba_id"], *given)

    assert status == 1
    assert words in error
    assert "AIRFLOW_CONN_" not in said
    assert sandbox.messages == []


def test_of_several_the_option_that_chooses_is_named(unattended, two_accounts):  # noqa: F811
    first, _ = maton_connections(two_accounts)
    own = {"key": KEY, "url": two_accounts.url}
    status, said, error = unattended("--waba-id", "100", **own)
    assert (status, first["connection_id"] in said) == (1, True)
    assert "missing: which of the 2 above (give --connection-id ID)." in error

    given = ("--waba-id", "100", "--connection-id", first["connection_id"])
    status, said, error = unattended(*given, **own)
    assert (status, "ID 101" in said) == (1, True)
    assert "missing: which of the 2 above (give --phone-number-id ID)." in error

    assert unattended(*given, "--phone-number-id", "102", **own)[0] == 0


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (
            {"saved": True, "env_file": None},
            (
                "To check the connection in Airflow: `airflow whatsapp doctor{}` (on Airflow 3.1: "
                "`AIRFLOW__CORE__TEST_CONNECTION=Enabled airflow connections test {id}`)."
            ),
        ),
        (
            {"saved": False, "env_file": ".env"},
            (
                "To check the connection in the file: `set -a; . ./.env; set +a`, then "
                "`python -m airflow_provider_whatsapp doctor{}`."
            ),
        ),
        (
            {"saved": False, "env_file": None},
            (
                "To check the connection: set its variable in your shell, then "
                "`python -m airflow_provider_whatsapp doctor{}`."
            ),
        ),
    ],
    ids=["Airflow", "file", "printed"],
)
def test_the_last_line_names_the_command_that_reads_the_store(stored, said):
    for conn_id, option in (("maton_whatsapp_default", ""), ("sales", " --conn-id sales")):
        assert how_to_check(conn_id, **stored) == said.replace("{}", option).replace("{id}", conn_id)
    both = how_to_check("sales", saved=True, env_file="/srv/.env").splitlines()
    assert ["Airflow" in both[0], ". /srv/.env;" in both[1]] == [True, True]


def test_a_refused_key_is_asked_for_again(terminal, sandbox):  # noqa: F811
    talk = terminal(*COMMAND, "--host", sandbox.url)
    for wrong, words in {
        "": "That is not a key",
        "two words": "That is not a key",
        "wrong-key": "Maton does not know this key",
    }.items():
        talk.wait_for("not shown): ")
        talk.type(wrong)
        talk.wait_for(words)
    talk.wait_for("not shown): ")
    talk.type(sandbox.connection["password"])
    talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])

    assert talk.end() == 0
    assert connection_of(talk.text)[1]["password"] == sandbox.connection["password"]
    assert "wrong-key" not in talk.text


def test_a_host_that_is_none_is_told_before_any_question(terminal):  # noqa: F811
    talk = terminal(*COMMAND, "--host", "maton")

    assert talk.end() == 1
    assert talk.text.startswith("host is not a URL")


def test_a_wrong_account_is_answered_in_words_of_this_command(terminal, sandbox):  # noqa: F811
    talk = terminal(*COMMAND, "--host", sandbox.url, MATON_API_KEY=sandbox.connection["password"])
    for wrong in ("", "+15550001111", "Sales"):
        talk.wait_for("Account): ")
        talk.type(wrong)
        talk.wait_for("That is not an account ID: an ID has only digits")
    talk.wait_for("Account): ")
    talk.type("123")
    talk.wait_for("A phone number's ID looks similar")
    talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])

    assert talk.end() == 0
    questions = talk.text.partition("The connection, with your key in it")[0]
    assert "extra" not in questions
    assert "hook" not in questions


def test_an_end_in_the_middle_says_what_there_is_not(terminal, sandbox):  # noqa: F811
    talk = terminal(*COMMAND, "--host", sandbox.url)
    talk.wait_for("not shown): ")
    os.write(talk._master, b"\x04")

    assert talk.end() == 1
    assert "Stopped: no connection is stored or printed.\n" in talk.text


def test_an_end_at_the_offer_keeps_the_connection(terminal, sandbox):  # noqa: F811
    talk = terminal(*COMMAND, "--host", sandbox.url, MATON_API_KEY=sandbox.connection["password"])
    talk.wait_for("Account): ")
    talk.type(sandbox.extra["waba_id"])
    talk.wait_for("(Enter: no message): ")
    os.write(talk._master, b"\x04")

    assert talk.end() == 0
    assert "Stopped: the connection is stored or printed above.\n" in talk.text
    assert connection_of(talk.text)[1]["extra"]["waba_id"] == sandbox.extra["waba_id"]
