"""A list divided by shard once: the same rows at the same positions as by reading it whole, or no index at all."""

from __future__ import annotations

import gzip
import json
import os
import signal
import tempfile
import threading
from collections import Counter
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.delivery import shard_index
from airflow_provider_whatsapp.delivery.ledger import SourceChangedError
from airflow_provider_whatsapp.delivery.list_identity import Watched
from airflow_provider_whatsapp.delivery.recipients import Recipients
from airflow_provider_whatsapp.delivery.shard_index import BEGUN, CLAIM, HEAD, Head, ShardIndex
from airflow_provider_whatsapp.delivery.shard_survey import BEAT, POLL, SETTLE, STALE, SharedSurvey
from tests.examples import examples

OPTIONS = {"to_field": "to", "columns": ["name"], "scope": "all", "default_country": None}


def index_of(source, folder, shards=3, **options):
    return ShardIndex(folder, source, shards=shards, **OPTIONS | options)


def shown(row):
    return (
        *(row.position, row.to, json.dumps(row.values), row.group, row.skip, row.where, row.given),
        None if row.error is None else (str(row.error), row.error.field, row.error.permanent),
    )


def compare(source, index, **options):
    """Hold each shard's rows by the index against those that it finds in the list."""
    head = index.build(lambda: None)
    everybody = []
    for shard in range(index.shards):
        assert index.has_part(head, shard)
        same = {**OPTIONS, "shard": shard, "shards": index.shards, **options}
        by_list = Recipients(source, **same)
        by_index = Recipients(source, **same, part=lambda shard=shard: index.rows(head, shard))
        assert [*map(shown, by_index)] == [*map(shown, by_list)]
        everybody += by_index
        if by_list_digest := digest(by_list):
            assert digest(by_index) == by_list_digest
            assert [*map(shown, by_index)] == [*map(shown, by_list)], "held against the survey"
    whole = [*Recipients(source, **OPTIONS | options)]
    assert Counter(row.where for row in everybody) == Counter(row.where for row in whole)
    assert sorted(row.to for row in everybody if row.error is None and row.skip is None) == sorted(
        row.to for row in whole if row.error is None and row.skip is None
    )
    return head


def digest(recipients):
    try:
        return recipients.survey().digest
    except PayloadError:  # no good row in this shard
        return None


numbers = st.one_of(
    st.integers(15550000000, 15550000020).map(str),
    st.integers(15550000000, 15550000020).map("+{}".format),
    st.sampled_from(["", "12", "nonsense", "+52 1 55 1234 5678", "+525512345678", "US.1349abc"]),
)
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
nested = st.lists(plain, max_size=3) | st.dictionaries(st.text(max_size=4), plain, max_size=3)
values = plain | nested | st.lists(nested, max_size=2)
lines = st.one_of(
    st.fixed_dictionaries({"to": numbers}, optional={"name": values, "other": values}).map(json.dumps),
    st.sampled_from(
        ['{"to": 1, "to": 2}', "{", "7", '{"to": "15550000001", "name": "\\ud800"}', "[" * 2_000]
    ),
    st.sampled_from(['{"to": 15550000003, "name": 1e999}', f'{{"to": "15550000004", "name": {"9" * 50}}}']),
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = count()
    root = tmp_path_factory.mktemp("lists")

    def folder():
        found = root / str(next(made))
        found.mkdir()
        return found

    return folder


@given(
    rows=st.lists(lines, min_size=1, max_size=30),
    shards=st.integers(2, 5),
    packed=st.booleans(),
    suppress=numbers,
)
@settings(max_examples=examples(60), deadline=None)
def test_all_shards_find_what_the_list_holds_in_its_order(folders, rows, shards, packed, suppress):
    folder = folders()
    path = folder / "people.jsonl"
    content = ('{"to": "+1 555 000 0001", "name": "Ann"}\n' + "\n".join(rows)).encode()
    path.write_bytes(gzip.compress(content) if packed else content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_index, "BUFFER", 200)
        compare(path, index_of(path, folder / "index", shards), suppressed={suppress.removeprefix("+")})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"to,name\n+15550000001,Ann\n12,Bob\n+1 (555) 000-0001,Ann again\nx\n", id="CSV"),
        pytest.param("to;name\n+15550000001;Zoë\n".encode("utf-16"), id="UTF-16"),
        pytest.param(b'[{"to": "+15550000001"}, {"to": "x", "name": 2},\n {"to": 15550000001}]', id="array"),
        pytest.param(
            gzip.compress(b"to,name\n+15550000001,Ann\n") + gzip.compress(b"+15550000002,B\n"), id="members"
        ),
    ],
)
@pytest.mark.parametrize("store", ["disk", "bucket"])
def test_every_form_on_every_store(tmp_path, content, store):
    folder = tmp_path
    if store == "bucket":
        import fsspec
        from airflow.sdk import ObjectStoragePath
        from airflow.sdk.io import attach

        attach("memory", fs=fsspec.filesystem("memory"))
        folder = ObjectStoragePath(f"memory://bucket{tmp_path}")
    path = folder / "people"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    index = index_of(path, folder / "index")

    head = compare(path, index)

    assert index.load() == head
    assert index.is_of_list(head)
    for shard in range(3):
        index.clean(shard)
        assert not index.has_part(head, shard)
    assert index.load() is None
    assert path.read_bytes() == content


