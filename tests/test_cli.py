"""The commands as a shell runs them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_whatsapp import cli
from airflow_provider_whatsapp.message_templates.render import coloured
from tests.forks import run_module

ROOT = Path(__file__).parents[1]
GOOD = "name: late\ncategory: UTILITY\nlanguages:\n  en_US: {body: It is late.}\n"


def variables(**changes):
    """Return this process's environment with some changes."""
    return {name: value for name, value in {**os.environ, **changes}.items() if value is not None}


@pytest.fixture
def run(sandbox, command_forks, tmp_path):
    """Run a command; the environment holds the sandbox's connection."""

    def run(*arguments, **environment):
        command = (run_module, "airflow_provider_whatsapp", *arguments)
        return command_forks.run(*command, cwd=tmp_path, env=variables(**environment))

    (tmp_path / "late.yaml").write_text(GOOD)
    return run


@pytest.fixture
def run_afresh(sandbox, tmp_path):
    """Run a command as a shell does: what it imports is a part of it."""

    def run(*arguments):
        command = [sys.executable, "-m", "airflow_provider_whatsapp", *map(str, arguments)]
        options = {"cwd": tmp_path, "env": variables(PYTHONPATH=str(ROOT))}
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    (tmp_path / "late.yaml").write_text(GOOD)
    return run


def test_plan_apply_plan(run_afresh, tmp_path, sandbox):
    run = run_afresh
    planned = run("templates", "plan", "late.yaml")
    assert (planned.returncode, planned.stderr) == (2, "")
    assert "+ create  late (en_US)  [late.yaml:4]" in planned.stdout
    assert "      +body: It is late." in planned.stdout

    applied = run("templates", "apply", ".")
    assert applied.returncode == 0
    assert "done  create late (en_US); now PENDING" in applied.stdout

    again = run("templates", "plan", tmp_path)
    assert (again.returncode, again.stdout) == (0, "1 unchanged.\n")


def test_json(run):
    planned = run("templates", "plan", ".", "--json")
    (change,) = json.loads(planned.stdout)["changes"]
    assert (planned.returncode, change["action"], change["where"]) == (2, "create", "late.yaml:4")

    applied = json.loads(run("templates", "apply", ".", "--json").stdout)
    assert applied["done"] == 1
    assert applied["outcomes"][0]["status"] == "PENDING"

    pulled = json.loads(run("templates", "pull", "there", "--json").stdout)
    assert pulled["written"] == ["there/hello_world.yaml", "there/late.yaml"]
    assert run("templates", "plan", "there").returncode == 0


def test_mistakes_in_files_are_told_before_any_request(run, sandbox, tmp_path):
    (tmp_path / "late.yaml").write_text(GOOD.replace("body", "bodi"))

    found = run("templates", "plan", "late.yaml")
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith("late.yaml:4: ")
    assert "did you mean 'body'?" in found.stderr
    told = json.loads(run("templates", "plan", "late.yaml", "--json").stdout)
    assert told["error"]["problems"][0]["where"] == "late.yaml:4"
    assert sandbox.requests_to("message_templates") == []


def test_prune_deletes_only_when_asked(run, tmp_path, sandbox):
    (tmp_path / "late.yaml").write_text(GOOD + "  de: {body: Es ist spät.}\n")
    run("templates", "apply", ".")
    (tmp_path / "late.yaml").write_text(GOOD)

    kept = run("templates", "plan", ".")
    assert kept.returncode == 0
    assert "--prune would delete: late (de)" in kept.stdout
    assert run("templates", "plan", ".", "--prune").returncode == 2
    refused = run("templates", "apply", ".", "--prune", "--max-deletions", "0")
    assert (refused.returncode, "max_deletions" in refused.stderr) == (1, True)
    assert "- delete  late (de, PENDING)" in run("templates", "apply", ".", "--prune").stdout
    assert run("templates", "plan", ".", "--prune").returncode == 0


def test_a_blocked_change_leaves_exit_status_2_and_the_record_knows_when(run, tmp_path, sandbox):
    for body in ("It is late.", "It is very late."):
        (tmp_path / "late.yaml").write_text(GOOD.replace("It is late.", body))
        assert run("templates", "apply", ".").returncode == 0
        sandbox.control("POST", "templates", name="late", language="en_US", status="APPROVED")
    (tmp_path / "late.yaml").write_text(GOOD)

    planned = json.loads(run("templates", "plan", ".", "--json").stdout)
    assert planned["blocked"] == 1
    assert planned["changes"][0]["possible_at"]
    applied = run("templates", "apply", ".")
    assert applied.returncode == 2
    assert "one edit of an approved template in 24 hours" in applied.stdout


def test_the_key_from_the_environment_and_the_rest_from_options(run, sandbox):
    nothing = {"AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT": None}
    assert "MATON_API_KEY" in run("templates", "plan", ".", **nothing).stderr
    key = {**nothing, "MATON_API_KEY": sandbox.connection["password"]}
    assert "waba_id" in run("templates", "plan", ".", "--host", sandbox.url, **key).stderr
    options = ("--host", sandbox.url, "--waba-id", sandbox.extra["waba_id"])
    assert run("templates", "plan", ".", *options, **key).returncode == 2


