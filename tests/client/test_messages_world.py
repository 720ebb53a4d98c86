"""Messages as other clients and Meta's pages write them: in models, in nested JSON, and in the sandbox."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.client import messages as m
from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import parse_message
from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
from tests.client.strategies import MESSAGES
from tests.examples import examples

TO = "+15550001111"
IMAGE = {"type": "image", "link": "https://x.example/a.png"}
LINKED = {"header": IMAGE, "display_text": "a", "url": "https://x.example"}
REPLIES = [{"id": "c-yes", "title": "Yes"}, {"id": "c-no", "title": "No"}]


def nested_card(index, **changes):
    replies = [{"type": "quick_reply", "quick_reply": reply} for reply in REPLIES]
    header = {"type": "image", "image": {"link": "https://x.example/a.png"}}
    return {"card_index": index, "header": header, "action": {"buttons": replies}, **changes}


def interactive(kind, action, **more):
    return {
        "type": "interactive",
        "interactive": {"type": kind, "body": {"text": "Hi"}, "action": action, **more},
    }


def carousel(*cards):
    return interactive("carousel", {"cards": list(cards)})


@pytest.fixture
def hook(sandbox):
    sandbox.control("POST", "replies", **{"from": TO[1:], "text": "hi"})
    return MatonWhatsAppHook()


CAROUSELS = [
    {"type": "media_carousel", "body": "Hi", "cards": [{"header": IMAGE, "buttons": REPLIES}] * 2},
    {
        "type": "media_carousel",
        "body": "Hi",
        "cards": [{"header": IMAGE, "buttons": ["Yes"], "body": "a"}] * 3,
    },
    carousel(nested_card(0), nested_card(1)),
    carousel(nested_card(0, type="cta_url", body=None), nested_card(1, type="cta_url", body={"text": "a"})),
]


@pytest.mark.parametrize("fields", CAROUSELS)
def test_a_carousel_has_quick_replies(hook, sandbox, fields):
    message = parse_message(fields)
    hook.send(TO, message)

    sent = sandbox.messages[-1]["payload"]["interactive"]
    first = sent["action"]["cards"][0]
    assert first["action"]["buttons"][0]["quick_reply"]["title"] == "Yes"
    assert parse_message({"type": "interactive", "interactive": sent}) == message


@pytest.mark.parametrize(
    ("cards", "words"),
    [
        ([{"header": IMAGE, "buttons": REPLIES}, {"header": IMAGE, "buttons": ["Yes"]}], "buttons differ"),
        ([{"header": IMAGE, "buttons": REPLIES}, LINKED], "buttons differ"),
        ([{"header": IMAGE, "buttons": REPLIES, "url": "https://x.example"}] * 2, "cannot be combined with"),
        ([{"header": IMAGE, "buttons": ["x" * 21]}] * 2, "21 characters"),
        ([{"header": IMAGE, "buttons": []}] * 2, "0 items"),
        ([{"header": IMAGE}] * 2, "display_text"),
    ],
)  # fmt: skip
def test_cards_that_do_not_go_together_are_refused(cards, words):
    with pytest.raises(PayloadError, match=words):
        m.MediaCarousel("Hi", cards)


@pytest.mark.parametrize("cards", [
    [nested_card(0), nested_card(1, action={"buttons": [{"type": "quick_reply", "quick_reply": REPLIES[0]}]})],
    [nested_card(0), nested_card(1, action={"buttons": []})],
])  # fmt: skip
def test_the_sandbox_refuses_such_cards_too(hook, cards):
    from airflow_provider_whatsapp.client.errors import APIError
    from airflow_provider_whatsapp.client.messages.basic import RawMessage

    with pytest.raises(APIError):
        hook.send(TO, RawMessage("interactive", carousel(*cards)["interactive"]))


NULLS = [
    ({"type": "text", "body": "a", "preview_url": None}, m.Text("a")),
    ({"type": "text", "text": {"body": "a", "preview_url": None}}, m.Text("a")),
    ({"type": "image", "link": "https://x.example", "id": None, "caption": None}, m.Image(link="https://x.example")),
    ({"type": "audio", "id": "1234567890", "voice": None}, m.Audio(id="1234567890")),
    (
        interactive("button", {"buttons": [{"type": "reply", "reply": REPLIES[0]}]}, header=None, footer=None),
        m.ReplyButtons("Hi", [REPLIES[0]]),
    ),
    (
        interactive("catalog_message", {"name": "catalog_message", "parameters": None}),
        m.CatalogMessage("Hi"),
    ),
    (
        {"type": "list", "body": "Hi", "button": "Open", "header": None,
         "sections": [{"title": None, "rows": [{"id": "a", "title": "a", "description": None}]}]},
        m.ListMessage("Hi", "Open", [{"rows": [{"id": "a", "title": "a"}]}]),
    ),
    ({"type": "template", "name": "a", "header": None, "body": None, "buttons": [None]}, m.Template("a")),
    (
        {"type": "template", "name": "a", "buttons": [{"type": "flow", "flow_token": None}]},
        m.Template("a", buttons=[{"type": "flow"}]),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "same"), NULLS)
def test_an_optional_key_that_is_null_is_left_out(fields, same):
    assert parse_message(fields).to_payload() == same.to_payload()


@pytest.mark.parametrize("fields", [
    {"type": "text", "body": None},
    {"type": "image", "link": None},
    {"type": "template", "name": "a", "body": {"who": None}},
    {"type": "template", "name": "a", "body": [None]},
])  # fmt: skip
def test_what_is_needed_and_null_is_refused(fields):
    with pytest.raises(PayloadError):
        parse_message(fields)


def test_nulls_in_graph_s_own_components_are_left_out_but_for_a_flow_s_data():
    action = {"type": "action", "action": {"flow_token": None, "flow_action_data": {"a": None}}}
    given = [{"type": "button", "sub_type": "flow", "index": 0, "parameters": [action], "extra": None}]

    (sent,) = m.Template("a", components=given).to_payload()["template"]["components"]
    assert sent["parameters"] == [{"type": "action", "action": {"flow_action_data": {"a": None}}}]
    assert "extra" not in sent


@pytest.mark.parametrize("kind", ["flow", "catalog"])
def test_a_button_without_values_sends_no_empty_action(kind):
    (sent,) = m.Template("a", buttons=[{"type": kind}]).to_payload()["template"]["components"]

    assert sent == {"type": "button", "sub_type": kind, "index": "0"}


@pytest.mark.parametrize("header", [
    {"type": "IMAGE", "link": "https://x.example/a.png"},
    {"type": "Image", "image": {"link": "https://x.example/a.png"}},
    {"type": "DOCUMENT", "document": {"id": "1234567890"}},
    {"type": "Text", "text": "a"},
    {"type": "LOCATION", "latitude": 1, "longitude": 2},
])  # fmt: skip
def test_types_of_parameters_are_written_in_any_case(header):
    lower = {**header, "type": header["type"].lower()}

    assert m.Template("a", header=header).to_payload() == m.Template("a", header=lower).to_payload()


def test_the_sandbox_takes_types_of_parameters_in_any_case(hook, sandbox):
    components = [{"type": "BODY", "text": "It is {{1}} late.", "example": {"body_text": [["5"]]}}]
    hook.create_template("late", "en_US", "UTILITY", components)
    sandbox.control("POST", "templates", name="late", language="en_US", status="APPROVED")

    money = {"type": "CURRENCY", "fallback_value": "$5", "code": "USD", "amount_1000": 5000}
    hook.send(TO, m.Template("late", body=[money]))
    raw = [{"type": "BODY", "parameters": [{"type": "TEXT", "text": "5"}]}]
    hook.send(TO, m.Template("late", components=raw))
    assert len(sandbox.messages) == 2


BLANK = [" ", "\n", "\t \n", "\u00a0", "\u3000"]


@pytest.mark.parametrize("text", BLANK)
@pytest.mark.parametrize("make", [
    m.Text,
    lambda text: parse_message({"type": "text", "text": {"body": text}}),
    lambda text: m.Image(link="https://x.example", caption=text),
    lambda text: m.ReplyButtons(text, ["Yes"]),
    lambda text: m.ReplyButtons("Hi", ["Yes"], footer=text),
    lambda text: m.ReplyButtons("Hi", [{"id": "a", "title": text}]),
    lambda text: m.ListMessage("Hi", "Open", [{"rows": [{"id": "a", "title": text}]}]),
    lambda text: parse_message(interactive("button", {"buttons": [{"reply": {"id": "a", "title": text}}]})),
    lambda text: m.Template("a", body=[text]),
    lambda text: m.Template("a", header=text),
    lambda text: m.Template("a", components=[{"type": "body", "parameters": [{"type": "text", "text": text}]}]),
])  # fmt: skip
def test_a_text_of_white_space_alone_is_refused_before_a_request(make, text):
    with pytest.raises(PayloadError, match="white space"):
        make(text)


def with_nulls(value, key=""):
    """Add a null to every object of Graph's JSON, but for a flow's data, which is the caller's own."""
    if isinstance(value, dict):
        made = {
            name: item if name in ("data", "flow_action_data") else with_nulls(item, name)
            for name, item in value.items()
        }
        return {**made, "footer": None} if "footer" not in made else made
    return [with_nulls(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("kind", sorted(MESSAGES))
@settings(max_examples=examples(8), deadline=None)
@given(data=st.data())
def test_a_null_anywhere_changes_nothing(kind, data):
    payload = data.draw(MESSAGES[kind]).to_payload()

    assert parse_message(with_nulls(payload)).to_payload() == payload