def people(path, total=200, name="Ann"):
    path.write_text("to,name\n" + "".join(f"+1555{n:07},{name}\n" for n in range(total)))
    return path


class Counted:
    """A list that counts how often it is opened."""

    def __init__(self, path):
        self.path, self.name, self.opened = str(path), path.name, 0
        self.protocol = "file"
        self._path = path

    def open(self, mode):
        self.opened += 1
        return self._path.open(mode)


def test_a_compressed_list_is_read_once_for_all_shards(tmp_path):
    path = tmp_path / "people.csv.gz"
    path.write_bytes(gzip.compress(b"to,name\n" + b"".join(b"+1555%07d,A\n" % n for n in range(300))))
    source = Counted(path)
    index = index_of(source, tmp_path / "index")
    head = index.build(lambda: None)
    found = []
    for shard in range(3):
        assert index.is_of_list(head)
        recipients = Recipients(
            source, **OPTIONS, shard=shard, shards=3, part=lambda shard=shard: index.rows(head, shard)
        )
        recipients.survey()
        found += [row.to for row in recipients]

    assert len(set(found)) == 300
    assert source.opened == 1


@pytest.mark.parametrize("scope", ["failed", "unknown"])
def test_a_results_file_gives_each_shard_its_own_of_those_in_scope(tmp_path, scope):
    statuses = ["sent", "failed", "unknown", "failed", "skipped"]
    lines = [
        {
            "format": "whatsapp-results/1",
            "n": n,
            "to": f"1555{n:07}",
            "given": f"+1555{n:07}",
            "where": f"people.csv:{n + 2}",
            "status": statuses[n % 5],
            "row": {"to": f"+1555{n:07}", "name": f"Person {n}"},
        }
        for n in range(40)
    ]
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    index = index_of(path, tmp_path / "index", scope=scope)

    head = compare(path, index, scope=scope)

    assert head.countries == {"US": sum(line["status"] == scope for line in lines)}


def test_who_stands_twice_and_far_apart_gets_one_message_over_all_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(shard_index, "BUFFER", 256)
    path = people(tmp_path / "people.csv")
    forms = ["1 555 000 0007", "+1 (555) 000-0007"]
    with path.open("a") as file:
        file.writelines(f"{form},Again\n" for form in forms)
    index = index_of(path, tmp_path / "index")
    head = index.build(lambda: None)

    rows = [
        row
        for shard in range(3)
        for row in Recipients(path, **OPTIONS, part=lambda s=shard: index.rows(head, s))
    ]

    sent = Counter(row.to for row in rows if row.skip is None)
    assert sent == Counter(f"1555{n:07}" for n in range(200))
    assert [row.where for row in rows if row.skip == "duplicate"] == ["people.csv:202", "people.csv:203"]
    assert head.countries == {"US": 200}


