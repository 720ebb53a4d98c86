"""What other users of the machine, a full disk and a process that hangs can do to the common pace."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from airflow_provider_whatsapp.client import pace_board
from airflow_provider_whatsapp.client.pace_board import Board, SharedBoard, open_board, own_folder

SIZE = 3
NAME = f"airflow-provider-whatsapp-{os.getuid()}"


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """A temporary directory, a runtime directory and a home of the test's own, all there."""
    for name in ("tmp", "run", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    pace_board._warn_once.cache_clear()
    return tmp_path


def open_to_others(path):
    path.mkdir()
    path.chmod(0o777)


def of_another_user(path):
    path.mkdir(mode=0o700)
    os.chown(path, 65_534, 65_534)


PLANTED = [
    pytest.param(open_to_others, id="a folder that others may write to"),
    pytest.param(
        of_another_user,
        id="another user's folder",
        marks=pytest.mark.skipif(os.getuid() != 0, reason="only root gives folders away"),
    ),
    pytest.param(lambda path: path.write_text(""), id="a file"),
    pytest.param(os.mkfifo, id="a FIFO"),
    pytest.param(lambda path: path.symlink_to(path.parent.parent / "home"), id="a link to a folder"),
    pytest.param(lambda path: path.symlink_to("nowhere"), id="a link to nothing"),
]


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_folder_switches_nothing_off(places, caplog, plant):
    from airflow_provider_whatsapp.notifications.memory import _turn

    planted = places / "tmp" / NAME
    plant(planted)

    board = open_board("account", SIZE)
    with _turn("an_alert"):
        pass

    found = places / "run" / "airflow-provider-whatsapp"
    assert isinstance(board, SharedBoard)
    assert {path.suffix for path in found.iterdir()} == {".pace", ".lock"}
    assert found.stat().st_mode & 0o077 == 0
    assert not planted.is_dir() or not [path for path in planted.iterdir() if path.suffix]
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert str(planted) in warning.getMessage(), "it is said once, and what to remove"


def test_the_last_place_is_the_user_s_own_cache(places, monkeypatch):
    (places / "tmp" / NAME).write_text("")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(places / "nowhere"))

    assert own_folder() == places / "home" / ".cache" / "airflow-provider-whatsapp"


def test_where_there_is_no_place_a_process_paces_itself_and_says_so(places, monkeypatch, caplog):
    for taken in (places / "tmp" / NAME, places / "run" / "airflow-provider-whatsapp"):
        taken.write_text("")
    monkeypatch.setenv("HOME", str(places / "tmp" / NAME))

    assert type(open_board("account", SIZE)) is Board
    assert "Pacing this process alone" in caplog.text


def test_the_usual_place_is_said_nothing_about(places, caplog):
    assert own_folder() == places / "tmp" / NAME
    assert caplog.records == []


@pytest.mark.parametrize("earlier", [None, 0, 8 * (SIZE + 1)], ids=["none", "empty", "sparse"])
def test_the_file_has_its_room_on_the_disk_before_it_is_mapped(places, earlier):
    """A write to a page without room ends the process with SIGBUS; an earlier version made such files."""
    path = places / "tmp" / "x.pace"
    if earlier is not None:
        path.touch()
        os.truncate(path, earlier)
    SharedBoard(path, SIZE)

    assert path.stat().st_size == 8 * (SIZE + 1)
    assert path.stat().st_blocks * 512 >= 8 * (SIZE + 1)


FULL = """
import errno, resource
from airflow_provider_whatsapp.client.pace_board import open_board
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
board = open_board("account", 3)
with board.locked() as numbers:
    numbers[0] = 1.0
board.put(1, 2.0)
print(type(board).__name__)
"""


def run_python(code, folder, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_full_disk_leaves_a_process_its_own_pace(places):
    with run_python(FULL, places / "tmp") as process:
        out, _ = process.communicate(timeout=60)

    assert (process.returncode, out) == (0, "Board\n")


STOPPED = """
import os, signal, sys
from pathlib import Path
from airflow_provider_whatsapp.client.pace_board import SharedBoard
with SharedBoard(Path(sys.stdin.readline().strip()), 3).locked() as numbers:
    numbers[0] = 7.0
    print("mine", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    numbers[0] = 8.0
"""


def test_a_process_that_is_stopped_with_the_lock_holds_up_the_others_once(places, monkeypatch, caplog):
    path = places / "tmp" / "x.pace"
    board = SharedBoard(path, SIZE)
    with run_python(STOPPED, places / "tmp", stdin=subprocess.PIPE) as process:
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "mine\n"
        slept = []
        monkeypatch.setattr(pace_board, "LONGEST_HOLD", 0.05)
        monkeypatch.setattr(
            pace_board.time,
            "sleep",
            lambda seconds, sleep=time.sleep: slept.append(seconds) or sleep(seconds),
        )

        with board.locked() as numbers:
            assert numbers[0] == 7.0, "its own pace begins where the common one was"
            numbers[1] = 5.0
        board.put(2, 6.0)
        waits = len(slept)
        with board.locked() as numbers:
            assert list(numbers) == [7.0, 5.0, 6.0]
        assert len(slept) == waits > 0, "it is waited for once"

        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0
    with board.locked() as numbers:
        assert list(numbers) == [8.0, 0.0, 0.0], "the common pace again"
    assert caplog.text.count("pacing this one alone") == 1
