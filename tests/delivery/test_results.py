"""The file of results: everybody once, the newest word of each, message ids kept over kills."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.errors import OutcomeUnknownError, RecipientError
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.delivery import results as module
from airflow_provider_whatsapp.delivery.recipients import Row
from airflow_provider_whatsapp.delivery.report import Outcome
from airflow_provider_whatsapp.delivery.result_lines import dump, has_shape, marked
from airflow_provider_whatsapp.delivery.result_parts import ResultsError, place_of
from airflow_provider_whatsapp.delivery.results import Results
from tests.disks import fill, make_room, mounted
from tests.examples import examples


@pytest.fixture(params=["disk", "object store"])
def path(request, tmp_path):
    if request.param == "disk":
        return tmp_path / "out" / "results.jsonl"
    import fsspec
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io import attach

    attach("memory", fs=fsspec.filesystem("memory"))
    return ObjectStoragePath(f"memory://bucket{tmp_path}/results.jsonl")


def row(position):
    return Row(position, str(position), {"to": str(position), "name": "Ann"}, given=f"+{position}")


def sent(position, message_id):
    return Outcome(
        str(position), "sent", sent=SentMessage(message_id=message_id, wa_id=None, to=str(position))
    )


def read(path):
    return {line["n"]: line for line in map(json.loads, path.read_bytes().decode().splitlines())}


def test_a_killed_try_s_message_ids_are_kept_and_the_newest_word_counts(path):
    first = Results(path, key="run", number=1)
    first.begin(start_over=True)
    first.take(row(0), sent(0, "a"))
    first.take(row(1), Outcome("1", "failed", error=RecipientError("no")))
    first.take(row(2), Outcome("2", "skipped", reason="stopped"))
    first.flush()  # and then the worker is killed

    second = Results(path, key="run", number=2)
    second.begin(start_over=False)
    second.take(row(0), Outcome("0", "sent"))
    second.take(row(1), sent(1, "b"))
    second.take(row(2), Outcome("2", "sent"))
    second.take(row(3), Outcome("3", "unknown"))

    assert second.finish() == 4
    found = read(path)
    assert (found[0]["message_id"], found[1]["message_id"]) == ("a", "b")
    assert [found[place]["status"] for place in range(4)] == ["sent", "sent", "sent", "unknown"]
    assert found[3]["row"] == {"to": "3", "name": "Ann"}
    assert "row" not in found[0]
    second.clean()

    third = Results(path, key="run", number=3, resumed=True)
    third.begin(start_over=False)
    for place in range(3):
        third.take(row(place), Outcome(str(place), "sent"))
    third.take(row(3), sent(3, "c"))
    assert third.finish() == 4
    assert [read(path)[place].get("message_id") for place in range(4)] == ["a", "b", None, "c"]


def test_another_run_s_file_is_replaced(path):
    for key, message_id in (("monday", "a"), ("tuesday", "b")):
        results = Results(path, key=key, number=1)
        results.begin(start_over=True)
        results.take(row(0), sent(0, message_id))
        results.finish()
        results.clean()

    assert read(path)[0]["message_id"] == "b"


def test_a_try_that_waits_for_its_hours_loses_no_message_id(path, monkeypatch):
    """Each execution of one try writes parts of its own, also where a store keeps one object for each upload."""
    monkeypatch.setattr(module, "PART", 2)
    for execution in range(3):  # the task is deferred in between, and comes back as the same try
        results = Results(path, key="run", number=1)
        results.begin(start_over=execution == 0)
        for place in range(execution * 5, execution * 5 + 5):
            results.take(row(place), sent(place, f"id-{place}"))
        for place in range(execution * 5):
            results.take(row(place), Outcome(str(place), "sent"))
        for place in range(execution, 3):  # whom a later execution reaches
            results.take(row(100 + place), Outcome(str(100 + place), "skipped", reason="stopped"))
        for place in range(execution):
            results.take(row(100 + place), Outcome(str(100 + place), "failed", error=RecipientError("no")))
        results.flush()

    assert results.finish() == 18
    found = read(path)
    assert {place: found[place]["message_id"] for place in range(15)} == {
        place: f"id-{place}" for place in range(15)
    }
    assert [found[place]["status"] for place in (100, 101, 102)] == ["failed", "failed", "skipped"]


def test_two_processes_that_both_take_themselves_for_the_try_write_over_nothing(path, monkeypatch):
    with monkeypatch.context() as both_look_first:
        both_look_first.setattr(module, "parts_in", lambda folder: [])
        tries = [Results(path, key="run", number=1) for _ in range(2)]
        for results in tries:
            results.begin(start_over=False)
    for place, results in enumerate(tries):
        results.take(row(place), sent(place, f"id-{place}"))
        results.flush()

    assert tries[0].finish() == 2


def test_a_try_that_was_given_up_writes_nothing_over_what_the_next_has_put_together(path):
    slow = Results(path, key="run", number=1)
    slow.begin(start_over=True)
    slow.take(row(0), sent(0, "a"))
    slow.flush()
    following = Results(path, key="run", number=2)
    following.begin(start_over=False)
    following.take(row(1), sent(1, "b"))
    assert following.finish() == 2
    following.clean()

    slow.take(row(2), sent(2, "c"))
    with pytest.raises(ResultsError, match="another try of this task has written") as caught:
        slow.finish()
    assert caught.value.permanent, "a retry would find the same"
    assert read(path).keys() == {0, 1}


def test_the_newest_part_comes_first_whoever_wrote_it():
    """Names of version 0.1, on a disk and in an object store, lie before those of today."""
    oldest_first = [
        "0001.jsonl",
        "0001-0001-000000-0123456789ab.jsonl",
        "0001-0001-000001-0123456789ab.jsonl",
        "0001-0002-000000-fedcba987654.jsonl",
        "0002-000000.jsonl",
        "0002-000001.jsonl",
        "0002-0001-000000-0123456789ab.jsonl",
        "0010.jsonl",
    ]
    places = [place_of(name) for name in oldest_first]
    assert places == sorted(places)
    assert [place_of(name) for name in ("people.csv", "1.jsonl.new", "x-1.jsonl", "")] == [None] * 4


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def test_results_and_parts_are_their_owner_s_alone(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text("")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        results = Results(path, key="run", number=1)
        results.begin(start_over=True)
        results.take(row(0), sent(0, "a"))
        (folder,) = tmp_path.glob("*.parts")
        (part,) = folder.iterdir()
        assert (mode(folder), mode(part)) == (0o700, 0o600)
        results.finish()
    finally:
        os.umask(before)
    assert mode(path) == 0o600


@pytest.mark.parametrize("planted", ["link", "pipe", "folder of another"])
def test_what_somebody_has_planted_is_not_followed_and_does_not_hang(tmp_path, planted):
    """Folders that others may write to: the ledger's own tests do the same to it."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("precious")
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    path = shared / "results.jsonl"
    folder = shared / "results.jsonl.run.parts"
    if planted == "link":
        folder.symlink_to(victim)
    elif planted == "pipe":
        os.mkfifo(folder)
    else:
        folder.mkdir()
        try:
            os.chown(folder, 12345, 12345)
        except PermissionError:
            pytest.skip("only root can make somebody else's folder")

    with pytest.raises(ResultsError, match=rf"the results cannot be written to {path}: .*Nothing was sent"):
        Results(path, key="run", number=1).begin(start_over=True)
    assert [each.name for each in victim.iterdir()] == ["file"]

    path = shared / "others.jsonl"
    for name in ("others.jsonl.new", "others.jsonl"):
        (shared / name).symlink_to(victim / "file")
    results = Results(path, key="run", number=1, resumed=True)
    results.begin(start_over=True)
    results.take(row(0), sent(0, "a"))
    results.finish()
    assert (victim / "file").read_text() == "precious"
    assert read(path)[0]["message_id"] == "a"


