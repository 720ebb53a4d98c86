"""From an alert over its turns to the send and back, one wire at a time: each test fails when its call is left out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.client.errors import (
    NotSentError,
    OutcomeUnknownError,
    RecipientError,
    ServerError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.notifications import window
from airflow_provider_whatsapp.notifications.alert_stores import Files
from airflow_provider_whatsapp.notifications.facts import default_key
from airflow_provider_whatsapp.notifications.missed import Missed, Undelivered
from airflow_provider_whatsapp.notifications.recipient_gap import Caller, RecipientGaps, Slot
from airflow_provider_whatsapp.notifications.records import Person
from airflow_provider_whatsapp.notifications.throttle_state import ThrottleState
from airflow_provider_whatsapp.notifications.window import Delivery, deliver

ANN, BOB, CAT = "15550000001", "15550000002", "15550000003"


class TimeBudget:
    """So much time is left."""

    def __init__(self, left=1000.0):
        self.seconds = left

    def left(self):
        return self.seconds

    def lasts(self):
        return 60.0


class Asked:
    """In the turns' place: gives these, and keeps what it hears."""

    def __init__(self, *turns, left=1000.0):
        self.turns, self.heard, self.budget = turns, [], TimeBudget(left)

    def of(self, recipients):
        yield from self.turns

    def answered(self, turn):
        self.heard.append(f"answered {turn.to[-1]}")

    def accepted(self, turn):
        self.heard.append(f"accepted {turn.to[-1]}")

    def give_back(self, turn):
        self.heard.append(f"given back {turn.to[-1]}")


def told(turns, recipients, *outcomes):
    """Return what became of an alert whose sends meet these outcomes, and the waits between them."""
    meets, waits, steps = iter(outcomes), [], None

    def send(turn):
        error = next(meets)
        if error is not None:
            raise error

    steps = deliver(turns, recipients, send)
    while True:
        try:
            waits.append(next(steps))
        except StopIteration as ended:
            return ended.value, waits


LOST, REFUSED, AWAY = (
    OutcomeUnknownError("lost"),
    RecipientError("no", permanent=True),
    NotSentError("no way"),
)
FAILED_500 = OutcomeUnknownError("500", http_status=500)


@pytest.mark.parametrize(
    ("turns", "outcomes", "found", "heard", "waits"),
    [
        pytest.param(
            [Slot(ANN), Slot(BOB)],
            [None, None],
            Delivery(2),
            ["answered 1", "accepted 1", "answered 2", "accepted 2"],
            [],
            id="both are told",
        ),
        pytest.param(
            [Slot(ANN, handed_over=True), Slot(wait=3.0), Slot(BOB)],
            [None],
            Delivery(1, 1),
            ["answered 2", "accepted 2"],
            [3.0],
            id="one is told by another alert, one after a wait",
        ),
        pytest.param(
            [Slot(ANN), Slot(BOB)],
            [REFUSED, None],
            Delivery(1, errors=[REFUSED]),
            ["answered 1", "given back 1", "answered 2", "accepted 2"],
            [],
            id="one can never be told",
        ),
        pytest.param(
            [Slot(ANN), Slot(BOB)],
            [AWAY],
            Delivery(errors=[AWAY], missed=(ANN, BOB)),
            ["answered 1", "given back 1"],
            [],
            id="what all would meet is met once",
        ),
        pytest.param(
            [Slot(ANN), Slot(BOB)],
            [None, AWAY],
            Delivery(1, errors=[AWAY], missed=(BOB,)),
            ["answered 1", "accepted 1", "answered 2", "given back 2"],
            [],
            id="one is left to the next message",
        ),
        pytest.param(
            [Slot(ANN), Slot(BOB)],
            [LOST, None, None],
            Delivery(2),
            ["answered 1", "answered 1", "accepted 1", "answered 2", "accepted 2"],
            [30.0],
            id="a lost answer is followed by another try, later",
        ),
        pytest.param(
            [Slot(ANN), Slot(BOB)],
            [FAILED_500, FAILED_500, None, None],
            Delivery(2),
            ["answered 1", "answered 1", "answered 1", "accepted 1", "answered 2", "accepted 2"],
            [1.0, 2.0],
            id="what the gateway failed to pass on is tried at once, and then later",
        ),
    ],
)
def test_what_a_send_meets_is_what_its_turn_hears(turns, outcomes, found, heard, waits):
    asked = Asked(*turns)

    assert told(asked, [ANN, BOB], *outcomes) == (found, waits)
    assert asked.heard == heard


def test_without_time_a_lost_answer_is_left_to_the_next_message():
    asked = Asked(Slot(ANN), Slot(BOB), left=29.0)
    found, waits = told(asked, [ANN, BOB], LOST, None)

    assert (found.sent, found.errors, found.missed) == (1, [LOST], (ANN,))
    assert waits == []
    assert asked.heard == ["answered 1", "given back 1", "answered 2", "accepted 2"]


def test_a_run_of_the_same_failure_ends_it():
    people = [f"1555000000{number}" for number in range(9)]
    asked = Asked(*map(Slot, people), left=0.0)
    found, _ = told(asked, people, *[None, *[ServerError("x")] * 9])

    assert len(found.errors) == 5
    assert found.missed == tuple(people[1:])


