"""Whoever has opted out is left out by every sending operator; and what the gateway says of opt-outs is noted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.events.opt_outs import opted_out
from airflow_provider_whatsapp.events.store import EventStore, StoreError
from airflow_provider_whatsapp.operators._suppression import _sources, hidden_suppression
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
from airflow_provider_whatsapp.operators.messages import (
    SendMediaOperator,
    SendMessageOperator,
    SendTemplateOperator,
    SendTextOperator,
)
from airflow_provider_whatsapp.operators.sql import SqlToWhatsAppOperator

OF_ALL, OF_MARKETING, OF_ANOTHER, LISTED, IN = (f"1555000000{number}" for number in range(1, 6))
MEXICO, USER = "5215512345678", "US.13491208655302741918"
TO = [f"+{OF_ALL}", f"+{OF_MARKETING}", f"+{OF_ANOTHER}", f"+{LISTED}", f"+{MEXICO}", USER, f"+{IN}"]


def wish(account, contact, scope="all", **fields):
    own = {"account_id": account, "contact": contact, "scope": scope, "opted_out": True, "source": "reply"}
    now = datetime.now(UTC)
    rest = {"number": contact, "user_id": None, "changed_at": now, "verified": False, "received_at": now}
    return {**own, **rest, **fields}


@pytest.fixture
def events(monkeypatch, tmp_path, sandbox):
    """Name a store in Airflow's configuration; some have opted out in it."""
    path, account = tmp_path / "events.db", sandbox.extra["waba_id"]
    monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", "events")
    monkeypatch.setenv("AIRFLOW_CONN_EVENTS", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    store = EventStore.open(f"sqlite:///{path}")
    store.create_or_upgrade()
    store.record_preferences(
        [
            wish(account, OF_ALL),
            wish(account, OF_MARKETING, "marketing"),
            wish("1", OF_ANOTHER),
            wish(account, "525512345678"),
            wish(account, USER),
            wish(account, IN, opted_out=False),
        ]
    )
    yield store
    store.close()


@pytest.fixture
def marketing(sandbox):
    """Have an approved template of marketing."""
    body = [{"type": "BODY", "text": "An offer."}]
    sandbox.control(
        "PUT",
        "templates",
        name="offer",
        language="en_US",
        category="MARKETING",
        status="APPROVED",
        components=body,
    )


def run(kind, /, **arguments):
    ids = {"dag_id": "d", "run_id": "r", "task_id": "send", "map_index": -1, "try_number": 1, "max_tries": 0}
    task = kind(task_id="send", **arguments)
    return task.execute({"ti": SimpleNamespace(**ids, xcom_push=lambda **_: None)})


def reached(sandbox):
    return {message["to"] for message in sandbox.messages}


FREE = {OF_MARKETING, OF_ANOTHER, LISTED, IN}
SENDERS = {
    "text": (SendTextOperator, {"to": TO, "text": "x"}, FREE),
    "media": (SendMediaOperator, {"to": TO, "media": "https://example.com/a.png", "kind": "image"}, FREE),
    "message": (SendMessageOperator, {"to": TO, "message": {"type": "text", "body": "x"}}, FREE),
    "sql": (SqlToWhatsAppOperator, {"to": TO, "rows": [{"a": 1}]}, FREE),
    "utility": (SendTemplateOperator, {"to": TO, "template_name": "hello_world"}, FREE),
    "marketing": (SendTemplateOperator, {"to": TO, "template_name": "offer"}, FREE - {OF_MARKETING}),
    "unchecked": (
        SendTemplateOperator,
        {"to": TO, "template_name": "hello_world", "check_template": False},
        FREE - {OF_MARKETING},
    ),
    "broadcast": (BroadcastTemplateOperator, {"recipients": TO, "template_name": "hello_world"}, FREE),
    "broadcast of marketing": (
        BroadcastTemplateOperator,
        {"recipients": TO, "template_name": "offer"},
        FREE - {OF_MARKETING},
    ),
}


@pytest.mark.parametrize("name", SENDERS)
def test_whoever_has_opted_out_is_left_out(sandbox, events, marketing, name, capsys):
    kind, arguments, wanted = SENDERS[name]
    out = len(TO) - len(wanted)

    report = run(kind, suppression="events", **arguments)

    assert reached(sandbox) == wanted
    assert (report["sent"], report["skipped"]) == (len(wanted), out)
    assert report["skipped_because"] == {"suppressed": out}
    log = capsys.readouterr().out
    assert f"WhatsApp: {out} recipients have opted out and were left out" in log
    assert ("category is not known" in log) == (name == "unchecked")


SOURCES = {
    "list": ["events", f"+{LISTED}"],
    "text": f"events,+{LISTED}",
    "JSON": json.dumps(["EVENTS", LISTED]),
    "several": ["events", "{file}", [f"+{LISTED}"]],
    "rows": ["events", [{"phone": LISTED, "at": "2026-01-31"}]],
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("kind", [SendTextOperator, BroadcastTemplateOperator])
def test_several_sources_work_together(sandbox, events, tmp_path, kind, name):
    (tmp_path / "out.csv").write_text("phone\n+15550000099\n")
    given = SOURCES[name]
    if name == "several":
        given = [str(tmp_path / "out.csv") if item == "{file}" else item for item in given]
    rest = (
        {"to": TO, "text": "x"}
        if kind is SendTextOperator
        else {"recipients": TO, "template_name": "hello_world"}
    )

    assert run(kind, suppression=given, **rest)["skipped"] == 4
    assert reached(sandbox) == FREE - {LISTED}


def test_lists_alone_need_no_store_in_every_operator(sandbox):
    assert run(SendTextOperator, to=TO, text="x", suppression=[OF_ALL])["skipped"] == 1
    assert OF_ALL not in reached(sandbox)


def test_where_nobody_has_opted_out_everybody_is_sent_to(sandbox, events):
    report = run(SendTextOperator, to=f"+{IN}", text="x", suppression="events")

    assert (report["sent"], report["skipped"]) == (1, 0)


def test_where_everybody_has_opted_out_the_task_succeeds(sandbox, events):
    report = run(SendTextOperator, to=f"+{OF_ALL}", text="x", suppression="events")

    assert (report["skipped"], sandbox.messages) == (1, [])


def test_a_dry_run_says_who_is_left_out(sandbox, events, marketing):
    arguments = {"recipients": TO, "template_name": "offer", "suppression": "events", "dry_run": True}

    assert run(BroadcastTemplateOperator, **arguments)["would_send"] == len(FREE) - 1


BROKEN = {
    "no store": ({"AIRFLOW__WHATSAPP__EVENTS_CONN_ID": ""}, "events_conn_id", AirflowFailException),
    "no connection": ({"AIRFLOW_CONN_EVENTS": None}, "names the connection 'events'", AirflowFailException),
    "no tables": (
        {"AIRFLOW_CONN_EVENTS": '{"conn_type": "sqlite", "host": "/nowhere/e.db"}'},
        "Start the receiver",
        AirflowFailException,
    ),
    "no server": (
        {"AIRFLOW_CONN_EVENTS": '{"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "schema": "e"}'},
        "does not answer",
        StoreError,
    ),
}


@pytest.mark.parametrize("kind", [SendTextOperator, BroadcastTemplateOperator])
@pytest.mark.parametrize("name", BROKEN)
def test_a_store_that_cannot_be_asked_fails_the_task_before_any_request(
    sandbox, events, monkeypatch, kind, name
):
    variables, said, error = BROKEN[name]
    for variable, value in variables.items():
        monkeypatch.delenv(variable) if value is None else monkeypatch.setenv(variable, value)
    rest = (
        {"to": TO, "text": "x"}
        if kind is SendTextOperator
        else {"recipients": TO, "template_name": "hello_world"}
    )

    with pytest.raises(error, match=said):
        run(kind, suppression="events", **rest)
    assert sandbox.requests == []


def test_a_connection_without_an_account_is_refused(sandbox, events):
    sandbox.connect("bare", waba_id=None)
    with pytest.raises(AirflowFailException, match="waba_id"):
        run(SendTextOperator, to=TO, text="x", suppression="events", maton_conn_id="bare")


def test_what_the_gateway_says_of_an_opt_out_is_noted(sandbox, events, marketing, capsys):
    body = {"error": {"message": "no", "type": "OAuthException", "code": 131050}}
    sandbox.fail_next("status", status=400, body=body, path="messages", to=IN)
    account = sandbox.extra["waba_id"]

    report = run(
        BroadcastTemplateOperator, recipients=[f"+{IN}", f"+{LISTED}"], template_name="offer", max_failed=5
    )

    assert (report["sent"], report["failed"]) == (1, 1)
    assert opted_out(events, account, [IN, LISTED]) == {IN: {"marketing"}}
    assert "stopped marketing messages; their opt-outs are in the event store" in capsys.readouterr().out
    again = run(SendTemplateOperator, to=f"+{IN}", template_name="offer", suppression="events")
    assert again["skipped"] == 1


def test_without_a_store_an_opt_out_of_the_gateway_is_a_failure_alone(sandbox, marketing):
    body = {"error": {"message": "no", "type": "OAuthException", "code": 131050}}
    sandbox.fail_next("status", status=400, body=body, path="messages", to=IN)

    report = run(SendTemplateOperator, to=[f"+{IN}"], template_name="offer", max_failed=5)
    assert report["failed"] == 1


SHOWN = {
    "events": "events",
    "list": (["events", f"+{IN}"], ["events", "15•••0005"]),
    "path": ("s3://bucket/out.csv", "s3://•••.csv"),
    "nested": (["events", [f"+{IN}"]], ["events", ["15•••0005"]]),
    "long": (["events"] * 6, [*["events"] * 5, "... 6 in all"]),
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_airflow_shows_of_the_argument_names_nobody(name):
    given, shown = SHOWN[name] if isinstance(SHOWN[name], tuple) else (SHOWN[name], SHOWN[name])
    assert hidden_suppression(given) == shown


APART = {
    "events": (True, []),
    " Events ": (True, []),
    "[]": (False, [[]]),
    "['events']": (True, []),
    "events.csv": (False, ["events.csv"]),
    "+1555": (False, ["+1555"]),
    "events;1;2": (True, [["1", "2"]]),
}


@pytest.mark.parametrize("given", APART, ids=list(APART))
def test_a_text_is_taken_apart(given):
    assert _sources(given) == APART[given]


@pytest.mark.parametrize("given", [None, 5, {}, set()], ids=["none", "number", "dict", "set"])
def test_what_is_no_list_of_sources_is_left_as_it_is(given):
    assert _sources(given) == (False, [given])


def test_from_the_phone_to_the_next_broadcast(sandbox, whatsapp_events, marketing, monkeypatch):
    """A STOP, WhatsApp's own switch for offers, and a START, by the receiver into the store that a task reads."""
    path = whatsapp_events.database.removeprefix("sqlite:///")
    monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", "events")
    monkeypatch.setenv("AIRFLOW_CONN_EVENTS", json.dumps({"conn_type": "sqlite", "host": path}))
    sandbox.reply(f"+{OF_ALL}", "Baja!")
    sandbox.reply(f"+{IN}", "stop")
    sandbox.recipient(OF_MARKETING, marketing=False)
    whatsapp_events.deliver(2)
    sandbox.reply(f"+{IN}", "start")
    whatsapp_events.deliver(2)

    arguments = {"recipients": TO, "suppression": "events"}
    assert run(BroadcastTemplateOperator, template_name="hello_world", **arguments)["skipped"] == 1
    assert run(BroadcastTemplateOperator, template_name="offer", **arguments)["skipped"] == 2
