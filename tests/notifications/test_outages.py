"""What becomes of failures while the gateway is away, or its answers are lost; the clock is the test's."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

pytestmark = [pytest.mark.airflow, pytest.mark.once]

TO = "+15550001111"
MODULES = ("alert", "time_budget", "recipient_gap", "whatsapp", "window")


class Clock:
    """Time that passes by sleeping alone; something may happen at a moment."""

    def __init__(self):
        self.start = 1_800_000_000.0
        self.passed = 0.0
        self.events = []

    def time(self):
        return self.start + self.passed

    def monotonic(self):
        return time.monotonic() + self.passed

    def sleep(self, seconds):
        until = self.passed + seconds
        while self.events and self.events[0][0] <= until:
            self.passed, event = self.events.pop(0)
            event()
        self.passed = until

    def at(self, moment, event):
        self.events.append((moment, event))

    def reach(self, moment):
        self.sleep(max(0.0, moment - self.passed))


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in MODULES:
        monkeypatch.setattr(f"airflow_provider_whatsapp.notifications.{module}.time", clock)
    return clock


class Variables(dict):
    """What Airflow's Variables are, in memory."""

    def read(self, key, default=None):
        return self.get(key, default)


@pytest.fixture(autouse=True)
def variables(monkeypatch, tmp_path):
    from airflow.sdk import Variable

    kept = Variables()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Variable, "get", kept.read)
    monkeypatch.setattr(Variable, "set", kept.__setitem__)
    return kept


@pytest.fixture(autouse=True)
def _one_try(sandbox, change_connection):
    change_connection(extra={"max_retries": 0})


def notify(context, **options):
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    WhatsAppNotifier(**{"to": TO, "text": "it happened", **options})(context)


def failure(task="load", run="r1", **fields):
    ti = SimpleNamespace(
        dag_id="orders", task_id=task, run_id=run, try_number=1, map_index=-1, state="failed"
    )
    vars(ti).update(log_url="", start_date=None, **fields)
    return {"ti": ti, "run_id": run, "exception": ValueError("no rows")}


def success(task="load", run="later"):
    context = failure(task, run, state="success")
    del context["exception"]
    return context


DEADLINE = {"dag_run": {"dag_id": "orders", "run_id": "r9"}, "deadline": {"id": 1}}


def bodies(sandbox):
    return [message["payload"]["text"]["body"] for message in sandbox.messages]


def named(bodies):
    """Return every name in some bodies; ``load[2-4]`` stands for three."""
    words = " ".join(bodies).replace("orders.", "")
    found = set(re.findall(r"[\w.]+", words))
    for name, indexes in re.findall(r"([\w.]+)\[([\d, -]+)\]", words):
        for part in indexes.split(", "):
            first, _, last = part.partition("-")
            found |= {f"{name}[{index}]" for index in range(int(first), int(last or first) + 1)}
    return found


def until_back(sandbox, clock, seconds, **fault):
    """Let the gateway be away for some seconds."""
    sandbox.fail_next(**{"path": "/messages", "method": "POST", "times": 0, **fault})
    clock.at(seconds, sandbox.clear_faults)


OUTAGES = {
    "500": {"kind": "status", "status": 500},
    "503": {"kind": "status", "status": 503},
    "no answer": {"kind": "drop_before"},
}


def await_deadline():
    """Let a deadline be told in a triggerer."""
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    async def miss():
        return await WhatsAppNotifier(to=TO, text="it happened", context=DEADLINE)

    assert asyncio.run(miss()) == "sent"


NEXT = {
    "a failure": lambda: notify(failure("load", "later")),
    "a success": lambda: notify(success("load"), recovery=True),
    "a deadline": await_deadline,
    "a synchronous deadline": lambda: notify(DEADLINE),
}


