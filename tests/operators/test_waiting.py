"""Waiting for delivery: what is refused before anything is sent, what the report says, and what a retry sends."""

from __future__ import annotations

import inspect
import json
import time
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
from airflow_provider_whatsapp.operators.messages import (
    SendMediaOperator,
    SendMessageOperator,
    SendTemplateOperator,
    SendTextOperator,
)
from airflow_provider_whatsapp.operators.sql import SqlToWhatsAppOperator
from airflow_provider_whatsapp.triggers.delivery import HistoryPoll, StorePoll

try:
    from airflow.sdk.exceptions import TaskDeferred
except ImportError:  # 3.1
    from airflow.exceptions import TaskDeferred

TO = ["+15550001111", "+15550002222", "+15550003333"]
OPERATORS = {
    "text": (SendTextOperator, {"to": TO, "text": "hello"}),
    "media": (SendMediaOperator, {"to": TO, "media": "https://example.com/a.png", "kind": "image"}),
    "message": (SendMessageOperator, {"to": TO, "message": {"type": "text", "body": "hello"}}),
    "template": (SendTemplateOperator, {"to": TO, "template_name": "hello_world"}),
    "broadcast": (BroadcastTemplateOperator, {"recipients": TO, "template_name": "hello_world"}),
    "sql": (SqlToWhatsAppOperator, {"to": TO, "rows": [{"a": 1}]}),
}


class Task:
    """One task over its tries."""

    def __init__(self):
        self.pushed = {}
        self.ti = SimpleNamespace(
            dag_id="dag",
            run_id="run",
            task_id="send",
            map_index=-1,
            try_number=1,
            max_tries=1,
            xcom_push=self.push,
        )

    def push(self, key, value):
        self.pushed[key] = value

    @property
    def context(self):
        return {"ti": self.ti}


@pytest.fixture
def task():
    return Task()


@pytest.fixture
def made(tmp_path):
    """Make an operator that waits in the worker, by polls in quick succession."""

    def make(name, **options):
        kind, arguments = OPERATORS[name]
        usual = {"ledger_path": f"file://{tmp_path}/ledgers", "poke_interval": 0.1, "deferrable": False}
        return kind(task_id="send", **{"wait_for": "delivered", **usual, **arguments, **options})

    return make


@pytest.fixture
def arrives(whatsapp_events, monkeypatch):
    """Let the sandbox deliver whenever a task looks, and give the events."""
    ask = StorePoll.ask

    def asked(poll, subscribers):
        whatsapp_events.deliver(60)
        return ask(poll, subscribers)

    monkeypatch.setattr(StorePoll, "ask", asked)
    return whatsapp_events


@pytest.fixture
def logged(caplog, capfd):
    """Return the lines of the log with a text in them, however this Airflow logs."""
    caplog.set_level("INFO")

    def lines(text):
        written = capfd.readouterr()[0].splitlines()
        return max(
            [line for line in written if text in line], [m for m in caplog.messages if text in m], key=len
        )

    return lines


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", OPERATORS)
def test_every_sending_operator_waits_and_counts(sandbox, arrives, made, task, name):
    for to in TO:
        sandbox.reply(to, "hello")

    report = made(name).execute(task.context)

    counts = {key: report[key] for key in ("total", "accepted", "sent", "delivered", "failed", "pending")}
    assert counts == {"total": 3, "accepted": 3, "sent": 3, "delivered": 3, "failed": 0, "pending": 0}
    assert len(sandbox.messages) == 3


def managers(sandbox):
    """Five managers, of whom one wrote today; and a scheduled XLSX for all of them."""
    five = [f"+1555000{number:04}" for number in range(1, 6)]
    sandbox.reply(five[2], "Thanks!")
    return {"to": five, "rows": [{"region": "North", "sales": 3}], "format": "xlsx"}


