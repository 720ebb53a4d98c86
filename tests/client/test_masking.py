"""No key, number or terminal command passes the cleaning, however it is spelled; what a reader needs stays."""

from __future__ import annotations

import base64
import html
import json
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client import phone
from airflow_provider_whatsapp.client.masking import (
    MAX_QUOTE,
    Cleaner,
    clean_line,
    mask,
    mask_id,
    mask_numbers,
    place_of,
    printable,
)

WAMID = "wamid.HBgLMTU1NTAwMDExMTEVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"

SPELLED = {
    "letters before": ("to15550001111", "to15•••1111"),
    "letters after": ("15550001111Please", "15•••1111Please"),
    "an underscore": ("file_15550001111_a.pdf", "file_15•••1111_a.pdf"),
    "a sentence's end": ("15550001111.Please", "15•••1111.Please"),
    "a full stop before": ("sent.15550001111", "sent.15•••1111"),
    "a float": ("15550001111.0", "15•••1111"),
    "dots": ("1.555.000.1111", "15•••1111"),
    "French dots": ("33.1.23.45.67.89", "33•••6789"),
    "percent": ("to=%2B15550001111&x", "to=15•••1111&x"),
    "percent, small": ("%2b15550001111", "15•••1111"),
    "percent twice": ("%252B15550001111", "15•••1111"),
    "percent and spaces": ("%2B1%20555%20000%201111", "15•••1111"),
    "after percent escapes": ("%20to15550001111%20", "%20to15•••1111%20"),
    "right after percent escapes": ("%2015550001111%20", "%20•••1111%20"),
    "JSON's escape": (r"\u002b15550001111", "15•••1111"),
    "HTML's escape": ("&#43;15550001111", "15•••1111"),
    "plus, touched on both sides": ("to+15550001111x", "to15•••1111x"),
    "a wide plus": ("\uff0b15550001111", "15•••1111"),
    "narrow spaces": ("+1\u202f555\u202f000\u202f1111", "15•••1111"),
    "wide hyphens": ("1\u2011555\u2011000\u20111111", "15•••1111"),
    "dashes after letters": ("to1-631-555-1234", "to16•••1234"),
    "groups and a sentence's end": ("1 (631) 555-1234.Please", "16•••1234.Please"),
    "a long last group": ("1 555 0001111", "15•••1111"),
    "a long last group, with dashes": ("44-20-79460958", "44•••0958"),
    "a zero in brackets": ("49 (0) 30 12345678", "49•••5678"),
    "brackets alone": ("(1555)0001111", "15•••1111"),
    "a dash after": ("15550001111-1.pdf", "15•••1111-1.pdf"),
    "invisible characters": ("+1555\u200b000\u200e1111", "15•••1111"),
}


@pytest.mark.parametrize(("text", "masked"), [pytest.param(*case, id=name) for name, case in SPELLED.items()])
def test_a_number_is_masked_however_it_is_spelled(text, masked):
    assert mask_numbers(text) == masked
    assert mask_numbers(masked) == masked


BEFORE = [
    "",
    " ",
    "to",
    "to:",
    "_",
    "-",
    ".",
    ":",
    "/",
    "=",
    "(",
    '"',
    "#",
    "%20",
    "x.",
    "a1_",
    "9 ",
    "+",
    "@",
    "\u200e",
]
BEFORE += ["\u200e", "tel:", "wa.me/", "'", "<", "[", "{", "|", "~", "*", "&", "\u20ac", "\u53f7"]
AFTER = [
    "",
    " ",
    "_",
    ".",
    "-",
    ":",
    "/",
    "=",
    ")",
    '"',
    ",",
    "@s.whatsapp.net",
    "%20",
    ".pdf",
    "-1",
    "\u200e",
    "!",
    "?",
]
AFTER += ["\u200e", "'", ">", "]", "}", "|", "\n", "\u53f7", ".Please", ";", "\u2026"]
WRITTEN = [
    "15550001111",
    "+15550001111",
    "+1 555 000 1111",
    "1 (555) 000-1111",
    "1-555-000-1111",
    "1.555.000.1111",
]


