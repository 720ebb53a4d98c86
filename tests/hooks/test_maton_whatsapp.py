"""The hook on a connection from the environment, against the sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from airflow_provider_whatsapp.client.errors import (
    APIError,
    ConfigurationError,
    OutcomeUnknownError,
    PayloadError,
)
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.redis_server import RedisServer
from airflow_provider_whatsapp.client.resources.messages import Marketing
from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

TO = "+15550001111"


@pytest.fixture
def hook(sandbox):
    return MatonWhatsAppHook()


@contextlib.contextmanager
def answering(answers, asked=None):
    """Stand in for a business with two accounts behind one log-in, which the sandbox does not have."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = urlsplit(self.path).path
            if asked is not None:
                asked.append(path)
            body = json.dumps(answers.get(path, {"message": f"root-password, no {path}"})).encode()
            self.send_response(200 if path in answers else 400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  (the server's name)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_nothing_is_looked_up_when_it_is_made():
    MatonWhatsAppHook("there_is_no_such_connection")


@pytest.mark.parametrize(
    ("send", "kind"),
    [
        pytest.param(lambda hook: hook.send_text(TO, "Hi"), "text", id="text"),
        pytest.param(lambda hook: hook.send_template(TO, "hello_world"), "template", id="template"),
        pytest.param(
            lambda hook: hook.send_media(TO, b"%PDF-1.7\n", filename="a.pdf"), "document", id="media"
        ),
        pytest.param(lambda hook: hook.send_media(TO, "https://x.example/a.png"), "image", id="link"),
        pytest.param(lambda hook: hook.send(TO, Text("Hi")), "text", id="model"),
        pytest.param(
            lambda hook: hook.send(TO, {"type": "location", "latitude": 1, "longitude": 2}),
            "location",
            id="fields",
        ),
        pytest.param(
            lambda hook: hook.send_location(TO, 52.5, 13.4, name="Office"), "location", id="location"
        ),
        pytest.param(
            lambda hook: hook.send_contacts(
                TO, [{"name": {"formatted_name": "Ann Lee", "first_name": "Ann"}}]
            ),
            "contacts",
            id="contacts",
        ),
        pytest.param(
            lambda hook: hook.send_buttons(TO, "Proceed?", ["Yes", "No"]), "interactive", id="buttons"
        ),
        pytest.param(
            lambda hook: hook.send_list(
                TO, "Pick one", "Options", [{"rows": [{"id": "a", "title": "A"}], "title": "S"}]
            ),
            "interactive",
            id="list",
        ),
        pytest.param(lambda hook: asyncio.run(hook.asend(TO, Text("Hi"))), "text", id="asynchronous"),
    ],
)
def test_sending(hook, sandbox, send, kind):
    sent = send(hook)

    (message,) = sandbox.messages
    assert (message["id"], message["type"]) == (sent.message_id, kind)


def test_a_call_that_there_is_no_method_for(sandbox):
    hook = MatonWhatsAppHook(waba_id=sandbox.extra["waba_id"])

    found = hook.graph("GET", "{waba_id}/phone_numbers", params={"fields": "id", "limit": 1})
    done = hook.graph("POST", "{phone_number_id}", json={"pin": "123456"})

    assert [number["id"] for number in found["data"]] == [sandbox.extra["phone_number_id"]]
    assert done == {"success": True}


def test_a_template_by_the_marketing_messages_api(hook, sandbox):
    hook.create_template("sale", "en_US", "MARKETING", [{"type": "BODY", "text": "The sale begins."}])
    sandbox.control("POST", "templates", name="sale", status="APPROVED")

    hook.send(TO, hook.template_message("sale"), marketing=Marketing(strict=True), callback_data="c")

    (message,) = sandbox.messages
    assert (message["endpoint"], message["payload"]["product_policy"]) == ("marketing_messages", "STRICT")
    assert message["payload"]["biz_opaque_callback_data"] == "c"


def test_a_media_id_goes_as_what_it_is(hook, sandbox):
    media_id = hook.upload_media(b"%PDF-1.7\n", filename="a.pdf")
    hook.send_media(TO, media_id)

    assert sandbox.messages[0]["payload"]["document"] == {"id": media_id}


def test_a_store_s_url_is_read(hook, sandbox, tmp_path):
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF-1.7\n")
    hook.send_media(TO, f"file://{path}")

    assert sandbox.messages[0]["payload"]["document"]["filename"] == "report.pdf"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"media": "/nowhere.pdf"}, "does not exist", id="missing"),
        pytest.param({"media": "https://x.example/report"}, "what kind", id="link of no kind"),
        pytest.param(
            {"media": b"%PDF-1.7\n", "kind": "film"}, "kind 'film' is not allowed here", id="no such kind"
        ),
        pytest.param(
            {"media": b"#!AMR\n00", "caption": "x"},
            "caption: does not go with media of the kind audio",
            id="caption",
        ),
        pytest.param({"media": b"%PDF-1.7\n", "caption": "x" * 1025}, "caption", id="long caption"),
    ],
)
def test_bad_media_is_refused_before_any_request(hook, sandbox, options, words):
    with pytest.raises(PayloadError, match=words):
        hook.send_media(TO, **options)

    assert sandbox.requests == []


