"""Two messages to one person keep WhatsApp's distance, and alerts that come together are told by one of them."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import json
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.notifications.alert_stores import Files
from airflow_provider_whatsapp.notifications.recipient_gap import (
    Caller,
    RecipientGaps,
    Slot,
    on_answer,
    on_slot,
    on_taken,
)
from airflow_provider_whatsapp.notifications.records import Person
from airflow_provider_whatsapp.notifications.throttle_state import ThrottleState
from airflow_provider_whatsapp.notifications.time_budget import TimeBudget
from airflow_provider_whatsapp.notifications.window import deliver
from tests.time_limits import take_all_time

pytestmark = pytest.mark.airflow

TO, OTHER = "15550001111", "15550002222"
GAP = 6.5
PROCESSES, ALERTS = 2, 20


def caller(name="orders.load", **options):
    defaults = {"names_others": True, "may_be_handed_over": True, "gap": GAP, "token": uuid.uuid4().hex}
    return Caller(**{"held": 1, "names": (name,), **defaults, **options})


def turns_in(folder, sender="1", **options):
    return RecipientGaps(
        ThrottleState(Files(folder)), sender, caller(**options), TimeBudget(time.monotonic() + 60)
    )


def asked(person, who, now, **options):
    return on_slot(person, who, TO, now=now, **options)


def test_the_first_goes_at_once_and_the_second_waits():
    person, first = asked(Person(), caller(), 1000.0)
    person, second = asked(person, caller("crm.sync"), 1002.0)

    assert first == Slot(TO, holds_until=1013.0)
    assert second.wait == GAP
    assert person.free_at == 1013.0, "the first is in flight"


@pytest.mark.parametrize("flight", [0.1, 3.0, 6.0, 20.0])
def test_the_gap_begins_with_the_answer(flight):
    """A message may arrive at any moment between its turn and its answer."""
    person, first = asked(Person(), caller(), 1000.0)
    person, _ = on_answer(person, first, GAP, now=1000.0 + flight)

    assert person.free_at == 1000.0 + flight + GAP
    assert asked(person, caller(), 1000.0 + flight + GAP - 1)[1].wait == pytest.approx(1.0)


def test_a_message_whose_process_died_holds_its_recipient_for_one_gap_more():
    person, _ = asked(Person(), caller(), 1000.0)

    assert asked(person, caller(), 1000.0 + 2 * GAP - 0.1)[1].wait
    assert not asked(person, caller(), 1000.0 + 2 * GAP)[1].wait


def test_an_answer_leaves_the_gap_of_a_later_message_as_it_is():
    person, first = asked(Person(), caller(), 1000.0)
    person, second = asked(person, caller(), 1005.0, may_wait=False)
    person, _ = on_answer(person, first, GAP, now=1006.0)

    assert person.free_at == second.holds_until == 1018.0


def test_those_who_come_while_one_waits_are_told_by_it():
    waiting = caller()
    person, _ = asked(Person(free_at=1006.0), waiting, 1000.0)
    for number in range(7):
        person, turn = asked(person, caller(f"dag{number}.load"), 1001.0)
        assert turn.handed_over
    person, turn = asked(person, waiting, 1006.0)

    assert (turn.held, turn.names) == (7, tuple(f"dag{number}.load" for number in range(7)))
    later, _ = on_taken(person.with_more(1, ("late.load",)), turn)
    assert (later.held, later.names) == (1, ("late.load",)), "what came since is for the next message"
    person, _ = on_taken(person, turn)
    assert person == Person(free_at=1006.0 + 2 * GAP)


def test_who_hands_over_brings_along_those_that_its_message_tells():
    person, _ = asked(Person(free_at=1006.0), caller(), 1000.0)
    person, turn = asked(person, caller(held=9, names=("orders.load", "orders.check")), 1001.0)

    assert turn.handed_over
    assert (person.held, person.names) == (9, ("orders.load", "orders.check"))


def test_a_moment_that_is_further_away_than_any_gap_is_that_of_a_wrong_clock():
    assert not asked(Person(free_at=1000.0 + 86_400, teller="another"), caller(), 1000.0)[1].wait
    assert asked(Person(free_at=1000.0 + 2 * GAP + 0.5), caller(), 1000.0)[1].wait == GAP


def test_it_does_not_hand_itself_over_to_itself():
    """A clock that was put back wakes it too early."""
    waiting = caller()
    person, _ = asked(Person(free_at=1006.0), waiting, 1000.0)

    assert asked(person, waiting, 1005.9)[1].wait == pytest.approx(0.1)


@pytest.mark.parametrize("option", ["names_others", "may_be_handed_over"])
def test_a_message_that_cannot_tell_of_others_or_says_something_else_waits_for_a_turn_of_its_own(option):
    person, _ = asked(Person(free_at=1006.0), caller(**{option: option == "may_be_handed_over"}), 1000.0)
    person, turn = asked(person, caller("crm.sync", **{option: False}), 1001.0)
    assert turn.wait == 5

    person, turn = asked(replace(person, held=1, names=("a.b",)), caller(names_others=False), 1006.0)
    assert not turn.wait
    assert (turn.held, turn.names) == (0, ())
    assert (person.held, person.names) == (1, ("a.b",)), "left to one that can tell"


def test_who_has_waited_long_enough_goes():
    person, turn = asked(Person(free_at=1006.0, teller="another"), caller(), 1000.0, may_wait=False)

    assert not turn.wait
    assert person == Person(free_at=1000.0 + 2 * GAP)


@given(
    st.lists(
        st.tuples(st.floats(0, 20), st.booleans(), st.booleans(), st.floats(0, GAP), st.floats(0, 1)),
        min_size=1,
        max_size=30,
    ),
)
def test_nobody_is_lost_and_messages_keep_their_distance(alerts):
    """Whoever comes whenever, and however late a message arrives: each is told once, and the gap lies between two."""
    events = [
        (
            moment,
            number,
            "asks",
            caller(str(number), names_others=several, may_be_handed_over=told),
            flight,
            part,
        )
        for number, (moment, several, told, flight, part) in enumerate(alerts)
    ]
    person, arrivals, told = Person(), [], 0
    while events:
        events.sort(key=lambda event: event[:2])
        now, number, what, who, flight, part = events.pop(0)
        if what == "answers":
            person, _ = on_answer(person, who, GAP, now=now)
            continue
        person, turn = asked(person, who, now)
        if turn.wait:
            events.append((now + max(turn.wait, 1e-6), number, what, who, flight, part))
        elif not turn.handed_over:
            told += 1 + turn.held
            person, _ = on_taken(person, turn)
            arrivals.append(now + flight * part)
            events.append((now + flight, -1, "answers", turn, 0.0, 0.0))

    assert told + person.held == len(alerts)
    assert not person.held or not person.teller, "who has handed over is waited for"
    assert all(after - before >= GAP - 1e-6 for before, after in itertools.pairwise(sorted(arrivals)))


@pytest.fixture(autouse=True)
def _own_locks(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_those_who_are_free_need_not_wait_for_the_others(tmp_path):
    turns = turns_in(tmp_path, gap=0.3)
    assert [turn.to for turn in turns.of([TO])] == [TO]

    given = list(turns_in(tmp_path, gap=0.3).of([TO, OTHER]))
    assert given[0].to == OTHER
    assert 0 < given[1].wait <= 0.3


def test_each_sender_has_a_distance_of_its_own(tmp_path):
    for sender in ("1", "2"):
        turn = next(turns_in(tmp_path, sender).of([TO]))
        assert (turn.to, turn.wait) == (TO, 0)


def test_an_alert_that_was_slow_to_leave_keeps_the_next_one_waiting(tmp_path, monkeypatch):
    """The message's answer comes five seconds after its turn; the gap is counted from there."""
    now = time.time()
    monkeypatch.setattr("airflow_provider_whatsapp.notifications.recipient_gap.time.time", lambda: now)

    def send(turn):
        nonlocal now
        now += 5.0

    assert list(deliver(turns_in(tmp_path), [TO], send)) == []
    now += GAP - 1.0
    assert next(turns_in(tmp_path).of([TO])).wait == pytest.approx(1.0)