def test_a_link_in_the_place_of_an_earlier_file_or_a_part_is_not_read(tmp_path):
    secret = tmp_path / "others.jsonl"
    secret.write_bytes(
        dump(
            marked(
                {"n": 7, "to": "7", "status": "failed", "given": "7", "where": "", "row": {"name": "secret"}}
            )
        )
    )
    path = tmp_path / "results.jsonl"
    path.symlink_to(secret)
    results = Results(path, key="run", number=1, resumed=True)
    results.begin(start_over=False)
    results.take(row(0), sent(0, "a"))
    with pytest.raises(ResultsError, match="symbolic links"):
        results.finish()
    path.unlink()
    (tmp_path / "results.jsonl.run.parts" / "0001.jsonl").symlink_to(secret)
    with pytest.raises(ResultsError, match="symbolic links"):
        results.finish()


def test_a_pipe_in_the_place_of_the_file_or_a_part_does_not_hang(tmp_path):
    path = tmp_path / "results.jsonl"
    os.mkfifo(path)
    results = Results(path, key="run", number=1, resumed=True)
    results.begin(start_over=False)
    results.take(row(0), sent(0, "a"))
    with pytest.raises(ResultsError, match="is not a regular file"):
        results.finish()
    path.unlink()
    part = tmp_path / "results.jsonl.run.parts" / "0002.jsonl"
    os.mkfifo(part)
    with pytest.raises(ResultsError, match="is not a regular file"):
        results.finish()
    part.unlink()
    assert results.finish() == 1


