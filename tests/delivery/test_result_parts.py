"""What a killed task leaves of its results: put together by the command, and read by a later broadcast."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.resources.messages import SentMessage
from airflow_provider_whatsapp.delivery import result_parts
from airflow_provider_whatsapp.delivery.recipients import Recipients, Row
from airflow_provider_whatsapp.delivery.report import Outcome
from airflow_provider_whatsapp.delivery.result_lines import dump, is_unmarked, marked
from airflow_provider_whatsapp.delivery.result_parts import (
    ResultsError,
    header,
    left_beside,
    parts_in,
    with_parts,
)
from airflow_provider_whatsapp.delivery.results import Results, assemble
from airflow_provider_whatsapp.delivery.stores import local_path

ROOT = Path(__file__).parents[2]
OLD = ROOT / "tests" / "data" / "written_by_0_1" / "results"
DELIVER = """
import sys
from pathlib import Path
from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
from airflow_provider_whatsapp.delivery.engine import Delivery, Rules
from airflow_provider_whatsapp.delivery.ledger import Job, Ledger, Try
from airflow_provider_whatsapp.delivery.recipients import Recipients
from airflow_provider_whatsapp.delivery.report import Report
from airflow_provider_whatsapp.delivery.results import Results
from airflow_provider_whatsapp.delivery.stores import FileStore

