"""From an operator to what it is made of, one wire at a time: each test fails when its call is left out."""

from __future__ import annotations

import contextlib
import inspect
import json
import logging
import sqlite3
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from airflow.triggers.base import BaseTrigger

from airflow_provider_whatsapp import _compat
from airflow_provider_whatsapp.client.errors import (
    OutcomeUnknownError,
    RateLimitError,
    RecipientError,
    WhatsAppError,
)
from airflow_provider_whatsapp.delivery.engine import Delivery
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Note, SourceChangedError, Try
from airflow_provider_whatsapp.delivery.report import Outcome, Report
from airflow_provider_whatsapp.delivery.result_parts import ResultsError
from airflow_provider_whatsapp.delivery.stores import FileStore, MemoryStore
from airflow_provider_whatsapp.events.opt_outs import opted_out
from airflow_provider_whatsapp.events.store import EventStore
from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
from airflow_provider_whatsapp.operators import _parking
from airflow_provider_whatsapp.operators._arrivals import Waiting
from airflow_provider_whatsapp.operators._database import database_hook
from airflow_provider_whatsapp.operators._suppression import OptOutsHeard
from airflow_provider_whatsapp.operators._template_check import Preparer
from airflow_provider_whatsapp.operators.analytics import WhatsAppAnalyticsOperator
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator
from airflow_provider_whatsapp.operators.delivery_report import DeliveryReportOperator
from airflow_provider_whatsapp.operators.messages import (
    SendMediaOperator,
    SendTemplateOperator,
    SendTextOperator,
)
from airflow_provider_whatsapp.operators.templates import SyncTemplatesOperator
from airflow_provider_whatsapp.triggers.health import HealthTrigger
from airflow_provider_whatsapp.triggers.messages import MessageStatusTrigger
from airflow_provider_whatsapp.triggers.templates import TemplateApprovalTrigger

TEXT = {"task_id": "send", "to": "+15550001111", "text": "{{ 1 + 1 }}"}


@pytest.mark.parametrize("kind", [SendTextOperator, SendTemplateOperator, BroadcastTemplateOperator])
def test_an_argument_that_does_not_exist_is_refused_where_the_task_is_mapped_too(kind):
    with pytest.raises(TypeError, match="nonsense"):
        kind.partial(task_id="send", nonsense=1)


@pytest.mark.parametrize("kind", [SendTextOperator, SendTemplateOperator, BroadcastTemplateOperator])
def test_an_argument_of_nearly_the_right_name_is_suggested_where_the_task_is_mapped_too(kind):
    with pytest.raises(TypeError, match="Did you mean 'max_failed'"):
        kind.partial(task_id="send", max_faild=1)


def test_fields_are_hidden_once_they_are_rendered_and_there_while_the_task_runs():
    operator = SendTextOperator(**TEXT, max_failed="{{ 2 + 2 }}")
    operator.render_template_fields({})
    hidden = (operator.to, operator.text)
    with operator._arguments():
        assert (operator.to, operator.text, operator.max_failed) == ("+15550001111", "2", 4)

    assert (operator.to, operator.text) == hidden
    assert "15550001111" not in str(hidden)
    assert "2" not in operator.text


def test_with_log_pii_the_fields_stay_as_they_are():
    operator = SendTextOperator(**TEXT, log_pii=True)
    operator.render_template_fields({})

    assert (operator.to, operator.text) == ("+15550001111", "2")