@pytest.fixture
def small_disk(tmp_path):
    with mounted(tmp_path / "disk") as disk:
        yield disk


def test_a_full_disk_stops_the_delivery_and_throws_no_answer_away(small_disk, deliver, people, sandbox):
    """The disk fills up in the middle: nobody else is sent to, all answers are in the ledger, a retry goes on."""
    path = small_disk / "results.jsonl"
    results = Results(path, key="run", number=1, total=400)
    results.begin(start_over=True)
    sandbox.fail_next("slow", seconds=0.05, times=0, path="/messages")

    def stop(delivery):
        results.on_failure = delivery.halt

    def take(row, outcome):
        if row.position == 30:
            fill(small_disk)
        results.take(row, outcome)

    report = deliver(people(400), take=take, stop=stop)

    reached = len(sandbox.messages)
    assert str(results.failure).startswith(
        f"the results cannot be written to {path}: No space left on device."
    )
    assert "retry or clear the task" in str(results.failure)
    assert (report.count("sent"), report.count("unknown"), report.total) == (reached, 0, 400)
    assert report.reasons["stopped"] == report.again == 400 - reached
    assert 0 < reached < 400
    with pytest.raises(ResultsError, match="No space left"):
        results.finish()
    assert not path.exists()

    make_room(small_disk)
    second = Results(small_disk.parent / "elsewhere.jsonl", key="run", number=2)
    shutil.move(small_disk / "results.jsonl.run.parts", small_disk.parent / "elsewhere.jsonl.run.parts")
    second.begin(start_over=False)
    report = deliver(people(400), number=2, take=second.take)

    assert (report.count("sent"), len(sandbox.messages)) == (400, 400)
    assert second.finish() == 400
    ids = {message["to"]: message["id"] for message in sandbox.messages}
    found = read(small_disk.parent / "elsewhere.jsonl").values()
    assert [line["to"] for line in found if line.get("message_id", ids[line["to"]]) != ids[line["to"]]] == []
    assert sum("message_id" not in line for line in found) <= 16, "those that came while the disk was full"


def test_a_full_disk_before_the_first_message_is_told_before_it(small_disk):
    fill(small_disk)
    results = Results(small_disk / "results.jsonl", key="run", number=1)

    with pytest.raises(ResultsError, match=r"No space left on device\. Nothing was sent\."):
        results.begin(start_over=True)


def test_half_a_line_of_a_full_disk_spoils_no_other(small_disk):
    results = Results(small_disk / "results.jsonl", key="run", number=1)
    results.begin(start_over=True)
    for place in range(150):
        results.take(row(place), Outcome(str(place), "failed", error=RecipientError("no" * 300)))
    assert results.failure is not None
    (folder,) = small_disk.glob("*.parts")
    text = next(folder.iterdir()).read_text()
    assert text.endswith("}\n")
    assert len(text) > 50_000


