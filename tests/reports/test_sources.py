"""Rows of a report from lists, data frames and files, and what is refused about them."""

from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.client.errors import ConfigurationError, PayloadError
from airflow_provider_whatsapp.tables.rows import Rows
from airflow_provider_whatsapp.tables.source import rows_of

ROWS = [{"day": "2026-01-01", "n": 1}, {"day": "2026-01-02", "n": 2}]


def read(source):
    rows, texts = rows_of(source)
    return rows.columns, [tuple(row) for row in rows.take(None)], texts


class Pandas:
    columns = ("day", "n")

    def itertuples(self, index, name):
        assert not index
        assert name is None
        return iter([(date(2026, 1, 1), 1)])


class Polars:
    columns = ("day", "n")

    def iter_rows(self):
        return iter([(date(2026, 1, 1), 1)])


@pytest.mark.parametrize("frame", [Pandas(), Polars()], ids=["pandas", "polars"])
def test_a_frame_is_read_by_what_such_frames_have(frame):
    assert read(frame) == (["day", "n"], [(date(2026, 1, 1), 1)], False)


def test_dicts_make_columns_of_all_their_keys():
    assert read([{"a": 1}, {"b": 2, "a": 3}]) == (["a", "b"], [(1, None), (3, 2)], False)
    assert read([]) == ([], [], False)


@pytest.mark.parametrize(
    "name", ["r.csv", "r.csv.gz", "semicolons.csv", "windows.csv", "lines.jsonl", "list.json"]
)
def test_files(tmp_path, name):
    separator = ";" if name.startswith("semi") else ","
    csv = f"day{separator}n\n2026-01-01{separator}1\n\n2026-01-02{separator}2\n"
    lines = "\n".join(map(json.dumps, ROWS))
    text = {"lines.jsonl": lines, "list.json": json.dumps(ROWS)}.get(name, csv)
    encoded = text.encode("utf-8-sig" if name == "windows.csv" else "utf-8")
    path = tmp_path / name
    path.write_bytes(gzip.compress(encoded) if name.endswith(".gz") else encoded)

    columns, rows, texts = read(path)
    assert columns == ["day", "n"]
    assert texts == (".csv" in name)
    assert [(day, int(n)) for day, n in rows] == [("2026-01-01", 1), ("2026-01-02", 2)]


def test_a_file_with_a_header_alone_has_columns(tmp_path):
    (tmp_path / "r.csv").write_text("day,n\n")
    assert read(tmp_path / "r.csv") == (["day", "n"], [], True)
    (tmp_path / "r.csv").write_text("")
    assert read(tmp_path / "r.csv") == ([], [], True)


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "r.parquet")
    assert read(tmp_path / "r.parquet") == (["day", "n"], [("2026-01-01", 1), ("2026-01-02", 2)], False)
    (tmp_path / "r.parquet").write_bytes(b"PAR0")
    with pytest.raises(PayloadError, match="is not a Parquet file"):
        read(tmp_path / "r.parquet")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param(7, "a value of type int cannot be read as rows", id="number"),
        pytest.param("s3://x", "a value of type str cannot be read as rows", id="text"),
        pytest.param([{"a": 1}, [2]], "row 2 is a list", id="row"),
        pytest.param(Path("/nowhere/r.csv"), "does not exist", id="missing"),
        pytest.param(SimpleNamespace(columns=["a"]), "cannot be read as rows", id="like a frame"),
    ],
)
def test_what_is_no_source_is_refused(source, said):
    with pytest.raises(PayloadError, match=said):
        read(source)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a,b\n1\n", "r.csv:2 has 1 cells, the header 2", id="short"),
        pytest.param('{"a": 1}\n{"a": \n', "r.csv:2", id="broken JSON"),
    ],
)
def test_a_broken_line_is_named(tmp_path, text, said):
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(PayloadError, match=said):
        read(tmp_path / "r.csv")


def test_a_missing_library_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "r.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigurationError, match=r"airflow-provider-whatsapp\[parquet\]"):
        read(tmp_path / "r.parquet")


def test_rows_that_lost_a_column_of_the_same_name_are_refused():
    with pytest.raises(PayloadError, match=r"names 2 columns, and its rows hold 1 values.*a\.id AS a_id"):
        list(Rows(["id", "id"], [{"id": 1}]).take(None))
