"""WhatsAppApprovalOperator: what it asks whom, and what follows from an answer or from none."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from importlib.resources import as_file, files
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.approvals.link import Answer, parse_id
from airflow_provider_whatsapp.approvals.question import Question
from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.operators import _parking
from airflow_provider_whatsapp.operators.approval import WhatsAppApprovalOperator, WhatsAppChoiceOperator

hitl = pytest.importorskip("airflow.providers.standard.operators.hitl")
BASE = "https://airflow.example.com/team"
ADA, BOB, EVE = "+15550000001", "+15550000002", "+15550000003"
ANSWERED = {
    "chosen_options": ["Approve"],
    "params_input": {},
    "responded_at": datetime(2026, 6, 1, 9, tzinfo=UTC),
    "responded_by_user": {"id": "7", "name": "ada"},
}
TIME_OVER = {"error": "The time is over.", "error_type": "timeout"}


class Parked(BaseException):
    """What the operator raises to wait, whatever this Airflow has for it."""


@pytest.fixture
def asked(monkeypatch):
    """Stand in for Airflow's API: gather the requests, and how long is waited for an answer."""
    requests, waits = [], []

    def park(task, ti, *, seconds, defaults):
        waits.append((None if seconds is None else round(seconds.total_seconds()), defaults))
        raise Parked

    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **fields: requests.append(fields))
    monkeypatch.setattr("airflow_provider_whatsapp.operators._asking.park", park)
    # Only resume() lets time pass: what a busy machine takes would be missing from the waits.
    now = time.time()
    clock = SimpleNamespace(time=lambda: now)
    monkeypatch.setattr("airflow_provider_whatsapp.operators._asking.time", clock)
    return SimpleNamespace(requests=requests, waits=waits)


@pytest.fixture
def templates(sandbox):
    """Give the stock templates, approved for the address of this Airflow."""
    with as_file(files("airflow_provider_whatsapp.approvals")) as folder:
        sandbox.templates.load(folder, base_url=BASE)


def task(to=ADA, **options):
    options = {"subject": "Backfill May?", "base_url": BASE} | options
    return WhatsAppApprovalOperator(task_id="ask", to=to, **options)


def choice(to=ADA, **options):
    options = {"subject": "What now?", "options": ["Load again", "Stop"]} | options
    return WhatsAppChoiceOperator(task_id="ask", to=to, **options)


@pytest.fixture
def ti(tmp_path):
    """Give a task instance that keeps what is pushed."""
    pushed = {}
    return SimpleNamespace(
        id="0190", dag_id="orders", run_id="manual__1", task_id="ask", map_index=-1, try_number=1, max_tries=1,
        pushed=pushed, xcom_push=lambda key, value: pushed.update({key: json.loads(json.dumps(value))}),
        xcom_pull=lambda key, **_: json.loads(json.dumps(pushed.get(key))), ledger=f"file://{tmp_path}/ledger",
    )  # fmt: skip


def ask(operator, ti, **changes):
    """Run a task until it waits."""
    for name, value in changes.items():
        setattr(ti, name, value)
    with pytest.raises((Parked, *_parking.PARKED)):
        operator.execute({"ti": ti, "task_instance": ti})


def resume(operator, ti, event, seconds=0.0):
    """Go on after some seconds."""
    ti.pushed["approval"]["asked_at"] -= seconds
    return operator.execute_complete({"ti": ti, "task_instance": ti, "task": operator}, dict(event))


def told(sandbox):
    """Return who got which template, in order."""
    return [(message["to"], message["payload"]["template"]["name"]) for message in sandbox.messages]


def ends(message):
    """Return what the buttons of a message end with."""
    components = message["payload"]["template"]["components"]
    return [part["parameters"][0]["text"] for part in components if part["type"] == "button"]


