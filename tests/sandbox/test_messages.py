from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples

NUMBER = "15550001111"


def test_success_is_meta_s_body_field_for_field(sandbox):
    answer = sandbox.send_text(to="+1 (555) 000-1111")
    message = sandbox.messages[0]
    assert answer.json() == {
        "messaging_product": "whatsapp",
        "contacts": [{"input": "+1 (555) 000-1111", "wa_id": NUMBER}],
        "messages": [{"id": message["id"]}],
    }
    assert message["id"].startswith("wamid.")
    assert (message["to"], message["type"]) == (NUMBER, "text")
    assert message["payload"]["text"] == {"body": "hello"}


def test_only_templates_have_a_message_status(sandbox):
    assert sandbox.send_template("hello_world").json()["messages"][0]["message_status"] == "accepted"


@pytest.mark.parametrize(
    ("to", "wa_id"),
    [
        ("+5215512345678", "5215512345678"),
        ("+525512345678", "5215512345678"),
        ("005491123456789", "5491123456789"),
        ("+541123456789", "5491123456789"),
        ("491701234567", "491701234567"),
    ],
)
def test_whatsapp_ids_may_differ_from_the_number(sandbox, to, wa_id):
    assert sandbox.send_text(to=to).json()["contacts"] == [{"input": to, "wa_id": wa_id}]


def reply(index, title=None):
    return {"type": "reply", "reply": {"id": f"b{index}", "title": title or f"Button {index}"}}


def rows(count):
    return [{"id": str(index), "title": f"Row {index}"} for index in range(count)]


def interactive(kind, action, **more):
    return {
        "type": "interactive",
        "interactive": {"type": kind, "body": {"text": "Which?"}, "action": action, **more},
    }


LISTED = {"button": "Open", "sections": [{"title": "All", "rows": rows(10)}]}
CTA = {"name": "cta_url", "parameters": {"display_text": "Open", "url": "https://example.com/"}}
FLOW = {"name": "flow", "parameters": {"flow_message_version": "3", "flow_id": "1", "flow_cta": "Go"}}
CARD = {
    "type": "cta_url",
    "header": {"type": "image", "image": {"link": "https://example.com/a.png"}},
    "action": CTA,
}
ACCEPTED = [
    {"type": "text", "text": {"body": "a" * 4096, "preview_url": True}},
    {"type": "image", "image": {"link": "https://example.com/a.png", "caption": "c" * 1024}},
    {
        "type": "document",
        "document": {"link": "https://example.com/a.pdf", "filename": "a.pdf", "caption": "c"},
    },
    {"type": "video", "video": {"link": "https://example.com/a.mp4"}},
    {"type": "audio", "audio": {"link": "https://example.com/a.ogg", "voice": True}},
    {"type": "sticker", "sticker": {"link": "https://example.com/a.webp"}},
    {"type": "location", "location": {"latitude": -90, "longitude": "180", "name": "n", "address": "a"}},
    {"type": "reaction", "reaction": {"message_id": "wamid.x", "emoji": ""}},
    {
        "type": "contacts",
        "contacts": [{"name": {"formatted_name": "A", "first_name": "A"}, "phones": [{"phone": "+1"}]}],
    },
    {
        "type": "text",
        "text": {"body": "a"},
        "context": {"message_id": "wamid.x"},
        "biz_opaque_callback_data": "x" * 512,
    },
    interactive(
        "button",
        {"buttons": [reply(1), reply(2), reply(3)]},
        footer={"text": "f"},
        header={"type": "text", "text": "h"},
    ),
    interactive("list", LISTED, body={"text": "b" * 4096}),
    interactive("cta_url", CTA),
    interactive("flow", FLOW),
    interactive("location_request_message", {"name": "send_location"}),
    interactive("catalog_message", {"name": "catalog_message"}),
    interactive("product", {"catalog_id": "1", "product_retailer_id": "2"}),
    interactive(
        "product_list",
        {"catalog_id": "1", "sections": [{"title": "t", "product_items": [{"product_retailer_id": "2"}]}]},
        header={"type": "text", "text": "h"},
    ),
    interactive("carousel", {"cards": [{**CARD, "card_index": 0}, {**CARD, "card_index": 1}]}),
    interactive("address_message", {"name": "address_message", "parameters": {"country": "IN"}}),
]