url, key, number, folder = sys.argv[1:]
recipients = Recipients([f"1555{place:07}" for place in range(300)])
survey = recipients.survey()
ledger = Ledger(FileStore(folder + "/ledger"))
ledger.begin(Job(survey.digest, "message", survey.total), Try(1))
results = Results(Path(folder) / "results.jsonl", key="0123456789ab", number=1, total=survey.total)
results.begin(start_over=True)
config = ClientConfig(api_key=key, host=url, phone_number_id=number, rate_limit=0)
send = WhatsAppClient(config).messages.send
Delivery(ledger, lambda row: Text("hello"), send, rules=Rules(), take=results.take).run(recipients, Report())
"""


@pytest.fixture(params=["disk", "object store"])
def path(request, tmp_path):
    if request.param == "disk":
        return tmp_path / "results.jsonl"
    import fsspec
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io import attach

    attach("memory", fs=fsspec.filesystem("memory"))
    return ObjectStoragePath(f"memory://bucket{tmp_path}/results.jsonl")


def leave(path, outcomes, *, key="0123456789ab", number=1, total=4, resumed=False, start_over=False):
    """Leave the parts of a try that is killed."""
    results = Results(path, key=key, number=number, total=total, resumed=resumed)
    results.begin(start_over=start_over)
    for place, outcome in outcomes.items():
        given = f"+1555010{place:04}"
        results.take(Row(place, outcome.to, {"to": given, "name": f"P{place}"}, given=given), outcome)
    results.flush()
    return results


def sent(place, message_id):
    to = f"1555010{place:04}"
    return Outcome(to, "sent", sent=SentMessage(message_id=message_id, wa_id=to, to=to))


def ended(place, status, reason=None):
    return Outcome(f"1555010{place:04}", status, reason=reason)


def read(path):
    return {line["n"]: line for line in map(json.loads, path.read_bytes().decode().splitlines())}


def test_the_command_puts_together_what_a_killed_process_has_left(sandbox, tmp_path, mark_results):
    sandbox.fail_next("slow", seconds=0.02, times=0, path="/messages")
    arguments = [sandbox.url, sandbox.connection["password"], sandbox.extra["phone_number_id"], str(tmp_path)]
    process = subprocess.Popen([sys.executable, "-c", DELIVER, *arguments])
    while len(sandbox.messages) < 100 and process.poll() is None:
        threading.Event().wait(0.01)
    process.kill()
    process.wait()

    done = mark_results("results.jsonl")

    ids = {message["to"]: message["id"] for message in sandbox.messages}
    found = read(tmp_path / "results.jsonl").values()
    assert done.returncode == 0, done.stderr
    assert f"They name {len(found)} of 300 recipients; {300 - len(found)} had no outcome" in done.stdout
    assert "The parts stay in results.jsonl.0123456789ab.parts for a later try" in done.stdout
    assert 100 - 32 <= len(found) < 300
    assert all(line["message_id"] == ids[line["to"]] for line in found)
    again = mark_results("results.jsonl")
    assert again.stdout == f"results.jsonl: {len(found)} recipients, marked as a results file.\n"


def test_a_broadcast_reads_the_parts_too(path, caplog):
    leave(path, {0: sent(0, "a"), 1: ended(1, "failed"), 2: ended(2, "unknown")})
    leave(path, {0: ended(0, "sent"), 1: sent(1, "b")}, number=2)

    found = {
        scope: [row.to for row in Recipients(with_parts(path), scope=scope)]
        for scope in ("failed", "unknown")
    }

    assert found == {"failed": [], "unknown": ["15550100002"]}
    (row,) = Recipients(with_parts(path), scope="unknown")
    assert (row.values["name"], row.where) == ("P2", "results.jsonl:3")
    assert (
        "They name 3 of 4 recipients; 1 had no outcome when the task stopped. Retry or clear that task"
        in caplog.text
    )
    assert Recipients(with_parts(path)).survey().total == 3


def test_a_file_that_is_whole_stands_for_itself(path, caplog):
    results = leave(path, {0: sent(0, "a"), 1: ended(1, "failed")})
    results.finish()

    assert with_parts(path) is path, "its own parts are in it"
    results.clean()
    assert with_parts(path) is path
    assert not caplog.text


def test_a_task_that_writes_to_the_file_it_reads_does_not_read_itself(path):
    earlier = leave(path, {0: ended(0, "failed"), 1: ended(1, "failed")}, key="fedcba987654")
    earlier.finish()
    earlier.clean()
    make_older(path)
    leave(path, {0: sent(0, "a")})

    assert with_parts(path) is not path
    assert with_parts(path, but="0123456789ab") is path


def test_parts_that_are_newer_than_the_file_count(path):
    yesterday = leave(path, {0: sent(0, "old"), 1: ended(1, "failed")}, key="fedcba987654")
    yesterday.finish()
    yesterday.clean()
    make_older(path)
    leave(path, {1: sent(1, "b"), 2: ended(2, "failed")}, total=3)

    assert [row.to for row in Recipients(with_parts(path), scope="failed")] == ["15550100002"]
    assemble(path)
    assert read(path).keys() == {1, 2}, "another run's outcomes are not this one's"


def test_a_resumed_task_s_parts_go_on_from_its_file(path):
    leave(path, {0: sent(0, "a"), 1: ended(1, "failed"), 2: sent(2, "c")}, total=3).finish()
    make_older(path)
    leave(path, {0: ended(0, "sent"), 1: sent(1, "b")}, number=2, resumed=True, total=3)

    said = assemble(path)

    assert {place: line["message_id"] for place, line in read(path).items()} == {0: "a", 1: "b", 2: "c"}
    assert "They name all 3 recipients." in said


def test_parts_of_several_runs_are_told_apart_by_a_person(path):
    for key in ("0123456789ab", "fedcba987654"):
        leave(path, {0: ended(0, "failed")}, key=key)

    for act in (with_parts, assemble):
        with pytest.raises(
            ResultsError,
            match=r"2 task runs that did not finish left parts .*0123456789ab\.parts and .*fedcba987654\.parts",
        ):
            act(path)
    assert not path.exists()


def test_nothing_of_somebody_else_s_is_written_over(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"to\n15550100100\n")
    make_older(path)
    leave(path, {0: ended(0, "failed")})

    with pytest.raises(PayloadError, match="is not a line of a results file"):
        assemble(path)
    assert path.read_bytes() == b"to\n15550100100\n"


def test_what_version_0_1_left_of_a_killed_task(tmp_path):
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "killed.jsonl"

    assert [row.values["name"] for row in Recipients(with_parts(path), scope="failed")] == ["Refused"]
    said = assemble(path)

    found = read(path)
    assert {place: line["status"] for place, line in found.items()} == {
        0: "sent",
        1: "failed",
        2: "unknown",
        3: "skipped",
    }
    assert found[0]["message_id"].startswith("wamid.")
    assert "They name 4 recipients; recipients without an outcome are not among them." in said
    assert "Opted out" not in path.read_text()

    (tmp_path / "killed.jsonl.0123456789ab.parts").rename(tmp_path / "results.jsonl.0123456789ab.parts")
    old = tmp_path / "results.jsonl"
    make_older(old, seconds=10_000_000)
    for act in (assemble, lambda path: list(Recipients(with_parts(path), scope="failed"))):
        with pytest.raises(ResultsError, match=r"version 0\.1 wrote the parts.*Move results\.jsonl away"):
            act(old)


def test_a_later_try_goes_on_from_what_version_0_1_left(tmp_path):
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    results = leave(
        tmp_path / "killed.jsonl", {0: ended(0, "sent"), 1: ended(1, "sent"), 2: sent(2, "c")}, number=3
    )

    assert results.finish() == 4
    found = read(tmp_path / "killed.jsonl")
    assert found[0]["message_id"].startswith("wamid.")
    assert (found[2]["message_id"], found[3]["reason"]) == ("c", "suppressed")
    results.clean()
    assert [each.name for each in tmp_path.iterdir() if "parts" in each.name] == []


def make_older(path, seconds=10):
    """Move a file's time back, so that what comes now is newer, whatever the clock's grain."""
    if hasattr(path, "fs"):
        path.fs.store[path.fs._strip_protocol(path.path)].modified -= timedelta(seconds=seconds)
        return
    os.utime(path, (time.time() - seconds,) * 2)


@pytest.mark.parametrize("planted", ["a pipe", "a header that lies"])
def test_planted_parts_are_refused_or_passed_over(tmp_path, planted):
    path = tmp_path / "results.jsonl"
    leave(path, {0: ended(0, "failed")})
    part = tmp_path / "results.jsonl.0123456789ab.parts" / "0009.jsonl"
    if planted == "a pipe":
        os.mkfifo(part)
        with pytest.raises(ResultsError, match="cannot be read: is not a regular file"):
            with_parts(path)
        return
    part.write_text(
        '{"format": "whatsapp-results-part/1", "total": "many", "resumed": [1]}\n{"n": 1e99}\nnull\n'
    )

    assert [row.to for row in Recipients(with_parts(path), scope="failed")] == ["15550100000"]


def test_without_file_and_parts_the_command_says_so(tmp_path, mark_results):
    done = mark_results("absent.jsonl")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("absent.jsonl does not exist, and there are no parts of it.")


def test_the_command_reads_an_object_store_by_airflow(tmp_path, mark_results, forks):
    leave(tmp_path / "results.jsonl", {0: sent(0, "a")}, total=1)

    done = mark_results(f"local://{tmp_path}/results.jsonl", forks=forks)

    assert done.returncode == 0, done.stderr
    assert "They name all 1 recipients." in done.stdout


def test_what_lies_beside_a_file_is_asked_for_afresh():
    """A listing that a file system of an object store remembers may be older than the last try."""
    asked = []

    def forget():
        asked.append("forgotten")

    def listing():
        asked.append("listed")
        raise FileNotFoundError

    folder = SimpleNamespace(fs=SimpleNamespace(invalidate_cache=forget), iterdir=listing)
    path = SimpleNamespace(name="results.csv", parent=folder, protocol="s3")

    assert left_beside(path) is None
    assert asked == ["forgotten", "listed"]
    asked.clear()
    assert parts_in(folder) == []
    assert asked == ["forgotten", "listed"]


def test_parts_are_read_a_second_time_only_for_those_who_were_sent_to_earlier(tmp_path, monkeypatch):
    opened = []
    open_once = result_parts.open_results
    monkeypatch.setattr(result_parts, "open_results", lambda part: (opened.append(part), open_once(part))[1])
    line = {"format": "whatsapp-results/1", "to": "1", "given": "1", "where": "", "status": "sent"}
    whole, bare = tmp_path / "0001.jsonl", tmp_path / "0002.jsonl"
    whole.write_text(json.dumps({**line, "n": 0}) + "\n")
    bare.write_text("".join(json.dumps({**line, "n": n, "earlier": True}) + "\n" for n in (0, 1)))
    assert [json.loads(raw)["n"] for raw in result_parts.merged([whole])] == [0]
    assert opened == [whole]
    found = [json.loads(raw) for raw in result_parts.merged([bare, whole])]
    assert [(each["n"], each.get("earlier", False)) for each in found] == [(0, False), (1, True)]


def test_what_a_delivery_report_has_written_outlives_a_retry_that_only_knows_that_it_was_sent(tmp_path):
    line = {"format": "whatsapp-results/1", "to": "1", "given": "1", "where": ""}
    base, part = tmp_path / "results.jsonl", tmp_path / "0002.jsonl"
    told = ["delivered", "read", "failed", "sent"]
    base.write_text(
        "".join(
            json.dumps({**line, "n": n, "status": status, "message_id": f"wamid.{n}"}) + "\n"
            for n, status in enumerate(told)
        )
    )
    part.write_text(
        "".join(json.dumps({**line, "n": n, "status": "sent", "earlier": True}) + "\n" for n in range(5))
    )

    found = {line["n"]: line for line in map(json.loads, result_parts.merged([part], base))}

    assert [found[n]["status"] for n in range(5)] == [*told, "sent"]
    assert [found[n].get("message_id") for n in range(5)] == [f"wamid.{n}" for n in range(4)] + [None]


def test_a_refusal_of_an_earlier_try_does_not_hide_that_it_was_sent_since(tmp_path):
    line = {"format": "whatsapp-results/1", "to": "1", "given": "1", "where": "", "n": 0}
    base, part = tmp_path / "results.jsonl", tmp_path / "0002.jsonl"
    base.write_text(json.dumps({**line, "status": "failed", "error": {"code": 131056}}) + "\n")
    part.write_text(json.dumps({**line, "status": "sent", "earlier": True}) + "\n")

    (found,) = map(json.loads, result_parts.merged([part], base))

    assert (found["status"], found["earlier"]) == ("sent", True)


@pytest.mark.parametrize("marks", [(False, False), (False, True), (True, False), (True, True)], ids=str)
def test_a_file_without_parts_is_marked_where_a_line_of_it_has_no_mark(path, marks):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [{"n": n, "to": f"1555010010{n}", "given": "x", "where": "y", "status": "sent"} for n in (0, 1)]
    content = b"".join(dump(marked(line) if mark else line) for line, mark in zip(lines, marks, strict=True))
    path.write_bytes(content)

    before = path.stat()
    assert assemble(path) == f"{path}: 2 recipients, marked as a results file."
    found = path.read_bytes()
    if local_path(path) is not None:
        assert (path.stat().st_ino == before.st_ino) is all(marks), (
            "one that has them all is not written again"
        )
    assert [is_unmarked(json.loads(line)) for line in found.splitlines()] == [False, False]
    assert (found == content) is all(marks)
    assert assemble(path).startswith(f"{path}: 2 recipients, marked")
    path.write_bytes(content.splitlines(keepends=True)[0])
    assert assemble(path) == f"{path}: 1 recipient, marked as a results file."


FOREIGN = [b'{"to": "+15550001111"}\n', b"[" * 100_000, b"", b'"x"\n']


@pytest.mark.parametrize("line", FOREIGN, ids=["row", "deep", "nothing", "text"])
def test_a_file_with_a_foreign_line_is_not_marked(path, line):
    path.parent.mkdir(parents=True, exist_ok=True)
    own = {"n": 0, "to": "15550100100", "given": "x", "where": "y", "status": "sent"}
    content = dump(own) + line
    path.write_bytes(content)

    if line:
        with pytest.raises(PayloadError, match=r":2 is not a line of a results file"):
            assemble(path)
        assert path.read_bytes() == content
    else:
        assert "1 recipient," in assemble(path)


def test_a_line_of_another_version_is_not_marked(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    own = {"n": 0, "to": "15550100100", "given": "x", "where": "y", "status": "sent"}
    path.write_bytes(dump({**own, "format": "whatsapp-results/9"}))

    with pytest.raises(PayloadError, match=r":1 is not a line of a results file"):
        assemble(path)


NAMES = {
    "0002-0003-000004-0123456789ab.jsonl": (2, 3, 4),
    "0002-0003-000004.jsonl": (2, 3, 4),
    "12-7.jsonl": (12, 0, 7),
    "12.jsonl": (12, 0, 0),
    "0002-0003-000004-xyz.jsonl": None,
    "0002-0003-000004-0123456789ab.jsonl.new": None,
    "results.jsonl": None,
    "-1.jsonl": None,
}


@pytest.mark.parametrize(("name", "place"), NAMES.items(), ids=list(NAMES))
def test_the_place_of_a_part_by_its_name(name, place):
    assert result_parts.place_of(name) == place


def test_a_part_s_name_says_its_place_and_sorts_by_it():
    name = result_parts.part_name(2, 3, 4, "0123456789ab")

    assert name == "0002-0003-000004-0123456789ab.jsonl"
    assert result_parts.place_of(name) == (2, 3, 4)


SAID = {
    (3, None): "They name 3 recipients; recipients without an outcome are not among them.",
    (3, 3): "They name all 3 recipients.",
    (4, 3): "They name all 3 recipients.",
    (2, 3): (
        "They name 2 of 3 recipients; 1 had no outcome when the task stopped. Retry or clear that task: it sends to "
        "them, and to nobody twice."
    ),
    (0, 0): "They name all 0 recipients.",
}


@pytest.mark.parametrize("given", SAID, ids=str)
def test_how_whole_the_parts_are(given):
    assert result_parts.said_of(*given) == SAID[given]


def part(folder, name, *lines, raw=()):
    folder.mkdir(parents=True, exist_ok=True)
    whole = b"".join(
        dump(marked({"to": "1", "given": "1", "where": "w", **line}, keep_sent=True)) for line in lines
    )
    (folder / name).write_bytes(b"".join(raw) + whole)
    return folder / name


def states(*files, base=None):
    return {
        line["n"]: line["status"] + line.get("message_id", "")
        for line in map(json.loads, result_parts.merged(list(files), base))
    }


BARE = {"earlier": True, "status": "sent"}
MERGED = {
    "the newest word": ([{"n": 0, "status": "failed"}], [{"n": 0, "status": "unknown"}], {0: "failed"}),
    "of different people": (
        [{"n": 0, "status": "failed"}],
        [{"n": 1, "status": "sent"}],
        {0: "failed", 1: "sent"},
    ),
    "an ID of an earlier try": (
        [{"n": 0, **BARE}],
        [{"n": 0, "status": "sent", "message_id": "a"}],
        {0: "senta"},
    ),
    "no ID at all": ([{"n": 0, **BARE}], [], {0: "sent"}),
    "a failure before it was sent": ([{"n": 0, **BARE}], [{"n": 0, "status": "failed"}], {0: "sent"}),
    "sent without an ID before": ([{"n": 0, **BARE}], [{"n": 0, "status": "sent"}], {0: "sent"}),
    "an ID of an unknown one": (
        [{"n": 0, **BARE}],
        [{"n": 0, "status": "unknown", "message_id": "b"}],
        {0: "unknownb"},
    ),
    "twice without an ID": ([{"n": 0, **BARE}], [{"n": 0, **BARE}], {0: "sent"}),
}


@pytest.mark.parametrize(("newer", "older", "found"), MERGED.values(), ids=list(MERGED))
@pytest.mark.parametrize("as_base", [False, True], ids=["part", "file"])
def test_whose_word_counts(tmp_path, newer, older, found, as_base):
    new, old = part(tmp_path, "2.jsonl", *newer), part(tmp_path, "1.jsonl", *older)

    assert (states(new, base=old) if as_base else states(new, old)) == found


def test_each_recipient_has_one_line(tmp_path):
    files = [part(tmp_path, f"{n}.jsonl", {"n": 0, **BARE}, {"n": 1, "status": "sent"}) for n in (1, 2)]

    assert len(list(result_parts.merged(files))) == 2


def test_what_is_no_line_of_a_part_is_passed_by(tmp_path):
    raw = [
        header(9, resumed=True),
        b"\n",
        b'{"n": 5, "stat\n',
        dump(
            {"n": 1, "to": "1", "given": "1", "where": "w", "status": "sent", "format": "whatsapp-results/9"}
        ),
    ]
    unmarked = dump({"n": 2, "to": "1", "given": "1", "where": "w", "status": "failed"})
    file = part(tmp_path, "1.jsonl", {"n": 3, "status": "failed"}, raw=[*raw, unmarked])

    assert states(file) == {2: "failed", 3: "failed"}
    assert all(b'"format": "whatsapp-results/1"' in line for line in result_parts.merged([file]))


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (header(9, resumed=True), (True, 9)),
        (header(9, resumed=False), (False, 9)),
        (b'{"format": "whatsapp-results-part/1", "total": "9"}\n', (False, None)),
        (b'{"format": "another", "total": 9}\n', (None, None)),
        (b"[]\n", (None, None)),
        (b"", (None, None)),
    ],
    ids=["resumed", "not", "no total", "another", "no object", "empty"],
)
def test_what_a_part_s_header_says(tmp_path, raw, found):
    without = part(tmp_path, "2.jsonl", {"n": 0, "status": "sent"})
    assert result_parts._header([without, part(tmp_path, "1.jsonl", raw=[raw])]) == found


class Bucket:
    """A path on a store that does not say when a file was written, or says it in its own way."""

    protocol = "memory"

    def __init__(self, answer):
        self.fs, self.path = SimpleNamespace(modified=answer), "x"


def test_when_a_file_was_written(tmp_path):
    def fails(error):
        def ask(path):
            raise error

        return ask

    at = SimpleNamespace(timestamp=lambda: 7)
    assert result_parts.modified(Bucket(lambda path: at)) == 7.0
    for error in (FileNotFoundError(), NotImplementedError(), AttributeError()):
        assert result_parts.modified(Bucket(fails(error))) is None
    assert result_parts.modified(tmp_path / "none") is None
    (tmp_path / "here").touch()
    os.utime(tmp_path / "here", (1, 5))
    assert result_parts.modified(tmp_path / "here") == 5.0


def test_parts_whose_store_does_not_say_when_are_news():
    left = result_parts.Left("folder", [Bucket(lambda path: (_ for _ in ()).throw(FileNotFoundError))])

    assert result_parts._newest(left) == float("inf")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("results.jsonl.0123456789ab.parts", None),
        ("results.jsonl.0123456789ab.parts", "note.txt"),
        ("results.jsonl.bak", "0001.jsonl"),
        ("other.jsonl.0123456789ab.parts", "0001.jsonl"),
        ("xresults.jsonl.0123456789ab.parts", "0001.jsonl"),
        ("resultsxjsonl.0123456789ab.parts", "0001.jsonl"),
        ("results.jsonl.0123456789ab.parts.old", "0001.jsonl"),
    ],
)
def test_what_lies_beside_a_file_and_is_not_its_parts(tmp_path, name, file):
    folder = tmp_path / name
    folder.mkdir()
    if file:
        part(folder, file, {"n": 0, "status": "sent"})

    assert left_beside(tmp_path / "results.jsonl") is None


@pytest.mark.parametrize(("age", "news"), [(0, False), (-1, False), (1, True)], ids=str)
def test_parts_are_news_where_they_are_newer_than_the_file(tmp_path, age, news):
    path = tmp_path / "results.jsonl"
    path.write_text("")
    os.utime(path, (100, 100))
    os.utime(
        part(tmp_path / "results.jsonl.ab.parts", "0001.jsonl", {"n": 0, "status": "sent"}), (9, 100 + age)
    )

    assert (left_beside(path) is not None) is news


def test_a_file_in_the_place_of_a_folder_holds_no_parts(tmp_path):
    (tmp_path / "results.jsonl.ab.parts").write_text("")

    assert parts_in(tmp_path / "results.jsonl.ab.parts") == []
    assert left_beside(tmp_path / "results.jsonl") is None
    assert left_beside(tmp_path / "results.jsonl.ab.parts" / "results.jsonl") is None
    assert left_beside(tmp_path / "nowhere" / "results.jsonl") is None


class Remote:
    """A file of a store that keeps folders, as SFTP does."""

    protocol = "sftp"

    def __init__(self, path):
        self.parent, self.open = path.parent, path.open


@pytest.mark.parametrize("kind", [Path, Remote], ids=["disk", "server"])
def test_a_file_gets_the_folders_that_are_not_there(tmp_path, kind):
    path = tmp_path / "a" / "b" / "results.jsonl"
    for lines in ([b"1\n", b"22\n", b"333\n"], [b"4\n"]):
        assert result_parts.write_whole(kind(path), iter(lines)) == len(lines)
        assert path.read_bytes() == b"".join(lines)


def test_a_file_that_cannot_be_read_with_its_parts_leaves_nothing_open(tmp_path, monkeypatch):
    path, opened = tmp_path / "results.jsonl", []
    temporary = result_parts.tempfile.TemporaryFile
    monkeypatch.setattr(
        result_parts.tempfile, "TemporaryFile", lambda: (opened.append(temporary()), opened[-1])[1]
    )
    left = result_parts.Left(
        tmp_path, [part(tmp_path, "0001.jsonl", {"n": 0, "status": "sent"})], resumed=False
    )
    unfinished = result_parts.Unfinished(path, left)
    with unfinished.open("rb") as lines:
        assert [json.loads(line)["n"] for line in lines] == [0]
    assert (unfinished.name, str(unfinished)) == ("results.jsonl", str(path))
    left.parts.append(tmp_path / "0002.jsonl")
    with pytest.raises(FileNotFoundError):
        unfinished.open("rb")

    assert [file.closed for file in opened] == [True, True]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(5, "Input/output error"), "Input/output error"),
        (ValueError("x" * 300), "ValueError: " + "x" * 200),
    ],
    ids=["of the system", "of a library"],
)
def test_parts_that_cannot_be_read_are_refused_with_the_reason(error, reason):
    def listing():
        raise error

    folder = SimpleNamespace(fs=SimpleNamespace(), iterdir=listing)
    with pytest.raises(ResultsError) as caught:
        with_parts(SimpleNamespace(name="results.jsonl", parent=folder, protocol="s3"))

    assert caught.value.message.endswith(f"cannot be read: {reason}")