@pytest.mark.usefixtures("templates")
def test_the_question_names_subject_and_run_and_its_buttons_lead_to_the_request(sandbox, asked, ti):
    ask(task([ADA, BOB], body="All of **May**."), ti)

    assert asked.requests[0]["subject"] == "Backfill May?"
    assert asked.requests[0]["body"] == "All of **May**."
    assert asked.waits == [(None, None)]
    assert told(sandbox) == [(ADA[1:], "airflow_approval"), (BOB[1:], "airflow_approval")]
    body = sandbox.messages[0]["payload"]["template"]["components"][0]["parameters"]
    assert [value["text"] for value in body] == ["Backfill May?", "orders", "manual__1"]
    answers = [parse_id(end.removeprefix("whatsapp/a/")) for end in ends(sandbox.messages[0])]
    assert answers == [Answer("orders", "manual__1", "ask", -1, option) for option in ("Approve", "Reject")]
    assert ti.pushed["report"]["sent"] == 2


@pytest.mark.usefixtures("templates")
def test_without_the_plugin_the_buttons_lead_to_airflow_s_own_page(sandbox, asked, ti, monkeypatch):
    monkeypatch.setenv("AIRFLOW__WHATSAPP__UI", "False")
    ask(task(), ti, map_index=3)
    path = "dags/orders/runs/manual__1/tasks/ask/mapped/3/required_actions"
    assert [urlsplit(end).path for end in ends(sandbox.messages[0])] == [path, path]


@pytest.mark.usefixtures("templates")
def test_an_answer_ends_it(asked, ti):
    operator = task()
    ask(operator, ti)
    assert resume(task(), ti, ANSWERED)["chosen_options"] == ["Approve"]


@pytest.mark.usefixtures("templates")
def test_one_who_was_asked_is_enough_and_nobody_is_an_error(sandbox, asked, ti, capsys):
    refused = {"error": {"message": "no", "type": "OAuthException", "code": 131026}}
    sandbox.fail_next("status", status=400, body=refused, path="/messages", times=1)
    ask(task([ADA, BOB]), ti)
    assert len(sandbox.messages) == 1

    sandbox.clear_faults()
    sandbox.fail_next("status", status=400, body=refused, path="/messages", times=0)
    with pytest.raises(AirflowFailException, match="131026"):
        task(ADA).execute({"ti": ti, "task_instance": ti})
    assert ti.pushed["report"]["failed"] == 1
    ask(task(ADA, on_unsent="wait"), ti)
    assert "reached nobody; the task waits" in capsys.readouterr().out


def test_an_answer_that_was_lost_counts_as_asked(sandbox, asked, ti, templates):
    sandbox.fail_next("drop_after", path="/messages", times=1)
    ask(task(), ti)
    assert ti.pushed["report"]["unknown"] == 1


@pytest.mark.usefixtures("sandbox")
def test_a_gateway_that_is_down_is_an_error_that_a_retry_may_cure(asked, ti, change_connection):
    change_connection(host="http://127.0.0.1:9", extra={"max_retries": 0})
    with pytest.raises(WhatsAppError) as caught:
        task().execute({"ti": ti, "task_instance": ti})
    assert (caught.value.permanent, caught.value.sent) == (False, "no")
    assert asked.waits == []


@pytest.mark.usefixtures("templates")
@pytest.mark.parametrize(
    ("refused", "outcome"), [(1, "success"), (0, "failed")], ids=["one of two", "nobody"]
)
def test_the_ledger_says_how_the_asking_ended(sandbox, asked, ti, tmp_path, refused, outcome):
    no = {"error": {"message": "no", "type": "OAuthException", "code": 131026}}
    sandbox.fail_next("status", status=400, body=no, path="/messages", times=refused)
    ask(task([ADA, BOB], ledger_path=ti.ledger, on_unsent="wait"), ti)
    heads = [json.loads(file.read_text()) for file in tmp_path.rglob("*") if file.is_file()]
    assert [head["finished"] for head in heads if isinstance(head, dict) and "finished" in head] == [outcome]


