"""Messages of people are read on from a cursor: each once, in order, and nothing of a person that was not asked for."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from airflow_provider_whatsapp.events import inbox as module
from airflow_provider_whatsapp.events import tables
from airflow_provider_whatsapp.events.inbox import Inbox, Wanted
from airflow_provider_whatsapp.events.parse import parse
from airflow_provider_whatsapp.events.rows import Rows
from tests.events.bodies import ACCOUNT, NUMBER, T0, body, change, status, statuses
from tests.events.bodies import text as reply
from tests.events.test_store import send_row, write


def say(store, *items, verified=True):
    write(store, body(change(messages=list(items))), verified=verified)


def inbox(store, *, consumer="airflow", include=(), **wanted):
    return Inbox(store, Wanted(**wanted), consumer=consumer, include=include)


def ids(found):
    return [event["message_id"] for event in found.events]


def test_what_was_there_before_makes_no_event_and_all_else_one_in_order(store, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 3)
    say(store, reply("old"))
    reader = inbox(store)
    place = reader.begin()
    for number in range(8):
        say(store, reply(f"m{number}"))

    seen = []
    while (found := reader.read(place)).position != place:
        seen += ids(found)
        assert found.more == (len(found.events) == 3)
        place = found.position
        reader.save(place)
    assert seen == [f"m{number}" for number in range(8)]
    assert inbox(store).begin() == place, "another process goes on there"


def test_a_reader_with_other_filters_goes_on_where_the_last_one_was(store):
    first = inbox(store)
    first.begin()
    say(store, reply("m1"))
    first.save(first.read(0).position)
    say(store, reply("m2"))

    other = inbox(store, kinds=("text",))
    assert ids(other.read(other.begin())) == ["m2"]
    stranger = inbox(store, consumer="air_low")
    assert ids(stranger.read(stranger.begin())) == []


def test_a_position_is_never_moved_back(store):
    reader = inbox(store)
    reader.begin()
    reader.save(7)
    reader.save(5)
    assert reader.begin() == 7


@pytest.fixture(params=["upsert", "row-by-row"])
def each_way(request, store):
    if request.param == "row-by-row":
        store._insert = None
    return store


def test_a_message_that_a_signed_one_replaces_makes_one_event_for_each_reader(each_way):
    store = each_way
    strict, all_ = inbox(store), inbox(store, verified_only=False)
    places = [strict.begin(), all_.begin()]
    say(store, reply("a", "forged"), reply("b"), verified=False)
    early = all_.read(places[1])
    assert (ids(early), ids(strict.read(places[0])), strict.read(places[0]).unsigned) == (["a", "b"], [], 2)
    say(store, reply("c"))
    say(store, reply("a", "right"))  # a new number, above that of c
    say(store, reply("a", "again"))

    assert ids(strict.read(strict.read(places[0]).position)) == []
    assert ids(strict.read(places[0])) == ["c", "a"]
    assert ids(all_.read(early.position)) == ["c"], "a has made its event"
    late = all_.read(places[1])
    assert ids(late) == ["a", "b", "c"], "one that was away meets each once"


def test_a_replaced_message_is_not_lost_between_two_pages(store, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 2)
    reader = inbox(store, verified_only=False)
    place = reader.begin()
    say(store, *(reply(name) for name in "abcd"), verified=False)
    say(store, reply("b"))
    seen = []
    while (found := reader.read(place)).position != place:
        seen, place = seen + ids(found), found.position
    assert seen == ["a", "b", "c", "d"]


def test_numbers_rise_in_the_order_of_the_commits(store):
    """What a slower transaction inserted first must not appear behind a reader that has gone on."""
    reader = inbox(store)
    place = reader.begin()
    held = Rows(datetime.now(UTC))
    held.add(parse(body(change(messages=[reply("first")]))), verified=True)
    later = threading.Thread(target=lambda: say(store, reply("later")))
    with store.writing() as connection:
        store.put_events(connection, held)
        later.start()
        later.join(0.3)  # on PostgreSQL it would have been committed by now
        assert ids(reader.read(place)) == []
    later.join()
    assert ids(reader.read(place)) == ["first", "later"]


BUTTON = {"type": "button", "button": {"text": "Late", "payload": "late:7"}}
MATCHES = {
    "nothing": ({}, True),
    "kind": ({"kinds": ("text", "button")}, True),
    "another kind": ({"kinds": ("text",)}, False),
    "payload": ({"payloads": ("x", "late:7")}, True),
    "another payload": ({"payloads": ("late",)}, False),
    "keyword": ({"keywords": ("¡LATE!",)}, True),
    "another keyword": ({"keywords": ("lat",)}, False),
    "sender": ({"senders": ("525512345678",)}, True),
    "user": ({"senders": ("MX.1",)}, True),
    "another sender": ({"senders": ("15550000000",)}, False),
    "reply": ({"reply_to": ("wamid.ours",)}, True),
    "another reply": ({"reply_to": ("wamid.other",)}, False),
    "template": ({"template_names": ("offer", "hello")}, True),
    "another template": ({"template_names": ("offer",)}, False),
    "number": ({"phone_number_ids": (NUMBER,)}, True),
    "another number": ({"phone_number_ids": ("1",)}, False),
    "account": ({"waba_ids": (ACCOUNT,)}, True),
    "another account": ({"waba_ids": ("1",)}, False),
    "all": ({"kinds": ("button",), "payloads": ("late:7",), "keywords": ("late",)}, True),
    "all but one": ({"kinds": ("button",), "payloads": ("late:7",), "keywords": ("x",)}, False),
}


@pytest.fixture
def pressed(store):
    """A button of a template that a task sent was pressed."""
    carried = f"awp1.{'a' * 22}.1.0"
    write(store, statuses(status("wamid.ours", biz_opaque_callback_data=carried)))
    store.record_sends([send_row("a")])
    say(
        store,
        reply("m", None, T0, "5215512345678", from_user_id="MX.1", context={"id": "wamid.ours"}, **BUTTON),
    )
    return store


def test_each_filter_takes_and_leaves(pressed):
    found = {name: bool(inbox(pressed, **wanted).read(0).events) for name, (wanted, _) in MATCHES.items()}
    assert found == {name: takes for name, (_, takes) in MATCHES.items()}


def test_a_forged_receipt_names_no_template(pressed):
    with pressed.writing() as connection:
        connection.execute(tables.statuses.update().values(verified=False))
    assert inbox(pressed, template_names=("hello",)).read(0).events == []
    assert (
        inbox(pressed, template_names=("hello",), verified_only=False).read(0).events[0]["template_name"]
        == "hello"
    )


def test_an_event_holds_what_its_author_named_and_nobody_s_data(pressed):
    contact = {"wa_id": "5215512345678", "profile": {"name": "Ana\nRuiz\u202e"}}
    say(pressed, reply("n", "My secret\x07\nis \u202ehere", T0, "5215512345678"))
    (event,) = (
        inbox(pressed, template_names=("hello",), payloads=("late:7",), keywords=("Late",)).read(0).events
    )

    assert event == {
        "message_id": "m",
        "kind": "button",
        "account_id": ACCOUNT,
        "phone_number_id": NUMBER,
        "sender": "52•••5678",
        "user_id": event["user_id"],
        "reply_to": "wamid.ours",
        "template_name": "hello",
        "keyword": "Late",
        "payload": "late:7",
        "occurred_at": event["occurred_at"],
        "received_at": event["received_at"],
        "verified": True,
    }
    assert "MX.1" not in event["user_id"]
    bare = json.dumps(inbox(pressed).read(0).events)
    assert "5215512345678" not in bare
    assert "late:7" not in bare
    assert "secret" not in bare

    write(pressed, body(change(messages=[reply("o", "x", T0, "5215512345678")], contacts=[contact])))
    everything = inbox(pressed, include=module.INCLUDABLE).read(0).events
    assert (everything[0]["sender"], everything[0]["payload"]) == ("5215512345678", "late:7")
    assert everything[1]["text"].startswith("My secret")
    assert everything[1]["text"].count("\n") == 1
    assert not {"\x07", "\u202e"} & set(everything[1]["text"])
    assert everything[2]["profile_name"].startswith("Ana Ruiz")
    assert "\u202e" not in everything[2]["profile_name"]


def test_an_event_is_bounded(store):
    long = {"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {"body": "x" * 60_000}}}
    say(store, reply("m", "x" * 60_000), reply("n", None, **long))

    events = inbox(store, include=module.INCLUDABLE).read(0).events
    assert all(len(json.dumps(event)) < 6_000 for event in events)
    with store.reading() as connection:
        assert connection.execute(select(tables.messages.c.text)).scalars().first() == "x" * 60_000