@pytest.mark.parametrize(
    ("template", "words"),
    [
        pytest.param({"template_name": "Hello_World"}, "template.name", id="capitals"),
        pytest.param(
            {"template_name": "report", "header": "/nowhere.pdf"}, "does not exist", id="missing header"
        ),
        pytest.param(
            {"template_name": "report", "header": b"#!AMR\n00"},
            "audio is not allowed here",
            id="audio header",
        ),
        pytest.param({"template_name": "report", "body": "text"}, "template.body", id="body as text"),
        pytest.param(
            {"template_name": "report", "header": b"%PDF-1.7\n", "body": ["a\nb"]},
            "template.body",
            id="line break",
        ),
    ],
)
def test_bad_templates_are_refused_before_any_request(hook, sandbox, template, words):
    with pytest.raises(PayloadError, match=words):
        hook.send_template(TO, **template)

    assert sandbox.requests == []


def test_no_key_is_told_before_any_request(hook, sandbox, change_connection):
    change_connection(drop=["password"])

    with pytest.raises(ConfigurationError, match="MATON_API_KEY"):
        hook.send_text(TO, "Hi")
    assert sandbox.requests == []


@pytest.mark.parametrize("how", ["client", "aclient"])
def test_the_redis_that_paces_is_a_connection(sandbox, change_connection, monkeypatch, how):
    change_connection(extra={"pace_redis": "pace", "pace_share": 0.25})
    fields = {
        "conn_type": "redis",
        "host": "r.example",
        "password": "hunter2",
        "extra": {"ssl": True, "db": 3},
    }
    monkeypatch.setenv("AIRFLOW_CONN_PACE", json.dumps(fields))
    hook = MatonWhatsAppHook()
    config = (hook.client if how == "client" else asyncio.run(hook.aclient())).config

    assert config.pace_redis == RedisServer(nodes=(("r.example", 6379),), db=3, password="hunter2", tls=True)
    assert config.pace_share == 0.25
    assert "hunter2" not in repr(config)


def test_the_redis_that_paces_has_to_be_one(change_connection, monkeypatch, sandbox):
    change_connection(extra={"pace_redis": "pace"})
    monkeypatch.setenv("AIRFLOW_CONN_PACE", json.dumps({"conn_type": "http", "host": "r.example"}))
    with pytest.raises(ConfigurationError, match="not of type redis"):
        MatonWhatsAppHook().send_text(TO, "x")
    assert sandbox.requests == []


def test_the_sender_of_the_hook_wins(sandbox):
    hook = MatonWhatsAppHook(phone_number_id="999")

    assert hook.client.config.phone_number_id == "999"


def test_a_lost_answer_in_a_coroutine(hook, sandbox):
    sandbox.fail_next("drop_after", times=1)

    with pytest.raises(OutcomeUnknownError):
        asyncio.run(hook.asend(TO, Text("once")))
    assert len(sandbox.messages) == 1


@pytest.mark.parametrize(
    ("version", "limit"),
    [("v23.0", "messaging_limit_tier"), ("v25.0", "whatsapp_business_manager_messaging_limit")],
)
def test_the_connection_test_says_what_it_found(hook, sandbox, change_connection, version, limit):
    change_connection(extra={"api_version": version})

    right, words = hook.test_connection()

    assert right
    assert words == (
        "Sends as +1 555-010-1000 (WhatsApp Sandbox), quality GREEN, limit TIER_UNLIMITED. The account has 1 number. "
        "Health: PHONE_NUMBER, WABA, BUSINESS, APP AVAILABLE."
    )
    asked, _ = sandbox.requests_to(sandbox.extra["phone_number_id"])
    assert limit in asked["query"].replace("%2C", ",")


