"""The message of one alert: what it says, and how another alert's message names it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.notifications.alert_message import AlertMessage
from airflow_provider_whatsapp.notifications.missed import Missed
from airflow_provider_whatsapp.notifications.recipient_gap import Slot
from airflow_provider_whatsapp.notifications.records import Decision, Held, Record
from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

TASK = SimpleNamespace(
    dag_id="orders",
    task_id="load",
    run_id="r1",
    map_index=-1,
    try_number=1,
    state="failed",
    start_date=1,
    log_url="",
)
FAILED = {"ti": TASK, "run_id": "r1", "exception": ValueError("no rows")}
WORKED = {"ti": SimpleNamespace(**{**vars(TASK), "state": "success"}), "run_id": "r1"}
LATE = {"dag_run": {"dag_id": "orders", "run_id": "r1"}, "deadline": {"id": 1}}
ANN = "15550000001"


class Hook:
    """Makes templates, and keeps what is sent."""

    def __init__(self):
        self.made, self.sent = [], []

    def template_message(self, name, language, **parts):
        self.made.append((name, language, parts))
        return SimpleNamespace(name=name, **parts)

    def send(self, to, message, **options):
        self.sent.append((to, message, options))
        return SentMessage(message_id="wamid", wa_id=to, to=to)


def message(context=FAILED, hook=None, **options):
    return AlertMessage(WhatsAppNotifier(**{"to": ANN, **options}), context, hook or Hook())


STOCK, OWN = {"template_name": "airflow_alert"}, {"template_name": "mine", "body": ["v"]}


@pytest.mark.parametrize(
    ("options", "several", "room"),
    [
        ({"text": "t"}, True, 3000),
        ({}, True, 3000),
        (STOCK, True, 180),
        ({**STOCK, "body": {"a": "b"}}, False, 180),
        (OWN, False, 180),
        ({**OWN, "text": "t"}, True, 180),
        ({**STOCK, "text": "t"}, True, 180),
    ],
    ids=str,
)
def test_how_much_a_message_can_tell_of_others(options, several, room):
    found = message(**options).caller(Held(), "a")

    assert (found.names_others, found.room) == (several, room)


@pytest.mark.parametrize(
    ("context", "names", "may_be_handed_over"),
    [
        (FAILED, ("orders.load", "orders.load[2]"), True),
        (WORKED, ("orders.load", "orders.load[2]"), False),
        (LATE, ("orders.load (deadline missed)", "orders.load[2] (deadline missed)"), True),
    ],
    ids=["failed", "worked", "late"],
)
def test_how_a_turn_knows_an_alert(context, names, may_be_handed_over):
    found = message(context, gap=3.5, dedupe_key=None).caller(
        Held(held=5, names=("load", "load[2]")), "a token"
    )

    assert (found.names, found.held, found.may_be_handed_over) == (names, 5, may_be_handed_over)
    assert (found.token, found.gap) == ("a token", 3.5)
    assert found.key == ("orders.load" if context is not LATE else "orders")


@pytest.mark.parametrize(
    ("context", "key", "name", "full"),
    [
        (FAILED, None, "load", "orders.load"),
        (FAILED, "all", "orders.load", "orders.load"),
        (LATE, None, "-", "orders"),
        (LATE, "all", "orders", "orders"),
    ],
    ids=["task", "task of a key", "DAG", "DAG of a key"],
)
def test_a_failure_s_name_beside_others(context, key, name, full):
    found = message(context, dedupe_key=key)

    assert (found.name(), found.full_name(found.name())) == (name, full)
    assert found.key() == (key or ("orders.load" if context is FAILED else "orders"))


def texts_of(sender, *turns):
    """Return what is sent to each turn's person."""
    hook = sender._send._send._send.__self__
    for turn in turns:
        sender(turn)
    return [message.body for _, message, _ in hook.sent]


def said(context, decision, turn, **options):
    (text,) = texts_of(message(context, text="t", **options).sender(decision, summary=False), turn)
    return text


SAME = Missed(held=2, names=("orders.load", "orders.load[2]"), key="orders.load")
OTHER = Missed(held=3, names=("crm.sync",), key="crm.sync")


