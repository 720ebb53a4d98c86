from __future__ import annotations

import pytest

from airflow_provider_whatsapp.notifications import wording
from airflow_provider_whatsapp.notifications.facts import facts
from airflow_provider_whatsapp.notifications.recipient_gap import Slot
from airflow_provider_whatsapp.notifications.records import Decision, Record
from airflow_provider_whatsapp.notifications.wording import (
    MAX_TEXT,
    MAX_URL,
    MAX_VALUE,
    fitted,
    fitted_buttons,
    fitted_header,
    others,
    stock_values,
    text_body,
    without_gaps,
)

NAMES = tuple(f"load_orders_into_the_warehouse[{number}]" for number in range(5))


def suppressed(held, names):
    return Decision(send=True, record=Record(runs=3), held=held, names=names, escalated=True)


def test_the_counts_survive_long_names_and_errors():
    more = others(suppressed(120, NAMES), Slot(held=40, names=NAMES))
    context = {"exception": ValueError("no rows " * 40)}
    said = fitted(stock_values(facts(context), more, summary=False))["error"]

    assert len(said) == MAX_VALUE
    assert "(3 runs in a row have failed; 120 more failures; 40 other alerts: load_orders" in said


@pytest.mark.parametrize(
    ("held", "names", "words"),
    [
        (1, ("load",), "1 more failure; 1 other alert: load; crm.sync"),
        (3, ("load",), "3 more failures; 1 other alert: load, ...; crm.sync"),
        (3, (), "3 more failures; 1 other alert: crm.sync"),
    ],
)
def test_those_that_are_counted_are_named_as_far_as_their_names_are_known(held, names, words):
    decision = Decision(send=True, record=Record(), held=held, names=names)

    assert others(decision, Slot(held=1, names=("crm.sync",))) == words


def test_failures_without_names_are_a_number():
    assert others(Decision(send=True, record=Record(), held=2), Slot()) == "2 more failures"


@pytest.mark.parametrize(
    ("more", "options", "error"),
    [
        ("", {}, "ValueError: no rows"),
        ("2 more", {}, "ValueError: no rows (2 more)"),
        ("2 more", {"summary": True}, "2 more"),
        ("", {"recovered": True}, "works again"),
        ("2 more", {"recovered": True}, "works again (2 more)"),
        ("2 more", {"recovered": True, "summary": True}, "2 more"),
    ],
    ids=str,
)
def test_the_stock_template_s_error_says_what_it_is_about(more, options, error):
    found = stock_values(facts({"exception": ValueError("no rows")}), more, **{"summary": False, **options})

    assert found["error"] == error


@pytest.mark.parametrize(("more", "kept"), [(10, 150), (147, 150), (250, 47), (257, 40), (400, 40)])
def test_a_long_error_is_cut_for_the_names_of_others_but_not_to_nothing(more, kept):
    found = stock_values(facts({"exception": "x" * 200}), "m" * more, summary=False)["error"]

    error, _, others_ = found.partition(" (")
    assert (len(error), others_) == (kept, "m" * more + ")")


def test_a_text_is_cut_and_what_is_added_to_it_is_not():
    assert text_body("t" * MAX_TEXT, {}, "", summary=False) == "t" * MAX_TEXT
    assert len(text_body("t" * (MAX_TEXT + 1), {}, "", summary=False)) == MAX_TEXT
    long = text_body("t" * MAX_TEXT, {}, "more", summary=False)
    assert len(long) == MAX_TEXT
    assert long.endswith("… (more)")
    both = text_body("t" * MAX_TEXT, {}, "m" * MAX_TEXT, summary=False)
    assert len(both) == MAX_TEXT
    assert both.count("m") == MAX_TEXT - MAX_VALUE - 1
    assert len(text_body("t", facts({}), "m" * 5000, summary=True)) == MAX_TEXT


TYPED = {"type": "currency", "currency": {}}


@pytest.mark.parametrize(
    ("values", "fit"),
    [
        (None, None),
        ("a\nb", ["a b"]),
        (b"x", ["b'x'"]),
        ([None, "", 7, TYPED], ["-", "-", "7", TYPED]),
        ({"a": None, "b": TYPED}, {"a": "-", "b": TYPED}),
        ({"kind": "x"}, {"kind": "x"}),
        (["of a\ntype", {"kind": "x"}, 0], ["of a type", "{'kind': 'x'}", "0"]),
        (("a\nb",), ["a b"]),
        (bytearray(b"x"), ["bytearray(b'x')"]),
        (["x" * (MAX_VALUE + 1)], ["x" * (MAX_VALUE - 1) + "…"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_body_s_values_are_made_to_fit(values, fit):
    assert fitted(values) == fit


@pytest.mark.parametrize(
    ("header", "fit"),
    [
        (None, None),
        ("x" * 61, "x" * 59 + "…"),
        (7, "7"),
        ("https://x.example/a.png", "https://x.example/a.png"),
        ({"type": "text", "text": "a\nb"}, {"type": "text", "text": "a\nb"}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_header_that_is_a_text_is_made_to_fit(header, fit):
    assert fitted_header(header) == fit


@pytest.mark.parametrize(
    ("buttons", "fit"),
    [
        (None, None),
        ("text", "text"),
        ((None, "of a\ntype"), [None, "of a type"]),
        ([None, TYPED, "", "x" * (MAX_URL + 1)], [None, TYPED, "-", "x" * (MAX_URL - 1) + "…"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_buttons_are_made_to_fit(buttons, fit):
    assert fitted_buttons(buttons) == fit


@pytest.mark.parametrize(
    ("given", "rendered", "found"),
    [
        ("{{ x }}", None, "-"),
        (None, None, None),
        ("{{ x }}", 7, 7),
        (["{{ x }}", None, "a"], [None, None, "a"], ["-", None, "a"]),
        ("{{ xs }}", [None], [None]),
    ],
    ids=str,
)
def test_what_was_given_and_is_nothing_is_a_dash(given, rendered, found):
    assert without_gaps(given, rendered) == found


@pytest.mark.parametrize(
    ("count", "names", "text"),
    [
        (0, 0, ""),
        (3, 0, ""),
        (1, 1, "a"),
        (3, 1, "a, ..."),
        (5, 5, "a, a, a, a, a"),
        (6, 5, "a, a, a, a, a, ..."),
        (6, 6, "a (6 times)"),
        (7, 6, "a (6 times), ..."),
    ],
)
def test_few_names_are_listed_one_by_one_and_many_briefly(count, names, text):
    assert wording._listed(count, ["a"] * names) == text
