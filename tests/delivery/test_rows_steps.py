"""Each step of reading a list by itself: what a row is, what names a column, where a record of a CSV file ends."""

from __future__ import annotations

import io

import pytest

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.delivery import csv_rows, rows

NEEDED = frozenset({"to", "name"})


def json_of(*lines, **options):
    usual = {"name": "a.jsonl", "needed": NEEDED, "value_field": "to", "field": "recipients"}
    return [
        (where, columns.message if isinstance(columns, PayloadError) else columns)
        for where, columns in rows.json_rows(iter(lines), **usual | options)
    ]


LINES = {
    "an object": ('{"to": "1"}', {"to": "1"}),
    "a list": ("[1]", "is a list, not an object"),
    "a number": ("7", "is a int, not an object"),
    "a text": ('"x"', "is a str, not an object"),
    "none": ("null", "is a NoneType, not an object"),
    "broken": ('{"to": ', "is not a JSON object on one line"),
    "deep": ('{"to": ' + "[" * 100_000, "is nested too deeply"),
    "a needed name twice": ('{"to": 1, "to": 2}', "names 'to' more than once"),
    "another name twice": ('{"to": 1, "x": 2, "x": 3}', {"to": 1, "x": 3}),
    "forty digits": (f'{{"to": {"9" * 40}}}', {"to": int("9" * 40)}),
    "forty-one digits": (f'{{"x": {"9" * 41}}}', {"x": "9" * 41}),
}


@pytest.mark.parametrize(("line", "found"), LINES.values(), ids=list(LINES))
def test_what_a_later_line_of_json_is(line, found):
    (_, first), (where, second) = json_of('{"to": "0"}', "", line)[:2]

    assert first == {"to": "0"}
    assert where == "a.jsonl:3", "an empty line is counted"
    assert second == (f"recipients: a.jsonl:3 {found}." if isinstance(found, str) else found)


ARRAYS = {
    "on one line": (['[{"to": "1"}, 2]'], [{"to": "1"}, {"to": 2}]),
    "on several": (["[\n", '{"to": "1"},\n', "2]\n"], [{"to": "1"}, {"to": 2}]),
    "after empty lines": (["\n", "[1]\n"], [{"to": 1}]),
    "empty": (["[]"], []),
    "with forty-one digits": (["[\n", f"{'9' * 41}]"], [{"to": "9" * 41}]),
}


@pytest.mark.parametrize(("lines", "found"), ARRAYS.values(), ids=list(ARRAYS))
def test_an_array_is_rows(lines, found):
    assert [columns for _, columns in json_of(*lines)] == found
    assert [where for where, _ in json_of(*lines)] == [f"recipients[{place}]" for place in range(len(found))]


BROKEN = {
    "cut off": (["[\n", "1,\n"], "a.jsonl:3 is not a valid JSON array (is not a JSON object on one line)"),
    "deep": (["[" * 100_000], "a.jsonl is not a valid JSON array (is nested too deeply)"),
    "a needed name twice": (
        ["[\n", '{"to": 1, "to": 2}]'],
        "a.jsonl is not a valid JSON array (names 'to' more",
    ),
}


