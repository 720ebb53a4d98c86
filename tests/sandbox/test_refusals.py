"""
What Meta's documentation says it refuses, each with Meta's code: one row per rule.

A test holds the rows against the list of all codes in ``tests/data/error_codes.json``: each is either here, or it is
said why a sandbox cannot know it.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from airflow_provider_whatsapp.sandbox import graph
from airflow_provider_whatsapp.sandbox.graph_templates import MAX_TEMPLATES
from airflow_provider_whatsapp.sandbox.settings import Settings
from airflow_provider_whatsapp.sandbox.state import State
from airflow_provider_whatsapp.sandbox.wire import Call

FACTS = json.loads((Path(__file__).parents[1] / "data" / "error_codes.json").read_text("utf-8"))
TO = "15550001111"
PLAIN = {"type": "BODY", "text": "Good morning"}
QUICK = {"type": "QUICK_REPLY", "text": "Yes"}
URL = {"type": "URL", "text": "Open", "url": "https://example.com/{{1}}", "example": ["a"]}
MAX_PRICE = {"bid_strategy": "LOWEST_COST_WITH_BID_CAP", "bid_amount": 5}
OTP = {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]}
CODE = ({"type": "BODY", "add_security_recommendation": True}, OTP)


def values(*given):
    return {"type": "body", "parameters": [{"type": "text", "text": each} for each in given]}


def body(text, *samples):
    example = {"example": {"body_text": [list(samples)]}} if samples else {}
    return {"type": "BODY", "text": text, **example}


def header(text, *samples):
    example = {"example": {"header_text": list(samples)}} if samples else {}
    return {"type": "HEADER", "format": "TEXT", "text": text, **example}


def footer(text):
    return {"type": "FOOTER", "text": text}


def labelled(text):
    return {"type": "BUTTONS", "buttons": [{**QUICK, "text": text}]}


def button(**fields):
    return {"type": "BUTTONS", "buttons": [fields]}


def text(sandbox, **fields):
    message = {"type": "text", "text": {"body": "hello"}, "to": TO, "messaging_product": "whatsapp", **fields}
    message = {name: value for name, value in message.items() if value is not None}
    return sandbox.call("POST", f"{sandbox.number}/messages", json=message)


def template(sandbox, *components, name="report", texts=("{{1}}",), version="v25.0"):
    joined = " and ".join(texts)
    sandbox.approved("report", body(f"It has {joined} in it.", *"abcdefgh"[: len(texts)]))
    return sandbox.send_template(name, *components, version=version)


def moved(sandbox, *statuses):
    sandbox.approved("report", PLAIN)
    for status in statuses:
        sandbox.control("POST", "templates", name="report", status=status)
    return sandbox.send_template("report")


def with_header(sandbox, parameter):
    sandbox.control(
        "PUT", "templates", name="file", components=[{"type": "HEADER", "format": "DOCUMENT"}, PLAIN]
    )
    return sandbox.send_template("file", {"type": "header", "parameters": [parameter]})


def pressed(sandbox, sub_type, parameter, *buttons):
    shown = {"type": "BUTTONS", "buttons": list(buttons or (URL,))}
    sandbox.control("PUT", "templates", name="press", components=[PLAIN, shown])
    part = {"type": "button", "sub_type": sub_type, "index": "0", "parameters": [parameter]}
    return sandbox.send_template("press", part)


def one_time_code(sandbox, **fields):
    sandbox.approved("code", *CODE, category="AUTHENTICATION")
    parts = [
        values("123456"),
        {
            "type": "button",
            "sub_type": "url",
            "index": "0",
            "parameters": [{"type": "text", "text": "123456"}],
        },
    ]
    message = {"name": "code", "language": {"code": "en_US"}, "components": parts}
    return text(sandbox, type="template", text=None, template=message, **fields)


def marketing(sandbox, name="sale", version="v25.0", **fields):
    sandbox.approved("sale", PLAIN, category="MARKETING", **fields.pop("made", {}))
    message = {"messaging_product": "whatsapp", "to": TO, "type": "template", **fields}
    message["template"] = {"name": name, "language": {"code": "en_US"}}
    return sandbox.call("POST", f"{sandbox.number}/marketing_messages", version, json=message)


def account(sandbox, **fields):
    return sandbox.control("POST", "accounts", **fields)


def interactive(sandbox, kind, action, **parts):
    made = {"type": kind, "body": {"text": "?"}, "action": action, **parts}
    return text(sandbox, type="interactive", text=None, interactive=made)


def uploaded(sandbox, mime):
    return sandbox.upload(b"a,b\n", mime, "a.csv")


def deleted(sandbox):
    sandbox.approved("gone", PLAIN)
    sandbox.call("DELETE", f"{sandbox.waba}/message_templates", params={"name": "gone"})
    return sandbox.create("gone", PLAIN)


def twice(sandbox, **fields):
    sandbox.create("twice", PLAIN)
    return sandbox.create("twice", PLAIN, **fields)


def edited(sandbox, status, **change):
    made = sandbox.approved("draft", PLAIN)
    sandbox.control("POST", "templates", name="draft", status=status)
    return sandbox.call("POST", made, json=change or {"components": [PLAIN]})


def erased(sandbox):
    sandbox.approved("bad", PLAIN)
    sandbox.control("POST", "templates", name="bad", status="DISABLED")
    return sandbox.call("DELETE", f"{sandbox.waba}/message_templates", params={"name": "bad"})


def insights(sandbox, **query):
    return sandbox.call("POST", sandbox.waba, params=query)


def analysed(sandbox, *ids):
    query = {"start": 1, "end": 2, "granularity": "DAILY", "template_ids": json.dumps(ids)}
    return sandbox.call("GET", f"{sandbox.waba}/template_analytics", params=query)


LINK = {"link": "https://example.com/a.png"}
LIST = {
    "button": "Open",
    "sections": [{"title": "t", "rows": [{"id": str(n), "title": "t"} for n in range(11)]}],
}
CARDS = [
    {
        "card_index": n,
        "type": "cta_url",
        "header": {"type": "image", "image": LINK},
        "action": {"buttons": [{"type": "quick_reply", "quick_reply": {"id": f"{n}{m}", "title": f"{m}"}}
                               for m in range(n + 1)]},
    }
    for n in range(2)
]  # fmt: skip
REFUSALS = {
    # Messages: whom they are for, and what they are.
    "nobody": (lambda s: text(s, to=None), 100, None),
    "no product": (lambda s: text(s, messaging_product=None), 100, None),
    "no text": (lambda s: text(s, text={}), 100, None),
    "the sender itself": (lambda s: text(s, to="+15550101000"), 131021, None),
    "no number": (lambda s: text(s, to="call me"), 131009, None),
    "a type that there is not": (lambda s: text(s, type="hologram", text=None, hologram={}), 131051, None),
    "callback data of 513": (lambda s: text(s, biz_opaque_callback_data="x" * 513), 100, None),
    "a text of 4,097": (lambda s: text(s, text={"body": "a" * 4_097}), 100, None),
    "a caption of 1,025": (
        lambda s: text(s, type="image", text=None, image={**LINK, "caption": "c" * 1_025}), 100, None
    ),
    "a medium without source": (lambda s: text(s, type="image", text=None, image={}), 100, None),
    "a medium that is gone": (lambda s: text(s, type="image", text=None, image={"id": "1"}), 131009, None),
    "a latitude of 91": (
        lambda s: text(s, type="location", text=None, location={"latitude": 91, "longitude": 0}), 131009, None
    ),
    "eleven rows": (lambda s: interactive(s, "list", LIST), 131009, None),
    "a product's header": (
        lambda s: interactive(
            s, "product", {"catalog_id": "1", "product_retailer_id": "2"}, header={"type": "text", "text": "h"}
        ), 100, None,
    ),
    "a contact question by its old name": (
        lambda s: interactive(s, "contact_request", {"name": "request_contact_info"}), 100, None
    ),
    "cards with unlike buttons": (lambda s: interactive(s, "carousel", {"cards": CARDS}), 131009, None),
    "a read receipt for nothing": (
        lambda s: s.call("POST", f"{s.number}/messages",
                         json={"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.x"}),
        131009, None,
    ),
    # Messages made of templates.
    "a template that is not there": (lambda s: template(s, name="nothing"), 132001, None),
    "a template in another language": (lambda s: s.send_template("hello_world", language="en"), 132001, None),
    "a template in review": (lambda s: moved(s, "PENDING"), 132001, None),
    "a rejected template": (lambda s: moved(s, "REJECTED"), 132001, None),
    "a paused template": (lambda s: moved(s, "PAUSED"), 132015, None),
    "a disabled template": (lambda s: moved(s, "DISABLED"), 132016, None),
    "a third pause": (lambda s: moved(s, "PAUSED", "PAUSED", "PAUSED"), 132016, None),
    "a value for hello_world": (lambda s: s.send_template("hello_world", values("x")), 132000, None),
    "a value too few": (lambda s: template(s, values("a"), texts=("{{1}}", "{{2}}")), 132000, None),
    "a value with a new line": (lambda s: template(s, values("a\nb")), 132018, None),
    "a value with a tab": (lambda s: template(s, values("a\tb")), 132018, None),
    "a value with five blanks": (lambda s: template(s, values("a     b")), 132018, None),
    "the same before v23": (lambda s: template(s, values("a\nb"), version="v22.0"), 132012, None),
    "a body of 1,025 when filled": (lambda s: template(s, values("x" * 1_020)), 132005, None),
    "a picture for a document": (lambda s: with_header(s, {"type": "image", "image": LINK}), 132012, None),
    "a document that is gone": (lambda s: with_header(s, {"type": "document", "document": {"id": "1"}}), 131009, None),
    "a button without its value": (
        lambda s: (s.control("PUT", "templates", name="press", components=[PLAIN, button(**URL)]),
                   s.send_template("press"))[1], 131008, None,
    ),
    "a button of another kind": (
        lambda s: pressed(s, "quick_reply", {"type": "payload", "payload": "x"}), 132012, None
    ),
    "a telephone button": (
        lambda s: pressed(s, "phone_number", {"type": "text", "text": "1"},
                          {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+15550001111"}),
        100, None,
    ),
    "a code for a business-scoped ID": (lambda s: one_time_code(s, to=None, recipient="US.123"), 131062, None),
    # Marketing.
    "a text as marketing": (
        lambda s: s.call("POST", f"{s.number}/marketing_messages",
                         json={"messaging_product": "whatsapp", "to": TO, "type": "text", "text": {"body": "a"}}),
        131055, None,
    ),
    "a utility template as marketing": (lambda s: marketing(s, "hello_world"), 134100, None),
    "the same before v23, as marketing": (lambda s: marketing(s, "hello_world", "v22.0"), 131055, None),
    "strict marketing of an account that is not onboarded": (
        lambda s: (account(s, onboarding="ELIGIBLE"), marketing(s, product_policy="STRICT"))[1], 134102, None
    ),
    "marketing by messages, switched off": (
        lambda s: (account(s, refuse_marketing=True), s.approved("sale", PLAIN, category="MARKETING"),
                   s.send_template("sale"))[2], 131063, None,
    ),
    "a max price by messages": (
        lambda s: (s.approved("sale", PLAIN, category="MARKETING", optimization_spec=MAX_PRICE),
                   s.send_template("sale"))[1], 131061, None,
    ),
    "a max price for a business-scoped ID": (
        lambda s: marketing(s, made={"optimization_spec": MAX_PRICE}, to=None, recipient="US.123"), 131062, None
    ),
    # Objects, lists, files.
    "an object that is not there": (lambda s: s.call("GET", "123456"), 100, 33),
    "a file that is not there": (lambda s: s.call("DELETE", "123456"), 100, 33),
    "a field that is not there": (lambda s: s.call("GET", s.number, params={"fields": "colour"}), 100, None),
    "a broken cursor": (
        lambda s: s.call("GET", f"{s.waba}/message_templates", params={"after": "x"}), 131059, None
    ),
    "a file of a type that is not taken": (lambda s: uploaded(s, "text/csv"), 100, None),
    "an unknown file": (lambda s: uploaded(s, "application/octet-stream"), 100, None),
    # Templates.
    "a name with capitals": (lambda s: s.create("Name", PLAIN), 100, 2388046),
    "a name of 513": (lambda s: s.create("n" * 513, PLAIN), 100, 2388046),
    "the name of Meta's sample": (lambda s: s.create("hello_world", PLAIN, language="de"), 100, 2388155),
    "a name and language that exist": (twice, 100, 2388024),
    "another category in another language": (lambda s: twice(s, language="de", category="MARKETING"), 100, None),
    "a name that is being deleted": (deleted, 100, 2388023),
    "a category that there is not": (lambda s: s.create("t", PLAIN, category="SPAM"), 100, None),
    "a language that there is not": (lambda s: s.create("t", PLAIN, language="english"), 100, None),
    "a header of 61": (lambda s: s.create("t", PLAIN, header("h" * 61)), 100, 2388040),
    "a body of 1,025": (lambda s: s.create("t", body("b" * 1_025)), 100, 2388040),
    "a footer of 61": (lambda s: s.create("t", PLAIN, footer("f" * 61)), 100, 2388040),
    "a header with two variables": (
        lambda s: s.create("t", PLAIN, header("{{1}} of {{2}}", "a", "b")), 100, 2388047
    ),
    "a header with formatting": (lambda s: s.create("t", PLAIN, header("*loud*")), 100, 2388047),
    "a header with a new line": (lambda s: s.create("t", PLAIN, header("a\nb")), 100, 2388047),
    "a header with an emoji": (lambda s: s.create("t", PLAIN, header("a \U0001f600")), 100, 2388047),
    "no body": (lambda s: s.create("t", header("h")), 100, 2388072),
    "three new lines": (lambda s: s.create("t", body("a\n\n\nb")), 100, 2388072),
    "eleven emojis": (lambda s: s.create("t", body("\U0001f600" * 11)), 100, 2388072),
    "numbers with a gap": (lambda s: s.create("t", body("It is {{2}} now.", "a")), 100, 2388072),
    "nothing but a variable": (lambda s: s.create("t", body("{{1}}", "a")), 100, 2388299),
    "a variable at the start": (lambda s: s.create("t", body("{{1}} is late", "a")), 100, 2388299),
    "a variable at the end": (lambda s: s.create("t", body("Late is {{1}}", "a")), 100, 2388299),
    "too many variables": (lambda s: s.create("t", body("a {{1}}, {{2}}, {{3}}!", *"abc")), 100, 2388293),
    "a variable without sample": (lambda s: s.create("t", body("Run {{1}} is late.")), 100, 2388043),
    "a footer with a variable": (lambda s: s.create("t", PLAIN, footer("by {{1}}")), 100, 2388073),
    "a footer with a new line": (lambda s: s.create("t", PLAIN, footer("a\nb")), 100, 2388073),
    "a label of 26": (lambda s: s.create("t", PLAIN, labelled("l" * 26)), 100, None),
    "a label with a variable": (lambda s: s.create("t", PLAIN, labelled("Go {{1}}")), 100, None),
    "a label with a new line": (lambda s: s.create("t", PLAIN, labelled("a\nb")), 100, None),
    "a label with an emoji": (lambda s: s.create("t", PLAIN, labelled("Go \U0001f600")), 100, None),
    "a label with formatting": (lambda s: s.create("t", PLAIN, labelled("*Go*")), 100, None),
    "quick replies apart": (
        lambda s: s.create("t", PLAIN, {"type": "BUTTONS", "buttons": [QUICK, URL, {**QUICK, "text": "No"}]}),
        100, None,
    ),
    "three links": (
        lambda s: s.create("t", PLAIN, {"type": "BUTTONS", "buttons": [{**URL, "text": str(n)} for n in range(3)]}),
        100, None,
    ),
    "a variable within a link": (
        lambda s: s.create("t", PLAIN, button(**{**URL, "url": "https://example.com/{{1}}/x"})), 100, None
    ),
    "a link of 2,001": (
        lambda s: s.create("t", PLAIN, button(type="URL", text="Go", url="https://example.com/" + "a" * 1_981)),
        100, None,
    ),
    "a link to WhatsApp": (
        lambda s: s.create("t", PLAIN, button(type="URL", text="Chat", url="https://wa.me/15550001111")), 100, None
    ),
    "29 seconds to live": (lambda s: s.create("t", PLAIN, message_send_ttl_seconds=29), 100, None),
    **{
        f"{text[:5]!a} seconds to live": (
            lambda s, text=text: s.create("t", PLAIN, message_send_ttl_seconds=text), 100, None
        )
        for text in ("--30", "-", "²", "1_000", "60.0", "6" * 5_000, "٣٠٠")
    },
    "editing what is in review": (lambda s: edited(s, "PENDING"), 100, None),
    "an approved template's category": (lambda s: edited(s, "APPROVED", category="MARKETING"), 100, None),
    "a template's name": (lambda s: edited(s, "APPROVED", name="other"), 100, None),
    "deleting what is disabled": (erased, 100, None),
    # Webhooks, insights.
    "an override without subscription": (
        lambda s: s.call("POST", f"{s.waba}/subscribed_apps",
                         json={"override_callback_uri": "https://example.com/", "verify_token": "t"}),
        100, None,
    ),
    "an address that does not confirm": (
        lambda s: (s.call("POST", f"{s.waba}/subscribed_apps"),
                   s.call("POST", f"{s.waba}/subscribed_apps",
                          json={"override_callback_uri": "http://127.0.0.1:9/", "verify_token": "t"}))[1],
        2200, None,
    ),
    "insights that are off": (lambda s: analysed(s, "1"), 200007, None),
    "insights switched off again": (
        lambda s: (insights(s, is_enabled_for_insights="true"), insights(s, is_enabled_for_insights="false"))[1],
        200006, None,
    ),
    "insights of eleven templates": (
        lambda s: (insights(s, is_enabled_for_insights="true"), analysed(s, *map(str, range(11))))[1], 100, None
    ),
}  # fmt: skip
"""What it is: how to ask for it, and Meta's code and subcode."""