@pytest.mark.usefixtures("templates")
def test_a_retry_of_a_task_that_had_asked_asks_again(sandbox, asked, ti):
    people = {"to": [ADA, BOB], "ledger_path": ti.ledger}
    ask(task(**people), ti)
    ask(task(**people), ti, try_number=2)
    assert [to for to, _ in told(sandbox)] == [ADA[1:], BOB[1:]] * 2
    ask(task(**people), ti, try_number=3, max_tries=4)
    assert [to for to, _ in told(sandbox)] == [ADA[1:], BOB[1:]] * 3, "a clear does too"


@pytest.mark.usefixtures("templates")
def test_a_try_that_was_killed_while_it_asked_asks_nobody_twice(sandbox, asked, ti, monkeypatch):
    people = {"to": [ADA, BOB], "ledger_path": ti.ledger}

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Question, "close", killed)
        with pytest.raises(KeyboardInterrupt):
            task(**people).execute({"ti": ti, "task_instance": ti})
    ask(task(**people), ti, try_number=2)
    assert [to for to, _ in told(sandbox)] == [ADA[1:], BOB[1:]]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"base_url": "http://localhost:8080"}, "the buttons would lead to http://localhost:8080"),
        (
            {"base_url": "https://other.example.com"},
            "button 0 of airflow_approval .* leads to https://airflow.example.com/team/",
        ),
        ({"base_url": "airflow"}, "is not the address of a server"),
        ({"on_unsent": "maybe"}, "on_unsent"),
        ({"remind_after": 10}, "remind_after"),
        ({"delivery_timeout": timedelta(minutes=5)}, "delivery_timeout needs receipts"),
        ({"template_name": "nothing_of_that_name"}, "the account has no template"),
        ({"to": "12"}, "12|number"),
    ],
    ids=[
        "localhost",
        "not the template's",
        "no address",
        "on_unsent",
        "too often",
        "no receipts",
        "no template",
        "no number",
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(
    sandbox, asked, ti, templates, monkeypatch, options, problem
):
    monkeypatch.setattr(
        "airflow_provider_whatsapp.approvals.question.is_loopback", lambda host: "localhost" in (host or "")
    )
    with pytest.raises((AirflowFailException, WhatsAppError), match=problem):
        task(**options).execute({"ti": ti, "task_instance": ti})
    assert sandbox.messages == []


@pytest.mark.parametrize("name", ["max_failed", "wait_for", "callback_data"])
def test_what_means_nothing_here_is_no_argument(name):
    with pytest.raises(ValueError, match=name):
        task(**{name: 1})


@pytest.mark.usefixtures("templates")
def test_reminders_go_to_everybody_and_to_others_and_the_wait_ends_in_its_time(sandbox, asked, ti):
    options = {
        "remind_after": timedelta(minutes=10), "reminders": 2, "escalate_to": EVE, "defaults": "Reject",
        "response_timeout": timedelta(minutes=25), "ledger_path": ti.ledger,
    }  # fmt: skip
    ask(task(**options), ti)
    assert asked.requests[0]["defaults"] is None, "Airflow would take them at the end of the first part"
    with pytest.raises(Parked):
        resume(task(**options), ti, TIME_OVER, seconds=600)
    with pytest.raises(Parked):
        resume(task(**options), ti, TIME_OVER, seconds=600)
    assert [to for to, _ in told(sandbox)] == [ADA[1:], *[ADA[1:], EVE[1:]] * 2]
    assert [seconds for seconds, _ in asked.waits] == [600, 600, 300]
    assert all(defaults is None for _, defaults in asked.waits)

    result = resume(task(**options, fail_on_reject=False), ti, TIME_OVER, seconds=300)

    assert result["chosen_options"] == ["Reject"]
    assert result["responded_by_user"] is None


@pytest.mark.usefixtures("templates")
def test_without_defaults_the_end_is_airflow_s_error(asked, ti):
    options = {"remind_after": 600, "response_timeout": timedelta(minutes=5)}
    ask(task(**options), ti)
    with pytest.raises(Exception, match="timeout") as caught:
        resume(task(**options), ti, TIME_OVER, seconds=300)
    assert type(caught.value).__name__ == "HITLTimeoutError"


@pytest.mark.usefixtures("templates")
def test_a_reminder_that_cannot_be_sent_keeps_nobody_from_answering(sandbox, asked, ti, capsys):
    options = {"remind_after": 600}
    ask(task(**options), ti)
    refused = {"error": {"message": "no", "type": "OAuthException", "code": 131026}}
    sandbox.fail_next("status", status=400, body=refused, path="/messages", times=0)
    with pytest.raises(Parked):
        resume(task(**options), ti, TIME_OVER, seconds=600)
    assert "the reminder was not sent" in capsys.readouterr().out
    assert asked.waits[-1] == (None, None)


@pytest.mark.usefixtures("templates")
def test_the_outcome_is_told_once_to_all_who_were_asked(sandbox, asked, ti):
    options = {"to": [ADA, BOB], "notify_outcome": True, "ledger_path": ti.ledger}
    ask(task(**options), ti)
    resume(task(**options), ti, ANSWERED)
    notes = [message for message in sandbox.messages if "outcome" in message["payload"]["template"]["name"]]
    assert [note["to"] for note in notes] == [ADA[1:], BOB[1:]]
    values = {
        value["parameter_name"]: value["text"]
        for value in notes[0]["payload"]["template"]["components"][0]["parameters"]
    }
    assert values["answer"] == "Approve"
    assert values["by"] == "ada"


@pytest.mark.usefixtures("templates")
def test_each_question_has_callback_data_of_its_own(sandbox, asked, ti):
    options = {"remind_after": 600, "ledger_path": ti.ledger}
    ask(task(**options), ti)
    with pytest.raises(Parked):
        resume(task(**options), ti, TIME_OVER, seconds=600)
    found = [message["payload"]["biz_opaque_callback_data"] for message in sandbox.messages]
    assert len({text.split(".")[1] for text in found}) == 2


@pytest.mark.usefixtures("templates")
def test_a_question_that_was_delivered_is_waited_for(sandbox, asked, ti, whatsapp_events):
    options = {"delivery_timeout": 60, "ledger_path": ti.ledger}
    ask(task(**options), ti)
    whatsapp_events.deliver(60)
    with pytest.raises(Parked):
        resume(task(**options), ti, TIME_OVER, seconds=60)
    assert ti.pushed["approval"]["looked"]
    assert [seconds for seconds, _ in asked.waits] == [60, None], "it is looked at once"
    assert len(sandbox.messages) == 1


@pytest.mark.usefixtures("templates", "whatsapp_events")
def test_a_question_that_was_delivered_to_nobody_is_an_error(asked, ti, capsys):
    options = {"delivery_timeout": 60, "ledger_path": ti.ledger}
    ask(task(**options), ti)
    with pytest.raises(AirflowFailException, match="did not deliver the question to anybody within 60 s"):
        resume(task(**options), ti, TIME_OVER, seconds=60)
    with pytest.raises(Parked):
        resume(task(**options, on_unsent="wait"), ti, TIME_OVER)
    assert "the task waits for an answer in Airflow" in capsys.readouterr().out


@pytest.mark.usefixtures("templates", "whatsapp_events")
def test_a_store_that_is_away_while_it_waits_ends_no_question(asked, ti, monkeypatch, capsys):
    options = {"delivery_timeout": 60, "ledger_path": ti.ledger}
    ask(task(**options), ti)
    away = json.dumps({"conn_type": "postgres", "host": "127.0.0.1", "port": 9, "schema": "events"})
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", away)
    monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", "away")
    with pytest.raises(Parked):
        resume(task(**options), ti, TIME_OVER, seconds=60)
    assert "cannot read whether the question was delivered" in capsys.readouterr().out


@pytest.mark.usefixtures("templates")
@pytest.mark.parametrize(
    "to",
    [f"{ADA}, {BOB}", json.dumps([ADA, BOB]), str([ADA, BOB]), [ADA, BOB, ADA]],
    ids=["text", "JSON", "Python", "twice"],
)
def test_people_are_read_alike_in_the_question_the_reminder_and_the_note(sandbox, asked, ti, to):
    options = {
        "to": to,
        "remind_after": 60,
        "escalate_to": f"{EVE}; {ADA}",
        "notify_outcome": True,
        "ledger_path": ti.ledger,
    }
    ask(task(**options), ti)
    with pytest.raises(Parked):
        resume(task(**options), ti, TIME_OVER, seconds=60)
    resume(task(**options), ti, ANSWERED)
    three = [ADA[1:], BOB[1:], EVE[1:]]
    assert [to for to, _ in told(sandbox)] == [ADA[1:], BOB[1:], *three, *three]


@pytest.mark.usefixtures("templates")
def test_one_person_who_is_named_twice_gets_no_note(sandbox, asked, ti):
    options = {"to": [ADA, ADA], "notify_outcome": True, "ledger_path": ti.ledger}
    ask(task(**options), ti)
    resume(task(**options), ti, ANSWERED)
    assert len(sandbox.messages) == 1


@pytest.mark.usefixtures("templates")
def test_a_reminder_that_was_delivered_counts_for_the_question(sandbox, asked, ti, whatsapp_events):
    options = {
        "to": ADA,
        "remind_after": 60,
        "escalate_to": BOB,
        "delivery_timeout": 120,
        "ledger_path": ti.ledger,
    }
    sandbox.recipient(ADA[1:], error=131026)
    ask(task(**options), ti)
    with pytest.raises(Parked):
        resume(task(**options), ti, TIME_OVER, seconds=60)
    whatsapp_events.deliver(60)
    with pytest.raises(Parked):
        resume(task(**options), ti, TIME_OVER, seconds=60)
    assert ti.pushed["approval"]["looked"]


@pytest.mark.usefixtures("templates")
@pytest.mark.parametrize(
    "base", ["https://airflow.example.com:443/team", "https://AIRFLOW.example.com/team/"]
)
def test_the_same_address_may_be_written_otherwise(asked, ti, base):
    ask(task(base_url=base), ti)


@pytest.mark.usefixtures("templates")
@pytest.mark.parametrize(
    "base", ["https://airflow.example.com/Team", "https://airflow.example.com:8443/team"]
)
def test_another_place_is_not_the_template_s(asked, ti, base):
    with pytest.raises(AirflowFailException, match="leads to"):
        task(base_url=base).execute({"ti": ti, "task_instance": ti})


@pytest.mark.usefixtures("templates")
def test_an_answer_that_airflow_refuses_is_told_to_nobody(sandbox, asked, ti):
    options = {"to": [ADA, BOB], "notify_outcome": True, "ledger_path": ti.ledger}
    ask(task(**options), ti)
    for wrong in ({"chosen_options": ["Perhaps"]}, {"params_input": {"limit": 7}}):
        with pytest.raises(ValueError, match=r"Perhaps|limit"):
            resume(task(**options, params={"other": 1}), ti, ANSWERED | wrong)
    assert len(sandbox.messages) == 2


@pytest.mark.usefixtures("templates")
def test_the_outcome_of_a_rejection_is_told_before_the_task_ends(sandbox, asked, ti):
    options = {"to": [ADA, BOB], "notify_outcome": True, "ledger_path": ti.ledger, "fail_on_reject": True}
    ask(task(**options), ti)
    with pytest.raises(Exception, match="Reject") as caught:
        resume(task(**options), ti, ANSWERED | {"chosen_options": ["Reject"]})
    assert type(caught.value).__name__ == "HITLRejectException"
    assert len(sandbox.messages) == 4


@pytest.mark.usefixtures("templates", "whatsapp_events")
def test_reply_buttons_need_no_address_of_airflow_and_show_on_its_page_who_pressed(sandbox, asked, ti):
    from airflow.sdk import Param

    options = {
        "to": [ADA, BOB],
        "buttons": "reply",
        "base_url": "http://localhost:8080",
        "notify_outcome": True,
    }
    options |= {"ledger_path": ti.ledger, "params": {"limit": Param(5, type="integer")}}
    ask(task(**options), ti)
    assert told(sandbox) == [(ADA[1:], "airflow_approval_reply"), (BOB[1:], "airflow_approval_reply")]
    assert set(asked.requests[0]["params"]) == {"limit", "answered_by"}

    given = {"params_input": {"limit": 5, "answered_by": "15•••0002 by WhatsApp"}}
    assert resume(task(**options), ti, ANSWERED | given)["params_input"] == given["params_input"]
    note = sandbox.messages[-1]["payload"]["template"]["components"][0]["parameters"]
    assert {value["parameter_name"]: value["text"] for value in note}["by"] == "ada for 15•••0002 by WhatsApp"


@pytest.mark.usefixtures("templates", "whatsapp_events")
@pytest.mark.parametrize("value", ["", None], ids=["empty", "emptied"])
def test_who_answers_on_the_page_leaves_the_presser_empty(asked, ti, value):
    options = {"buttons": "reply", "ledger_path": ti.ledger}
    ask(task(**options), ti)
    given = {"params_input": {"answered_by": value}}
    assert resume(task(**options), ti, ANSWERED | given)["chosen_options"] == ["Approve"]


@pytest.mark.usefixtures("templates")
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "a reply needs receipts"),
        (
            {"template_name": "airflow_approval", "events": True},
            "buttons\\[0\\] is a url button, not quick_reply",
        ),
        ({"buttons": "both"}, "buttons"),
    ],
    ids=["no receipts", "a template with links", "another word"],
)
def test_reply_buttons_that_nobody_could_read_are_refused(
    sandbox, asked, ti, request, monkeypatch, options, problem
):
    options = {"buttons": "reply"} | options
    if options.pop("events", False):
        request.getfixturevalue("whatsapp_events")
    with pytest.raises((AirflowFailException, WhatsAppError), match=problem):
        task(**options).execute({"ti": ti, "task_instance": ti})
    assert sandbox.messages == []


