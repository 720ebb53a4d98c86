"""A selection of the campaign: each fault once, by a seed that stays the same. `make campaign` plays many of them."""

from __future__ import annotations

import pytest

from tests.campaigns import rounds

SEED = 1
BUSY = 1.0
"""
Seconds that a write to the ledger may take where other tests run beside it, so that more is claimed ahead.
`make campaign`, which has the machine to itself, judges by the window of claims alone.
"""


@pytest.fixture(scope="module")
def disks():
    return rounds.has_disks()


@pytest.mark.parametrize("name", rounds.FAULTS)
def test_a_task_goes_on_after_a_fault(sandbox, change_connection, tmp_path, disks, name):
    if name in rounds.DISKS and not disks:
        pytest.skip("disks cannot be mounted here")
    change_connection(extra={"rate_limit": rounds.RATE, "max_retries": 1})

    found, mistakes = rounds.play(name, sandbox, tmp_path, SEED, write=BUSY)

    assert rounds.forbidden(found) == {}, mistakes
