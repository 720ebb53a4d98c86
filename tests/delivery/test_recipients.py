"""Rows from files and lists: normalised, once, in shards, with the place of every mistake."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.delivery import compact_sets, recipients
from airflow_provider_whatsapp.delivery.compact_sets import Seen
from airflow_provider_whatsapp.delivery.fill import columns, fill
from airflow_provider_whatsapp.delivery.ledger import SourceChangedError
from airflow_provider_whatsapp.delivery.recipients import Recipients, read_recipients
from airflow_provider_whatsapp.delivery.suppression import read_suppressed
from tests.examples import examples

CSV = "to,name,city\n+1 555 000 0001,Ann,Rome\n,Nobody,Oslo\n15550000002,Bob,Paris\n+1 (555) 000-0001,Ann again,Rome\n"


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text(CSV)
    return path


@pytest.mark.parametrize("form", ["csv", "csv.gz", "jsonl", "jsonl.gz", "json", "semicolons", "bom", "list"])
def test_every_form_gives_the_same_rows(tmp_path, csv, form):
    rows = [
        {"to": "+1 555 000 0001", "name": "Ann", "city": "Rome"},
        {"to": "", "name": "Nobody", "city": "Oslo"},
        {"to": 15550000002, "name": "Bob", "city": "Paris"},
        {"to": "+1 (555) 000-0001", "name": "Ann again", "city": "Rome"},
    ]
    json_lines = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    content = {
        "csv": CSV.encode(),
        "csv.gz": gzip.compress(CSV.encode()),
        "jsonl": json_lines,
        "jsonl.gz": gzip.compress(json_lines),
        "json": json.dumps(rows).encode(),
        "semicolons": CSV.replace(",", ";").encode(),
        "bom": b"\xef\xbb\xbf" + CSV.encode(),
        "list": b"",
    }[form]
    path = tmp_path / f"in.{form}"
    path.write_bytes(content)

    found = list(Recipients(rows if form == "list" else path, columns=["name"]))

    assert [row.to for row in found if row.error is None] == ["15550000001", "15550000002", "15550000001"]
    assert [row.skip for row in found] == [None, None, None, "duplicate"]
    assert [row.values["name"] for row in found] == ["Ann", "Nobody", "Bob", "Ann again"]
    assert [row.position for row in found] == [0, 1, 2, 3]
    assert found[1].error is not None


def test_a_mistake_names_file_and_line(csv):
    row = list(Recipients(csv))[1]

    assert (row.where, str(row.error)[:16]) == ("people.csv:3", "to: people.csv:3")


def test_a_missing_column_stops_before_anything_is_sent(csv):
    with pytest.raises(
        PayloadError, match=r"people\.csv:1 has no column 'phone'; of its 3 columns, 'to' may"
    ):
        Recipients(csv, to_field="phone").survey()
    with pytest.raises(PayloadError, match="has no column 'age'; of its 3 columns"):
        Recipients(csv, columns=["age"]).survey()


@pytest.mark.parametrize("rows", ["to\nx\ny\n", "to\n\n12\n"])
def test_a_list_without_one_good_row_is_refused(tmp_path, rows):
    path = tmp_path / "bad.csv"
    path.write_text(rows)
    with pytest.raises(PayloadError, match="rows are malformed"):
        Recipients(path).survey()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"to,name\n+15550000001\n", "has 1 cells, the header 2"),
        (b'{"to": "15550000001"\n{"to": "15550000002"}\n', "is not a JSON object"),
        (b'{"to": "15550000001"}\n7\n', "is a int, not an object"),
    ],
)
def test_a_broken_line_is_one_bad_row(tmp_path, content, problem):
    path = tmp_path / "file"
    path.write_bytes(content)

    errors = [str(row.error) for row in Recipients(path) if row.error]

    assert len(errors) == 1
    assert problem in errors[0]
    assert "file:" in errors[0]


def test_a_line_that_begins_an_array_further_down_is_a_bad_row_and_no_array(tmp_path):
    path = tmp_path / "people.jsonl"
    path.write_text('\n{"to": "15550001111"}\n["15550002222",\n["15550003333"]\n{"to": "15550004444"}\n')

    found = list(Recipients(path))
    assert [row.to for row in found if row.error is None] == ["15550001111", "15550004444"]
    bad = [str(row.error) for row in found if row.error]
    assert ["people.jsonl:3 is not" in bad[0], "people.jsonl:4 is a list" in bad[1]] == [True, True]


def test_a_file_that_is_absent_is_an_error_of_its_own(tmp_path):
    with pytest.raises(PayloadError, match="does not exist"):
        Recipients(tmp_path / "absent.csv").survey()


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 5))
@settings(max_examples=examples(60), deadline=None)
def test_shards_share_the_list_out_without_overlap(numbers, shards):
    source = [f"1555000{number:04}" for number in numbers]
    parts = [list(Recipients(source, shard=shard, shards=shards)) for shard in range(shards)]

    assert Counter(row.to for part in parts for row in part) == Counter(source)
    first = [row.to for part in parts for row in part if row.skip is None]
    assert sorted(first) == sorted(set(source))
    for part in parts:
        assert [row.position for row in part] == list(range(len(part)))


def test_the_digest_tells_lists_apart_and_nothing_else():
    def digest(source, **options):
        return Recipients(source, **options).survey().digest

    rows = [{"to": "+15550000001", "name": "Ann", "other": 1}]
    assert digest(rows) == digest([{"to": "1 555 000 0001", "name": "Bob"}]), "columns that are not used"
    assert digest(rows, columns=["name"]) != digest([{"to": "15550000001", "name": "Bob"}], columns=["name"])
    assert digest(["15550000001"]) != digest(["15550000002"])


def test_which_rows_are_malformed_is_part_of_the_digest(monkeypatch):
    """Another version of the rules takes a row that was never sent to: it must not count as sent."""
    rows, found, read = (
        ["15550000001", "2025550123", "15550000002", "2025550124"],
        [],
        recipients.recipient_key,
    )
    for taken in ((), rows[1:2], rows[3:], rows):
        rules = dict.fromkeys(taken, lambda to, **_: to)
        monkeypatch.setattr(
            recipients, "recipient_key", lambda to, rules=rules, **_: rules.get(to, read)(to, **_)
        )
        found.append(Recipients(rows).survey().digest)

    assert len(set(found)) == 4
    assert len({digest.partition(".")[0] for digest in found}) == 1, "what earlier versions wrote"


CELLS = [
    "2025550123",
    "030 123456",
    "0151 23456789",
    "4930123456",
    "525512345678",
    "5550100199",
    "202-555-0123",
]
COUNTRIES = [None, "US", "DE", "MX", "BR", "AR", "GB", "IN", "EG"]


@pytest.mark.parametrize("cell", CELLS)
def test_a_number_that_another_country_makes_valid_is_another_list(cell):
    """The ledger notes no malformed row, so what was refused in one try must not count as sent in a later one."""
    digests = {True: set(), False: set()}
    for country in COUNTRIES:
        source = Recipients(["+15550000001", cell], default_country=country)
        found = source.survey()
        digests[found.malformed == 1].add(found.digest)

    assert digests[True].isdisjoint(digests[False])


def test_suppressed_numbers_are_left_alone(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("number\n+1 555 000 0001\n")
    for source in (path, ["+15550000001"], "+15550000001; +15550000009", [{"to": "15550000001"}]):
        (first, second) = Recipients(["15550000001", "15550000002"], suppressed=read_suppressed(source))
        assert (first.skip, second.skip) == ("suppressed", None)
    with pytest.raises(PayloadError, match=r"suppression\[1\]"):
        read_suppressed(["15550000001", "oops"])


def test_many_are_told_apart_outside_memory(monkeypatch):
    monkeypatch.setattr(compact_sets, "IN_MEMORY", 100)
    known = Seen()

    assert all(known.add(f"1555{number:07}") for number in range(500))
    assert known.add("US.1349")
    assert not any(known.add(f"1555{number:07}") for number in range(500))
    assert not known.add("US.1349")
    assert "15550000499" in known
    assert "15550000500" not in known


def test_values_come_from_the_row():
    row = {"name": "Ann", "total": 7, "empty": "", "blank": " \t\u00a0"}

    assert fill({"a": ["Dear {name}", {"b": "{ total }"}], "c": 1}, row) == {
        "a": ["Dear Ann", {"b": "7"}],
        "c": 1,
    }
    assert fill("{{name}}", row) == "{name}"
    assert columns(["{name} {{no}}"], {"x": "{total}"}, None) == {"name", "total"}
    for missing in ("{empty}", "{absent}", "{blank}"):
        with pytest.raises(PayloadError, match="is missing or empty in this row"):
            fill(missing, row)


def write_people(path, people):
    path.write_text("to,name,city\n" + "".join(f"{to},{name},X\n" for to, name in people))


@given(
    people=st.lists(
        st.tuples(st.integers(15550000000, 15550000030), st.sampled_from("ab")), min_size=1, max_size=30
    ),
    change=st.sampled_from(["other order", "shorter", "longer", "other value", "other number", "nothing"]),
    place=st.integers(0, 29),
)
@settings(max_examples=examples(120), deadline=None)
def test_a_list_that_is_changed_after_the_survey_hands_out_nobody_from_there_on(
    tmp_path_factory, people, change, place
):
    path = tmp_path_factory.mktemp("list") / "people.csv"
    write_people(path, people)
    recipients = Recipients(path, columns=["name"])
    recipients.survey()
    before, place = list(recipients), place % len(people)
    changed = list(people)
    match change:
        case "other order":
            changed.insert(0, changed.pop(place))
        case "shorter":
            del changed[place]
        case "longer":
            changed.append((15559999999, "a"))
        case "other value":
            changed[place] = (changed[place][0], "c")
        case "other number":
            changed[place] = (15559999999, changed[place][1])
    write_people(path, changed)

    read = []
    if changed == people:
        assert list(recipients) == before
        return
    with pytest.raises(SourceChangedError, match="was changed while it was being sent") as caught:
        read.extend(recipients)
    same = next((n for n, pair in enumerate(zip(people, changed, strict=False)) if pair[0] != pair[1]), None)
    same = min(len(people), len(changed)) if same is None else same
    assert caught.value.permanent
    assert f"({same} of {len(people)} recipients had been read)" in str(caught.value)


def test_a_column_that_is_not_sent_may_change(csv):
    recipients = Recipients(csv, columns=["name"])
    total = recipients.survey().total
    csv.write_text(csv.read_text().replace("Rome", "Bonn"))

    assert len(list(recipients)) == total


class Failing:
    """A file in a store: whole when it is read first, then it ends in an error or in other bytes."""

    name = "people.csv"

    def __init__(self, content, end):
        self.content, self.end, self.opened = content, end, 0

    def open(self, mode):
        self.opened += 1
        if self.opened == 1:
            return io.BytesIO(self.content)
        return io.BufferedReader(Broken(self.content[: len(self.content) // 2], self.end), 512)


class Broken(io.RawIOBase):
    def __init__(self, content, end):
        self.rest, self.end = io.BytesIO(content), end

    def readable(self):
        return True

    def readinto(self, buffer):
        content = self.rest.read(min(len(buffer), 512))
        if not content and isinstance(self.end, Exception):
            raise self.end
        if not content:
            content, self.end = self.end, b""
        buffer[: len(content)] = content
        return len(content)


@pytest.mark.parametrize(
    ("packed", "end", "reason"),
    [
        pytest.param(False, OSError("reset"), "people.csv cannot be read: OSError", id="network"),
        pytest.param(False, RuntimeError("+15550001111"), "RuntimeError", id="the store's library"),
        pytest.param(False, b"\xff\xff\xff", "people.csv is not UTF-8 text", id="other bytes"),
        pytest.param(True, b"", "people.csv is damaged: its gzip compression is broken", id="cut archive"),
    ],
)
def test_a_list_that_can_no_longer_be_read_says_how_far_it_went_and_may_be_tried_again(packed, end, reason):
    numbers = [f"1555{random.Random(place).randrange(10**7):07}" for place in range(3000)]
    content = ("to\n" + "\n".join(numbers)).encode()
    recipients = Recipients(Failing(gzip.compress(content) if packed else content, end))
    recipients.survey()

    read = []
    with pytest.raises(SourceChangedError) as caught:
        read.extend(recipients)
    assert 0 < len(read) < len(numbers)
    assert [row.to for row in read] == numbers[: len(read)]
    said = str(caught.value)
    assert f"({len(read)} of {len(numbers)} recipients had been read): {reason}" in said
    assert "Nothing was sent." not in said
    assert "15550001111" not in said
    assert not caught.value.permanent


@pytest.mark.parametrize(
    ("row", "to", "given"),
    [
        pytest.param({"to": "+1 555 000 0001"}, "15550000001", "+1 555 000 0001", id="good"),
        pytest.param({"to": 15550000001}, "15550000001", "15550000001", id="a number"),
        pytest.param({"to": "12"}, "12", "12", id="malformed"),
        pytest.param({"to": ""}, "recipients[1]", "", id="empty"),
        pytest.param({"to": None}, "recipients[1]", "", id="none"),
        pytest.param({"name": "Ann"}, "recipients[1]", "", id="no such column"),
    ],
)
def test_a_row_is_called_by_what_was_given_or_by_its_place(row, to, given):
    first, second = Recipients([{"to": "+15550009999"}, row])

    assert first.to == "15550009999"
    assert (second.to, second.given) == (to, given)
    assert (second.error is None) is to.startswith("1555")


@pytest.mark.parametrize("form", ["lines", "one array", "an array on several lines"])
def test_a_number_of_thousands_of_digits_is_a_text(tmp_path, form):
    """Python refuses to read such a number, and a row must not end a list."""
    row = f'{{"to": "+15550000001", "id": {"7" * 5000}}}'
    text = {"lines": row, "one array": f"[{row}]", "an array on several lines": f"[\n{row}\n]"}[form]
    (tmp_path / "people.json").write_text(text)
    (found,) = Recipients(tmp_path / "people.json", columns=("id",))

    assert found.values["id"] == "7" * 5000


@pytest.mark.parametrize(
    ("shard", "shards", "good"), [(0, 1, True), (2, 3, True), (3, 3, False), (-1, 3, False)]
)
def test_shards_are_counted_from_nought(shard, shards, good):
    if good:
        Recipients([], shard=shard, shards=shards)
    else:
        with pytest.raises(PayloadError, match=f"{shard} of {shards}"):
            Recipients([], shard=shard, shards=shards)


@pytest.mark.parametrize(("length", "shown"), [(60, "x" * 60), (61, f"{'x' * 60}... (61 characters)")])
def test_a_cell_that_is_no_number_is_shown_as_far_as_the_report_keeps_it(length, shown):
    (row,) = Recipients(["x" * length])

    assert (row.to, row.given) == (shown, shown)
    assert row.error.message.startswith("to: recipients[0]: ")


def test_what_a_survey_counts():
    rows = ["+15550000001", "15550000002", "4915550000001", "15550000002", "x", "y", "+15550000003"]
    found = Recipients(rows, suppressed={"15550000003"}, group=lambda to: to[-1]).survey()

    assert (found.total, found.open, found.malformed) == (7, 3, 2)
    assert found.groups == {"1": 2, "2": 1}
    assert found.bare == {"US": 1, "DE": 1}
    assert "recipients[4]" in found.first_error.message


def test_a_list_of_malformed_rows_is_refused_with_the_first():
    with pytest.raises(PayloadError, match=r"all 2 rows are malformed; the first: to: recipients\[0\]"):
        Recipients(["x", "y"]).survey()
    assert Recipients([]).survey().total == 0


def test_rows_that_are_marked_are_marked_at_each_reading():
    asked = []

    def marks(rows):
        asked.append(1)
        yield from rows

    recipients = Recipients(["15550000001"], marks=marks)
    recipients.survey()
    list(recipients)

    assert len(asked) == 2


def test_all_rows_with_their_shards():
    recipients = Recipients(["15550000001", "x", "+5215512345678"], shards=4)
    found = list(recipients.by_shard())

    assert [who for _, _, who in found] == [
        ("15550000001", "15550000001"),
        None,
        ("5215512345678", "525512345678"),
    ]
    assert [where for _, (where, _), _ in found] == [f"recipients[{n}]" for n in range(3)]
    assert all(0 <= shard < 4 for shard, _, _ in found)
    with_reader = [[row.to for row in Recipients(["15550000001", "x"], shard=n, shards=4)] for n in range(4)]
    assert with_reader[found[0][0]][:1] == ["15550000001"]


@pytest.mark.parametrize(
    ("to", "found"),
    [
        ("15550000001, +15550000002;15550000001", ["15550000001", "15550000002"]),
        (" 15550000001 ;; ", ["15550000001"]),
        (' ["15550000001"]', ["15550000001"]),
        (" ['15550000001']", ["15550000001"]),
        (15550000001, ["15550000001"]),
        (("15550000001", "US.13491208655302741918"), ["15550000001", "US.13491208655302741918"]),
        (["+5215512345678", "+525512345678"], ["5215512345678"]),
    ],
    ids=["texts", "spaces", "JSON", "a list as Python writes it", "a number", "a tuple", "two spellings"],
)
def test_who_is_named_in_an_argument(to, found):
    assert read_recipients(to) == found


WRONG = {
    "none": (None, "is None"),
    "empty": ("", "is empty"),
    "separators": (" ;, ", "is empty"),
    "half a list": ("[15550000001", "begins like a list but is not one"),
    "a mapping": ({"a": 1}, "to: "),
    "bytes": (b"15550000001", "to: "),
    "one": (["x"], "to: "),
    "one of two": (["15550000001", "x"], r"1 of 2 recipients are malformed \(to\[1\]\); the first: "),
    "five": (
        ["x"] * 5 + ["15550000001"],
        r"5 of 6 .*\(to\[0\], to\[1\], to\[2\], to\[3\], to\[4\]\); the first",
    ),
    "six": (["x"] * 6, r"6 of 6 .*to\[3\], to\[4\], \.\.\.\); the first"),
}


@pytest.mark.parametrize(("to", "words"), WRONG.values(), ids=list(WRONG))
def test_an_argument_that_names_nobody_or_somebody_wrongly(to, words):
    with pytest.raises(PayloadError, match=words) as caught:
        read_recipients(to)
    assert caught.value.field == "to"


def test_a_change_of_a_list_s_own_lists_is_noticed_in_its_place():
    people = [{"to": f"1555000{n:04}", "tags": [n, {"old": True}]} for n in range(40)]
    recipients = Recipients(people, columns=["tags"])
    recipients.survey()
    assert len(list(recipients)) == 40

    people[25]["tags"] = [25, {"old": False}]
    with pytest.raises(
        SourceChangedError, match=r"recipients\[25\] on, .*\(25 of 40 recipients had been read\)"
    ):
        list(recipients)


DIGESTS = {
    "all good": (
        ["+15550000001"],
        "399ff7ea5c0cb355e557b94c99f17abe7a4dca795e918c13de7f536763a01e5d.",
    ),
    "with columns, and one malformed": (
        [
            {"to": "+15550000001", "name": "Ann", "tags": ["a", 1]},
            {"to": "x", "name": "Bob"},
            {"to": "+1 555 000 0001", "name": "Zoë"},
        ],
        "eb521884e534a8db84cfb437798a94751ba621aa5611ad4012b71c72e8ffa4f9.0fc5165686190ca8",
    ),
}


@pytest.mark.parametrize(("people", "digest"), DIGESTS.values(), ids=list(DIGESTS))
def test_the_digest_is_that_which_ledgers_hold(people, digest):
    """Where it is another one, a retry after an update of the package refuses the list that it has begun."""
    assert Recipients(people, columns=["name", "tags"]).survey().digest == digest