@pytest.mark.usefixtures("templates")
def test_a_store_that_is_away_sends_no_button_that_is_dead(sandbox, asked, ti, monkeypatch):
    away = json.dumps({"conn_type": "postgres", "host": "127.0.0.1", "port": 9, "schema": "events"})
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", away)
    monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", "away")
    with pytest.raises(WhatsAppError) as caught:
        task(buttons="reply").execute({"ti": ti, "task_instance": ti})
    assert not caught.value.permanent, "a retry may cure it"
    assert sandbox.messages == []


@pytest.mark.usefixtures("templates")
def test_reminders_have_buttons_of_their_own_for_the_same_wait(sandbox, asked, ti, whatsapp_events):
    options = {"buttons": "reply", "remind_after": 600, "escalate_to": EVE, "ledger_path": ti.ledger}
    options |= {"response_timeout": timedelta(hours=1)}
    ask(task(**options), ti)
    with pytest.raises(Parked):
        resume(task(**options), ti, TIME_OVER, seconds=600)
    first, second = whatsapp_events._rows("requests", "asked_at")
    assert first["ti_id"] == second["ti_id"] == ti.id
    assert first["send_hash"] != second["send_hash"]
    assert first["request_hash"] != second["request_hash"]
    left = second["expires_at"] - second["asked_at"]
    assert timedelta(minutes=45) < left <= timedelta(minutes=50), "the reminder does not lengthen the wait"
    assert len({str(ends_of(message)) for message in sandbox.messages}) == 2