@pytest.mark.parametrize("command", ["plan", "apply", "pull"])
@pytest.mark.parametrize("wrong", [[".", "--wrongoption"], ["one", "two"], [], [".", "--max-deletions", "x"]])
def test_a_wrong_command_line_does_not_look_like_changes(run, command, wrong):
    found = run("templates", command, *wrong)

    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith("usage: python -m airflow_provider_whatsapp")
    assert "error: " in found.stderr


@pytest.mark.parametrize("wrong", [[], ["templates"], ["templates", "plant", "."], ["connect", "now"]])
def test_a_command_that_there_is_not_is_an_error_too(run, wrong):
    assert run(*wrong).returncode == 1


def test_help_and_version_are_no_errors(run):
    assert run("templates", "plan", "--help").returncode == 0
    assert run("--version").returncode == 0


@pytest.mark.parametrize("named", [[], ["--conn-id", "maton_whatsapp_default"]])
def test_without_a_connection_it_says_what_it_reads(run, named):
    found = run("templates", "plan", ".", *named, AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT=None, MATON_API_KEY="")

    assert (found.returncode, found.stderr.count("\n")) == (1, 1)
    assert found.stderr.startswith("the environment has no AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT, and ")
    assert "MATON_API_KEY" in found.stderr
    assert ("leave out --conn-id" in found.stderr) == bool(named)
    command = " ".join(["airflow whatsapp templates plan", *named])
    assert f"`{command}` (Airflow 3.2 and later)" in found.stderr


def test_another_connection(run, sandbox):
    found = run("templates", "plan", ".", "--conn-id", "other", MATON_API_KEY="key-123456")
    assert (found.returncode, "AIRFLOW_CONN_OTHER" in found.stderr) == (1, True)
    connection = json.dumps({**sandbox.connection, "extra": json.dumps(sandbox.extra)})
    assert run("templates", "plan", ".", "--conn-id", "other", AIRFLOW_CONN_OTHER=connection).returncode == 2
    uri = run("templates", "plan", ".", "--conn-id", "other", AIRFLOW_CONN_OTHER="maton-whatsapp://:secret@x")
    assert (uri.returncode, "secret" in uri.stderr) == (1, False)
    assert "not a JSON object" in uri.stderr


def test_an_error_of_the_account_is_one_line(run, sandbox):
    connection = json.dumps({**sandbox.connection, "password": "wrong-key"})
    found = run("templates", "plan", ".", AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT=connection)

    assert found.returncode == 1
    assert found.stderr.count("\n") == 1
    assert "wrong-key" not in found.stderr


def test_nothing_of_airflow_is_imported(run, tmp_path):
    code = """
import sys
from airflow_provider_whatsapp.cli import main
status = main(["templates", "plan", "late.yaml"])
print(status, sorted({name.split(".")[0] for name in sys.modules if name.startswith(("airflow", "sqlalchemy"))}))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    printed = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    ).stdout
    assert printed.splitlines()[-1] == "2 ['airflow_provider_whatsapp']"


class Tty(io.StringIO):
    """Output that says that it is a terminal."""

    def isatty(self):
        return True


PLAN = "+ create  late (en_US)\n      - old\n      + new\n~ edit  report (en_US)\n2 create.\nx-ray: none"
IN_COLOUR = (
    "\x1b[32m+ create  late (en_US)\x1b[0m\n\x1b[31m      - old\x1b[0m\n\x1b[32m      + new\x1b[0m\n"
    "\x1b[33m~ edit  report (en_US)\x1b[0m\n2 create.\nx-ray: none"
)


@pytest.mark.parametrize(
    ("output", "environment", "expected"),
    [
        (Tty, {}, IN_COLOUR),
        (Tty, {"NO_COLOR": ""}, IN_COLOUR),
        (Tty, {"NO_COLOR": "1"}, PLAN),
        (Tty, {"TERM": "dumb"}, PLAN),
        (io.StringIO, {}, PLAN),
    ],
    ids=["terminal", "empty", "no-colour", "dumb", "pipe"],
)
def test_a_plan_has_colours_on_a_terminal_that_wants_them(output, environment, expected, monkeypatch):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", output())

    cli._show(PLAN, paint=coloured)

    assert sys.stdout.getvalue() == f"{expected}\n"


def test_what_a_plan_quotes_commands_no_terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", Tty())

    cli._show("+ create \x1b[2J", paint=coloured)

    assert sys.stdout.getvalue() == "\x1b[32m+ create \x1b[0m\n"


def test_help_names_where_to_begin():
    said = cli.parser().format_help()

    assert all(
        f"airflow_provider_whatsapp{name} " in said
        for name in (".sandbox", " connect", " doctor", " receiver")
    )


def test_without_a_command_it_shows_the_help(run):
    found = run()

    assert (found.returncode, found.stdout) == (1, "")
    assert "first steps:" in found.stderr
    assert "error:" not in found.stderr
