"""What other users of the machine, a full disk and a process that hangs can do to the common pace."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

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
    assert "Pacing only this process" in caplog.text


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


@contextlib.contextmanager
def stopped_with_the_lock(path, folder):
    with run_python(STOPPED, folder, stdin=subprocess.PIPE) as process:
        try:
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "mine\n"
            yield process
        finally:
            process.kill()  # a stopped one would be waited for without end


def test_a_process_that_is_stopped_with_the_lock_holds_up_the_others_once(places, monkeypatch, caplog):
    path = places / "tmp" / "x.pace"
    board = SharedBoard(path, SIZE)
    with stopped_with_the_lock(path, places / "tmp") as process:
        slept = []
        monkeypatch.setattr(pace_board, "LONGEST_HOLD", 0.05)

        def sleep(seconds, sleep=time.sleep):
            slept.append(seconds)
            assert len(slept) < 500, "it is waited for without end"
            sleep(seconds)

        monkeypatch.setattr(pace_board.time, "sleep", sleep)
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
    assert caplog.text.count("this process paces only its own requests") == 1


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
    ("off", "kept"), [(0.0, True), (60.0, True), (-60.0, True), (60.5, False), (-60.5, False)]
)
def test_numbers_of_an_earlier_start_of_the_machine_are_forgotten(places, monkeypatch, off, kept):
    """Their clock began again with it; the wall clock may have been corrected a little meanwhile."""
    clocks = SimpleNamespace(time=lambda: 5000.0, monotonic=lambda: 100.0)
    monkeypatch.setattr(pace_board, "time", clocks)
    board = SharedBoard(places / "tmp" / "x.pace", SIZE)
    with board.locked() as numbers:
        numbers[0], numbers[2] = 1.0, 3.0
    clocks.time = lambda: 5000.0 + off
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
        monkeypatch.setattr(pace_board.os, "posix_fallocate", None, raising=False)
        if has:
            pace_board._allocate(file.fileno(), 32)  # what has its room is left alone

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


LOCKED = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
"""


class TestBoard:
    """Who may change the numbers, and when."""

    @pytest.fixture(params=["process", "machine"])
    def board(self, request, tmp_path):
        return Board(3) if request.param == "process" else SharedBoard(tmp_path / "x.pace", 3)

    def test_one_thread_at_a_time(self, board):
        inside = threading.Event()

        def enter():
            with board.locked():
                inside.set()

        with board.locked():
            other = threading.Thread(target=enter)
            other.start()
            assert not inside.wait(0.05)
        assert inside.wait(30)
        other.join()

    def test_an_error_lets_go_of_it(self, board):
        with pytest.raises(KeyError), board.locked():
            raise KeyError
        with board.locked() as numbers:
            assert list(numbers) == [0, 0, 0]

    def test_one_process_at_a_time(self, tmp_path):
        path = tmp_path / "x.pace"
        board = SharedBoard(path, 3)

        def locked():
            done = subprocess.run([sys.executable, "-c", LOCKED, path], capture_output=True, check=False)
            return done.returncode != 0

        with board.locked():
            assert locked()
        assert not locked()

    def test_two_boards_of_one_file_have_the_same_numbers(self, tmp_path):
        one, two = (SharedBoard(tmp_path / "x.pace", 3) for _ in range(2))
        with one.locked() as numbers:
            numbers[0] = 1.0
        one.put(2, 3.0)
        with two.locked() as numbers:
            assert list(numbers) == [1.0, 0.0, 3.0]


@pytest.fixture(params=["machine", "process"])
def folder(request, tmp_path, monkeypatch):
    """Where boards are; in the second case there is no such place."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if request.param == "process":
        monkeypatch.setattr(
            "airflow_provider_whatsapp.client.pace_board.own_folder", lambda: tmp_path / "none"
        )
    return request.param


@pytest.mark.parametrize("more", [0, 5])
def test_a_board_has_room_for_all_that_it_is_asked_for(folder, more):
    board = open_board("account", 3, more=more)
    with board.locked() as numbers:
        assert list(numbers) == [0.0] * (3 + more)
    assert isinstance(board, SharedBoard) is (folder == "machine")


def test_a_version_that_knows_less_of_a_board_shares_what_it_knows(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    older, newer = open_board("account", 3), open_board("account", 3, more=5)
    with newer.locked() as numbers:
        numbers[2], numbers[7] = 2.0, 7.0
    with older.locked() as numbers:
        assert list(numbers) == [0.0, 0.0, 2.0]
    with open_board("account", 4).locked() as numbers:
        assert list(numbers) == [0.0] * 4, "another size is another rate"


def test_a_lock_of_a_board_is_asked_for_without_waiting(tmp_path, monkeypatch):
    """A process that is stopped while it holds the lock must not stop the others in the kernel."""
    board = SharedBoard(tmp_path / "x.pace", 3)
    asked = []
    monkeypatch.setattr(fcntl, "lockf", lambda file, how: asked.append(how))
    with board.locked():
        pass

    assert asked == [fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN]
    os.close(board._file)


def test_where_a_file_cannot_be_locked_a_process_paces_itself(places, monkeypatch):
    def lockf(file, how):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(pace_board.fcntl, "lockf", lockf)
    assert type(open_board("account", SIZE)) is Board


def test_the_places_of_a_user_without_a_home_or_a_runtime_directory(places, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    first, *between, last = pace_board._folders()
    usual = Path(f"/run/user/{os.getuid()}")
    assert (first, last) == (
        places / "tmp" / NAME,
        places / "home" / ".cache" / "airflow-provider-whatsapp",
    )
    assert between == ([usual / "airflow-provider-whatsapp"] if usual.is_dir() else [])

    def home():
        raise RuntimeError("no home")

    monkeypatch.setattr(pace_board.Path, "home", home)
    assert list(pace_board._folders()) == [first, *between]
