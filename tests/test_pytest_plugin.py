"""The fixture that users test their DAGs with, and the page that tells them how."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from http.client import RemoteDisconnected
from pathlib import Path

import pytest

from airflow_provider_whatsapp import pytest_plugin
from airflow_provider_whatsapp.client.errors import OutcomeUnknownError
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.pytest_plugin import WhatsAppSandbox

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "how-to" / "testing-your-dags.md"


def run_pytest(folder, *arguments, **variables):
    """Run pytest as a user does: in a folder of their own, with the plugin found by its entry point."""
    hidden = {"PYTEST_CURRENT_TEST", "PYTEST_ADDOPTS", "PYTEST_PLUGINS"}
    mine = {
        name: value
        for name, value in os.environ.items()
        if name not in hidden and not name.startswith("AIRFLOW")
    }
    # What these tests do not use takes most of the time of a start, and collecting garbage a quarter of Airflow's.
    without = [f"-pno:{plugin}" for plugin in ("cacheprovider", "schemathesis", "hypothesispytest", "anyio")]
    program = "import gc, sys, pytest; gc.disable(); sys.exit(pytest.main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", program, *without, *arguments],
        cwd=folder,
        env={**mine, "AIRFLOW_HOME": str(folder / "airflow"), **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def blocks(page):
    """Code in a page that names its file in its first line."""
    return dict(re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", page.read_text(), re.DOTALL))


@pytest.mark.airflow
@pytest.mark.once
@pytest.mark.timeout(330)
def test_the_guide_s_own_examples_pass_and_can_fail(tmp_path):
    files = blocks(GUIDE)
    assert len(files) == 12
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    good = files["tests/test_late_orders.py"]
    (tmp_path / "tests/test_wrong.py").write_text(good.replace("15550100199", "15550100188"))

    done = run_pytest(tmp_path, "-q")

    assert "1 failed, 10 passed" in done.stdout, done.stdout + done.stderr
    assert "FAILED tests/test_wrong.py::test_sales_are_told - AssertionError" in done.stdout


def test_the_guide_s_test_is_ten_lines():
    lines = [line for line in blocks(GUIDE)["tests/test_late_orders.py"].splitlines() if line]

    assert len(lines) + 1 <= 10


def test_nothing_is_loaded_before_a_test_asks_for_it(tmp_path):
    (tmp_path / "test_plain.py").write_text(
        "import sys\n\n\ndef test_plain():\n"
        "    loaded = {'airflow', 'requests', 'starlette', 'uvicorn', 'airflow_provider_whatsapp.sandbox'}\n"
        "    assert 'airflow_provider_whatsapp.pytest_plugin' in sys.modules\n"
        "    assert not loaded & set(sys.modules)\n"
    )

    done = run_pytest(tmp_path, "-q", "-p", "whatsapp_sandbox", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plugin_imports_nothing_of_weight():
    """Pytest loads it in every run: what it adds to pytest is its two modules and the package, which is a version."""
    code = (
        "import sys, json, pytest; before = set(sys.modules); import airflow_provider_whatsapp.pytest_plugin; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    parts = ["", ".pytest_controls", ".pytest_plugin"]
    assert json.loads(done.stdout) == [f"airflow_provider_whatsapp{part}" for part in parts]


def test_options_come_from_pytest_s_configuration(tmp_path):
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nwhatsapp_sandbox_options = --waba-id 777 --rate-limit 5\n"
    )
    (tmp_path / "test_it.py").write_text(
        "def test_it(whatsapp_sandbox):\n"
        "    extra = whatsapp_sandbox.connection['extra']\n"
        "    assert (extra['waba_id'], extra['rate_limit']) == ('777', 5)\n"
    )

    done = run_pytest(tmp_path, "-q")

    assert done.returncode == 0, done.stdout + done.stderr


def test_wrong_options_are_told(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nwhatsapp_sandbox_options = --colour red\n")
    (tmp_path / "test_it.py").write_text("def test_it(whatsapp_sandbox):\n    pass\n")

    done = run_pytest(tmp_path, "-q")

    assert done.returncode == 1
    assert "--colour" in done.stdout
    assert "ended with status 2" in done.stdout


def send(sandbox, body=None, **message):
    """Send a message with nothing but the standard library; return the status and the answer."""
    extra = sandbox.connection["extra"]
    content = {"messaging_product": "whatsapp", "to": "+15550001111", **message}
    request = urllib.request.Request(
        f"{sandbox.url}/whatsapp-business/v25.0/{extra['phone_number_id']}/messages",
        json.dumps(content).encode(),
        {"Authorization": f"Bearer {sandbox.connection['password']}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


HELLO = {"type": "template", "template": {"name": "hello_world", "language": {"code": "en_US"}}}


def named(name):
    return {"type": "template", "template": {"name": name, "language": {"code": "en_US"}}}


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_begins_with_nothing(whatsapp_sandbox, turn):
    assert whatsapp_sandbox.messages == whatsapp_sandbox.requests == whatsapp_sandbox.faults == []
    assert send(whatsapp_sandbox, **HELLO)[0] == 200
    whatsapp_sandbox.fail_next(path="/never")
    assert [each["to"] for each in whatsapp_sandbox.messages] == ["15550001111"]
    assert [each["status"] for each in whatsapp_sandbox.requests] == [200]


def test_the_connection_is_set_and_can_be_set_again(whatsapp_sandbox):
    default = json.loads(os.environ["AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"])
    whatsapp_sandbox.connect("reports", timeout=[1, 2])
    other = json.loads(os.environ["AIRFLOW_CONN_REPORTS"])

    assert default == whatsapp_sandbox.connection
    assert default["extra"]["rate_limit"] == 0
    assert other == {**default, "extra": {**default["extra"], "timeout": [1, 2]}}


def test_the_connections_are_gone_after_the_test(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import os\n\n\ndef test_one(whatsapp_sandbox):\n    whatsapp_sandbox.connect('reports')\n\n\n"
        "def test_two():\n    assert not [name for name in os.environ if name.startswith('AIRFLOW_CONN_')]\n"
    )

    done = run_pytest(tmp_path, "-q")

    assert done.returncode == 0, done.stdout + done.stderr


def test_templates(whatsapp_sandbox):
    templates = whatsapp_sandbox.templates
    assert templates.create("report", "Report of {{1}}, as promised.")["status"] == "APPROVED"
    body = {"type": "body", "parameters": [{"type": "text", "text": "May"}]}
    filled = named("report")
    filled["template"]["components"] = [body]
    assert send(whatsapp_sandbox, **filled)[0] == 200
    for act, code in ((templates.pause, 132015), (templates.reject, 132001)):
        act("report")
        assert send(whatsapp_sandbox, **filled)[1]["error"]["code"] == code
    templates.approve("report")
    assert send(whatsapp_sandbox, **filled)[0] == 200
    document = [{"type": "HEADER", "format": "DOCUMENT"}, {"type": "BODY", "text": "Attached."}]
    made = templates.create(
        "file", components=document, language="de", category="MARKETING", status="PENDING"
    )
    assert (made["language"], made["category"], made["status"]) == ("de", "MARKETING", "PENDING")
    with pytest.raises(pytest_plugin.SandboxError, match="no such template"):
        templates.approve("nothing")


TEMPLATE_FILE = """
name: report
category: UTILITY
parameters: {month: {example: May}}
languages:
  en_US:
    header: {document: sample.pdf}
    body: The report of {{month}} is attached.
  pt_BR: {body: "O relatório de {{month}} está pronto."}
