"""Lists as the world writes them: read, or refused in one sentence before anybody is sent to; nobody vanishes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import zipfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.delivery.recipients import Recipients
from tests.examples import examples

ANN, BOB, ZOE = "15550000001", "15550000002", "15550000003"
CSV = f"to,name,note\n+{ANN},Ann,one\n+{BOB},Bøb,two\n"
DEEP = "[" * 50_000 + "]" * 50_000


def numbers(rows):
    return [row.to for row in rows if row.error is None]


def written(tmp_path, content, name="people.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def pretty(rows):
    return json.dumps(rows, indent=2)


READ = {
    "sep= line": "sep=;\n" + CSV.replace(",", ";"),
    "sep= line in quotes": '"sep=|"\r\n' + CSV.replace(",", "|"),
    "UTF-8 with BOM": b"\xef\xbb\xbf" + CSV.encode(),
    "UTF-16 little": CSV.encode("utf-16"),
    "UTF-16 big": b"\xfe\xff" + CSV.encode("utf-16-be"),
    "UTF-16 gzipped": gzip.compress(CSV.encode("utf-16")),
    "header with a line break": CSV.replace("name", '"full\nname"'),
    "header with a delimiter in quotes": CSV.replace("note", '"note; and; more; of; it"'),
    "blank lines first": "\n\n" + CSV,
    "old Mac line ends": CSV.replace("\n", "\r"),
    "trailing empty rows": CSV + ",,\n\n , ,\n,,\n",
    "trailing empty columns": "".join(f"{line},,\n" for line in CSV.splitlines()),
    "a cell with a line break": CSV.replace("one", '"one\nmore, yes"'),
    "a cell with an address": CSV.replace("one", '"Main St 5\n12345 Rome\n+39"'),
    "a cell with quotation marks": CSV.replace("one", '"5"" pipe"'),
    "an inch mark inside a cell": CSV.replace("one", '5" pipe'),
    "an array over several lines": pretty([{"to": f"+{ANN}"}, {"to": f"+{BOB}"}]),
    "an array after blank lines": "\n \n" + pretty([{"to": ANN}, {"to": BOB}]),
    "an array of numbers": pretty([int(ANN), BOB]),
    "a cell of 140 kB": CSV.replace("one", "x" * 140_000),
    "two columns of a name nobody needs": CSV.replace("name,note", "note,note"),
    "a JSON key twice that nobody needs": f'{{"to":"{ANN}","x":1,"x":2}}\n{{"to":"{BOB}"}}\n',
    "JSON in UTF-16": "\n".join(json.dumps({"to": to}) for to in (ANN, BOB)).encode("utf-16"),
}


@pytest.mark.parametrize("content", READ.values(), ids=READ)
def test_it_is_read_to_the_last_person(tmp_path, content):
    recipients = Recipients(written(tmp_path, content))

    assert numbers(recipients) == [ANN, BOB]
    assert (recipients.survey().total, recipients.survey().malformed) == (2, 0)


def test_a_header_with_a_line_break_is_one_name(tmp_path):
    path = written(tmp_path, f'"phone\r\nnumber",name\n+{ANN},Ann\n')

    assert numbers(Recipients(path, to_field="phone number", columns=["name"])) == [ANN]


def test_lines_inside_a_cell_end_as_they_do_in_the_file(tmp_path):
    (row,) = Recipients(
        written(tmp_path, f'to,note\r\n+{ANN},"one\r\ntwo\rthree\nfour"\r\n'), columns=["note"]
    )

    assert row.values["note"] == "one\r\ntwo\rthree\nfour"


def workbook():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return content.getvalue()


REFUSED = {
    "cp1252": (CSV.encode("cp1252"), "is not UTF-8 text. Save it as CSV UTF-8"),
    "UTF-16 without a mark": (CSV.encode("utf-16-le"), "UTF-16 without a byte order mark"),
    "xlsx": (workbook(), "is an Excel workbook or a ZIP archive. Save it as CSV UTF-8"),
    "xlsx gzipped": (gzip.compress(workbook()), "is an Excel workbook"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is an Excel workbook"),
    "parquet": (b"PAR1" + bytes(100), "is a Parquet file"),
    "half a gzip": (gzip.compress(CSV.encode() * 99)[:-20], "its gzip compression is broken"),
    "a gzip with a wrong checksum": (
        gzip.compress(CSV.encode())[:-8] + bytes(8),
        "its gzip compression is broken",
    ),
    "a gzip with a broken block": (
        gzip.compress(CSV.encode() + bytes(range(65, 91)) * 9000)[:-40] + b"\xff" * 4000,
        "its gzip compression is broken",
    ),
    "zero bytes": (b"", "has no column 'to'"),
    "no header": (f"+{ANN},Ann,Rome\n", r"people.csv:1 has no column 'to'; it has 3 columns. The first line"),
    "a needed column twice": (CSV.replace("note", "to"), "names the column 'to' more than once"),
    "a stray quote at the start of a cell": (CSV.replace("one", '"one'), "quotation marks do not match"),
    "a stray quote twice": (
        CSV.replace("one", '"one').replace("two", 'two"'),
        "quotation marks do not match",
    ),
    "a stray quote that swallows others' numbers": (
        f'name,note,to\nAnn,"5 inch,+{ANN}\nBob,6",+{BOB}\n',
        "quotation marks do not match",
    ),
    "text after a closing quote": (CSV.replace("one", '"one" two'), "quotation marks do not match"),
    "a stray quote in the header": (CSV.replace("note", '"note'), "quotation marks do not match"),
    "an array that is cut off": (pretty([{"to": ANN}, {"to": BOB}])[:-6], "is not a valid JSON array"),
    "an array with something after it": (pretty([{"to": ANN}]) + "\n{}", "is not a valid JSON array"),
    "an array that is nested too deeply": (f'[{{"to": {DEEP}}}]', "is nested too deeply"),
    "an array with a key twice": (f'[{{"to": "{ANN}",\n "to": "{BOB}"}}]', "names 'to' more than once"),
}


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_in_one_sentence_that_holds_nobodys_data(tmp_path, content, words):
    with pytest.raises(PayloadError) as caught:
        Recipients(written(tmp_path, content)).survey()

    assert words in str(caught.value)
    for private in ("Ann", "Rome", ANN, "0001"):
        assert private not in str(caught.value)


def test_a_pipe_is_refused_and_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PayloadError, match="is not a regular file"):
        Recipients(tmp_path / "pipe").survey()


def test_a_system_file_does_not_show_its_first_line(tmp_path):
    path = written(tmp_path, "root:x:0:0:root:/root:/bin/bash\nAnna:x:1:1::/home/anna:/bin/sh\n", "passwd")
    with pytest.raises(PayloadError) as caught:
        Recipients(path).survey()

    assert str(caught.value).startswith("recipients: passwd:1 has no column 'to'; it has 1 column.")
    assert "root" not in str(caught.value)


def test_a_column_of_nearly_the_right_name_is_suggested(tmp_path):
    with pytest.raises(PayloadError, match=r"of its 2 columns, 'Mobile number' may be meant"):
        Recipients(written(tmp_path, f"Mobile number;Anna\n{ANN};x\n")).survey()


POISONED = {
    "a lone surrogate in a needed value": ({"to": ANN, "name": "\ud83d"}, "half of a character"),
    "a lone surrogate in the number": ({"to": f"+{ANN}\udc00", "name": "x"}, "half of a character"),
    "a number of 5,000 digits": ({"to": 10**5000, "name": "x"}, "too many digits"),
    "a value of 5,000 digits": ({"to": ANN, "name": 10**5000}, "too many digits"),
    "a text of 5,000 digits": ({"to": "1" * 5000, "name": "x"}, ""),
    "a recipient of 140 kB": ({"to": "x" * 140_000, "name": "x"}, ""),
    "a list that holds itself": ({"to": ANN, "name": []}, "cannot hold"),
}
POISONED["a list that holds itself"][0]["name"].append(POISONED["a list that holds itself"][0]["name"])


@pytest.mark.parametrize(("row", "words"), POISONED.values(), ids=POISONED)
def test_a_poisoned_row_is_a_failed_row_and_stops_nobody(row, words):
    recipients = Recipients([row, {"to": BOB, "name": "Bob"}], columns=["name"])

    bad, good = recipients
    assert words in str(bad.error)
    assert (good.to, good.error) == (BOB, None)
    assert len(str(bad.error)) < 500
    assert len(bad.to) < 100
    assert recipients.survey().open == 1
    json.dumps([dict(good.values), bad.to, bad.given, str(bad.error)], ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "line",
    [
        f'{{"to": "{ANN}", "name": {DEEP}}}',
        f'{{"to": {"1" * 5000}, "name": "x"}}',
        f'{{"to": "{ANN}", "to": "{BOB}", "name": "x"}}',
        f'{{"to": "{ANN}", "name": "x", "name": "y"}}',
        f'{{"to": "{ANN}", "name": "\\ud800"}}',
        '{"to": "x", "name": ' + "9" * 5000 + "}",
    ],
    ids=["deep", "5,000 digits", "two recipients", "two values", "surrogate", "5,000 digits of a value"],
)
def test_a_poisoned_line_is_a_failed_row_and_stops_nobody(tmp_path, line):
    path = written(tmp_path, f'{line}\n{{"to": "{BOB}", "name": "Bob"}}\n')

    bad, good = Recipients(path, columns=["name"])
    assert bad.error is not None
    assert (good.to, good.error) == (BOB, None)


@pytest.mark.parametrize(
    "value",
    ["\ud83d", 10**5000, {"deep": json.loads("[" * 500 + "]" * 500)}],
    ids=["surrogate", "digits", "deep"],
)
def test_a_poisoned_value_that_nobody_needs_harms_nobody(value):
    (row,) = Recipients([{"to": ANN, "name": "Ann", "other": value, "\udc00": 1}], columns=["name"])

    assert (row.to, row.error) == (ANN, None)
    json.dumps(dict(row.values), ensure_ascii=False).encode()


# Every recipient of a file is in the report, or the file is refused.

CELLS = st.text(st.sampled_from("ab \"',;1é-"), max_size=8)
LINES = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8)


def quoted(cell):
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set('",;') else cell


# What may befall a file: marks in its rows or in its header, or commas in its rows. Not marks and commas in one row:
# one that lies in another's quotation marks, its columns moved as well, is a text like any other.
ROWS, HEADER, COMMAS = "rows", "header", "commas"
MARKS = {ROWS: ['"', '""', "'", '"\n'], HEADER: ['"', '""', "'", ","], COMMAS: [","]}
DAMAGES = st.sampled_from(sorted(MARKS)).flatmap(
    lambda kind: st.tuples(
        st.just(kind),
        st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(MARKS[kind])), max_size=12),
    )
)


def damaged(text, kind, damage):
    for place, mark in damage:
        end_of_header = text.index("\n")
        in_row = end_of_header + 1 + place % (len(text) - end_of_header)
        at = place % (end_of_header + 1) if kind == HEADER else in_row
        if "\n" in mark:  # beside a cell: in a number it makes another number, which nobody can tell
            at = text.rfind(",") + 1
        text = text[:at] + mark + text[at:]
    return text


@given(LINES, st.integers(0, 2), DAMAGES)
@settings(max_examples=examples(400), deadline=None)
@example([("", ""), ("", "")], 2, (ROWS, [(11, '"'), (26, '"')]))
@example([("1,1", ""), ('1111111;",', "1,")], 0, (ROWS, []))
def test_counted_rows_are_reported_rows_whatever_marks_a_file_has_in_it(
    tmp_path_factory, cells, place, damage
):
    names = ["a", "b"]
    names.insert(place, "to")
    rows = []
    for count, row in enumerate(cells):
        line = [quoted(cell) for cell in row]
        line.insert(place, f"+1555{count:07}")
        rows.append(",".join(line))
    text = damaged("\n".join([",".join(names), *rows, ""]), *damage)
    counted = {f"1555{count:07}" for count in range(len(rows))}
    path = written(tmp_path_factory.mktemp("lists"), text)

    try:
        total = Recipients(path).survey().total
    except PayloadError:
        return
    found = list(Recipients(path))
    good = set(numbers(found))
    broken = sum(row.error is not None for row in found)
    assert total == len(found)
    assert len(counted - good) <= broken, text
    assert good <= counted, text


@pytest.mark.parametrize(
    "swallowing",
    [
        f'{ANN},"1,1\n{BOB},""1111111;","1111111,"\n',
        f'{ANN},"1,1\n{BOB},"1,1",1"\n',
    ],
    ids=["two marks", "a mark before two cells in marks"],
)
def test_a_person_in_anothers_cell_refuses_the_file(tmp_path, swallowing):
    with pytest.raises(PayloadError, match="quotation marks do not match"):
        Recipients(written(tmp_path, f"to,a,b\n{swallowing}")).survey()


@pytest.mark.parametrize(
    "note",
    [
        "Best,\nAnn Lee\n+1 555 000 0009",
        "Ring\n15550000009, or Bob, or Ann, or the office",
        'He said "ring 15550000009",\nso ring',
        "Lee, Ann\n12 High St, Springfield, 12345678\n",
        "\n\n",
    ],
)
def test_a_text_of_several_lines_with_a_number_in_it_is_a_text(tmp_path, note):
    path = tmp_path / "people.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["to", "a", "note"], [ANN, "x", note], [BOB, "y, z", note]])

    first, second = Recipients(path)
    assert (first.to, first.values["note"], second.to, second.values["note"]) == (ANN, note, BOB, note)


@given(st.binary(max_size=60), st.integers(0, 200), st.booleans())
@settings(max_examples=examples(200), deadline=None)
def test_damaged_bytes_are_read_or_refused(tmp_path_factory, noise, at, zipped):
    content = CSV.encode()
    content = gzip.compress(content, mtime=0) if zipped else content
    at = at % len(content)
    path = written(tmp_path_factory.mktemp("lists"), content[:at] + noise + content[at + len(noise) :])

    try:
        total = Recipients(path).survey().total
    except PayloadError:
        return
    assert total == len(list(Recipients(path)))
