"""``doctor`` says of each part of a connection whether it works, reads alone, and writes no value down."""

from __future__ import annotations

import json
import os
import socket

import pytest

from airflow_provider_whatsapp.cli import main
from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
from airflow_provider_whatsapp.examination import Examination, _finding
from tests.redis_server import RedisProcess, need_redis

TO = "+15550001111"
LATENCY, PACE = 0.2, 0.1
"""Seconds of a far gateway, and between two requests at Maton's rate."""
CHECKS = ["key", "Maton connection", "number", "account", "health", "templates", "receipts", "message"]


@pytest.fixture
def doctor(sandbox, capsys):
    """Run the command, and return its exit status and its lines by check: outcome and words."""

    def run(*arguments):
        status = main(["doctor", *arguments])
        printed = capsys.readouterr().out
        lines = {line[8:26].strip(): (line[:8].strip(), line[26:]) for line in printed.splitlines()}
        return status, lines

    return run


def outcomes(lines):
    return {name: outcome for name, (outcome, _) in lines.items()}


def own_requests(sandbox):
    return [each for each in sandbox.requests if "_sandbox" not in each["path"]]


def test_one_line_for_each_check(doctor, sandbox):
    status, lines = doctor()

    assert status == 0
    assert list(lines) == CHECKS
    assert {outcome for outcome, _ in lines.values()} <= {"OK", "SKIPPED"}
    assert lines["number"] == (
        "OK",
        "+1 555-010-1000, WhatsApp Sandbox, quality GREEN, limit TIER_UNLIMITED.",
    )
    assert lines["templates"] == ("OK", "1, 1 of them approved.")
    assert lines["message"] == (
        "SKIPPED",
        "give your own phone's number with --to, to send hello_world there.",
    )


