"""From a press on the phone to Airflow's answer; and every press that must change nothing."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update

from airflow_provider_whatsapp.answering.answering import Answering
from airflow_provider_whatsapp.answering.request_id import RequestId
from airflow_provider_whatsapp.events import tables
from airflow_provider_whatsapp.events.store import StoreError
from airflow_provider_whatsapp.operators.approval import WhatsAppApprovalOperator, WhatsAppChoiceOperator
from tests.answering.conftest import ADA, BOB, EVE


def approval(ti, to=ADA, **options):
    options = {"subject": "Backfill May?", "buttons": "reply", "ledger_path": ti.ledger} | options
    return WhatsAppApprovalOperator(task_id="ask", to=to, **options)


def payloads(message):
    """Return what stands behind the buttons of a message."""
    parts = message["payload"]["template"]["components"]
    return [part["parameters"][0]["payload"] for part in parts if part["type"] == "button"]


@pytest.fixture
def press(sandbox, whatsapp_events):
    """Press a button on somebody's phone, and wait until the receiver has it."""

    def do(who, text, payload, context=None):
        sandbox.control(
            "POST", "replies", **{"from": who, "text": text, "pressed": payload, "context": context}
        )
        whatsapp_events.deliver(1)

    return do


def said(caplog):
    return [record.getMessage() for record in caplog.records if record.name.endswith("answering")]


@pytest.fixture(autouse=True)
def _log(caplog):
    caplog.set_level(logging.INFO, logger="airflow_provider_whatsapp.answering.answering")


def test_a_press_answers_the_request_and_airflow_shows_who_pressed(
    sandbox, airflow, ti, asks, press, answering, store, api, whatsapp_events, caplog
):
    asks(approval(ti, [ADA, BOB]))
    approve, _ = payloads(sandbox.messages[1])
    assert answering.look() == 0
    press(BOB, "Approve", approve)

    assert answering.look() == 1

    found = airflow.request(ti)
    assert found["chosen_options"] == ["Approve"]
    assert found["params_input"]["answered_by"].startswith("15•••0002 by WhatsApp (...")
    ((line),) = said(caplog)
    assert line == "15•••0002 pressed 'Approve' for orders.ask, run manual__1+2: Airflow has the answer."
    row, *more = whatsapp_events._rows("requests", "asked_at")
    assert not more
    assert row["answered_by"] == whatsapp_events.messages[0]["message_id"]
    assert (row["dag_id"], row["run_id"], row["task_id"], row["map_index"]) == (
        "orders",
        "manual__1+2",
        "ask",
        -1,
    )
    calls = len(airflow.calls)
    assert answering.look() == 0
    assert Answering(store, api, name="tests").look() == 0
    assert len(airflow.calls) == calls, "it is looked at once, by the next process too"
    assert answering._reader.done == set(), "nothing is kept of what lies before the position"


def test_the_secret_is_in_the_message_alone(sandbox, ti, asks, whatsapp_events, caplog, capsys, tmp_path):
    asks(approval(ti))
    secret = payloads(sandbox.messages[0])[0].split(".")[1]
    assert secret not in str(whatsapp_events._rows("requests", "asked_at"))
    assert secret not in str(ti.pushed)
    assert secret not in caplog.text + capsys.readouterr().out
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file


def _another_id(_, payload):
    return {"payload": RequestId.new().payload(0)}


def _another_option(_, payload):
    return {"payload": f"{payload[:-1]}7"}


HOSTILE = {
    "an ID of nobody's": (ADA, _another_id, "there is no question with this ID"),
    "an option that is not there": (ADA, _another_option, "the question does not have this option"),
    "somebody who was not asked": (EVE, lambda sent, _: {"context": sent["id"]}, "went to another person"),
    "another who was asked, on a message that is not theirs": (
        BOB,
        lambda sent, _: {"context": sent["id"]},
        "went to another person",
    ),
    "a message of no task": (ADA, lambda *_: {"context": "wamid.of_nobody"}, "no signed receipt"),
    "no message at all": (EVE, lambda *_: {}, "it does not name the message that it answers"),
}


@pytest.mark.parametrize(("who", "how", "why"), HOSTILE.values(), ids=HOSTILE)
def test_what_does_not_fit_changes_nothing_and_is_logged(
    sandbox, airflow, ti, asks, press, store, api, caplog, who, how, why
):
    asks(approval(ti, [ADA, BOB]))
    sent = sandbox.messages[0]
    payload = payloads(sent)[0]
    press(who, "Approve", **{"payload": payload} | how(sent, payload))
    late = Answering(store, api, name="tests", clock=lambda: datetime.now(UTC) + timedelta(minutes=11))

    assert late.look() == 0

    assert airflow.request(ti)["response_received"] is False
    (line,) = said(caplog)
    assert why in line
    assert line.startswith(f"15•••{who[-4:]} pressed"), "the number is masked"
    assert who[1:] not in line
    # And the question is still open for those who were asked.
    press(ADA, "Approve", payload)
    assert late.look() == 1


