from __future__ import annotations

import json
import socket

import pytest
import requests

from airflow_provider_whatsapp.sandbox import graph
from airflow_provider_whatsapp.sandbox.clock import Clock
from airflow_provider_whatsapp.sandbox.settings import Settings
from airflow_provider_whatsapp.sandbox.state import State
from airflow_provider_whatsapp.sandbox.wire import Call


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer wrong", "Basic bWF0b24=", "Bearer maton-sandbox-key-and-more"]
)
def test_bad_key_is_401_in_the_shape_of_the_authentication_layer(sandbox, header):
    answer = requests.get(
        f"{sandbox.url}/connections", headers={} if header is None else {"Authorization": header}, timeout=10
    )
    assert answer.status_code == 401
    assert set(answer.json()["error"]) == {"message"}


def test_no_app_in_the_path_is_400(sandbox):
    answer = sandbox.session.get(f"{sandbox.url}/v25.0/{sandbox.number}", timeout=10)
    assert answer.status_code == 400
    assert "app name" in answer.json()["message"]


def test_every_answer_names_its_request(sandbox):
    one, two = sandbox.call("GET", sandbox.number), sandbox.call("GET", "1")
    assert one.headers["X-Request-Id"] != two.headers["X-Request-Id"]
    assert one.headers["X-WhatsApp-Sandbox"] == "1"


def test_unknown_connection_is_404_in_the_documented_shape(sandbox):
    answer = sandbox.call("GET", sandbox.number, headers={"Maton-Connection": "nope"})
    assert answer.status_code == 404
    assert answer.json() == {"message": "Connection nope not found", "type": "Not Found", "code": 404}


def test_life_of_a_connection(sandbox):
    url = f"{sandbox.url}/connections"
    made = sandbox.session.post(url, json={"app": "whatsapp-business"}, timeout=10).json()["connection_id"]
    found = sandbox.session.get(f"{url}/{made}", timeout=10).json()["connection"]
    assert (found["status"], found["method"], found["app"]) == ("PENDING", "OAUTH2", "whatsapp-business")
    assert sandbox.call("GET", sandbox.number, headers={"Maton-Connection": made}).status_code == 400
    assert requests.get(found["url"], timeout=10).status_code == 200
    active = sandbox.session.get(
        url, params={"status": "ACTIVE", "app": "whatsapp-business"}, timeout=10
    ).json()
    assert made in [each["connection_id"] for each in active["connections"]]
    assert sandbox.call("GET", sandbox.number, headers={"Maton-Connection": made}).status_code == 200
    for each in active["connections"]:
        assert sandbox.session.delete(f"{url}/{each['connection_id']}", timeout=10).status_code == 200
    assert sandbox.session.get(f"{url}/{made}", timeout=10).status_code == 404
    none = sandbox.call("GET", sandbox.number)
    assert none.status_code == 400
    assert "message" in none.json()


@pytest.mark.parametrize(
    ("method", "path", "status", "key"),
    [
        ("GET", "connections?limit=-1", 422, "detail"),
        ("GET", "connections?status=SLEEPY", 422, "detail"),
        ("POST", "connections", 422, "detail"),
        ("GET", "connections/a/b", 404, "detail"),
    ],
)
def test_control_plane_refusals(sandbox, method, path, status, key):
    answer = sandbox.session.request(method, f"{sandbox.url}/{path}", timeout=10)
    assert answer.status_code == status
    assert key in answer.json()


def test_wrong_method_has_an_empty_body(sandbox):
    answer = sandbox.session.put(f"{sandbox.url}/connections", timeout=10)
    assert (answer.status_code, answer.content) == (405, b"")


def test_eleventh_request_in_a_second_is_429_until_the_second_is_over(limited):
    ok = [limited.call("GET", limited.number).status_code for _ in range(10)]
    refused = limited.session.get(f"{limited.url}/connections", timeout=10)
    unpaid = requests.get(f"{limited.url}/connections", timeout=10)
    limited.clock.advance(1.0)
    assert ok == [200] * 10
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "1"
    assert "10" in refused.json()["message"]
    assert unpaid.status_code == 401
    assert limited.call("GET", limited.number).status_code == 200
    assert [each["status"] for each in limited.control("GET", "requests")].count(429) == 1


def test_burst_to_one_user_ends_in_131056(limited):
    codes = []
    for _ in range(46):
        limited.clock.advance(0.11)
        codes.append(limited.send_template("hello_world").status_code)
    limited.clock.advance(1)
    refused = limited.send_template("hello_world")
    other = limited.send_template("hello_world", to="+15550002222")
    limited.clock.advance(6)
    assert codes == [200] * 45 + [400]
    assert refused.json()["error"]["code"] == 131056
    assert other.status_code == 200
    assert limited.send_template("hello_world").status_code == 200


