"""Acknowledged alerts: from the notifier by the sandbox's phone and the receiver to the next alert and the others."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from airflow_provider_whatsapp.answering.alert_presses import NEWS, RECEIPT_WAIT, AlertPresses
from airflow_provider_whatsapp.cli import main
from airflow_provider_whatsapp.client.connection import config_from_environment
from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.events.alerts import Judged
from airflow_provider_whatsapp.events.store import EventStore
from airflow_provider_whatsapp.events.tables import statuses
from airflow_provider_whatsapp.notifications import whatsapp
from airflow_provider_whatsapp.notifications.acknowledge import Acknowledgement, Pressed
from airflow_provider_whatsapp.notifications.facts import facts
from airflow_provider_whatsapp.notifications.records import Record
from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier
from tests.events import test_alerts as presses
from tests.notifications.virtual_time import VirtualTime

pytestmark = [pytest.mark.airflow, pytest.mark.once]

ANN, BOB, CAROL, EVE = "15550000001", "15550000002", "15550000003", "15550000009"
TEMPLATES = Path(whatsapp.__file__).parent


class Variables(dict):
    """Airflow's Variables, in memory."""

    def get(self, key, default=None):
        return super().get(key, default)

    def set(self, key, value):
        self[key] = value


class RunningTime(VirtualTime):
    """Time that goes on while requests are made, so that a slow machine does not cut them off."""

    def time(self):
        return time.time() + self.passed

    def monotonic(self):
        return time.monotonic() + self.passed


@pytest.fixture
def clock(monkeypatch, tmp_path):
    """Give alerts a clock that tests move, and keep Airflow's Variables in memory."""
    from airflow.sdk import Variable

    kept = Variables()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Variable, "get", kept.get)
    monkeypatch.setattr(Variable, "set", kept.set)
    return RunningTime(monkeypatch)


@pytest.fixture
def counts(monkeypatch):
    """Count what is told to Airflow's metrics."""
    from airflow_provider_whatsapp.notifications import alert

    found = Counter()
    monkeypatch.setattr(alert.Stats, "incr", lambda name, count=1: found.update({name: count}))
    return found


@pytest.fixture
def account(sandbox):
    """Give the sandbox with the stock templates."""
    for name in ("airflow_alert", "airflow_alert_ack", "airflow_alert_in_hand"):
        sandbox.templates.load(TEMPLATES / f"{name}.yaml", base_url="https://airflow.example.com")
    return sandbox


@pytest.fixture
def answer(account, whatsapp_events):
    """Give what ``answer`` does about alerts, over the receiver's store."""
    config = config_from_environment("maton_whatsapp_default", os.environ)
    # It sends from the number that the alert came from.
    config = replace(config, phone_number_id=None, max_retries=0)
    store = EventStore.open(whatsapp_events.database)
    made = AlertPresses(store, config)
    yield made
    made.close()
    store.close()


def fail(run="r1", task="load", **options):
    ti = {"dag_id": "orders", "task_id": task, "run_id": run, "try_number": 1, "map_index": -1}
    ti |= {"state": "failed", "start_date": 1, "log_url": ""}
    context = {"ti": SimpleNamespace(**ti), "run_id": run, "exception": ValueError("no rows")}
    options = {"to": [ANN, BOB], "acknowledge": True, "gap": 0, **options}
    WhatsAppNotifier(**{key: value for key, value in options.items() if value != "left out"})(context)


def buttons_of(message):
    """Return the payloads of a message's quick replies."""
    parts = message["payload"]["template"]["components"]
    return [part["parameters"][0]["payload"] for part in parts if part.get("sub_type") == "quick_reply"]


class Phone:
    """The recipients' phones."""

    def __init__(self, sandbox, events):
        self.sandbox, self.events = sandbox, events
        self.seen = 0

    def new(self):
        """Return what has come since: the recipient's last digit, the template's name and its values."""
        found = self.sandbox.messages[self.seen :]
        self.seen += len(found)
        return [(each["to"][-1], each["payload"]["template"]["name"]) for each in found]

    def values(self):
        """Return the values of the last message."""
        body = self.sandbox.messages[-1]["payload"]["template"]["components"]
        return [value["text"] for part in body if part["type"] == "body" for value in part["parameters"]]

    def press(self, who, button, *, message=0, payload=None):
        """Press a button of a message that this or another person has, and wait for the receiver."""
        self.events.deliver(10)  # so that the receipts are there
        label, place = {"on-it": ("On it", 0), "mute": ("Mute 1 h", 1)}[button]
        pressed = payload or buttons_of(self.sandbox.messages[message])[place]
        self.sandbox.reply(who, label, pressed=pressed)
        self.events.deliver()