def test_the_task_says_which_managers_did_not_get_the_xlsx_and_why(sandbox, arrives, made, task, logged):
    with pytest.raises(AirflowFailException) as failure:
        made("sql", **managers(sandbox)).execute(task.context)

    said = str(failure.value)
    assert "Not delivered to 15•••0001, 15•••0002, 15•••0004, 15•••0005: " in said
    assert "code 131047" in said
    assert "SendTemplateOperator" in said
    (line,) = logged("Not delivered to")
    assert "1555000" not in said + line
    report = task.pushed["report"]
    assert {key: report[key] for key in ("accepted", "sent", "delivered", "failed", "pending")} == {
        "accepted": 5,
        "sent": 1,
        "delivered": 1,
        "failed": 4,
        "pending": 0,
    }
    assert [row["status"] for row in report["results"]] == [
        "failed",
        "failed",
        "read",
        "failed",
        "failed",
    ]
    assert {row["error"]["code"] for row in report["results"] if row["status"] == "failed"} == {131047}


def test_late_failures_count_against_max_failed(sandbox, arrives, made, task):
    report = made("sql", **managers(sandbox), max_failed=4).execute(task.context)

    assert (report["sent"], report["failed"]) == (1, 4)


def test_a_retry_waits_again_and_sends_to_nobody(sandbox, arrives, made, task):
    arguments = managers(sandbox)
    for number in (1, 2):
        task.ti.try_number = number
        with pytest.raises(AirflowFailException, match="131047"):
            made("sql", **arguments).execute(task.context)

    assert len(sandbox.messages) == 5
    assert task.pushed["report"]["accepted"] == 5


def test_a_clear_sends_to_those_whose_message_failed_later(sandbox, arrives, made, task):
    arguments = managers(sandbox)
    with pytest.raises(AirflowFailException, match="131047"):
        made("sql", **arguments).execute(task.context)
    for to in arguments["to"]:
        sandbox.reply(to, "hello")
    task.ti.try_number, task.ti.max_tries = 2, 2

    report = made("sql", **arguments).execute(task.context)

    sent = [message["to"] for message in sandbox.messages]
    assert sorted(sent) == sorted([to.lstrip("+") for to in arguments["to"]] + sent[5:])
    assert len(sent) == 9
    assert (report["sent"], report["delivered"], report["failed"]) == (5, 5, 0)


def rewrite(database, **values):
    """Change all receipts of a store."""
    from sqlalchemy import update

    from airflow_provider_whatsapp.events import tables
    from airflow_provider_whatsapp.events.store import EventStore

    store = EventStore.open(database)
    with store.writing() as connection:
        connection.execute(update(tables.statuses).values(**values))
    store.close()


@pytest.mark.parametrize("callback_data", [None, "mine"], ids=["ours", "own"])
def test_an_unsigned_failure_makes_nobody_sendable(sandbox, arrives, made, task, callback_data):
    arguments = managers(sandbox) | {"callback_data": callback_data}
    with pytest.raises(AirflowFailException, match="131047"):
        made("sql", **arguments).execute(task.context)
    rewrite(arrives.database, verified=False)
    task.ti.try_number, task.ti.max_tries = 2, 2

    with pytest.raises(AirflowFailException, match="131047"):
        made("sql", **arguments).execute(task.context)

    assert len(sandbox.messages) == 5


@pytest.fixture
def history(sandbox, monkeypatch):
    """Let the sandbox deliver whenever a task asks the message history."""
    ask = HistoryPoll.ask
    monkeypatch.setattr(
        HistoryPoll, "ask", lambda poll, waiting: (sandbox.clock.advance(60), ask(poll, waiting))[1]
    )


LEARNS = {"history": ("history", {}), "own-callback-data": ("arrives", {"callback_data": "order 7"})}