@pytest.mark.parametrize(
    ("what", "seconds", "every"),
    # One of the long ones leaves more names of a key than a record holds.
    [
        (what, seconds, 10 if seconds == 300 and what != "no answer" else 2)
        for what in OUTAGES
        for seconds in (5, 60, 300)
    ],
)
def test_every_failure_of_an_outage_is_named_once_something_calls(sandbox, clock, what, seconds, every):
    """Different tasks, tasks that share a key, and mapped tasks fail every few seconds."""
    until_back(sandbox, clock, seconds, **OUTAGES[what])
    expected = set()
    for number in itertools.count():
        clock.reach(every * number)
        if clock.passed >= seconds:
            break
        notify(failure("load", map_index=number), roll_up=0, text=f"load[{number}]")
        notify(failure(f"step{number}"), dedupe_key="finance", roll_up=0, text=f"step{number}")
        notify(failure(f"other{number}"), text=f"other{number}")
        expected |= {f"load[{number}]", f"step{number}", f"other{number}"}
    for moment, call in zip((0, 31, 400), list(NEXT.values())[:3], strict=True):
        clock.reach(seconds + moment)
        call()

    assert expected - named(bodies(sandbox)) == set()


@pytest.mark.parametrize("kind", ["drop_after", "half"])
def test_where_answers_are_lost_and_messages_arrive_one_goes_in_thirty_seconds(sandbox, clock, kind):
    sandbox.fail_next(kind, times=0, path="/messages")
    moments = []
    for number in range(60):
        clock.reach(2.0 * number)
        before = len(sandbox.messages)
        notify(failure("load", map_index=number))
        moments += [clock.passed] * (len(sandbox.messages) - before)

    assert 3 <= len(moments) <= 5
    assert all(after - before >= 30 for before, after in itertools.pairwise(moments))


@pytest.mark.parametrize("gap", [0, 6.5])
@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("a failure", "it happened (2 more failures; 1 other alert: load, load; orders.check)"),
        ("a success", "it happened (2 more failures; 1 other alert: load, load; orders.check)"),
        ("a deadline", "it happened (3 other alerts: orders.load, orders.load, orders.check)"),
        ("a synchronous deadline", "it happened (3 other alerts: orders.load, orders.load, orders.check)"),
    ],
)
def test_whatever_calls_next_names_what_nobody_was_told(sandbox, clock, call, said, gap):
    until_back(sandbox, clock, 20, kind="drop_before")
    notify(failure("load", "r1"), gap=gap)
    clock.reach(10)
    notify(failure("load", "r2"), gap=gap)
    notify(failure("check", "r2"), gap=gap)
    clock.reach(60)
    NEXT[call]()
    assert bodies(sandbox) == [said]

    clock.reach(1000)
    notify(failure("export", "r3"), gap=gap)
    # A synchronous deadline can read what people have missed, and strike off nothing.
    assert bodies(sandbox)[1:] == [said if call == "a synchronous deadline" else "it happened"]


def test_what_is_handed_over_to_a_message_that_does_not_arrive_begins_no_cooldown(sandbox, clock):
    notify(failure("first"), gap=6.5)
    until_back(sandbox, clock, 20, kind="drop_before")
    clock.events.insert(0, (2, lambda: notify(failure("load", "r1"), gap=6.5)))  # handed over
    notify(failure("export"), gap=6.5)  # waits for its turn
    clock.reach(60)
    notify(failure("load", "r2"), gap=6.5)

    assert bodies(sandbox) == ["it happened", "it happened (2 other alerts: orders.load, orders.export)"]


def test_what_message_and_summary_have_not_told_one_of_several_people_is_told_by_the_next(sandbox, clock):
    other = "+15550002222"
    sandbox.fail_next("drop_before", path="/messages", to=other[1:], times=2)
    clock.at(1, lambda: notify(failure("load", map_index=2), to=[TO, other], roll_up=5))
    notify(failure("load", map_index=1), to=[TO, other], roll_up=5)
    clock.reach(60)
    notify(failure("check"), to=[TO, other])

    said = [message["payload"]["text"]["body"] for message in sandbox.messages if message["to"] == other[1:]]
    assert said == ["it happened (2 other alerts: orders.load[1], orders.load[2])"]


