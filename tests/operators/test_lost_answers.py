"""Whose answer was lost: a retry asks the event store, and with the receiver running nobody stays unknown."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.webhook_address import subscribe
from airflow_provider_whatsapp.events.receiver import Settings
from airflow_provider_whatsapp.events.serve import running
from airflow_provider_whatsapp.events.store import EventStore
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
from airflow_provider_whatsapp.operators.messages import SendTextOperator
from tests.events.test_with_sandbox import delivered


@pytest.fixture
def configured(monkeypatch, tmp_path):
    """Name a store in Airflow's configuration, and give it, with its tables."""
    path = tmp_path / "events.db"
    monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", "events")
    monkeypatch.setenv("AIRFLOW_CONN_EVENTS", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    store = EventStore.open(f"sqlite:///{path}")
    store.create_or_upgrade()
    yield store
    store.close()


@pytest.fixture
def received(sandbox, configured):
    """Run a receiver that the sandbox delivers to."""
    settings = Settings(verify_token="token", app_secret="sandbox-app-secret")
    with running(configured, settings) as url, sandbox.client() as client:
        subscribe(client, f"{url}/whatsapp", "token")
        yield configured


def context(number=1, max_tries=3):
    ids = {"dag_id": "reports", "run_id": "run", "task_id": "send", "map_index": -1}
    pushed = {}
    ti = SimpleNamespace(
        **ids,
        try_number=number,
        max_tries=max_tries,
        xcom_push=lambda key, value: pushed.update({key: value}),
    )
    return {"ti": ti, "pushed": pushed}


def broadcast(tmp_path, count, **options):
    return BroadcastTemplateOperator(
        task_id="send",
        recipients=[f"+1555{place:07}" for place in range(count)],
        template_name="hello_world",
        ledger_path=f"file://{tmp_path}/ledgers",
        results_path=f"file://{tmp_path}/results.jsonl",
        **options,
    )


def text(tmp_path, **options):
    return SendTextOperator(
        task_id="send", to="+15550001111", text="hello", ledger_path=f"file://{tmp_path}/ledgers", **options
    )


def test_no_unknown_is_left_of_a_broadcast_and_nobody_is_sent_to_twice(sandbox, received, tmp_path, caplog):
    caplog.set_level("INFO")
    count = 400
    sandbox.fail_next("drop_after", path="/messages", every=20, times=count // 20)
    first = context()
    with pytest.raises(WhatsAppError) as caught:
        broadcast(tmp_path, count).execute(first)
    assert not caught.value.permanent, "a retry may clear them up"
    assert first["pushed"]["report"]["unknown"] == count // 20
    delivered(sandbox)

    report = broadcast(tmp_path, count).execute(context(2))

    assert (report["sent"], report["unknown"], report["failed"]) == (count, 0, 0)
    assert "Receipts give the outcome of 20 messages whose answer" in caplog.text
    assert set(Counter(message["to"] for message in sandbox.messages).values()) == {1}
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    by_id = {message["id"]: message["to"] for message in sandbox.messages}
    assert {line["message_id"]: line["to"] for line in lines} == by_id
    assert all(line["callback_data"].split(".")[2] == "1" for line in lines), "the epoch in which they left"


@pytest.mark.parametrize("window", ["open", "closed"])
def test_a_single_message_whose_answer_was_lost_is_cleared_up_by_a_retry(
    sandbox, received, tmp_path, window, caplog
):
    caplog.set_level("INFO")
    if window == "open":
        sandbox.reply("+15550001111", "Hello")
    sandbox.fail_next("drop_after", path="/messages")
    with pytest.raises(WhatsAppError):
        text(tmp_path).execute(context())
    delivered(sandbox)

    if window == "closed":
        with pytest.raises(
            AirflowFailException, match=r"accepted the message and could not deliver it.*131047"
        ):
            text(tmp_path).execute(context(2))
    else:
        (result,) = text(tmp_path).execute(context(2))["results"]
        assert result["message_id"] == sandbox.messages[-1]["id"]
    accepted = int(window == "open")
    assert f"an earlier try lost: WhatsApp accepted {accepted}, {1 - accepted} failed." in caplog.text
    assert len(sandbox.messages) == 1


def test_a_store_that_is_away_at_a_retry_costs_one_line_and_the_unknown_stay_unknown(
    sandbox, configured, tmp_path, caplog, monkeypatch
):
    sandbox.fail_next("drop_after", path="/messages")
    with pytest.raises(WhatsAppError):
        text(tmp_path).execute(context())
    away = {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "schema": "e", "password": "s3cret"}
    monkeypatch.setenv("AIRFLOW_CONN_EVENTS", json.dumps(away))
    caplog.clear()
    last = context(2)
    with pytest.raises(WhatsAppError):
        text(tmp_path).execute(last)

    (line,) = [each for each in caplog.messages if "stay unknown" in each]
    assert "Receipts could not be looked up for the 1 unknown" in line
    assert "s3cret" not in caplog.text
    assert (len(sandbox.messages), last["pushed"]["report"]["unknown"]) == (1, 1)


@pytest.mark.parametrize("why", ["no store", "own callback data"])
def test_where_no_receipt_can_be_found_an_unknown_ends_the_task_without_retries(
    sandbox, configured, tmp_path, monkeypatch, why
):
    options = {"callback_data": "mine"} if why == "own callback data" else {}
    if not options:
        monkeypatch.delenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID")
    sandbox.fail_next("drop_after", path="/messages")

    with pytest.raises(AirflowFailException):
        text(tmp_path, **options).execute(context())