def test_what_was_not_sent_is_told_by_the_next(tmp_path):
    turns = turns_in(tmp_path, gap=0.01)
    turns.give_back(Slot(TO, held=2, names=("a.b", "c.d")))

    turn = next(turns.of([TO]))
    assert [(entry.held, entry.names) for entry in turn.missed] == [(2, ("a.b", "c.d"))]
    turns.accepted(turn)
    assert next(turns_in(tmp_path, gap=0).of([TO])) == Slot(TO)


def test_the_records_name_nobody(tmp_path):
    list(turns_in(tmp_path).of([TO]))

    (record,) = tmp_path.glob("whatsapp_alert_*.json")
    assert json.loads(record.read_text())["key"] == "15•••1111"
    assert TO not in record.name


@pytest.fixture
def strict(start_whatsapp_sandbox):
    """Give a sandbox that takes no second message to one person within six seconds, not even a lent one."""
    started = start_whatsapp_sandbox("--pair-limit", "1")
    started.connect(max_retries=0)
    return started


def failed(dag):
    ti = SimpleNamespace(
        dag_id=dag, task_id="load", run_id="r1", map_index=-1, try_number=1, state="failed", log_url=""
    )
    return {"ti": ti, "run_id": "r1", "exception": ValueError("no rows")}


def notifier_with(folder, **options):
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    class Notifier(WhatsAppNotifier):
        def _store(self, context):
            return Files(folder)

    return Notifier(**{"to": f"+{TO}", "text": "{{ ti.dag_id }} failed", **options})


