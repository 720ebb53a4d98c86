"""A webhook's body becomes typed events; nothing that it holds is lost, and nothing that it holds breaks the reader."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.events.kinds import RANKS, Inbound, Other, Preference, Status
from airflow_provider_whatsapp.events.parse import MAX_EVENTS, MalformedError, parse
from tests.events.bodies import ACCOUNT, NUMBER, T0, body, change, status, statuses, text
from tests.examples import examples

MOMENT = datetime.fromtimestamp(T0, UTC)


def only(content):
    (event,) = parse(content)
    return event


def test_a_status_with_all_its_parts():
    pricing = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"}
    item = status(
        "wamid.A", "delivered", pricing=pricing, recipient_user_id="US.1", biz_opaque_callback_data="mine"
    )
    event = only(statuses(item))

    assert event == Status(
        message_id="wamid.A",
        status="delivered",
        participant="",
        account_id=ACCOUNT,
        phone_number_id=NUMBER,
        recipient="15550100123",
        recipient_user_id="US.1",
        occurred_at=MOMENT,
        callback_data="mine",
        error_code=None,
        error_title=None,
        error_details=None,
        price_category="utility",
        price_type="regular",
        price_model="PMP",
        billable=True,
        raw=event.raw,
    )
    assert json.loads(event.raw) == item


def test_a_failure_says_why():
    error = {"code": 131026, "title": "Undeliverable", "error_data": {"details": "No WhatsApp there"}}
    event = only(statuses(status("wamid.A", "failed", errors=[error])))

    assert (event.error_code, event.error_title, event.error_details) == (
        131026,
        "Undeliverable",
        "No WhatsApp there",
    )


def test_a_group_has_a_status_for_each_participant():
    first = status("wamid.A", "read", recipient_type="group", recipient_participant_id="15550100001")
    second = status("wamid.A", "read", recipient_type="group", recipient_participant_user_id="US.2")

    assert [event.participant for event in parse(statuses(first, second))] == ["15550100001", "US.2"]


def test_the_ranks_are_whatsapp_s_order():
    assert sorted(RANKS, key=RANKS.get) == ["sent", "failed", "delivered", "read", "played"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"type": "text", "text": {"body": "Olá"}}, ("Olá", None)),
        ({"type": "button", "button": {"text": "Yes", "payload": "p-1"}}, ("Yes", "p-1")),
        (
            {
                "type": "interactive",
                "interactive": {"type": "button_reply", "button_reply": {"id": "b", "title": "T"}},
            },
            ("T", "b"),
        ),
        (
            {
                "type": "interactive",
                "interactive": {"type": "list_reply", "list_reply": {"id": "l", "title": "T"}},
            },
            ("T", "l"),
        ),
        (
            {
                "type": "interactive",
                "interactive": {"type": "nfm_reply", "nfm_reply": {"response_json": "{}"}},
            },
            (None, "{}"),
        ),
        ({"type": "image", "image": {"id": "1", "caption": "Look"}}, ("Look", None)),
        ({"type": "reaction", "reaction": {"message_id": "wamid.B", "emoji": "👍"}}, ("👍", "wamid.B")),
        ({"type": "location", "location": {"latitude": 1}}, (None, None)),
        ({"type": "request_welcome"}, (None, None)),
        ({"type": "of_next_year", "of_next_year": [1]}, (None, None)),
        ({"type": "interactive", "interactive": {"type": ["button_reply"]}}, (None, None)),
    ],
    ids=lambda value: value.get("type") if isinstance(value, dict) else "",
)
def test_what_a_message_says(fields, said):
    item = {"from": "15550100123", "id": "wamid.R", "timestamp": str(T0), **fields}
    event = only(body(change(messages=[item])))

    assert (event.text, event.payload) == said
    assert (event.kind, event.sender, event.account_id, event.phone_number_id, event.occurred_at) == (
        fields["type"],
        "15550100123",
        ACCOUNT,
        NUMBER,
        MOMENT,
    )
    assert json.loads(event.raw) == item


def test_a_message_has_its_sender_s_contact():
    contacts = [
        {"wa_id": "15550100999", "profile": {"name": "Somebody else"}},
        {"wa_id": "15550100123", "user_id": "US.1", "profile": {"name": "Ana"}},
    ]
    event = only(body(change(messages=[text("wamid.R", context={"id": "wamid.A"})], contacts=contacts)))

    assert (event.profile_name, event.sender_user_id, event.context_id) == ("Ana", "US.1", "wamid.A")
    assert json.loads(event.contact) == contacts[1]


def test_a_message_without_a_number_has_the_only_contact_s():
    item = {"id": "wamid.R", "timestamp": str(T0), "type": "text", "text": {"body": "x"}}
    event = only(body(change(messages=[item], contacts=[{"wa_id": "15550100123"}])))

    assert event.sender == "15550100123"


@pytest.mark.parametrize(("value", "opted_out"), [("stop", True), ("resume", False)])
def test_a_preference_is_an_opt_out_of_marketing(value, opted_out):
    wish = {"wa_id": "15550100123", "category": "marketing_messages", "value": value, "timestamp": T0}
    preference, kept = parse(body(change("user_preferences", user_preferences=[wish])))

    assert preference == Preference(
        account_id=ACCOUNT,
        number="15550100123",
        user_id=None,
        scope="marketing",
        opted_out=opted_out,
        source="user_preferences",
        occurred_at=MOMENT,
    )
    assert isinstance(kept, Other)


@pytest.mark.parametrize(
    "wish",
    [
        {"wa_id": "15550100123", "category": "of_next_year", "value": "stop"},
        {"wa_id": "15550100123", "category": "marketing_messages", "value": "signup"},
        {"category": "marketing_messages", "value": "stop"},
        "stop",
    ],
    ids=["category", "value", "nobody", "no-object"],
)
def test_another_preference_is_kept_and_changes_nothing(wish):
    assert isinstance(only(body(change("user_preferences", user_preferences=[wish]))), Other)


def test_error_131050_is_an_opt_out_of_marketing():
    found = parse(statuses(status("wamid.A", "failed", errors=[{"code": 131050}])))

    assert [type(event) for event in found] == [Status, Preference]
    assert (found[1].number, found[1].scope, found[1].opted_out) == ("15550100123", "marketing", True)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (body({"field": "account_update", "value": {"event": "DISABLED_UPDATE"}}), "account_update"),
        (body(change(errors=[{"code": 130429}])), "messages.errors"),
        (body(change(user_actions=[{"action_type": "landing_page_view"}])), "messages.user_actions"),
        (body(change(contacts=[{"wa_id": "1"}])), "messages"),
        (body(change(statuses=["sent"])), "messages.statuses"),
        (body(change(statuses=[{"id": "wamid.A"}])), "messages.statuses"),
        (body(change(statuses={"id": "wamid.A"})), "messages.statuses"),
        (body(change(messages=[{"id": "a b", "type": "text"}])), "messages.messages"),
        (body(change(messages=[{"id": "x" * 256, "type": "text"}])), "messages.messages"),
        (body({"field": "messages", "value": []}), ""),
        (body({"value": {}}), ""),
        (body("x"), ""),
        (b'{"object": "page", "entry": []}', ""),
        (b'{"object": "whatsapp_business_account", "entry": {"id": 1}}', ""),
        (b'{"object": "whatsapp_business_account", "entry": [7]}', ""),
        (b"{}", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_known_is_kept_raw(content, field):
    event = only(content)

    assert isinstance(event, Other)
    assert event.field == field
    assert json.loads(event.raw) in list(parts(json.loads(content)))


def parts(value):
    yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(each)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nothing",
        b"\xff\xfe",
        b"[]",
        b'"text"',
        b'{"object": NaN}',
        b'{"object": 1e999}',
        b'{"object": %s}' % (b"1" * 5000),
        b'{"object": %s}' % (b"[" * 100_000),
        b'{"object": %s1%s}' % (b"[" * 900, b"]" * 900) * 2,
    ],
    ids=["empty", "text", "bytes", "list", "string", "nan", "infinite", "digits", "deep", "two"],
)
def test_what_is_no_webhook_is_refused(content):
    with pytest.raises(MalformedError):
        parse(content)


def test_a_flood_of_events_is_refused():
    assert len(parse(body(*({} for _ in range(MAX_EVENTS))))) == MAX_EVENTS
    with pytest.raises(MalformedError, match="more than 20,000 events"):
        parse(body(*({} for _ in range(MAX_EVENTS + 1))))


@pytest.mark.parametrize(
    ("given_time", "read"),
    [
        (str(T0), MOMENT),
        (T0, MOMENT),
        ("-5", None),
        ("9" * 20, None),
        (10**300, None),
        (True, None),
        ("٣", None),
        (None, None),
        ("yesterday", None),
    ],
    ids=["text", "integer", "negative", "late", "huge", "bool", "arabic", "none", "word"],
)
def test_a_time_is_read_or_left_out(given_time, read):
    assert only(statuses({"id": "wamid.A", "status": "sent", "timestamp": given_time})).occurred_at == read


def test_texts_fit_any_database():
    event = only(body(change(messages=[text("wamid.R", "a\x00b\ud800" + "c" * 100_000)])))

    assert event.text.startswith("a\ufffdb\ufffdccc")
    assert len(event.text) == 65_536
    assert event.raw.isascii()
    assert "\x00" not in event.raw


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["id", "status", "timestamp", "type", "from", "errors", "pricing", "text", "context", "code"]
)
ITEMS = (
    st.lists(st.dictionaries(KEYS, JSON | st.sampled_from(["wamid.A", "sent", "text"])) | JSON, max_size=3)
    | JSON
)


@settings(max_examples=examples(150), deadline=None, database=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(["statuses", "messages", "contacts", "metadata", "errors"]), ITEMS))
def test_whatever_a_value_holds_becomes_events(value):
    found = parse(body({"field": "messages", "value": value}))

    assert found
    for event in found:
        assert isinstance(event, Status | Inbound | Other | Preference)
        for name in event.__slots__:
            held = getattr(event, name)
            assert not isinstance(held, str) or (held.encode() is not None and "\x00" not in held)


def test_thousands_of_contacts_and_messages_are_looked_through_once():
    contacts = [{"wa_id": str(number), "user_id": f"U.{number}"} for number in range(3_000)]
    asked = [
        {"id": f"wamid.{number}", "type": "text", "from_user_id": f"U.{number}"} for number in range(1_000)
    ]
    calls = 0

    def count(*_):
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        events = parse(body(change(contacts=contacts, messages=asked)))
    finally:
        sys.setprofile(None)

    assert [event.sender for event in events] == [str(number) for number in range(1_000)]
    assert calls < 100 * (len(contacts) + len(asked))  # one look per pair would be 3 million


def test_a_contact_that_is_too_large_is_kept_once():
    contact = {"wa_id": "15550100123", "profile": {"name": "Ann"}, "more": "x" * 9_000}
    said = [{"id": f"wamid.{number}", "type": "text", "from": "15550100123"} for number in range(3)]

    *inbound, other = parse(body(change(contacts=[contact], messages=said)))

    assert [(event.profile_name, event.contact) for event in inbound] == [("Ann", None)] * 3
    assert (other.field, json.loads(other.raw)) == ("messages.contacts", contact)