@pytest.mark.parametrize(("lines", "words"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_array_has_no_rows(lines, words):
    with pytest.raises(PayloadError) as caught:
        json_of(*lines)

    assert caught.value.message.startswith(f"recipients: {words}")


def test_where_every_name_stands_once_any_two_are_refused():
    ((_, problem),) = json_of('{"to": 1, "x": 2, "x": 3}', every_name_once=True)

    assert problem == "recipients: a.jsonl:1 names 'x' more than once."


@pytest.mark.parametrize(
    ("text", "found"),
    [("", None), ("\n \n", None), ("{", True), ("\n  [1", True), ("to,name\n{", False), ("\n x", False)],
)
def test_what_a_file_holds_its_first_line_says_and_no_line_is_lost(text, found):
    is_json, lines = rows.is_json(io.StringIO(text))

    assert is_json is found
    assert "".join(lines) == text


HALF = "\ud800"
SOUND = {
    "a text": ("x", True),
    "another script": ("你好", True),
    "half a character": (HALF, False),
    "none": (None, True),
    "a switch": (True, True),
    "a fraction": (float("nan"), True),
    "as large as may be": (2**160 - 1, True),
    "larger": (2**160, False),
    "a list": ([1, "x"], True),
    "a list with half a character": ([HALF], False),
    "a thing": (object(), True),
    "a name that is no text": ({(1, 2): 3}, False),
}


@pytest.mark.parametrize(("value", "sound"), SOUND.values(), ids=list(SOUND))
def test_what_can_be_written_down(value, sound):
    assert rows._is_sound(value) is sound


def test_a_value_that_cannot_be_written_down_is_left_out_where_nobody_needs_it():
    found = rows._sound(
        {"to": "1", "x": f"a{HALF}", "y": 10**60, HALF: "v", "z": "ok"}, "w", NEEDED, "recipients"
    )

    left_out = "(left out: no value that can be written down)"
    assert found == {"to": "1", "z": "ok", "x": "a\ufffd", "y": left_out, "\ufffd": "v"}


POISON = {
    "half a character": (HALF, "half of a character (a lone surrogate)"),
    "digits": (10**60, "a number of too many digits"),
    "a list": ([HALF], "a list that JSON cannot hold"),
}


@pytest.mark.parametrize(("value", "words"), POISON.values(), ids=list(POISON))
def test_a_needed_value_that_cannot_be_written_down_is_the_row_s_failure(value, words):
    found = rows._sound({"to": "1", "name": value}, "a:7", NEEDED, "recipients")

    assert found.message == f"recipients: a:7 has a value in 'name' that is not text: {words}."
    assert (found.field, found.advice) == ("recipients", "Correct this row.")


def test_rows_of_a_list_are_called_by_the_argument_that_gave_it():
    found = list(rows.read_rows([{"to": "1"}, "2"], value_field="phone", field="suppression"))

    assert found == [("suppression[0]", {"to": "1"}), ("suppression[1]", {"phone": "2"})]


@pytest.mark.parametrize("line", ["[7]", "[\n7\n]"], ids=["on one line", "on several"])
def test_numbers_of_an_array_stand_in_the_column_of_the_numbers(line):
    found = json_of(*line.splitlines(keepends=True), value_field="phone", field="suppression")
    assert found == [("suppression[0]", {"phone": 7})]


HINTS = {
    "nothing alike": (["a", "b"], ["x"], "; it has 2 columns"),
    "one column": (["a"], ["x"], "; it has 1 column"),
    "a usual name": (["a", "Phone Number"], ["x"], "; of its 2 columns, 'Phone Number' may be meant"),
    "nearly the name": (["First_Name"], ["first name"], "; of its 1 column, 'First_Name' may be meant"),
    "five at most": (
        [f"to{' ' * n}" for n in range(7)],
        ["TO"],
        "; of its 7 columns, 'to', 'to ', 'to  ', 'to   ', ",
    ),
}


@pytest.mark.parametrize(("names", "missing", "words"), HINTS.values(), ids=list(HINTS))
def test_which_columns_may_be_meant(names, missing, words):
    found = rows._hint(names, missing)

    assert found.startswith(words)
    assert found.count("'") <= 10


@pytest.mark.parametrize(
    ("names", "twice"), [(["to", "name"], False), (["x", "x", "to"], False), (["to", "to"], True)]
)
def test_a_needed_column_stands_once(names, twice):
    if twice:
        with pytest.raises(PayloadError, match="a:1 names the column 'to' more than once"):
            rows.check_once(names, NEEDED, "a:1", "recipients")
    else:
        rows.check_once(names, NEEDED, "a:1", "recipients")


def header_of(text, needed=("to",)):
    return csv_rows.read_header(io.StringIO(text), "a.csv", needed, field="recipients")


HEADERS = {
    "commas": ("to,name\nx", (["to", "name"], ",", 1, 1)),
    "semicolons": ("to;na,me\nx", (["to", "na,me"], ";", 1, 1)),
    "tabs": ("to\tname\n", (["to", "name"], "\t", 1, 1)),
    "bars": ("to|name\n", (["to", "name"], "|", 1, 1)),
    "spaces around": (" to , name \n", (["to", "name"], ",", 1, 1)),
    "empty lines before": ("\n \nto,name\n", (["to", "name"], ",", 3, 3)),
    "what Excel writes first": ("sep=;\nto;a,b,c\n", (["to", "a,b,c"], ";", 2, 2)),
    "in quotation marks": ('"sep=|"\nto|a\n', (["to", "a"], "|", 2, 2)),
    "a name of two lines": ('to,"first\r\n  name"\nx', (["to", "first name"], ",", 1, 2)),
    "the delimiter that gives what is needed": ("a;to;c,b\n", (["a", "to", "c,b"], ";", 1, 1)),
    "nothing needed, the one that is there most": ("a;b;c,d\n", (["a", "b", "c,d"], ";", 1, 1)),
    "what Excel writes first, whatever is there more often": (
        "sep=;\na,b,c,d;d\n",
        (["a,b,c,d", "d"], ";", 2, 2),
    ),
    "a name that looks like what Excel writes": (
        'to,"first\nsep=;\nlast"\n',
        (["to", "first sep=; last"], ",", 1, 3),
    ),
    "quotation marks that only one delimiter allows": ('a;"b"c,d;d\n', (['a;"b"c', "d;d"], ",", 1, 1)),
    "what Excel writes first, once": ("sep=;\nsep=,\n", (["sep=,"], ";", 2, 2)),
    "a quotation mark that another delimiter would open": ('a,b,c;"d\n', (["a", "b", 'c;"d'], ",", 1, 1)),
    "one name": ("to\n", (["to"], ",", 1, 1)),
    "nothing": ("", ([], ",", 1, 0)),
    "empty lines": ("\n\n", ([], ",", 1, 2)),
}


@pytest.mark.parametrize(("text", "found"), HEADERS.values(), ids=list(HEADERS))
def test_the_header_of_a_file(text, found):
    header = header_of(text, () if "d\n" in text else ("to",))

    assert (header.names, header.delimiter, header.first, header.lines) == found


@pytest.mark.parametrize(
    "text",
    ['to,"name\n15550001111,x"\n', '"to,name\n' + "x\n" * 60, 'to,"name\n'],
    ids=["swallows a row", "too long", "never closed"],
)
def test_a_header_whose_end_nobody_can_tell(text):
    with pytest.raises(PayloadError, match=r"a\.csv:1 begins a row whose quotation marks do not match"):
        header_of(text)


@pytest.mark.parametrize(("more", "good"), [(49, True), (50, True), (51, False)])
def test_a_header_has_so_many_lines_at_most(more, good):
    text = 'to,"' + "x\n" * more + 'name"\n'
    if good:
        assert header_of(text).lines == more + 1
    else:
        with pytest.raises(PayloadError, match="do not match"):
            header_of(text)


def records_of(text, names=("to", "name"), place=0):
    header = csv_rows.Header(list(names), ",", 1, 1)
    return list(csv_rows.read_records(io.StringIO(text), "a.csv", header, place, field="recipients"))


def test_records_are_called_by_their_first_line_and_empty_ones_are_left_out():
    text = 'a,"1\n2"\n\n,,\n ,x\nb,c\n'

    assert records_of(text) == [(2, ["a", "1\n2"]), (6, [" ", "x"]), (7, ["b", "c"])]


SWALLOWED = {
    "a text of two lines": ('15550000001,"dear\nfriend"\n', None),
    "a number in a text": ('15550000001,"call\n15550000002"\n', None),
    "its own number again": ('15550000001,"call\n15550000001,x"\n', None),
    "a row of another": ('15550000001,"call\n15550000002,x"\n', 2),
    "a user ID": ('15550000001,"call\nUS.13491208655302741918,x"\n', 2),
    "after a cell in quotation marks": ('15550000001,"call\n""15550000002"",""x,y"""\n', 2),
    "of another width": ('15550000001,"call\nx",y\n', 2),
    "never closed": ('1,2\n15550000001,"call\n', 3),
}


@pytest.mark.parametrize(("text", "line"), SWALLOWED.values(), ids=list(SWALLOWED))
def test_a_record_that_has_swallowed_another_is_refused(text, line):
    if line is None:
        assert len(records_of(text)) == 1
    else:
        with pytest.raises(
            PayloadError, match=rf"a\.csv:{line} begins a row whose quotation marks do not match"
        ):
            records_of(text)


LIKE = {
    "15550001111": True,
    "+1 (555) 000-1111": True,
    "1234567": True,
    "123456": False,
    "1" * 20: True,
    "1" * 21: False,
    "'15550001111'": True,
    "US.13491208655302741918": True,
    "2024-01-31": True,
    "Ann": False,
    "": False,
}


@pytest.mark.parametrize(("cell", "found"), LIKE.items(), ids=lambda value: str(value)[:24])
def test_what_looks_like_a_recipient(cell, found):
    assert csv_rows.like_a_recipient(cell) is found


def test_the_delimiter_that_gives_exactly_what_is_needed_is_the_right_one():
    assert header_of("to;a,b,c\n", ("to", "a,b,c")).names == ["to", "a,b,c"]


POSSIBLE = {
    "as wide as the header": ("a,1,b", 1, ["1"]),
    "too short": ("a,1", 1, []),
    "too wide, without quotation marks": ("a,b,1,c", 1, []),
    "a cell before it in quotation marks": ('"a,b",1,c', 1, ["b", "1"]),
    "a cell behind it in quotation marks": ('a,1,"b,c"', 1, ["1"]),
    "one of three parts before it": ('"a,b,c",1,d', 1, ["b", "1"]),
    "too short, with quotation marks": ('"a",1', 1, []),
    "spaces and marks around it": ("a, '1' ,b", 1, ["1"]),
    "the first cell": ('1,"b,c",d', 0, ["1"]),
}


@pytest.mark.parametrize(("line", "place", "found"), POSSIBLE.values(), ids=list(POSSIBLE))
def test_which_parts_of_a_line_may_be_the_recipient(line, place, found):
    assert list(csv_rows._possible(line.split(","), 3, place)) == found