@pytest.mark.parametrize("number", [*WRITTEN, "0015550001111", "001 555 000 1111", "%2B15550001111"])
def test_a_number_is_masked_whatever_touches_it(number):
    tails = ("0001111", "000 1111", "000-1111", "000.1111")
    shown = [
        (before, after)
        for before in BEFORE
        for after in AFTER
        if any(tail in mask_numbers(f"{before}{number}{after}") for tail in tails)
    ]
    assert shown == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(WAMID, id="message id"),
        pytest.param("A12345678901zz", id="trace id"),
        pytest.param("AbCdEf12345678", id="trace id with few digits at its end"),
        pytest.param("106540352242922", id="phone number id"),
        pytest.param("https://graph.example/v25.0/106540352242922/messages", id="path"),
        pytest.param("12345678-abcd-4123-8123-123456789012", id="UUID"),
        pytest.param("12345678-1234-4123-8123-123456789012", id="UUID of digits"),
        pytest.param("req-12345678-1234-4123-8123-123456789012-x", id="UUID among others"),
        pytest.param("0123456789abcdef0012345678901234", id="trace id in hexadecimals"),
        pytest.param("12 345 678.90", id="amount"),
        pytest.param("2026-11-22", id="date"),
        pytest.param("scheduled__2026-11-22T20:07:00.123456+00:00", id="run id"),
        pytest.param("report_20261122.pdf", id="date in a file's name"),
        pytest.param("20261122T200700", id="basic ISO time"),
        pytest.param("1732300000.123456", id="decimal"),
        pytest.param("0.12345678, 3.14159265358979, 1234567.89", id="decimals"),
        pytest.param("192.168.100.200:8425", id="IP address"),
        pytest.param("(#132000) code 2388024, HTTP 400", id="codes"),
        pytest.param("v25.0, apache-airflow 3.3.2", id="versions"),
    ],
)
def test_what_a_reader_needs_stays(text):
    assert mask_numbers(text) == text


def test_the_names_are_still_where_they_were():
    assert (phone.mask, phone.mask_numbers) == (mask, mask_numbers)


def test_of_a_message_id_the_end_is_shown():
    assert mask_id(WAMID) == "...Q0Q2RTY3RTcA"
    number = base64.b64encode(b"15550001111").decode().rstrip("=")
    assert number[:-1] in WAMID
    assert number[:4] not in mask_id(WAMID)
    assert clean_line(f"no message {WAMID}, sorry") == f"no message {mask_id(WAMID)}, sorry"


@pytest.mark.parametrize("given", ["", "x", "ab", "\x1b[31m", "15550001111"])
def test_a_short_id_shows_no_more_than_its_half(given):
    assert len(mask_id(given)) - 3 <= len(given) / 2


TERMINAL = {
    "colour": ("\x1b[31mred\x1b[0m", "red"),
    "colour in one byte": ("\x9b31mred", "red"),
    "title": ("a\x1b]0;owned\x07b", "ab"),
    "title, ended otherwise": ("a\x1b]0;owned\x1b\\b", "ab"),
    "link": ("\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\", "click"),
    "a command without an end": ("a\x1b]0;owned", "a0;owned"),
    "NUL": ("a\x00b", "ab"),
    "backspaces": ("key\x08\x08\x08ok", "keyok"),
    "overwriting": ("good\rbad", "good bad"),
    "lines": ("a\r\nb\u2028c\x0bd", "a bcd"),
    "bidi": ("\u202egnp.exe\u2066", "gnp.exe"),
    "invisible": ("a\u200bb\ufeffc\u00add", "abcd"),
    "tags": ("a\U000e0041b", "ab"),
    "surrogate": ("a\ud800b", "ab"),
}


@pytest.mark.parametrize(("text", "line"), [pytest.param(*case, id=name) for name, case in TERMINAL.items()])
def test_what_commands_a_terminal_is_taken_out(text, line):
    assert clean_line(text) == line


@given(st.text(max_size=400))
def test_a_clean_line_is_one_short_printable_line(text):
    line = clean_line(text)
    assert len(line) <= MAX_QUOTE
    assert not [char for char in line if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert clean_line(line) == line


@given(st.text(max_size=80))
def test_printable_keeps_lines_and_nothing_that_is_no_text(text):
    shown = printable(text)
    assert not [
        char for char in shown if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char not in "\n\t"
    ]
    assert printable(shown) == shown


def test_the_end_of_a_number_is_not_cut_off_before_it_is_masked():
    for width in range(MAX_QUOTE - 20, MAX_QUOTE + 5):
        assert "1555000" not in clean_line("x" * width + " +15550001111")


def hexed(text, form):
    return "".join(form.format(ord(char)) for char in text)


SPELLINGS = {
    "as it is": lambda key: key,
    "in JSON": json.dumps,
    "in JSON in JSON": lambda key: json.dumps(json.dumps(key)),
    "repr": repr,
    "escaped characters": lambda key: hexed(key, "\\u{:04x}"),
    "escaped characters, in capitals": lambda key: hexed(key, "\\u{:04X}"),
    "escaped twice": lambda key: hexed(key, "\\\\u{:04x}"),
    "half escaped": lambda key: key[:3] + hexed(key[3:], "\\u{:04x}"),
    "hexadecimal escapes": lambda key: hexed(key, "\\x{:02x}"),
    "every character after a backslash": lambda key: "".join(f"\\{char}" for char in key),
    "percent": lambda key: quote(key, safe=""),
    "percent, each": lambda key: hexed(key, "%{:02x}"),
    "percent twice": lambda key: quote(quote(key, safe=""), safe=""),
    "HTML": html.escape,
    "HTML, each": lambda key: hexed(key, "&#x{:x};"),
    "HTML, each in decimals": lambda key: hexed(key, "&#{};"),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 of a header": lambda key: base64.b64encode(f"Bearer {key}\r\n".encode()).decode(),
    "base64 after one byte": lambda key: base64.b64encode(f":{key}:".encode()).decode(),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(f"::{key}".encode()).decode(),
    "among invisible characters": "\u200b".join,
    "among control characters": "\x00".join,
    "among colours": "\x1b[0m".join,
}


def whole(text, key):
    """Say whether somebody who knows how it was spelled would find the key in a text."""
    plain = "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cf"))
    encoded = base64.b64encode(key.encode()).decode().rstrip("=")[:-1]
    return key in plain or encoded in plain


