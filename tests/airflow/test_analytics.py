"""The example of a daily load of analytics, by a real Airflow."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from airflow_provider_whatsapp.client.messages import Template

pytestmark = pytest.mark.airflow


def test_the_example(run_dag, sandbox, tmp_path):
    sandbox.control("POST", "accounts", insights=True)
    with sandbox.client() as client:
        for to in ("+4915112345678", "+15550001111"):
            client.messages.send(to, Template("hello_world"))
    sandbox.clock.advance(10)
    conf = {"folder": f"file://{tmp_path}/files", "database": f"{tmp_path}/a.db"}
    assert run_dag("whatsapp_analytics", **conf)[0] == "success"

    with closing(sqlite3.connect(conf["database"])) as database:
        reads = database.execute('SELECT template_name, sent, "read" FROM template').fetchall()
        costs = database.execute("SELECT country, volume, cost FROM pricing ORDER BY 1").fetchall()
    assert reads == [("hello_world", 2, 2)]
    assert costs == [("DE", 1, 0.04), ("US", 1, 0.04)]
    assert {path.parent.name for path in (tmp_path / "files").glob("*/*.jsonl")} == {"pricing", "template"}
