"""Strays and limits, by the simulation that the benchmarks print; its clock is its own, and chance is seeded."""

from __future__ import annotations

import importlib.util
import json
import struct
import sys
import time
from pathlib import Path

import pytest

from airflow_provider_whatsapp.client.pace_board import own_folder
from airflow_provider_whatsapp.client.rate_limit import shared_pacer

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
    rate, refused, _ = model.measure(gateway, strays, 0.0, seeds=2)

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
    rate, refused, _ = model.measure("fixed window", 0.0, 0.0, seeds=2)

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