def ends_of(message):
    """Return what stands behind the buttons of a message."""
    components = message["payload"]["template"]["components"]
    return [part["parameters"][0]["payload"] for part in components if part["type"] == "button"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"options": [f"Option {number}" for number in range(11)]}, "11 are too many; a list holds 10"),
        ({"options": ["x" * 25]}, "not a text of 1 to 24 characters"),
        ({"options": ["Yes", " "]}, "not a text of 1 to 24 characters"),
        ({"options": ["Yes", 7]}, "not a text of 1 to 24 characters"),
        ({"options": ["Yes", "Yes"]}, "two are equal"),
        ({"options": []}, "empty"),
        ({"multiple": True}, "does not allow multiple=True"),
        ({"wait_for": "read"}, "wait_for"),
    ],
    ids=["eleven", "too long", "blank", "a number", "twice", "none", "several", "no argument"],
)
def test_what_no_list_can_hold_is_refused_with_the_limit(options, problem):
    with pytest.raises(ValueError, match=problem):
        choice(**options)


@pytest.mark.usefixtures("whatsapp_events")
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"descriptions": {"Stop": "x" * 73}}, "72"),
        ({"descriptions": {"Wait": "A while"}}, "'Wait', which is not one of the options"),
        ({"button_text": "x" * 21}, "20"),
        ({"subject": "x" * 4097}, "4096"),
    ],
    ids=["description", "of nothing", "button", "subject"],
)
def test_texts_that_no_list_can_hold_are_refused_before_anything_is_sent(
    sandbox, asked, ti, options, problem
):
    with pytest.raises(AirflowFailException, match=problem):
        choice(**options).execute({"ti": ti, "task_instance": ti})
    assert sandbox.messages == []


