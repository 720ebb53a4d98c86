"""Reports as files: a PDF whose texts can be selected, conditions, and the functions for tasks of one's own."""

from __future__ import annotations

import re
import sys
import zlib
from datetime import date, timedelta
from decimal import Decimal

import pytest
from PIL import Image

from airflow_provider_whatsapp.client.errors import ConfigurationError, PayloadError
from airflow_provider_whatsapp.reports import render_chart, render_pdf, render_table
from airflow_provider_whatsapp.reports.options import options_of
from airflow_provider_whatsapp.reports.write import LOOKED_AT, is_worth_it, write_report
from airflow_provider_whatsapp.tables.rows import Rows
from airflow_provider_whatsapp.tables.source import rows_of

DAYS = [
    {"day": date(2026, 1, 1) + timedelta(days=number), "sales": number * 10, "note": "Zürich €"}
    for number in range(50)
]
"""Two pages of a table."""


def bars(path):
    return render_chart(DAYS, path, chart="bar", x="day", y="sales")


def texts_of(path):
    """Return the texts of a PDF, page by page, through the character maps that make them selectable."""
    pypdf = pytest.importorskip("pypdf")
    return [page.extract_text() for page in pypdf.PdfReader(path).pages]


def test_a_pdf_has_title_picture_and_the_table_with_heads_on_each_page(tmp_path):
    path = render_pdf(DAYS, tmp_path / "r.pdf", title="Sales of the week", chart="line", x="day", y="sales")

    pages = texts_of(path)
    assert "Sales of the week" in pages[0]
    assert len(pages) == 2
    assert all("sales" in page and "note" in page for page in pages)
    joined = "\n".join(pages)
    assert all(row["day"].isoformat() in joined for row in DAYS)
    assert joined.count("Zürich €") == len(DAYS)
    raw = path.read_bytes()
    assert raw.count(b"/Subtype /Image") == 1
    assert b"/FontFile2" in raw, "the font is in it"


def test_a_pdf_says_what_it_leaves_out_and_charts_all(tmp_path):
    path = render_pdf(
        DAYS,
        tmp_path / "r.pdf",
        chart="line",
        x="day",
        y="sales",
        figures="sales",
        unit="EUR",
        max_rows=5,
        rest_at="s3://reports/all.csv",
    )
    joined = "\n".join(texts_of(path))
    assert "€490" in joined
    assert "+2.1% (€480)" in joined

    assert "45 more rows not shown. All rows: s3://reports/all.csv" in joined
    assert "2026-01-05" in joined
    assert "2026-01-06" not in joined
    options = options_of("pdf", chart="kpi", chart_options={"y": "sales"}, max_rows=5)
    rows = Rows(["day", "sales"], [(row["day"], row["sales"]) for row in DAYS])
    written = write_report(tmp_path / "again.pdf", rows, options)
    assert (written.rows, written.left_out) == (5, 45)


def test_letters_that_join_are_joined(tmp_path):
    """The letters of an Arabic word have forms by their place: joined, one letter is three glyphs."""
    path = render_pdf([{"x": "\u0628\u0628\u0628\u0628"}], tmp_path / "r.pdf")

    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", path.read_bytes(), re.DOTALL)
    (content,) = (text for text in map(_unpacked, streams) if b" Tj" in text)
    *_, first, second, third, last = re.findall(rb"\((..)\) Tj", content, re.DOTALL)
    assert second == third
    assert len({first, second, last}) == 3


def _unpacked(stream):
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return b""


def test_pictures_of_tables_and_charts(tmp_path):
    table = render_table(DAYS, tmp_path / "t.png", title="Sales", max_rows=3)
    chart = render_chart(
        DAYS, str(tmp_path / "c.png"), chart="bar", x="day", y="sales", unit="EUR", locale="de"
    )

    for path in (table, chart):
        with Image.open(path) as picture:
            assert picture.width >= 700


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        pytest.param("rows", True, id="rows"),
        pytest.param("rows|length > 50", False, id="length"),
        pytest.param("rows|sum(attribute='sales') >= 1000", True, id="sum"),
        pytest.param("rows[-1].sales == 490 and rows[0]['note'] == 'Zürich €'", True, id="items"),
        pytest.param("rows|selectattr('sales', 'gt', 480)|list|length == 1", True, id="filters"),
        pytest.param("0", False, id="nothing"),
    ],
)
def test_a_condition_decides_and_no_row_is_lost(condition, found):
    columns = list(DAYS[0])
    worth_it, rows = is_worth_it(condition, Rows(columns, [tuple(row.values()) for row in DAYS]))

    assert worth_it is found
    assert len(list(rows.take(None))) == len(DAYS)


