"""Suppression lists: whoever opted out is left alone, in whatever form the list comes; what is unclear stops it all."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.masking import mask
from airflow_provider_whatsapp.delivery.recipients import Recipients
from airflow_provider_whatsapp.delivery.suppression import is_path, listed, read_suppressed
from tests.examples import examples

OUT, OTHER, ID = "15550000001", "15550000002", "US.13491208655302741918"


def written(tmp_path, content):
    path = tmp_path / "out.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


FILES = {
    "numbers alone": f"+{OUT}\n{OTHER}\n",
    "numbers alone, one line": f"+{OUT},{OTHER}",
    "numbers alone, an empty cell between them": f"+{OUT},,{OTHER}\n",
    "numbers alone, an empty cell on a later line": f"{OUT},{OTHER}\n+{OUT},\n",
    "numbers alone, one in quotation marks with its line's end": f'+{OUT}\n"{OTHER}\n"\n',
    "numbers alone, copied with marks of direction": f"\u202a+{OUT}\u202c\n{OTHER}\n",
    "columns of JSON lines that change": f'{{"phone": "{OUT}"}}\n{{"mobile": "{OTHER}"}}\n',
    "a column of JSON lines that comes later": f'{{"phone": "{OUT}"}}\n{{"phone": "{OTHER}", "mobile": "1"}}\n',
    "several on a line": f"{OTHER};+1 555 000 0001\n;\n",
    "a header of one column": f"number\n+1 (555) 000-0001\n{OTHER}\n",
    "a header of any name": f"opted out\n{OUT}\n{OTHER}\n",
    "date first": f"date,phone\n2024-01-31,+{OUT}\n2024-02-01,{OTHER}\n",
    "id first": f"id;Phone Number\n20240131;{OUT}\n20240132;{OTHER}\n",
    "the recipients' own column": f"phone,to\n{OTHER[:-1]},{OUT}\n{OTHER[:-1]},{OTHER}\n",
    "quoted": f'"id","phone"\n"1","{OUT}"\n"2","{OTHER}"\n',
    "UTF-16": f"date\tphone\n1\t{OUT}\n2\t{OTHER}\n".encode("utf-16"),
    "gzip": gzip.compress(f"sep=;\nid;phone\n1;{OUT}\n2;{OTHER}\n".encode()),
    "JSON lines": f'{{"id": 7, "phone": "{OUT}"}}\n{{"phone": {OTHER}, "id": 8}}\n',
    "a JSON array": json.dumps([{"at": 1, "to": OUT}, {"at": 2, "to": OTHER}], indent=1),
    "a JSON array of numbers": f'["{OUT}", {OTHER}]',
    "empty rows": f"\n\nid,phone\n\n1,{OUT}\n,\n2,{OTHER}\n\n",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_every_form_of_a_file_keeps_them_out(tmp_path, content):
    found = read_suppressed(written(tmp_path, content))

    assert len(found) == 2
    rows = Recipients([f"+{OUT}", OTHER, "15550000003"], suppressed=found)
    assert [row.skip for row in rows] == ["suppressed", "suppressed", None]


VALUES = [
    [OUT, OTHER],
    (int(OUT), f"+{OTHER}"),
    {OUT, OTHER},
    [{"date": "2024-01-31", "phone": OUT}, {"date": None, "phone": OTHER}],
    [{"phone": OUT}, {"mobile": OTHER}, OUT],
    [{"phone": OUT}, {"phone": OTHER, "mobile": "1"}],
    f"{OUT},+{OTHER}",
    f"{OUT};\n {OTHER} \r\n",
    f'["{OUT}", {OTHER}]',
    f"['{OUT}', '+{OTHER}']",
    f" [{{'phone': '{OUT}', 'x': None}}, {{'phone': '{OTHER}', 'x': 1}}]",
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_every_form_of_a_value_keeps_them_out(value):
    found = read_suppressed(value)

    assert len(found) == 2
    assert OUT in found
    assert OTHER in found


SAME = [
    (15550000001.0, "+15550000001"),
    ("15550000001.0", 15550000001),
    ("1.5550000001e10", "+15550000001"),
    ("+44 (0)20 7946 0000", "+442079460000"),
    ("+49 (0151) 23456789", "+4915123456789"),
    ("5215512345678", "+525512345678"),
    ("+54 9 11 2345 6789", "+541123456789"),
    ("+55 11 98765 4321", "551187654321"),
]


@pytest.mark.parametrize(("opted_out", "to"), [*SAME, *((to, opted_out) for opted_out, to in SAME)])
def test_every_form_of_a_number_is_that_number(tmp_path, opted_out, to):
    path = tmp_path / "out.jsonl"
    path.write_text(json.dumps({"at": 1, "phone": opted_out}))
    if opted_out == "1.5550000001e10":
        path.write_text(f'{{"phone": {opted_out}}}')
        to = [to]
    elif to == "1.5550000001e10":
        to = [json.loads(to)]
    else:
        to = [to]

    for source in (path, [json.loads(path.read_text())]):
        (row,) = Recipients(to, suppressed=read_suppressed(source))
        assert (row.error, row.skip) == (None, "suppressed")
    first, second = Recipients([json.loads(path.read_text())["phone"], *to])
    assert (first.skip, second.skip) == (None, "duplicate")
    shards = [
        list(Recipients([json.loads(path.read_text())["phone"], *to], shard=n, shards=3)) for n in range(3)
    ]
    assert sorted(map(len, shards)) == [0, 0, 2]


def test_national_numbers_of_a_list_are_read_as_the_recipients_are(tmp_path):
    path = written(tmp_path, "telefone\n(11) 98765-4321\n")

    (row,) = Recipients(["+5511987654321"], suppressed=read_suppressed(path, default_country="BR"))
    assert row.skip == "suppressed"


def test_one_number_may_be_a_number():
    assert OUT in read_suppressed(int(OUT))
    assert OUT in read_suppressed(float(OUT))


def test_ids_are_cells_like_numbers(tmp_path):
    for source in (
        written(tmp_path, f"at,to\n1,{ID}\n"),
        [ID],
        f"{ID},{OUT}",
        written(tmp_path, f"{ID}\n{OUT}\n"),
    ):
        assert ID in read_suppressed(source)


@pytest.mark.parametrize(
    "content", ["to\n", "date,phone\n", "opted out", "[]", "[\n]\n", gzip.compress(b"to\n", mtime=0)]
)
def test_a_header_without_rows_is_a_list_that_holds_nobody(tmp_path, content):
    assert len(read_suppressed(written(tmp_path, content))) == 0
    assert len(read_suppressed([])) == len(read_suppressed("[]")) == 0


REFUSED = {
    "zero bytes": ("", "out.csv is empty"),
    "zero bytes, zipped": (gzip.compress(b""), "out.csv is empty"),
    "spaces": (" \n\n", "out.csv is empty"),
    "a word among the numbers": (f"phone\n{OUT}\nAnna\n", "out.csv:3"),
    "a cell without a number": (f"id,phone\n1,{OUT}\n2,\n", "out.csv:3"),
    "the wrong column filled": (f"to,phone\n,{OUT}\n", "out.csv:2"),
    "a date beside each number, no header": (f"2024-01-31,{OUT}\n2024-01-31,{OTHER}\n", "out.csv:1"),
    "a short number first": (f"1234\n{OUT}\n", "out.csv:1"),
    "a number without its country first": (f"030 1234567\n{OUT}\n", "is neither a number nor an ID"),
    "Excel's number first": (f"4.9E+11\n{OUT}\n", "out.csv:1"),
    "two columns that may be meant": (
        f"phone,mobile\n{OUT},{OTHER}\n",
        "2 columns that may hold the numbers",
    ),
    "no column that may be meant": (f"date,who\n1,{OUT}\n", "has no column of numbers"),
    "the column twice": (f"phone,phone\n{OUT},{OTHER}\n", "more than once"),
    "a row of another length": (f"id,phone\n{OUT}\n", "has 1 cells, the header 2"),
    "a stray quote": (f'id,phone,why\n1,{OUT},"5 inch\n2,{OTHER},6"\n', "quotation marks do not match"),
    "a row of JSON without a number": (f'{{"phone": "{OUT}"}}\n{{"mail": "a@b"}}\n', "out.csv:2"),
    "null in JSON": (f'{{"phone": "{OUT}"}}\n{{"phone": null}}\n', "out.csv:2"),
    "a broken line of JSON": (f'{{"phone": "{OUT}"}}\n{{"phone": \n', "out.csv:2 is not a JSON object"),
    "a number twice in a row of JSON": (f'{{"to": "{OUT}", "to": "{OTHER}"}}\n', "more than once"),
    "a header that swallows a row": (f'phone,date,"why\n+{OUT}",1,"x"\n', "quotation marks do not match"),
    "a header that another delimiter ends": (
        f'date,"phone,why\n"1,+{OUT},""\n',
        "quotation marks do not match",
    ),
    "the number twice by another name": (f'{{"phone": "{OUT}", "phone": "{OTHER}"}}\n', "more than once"),
    "an Excel workbook": (b"PK\x03\x04" + bytes(50), "is an Excel workbook"),
}


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_unclear_in_a_file_stops_it_all(tmp_path, content, words):
    with pytest.raises(PayloadError) as caught:
        read_suppressed(written(tmp_path, content))

    assert words in str(caught.value)
    assert str(caught.value).startswith("suppression: ")
    for private in (OUT, OTHER, "Anna", "a@b"):
        assert private not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "is None"),
        ("", "is an empty text"),
        (" \n", "is an empty text"),
        ("None", r"suppression\[0\]"),
        ("nan", r"suppression\[0\]"),
        ([OUT, None], r"suppression\[1\]"),
        ([OUT, ""], r"suppression\[1\]"),
        ([OUT, [OTHER]], r"suppression\[1\]"),
        ([{"mail": "x", "name": "y"}], "no column of numbers"),
        ([{"phone": None}], r"suppression\[0\]"),
        ("[1, ", "begins like a list but is not one"),
        ("[open('x')]", "begins like a list but is not one"),
        ({"phone": OUT}, "is a dict"),
        (7, r"suppression\[0\]"),
        (True, "is a bool"),
        (b"15550000001", "is a bytes"),
        ([10**5000], r"suppression\[0\]"),
        ([OUT, "1" * 5000], r"suppression\[1\]"),
        ([OUT, "\ud800"], r"suppression\[1\]"),
    ],
    ids=lambda value: repr(value)[:40] if not isinstance(value, list) else str(len(value)),
)
def test_what_is_unclear_in_a_value_stops_it_all(value, words):
    with pytest.raises(PayloadError, match=words):
        read_suppressed(value)


@pytest.mark.parametrize(
    "entry", ["Annabel", 7, 10**5000], ids=["name", "number", "too long for Python to write"]
)
def test_what_is_no_number_is_shown_masked(entry):
    shown = mask("" if isinstance(entry, int) and entry > 7 else str(entry))
    with pytest.raises(PayloadError) as caught:
        read_suppressed([OUT, entry])

    assert caught.value.message == f"suppression: suppression[1] {shown} is neither a number nor an ID."


PATHS = [
    "optouts.csv",
    "s3://bucket/a,b.csv",
    "/data/out",
    "./out",
    "../out.txt",
    "~/out.jsonl",
    "out.csv.gz",
]
PATHS += ["data/opt-outs.json", "gs://bucket/x", "FILE:///x", "/" + "x" * 4095]
TEXTS = [
    OUT,
    f"+{OUT}",
    f"{OUT},{OTHER}",
    f"{OUT}\n{OTHER}",
    ID,
    f"{ID};{OUT}",
    "+1 555/000-0001",
    "1.555.000.0001",
    f"/data/out\n{OUT}",
    "/" + "x" * 4096,
    "",
]


@pytest.mark.parametrize("text", PATHS, ids=range(len(PATHS)))
def test_a_path_is_a_path(text):
    assert is_path(text)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_numbers_are_no_path(text):
    assert not is_path(text)


def test_a_text_that_holds_a_list_is_that_list():
    assert listed(' ["a", null]', field="x") == listed("['a', None]", field="x") == ["a", None]
    with pytest.raises(PayloadError, match="x: is a text that begins like a list"):
        listed("[" * 100_000, field="x")


@given(
    st.lists(st.integers(0, 9999), min_size=1, max_size=20, unique=True),
    st.sampled_from([",", ";", "\t", "|"]),
    st.lists(st.sampled_from(["date", "id", "why"]), max_size=2, unique=True),
    st.integers(0, 2),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@settings(max_examples=examples(80), deadline=None)
def test_nobody_of_a_list_is_written_to(tmp_path_factory, numbers, delimiter, others, place, encoding):
    names = [*others]
    names.insert(place, "phone")
    rows = [names]
    for number in numbers:
        row = ["2024-01-31"] * len(others)
        row.insert(place, f"+1555000{number:04}")
        rows.append(row)
    text = "\r\n".join(delimiter.join(row) for row in rows)
    path = tmp_path_factory.mktemp("out") / "list"
    path.write_bytes(text.encode(encoding))

    suppressed = read_suppressed(path)
    assert all(row.skip for row in Recipients([f"1555000{n:04}" for n in numbers], suppressed=suppressed))


@given(
    st.lists(st.sampled_from(["", "x", 'said "no"', "a,b", "5"]), min_size=1, max_size=8),
    st.integers(0, 2),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(['"', '""', "'"])), max_size=4),
)
@settings(max_examples=examples(300), deadline=None)
@example([""], 1, True, [(5, '"'), (16, '"')])
@example(["a,b"], 0, True, [(1, '""'), (13, '"'), (30, '"')])
def test_a_damaged_list_holds_everybody_or_is_refused(tmp_path_factory, cells, place, header, damage):
    names, rows = ["date", "why"], []
    names.insert(place, "phone")
    for count, cell in enumerate(cells):
        row = ["1", '"' + cell.replace('"', '""') + '"']
        row.insert(place, f"+1555{count:07}")
        rows.append(",".join(row) if header else row[place])
    text = "\n".join([*([",".join(names)] if header else ()), *rows, ""])
    for place_of_mark, mark in damage:
        at = place_of_mark % len(text)
        text = text[:at] + mark + text[at:]
    path = tmp_path_factory.mktemp("out") / "list.csv"
    path.write_text(text)

    try:
        found = read_suppressed(path)
    except PayloadError:
        return
    assert len(found) == len(cells), text
    assert all(f"1555{count:07}" in found for count in range(len(cells))), text


def test_the_recipients_column_is_found_however_it_is_written(tmp_path):
    path = written(tmp_path, f"Kunden-Nr.,KUNDE Mobil\n1,{OUT}\n")
    assert OUT in read_suppressed(path, to_field="kunde_mobil")
    with pytest.raises(PayloadError, match="has no column of numbers"):
        read_suppressed(path)


def test_the_errors_name_the_argument_that_gave_the_list(tmp_path):
    for source in (
        written(tmp_path, f"id,phone\n{OUT}\n"),
        [OUT, "x"],
        [{"who": 1}],
        None,
        "",
        "[1,",
        tmp_path / "nothing.csv",
    ):
        with pytest.raises(PayloadError) as caught:
            read_suppressed(source)
        assert caught.value.field == "suppression"


@pytest.mark.parametrize(("length", "path"), [(4_096, True), (4_097, False)])
def test_a_path_has_so_many_characters_at_most(length, path):
    assert is_path("/" + "x" * (length - 1)) is path
