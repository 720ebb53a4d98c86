"""Charts, PDFs and rows that come from no query, through the operator to the phone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException, AirflowSkipException
from airflow_provider_whatsapp.cli import main

TO = "+15550001111"
ROWS = [{"day": f"2026-01-0{day}", "n": day} for day in range(1, 7)]
LINE = {"format": "chart", "chart": "line", "x": "day", "y": "n"}
STOCK = Path(__file__).parents[2] / "airflow_provider_whatsapp" / "reports"


def execute(context=None, **arguments):
    from airflow_provider_whatsapp.operators.sql import SqlToWhatsAppOperator

    arguments = {"to": TO, "rows": ROWS} | arguments
    return SqlToWhatsAppOperator(task_id="report", **arguments).execute(context or {})


@pytest.mark.parametrize(
    ("arguments", "kind", "start"),
    [
        pytest.param(LINE, "image", b"\x89PNG", id="chart"),
        pytest.param({"format": "pdf", "filename": "Sales"}, "document", b"%PDF", id="pdf"),
        pytest.param({**LINE, "format": "pdf"}, "document", b"%PDF", id="pdf with a chart"),
        pytest.param({"format": "csv"}, "document", b"\xef\xbb\xbf", id="csv"),
    ],
)
def test_rows_arrive_as_they_were_asked_for(sandbox, tmp_path, arguments, kind, start):
    assert execute(**arguments)["sent"] == 1
    (message,) = sandbox.messages
    assert message["type"] == kind
    if kind == "document":
        suffix = arguments["format"]
        assert message["payload"]["document"]["filename"] == f"{arguments.get('filename', 'report')}.{suffix}"

    path = tmp_path / "preview"
    report = execute(**arguments, dry_run=True, preview_path=str(path))
    assert report == {"dry_run": True, "path": str(path), "rows": len(ROWS), "left_out": 0}
    assert path.read_bytes().startswith(start)
    assert len(sandbox.messages) == 1, "a dry run sends nothing"


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        pytest.param("airflow_report", LINE, "image", id="chart"),
        pytest.param("airflow_report_pdf", {"format": "pdf"}, "document", id="pdf"),
    ],
)
def test_a_stock_template_is_filled_in(sandbox, capsys, name, arguments, kind):
    assert main(["templates", "apply", str(STOCK / f"{name}.yaml")]) == 0
    capsys.readouterr()
    for _ in range(2):
        assert main(["templates", "plan", str(STOCK / f"{name}.yaml"), "--json"]) == 0
        (change,) = json.loads(capsys.readouterr().out)["changes"]
        assert change["action"] == "unchanged"
    sandbox.control("POST", "templates", name=name, language="en_US", status="APPROVED")

    assert execute(template_name=name, title="Sales", **arguments)["sent"] == 1

    (message,) = sandbox.messages
    header, body = message["payload"]["template"]["components"]
    assert header["parameters"][0]["type"] == kind
    values = {each["parameter_name"]: each["text"] for each in body["parameters"]}
    assert values == {"title": "Sales", "source": "DAG Report", "when": "-"}
    if kind == "document":
        assert header["parameters"][0]["document"]["filename"] == "report.pdf"


def test_a_file_of_rows_is_read_where_it_may_be(sandbox, tmp_path, monkeypatch):
    inside, outside = tmp_path / "in" / "rows.csv", tmp_path / "rows.csv"
    inside.parent.mkdir()
    for path in (inside, outside):
        path.write_text("day,n\n2026-01-01,1\n2026-01-02,2.5\n")
    monkeypatch.setenv("AIRFLOW__WHATSAPP__MEDIA_ROOTS", str(inside.parent))

    assert execute(**LINE, rows=str(inside))["sent"] == 1
    with pytest.raises(AirflowFailException, match=r"rows: names a file outside the folders of \[whatsapp\]"):
        execute(**LINE, rows=str(outside))


def test_nothing_is_sent_where_nothing_is_worth_it(sandbox):
    with pytest.raises(AirflowSkipException, match="only_if is false"):
        execute(**LINE, only_if="rows[-1].n > 6")
    assert sandbox.requests == []
    with pytest.raises(AirflowSkipException, match="There are no rows"):
        execute(**LINE, rows=[], skip_if_empty=True)
    assert execute(**LINE, rows=[])["sent"] == 1, "a picture that says so"
    assert execute(**LINE, only_if="rows[-1].n == 6")["sent"] == 1


def test_a_dry_run_makes_a_folder_of_its_own(sandbox):
    path = Path(execute(**LINE, dry_run=True)["path"])

    assert path.name == "report.png"
    assert path.parent.stat().st_mode & 0o077 == 0
    assert sandbox.requests == []


@pytest.mark.parametrize(
    "name", ["../../report", "/tmp/report", "a/../../report"], ids=["up", "whole", "through"]
)
def test_a_dry_run_stays_in_its_folder_whatever_the_file_s_name(sandbox, name):
    path = Path(execute(**LINE, dry_run=True, filename=name)["path"])

    assert path.name == "report.png"
    assert path.parent.name.startswith("whatsapp-preview-")


@pytest.mark.parametrize("place", ["", "missing/report.png"], ids=["a folder", "no folder"])
def test_a_place_that_no_preview_can_be_written_to_is_one_error(sandbox, tmp_path, place):
    with pytest.raises(AirflowFailException, match=r"preview_path: .*in a folder that exists"):
        execute(**LINE, dry_run=True, preview_path=str(tmp_path / place))


def test_numbers_are_written_as_the_template_s_language_does(sandbox, monkeypatch):
    from airflow_provider_whatsapp.charts import locales

    seen = []
    made = locales.Formats.__init__

    def note(self, locale, unit=None):
        seen.append(locale)
        made(self, locale, unit)

    monkeypatch.setattr(locales.Formats, "__init__", note)
    for options, locale in (
        ({"language": "pt_BR"}, "pt_BR"),
        ({"language": "xx_YY"}, "en_US"),
        ({"locale": "de"}, "de"),
    ):
        execute(**LINE, dry_run=True, **options)
        assert seen[-1] == locale