@pytest.fixture
def phone(account, whatsapp_events):
    return Phone(account, whatsapp_events)


ALERT = [("1", "airflow_alert_ack"), ("2", "airflow_alert_ack")]
PLAIN = [("1", "airflow_alert"), ("2", "airflow_alert")]


def test_on_it_ends_what_is_repeated_of_the_run_and_the_others_get_to_know_who_has_it(
    clock, phone, answer, caplog, counts
):
    caplog.set_level(logging.INFO)
    names = {"Ann\n Lee": f"+{ANN}"}
    fail(names=names, escalate_to=CAROL, escalate_after=2)
    assert phone.new() == ALERT
    assert len(set(map(str, map(buttons_of, phone.sandbox.messages)))) == 1
    phone.press(ANN, "on-it")
    assert [row["template_name"] for row in phone.events.sends] == ["airflow_alert_ack"]

    assert answer.look() == 1
    assert phone.new() == [("2", "airflow_alert_in_hand")]
    assert phone.values() == ["Ann Lee", "orders", "load", "r1"]
    assert answer.look() == 0
    clock.passed += 400
    fail(names=names, escalate_to=CAROL, escalate_after=2)
    fail(names=names, cooldown=0, escalate_to=CAROL, escalate_after=1)
    fail(names=names, cooldown=0)
    assert phone.new() == []
    assert counts == {"whatsapp.alerts.sent": 2, "whatsapp.alerts.held": 3}
    assert "suppressed, because Ann Lee has this run in hand" in caplog.text
    assert "pressed 'On it' for orders.load, run r1: the run is in hand" in caplog.text

    fail("r2", names=names, escalate_to=CAROL, escalate_after=2)
    assert phone.new() == [*ALERT, ("3", "airflow_alert_ack")]
    assert "2 runs in a row have failed; 3 more failures: load, load, load" in " ".join(phone.values())
    fail("r1", task="clean", names=names)
    assert phone.new() == ALERT
    clock.passed += 26 * 3600
    fail("r1", names=names)
    assert phone.new() == ALERT
    assert not re.search(r"1555000000\d", caplog.text)


def test_a_mute_holds_for_an_hour_and_an_unmute_on_the_page_ends_it(clock, phone, answer, caplog):
    from airflow.sdk import Variable

    from airflow_provider_whatsapp.notifications.mute import mute

    caplog.set_level(logging.INFO)
    fail(names={"Bob": f"+{BOB}"})
    assert phone.new() == ALERT
    phone.press(BOB, "mute")
    assert answer.look() == 1

    for passed, sent in ((400, []), (3_000, []), (4_200, ALERT)):
        clock.passed = passed
        fail(f"r{passed}")
        assert phone.new() == sent
    assert "2 more failures: load, load" in " ".join(phone.values())
    assert "suppressed, because Bob has muted this alert until" in caplog.text
    assert "15•••0002 pressed 'Mute 1 h' for orders.load, run r1: muted until" in caplog.text
    clock.passed = 0
    fail("r5")
    assert phone.new() == []
    mute(Variable, "orders.load", seconds=0, by="ann", sleep=clock.sleep)
    clock.passed = 400
    fail("r6")
    assert phone.new() == ALERT
    assert BOB not in caplog.text


def forged(phone, clock):
    phone.press(ANN, "on-it", payload=f"awa1.{'x' * 32}.on-it")


def unasked(phone, clock):
    phone.press(EVE, "on-it")


def unsigned(phone, clock):
    import requests

    phone.events.deliver()
    message = {"from": ANN, "id": "wamid.forged", "timestamp": "1", "type": "button"}
    message["button"] = {"payload": buttons_of(phone.sandbox.messages[0])[0], "text": "On it"}
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "1"}, "messages": [message]}
    body = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}],
    }
    signature = {"X-Hub-Signature-256": f"sha256={'0' * 64}"}
    requests.post(f"{phone.events.url}/whatsapp", json=body, headers=signature, timeout=30)


