# ruff: noqa: RUF001  (words of many scripts)
"""Opt-outs by replies, preferences and errors: the same in every order, whatever the words are."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, inspect, select, text

from airflow_provider_whatsapp.answering.request_id import RequestId
from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.events import opt_outs as module
from airflow_provider_whatsapp.events import tables
from airflow_provider_whatsapp.events.alerts import AlertId
from airflow_provider_whatsapp.events.cursors import position, put_position
from airflow_provider_whatsapp.events.opt_out_words import START_WORDS, STOP_WORDS, bare, opt_out_words
from airflow_provider_whatsapp.events.opt_outs import CURSOR, look_through, opted_out
from airflow_provider_whatsapp.events.receiver import Settings, receiver_app
from airflow_provider_whatsapp.events.store import EventStore
from tests.events.bodies import ACCOUNT, SECRET, T0, body, change, signed, status, statuses
from tests.events.bodies import text as reply
from tests.events.test_store import rows, write
from tests.examples import examples

START = datetime(2026, 1, 1, tzinfo=UTC)
WISHES = st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.booleans()), min_size=1, max_size=6)
NAMES = itertools.count()
QUICK = settings(
    max_examples=examples(80),
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def left_out(store, account, contacts, scopes):
    """Return who of some has opted out of one of some scopes."""
    return {contact for contact, of in opted_out(store, account, contacts).items() if of & set(scopes)}


def stands(wishes):
    """Say by the rule itself whether somebody has opted out: an opt-out that no later wish was entitled to end."""
    return any(
        out
        and not any(not other and later > at and (strong or not signed_) for later, other, strong in wishes)
        for at, out, signed_ in wishes
    )


def as_rows(wishes, contact):
    for second, out, verified in wishes:
        at = START + timedelta(seconds=second)
        own = {"account_id": "1", "contact": contact, "scope": "all", "opted_out": out, "source": "reply"}
        yield {
            **own,
            "number": contact,
            "user_id": None,
            "changed_at": at,
            "verified": verified,
            "received_at": at,
        }


def arrive(store, wishes, contact):
    """Let wishes arrive in this order; in one transaction, for what is asked here is their order alone."""
    with store.writing() as connection:
        for row in as_rows(wishes, contact):
            store._put_preference(connection, row)


@pytest.fixture
def quick(tmp_path):
    store = EventStore.open(f"sqlite:///{tmp_path}/quick.db")
    store.create_or_upgrade()
    yield store
    store.close()


@QUICK
@given(WISHES, st.randoms(use_true_random=False))
def test_the_order_in_which_wishes_arrive_does_not_matter(quick, wishes, chance):
    contact = f"{next(NAMES)}-"
    for index, order in enumerate((wishes, wishes[::-1], chance.sample(wishes * 2, 2 * len(wishes)))):
        arrive(quick, order, f"{contact}{index}")
        assert left_out(quick, "1", [f"{contact}{index}"], ["all"]) == (
            {f"{contact}{index}"} if stands(wishes) else set()
        )


def test_every_order_of_four_wishes_in_each_kind_of_database(store):
    """The sequences that the rule decides by more than the last wish."""
    cases = [
        [(2, False, True), (2, True, False)],
        [(1, True, True), (2, False, True), (3, True, False), (4, False, False)],
        [(1, True, True), (2, True, False), (3, False, False)],
        [(2, False, True), (3, True, False), (1, True, True)],
        [(2, False, True), (2, True, False), (4, False, False), (3, True, True)],
    ]
    made = {}
    for number, wishes in enumerate(cases):
        for place, order in enumerate(itertools.permutations(wishes)):
            contact = f"{number}-{place}"
            made[contact] = stands(wishes)
            arrive(store, order, contact)
    found = left_out(store, "1", list(made), ["all"])
    assert found == {contact for contact, out in made.items() if out}
    assert 0 < len(found) < len(made)


def test_what_counts_keeps_its_own_source_and_time(quick):
    signed_resume, unsigned_stop = list(as_rows([(2, False, True), (3, True, False)], "7"))
    quick.record_preferences([{**unsigned_stop, "source": "error_131050"}])
    quick.record_preferences([signed_resume])

    (row,) = rows(quick, tables.opt_outs)
    assert (row["opted_out"], row["source"], row["verified"]) == (True, "error_131050", False)
    assert row["changed_at"] == START + timedelta(seconds=3)

    signed_stop, later = list(as_rows([(2, True, True), (3, True, False)], "8"))
    quick.record_preferences([signed_stop])
    quick.record_preferences([later])
    assert rows(quick, tables.opt_outs)[1]["verified"] is True


WORDS = opt_out_words()
SAID = {
    "Stop": "all",
    "  stop!! ": "all",
    "¡BAJA!": "all",
    "Dar  de\nbaja.": "all",
    "ARRÊT": "all",
    "arrêter": "all",
    "Abmelden": "all",
    "İptal": "all",
    "IPTAL": "all",
    "ıptal": "all",
    "\u200fتوقف\u200f": "all",
    "रोकें।": "all",
    "配信停止": "all",
    "ＳＴＯＰ": "all",
    "🛑 STOP ▶\ufe0f": "all",
    "(opt-out)": "all",
    "opt\u2011out": "all",
    "Opt \u2013 out": "all",
    "opt \u2013 in": "start",
    "\u062a\u064e\u0648\u064e\u0642\u0651\u064e\u0641": "all",
    "\u062a\u0648\u0640\u0640\u0642\u0641": "all",
    "\u05e2\u05b2\u05e6\u05d5\u05b9\u05e8": "all",
    "*STOP*": "all",
    "stop \U0001f64f\U0001f3fd": "all",
    "sto\u200bp": "all",
    "stop\n\nsent from my phone": None,
    "Start": "start",
    "ALTA.": "start",
    "Please don't stop": None,
    "stop it": None,
    "non-stop": None,
    "stopped": None,
    "": None,
    "!!!": None,
    "🛑": None,
    "STOP" + "!" * 70: None,
}


@pytest.mark.parametrize(("said", "meaning"), SAID.items(), ids=map(ascii, SAID))
def test_a_reply_counts_as_a_whole(said, meaning):
    assert WORDS.meaning(SimpleNamespace(kind="text", text=said, payload=None)) == meaning


BUTTONS = {
    "label": ("button", "Stop", "x1", "all"),
    "payload": ("button", "No more offers", "STOP", "all"),
    "reply": ("interactive", "Unsubscribe", "b2", "all"),
    "appointment": ("button", "Cancel", "cancel", None),
    "survey": ("interactive", "Start", "START", None),
    "caption": ("image", "STOP", None, None),
    "another": ("button", "Yes", "yes", None),
    "a choice of a task's": ("interactive", "Stop", RequestId.new().payload(2), None),
    "an approval of a task's": ("button", "Stop", RequestId.new().payload(1), None),
    "an alert's": ("button", "Stop", AlertId.new().payload("mute"), None),
    "flow": ("interactive", "Sent", "{}" * 400, None),
}


@pytest.mark.parametrize(("kind", "label", "payload", "meaning"), BUTTONS.values(), ids=BUTTONS)
def test_a_button_counts_unless_its_word_is_for_something_else(kind, label, payload, meaning):
    assert WORDS.meaning(SimpleNamespace(kind=kind, text=label, payload=payload)) == meaning


def test_the_words_of_the_lists_are_words_and_none_means_both():
    assert not WORDS.all & WORDS.start
    for lists, held in ((STOP_WORDS, WORDS.all), (START_WORDS, WORDS.start)):
        for language, words in lists.items():
            assert all(bare(word) in held for word in words.split(", ")), language
            assert all(bare(bare(word)) == bare(word) for word in words.split(", ")), language


@given(st.text(max_size=80))
@settings(max_examples=examples(200), deadline=None, database=None, derandomize=True)
def test_whatever_is_said_means_something_or_nothing(said):
    assert WORDS.meaning(SimpleNamespace(kind="text", text=said, payload=said)) in (
        "all",
        "marketing",
        "start",
        None,
    )


def words_of(tmp_path, content):
    file = tmp_path / "words.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return opt_out_words(file)


def test_words_are_changed_by_language_or_altogether(tmp_path):
    by_language = words_of(tmp_path, {"all": {"de": ["Raus"], "en": []}, "marketing": ["Keine Werbung"]})
    assert {"raus", "baja"} <= by_language.all
    assert not {"stop", "abmelden"} & by_language.all
    assert (by_language.marketing, by_language.start) == ({"keine werbung"}, WORDS.start)

    whole = words_of(tmp_path, {"all": ["Weg"], "start": ["Weg", "Her"], "marketing": ["weg!"]})
    assert (whole.all, whole.marketing, whole.start) == ({"weg"}, set(), {"her"})
    assert len({whole.digest, by_language.digest, WORDS.digest}) == 3
    assert opt_out_words().digest == WORDS.digest


REFUSED = {
    "no JSON": ("{", "is not JSON"),
    "a list": ("[]", "does not contain opt-out words"),
    "another kind": ({"stop": ["x"]}, "does not contain opt-out words"),
    "a text": ({"all": "stop"}, "'all' is not a list"),
    "a number": ({"all": [7]}, "has an item that is not a word"),
    "no word": ({"start": {"en": ["!"]}}, "'start' has an item that is not a word"),
    "long": ({"start": ["x" * 65]}, "has an item that is not a word"),
    "deep": ({"all": {"en": {"us": ["x"]}}}, "'all' is not a list"),
    "large": ('"' + "x" * 1_000_000 + '"', "does not contain opt-out words"),
}


@pytest.mark.parametrize(("content", "complaint"), REFUSED.values(), ids=REFUSED)
def test_a_file_of_words_that_is_none_is_refused(tmp_path, content, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        words_of(tmp_path, content)


def test_a_file_of_words_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"none\.json \(No such file"):
        opt_out_words(tmp_path / "none.json")


def outs(store):
    return {(row["contact"], row["scope"]): row for row in rows(store, tables.opt_outs)}


def test_the_receiver_takes_opt_outs_from_replies(store):
    from starlette.testclient import TestClient

    content = body(
        change(
            messages=[
                reply("wamid.1", "STOP", T0 - 9, "5215512345678", from_user_id="MX.1"),
                reply("wamid.2", "please stop", T0 - 8, "15550100002"),
                reply("wamid.3", "Stop", T0 - 7, "15550100003"),
                reply("wamid.4", "Start!", T0 - 6, "15550100003"),
            ]
        )
    )
    settings_ = Settings(verify_token="t", app_secret=SECRET)
    with TestClient(receiver_app(store, settings_)) as client:
        assert client.post("/", content=content, headers=signed(content)).status_code == 200

    found = outs(store)
    assert {key: row["opted_out"] for key, row in found.items()} == {
        ("525512345678", "all"): True,
        ("MX.1", "all"): True,
        ("15550100003", "all"): False,
        ("15550100003", "marketing"): False,
    }
    row = found["525512345678", "all"]
    assert (row["source"], row["account_id"], row["number"]) == ("reply", ACCOUNT, "5215512345678")
    assert (row["verified"], row["changed_at"]) == (True, datetime.fromtimestamp(T0 - 9, UTC))
    assert len(rows(store, tables.messages)) == 4
    assert left_out(store, ACCOUNT, ["525512345678", "15550100003", "MX.1"], ["all"]) == {
        "525512345678",
        "MX.1",
    }
    assert left_out(store, ACCOUNT, ["525512345678"], ["marketing"]) == set()
    assert left_out(store, "1", ["525512345678"], ["all"]) == set(), "of this account alone"


def test_words_that_change_lose_nothing(store, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "PAGE", 2)
    long = "x" * 70_000
    for number, said in enumerate(["STOP", "Raus", long, "raus!", "no"]):
        write(store, body(change(messages=[reply(f"wamid.{number}", said, T0 - 9, f"1555010000{number}")])))
    write(store, body(change(messages=[reply("wamid.9", "Raus", T0 - 9, "15550100009")])), verified=False)

    assert look_through(store, WORDS) == 1, "what was stored before there were words"
    assert look_through(store, WORDS) == 0
    assert look_through(store, words_of(tmp_path, {"all": ["Raus"]})) == 3
    assert {key[0] for key in outs(store)} == {"15550100000", "15550100001", "15550100003", "15550100009"}
    assert outs(store)["15550100009", "all"]["verified"] is False
    with store.reading() as connection:
        assert position(connection, CURSOR) == words_of(tmp_path, {"all": ["Raus"]}).digest


def test_a_failure_with_131050_is_an_opt_out_of_marketing(store):
    failed = {"code": 131050, "title": "stopped", "error_data": {"details": "x"}}
    write(store, statuses(status("wamid.A", "failed", errors=[failed])))

    assert left_out(store, ACCOUNT, ["15550100123"], ["all"]) == set()
    assert left_out(store, ACCOUNT, ["15550100123"], ["all", "marketing"]) == {"15550100123"}


def test_a_position_only_moves_forward_where_it_should(store):
    for place, forward in ((5, True), (3, True), (9, True), (4, False)):
        put_position(store, "a", place, forward=forward)
        put_position(store, "b", 1)
    with store.reading() as connection:
        assert [position(connection, name) for name in ("a", "b", "c")] == [4, 1, None]
    put_position(store, "a", 3, forward=True)
    with store.reading() as connection:
        assert position(connection, "a") == 4


OF_VERSION_1 = (
    "DROP TABLE whatsapp_opt_out_wishes",
    "DROP TABLE whatsapp_cursors",
    "DROP TABLE whatsapp_alerts",
    "DROP TABLE whatsapp_requests",
    "DROP INDEX whatsapp_messages_first",
    "ALTER TABLE whatsapp_messages DROP COLUMN first_id",
    "UPDATE whatsapp_schema SET version = 1",
)


def test_a_store_of_version_1_is_upgraded_with_what_it_holds(store):
    stop, resume = list(as_rows([(3, True, True), (9, False, False)], "15550100001"))
    store.record_preferences([stop])
    write(store, body(change(messages=[reply("wamid.1", "STOP", T0 - 9, "15550100002")])))
    with store.writing() as connection:
        for statement in OF_VERSION_1:
            connection.execute(text(statement))
    with pytest.raises(ConfigurationError, match="earlier version"):
        store.check()

    store.create_or_upgrade()
    store.create_or_upgrade()

    store.check()
    made = inspect(store._engine)
    for table in tables.metadata.tables.values():
        assert {column.name for column in table.columns} == {
            each["name"] for each in made.get_columns(table.name)
        }
        assert {index.name for index in table.indexes} <= {
            each["name"] for each in made.get_indexes(table.name)
        }
    store.record_preferences([resume])  # not signed, so it ends nothing
    assert left_out(store, "1", ["15550100001"], ["all"]) == {"15550100001"}
    assert look_through(store, WORDS) == 1
    write(store, body(change(messages=[reply("wamid.1", "STOP"), reply("wamid.2", "x")])))
    with store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(tables.messages)).scalar() == 2
