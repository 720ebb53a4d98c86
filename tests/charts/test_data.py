"""Rows become the points of a chart: typed, added up, in order, and refused where they cannot be."""
# ruff: noqa: DTZ001  (a chart's moments are those of a wall clock)

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.charts import data as points
from airflow_provider_whatsapp.charts.data import OTHER, collect, collect_figures
from airflow_provider_whatsapp.charts.spec import ChartSpec
from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.tables.rows import Rows


def chart_of(rows, columns="x y", texts=False, **spec):
    options = {"kind": "bar", "x": "x", "y": "y", **spec}
    return collect(Rows(columns.split(), rows), ChartSpec.of(options.pop("kind"), **options), texts=texts)


@pytest.mark.parametrize(
    ("values", "axis", "positions"),
    [
        pytest.param(["b", "a"], "category", ["b", "a"], id="names keep the query's order"),
        pytest.param([3, Decimal("1.5"), 2.0], "number", [1.5, 2.0, 3.0], id="numbers are sorted"),
        pytest.param(
            [date(2026, 3, 1), datetime(2026, 1, 1, 6)],
            "date",
            [datetime(2026, 1, 1, 6), datetime(2026, 3, 1)],
            id="dates and moments",
        ),
        pytest.param(
            ["2026-03-01", "2026-01-01 06:30:00"],
            "date",
            [datetime(2026, 1, 1, 6, 30), datetime(2026, 3, 1)],
            id="texts of databases without dates",
        ),
        pytest.param(
            [
                datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))),
                datetime(2026, 1, 1, 9, tzinfo=UTC),
            ],
            "date",
            [datetime(2026, 1, 1, 11), datetime(2026, 1, 1, 12)],
            id="in the first one's time zone",
        ),
        pytest.param([None, "", True], "category", ["-", "True"], id="no value is a category"),
        pytest.param(["2026-13-45", "007"], "category", ["2026-13-45", "007"], id="no dates"),
        pytest.param([math.nan, "x"], "category", ["nan", "x"], id="no number"),
    ],
)
def test_the_axis_is_what_the_values_are(values, axis, positions):
    made = chart_of([(value, 1) for value in values])

    assert (made.axis, made.positions) == (axis, positions)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("pq"), st.none() | st.integers(-99, 99)),
        max_size=40,
    )
)
def test_rows_of_the_same_point_are_added_up_and_no_value_is_a_gap(rows):
    made = chart_of(rows, "x s y", series="s")

    for one in made.series:
        for position, value in zip(made.positions, one.values, strict=True):
            known = [number for x, s, number in rows if (x, s) == (position, one.name) and number is not None]
            assert value == (sum(known) if known else None)
    assert sorted(made.positions) == sorted({x for x, *_ in rows})
    assert made.rows == len(rows)


@pytest.mark.parametrize("number", [13, 14, 40])
def test_the_smaller_categories_are_added_up(number):
    made = chart_of([(f"c{index}", index) for index in range(number)])
    values = made.series[0].values

    assert sum(value or 0 for value in values) == sum(range(number))
    if number == 13:
        assert (made.added_up, len(values)) == (0, 13), "one alone is shown as itself"
    else:
        assert (made.added_up, len(values), made.positions[-1]) == (number - 12, 13, OTHER)
        assert made.positions[:12] == [f"c{index}" for index in range(number - 12, number)]


def test_a_column_or_the_period_before_is_what_it_is_compared_with():
    days = [(index, index * 10) for index in range(6)]
    made = chart_of(days, kind="line", compare="previous")
    assert (made.positions, made.series[0].values) == ([3.0, 4.0, 5.0], [30, 40, 50])
    assert made.compared is not None
    assert made.compared.values == [0, 10, 20]

    made = chart_of([("a", 1, 2)], "x y plan", compare="plan")
    assert made.compared is not None
    assert ([one.name for one in made.series], made.compared.values) == (["y"], [2])


BAD = [
    pytest.param([("a", "12")], {}, "column 'y' has a value of the type str in row 1", id="text"),
    pytest.param([("a", 1), ("b", True)], {}, "the type bool in row 2", id="boolean"),
    pytest.param([("a", math.inf)], {}, "an infinite number", id="infinity"),
    pytest.param([("a", 10**400)], {}, "an infinite number", id="a number beyond all floats"),
    pytest.param(
        [("a", "x")], {"texts": True}, "text that is not a number in row 1", id="text in a CSV file"
    ),
    pytest.param(
        [(date(2026, 1, 1), 1), ("soon", 1)],
        {},
        "contains text in row 2, but a date in earlier rows",
        id="mixed",
    ),
    pytest.param(
        [(1, 1), (date(2026, 1, 1), 1)],
        {},
        "contains a date in row 2, but a number in earlier rows",
        id="numbers too",
    ),
    pytest.param([("a", -1)], {"kind": "stacked"}, "'y' is -1 at a: parts", id="negative parts"),
    pytest.param([("a", 1)], {"kind": "line"}, "a line needs two", id="one point"),
    pytest.param(
        [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)],
        {"kind": "line", "compare": "previous"},
        "two periods",
        id="odd",
    ),
    pytest.param([("a", 1)], {"y": "z"}, "there is no column 'z'", id="missing"),
    pytest.param([(1, 1)], {"x": "nope"}, "there is no column 'nope'", id="missing x"),
]


@pytest.mark.parametrize(("rows", "spec", "said"), BAD)
def test_what_cannot_be_drawn_is_refused_with_its_place(rows, spec, said):
    with pytest.raises(PayloadError) as caught:
        chart_of(rows, **spec)

    assert said in str(caught.value)