@pytest.mark.parametrize(
    ("failed", "said"),
    [
        (["load"], "it works"),
        (["load", "load", "load"], "it works"),
        (["load", "check", "load"], "it works (1 more failure: orders.check)"),
        (["load", "check", "check"], "it works (2 more failures: orders.check, orders.check)"),
        (["load"] * 120, "it works"),
    ],
    ids=["one", "again", "another", "another twice", "very often"],
)
def test_a_recovery_names_what_no_message_has_named(sandbox, clock, failed, said):
    """What the cooldown suppresses may be another task's failure, or repeat what has been told."""
    for number, task in enumerate(failed):
        clock.reach(number)
        notify(failure(task, f"r{number}"), dedupe_key="all", roll_up=0)
    clock.reach(200)
    notify(success("load"), dedupe_key="all", recovery=True, text="it works")
    assert bodies(sandbox) == ["it happened", said]

    clock.reach(1000)
    notify(failure("load", "later"), dedupe_key="all")
    assert bodies(sandbox)[2:] == ["it happened"], "the recovery has ended the row"


def test_an_answer_that_the_gateway_failed_is_followed_by_another_try(sandbox, clock):
    sandbox.fail_next("status", status=503, times=2, path="/messages")
    notify(failure())

    assert bodies(sandbox) == ["it happened"]
    assert clock.passed == 3


@pytest.mark.parametrize("cooldown", [0.1, 300])
def test_one_of_a_key_sends_at_a_time(sandbox, clock, cooldown):
    """While it waits before another try, others fail: they are told by the next message."""
    sandbox.fail_next("status", status=502, times=1, path="/messages")
    clock.at(0.5, lambda: notify(failure("load", "r2"), cooldown=cooldown))
    notify(failure("load", "r1"), cooldown=cooldown)
    assert bodies(sandbox) == ["it happened"]

    clock.reach(400)
    notify(failure("load", "r3"), cooldown=cooldown)
    assert bodies(sandbox)[1:] == ["it happened (1 more failure: load)"]


def die():
    raise SystemExit


def die_while_sending(sandbox, clock, context):
    """Let the gateway fail, and the worker die before the next try."""
    sandbox.fail_next("status", status=503, times=1, path="/messages")
    clock.at(clock.passed + 0.5, die)
    with pytest.raises(SystemExit):
        notify(context)


def test_a_worker_that_dies_in_its_callback_does_not_silence_what_airflow_tells_of_it(sandbox, clock):
    die_while_sending(sandbox, clock, failure("load", "r1"))
    lost = failure("load", "r1", state=None)
    del lost["exception"]
    clock.reach(5)
    notify(lost, text="its worker was lost")

    assert bodies(sandbox) == ["its worker was lost"]


def test_a_worker_that_dies_in_its_callback_keeps_its_place_for_thirty_seconds(sandbox, clock):
    die_while_sending(sandbox, clock, failure("load", "r1"))
    clock.reach(20)
    notify(failure("load", "r2"))
    assert bodies(sandbox) == []

    clock.reach(31)
    notify(failure("load", "r3"))
    assert bodies(sandbox) == ["it happened (2 more failures: load, load)"]


def test_what_a_message_names_comes_back_when_its_worker_dies(sandbox, clock):
    until_back(sandbox, clock, 1, kind="drop_before")
    notify(failure("load"))
    clock.reach(10)
    die_while_sending(sandbox, clock, failure("check"))
    clock.reach(60)
    notify(failure("export"))

    assert bodies(sandbox) == ["it happened (1 other alert: orders.load)"]


def test_a_recovery_that_nobody_knows_to_have_arrived_is_told_by_the_next_success(sandbox, clock):
    notify(failure("load", "r1"))
    sandbox.fail_next("drop_before", path="/messages")
    notify(success("load", "r2"), recovery=True, text="it works")
    clock.reach(31)
    for run in ("r3", "r4"):
        notify(success("load", run), recovery=True, text="it works")

    assert bodies(sandbox) == ["it happened", "it works"]


def test_one_of_several_people_whom_it_did_not_reach_is_told_by_the_next(sandbox, clock):
    sandbox.fail_next("drop_before", path="/messages", to="15550002222")
    notify(failure("load"), to=[TO, "+15550002222"])
    notify(failure("check"), to=[TO, "+15550002222"])

    said = {(message["to"], message["payload"]["text"]["body"]) for message in sandbox.messages}
    assert said == {
        ("15550001111", "it happened"),
        ("15550002222", "it happened (1 other alert: orders.load)"),
    }