def test_a_number_s_throughput_ends_in_130429(tools):
    process = tools.start("--port", "0", "--rate-limit", "1000")
    sandbox = tools.Sandbox(tools.read_connection(process))
    path, body = f"{sandbox.number}/messages", {"messaging_product": "whatsapp", "type": "text"}
    codes = []
    for index in range(400):
        message = {**body, "to": f"1555{index:07d}", "text": {"body": "x"}}
        answer = sandbox.call("POST", path, json=message)
        codes.append(answer.json().get("error", {}).get("code"))
    sent = [each["accepted_at"] for each in sandbox.messages]
    process.terminate()
    process.communicate(timeout=60)
    # However fast the requests came: of any 81 accepted messages, the last is a second behind the first.
    assert all(sent[index + 80] - sent[index] >= 1 for index in range(len(sent) - 80))
    assert set(codes) <= {None, 130429}
    assert sandbox.connection["extra"]["rate_limit"] == 1000


def state_of(**given):
    return State(Settings(**given), Clock(lambda: 1_000.0))


def ask(state, method, path, body=b""):
    call = Call(method, f"/whatsapp-business/v25.0/{path}", {}, {}, body, waba_id=state.settings.waba_id)
    return json.loads(graph.answer(state, call).body)


def test_five_thousand_calls_to_an_account_in_an_hour():
    state = state_of()
    path = f"{state.settings.waba_id}/message_templates"
    assert all("data" in ask(state, "GET", path) for _ in range(5_000))
    assert ask(state, "GET", path)["error"]["code"] == 80008
    assert "id" in ask(state, "GET", state.settings.phone_number_ids[0])
    state.clock.advance(3_600)
    assert "data" in ask(state, "GET", path)


@pytest.mark.parametrize(
    ("given", "number", "user"),
    [
        ({}, 80, 45),
        ({"rate_limit": 0}, 0, 0),
        ({"rate_limit": 0, "throughput": 20, "pair_limit": 3}, 20, 3),
        ({"throughput": 0, "pair_limit": 0}, 0, 0),
    ],
)
def test_lifting_the_rate_lifts_what_was_not_asked_for(given, number, user):
    state = state_of(**given)
    sender, body = state.settings.phone_number_ids[0], {"messaging_product": "whatsapp", "type": "text"}

    def send(to):
        message = {**body, "to": to, "text": {"body": "x"}}
        return (
            ask(state, "POST", f"{sender}/messages", json.dumps(message).encode())
            .get("error", {})
            .get("code")
        )

    to_all = [send(f"1555{index:07d}") for index in range(100)]
    assert to_all == [None] * 100 if not number else to_all == [None] * number + [130429] * (100 - number)
    state.clock.advance(1)
    to_one = [send("15550001111") for _ in range(60 if not number else min(60, number))]
    assert to_one == [None] * len(to_one) if not user else to_one.index(131056) == user


def test_foreign_hosts_and_origins_are_refused(sandbox):
    health = f"{sandbox.url}/_sandbox/health"
    assert requests.get(health, headers={"Host": "evil.example"}, timeout=10).status_code == 403
    assert requests.get(health, headers={"Host": "localhost:1"}, timeout=10).status_code == 200
    reset = f"{sandbox.url}/_sandbox/reset"
    sandbox.send_text()
    for origin in ("https://evil.example", "null", sandbox.url.replace("http:", "https:")):
        assert requests.post(reset, headers={"Origin": origin}, timeout=10).status_code == 403
    assert len(sandbox.messages) == 1
    assert requests.post(reset, headers={"Origin": sandbox.url}, timeout=10).status_code == 200
    assert sandbox.messages == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(("mode", "path", "status"), [
    ("no-cors", "/whatsapp-business/v25.0/1", 403),
    ("navigate", "/whatsapp-business/v25.0/1", 403),
    ("no-cors", "/", 403),
    ("cors", "/_sandbox/messages", 403),
    ("navigate", "/_sandbox/messages", 403),
    ("navigate", "/", 200),
    ("navigate", "/requests", 200),
])  # fmt: skip
def test_another_site_may_link_to_a_page_and_do_nothing_else(sandbox, site, mode, path, status):
    sandbox.control("POST", "faults", kind="status", times=1)
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
    assert requests.get(f"{sandbox.url}{path}", headers=headers, timeout=10).status_code == status
    assert sandbox.control("GET", "faults")[0]["struck"] == 0
    assert sandbox.control("GET", "requests") == []


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_own_page_and_typed_addresses_are_answered(sandbox, site):
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors"}
    assert requests.get(f"{sandbox.url}/_sandbox/messages", headers=headers, timeout=10).status_code == 200