def test_the_index_belongs_to_the_bytes_of_the_list(tmp_path):
    path = people(tmp_path / "people.csv")
    index = index_of(path, tmp_path / "index")
    head = index.build(lambda: None)

    os.utime(path, (1, 1))  # written again, as it was
    assert index.is_of_list(head)
    people(path, name="Bob")
    assert not index.is_of_list(head)
    assert not index.is_of_list(Head(head.digest, None, head.parts)), "a store without a stamp"


@pytest.mark.parametrize("end", ["", '{"to": "+15550000009"}\n'])
def test_bytes_behind_the_end_of_the_text_count(tmp_path, end):
    path = tmp_path / "people.csv.gz"
    path.write_bytes(gzip.compress(b"to,name\n+15550000001,A\n") + b"\0" * 20_000)
    index = index_of(path, tmp_path / "index")
    head = index.build(lambda: None)

    with path.open("ab") as file:
        file.write(end.encode())
    assert index.is_of_list(head) is not end


def test_a_list_that_is_written_while_it_is_read_makes_no_index(tmp_path):
    path = people(tmp_path / "people.csv")
    index = index_of(path, tmp_path / "index")

    def beat():
        with path.open("a") as file:
            file.write("+15559999999,Late\n")

    with pytest.raises(
        SourceChangedError, match=r"people\.csv was changed while it was being read"
    ) as caught:
        index.build(beat)
    assert not caught.value.permanent
    assert index.load() is None
    assert not (tmp_path / "index").exists()


GOOD = {
    "format": shard_index.FORMAT,
    "list": "ab12",
    "stamp": None,
    "parts": ["x"] * 3,
    "countries": {"US": 1},
}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "Expecting value"),
        (b"\xff\xfe", "decode|Expecting"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "of another version, or is not an index"),
        (json.dumps(GOOD | {"format": "whatsapp-shard-index/2"}).encode(), "of another version"),
        (json.dumps(GOOD | {"list": "../../x"}).encode(), "damaged"),
        (json.dumps(GOOD | {"list": 7}).encode(), "of another version, or is not an index"),
        (json.dumps(GOOD | {"parts": ["x"]}).encode(), "damaged"),
        (json.dumps(GOOD | {"parts": [1, 2, 3]}).encode(), "damaged"),
        (json.dumps(GOOD | {"countries": {"US": "1"}}).encode(), "damaged"),
    ],
    ids=["empty", "no text", "deep", "no index", "newer", "path", "digest", "shards", "parts", "counts"],
)
def test_what_is_no_index_is_none(tmp_path, content, problem):
    index = index_of(people(tmp_path / "people.csv"), tmp_path / "index")
    index.write(HEAD, content)
    with pytest.raises(ValueError, match=problem):
        index.load()
    with pytest.raises(ValueError, match=problem):
        SharedSurvey(index, sleep=never).head()


def test_a_head_that_is_too_long_is_not_read(tmp_path, monkeypatch):
    index = index_of(people(tmp_path / "people.csv"), tmp_path / "index")
    index.write(HEAD, json.dumps(GOOD).encode())
    assert index.load() == Head("ab12", None, ["x"] * 3, {"US": 1})
    monkeypatch.setattr(shard_index, "LARGEST_HEAD", len(json.dumps(GOOD)))
    assert index.load() is not None
    monkeypatch.setattr(shard_index, "LARGEST_HEAD", len(json.dumps(GOOD)) - 1)
    with pytest.raises(ValueError, match="too long"):
        index.load()


@pytest.mark.parametrize("change", ["a byte", "a row more", "cut", "a link", "gone", "a folder"])
def test_a_part_that_the_head_does_not_vouch_for_is_not_read(tmp_path, change):
    index = index_of(people(tmp_path / "people.csv"), tmp_path / "index")
    head = index.build(lambda: None)
    (part,) = (tmp_path / "index").glob("*-1.jsonl")
    content = part.read_bytes()
    assert part.stat().st_mode & 0o077 == 0
    assert index.has_part(head, 1)

    part.unlink()
    match change:
        case "a byte":
            part.write_bytes(content.replace(b"1555", b"1556", 1))
        case "a row more":
            part.write_bytes(content + b'["people.csv:9", {"to": "+15559999999"}]\n')
        case "cut":
            part.write_bytes(content[:-1])
        case "a link":
            (tmp_path / "elsewhere").write_bytes(content)
            part.symlink_to(tmp_path / "elsewhere")
        case "a folder":
            part.mkdir()

    assert not index.has_part(head, 1)
    assert index.has_part(head, 0)


