"""
One suite for all that keeps values: the ledger's stores, the mark of an interrupted try, and the throttle state.

Whoever writes another store adds a line to a table here.
"""

from __future__ import annotations

import json
import os
import re
import stat
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.redis_server import parse_redis_url
from airflow_provider_whatsapp.delivery import stores
from airflow_provider_whatsapp.delivery.stores import (
    FileStore,
    LedgerError,
    MarkedMemory,
    MemoryStore,
    StateStore,
    attempt,
    local_path,
)
from airflow_provider_whatsapp.notifications import alert_stores, throttle_state
from airflow_provider_whatsapp.notifications.alert_stores import Files, SwapStore
from airflow_provider_whatsapp.notifications.records import Held, Person
from airflow_provider_whatsapp.notifications.redis_state import RedisState
from airflow_provider_whatsapp.notifications.throttle_state import ThrottleState
from tests.examples import examples

TASK = ("dag", "run/2026-01-01T00:00:00+00:00", "task", "-1")
OTHER = (*TASK[:3], "0")
WORST = 'ü€😀"\\/\n'
VALUES = [
    pytest.param({"claimed": [1, 2], "notes": [[1, "failed", {"code": 131026}, True]]}, id="a head"),
    pytest.param([], id="an empty list"),
    pytest.param({}, id="an empty object"),
    pytest.param(True, id="a switch"),
    pytest.param("", id="an empty text"),
    pytest.param(WORST, id="a text that needs escapes"),
    pytest.param(1_800_000_000.25, id="a moment"),
    pytest.param("x" * 60_000, id="as long as Airflow's store allows"),
]


class Accessor:
    """Airflow's task state store of one task: values cross it as JSON."""

    def __init__(self):
        self.kept, self.retention, self.error = {}, [], None

    def get(self, key):
        return json.loads(self.kept.get(key, "null"))

    def set(self, key, value, *, retention):
        if self.error is not None:
            raise self.error
        self.retention.append(retention)
        self.kept[key] = json.dumps(value)


class Variables:
    """Airflow's Variables: texts, and a write that fails is logged where nobody sees it."""

    def __init__(self):
        self.kept, self.deaf = {}, False

    def get(self, key, default=None):
        return self.kept.get(key, default)

    def set(self, key, value, description=None):
        if not self.deaf:
            self.kept[key] = str(value)

    def delete(self, key):
        self.kept.pop(key, None)


def in_a_bucket(place):
    import fsspec
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io import attach

    attach("memory", fs=fsspec.filesystem("memory"))
    return ObjectStoragePath(f"memory://bucket{place}")


# Each is made of a place that outlives its process, for a task.
LEDGER_STORES = {
    "memory": lambda place, task: MemoryStore(),
    "mark": lambda place, task: MarkedMemory(place.variables, task),
    "task state": lambda place, task: StateStore(place.accessors.setdefault(task, Accessor())),
    "files": lambda place, task: FileStore(place.folder, *task),
    "bucket": lambda place, task: FileStore(in_a_bucket(place.folder), *task),
}
LASTING = ("task state", "files", "bucket")
SHARED = ("files", "bucket")
"""Where a try that was given up can still write."""
ALERT_STORES = {
    "Variables": lambda place: place.variables,
    "files": lambda place: Files(place.folder),
    "Redis": lambda place: RedisState(parse_redis_url(place.redis().url), f"key {place.folder}"),
}


@pytest.fixture
def place(tmp_path, monkeypatch, request):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def redis():
        return request.getfixturevalue("redis_process")

    return SimpleNamespace(variables=Variables(), accessors={}, folder=tmp_path, redis=redis)


@pytest.fixture(params=LEDGER_STORES)
def kind(request):
    return request.param


@pytest.fixture
def open_store(place, kind):
    """Open the store of a task as a process does that has just begun."""
    return lambda task=TASK: LEDGER_STORES[kind](place, task)