def test_what_does_not_fit_a_template_is_left_to_the_next(sandbox, clock):
    """A value of a template holds 300 characters."""
    from airflow_provider_whatsapp.cli import main
    from airflow_provider_whatsapp.notifications import whatsapp

    assert main(["templates", "apply", str(Path(whatsapp.__file__).with_name("airflow_alert.yaml"))]) == 0
    sandbox.control("POST", "templates", name="airflow_alert", language="en_US", status="APPROVED")
    stock = {"text": None, "template_name": "airflow_alert"}
    until_back(sandbox, clock, 50, kind="drop_before")
    for number in range(40):
        clock.reach(number)
        notify(failure(f"a_task_with_a_long_name_{number}"), **stock)
    for number in range(8):
        clock.reach(100 + 10 * number)
        notify(failure(f"late_{number}"), **stock)

    words = json.dumps(sandbox.messages)
    assert [number for number in range(40) if f"a_task_with_a_long_name_{number}" not in words] == []


def test_what_nobody_was_told_for_a_week_is_no_news(sandbox, clock):
    until_back(sandbox, clock, 10, kind="drop_before")
    notify(failure("load"))
    clock.reach(8 * 86_400)
    notify(failure("check"))

    assert bodies(sandbox) == ["it happened"]


def test_a_locked_store_costs_a_share_of_the_time(sandbox, variables, monkeypatch):
    from airflow.sdk import Variable

    released = threading.Event()
    monkeypatch.setattr(Variable, "get", lambda key, default=None: released.wait(60) and default)
    monkeypatch.setattr("airflow_provider_whatsapp.notifications.time_budget.FOR_THROTTLE_STATE", 0.005)
    notify(failure())
    assert bodies(sandbox) == ["it happened"], "while the store is locked"
    released.set()


def test_a_locked_store_costs_a_deadline_in_a_triggerer_a_share_of_its_time(sandbox, monkeypatch):
    from airflow.sdk import Variable

    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    released = threading.Event()
    monkeypatch.setattr(Variable, "get", lambda key, default=None: released.wait(60) and default)
    monkeypatch.setattr("airflow_provider_whatsapp.notifications.time_budget.FOR_THROTTLE_STATE", 0.005)

    async def miss():
        said = await WhatsAppNotifier(to=TO, text="too late", context=DEADLINE)
        assert bodies(sandbox) == ["too late"], "while the store is locked"
        return said

    try:
        assert asyncio.run(miss()) == "sent"
    finally:
        released.set()


def test_a_success_with_nothing_to_recover_says_and_writes_nothing(sandbox, clock, variables, caplog):
    caplog.set_level(logging.DEBUG)
    notify(success(), recovery=True)

    assert [record for record in caplog.records if "whatsapp" in record.name] == []
    assert (variables, sandbox.messages) == ({}, [])


EARLIER = json.loads((Path(__file__).parents[1] / "data" / "written_by_0_1" / "alerts.json").read_text())


def test_what_0_1_has_recorded_in_variables_is_still_read(sandbox, clock, variables):
    """Three failures of a task were suppressed, one of another was handed over, and one could not be sent."""
    variables.update(EARLIER["variables"])
    clock.start = EARLIER["at"]
    notify(failure("load", "r5"))
    assert bodies(sandbox) == [], "it is told less than 300 s ago"
    notify(failure("export", "r5"), gap=0)
    assert bodies(sandbox) == ["it happened (1 more failure: export)"]

    clock.reach(400)
    notify(failure("load", "r6"))
    said = "it happened (4 more failures; 1 other alert: load, load, load, load; orders.check)"
    assert bodies(sandbox)[1:] == [said]


def test_what_0_1_has_recorded_in_files_is_still_read(sandbox, clock, tmp_path):
    from airflow_provider_whatsapp.client.pace_board import own_folder

    for name, text in EARLIER["files"].items():
        (own_folder() / name).write_text(text)
    clock.start = EARLIER["at"]
    notify(DEADLINE)

    assert bodies(sandbox) == ["it happened"]
    assert clock.passed == pytest.approx(6.5, abs=0.1), "the last deadline was told a moment ago"


def test_what_could_not_be_addressed_is_named_by_the_next_message(sandbox, clock):
    notify(failure("check"), to="12", dedupe_key="orders")
    notify(failure("load"), dedupe_key="orders")

    (body,) = bodies(sandbox)
    assert "1 more failure" in body
    assert "check" in body