def test_what_waits_in_memory_is_written_when_there_is_room_again(small_disk):
    path = small_disk / "results.jsonl"
    results = Results(path, key="run", number=1)
    results.begin(start_over=True)
    fill(small_disk)
    calls = []
    results.on_failure = lambda: calls.append(1)
    for place in range(60):  # the first page of the part is still its own
        results.take(row(place), sent(place, f"id-{place}"))
    assert results.failure is not None
    assert calls == [1]
    make_room(small_disk)

    assert results.finish() == 60
    assert results.failure is None
    assert [line["message_id"] for line in read(path).values()] == [f"id-{place}" for place in range(60)]


@pytest.mark.parametrize("path", ["object store"], indirect=True)
def test_an_object_store_that_fails_for_a_moment_stops_nothing(path, monkeypatch):
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(module, "PART", 1)
    results = Results(path, key="run", number=1)
    results.begin(start_over=True)
    failures = iter([True, False, True, True, True])
    write = type(path).write_bytes

    def unsteady(self, content):
        if next(failures, False):
            raise ConnectionError("the store is away")
        return write(self, content)

    monkeypatch.setattr(type(path), "write_bytes", unsteady)
    results.take(row(0), sent(0, "a"))
    assert results.failure is None
    results.take(row(1), sent(1, "b"))
    assert "ConnectionError: the store is away" in str(results.failure)
    assert results.finish() == 2, "it is back by now"
    assert [read(path)[place]["message_id"] for place in (0, 1)] == ["a", "b"]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.builds(lambda: 10**5000)
    | st.text(st.characters())
    | st.just("\ud800")
    | st.binary()
    | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters()) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(), max_size=5), VALUES, max_size=4), st.text(st.characters()))
@settings(max_examples=examples(200), deadline=None)
def test_whatever_a_row_holds_its_line_is_one_line_of_strict_json(values, given_as):
    line = marked({"n": 0, "to": "1", "status": "failed", "given": given_as, "where": "x", "row": values})

    raw = dump(line)

    def refuse(name):
        raise AssertionError(name)

    assert raw.count(b"\n") == 1
    found = json.loads(raw.decode("utf-8"), parse_constant=refuse)
    assert has_shape(found)
    assert set(found["row"]) == set(values)
    kept = [found["row"][key] == value for key, value in values.items() if isinstance(value, str | bool)]
    assert all(kept)


def test_a_nest_without_end_is_kept_out(tmp_path):
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    values = {"deep": deep, "name": "Ann", "share": math.nan}
    line = marked({"n": 0, "to": "1", "status": "unknown", "given": "1", "where": "x", "row": values})

    assert json.loads(dump(line))["row"]["name"] == "Ann"


def test_a_failed_outcome_with_foreign_text_is_one_line(tmp_path):
    path = tmp_path / "results.jsonl"
    results = Results(path, key="run", number=1)
    results.take(row(0), Outcome("0", "unknown", error=OutcomeUnknownError("a\u2028b\nc\ud83d")))

    assert results.finish() == 1
    assert path.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize(("taken", "whole"), [(2, True), (3, True), (4, False), (5, False)])
def test_what_a_store_that_was_away_for_too_long_has_cost_is_said(tmp_path, monkeypatch, taken, whole):
    """Three lines wait in memory at most; the file without the others is no whole one, though the store is back."""
    monkeypatch.setattr(module, "KEPT", 3)
    results = Results(tmp_path / "results.jsonl", key="run", number=1)
    results.begin(start_over=True)
    ended = []
    results.on_failure = lambda: ended.append(1)
    assert results.flush() is True
    with monkeypatch.context() as away:
        away.setattr(results, "_write", lambda content: (_ for _ in ()).throw(OSError(28, "No space left")))
        for place in range(taken):
            results.take(row(place), sent(place, f"id-{place}"))
        assert results.flush() is False, "a broadcast that could not write is not well"
    assert ended == [1]

    if whole:
        assert results.finish() == taken
        assert results.failure is None
    else:
        with pytest.raises(ResultsError, match="No space left"):
            results.finish()
    assert list(read(tmp_path / "results.jsonl")) == list(range(min(taken, 3)))