class TestLedgerStores:
    """What a ledger relies on."""

    def test_there_is_nothing_at_first(self, open_store):
        assert open_store().get("head") is None

    @pytest.mark.parametrize("value", VALUES)
    def test_a_value_comes_back_as_it_was(self, open_store, value):
        store = open_store()
        store.set("note", value)

        assert store.get("note") == value

    def test_a_value_replaces_the_one_before_whole(self, open_store):
        store = open_store()
        store.set("note", {"a": 1, "b": [1] * 1000})
        store.set("note", {"a": 2})

        assert store.get("note") == {"a": 2}

    def test_keys_do_not_meet(self, open_store):
        store = open_store()
        keys = ("note", "owner", "1/note", "11/note", "1/notes/0", "1/notes/1", "notes/0")
        for key in keys:
            store.set(key, key)

        assert [store.get(key) for key in keys] == list(keys)

    def test_what_is_changed_after_it_was_kept_is_not_kept(self, open_store):
        store, value = open_store(), {"list": [1]}
        store.set("note", value)
        value["list"].append(2)
        store.get("note")["list"].append(3)

        assert store.get("note") == {"list": [1]}

    def test_it_says_whether_a_later_try_finds_what_was_written(self, open_store, kind):
        store = open_store()
        store.set("note", 1)

        assert store.durable is (kind in LASTING)
        assert open_store().get("note") == (1 if store.durable else None)

    def test_it_says_whether_two_tries_can_write_at_once(self, open_store, kind):
        assert open_store().exclusive is (kind not in SHARED)

    def test_tasks_do_not_share_it(self, open_store):
        open_store().set("note", 1)

        assert open_store(OTHER).get("note") is None

    def test_it_has_a_name_for_logs(self, open_store):
        assert len(open_store().name) > 5


class TestFiles:
    """What a file's name may be."""

    @pytest.mark.parametrize("length", [149, 150, 151, 400])
    def test_long_names_that_begin_alike_share_no_folder(self, tmp_path, length):
        tasks = ["t" * (length - 1) + end for end in "ab"]
        for task in tasks:
            FileStore(tmp_path, "dag", task).set("note", task)

        assert [FileStore(tmp_path, "dag", task).get("note") for task in tasks] == tasks
        assert all(len(folder.name) <= 163 for folder in (tmp_path / "dag").iterdir())

    @settings(max_examples=examples(60))
    @given(
        st.lists(st.text(max_size=30) | st.text("ab./% é", max_size=400), min_size=2, max_size=8, unique=True)
    )
    def test_no_two_names_share_a_folder_and_none_leaves_it(self, parts):
        names = [stores._folder_name(part) for part in parts]

        assert len(set(names)) == len(parts)
        for name in names:
            assert name not in ("", ".", "..")
            assert "/" not in name
            assert len(name.encode()) <= 255

    @pytest.mark.parametrize("part", ["dag", "a-b_c.d~e", "manual__2026-01-01T00:00:00+00:00", "x=1"])
    def test_a_usual_name_is_its_own(self, part):
        assert stores._folder_name(part) == part, "an earlier version's ledgers are found"

    @pytest.mark.parametrize(
        ("part", "name"),
        [
            ("", "%"),
            (".", "%2E"),
            ("..", "%2E%2E"),
            ("...", "..."),
            ("a/b", "a%2Fb"),
            ("x" * 150, "x" * 150),
            ("x" * 151, "x" * 150 + "-8eb827e6964d"),
        ],
        ids=["none", "dot", "dots", "three", "slash", "as long as may be", "longer"],
    )
    def test_a_name_stays_what_it_is(self, part, name):
        assert stores._folder_name(part) == name, "a later version finds the ledger"

    def test_a_value_is_a_small_file_that_the_umask_alone_closes(self, tmp_path):
        before = os.umask(0o027)
        try:
            FileStore(tmp_path).set("1/note", {"a": [1, 2]})
        finally:
            os.umask(before)
        (file,) = tmp_path.iterdir()

        assert (file.name, file.read_bytes()) == ("1-note.json", b'{"a":[1,2]}')
        assert stat.S_IMODE(file.stat().st_mode) == 0o640

    def test_a_folder_that_another_makes_just_then_is_there(self, tmp_path, monkeypatch):
        mkdir = Path.mkdir

        def just_before(self, *args, **options):
            mkdir(self)
            mkdir(self, *args, **options)

        monkeypatch.setattr(Path, "mkdir", just_before)
        store = FileStore(tmp_path / "ledgers", "dag")
        store.set("note", 1)

        assert store.get("note") == 1

    @pytest.mark.parametrize(
        "path", [Path("x"), SimpleNamespace(fs=SimpleNamespace())], ids=["disk", "bucket"]
    )
    def test_a_file_system_that_remembers_nothing_has_nothing_to_forget(self, path):
        stores.forget_listing(path)

    def test_a_listing_that_a_file_system_remembers_is_not_trusted(self):
        forgotten = []
        folder = SimpleNamespace(
            fs=SimpleNamespace(invalidate_cache=lambda: forgotten.append(1)), protocol="s3"
        )
        file = SimpleNamespace(read_bytes=lambda: b"7")
        store = FileStore(folder)
        store._folder = type("Folder", (), {"fs": folder.fs, "__truediv__": lambda self, name: file})()

        assert store.get("note") == 7
        assert forgotten == [1]

    def test_a_folder_that_is_removed_meanwhile_is_made_again(self, tmp_path):
        store = FileStore(tmp_path / "ledgers", "dag")
        store.set("note", 1)
        (tmp_path / "ledgers" / "dag" / "note.json").unlink()
        (tmp_path / "ledgers" / "dag").rmdir()
        store.set("note", 2)

        assert store.get("note") == 2

    @pytest.mark.parametrize(
        ("path", "found"),
        [
            pytest.param("/a/b", Path("/a/b"), id="a text"),
            pytest.param(Path("/a/b"), Path("/a/b"), id="a path"),
            pytest.param(SimpleNamespace(protocol="file", path="/a/b"), Path("/a/b"), id="a file"),
            pytest.param(SimpleNamespace(protocol="local", path="/a/b"), Path("/a/b"), id="a local file"),
            pytest.param(SimpleNamespace(protocol="", path="/a/b"), Path("/a/b"), id="no protocol"),
            pytest.param(SimpleNamespace(protocol="s3", path="a/b"), None, id="a bucket"),
            pytest.param(7, None, id="no path"),
        ],
    )
    def test_what_is_on_a_disk(self, path, found):
        assert local_path(path) == found


