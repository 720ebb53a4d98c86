"""What tells a list from another: its stamp, which costs no reading, and the digest of all its bytes."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.delivery.list_identity import Watched, digest_of, size_of, stamp


class Bucket:
    """A path on an object store that says this of a file."""

    protocol, name = "memory", "people.csv"

    def __init__(self, info, content=b""):
        self.path, self.content, self.forgotten = "bucket/people.csv", content, 0
        self.fs = SimpleNamespace(info=lambda path: self._info(path, info), invalidate_cache=self._forget)

    def _info(self, path, info):
        assert path == self.path
        if isinstance(info, Exception):
            raise info
        return info

    def _forget(self):
        self.forgotten += 1

    def __str__(self):
        return "memory://bucket/people.csv"

    def open(self, mode):
        assert mode == "rb"
        return io.BytesIO(self.content)


INFOS = {
    "with a mark": ({"size": 7, "ETag": "a"}, 7, [7, "ETag=a"]),
    "with several": (
        {"size": "7", "etag": "a", "generation": 3, "name": "x"},
        7,
        [7, "etag=a", "generation=3"],
    ),
    "with an empty one": ({"size": 7, "md5Hash": None, "checksum": "c"}, 7, [7, "checksum=c"]),
    "with none": ({"size": 7, "name": "x"}, 7, None),
    "without a size": ({"ETag": "a"}, None, None),
    "of no known size": ({"size": None, "ETag": "a"}, None, None),
    "that is not there": (FileNotFoundError("x"), None, None),
    "that fails in a way of its own": (KeyError("x"), None, None),
}


@pytest.mark.parametrize(("info", "size", "marks"), INFOS.values(), ids=list(INFOS))
def test_what_a_store_says_of_a_file(info, size, marks):
    path = Bucket(info)

    assert (size_of(path), stamp(path)) == (size, marks)
    assert path.forgotten == 2, "what was listed before may be older"


@pytest.mark.parametrize("name", ["ETag", "etag", "md5Hash", "content_md5", "generation", "checksum"])
def test_each_store_s_mark_counts(name):
    assert stamp(Bucket({"size": 1, name: "a"})) != stamp(Bucket({"size": 1, name: "b"}))


def test_a_file_on_a_disk_is_another_one_once_it_was_written_again(tmp_path):
    path = tmp_path / "people.csv"
    assert (size_of(path), stamp(path)) == (None, None)
    path.write_bytes(b"abc")
    found = path.stat()

    assert size_of(path) == 3
    assert stamp(path) == [3, str(found.st_mtime_ns), str(found.st_ctime_ns), str(found.st_ino)]


@pytest.mark.parametrize("size", [0, 3, 2**20, 2**20 + 1])
def test_the_digest_is_that_of_all_bytes(tmp_path, size):
    content = b"x" * size
    (tmp_path / "a").write_bytes(content)

    assert digest_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("read", [0, 5, 100, -1])
def test_the_digest_of_a_list_that_is_read_is_that_of_the_whole_file(read):
    content = b"0123456789" * 7
    watched = Watched(Bucket({"size": 70}, content))
    assert watched.digest() == ""
    with watched.open() as file:
        taken = file.read(read) if read else b""

    assert taken == (content if read < 0 else content[:read])
    assert watched.digest() == hashlib.sha256(content).hexdigest()


def test_a_list_is_closed_once_also_where_its_rest_cannot_be_read():
    class Breaks(io.BytesIO):
        closings = 0

        def read(self, size=-1):
            raise OSError("reset")

        def close(self):
            Breaks.closings += 1
            super().close()

    source = Bucket({"size": 1})
    source.open = lambda mode: Breaks(b"x")
    file = Watched(source).open()
    assert file.readable()
    with pytest.raises(OSError, match="reset"):
        file.close()
    assert file.closed
    file.close()
    assert Breaks.closings >= 1


@pytest.mark.parametrize(
    ("path", "protocol", "where"),
    [(Path("/x/people.csv"), "file", "/x/people.csv"), (Bucket({}), "memory", "memory://bucket/people.csv")],
    ids=["disk", "bucket"],
)
def test_a_watched_list_says_where_it_lies(path, protocol, where):
    watched = Watched(path)

    assert (watched.name, watched.protocol, watched.path) == ("people.csv", protocol, where)
    assert str(watched) == str(path)


def test_a_path_that_says_nothing_of_its_store_is_a_watched_one():
    assert Watched(SimpleNamespace(name="x")).protocol == "watched"