@pytest.mark.parametrize(("start_over", "places"), [(True, {1}), (False, {0, 1, 7})])
def test_what_earlier_tries_have_left_is_forgotten_where_everybody_is_sent_to_again(path, start_over, places):
    before = Results(path, key="run", number=1)
    before.begin(start_over=True)
    before.take(row(7), sent(7, "a"))
    before.finish()
    before.clean()
    killed = Results(path, key="run", number=2, resumed=True)
    killed.begin(start_over=False)
    killed.take(row(0), sent(0, "b"))
    killed.flush()
    following = Results(path, key="run", number=3, resumed=True)
    following.begin(start_over=start_over)
    following.take(row(1), sent(1, "c"))

    assert following.finish() == len(places)
    assert read(path).keys() == places


def open_files_of_this_process():
    names = []
    for handle in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that lists them
            names.append(str(handle.readlink()))
    return names


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only /proc tells what is open")
def test_nothing_is_left_open_or_lying_about(tmp_path):
    results = Results(tmp_path / "results.jsonl", key="run", number=1)
    results.begin(start_over=True)
    results.take(row(0), sent(0, "a"))
    assert any(str(tmp_path) in name for name in open_files_of_this_process())
    results.finish()
    assert not any(str(tmp_path) in name for name in open_files_of_this_process())
    results.clean()

    assert [each.name for each in tmp_path.iterdir()] == ["results.jsonl"]


@pytest.mark.parametrize("path", ["object store"], indirect=True)
def test_a_store_that_fails_is_given_a_moment_before_each_further_try(path, monkeypatch):
    pauses = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    results = Results(path, key="run", number=1)
    monkeypatch.setattr(type(path), "write_bytes", lambda self, content: 1 / 0)
    with pytest.raises(ResultsError, match="ZeroDivisionError"):
        results.begin(start_over=True)

    assert pauses == list(module.PAUSES)


def test_what_a_dry_run_would_have_sent_stands_in_its_line(tmp_path):
    results = Results(tmp_path / "results.jsonl", key="run", number=1)
    results.begin(start_over=True)
    results.take(row(0), Outcome("0", "skipped", reason="dry_run"), {"body": "Hello."})
    results.take(row(1), Outcome("1", "skipped", reason="dry_run"))
    results.finish()

    assert [line.get("message") for line in read(tmp_path / "results.jsonl").values()] == [
        {"body": "Hello."},
        None,
    ]


def test_a_path_whose_folders_are_not_there_yet_gets_them(tmp_path):
    path = tmp_path / "a" / "b" / "results.jsonl"
    Results(path, key="run", number=1).begin(start_over=True)

    assert (path.parent / "results.jsonl.run.parts").is_dir()


@pytest.mark.parametrize(("lost", "said"), [(1, True), (0, False)], ids=["a line", "nothing"])
def test_a_store_that_is_still_away_at_the_end_has_cost_what_waits_in_memory(
    tmp_path, monkeypatch, lost, said
):
    results = Results(tmp_path / "results.jsonl", key="run", number=1)
    results.begin(start_over=True)
    results.take(row(0), sent(0, "id-0"))
    assert results.flush()
    with monkeypatch.context() as away:
        away.setattr(results, "_write", lambda content: (_ for _ in ()).throw(OSError(28, "No space left")))
        for place in range(1, 1 + lost):
            results.take(row(place), sent(place, f"id-{place}"))
        with pytest.raises(ResultsError) if said else contextlib.nullcontext():
            results.finish()
    assert list(read(tmp_path / "results.jsonl")) == [0]