def late(phone, clock):
    phone.events.deliver()
    phone.sandbox.clock.advance(24 * 3600 + 60)
    phone.press(ANN, "on-it")


REFUSED = {
    "forged": (forged, "ignored, because there is no alert with this ID"),
    "unasked": (
        unasked,
        "15•••0009 pressed 'On it' for orders.load, run r1: ignored, because the alert did not go to",
    ),
    "unsigned": (unsigned, None),
    "late": (late, "ignored, because the press came more than 24 hours after the alert"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_count_changes_nothing_and_is_logged(clock, phone, answer, caplog, kind):
    press, line = REFUSED[kind]
    fail()
    phone.new()

    press(phone, clock)

    assert answer.look() == 0
    assert line is None or line in caplog.text
    clock.passed += 400
    fail()
    assert phone.new() == ALERT


def test_a_second_press_changes_nothing_and_is_logged(clock, phone, answer, caplog):
    fail()
    phone.press(ANN, "on-it")
    phone.press(BOB, "on-it")
    phone.press(ANN, "on-it")
    phone.new()

    assert answer.look() == 1
    assert phone.new() == [("2", "airflow_alert_in_hand")]
    assert phone.values()[0] == "15•••0001"
    assert (
        "15•••0002 pressed 'On it' for orders.load, run r1: ignored, because somebody already has"
        in caplog.text
    )
    assert "somebody pressed the same button before" in caplog.text


def test_the_others_of_a_later_alert_of_the_run_get_to_know_too_and_nobody_twice(clock, phone, answer):
    fail()
    clock.passed += 400
    fail(to=[BOB, CAROL])
    phone.new()
    phone.press(ANN, "on-it")

    assert answer.look() == 1

    assert sorted(phone.new()) == [("2", "airflow_alert_in_hand"), ("3", "airflow_alert_in_hand")]


def test_a_gateway_that_is_away_delays_the_message_to_the_others(clock, phone, answer, account):
    fail(to=[ANN, BOB, CAROL])
    phone.press(ANN, "on-it")
    phone.new()
    account.fail_next(kind="status", status=429, times=1, path="/messages")

    with pytest.raises(WhatsAppError, match="rate limit"):
        answer.look()
    assert len(phone.new()) == 1
    for counted, sent in ((1, 1), (0, 0)):
        assert (answer.look(), len(phone.new())) == (counted, sent)


def test_a_message_whose_answer_was_lost_is_not_sent_again(clock, phone, answer, account):
    fail()
    phone.press(ANN, "on-it")
    phone.new()
    account.fail_next(kind="drop_after", times=1, path="/messages")

    answer.look()
    answer.look()

    assert phone.new() == [("2", "airflow_alert_in_hand")]


def test_what_is_no_news_is_not_sent_and_a_new_reader_begins_with_what_is(
    clock, phone, account, whatsapp_events
):
    fail()
    phone.press(ANN, "on-it")
    phone.new()
    store = EventStore.open(whatsapp_events.database)

    def later():
        return datetime.now(UTC) + NEWS + timedelta(minutes=1)

    assert AlertPresses(store, None, clock=later).look() == 0  # what is older than an hour is behind it
    phone.press(BOB, "mute")
    assert AlertPresses(store, None).look() == 1
    store.close()
    assert phone.new() == []


def test_a_press_waits_for_the_receipt_of_its_message(clock, phone, answer, whatsapp_events, caplog):
    def receipts(verified):
        with store.writing() as connection:
            connection.execute(update(statuses).values(verified=verified))

    fail()
    phone.press(ANN, "on-it")
    store = EventStore.open(whatsapp_events.database)
    receipts(False)
    fail(task="clean")
    phone.press(ANN, "mute", message=2)
    phone.new()

    assert (answer.look(), answer.look()) == (1, 0)  # the mute of the other alert, once
    assert "ignored, because" not in caplog.text
    late = AlertPresses(store, None, clock=lambda: datetime.now(UTC) + RECEIPT_WAIT)
    assert late.look() == 1  # the mute again, for it is a reader of its own
    assert "ignored, because no signed receipt says yet who got the alert" in caplog.text
    receipts(True)
    assert answer.look() == 1
    assert phone.new() == [("2", "airflow_alert_in_hand")]
    store.close()


class TestWithoutButtons:
    """An alert is not lost for want of its buttons."""

    def test_without_a_store(self, clock, account, caplog):
        phone = Phone(account, None)
        fail(names={"Ann": ANN})

        assert phone.new() == PLAIN
        assert caplog.text.count("is sent without its buttons") == 1
        assert "[whatsapp] events_conn_id is empty" in caplog.text

    def test_with_a_store_that_is_away(self, clock, phone, monkeypatch, caplog, tmp_path):
        monkeypatch.setenv("AIRFLOW__WHATSAPP__EVENTS_CONN_ID", "away")
        monkeypatch.setenv("AIRFLOW_CONN_AWAY", f"sqlite:///{tmp_path}/none.db")
        fail()

        assert phone.new() == PLAIN
        assert (
            "is sent without its buttons, which need receipts: the database has no event tables"
            in caplog.text
        )

    @pytest.mark.parametrize("status", ["PAUSED", "DELETED"])
    def test_with_a_template_that_is_not_fit_for_use(self, clock, phone, account, caplog, status):
        account.control("POST", "templates", name="airflow_alert_ack", language="en_US", status=status)
        fail()

        assert phone.new() == PLAIN
        assert caplog.text.count("WhatsApp refuses the template airflow_alert_ack") == 1

    def test_a_success_has_none(self, clock, phone):
        notifier = WhatsAppNotifier(to=ANN, acknowledge=True, gap=0)
        ti = {"dag_id": "orders", "task_id": "load", "run_id": "r1", "try_number": 1, "map_index": -1}
        notifier({"ti": SimpleNamespace(**ti, state="success", start_date=1, log_url=""), "run_id": "r1"})

        assert phone.new() == [("1", "airflow_alert")]

    def test_names_that_cannot_be_read_cost_the_names(self, clock, phone, answer, caplog):
        fail(names="nowhere")
        phone.press(ANN, "on-it")
        answer.look()

        assert "the message shows masked numbers" in caplog.text
        assert phone.values()[0] == "15•••0001"


def test_what_is_written_before_an_alert_leaves(whatsapp_events):
    bob = "5511961234567"
    notifier = WhatsAppNotifier(to=ANN, acknowledge=True, language="pt_BR", names={"Bob": "(11) 96123-4567"})
    ti = {"dag_id": "orders", "task_id": "load", "run_id": "r1", "map_index": 3, "state": "failed"}
    context = {"ti": SimpleNamespace(**ti), "run_id": "r1"}
    config = SimpleNamespace(phone_number_id="77", default_country="BR")
    one = Acknowledgement(
        notifier, facts(context), "finance", failed=True, ask=lambda find: find(), seconds=lambda: 60
    )

    secret = one.offer([ANN, bob], config, "h" * 22)

    (row,) = whatsapp_events._rows("alerts", "sent_at")
    assert (row.pop("alert_hash"), row.pop("sent_at") <= datetime.now(UTC)) == (secret.hash, True)
    assert row == {
        "send_hash": "h" * 22,
        "key_hash": row["key_hash"],
        "alert_key": "finance",
        "dag_id": "orders",
        "run_id": "r1",
        "task": "load[3]",
        "names": '["", "Bob"]',
        "language": "pt_BR",
        "phone_number_id": "77",
        "noted": "[]",
    }


def test_of_several_mutes_the_longest_counts_while_it_lasts():
    def press(minutes, button="mute", run="r1", refusal=""):
        alert = replace(presses.ALERT, run_id=run)
        return Judged(presses.press(button=button, minutes=minutes), alert, button, None, refusal)

    short, long, refused = press(1), press(9), press(99, refusal="late")
    taken, other = press(2, "on-it"), press(1, "on-it", run="r2")
    now = presses.SENT.timestamp()

    def found(seconds):
        return Pressed.of([other, short, long, refused, taken], presses.ALERT.run, now + seconds)

    assert found(0) == found(69 * 60 - 1) == Pressed(taken, long)
    assert found(69 * 60) == Pressed(taken, None)


class TestTheCommand:
    """``answer`` as a process would run it."""

    @pytest.fixture
    def run(self, monkeypatch, whatsapp_events):
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        for name in ("AIRFLOW_API_URL", "AIRFLOW_API_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("WHATSAPP_EVENTS_URL", whatsapp_events.database)
        return lambda *arguments: main(["answer", "--once", "--alerts-only", *arguments])

    def test_it_lets_the_others_know(self, clock, phone, run, capsys):
        fail()
        phone.press(ANN, "on-it")
        phone.new()

        assert (run(), run()) == (0, 0)

        assert phone.new() == [("2", "airflow_alert_in_hand")]
        assert capsys.readouterr().out.count("Answering by WhatsApp is ready\n") == 2

    def test_it_sends_by_the_connection_that_is_named(self, clock, phone, run, monkeypatch):
        fail()
        phone.press(ANN, "on-it")
        phone.new()
        connection = json.loads(os.environ["AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT"])
        monkeypatch.setenv("AIRFLOW_CONN_OPS", json.dumps(connection))
        monkeypatch.delenv("AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT")

        assert run("--conn-id", "ops") == 0
        assert phone.new() == [("2", "airflow_alert_in_hand")]

    def test_a_connection_that_is_not_there_is_refused(self, run, capsys):
        assert run("--conn-id", "nowhere") == 1
        assert "the environment has no AIRFLOW_CONN_NOWHERE" in capsys.readouterr().err

    def test_without_a_connection_presses_count_and_nobody_is_sent_anything(
        self, clock, phone, run, monkeypatch, caplog
    ):
        fail()
        phone.press(ANN, "on-it")
        phone.new()
        monkeypatch.delenv("AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT")

        assert run() == 0
        assert "the run is in hand" in caplog.text
        assert "because this process has no connection" in caplog.text
        assert phone.new() == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"text": "x"}, "text"),
        ({"header": "x", "body": ["x"], "buttons": ["x"]}, "header, body, buttons"),
        ({"template_name": "mine"}, "template_name"),
        ({"callback_data": "mine"}, "callback_data"),
        ({"recovery": True}, "recovery"),
    ],
    ids=["text", "parts", "template", "callback data", "recovery"],
)
def test_what_the_buttons_cannot_go_with_is_refused_at_once(options, named):
    with pytest.raises(ValueError, match=rf"Leave {named} out"):
        WhatsAppNotifier(to=ANN, acknowledge=True, **options)


