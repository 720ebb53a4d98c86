"""The commands against an account whose texts command terminals and forge lines, and repeat the key and numbers."""

from __future__ import annotations

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from airflow_provider_whatsapp.cli import main

KEY = "a-key-that-must-not-leak"
HOSTILE = "\x1b[31mred\x1b]0;owned\x07\x9b2J\u202e\x00\ud800\x08"
LINES = f"{HOSTILE}\nforged line\r"
ITEM = {
    "connection_id": "conn-1",
    "creation_time": LINES,
    "status": "ACTIVE",
    "url": f"https://x.example/{LINES}",
}
NUMBER = {
    "id": "106540352242922",
    "display_phone_number": f"+1 555-010-1000{LINES}",
    "verified_name": LINES + KEY,
}
TEMPLATE = {
    "id": "1",
    "name": "late",
    "language": "en_US",
    "status": f"APPROVED{LINES}",
    "category": "UTILITY",
    "rejected_reason": LINES,
    "components": [{"type": "BODY", "text": f"{LINES} {KEY} \u05e9\u200f 👨\u200d👩"}],
}

HEALTH = {
    "entities": [
        {
            "entity_type": LINES,
            "can_send_message": "BLOCKED",
            "errors": [
                {"error_code": 1, "error_description": LINES + KEY, "possible_solution": "+15550001111"}
            ],
        }
    ]
}


@pytest.fixture
def account(monkeypatch):
    """A gateway whose every text is hostile; its key is in the environment."""
    answers = {
        "/connections": {"connections": [ITEM, {**ITEM, "connection_id": f"conn-2{LINES}"}]},
        "/whatsapp-business/v25.0/200/phone_numbers": {"data": [NUMBER, {**NUMBER, "quality_rating": LINES}]},
        "/whatsapp-business/v25.0/200/message_templates": {"data": [TEMPLATE]},
        "/whatsapp-business/v25.0/200": {"currency": LINES, "account_review_status": LINES},
        "/whatsapp-business/v25.0/200/subscribed_apps": {
            "data": [{LINES: LINES, "override_callback_uri": f"https://{LINES}/secret"}]
        },
        "/whatsapp-business/v25.0/100": {**NUMBER, "quality_rating": LINES, "health_status": HEALTH},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = answers.get(urlsplit(self.path).path)
            said = f"{self.headers['Authorization']} +15550001111 {LINES}"
            body = json.dumps(found or {"message": said, "error": {"code": 100, "message": said}}).encode()
            self.send_response(200 if found else 400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  (the server's name)

        def log_message(self, *args):
            pass

    monkeypatch.setenv("MATON_API_KEY", KEY)
    monkeypatch.delenv("AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT", raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ["--host", f"http://127.0.0.1:{server.server_port}"]
        server.shutdown()


def assert_harmless(text):
    assert {char for char in text if not char.isprintable()} <= {"\n", "\t"}


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "JSON"])
@pytest.mark.parametrize("command", ["plan", "apply", "pull"])
def test_templates_of_the_account_command_no_terminal(account, tmp_path, capsys, command, form):
    (tmp_path / "late.yaml").write_text(
        "name: late\ncategory: UTILITY\nlanguages: {en_US: {body: It is late.}}\n"
    )
    path = tmp_path if command != "pull" else tmp_path / "pulled"

    main(["templates", command, str(path), "--waba-id", "200", *account, *form])

    printed = capsys.readouterr()
    assert printed.out or printed.err
    for text in printed:
        assert_harmless(text)
        assert KEY not in text
        assert "+15550001111" not in text
    assert not [line for line in printed.out.splitlines() if line.startswith("forged line")]
    if form and printed.out:
        json.loads(printed.out)


def test_the_onboarding_shows_what_the_account_says_line_by_line(account, capsys, monkeypatch):
    terminal = io.StringIO("1\n200\n1\n")
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)

    assert main(["connect", *account]) == 0

    printed = capsys.readouterr()
    assert_harmless(printed.out + printed.err)
    shown, _, made = printed.out.partition("The connection, with your key in it.")
    assert "1. +1 555-010-1000" in shown
    assert not [line for line in shown.splitlines() if line.startswith("forged")]
    assert KEY not in shown
    assert KEY in made


def test_doctor_says_what_the_account_answers_line_by_line(account, tmp_path, capsys):
    file = tmp_path / "shapes.json"
    ids = ["--waba-id", "200", "--phone-number-id", "100"]

    assert main(["doctor", *account, *ids, "--json", str(file)]) == 1

    printed = capsys.readouterr().out
    written = file.read_text("utf-8")
    for text in (printed, written):
        assert_harmless(text)
        assert KEY not in text
        assert "5550001111" not in text
    lines = printed.splitlines()
    assert [line.split()[0] for line in lines].count(
        "FAIL"
    ) == 2  # the number is no one of the account, and is blocked
    assert len(lines) == 8
    assert "red" not in written


def test_json_loses_nothing_by_being_harmless(capsys):
    from airflow_provider_whatsapp.cli import _show_json

    value = {"text": f"é👨\u200d👩 {LINES}\U000e0041"}
    _show_json(value)

    printed = capsys.readouterr().out
    assert_harmless(printed)
    assert "é👨" in printed
    assert json.loads(printed) == value
