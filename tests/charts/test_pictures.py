"""Pictures as a phone shows them: everything inside, nothing too small, no label on another, alike from run to run."""

from __future__ import annotations

import logging
import random
from datetime import date, timedelta
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from airflow_provider_whatsapp.charts.bar_chart import beyond
from airflow_provider_whatsapp.charts.canvas import MARGIN, WIDTH, Canvas
from airflow_provider_whatsapp.charts.locales import Formats
from airflow_provider_whatsapp.charts.render import write_chart
from airflow_provider_whatsapp.charts.spec import ChartSpec
from airflow_provider_whatsapp.tables.rows import Rows

REFERENCES = Path(__file__).parent / "references"
ON_A_PHONE = 360
"""Points; a picture is shown as wide as the screen."""
SMALLEST = 11
DAY = date(2026, 1, 1)


def over(days, columns=1, seed=1):
    values = random.Random(seed)
    return [
        (
            DAY + timedelta(days=number),
            *(100 * column + number + values.uniform(0, 40) for column in range(columns)),
        )
        for number in range(days)
    ]


def cities(number):
    return [(f"City number {index}", number - index) for index in range(number)]


CHARTS = {
    "lines": (
        "day north south west",
        over(365, 3),
        {"kind": "line", "x": "day", "y": ["north", "south", "west"], "unit": "orders"},
    ),
    "equal ends": (
        "x a b c d",
        [(1, 5, 5, 5, 5), (2, 7, 7, 7, 7)],
        {"kind": "line", "x": "x", "y": list("abcd")},
    ),
    "gaps": (
        "day n",
        [(DAY, 1), (DAY + timedelta(1), None), (DAY + timedelta(2), 3)],
        {"kind": "line", "x": "day", "y": "n"},
    ),
    "before": (
        "day n",
        over(28),
        {"kind": "line", "x": "day", "y": "n", "compare": "previous", "unit": "USD"},
    ),
    "columns": ("day n", over(31), {"kind": "bar", "x": "day", "y": "n", "title": "Failures per day"}),
    "planned columns": ("day n plan", over(9, 2), {"kind": "bar", "x": "day", "y": "n", "compare": "plan"}),
    "side by side": ("day a b", over(9, 2), {"kind": "bar", "x": "day", "y": ["a", "b"]}),
    "stacked months": ("day a b", over(12, 2), {"kind": "stacked", "x": "day", "y": ["a", "b"]}),
    "area": (
        "day n",
        [(DAY + timedelta(number), 1e9 * (number + 1)) for number in range(12)],
        {"kind": "area", "x": "day", "y": "n"},
    ),
    "areas": ("day a b", over(9, 2), {"kind": "area", "x": "day", "y": ["a", "b"]}),
    "eight thin bars": (
        "what a b c d e f g h",
        [
            (f"Shop {row}", *((row + 1) * (place + 1) * 1000 - 9000 for place in range(8)))
            for row in range(12)
        ],
        {"kind": "bar", "x": "what", "y": list("abcdefgh"), "unit": "EUR"},
    ),
    "beyond words": (
        "x n",
        [(1, 1e99), (2, -1e99), (3, 1e-99)],
        {"kind": "bar", "x": "x", "y": "n", "unit": "EUR"},
    ),
    "the calendar": (
        "day n",
        [(date.min, 1), (date.max, 2)],
        {"kind": "line", "x": "day", "y": "n"},
    ),
    "bars": (
        "what n",
        [("Espresso machine", 1234567.0), ("Cups", -20000), ("Filter papers, 100 pieces, unbleached", 9)],
        {"kind": "bar", "x": "what", "y": "n", "unit": "EUR"},
    ),
    "planned bars": (
        "what n plan",
        [("a", 1, 2), ("b", 3, 1)],
        {"kind": "bar", "x": "what", "y": "n", "compare": "plan"},
    ),
    "forty": (
        "city n",
        cities(40),
        {
            "kind": "bar",
            "x": "city",
            "y": "n",
            "title": "Forty categories, and a title " + "so very long " * 9,
        },
    ),
    "groups": (
        "what a b c",
        [("North", 1, 2, 3), ("South", 3, 2, 1)],
        {"kind": "bar", "x": "what", "y": list("abc")},
    ),
    "stacked bars": (
        "what a b",
        [("North", 1, 2), ("South", 3, None)],
        {"kind": "stacked", "x": "what", "y": list("ab")},
    ),
    "one value": ("what n", [("Only one", 5)], {"kind": "bar", "x": "what", "y": "n"}),
    "all zero": (
        "day n",
        [(DAY + timedelta(number), 0) for number in range(5)],
        {"kind": "line", "x": "day", "y": "n"},
    ),
    "thousandths": (
        "x n",
        [(number, 0.001 * number) for number in range(9)],
        {"kind": "line", "x": "x", "y": "n"},
    ),
    "nothing": ("x n", [], {"kind": "line", "x": "x", "y": "n"}),
    "arabic": (
        "x n",
        [("الرياض", 1200), ("القاهرة", 900)],
        {"kind": "bar", "x": "x", "y": "n", "title": "المبيعات حسب المدينة"},
    ),
    "figures": (
        "day sales orders",
        over(9, 2),
        {"kind": "kpi", "y": ["sales", "orders"], "compare": "previous", "title": "Yesterday"},
    ),
    "four figures": (
        "a b c d",
        [(1, 2, 3, 4), (1e12, 0.001, -5, None)],
        {"kind": "kpi", "y": list("abcd"), "compare": "previous"},
    ),
}