@pytest.mark.parametrize("name", [None, "airflow_alert", "airflow_alert_ack"])
def test_the_stock_templates_may_be_named(name):
    assert WhatsAppNotifier(to=ANN, acknowledge=True, template_name=name).template_name == "airflow_alert"


def test_a_press_ends_the_summary_that_an_alert_waits_for(clock, phone):
    """Of two mapped tasks that fail, the first waits to tell of the second."""
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        if len(waited) == 1:
            fail_mapped(2)
            phone.press(ANN, "on-it")
        clock.passed += seconds

    def fail_mapped(index):
        ti = {"dag_id": "orders", "task_id": "load", "run_id": "r1", "try_number": 1, "map_index": index}
        ti |= {"state": "failed", "start_date": 1, "log_url": ""}
        context = {"ti": SimpleNamespace(**ti), "run_id": "r1", "exception": ValueError("no rows")}
        WhatsAppNotifier(to=[ANN, BOB], acknowledge=True, gap=0)(context)

    clock.sleep = sleep
    fail_mapped(1)

    assert waited
    assert phone.new() == ALERT


MUTED = {"muted_until": 5000.0, "muted_by": "Ann", "mute_set_at": 1000.0}


@pytest.mark.parametrize(
    ("set_at", "found"),
    [(999.0, MUTED), (1000.0, {"mute_set_at": 1000.0}), (1001.0, {"mute_set_at": 1001.0})],
    ids=["the earlier wish", "the same", "a later wish"],
)
def test_a_pressed_mute_wins_over_earlier_wishes_alone(set_at, found):
    press = SimpleNamespace(occurred_at=datetime.fromtimestamp(1000, UTC))
    mute = SimpleNamespace(muted_until=5000.0, who="Ann", press=press)

    assert Pressed(mute=mute).applied(Record(mute_set_at=set_at)) == Record(**found)
    assert Pressed().applied(Record(held=2)) == Record(held=2)
