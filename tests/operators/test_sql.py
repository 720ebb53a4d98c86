"""What SqlToWhatsAppOperator refuses, without any request, and what it finds out of the database."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys

import pytest

from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

pytest.importorskip("airflow.providers.sqlite")

TO = "+15550001111"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 50


@pytest.fixture(autouse=True)
def database(tmp_path, monkeypatch):
    path = tmp_path / "report.db"
    monkeypatch.setenv("AIRFLOW_CONN_REPORT_DB", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    opened = sqlite3.connect(path)
    with opened:
        opened.execute("CREATE TABLE cities (name, n)")
        opened.executemany("INSERT INTO cities VALUES (?, ?)", [("Oslo", 7), ("Zürich", 12), ("Rome", 3)])
    opened.close()
    return path


def execute(**arguments):
    from airflow_provider_whatsapp.operators.sql import SqlToWhatsAppOperator

    arguments = {"to": TO, "conn_id": "report_db", "sql": "SELECT * FROM cities"} | arguments
    return SqlToWhatsAppOperator(task_id="report", **arguments).execute({})


def fails(match, **arguments):
    from airflow_provider_whatsapp._compat import AirflowFailException

    with pytest.raises(AirflowFailException, match=match):
        execute(**arguments)


@pytest.mark.parametrize(
    ("match", "arguments"),
    [
        ("'docx' is not known", {"format": "docx"}),
        ("format='chart' needs a kind", {"format": "chart"}),
        ("a file in the format csv contains no chart", {"chart": "line"}),
        ("there is no column 'nope'", {"format": "chart", "chart": "bar", "x": "name", "y": "nope"}),
        (
            "column 'name' has a value of the type str in row 1",
            {"format": "chart", "chart": "bar", "x": "n", "y": "name"},
        ),
        ("line needs the name of a column", {"format": "chart", "chart": "line", "y": "n"}),
        ("too long to read", {"format": "pdf", "max_rows": 20_001}),
        ("'xx' is not a locale", {"format": "chart", "chart": "bar", "x": "name", "y": "n", "locale": "xx"}),
        ("font '/nowhere.ttf' cannot be opened", {"format": "pdf", "font": "/nowhere.ttf"}),
        ("sql: give either sql or rows", {"rows": [{"n": 1}]}),
        ("sql: give either sql or rows", {"sql": None}),
        ("conn_id: is missing", {"conn_id": None}),
        ("a value of type int cannot be read as rows", {"rows": 7, "sql": None}),
        ("only_if: cannot be evaluated", {"only_if": "rows[0].nothing"}),
        ("csv is not allowed in a template's header: .* PDF", {"template_name": "t"}),
        ("xlsx is not allowed in a template's header", {"template_name": "t", "format": "xlsx"}),
        ("does not go with a template", {"template_name": "t", "format": "png", "caption": "c"}),
        ("body: works only with a template", {"body": ["x"]}),
        ("buttons: works only with a template", {"buttons": ["x"]}),
        ("caption", {"caption": "x" * 1025}),
        ("0 is not a number of rows", {"max_rows": 0}),
        ("cannot be read on a phone", {"max_rows": 500, "format": "png"}),
        ("the query returned no result", {"sql": "DELETE FROM cities"}),
    ],
)
def test_one_clear_error_and_no_request(sandbox, match, arguments):
    fails(match, **arguments)
    assert sandbox.requests == []


def test_nothing_is_asked_of_the_database_when_the_message_cannot_be(sandbox, database):
    fails("is not allowed in", template_name="t", sql="DELETE FROM cities")

    opened = sqlite3.connect(database)
    assert opened.execute("SELECT COUNT(*) FROM cities").fetchone() == (3,)
    opened.close()


def test_the_database_s_own_error_passes_through(sandbox):
    with pytest.raises(sqlite3.OperationalError, match="no such table: nowhere"):
        execute(sql="SELECT * FROM nowhere")
    assert sandbox.requests == []


def test_an_unknown_connection(sandbox):
    with pytest.raises(Exception, match="isn't defined"):
        execute(conn_id="no_such_db")


@pytest.mark.parametrize("conn_type", ["no_such_type", "maton_whatsapp"])
def test_a_connection_without_sql(sandbox, monkeypatch, conn_type):
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps({"conn_type": conn_type}))

    fails(f"of type '{conn_type}', and no installed provider reads SQL", conn_id="other")


def test_a_missing_provider_names_the_extra(sandbox, monkeypatch):
    monkeypatch.setitem(sys.modules, "airflow.providers.common.sql.hooks.sql", None)

    fails(r"airflow-provider-whatsapp\[sql\]")


@pytest.fixture
def sent(monkeypatch):
    """The bytes of each file that is uploaded, with its name."""
    from airflow_provider_whatsapp.client.resources.media import Media

    seen = []
    upload = Media.upload

    def look(self, source, **options):
        with source.open() as stream:
            seen.append((source.name, stream.read()))
        return upload(self, source, **options)

    monkeypatch.setattr(Media, "upload", look)
    return seen


def test_parameters_and_limits_reach_the_query(sandbox, sent):
    report = execute(sql="SELECT name FROM cities WHERE n > ? ORDER BY n", parameters=[5], max_rows=1)

    assert report["sent"] == 1
    assert sent == [("report.csv", "\ufeffname\r\nOslo\r\n".encode())]


def test_of_several_statements_the_last_with_a_result_is_sent(sandbox, sent):
    execute(
        sql=["SELECT 1 AS one, 2 AS two", "SELECT name FROM cities WHERE n = 3", "DELETE FROM cities"],
        filename="cities.CSV",
    )

    assert sent == [("cities.CSV", "\ufeffname\r\nRome\r\n".encode())]


@pytest.mark.parametrize(("switch", "cell"), [({}, "'=1+1"), ({"csv_formulas": "true"}, "=1+1")])
def test_a_csv_has_formulas_where_they_are_asked_for(sandbox, sent, switch, cell):
    execute(sql="SELECT '=1+1' AS sum", **switch)

    assert sent == [("report.csv", f"\ufeffsum\r\n{cell}\r\n".encode())]


def test_no_rows_give_the_header(sandbox, sent):
    execute(sql="SELECT name, n FROM cities WHERE n < 0")

    assert sent == [("report.csv", "\ufeffname,n\r\n".encode())]


def test_arguments_that_may_be_private_are_hidden_until_the_task_runs(sandbox):
    from airflow_provider_whatsapp.operators.sql import SqlToWhatsAppOperator

    operator = SqlToWhatsAppOperator(
        task_id="report",
        to=TO,
        conn_id="report_db",
        sql="SELECT 1",
        caption="for {{ who }}",
        parameters={"name": "Ann"},
    )
    operator.render_template_fields({"who": "Ann"})

    assert "Ann" not in f"{operator.caption} {operator.parameters}"
    operator.execute({})
    assert sandbox.messages[0]["payload"]["document"]["caption"] == "for Ann"


def test_a_dag_file_does_not_load_what_only_a_task_needs():
    heavy = (
        "airflow.providers.common.sql.hooks",
        "babel",
        "fpdf",
        "matplotlib",
        "openpyxl",
        "PIL",
        "pyarrow",
        "requests",
        "sqlite3",
    )
    code = (
        "import sys, airflow.sdk\n"
        "before = set(sys.modules)\n"
        "import airflow_provider_whatsapp.operators.sql\n"
        f"print([name for name in set(sys.modules) - before if name.startswith({heavy!r})])"
    )

    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100
    )
    assert output.stdout.splitlines()[-1] == "[]"


def approve_figures(sandbox, category, **body):
    """Create an approved template, figures, with a picture in its header."""
    hook = MatonWhatsAppHook()
    handle = hook.upload_template_sample(PNG)
    header = {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": [handle]}}
    hook.create_template("figures", "en_US", category, [header, {"type": "BODY", **body}])
    sandbox.control("POST", "templates", name="figures", status="APPROVED")


def test_a_picture_in_a_marketing_template_goes_by_the_endpoint_for_it(sandbox):
    pytest.importorskip("PIL")
    approve_figures(sandbox, "MARKETING", text="The figures.")
    given = {"template_name": "figures", "format": "png", "message_activity_sharing": False}

    fails("is MARKETING, not UTILITY", expect_category="UTILITY", **given)
    report = execute(**given)

    (message,) = sandbox.messages
    assert (message["endpoint"], message["payload"]["message_activity_sharing"]) == (
        "marketing_messages",
        False,
    )
    assert report["endpoints"] == {"marketing_messages": 1}


def test_a_template_that_needs_more_than_it_is_given_is_refused_before_it_leaves(sandbox):
    pytest.importorskip("PIL")
    approve_figures(sandbox, "UTILITY", text="Sales of {{1}}.", example={"body_text": [["July"]]})

    fails("body", template_name="figures", format="png")

    assert sandbox.requests_to("/messages") == []


@pytest.mark.parametrize(
    ("match", "arguments"),
    [
        ("caption", {"caption": "x" * 1025}),
        ("body", {"template_name": "figures", "format": "png", "body": ["a\nb"], "check_template": False}),
    ],
    ids=["caption", "body"],
)
def test_what_cannot_be_sent_is_refused_before_the_query_runs(sandbox, database, match, arguments):
    fails(match, sql="DELETE FROM cities", **arguments)

    with contextlib.closing(sqlite3.connect(database)) as opened:
        assert opened.execute("SELECT count(*) FROM cities").fetchone() == (3,)


def test_the_query_comes_from_its_file_and_a_caption_with_such_an_end_stays_a_caption(tmp_path):
    from airflow.sdk import DAG

    from airflow_provider_whatsapp.operators.sql import SqlToWhatsAppOperator

    (tmp_path / "cities.sql").write_text("SELECT 1")
    with DAG("reports", template_searchpath=[str(tmp_path)]):
        task = SqlToWhatsAppOperator(
            task_id="report", to=TO, conn_id="report_db", sql="cities.sql", caption="cities.sql"
        )
    task.resolve_template_files()

    assert (task.sql, task.caption) == ("SELECT 1", "cities.sql")
    assert "caption" in task.template_fields
