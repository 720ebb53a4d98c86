from __future__ import annotations

import datetime as dt
import ipaddress
import json
import socket

import pytest
import requests

from tests.time_limits import wait_for


def add(sandbox, **fault):
    return sandbox.control("POST", "faults", **fault)


def raw_send(sandbox):
    """What comes back on the socket, byte for byte, until it is closed."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    body = json.dumps(
        {"messaging_product": "whatsapp", "to": "15550001111", "type": "text", "text": {"body": "raw"}}
    )
    head = (
        f"POST /whatsapp-business/v25.0/{sandbox.number}/messages HTTP/1.1\r\nHost: {host}:{port}\r\n"
        f"Authorization: Bearer {sandbox.connection['password']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    received = b""
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall((head + body).encode())
        while chunk := connection.recv(65_536):
            received += chunk
    return received


@pytest.mark.parametrize(("kind", "stored"), [("drop_before", 0), ("drop_after", 1)])
def test_drops_close_without_a_byte(sandbox, kind, stored):
    add(sandbox, kind=kind, path="/messages")
    assert raw_send(sandbox) == b""
    assert len(sandbox.messages) == stored
    log = sandbox.control("GET", "requests")
    assert [(each["status"], each["fault"]) for each in log] == [(None, kind)]
    assert sandbox.send_text().status_code == 200


def test_drops_reach_a_client_that_keeps_its_connection(sandbox):
    assert sandbox.send_text().status_code == 200
    add(sandbox, kind="drop_after", path="/messages")
    with pytest.raises(requests.ConnectionError):
        sandbox.send_text()
    assert len(sandbox.messages) == 2


def test_half_an_answer(sandbox):
    add(sandbox, kind="half", path="/messages")
    head, _, body = raw_send(sandbox).partition(b"\r\n\r\n")
    announced = int(
        next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")).split()[1]
    )
    assert head.startswith(b"HTTP/1.1 200")
    assert 0 < len(body) < announced
    assert len(sandbox.messages) == 1


def test_drop_after_waits_for_an_accepted_request(sandbox):
    add(sandbox, kind="drop_after", path="/messages")
    assert sandbox.send_text("").status_code == 400
    with pytest.raises(requests.ConnectionError):
        sandbox.send_text()


def test_status_answers_in_the_service_s_place(sandbox):
    add(
        sandbox,
        kind="status",
        status=502,
        times=2,
        method="POST",
        body={"a": 1},
        headers={"Retry-After": "7"},
    )
    assert sandbox.call("GET", sandbox.number).status_code == 200
    answer = sandbox.send_text()
    assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (502, {"a": 1}, "7")
    assert sandbox.send_text().status_code == 502
    assert sandbox.send_text().status_code == 200
    assert len(sandbox.messages) == 1


def test_status_with_text_and_with_nothing(sandbox):
    add(sandbox, kind="status", status=503, body="<html>")
    add(sandbox, kind="status", status=504)
    assert sandbox.send_text().text == "<html>"
    assert sandbox.send_text().content == b""


def test_slow_does_the_work_at_once(sandbox):
    add(sandbox, kind="slow", seconds=30, path="/messages")
    body = {"messaging_product": "whatsapp", "to": "15550001111", "type": "text", "text": {"body": "late"}}
    url = f"{sandbox.url}/whatsapp-business/v25.0/{sandbox.number}/messages"
    with pytest.raises(requests.ReadTimeout):
        sandbox.session.post(url, json=body, timeout=(30, 0.3))
    wait_for(lambda: sandbox.messages)
    assert len(sandbox.messages) == 1


def test_faults_match_and_count(sandbox):
    add(sandbox, kind="status", status=500, times=0, to="15550002222", skip=1, every=2)
    found = [sandbox.send_text(to="+1 555 000 2222").status_code for _ in range(5)]
    assert sandbox.send_text(to="+15550003333").status_code == 200
    assert found == [200, 200, 500, 200, 500]
    listed = sandbox.control("GET", "faults")[0]
    assert (listed["matched"], listed["struck"]) == (5, 2)
    sandbox.control("DELETE", "faults")
    assert sandbox.control("GET", "faults") == []


def test_faults_never_touch_the_controls(sandbox):
    add(sandbox, kind="drop_before", times=0)
    assert sandbox.control("GET", "health")["status"] == "ok"
    assert sandbox.page()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"kind": "meteor"},
        {"kind": "slow", "seconds": "2"},
        {"kind": "slow", "seconds": -1},
        {"kind": "status", "status": 99},
        {"kind": "status", "times": True},
        {"kind": "status", "colour": "red"},
        {"kind": "status", "path": 5},
        {"kind": "status", "headers": {"a": 1}},
    ],
)
def test_rules_that_make_no_sense(sandbox, wrong):
    answer = requests.post(f"{sandbox.url}/_sandbox/faults", json=wrong, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["message"]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("clock", {"advance": -1}),
        ("clock", {}),
        ("clock", {"stopped": "yes"}),
        ("templates", {"name": "nothing", "status": "APPROVED"}),
        ("templates", {"name": "hello_world", "status": "FINE"}),
        ("templates", {"name": "hello_world", "status": "REJECTED", "rejected_reason": "BORING"}),
        ("replies", {"from": "me", "text": "a"}),
        ("recipients", {"wa_id": "1", "marketing": "no"}),
    ],
)
def test_controls_that_make_no_sense(sandbox, name, body):
    answer = requests.post(f"{sandbox.url}/_sandbox/{name}", json=body, timeout=10)
    assert answer.status_code in (400, 404)
    assert answer.json()["message"]


def test_slow_headers_come_bit_by_bit(sandbox):
    add(sandbox, kind="slow_headers", seconds=0.4, path="/messages")
    host, port = sandbox.url.removeprefix("http://").split(":")
    sizes, whole = [], b""
    body = b'{"messaging_product":"whatsapp","to":"15550001111","type":"text","text":{"body":"x"}}'
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /whatsapp-business/v25.0/%b/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %b\r\n"
            b"Content-Length: %d\r\n\r\n%b"
            % (sandbox.number.encode(), sandbox.connection["password"].encode(), len(body), body)
        )
        while chunk := connection.recv(65_536):
            sizes.append(len(chunk))
            whole += chunk
    head, _, answer = whole.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert len(sizes) > 5
    assert json.loads(answer)["messages"][0]["id"] == sandbox.messages[0]["id"]


def test_slow_headers_are_read_by_an_ordinary_client(sandbox):
    add(sandbox, kind="slow_headers", seconds=0.2, path="/messages")
    assert sandbox.send_text().json()["messages"]
    assert sandbox.send_text().status_code == 200


def test_a_share_is_drawn_from_the_seed(sandbox):
    def drawn():
        sandbox.control("POST", "reset")
        add(sandbox, kind="status", status=500, times=0, share=0.5)
        return [sandbox.call("GET", sandbox.number).status_code for _ in range(40)]

    first = drawn()
    assert 5 < first.count(500) < 35
    assert drawn() == first


def test_a_rule_for_a_path_with_a_star_and_a_user_id(sandbox):
    add(sandbox, kind="status", status=500, times=0, path="*/v25.0/*/messages", to="US.13491208655302741918")
    message = {"messaging_product": "whatsapp", "type": "text", "text": {"body": "hi"}}
    path = f"{sandbox.number}/messages"
    named = {**message, "recipient": "US.13491208655302741918"}
    assert sandbox.call("POST", path, json=named).status_code == 500
    assert sandbox.call("POST", path, "v24.0", json=named).status_code == 200
    assert sandbox.call("POST", path, json={**message, "to": "+13491208655"}).status_code == 200


def test_one_rule_is_taken_back_by_its_id(sandbox):
    first = add(sandbox, kind="status", status=500, times=0)
    add(sandbox, kind="status", status=502, times=0)
    sandbox.control("DELETE", "faults", id=first["id"])
    assert sandbox.send_text().status_code == 502


@pytest.mark.parametrize("number", ["all", "²", "-1", "1.0", "9" * 5_000, ""])
def test_what_is_no_fault_s_number_removes_none(sandbox, number):
    add(sandbox, kind="status", status=500, times=0)

    refused = sandbox.session.delete(
        f"{sandbox.url}/_sandbox/faults", params={"id": number}, json={}, timeout=60
    )

    assert (refused.status_code, refused.json()["message"]) == (400, "id must be the number of a fault")
    assert sandbox.send_text().status_code == 500


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that signed itself, and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(1))
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = made.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(pem)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(secret)
    return folder


@pytest.fixture(scope="module")
def encrypted(certificate, tools):
    arguments = ["--tls-cert", f"{certificate}/cert.pem", "--tls-key", f"{certificate}/key.pem"]
    process = tools.start("--port", "0", "--rate-limit", "0", *arguments)
    yield tools.read_connection(process)
    process.terminate()
    process.communicate(timeout=60)


def test_tls_breaks_the_handshakes_that_a_rule_is_about(encrypted):
    verify = encrypted["extra"]["verify"]
    url = encrypted["host"]
    assert url.startswith("https://127.0.0.1:")

    def control(method, name, **body):
        return requests.request(method, f"{url}/_sandbox/{name}", json=body, timeout=10, verify=verify)

    assert control("POST", "faults", kind="tls", times=2, skip=1).status_code == 200
    assert control("GET", "health").status_code == 200
    for _ in range(2):
        with pytest.raises(requests.exceptions.SSLError):
            control("GET", "health")
    [rule] = control("GET", "faults").json()
    assert (rule["matched"], rule["struck"]) == (3, 2)
    assert control("POST", "faults", kind="tls", path="/messages").status_code == 400


def test_tls_needs_a_certificate(sandbox):
    answer = requests.post(f"{sandbox.url}/_sandbox/faults", json={"kind": "tls"}, timeout=10)
    assert answer.status_code == 400
    assert "--tls-cert" in answer.json()["message"]
