"""Strays and limits, by the simulation that the benchmarks print; its clock is its own, and chance is seeded."""

from __future__ import annotations

import importlib.util
import json
import math
import struct
import sys
import time
from pathlib import Path

import pytest

from airflow_provider_whatsapp.client import pace_model
from airflow_provider_whatsapp.client.pace_board import own_folder
from airflow_provider_whatsapp.client.pacers import shared_pacer

ROOT = Path(__file__).parents[2]
LIMIT = 10.0


@pytest.fixture(scope="module")
def model():
    """The benchmark's module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        spec = importlib.util.spec_from_file_location("pacing_model", ROOT / "benchmarks" / "pacing_model.py")
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "pacing_model", module)
        spec.loader.exec_module(module)
        yield module


GATEWAYS = ("none", "strict window", "fixed window", "token bucket")


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize(("strays", "least"), [(0.0, 0.94), (0.01, 0.93), (0.02, 0.92), (0.05, 0.8)])
def test_strays_cost_little_more_than_themselves(model, gateway, strays, least):
    rate, refused = model.hold(gateway, strays, 0.0, seeds=2)

    assert rate >= least, f"{rate:.2f} of what strays of {strays:.0%} leave"
    assert refused <= strays + 0.03


@pytest.mark.parametrize("gateway", GATEWAYS[1:])
@pytest.mark.parametrize(("others", "least"), [(0.3, 0.7), (0.5, 0.6)])
def test_others_who_use_the_account_are_given_way_to_and_leave_most_of_the_rest(
    model, gateway, others, least
):
    rate, refused, recovery = model.measure(gateway, 0.0, others, seeds=2)

    assert least <= rate <= 1.15
    assert refused <= 0.11
    assert recovery <= 60


@pytest.mark.parametrize("until", [101, 120, 140])
@pytest.mark.parametrize("strays", [0.0, 0.02, 0.05])
def test_the_pace_is_back_within_a_minute_after_the_others(model, strays, until):
    simulation = model.Simulation("strict window", strays=strays, others=0.8, others_until=until, seed=4)
    simulation.run(until + 100)
    (machine,) = simulation.machines

    assert machine.rate(60, 100) < 5
    assert machine.back_at(until, 0.9 * LIMIT) <= 60


@pytest.mark.parametrize(("threads", "least", "most", "given_up"), [(1, 7.2, 0.14, 2), (8, 7.8, 0.11, 0)])
@pytest.mark.parametrize("gateway", GATEWAYS[1:])
def test_machines_that_do_not_know_of_each_other_share_the_limit(
    model, gateway, threads, least, most, given_up
):
    """The gateway names a Retry-After: a thread that waits for it is no evidence that nothing is refused."""
    simulation = model.Simulation(gateway, machines=4, threads=threads)
    simulation.run(200)
    rates = [machine.rate(20, 200) for machine in simulation.machines]
    arrived = sum(len(machine.moments) for machine in simulation.machines)
    accepted = sum(len(machine.accepted) for machine in simulation.machines)

    assert sum(rates) >= least
    assert 1 - accepted / arrived <= most
    assert all(rate > 0.5 for rate in rates)
    assert sum(machine.failed for machine in simulation.machines) <= given_up


def test_a_machine_that_is_let_alone_uses_up_the_limit(model):
    rate, refused = model.hold("fixed window", 0.0, 0.0, seeds=2)

    assert rate >= 0.96
    assert refused <= 0.01


PACE_FILE = json.loads((ROOT / "tests" / "data" / "written_by_0_1" / "pace.json").read_text())


def test_a_pace_file_of_0_1_goes_on(tmp_path, monkeypatch):
    """Its rhythm is kept: a process of that version may be sending at this moment."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    numbers = PACE_FILE["numbers"]
    later = time.monotonic() - PACE_FILE["clock"]
    moved = [number + later if number > 1000 else number for number in numbers[1:]]
    path = own_folder() / PACE_FILE["name"]
    path.write_bytes(struct.pack(f"{len(numbers)}d", time.time() - time.monotonic(), *moved))

    pacer = shared_pacer("key of 0.1", "https://earlier.example", LIMIT)
    with pacer._board.locked() as found:
        assert list(found[: len(moved)]) == moved
    moment, departure = pacer.take(time.monotonic())
    assert departure is not None
    assert moment >= moved[0], "the next moment, as 0.1 has left it"


# The model itself, on a board of the test's own: each of its numbers after each step.

RATE = 10.0
WALL = 1_000_000.0  # a multiple of the seconds between two probes