LATER = {
    131026: ({"on_whatsapp": False}, lambda s: s.send_template("hello_world")),
    131047: ({}, lambda s: s.send_text()),
    131050: (
        {"marketing": False},
        lambda s: (s.approved("sale", PLAIN, category="MARKETING"), s.send_template("sale"))[1],
    ),
    131009: (
        {},
        lambda s: (s.reply(TO, "hi"), s.send(type="reaction", reaction={"message_id": "wamid.x", "emoji": "x"}))[1],
    ),
    131053: ({}, lambda s: (s.reply(TO, "hi"), s.send(type="image", image={"id": s.upload(b"none").json()["id"]}))[1]),
    **{
        code: ({"error": code}, lambda s: s.send_template("hello_world"))
        for code in (130472, 131043, 131048, 131049, 131064, 132015, 136025, 137000)
    },
}  # fmt: skip
"""Codes that come after the message was accepted: how the recipient has to be, and how to send."""

PACED = {130429, 131056, 80008}
"""Limits of speed: in test_gateway.py and test_templates.py, for they want a sandbox with limits."""

UNKNOWABLE = {
    "tokens and permissions are Maton's": {0, 3, 10, 102, 104, 190, *range(200, 300), 131005},
    "limits of the app and its users, which Maton shares": {4, 17, 32, 613, 80007},
    "Meta's own trouble: a fault rule of kind status stands for it": {1, 2, 131000, 131016, 131057, 133004},
    "the state of a real business": {368, 130497, 131031, 131037, 131042, 131044, 131045, 133010, 134011, 200005},
    "test numbers have a list of recipients, the sandbox's number has none": {131030},
    "Meta's judgement of a text": {132007},
    "another code for what is 131009, 132018 or 100 here": {33, 132008, 135000},
    "flows, groups, calls, block lists and usernames are not there": {
        *(132068, 132069, 131020, 131041), *range(131201, 131216), *range(138000, 139000), *range(139000, 140000),
        *range(147001, 147006),
    },
    "registration and coexistence are not there": {
        *(133000, 133005, 133006, 133008, 133009, 133015, 133016, 1752041, 2494100, 2593107, 2593108),
    },
    "media of users are not there": {131052},
    "templates are synchronised at once": {134101},
    "ids and fields are refused with 100": {341, 506, 803},
}  # fmt: skip
"""Why a code is in no row."""

