"""The event store of Airflow's side: which database a connection names, and what the senders write there."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.delivery.callback_data import key_hash
from airflow_provider_whatsapp.events import sends as module
from airflow_provider_whatsapp.events import tables
from airflow_provider_whatsapp.events.store import EventStore
from airflow_provider_whatsapp.hooks.event_store import database_url, event_store_url
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
from airflow_provider_whatsapp.operators.messages import SendTemplateOperator, SendTextOperator

TO = ["+15550001111", "+15550002222"]


def connection(**fields):
    usual = dict.fromkeys(("conn_type", "host", "schema", "login", "password", "port", "extra"))
    return SimpleNamespace(**{**usual, **fields})


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"conn_type": "sqlite", "host": "/srv/events.db"}, "sqlite:////srv/events.db"),
        ({"conn_type": "sqlite", "host": "events.db"}, "sqlite:///events.db"),
        (
            {
                "conn_type": "postgres",
                "host": "db",
                "schema": "events",
                "login": "me",
                "password": "p@/:",
                "port": 5433,
            },
            "postgresql://me:p%40%2F%3A@db:5433/events",
        ),
        (
            {
                "conn_type": "postgres",
                "host": "db",
                "schema": "events",
                "extra": '{"sslmode": "require", "options": "-c role=admin", "cursor": "x"}',
            },
            "postgresql://db/events?sslmode=require",
        ),
        ({"conn_type": "postgresql-psycopg", "host": "db", "schema": "e"}, "postgresql+psycopg://db/e"),
        ({"conn_type": "mysql", "host": "db", "schema": "e", "extra": '{"sslmode": "x"}'}, "mysql://db/e"),
        ({"conn_type": "postgres", "host": "db", "schema": "e", "extra": "no json"}, "postgresql://db/e"),
    ],
    ids=["sqlite", "relative", "postgres", "extra", "driver", "mysql", "broken"],
)
def test_a_connection_s_database(fields, url):
    assert database_url("events", connection(**fields)).render_as_string(hide_password=False) == url


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"conn_type": "sqlite"},
        {"conn_type": "postgres", "host": "db"},
        {"conn_type": "postgres", "schema": "e"},
    ],
    ids=["nothing", "no-file", "no-schema", "no-host"],
)
def test_a_connection_without_a_database_is_refused(fields):
    with pytest.raises(ConfigurationError, match="connection 'events' does not name a"):
        database_url("events", connection(**fields))


def test_without_the_option_there_is_no_store():
    assert event_store_url() is None


@pytest.fixture
def configured(monkeypatch, tmp_path):
    """Name a store in Airflow's configuration, and give it, with its tables."""
    path = tmp_path / "events.db"
    monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", "events")
    monkeypatch.setenv("AIRFLOW_CONN_EVENTS", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    store = EventStore.open(f"sqlite:///{path}")
    yield store
    store.close()


def test_a_connection_that_is_not_there_says_who_named_it(configured, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_EVENTS")

    with pytest.raises(
        ConfigurationError, match=r"\[whatsapp\] events_conn_id names the connection 'events', which"
    ):
        event_store_url()


def context(map_index=-1):
    ids = {"dag_id": "reports", "run_id": "run", "task_id": "send", "map_index": map_index}
    return {"ti": SimpleNamespace(**ids, try_number=1, max_tries=0, xcom_push=lambda **_: None)}


def rows(store):
    with store._engine.connect() as made:
        return [dict(row) for row in made.execute(select(tables.sends)).mappings()]


def operator(kind, tmp_path, **arguments):
    return kind(task_id="send", ledger_path=f"file://{tmp_path}/ledgers", **arguments)


SENDERS = {
    "text": (SendTextOperator, {"to": TO, "text": "hello"}, None),
    "template": (SendTemplateOperator, {"to": TO, "template_name": "hello_world"}, "hello_world"),
    "broadcast": (
        BroadcastTemplateOperator,
        {"recipients": TO, "template_name": "hello_world"},
        "hello_world",
    ),
}


@pytest.mark.parametrize("name", SENDERS)
def test_a_sender_notes_its_task_once(sandbox, configured, tmp_path, name):
    configured.create_or_upgrade()
    kind, arguments, template_name = SENDERS[name]
    for _ in range(2):  # a retry sends to nobody, and adds nothing
        operator(kind, tmp_path, **arguments).execute(context(map_index=3))

    (row,) = rows(configured)
    assert datetime.now(UTC) - row.pop("sent_at") < timedelta(minutes=5)
    assert row == {
        "send_hash": key_hash("reports", "run", "send", "3"),
        "dag_id": "reports",
        "run_id": "run",
        "task_id": "send",
        "map_index": 3,
        "account_id": sandbox.extra["waba_id"],
        "phone_number_id": sandbox.extra["phone_number_id"],
        "template_name": template_name,
    }
    carried = {message["payload"]["biz_opaque_callback_data"].split(".")[1] for message in sandbox.messages}
    assert carried == {row["send_hash"]}


def test_an_alert_notes_its_task(sandbox, configured, monkeypatch, tmp_path):
    from airflow.sdk import Variable

    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Variable, "get", lambda key, default=None: default)
    monkeypatch.setattr(Variable, "set", lambda key, value: None)
    configured.create_or_upgrade()
    notifier = WhatsAppNotifier(to=TO[0], template_name="hello_world", body=[], cooldown=0)
    notifier.notify(context(map_index=2) | {"exception": ValueError("x")})

    (row,) = rows(configured)
    assert (row["dag_id"], row["task_id"], row["map_index"]) == ("reports", "send", 2)
    assert (row["template_name"], row["account_id"]) == ("hello_world", sandbox.extra["waba_id"])
    (message,) = sandbox.messages
    assert message["payload"]["biz_opaque_callback_data"].startswith(f"awp1.{row['send_hash']}.")


def test_a_dry_run_notes_nothing(sandbox, configured, tmp_path):
    configured.create_or_upgrade()
    arguments = {"recipients": TO, "template_name": "hello_world", "dry_run": True}
    operator(BroadcastTemplateOperator, tmp_path, **arguments).execute(context())

    assert rows(configured) == []


AWAY = {
    "no-tables": (None, "Start the receiver with this database once"),
    "no-connection": ("", "events_conn_id names the connection 'events', which does not exist"),
    "no-server": ("postgresql://me:s3cret@127.0.0.1:1/events", "does not answer"),
    "no-database": ('{"conn_type": "postgres", "host": "db"}', "does not name a database"),
}


@pytest.mark.parametrize("case", AWAY)
def test_a_store_that_is_away_stops_no_send_and_costs_one_line(
    sandbox, configured, tmp_path, monkeypatch, caplog, case
):
    given, said = AWAY[case]
    if given == "":
        monkeypatch.delenv("AIRFLOW_CONN_EVENTS")
    elif given:
        monkeypatch.setenv("AIRFLOW_CONN_EVENTS", given)

    report = operator(SendTextOperator, tmp_path, to=TO, text="hello").execute(context())

    assert report["sent"] == 2
    (line,) = [text for text in caplog.messages if "event store" in text]
    assert said in line
    assert "s3cret" not in line
    assert not (tmp_path / "events.db").exists()


def test_a_store_that_is_slow_holds_a_task_up_a_little(sandbox, configured, tmp_path, monkeypatch, caplog):
    go = threading.Event()
    monkeypatch.setattr(EventStore, "check", lambda _: go.wait(30))
    monkeypatch.setattr(module, "WAIT", 0.05)

    assert operator(SendTextOperator, tmp_path, to=TO, text="hello").execute(context())["sent"] == 2
    go.set()
    for thread in threading.enumerate():
        if thread.name == "whatsapp-sends":
            thread.join()
    (line,) = [
        text for text in caplog.messages if "event store" in text
    ]  # of the thread's failure there is none
    assert line == "The event store could not record this task: it took longer than 0.05 s"


def test_a_process_without_room_for_a_thread_sends_all_the_same(
    sandbox, configured, tmp_path, monkeypatch, caplog
):
    def refused(_):
        raise RuntimeError("can't start new thread")

    start = threading.Thread.start
    monkeypatch.setattr(
        threading.Thread,
        "start",
        lambda thread: (refused if thread.name == "whatsapp-sends" else start)(thread),
    )

    assert operator(SendTextOperator, tmp_path, to=TO, text="hello").execute(context())["sent"] == 2
    (line,) = [text for text in caplog.messages if "event store" in text]
    assert line == "The event store could not record this task: no thread could start"


def test_without_a_store_nothing_is_noted(sandbox, tmp_path, monkeypatch, caplog):
    started = []
    monkeypatch.setattr(module.SendRecorder, "start", started.append)

    assert operator(SendTextOperator, tmp_path, to=TO, text="hello").execute(context())["sent"] == 2
    assert started == []
    assert [text for text in caplog.messages if "event store" in text] == []