class Account:
    """One account's model, with a clock that the test moves."""

    def __init__(self, rate=RATE):
        self.board, self.now, self.requests = [0.0] * (3 + pace_model.SIZE), 1000.0, 0.0
        self.model = pace_model.PaceModel(rate, 3, wall=lambda: WALL + self.now - 1000.0)

    def __getitem__(self, name):
        return self.board[3 + getattr(pace_model, f"_{name.upper()}")]

    def make(self, requests, seconds=0.0):
        self.requests += requests
        self.now += seconds

    def refuse(self, *, alone=True, left_at=None):
        at = self.now if left_at is None else left_at
        self.model.refused(self.board, self.now, self.requests, left_at=at, alone=alone)

    def pace(self):
        return self.model.pace(self.board, self.now, self.requests)

    def slow(self, refusals=4):
        """Let requests be refused, one after the other, until the pace falls."""
        for _ in range(refusals):
            self.make(1, 0.1)
            self.refuse()
        return self


def test_each_refusal_is_evidence_for_a_limit_and_what_was_accepted_before_it_against_one():
    account = Account()
    account.make(1)
    account.refuse()
    assert account["evidence"] == pytest.approx(pace_model.REFUSAL)
    assert account.board[3:20] == [0.0] * 17, "an earlier version's places"
    assert account.board[20] == account["evidence"]
    account.make(3, 0.1)
    account.refuse()
    assert account["evidence"] == pytest.approx(2 * pace_model.REFUSAL + 2 * pace_model.ACCEPTANCE)
    account.make(1)
    account.refuse(alone=False)
    assert account["evidence"] == pytest.approx(2 * pace_model.REFUSAL + 2 * pace_model.ACCEPTANCE), (
        "no new event"
    )
    account.make(1000)
    account.refuse()
    assert account["evidence"] == pytest.approx(pace_model.REFUSAL), "there is no less than none"


def test_time_is_evidence_too_but_for_what_a_refused_thread_waits():
    account = Account()
    account.make(1)
    account.refuse()
    account.make(1, pace_model.RETRY_AFTER)
    account.refuse()
    assert account["evidence"] == pytest.approx(2 * pace_model.REFUSAL), "nobody has made a request meanwhile"
    account.make(1, pace_model.RETRY_AFTER + 1.0)
    account.refuse()
    accepted = pace_model.IDLE * RATE * 1.0 - 1.0
    assert account["evidence"] == pytest.approx(3 * pace_model.REFUSAL + accepted * pace_model.ACCEPTANCE)


def test_the_share_of_refusals_fades():
    account = Account()
    account.make(2, 1.0)
    account.refuse()
    fresh = account["requests"], account["seconds"]
    account.make(4, pace_model.MEMORY)
    account.refuse()
    faded = math.exp(-1)

    assert account["refusals"] == pytest.approx(1 + faded)
    assert account["requests"] == pytest.approx(fresh[0] * faded + 4)
    assert account["seconds"] == pytest.approx(fresh[1] * faded + pace_model.MEMORY)


def test_three_refusals_are_strays_and_the_fourth_is_a_limit():
    account = Account().slow(3)
    assert account.pace() == RATE
    account.slow(1)

    # All of the last four were refused, of few in a long time; one decision slows down to a tenth at most.
    expected = RATE * pace_model.FEWEST * (1 - pace_model.DEEPEST) * pace_model.BELOW
    assert account.pace() == pytest.approx(expected)
    assert account.model.slowness(account.board, account.now, account.requests) == pace_model.Slowness(
        account.pace(), RATE, pace_model.DEEPEST
    )
    assert (account["evidence"], account["refusals"], account["requests"], account["seconds"]) == (0, 0, 0, 0)
    assert (account["weighed_at"], account["weighed_of"]) == (account.now, account.requests)
    assert (account["counted_at"], account["counted_of"]) == (account.now, account.requests)


@pytest.mark.parametrize(("seconds", "used"), [(2.0, 20 / 2), (4.0, 20 / 4), (40.0, 10 * 0.3), (0.01, 10.0)])
def test_a_slow_pace_is_what_was_accepted_of_what_was_used(seconds, used):
    """Of twenty requests a quarter is refused; few threads go slower than they may, and so much is not taken off."""
    account = Account()
    account.board[3 + pace_model._COUNTED_AT] = account.now
    view = pace_model._View(account.board, 3)
    view[pace_model._REFUSALS], view[pace_model._REQUESTS], view[pace_model._SECONDS] = 5.0, 20.0, seconds
    account.model._slow_down(view, account.now, 20.0, pace=RATE, slow=False)

    assert account["low"] == pytest.approx(used * 0.75 * pace_model.BELOW)
    assert account["share"] == pytest.approx(0.25)