@pytest.mark.parametrize("message", ACCEPTED, ids=lambda each: each.get("interactive", each).get("type"))
def test_accepted(sandbox, message):
    answer = sandbox.send(**message)
    assert answer.status_code == 200, answer.text
    assert sandbox.messages[0]["type"] == message["type"]
    assert message["type"] in sandbox.page()


def without(message, *path):
    copy = json.loads(json.dumps(message))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return copy


LIST = interactive("list", LISTED)
REFUSED = [
    (100, {"type": "text", "text": {"body": "a" * 4097}}),
    (100, {"type": "text", "text": {"body": ""}}),
    (100, {"type": "text", "text": {}}),
    (100, {"type": "text"}),
    (131009, {"type": "text", "text": "hello"}),
    (131009, {"type": "text", "text": {"body": 5}}),
    (100, {"type": "text", "text": {"body": "a", "colour": "red"}}),
    (100, {"type": "text", "text": {"body": "a"}, "colour": "red"}),
    (100, {"type": "text", "text": {"body": "a"}, "image": {"link": "https://example.com"}}),
    (100, {"type": "text", "text": {"body": "a"}, "biz_opaque_callback_data": "x" * 513}),
    (131009, {"type": "text", "text": {"body": "a"}, "recipient_type": "crowd"}),
    (131051, {"type": "hologram", "hologram": {}}),
    (100, {"type": "image", "image": {}}),
    (131009, {"type": "image", "image": {"id": "1", "link": "https://example.com/a"}}),
    (131009, {"type": "image", "image": {"link": "ftp://example.com/a"}}),
    (131009, {"type": "image", "image": {"id": "1234"}}),
    (100, {"type": "image", "image": {"link": "https://example.com/a", "caption": "c" * 1025}}),
    (100, {"type": "audio", "audio": {"link": "https://example.com/a", "caption": "c"}}),
    (100, {"type": "image", "image": {"link": "https://example.com/a", "filename": "a"}}),
    (131009, {"type": "location", "location": {"latitude": 91, "longitude": 0}}),
    (100, {"type": "location", "location": {"latitude": 1}}),
    (100, {"type": "reaction", "reaction": {"emoji": "x"}}),
    (131009, {"type": "contacts", "contacts": []}),
    (131009, {"type": "contacts", "contacts": [{"name": {"formatted_name": "A"}}] * 258}),
    (100, {"type": "contacts", "contacts": [{"name": {"first_name": "A"}}]}),
    (131009, {"type": "contacts", "contacts": [{"name": {"formatted_name": "A"}, "birthday": "1.1.2000"}]}),
    (100, interactive("hologram", {})),
    (131009, interactive("button", {"buttons": [reply(index) for index in range(4)]})),
    (131009, interactive("button", {"buttons": [reply(1), reply(1)]})),
    (131009, interactive("button", {"buttons": [reply(1, "Same"), reply(2, "Same")]})),
    (100, interactive("button", {"buttons": [reply(1, "t" * 21)]})),
    (100, interactive("button", {"buttons": [reply(1)]}, body={"text": "b" * 1025})),
    (100, interactive("button", {"buttons": [reply(1)]}, footer={"text": "f" * 61})),
    (100, interactive("button", {"buttons": [reply(1)]}, header={"type": "text", "text": "h" * 61})),
    (100, without(LIST, "interactive", "body")),
    (100, interactive("list", LISTED, body={"text": "b" * 4097})),
    (131009, interactive("list", LISTED, header={"type": "image", "image": {"link": "https://example.com"}})),
    (
        131009,
        interactive(
            "list",
            {"button": "b", "sections": [{"title": "a", "rows": rows(6)}, {"title": "b", "rows": rows(5)}]},
        ),
    ),
    (
        100,
        interactive(
            "list",
            {
                "button": "b",
                "sections": [{"rows": rows(1)}, {"title": "b", "rows": [{"id": "z", "title": "z"}]}],
            },
        ),
    ),
    (
        100,
        interactive(
            "cta_url", {**CTA, "parameters": {"display_text": "t" * 21, "url": "https://example.com"}}
        ),
    ),
    (131009, interactive("cta_url", {**CTA, "parameters": {"display_text": "t", "url": "mailto:a"}})),
    (100, interactive("flow", without(FLOW, "parameters", "flow_id"))),
    (
        131009,
        interactive("flow", {**FLOW, "parameters": {**FLOW["parameters"], "flow_message_version": "2"}}),
    ),
    (
        100,
        interactive(
            "product", {"catalog_id": "1", "product_retailer_id": "2"}, header={"type": "text", "text": "h"}
        ),
    ),
    (
        100,
        interactive(
            "product_list",
            {"catalog_id": "1", "sections": [{"product_items": [{"product_retailer_id": "2"}]}]},
        ),
    ),
    (131009, interactive("carousel", {"cards": [{**CARD, "card_index": 0}]})),
    (131009, interactive("carousel", {"cards": [{**CARD, "card_index": 0}, {**CARD, "card_index": 0}]})),
]


