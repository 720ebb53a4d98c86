"""Hours of sending through a real Airflow: the task goes away and comes back for each time zone."""

from __future__ import annotations

from datetime import UTC, datetime

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach

from airflow_provider_whatsapp.delivery import windows
from tests.airflow.running import lines, reached, state, xcom

pytestmark = pytest.mark.airflow

GERMANY = [f"+491555000{number:04}" for number in range(6)]
JAPAN = [f"+8190000{number:05}" for number in range(6)]
AMERICA = [f"+1555000{number:04}" for number in range(6)]
MIXED = [number for three in zip(AMERICA, JAPAN, GERMANY, strict=True) for number in three]
DAY = ["09:00", "20:00"]


def digits(numbers):
    return {number.lstrip("+") for number in numbers}


class Clock:
    """The time that the package and the trigger go by; the trigger moves it."""

    def __init__(self, now):
        self.now, self.waits = now, []


@pytest.fixture
def clock(monkeypatch, dag_bag, sandbox):
    """Stop the time at noon in London on a summer's day; a trigger that waits moves it, and notes what it saw."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.providers.standard.triggers import temporal
    from airflow.triggers.base import TriggerEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    clock = Clock(datetime(2026, 7, 1, 12, 0, tzinfo=UTC))

    class Moves(temporal.DateTimeTrigger):
        async def run(self):
            with create_session() as session:
                task = select(TaskInstance).where(TaskInstance.dag_id == "broadcast_window")
                last = session.scalars(task.order_by(TaskInstance.start_date.desc()).limit(1)).one()
                # What Airflow keeps of a task that has left its worker and is to be called again.
                deferred = last.next_method is not None and last.trigger_id is not None
            clock.waits.append((self.moment, deferred, set(reached(sandbox))))
            clock.now = max(clock.now, self.moment)
            yield TriggerEvent(self.moment)

    monkeypatch.setattr(windows, "present", lambda: clock.now)
    monkeypatch.setattr(temporal, "DateTimeTrigger", Moves)
    return clock


def test_each_country_is_written_to_in_its_own_hours(run, sandbox, ledger, clock, tmp_path):
    """It is 14:00 in Germany, 21:00 in Japan, 5:00 and 8:00 on America's coasts."""
    results = ObjectStoragePath(f"file://{tmp_path}/results.jsonl")
    if not ledger:  # the other kind of place for results, where nothing can be appended
        attach("memory", fs=fsspec.filesystem("memory"))
        results = ObjectStoragePath(f"memory://window{tmp_path}/results.jsonl")

    dag_run = run(
        "broadcast_window",
        recipients=MIXED,
        window=DAY,
        timezone="recipient",
        results=str(results),
        **ledger,
    )

    assert state(dag_run) == "success"
    assert [(moment, seen) for moment, _, seen in clock.waits] == [
        (datetime(2026, 7, 1, 16, 0, tzinfo=UTC), digits(GERMANY)),
        (datetime(2026, 7, 2, 0, 0, tzinfo=UTC), digits(GERMANY) | digits(AMERICA)),
    ]
    assert all(deferred for _, deferred, _ in clock.waits), "no worker is taken while it waits"
    assert reached(sandbox) == dict.fromkeys(digits(MIXED), 1)
    assert xcom(dag_run)["sent"] == 18
    found = {row["to"]: row["message_id"] for row in lines(results)}
    assert found == {message["to"]: message["id"] for message in sandbox.messages}


def test_outside_everybody_s_hours_it_waits_before_the_first(run, sandbox, ledger, clock):
    dag_run = run(
        "broadcast_window", recipients=[*AMERICA, *JAPAN], window=DAY, timezone="recipient", **ledger
    )

    assert state(dag_run) == "success"
    assert clock.waits[0][1:] == (True, set())
    assert reached(sandbox) == dict.fromkeys(digits([*AMERICA, *JAPAN]), 1)


def test_nobody_waits_when_all_windows_are_open(run, sandbox, ledger, clock):
    dag_run = run(
        "broadcast_window", recipients=GERMANY, window="09:00-20:00", timezone="recipient", **ledger
    )

    assert (state(dag_run), clock.waits) == ("success", [])
    assert reached(sandbox) == dict.fromkeys(digits(GERMANY), 1)