def test_a_slow_pace_grows_and_gives_way_to_each_further_refusal():
    account = Account().slow()
    low = account.pace()
    account.make(0, 10.0)
    grown = low * (1 + pace_model.GROWTH * 10)
    assert account.pace() == pytest.approx(grown)
    account.make(1)
    account.refuse()
    assert account.pace() == pytest.approx(grown * (1 - pace_model.GIVE_WAY))


def test_the_pace_never_falls_to_nothing_and_never_exceeds_the_rate():
    account = Account().slow()
    for _ in range(200):
        account.make(1, 0.01)
        account.refuse()
    assert account.pace() == pytest.approx(RATE * pace_model.SLOWEST, rel=0.01)
    view = pace_model._View(account.board, 3)
    view[pace_model._LOW] = RATE
    assert account.model._low(view, account.now + 1000.0) == RATE


@pytest.mark.parametrize(
    ("into", "wait"), [(0.0, 50.0), (20.0, 30.0), (44.9, 5.1), (45.0, 55.0), (49.0, 51.0)], ids=str
)
def test_machines_probe_in_the_same_second_and_not_too_soon(into, wait):
    account = Account()
    account.now += into - 0.4
    account.slow()

    assert account["probe_at"] - account.now == pytest.approx(wait)


def test_a_probe_goes_at_the_full_rate_and_what_left_before_it_says_nothing():
    account = Account().slow()
    low, at = account.pace(), account["probe_at"]
    account.make(1, at - account.now - 0.01)
    assert account.pace() < RATE
    account.make(1, 0.01)
    assert account.pace() == RATE
    assert account["probe_of"] == account.requests
    assert account["low"] == pytest.approx(low * (1 + pace_model.GROWTH * (at - account["decided_at"])))
    account.make(1, 0.1)
    account.refuse(left_at=at - 0.001)
    assert account["evidence"] == 0.0
    account.refuse(left_at=at)
    assert account["evidence"] > 0.0


@pytest.mark.parametrize(("made", "early"), [(0, True), (15, True), (16, False)])
def test_a_limit_that_shows_in_a_probe_brings_the_low_pace_back(made, early):
    account = Account().slow()
    account.make(0, account["probe_at"] - account.now)
    account.pace()
    before = account["low"]
    account.make(made)
    view = pace_model._View(account.board, 3)
    view[pace_model._WEIGHED_OF] = account.requests
    account.slow()

    if early:  # as before it, and at least half of what the probe has found
        share = min(pace_model.DEEPEST, 4 / max(4, made + 4))
        assert account["low"] == pytest.approx(
            max(before, RATE * (1 - share) * pace_model.AT_LEAST), rel=0.03
        )
    else:
        assert account["low"] == pytest.approx(RATE * 0.8 * pace_model.BELOW, rel=0.03)
    assert account["probe_of"] == 0.0
    assert account["probe_at"] > account.now


def test_a_refusal_of_what_left_before_the_decision_says_nothing_about_the_pace_since():
    account = Account().slow()
    low = account.pace()
    account.make(1)
    account.refuse(left_at=account["decided_at"])
    assert account.pace() == low
    account.refuse(left_at=account["decided_at"] + 0.001)
    assert account.pace() == pytest.approx(low * (1 - pace_model.GIVE_WAY))


def test_what_a_refusal_and_an_accepted_request_weigh():
    """A quarter is refused under a limit, of strays six in a hundred."""
    assert pytest.approx(math.log(25 / 6)) == pace_model.REFUSAL
    assert pytest.approx(math.log(75 / 94)) == pace_model.ACCEPTANCE


def test_a_probe_begins_at_its_moment_and_knows_nothing_of_what_was_before():
    account = Account().slow()
    account.make(5, 1.0)
    account.refuse()
    low = account["low"]
    assert account["evidence"] > 0
    account.now = account["probe_at"]
    assert account.pace() == RATE
    assert (account["evidence"], account["refusals"], account["requests"], account["seconds"]) == (0, 0, 0, 0)
    assert (account["weighed_at"], account["counted_at"], account["low_at"]) == (account.now,) * 3

    raised = account["low"]
    assert raised > low
    account.refuse(left_at=account["probe_at"])
    assert account["evidence"] > 0, "what leaves with the probe counts"
    assert (account["low"], account.pace()) == (raised, RATE), "one alone may be a stray"
