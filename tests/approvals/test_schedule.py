"""What is due of a question that nobody has answered."""

from __future__ import annotations

import pytest

from airflow_provider_whatsapp.approvals.schedule import Schedule

ASKED = {"asked_at": 1000.0, "looked": False, "reminded": 0}


@pytest.mark.parametrize(
    ("schedule", "state", "passed", "due", "left"),
    [
        pytest.param(Schedule(), {}, 10, None, None, id="without end"),
        pytest.param(Schedule(response=100), {}, 98, None, 2, id="before the end"),
        pytest.param(Schedule(response=100), {}, 99, "end", 1, id="a second early is the end"),
        pytest.param(Schedule(response=100, delivery=60), {}, 58, None, 2, id="before the look"),
        pytest.param(Schedule(response=100, delivery=60), {}, 60, "look", 1, id="the look"),
        pytest.param(
            Schedule(response=100, delivery=60), {"looked": True}, 60, None, 40, id="looked already"
        ),
        pytest.param(
            Schedule(response=100, delivery=60), {}, 101, "end", 1, id="the end comes before all else"
        ),
        pytest.param(Schedule(remind=70, reminders=2), {}, 68, None, 2, id="before the reminder"),
        pytest.param(Schedule(remind=70, reminders=2), {}, 70, "remind", 1, id="the first reminder"),
        pytest.param(Schedule(remind=70, reminders=2), {"reminded": 1}, 71, None, 69, id="between two"),
        pytest.param(Schedule(remind=70, reminders=2), {"reminded": 1}, 140, "remind", 1, id="the second"),
        pytest.param(Schedule(remind=70, reminders=2), {"reminded": 2}, 999, None, None, id="no third"),
        pytest.param(
            Schedule(remind=70, reminders=1, delivery=60), {}, 75, "look", 1, id="both: the earlier one"
        ),
    ],
)
def test_what_is_due(schedule, state, passed, due, left):
    state, now = ASKED | state, ASKED["asked_at"] + passed
    assert schedule.due(state, now) == due
    assert schedule.seconds_left(state, now) == left


@pytest.mark.parametrize(
    ("schedule", "in_parts"),
    [
        (Schedule(), False),
        (Schedule(response=100), False),
        (Schedule(response=100, delivery=60), True),
        (Schedule(remind=60, reminders=1), True),
        (Schedule(remind=60, reminders=0), False),
    ],
)
def test_whether_it_is_waited_in_parts(schedule, in_parts):
    assert schedule.in_parts is in_parts
