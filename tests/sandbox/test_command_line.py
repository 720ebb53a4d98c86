from __future__ import annotations

import os
import re
import signal
import socket
import subprocess

import pytest
import requests


@pytest.mark.parametrize("log", [True, False])
def test_each_message_and_each_refusal_is_told(tools, log):
    process = tools.start_afresh("--port", "0", *(["--log"] if log else []))
    sandbox = tools.Sandbox(tools.read_connection(process))
    sandbox.send_template("hello_world")
    sandbox.send_template("none\u001b[31m")
    sandbox.control("POST", "faults", kind="status", status=503)
    sandbox.upload()
    for kind in ("drop_before", "drop_after", "half"):
        sandbox.control("POST", "faults", kind=kind)
        with pytest.raises(requests.RequestException):
            sandbox.send_template("hello_world")
    sandbox.call("GET", sandbox.number)
    process.terminate()
    said = process.communicate(timeout=60)[0].splitlines()
    if not log:
        assert said == []
        return
    assert len(said) == 6
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d  template hello_world to 15\u2022+1111: accepted  http://\S+/", said[0]
    )
    assert "template none\ufffd[31m to 15\u2022\u2022\u20221111: refused, 404 (132001)" in said[1]
    assert re.search(r"change media: failed, 503 \(fault status\)  http://\S+/requests", said[2])
    assert "not done, and the connection closed without an answer (fault drop_before)" in said[3]
    assert (
        "done, but the connection closed before the answer: the sender cannot know (fault drop_after)"
        in said[4]
    )
    assert "done, but the connection closed in the middle of the answer" in said[5]