def test_each_execution_of_a_try_counts_on_from_its_own_last(tmp_path):
    for number in (1, 1, 2, 1):
        results = Results(tmp_path / "results.jsonl", key="run", number=number)
        results.begin(start_over=False)

    parts = [part.stem.rpartition("-") for part in (tmp_path / "results.jsonl.run.parts").iterdir()]
    assert {len(token) for _, _, token in parts} == {12}
    names = sorted(place for place, _, _ in parts)
    assert names == ["0001-0001-000000", "0001-0002-000000", "0001-0003-000000", "0002-0001-000000"]


def test_what_comes_after_the_file_was_put_together_has_a_part_of_its_own(tmp_path):
    results = Results(tmp_path / "results.jsonl", key="run", number=1)
    results.begin(start_over=True)
    for place in (0, 1):
        results.take(row(place), sent(place, f"id-{place}"))
        assert results.finish() == place + 1

    names = sorted(part.name for part in (tmp_path / "results.jsonl.run.parts").iterdir())
    assert [name.split("-")[2] for name in names] == ["000000", "000001"]


@pytest.mark.parametrize("keep_sent", [True, False])
def test_whose_values_are_kept(tmp_path, keep_sent):
    results = Results(tmp_path / "results.jsonl", key="run", number=1, keep_sent=keep_sent)
    results.begin(start_over=True)
    for place, outcome in enumerate(
        (
            sent(0, "a"),
            Outcome("1", "sent", sent=sent(1, "b").sent, reached="read"),
            Outcome("2", "failed"),
            Outcome("3", "unknown"),
            Outcome("4", "skipped", reason="stopped"),
            Outcome("5", "skipped", reason="duplicate"),
        )
    ):
        results.take(row(place), outcome)
    results.finish()

    results = Results(
        tmp_path / "results.jsonl", key="run", number=2, resumed=True, send_hash="h", keep_sent=keep_sent
    )
    results.begin(start_over=False)
    results.take(row(6), Outcome("6", "sent"))
    results.finish()

    lines = read(tmp_path / "results.jsonl")
    assert [place for place, line in lines.items() if "row" in line and place < 6] == (
        ([0] if keep_sent else []) + [2, 3, 4]
    )
    assert {place: line.get("send_hash") for place, line in lines.items() if "earlier" in line} == {6: "h"}


def test_a_store_that_has_failed_is_tried_again_at_the_end_and_not_with_each_outcome(tmp_path, monkeypatch):
    results = Results(tmp_path / "results.jsonl", key="run", number=1)
    results.begin(start_over=True)
    tried = []
    monkeypatch.setattr(results, "_write", lambda content: tried.append(1) or 1 / 0)
    for place in range(3):
        results.take(row(place), sent(place, f"id-{place}"))
    assert len(tried) == 1
    assert not results.flush()
    assert len(tried) == 2
    assert "ZeroDivisionError" in results.failure.message


@pytest.mark.parametrize("path", ["object store"], indirect=True)
def test_a_part_of_an_object_store_holds_so_many_outcomes(path, monkeypatch):
    monkeypatch.setattr(module, "PART", 2)
    results = Results(path, key="run", number=1)
    results.begin(start_over=True)
    for place in range(5):
        results.take(row(place), sent(place, f"id-{place}"))
    parts = module.parts_in(results._folder)

    assert [len(part.read_bytes().splitlines()) for part in parts] == [2, 2, 1], "the first is the header's"
    assert [str(part.name)[:16] for part in parts] == [f"0001-0001-00000{place}" for place in (2, 1, 0)]
    assert results.finish() == 5


@pytest.mark.parametrize("path", ["object store"], indirect=True)
@pytest.mark.parametrize(("taken", "parts"), [(499, [1]), (500, [500, 1]), (501, [500, 1])], ids=str)
def test_a_worker_that_is_killed_loses_less_than_five_hundred_outcomes(path, taken, parts):
    results = Results(path, key="run", number=1)
    results.begin(start_over=True)
    for place in range(taken):
        results.take(row(place), sent(place, "id"))

    assert [len(part.read_bytes().splitlines()) for part in module.parts_in(results._folder)] == parts