class RefusedError(Exception):
    """How Airflow's client says that a try is not the task's own any more."""

    def __init__(self, status):
        super().__init__("refused")
        self.error = SimpleNamespace(detail={"status_code": status})


class TestTaskState:
    """What Airflow's own store is told, and what it says."""

    def test_what_is_kept_lasts_for_a_retry_that_comes_late(self, place):
        LEDGER_STORES["task state"](place, TASK).set("note", 1)

        assert place.accessors[TASK].retention == [timedelta(days=90)]
        assert list(place.accessors[TASK].kept) == ["whatsapp/note"]

    @pytest.mark.parametrize("status", [404, 409, 410])
    def test_a_try_that_is_given_up_is_told_so_at_once(self, status):
        accessor = Accessor()
        accessor.error = RefusedError(status)
        with pytest.raises(LedgerError, match="no longer the task's current one") as caught:
            StateStore(accessor).set("note", 1)
        assert caught.value.permanent

    @pytest.mark.parametrize(
        "error", [RefusedError(500), RefusedError(403), OSError("away")], ids=["500", "403", "no answer"]
    )
    def test_any_other_failure_may_pass(self, error):
        accessor = Accessor()
        accessor.error = error
        with pytest.raises(type(error)):
            StateStore(accessor).set("note", 1)

    def test_without_its_supervisor_nothing_can_be_kept(self, monkeypatch):
        accessor = Accessor()
        accessor.error = OSError("broken pipe")
        store = StateStore(accessor)
        monkeypatch.setattr(stores.os, "getppid", lambda: 1)
        with pytest.raises(LedgerError, match="supervises this task has died") as caught:
            store.set("note", 1)
        assert caught.value.permanent