def alert_all(folder, dags, ready):
    take_all_time()
    with ready.open() as both:
        fcntl.flock(both, fcntl.LOCK_SH)
    notifier = notifier_with(folder)
    with ThreadPoolExecutor(len(dags)) as pool:
        list(pool.map(lambda dag: notifier(failed(dag)), dags))


def refused(strict):
    return [request for request in strict.requests_to("/messages") if request["status"] != 200]


@pytest.mark.once
@pytest.mark.timeout(300)
def test_two_processes_whose_pipelines_fail_together_do_not_hit_the_limit(strict, forks, tmp_path):
    """Forty DAGs fail in two processes at once: one is told at once, and one message tells of all others."""
    ready = tmp_path / "ready"
    names = [f"dag{number}" for number in range(PROCESSES * ALERTS)]
    parts = [names[start : start + ALERTS] for start in range(0, len(names), ALERTS)]
    with ready.open("w") as nobody_yet:
        fcntl.flock(nobody_yet, fcntl.LOCK_EX)
        processes = [forks.start(alert_all, tmp_path, part, ready) for part in parts]
    assert [process.wait() for process in processes] == [0] * PROCESSES

    assert refused(strict) == []
    bodies = [message["payload"]["text"]["body"] for message in strict.messages]
    told = [int(found[1]) for body in bodies if (found := re.search(r"\((\d+) other alerts?: dag", body))]
    assert len(bodies) + sum(told) == len(names)
    # On a slow machine the last come after the second message, and are told by a third or fourth.
    assert 2 <= len(bodies) <= 4


def test_a_template_after_a_text_keeps_the_distance(strict, tmp_path):
    """The window is closed: the text was a message to the same person a moment ago."""
    body = [{"type": "BODY", "text": "Something is wrong."}]
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    MatonWhatsAppHook().create_template("something_wrong", "en_US", "UTILITY", body)
    strict.control("POST", "templates", name="something_wrong", language="en_US", status="APPROVED")
    notifier_with(tmp_path, template_name="something_wrong")(failed("orders"))

    assert [message["type"] for message in strict.messages] == ["text", "template"]
    assert refused(strict) == []


def test_deadlines_in_one_triggerer_keep_the_distance_and_hold_up_no_thread(strict, tmp_path, monkeypatch):
    from airflow.sdk import Variable

    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

    store = Files(tmp_path)
    monkeypatch.setattr(Variable, "get", store.get)
    monkeypatch.setattr(Variable, "set", store.set)

    async def miss(number):
        context = {"dag_run": {"dag_id": f"dag{number}", "run_id": "r1"}, "deadline": {"id": number}}
        return await WhatsAppNotifier(to=f"+{TO}", context=context)

    async def miss_all():
        return await asyncio.gather(*(miss(number) for number in range(20)))

    assert asyncio.run(miss_all()) == ["sent"] * 20
    assert refused(strict) == []
    first, second = (message["payload"]["text"]["body"] for message in strict.messages)
    assert re.fullmatch(r"DAG dag\d+: deadline missed", first)
    assert re.search(r"\(18 other alerts: dag\d+ \(deadline missed\), ", second)


AT = 1_000.0
MOMENTS = {
    "free since long ago": (-5.0, True),
    "free just now": (0.0, True),
    "free soon": (0.5, False),
    "free after the longest that is waited for": (3 * GAP, False),
    "a moment of a wrong clock": (3 * GAP + 0.5, True),
}