def test_rows_of_another_shard_are_nobodys(tmp_path):
    index = index_of(people(tmp_path / "people.csv"), tmp_path / "index")
    head = index.build(lambda: None)
    recipients = Recipients(index.source, **OPTIONS, shard=0, shards=3, part=lambda: index.rows(head, 1))
    assert list(recipients) == []


def test_a_part_that_is_lost_while_it_is_sent_stops_there_and_may_be_tried_again(tmp_path):
    index = index_of(people(tmp_path / "people.csv"), tmp_path / "index")
    head = index.build(lambda: None)
    recipients = Recipients(index.source, **OPTIONS, shard=0, shards=3, part=lambda: index.rows(head, 0))
    recipients.survey()
    index.clean(0)
    with pytest.raises(SourceChangedError, match="can no longer be read") as caught:
        list(recipients)
    assert not caught.value.permanent


def test_what_has_begun_is_noted_once_unless_everybody_is_sent_to_again(tmp_path):
    index = index_of(people(tmp_path / "people.csv"), tmp_path / "index")
    first = index.build(lambda: None)
    assert index.load(BEGUN) is None
    index.begin(first)
    people(index.source, name="Bob")
    second = index.build(lambda: None)

    index.begin(second)
    assert index.load(BEGUN) == first
    assert index.load() == second
    assert index.has_part(first, 0), "whoever reads it still may"
    index.begin(second, fresh=True)
    assert index.load(BEGUN) == second
    for shard in range(3):
        index.clean(shard)
    assert not (tmp_path / "index").exists()


def never(seconds):
    raise AssertionError(seconds)


class World:
    """A clock that sleeping moves, and what others do meanwhile."""

    def __init__(self, *others):
        self.now = 0.0
        self.others = iter(others)
        self.slept = []

    def sleep(self, seconds):
        self.now += seconds
        self.slept.append(seconds)
        next(self.others, lambda: None)()

    def clock(self):
        return self.now


@pytest.fixture
def index(tmp_path):
    return index_of(Counted(people(tmp_path / "people.csv")), tmp_path / "index")


def claim(index, token, beat=1):
    index.write(CLAIM, json.dumps({"survey": token, "beat": beat}).encode())


def test_the_first_shard_divides_the_list_and_the_others_do_not(index):
    world = World()
    head = SharedSurvey(index, sleep=world.sleep, clock=world.clock).head()

    assert world.slept == [SETTLE]
    assert not SharedSurvey(index).is_claimed()
    assert SharedSurvey(index, sleep=never).head() == head
    assert index.source.opened == 1


def test_whoever_finds_the_list_being_divided_waits_for_what_comes_of_it(index):
    others = [lambda beat=beat: claim(index, "another", beat) for beat in range(2, 200)]
    world = World(*others, lambda: index.write(HEAD, json.dumps(GOOD).encode()))
    claim(index, "another")
    survey = SharedSurvey(index, sleep=world.sleep, clock=world.clock)

    assert survey.is_claimed()
    assert survey.head().digest == "ab12"
    assert set(world.slept) == {POLL}
    assert world.now > 2 * STALE, "it gives signs of life"
    assert index.source.opened == 0


def test_a_survey_whose_process_was_killed_is_taken_over(index):
    world = World()
    claim(index, "killed")
    index.write("0123456789abcdef-1.jsonl", b"half a pa")

    head = SharedSurvey(index, sleep=world.sleep, clock=world.clock).head()

    assert STALE < world.now < STALE + 5 * POLL
    assert index.has_part(head, 1)
    assert index.source.opened == 1
    for shard in range(3):
        index.clean(shard)
    assert not index.folder.exists()