def test_port_in_use_is_one_line(tools):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = tools.start("--port", str(taken.getsockname()[1]))
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == ""
    assert err.count("\n") == 1
    assert "--port 0" in err


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_though_a_page_listens_and_an_answer_is_late(tools, sign):
    process = tools.start("--port", "0")
    sandbox = tools.Sandbox(tools.read_connection(process))
    sandbox.control("POST", "faults", kind="slow", seconds=600, method="GET")
    stream = requests.get(f"{sandbox.url}/events", stream=True, timeout=10)
    assert next(stream.iter_lines()).startswith(b"data:")
    host, port = sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as late:
        key = sandbox.connection["password"]
        late.sendall(
            f"GET /connections HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        )
        while not sandbox.control("GET", "requests"):
            pass
        process.send_signal(sign)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err == ""


def test_listening_to_everyone_warns(tools):
    process = tools.start("--port", "0", "--host", "0.0.0.0")
    sandbox = tools.Sandbox(tools.read_connection(process))
    answer = requests.get(f"{sandbox.url}/_sandbox/health", headers={"Host": "somewhere.example"}, timeout=10)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert sandbox.url.startswith("http://127.0.0.1:")
    assert answer.status_code == 200
    assert "other machines" in err


def test_connection_carries_what_was_given(tools):
    given = (
        "--api-key",
        "it's a key",
        "--phone-number-id",
        "111",
        "--phone-number-id",
        "222",
        "--waba-id",
        "333",
    )
    marketing = ("--onboarding", "eligible", "--refuse-marketing")
    process = tools.start("--port", "0", "--app-id", "444", *given, *marketing)
    sandbox = tools.Sandbox(tools.read_connection(process))
    numbers = sandbox.call("GET", "333/phone_numbers").json()["data"]
    account = sandbox.control("POST", "accounts")
    process.terminate()
    process.communicate(timeout=60)
    assert sandbox.connection["password"] == "it's a key"
    assert sandbox.connection["extra"] == {"phone_number_id": "111", "waba_id": "333", "app_id": "444"}
    assert [each["id"] for each in numbers] == ["111", "222"]
    assert (account["onboarding"], account["refuse_marketing"]) == ("ELIGIBLE", True)


def test_same_seed_same_ids(sandbox):
    def ids():
        sandbox.control("POST", "reset")
        return [sandbox.send_text().json()["messages"][0]["id"], sandbox.upload().json()["id"]]

    assert ids() == ids()


def test_keep_bounds_what_is_remembered(tools):
    process = tools.start("--port", "0", "--keep", "5", "--rate-limit", "0")
    sandbox = tools.Sandbox(tools.read_connection(process))
    for index in range(8):
        assert sandbox.send_text(f"n{index}", to=f"+1555000{index % 3:04d}").status_code == 200
    kept = [each["payload"]["text"]["body"] for each in sandbox.messages]
    requests_kept = len(sandbox.control("GET", "requests"))
    page = sandbox.page()
    process.terminate()
    process.communicate(timeout=60)
    assert kept == ["n3", "n4", "n5", "n6", "n7"]
    assert requests_kept == 5
    assert "n7" in page


def test_delays_are_as_given(tools):
    process = tools.start(
        "--port", "0", "--status-delays", "10,20,30", "--fail-after", "40", "--rate-limit", "0"
    )
    sandbox = tools.Sandbox(tools.read_connection(process))
    sandbox.control("POST", "recipients", wa_id="15550002222", on_whatsapp=False)
    for to in ("15550001111", "15550002222"):
        sandbox.send_template("hello_world", to=to)
    seen = [tuple(each["status"] for each in sandbox.messages)]
    for _ in range(4):
        sandbox.clock.advance(10)
        seen.append(tuple(each["status"] for each in sandbox.messages))
    process.terminate()
    process.communicate(timeout=60)
    expected = [
        ("accepted", "accepted"),
        ("sent", "accepted"),
        ("delivered", "accepted"),
        ("read", "accepted"),
    ]
    assert seen == [*expected, ("read", "failed")]


def test_bad_options_are_refused(tools):
    for given in (
        ["--port", "70000"],
        ["--phone-number-id", "abc"],
        ["--approve-after", "-1"],
        ["--status-delays", "3,2,1"],
        ["--fail-after", "soon"],
        ["--onboarding", "perhaps"],
    ):
        process = tools.start(*given)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "Traceback" not in err


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--latency", "x", "must be a number, not x"),
        ("--status-delays", "1,b,3", "must be a number, not b"),
        ("--port", "web", "must be a whole number, not web"),
        ("--rate-limit", "2.5", "must be a whole number, not 2.5"),
        ("--seed", "corn", "must be a whole number, not corn"),
    ],
)
def test_a_value_that_is_no_number_is_told_in_two_lines(tools, option, value, words):
    _, err = tools.start(option, value).communicate(timeout=60)
    assert err.endswith(f"error: argument {option}: {words}\n")
    assert err.count("\n") == 2


def test_a_certificate_that_is_none_is_one_line(tools, tmp_path):
    (tmp_path / "cert.pem").write_text("nonsense")
    for given in (
        ["--tls-cert", f"{tmp_path}/cert.pem"],
        ["--tls-cert", "/nowhere"],
        ["--tls-key", "/nowhere"],
    ):
        process = tools.start("--port", "0", *given)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert err.count("\n") == 1
        assert "--tls-cert" in err


def test_it_ends_with_the_process_that_holds_its_input(tools):
    reading, writing = os.pipe()
    process = tools.start_afresh("--port", "0", "--stop-with-stdin", stdin=reading)
    os.close(reading)
    assert tools.read_connection(process)["host"]
    assert process.poll() is None
    os.close(writing)
    assert process.wait(60) == 0
    process.communicate()


def test_a_signal_ends_it_though_its_input_is_open(tools):
    process = tools.start_afresh("--port", "0", "--stop-with-stdin", stdin=subprocess.PIPE)
    assert tools.read_connection(process)["host"]
    process.terminate()
    assert process.wait(60) == 0
    assert process.stderr.read() == ""
    process.communicate()


def test_module_imports_without_airflow(tools):
    code = "import sys; import airflow_provider_whatsapp.sandbox.__main__; print('airflow' in sys.modules)"
    import sys

    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tools.root
    )
    assert out.stdout == "False\n"