def test_a_condition_sees_a_bounded_part_and_the_report_all():
    number = LOOKED_AT + 5
    worth_it, rows = is_worth_it(
        f"rows|length == {LOOKED_AT}", Rows(["n"], ([each] for each in range(number)))
    )

    assert worth_it
    assert sum(1 for _ in rows.take(None)) == number


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param("rows[0].nothing > 1", id="no such column"),
        pytest.param("rows[99].sales > 1", id="no such row"),
        pytest.param("rows |", id="syntax"),
        pytest.param("rows[0].sales > 'a'", id="types"),
        pytest.param("1 / 0", id="zero"),
        pytest.param("rows.__class__.__mro__", id="attributes of Python"),
        pytest.param("rows.append(1)", id="a change"),
        pytest.param("range(999999999)|list", id="a long list"),
        pytest.param("x" * 1_001, id="too long"),
    ],
)
def test_a_condition_that_cannot_be_evaluated_is_an_error(condition):
    with pytest.raises(PayloadError, match="only_if"):
        is_worth_it(condition, Rows(["sales"], [(1,)]))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"format": "chart"}, "needs a kind", id="no kind"),
        pytest.param(
            {"format": "csv", "chart": "line"},
            "a file in the format csv contains no chart",
            id="chart in a CSV file",
        ),
        pytest.param(
            {"format": "pdf", "chart_options": {"x": "day"}}, "x: goes with chart only", id="x alone"
        ),
        pytest.param(
            {"format": "chart", "chart": "bar", "figures": "n"},
            "figures: goes with format='pdf'",
            id="figures",
        ),
        pytest.param({"format": "docx"}, "'docx' is not known", id="format"),
        pytest.param({"format": "pdf", "max_rows": 0}, "0 is not a number of rows", id="rows"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, said):
    with pytest.raises(PayloadError, match=said):
        options_of(**options)


def test_the_pages_of_a_pdf_are_bounded(tmp_path):
    with pytest.raises(PayloadError, match=r"20,001 rows.*20000"):
        render_pdf(DAYS, tmp_path / "r.pdf", max_rows=20_001)


@pytest.mark.parametrize(
    ("module", "make"),
    [
        pytest.param("matplotlib.figure", bars, id="charts"),
        pytest.param("babel.numbers", bars, id="babel"),
        pytest.param("fpdf", lambda path: render_pdf(DAYS, path), id="pdf"),
    ],
)
def test_a_missing_library_names_the_command(module, make, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=r"pip install .* airflow-provider-whatsapp\[(charts|pdf)\]"):
        make(tmp_path / "r")


@pytest.mark.parametrize("name", ["items", "keys", "values", "get", "__class__"])
def test_a_column_goes_before_a_method_of_its_name(name):
    rows = [(0,), (3,)]

    assert is_worth_it(f"rows[1].{name} > 2", Rows([name], rows))[0]
    assert not is_worth_it(f"rows[0].{name}", Rows([name], rows))[0]


@pytest.mark.parametrize(
    "condition",
    [
        *("rows.__class__", "''.__class__.__mro__", "rows|attr('__class__')", "rows[0].a.__class__"),
        *(
            "cycler.__init__.__globals__",
            "rows.clear()",
            "rows[0].update(a=2)",
            "'{0.__class__}'.format(1).q",
        ),
        *("(" * 400 + "1" + ")" * 400, "rows()", "rows[0].a()", "1/0"),
    ],
    ids=str.strip,
)
def test_a_condition_leaves_no_sandbox_and_fails_with_one_error(condition):
    with pytest.raises(PayloadError, match="only_if"):
        is_worth_it(condition, Rows(["a"], [(1,)]))


ODD = [
    [],
    [{}],
    [{1: 5, None: "x"}],
    [{"a": Decimal("sNaN")}, {"a": Decimal("1E+999999999")}, {"a": 10**5000}, {"a": Decimal("1E-999999")}],
    [{"a": float("nan")}, {"a": 1e300}, {"a": float("-inf")}, {"a": Decimal("NaN")}],
    [
        {"a\x00\n": "\x00\x1b[31m\ud800\u202e=cmd()"},
        {"a\x00\n": "x" * 10_000},
        {"a\x00\n": "$x^2$ <img src=x>"},
    ],
    [{f"column {number}": "word" * 30 for number in range(30)}],
]


@pytest.mark.parametrize("form", ["csv", "xlsx", "png", "pdf"])
@pytest.mark.parametrize(
    "rows", ODD, ids=["none", "no column", "no names", "long", "endless", "texts", "wide"]
)
def test_odd_rows_become_a_file_of_any_form(tmp_path, rows, form):
    path = tmp_path / f"report.{form}"

    write_report(path, rows_of(rows)[0], options_of(form))

    assert path.stat().st_size < 100_000
    if form == "csv" and rows == [{1: 5, None: "x"}]:
        assert path.read_text("utf-8-sig").splitlines() == ["1,None", "5,x"]