def test_a_list_that_found_the_window_closed_for_everybody_is_an_error(
    sandbox, asked, ti, whatsapp_events, capsys
):
    options = {"to": [ADA, BOB], "ledger_path": ti.ledger}
    ask(choice(**options), ti)
    assert asked.waits == [(60, None)]
    whatsapp_events.deliver(60)
    with pytest.raises(
        AirflowFailException, match=r"2 failed\); it reaches only people who wrote within the last 24"
    ):
        resume(choice(**options), ti, TIME_OVER, seconds=60)
    with pytest.raises(Parked):
        resume(choice(**options, on_unsent="wait"), ti, TIME_OVER)
    assert "the task waits for an answer in Airflow" in capsys.readouterr().out
    assert asked.waits[-1] == (None, None), "it is looked at once"


@pytest.mark.parametrize("who", [ADA, BOB])
def test_a_list_that_one_person_gets_is_waited_for(sandbox, asked, ti, whatsapp_events, who):
    sandbox.reply(who, "Hello")
    options = {"to": [ADA, BOB], "ledger_path": ti.ledger}
    ask(choice(**options), ti)
    whatsapp_events.deliver(60)
    with pytest.raises(Parked):
        resume(choice(**options), ti, TIME_OVER, seconds=60)


def test_a_failure_of_one_says_nothing_while_the_other_has_no_receipt(sandbox, asked, ti, whatsapp_events):
    from sqlalchemy import delete

    from airflow_provider_whatsapp.events.engine import open_engine
    from airflow_provider_whatsapp.events.tables import statuses

    options = {"to": [ADA, BOB], "ledger_path": ti.ledger}
    ask(choice(**options), ti)
    whatsapp_events.deliver(60)
    engine = open_engine(whatsapp_events.database)
    with engine.begin() as connection:
        connection.execute(delete(statuses).where(statuses.c.recipient == BOB[1:]))
    engine.dispose()
    with pytest.raises(Parked):
        resume(choice(**options), ti, TIME_OVER, seconds=60)