def test_a_message_of_another_send_is_none_of_the_question_s(
    sandbox, airflow, ti, asks, press, answering, caplog
):
    asks(approval(ti))
    first = sandbox.messages[0]
    asks(approval(ti), task_id="other")
    press(ADA, "Approve", payloads(first)[0], context=sandbox.messages[1]["id"])
    assert answering.look() == 0
    assert "a message that did not ask this" in said(caplog)[0]


@pytest.mark.parametrize("table", ["messages", "statuses"])
def test_what_was_not_signed_counts_for_nothing(sandbox, airflow, ti, asks, press, store, api, caplog, table):
    asks(approval(ti))
    press(ADA, "Approve", payloads(sandbox.messages[0])[0])
    with store.writing() as connection:
        connection.execute(update(getattr(tables, table)).values(verified=False))
    late = Answering(store, api, name="tests", clock=lambda: datetime.now(UTC) + timedelta(minutes=11))
    assert late.look() == 0
    assert airflow.calls == []
    assert "not signed" in said(caplog)[0] or "no signed receipt" in said(caplog)[0]


def test_a_press_waits_for_the_receipt_and_holds_up_no_other(
    sandbox, airflow, ti, asks, press, answering, store, caplog
):
    asks(approval(ti, [ADA, BOB]))
    with store.reading() as connection:
        kept = [dict(row) for row in connection.execute(tables.statuses.select()).mappings()]
    of_ada = sandbox.messages[0]["id"]
    with store.writing() as connection:
        connection.execute(delete(tables.statuses).where(tables.statuses.c.message_id == of_ada))
    press(ADA, "Approve", payloads(sandbox.messages[0])[0])
    press(EVE, "Reject", payloads(sandbox.messages[1])[1], context=sandbox.messages[1]["id"])
    assert answering.look() == answering.look() == 0
    assert ["another person" in line for line in said(caplog)] == [True], "what is decided is decided once"
    with store.writing() as connection:
        connection.execute(tables.statuses.insert(), [row for row in kept if row["message_id"] == of_ada])
    again = Answering(store, answering._api, name="tests")
    assert again.look() == 1, "another process goes on with it"
    assert airflow.request(ti)["chosen_options"] == ["Approve"]


def test_the_second_of_two_and_a_replay_change_nothing(
    sandbox, airflow, ti, asks, press, answering, store, api, caplog
):
    asks(approval(ti, [ADA, BOB]))
    press(ADA, "Approve", payloads(sandbox.messages[0])[0])
    press(BOB, "Reject", payloads(sandbox.messages[1])[1])
    assert answering.look() == 1
    press(ADA, "Reject", payloads(sandbox.messages[0])[1])
    assert answering.look() == 0
    assert airflow.request(ti)["chosen_options"] == ["Approve"]
    answer = "ignored, because the question already has an answer: 'Approve' from 15•••0001 by WhatsApp"
    assert [answer in line for line in said(caplog)] == [False, True, True]
    patches = [call for call in airflow.calls if call[0] == "PATCH"]
    assert Answering(store, api, name="another").look() == 1, "who reads all once more finds it answered"
    assert [call for call in airflow.calls if call[0] == "PATCH"] == patches


@pytest.mark.parametrize("durable", [True, False], ids=["ledger", "no ledger"])
def test_a_task_that_asks_again_has_other_buttons_and_the_old_ones_are_dead(
    sandbox, airflow, ti, asks, press, answering, caplog, durable
):
    ledger = {} if durable else {"ledger_path": None}
    asks(approval(ti, **ledger))
    asks(approval(ti, **ledger), id=uuid.uuid4(), try_number=2, max_tries=2)
    old, new = sandbox.messages
    press(ADA, "Approve", payloads(old)[0], context=old["id"])
    assert answering.look() == 0
    assert "asks with other messages" in said(caplog)[0]
    assert airflow.request(ti)["response_received"] is False
    press(ADA, "Reject", payloads(new)[1], context=new["id"])
    assert answering.look() == 1
    assert airflow.request(ti)["chosen_options"] == ["Reject"]


def test_a_try_that_was_killed_while_it_asked_leaves_buttons_that_live(
    sandbox, airflow, ti, asks, press, answering, monkeypatch
):
    from airflow_provider_whatsapp.approvals.question import Question

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Question, "close", killed)
        with pytest.raises(KeyboardInterrupt):
            approval(ti).execute({"ti": ti, "task_instance": ti})
    asks(approval(ti), id=uuid.uuid4(), try_number=2)
    assert len(sandbox.messages) == 1
    press(ADA, "Approve", payloads(sandbox.messages[0])[0])
    assert answering.look() == 1


def test_a_press_after_the_time_is_over_is_late(sandbox, airflow, ti, asks, press, store, api, caplog):
    asks(approval(ti, response_timeout=timedelta(hours=1)))
    press(ADA, "Approve", payloads(sandbox.messages[0])[0])
    late = Answering(store, api, name="tests", clock=lambda: datetime.now(UTC) + timedelta(hours=1))
    assert late.look() == 0
    assert "the time for answers is over" in said(caplog)[0]
    early = Answering(store, api, name="early", clock=lambda: datetime.now(UTC) + timedelta(minutes=55))
    assert early.look() == 1


