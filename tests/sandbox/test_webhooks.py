"""Webhooks as Meta sends them: who gets them, what they say, and what goes wrong on the way."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest

from airflow_provider_whatsapp.sandbox.settings import Settings
from airflow_provider_whatsapp.sandbox.state import State
from airflow_provider_whatsapp.sandbox.webhooks import hooks as hooks_module

TO = "15550001111"
TOKEN = "a token"
HELLO = {"type": "template", "template": {"name": "hello_world", "language": {"code": "en_US"}}}


class Receiver:
    """Where webhooks arrive: ``posts`` are path, headers and bytes; ``answers`` are statuses for the next ones."""

    def __init__(self):
        self.posts, self.asked, self.answers = [], [], []
        self.challenge = None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                query = dict(parse_qsl(urlsplit(self.path).query))
                receiver.asked.append((urlsplit(self.path).path, query))
                right = query["hub.verify_token"] == TOKEN
                answer = receiver.challenge or query["hub.challenge"]
                self.end(200 if right else 403, answer if right else "no")

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.append((self.path, dict(self.headers), body))
                self.end(receiver.answers.pop(0) if receiver.answers else 200, "")

            def end(self, status, text):
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def clear(self):
        self.__dict__.update(posts=[], asked=[], answers=[], challenge=None)

    def changes(self, path=None):
        """Paths, fields and values of all that arrived, of one path or of any."""
        return [
            (where, change["field"], change["value"])
            for where, _, body in self.posts
            if path in (None, where)
            for entry in json.loads(body)["entry"]
            for change in entry["changes"]
        ]

    def each(self, name):
        """All statuses or messages that arrived, in their order."""
        return [each for _, _, value in self.changes() for each in value.get(name, ())]


@pytest.fixture(scope="module")
def _receiver():
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def receiver(_receiver):
    _receiver.clear()
    return _receiver


def override(sandbox, url, token=TOKEN, node=None):
    """Set an override, the account's or a number's."""
    fields = {"override_callback_uri": url, "verify_token": token}
    if node is None:
        return sandbox.call("POST", f"{sandbox.waba}/subscribed_apps", json=fields)
    return sandbox.call("POST", node, json={"webhook_configuration": fields})


def subscribe(sandbox):
    assert sandbox.call("POST", f"{sandbox.waba}/subscribed_apps").json() == {"success": True}


@pytest.fixture
def subscribed(sandbox, receiver):
    """The sandbox, whose account's webhooks go to the receiver, and whose time stands still."""
    sandbox.clock.stop()
    subscribe(sandbox)
    assert override(sandbox, f"{receiver.url}/hook").json() == {"success": True}
    return sandbox