@pytest.mark.parametrize("spell", [pytest.param(spell, id=name) for name, spell in SPELLINGS.items()])
@pytest.mark.parametrize(
    "key", ["maton_k3y-Ab9z.Q7", 'quo"te\\back%41&sl/ash+', "x" * 64], ids=["plain", "signs", "long"]
)
def test_the_key_is_found_however_it_is_spelled(key, spell):
    said = spell(key)
    cleaner = Cleaner(key)
    for cleaned in (cleaner.text(f"<{said}>"), cleaner.line(f"<{said}>")):
        assert "***" in cleaned
        assert not whole(cleaned, key)
        assert len(cleaned) < len("<***>") + 20
    nested = cleaner.values({"a": [{said: 1}, said, 2, None, {"b": {"c": [said]}}]})
    assert said not in json.dumps(nested)
    assert not whole(json.dumps(nested, ensure_ascii=False), key)
    assert len(nested["a"]) == 5


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60), st.data())
def test_any_key_in_any_mixture_of_spellings_is_found(key, data):
    forms = ["{}", "\\{}", "\\u{:04x}", "\\\\u{:04X}", "%{:02X}", "%25{:02x}", "&#{};"]
    said = "".join(
        form.format(char if form.endswith("{}") and "&" not in form else ord(char))
        for char in key
        for form in [data.draw(st.sampled_from(forms))]
    )
    assert Cleaner(key).text(f"({said})") == "(***)"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Hello {{1}},\nyour order\t\\o/ is 100% & ready", id="a template"),
        pytest.param("👨\u200d👩\u200d👧 \u200f\u05e9\u05dc\u200f", id="joiners and marks"),
        pytest.param(WAMID, id="message id"),
    ],
)
def test_what_is_harmless_passes_the_door_unchanged(text):
    assert Cleaner("maton_k3y-Ab9z.Q7").values([text, {"t": text}]) == [text, {"t": text}]


def test_deep_answers_are_cleaned_without_recursion():
    deep = leaf = []
    for _ in range(100_000):
        leaf.append([])
        leaf = leaf[0]
    leaf.append("maton_k3y-Ab9z.Q7")
    Cleaner("maton_k3y-Ab9z.Q7").values(deep)
    assert leaf == ["***"]


PIECES = st.sampled_from(
    ["maton_k3y-Ab9z.Q7", "maton_k3y", "\x1b[2J", "\u202e", "\ud800", "%6d", "&#109;", "\\", "é"]
)
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=4).map("".join)


@given(value=st.dictionaries(TEXTS, TEXTS | st.integers(), max_size=4), ascii_only=st.booleans())
def test_what_is_left_alone_unlooked_at_would_not_be_changed(value, ascii_only):
    """The quick look at an answer's bytes, which spares most answers the slow one."""
    cleaner = Cleaner("maton_k3y-Ab9z.Q7")
    raw = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    if cleaner.leaves(raw):
        assert cleaner.values(json.loads(raw)) == json.loads(raw)


def test_a_plain_answer_is_left_alone_and_one_with_the_key_is_not():
    cleaner = Cleaner("maton_k3y-Ab9z.Q7")

    assert cleaner.leaves(b'{"messages":\n\t[{"id": "wamid.HBg="}]}')
    assert not cleaner.leaves(b'{"message": "no such key: maton_k3y-Ab9z.Q7"}')
    assert not cleaner.leaves(json.dumps({"b": base64.b64encode(b"?maton_k3y-Ab9z.Q7?").decode()}).encode())


def test_the_place_of_an_error_holds_none_of_its_words():
    def fail(row):
        return {}[row]

    try:
        fail("Anna +15550001111")
    except KeyError as error:
        said = place_of(error)

    assert said.startswith("KeyError (test_masking.py:")
    assert "in fail, test_masking.py:" in said
    assert "Anna" not in said
    assert place_of(ValueError("Anna")) == "ValueError"