"""
CARD = [
    {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["sample.png"]}},
    {"type": "BODY", "text": "On sale."},
    {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "More"}]},
]
CAROUSEL = [
    {"type": "BODY", "text": "Have a look."},
    {"type": "CAROUSEL", "cards": [{"components": CARD}] * 2},
]
CAROUSEL_FILE = {"name": "sale", "category": "MARKETING", "languages": {"en_US": {"components": CAROUSEL}}}


def test_templates_of_files_are_put_there(whatsapp_sandbox, tmp_path):
    for sample in ("sample.pdf", "sample.png"):
        (tmp_path / sample).write_bytes(b"anything")
    (tmp_path / "report.yaml").write_text(TEMPLATE_FILE)
    (tmp_path / "sale.json").write_text(json.dumps(CAROUSEL_FILE))
    document = {"type": "document", "document": {"link": "https://example.com/a.pdf"}}
    month = {"type": "text", "parameter_name": "month", "text": "May"}
    filled = named("report")
    filled["template"]["components"] = [
        {"type": "header", "parameters": [document]},
        {"type": "body", "parameters": [month]},
    ]

    keys = whatsapp_sandbox.templates.load(tmp_path)

    assert keys == [("report", "en_US"), ("report", "pt_BR"), ("sale", "en_US")]
    assert send(whatsapp_sandbox, **filled)[0] == 200
    whatsapp_sandbox.templates.load(str(tmp_path / "report.yaml"), status="PAUSED")
    assert send(whatsapp_sandbox, **filled)[1]["error"]["code"] == 132015


def test_a_file_that_is_wrong_says_where(whatsapp_sandbox, tmp_path):
    (tmp_path / "wrong.yaml").write_text("name: wrong\ncategory: UTILITY\nlanguages: {en_US: {bdy: Hi}}\n")
    with pytest.raises(Exception, match=r"wrong\.yaml:3"):
        whatsapp_sandbox.templates.load(tmp_path)


def test_reviews_take_an_hour_or_what_was_decided(whatsapp_sandbox):
    whatsapp_sandbox.templates.create("waiting", "Soon.", status="PENDING")
    assert send(whatsapp_sandbox, **named("waiting"))[0] == 404
    before = whatsapp_sandbox.clock.now
    whatsapp_sandbox.clock.advance(3601)
    assert whatsapp_sandbox.clock.now - before >= 3601
    assert send(whatsapp_sandbox, **named("waiting"))[0] == 200
    whatsapp_sandbox.templates.review_next("late*", status="REJECTED", reason="SCAM")


def test_time_can_stand_still(whatsapp_sandbox):
    clock = whatsapp_sandbox.clock
    clock.stop()
    before = clock.now
    send(whatsapp_sandbox, **HELLO)
    clock.advance(0.7)
    assert clock.now == pytest.approx(before + 0.7, abs=1e-3)
    assert whatsapp_sandbox.messages[0]["status"] == "sent"
    clock.go()
    assert clock.now > before + 0.7


def test_faults_are_counted(whatsapp_sandbox):
    whatsapp_sandbox.fail_next("status", times=2, status=503, to="15550001111")
    assert [send_status(whatsapp_sandbox) for _ in range(3)] == [503, 503, 200]
    assert [(each["kind"], each["struck"]) for each in whatsapp_sandbox.faults] == [("status", 2)]
    whatsapp_sandbox.fail_next(path="/messages")
    with pytest.raises(RemoteDisconnected):
        send(whatsapp_sandbox, **HELLO)
    assert len(whatsapp_sandbox.messages) == 2
    with pytest.raises(pytest_plugin.SandboxError, match="kind must be one of"):
        whatsapp_sandbox.fail_next("meteor")


def send_status(sandbox):
    try:
        return send(sandbox, **HELLO)[0]
    except json.JSONDecodeError:
        return sandbox.requests[-1]["status"]


def test_replies_and_recipients(whatsapp_sandbox):
    text = {"type": "text", "text": {"body": "free"}}
    send(whatsapp_sandbox, **text)
    whatsapp_sandbox.reply("+1 555 000 1111", "Yes", pressed="yes")
    send(whatsapp_sandbox, **text)
    whatsapp_sandbox.recipient("15550001111", error=131049)
    send(whatsapp_sandbox, **text)
    whatsapp_sandbox.clock.advance(60)

    assert [(each["status"], each["error"]) for each in whatsapp_sandbox.messages] == [
        ("failed", 131047),
        ("read", None),
        ("failed", 131049),
    ]


def test_a_sandbox_that_has_ended_is_told():
    started = WhatsAppSandbox.start()
    assert started.control("GET", "health")["status"] == "ok"
    assert started.stop() == 0

    with pytest.raises(pytest_plugin.SandboxError, match="does not answer"):
        started.control("GET", "health")


def test_one_of_its_own_has_its_options_and_leaves_nothing_behind():
    before = dict(os.environ)
    with WhatsAppSandbox.start("--waba-id", "777", "--rate-limit", "5") as started:
        started.connect("other", timeout=[1, 2])
        connection = json.loads(os.environ["AIRFLOW_CONN_OTHER"])
        assert (connection["extra"]["waba_id"], connection["extra"]["rate_limit"]) == ("777", 5)
        assert send(WhatsAppSandbox(started.connection), **HELLO)[0] == 200
        assert len(started.messages) == 1
        started.reset()
        assert started.messages == []
    assert dict(os.environ) == before
    with pytest.raises(pytest_plugin.SandboxError, match="does not answer"):
        started.control("GET", "health")


def test_options_of_one_of_its_own_are_checked(start_whatsapp_sandbox):
    with pytest.raises(pytest_plugin.SandboxError, match="ended with status 2"):
        start_whatsapp_sandbox("--colour", "red")


def test_further_ones_end_with_the_test_and_take_over_no_connection(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import os, pytest\n\nstarted = []\nNAME = 'AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT'\n\n\n"
        "def test_one(start_whatsapp_sandbox, monkeypatch):\n"
        "    monkeypatch.setenv('MINE', '1')\n"
        "    started.append(start_whatsapp_sandbox('--waba-id', '777'))\n"
        "    assert NAME not in os.environ\n"
        "    started[0].connect()\n"
        "    assert '777' in os.environ[NAME]\n"
        "    started[0].stop()\n"
        "    assert os.environ['MINE'] == '1'\n"
        "    started.append(start_whatsapp_sandbox())\n\n\n"
        "def test_two():\n"
        "    assert NAME not in os.environ\n"
        "    for each in started:\n"
        "        with pytest.raises(Exception, match='does not answer'):\n"
        "            each.control('GET', 'health')\n"
    )

    done = run_pytest(tmp_path, "-q")

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_client_without_airflow(whatsapp_sandbox):
    with whatsapp_sandbox.client(max_retries=0) as client:
        sent = client.messages.send("+1 555 000 1111", Text("Hi"))
        whatsapp_sandbox.fail_next("status", status=503)
        with pytest.raises(OutcomeUnknownError):
            client.messages.send("+1 555 000 1111", Text("Hi"))
    assert [each["id"] for each in whatsapp_sandbox.messages] == [sent.message_id]


def test_receipts_and_replies_are_stored_in_process(whatsapp_sandbox, whatsapp_events):
    whatsapp_sandbox.control("POST", "webhooks", duplicate=1, reorder=True, drop=0.2, batch=2)
    for number in range(20):
        assert send(whatsapp_sandbox, to=f"+1555000{number:04d}", **HELLO)[0] == 200
    whatsapp_sandbox.reply("15550000003", "Grüße")
    whatsapp_sandbox.recipient("15550000004", marketing=False)
    whatsapp_events.deliver(10)
    for _ in range(5):
        whatsapp_events.deliver(60)

    found = {}
    for row in whatsapp_events.statuses:
        found.setdefault(row["message_id"], []).append(row["status"])
        assert row["verified"]
    assert [sorted(each) for each in found.values()] == [["delivered", "read", "sent"]] * 20
    assert [(row["sender"], row["text"]) for row in whatsapp_events.messages] == [("15550000003", "Grüße")]
    opted_out = {(row["number"], row["scope"]) for row in whatsapp_events.opt_outs}
    assert opted_out == {("15550000004", "marketing")}
    assert whatsapp_events.sends == []
    assert whatsapp_sandbox.control("GET", "webhooks")["waiting"] == 0
    connection = json.loads(
        os.environ[f"AIRFLOW_CONN_{os.environ['AIRFLOW__WHATSAPP__EVENTS_CONN_ID'].upper()}"]
    )
    assert whatsapp_events.database == f"sqlite:///{connection['host']}"


def test_rules_may_name_every_field_of_a_request(whatsapp_sandbox):
    """``method`` is a field of rules as well as the method of the control."""
    whatsapp_sandbox.fail_next("status", 0, method="POST", path="/messages", status=503)
    assert send_status(whatsapp_sandbox) == 503
    [rule] = whatsapp_sandbox.faults
    assert (rule["method"], rule["path"], rule["struck"]) == ("POST", "/messages", 1)
    whatsapp_sandbox.clear_faults()
    assert whatsapp_sandbox.faults == []
    assert send_status(whatsapp_sandbox) == 200
    assert [each["status"] for each in whatsapp_sandbox.requests_to("/messages")] == [503, 200]
    assert whatsapp_sandbox.requests_to("/nowhere") == []


def test_controls_take_a_query_or_a_body(whatsapp_sandbox):
    send(whatsapp_sandbox, **HELLO)
    assert whatsapp_sandbox.control("GET", "messages", to="15550009999") == []
    assert len(whatsapp_sandbox.control("GET", "messages", to="15550001111")) == 1
    assert whatsapp_sandbox.reply("+1 555 000 1111", "Yes")["from"] == "15550001111"
    with pytest.raises(pytest_plugin.SandboxError, match="advance must be"):
        whatsapp_sandbox.control("POST", "clock", advance=-1)
