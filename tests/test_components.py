"""What starts a real Airflow for the tests leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from tests.airflow.components import Components
from tests.airflow.running import is_there

PART = """
import os, pathlib, sys, time

def main():
    if sys.argv[1] == "exits":
        sys.exit("it has failed")
    if sys.argv[1] == "raises":
        raise RuntimeError("it has failed")
    pathlib.Path(f"{sys.argv[1]}.pid").write_text(str(os.getpid()))
    while True:
        time.sleep(0.1)
"""


@pytest.fixture
def components(tmp_path):
    """Give what starts Airflow, with something in Airflow's place whose commands write down who they are, and stay."""
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "__init__.py").touch()
    (tmp_path / "airflow" / "__main__.py").write_text(PART)
    with Components(os.environ | {"PYTHONPATH": str(tmp_path)}, tmp_path, shared=()) as made:
        yield made


def wait_for(condition):
    until = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


def start_two(components, folder):
    for name in ("scheduler", "triggerer"):
        components.start(name)
    files = [folder / f"{name}.pid" for name in ("scheduler", "triggerer")]
    return [int(wait_for(lambda file=file: file.exists() and file.read_text())) for file in files]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a process that its parent has ended")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_parts_end_with_the_process_that_has_started_them(components, tmp_path, how):
    parts = start_two(components, tmp_path)
    assert all(map(is_there, parts))

    os.kill(components._process.pid, how)

    wait_for(lambda: not any(map(is_there, parts)))


def test_parts_end_with_the_tests(components, tmp_path):
    parts = start_two(components, tmp_path)

    components.__exit__()

    assert not any(map(is_there, parts))


def test_a_part_that_has_ended_is_started_again_and_one_that_always_ends_is_reported(components, tmp_path):
    first, other = start_two(components, tmp_path)
    (tmp_path / "scheduler.pid").unlink()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: (components.look_after(), (tmp_path / "scheduler.pid").exists())[1])
    assert components.ends == {"scheduler": 1}
    assert is_there(other)

    components.start("raises")
    with pytest.raises(AssertionError, match="it has failed"):
        wait_for(components.look_after)


@pytest.mark.parametrize("how", ["exits", "raises"])
def test_a_command_that_fails_says_what_it_said(components, how):
    with pytest.raises(AssertionError, match="it has failed"):
        components.run(how)