@pytest.mark.parametrize(("free_in", "goes"), MOMENTS.values(), ids=list(MOMENTS))
@pytest.mark.parametrize("may_wait", [True, False])
def test_when_a_message_goes(free_in, goes, may_wait):
    before = Person(free_at=AT + free_in, teller="another", held=2, names=("a", "b"))
    who = caller(may_be_handed_over=False)
    person, turn = asked(before, who, AT, may_wait=may_wait)

    if goes or not may_wait:
        assert turn == Slot(TO, held=2, names=("a", "b"), holds_until=AT + 2 * GAP)
        assert person == replace(before, free_at=AT + 2 * GAP, teller="")
    else:
        assert turn == Slot(TO, wait=min(free_in, GAP))
        assert person == before


def test_a_message_that_tells_of_nobody_else_leaves_what_was_handed_over():
    before = Person(free_at=AT, teller="another", held=2, names=("a",))
    person, turn = asked(before, caller(names_others=False), AT)

    assert turn == Slot(TO, holds_until=AT + 2 * GAP)
    assert (person.held, person.names, person.teller) == (2, ("a",), "")


TELLERS = {
    "nobody": ("", {}, False, "me"),
    "nobody, and it tells of itself alone": ("", {"names_others": False}, False, ""),
    "itself": ("me", {}, False, "me"),
    "another": ("another", {}, True, "another"),
    "another, who must not tell of it": ("another", {"may_be_handed_over": False}, False, "another"),
}


@pytest.mark.parametrize(("teller", "options", "over", "then"), TELLERS.values(), ids=list(TELLERS))
def test_who_tells_while_all_wait(teller, options, over, then):
    before = Person(free_at=AT + 1, teller=teller, held=1, names=("x",))
    person, turn = asked(before, caller("mine", token="me", **options), AT)

    assert turn == (Slot(TO, handed_over=True) if over else Slot(TO, wait=1.0))
    assert person.teller == then
    assert (person.held, person.names) == ((2, ("x", "mine")) if over else (1, ("x",)))


@pytest.mark.parametrize(("held", "left"), [(2, 3), (5, 0), (7, 0)])
def test_what_a_message_has_taken_over_is_forgotten_and_what_came_since_stays(held, left):
    person = Person(held=5, names=("a", "b", "c"))
    rest, _ = on_taken(person, Slot(TO, held=held, names=("a", "b")))

    assert (rest.held, rest.names) == (left, ("c",))


@pytest.mark.parametrize(
    ("free_at", "then"),
    [(1_013.0, 1_008.5), (1_020.0, 1_020.0), (1_001.0, 1_008.5)],
    ids=["its own hold", "a later message's", "an earlier one's"],
)
def test_the_gap_after_an_answer(free_at, then):
    person, _ = on_answer(Person(free_at=free_at), Slot(TO, holds_until=1_013.0), GAP, now=1_002.0)

    assert person.free_at == then


class Away:
    """A state that cannot be reached."""

    def change(self, *_, **__):
        return None


def test_where_the_state_is_away_nobody_waits_and_what_the_other_has_is_told(tmp_path):
    turns_in(tmp_path, name="crm.sync").leave(TO)
    own = RecipientGaps(
        Away(), "1", caller(), TimeBudget(time.monotonic() + 60), behind=ThrottleState(Files(tmp_path))
    )
    alone = RecipientGaps(Away(), "1", caller(), TimeBudget(time.monotonic() + 60))

    (turn,), (other,) = own.of([TO]), alone.of([TO])
    assert (turn.wait, [entry.names for entry in turn.missed]) == (0.0, [("crm.sync",)])
    assert other == Slot(TO)
    assert not alone.leave(TO)


@pytest.mark.parametrize(("left", "waits"), [(0.0, 0.0), (0.5, 0.5), (60.0, GAP)])
def test_nobody_waits_for_longer_than_there_is_time(tmp_path, monkeypatch, left, waits):
    monkeypatch.setattr("airflow_provider_whatsapp.notifications.recipient_gap.time.time", lambda: AT)
    first, second = turns_in(tmp_path), turns_in(tmp_path)
    (turn,) = first.of([TO])
    first.answered(turn)
    second.budget = SimpleNamespace(left=lambda: left, lasts=lambda: 30.0)

    assert next(second.of([TO])).wait == waits