@pytest.mark.parametrize("by", LEARNS)
@pytest.mark.parametrize("name", ["template", "broadcast"])
def test_a_clear_sends_again_where_messages_are_known_by_their_ids(sandbox, request, made, task, by, name):
    fixture, options = LEARNS[by]
    request.getfixturevalue(fixture)
    sandbox.recipient(TO[1].lstrip("+"), error=131026)
    for number in (1, 2):
        task.ti.try_number = number
        with pytest.raises(AirflowFailException, match="131026"):
            made(name, **options).execute(task.context)
    assert len(sandbox.messages) == 3, "a retry sends to nobody"
    sandbox.recipient(TO[1].lstrip("+"), error=0)
    task.ti.try_number, task.ti.max_tries = 3, 3

    report = made(name, **options).execute(task.context)

    assert [message["to"] for message in sandbox.messages[3:]] == [TO[1].lstrip("+")]
    assert (report["total"], report["delivered"], report["failed"]) == (3, 3, 0)


def test_a_clear_that_waits_for_nothing_does_not_ask_the_history(sandbox, made, task):
    made("template", wait_for="accepted").execute(task.context)
    task.ti.try_number, task.ti.max_tries = 2, 2

    made("template", wait_for="accepted").execute(task.context)

    assert sandbox.requests_to("message_history") == []


def test_a_connection_that_is_missing_at_a_clear_costs_one_line(
    sandbox, whatsapp_events, made, task, monkeypatch, logged
):
    made("template", wait_for="accepted").execute(task.context)
    task.ti.try_number, task.ti.max_tries = 2, 2
    monkeypatch.delenv("AIRFLOW_CONN_WHATSAPP_EVENTS")

    report = made("template", wait_for="accepted").execute(task.context)

    assert (report["sent"], len(sandbox.messages)) == (3, 3)
    assert logged("this clear does not send again what failed after WhatsApp had accepted it")


def deferred(operator, task):
    """Run a task until it leaves its worker, and return what Airflow is given."""
    with pytest.raises(TaskDeferred) as found:
        operator.execute(task.context)
    return found.value


def test_whose_answer_was_lost_is_waited_for_and_cleared_up(sandbox, arrives, made, task, tmp_path):
    """One answer in twenty is lost: none stays unknown, nobody gets two messages, and the results file agrees."""
    people = [f"+1555002{number:04}" for number in range(60)]
    for lost in people[::20]:
        sandbox.fail_next("drop_after", to=lost.lstrip("+"), path="/messages")
    path = tmp_path / "results.jsonl"

    report = made("broadcast", recipients=people, results_path=f"file://{path}").execute(task.context)

    counts = {key: report[key] for key in ("accepted", "sent", "delivered", "unknown", "pending")}
    assert counts == {"accepted": 60, "sent": 60, "delivered": 60, "unknown": 0, "pending": 0}
    assert len({message["to"] for message in sandbox.messages}) == len(sandbox.messages) == 60
    assert {line["status"] for line in lines(path)} == {"read"}
    assert {line["message_id"] for line in lines(path)} == {message["id"] for message in sandbox.messages}


def test_what_arrived_is_counted_in_airflow_s_metrics(sandbox, arrives, made, task, monkeypatch):
    from airflow_provider_whatsapp._compat import Stats

    counted = {}
    monkeypatch.setattr(
        Stats, "incr", lambda name, count=1, **_: counted.update({name: counted.get(name, 0) + count})
    )
    sandbox.recipient(TO[0].lstrip("+"), reaches="delivered")
    sandbox.recipient(TO[1].lstrip("+"), error=131026)

    made("template", max_failed=1).execute(task.context)

    found = {name: count for name, count in counted.items() if name.startswith("whatsapp.")}
    assert found == {"whatsapp.sent": 3, "whatsapp.delivered": 2, "whatsapp.read": 1, "whatsapp.failed": 1}


