"""What the onboarding command makes of wrong answers, and of having nobody to ask."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# The fixture is taken by its name.
from tests.test_connect import COMMAND, connection_of, terminal, without_a_key  # noqa: F401

ROOT = Path(__file__).parents[1]


def without_a_terminal(**options):
    return subprocess.run(
        [sys.executable, "-m", *COMMAND],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=without_a_key(),
        timeout=60,
        **options,
    )


@pytest.mark.parametrize("options", [{"input": "a-key\n"}, {"stdin": subprocess.DEVNULL}])
def test_without_a_terminal_one_line_says_so(options):
    done = without_a_terminal(**options)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("connect asks questions, and its standard input is not a terminal")
    assert done.stderr.count("\n") == 1


def test_a_closed_input_is_no_terminal_either():
    done = without_a_terminal(stdin=subprocess.DEVNULL, preexec_fn=lambda: os.close(0))

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "not a terminal" in done.stderr


def test_a_refused_key_is_asked_for_again(terminal, sandbox):  # noqa: F811
    talk = terminal(*COMMAND, "--host", sandbox.url)
    for wrong, words in {
        "": "That is no key",
        "two words": "That is no key",
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
        talk.wait_for("That is no account ID: it is digits alone")
    talk.wait_for("Account): ")
    talk.type("123")
    talk.wait_for("A phone number's ID looks alike")
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
