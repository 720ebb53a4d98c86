"""Files of a ledger: whole for every reader, however many write, and on the disk when they are said to be."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading

import pytest

from airflow_provider_whatsapp.delivery import local_files
from airflow_provider_whatsapp.delivery.stores import FileStore


def is_folder(handle):
    return stat.S_ISDIR(os.fstat(handle).st_mode)


@pytest.fixture
def on_sync(monkeypatch):
    """Do something before each fsync; it is told the handle."""
    sync = os.fsync

    def use(act):
        def fsync(handle):
            act(handle)
            sync(handle)

        monkeypatch.setattr(os, "fsync", fsync)

    return use


def test_a_writer_that_comes_in_between_takes_nothing_from_the_other(tmp_path, on_sync):
    store, others = FileStore(tmp_path), iter(["second"])

    def come_in_between(_handle):
        for value in others:
            store.set("head", value)
            assert store.get("head") == value

    on_sync(come_in_between)
    store.set("head", "first")

    assert store.get("head") == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["head.json"]


def test_two_writers_and_a_reader_never_meet_half_a_file(tmp_path):
    values = {"short": ["short"] * 5, "long": ["long"] * 5000}
    errors = []
    FileStore(tmp_path).set("head", values["short"])

    def write(value):
        try:
            for _ in range(150):
                FileStore(tmp_path).set("head", value)
        except OSError as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=(value,)) for value in values.values()]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert FileStore(tmp_path).get("head") in values.values()

    assert not errors
    assert [path.name for path in tmp_path.iterdir()] == ["head.json"]


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(tmp_path, on_sync):
    store = FileStore(tmp_path)
    store.set("head", "old")

    def fail(_handle):
        raise OSError(errno.ENOSPC, "no space")

    on_sync(fail)
    with pytest.raises(OSError, match="no space"):
        store.set("head", "new")

    assert store.get("head") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["head.json"]


def test_a_power_cut_takes_back_neither_the_name_of_a_file_nor_its_folders(tmp_path, on_sync):
    folders, synced = [tmp_path, tmp_path / "dag", tmp_path / "dag" / "run"], []
    file = folders[-1] / "head.json"
    on_sync(lambda handle: synced.append((os.fstat(handle).st_ino, file.exists())))

    FileStore(tmp_path, "dag", "run").set("head", 1)

    top, middle, bottom = (folder.stat().st_ino for folder in folders)
    assert synced == [(top, False), (middle, False), (file.stat().st_ino, False), (bottom, True)]


@pytest.mark.parametrize(("code", "fails"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_only_a_file_system_that_cannot_sync_folders_is_let_off(tmp_path, on_sync, code, fails):
    def refuse(handle):
        if is_folder(handle):
            raise OSError(code, "refused")

    on_sync(refuse)
    if fails:
        with pytest.raises(OSError, match="refused"):
            FileStore(tmp_path).set("head", 1)
    else:
        FileStore(tmp_path).set("head", 1)
    assert FileStore(tmp_path).get("head") == 1


def read(file):
    with file:
        return file.read()


def replace_and_fail(path):
    with local_files.replacing(path, mode=0o600):
        raise OSError("refused")


HANDLES = {
    "opened by a path without links": (lambda top: read(local_files.open_resolved(top / "a" / "file")), b"x"),
    "not there": (lambda top: local_files.open_resolved(top / "a" / "nothing"), FileNotFoundError),
    "a folder not there": (lambda top: local_files.open_resolved(top / "b" / "file"), FileNotFoundError),
    "a folder in its place": (lambda top: local_files.open_regular(top / "a"), OSError),
    "replaced": (lambda top: FileStore(top).set("head", 1), None),
    "not replaced": (lambda top: replace_and_fail(top / "new"), OSError),
    "folder synchronised": (local_files.sync_folder, None),
}


@pytest.mark.parametrize("case", HANDLES)
def test_no_handle_stays_open_whatever_becomes_of_a_file(tmp_path, monkeypatch, case):
    act, expected = HANDLES[case]
    top = tmp_path.resolve()
    (top / "a").mkdir()
    (top / "a" / "file").write_bytes(b"x")
    opened, open_ = [], os.open

    def noted(*args, **options):
        handle = open_(*args, **options)
        found = os.fstat(handle)
        opened.append((handle, found.st_dev, found.st_ino))
        return handle

    monkeypatch.setattr(os, "open", noted)
    if isinstance(expected, type):
        with pytest.raises(expected):
            act(top)
    else:
        assert act(top) == expected
    monkeypatch.undo()

    assert opened
    for handle, device, number in opened:
        with contextlib.suppress(OSError):  # it is closed, or somebody else's by now
            assert (os.fstat(handle).st_dev, os.fstat(handle).st_ino) != (device, number)


def test_what_goes_wrong_while_a_file_is_written_is_what_is_raised(tmp_path):
    def write():
        with local_files.replacing(tmp_path / "new", mode=0o600):
            next(tmp_path.glob("new.*.new")).unlink()
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("durable", "synced"), [(True, [4, None]), (False, [])])
def test_a_file_s_content_is_on_the_disk_before_its_name_is(tmp_path, monkeypatch, durable, synced):
    sizes = []

    def note(handle):
        found = os.fstat(handle)
        sizes.append(None if stat.S_ISDIR(found.st_mode) else found.st_size)

    monkeypatch.setattr(os, "fsync", note)
    with local_files.replacing(tmp_path / "new", mode=0o640, durable=durable) as file:
        file.write(b"text")
    assert sizes == synced
    assert (tmp_path / "new").read_bytes() == b"text"


def test_a_folder_that_may_not_be_listed_is_let_off(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    local_files.sync_folder(tmp_path)


def test_a_folder_of_one_s_own_is_one_s_own(tmp_path):
    for _ in range(2):
        local_files.make_private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(NotADirectoryError):
        local_files.make_private_folder(tmp_path / "link")


@pytest.mark.parametrize(
    ("mode", "other", "good"),
    [(0o1777, 0, True), (0o1777, 1, False), (0o755, 1, True)],
    ids=["one's own, where anybody may write", "another's, where anybody may write", "another's, elsewhere"],
)
def test_whose_a_private_folder_may_be(tmp_path, monkeypatch, mode, other, good):
    (tmp_path / "a").mkdir()
    tmp_path.chmod(mode)
    owner = (tmp_path / "a").stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + other)
    if good:
        local_files.check_private_folder(tmp_path / "a")
    else:
        with pytest.raises(PermissionError, match="belongs to another user"):
            local_files.check_private_folder(tmp_path / "a")
