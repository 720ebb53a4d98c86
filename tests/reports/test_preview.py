"""``report preview`` writes the file that would be sent."""

from __future__ import annotations

import json
import os
import sqlite3

import pytest

from airflow_provider_whatsapp.cli import main
from tests.forks import run_module


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("day,n\n2026-01-01,1\n2026-01-02,2\n")
    return str(path)


@pytest.mark.parametrize(
    ("options", "start"),
    [
        pytest.param("--chart line --x day --y n --title Sales --unit EUR", b"\x89PNG", id="chart"),
        pytest.param("--format pdf --figures n --max-rows 1", b"%PDF", id="pdf"),
        pytest.param("--format csv", b"\xef\xbb\xbf", id="csv"),
    ],
)
def test_a_file_is_shown_as_it_would_be_sent(rows, tmp_path, capsys, options, start):
    out = tmp_path / "out"
    assert main(["report", "preview", str(out), "--rows", rows, *options.split()]) == 0

    assert out.read_bytes().startswith(start)
    left_out = 1 if "--max-rows" in options else 0
    assert capsys.readouterr().out == f"{out}: {2 - left_out} rows, {left_out} left out\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param("", "give either --rows, or --sql with --conn-id", id="no source"),
        pytest.param("--sql SELECT", "give either --rows, or --sql with --conn-id", id="no connection"),
        pytest.param("--rows ROWS", "format='chart' needs a kind", id="no kind"),
        pytest.param("--rows ROWS --chart line --x day --y x", "The columns are day, n", id="no column"),
        pytest.param("--rows nowhere.csv --format csv", "nowhere.csv does not exist", id="no file"),
    ],
)
def test_what_is_wrong_is_one_sentence(rows, tmp_path, capsys, options, said):
    assert main(["report", "preview", str(tmp_path / "out"), *options.replace("ROWS", rows).split()]) == 1

    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_a_query_by_a_connection_of_airflow(tmp_path, forks):
    pytest.importorskip("airflow.providers.sqlite")
    database = tmp_path / "sales.db"
    with sqlite3.connect(database) as opened:
        opened.execute("CREATE TABLE sales AS SELECT 1 AS n")
    connection = json.dumps({"conn_type": "sqlite", "host": str(database)})
    out = tmp_path / "out.csv"
    options = ["--sql", "SELECT n FROM sales", "--conn-id", "sales", "--format", "csv"]
    command = (run_module, "airflow_provider_whatsapp", "report", "preview", out, *options)
    done = forks.run(*command, env={**os.environ, "AIRFLOW_CONN_SALES": connection})
    assert done.returncode == 0, done.stderr
    assert out.read_text("utf-8-sig") == "n\n1\n"