UNKNOWABLE_SUBCODES = {2388001, 2388012, 2388091, 2388093, 2388103}
"""Those of migrating numbers, which is not there."""


@pytest.mark.parametrize("name", REFUSALS)
def test_meta_s_refusal_has_meta_s_code(sandbox, tools, name):
    ask, code, subcode = REFUSALS[name]
    answer = ask(sandbox)
    assert answer.status_code >= 400, answer.text
    found = tools.error(answer)
    assert (found["code"], found.get("error_subcode")) == (code, subcode), found
    stated = [row["statuses"] for row in FACTS["rows"] if [code, code, None] in row["codes"]]
    assert not stated or answer.status_code in {status for each in stated for status in each}
    assert {"message", "type", "fbtrace_id"} <= set(found)
    assert sandbox.messages == []


@pytest.mark.parametrize("code", LATER)
def test_meta_s_refusal_after_accepting_is_in_the_status(sandbox, code):
    change, send = LATER[code]
    if change:
        sandbox.recipient(TO, **change)
    assert send(sandbox).status_code == 200
    sandbox.clock.advance(10)
    assert [(each["status"], each["error"]) for each in sandbox.messages] == [("failed", code)]


def test_a_refused_type_names_those_that_are_taken(sandbox, tools):
    said = tools.error(uploaded(sandbox, "text/csv"))["message"]
    assert said.startswith("(#100) Param file must be a file with one of ")
    assert said.index("audio/aac") < said.index("application/pdf") < said.index("video/3gpp")
    assert said.endswith("Received file of type 'text/csv'.")
    assert "audio/opus" in said