def test_a_sandbox_that_does_not_run_is_to_be_started(doctor, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        status, lines = doctor("--host", f"http://127.0.0.1:{taken.getsockname()[1]}")

    assert status == 1
    assert "start the sandbox: `python -m airflow_provider_whatsapp.sandbox`" in lines["key"][1]


@pytest.mark.parametrize("there", [True, False])
def test_the_redis_that_paces_has_a_line(doctor, change_connection, there):
    need_redis()
    process = RedisProcess()
    try:
        change_connection(extra={"pace_redis": process.url})
        if not there:
            process.kill()
        status, lines = doctor()
    finally:
        process.kill()

    assert lines["pacing"][0] == ("OK" if there else "FAIL")
    assert lines["alerts"][0] == ("OK" if there else "SKIPPED")
    assert f"127.0.0.1:{process.port}" in lines["pacing"][1]
    assert status == int(not there)


def test_a_terminal_gets_colours_and_what_is_being_checked(sandbox, capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    main(["doctor"])
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)

    main(["doctor"])

    printed = capsys.readouterr().out
    assert "\x1b[32mOK" in printed
    assert "\x1b[33mSKIPPED" in printed
    assert "checking templates ..." in printed


def test_it_only_reads_and_ends_soon(doctor, sandbox):
    doctor()

    asked = own_requests(sandbox)
    assert {each["method"] for each in asked} == {"GET"}
    assert len(asked) * (LATENCY + PACE) < 10 / 2


def test_a_message_goes_to_your_own_phone_alone(doctor, sandbox):
    status, lines = doctor("--to", TO, "--wait", "0")

    assert (status, lines["message"][0]) == (0, "OK")
    (message,) = sandbox.messages
    assert (message["to"], message["payload"]["template"]["name"]) == ("15550001111", "hello_world")
    assert [each["method"] for each in own_requests(sandbox)].count("POST") == 1
    assert "accepted as ..." in lines["message"][1]


@pytest.fixture
def examine(sandbox):
    """Make the checks of a connection whose time passes when it waits."""

    def run(to=TO, wait=30.0, **settings):
        found = {
            "api_key": sandbox.connection["password"],
            "host": sandbox.url,
            "rate_limit": 0,
            "max_retries": 0,
            **{name: sandbox.extra[name] for name in ("phone_number_id", "waba_id")},
            **settings,
        }
        sleep = lambda seconds: sandbox.control("POST", "clock", advance=60)  # noqa: E731
        with WhatsAppClient(ClientConfig(**found)) as client:
            return {each.name: each for each in Examination(client, to, wait, sleep=sleep).run()}

    return run


def test_it_waits_until_the_message_has_arrived(examine, sandbox):
    found = examine()["message"]

    assert found.outcome == "OK"
    assert found.said.endswith(("delivered.", "read."))
    assert len(sandbox.requests_to("message_history")) > 1


def test_a_message_that_fails_is_a_failure(examine, sandbox):
    sandbox.recipient(TO[1:], on_whatsapp=False)

    found = examine()["message"]

    assert found.outcome == "FAIL"
    assert "WhatsApp accepted it, but it failed later" in found.said


def test_a_history_that_is_closed_is_said(examine, sandbox):
    body = {"error": {"message": "(#10) no permission", "code": 10, "type": "OAuthException"}}
    sandbox.fail_next("status", times=0, status=403, body=body, path="message_history")

    found = examine()["message"]

    assert found.outcome == "OK"
    assert "this connection cannot read whether it arrived" in found.said
    assert len(sandbox.requests_to("message_history")) == 1


@pytest.mark.parametrize(
    ("settings", "failed", "skipped", "words"),
    [
        ({"api_key": "wrong-key-1"}, "key", CHECKS[1:], "Maton did not accept the API key"),
        (
            {"connection_id": "nobody"},
            "Maton connection",
            CHECKS[2:],
            "nobody is not among the key's 1 active",
        ),
        ({"phone_number_id": "123"}, "number", ["health", "message"], "phone_number_id"),
        ({"waba_id": "123"}, "account", ["templates", "receipts"], "waba_id"),
        ({"waba_id": None}, None, ["account", "templates", "receipts"], ""),
        ({"phone_number_id": None}, "number", ["health", "message"], "phone_number_id is not set"),
    ],
    ids=["key", "connection", "number", "account", "no account", "no number"],
)
def test_what_is_wrong_is_named_once(examine, sandbox, settings, failed, skipped, words):
    found = examine(wait=0, **settings)

    assert list(found) == CHECKS
    wrong = [name for name, each in found.items() if each.outcome == "FAIL"]
    assert wrong == ([failed] if failed else [])
    assert set(skipped) <= {name for name, each in found.items() if each.outcome == "SKIPPED"}
    if failed:
        assert words in found[failed].said
    assert "wrong-key-1" not in str(found)


@pytest.mark.parametrize(
    ("given", "outcome", "words"),
    [
        ({"entity_type": "WABA", "can_send_message": "BLOCKED"}, "FAIL", "is BLOCKED (141006"),
        ({"entity_type": "BUSINESS", "can_send_message": "LIMITED"}, "OK", "is LIMITED (The business"),
        ({"can_send_message": "BLOCKED"}, "OK", "overall word is BLOCKED"),
        ({"refused": True}, "SKIPPED", "not known"),
    ],
    ids=["blocked", "limited", "overall", "refused"],
)
def test_health(examine, sandbox, given, outcome, words):
    sandbox.control("POST", "health_status", **given)

    found = examine(to=None)["health"]

    assert (found.outcome, words in found.said) == (outcome, True)


def test_an_answer_that_nobody_has_foreseen_is_a_failure_of_its_check_alone():
    found = _finding("number", lambda: {}["a secret name"])

    assert (found.outcome, found.said.startswith("the answer could not be read: KeyError (")) == (
        "FAIL",
        True,
    )
    assert "secret" not in found.said


def test_who_stops_it_sees_no_traceback(sandbox, capsys, monkeypatch):
    def stopped(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Examination, "run", stopped)

    assert main(["doctor"]) == 1
    assert capsys.readouterr().err == "\nStopped.\n"


APPS = "subscribed_apps"
OWN = {"whatsapp_business_api_data": {"id": "1", "name": "Maton"}}


@pytest.mark.parametrize(
    ("apps", "node", "outcome", "words"),
    [
        ({"data": [OWN]}, {}, "OK", "1 app subscribed; no address of your own"),
        (
            {"data": [{**OWN, "override_callback_uri": "https://a.example/secret-1"}]},
            {},
            "OK",
            "go to a.example.",
        ),
        (
            {"data": [OWN, OWN]},
            {
                "webhook_configuration": {
                    "phone_number": "https://n.example/secret-1",
                    "application": "https://x.example",
                }
            },
            "OK",
            "2 apps subscribed; receipts and replies go to n.example.",
        ),
        ({"data": []}, {}, "SKIPPED", "no app is subscribed"),
        ({"error": {"message": "(#200) no", "code": 200}}, {}, "SKIPPED", "may not read it"),
        (
            {"data": [OWN]},
            {"error": {"message": "(#100) no field", "code": 100}},
            "SKIPPED",
            "may not read it",
        ),
    ],
    ids=["none of your own", "account's", "number's", "nobody", "refused", "field refused"],
)
def test_receipts(examine, sandbox, apps, node, outcome, words):
    for path, body in ((f"/{APPS}", apps), (f"*/v25.0/{sandbox.extra['phone_number_id']}", node)):
        status = 400 if "error" in body else 200
        # The number is asked for itself and for its health before it is asked for its webhooks.
        skip = 0 if path.endswith(APPS) else 2
        sandbox.fail_next("status", times=0, status=status, body=body, path=path, skip=skip)

    found = examine(to=None)["receipts"]

    assert (found.outcome, words in found.said) == (outcome, True)
    assert "secret-1" not in found.said


def test_receipts_once_the_app_is_subscribed(doctor, sandbox):
    assert doctor()[1]["receipts"][0] == "SKIPPED"
    sandbox.client(rate_limit=0).webhooks.subscribe_app()

    status, lines = doctor()

    assert (status, lines["receipts"][0]) == (0, "OK")
    assert lines["receipts"][1].startswith("1 app subscribed; no address of your own")


def test_the_shapes_hold_no_value(doctor, sandbox, tmp_path):
    file = tmp_path / "shapes.json"

    doctor("--json", str(file), "--to", TO, "--wait", "0")

    text = file.read_text("utf-8")
    written = json.loads(text)
    assert list(written["checks"]) == CHECKS
    assert written["api_version"] == "v25.0"
    asked = [each["request"] for each in written["answers"]]
    assert asked[0] == "GET connections"
    assert {
        "GET {phone_number_id}",
        "GET {waba_id}/message_templates",
        "POST {phone_number_id}/messages",
    } <= set(asked)
    values = [
        *(sandbox.connection["password"], sandbox.url),
        *(sandbox.extra["phone_number_id"], sandbox.extra["waba_id"]),
        "555",
        "hello_world",
        "Sandbox",
        "wamid",
    ]
    assert [value for value in values if value in text] == []


@pytest.mark.parametrize("place", ["nowhere/shapes.json", "."])
def test_a_file_that_cannot_be_written_is_said_before_anything_is_asked(sandbox, tmp_path, capsys, place):
    assert main(["doctor", "--json", str(tmp_path / place)]) == 1

    assert "--json" in capsys.readouterr().err
    assert own_requests(sandbox) == []


@pytest.mark.parametrize("wait", ["nan", "-1", "inf", "soon", "601"])
def test_a_time_that_cannot_be_waited_is_refused(sandbox, capsys, wait):
    with pytest.raises(SystemExit) as ended:
        main(["doctor", f"--wait={wait}"])

    assert ended.value.code == 1
    assert f"must be 0 to 600 seconds, not {wait}" in capsys.readouterr().err
    assert own_requests(sandbox) == []


def test_a_number_that_is_none_is_said_before_anything_is_asked(doctor, sandbox):
    status, lines = doctor("--to", "5550001111x")

    assert (status, outcomes(lines)) == (1, {"settings": "FAIL"})
    assert own_requests(sandbox) == []


def test_without_a_connection_it_says_where_to_put_one(doctor, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT")

    status, lines = doctor()

    assert (status, outcomes(lines)) == (1, {"settings": "FAIL"})
    for told in (
        "AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT",
        "If Airflow keeps the connection (connect --save, or Admin > Connections), run `airflow whatsapp doctor` ",
        "If a file keeps it (connect --env-file .env), run `set -a; . ./.env; set +a` first",
        "set MATON_API_KEY and give --waba-id",
    ):
        assert told in lines["settings"][1]


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["doctor"], "`airflow whatsapp doctor --conn-id sales`"),
        (["templates", "pull", "templates"], "`airflow whatsapp templates pull --conn-id sales`"),
        (["webhook", "status"], "`airflow whatsapp webhook status --conn-id sales`"),
    ],
    ids=["doctor", "templates", "webhook"],
)
def test_the_command_for_a_connection_in_airflow_is_named_whole(command, named, capsys):
    assert main([*command, "--conn-id", "sales"]) == 1

    captured = capsys.readouterr()
    assert named in captured.out + captured.err


def test_options_win_over_the_connection(doctor, sandbox, change_connection):
    change_connection(host="http://127.0.0.1:1", drop=["waba_id"], extra={"phone_number_id": "1"})
    own = ["--phone-number-id", sandbox.extra["phone_number_id"], "--waba-id", sandbox.extra["waba_id"]]

    assert doctor("--host", sandbox.url, *own)[0] == 0


def test_a_gateway_that_fails_is_asked_again_once(doctor, sandbox, change_connection):
    sandbox.fail_next("status", status=500, times=1, path="/connections")
    assert doctor()[0] == 0
    sandbox.fail_next("status", status=500, times=2, path="/connections")

    status, lines = doctor()

    assert (status, lines["key"][0], lines["number"][0]) == (1, "FAIL", "SKIPPED")


def test_nothing_of_airflow_is_imported():
    import subprocess
    import sys

    code = (
        "import sys; from airflow_provider_whatsapp.cli import main; main(['doctor', '--host', 'http://127.0.0.1:1']);"
        "print(sorted({name.split('.')[0] for name in sys.modules if name.startswith('airflow')}))"
    )
    environment = {**os.environ, "MATON_API_KEY": "key"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.splitlines()[-1] == "['airflow_provider_whatsapp']"