@pytest.mark.parametrize(
    ("given", "right", "words"),
    [
        ({"entity_type": "WABA", "can_send_message": "BLOCKED"}, False, "But WhatsApp blocks sending"),
        (
            {"entity_type": "WABA", "can_send_message": "BLOCKED"},
            False,
            "WABA 102290129340398 is BLOCKED (141006).",
        ),
        (
            {"entity_type": "BUSINESS", "can_send_message": "LIMITED"},
            True,
            "Health: BUSINESS 100000000000001 is LIMITED.",
        ),
        ({"can_send_message": "BLOCKED"}, True, "AVAILABLE (Meta's overall word is BLOCKED)."),
        ({"refused": True}, True, "Health: not known."),
    ],
    ids=["blocked", "codes", "limited", "overall", "refused"],
)
def test_the_connection_test_says_whether_messages_can_go(hook, sandbox, given, right, words):
    sandbox.control("POST", "health_status", **given)

    found, said = hook.test_connection()

    assert (found, words in said) == (right, True)
    assert "payment method" not in said, "only Maton's own words are repeated"


def test_the_connection_test_goes_on_without_health(hook, sandbox):
    number = sandbox.extra["phone_number_id"]
    sandbox.fail_next("status", path=f"*/{number}", skip=1, times=0)

    assert hook.test_connection()[0]
    assert len(sandbox.requests_to(number)) == 2


def test_the_connection_test_says_that_nobody_has_logged_in(hook):
    connections = hook.client.connections
    for connection in connections.list():
        connections.delete(connection["connection_id"])

    right, words = hook.test_connection()

    assert not right
    assert words.startswith("the Maton API key is right, but the account has no active WhatsApp connection.")


def test_the_connection_test_says_that_the_number_is_another_account_s(hook, change_connection):
    answers = {
        "/connections": {"connections": [{"connection_id": "c", "status": "ACTIVE"}]},
        "/whatsapp-business/v25.0/1": {"display_phone_number": "+1 555-010-0000", "id": "1"},
        "/whatsapp-business/v25.0/2/phone_numbers": {"data": [{"id": "3"}]},
    }
    with answering(answers) as url:
        change_connection(host=url, extra={"phone_number_id": "1", "waba_id": "2"})
        right, words = hook.test_connection()

    assert not right
    assert words.startswith("waba_id names an account to which phone_number_id does not belong")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"password": "wrong-key-1234"}, "Maton did not accept the API key", id="key"),
        pytest.param(
            {"extra": {"connection_id": "nobody"}}, "connection_id nobody is not among", id="connection"
        ),
        pytest.param({"extra": {"phone_number_id": "123"}}, "phone_number_id is wrong", id="number"),
        pytest.param({"extra": {"waba_id": "123"}}, "waba_id is wrong", id="account"),
        pytest.param({"drop": ["phone_number_id"]}, "phone_number_id is not set", id="no number"),
        pytest.param({"drop": ["password"]}, "no Maton API key", id="no key"),
        pytest.param({"host": "http://gateway.example"}, "unencrypted", id="plain http"),
        pytest.param(
            {"host": "http://127.0.0.1:1", "extra": {"max_retries": 0}}, "no connection", id="no server"
        ),
    ],
)
def test_the_connection_test_says_what_is_wrong(hook, change_connection, change, words):
    change_connection(**change)

    right, said = hook.test_connection()

    assert not right
    assert words in said
    assert "wrong-key-1234" not in said


def test_without_an_account_the_test_says_what_is_missing(hook, change_connection):
    change_connection(drop=["waba_id"])

    assert hook.test_connection() == (True, hook.test_connection()[1])
    assert "No waba_id is set" in hook.test_connection()[1]


def test_who_gives_up_waiting_does_not_free_the_thread_that_still_works():
    """A trigger that is cancelled leaves its request on its way: the connection's share counts it until it ends."""
    from airflow_provider_whatsapp.hooks.maton_whatsapp import THREADS_EACH, in_fair_thread

    go, begun = threading.Event(), []

    def work(name):
        begun.append(name)
        go.wait(30)

    async def run():
        hanging = [asyncio.create_task(in_fair_thread("slow", work, "slow")) for _ in range(THREADS_EACH)]
        while len(begun) < THREADS_EACH:  # noqa: ASYNC110  (threads count)
            await asyncio.sleep(0.01)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        late = asyncio.create_task(in_fair_thread("slow", work, "late"))
        other = asyncio.create_task(in_fair_thread("other", work, "other"))
        while "other" not in begun:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        before = list(begun)
        go.set()
        await asyncio.gather(late, other)
        return before

    assert asyncio.run(run()) == ["slow"] * THREADS_EACH + ["other"]
    assert begun[-1] == "late"


