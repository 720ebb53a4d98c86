"""What people have missed: named by one message after the other, until all of it is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.notifications.missed import (
    MAX_AGE,
    MAX_ENTRIES,
    Untold,
    entries_of,
    listed,
    on_leave,
    on_strike,
    on_take,
)
from airflow_provider_whatsapp.notifications.records import Held

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
    untold, expected = Untold(), 0
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
    assert untold == Untold()


def test_two_messages_at_a_time_name_different_failures():
    untold = left(Untold(), "a", 2, ["orders.load", "orders.check"])
    untold, first = taken(untold)
    untold = left(untold, "b", 1, ["crm.sync"])
    _, second = taken(untold, now=1010)

    assert [entry.names for entry in (*first, *second)] == [("orders.load", "orders.check"), ("crm.sync",)]


def test_what_is_remembered_is_bounded_and_the_number_stays_right():
    untold = Untold()
    for number in range(3 * MAX_ENTRIES):
        untold = left(untold, str(number), 1, [f"dag.task{number}"])

    assert len(untold.entries) == MAX_ENTRIES
    assert sum(entry.held for entry in untold.entries) == 3 * MAX_ENTRIES


def test_old_news_is_forgotten():
    untold = left(Untold(), "a", 1, ["orders.load"])

    assert taken(untold, now=1000 + MAX_AGE) == (Untold(), ())


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
