from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.phone import (
    canonical,
    is_bare,
    is_user_id,
    mask,
    mask_numbers,
    normalise,
    recipient_fields,
    recipient_key,
)

DIGITS = "15550001111"


@pytest.mark.parametrize(
    "number",
    [
        pytest.param("15550001111", id="digits alone"),
        pytest.param("+15550001111", id="plus"),
        pytest.param("0015550001111", id="double zero"),
        pytest.param("00 1 555 000 1111", id="double zero and spaces"),
        pytest.param("+1 (555) 000-1111", id="American"),
        pytest.param("+1.555.000.1111", id="dots"),
        pytest.param("+1/555/0001111", id="slashes"),
        pytest.param("  +15550001111\n", id="space around"),
        pytest.param("+1\u00a0555\u202f000\u20091111", id="spaces that do not break"),
        pytest.param("\u202a+1 555 000 1111\u202c", id="embedding marks"),
        pytest.param("\u200e+15550001111\u200f", id="direction marks"),
        pytest.param("\ufeff+15550001111", id="byte order mark"),
        pytest.param("+1\u2011555\u2013000\u22121111", id="typographic dashes"),
    ],
)
def test_normalise(number):
    assert normalise(number) == DIGITS


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("  ", "empty", id="blank"),
        pytest.param("+", "empty", id="plus alone"),
        pytest.param("0155500011", "no country code", id="national form"),
        pytest.param("+0155500011", "no country code", id="plus and zero"),
        pytest.param("00015550001111", "no country code", id="triple zero"),
        pytest.param("+34 (0) 912 345 678", "no number in Spain (+34)", id="a zero that Spain does not have"),
        pytest.param("155500", "too short: 6", id="six digits"),
        pytest.param("1555000111122223", "too long: 16", id="sixteen digits"),
        pytest.param(
            "+155501001", "9 digits, a length that no number in United States (+1) has", id="too few"
        ),
        pytest.param(
            "+155500011112", "12 digits, a length that no number in United States (+1) has", id="too many"
        ),
        pytest.param("1-800-FLOWERS", "not part of a phone number", id="letters"),
        pytest.param("+1 555 000 1111 ext 2", "extension", id="extension"),
        pytest.param("1555+0001111", "more than one number", id="plus inside"),
        pytest.param("{{ params.to }}", "not part", id="a template that was not rendered"),
        pytest.param(True, "not bool", id="bool"),
        pytest.param(None, "not NoneType", id="None"),
        pytest.param(["+15550001111"], "not list", id="list"),
    ],
)
def test_refused_with_the_reason_and_without_the_number(number, reason):
    with pytest.raises(PayloadError) as caught:
        normalise(number)
    error = caught.value
    assert reason in str(error)
    assert error.field == "to"
    assert "+15550001111" in error.advice
    digits = "".join(char for char in str(number) if char.isdigit())
    assert len(digits) < 6 or digits not in error.message


@pytest.mark.parametrize("number", ["2904567", "491234567890123"])
def test_the_limits_themselves_pass(number):
    assert normalise(f"+{number}") == number


# Which of all characters a pattern can match costs a second to find out.
SIGNS = "+0123456789"
SEPARATORS = st.text(st.sampled_from(" -./\u00a0\u200e\u202a"), max_size=2)


@given(
    st.from_regex(r"1[2-9][0-9]{9}|49[1-9][0-9]{6,11}", fullmatch=True, alphabet=SIGNS),
    st.data(),
    st.sampled_from(["+", "00"]),
)
def test_separators_never_change_the_digits(digits, data, prefix):
    written = prefix + "".join(digit + data.draw(SEPARATORS) for digit in digits)
    bare = written.replace("\u200e", "").replace("\u202a", "")
    assume(not re.search(r"\.0+\s*$", bare))  # a float's
    try:
        found = normalise(written)
    except PayloadError as refused:  # 12 345 67/89 may be two numbers, or one with an extension
        found = refused.message
    assert found == digits or "more than one number" in found or "after the number" in found