SECRETS = {"message": "root-password-of-the-database", "error": {"message": "root-password-of-the-database"}}
ACTIVE = {"connections": [{"connection_id": "c", "status": "ACTIVE"}]}
NUMBER = "/whatsapp-business/v25.0/1"


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param({}, id="another service"),
        pytest.param({"/connections": SECRETS}, id="texts"),
        pytest.param(
            {"/connections": ACTIVE, NUMBER: {**SECRETS, "verified_name": "root-password"}}, id="no number"
        ),
        pytest.param(
            {"/connections": ACTIVE, NUMBER: {"display_phone_number": "root-password 1"}},
            id="no number's form",
        ),
        pytest.param(
            {"/connections": ACTIVE, NUMBER: {"error": {"code": 100, "message": "root-password"}}},
            id="Graph's error",
        ),
        pytest.param(
            {
                "/connections": ACTIVE,
                NUMBER: {
                    "display_phone_number": "+1 555-010-0000",
                    "quality_rating": "root-password\x1b[31m",
                },
            },
            id="facts of another form",
        ),
    ],
)
def test_the_connection_test_repeats_no_text_of_a_service_of_this_machine(hook, change_connection, answers):
    with answering(answers) as url:
        change_connection(host=url, drop=["waba_id"], extra={"phone_number_id": "1", "max_retries": 0})
        _, words = hook.test_connection()

    assert "root-password" not in words
    assert "\x1b" not in words


def test_the_connection_test_repeats_no_greeting_of_another_protocol(hook, change_connection):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(ConnectionError):
                connection.sendall(b"SSH-2.0-OpenSSH_9.6 root-password\r\n")
                connection.recv(65536)

        threading.Thread(target=greet, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        change_connection(host=url, extra={"max_retries": 0})
        right, words = hook.test_connection()

    assert not right
    assert "OpenSSH" not in words


def test_what_of_a_connection_is_not_read_is_said(hook, change_connection, caplog):
    change_connection(port=8425, extra={"phonenumber_id": "1"})

    right, words = hook.test_connection()

    assert right
    assert "Port 8425" in words
    assert "'phonenumber_id' in the extra" in words
    assert "did you mean 'phone_number_id'?" in caplog.text


@pytest.mark.parametrize("look_up", ["client", "aclient"])
def test_a_key_of_the_environment_is_masked(hook, change_connection, monkeypatch, look_up):
    from airflow_provider_whatsapp._compat import redact

    key = uuid4().hex  # no other test has masked a part of it
    change_connection(drop=["password"])
    monkeypatch.setenv("MATON_API_KEY", key)
    if look_up == "aclient":
        asyncio.run(hook.aclient())
    else:
        hook.get_conn()

    assert redact(f"sent {key} away") == "sent *** away"


def test_a_coroutine_that_sends_looks_up_its_connection_without_blocking(hook, sandbox, monkeypatch):
    def block(conn_id):
        raise AssertionError(f"looked up {conn_id} as a task does")

    monkeypatch.setattr(MatonWhatsAppHook, "get_connection", block)

    assert asyncio.run(hook.asend(TO, Text("Hi"))).message_id.startswith("wamid")


def test_the_hook_logs_where_the_logs_of_airflow_s_hooks_are_configured(hook):
    assert hook._log_config_logger_name == "airflow.task.hooks"


@pytest.mark.parametrize(
    "session",
    [
        "upload:../../../connections?x=",
        "upload:x/../../y",
        "upload:%2e%2e/x",
        "upload:x//y",
        "upload:/x",
        "upload:x?a/../b",
        "https://evil.example/",
        "upload:x\r\nX: y",
        "upload:x#y",
    ],
)
def test_an_upload_session_leads_nowhere_else(hook, change_connection, session):
    asked = []
    with answering({"/whatsapp-business/v25.0/app/uploads": {"id": session}}, asked) as url:
        change_connection(host=url, drop=["app_id"])
        with pytest.raises(APIError, match="unknown form"):
            hook.upload_template_sample(b"%PDF-1.7\n")

    assert len(asked) == 1