def test_a_deferred_task_reports_what_has_arrived_by_then(sandbox, whatsapp_events, made, task):
    sandbox.recipient(TO[1].lstrip("+"), reaches="sent")
    left = deferred(made("broadcast", deferrable=True, wait_timeout="0:05:00"), task)
    whatsapp_events.deliver(60)

    again = made("broadcast", deferrable=True, wait_timeout="0:05:00")
    report = again.delivery_complete(task.context, {"state": "timeout"}, **left.kwargs)

    assert left.method_name == "delivery_complete"
    assert left.trigger.target == 3
    assert {key: report[key] for key in ("accepted", "sent", "delivered", "pending")} == {
        "accepted": 3,
        "sent": 3,
        "delivered": 2,
        "pending": 1,
    }
    assert report["endpoints"] == {"messages": 3}, "what only the sending knows is kept"
    assert len(sandbox.messages) == 3


def test_who_is_pending_at_the_time_out_fails_a_task_that_says_so(sandbox, whatsapp_events, made, task):
    options = {"deferrable": True, "on_timeout": "fail"}
    left = deferred(made("template", **options), task)

    with pytest.raises(
        WhatsAppError, match=r"not all messages were delivered within 1:00:00.*3 pending"
    ) as failure:
        made("template", **options).delivery_complete(task.context, {"state": "timeout"}, **left.kwargs)

    assert not failure.value.permanent, "a retry waits again"
    assert task.pushed["report"]["pending"] == 3


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_the_results_file_says_what_arrived_and_leads_to_those_who_got_nothing(
    sandbox, arrives, made, task, tmp_path, deferrable
):
    """Two of three fail later: by the file the next broadcast reaches them, and a retry leaves it as it is."""
    path = tmp_path / "results.jsonl"
    for to in TO[1:]:
        sandbox.recipient(to.lstrip("+"), error=131026)
    options = {"results_path": f"file://{path}", "deferrable": deferrable}
    for number in (1, 2):
        task.ti.try_number = number
        with pytest.raises(AirflowFailException, match="131026"):
            made("broadcast", **options).execute(task.context)
        assert [line["status"] for line in lines(path)] == ["read", "failed", "failed"]
    for to in TO[1:]:
        sandbox.recipient(to.lstrip("+"), error=0)
    task.ti.task_id, task.ti.try_number = "once_more", 1

    report = made("broadcast", recipients=f"file://{path}", scope="failed").execute(task.context)

    assert (report["total"], report["delivered"]) == (2, 2)
    assert [message["to"] for message in sandbox.messages[3:]] == [to.lstrip("+") for to in TO[1:]]


def test_a_shard_s_part_of_the_list_is_kept_until_the_wait_is_over(
    sandbox, whatsapp_events, made, task, tmp_path, monkeypatch
):
    from airflow_provider_whatsapp.operators import _shards

    monkeypatch.setattr(_shards, "LEAST", 0)
    (tmp_path / "people.csv").write_text("to\n" + "".join(f"{to}\n" for to in TO))
    options = {
        "recipients": f"file://{tmp_path}/people.csv",
        "shards": 2,
        "shard": 0,
        "results_path": f"file://{tmp_path}/out/results.jsonl",
        "deferrable": True,
    }
    (tmp_path / "out").mkdir()
    left = deferred(made("broadcast", **options), task)
    (index,) = (path for path in (tmp_path / "out").iterdir() if path.name.endswith(".shards"))
    kept = {path.name for path in index.iterdir()}
    whatsapp_events.deliver(60)

    report = made("broadcast", **options).delivery_complete(task.context, {"state": "settled"}, **left.kwargs)

    assert report["delivered"] == report["total"] == left.trigger.target == 2
    assert {path.name for path in index.iterdir()} < kept, "its rows are people's data"


def test_a_retry_that_has_nothing_to_wait_for_does_not_leave_its_worker(sandbox, whatsapp_events, made, task):
    deferred(made("template", deferrable=True), task)
    whatsapp_events.deliver(60)
    task.ti.try_number = 2

    report = made("template", deferrable=True).execute(task.context)

    assert (report["delivered"], len(sandbox.messages)) == (3, 3)