@pytest.fixture(params=CHARTS, ids=str)
def drawn(request, tmp_path, monkeypatch):
    """Draw one of them; give its file and what it is drawn on."""
    columns, rows, spec = CHARTS[request.param]
    canvases = []
    save = Canvas.save

    def saved(canvas, path):
        canvases.append(canvas)
        save(canvas, path)

    monkeypatch.setattr(Canvas, "save", saved)
    path = tmp_path / "chart.png"
    options = dict(spec)
    locale = "ar" if request.param == "arabic" else "en_US"
    write_chart(
        path, Rows(columns.split(), rows), ChartSpec.of(options.pop("kind"), **options), locale=locale
    )
    return path, canvases[0]


def test_a_picture_holds_what_a_phone_needs(drawn):
    path, canvas = drawn
    with Image.open(path) as picture:
        assert picture.width == WIDTH
        assert picture.height in range(1080, 1351)
    assert path.stat().st_size < 100_000

    texts = [text for text in canvas.figure.texts if text.get_text()]
    renderer = canvas.figure.canvas.get_renderer()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    for text, (words, box) in zip(texts, boxes, strict=True):
        assert text.get_fontsize() * ON_A_PHONE / WIDTH >= SMALLEST, words
        across = MARGIN / 4 <= box.x0 <= box.x1 <= WIDTH - MARGIN / 4
        assert across, f"{words!r} leaves the picture"
        assert 0 <= box.y0 <= box.y1 <= canvas.height, f"{words!r} leaves the picture"
    for index, (words, box) in enumerate(boxes):
        for others, other in boxes[index + 1 :]:
            # Letters leave some of a line's height free.
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            down = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert across < 4 or down < 10, f"{words!r} lies on {others!r}"


@pytest.mark.parametrize("name", ["columns", "bars", "figures"])
def test_a_picture_looks_as_it_did(name, tmp_path):
    """
    Compare with pictures that this project has drawn; a quarter of the size hides what font renderers differ in.

    After an intended change, look at the new ones and replace them: ``python tests/charts/draw_references.py``.
    """
    draw_small(name, tmp_path / "new.png")

    with Image.open(tmp_path / "new.png") as new, Image.open(REFERENCES / f"{name}.png") as old:
        assert new.size == old.size
        difference = ImageStat.Stat(ImageChops.difference(new.convert("L"), old.convert("L")))
    assert difference.mean[0] < 2
    assert difference.rms[0] < 12


def draw_small(name, path):
    columns, rows, spec = CHARTS[name]
    options = dict(spec)
    write_chart(path, Rows(columns.split(), rows), ChartSpec.of(options.pop("kind"), **options))
    with Image.open(path) as picture:
        small = picture.convert("RGB").resize((picture.width // 4, picture.height // 4), Image.Resampling.BOX)
    small.quantize(64).save(path, "PNG", optimize=True)


def test_characters_that_no_font_has_are_one_warning(tmp_path, caplog):
    rows = Rows(["x", "n"], [("\U0002a6d6\U0002a6d5", 1), ("\U0002a6d6", 2)])
    with caplog.at_level(logging.WARNING):
        write_chart(tmp_path / "chart.png", rows, ChartSpec.of("bar", x="x", y="n"))

    (record,) = caplog.records
    assert "lack 2 of its characters" in record.getMessage()


def test_values_are_no_markup(tmp_path, monkeypatch):
    """A dollar sign begins a formula in matplotlib, and a broken one would be an error."""
    rows = Rows(["x", "n"], [("$\\frac{1}{", 1), ("$10 and $20", 2)])
    path = tmp_path / "chart.png"
    write_chart(path, rows, ChartSpec.of("bar", x="x", y="n", title="$\\alpha$ {"))

    assert path.stat().st_size > 0


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (1.2345e18, {"compact": True}, "1.23E18\N{NO-BREAK SPACE}EUR"),
        (-2.5e-9, {}, "-2.5E-9\N{NO-BREAK SPACE}EUR"),
        (9.99e14, {"compact": True}, "€999T"),
        (2026, {"grouped": False, "unit": False}, "2026"),
        (0, {}, "€0"),
    ],
)
def test_numbers_beyond_words_are_powers_of_ten_and_years_have_no_comma(value, options, text):
    assert Formats("en_US", "EUR").number(value, **options) == text


def test_years_on_the_axis_have_no_comma(tmp_path, monkeypatch):
    written = []
    text = Canvas.text

    def noted(canvas, x, y, words, **options):
        written.append(words)
        return text(canvas, x, y, words, **options)

    monkeypatch.setattr(Canvas, "text", noted)
    rows = Rows(["year", "n"], [(2000 + number, number) for number in range(26)])

    write_chart(tmp_path / "chart.png", rows, ChartSpec.of("line", x="year", y="n"), locale="en_US")

    assert {"2000", "2025"} <= {*written}


@pytest.mark.parametrize(
    ("mark", "upwards", "start"),
    [
        (90, True, 100),
        (110, True, 110),
        (151, True, 100),
        (90, False, 90),
        (110, False, 100),
        (49, False, 100),
    ],
)
def test_a_label_begins_behind_a_mark_that_would_cross_it(mark, upwards, start):
    assert beyond(mark, 100, 50, upwards=upwards) == start
