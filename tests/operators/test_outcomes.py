"""What a task says of its recipients, and how it ends."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta

import pendulum
import pytest

from airflow_provider_whatsapp._compat import AirflowFailException, RetryPolicy
from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
from airflow_provider_whatsapp.operators.messages import SendTextOperator

PEOPLE = [f"+1555{place:07}" for place in range(120)]


def broadcast(recipients=PEOPLE, **options):
    return BroadcastTemplateOperator(
        task_id="send", recipients=recipients, template_name="hello_world", **options
    )


def refuse(sandbox, code, **fields):
    body = {"error": {"message": "no", "type": "OAuthException", "code": code}}
    sandbox.fail_next("status", status=400, body=body, path="/messages", times=0, **fields)


def test_the_report_of_a_broadcast_names_a_hundred_failures_and_the_file_all(sandbox, tmp_path):
    refuse(sandbox, 131026)
    results = tmp_path / "results.jsonl"

    report = broadcast(max_failed=120, results_path=f"file://{results}").execute({})

    assert (report["total"], report["failed"], len(report["results"])) == (120, 120, 100)
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert len(rows) == 120
    assert {row["error"]["code"] for row in rows} == {131026}, "each has its reason"


@pytest.fixture
def evening(sandbox, monkeypatch):
    """It is 19:00, and 21:00 as soon as somebody has got a message."""

    def present():
        return datetime(2026, 7, 1, 21 if sandbox.messages else 19, tzinfo=UTC)

    monkeypatch.setattr("airflow_provider_whatsapp.delivery.windows.present", present)
    monkeypatch.setattr(
        "airflow_provider_whatsapp.delivery.windows.monotonic", itertools.count(0, 2).__next__
    )


@pytest.mark.usefixtures("evening")
def test_without_a_ledger_a_window_that_closes_in_the_middle_ends_the_task(sandbox):
    task = broadcast(send_window=("09:00", "20:00"), timezone="UTC")

    with pytest.raises(AirflowFailException, match="the send hours ended before the task") as caught:
        task.execute({})

    assert len(sandbox.messages) == 1
    assert "1 sent" in str(caught.value), "what had been sent is told"
    assert "ledger_path" in str(caught.value)


def test_each_one_s_own_hours_need_a_ledger(sandbox):
    with pytest.raises(AirflowFailException, match=r'"recipient" needs a ledger.*ledger_path'):
        broadcast(send_window=("09:00", "20:00"), timezone="recipient").execute({})

    assert sandbox.requests_to("/messages") == []


def test_who_was_held_for_assessment_is_counted_as_such(sandbox):
    held = {"id": "wamid.1", "message_status": "held_for_quality_assessment"}
    body = {"messaging_product": "whatsapp", "contacts": [{"input": "1", "wa_id": "1"}], "messages": [held]}
    sandbox.fail_next("status", status=200, body=body, path="/messages", to=PEOPLE[1].lstrip("+"))

    report = SendTextOperator(task_id="send", to=PEOPLE[:3], text="hello").execute({})

    assert (report["sent"], report["held"]) == (3, 1)
    assert report["results"][1]["message_status"] == "held_for_quality_assessment"
    assert "delivered" not in json.dumps(report)


@pytest.mark.parametrize("to", [PEOPLE[0], PEOPLE[:2]], ids=["one", "several"])
def test_the_error_carries_how_long_to_wait(sandbox, change_connection, to):
    change_connection(extra={"max_retries": 0})
    sandbox.fail_next("status", status=429, headers={"Retry-After": "7"}, path="/messages", times=0)
    task = SendTextOperator(task_id="send", to=to, text="hello", retries=3)

    with pytest.raises(WhatsAppError) as caught:
        task.execute({})

    assert caught.value.retry_after == 7
    if RetryPolicy is not None:
        decision = task.retry_policy.evaluate(caught.value, 1, 3)
        assert (decision.action.value, decision.retry_delay) == ("retry", timedelta(seconds=8))


@pytest.mark.parametrize("code", [132001, 131031, 190])
def test_what_is_hopeless_fails_at_once(sandbox, code):
    refuse(sandbox, code)

    with pytest.raises(AirflowFailException):
        broadcast(check_template=False).execute({})

    assert len(sandbox.requests_to("/messages")) == 1


@pytest.mark.parametrize("zone", ["Asia/Tokyo", pendulum.timezone("Asia/Tokyo")], ids=["name", "pendulum"])
def test_a_time_zone_may_be_pendulum_s(sandbox, zone, monkeypatch):
    try:
        from airflow.sdk.exceptions import TaskDeferred
    except ImportError:  # 3.1
        from airflow.exceptions import TaskDeferred

    now = pendulum.now("Asia/Tokyo")
    later = [(now + timedelta(hours=hours)).strftime("%H:%M") for hours in (2, 3)]
    task = broadcast(send_window=later, timezone=zone)
    task.render_template_fields({})

    with pytest.raises(TaskDeferred) as caught:
        task.execute({})

    opens = caught.value.trigger.moment
    assert pendulum.instance(opens).in_timezone("Asia/Tokyo").strftime("%H:%M") == later[0]
    assert sandbox.messages == []


def test_no_number_and_no_text_is_in_the_log(sandbox, capfd, caplog):
    caplog.set_level("DEBUG")
    refuse(sandbox, 131026, skip=2)

    with pytest.raises(AirflowFailException):
        SendTextOperator(task_id="send", to=PEOPLE[:5], text="for your eyes").execute({})

    said = caplog.text + "".join(capfd.readouterr())
    assert "Not sent to 15•••" in said
    assert not [number for number in PEOPLE[:5] if number.lstrip("+") in said]
    assert "for your eyes" not in said