def test_an_account_has_room_for_so_many_templates():
    """In this process, for it takes thousands of them."""
    state = State(Settings(rate_limit=0))
    first = next(iter(state.templates.values()))
    asked = {"name": "more", "language": "de", "category": "UTILITY", "components": [PLAIN]}
    path = f"/whatsapp-business/v25.0/{first.waba_id}/message_templates"
    headers = {b"content-type": b"application/json"}
    found = []
    for have in (MAX_TEMPLATES - 1, MAX_TEMPLATES):
        state.templates = {str(n): dataclasses.replace(first, id=str(n), name=f"n{n}") for n in range(have)}
        call = Call("POST", path, {}, headers, json.dumps(asked).encode(), waba_id=first.waba_id)
        answer = graph.answer(state, call)
        found.append((answer.status, json.loads(answer.body).get("error", {}).get("error_subcode")))
    assert found == [(200, None), (400, 2388019)]


def test_every_code_of_the_facts_has_a_row_or_a_reason():
    told = {
        number
        for row in FACTS["rows"]
        for first, last, subcode in row["codes"]
        if subcode is None
        for number in range(first, last + 1)
    }
    rows = {code for _, code, _ in REFUSALS.values()} | set(LATER) | PACED
    reasons = [code for codes in UNKNOWABLE.values() for code in codes]
    assert told - rows - set(reasons) == set()
    assert set(reasons) & rows == set()
    assert set(reasons) - told == set()
    assert len(reasons) == len(set(reasons))
    subcodes = {2388019} | {subcode for _, _, subcode in REFUSALS.values() if subcode}
    assert set(FACTS["template_subcodes"]) - UNKNOWABLE_SUBCODES - subcodes == set()
