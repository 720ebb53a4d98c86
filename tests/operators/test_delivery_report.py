"""The delivery report of a broadcast, from the sending to those who are sent to again; with sandbox and receiver."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
from airflow_provider_whatsapp.operators.delivery_report import DeliveryReportOperator

try:
    from airflow.sdk.exceptions import TaskDeferred
except ImportError:
    from airflow.exceptions import TaskDeferred

PEOPLE = [{"to": f"+1555000{n:04}", "name": f"Name {n}"} for n in range(8)]


@pytest.fixture
def people(sandbox):
    """Approve a template with a name in it, and let some people be out of reach."""
    sandbox.templates.create("invitation", "Hello {{1}}, come.")
    sandbox.recipient("15550000001", on_whatsapp=False)
    sandbox.recipient("15550000002", error=131047)
    sandbox.recipient("15550000003", reaches="sent")
    sandbox.recipient("15550000004", reaches="delivered")
    return PEOPLE


def context(task_id="send", number=1):
    ids = {"dag_id": "reports", "run_id": "run", "task_id": task_id, "map_index": -1}
    return {"ti": SimpleNamespace(**ids, try_number=number, max_tries=0, xcom_push=lambda key, value: None)}


@pytest.fixture
def send(tmp_path):
    """Send to a list, and return the report."""

    def run(task_id, recipients, **options):
        return BroadcastTemplateOperator(
            task_id=task_id,
            recipients=recipients,
            template_name="invitation",
            body=["{name}"],
            ledger_path=f"file://{tmp_path}/ledgers",
            **{"results_path": f"file://{tmp_path}/results.jsonl", "max_failed": 8, **options},
        ).execute(context(task_id))

    return run


@pytest.fixture
def report(tmp_path):
    """Make a delivery report; by default of what is known now."""

    def make(**options):
        usual = {
            "results_path": f"file://{tmp_path}/results.jsonl",
            "wait_for": "accepted",
            "deferrable": False,
        }
        return DeliveryReportOperator(task_id="arrived", **usual | options)

    return make


def lines(tmp_path):
    return [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]


def test_who_got_nothing_is_sent_to_again_and_nobody_else(
    sandbox, whatsapp_events, people, send, report, tmp_path
):
    sandbox.fail_next("drop_after", path="/messages", skip=6)
    send("send", people)
    whatsapp_events.deliver(60)

    found = report().execute(context("arrived"))

    assert found.pop("results_path") == f"file://{tmp_path}/results.jsonl"
    assert found.pop("price_categories")["utility"] > 0
    assert found == {
        "total": 8,
        "accepted": 8,
        "sent": 6,
        "delivered": 5,
        "read": 4,
        "failed": 2,
        "failed_late": 2,
        "unknown": 0,
        "skipped": 0,
        "pending": 0,
        "failed_because": {"131026": 1, "131047": 1},
    }
    by_status = {line["to"]: line["status"] for line in lines(tmp_path)}
    assert by_status == dict(
        zip(
            (each["to"].lstrip("+") for each in people),
            ["read", "failed", "failed", "sent", "delivered", "read", "read", "read"],
            strict=True,
        )
    )
    assert [bool(line.get("row")) for line in sorted(lines(tmp_path), key=lambda each: each["n"])] == (
        [False, True, True, True, False, False, False, False]
    ), "values of whoever may have to be sent to again, and of nobody else"

    for name in ("15550000001", "15550000002"):
        sandbox.recipient(name, on_whatsapp=True, error=0)
    again = send("again", f"file://{tmp_path}/results.jsonl", scope="failed", results_path=None)

    assert again["sent"] == 2
    assert Counter(message["to"] for message in sandbox.messages) == Counter(
        {each["to"].lstrip("+"): 1 + (each["to"][-1] in "12") for each in people}
    )
    texts = [
        message["payload"]["template"]["components"][0]["parameters"][0]["text"]
        for message in sandbox.messages
    ]
    assert sorted(texts[-2:]) == ["Name 1", "Name 2"]


def test_it_waits_here_until_what_is_pending_is_known(
    sandbox, whatsapp_events, people, send, report, monkeypatch, tmp_path
):
    from airflow_provider_whatsapp.triggers.delivery import StorePoll

    ask, asked = StorePoll.ask, []

    def deliver_and_ask(poll, subscribers):
        asked.append(whatsapp_events.deliver(60))
        return ask(poll, subscribers)

    monkeypatch.setattr(StorePoll, "ask", deliver_and_ask)
    send("send", [each for each in people if each["to"][-1] != "3"])

    found = report(wait_for="delivered", poke_interval=0.1).execute(context("arrived"))

    assert (found["delivered"], found["failed"], found["pending"], len(asked)) == (5, 2, 0, 1)


@pytest.fixture
def deferred(sandbox, whatsapp_events, people, send, report):
    """Send, and let the report defer; return it with what it waits for."""
    send("send", people)
    operator = report(wait_for="delivered", deferrable=True, wait_timeout="3600", on_timeout="fail")
    with pytest.raises(TaskDeferred) as caught:
        operator.execute(context("arrived"))
    return operator, caught.value


def test_it_waits_in_the_triggerer_for_the_count_of_its_send(deferred, whatsapp_events, sandbox):
    operator, wait = deferred
    kwargs = wait.trigger.serialize()[1]
    carried = sandbox.messages[0]["payload"]["biz_opaque_callback_data"]

    assert (wait.method_name, wait.timeout > timedelta(hours=1)) == ("report_complete", True)
    assert kwargs["send_hash"] == carried.split(".")[1]
    assert (kwargs["target"], kwargs["since"], kwargs["message_ids"], kwargs["wait_for"]) == (
        8,
        1,
        [],
        "delivered",
    )
    assert len(json.dumps(kwargs)) < 2_000

    whatsapp_events.deliver(60)
    with pytest.raises(TaskDeferred) as again:  # one of them has only been sent
        operator.report_complete(context("arrived"), {"state": "settled"}, **wait.kwargs)
    assert again.value.kwargs == wait.kwargs
    assert again.value.trigger.serialize()[1]["end_time"] == kwargs["end_time"]
    began = kwargs["end_time"] - 3600
    assert (kwargs["not_before"], again.value.trigger.not_before >= began + 30) == (0, True), "no busy loop"
    with pytest.raises(TaskDeferred) as later:  # as if it had begun half an hour before
        operator.report_complete(context("arrived"), {"state": "settled"}, until=began + 1800)
    assert later.value.trigger.not_before >= began + 180, "a tenth of that"


def test_at_the_time_out_the_file_is_written_and_the_task_fails_where_it_is_asked_to(
    deferred, whatsapp_events, tmp_path
):
    operator, wait = deferred
    whatsapp_events.deliver(60)

    with pytest.raises(WhatsAppError, match=r"not all messages were delivered within 1:00:00: .*1 pending"):
        operator.report_complete(context("arrived"), {"state": "timeout"}, **wait.kwargs)
    assert {line["status"] for line in lines(tmp_path)} == {"read", "failed", "sent", "delivered"}


def test_without_a_store_the_history_is_asked_for_a_hundred_messages_at_most(
    sandbox, people, send, report, tmp_path
):
    send("send", people)
    sandbox.control("POST", "clock", advance=60)

    found = report().execute(context("arrived"))

    assert (found["read"], found["delivered"], found["failed"]) == (4, 5, 2)
    path = tmp_path / "results.jsonl"
    first = lines(tmp_path)[0]
    many = (first | {"n": n, "message_id": f"wamid.{n}"} for n in range(101))
    path.write_text("".join(f"{json.dumps(line)}\n" for line in many))
    before = len(sandbox.requests)
    with pytest.raises(AirflowFailException, match=r"events_conn_id is empty.*101 messages.*limit: 100"):
        report().execute(context("arrived"))
    assert len(sandbox.requests) == before


def test_messages_with_callback_data_of_one_s_own_are_found_by_their_ids(
    sandbox, whatsapp_events, people, send, report
):
    send("send", people, callback_data="order {name}")
    with pytest.raises(TaskDeferred) as caught:
        report(wait_for="read", deferrable=True).execute(context("arrived"))
    kwargs = caught.value.trigger.serialize()[1]
    whatsapp_events.deliver(60)

    assert (kwargs["send_hash"], kwargs["message_ids"]) == ("", [each["id"] for each in sandbox.messages])
    assert report().execute(context("arrived"))["read"] == 4


def test_whose_ids_were_lost_with_an_earlier_try_are_found_by_their_send(
    sandbox, whatsapp_events, people, send, report, tmp_path
):
    send("send", people)
    (tmp_path / "results.jsonl").unlink()
    send("send", people)
    assert all(line["earlier"] and "message_id" not in line for line in lines(tmp_path))
    whatsapp_events.deliver(60)

    found = report().execute(context("arrived"))

    assert (found["read"], found["failed"], len(sandbox.messages)) == (4, 2, 8)
    assert {line["message_id"] for line in lines(tmp_path)} == {each["id"] for each in sandbox.messages}


def test_a_file_in_an_object_store_is_read_and_written(sandbox, whatsapp_events, people, send, report):
    import fsspec
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io import attach

    attach("memory", fs=fsspec.filesystem("memory"))
    path = ObjectStoragePath("memory://bucket/invited/results.jsonl")
    send("send", people, results_path=str(path))
    whatsapp_events.deliver(60)

    found = report(results_path=str(path)).execute(context("arrived"))

    statuses = [json.loads(line)["status"] for line in path.read_bytes().splitlines()]
    assert Counter(statuses) == {"read": 4, "failed": 2, "sent": 1, "delivered": 1}
    assert (found["read"], found["results_path"]) == (4, str(path))
    path.unlink()


def test_what_a_killed_task_has_left_is_read_with_its_file(
    sandbox, whatsapp_events, people, send, report, tmp_path
):
    send("send", people)
    own = lines(tmp_path)
    (tmp_path / "results.jsonl").unlink()
    left = tmp_path / "results.jsonl.0a1b2c.parts"
    left.mkdir()
    head = {"format": "whatsapp-results-part/1", "total": 8, "resumed": False}
    (left / "0001-0001-000000-aa.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in [head, *own[:5]])
    )
    whatsapp_events.deliver(60)

    assert report().execute(context("arrived"))["total"] == 5
    assert len(lines(tmp_path)) == 5


BAD = {
    "a wait below a minute": ({"wait_timeout": 30}, "wait_timeout"),
    "an unknown status": ({"wait_for": "arrived"}, "wait_for"),
    "an unknown end": ({"on_timeout": "skip"}, "on_timeout"),
    "no such file": (
        {"results_path": "file:///nowhere/results.jsonl"},
        "/nowhere/results.jsonl does not exist",
    ),
}


@pytest.mark.parametrize(("options", "said"), BAD.values(), ids=list(BAD))
def test_bad_input_is_one_clear_error(report, options, said):
    with pytest.raises(AirflowFailException, match=said):
        report(**options).execute(context("arrived"))


def test_a_store_that_is_away_is_worth_a_retry(sandbox, people, send, report, monkeypatch):
    send("send", people)
    away = {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "schema": "e", "password": "s3cret"}
    monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", "events")
    monkeypatch.setenv("AIRFLOW_CONN_EVENTS", json.dumps(away))

    with pytest.raises(WhatsAppError, match="does not answer") as caught:
        report().execute(context("arrived"))
    assert not caught.value.permanent
    assert "s3cret" not in str(caught.value)