@pytest.mark.parametrize("beats", [1, 3])
def test_a_survey_that_is_killed_in_the_middle_leaves_nothing_that_stays(tmp_path, beats):
    """By ``kill -9``: while it reads the list, and while it writes the second part."""
    path = people(tmp_path / "people.csv")
    index = index_of(path, tmp_path / "index")
    pid = os.fork()
    if pid == 0:
        left = iter(range(beats - 1))

        def beat():
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        survey = SharedSurvey(index, sleep=lambda _: None)
        survey._beat = beat
        survey.head()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    (index.folder / "0123456789abcdef-1.jsonl.0123.new").write_bytes(b"half a pa")
    assert index.load() is None
    assert SharedSurvey(index).is_claimed()

    world = World()
    head = SharedSurvey(index, sleep=world.sleep, clock=world.clock).head()

    rows = [
        row.to
        for shard in range(3)
        for row in Recipients(path, **OPTIONS, part=lambda shard=shard: index.rows(head, shard))
    ]
    assert sorted(rows) == [f"1555{n:07}" for n in range(200)]
    for shard in range(3):
        index.clean(shard)
    assert not index.folder.exists()


def test_of_two_that_begin_at_once_the_later_claim_stands(index):
    world = World(lambda: claim(index, "later"), lambda: index.write(HEAD, json.dumps(GOOD).encode()))
    assert SharedSurvey(index, sleep=world.sleep, clock=world.clock).head().digest == "ab12"
    assert world.slept == [SETTLE, POLL]
    assert index.source.opened == 0