@pytest.mark.parametrize(("code", "message"), REFUSED)
def test_refused(sandbox, tools, code, message):
    answer = sandbox.send(**message)
    assert answer.status_code == 400
    found = tools.error(answer)
    assert found["code"] == code, found
    assert found["type"] == "OAuthException"
    assert found["error_data"]["messaging_product"] == "whatsapp"
    assert sandbox.messages == []


@pytest.mark.parametrize(
    ("code", "change"),
    [
        (100, {"messaging_product": None}),
        (100, {"messaging_product": "sms"}),
        (100, {"to": None}),
        (131009, {"to": "0170 1234567"}),
        (131009, {"to": "12345"}),
        (131009, {"to": "call me"}),
        (131009, {"to": "\u0661\u0665\u0665\u0665\u0660\u0660\u0660\u0661\u0661\u0661\u0661"}),
        (131021, {"to": "+1 555 010 1000"}),
        (131009, {"to": None, "recipient": "nobody"}),
    ],
)
def test_refused_for_its_recipient(sandbox, tools, code, change):
    body = {"messaging_product": "whatsapp", "to": NUMBER, "type": "text", "text": {"body": "a"}, **change}
    body = {key: value for key, value in body.items() if value is not None}
    answer = sandbox.call("POST", f"{sandbox.number}/messages", json=body)
    assert tools.error(answer)["code"] == code


def test_business_scoped_ids_and_groups(sandbox):
    body = {
        "messaging_product": "whatsapp",
        "recipient": "US.1349120865",
        "type": "text",
        "text": {"body": "a"},
    }
    answer = sandbox.call("POST", f"{sandbox.number}/messages", json=body).json()
    assert answer["contacts"] == [{"input": "US.1349120865", "user_id": "US.1349120865"}]
    group = sandbox.send("group-1", recipient_type="group", type="text", text={"body": "a"}).json()
    assert group["messages"][0]["group_id"] == "group-1"


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'"a"', b'{"to": NaN'])
def test_broken_bodies(sandbox, tools, body):
    answer = sandbox.call(
        "POST", f"{sandbox.number}/messages", data=body, headers={"Content-Type": "application/json"}
    )
    assert tools.error(answer)["code"] == 100


def test_forms_are_taken_too(sandbox):
    form = {"messaging_product": "whatsapp", "to": NUMBER, "type": "text", "text": '{"body": "from a form"}'}
    assert sandbox.call("POST", f"{sandbox.number}/messages", data=form).status_code == 200
    assert sandbox.messages[0]["payload"]["text"] == {"body": "from a form"}


def status(sandbox, message_id):
    history = sandbox.call(
        "GET", f"{sandbox.number}/message_history", params={"message_id": message_id}
    ).json()
    return [event["delivery_status"] for event in history["data"][0]["events"]["data"]]


def test_status_moves_with_the_clock(sandbox):
    made = sandbox.send_template("hello_world").json()["messages"][0]["id"]
    sandbox.clock.advance(0.6)
    assert status(sandbox, made)[:2] == ["ACCEPTED", "SENT"]
    sandbox.clock.advance(5)
    assert status(sandbox, made) == ["ACCEPTED", "SENT", "DELIVERED", "READ"]


def test_events_of_a_history_entry(sandbox):
    made = sandbox.send_template("hello_world").json()["messages"][0]["id"]
    sandbox.clock.advance(10)
    path = f"{sandbox.number}/message_history"
    entry = sandbox.call("GET", path, params={"message_id": made}).json()["data"][0]
    events = sandbox.call("GET", f"{entry['id']}/events", params={"limit": 3}).json()
    assert [each["delivery_status"] for each in events["data"]] == ["ACCEPTED", "SENT", "DELIVERED"]
    rest = sandbox.call(
        "GET", f"{entry['id']}/events", params={"after": events["paging"]["cursors"]["after"]}
    ).json()
    assert [each["delivery_status"] for each in rest["data"]] == ["READ"]
    assert "next" not in rest["paging"]