def test_a_count_that_was_ahead_of_the_messages_waits_on(sandbox, whatsapp_events, made, task):
    left = deferred(made("template", deferrable=True), task)
    assert left.trigger.not_before == 0, "the first look is at once"

    with pytest.raises(TaskDeferred) as again:
        made("template", deferrable=True).delivery_complete(task.context, {"state": "settled"}, **left.kwargs)

    assert again.value.kwargs == left.kwargs, "the time-out stays what it was"
    assert again.value.trigger.not_before > 0


def test_a_count_that_stays_ahead_of_the_messages_deepens_no_stack(
    sandbox, whatsapp_events, made, task, monkeypatch
):
    """Receipts that name other people count, and settle nobody: a long wait looks many times."""
    depths = []
    for to in TO:
        sandbox.recipient(to.lstrip("+"), reaches="sent")

    def ahead(poll, subscribers):
        depths.append(len(inspect.stack(0)))
        if len(depths) == 5:
            whatsapp_events.deliver(60)
            rewrite(whatsapp_events.database, status="delivered", status_rank=30)
        return [(each, "settled") for each in subscribers]

    monkeypatch.setattr(StorePoll, "ask", ahead)

    report = made("template", poke_interval=0.01).execute(task.context)

    assert (report["delivered"], len(depths), len(set(depths[1:]))) == (3, 5, 1)


def test_the_trigger_s_row_is_small_for_100_000_messages(made, task, sandbox, whatsapp_events):
    left = deferred(made("broadcast", deferrable=True), task)
    left.trigger.target = 100_000

    assert len(json.dumps(left.trigger.serialize())) < 2_000
    assert left.trigger.message_ids == []


def test_the_longer_a_count_stays_ahead_the_fewer_looks_there_are(sandbox, whatsapp_events, made, task):
    """Each look reads the whole list, in a worker: whoever forges receipts must not make it a busy one."""
    options = {"deferrable": True, "wait_timeout": "1 day, 0:00:00", "poke_interval": 30}
    left = deferred(made("template", **options), task)
    hours_later = left.kwargs["until"] - 10 * 3600

    with pytest.raises(TaskDeferred) as again:
        made("template", **options).delivery_complete(task.context, {"state": "settled"}, until=hours_later)

    assert again.value.trigger.not_before > time.time() + 3000, "a tenth of ten hours"


@pytest.mark.parametrize("name", ["template", "broadcast"])
def test_a_store_that_is_away_at_the_end_leaves_everybody_pending(
    sandbox, whatsapp_events, made, task, monkeypatch, logged, name
):
    options = {"deferrable": True, "suppression": "events"}
    left = deferred(made(name, **options), task)
    monkeypatch.setenv("AIRFLOW_CONN_WHATSAPP_EVENTS", "postgresql://me:s3cret@127.0.0.1:1/events")

    report = made(name, **options).delivery_complete(task.context, {"state": "timeout"}, **left.kwargs)

    assert (report["accepted"], report["delivered"], report["pending"]) == (3, 0, 3)
    (line,) = logged("cannot read how far the messages got")
    assert "s3cret" not in line