def test_a_missing_column_names_those_that_are_there():
    with pytest.raises(PayloadError, match="The columns are x, y"):
        chart_of([], y="sales")


def test_series_and_points_are_bounded(monkeypatch):
    with pytest.raises(PayloadError, match="more than 8 series"):
        chart_of([("a", str(number), 1) for number in range(9)], "x s y", series="s")
    assert len(chart_of([("a", str(number), 1) for number in range(8)], "x s y", series="s").series) == 8

    monkeypatch.setattr(points, "MOST_POINTS", 5)
    assert len(chart_of([(float(number), 1) for number in range(5)] * 3).positions) == 5
    with pytest.raises(PayloadError, match="more than 5 points"):
        chart_of([(float(number), 1) for number in range(6)])


def test_a_file_s_texts_are_numbers_where_numbers_are_wanted():
    made = chart_of([("007", "1.5"), ("008", ""), ("007", "-2e1")], texts=True)

    assert (made.positions, made.series[0].values) == (["007", "008"], [-18.5, None])


def test_figures_are_the_last_row_s_values():
    columns = ["day", "sales", "plan", "note"]
    rows = [(date(2026, 1, 1), 10, 20, "a"), (date(2026, 1, 2), Decimal("12.5"), 21, "b")]

    def figures(**spec):
        found = collect_figures(Rows(columns, iter(rows)), ChartSpec.of("kpi", **spec))
        return [(one.name, one.value, one.compared, one.trail) for one in found]

    assert figures() == [("sales", 12.5, None, [10, 12.5]), ("plan", 21, None, [20, 21])]
    assert figures(y="sales", compare="previous") == [("sales", 12.5, 10, [10, 12.5])]
    assert figures(y=["sales"], compare=["plan"]) == [("sales", 12.5, 21, [10, 12.5])]
    rows.clear()
    assert figures(y="sales") == [("sales", None, None, [])]


@pytest.mark.parametrize(
    ("kind", "spec", "said"),
    [
        pytest.param("pie", {}, "'pie' is not known", id="kind"),
        pytest.param("line", {"y": "y"}, "line needs the name of a column", id="no x"),
        pytest.param("bar", {"x": "x"}, "bar needs the name of a column", id="no y"),
        pytest.param("bar", {"x": 1, "y": "y"}, "a int is not text", id="x is no name"),
        pytest.param("bar", {"x": "x", "y": ["a", "a"]}, "empty or given twice", id="twice"),
        pytest.param("bar", {"x": "x", "y": list("abcdefghi")}, "9 series cannot", id="too many"),
        pytest.param("bar", {"x": "x", "y": ["a", "b"], "series": "s"}, "goes with one column", id="both"),
        pytest.param("kpi", {"y": list("abcde")}, "5 figures", id="too many figures"),
        pytest.param("kpi", {"series": "s"}, "does not go with kpi", id="series of figures"),
        pytest.param(
            "kpi",
            {"y": ["a", "b"], "compare": ["c"]},
            "names 1 columns for 2 figures",
            id="compare of figures",
        ),
        pytest.param(
            "area", {"x": "x", "y": "y", "compare": "z"}, "goes with a line or bar", id="compare of areas"
        ),
        pytest.param(
            "bar", {"x": "x", "y": "y", "compare": "previous"}, "goes with line and kpi", id="previous"
        ),
        pytest.param(
            "bar", {"x": "x", "y": "y", "top": 31}, "31 is not a whole number of categories", id="top"
        ),
        pytest.param("bar", {"x": "x", "y": "y", "title": "t" * 201}, "201 characters", id="long"),
    ],
)
def test_a_description_that_does_not_hold_together_is_refused(kind, spec, said):
    with pytest.raises(PayloadError) as caught:
        ChartSpec.of(kind, **spec)

    assert said in str(caught.value)


NAN, NOT_A_NUMBER = float("nan"), Decimal("sNaN")


@pytest.mark.parametrize("null", [None, NAN, NOT_A_NUMBER], ids=["None", "NaN", "signalling NaN"])
@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("others", [[date(2026, 1, 1), date(2026, 1, 2)], [1, 2]], ids=["dates", "numbers"])
def test_a_position_that_is_null_is_named_as_such(null, at, others):
    positions = [*others[:at], null, *others[at:]]

    with pytest.raises(PayloadError, match=rf"contains NULL in row {at + 1}\b.*IS NOT NULL"):
        chart_of([(position, 1) for position in positions])


def test_a_name_may_be_null_and_so_may_a_value():
    found = chart_of([(None, 1), ("a", NOT_A_NUMBER), ("b", NAN)])

    assert (found.positions, found.series[0].values) == (["-", "a", "b"], [1.0, None, None])


@pytest.mark.parametrize(
    "value",
    [1.7e308, Decimal("1e400"), 10**5000, math.inf, -math.inf],
    ids=["float", "Decimal", "int", "endless", "below"],
)
def test_a_number_beyond_what_can_be_drawn_is_refused(value):
    with pytest.raises(PayloadError, match=r"(an infinite number|too large to draw) in row 2"):
        chart_of([("a", 1), ("b", value)])


def test_the_calendar_s_ends_stay_where_they_are():
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)
    zone = timezone(timedelta(hours=9))

    found = chart_of([(datetime(2026, 1, 1, tzinfo=zone), 1), (first, 1), (last, 1)])

    assert [position.year for position in found.positions] == [1, 2026, 9999]
