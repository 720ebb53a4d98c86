"""What people have missed: named by one message after the other, until all of it is told."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.notifications.alert_stores import parsed
from airflow_provider_whatsapp.notifications.missed import (
    MAX_AGE,
    MAX_ENTRIES,
    Missed,
    Undelivered,
    entries_of,
    listed,
    on_leave,
    on_strike,
    on_take,
)
from airflow_provider_whatsapp.notifications.records import LONGEST_SENDING, Held

ROOM = 180


def left(untold, token, count, names, now=1000.0):
    return on_leave(untold, entries_of(token, "key", Held(held=count, names=tuple(names)), now=now))[0]


def taken(untold, now=1000.0, lasts=30.0):
    return on_take(untold, now=now, lasts=lasts, room=ROOM)


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3)), max_size=40),
    st.lists(st.sampled_from(["arrives", "does not", "dies"]), min_size=1, max_size=60),
)
def test_every_failure_is_named_until_a_message_arrives_with_it(alerts, fates):
    """Whatever becomes of the messages: nothing is lost, and what has arrived is not named again."""
    untold, expected = Undelivered(), 0
    for number, (named, unnamed) in enumerate(alerts):
        names = [f"dag{number}.task_with_a_name_{index}" for index in range(named)]
        untold = left(untold, str(number), named + unnamed, names)
        expected += named + unnamed
    now, told, seen = 1000.0, 0, set()
    for fate in [*fates, *["arrives"] * len(alerts) * 8]:
        now += 31
        untold, entries = taken(untold, now)
        assert not seen & {entry.token for entry in entries}
        if fate == "arrives":
            seen |= {entry.token for entry in entries}
            told += sum(entry.held for entry in entries)
            untold, _ = on_strike(untold, {entry.token for entry in entries})
        elif fate == "does not":
            untold, _ = on_leave(untold, entries)

    assert told == expected
    assert untold == Undelivered()


def test_two_messages_at_a_time_name_different_failures():
    untold = left(Undelivered(), "a", 2, ["orders.load", "orders.check"])
    untold, first = taken(untold)
    untold = left(untold, "b", 1, ["crm.sync"])
    _, second = taken(untold, now=1010)

    assert [entry.names for entry in (*first, *second)] == [("orders.load", "orders.check"), ("crm.sync",)]


def test_what_is_recorded_is_bounded_and_the_number_stays_right():
    untold = Undelivered()
    for number in range(3 * MAX_ENTRIES):
        untold = left(untold, str(number), 1, [f"dag.task{number}"])

    assert len(untold.entries) == MAX_ENTRIES
    assert sum(entry.held for entry in untold.entries) == 3 * MAX_ENTRIES


def test_old_news_is_forgotten():
    untold = left(Undelivered(), "a", 1, ["orders.load"])

    assert taken(untold, now=1000 + MAX_AGE) == (Undelivered(), ())


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["load"], "load"),
        (["load", "load", "check"], "load (2 times), check"),
        ([f"load[{index}]" for index in (3, 0, 1, 7, 2)], "load[0-3, 7]"),
        (["crm.sync", "a[1]", "a[2]", "crm.sync"], "crm.sync (2 times), a[1-2]"),
    ],
)
def test_names_are_listed_briefly(names, said):
    assert listed(names) == said


PORTIONS = {
    "nothing": (0, (), []),
    "numbers alone": (3, (), [(3, 0)]),
    "one portion": (5, "abcde", [(5, 5)]),
    "one name more": (6, "abcdef", [(5, 5), (1, 1)]),
    "unnamed ones go with the last": (9, "abcdef", [(5, 5), (4, 1)]),
    "more names than failures": (1, "ab", [(2, 2)]),
}


@pytest.mark.parametrize(("held", "names", "found"), PORTIONS.values(), ids=list(PORTIONS))
def test_failures_in_portions_that_fit_a_message_each(held, names, found):
    entries = list(entries_of("t", "key", Held(held=held, names=tuple(names)), now=7.0))

    assert [(entry.held, len(entry.names)) for entry in entries] == found
    assert [entry.token for entry in entries] == [f"t.{number}" for number in range(len(found))]
    assert {(entry.key, entry.at, entry.until) for entry in entries} <= {("key", 7.0, 0.0)}
    assert "".join(name for entry in entries for name in entry.names) == "".join(names)


@pytest.mark.parametrize("length", [119, 120, 121, 500])
def test_a_long_name_is_cut(length):
    (entry,) = entries_of("t", "key", Held(held=1, names=("x" * length,)), now=7.0)

    assert entry.names == ("x" * length if length <= 120 else "x" * 119 + "…",)


def test_of_too_many_the_oldest_are_counted_together_under_a_name_of_their_own():
    untold = Undelivered(
        entries=tuple(Missed(held=1, names=(str(n),), token=str(n), key="k") for n in range(MAX_ENTRIES))
    )
    same, _ = on_leave(untold, [Missed(held=2, token="new", key="k")])
    other, _ = on_leave(
        untold, [Missed(held=2, token="new", key="k"), Missed(held=1, token="newer", key="z")]
    )

    assert len(untold.entries) == len(same.entries) == len(other.entries) == MAX_ENTRIES
    assert (same.entries[0].token, same.entries[0].key, same.entries[0].held) == ("1+", "k", 2)
    assert same.entries[0].names == ("0", "1")
    assert (other.entries[0].token, other.entries[0].held) == ("2+", 3)
    assert [entry.token for entry in other.entries[-2:]] == ["new", "newer"]
    mixed, _ = on_leave(
        Undelivered(entries=(Missed(token="a", key="x"), *untold.entries[1:])),
        [Missed(held=2, token="new", key="k")],
    )
    assert mixed.entries[0].key == "", "failures of several keys have none"


def test_what_is_left_again_stands_once_and_is_on_no_message_s_way():
    untold = Undelivered(
        entries=(Missed(held=1, token="a", until=99.0), Missed(held=1, token="b", until=99.0))
    )
    found, recorded = on_leave(untold, [Missed(held=1, token="a", until=99.0)])

    assert recorded is True
    assert [(entry.token, entry.until) for entry in found.entries] == [("b", 99.0), ("a", 0.0)]


ON_THE_WAY = {
    "none": (0.0, True),
    "one": (1_010.0, False),
    "one that is dead": (1_000.0, True),
    "one that is nearly dead": (1_000.5, False),
    "one that may just live": (1_000.0 + LONGEST_SENDING, False),
    "a moment of a wrong clock": (1_001.0 + LONGEST_SENDING, True),
}


@pytest.mark.parametrize(("until", "named"), ON_THE_WAY.values(), ids=list(ON_THE_WAY))
def test_what_a_message_on_its_way_names_no_other_does(until, named):
    untold, entries = taken(
        Undelivered(entries=(Missed(held=1, names=("a",), token="a", at=999.0, until=until),))
    )

    assert [entry.token for entry in entries] == (["a"] if named else [])
    assert untold.entries[0].until == (1_030.0 if named else until)


@pytest.mark.parametrize(("age", "known"), [(MAX_AGE - 1, True), (MAX_AGE, False)])
def test_how_old_news_may_be(age, known):
    untold, entries = taken(Undelivered(entries=(Missed(held=1, token="a", at=1_000.0 - age),)))

    assert len(untold.entries) == len(entries) == known


@pytest.mark.parametrize(("room", "count"), [(0, 1), (9, 1), (10, 2), (15, 2), (16, 3)])
def test_a_message_names_what_it_holds_and_one_portion_in_any_case(room, count):
    entries = tuple(Missed(held=1, names=(f"task{n}"[-4:],), token=str(n), at=999.0) for n in range(3))
    assert len(listed(["ask0", "ask1"])) == 10
    untold, found = on_take(Undelivered(entries=entries), now=1_000.0, lasts=30.0, room=room)

    assert len(found) == count
    assert [entry.until for entry in untold.entries] == [1_030.0] * count + [0.0] * (3 - count)


def test_entries_of_another_version_are_read_without_what_is_not_known():
    stored = {"entries": [{"held": 2, "names": ["a", "b"], "token": "t", "colour": "red"}, {"held": 1}]}

    assert parsed(json.dumps(stored), Undelivered).entries == (
        Missed(held=2, names=("a", "b"), token="t"),
        Missed(held=1),
    )


@pytest.mark.parametrize(
    ("numbers", "said"),
    [([5], "5"), ([1, 2], "1-2"), ([1, 3], "1, 3"), ([2, 1, 1, 4, 5, 9], "1-2, 4-5, 9")],
)
def test_the_indexes_of_mapped_tasks_are_listed_together(numbers, said):
    assert listed(f"load[{number}]" for number in numbers) == f"load[{said}]"
