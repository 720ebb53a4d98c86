"""Which sources count as results files, what is read in them, and how version 0.1's are marked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.delivery.recipients import Recipients
from airflow_provider_whatsapp.delivery.report import Outcome
from airflow_provider_whatsapp.delivery.result_lines import FORMAT, MOST, dump, has_shape, refuse_unmarked
from airflow_provider_whatsapp.delivery.results import Results

ROOT = Path(__file__).parents[2]
OLD = ROOT / "tests" / "data" / "written_by_0_1" / "results" / "results.jsonl"
LINE = {
    "format": FORMAT,
    "n": 0,
    "to": "15550100100",
    "status": "failed",
    "given": "+1 555 010 0100",
    "where": "people.csv:2",
    "row": {"to": "+1 555 010 0100", "name": "Ann"},
}


@pytest.fixture
def write(tmp_path):
    """Write a file of JSON lines."""

    def write(*lines):
        path = tmp_path / "people.jsonl"
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        return path

    return write


@pytest.fixture
def old(tmp_path):
    return Path(shutil.copy(OLD, tmp_path))


def test_version_0_1_s_file_is_refused_with_the_command_that_marks_it(old, tmp_path, mark_results):
    for scope in ("all", "failed", "unknown"):
        with pytest.raises(PayloadError, match=f"python -m airflow_provider_whatsapp results {old}"):
            Recipients(old, scope=scope).survey()

    done = mark_results(old.name)

    assert (done.returncode, done.stdout) == (0, f"{old.name}: 8 recipients, marked as a results file.\n")
    failed = list(Recipients(old, scope="failed"))
    assert [row.to for row in failed] == ["15550100101", "12", "US.13491208655302741918", "15550100104"]
    assert [row.values.get("name") for row in failed] == ["Refused", "Malformed", "By ID", "Last"]
    assert [row.to for row in Recipients(old, scope="unknown")] == ["15550100102"]
    assert Recipients(old).survey().total == 8
    assert "Opted out" not in old.read_text(), "whoever is left alone keeps no values"
    marked = old.read_bytes()
    assert mark_results(old.name).returncode == 0
    assert old.read_bytes() == marked, "twice is the same as once"


@pytest.mark.parametrize(
    "content",
    [
        "to\n15550100100\n",
        '{"to": "15550100100"}\n',
        json.dumps(LINE) + '\n{"n": 1, "to": "1555',
        "[]\n",
        "\n",
    ],
)
def test_the_command_leaves_other_files_as_they_are(tmp_path, content, mark_results):
    path = tmp_path / "people.csv"
    path.write_text(content)

    done = mark_results(path.name)

    assert (done.returncode, done.stdout) == (1, "")
    assert "is not a line of a results file" in done.stderr
    assert done.stderr.count("\n") == 1
    assert path.read_text() == content
    assert mark_results("absent.jsonl").returncode == 1


def test_the_command_imports_airflow_for_object_stores_alone(old, tmp_path):
    code = f"""