@given(st.text(max_size=30))
def test_any_text_gives_e164_digits_or_a_payload_error(text):
    try:
        digits = normalise(text)
    except PayloadError:
        return
    assert digits.isascii()
    assert digits.isdigit()
    assert 7 <= len(digits) <= 15
    assert digits[0] != "0"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        pytest.param("+15550001111", "15•••1111", id="plus"),
        pytest.param("15550001111", "15•••1111", id="digits"),
        pytest.param("+1 (555) 000-1111", "15•••1111", id="separators"),
        pytest.param("1555000111", "15•••11", id="ten"),
        pytest.param("1555000", "15•••00", id="seven"),
        pytest.param("155500", "•••", id="six"),
        pytest.param("", "•••", id="empty"),
        pytest.param("US.13491208655302741918", "US•••1918", id="user id"),
        pytest.param("Anna Magdalena Meier", "•••", id="a name"),
        pytest.param("Anna <+1 555 000 1111>", "15•••1111", id="a name and a number"),
        pytest.param("wa.me/15550001111", "15•••1111", id="a link"),
    ],
)
def test_mask(text, masked):
    assert mask(text) == masked


@given(st.from_regex(r"\+?[1-9][0-9]{6,14}", fullmatch=True, alphabet=SIGNS))
def test_a_mask_hides_at_least_three_digits_and_a_third(number):
    digits = number.lstrip("+")
    kept = sum(char.isdigit() for char in mask(number))
    assert len(digits) - kept >= max(3, len(digits) // 3)
    assert digits not in mask(number)


HIDDEN = {
    "with plus": ("sent to +15550001111.", "sent to 15•••1111."),
    "bare": ("sent to 15550001111", "sent to 15•••1111"),
    "with separators": ("to +1 (555) 000-1111 now", "to 15•••1111 now"),
    "American without plus": ("to 1 (631) 555-1234.", "to 16•••1234."),
    "dashes without plus": ("to 1-631-555-1234", "to 16•••1234"),
    "in JSON": ('{"to":"+15550001111"}', '{"to":"15•••1111"}'),
    "as a value": ("to=+15550001111&x", "to=15•••1111&x"),
    "in a link": ("https://wa.me/15550001111?text=a", "https://wa.me/15•••1111?text=a"),
    "two of them": ("+15550001111, +15550002222", "15•••1111, 15•••2222"),
    "fifteen digits with plus": ("+155500011112222", "15•••2222"),
    "eight digits": ("49301234", "49•••34"),
}


@pytest.mark.parametrize(("text", "masked"), [pytest.param(*case, id=name) for name, case in HIDDEN.items()])
def test_numbers_in_text_are_masked(text, masked):
    assert mask_numbers(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("wamid.HBgLMTY1MDU1NTAxMjMVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA", id="wamid"),
        pytest.param("wamid.HBgLMTY1MDU1NTAxMjM+VAgARGBI5/QTNDQTVCM0Q0Q0Q2RTY3RTcA==", id="wamid with signs"),
        pytest.param("fbtrace_id AbCdEf123, A12345678901zz", id="trace id"),
        pytest.param("phone_number_id 106540352242922", id="phone number id"),
        pytest.param("media 1037543291543636", id="media id"),
        pytest.param("550e8400-e29b-41d4-a716-446655440000", id="UUID"),
        pytest.param("12345678-1234-4123-8123-123456789012", id="UUID of digits"),
        pytest.param("2026-11-22 20:07:00", id="date and time"),
        pytest.param("2026-11-22T20:07:00.123456+00:00", id="ISO time"),
        pytest.param("(#132000) code 2388024, HTTP 400", id="codes"),
        pytest.param("1732300000.123456", id="decimal"),
        pytest.param("192.168.100.200:8425", id="address"),
        pytest.param("5000 characters long (limit: 4096 characters)", id="sizes"),
        pytest.param("v25.0", id="version"),
        pytest.param("", id="empty"),
    ],
)
def test_what_is_no_number_stays(text):
    assert mask_numbers(text) == text


@given(
    st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True, alphabet=SIGNS),
    st.sampled_from(["to {}", "{}!", "({})", "a={};", "\t{}\n"]),
)
def test_any_number_with_plus_is_masked_in_text(number, frame):
    assert number[1:] not in mask_numbers(frame.format(number))


@given(st.text(max_size=60))
def test_masking_twice_changes_nothing_more(text):
    once = mask_numbers(text)
    assert mask_numbers(once) == once