def test_two_that_divide_the_list_at_once_write_the_same(index):
    start, found = threading.Barrier(4), []

    def divide():
        start.wait()
        found.append(index.build(lambda: None))

    threads = [threading.Thread(target=divide) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert all(head == found[0] for head in found)
    assert all(index.has_part(found[0], shard) for shard in range(3))


def test_whoever_divides_gives_signs_of_life(index):
    world = World()
    survey = SharedSurvey(index, sleep=world.sleep, clock=world.clock)
    claims = []

    def build(beat):
        for _ in range(4):
            world.now += BEAT / 2
            beat()
            claims.append(index.read(CLAIM))
        return Head("ab12", None, ["x"] * 3)

    index.build = build
    survey.head()
    assert len(set(claims)) == 3
    assert claims[0] != claims[1] == claims[2] != claims[3]


def test_a_list_that_cannot_be_read_leaves_no_claim(index):
    Path(index.source.path).write_text("phone\n+15550000001\n")
    with pytest.raises(PayloadError, match="has no column"):
        SharedSurvey(index, sleep=lambda _: None).head()
    assert not SharedSurvey(index).is_claimed()


def test_an_index_of_another_list_is_replaced_by_one_shard_while_the_others_wait(index):
    first = index.build(lambda: None)
    people(Path(index.source.path), total=50)
    index.source.opened = 0
    claim(index, "another")
    world = World(*[lambda: None] * 5, lambda: index.write(HEAD, json.dumps(GOOD).encode()))
    assert SharedSurvey(index, sleep=world.sleep, clock=world.clock).head(instead_of=first).digest == "ab12"
    assert world.slept == [POLL] * 6
    assert index.source.opened == 0

    index.delete(CLAIM)
    index.write(HEAD, first.to_bytes())
    world = World()
    found = SharedSurvey(index, sleep=world.sleep, clock=world.clock).head(instead_of=first)
    assert found == index.load() != first
    assert index.source.opened == 1
    assert not SharedSurvey(index).is_claimed()


@pytest.mark.parametrize("planted", ["another user's", "a link"])
def test_a_folder_that_somebody_else_may_have_planted_is_not_read(tmp_path, monkeypatch, planted):
    """In a folder like ``/tmp`` anybody can make the index's folder first, with rows of their own."""
    index = index_of(people(tmp_path / "people.csv"), tmp_path / "index")
    head = index.build(lambda: None)
    tmp_path.chmod(0o1777)
    if planted == "a link":
        index.folder.rename(tmp_path / "elsewhere")
        index.folder.symlink_to(tmp_path / "elsewhere")
    else:
        owner = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    assert not index.has_part(head, 1)
    with pytest.raises(OSError, match=r"belongs to another user|is not a folder"):
        SharedSurvey(index, sleep=never).head()
    with pytest.raises(OSError, match=r"belongs to another user|is not a folder"):
        list(index.rows(head, 1))


def test_of_two_shards_that_end_at_once_one_deletes_the_rest(index, monkeypatch):
    index.build(lambda: None)
    index.clean(2)
    names = index._names
    other = index_of(index.source, index.folder)

    def listed_before_the_other_ends():
        found = names()
        monkeypatch.undo()
        other.clean(0)
        return found

    monkeypatch.setattr(index, "_names", listed_before_the_other_ends)
    index.clean(1)
    assert not index.folder.exists()


def test_a_survey_that_was_silent_for_just_a_minute_is_not_taken_over(index):
    world = World(*[lambda: None] * int(STALE / POLL), lambda: index.write(HEAD, json.dumps(GOOD).encode()))
    claim(index, "another")

    assert SharedSurvey(index, sleep=world.sleep, clock=world.clock).head().digest == "ab12"
    assert world.slept == [POLL] * (int(STALE / POLL) + 1)
    assert index.source.opened == 0


LINE = b'["people.csv:2",{"to":"+15550000000","name":"Ann"}]\n'


@pytest.mark.parametrize(("size", "together"), [(4 * len(LINE), 4), (4 * len(LINE) + 1, 5), (1, 1)])
def test_no_more_rows_than_a_buffer_holds_wait_in_memory(tmp_path, monkeypatch, size, together):
    monkeypatch.setattr(shard_index, "BUFFER", size)
    path = tmp_path / "people.csv"
    path.write_text("to,name\n" + "+15550000000,Ann\n" * 8)
    index = index_of(path, tmp_path / "index", shards=1)
    with tempfile.TemporaryFile() as spool:
        ((*blocks,),), _ = index._divide(Watched(path), spool, lambda: None)
        spool.seek(0)
        assert spool.read(len(LINE)) == LINE, "as short as JSON can be"

    lengths = [min(together, 8 - start) * len(LINE) for start in range(0, 8, together)]
    assert blocks == [(sum(lengths[:place]), length) for place, length in enumerate(lengths)]


@pytest.mark.parametrize(("total", "signs"), [(1, 1), (1_000, 1), (1_001, 2)])
def test_a_sign_of_life_comes_with_each_thousand_rows_and_each_part(tmp_path, total, signs):
    beats = []
    index_of(people(tmp_path / "people.csv", total), tmp_path / "index").build(lambda: beats.append(1))
    assert len(beats) == signs + 3


def test_what_is_gone_already_can_be_cleaned(index):
    index.delete("none")
    index.clean(0)
    index.build(lambda: None)
    for _ in range(2):
        for shard in range(3):
            index.clean(shard)
    assert not index.folder.exists()


def test_a_claim_that_is_deleted_before_it_is_read_again_is_made_again(index):
    world = World(lambda: index.delete(CLAIM))
    SharedSurvey(index, sleep=world.sleep, clock=world.clock).head()
    assert world.slept == [SETTLE, POLL, SETTLE]


def test_whoever_has_taken_a_survey_over_keeps_its_claim(index):
    build = index.build

    def slow(beat):
        claim(index, "another")
        return build(beat)

    index.build = slow
    world = World()
    SharedSurvey(index, sleep=world.sleep, clock=world.clock).head()
    assert b"another" in index.read(CLAIM)


def test_parts_are_looked_for_afresh():
    """A listing that a file system of an object store remembers may lack what another shard has written."""
    asked = []

    def listing():
        asked.append("listed")
        raise FileNotFoundError

    folder = SimpleNamespace(
        fs=SimpleNamespace(invalidate_cache=lambda: asked.append("forgotten")), iterdir=listing, protocol="s3"
    )
    ShardIndex(folder, None, shards=2).clean(0)

    assert asked == ["forgotten", "listed"] * 2