import sys
from airflow_provider_whatsapp.cli import main
main(["results", {str(old)!r}])
main(["results", {f"file://{old}"!r}])
assert not [name for name in sys.modules if name.split(".")[0] == "airflow"]
"""
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


HOSTILE = {
    "a result's fields": {
        "to": "15550100100",
        "status": "failed",
        "given": "15550999999",
        "row": {"name": "x"},
    },
    "the mark": {**LINE, "to": "15550100100", "given": "15550999999"},
    "the mark of another version": {**LINE, "format": "whatsapp-results/9", "given": "15550999999"},
    "version 0.1": {**{key: LINE[key] for key in LINE if key != "format"}, "given": "15550999999"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_row_that_imitates_a_result_is_a_row_like_any_other(write, name):
    path = write({"to": "15550100101"}, HOSTILE[name], {"to": "15550100102"})

    assert [row.to for row in Recipients(path)] == ["15550100101", "15550100100", "15550100102"]
    for scope in ("failed", "unknown"):
        with pytest.raises(PayloadError, match="needs a results file"):
            Recipients(path, scope=scope).survey()


def test_a_first_row_that_imitates_a_result_sends_nobody_else_s_message_astray(write):
    path = write({**LINE, "given": "15550999999"}, {"to": "15550100101"}, {"to": "15550100102"})

    first, *others = Recipients(path)

    assert first.to == "15550999999"
    assert all(
        "is not a line of a results file, although the first one is" in str(row.error) for row in others
    )
    assert Recipients(path).survey().total == 3, "each is counted"


@pytest.mark.parametrize(
    "change",
    [
        {"n": MOST},
        {"n": -1},
        {"n": True},
        {"n": "0"},
        {"status": "delighted"},
        {"status": ["sent"]},
        {"to": 15550100100},
        {"row": ["x"]},
        {"given": None},
        {"where": None},
    ],
)
def test_a_mark_alone_makes_no_result(write, change):
    path = write({**LINE, **change})

    with pytest.raises(PayloadError, match="needs a results file"):
        Recipients(path, scope="failed").survey()


def test_another_version_s_file_is_refused(write):
    with pytest.raises(PayloadError, match="of another version"):
        Recipients(write({**LINE, "format": "whatsapp-results/2"})).survey()


@pytest.mark.parametrize("source", ["to\n15550100100\n", "", '{"to": "15550100100", "status": "failed"}\n'])
def test_a_scope_wants_a_results_file(tmp_path, source):
    path = tmp_path / "people"
    path.write_text(source)
    lists = [[{"to": "15550100100", "status": "failed"}], [LINE], ["15550100100"]]

    for recipients in [path] * bool(source) + lists:
        with pytest.raises(PayloadError, match=r'scope="failed" needs a results file.*results_path'):
            Recipients(recipients, scope="failed").survey()


def test_what_a_task_writes_is_marked_and_holds_values_only_of_those_who_may_be_sent_to(tmp_path):
    path = tmp_path / "results.jsonl"
    people = [{"to": f"1555010{place:04}", "name": f"P{place}"} for place in range(6)]
    results = Results(path, key="run", number=1)
    results.begin(start_over=True)
    ends = [
        ("failed", None),
        ("unknown", None),
        ("skipped", "stopped"),
        ("skipped", "dry_run"),
        ("skipped", "suppressed"),
        ("skipped", "duplicate"),
    ]
    for row, (status, reason) in zip(Recipients(people), ends, strict=True):
        results.take(row, Outcome(row.to, status, reason=reason))
    results.finish()

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["format"] for line in lines] == [FORMAT] * 6
    assert [line.get("row", {}).get("name") for line in lines] == ["P0", "P1", "P2", "P3", None, None]
    assert [row.values["name"] for row in Recipients(path, scope="failed")] == ["P0", "P2", "P3"]
    assert [row.values["name"] for row in Recipients(path, scope="unknown")] == ["P1"]


def test_a_place_in_a_list_costs_a_bit_and_all_of_them_sixteen_mebibytes():
    assert MOST / 8 == 16 * 2**20
    assert [has_shape({**LINE, "n": place}) for place in (0, MOST - 1, MOST)] == [True, True, False]


def nest(levels, inside, of=list):
    for _ in range(levels):
        inside = [inside] if of is list else {"a": inside}
    return inside


ROWS = {
    "sound": ({"a": [1, "Grüße", None]}, {"a": [1, "Grüße", None]}),
    "half a character": ("\ud800", "\ud800"),
    "not a number": ([float("nan"), 1.5], [None, 1.5]),
    "infinity": ({"a": float("-inf")}, {"a": None}),
    "names that are no texts": ({(1, 2): 3, None: 4}, {"(1, 2)": 3, "None": 4}),
    "a tuple": (("x", float("nan")), ["x", None]),
    "a thing": ({"a": Path("/x"), "b": float("nan")}, {"a": "/x", "b": None}),
    "as deep as is kept": (nest(20, float("nan")), nest(20, None)),
    "objects as deep": (nest(20, float("nan"), dict), nest(20, None, dict)),
    "deeper, and sound": ([nest(25, 1), float("nan")], [nest(25, 1), None]),
    "deeper, and not": (nest(21, float("nan")), nest(20, None)),
}


@pytest.mark.parametrize(("given", "kept"), ROWS.values(), ids=list(ROWS))
def test_what_is_kept_of_a_row_that_strict_json_cannot_hold(given, kept):
    line = dump({"n": 0, "row": given})

    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line, parse_constant=pytest.fail) == {"n": 0, "row": kept}


def test_a_line_is_utf_8_whatever_stands_in_it():
    """What JSON can hold is not escaped, and a thing that it cannot hold changes nothing of that."""
    assert dump({"a": "Grüße", "b": Path("/x")}) == '{"a": "Grüße", "b": "/x"}\n'.encode()


@pytest.mark.parametrize("mark", ["x/1", "whatsapp-results", 7, None], ids=repr)
def test_a_column_that_has_the_mark_s_name_makes_no_results_file(write, mark):
    (row,) = Recipients(write({**LINE, "format": mark}))

    assert (row.to, row.values["status"]) == ("15550100100", "failed")


def test_a_list_of_what_looks_like_results_is_a_list():
    old = {name: value for name, value in LINE.items() if name != "format"}
    for line in (LINE, old):
        (row,) = Recipients([line])
        assert (row.to, row.values["given"]) == ("15550100100", LINE["given"])


@pytest.mark.parametrize(
    "change", [{"format": "whatsapp-results/2"}, {"format": None}], ids=["newer", "older"]
)
@pytest.mark.parametrize("options", [{}, {"field": "PATH"}], ids=["recipients", "path"])
def test_the_refusal_of_another_version_s_file_names_the_argument(tmp_path, change, options):
    line = {name: value for name, value in (LINE | change).items() if value is not None}
    with pytest.raises(PayloadError) as caught:
        refuse_unmarked(line, tmp_path / "people.jsonl", **options)

    assert caught.value.field == options.get("field", "recipients")


def test_who_was_given_nothing_to_be_found_by_is_sent_to_by_the_number(write):
    (row,) = Recipients(write({**LINE, "given": ""}), scope="failed")

    assert row.to == "15550100100"