def until(condition):
    """Wait until something is so, and return it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it never became so")


def deliver(sandbox, seconds=0.0):
    """Move the clock, and wait until everything up to then is delivered."""
    sandbox.clock.advance(seconds)
    until(lambda: sandbox.control("GET", "webhooks")["due"] == 0)
    return sandbox.control("GET", "webhooks")["deliveries"]


def test_the_app_has_to_be_subscribed_first(sandbox, receiver, tools):
    assert sandbox.call("GET", f"{sandbox.waba}/subscribed_apps").json() == {"data": []}
    for refused in (override(sandbox, receiver.url), override(sandbox, receiver.url, node=sandbox.number)):
        assert (refused.status_code, tools.error(refused)["code"]) == (400, 100)
        assert "subscribed" in tools.error(refused)["message"]
    assert receiver.asked == []


def test_a_subscription_is_made_read_and_ended(subscribed, receiver):
    path = f"{subscribed.waba}/subscribed_apps"
    [app] = subscribed.call("GET", path).json()["data"]
    assert app["whatsapp_business_api_data"]["id"] == subscribed.app
    assert set(app["whatsapp_business_api_data"]) == {"id", "link", "name"}
    assert app["override_callback_uri"] == f"{receiver.url}/hook"
    subscribe(subscribed)
    assert "override_callback_uri" not in subscribed.call("GET", path).json()["data"][0]
    assert subscribed.call("DELETE", path).json() == {"success": True}
    assert subscribed.call("GET", path).json() == {"data": []}


def test_the_address_is_asked_by_a_handshake(subscribed, receiver):
    [(path, query)] = receiver.asked
    assert path == "/hook"
    assert (query["hub.mode"], query["hub.verify_token"]) == ("subscribe", TOKEN)
    assert query["hub.challenge"].isdigit()
    override(subscribed, f"{receiver.url}/a+b?c=d")
    assert receiver.asked[1][0] == "/a%20b"
    assert receiver.asked[1][1]["c"] == "d"


def closed_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


@pytest.mark.parametrize(
    ("node", "level"),
    [(None, "whatsapp_business_account"), ("number", "phone_number")],
    ids=["account", "number"],
)
@pytest.mark.parametrize("wrong", ["token", "challenge", "nobody"])
def test_an_address_that_does_not_confirm_changes_nothing(subscribed, receiver, tools, node, level, wrong):
    where = subscribed.number if node else None
    override(subscribed, f"{receiver.url}/before", node=where)
    receiver.challenge = "another" if wrong == "challenge" else None
    url = f"http://127.0.0.1:{closed_port()}/" if wrong == "nobody" else f"{receiver.url}/new"
    refused = override(subscribed, url, "wrong" if wrong == "token" else TOKEN, node=where)
    found = tools.error(refused)
    assert (refused.status_code, found["code"]) == (400, 2200)
    assert "Callback verification failed" in found["message"]
    assert ("403" in found["message"]) == (wrong == "token")
    stands = subscribed.call("GET", subscribed.number, params={"fields": "webhook_configuration"}).json()
    assert stands["webhook_configuration"][level] == f"{receiver.url}/before"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"override_callback_uri": "https://example.com/a"}, 100),
        ({"verify_token": "x"}, 100),
        ({"override_callback_uri": "", "verify_token": "x"}, 100),
        ({"override_callback_uri": "https://example.com/" + "a" * 181, "verify_token": "x"}, 100),
        ({"override_callback_uri": "ftp://example.com/a", "verify_token": "x"}, 131009),
        ({"override_callback_uri": "https://[", "verify_token": "x"}, 131009),
        ({"override_callback_uri": "https://example.com/", "verify_token": "x", "colour": "red"}, 100),
    ],
    ids=["no-token", "no-address", "empty", "long", "scheme", "no-host", "unknown"],
)
def test_fields_of_an_override(subscribed, receiver, tools, fields, code):
    refused = subscribed.call("POST", f"{subscribed.waba}/subscribed_apps", json=fields)
    assert (refused.status_code, tools.error(refused)["code"]) == (400, code)
    assert len(receiver.asked) == 1


def test_the_number_s_address_comes_before_the_account_s_before_the_app_s(subscribed, receiver):
    sandbox, read = subscribed, {"params": {"fields": "webhook_configuration"}}
    sandbox.control("POST", "webhooks", app_url=f"{receiver.url}/app")
    override(sandbox, f"{receiver.url}/number", node=sandbox.number)
    levels = {"phone_number": "number", "whatsapp_business_account": "hook", "application": "app"}
    shown = sandbox.call("GET", sandbox.number, **read).json()
    assert shown["webhook_configuration"] == {
        level: f"{receiver.url}/{path}" for level, path in levels.items()
    }

    def goes_to():
        before = len(receiver.posts)
        sandbox.send(**HELLO)
        deliver(sandbox, 0.5)
        return [path for path, _, _ in receiver.posts[before:]]

    assert goes_to() == ["/number"]
    clear = {"webhook_configuration": {"override_callback_uri": ""}}
    assert sandbox.call("POST", sandbox.number, json=clear).json() == {"success": True}
    assert set(goes_to()) == {"/hook"}
    subscribe(sandbox)
    assert set(goes_to()) == {"/app"}
    assert list(sandbox.call("GET", sandbox.number, **read).json()["webhook_configuration"]) == [
        "application"
    ]
    sandbox.call("DELETE", f"{sandbox.waba}/subscribed_apps")
    assert goes_to() == []


def test_without_an_address_there_is_no_configuration(sandbox):
    answer = sandbox.call("GET", sandbox.number, params={"fields": "webhook_configuration"})
    assert answer.json() == {"id": sandbox.number}


def test_what_may_not_be_redirected_goes_to_the_app_alone(subscribed, receiver):
    subscribed.recipient(TO, marketing=False)
    subscribed.templates.create("before", "Hi {{1}}, hello.")
    deliver(subscribed)
    assert receiver.posts == []

    subscribed.control("POST", "webhooks", app_url=f"{receiver.url}/app")
    subscribed.recipient(TO, marketing=True)
    subscribed.recipient(TO, marketing=True)
    subscribed.create("made", {"type": "BODY", "text": "Good morning"})
    deliver(subscribed, 60)
    subscribed.templates.pause("made")
    deliver(subscribed)
    subscribed.control("POST", "templates", name="made", quality_score="YELLOW")
    deliver(subscribed)
    subscribed.control("POST", "templates", name="made", correct_category="MARKETING")
    deliver(subscribed)
    deliver(subscribed, 3 * 3600)
    deliver(subscribed, 86_400)
    subscribed.call("DELETE", f"{subscribed.waba}/message_templates", params={"name": "made"})
    deliver(subscribed)

    assert {path for path, _, _ in receiver.posts} == {"/app"}
    # What falls due together is delivered in any order.
    found = sorted(receiver.changes(), key=lambda change: change[1] != "user_preferences")
    (_, name, preference), *rest = found
    of_templates = [(name, value) for _, name, value in rest]
    assert name == "user_preferences"
    assert preference["metadata"]["phone_number_id"] == subscribed.number
    [said] = preference["user_preferences"]
    assert (said["wa_id"], said["category"], said["value"]) == (TO, "marketing_messages", "resume")
    assert isinstance(said["timestamp"], int)
    status, quality, category = (
        "message_template_status_update",
        "message_template_quality_update",
        "template_category_update",
    )
    keys = ("event", "new_quality_score", "correct_category", "previous_category")
    assert [(name, *[value[key] for key in keys if key in value]) for name, value in of_templates] == [
        (status, "APPROVED"),
        (status, "PAUSED"),
        (quality, "YELLOW"),
        (category, "MARKETING"),
        (status, "APPROVED"),
        (category, "UTILITY"),
        (status, "DELETED"),
    ]
    for _, value in of_templates:
        assert isinstance(value["message_template_id"], int)
        assert (value["message_template_name"], value["message_template_language"]) == ("made", "en-US")
        assert "metadata" not in value
    assert [value["new_category"] for name, value in of_templates if name == category] == [
        "UTILITY",
        "MARKETING",
    ]
    assert of_templates[1][1]["other_info"]["title"] == "FIRST_PAUSE"
    assert all(isinstance(json.loads(body)["entry"][0]["time"], int) for _, _, body in receiver.posts)


def test_an_edit_tells_the_new_components(sandbox, receiver):
    sandbox.control("POST", "webhooks", app_url=receiver.url)
    button = {"type": "URL", "text": "Open", "url": "https://example.com/a"}
    made = sandbox.approved("note", {"type": "BODY", "text": "Good morning"})
    deliver(sandbox)
    components = [
        {"type": "HEADER", "format": "TEXT", "text": "Report"},
        {"type": "BODY", "text": "Good evening"},
        {"type": "FOOTER", "text": "Data"},
        {"type": "BUTTONS", "buttons": [button]},
    ]
    assert sandbox.call("POST", made, json={"components": components}).status_code == 200
    deliver(sandbox, 60)
    [value] = [value for _, name, value in receiver.changes() if name == "message_template_components_update"]
    texts = {"title": "Report", "element": "Good evening", "footer": "Data"}
    assert {name: value[f"message_template_{name}"] for name in texts} == texts
    assert value["message_template_buttons"] == [
        {f"message_template_button_{name}": value for name, value in button.items()}
    ]


def test_statuses_as_meta_writes_them(subscribed, receiver):
    subscribed.control("POST", "recipients", wa_id="15550002222", error=131049)
    names = {}
    for to in (TO, "15550002222"):
        answer = subscribed.send(f"+{to}", **HELLO, biz_opaque_callback_data=f"about {to}")
        names[to] = answer.json()["messages"][0]["id"]
    deliver(subscribed, 10)

    [(path, field, value)] = receiver.changes()
    [body] = [json.loads(body) for _, _, body in receiver.posts]
    assert (path, field, body["object"]) == ("/hook", "messages", "whatsapp_business_account")
    assert (body["entry"][0]["id"], "time" in body["entry"][0]) == (subscribed.waba, False)
    assert value["messaging_product"] == "whatsapp"
    assert value["metadata"] == {
        "display_phone_number": "15550101000",
        "phone_number_id": subscribed.number,
    }
    assert [each["wa_id"] for each in value["contacts"]] == [TO]
    user = value["contacts"][0]["user_id"]
    assert user.startswith("US.")
    price = {"billable": True, "pricing_model": "PMP", "category": "utility", "type": "regular"}
    mine = [each for each in value["statuses"] if each["id"] == names[TO]]
    common = {
        "id": names[TO],
        "recipient_id": TO,
        "recipient_user_id": user,
        "biz_opaque_callback_data": f"about {TO}",
    }
    assert mine == [
        {**common, "status": "sent", "timestamp": mine[0]["timestamp"], "pricing": price},
        {**common, "status": "delivered", "timestamp": mine[1]["timestamp"], "pricing": price},
        {**common, "status": "read", "timestamp": mine[2]["timestamp"]},
    ]
    accepted = subscribed.messages[0]["accepted_at"]
    assert [each["timestamp"] for each in mine] == [str(int(accepted + delay)) for delay in (0.5, 1.5, 5)]
    [failed] = [each for each in value["statuses"] if each["id"] != names[TO]]
    [why] = failed.pop("errors")
    assert (why["code"], why["title"] == why["message"]) == (131049, True)
    assert set(why) == {"code", "title", "message", "error_data", "href"}
    assert failed == {
        "id": names["15550002222"],
        "status": "failed",
        "timestamp": failed["timestamp"],
        "recipient_id": "15550002222",
        "biz_opaque_callback_data": "about 15550002222",
    }


def test_a_business_scoped_id_shows_no_number(subscribed, receiver):
    body = {"messaging_product": "whatsapp", "recipient": "US.1234567", **HELLO}
    subscribed.call("POST", f"{subscribed.number}/messages", json=body)
    subscribed.control("POST", "webhooks", batch=1)
    deliver(subscribed, 0.5)
    [(_, _, value)] = receiver.changes()
    assert value["contacts"] == [{"profile": {"name": "Person 4567"}, "user_id": "US.1234567"}]
    assert "recipient_id" not in value["statuses"][0]
    assert value["statuses"][0]["recipient_user_id"] == "US.1234567"


def test_the_first_thousand_service_messages_are_free(subscribed, receiver):
    subscribed.control("POST", "replies", text="hi", **{"from": TO})
    for _ in range(1_001):
        assert subscribed.send_text().status_code == 200
    deliver(subscribed, 0.5)
    # Two deliveries, which come together and in any order.
    prices = {each["id"]: each["pricing"] for each in receiver.each("statuses")}
    found = [(prices[each["id"]]["type"], prices[each["id"]]["billable"]) for each in subscribed.messages]
    assert found == [("free_customer_service", False)] * 1_000 + [("regular", True)]
    query = {"fields": f"pricing_analytics.start({int(subscribed.clock.now) - 86400 * 3}).end("
             f"{int(subscribed.clock.now) + 86400}).granularity(DAILY).dimensions(PRICING_TYPE)"}  # fmt: skip
    deliver(subscribed, 10)
    points = subscribed.call("GET", subscribed.waba, params=query).json()["pricing_analytics"]["data"][0][
        "data_points"
    ]
    volumes = {each["pricing_type"]: each["volume"] for each in points}
    assert volumes == {"FREE_CUSTOMER_SERVICE": 1_000, "REGULAR": 1}


QUICK = {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Approve"}]}
PAYLOAD = {
    "type": "button",
    "sub_type": "quick_reply",
    "index": 0,
    "parameters": [{"type": "payload", "payload": "yes-7"}],
}
CARD = {
    "components": [],
    "type": "cta_url",
    "header": {"type": "image", "image": {"link": "https://example.com/a.png"}},
    "action": {"buttons": [{"type": "quick_reply", "quick_reply": {"id": "c0", "title": "More"}}]},
}


def interactive(kind, action, **more):
    return {
        "type": "interactive",
        "interactive": {"type": kind, "body": {"text": "?"}, "action": action, **more},
    }


TAPS = {
    "template": (
        None,
        ("Approve", "yes-7"),
        {"type": "button", "button": {"payload": "yes-7", "text": "Approve"}},
    ),
    "button": (
        interactive("button", {"buttons": [{"type": "reply", "reply": {"id": "b1", "title": "Yes"}}]}),
        ("Yes", "b1"),
        {
            "type": "interactive",
            "interactive": {"type": "button_reply", "button_reply": {"id": "b1", "title": "Yes"}},
        },
    ),
    "list": (
        interactive(
            "list",
            {
                "button": "Days",
                "sections": [{"rows": [{"id": "r1", "title": "Mon", "description": "early"}]}],
            },
        ),
        ("Mon", "r1"),
        {
            "type": "interactive",
            "interactive": {
                "type": "list_reply",
                "list_reply": {"id": "r1", "title": "Mon", "description": "early"},
            },
        },
    ),
    "carousel": (
        interactive(
            "carousel",
            {
                "cards": [
                    {**{k: v for k, v in CARD.items() if k != "components"}, "card_index": n} for n in (0, 1)
                ]
            },
        ),
        ("More", "c0"),
        {
            "type": "interactive",
            "interactive": {"type": "button_reply", "button_reply": {"id": "c0", "title": "More"}},
        },
    ),
}


@pytest.mark.parametrize("kind", TAPS)
def test_what_is_pressed_names_its_message(subscribed, receiver, kind):
    message, (text, pressed), content = TAPS[kind]
    subscribed.reply(TO, "hi")
    if message is None:
        subscribed.control(
            "PUT", "templates", name="ask", components=[{"type": "BODY", "text": "Go?"}, QUICK]
        )
        answer = subscribed.send_template("ask", PAYLOAD)
    else:
        answer = subscribed.send(**message)
    made = answer.json()["messages"][0]["id"]
    subscribed.send_text("something else")
    reply = subscribed.reply(TO, text, pressed=pressed)
    deliver(subscribed)
    received = receiver.each("messages")[-1]
    assert received == {
        "context": {"from": "15550101000", "id": made},
        "from": TO,
        "from_user_id": received["from_user_id"],
        "id": reply["id"],
        "timestamp": str(int(reply["at"])),
        **content,
    }


def test_written_text_has_a_context_only_where_it_quotes(subscribed, receiver):
    made = subscribed.send(**HELLO).json()["messages"][0]["id"]
    subscribed.control("POST", "webhooks", pause=True)
    subscribed.reply(TO, "plain")
    subscribed.control("POST", "replies", text="quoting", context=made, **{"from": TO})
    subscribed.control("POST", "webhooks", pause=False)
    deliver(subscribed)
    plain, quoting = receiver.each("messages")
    assert (plain["type"], plain["text"], "context" in plain) == ("text", {"body": "plain"}, False)
    assert quoting["context"]["id"] == made
    [(_, _, value)] = receiver.changes()
    assert [each["profile"] for each in value["contacts"]] == [{"name": "Person 1111"}]


@pytest.mark.parametrize("text", ["plain", "Grüße, 你好 \U0001f600 </script>"], ids=["ascii", "beyond"])
def test_the_signature_is_over_the_escaped_bytes(subscribed, receiver, text):
    subscribed.reply(TO, text)
    deliver(subscribed)
    [(_, headers, body)] = receiver.posts
    expected = hmac.new(b"sandbox-app-secret", body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256"] == f"sha256={expected}"
    assert headers["Content-Type"] == "application/json"
    assert body.isascii()
    assert receiver.each("messages")[0]["text"]["body"] == text


def test_updates_come_in_batches_of_a_thousand(subscribed, receiver):
    subscribed.control("POST", "webhooks", pause=True)
    for number in range(700):
        subscribed.send(f"+1555000{number:04d}", **HELLO)
    subscribed.clock.advance(10)
    assert receiver.posts == []
    assert subscribed.control("GET", "webhooks")["waiting"] == 2_100
    subscribed.control("POST", "webhooks", pause=False)
    deliver(subscribed)
    sizes = [len(value["statuses"]) for _, _, value in receiver.changes()]
    assert sorted(sizes) == [100, 1_000, 1_000]
    assert len({(each["id"], each["status"]) for each in receiver.each("statuses")}) == 2_100


def test_a_delivery_stays_below_three_megabytes(subscribed, receiver):
    subscribed.control("POST", "webhooks", pause=True)
    for _ in range(200):
        subscribed.reply(TO, "ä" * 4_000)
    subscribed.control("POST", "webhooks", pause=False)
    deliver(subscribed)
    assert len(receiver.posts) > 1
    assert max(len(body) for _, _, body in receiver.posts) < 3_000_000
    assert len(receiver.each("messages")) == 200


def test_batches_may_be_made_small(subscribed, receiver):
    subscribed.control("POST", "webhooks", batch=1)
    subscribed.send(**HELLO)
    deliver(subscribed, 10)
    assert [len(value["statuses"]) for _, _, value in receiver.changes()] == [1, 1, 1]


@pytest.mark.parametrize("status", [500, 404, 201, 302])
def test_anything_but_200_is_tried_again(subscribed, receiver, status):
    receiver.answers = [status]
    subscribed.reply(TO, "hi")
    [delivery] = deliver(subscribed)
    assert (delivery["attempts"], delivery["outcome"], delivery["status"]) == (2, "delivered", 200)
    assert len({body for _, _, body in receiver.posts}) == 1
    assert [path for path, _, _ in receiver.posts] == ["/hook", "/hook"]


def test_pauses_between_attempts_grow_until_a_week_is_over(subscribed):
    subscribed.control("POST", "webhooks", app_url=f"http://127.0.0.1:{closed_port()}/dead")
    subscribe(subscribed)
    subscribed.reply(TO, "hi")

    def state():
        return subscribed.control("GET", "webhooks")["deliveries"][-1]

    deliver(subscribed)
    assert state()["attempts"] == 2
    pauses = []
    while True:
        found = state()
        if found["outcome"] != "pending":
            break
        pauses.append(found["next_at"] - subscribed.clock.now)
        deliver(subscribed, pauses[-1])
    assert [round(each) for each in pauses[:6]] == [2, 6, 18, 54, 162, 486]
    assert pauses == sorted(pauses)
    assert max(pauses) == pytest.approx(6 * 3600)
    assert sum(pauses) == pytest.approx(7 * 86_400, rel=0.05)
    assert (state()["outcome"], state()["status"]) == ("given up", None)
    assert "refused" in state()["error"]
    assert subscribed.control("GET", "webhooks")["waiting"] == 0


def test_duplicates_come_twice(subscribed, receiver):
    subscribed.control("POST", "webhooks", duplicate=1)
    subscribed.reply(TO, "hi")
    first, second = deliver(subscribed)
    assert (first["repeats"], second["repeats"]) == (None, first["number"])
    assert receiver.posts[0][2] == receiver.posts[1][2]


def test_what_is_dropped_is_tried_again(subscribed, receiver):
    subscribed.control("POST", "webhooks", drop=1)
    subscribed.reply(TO, "hi")
    [delivery] = deliver(subscribed)
    assert (delivery["attempts"], receiver.posts) == (2, [])
    subscribed.control("POST", "webhooks", drop=0)
    [delivery] = deliver(subscribed, 2)
    assert (delivery["attempts"], delivery["outcome"]) == (3, "delivered")


def test_statuses_come_in_any_order(subscribed, receiver):
    subscribed.control("POST", "webhooks", reorder=True, batch=1)
    for number in range(20):
        subscribed.send(f"+1555000{number:04d}", **HELLO)
    for _ in range(12):
        deliver(subscribed, 1)
    arrived = {}
    for each in receiver.each("statuses"):
        arrived.setdefault(each["id"], []).append(each["status"])
    assert {tuple(sorted(each)) for each in arrived.values()} == {("delivered", "read", "sent")}
    assert any(each != ["sent", "delivered", "read"] for each in arrived.values())


def test_what_happened_before_the_subscription_is_not_told(sandbox, receiver):
    sandbox.clock.stop()
    sandbox.send(**HELLO)
    sandbox.clock.advance(2)
    sandbox.control("POST", "webhooks", app_url=receiver.url)
    deliver(sandbox, 10)
    assert [each["status"] for each in receiver.each("statuses")] == ["read"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"drop": 2}, "drop must be a share"),
        ({"duplicate": True}, "duplicate must be a share"),
        ({"reorder": "yes"}, "reorder must be true or false"),
        ({"batch": 0}, "batch must be"),
        ({"app_url": "ftp://x"}, "app_url must be a web address"),
        ({"colour": "red"}, "Unknown field colour"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_wrong_controls_are_told(sandbox, fields, words):
    with pytest.raises(Exception, match=words):
        sandbox.control("POST", "webhooks", **fields)
    assert sandbox.control("GET", "webhooks")["drop"] == 0


def test_a_reset_forgets_addresses_and_faults(subscribed, receiver):
    subscribed.control("POST", "webhooks", drop=1, app_url=receiver.url)
    subscribed.reset()
    found = subscribed.control("GET", "webhooks")
    assert (found["drop"], found["app_url"], found["subscribed"], found["deliveries"]) == (0, "", [], [])


def test_options_name_the_secret_and_the_app_s_address(tools, receiver):
    options = ("--app-secret", "my secret", "--webhook-url", f"{receiver.url}/app")
    with tools.Sandbox.start(*options) as started:
        started.reply(TO, "hi")
        until(lambda: receiver.posts)
        [app] = started.call("GET", f"{started.waba}/subscribed_apps").json()["data"]
    [(path, headers, body)] = receiver.posts
    assert path == "/app"
    assert headers["X-Hub-Signature-256"].endswith(hmac.new(b"my secret", body, hashlib.sha256).hexdigest())
    assert app["whatsapp_business_api_data"]["id"] == started.app


@pytest.mark.parametrize("by", ["calls", "option"])
def test_a_new_start_goes_on_with_what_is_still_to_come(tools, receiver, tmp_path, by):
    options = ["--state", str(tmp_path / "state.db"), "--status-delays", "1,2,500"]
    options += ["--webhook-url", f"{receiver.url}/hook"] if by == "option" else []
    with tools.Sandbox.start(*options) as first:
        if by == "calls":
            subscribe(first)
            override(first, f"{receiver.url}/hook")
        first.send(**HELLO)
        first.clock.advance(5)
        until(lambda: len(receiver.each("statuses")) == 2)
    receiver.clear()
    with tools.Sandbox.start(*options) as second:
        second.clock.advance(600)
        until(lambda: receiver.posts)
        [app] = second.call("GET", f"{second.waba}/subscribed_apps").json()["data"]
        deliver(second)
    assert app.get("override_callback_uri") == (f"{receiver.url}/hook" if by == "calls" else None)
    assert [each["status"] for each in receiver.each("statuses")] == ["read"]


def test_a_receiver_that_never_answers_holds_up_nothing(tools):
    with socket.create_server(("127.0.0.1", 0)) as silent, contextlib.ExitStack() as stack:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        started = stack.enter_context(tools.Sandbox.start("--webhook-url", url))
        started.reply(TO, "hi")
        connection, _ = silent.accept()
        with connection:
            assert started.send(**HELLO).status_code == 200
            before = time.monotonic()
            assert started.stop() == 0
            assert time.monotonic() - before < 5


def test_the_page_shows_addresses_and_deliveries(subscribed, receiver):
    assert "Nothing has been delivered yet." in subscribed.page("/webhooks")
    receiver.answers = [503, 503]
    subscribed.reply(TO, "a <b>reply</b>")
    deliver(subscribed)
    subscribed.control("POST", "webhooks", drop=0.25, reorder=True)
    page = subscribed.page("/webhooks")
    for words in (
        f"<td>{receiver.url}/hook",
        "25% of the attempts are lost, in any order",
        "a &lt;b&gt;reply&lt;/b&gt;",
        "HTTP status 503",
        "try 2",
        ">pending<",
        "Next attempt at",
        "1 update to the account&#39;s address".replace("&#39;", "'"),
        "Pause</button>",
    ):
        assert words in page, words
    subscribed.control("POST", "webhooks", drop=0, pause=True)
    assert "Resume</button>" in subscribed.page("/webhooks")
    subscribed.control("POST", "webhooks", pause=False)
    deliver(subscribed, 2)
    assert ">delivered<" in subscribed.page("/webhooks")


def test_the_page_shows_deliveries_in_parts(subscribed):
    for number in range(70):
        subscribed.reply(TO, f"reply {number}")
        deliver(subscribed)
    newest = subscribed.page("/webhooks")
    assert (newest.count("<details"), "reply 69" in newest, "reply 9&" in newest) == (60, True, False)
    before = newest.partition("/webhooks?before=")[2].partition('"')[0]
    older = subscribed.page("/webhooks", before=before)
    assert older.count("<details") == 10
    assert "/webhooks?before=" not in older


def test_without_a_subscription_the_page_says_how(sandbox):
    assert "subscribed_apps" in sandbox.page("/webhooks")


def test_memory_is_bounded_though_nobody_takes_anything(monkeypatch):
    """In this process, for it takes much to fill it."""
    monkeypatch.setattr(hooks_module, "PENDING_BYTES", 100_000)
    hooks = State(Settings()).webhooks
    target = hooks_module.Target("http://127.0.0.1:9/", "app")
    made = [hooks.add(target, ("messages",), 1, b"x" * 30_000) for _ in range(5)]
    assert [each.outcome for each in made] == ["given up", "given up", "pending", "pending", "pending"]
    assert [len(each.body) for each in made[:3]] == [16_384, 16_384, 30_000]
    for each in made[2:]:
        hooks.finish(each, 200, "", 1.0)
    assert {len(each.body) for each in made} == {16_384}
    assert hooks.add(target, ("messages",), 1, b"x" * 90_000).outcome == "pending"
    assert hooks.waiting == 1