REFUSED = {
    "no-ledger": ({"ledger_path": None}, "needs a ledger.*ledger_path=, or use Airflow 3.3"),
    "word": ({"wait_for": "arrived"}, "wait_for: .arrived. is not known.*delivered"),
    "short": ({"wait_timeout": 59}, "wait_timeout: .59. is below the limit.*0:01:00 to 30 days"),
    "long": ({"wait_timeout": "31 days, 0:00:00"}, "wait_timeout: .* is above the limit"),
    "no-time": ({"wait_timeout": "soon"}, "wait_timeout: .soon. is not a number of seconds"),
    "on-timeout": ({"on_timeout": "skip"}, "on_timeout: .skip. is not known"),
    "interval": ({"poke_interval": -1}, "poke_interval"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("name", ["text", "broadcast"])
def test_bad_arguments_are_refused_before_any_request(sandbox, whatsapp_events, made, task, name, case):
    options, said = REFUSED[case]

    with pytest.raises(AirflowFailException, match=said):
        made(name, **options).execute(task.context)

    assert sandbox.requests_to("/messages") == []


@pytest.mark.parametrize("name", ["text", "broadcast"])
def test_a_store_that_cannot_be_reached_sends_nothing(
    sandbox, whatsapp_events, made, task, monkeypatch, name
):
    monkeypatch.setenv("AIRFLOW_CONN_WHATSAPP_EVENTS", "postgresql://me:s3cret@127.0.0.1:1/events")

    with pytest.raises(WhatsAppError, match="the event store does not answer") as failure:
        made(name).execute(task.context)

    assert not failure.value.permanent, "a retry may find it again"
    assert "s3cret" not in str(failure.value)
    assert sandbox.messages == []


def test_callback_data_of_one_s_own_is_found_by_the_messages_ids(sandbox, arrives, made, task):
    report = made("template", callback_data="order 7").execute(task.context)

    assert (report["accepted"], report["delivered"]) == (3, 3)


@pytest.mark.parametrize(
    ("store", "said"),
    [(True, "callback_data is your own.*101.*100"), (False, "there is no event store.*101.*100")],
)
def test_more_than_a_hundred_need_the_package_s_callback_data(sandbox, request, made, task, store, said):
    if store:
        request.getfixturevalue("whatsapp_events")
    many = [f"+1555001{number:04}" for number in range(101)]

    with pytest.raises(AirflowFailException, match=said):
        made("broadcast", recipients=many, callback_data="mine" if store else None).execute(task.context)

    assert sandbox.requests_to("/messages") == []


@pytest.mark.parametrize("name", ["text", "broadcast"])
def test_without_a_store_the_message_history_is_asked(sandbox, history, made, task, name):
    sandbox.reply(TO[0], "hello")

    report = made(name, max_failed=2).execute(task.context)

    failed = 2 if name == "text" else 0
    assert (report["accepted"], report["delivered"], report["failed"]) == (3, 3 - failed, failed)
    errors = [row["error"]["code"] for row in report["results"] if row["status"] == "failed"]
    assert errors == [131047] * failed


def test_where_nothing_tells_what_arrives_nothing_is_sent(sandbox, made, task):
    body = {"error": {"message": "no", "type": "OAuthException", "code": 10}}
    sandbox.fail_next("status", status=403, body=body, times=0, path="message_history")

    with pytest.raises(
        AirflowFailException, match=r"this task cannot learn what arrives.*Set up the receiver"
    ):
        made("text").execute(task.context)

    assert sandbox.messages == []


def test_a_dry_run_waits_for_nothing(sandbox, made, task):
    found = made("broadcast", dry_run=True).execute(task.context)

    assert found["would_send"] == 3


FREE_FORM = {"text": True, "media": True, "message": True, "sql": True, "template": False, "broadcast": False}


@pytest.mark.parametrize("name", FREE_FORM)
def test_a_free_form_send_that_waits_for_nothing_warns_once(sandbox, made, task, logged, name):
    made(name, wait_for="accepted").execute(task.context)

    warned = logged("131047")
    assert len(warned) == FREE_FORM[name]
    assert all("3 recipients" in line and "SendTemplateOperator" in line for line in warned)


def test_a_template_as_plain_fields_is_no_free_form(sandbox, made, task, logged):
    message = {"type": "template", "name": "hello_world", "language": "en_US"}
    made("message", message=message, wait_for="accepted").execute(task.context)

    assert logged("131047") == []


def test_who_is_refused_while_sending_ends_the_task_at_once(sandbox, whatsapp_events, made, task):
    body = {"error": {"message": "no", "type": "OAuthException", "code": 131026}}
    sandbox.fail_next("status", status=400, body=body, path="messages", to="15550001111")

    with pytest.raises(AirflowFailException, match="131026"):
        made("template", deferrable=True).execute(task.context)

    report = task.pushed["report"]
    assert (report["accepted"], report["pending"], report["failed"]) == (2, 2, 1)