@pytest.mark.parametrize(
    ("to", "options", "fields"),
    [
        pytest.param(
            "1 555 000 1111", {}, {"recipient_type": "individual", "to": "+15550001111"}, id="number"
        ),
        pytest.param(
            "+15550001111",
            {"plus_prefix": False},
            {"recipient_type": "individual", "to": "15550001111"},
            id="digits alone",
        ),
        pytest.param(
            "US.13491208655302741918",
            {},
            {"recipient_type": "individual", "recipient": "US.13491208655302741918"},
            id="user id",
        ),
        pytest.param(
            "US.ENT.11815799212886844830",
            {"plus_prefix": False},
            {"recipient_type": "individual", "recipient": "US.ENT.11815799212886844830"},
            id="parent user id",
        ),
        pytest.param(
            "Y2FwaV9ncm91cDo=",
            {"group": True},
            {"recipient_type": "group", "to": "Y2FwaV9ncm91cDo="},
            id="group",
        ),
    ],
)
def test_recipient_fields(to, options, fields):
    assert recipient_fields(to, **options) == fields


@pytest.mark.parametrize(
    ("to", "group"),
    [
        pytest.param("US.", False, id="user id without id"),
        pytest.param("us.134", False, id="user id in small letters"),
        pytest.param("US." + "1" * 129, False, id="user id too long"),
        pytest.param("Y2FwaV9ncm91cDo=", False, id="group id without the switch"),
        pytest.param("", True, id="empty group id"),
        pytest.param("a b", True, id="group id with a space"),
        pytest.param(5, True, id="group id that is no string"),
    ],
)
def test_no_recipient(to, group):
    with pytest.raises(PayloadError):
        recipient_fields(to, group=group)
    with pytest.raises(PayloadError):
        recipient_key(to, group=group)


@pytest.mark.parametrize("written", ["+{}", " +{} ", "+ {}", "00{}", "\u200e+{}"])
@pytest.mark.parametrize("digits", ["15550001111", "4402079460000", "5491123456789", "99912345678", "1555"])
def test_a_recipient_is_the_same_however_a_number_is_written(digits, written):
    def found(text):
        try:
            return recipient_key(text)
        except PayloadError as error:
            return str(error)

    assert found(written.format(digits)) == found(f"+{digits}")


def test_recipient_keys():
    assert recipient_key("+1 555 000 1111") == "15550001111"
    assert recipient_key("US.134") == "US.134"
    assert recipient_key("Y2Fw=", group=True) == "Y2Fw="


def test_is_user_id_takes_anything():
    assert is_user_id("US.134")
    assert not is_user_id(None)


@pytest.mark.parametrize(
    ("key", "same"),
    [
        ("5215512345678", "525512345678"),
        ("52155123456789", "52155123456789"),
        ("521551234567", "521551234567"),
        ("5225512345678", "5225512345678"),
        ("5491123456789", "541123456789"),
        ("54911234567890", "54911234567890"),
        ("549112345678", "549112345678"),
        ("5481123456789", "5481123456789"),
        ("5511961234567", "551161234567"),
        ("5511991234567", "551191234567"),
        ("5511951234567", "5511951234567"),
        ("5511861234567", "5511861234567"),
        ("551196123456", "551196123456"),
        ("55119612345678", "55119612345678"),
        ("5711961234567", "5711961234567"),
        ("6511961234567", "6511961234567"),
        ("US.13491208655302741918", "US.13491208655302741918"),
    ],
)
def test_a_number_has_one_form_to_compare_by(key, same):
    assert canonical(key) == same