class TestAttempts:
    """How often a store is tried."""

    @pytest.mark.parametrize(("failures", "slept"), [(0, []), (1, [0.2]), (2, [0.2, 1.0])])
    def test_a_failure_that_passes_is_waited_for(self, monkeypatch, failures, slept):
        pauses, left = [], [OSError("x")] * failures
        monkeypatch.setattr(stores.time, "sleep", pauses.append)

        def act():
            if left:
                raise left.pop()
            return 7

        assert attempt(act, "it") == 7
        assert pauses == slept

    def test_one_that_stays_is_told_with_what_was_tried(self, monkeypatch):
        monkeypatch.setattr(stores.time, "sleep", lambda seconds: None)
        tries = []

        def act():
            tries.append(1)
            raise OSError("no space " + "x" * 900)

        with pytest.raises(LedgerError, match="the ledger could not be written: OSError: no space") as caught:
            attempt(act, "the ledger could not be written")
        assert len(tries) == 3
        assert not caught.value.permanent, "a retry of the task may go on"
        assert len(str(caught.value)) < 500

    def test_what_trying_again_cannot_help_is_not_tried_again(self):
        tries = []

        def act():
            tries.append(1)
            raise LedgerError("taken over", permanent=True)

        with pytest.raises(LedgerError, match="taken over"):
            attempt(act, "it")
        assert len(tries) == 1


def with_one_more(found):
    return Person(held=found.held + 1, names=(*found.names, WORST), free_at=1.5), found.held


@pytest.fixture(params=ALERT_STORES)
def alert_store(request, place):
    return ALERT_STORES[request.param](place)


def writes(store):
    """Return the name of what a record is written by."""
    return "swap" if isinstance(store, SwapStore) else "set"


class TestAlertStores:
    """What alerts rely on."""

    def test_there_is_nothing_at_first(self, alert_store):
        assert alert_store.get("key") is None
        assert alert_store.get("key", default="x") == "x"
        assert alert_store.get("key", "x") == "x"

    @pytest.mark.parametrize(
        "text", ["", "{}", WORST, "x" * 60_000], ids=["empty", "object", "escapes", "long"]
    )
    def test_a_text_comes_back_as_it_was_and_replaces_the_one_before(self, alert_store, text):
        alert_store.set("key", "before")
        alert_store.set("key", text)
        alert_store.set("another", "x")

        assert alert_store.get("key") == text

    def test_what_is_forgotten_is_not_there(self, alert_store):
        alert_store.set("key", "x")
        alert_store.set("another", "x")
        for _ in range(2):
            alert_store.delete("key")

        assert (alert_store.get("key"), alert_store.get("another")) == (None, "x")

    def test_a_record_comes_back_as_it_was(self, alert_store):
        for number in range(3):
            assert ThrottleState(alert_store).change("key", Person, with_one_more) == number

        assert ThrottleState(alert_store).read("key", Person) == Person(
            held=3, names=(WORST,) * 3, free_at=1.5
        )
        assert ThrottleState(alert_store).read("another", Person) == Person()

    def test_a_record_that_stays_is_not_written(self, alert_store, monkeypatch):
        monkeypatch.setattr(alert_store, writes(alert_store), None)
        assert ThrottleState(alert_store).change("key", Person, lambda found: (found, 7)) == 7

    @pytest.mark.parametrize(
        ("text", "unreadable"),
        [
            ("", 0),
            ("no JSON", 2),
            ("[]", 2),
            ("7", 2),
            ('{"held": "1"}', 2),
            ('{"of a later version": 2}', 0),
        ],
        ids=["empty", "no JSON", "list", "number", "of another kind", "of a later version"],
    )
    def test_what_cannot_be_read_is_empty_and_stands_in_the_log(self, alert_store, text, unreadable, caplog):
        name = alert_stores.name_of("key")
        alert_store.set(name, text)

        assert ThrottleState(alert_store).read("key", Held) == Held()
        counted = ThrottleState(alert_store).change(
            "key", Held, lambda found: (found.with_more(1, ("a",)), "counted")
        )
        assert counted == "counted"
        assert ThrottleState(alert_store).read("key", Held) == Held(held=1, names=("a",))
        assert [name in record.message for record in caplog.records] == [True] * unreadable

    @pytest.mark.parametrize("text", ["", "no JSON", "[]", "7", '{"held": 1, "of a later version": 2}'])
    def test_a_record_that_is_damaged_or_of_a_later_version_stops_no_alert(self, alert_store, text):
        alert_store.set(alert_stores.name_of("key"), text)
        found = ThrottleState(alert_store).read("key", Held)

        assert found == (Held(held=1) if "later" in text else Held())

    def test_a_claim_stands_until_another_is_made(self, alert_store):
        one, other = ThrottleState(alert_store), ThrottleState(alert_store)
        assert one.is_claimed_by("key", "one"), "nobody has claimed it"
        one.claim("key", "one")
        assert one.is_claimed_by("key", "one")
        other.claim("key", "other")
        assert not one.is_claimed_by("key", "one")
        assert other.is_claimed_by("key", "other")
        assert one.is_claimed_by("another", "one")

    def test_a_write_that_is_not_there_afterwards_is_one_that_failed(self, alert_store, monkeypatch):
        monkeypatch.setattr(alert_store, writes(alert_store), lambda *given: None)
        monkeypatch.setattr(throttle_state, "LONGEST_SWAP", 0.05)
        known = ThrottleState(alert_store)

        assert known.change("key", Person, with_one_more) is None
        assert known.change("key", Person, lambda found: (found, 7)) is None, "it is not asked again"

    def test_the_label_is_beside_the_record_and_the_key_is_not_in_its_name(self, alert_store, place):
        ThrottleState(alert_store).change("person 15550001111", Person, with_one_more, label="1555…11")
        if isinstance(alert_store, RedisState):
            ((key, _),) = alert_store.kept(10)
            assert re.fullmatch(r"wa:alerts:\{[0-9a-f]{16}\}:[0-9a-f]{32}", key)
            assert list(alert_store.items()) == [], "the page lists no people"
            return
        names = [*place.variables.kept, *(path.name for path in place.folder.glob("*.json"))]

        assert [name.partition(".")[0] for name in names] == [alert_stores.name_of("person 15550001111")]
        assert json.loads(alert_store.get(alert_stores.name_of("person 15550001111")))["key"] == "1555…11"