@pytest.mark.parametrize("state", ["success", "failed", "skipped", "up_for_retry", "removed", None])
def test_a_task_that_no_longer_waits_gets_no_answer(
    sandbox, airflow, ti, asks, press, answering, caplog, state
):
    asks(approval(ti))
    airflow.request(ti)["task_instance"]["state"] = state
    press(ADA, "Approve", payloads(sandbox.messages[0])[0])
    assert answering.look() == 0
    assert "no longer waits" in said(caplog)[0]
    assert all(call[0] != "PATCH" for call in airflow.calls)


def test_an_option_that_the_request_does_not_have_is_not_sent(
    sandbox, airflow, ti, asks, press, answering, caplog
):
    asks(approval(ti))
    airflow.strict = False  # Airflow 3.1 stores any, and the task fails
    airflow.request(ti)["options"] = ["Yes", "No"]
    press(ADA, "Approve", payloads(sandbox.messages[0])[0])
    assert answering.look() == 0
    assert "the request does not have this option" in said(caplog)[0]
    assert all(call[0] != "PATCH" for call in airflow.calls)


def test_a_user_who_is_not_assigned_is_refused_and_told_so(
    sandbox, airflow, ti, asks, press, answering, caplog
):
    asks(approval(ti))
    airflow.refusal = (403, {"detail": "User=bot (id=bot) is not a respondent for the task."})
    press(ADA, "Approve", payloads(sandbox.messages[0])[0])
    assert answering.look() == 0
    assert "not a respondent" in said(caplog)[0]


def test_the_request_s_own_parameters_are_sent_as_they_stand(sandbox, airflow, ti, asks, press, answering):
    from airflow.sdk import Param

    asks(approval(ti, params={"limit": Param(5, type="integer")}))
    press(ADA, "Approve", payloads(sandbox.messages[0])[0])
    assert answering.look() == 1
    assert airflow.request(ti)["params_input"]["limit"] == 5
    assert "answered_by" in airflow.request(ti)["params_input"]


def test_an_answer_that_was_lost_is_found_again(
    sandbox, airflow, ti, asks, press, answering, whatsapp_events, caplog
):
    from airflow_provider_whatsapp.answering.airflow_api import AirflowAwayError

    asks(approval(ti))
    press(ADA, "Approve", payloads(sandbox.messages[0])[0])
    airflow.lose_answer = True
    with pytest.raises(AirflowAwayError):
        answering.look()
    airflow.lose_answer = False
    assert answering.look() == 1
    assert said(caplog)[-1].endswith("Airflow has the answer.")
    (row,) = whatsapp_events._rows("requests", "asked_at")
    assert row["answered_by"] == whatsapp_events.messages[0]["message_id"]


AWAY = {
    "an error": (500, {"detail": "no"}),
    "a proxy's page": (503, "<html>away</html>"),
    "a proxy's 404": (404, "<html>no such host</html>"),
    "a gateway's 404": (404, {"message": "no Route matched"}),
    "another server's 404": (404, {"detail": "Not Found"}),
    "too many": (429, {"detail": "slow down"}),
    "no JSON": (200, "fine"),
    "a list": (200, []),
    "another thing": (200, {"hello": "world"}),
}


@pytest.mark.parametrize("answer", AWAY.values(), ids=AWAY)
def test_nothing_is_lost_while_airflow_is_away(sandbox, airflow, ti, asks, press, answering, answer):
    from airflow_provider_whatsapp.answering.airflow_api import AirflowAwayError

    asks(approval(ti))
    press(ADA, "Approve", payloads(sandbox.messages[0])[0])
    answering._api.check()
    airflow.failing = answer
    for _ in range(2):
        with pytest.raises(AirflowAwayError):
            answering.look()
    airflow.failing = None
    assert answering.look() == 1


def test_a_store_that_is_away_loses_nothing(sandbox, ti, asks, press, store, api, monkeypatch):
    asks(approval(ti))
    press(ADA, "Approve", payloads(sandbox.messages[0])[0])
    answering = Answering(store, api, name="tests")
    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_whatsapp.answering.answering.find_request", _away)
        with pytest.raises(StoreError):
            answering.look()
    assert answering.look() == 1


def _away(*_):
    raise StoreError("the event store does not answer")


def test_a_choice_of_a_list(sandbox, airflow, ti, asks, press, answering):
    options = [f"Option {number}" for number in range(10)]
    sandbox.reply(ADA, "Hello")
    choose = WhatsAppChoiceOperator(
        task_id="ask", to=ADA, subject="The load failed. What now?", options=options,
        descriptions={"Option 9": "The last one"}, ledger_path=ti.ledger,
    )  # fmt: skip
    asks(choose)
    action = sandbox.messages[0]["payload"]["interactive"]["action"]
    rows = action["sections"][0]["rows"]
    assert [row["title"] for row in rows] == options
    assert rows[9]["description"] == "The last one"
    press(ADA, "Option 9", rows[9]["id"])
    assert answering.look() == 1
    assert airflow.request(ti)["chosen_options"] == ["Option 9"]
