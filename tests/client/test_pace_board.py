"""What other users of the machine, a full disk and a process that hangs can do to the common pace."""

from __future__ import annotations

import fcntl
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
    from airflow_provider_whatsapp.notifications.throttle_state import _locked

    planted = places / "tmp" / NAME
    plant(planted)

    board = open_board("account", SIZE)
    with _locked("an_alert"):
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
    assert caplog.text.count("this process paces itself") == 1


def test_a_runtime_directory_by_a_relative_path_is_no_place(places, monkeypatch):
    (places / "tmp" / NAME).write_text("")
    monkeypatch.chdir(places)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "run")

    assert own_folder() == places / "home" / ".cache" / "airflow-provider-whatsapp"


def test_a_place_that_is_there_already_is_taken_as_it_is(places):
    assert own_folder() == own_folder() == places / "tmp" / NAME
    assert own_folder().stat().st_mode & 0o777 == 0o700


def test_each_account_has_a_file_of_its_own_that_says_nothing_of_it(places):
    for account, size in (("account", SIZE), ("account", SIZE), ("account", SIZE + 1), ("another", SIZE)):
        open_board(account, size)
    files = list((places / "tmp" / NAME).iterdir())

    assert len(files) == 3
    for file in files:
        assert len(file.stem) == 32
        assert set(file.stem) <= set("0123456789abcdef")
        assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("off", "kept"), [(0.0, True), (59.0, True), (-59.0, True), (61.0, False), (-61.0, False)]
)
def test_numbers_of_an_earlier_start_of_the_machine_are_forgotten(places, monkeypatch, off, kept):
    """Their clock began again with it; the wall clock may have been corrected a little meanwhile."""
    board = SharedBoard(places / "tmp" / "x.pace", SIZE)
    with board.locked() as numbers:
        numbers[0], numbers[2] = 1.0, 3.0
    now = time.time()
    monkeypatch.setattr(pace_board.time, "time", lambda: now + off)
    with board.locked() as numbers:
        assert list(numbers) == ([1.0, 0.0, 3.0] if kept else [0.0, 0.0, 0.0])
        numbers[1] = 2.0
    with board.locked() as numbers:
        assert numbers[1] == 2.0, "what is written then counts from this start"


def test_a_file_that_cannot_be_mapped_is_not_left_open(places, monkeypatch):
    closed, close = [], os.close
    monkeypatch.setattr(pace_board.os, "close", lambda file: closed.append(file) or close(file))
    monkeypatch.setattr(pace_board.mmap, "mmap", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        SharedBoard(places / "tmp" / "x.pace", SIZE)
    assert len(closed) == 1


@pytest.mark.parametrize("has", [True, False], ids=["allocated", "where the system cannot allocate"])
@pytest.mark.parametrize("earlier", [0, 100])
def test_a_file_is_as_long_as_is_asked_for_and_never_cut(places, monkeypatch, has, earlier):
    if not has:
        monkeypatch.delattr(pace_board.os, "posix_fallocate", raising=False)
    path = places / "tmp" / "x.pace"
    path.write_bytes(b"\1" * earlier)
    with path.open("r+b") as file:
        pace_board._allocate(file.fileno(), 32)

    assert path.read_bytes()[:earlier] == b"\1" * earlier
    assert path.stat().st_size == max(32, earlier)


def test_a_lock_that_is_refused_is_asked_for_again_after_pauses_that_grow(places, monkeypatch):
    board = SharedBoard(places / "tmp" / "x.pace", SIZE)
    slept, refusals = [], [BlockingIOError(), PermissionError()] * 4
    monkeypatch.setattr(pace_board.time, "sleep", slept.append)

    def lockf(file, how):
        if how != fcntl.LOCK_UN and refusals:
            raise refusals.pop()

    monkeypatch.setattr(pace_board.fcntl, "lockf", lockf)
    with board.locked() as numbers:
        assert numbers is board._numbers

    assert slept == [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.02, 0.02]