def test_an_unexpected_error_may_have_sent(caplog):
    asked = Asked(Slot(ANN))
    found, _ = told(asked, [ANN], KeyError(ANN))

    assert [error.sent for error in found.errors] == ["unknown"]
    assert found.missed == (ANN,)
    assert ANN not in caplog.text + str(found.errors[0])
    assert asked.heard == ["answered 1", "given back 1"]


@pytest.mark.parametrize(
    ("found", "failed", "doubtful"),
    [
        (Delivery(), False, False),
        (Delivery(1, errors=[LOST]), False, True),
        (Delivery(0, 1, errors=[AWAY]), False, False),
        (Delivery(errors=[AWAY]), True, False),
        (Delivery(errors=[AWAY, LOST]), True, True),
    ],
    ids=["nobody", "one of two", "handed over", "not sent", "doubt"],
)
def test_what_counts_as_failed(found, failed, doubtful):
    assert (found.failed, found.doubtful) == (failed, doubtful)


@pytest.fixture
def known(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return ThrottleState(Files(tmp_path))


def turns_of(known, token, *, left=1000.0, gap=6.0, **options):
    usual = {
        "names_others": True,
        "may_be_handed_over": True,
        "gap": gap,
        "token": token,
        "key": "orders.load",
    }
    return RecipientGaps(known, "sender", Caller(held=1, names=(token,), **usual | options), TimeBudget(left))


class TestTurns:
    """What the turns of one alert leave to those of the next, in what both record."""

    def test_the_gap_begins_with_the_answer(self, known):
        first = turns_of(known, "a")
        (turn,) = first.of([ANN])
        held_until = known.read(f"person sender {ANN}", Person).free_at
        first.answered(turn)

        assert known.read(f"person sender {ANN}", Person).free_at < held_until

    def test_who_comes_within_the_gap_waits_and_the_next_hands_over(self, known):
        first = turns_of(known, "a")
        (turn,) = first.of([ANN])
        first.answered(turn)
        waits = next(turns_of(known, "b").of([ANN]))
        over = next(turns_of(known, "c").of([ANN]))

        assert 0 < waits.wait <= 6.0
        assert over.handed_over
        assert known.read(f"person sender {ANN}", Person).names == ("c",)

    def test_those_who_need_not_wait_come_first(self, known):
        first = turns_of(known, "a")
        for turn in first.of([ANN]):
            first.answered(turn)
        order = turns_of(known, "b").of([ANN, BOB])

        assert next(order).to == BOB
        assert next(order).wait > 0

    def test_without_time_nobody_waits(self, known):
        first = turns_of(known, "a")
        for turn in first.of([ANN]):
            first.answered(turn)

        assert [turn.to for turn in turns_of(known, "b", left=0.0).of([ANN])] == [ANN]

    def test_without_a_gap_nothing_is_recorded_of_a_person(self, known):
        one = turns_of(known, "a", gap=0.0)
        for turn in one.of([ANN, BOB]):
            one.answered(turn)

        assert known.read(f"person sender {ANN}", Person) == Person()

    def test_what_was_left_is_told_by_the_next_and_struck_off_when_it_arrives(self, known):
        assert turns_of(known, "a").leave(ANN)
        following = turns_of(known, "b", gap=0.0)
        (turn,) = following.of([ANN])
        assert [(entry.names, entry.key) for entry in turn.missed] == [(("a",), "orders.load")]
        assert known.read(f"missed {ANN}", Undelivered).entries[0].until > 0, (
            "a message that names it is on its way"
        )

        following.give_back(turn)
        assert known.read(f"missed {ANN}", Undelivered).entries[0].until == 0
        (turn,) = turns_of(known, "c", gap=0.0).of([ANN])
        following.accepted(turn)
        assert known.read(f"missed {ANN}", Undelivered).entries == ()

    def test_a_message_that_cannot_tell_of_others_leaves_them(self, known):
        turns_of(known, "a").leave(ANN)
        (turn,) = turns_of(known, "b", gap=0.0, names_others=False).of([ANN])

        assert turn.missed == ()
        assert len(known.read(f"missed {ANN}", Undelivered).entries) == 1


@pytest.mark.parametrize(
    ("number", "most", "key"),
    [
        (1, 1, "orders.load.retry"),
        (2, 1, "orders.load"),
        (1, 0, "orders.load"),
        ("1", 1, "orders.load"),
        (1, "1", "orders.load"),
        (1, None, "orders.load"),
    ],
    ids=str,
)
def test_a_lost_worker_s_try_is_told_from_the_task_s_end(number, most, key):
    lost = SimpleNamespace(dag_id="orders", task_id="load", run_id="r", try_number=number, max_tries=most)

    assert default_key({"ti": lost}) == key


UNKNOWN_YET = WhatsAppError("the history does not know it", permanent=True)
ACCEPTED, SENT = {"status": "accepted"}, {"status": "sent"}
NO_ACCESS = WhatsAppError("no access", permanent=True, code=10)


def looked(monkeypatch, seconds, facts):
    """Look so long what became of texts; return the failures and the waits, on a clock that only they move."""
    now, waits = [100.0], []
    monkeypatch.setattr(window, "time", SimpleNamespace(monotonic=lambda: now[0]))
    left = {name: iter(several) for name, several in facts.items()}

    def status_of(message_id):
        found = next(left[message_id])
        if isinstance(found, Exception):
            raise found
        return found

    steps = window.failures_of({name: name for name in facts}, status_of, seconds=seconds)
    while True:
        try:
            waits.append(next(steps))
            now[0] += waits[-1]
        except StopIteration as ended:
            return ended.value, waits


@pytest.mark.parametrize(
    ("seconds", "facts", "found", "waits"),
    [
        pytest.param(5, {"a": [SENT]}, {}, 0, id="it left"),
        pytest.param(5, {"a": [ACCEPTED, SENT], "b": [{"status": "read"}]}, {}, 1, id="one left later"),
        pytest.param(
            5,
            {
                "a": [{"status": "failed", "error": "(131047) x"}],
                "b": [{"status": "failed", "error": "1310471"}],
            },
            {"a": (131047, "(131047) x"), "b": (None, "1310471")},
            0,
            id="a closed window, and another failure",
        ),
        pytest.param(
            5,
            {
                "a": [{"status": "failed", "error": "Re-Engagement"}],
                "b": [{"status": "failed", "error": None}],
            },
            {"a": (131047, "Re-Engagement"), "b": (None, "no reason was given")},
            0,
            id="in words, and without any",
        ),
        pytest.param(1.0, {"a": [ACCEPTED] * 3}, {}, 2, id="until the time is over"),
        pytest.param(0.4, {"a": [ACCEPTED]}, {}, 0, id="once where there is no time"),
        pytest.param(5, {"a": [ServerError("x"), UNKNOWN_YET, SENT]}, {}, 2, id="what may still be told"),
        pytest.param(
            5,
            {"a": [{"status": "failed", "error": "131047"}], "b": [NO_ACCESS], "c": [ACCEPTED]},
            {"a": (131047, "131047")},
            0,
            id="what will never be told",
        ),
        pytest.param(5, {}, {}, 0, id="nothing to look for"),
    ],
)
def test_what_the_history_says_of_texts(monkeypatch, seconds, facts, found, waits):
    failures, paused = looked(monkeypatch, seconds, facts)

    assert {to: (error.code, error.details) for to, error in failures.items()} == found
    assert paused == [0.5] * waits
    assert all(error.sent == "no" for error in failures.values())


@pytest.mark.parametrize(
    ("errors", "found"),
    [
        pytest.param([], Delivery(1, 1, [], (BOB,)), id="the template arrives"),
        pytest.param([REFUSED], Delivery(0, 1, [REFUSED], (BOB,)), id="it is refused for good"),
        pytest.param([AWAY], Delivery(0, 1, [AWAY], (BOB, ANN)), id="it may go with the next message"),
    ],
)
def test_a_text_whose_window_was_closed_counts_as_its_template_does(errors, found):
    """What the text told of others is told by the template, or given back with what the template was to tell."""
    turns = Asked(Slot(ANN, held=1, names=("y",)))
    sent, meets = [], iter([None, *errors, None])

    def send(to, message):
        error = next(meets)
        if error is not None:
            raise error
        sent.append((to, message))
        return SentMessage(message_id="wamid.1", wa_id=None, to=to)

    text_first = window.TextFirst(
        send, lambda turn: "text", lambda turn: (turn.held, turn.names, turn.missed)
    )
    before, after = Missed(held=1, names=("m",)), Missed(held=1, names=("n",))
    text_first(Slot(ANN, held=2, names=("x",), missed=(before,)))
    turns.turns = [Slot(ANN, held=1, names=("y",), missed=(after,))]
    steps = text_first.follow_up(
        Delivery(1, 1, [], (BOB,)), turns, lambda name: {"status": "failed", "error": "131047"}, seconds=1.0
    )
    with pytest.raises(StopIteration) as ended:
        next(steps)

    assert ended.value.value == found
    assert sent[1:] == ([] if errors else [("+" + ANN, (3, ("y", "x"), (before, after)))])
    assert turns.heard == (
        ["given back 1", "answered 1", "given back 1"] if errors else ["answered 1", "accepted 1"]
    )


@pytest.mark.parametrize(
    ("template", "seconds", "told"),
    [(None, 1.0, True), (lambda turn: "t", 0, True), (lambda turn: "t", 1.0, False)],
    ids=["no template", "no time", "no text"],
)
def test_where_nothing_can_follow_nobody_looks(template, seconds, told):
    text_first = window.TextFirst(
        lambda to, message: SentMessage(message_id="w", wa_id=None, to=to), lambda turn: "text", template
    )
    if told:
        text_first(Slot(ANN))
    steps = text_first.follow_up(Delivery(1), Asked(), lambda name: 1 / 0, seconds=seconds)
    with pytest.raises(StopIteration) as ended:
        next(steps)

    assert ended.value.value == Delivery(1)