def test_free_text_outside_the_window_fails_later(sandbox):
    made = sandbox.send_text().json()["messages"][0]["id"]
    sandbox.clock.advance(5)
    assert status(sandbox, made) == ["ACCEPTED", "FAILED"]
    assert sandbox.messages[0]["error"] == 131047
    assert "131047" in sandbox.page()


def test_a_reply_opens_the_window_for_a_day(sandbox):
    sandbox.control("POST", "replies", text="hi", **{"from": "+15550001111"})
    made = sandbox.send_text().json()["messages"][0]["id"]
    sandbox.clock.advance(24 * 3600)
    late = sandbox.send_text().json()["messages"][0]["id"]
    sandbox.clock.advance(10)
    assert status(sandbox, made)[-1] == "READ"
    assert status(sandbox, late)[-1] == "FAILED"


def test_recipients_can_be_out_of_reach(sandbox):
    sandbox.control("POST", "recipients", wa_id=NUMBER, on_whatsapp=False)
    sandbox.send_template("hello_world")
    assert sandbox.messages[0]["error"] == 131026


def test_opted_out_users_get_no_marketing(sandbox):
    sandbox.control("POST", "recipients", wa_id=NUMBER, marketing=False)
    sandbox.approved("promo", {"type": "BODY", "text": "Sale"}, category="MARKETING")
    sandbox.send_template("promo")
    sandbox.send_template("hello_world")
    assert [each["error"] for each in sandbox.messages] == [131050, None]


@pytest.mark.parametrize(
    ("reaches", "last"), [("sent", "sent"), ("delivered", "delivered"), ("read", "read")]
)
def test_messages_come_as_far_as_the_user_lets_them(sandbox, reaches, last):
    sandbox.control("POST", "recipients", wa_id="15550001111", reaches=reaches)
    sandbox.send_template("hello_world")
    sandbox.clock.advance(60)
    assert sandbox.messages[0]["status"] == last


def test_a_user_can_fail_with_any_code_until_told_otherwise(sandbox):
    for code in (131049, 0):
        sandbox.control("POST", "recipients", wa_id="15550001111", error=code)
        sandbox.send_template("hello_world")
    sandbox.clock.advance(60)
    assert [(each["status"], each["error"]) for each in sandbox.messages] == [
        ("failed", 131049),
        ("read", None),
    ]


def test_mark_as_read_wants_a_received_message(sandbox, tools):
    received = sandbox.control("POST", "replies", text="hi", **{"from": NUMBER})["id"]
    body = {"messaging_product": "whatsapp", "status": "read", "message_id": received}
    path = f"{sandbox.number}/messages"
    assert sandbox.call("POST", path, json=body).json() == {"success": True}
    typing = {**body, "typing_indicator": {"type": "text"}}
    assert sandbox.call("POST", path, json=typing).json() == {"success": True}
    sent = sandbox.send_text().json()["messages"][0]["id"]
    for wrong in ({"message_id": sent}, {"message_id": "wamid.unknown"}, {"status": "seen"}):
        assert tools.error(sandbox.call("POST", path, json={**body, **wrong}))["code"] == 131009


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(
    max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_message_breaks_it(sandbox, data):
    message = json.loads(json.dumps(data.draw(st.sampled_from([*ACCEPTED, TEMPLATE]))))
    inner = message
    while isinstance(inner, dict | list) and inner:
        key = data.draw(
            st.sampled_from(sorted(inner)) if isinstance(inner, dict) else st.integers(0, len(inner) - 1)
        )
        if data.draw(st.booleans()) or not isinstance(inner[key], dict | list) or not inner[key]:
            inner[key] = data.draw(ANY_JSON)
            break
        inner = inner[key]
    answer = sandbox.call(
        "POST",
        f"{sandbox.number}/messages",
        data=json.dumps({"messaging_product": "whatsapp", "to": NUMBER, **message}),
    )
    assert answer.status_code in (200, 400, 404), (message, answer.text)
    assert sandbox.page()


TEMPLATE = {
    "type": "template",
    "template": {
        "name": "hello_world",
        "language": {"code": "en_US"},
        "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "x"}]},
            {"type": "button", "sub_type": "url", "index": 0, "parameters": [{"type": "text", "text": "x"}]},
            {"type": "carousel", "cards": [{"card_index": 0, "components": []}]},
        ],
    },
}