DROPPED = [0xFEFF, 0x2060, 0x061C, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
SEPARATING = [*map(ord, " \t\r-./"), 0xA0, 0x2007, 0x2009, 0x202F, 0x3000, *range(0x2010, 0x2016), 0x2212]


@pytest.mark.parametrize("code", [*DROPPED, *SEPARATING], ids="{:04X}".format)
def test_what_stands_between_the_digits_is_no_part_of_the_number(code):
    assert normalise(f"+1555{chr(code)}0001111") == DIGITS


@pytest.mark.parametrize(
    "code",
    [0x061B, 0x2016, 0x2030, 0x2061, 0x2065, 0x206A, 0xFF00, 0x2213, 0x3001, ord("_")],
    ids="{:04X}".format,
)
def test_what_else_stands_there_makes_it_none(code):
    with pytest.raises(PayloadError):
        normalise(f"+1555{chr(code)}0001111")


@pytest.mark.parametrize("plus", ["+", "\uff0b", "\ufe62"])
def test_each_plus_is_one(plus):
    assert normalise(f"{plus}1 (555) 000 1111") == DIGITS


@pytest.mark.parametrize(
    "given",
    [
        15550001111,
        15550001111.0,
        Decimal(15550001111),
        Decimal("15550001111.0"),
        "15550001111.0",
        "+15550001111.00",
    ],
    ids=repr,
)
def test_a_number_that_was_an_int_or_a_whole_float(given):
    assert normalise(given) == DIGITS


NO_NUMBERS = {
    "a fraction": (15550001111.5, "is a decimal"),
    "negative": (-15550001111, "is a decimal, a negative number"),
    "nought": (0, "is a decimal, a negative number"),
    "nan": (float("nan"), "or nan"),
    "infinity": (float("inf"), "or nan"),
    "a large float": (1e15, "is a decimal"),
    "a large int": (10**15, "too long: 16 digits"),
    "forty digits": (10**40 - 1, "too long: 40 digits"),
    "forty-one digits": (10**40, "has more than 40 digits"),
    "a float of forty-two digits": (1e41, "is a decimal"),
    "one": (1, "too short: 1 digits"),
    "a float in a text with six digits": ("155500.0", "is a decimal or an amount"),
}


@pytest.mark.parametrize(("given", "words"), NO_NUMBERS.values(), ids=list(NO_NUMBERS))
def test_a_number_that_is_no_phone_number(given, words):
    with pytest.raises(PayloadError) as caught:
        normalise(given)
    assert words in str(caught.value)


IMPOSSIBLE = {
    "+": "is empty",
    "+0": "starts with a zero",
    "+155500": "is too short: 6 digits",
    "+1555000": "no number in",
    "+1555000111122223": "is too long: 16 digits",
    "+999123456789": "begins with digits that are not a country code",
    "+155500011112": "no number in",
    "1555000111122223": "is too long: 16 digits",
    "1555000": "where there is no such number",
    "00": "is empty",
    "+015550001111": "starts with a zero",
    "+8112345678901234": "is too long: 16 digits",
    "+4301234": "no number in",
    "+15550001111" + "0" * 1000: "is too long: 1011 digits",
    "155500": "is too short: 6 digits",
}


@pytest.mark.parametrize(("given", "words"), IMPOSSIBLE.items(), ids=lambda text: text[:20])
def test_why_a_number_is_impossible(given, words):
    with pytest.raises(PayloadError) as caught:
        normalise(given)
    assert words in str(caught.value)


def test_how_many_digits_its_country_allows_is_told():
    with pytest.raises(PayloadError) as caught:
        normalise("+155500011112")
    assert caught.value.limit == "11 digits"
    with pytest.raises(PayloadError) as caught:
        normalise("+155500")
    assert caught.value.limit == "7-15 digits"


NATIONAL = {
    "of the country that is set": ("(11) 98765-4321", "BR", "5511987654321"),
    "with its code": ("5511987654321", "BR", "5511987654321"),
    "with a plus, of another": ("+15550001111", "BR", DIGITS),
    "with double zero, of another": ("0015550001111", "BR", DIGITS),
    "with a double zero that dials another country there": ("0011442079460000", "AU", "442079460000"),
    "with seven digits in all": ("+2902345", None, "2902345"),
}


@pytest.mark.parametrize(("given", "country", "found"), NATIONAL.values(), ids=list(NATIONAL))
def test_national_numbers_of_a_country_that_is_set(given, country, found):
    assert normalise(given, default_country=country) == found
    assert recipient_key(given, default_country=country) == found
    assert recipient_fields(given, default_country=country)["to"] == f"+{found}"


@pytest.mark.parametrize("country", [None, "AU"])
def test_a_double_zero_that_dials_nobody_is_refused(country):
    with pytest.raises(PayloadError, match="too short: 2 digits"):
        normalise("0011", default_country=country)


BARE = {
    "digits": ("15550001111", True),
    "with a space after the first": ("1 555 000 1111", True),
    "in a parenthesis": ("(1) 555 000 1111", True),
    "with a plus": ("+15550001111", False),
    "with a double zero": ("0015550001111", False),
    "a number": (15550001111, True),
    "nothing": ("", False),
    "an ID": ("US.1", False),
    "None": (None, False),
}


@pytest.mark.parametrize(("given", "bare"), BARE.values(), ids=list(BARE))
def test_what_was_given_without_a_plus(given, bare):
    assert is_bare(given) is bare


@pytest.mark.parametrize(
    ("country", "words"),
    [(None, "there is no such number; "), ("BR", "there is no such number, nor is it a number of Brazil; ")],
)
def test_digits_that_go_nowhere_may_lack_their_country_code(country, words):
    with pytest.raises(PayloadError) as caught:
        normalise("1234567", default_country=country)
    assert words in str(caught.value)
    assert "default_country" in caught.value.advice