@pytest.mark.parametrize(
    ("context", "decision", "missed", "options", "text"),
    [
        (FAILED, None, (), {}, "t"),
        (FAILED, None, (SAME,), {}, "t (2 more failures: load, load[2])"),
        (FAILED, None, (OTHER,), {}, "t (3 other alerts: crm.sync, ...)"),
        (
            FAILED,
            None,
            (SAME, OTHER),
            {},
            "t (2 more failures; 3 other alerts: load, load[2]; crm.sync, ...)",
        ),
        (
            FAILED,
            Decision(True, Record(sending=9, sending_names=("x",)), held=1, names=("load[7]",)),
            (SAME,),
            {},
            "t (3 more failures: load, load[2], load[7])",
        ),
        (
            WORKED,
            Decision(True, Record(sending=2, sending_names=("load", "load[1]")), held=9),
            (),
            {},
            "t (2 more failures: load, load[1])",
        ),
        (
            FAILED,
            None,
            (Missed(held=1, names=("orders.load",), key="all"),),
            {"dedupe_key": "all"},
            "t (1 more failure: orders.load)",
        ),
    ],
    ids=["alone", "the same", "others", "both", "kept back", "a success", "a key"],
)
def test_what_a_message_tells_of_others(context, decision, missed, options, text):
    assert said(context, decision, Slot(ANN, missed=missed), **options) == text


@pytest.mark.parametrize(
    ("options", "summary", "first", "then"),
    [
        ({"text": "t"}, False, "text", None),
        ({"text": "t"}, True, "text", None),
        ({"text": "t", **OWN}, False, "text", "mine"),
        ({"text": "t", **OWN}, True, "text", None),
        ({"text": "t", **STOCK}, True, "text", "airflow_alert"),
        (OWN, False, "mine", None),
        (OWN, True, "mine", None),
        (STOCK, True, "airflow_alert", None),
    ],
    ids=str,
)
def test_which_message_goes_first_and_which_where_it_cannot_arrive(options, summary, first, then):
    """A template of the user's own cannot tell of others, so it follows no summary's text."""
    sender = message(**options).sender(None, summary=summary)
    made = sender._first(Slot(ANN))

    assert ("text" if isinstance(made, Text) else made.name) == first
    assert (sender._template and sender._template(Slot(ANN)).name) == then


def test_a_template_is_made_once_for_all_to_whom_the_same_is_said():
    hook = Hook()
    sender = message(hook=hook, header="h" * 70, buttons=["b", None], language="de", **OWN).sender(
        None, summary=False
    )
    for turn in (Slot(ANN), Slot("15550000002"), Slot(ANN, held=1, names=("x",))):
        sender(turn)

    assert [(to, options["callback_data"] is not None) for to, _, options in hook.sent] == [
        ("+15550000001", True),
        ("+15550000002", True),
        ("+15550000001", True),
    ]
    assert (
        hook.made == [("mine", "de", {"header": "h" * 59 + "…", "body": ["v"], "buttons": ["b", None]})] * 2
    )


@pytest.mark.parametrize(
    ("options", "error", "buttons"),
    [
        (STOCK, "ValueError: no rows", ["dags/orders/runs/r1"]),
        ({**STOCK, "buttons": ["x"]}, "ValueError: no rows", ["x"]),
        ({**STOCK, "recovery": True}, "works again", ["dags/orders/runs/r1"]),
    ],
    ids=["usual", "own buttons", "recovery"],
)
def test_the_stock_template_s_values_fill_themselves_in(options, error, buttons):
    hook = Hook()
    message(hook=hook, **options).sender(None, summary=False)

    ((_, _, parts),) = hook.made
    assert (parts["body"]["error"], parts["buttons"]) == (error, buttons)


def test_a_summary_by_the_stock_template_tells_of_the_others_alone():
    hook = Hook()
    message(hook=hook, **STOCK).sender(None, summary=True)(Slot(ANN, missed=(SAME,)))

    assert hook.made[-1][2]["body"]["error"] == "2 more failures: load, load[2]"