@pytest.mark.parametrize(("taken", "whole"), [(1000, True), (1001, False)])
def test_a_thousand_outcomes_wait_for_a_store_that_is_away(tmp_path, monkeypatch, taken, whole):
    results = Results(tmp_path / "results.jsonl", key="run", number=1)
    results.begin(start_over=True)
    with monkeypatch.context() as away:
        away.setattr(results, "_write", lambda content: (_ for _ in ()).throw(OSError(28, "No space left")))
        for place in range(taken):
            results.take(row(place), sent(place, "id"))
    with contextlib.nullcontext() if whole else pytest.raises(ResultsError, match="No space left"):
        results.finish()
    assert len(read(tmp_path / "results.jsonl")) == 1000


def test_a_disk_that_takes_a_line_in_pieces_or_half_of_it_leaves_whole_lines(tmp_path, monkeypatch):
    write, room = os.write, [10**6]

    def in_pieces(handle, content):
        if not room[0]:
            raise OSError(28, "No space left")
        written = write(handle, content[: min(7, room[0])])
        room[0] -= written
        return written

    results = Results(tmp_path / "results.jsonl", key="run", number=1)
    results.begin(start_over=True)
    results.take(row(0), sent(0, "a"))
    with monkeypatch.context() as small:
        small.setattr(module.os, "write", in_pieces)
        results.take(row(1), sent(1, "b"))
        room[0] = 20
        results.take(row(2), sent(2, "c"))
        assert results.failure is not None
        (part,) = module.parts_in(results._folder)
        assert [json.loads(line).get("n") for line in part.read_text().splitlines()] == [None, 0, 1]

    assert results.finish() == 3
    assert [line["message_id"] for line in read(tmp_path / "results.jsonl").values()] == ["a", "b", "c"]


def test_what_stands_in_a_line_beside_the_outcome(tmp_path):
    """Each fact only where it is known; what a try takes for granted is said to keep nothing."""
    path = tmp_path / "results.jsonl"
    for number, options in ((1, {}), (2, {"dag_id": "dag", "total": 2, "resumed": True})):
        results = Results(path, key="run", number=number, **options)
        results.begin(start_over=False)
        carried = None if number == 1 else "mark"
        results.take(row(number), replace(sent(number, "a"), callback_data=carried))
        (part, *_) = module.parts_in(results._folder)
        head = json.loads(part.read_text().splitlines()[0])
        assert (head["total"], head["resumed"]) == ((0, False) if number == 1 else (2, True))
        assert results.finish() == number

    bare, full = read(path)[1], read(path)[2]
    assert not {"dag_id", "callback_data", "row", "message", "earlier", "send_hash"} & bare.keys()
    assert (bare["given"], bare["where"]) == ("+1", "")
    assert (full["dag_id"], full["callback_data"]) == ("dag", "mark")


def test_an_earlier_try_s_file_that_is_gone_is_gone(tmp_path):
    results = Results(tmp_path / "results.jsonl", key="run", number=2, resumed=True)
    results.begin(start_over=False)
    results.take(row(0), sent(0, "a"))

    assert results.finish() == 1


def test_what_an_earlier_task_has_put_together_is_not_this_ones(tmp_path):
    path = tmp_path / "results.jsonl"
    for key, place in (("monday", 0), ("tuesday", 1)):
        results = Results(path, key=key, number=1)
        results.begin(start_over=False)
        results.take(row(place), sent(place, "a"))
        results.finish()

    assert read(path).keys() == {1}


def test_parts_are_deleted_without_a_word_and_what_keeps_them_is_said(path, caplog, monkeypatch):
    results = Results(path, key="run", number=1)
    results.begin(start_over=True)
    results.finish()
    for _ in range(2):  # the second time there are none
        results.clean()
    assert not caplog.text
    assert module.parts_in(results._folder) == []

    monkeypatch.setattr(module, "parts_in", lambda folder: 1 / 0)
    results.clean()
    assert f"The parts in {results._folder} could not be deleted: division by zero" in caplog.text