class TestMark:
    """The mark of an interrupted try, in a Variable."""

    def claimed(self, store, **more):
        store.set("head", {"claimed": [1], "sent": 0, "chunks": 0, "notes": [], "finished": None, **more})

    def test_it_is_there_from_the_first_claim_to_the_good_end(self, place):
        store = LEDGER_STORES["mark"](place, TASK)
        self.claimed(store, claimed=[])
        assert not place.variables.kept
        self.claimed(store)
        assert json.loads(place.variables.kept[store.key]) == {
            "dag_id": TASK[0],
            "run_id": TASK[1],
            "task_id": TASK[2],
            "map_index": TASK[3],
            "try_number": 1,
            "max_tries": 0,
        }
        self.claimed(store, claimed=[], sent=1, finished="success")
        assert not place.variables.kept

    @pytest.mark.parametrize(
        ("facts", "left"),
        [
            ({"finished": "success", "sent": 1}, False),
            ({"finished": "failed"}, False),
            ({"finished": "failed", "sent": 1}, True),
            ({"finished": "failed", "chunks": 1}, True),
            ({"finished": "failed", "notes": [[0, "unknown", {}, False]]}, True),
            ({"finished": "failed", "notes": [[0, "failed", {}, False]]}, False),
            ({"finished": None}, True),
        ],
        ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
    )
    def test_it_stays_where_somebody_may_have_been_reached(self, place, facts, left):
        store = LEDGER_STORES["mark"](place, TASK)
        self.claimed(store)
        self.claimed(store, claimed=[], **facts)

        assert bool(place.variables.kept) is left

    def test_it_says_of_which_try_it_is_and_comes_again_with_a_later_claim(self, place):
        store = LEDGER_STORES["mark"](place, TASK)
        assert store.key in store.name
        assert store.admit(2, 3, resend_on_clear=False) is False, "there is none yet"
        for _ in range(2):
            self.claimed(store)
            found = json.loads(place.variables.kept[store.key])
            assert (found["try_number"], found["max_tries"]) == (2, 3)
            self.claimed(store, claimed=[], finished="success")
            assert not place.variables.kept

    def test_a_mark_that_cannot_be_written_stops_the_claim(self, place):
        place.variables.deaf = True
        with pytest.raises(OSError, match="not there when it was read again"):
            self.claimed(LEDGER_STORES["mark"](place, TASK))
