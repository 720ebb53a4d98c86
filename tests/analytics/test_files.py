"""Rows of analytics in files: each format gives back what it took, and no later reading takes anything away."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.analytics.destination import Destination, DestinationError
from airflow_provider_whatsapp.analytics.formats import FORMATS, format_of, to_text
from airflow_provider_whatsapp.analytics.load import load
from airflow_provider_whatsapp.analytics.merge import Merge
from airflow_provider_whatsapp.client.analytics_kinds import CLICKS, KINDS, TYPES
from airflow_provider_whatsapp.client.analytics_points import clicks
from airflow_provider_whatsapp.client.errors import ConfigurationError, PayloadError
from tests.examples import examples

UTC_ZONE = ZoneInfo("UTC")
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
SUFFIXES = list(FORMATS)


def row(kind="pricing", day=0, hours=0, **values):
    """A row of a day, read some hours later."""
    start = FIRST + timedelta(days=day)
    made = dict.fromkeys(KINDS[kind].columns) | {"waba_id": "900", "granularity": "day"}
    made |= {"start": start, "end": start + timedelta(days=1), "read_at": start + timedelta(hours=hours)}
    if kind == "template":
        made |= {"template_id": "701", "product_type": "cloud_api", **clicks([])}
    return made | values


def destination(path, kind="pricing", zone=UTC_ZONE):
    return Destination(str(path), KINDS[kind], zone, Path)


def run(path, rows, kind="pricing", zone=UTC_ZONE, days=(date(2026, 11, 1), date(2026, 11, 8))):
    return load(rows, KINDS[kind], destination(path, kind, zone), days)


def read(path, kind="pricing"):
    with path.open("rb") as file:
        return list(format_of(path.name).read(file, KINDS[kind], path.name))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_back_every_column_of_every_kind(tmp_path, kind, suffix):
    button = {"type": "url_button", "button_content": 'Open, "now"\u00e9', "count": 3}
    full = {
        name: {"whole": 3, "decimal": 0.0125, "moment": FIRST, "json": [button]}.get(
            TYPES.get(name), f"{name},\u00e9"
        )
        for name in KINDS[kind].columns
    } | {"waba_id": "901"}
    full |= clicks([button]) if kind == "template" else {}
    rows = [row(kind), full]
    path = tmp_path / f"a{suffix}"
    report = run(path, rows, kind)

    assert (report.rows, report.added, report.files, report.written) == (2, 2, [str(path)], [str(path)])
    assert [list(each) for each in read(path, kind)] == [list(KINDS[kind].columns)] * 2
    assert read(path, kind) == rows


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_second_load_changes_nothing_and_a_smaller_value_takes_nothing(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    run(path, [row(volume=3, cost=0.5), row(day=1, volume=1, cost=0.1)])
    before = path.read_bytes(), path.stat().st_mtime_ns
    report = run(path, [row(hours=9, volume=3, cost=0.5), row(day=1, hours=9, volume=0, cost=0.0)])

    assert (report.unchanged, report.added, report.raised, report.written) == (2, 0, 0, [])
    assert report.files == [str(path)]
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    report = run(path, [row(day=1, hours=9, volume=0, cost=0.2), row(day=2, volume=7)])
    assert (report.raised, report.added) == (1, 1)
    one, two, three = read(path)
    assert (one["volume"], one["read_at"]) == (3, FIRST)
    assert (two["volume"], two["cost"], two["read_at"]) == (1, 0.2, FIRST + timedelta(days=1, hours=9))
    assert three["volume"] == 7


def test_clicks_keep_the_greatest_count_of_each_button(tmp_path):
    path = tmp_path / "a.jsonl"
    yes, no = ({"type": "quick_reply_button", "button_content": text} for text in ("Yes", "No"))
    first = row("template", sent=9, read=5, **clicks([{**yes, "count": 4}]))
    later = row("template", sent=9, read=0, **clicks([{**yes, "count": 0}, {**no, "count": 2}]))
    run(path, [first], "template")
    run(path, [later | {"template_name": "sale"}], "template")
    (found,) = read(path, "template")

    assert {each["button_content"]: each["count"] for each in found["clicked"]} == {"Yes": 4, "No": 2}
    assert (found["quick_reply_clicks"], found["read"], found["template_name"]) == (6, 5, "sale")
    run(path, [row("template", sent=9)], "template")
    assert read(path, "template") == [found]  # an unnamed reading does not take the name away


readings = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([None, "DE", "US"]),
        st.one_of(st.none(), st.integers(0, 5)),
        st.one_of(st.none(), st.integers(0, 5)),
    ),
    max_size=12,
)


@settings(max_examples=examples(40), deadline=None)
@given(readings, st.integers(0, 12))
def test_whatever_the_order_and_the_number_of_loads_the_greatest_values_stay(found, cut):
    rows = [row(day=day, country=country, volume=volume, cost=cost) for day, country, volume, cost in found]
    expected = {}
    for each in rows:
        key = each["start"], each["country"]
        have = expected.setdefault(key, (None, None))
        pairs = zip(have, (each["volume"], each["cost"]), strict=True)
        expected[key] = tuple(max((v for v in pair if v is not None), default=None) for pair in pairs)
    with Merge(KINDS["pricing"]) as merge:
        merge.keep("", rows[:cut])
        for each in rows[cut:]:
            merge.add("", each)
        got = list(merge.rows(""))

    assert {(each["start"], each["country"]): (each["volume"], each["cost"]) for each in got} == expected
    assert len(got) == len(expected)
    assert [each["start"] for each in got] == sorted(each["start"] for each in got)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_day_has_a_file_of_its_own_in_the_account_s_zone(tmp_path, suffix):
    zone = ZoneInfo("America/New_York")
    late = FIRST + timedelta(days=1, hours=2)  # still the first of November in New York
    rows = [row(start=late, volume=1), row(start=late + timedelta(hours=4), volume=2)]
    report = run(tmp_path / "day={day}" / f"a{suffix}", rows, zone=zone)

    one, two = (tmp_path / f"day=2026-11-0{day}" / f"a{suffix}" for day in (1, 2))
    assert report.files == [str(one), str(two)]
    assert [each["volume"] for each in (*read(one), *read(two))] == [1, 2]
    before = one.stat().st_mtime_ns
    rows = [row(start=late, volume=0), row(start=late + timedelta(hours=4), volume=5)]
    report = run(tmp_path / "day={day}" / f"a{suffix}", rows, zone=zone)
    assert (report.written, one.stat().st_mtime_ns) == ([str(two)], before)
    assert report.files == [str(one), str(two)]


def test_months_and_points_that_begin_before_the_time_that_was_asked_for(tmp_path):
    old = row(day=-3, volume=4)
    run(tmp_path / "{month}.csv", [old])
    report = run(tmp_path / "{month}.csv", [row(day=-3, volume=1), row(volume=2)])
    assert (report.unchanged, report.written) == (1, [str(tmp_path / "2026-11.csv")])
    assert read(tmp_path / "2026-10.csv") == [old]


def test_a_file_of_an_earlier_version_may_lack_a_column(tmp_path):
    path = tmp_path / "a.jsonl"
    whole = row("template", sent=3)
    run(path, [whole], "template")
    line = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in line.items() if name != "language"}) + "\n\n")
    run(path, [row("template", day=1)], "template")
    assert read(path, "template") == [whole, row("template", day=1)]


NO_ROWS = {
    "a list": "[1]\n",
    "no JSON": "{\n",
    "a bad moment": json.dumps({"waba_id": "1", "granularity": "day", "start": "x"}) + "\n",
    "another kind": json.dumps({"waba_id": "1", "sent": 3}) + "\n",
    "no number": json.dumps(to_text(row("pricing", cost=float("nan")))) + "\n",
    "no end": json.dumps(to_text(row("pricing", cost=float("inf")))) + "\n",
    "endless": json.dumps(to_text(row("pricing", volume=float("inf")))) + "\n",
    "half a key": json.dumps({"waba_id": "1"}) + "\n",
}


def never():
    raise AssertionError("WhatsApp was asked")
    yield


@pytest.mark.parametrize("text", NO_ROWS.values(), ids=NO_ROWS)
def test_a_file_that_holds_something_else_is_refused_before_anything_is_asked(tmp_path, text):
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(
        PayloadError, match=r"destination: a.jsonl:1 (is not a row|contains 'sent'|has no column)"
    ):
        run(path, never())
    assert path.read_text() == text


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    "content",
    [b"to,name\n1,2\n", b"\xff\xfe\x00", b"PAR1 and nothing else", b'"'],
    ids=["foreign", "bytes", "cut short", "quote"],
)
def test_a_file_of_another_form_is_refused_before_anything_is_asked(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(PayloadError, match=r"destination: a.*Repair or move it|its own file"):
        run(path, never())
    assert path.read_bytes() == content


def test_a_column_of_somebody_s_own_is_not_thrown_away(tmp_path):
    path = tmp_path / "a.jsonl"
    run(path, [row(volume=3)])
    path.write_text(json.dumps(json.loads(path.read_text()) | {"team": "growth"}) + "\n")
    with pytest.raises(PayloadError, match=r"a.jsonl:1 contains 'team', which pricing analytics do not have"):
        run(path, never())


def test_a_csv_row_with_too_few_cells(tmp_path):
    path = tmp_path / "a.csv"
    run(path, [row(volume=3)])
    path.write_text(path.read_text() + "900,day\n")
    with pytest.raises(PayloadError, match=r"a.csv:3 is not a row of analytics"):
        run(path, never())


@pytest.mark.parametrize("name", ["a.xlsx", "a", "jsonl", "a.parquet.gz"])
def test_a_name_without_a_suffix_that_is_known(name):
    with pytest.raises(PayloadError, match=r"destination: .* \(limit: .jsonl, .ndjson, .csv, .parquet\)"):
        destination(name)


def test_without_pyarrow_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'airflow-provider-whatsapp\[parquet\]'"):
        destination("a.parquet")
    destination("a.csv")


@pytest.mark.parametrize("place", ["file/a.jsonl", "folder.jsonl", "/proc/whatsapp/a.jsonl"])
def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_asked(tmp_path, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(ConfigurationError, match=r"destination: .*a.jsonl|folder.jsonl cannot be written"):
        run(tmp_path / place if not place.startswith("/") else place, never())


def test_no_rows_make_an_empty_file_once_and_none_for_days(tmp_path):
    assert run(tmp_path / "a.csv", []).written == [str(tmp_path / "a.csv")]
    assert (tmp_path / "a.csv").read_text() == ",".join(KINDS["pricing"].columns) + "\n"
    assert run(tmp_path / "a.csv", []).written == []
    assert run(tmp_path / "{day}.csv", []).written == []


def test_a_failure_while_it_is_written_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    run(path, [row(volume=1)])
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(DestinationError, match=r"a.jsonl could not be written: OSError: disk full"):
        run(path, [row(volume=2)])
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.jsonl"]


def test_rows_without_a_cost_are_counted(tmp_path):
    assert run(tmp_path / "a.jsonl", [row(volume=1), row(day=1, cost=0.0)]).without_cost == 1
    assert run(tmp_path / "b.jsonl", [row("messaging", sent=1)], "messaging").without_cost == 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_object_store_holds_the_same(suffix, monkeypatch):
    import fsspec
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.io import attach

    store = fsspec.filesystem("memory")
    attach("memory", fs=store)
    forgotten = []  # an old listing would hide the file of an earlier load
    monkeypatch.setattr(store, "invalidate_cache", lambda path=None: forgotten.append(path))
    base = ObjectStoragePath(f"memory://analytics-{suffix[1:]}")
    given = base / "day={day}" / f"a{suffix}"
    days = date(2026, 11, 1), date(2026, 11, 3)
    for volumes in ((1, 2), (0, 5)):
        rows = [row(day=day, volume=volume) for day, volume in enumerate(volumes)]
        report = load(
            rows, KINDS["pricing"], Destination(given, KINDS["pricing"], UTC_ZONE, ObjectStoragePath), days
        )
    assert (len(report.files), len(report.written)) == (2, 1)
    found = [each for day in (1, 2) for each in read(base / f"day=2026-11-0{day}" / f"a{suffix}")]
    assert [each["volume"] for each in found] == [1, 5]
    assert forgotten


def test_sums_of_clicks_are_columns():
    assert set(CLICKS.values()) <= set(KINDS["template"].columns)
