"""What each rule of the throttle decides and leaves behind, whole: no field of a decision or a record is free."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from airflow_provider_whatsapp.notifications import throttle
from airflow_provider_whatsapp.notifications.records import Decision, Held, Record, Sending, is_sound
from airflow_provider_whatsapp.notifications.routes import choose, usable

NOW = 1_000_000.0
SENDING = Sending(token="me", lasts=60.0, attempt="try 1")
QUIET = Record()
# Three failures of run r1: one was told at 900 000, two are held.
HELD = Record(
    sent_at=900_000.0,
    failures=3,
    first_failed_at=899_000.0,
    runs=1,
    run="r1",
    told=1,
    held=2,
    names=("b", "c"),
)
BUSY = replace(
    HELD, sender="other", sends_until=NOW + 10, sending=2, sending_names=("x", "y"), sending_try="try 7"
)
DEAD = replace(BUSY, sends_until=NOW)
PAUSED = replace(HELD, paused_until=NOW + 10)
MINE = replace(BUSY, sender="me", sending_try="try 1")
WAITING = replace(HELD, waiter="me", waits_until=NOW + 1)
NOT_SENDING = {"sender": "", "sends_until": 0.0, "sending": 0, "sending_names": (), "sending_try": ""}
BEGUN = {
    "sender": "me",
    "sends_until": NOW + 60,
    "sending_try": "try 1",
    "held": 0,
    "names": (),
    "paused_until": 0.0,
}


def decided(rule, record, **values):
    return getattr(throttle, rule)(record, **values)


FAILURE = {"name": "d", "now": NOW, "cooldown": 3600.0, "run": "r1", "token": "me", "sending": SENDING}
COUNTED = {"failures": 4, "run": "r1"}


@pytest.mark.parametrize(
    ("record", "more", "expected"),
    [
        pytest.param(
            QUIET,
            {},
            Decision(
                True,
                Record(
                    **BEGUN,
                    sent_at=NOW,
                    failures=1,
                    first_failed_at=NOW,
                    runs=1,
                    run="r1",
                    told=1,
                    waits_until=NOW,
                    sending=1,
                    cooldown=3600.0,
                    sending_names=("d",),
                ),
            ),
            id="the first",
        ),
        pytest.param(
            HELD,
            {},
            Decision(
                True,
                replace(
                    HELD,
                    **BEGUN,
                    **COUNTED,
                    sent_at=NOW,
                    told=4,
                    waits_until=NOW,
                    sending=3,
                    cooldown=3600.0,
                    sending_names=("b", "c", "d"),
                ),
                2,
                ("b", "c"),
            ),
            id="after the cooldown",
        ),
        pytest.param(
            HELD,
            {"waits": 8.0},
            Decision(
                True,
                replace(
                    HELD,
                    **BEGUN,
                    **COUNTED,
                    sent_at=NOW,
                    told=4,
                    waiter="me",
                    waits_until=NOW + 8,
                    sending=3,
                    cooldown=3600.0,
                    sending_names=("b", "c", "d"),
                ),
                2,
                ("b", "c"),
                waits=True,
            ),
            id="and it waits for others",
        ),
        pytest.param(
            replace(HELD, sent_at=NOW - 10),
            {},
            Decision(False, replace(HELD, **COUNTED, sent_at=NOW - 10, held=3, names=("b", "c", "d"))),
            id="within the cooldown",
        ),
        pytest.param(
            BUSY,
            {},
            Decision(False, replace(BUSY, **COUNTED, held=3, names=("b", "c", "d")), busy=True),
            id="while another sends",
        ),
        pytest.param(
            PAUSED, {}, Decision(False, replace(PAUSED, **COUNTED, told=2), paused=True), id="in a pause"
        ),
        pytest.param(
            PAUSED,
            {"escalate_after": 1},
            Decision(False, replace(PAUSED, **COUNTED, told=2), escalated=True, paused=True),
            id="in a pause, escalated",
        ),
    ],
)
def test_a_failure(record, more, expected):
    assert decided("on_failure", record, **{**FAILURE, **more}) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(QUIET, Decision(False, QUIET), id="after no failure"),
        pytest.param(
            HELD,
            Decision(True, replace(HELD, **BEGUN, sending=2, sending_names=("b", "c")), 3),
            id="after failures",
        ),
        pytest.param(BUSY, Decision(False, BUSY, busy=True), id="while another sends"),
        pytest.param(PAUSED, Decision(False, PAUSED, paused=True), id="in a pause"),
        pytest.param(
            DEAD,
            Decision(
                True,
                replace(DEAD, **BEGUN, sent_at=0.0, told=-1, sending=4, sending_names=("x", "y", "b", "c")),
                3,
            ),
            id="after another has died",
        ),
    ],
)
def test_a_success(record, expected):
    assert decided("on_success", record, now=NOW, sending=SENDING) == expected


def test_a_success_without_a_recovery_message_forgets_all():
    assert decided("on_success", HELD, now=NOW) == Decision(True, Record(), 3)


@pytest.mark.parametrize(
    ("rule", "record", "values", "expected"),
    [
        pytest.param(
            "on_sent",
            MINE,
            {"now": NOW},
            Decision(False, replace(MINE, **NOT_SENDING, sent_at=NOW, named=("x", "y"))),
            id="told",
        ),
        pytest.param(
            "on_sent", BUSY, {"now": NOW}, Decision(False, BUSY), id="told, after another took over"
        ),
        pytest.param(
            "on_recovered", BUSY, {"failures": 3}, Decision(False, BUSY), id="recovered, another took over"
        ),
        pytest.param("on_recovered", MINE, {"failures": 3}, Decision(False, Record()), id="recovered"),
        pytest.param(
            "on_recovered",
            MINE,
            {"failures": 2},
            Decision(False, replace(MINE, **NOT_SENDING, failures=1, sent_at=0.0)),
            id="recovered, and failed since",
        ),
        pytest.param(
            "on_left",
            replace(MINE, waiter="me", waits_until=NOW),
            {"now": NOW, "pause": 30.0},
            Decision(
                False,
                replace(MINE, **NOT_SENDING, sent_at=0.0, held=0, names=(), told=3, paused_until=NOW + 30),
                2,
                ("b", "c"),
            ),
            id="left, after a doubtful answer",
        ),
        pytest.param(
            "on_left",
            PAUSED,
            {"now": NOW, "pause": 0.0},
            Decision(False, replace(HELD, sent_at=0.0, held=0, names=(), told=3), 2, ("b", "c")),
            id="left, certainly not sent",
        ),
        pytest.param(
            "on_unsent",
            replace(MINE, waiter="me", waits_until=NOW),
            {"held": 2, "names": ("x", "y")},
            Decision(
                False,
                replace(MINE, **NOT_SENDING, sent_at=0.0, told=-1, held=4, names=("x", "y", "b", "c")),
            ),
            id="unsent",
        ),
        pytest.param(
            "on_unsent",
            BUSY,
            {"held": 1, "names": ("x",)},
            Decision(False, replace(BUSY, sent_at=0.0, told=0, held=3, names=("x", "b", "c"))),
            id="unsent, after another took over",
        ),
        pytest.param(
            "on_unsent_success",
            MINE,
            {"failures": 3, "now": NOW, "pause": 30.0},
            Decision(
                False,
                replace(MINE, **NOT_SENDING, held=4, names=("x", "y", "b", "c"), paused_until=NOW + 30),
            ),
            id="untold success, doubtful",
        ),
        pytest.param(
            "on_unsent_success",
            MINE,
            {"failures": 3, "now": NOW},
            Decision(False, replace(MINE, **NOT_SENDING, held=4, names=("x", "y", "b", "c"))),
            id="untold success",
        ),
        pytest.param(
            "on_unsent_success",
            BUSY,
            {"failures": 3, "now": NOW},
            Decision(False, replace(BUSY, failures=6)),
            id="untold success, another took over",
        ),
        pytest.param(
            "on_claimed",
            BUSY,
            {"waits_until": NOW + 5},
            Decision(True, replace(BUSY, sender="me", waiter="me", waits_until=NOW + 5)),
            id="claimed, and it waits",
        ),
        pytest.param(
            "on_claimed",
            replace(HELD, waiter="other"),
            {"waits_until": 0.0},
            Decision(True, HELD),
            id="claimed, where nobody sends",
        ),
    ],
)
def test_the_end_of_a_sending(rule, record, values, expected):
    assert decided(rule, record, token="me", **values) == expected


def test_who_is_overtaken_is_held_with_what_it_would_have_told():
    found = decided("on_overtaken", BUSY, name="d", held=2, names=("e", "f"))

    assert found == Decision(False, replace(BUSY, **NOT_SENDING, held=5, names=("b", "c", "d", "e", "f")))


SUMMED = replace(HELD, **BEGUN, sent_at=NOW, told=3, summed_up=True, sending=2, sending_names=("b", "c"))


@pytest.mark.parametrize(
    ("record", "values", "expected"),
    [
        pytest.param(
            replace(WAITING, waiter="x"),
            {},
            Decision(False, replace(WAITING, waiter="x")),
            id="another waits",
        ),
        pytest.param(WAITING, {}, Decision(True, SUMMED, 2, ("b", "c")), id="two are held"),
        pytest.param(
            WAITING,
            {"failed": 9},
            Decision(True, replace(SUMMED, told=9, sending=8), 8, ("b", "c")),
            id="Airflow knows of more",
        ),
        pytest.param(
            replace(WAITING, held=0, names=()),
            {},
            Decision(False, replace(HELD, held=0, names=())),
            id="nobody is held",
        ),
        pytest.param(
            replace(WAITING, paused_until=NOW + 10),
            {},
            Decision(False, PAUSED, paused=True),
            id="in a pause",
        ),
        pytest.param(
            replace(BUSY, waiter="me", waits_until=NOW + 1),
            {},
            Decision(False, BUSY, busy=True),
            id="another sends",
        ),
        pytest.param(
            replace(BUSY, waiter="me", waits_until=NOW + 1),
            {"alone": False},
            Decision(True, SUMMED, 2, ("b", "c")),
            id="another machine may have written that another sends",
        ),
        pytest.param(
            replace(MINE, waiter="me", waits_until=NOW + 1),
            {},
            Decision(True, SUMMED, 2, ("b", "c")),
            id="it sends itself",
        ),
    ],
)
def test_a_summary(record, values, expected):
    assert decided("on_summary", record, now=NOW, token="me", sending=SENDING, **values) == expected


LOST_WORKER = replace(SENDING, attempt="try 7", lost=True)


@pytest.mark.parametrize(
    ("sending", "name", "expected"),
    [
        pytest.param(SENDING, "y", BUSY, id="another asks while it sends"),
        pytest.param(replace(SENDING, attempt="try 7"), "y", BUSY, id="its own try asks, and may still send"),
        pytest.param(
            LOST_WORKER,
            "y",
            replace(HELD, sent_at=0.0, told=-1, held=3, names=("x", "b", "c")),
            id="its own worker is lost: its failure is told by whoever asks",
        ),
        pytest.param(
            LOST_WORKER,
            "z",
            replace(HELD, sent_at=0.0, told=-1, held=4, names=("x", "y", "b", "c")),
            id="a summary's worker is lost: it told of others alone",
        ),
        pytest.param(replace(SENDING, lost=True), "y", BUSY, id="another's worker is lost"),
        pytest.param(replace(SENDING, attempt="", lost=True), "y", BUSY, id="no try's worker is lost"),
    ],
)
def test_who_counts_as_dead(sending, name, expected):
    assert throttle.without_the_dead(BUSY, NOW, sending, name) == expected


def test_who_has_no_try_is_no_part_of_another_who_has_none():
    busy = replace(BUSY, sending_try="")

    assert throttle.without_the_dead(busy, NOW, replace(SENDING, attempt="", lost=True), "y") == busy


@pytest.mark.parametrize(
    ("named", "held", "names", "left"),
    [
        pytest.param((), 3, ("a", "b"), (3, ("a", "b")), id="nothing was named"),
        pytest.param(("a",), 3, ("a", "b"), (2, ("b",)), id="one was"),
        pytest.param(("a", "b"), 3, ("a", "b"), (0, ()), id="all that have names were"),
        pytest.param(("x",), 2, (), (2, ()), id="none has a name"),
    ],
)
def test_what_a_recovery_repeats_no_more(named, held, names, left):
    found = replace(QUIET, named=named, held=held, names=names).unnamed()

    assert (found.held, found.names) == left


ROUTES = {"critical": ["1"], "tag:sales": ["2"], "tag:crm": ["3"], "default": ["9"]}


class TestRoutes:
    """To whom an alert goes."""

    @pytest.mark.parametrize(
        ("severity", "tags", "found"),
        [
            (None, [], ["9"]),
            ("critical", [], ["1"]),
            ("critical", ["sales"], ["1", "2"]),
            (None, ["sales", "crm"], ["3", "2"]),
            ("low", ["other"], ["9"]),
            ("low", ["crm"], ["3"]),
        ],
        ids=str,
    )
    def test_every_route_that_matches(self, severity, tags, found):
        assert choose(ROUTES, severity=severity, tags=tags) == found

    def test_there_may_be_no_default(self):
        assert choose({"critical": ["1"]}, tags=["x"]) == []

    @pytest.mark.parametrize(
        "named",
        [
            ["+15550001111,+15550002222"],
            ["+15550001111; ,\n+15550002222,"],
            [["+15550001111", "+15550002222, "], None, ""],
            ["+15550001111", ["+1 555 000 2222", "+15550001111"]],
        ],
        ids=["text", "blanks", "lists", "twice"],
    )
    def test_each_is_told_once_and_nothing_is_said_of_blanks(self, named, caplog):
        assert usable(named) == ["15550001111", "15550002222"]
        assert caplog.records == []

    def test_one_that_is_malformed_keeps_nobody_from_being_told(self, caplog):
        assert usable(["+15550001111, 12"]) == ["15550001111"]
        assert "the alert leaves some recipients out" in caplog.text


def test_after_a_success_the_run_that_had_failed_before_it_counts_again():
    """A task that is cleared fails, succeeds and fails in one and the same run."""
    before = Record(failures=4, runs=2, run="r1", first_failed_at=10.0, named=("load",), told=3)
    found = throttle.on_failure(
        before, name="load", now=30.0, cooldown=0, succeeded_at=20.0, run="r1", escalate_after=2
    )

    assert (found.record.runs, found.record.failures, found.record.run) == (1, 1, "r1")
    assert (found.record.first_failed_at, found.escalated) == (30.0, False)
    earlier = throttle.on_failure(before, name="load", now=30.0, cooldown=0, succeeded_at=10.0, run="r1")
    assert (earlier.record.runs, earlier.record.failures) == (2, 5), "a success before the row ends nothing"


def failed(record, **more):
    return throttle.on_failure(record, **{"name": "a", "now": NOW, "cooldown": 300.0, "run": "r2"} | more)


SENT = replace(HELD, sent_at=NOW - 10)
COOLDOWNS = {
    "within": (NOW - 299, NOW, False),
    "at its end": (NOW - 300, NOW, True),
    "of a clock that is ahead": (NOW + 299, NOW, False),
    "of a clock that is too far ahead": (NOW + 300, NOW, True),
    "before any message, soon after the epoch": (0.0, 100.0, True),
}


@pytest.mark.parametrize(("sent_at", "now", "sends"), COOLDOWNS.values(), ids=list(COOLDOWNS))
def test_no_message_follows_another_within_the_cooldown(sent_at, now, sends):
    assert failed(replace(HELD, sent_at=sent_at), now=now).send is sends


TWO_RUNS = replace(SENT, runs=2, run="r2")
ESCALATIONS = {
    "one run too few": (TWO_RUNS, {"run": "r3", "escalate_after": 4}, False),
    "the run that escalates": (TWO_RUNS, {"run": "r3", "escalate_after": 3}, True),
    "another task of it": (replace(TWO_RUNS, runs=3), {"run": "r2", "escalate_after": 3}, False),
    "a later run": (replace(TWO_RUNS, runs=3), {"run": "r4", "escalate_after": 3}, False),
    "never": (TWO_RUNS, {"run": "r3", "escalate_after": 0}, False),
    "the first run after a success": (
        SENT,
        {"run": "r2", "escalate_after": 1, "succeeded_at": NOW - 5},
        True,
    ),
}


@pytest.mark.parametrize(("record", "more", "sends"), ESCALATIONS.values(), ids=list(ESCALATIONS))
def test_only_the_run_that_escalates_ends_the_cooldown(record, more, sends):
    decision = failed(record, **more)

    assert (decision.send, decision.escalated) == (sends, sends)


TAKE_OVERS = {
    "in the second half": ({"waits_until": NOW + 10}, 20.0, True),
    "in the first half": ({"waits_until": NOW + 10.1}, 20.0, False),
    "after it": ({"waits_until": NOW - 5}, 20.0, True),
    "with one second": ({"waits_until": NOW}, 1.0, True),
    "who cannot wait": ({"waits_until": NOW - 5}, 0.0, False),
    "after a summary": ({"waits_until": NOW - 5, "summed_up": True}, 20.0, False),
}


@pytest.mark.parametrize(("fields_", "waits", "takes"), TAKE_OVERS.values(), ids=list(TAKE_OVERS))
def test_who_waits_in_the_place_of_another(fields_, waits, takes):
    decision = failed(replace(SENT, waiter="other", **fields_), waits=waits, token="me")

    assert (decision.send, decision.waits) == (False, takes)
    assert (decision.record.waiter, decision.record.held) == ("me" if takes else "other", 3)
    assert not takes or decision.record.waits_until == NOW + waits


@pytest.mark.parametrize("waits", [0.0, 1.0])
def test_a_message_begins_another_time_of_waiting(waits):
    record = replace(HELD, summed_up=True, paused_until=NOW - 1)
    decision = failed(record, waits=waits, token="me")

    assert (decision.send, decision.waits) == (True, waits > 0)
    assert (decision.record.summed_up, decision.record.paused_until) == (False, 0.0)


def test_who_has_a_run_in_hand_is_not_told_of_it():
    decision = failed(HELD, in_hand=True)

    assert (decision.send, decision.in_hand, decision.muted) == (False, True, False)
    assert (decision.record.held, decision.record.names) == (3, ("b", "c", "a"))


def test_a_success_ends_what_was_named():
    named = replace(HELD, named=("x",))

    assert failed(named).record.named == ("x", "b", "c", "a")
    assert failed(named, succeeded_at=NOW - 1).record.named == ("b", "c", "a")


@pytest.mark.parametrize(
    ("run", "runs", "told"), [("r1", 1, 1), ("r2", 2, -2), ("", 2, -2)], ids=["same", "another", "unknown"]
)
def test_what_was_told_is_counted_for_each_run(run, runs, told):
    record = failed(SENT, run=run).record

    assert (record.runs, record.run, record.told) == (runs, run, told)


def test_a_failure_of_no_run_is_a_run_of_its_own_each_time():
    assert failed(failed(QUIET, run="").record, run="").record.runs == 2


@pytest.mark.parametrize(("attempt", "left"), [("try 7", ("x",)), ("try 8", ("x", "y"))])
def test_a_dead_sender_s_own_failure_is_told_by_its_own_try(attempt, left):
    record = throttle.without_the_dead(
        replace(DEAD, held=0, names=()), NOW, Sending(attempt=attempt), name="y"
    )

    assert (record.names, record.held) == (left, len(left))


WEEK = 7 * 86_400.0
MOMENTS = {
    "sending": ("is_sending", {"sender": "me"}, "sends_until", 3600.0),
    "paused": ("is_paused", {}, "paused_until", 31.0),
    "muted": ("is_muted", {}, "muted_until", WEEK + 60.0),
}


@pytest.mark.parametrize(("asks", "more", "field", "longest"), MOMENTS.values(), ids=list(MOMENTS))
def test_what_lasts_up_to_a_moment_and_no_longer_than_it_can(asks, more, field, longest):
    lasts = {left: getattr(Record(**more, **{field: NOW + left}), asks)(NOW) for left in (0.0, 0.5, longest)}

    assert lasts == {0.0: False, 0.5: True, longest: True}
    assert not getattr(Record(**more, **{field: NOW + longest + 0.5}), asks)(NOW)


def test_without_a_sender_nobody_sends():
    assert not Record(sends_until=NOW + 10).is_sending(NOW)


def test_a_mute_knows_when_it_was_wished():
    assert QUIET.with_mute(until=5.0, by="x", at=3.0).mute_set_at == 3.0


@pytest.mark.parametrize(
    ("values", "sound"),
    [
        ({"summed_up": True}, True),
        ({"failures": True}, False),
        ({"sent_at": True}, False),
        ({"sent_at": 5}, True),
        ({"failures": 5.0}, False),
        ({"names": ("a", 7)}, False),
    ],
    ids=str,
)
def test_which_records_are_sound(values, sound):
    assert is_sound(replace(QUIET, **values)) is sound


def test_a_hundred_names_are_kept():
    kept = Held().with_more(101, tuple(map(str, range(101))))

    assert (kept.held, len(kept.names)) == (101, 100)


@pytest.mark.parametrize(
    "made", [Record(), Decision(False, QUIET), Sending()], ids=lambda it: type(it).__name__
)
def test_nothing_is_so_unless_it_is_said(made):
    said = {each.name: getattr(made, each.name) for each in fields(made) if each.name != "record"}

    assert not any(said.values())


def test_no_summary_of_a_run_that_somebody_has_in_hand():
    decision = throttle.on_summary(WAITING, now=NOW, token="me", in_hand=True)

    assert decision == Decision(False, HELD, in_hand=True)


def test_without_a_failure_there_is_no_summary():
    record = Record(waiter="me", waits_until=NOW)

    assert throttle.on_summary(record, now=NOW, token="me") == Decision(False, QUIET)


def test_a_success_without_a_token_leaves_what_is_held_where_it_is():
    decision = throttle.on_unsent_success(HELD, failures=2, now=NOW, pause=30.0)

    assert decision == Decision(False, replace(HELD, failures=5))