def test_an_opt_out_that_the_gateway_tells_of_reaches_the_event_store(tmp_path, monkeypatch):
    """Of whom it is said when they are sent to, though the task fails for it."""
    path = tmp_path / "events.db"
    monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", "events")
    monkeypatch.setenv("AIRFLOW_CONN_EVENTS", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    store = EventStore.open(f"sqlite:///{path}")
    store.create_or_upgrade()

    def refuse(*_, **__):
        raise RecipientError("has stopped marketing messages", code=131050)

    operator = SendTextOperator(**TEXT)
    client = SimpleNamespace(config=SimpleNamespace(waba_id="7"))
    monkeypatch.setitem(vars(operator), "hook", SimpleNamespace(send=refuse, client=client))
    with pytest.raises(_compat.AirflowFailException):
        operator._guarded(lambda: operator._send_to("15550001111", None))

    assert opted_out(store, "7", ["15550001111"]) == {"15550001111": {"marketing"}}
    store.close()


def test_a_task_that_airflow_ends_ends_its_delivery():
    operator, stopped = SendTextOperator(**TEXT), []
    operator.on_kill()
    operator._delivery = SimpleNamespace(stop=lambda: stopped.append(1))
    operator.on_kill()

    assert stopped == [1]


def test_fields_of_what_is_in_a_field_are_rendered_too():
    operator = SendTextOperator(**TEXT)
    inner = SimpleNamespace(template_fields=("value",), value="{{ 1 + 1 }}")
    operator._do_render_template_fields(inner, ("value",), {}, operator.get_template_env(), set())

    assert inner.value == "2"


def test_a_query_s_database_wins_over_the_connection_s(monkeypatch):
    pytest.importorskip("airflow.providers.sqlite")
    monkeypatch.setenv("AIRFLOW_CONN_LOCAL", json.dumps({"conn_type": "sqlite", "host": ":memory:"}))

    assert database_hook("local", database="other").schema == "other"


def ledger_of(operator, folder, *, tries=1, most=0):
    """Open the ledger as a try of a task does."""
    ti = SimpleNamespace(
        dag_id="d",
        run_id="r",
        task_id="send",
        map_index=-1,
        try_number=tries,
        max_tries=most,
        log=operator.log,
    )
    operator.ledger_path = str(folder)
    return operator._open_ledger({"ti": ti}, Job("list", "message", 3), remember_sent=False)


@pytest.mark.parametrize(
    ("tries", "most", "resend", "said"),
    [
        (1, 0, False, "Try 1 continues where an earlier one ended: 1 of 3 sent, 1 unknown"),
        (
            2,
            3,
            False,
            "This task was cleared (Airflow allows it 4 tries now). 1 of 3 sent, 1 unknown",
        ),
        (2, 3, True, "This task was cleared, and resend_on_clear is True: the task sends to everybody again"),
    ],
    ids=["again", "cleared", "everybody again"],
)
def test_the_log_says_what_a_later_try_goes_on_from(tmp_path, monkeypatch, caplog, tries, most, resend, said):
    caplog.set_level("INFO")
    monkeypatch.setattr(SendTextOperator, "log", logging.getLogger("task"))
    operator = SendTextOperator(**TEXT, resend_on_clear=resend)
    ledger, begin = ledger_of(operator, tmp_path)
    assert (begin, "Try" in caplog.text) == ("first", False)
    ledger.claim([(0, ""), (1, "")])
    ledger.record(0, Note("sent", {"message_id": "wamid"}))
    ledger.flush()
    ledger_of(operator, tmp_path, tries=tries, most=most)

    assert said in caplog.text


def test_a_task_that_was_cleared_hears_of_what_failed_after_it_was_accepted(tmp_path, monkeypatch):
    """Nobody's receipts are kept, so the history of each message is asked for."""
    monkeypatch.delenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", raising=False)
    asked = []

    def status_of(message_id):
        asked.append(message_id)
        return {"status": "failed", "error": "(#131026) not on WhatsApp"}

    operator = SendTextOperator(**TEXT, wait_for="delivered")
    monkeypatch.setitem(vars(operator), "hook", SimpleNamespace(get_message_status=status_of))
    operator.ledger_path = str(tmp_path)
    first, _ = ledger_of(operator, tmp_path)
    first.remember_sent = True
    first.claim([(0, "")])
    first.record(0, Note("sent", {"message_id": "wamid.1"}))
    first.flush()
    for tries, most, known in ((2, 0, "sent"), (3, 1, "failed")):
        ledger, _ = ledger_of(operator, tmp_path, tries=tries, most=most)
        assert ledger.look_up(0).status == known

    assert asked == ["wamid.1"], "a retry asks nobody"


@pytest.mark.parametrize(("status", "end"), [("sent", "success"), ("failed", "failed")])
def test_how_a_task_ends_stands_in_its_ledger_and_what_became_of_all_in_its_xcom(tmp_path, status, end):
    operator, pushed = SendTextOperator(**TEXT), []
    ledger, _ = ledger_of(operator, tmp_path)
    report = Report()
    error = RecipientError("no", code=131026) if status == "failed" else None
    report.add(Outcome("15550001111", status, error=error), 0)
    ti = SimpleNamespace(xcom_push=lambda key, value: pushed.append((key, value["failed"])))
    with pytest.raises(_compat.AirflowFailException) if error else contextlib.nullcontext():
        assert operator._conclude({"ti": ti}, report, ledger)["sent"] == 1

    assert ledger.store.get("1/head")["finished"] == end
    assert not ledger.behind
    assert pushed == ([("report", 1)] if error else [])


SENT = Outcome("15550001111", "sent")
REFUSED = Outcome("15550001111", "failed", error=RecipientError("no", code=131026))
FOR_NOW = Outcome("15550002222", "failed", error=RateLimitError("slow", code=130429, retry_after=7))
UNKNOWN = Outcome("15550001111", "unknown", error=OutcomeUnknownError("lost"))
AT_ONCE, AGAIN = _compat.AirflowFailException, WhatsAppError
OWN = {"callback_data": "mine"}
ENDS = {
    "a refusal for good": ([REFUSED], {}, AT_ONCE),
    "a refusal for now": ([FOR_NOW], {}, RateLimitError),
    "one of each": ([REFUSED, FOR_NOW], {}, AGAIN),
    "unknown, of which no receipt tells": ([UNKNOWN], OWN, AT_ONCE),
    "unknown, to be sent to again": ([UNKNOWN], OWN | {"on_unknown": "resend"}, OutcomeUnknownError),
    "a refusal for now beside one who has it": ([SENT, FOR_NOW], {}, AGAIN),
    "the same without a ledger that lasts": ([SENT, FOR_NOW], {"store": MemoryStore()}, AT_ONCE),
    "a refusal for now without a ledger that lasts": ([FOR_NOW], {"store": MemoryStore()}, RateLimitError),
    "another list": ([SENT, SENT], {"stopped": SourceChangedError("another")}, AT_ONCE),
    "a list that changed on the way": (
        [SENT, SENT],
        {"stopped": SourceChangedError("another", permanent=False)},
        AGAIN,
    ),
    "results that could not be written": ([SENT, SENT], {"stopped": ResultsError("full")}, AGAIN),
    "results that another try has written": (
        [SENT, SENT],
        {"stopped": ResultsError("gone", permanent=True)},
        AT_ONCE,
    ),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_task_ends_for_good_where_another_try_could_not_help(tmp_path, case):
    outcomes, options, kind = ENDS[case]
    own = {name: value for name, value in options.items() if name in ("callback_data", "on_unknown")}
    operator = SendTextOperator(**TEXT, **own)
    ledger = Ledger(options.get("store") or FileStore(tmp_path), pauses=())
    ledger.begin(Job("list", "message", len(outcomes)), Try())
    report = Report(stopped=options.get("stopped"))
    for place, outcome in enumerate(outcomes):
        report.add(outcome, place)
    with pytest.raises(kind) as caught:
        operator._conclude({}, report, ledger)

    if len(outcomes) > 1:
        assert f"of {len(outcomes)}; the XCom 'report' holds the outcomes" in str(caught.value)
    if kind is not AT_ONCE:
        first = options.get("stopped") or outcomes[-1].error
        assert caught.value.retry_after == first.retry_after, "Airflow waits for so long"
        assert not caught.value.permanent


def test_an_operator_s_hook_has_its_connection_number_and_account():
    hook = SendTextOperator(**TEXT, maton_conn_id="other", phone_number_id="7", waba_id="8").hook

    assert (hook.maton_conn_id, hook.phone_number_id, hook.waba_id) == ("other", "7", "8")


@pytest.mark.parametrize("remember", [True, False])
def test_a_ledger_keeps_the_ids_of_messages_where_that_is_wanted(tmp_path, remember):
    operator = SendTextOperator(**TEXT, ledger_path=str(tmp_path))
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="send", map_index=-1, try_number=1, max_tries=0)
    ledger, _ = operator._open_ledger({"ti": ti}, Job("list", "message", 1), remember_sent=remember)
    ledger.claim([(0, "")])
    ledger.flush()

    assert ledger.remember_sent is remember
    assert operator._reopen_ledger({"ti": ti}, "list", remember_sent=remember).remember_sent is remember
    assert not operator._reopen_ledger({"ti": ti}, "list").remember_sent


def test_metrics_count_what_is_new_and_gauge_the_rate(monkeypatch):
    told = []
    monkeypatch.setattr(_compat.Stats, "incr", lambda name, count: told.append((name, count)))
    monkeypatch.setattr(_compat.Stats, "gauge", lambda name, rate: told.append((name, rate)))
    SendTextOperator(**TEXT)._observe({"sent": 2, "failed": 0, "unknown": 1}, 9.5)

    assert told == [("whatsapp.sent", 2), ("whatsapp.unknown", 1), ("whatsapp.rate", 9.5)]


class PlainTrigger(BaseTrigger):
    """Sets what Airflow's own class sets."""

    def serialize(self):
        return "", {}

    async def run(self):
        yield None


TRIGGERS = {
    HealthTrigger: {"template_name": None, "language": "en_US"},
    MessageStatusTrigger: {"message_ids": ["wamid"], "status": "read"},
    TemplateApprovalTrigger: {"wanted": [["late", "en_US", None]]},
}


@pytest.mark.parametrize("kind", TRIGGERS, ids=lambda kind: kind.__name__)
def test_a_trigger_has_what_airflow_looks_for_in_it(kind):
    usual = {
        "maton_conn_id": "c",
        "phone_number_id": "1",
        "waba_id": "2",
        "poke_interval": 7,
        "end_time": 1.0,
    }
    wanted = inspect.signature(kind).parameters
    made = kind(**{name: value for name, value in (usual | TRIGGERS[kind]).items() if name in wanted})

    assert vars(PlainTrigger()).keys() <= vars(made).keys()


def test_without_a_sender_nothing_is_read_and_nothing_asked_for(sandbox, change_connection, tmp_path):
    change_connection(drop=["phone_number_id"])
    operator = BroadcastTemplateOperator(
        task_id="send", template_name="hello_world", recipients=str(tmp_path / "nobody_reads_it.csv")
    )
    with pytest.raises(Exception, match="phone_number_id"):
        operator._send(
            {"ti": SimpleNamespace(dag_id="d", run_id="r", task_id="send", map_index=-1, try_number=1)}
        )

    assert sandbox.requests == []


def test_a_broadcast_that_is_ended_early_tells_what_is_known_and_lets_go_of_its_part(
    sandbox, monkeypatch, caplog
):
    heard = []
    monkeypatch.setattr(BroadcastTemplateOperator, "log", logging.getLogger("task"))
    operator = BroadcastTemplateOperator(
        task_id="send", template_name="hello_world", recipients=["+15550001111"], check_template=False
    )
    operator._begin_part = heard.append
    operator._end_part = lambda context, error: heard.append(type(error))

    def ended(self, recipients, report):
        raise KeyboardInterrupt

    monkeypatch.setattr(Delivery, "run", ended)
    ti = SimpleNamespace(
        dag_id="d",
        run_id="r",
        task_id="send",
        map_index=-1,
        try_number=1,
        max_tries=0,
        xcom_push=lambda **_: None,
    )
    with pytest.raises(KeyboardInterrupt):
        operator.execute({"ti": ti})

    assert heard == ["first", KeyboardInterrupt]
    assert "WhatsApp: KeyboardInterrupt ended the task: none sent of 0" in caplog.text


PDF = b"%PDF-1.7\nreport\n"


def media_message(path, ledger):
    operator = SendMediaOperator(task_id="send", to="+15550001111", media=str(path))
    operator._message(ledger)


def broadcast_of_a_file(path, ledger):
    header = {"header": str(path), "header_filename": None}
    preparer = Preparer(MatonWhatsAppHook(), "report", "en_US", header=header, parts={}, approved=None)
    preparer.start([], ledger)


@pytest.mark.parametrize("uploads", [media_message, broadcast_of_a_file])
def test_an_upload_is_in_the_ledger_before_the_first_message_leaves(sandbox, tmp_path, uploads):
    """A worker that dies then has flushed nothing since; the next try uploads nothing."""
    (tmp_path / "report.pdf").write_bytes(PDF)
    operator = SendTextOperator(**TEXT)
    first, _ = ledger_of(operator, tmp_path / "ledger")
    uploads(tmp_path / "report.pdf", first)
    second, _ = ledger_of(operator, tmp_path / "ledger", tries=2, most=3)
    uploads(tmp_path / "report.pdf", second)

    assert len(sandbox.requests_to("/media")) == 1


def test_an_event_store_without_tables_is_named_when_opt_outs_are_written(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", "events")
    empty = {"conn_type": "sqlite", "host": str(tmp_path / "events.db")}
    monkeypatch.setenv("AIRFLOW_CONN_EVENTS", json.dumps(empty))
    sqlite3.connect(tmp_path / "events.db").close()
    heard = OptOutsHeard()
    heard.listen("15550001111", RecipientError("has stopped marketing messages", code=131050))
    heard.save(logging.getLogger("task"), lambda: SimpleNamespace(waba_id="7"))

    assert "1 opt-outs could not be written to the event store" in caplog.text
    assert "receiver" in caplog.text, "what to start"


def broadcast(tmp_path, template_name="late", **options):
    return BroadcastTemplateOperator(
        task_id="send",
        template_name=template_name,
        recipients=["+15550001111", "+15550002222"],
        ledger_path=str(tmp_path / "ledger"),
        **options,
    )


def test_a_malformed_template_name_is_refused_before_any_request(sandbox, tmp_path):
    with pytest.raises(_compat.AirflowFailException, match=r"template\.name"):
        broadcast(tmp_path, template_name="Late One").execute({})

    assert sandbox.requests == []


def test_a_malformed_template_name_ends_a_broadcast_that_checks_no_template(sandbox, tmp_path):
    """Instead of the failure of each row."""
    operator = broadcast(tmp_path, template_name="Late One", check_template=False, body=["{to}"])
    with pytest.raises(_compat.AirflowFailException, match=r"template\.name") as caught:
        operator.execute({})

    assert "2 failed" not in str(caught.value)


def single(tmp_path):
    return SendTemplateOperator(task_id="send", to="+15550001111", template_name="late")


@pytest.mark.parametrize("make", [broadcast, single])
def test_a_message_that_does_not_fit_its_template_is_refused_before_it_leaves(sandbox, tmp_path, make):
    sandbox.templates.create("late", "Late by {{1}} hours.")
    with pytest.raises(_compat.AirflowFailException, match="body"):
        make(tmp_path).execute({})

    assert sandbox.requests_to("/messages") == []


def test_who_is_left_when_the_send_hours_end_waits_for_the_next_ones(tmp_path):
    opens = datetime(2026, 12, 1, 9, tzinfo=UTC)
    gate = SimpleNamespace(opens=lambda: opens, closed=SimpleNamespace(total=lambda: 3))
    with pytest.raises(_compat.TaskDeferred) as caught:
        broadcast(tmp_path)._wait_for_the_rest(gate, SimpleNamespace(durable=True), Report())

    assert caught.value.trigger.moment == opens


def test_a_shard_s_part_of_the_list_begins_with_its_delivery_and_goes_with_its_last_try(tmp_path):
    done = []
    operator = broadcast(tmp_path)
    operator._part = SimpleNamespace(
        begin=lambda _, fresh: done.append(("begin", fresh)), clean=lambda _: done.append("clean")
    )
    operator._begin_part("fresh")
    operator._begin_part("again")
    with operator._last_use_of_part({}):
        done.append("sends")
    with contextlib.suppress(_compat.AirflowFailException), operator._last_use_of_part({}):
        raise _compat.AirflowFailException("for good")

    assert done == [("begin", True), ("begin", False), "sends", "clean", "clean"]


def test_an_airflow_without_a_wait_of_its_own_waits_for_an_answer_by_a_trigger(monkeypatch):
    monkeypatch.setattr(_parking, "_AwaitingInput", None)

    def defer(*, trigger, method_name):
        raise _compat.TaskDeferred(trigger=trigger, method_name=method_name)

    task = SimpleNamespace(options=["Yes", "No"], serialized_params={}, multiple=False, defer=defer)
    with pytest.raises(_compat.TaskDeferred) as caught:
        _parking.park(task, SimpleNamespace(id=uuid4()), seconds=timedelta(hours=1), defaults=["No"])

    assert caught.value.method_name == "execute_complete"
    assert (caught.value.trigger.options, caught.value.trigger.defaults) == (["Yes", "No"], ["No"])


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (WhatsAppAnalyticsOperator, {"kind": "messages", "start": "a", "end": "b", "destination": "c.csv"}),
        (DeliveryReportOperator, {"results_path": "results.jsonl"}),
        (SyncTemplatesOperator, {"templates": "late.yaml"}),
    ],
)
def test_airflow_s_own_arguments_reach_airflow_s_own_operator(kind, options):
    operator = kind(task_id="report", queue="large", **options)

    assert (operator.task_id, operator.queue) == ("report", "large")


def test_a_task_that_has_looked_for_receipts_closes_the_event_store(monkeypatch):
    done = []
    opened = SimpleNamespace(close=lambda: done.append("closed"))
    monkeypatch.setattr(EventStore, "open", lambda url, pool_size: opened)
    with contextlib.suppress(LookupError), Waiting("hash", "events", "sqlite://").store() as store:
        done.append(store is opened)
        raise LookupError

    assert done == [True, "closed"]