def test_options_without_a_path(sandbox):
    host = sandbox.url.removeprefix("http://")
    with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), timeout=10) as connection:
        connection.sendall(f"OPTIONS * HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert int(answer.split()[1]) < 500
    assert sandbox.control("GET", "health")["status"] == "ok"


HALF = "\ud83d"
"""The first half of a surrogate pair: JSON can hold it, UTF-8 cannot."""


@pytest.mark.parametrize(
    "message",
    [
        {"type": "text", "text": {"body": f"a{HALF}b"}},
        {"type": "text", "text": {"body": "a"}, "biz_opaque_callback_data": HALF},
        {"type": "contacts", "contacts": [{"name": {"formatted_name": HALF}}]},
        {"type": "hologram", HALF: HALF},
        {"type": HALF},
    ],
)
def test_half_a_surrogate_pair_breaks_nothing(sandbox, message):
    body = json.dumps({"messaging_product": "whatsapp", "to": "+15550001111", **message})
    headers = {"Content-Type": "application/json"}
    answer = sandbox.call("POST", f"{sandbox.number}/messages", data=body, headers=headers)
    assert answer.status_code in (200, 400)
    assert json.loads(answer.content.decode())
    for path in ("/", "/requests", "/templates", "/faults"):
        assert requests.get(f"{sandbox.url}{path}", timeout=10).status_code == 200
    # Of a message that was refused there is no conversation.
    assert requests.get(f"{sandbox.url}/?with=15550001111", timeout=10).status_code in (200, 404)
    assert len(sandbox.messages) == (answer.status_code == 200)
    assert len(sandbox.control("GET", "requests")) == 1


def test_half_a_surrogate_pair_in_a_template_and_a_control(sandbox):
    parts = [{"type": "BODY", "text": f"Hello {HALF}."}]
    headers = {"Content-Type": "application/json"}
    made = {"name": "odd", "language": "en_US", "category": "UTILITY", "components": parts}
    path = f"{sandbox.waba}/message_templates"
    assert sandbox.call("POST", path, data=json.dumps(made), headers=headers).status_code in (200, 400)
    assert json.loads(sandbox.call("GET", path).content.decode())["data"]
    url = f"{sandbox.url}/_sandbox/replies"
    answer = requests.post(url, data=json.dumps({"from": "15550001111", "text": HALF}), timeout=10)
    assert answer.status_code < 500
    assert requests.get(sandbox.url, timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "code", "subcode"),
    [
        ("GET", "123456", 100, 33),
        ("POST", "123456/messages", 100, 33),
        ("POST", "{waba}/messages", 100, 33),
        ("GET", "{number}/messages", 100, 33),
        ("DELETE", "{number}", 100, 33),
        ("GET", "{number}/nothing", 2500, None),
        ("GET", "{number}/messages/more", 2500, None),
    ],
)
def test_unknown_objects_and_paths(sandbox, method, path, code, subcode):
    answer = sandbox.call(method, path.format(number=sandbox.number, waba=sandbox.waba))
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"].get("error_subcode") == subcode
    assert answer.json()["error"]["fbtrace_id"]


@pytest.mark.parametrize("version", ["25.0", "v25", "v99.0", "latest"])
def test_bad_versions(sandbox, version):
    assert sandbox.call("GET", sandbox.number, version).json()["error"]["code"] == 2500


def test_a_body_too_large_is_refused_without_being_kept(sandbox):
    answer = sandbox.call("POST", f"{sandbox.number}/messages", data=b" " * (5 * 1024 * 1024))
    assert answer.status_code == 413
    assert sandbox.control("GET", "requests")[-1]["status"] == 413


def test_number_and_profile(sandbox):
    number = sandbox.call(
        "GET", sandbox.number, params={"fields": "status,health_status{can_send_message}"}
    ).json()
    assert number["status"] == "CONNECTED"
    assert number["health_status"]["can_send_message"] == "AVAILABLE"
    assert set(number) == {"status", "health_status", "id"}
    bad = sandbox.call("GET", sandbox.number, params={"fields": "colour"})
    assert "colour" in bad.json()["error"]["message"]
    path = f"{sandbox.number}/whatsapp_business_profile"
    body = {"messaging_product": "whatsapp", "about": "Reports", "websites": ["https://example.com"]}
    assert sandbox.call("POST", path, json=body).json() == {"success": True}
    found = sandbox.call("GET", path, params={"fields": "about,websites"}).json()["data"][0]
    assert found == {"about": "Reports", "websites": ["https://example.com"], "messaging_product": "whatsapp"}
    for wrong in (
        {"about": ""},
        {"websites": ["example.com"]},
        {"vertical": "SPACE"},
        {"email": "a"},
        {"x": 1},
    ):
        answer = sandbox.call("POST", path, json={"messaging_product": "whatsapp", **wrong})
        assert answer.status_code == 400, wrong
