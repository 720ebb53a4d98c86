"""What counts as a number, whose number it is, and what is refused by which cause."""

from __future__ import annotations

import functools
import itertools
from decimal import Decimal

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_whatsapp.client import numbering
from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.connection import client_config
from airflow_provider_whatsapp.client.errors import ConfigurationError, PayloadError
from airflow_provider_whatsapp.client.phone import address, canonical, is_bare, normalise, recipient_key

READ = {
    # a float's and a spreadsheet's way to write a whole number
    "15550100123.0": "15550100123",
    "15550100123.00": "15550100123",
    "+15550100123.0": "15550100123",
    15550100123: "15550100123",
    15550100124.0: "15550100124",
    1.5550100125e10: "15550100125",
    Decimal(15550100126): "15550100126",
    Decimal("15550100127.00"): "15550100127",
    # the zero of the national form, where the country has one
    "+44 (0)20 7946 0000": "442079460000",
    "+44 (020) 7946 0000": "442079460000",
    "0044 (0)20 7946 0000": "442079460000",
    "44 (0)20 7946 0000": "442079460000",
    "+49 (0151) 12345678": "4915112345678",
    "+91 09812345678": "919812345678",
    "+36 06 30 123 4567": "36301234567",
    "+7 8 912 345 67 89": "79123456789",
    "+54 11 15 2345 6789": "5491123456789",
    # the zero that belongs to the number
    "+39 06 1234567": "39061234567",
    "+39 (0)6 1234567": "39061234567",
    "+225 0123456789": "2250123456789",
    # WhatsApp's own forms
    "5215512345678": "5215512345678",
    "+5215512345678": "5215512345678",
    "5491112345678": "5491112345678",
    "551191234567": "551191234567",
    "553191234567": "553191234567",
    # digits of other scripts
    "\u0661\u0665\u0665\u0665\u0660\u0661\u0660\u0660\u0661\u0662\u0663": "15550100123",
    "+\u06f1\u06f5\u06f5\u06f5\u06f0\u06f1\u06f0\u06f0\u06f1\u06f2\u06f3": "15550100123",
    "\uff0b\uff11\uff15\uff15\uff15\uff10\uff11\uff10\uff10\uff11\uff12\uff13": "15550100123",
    # what people write
    "+1.5550100123": "15550100123",
    "+48.123.123.123": "48123123123",
    "+49 30/123456": "4930123456",
    "+49 30 123456-24": "493012345624",
    "8613812345678": "8613812345678",
    "1 (212) 555-0100": "12125550100",
    " US.134 ": "US.134",
    "\u200eUS.134": "US.134",
}

REFUSED = {
    "15550100123.5": "a decimal",
    "1.5550100123": "a decimal",
    "1234567.89": "a decimal",
    "12345678,90": "a decimal",
    "1,555,010.50": "a decimal",
    "1 555 010.50": "a decimal",
    15550100123.5: "a decimal",
    float("nan"): "nan",
    float("inf"): "nan",
    -15550100123: "negative",
    "nan": "empty cell",
    "None": "empty cell",
    "2026-11-28": "a date",
    "28.11.2026": "a date",
    "11/28/2026": "a date",
    "2026-11-28 20:07:00": "a date",
    "2026-11-28T20:07:00Z": "a date",
    "192.168.100.200": "an IP address",
    "15550100123,15550100124": "more than one number",
    "15550100123;15550100124": "more than one number",
    "15550100123 15550100124": "more than one number",
    "15550100123\n15550100124": "more than one number",
    "15550100123 or 15550100124": "more than one number",
    "+1 555 010 0123 / +1 555 010 0124": "more than one number",
    "+1 555 010 0123 +1 555 010 0124": "more than one number",
    "+49 30 1234567/7654321": "more than one number",
    "5550100 5550101": "more than one number",
    "+49 30 123456/24": "extension",
    "+1 555 010 0123 (2)": "extension",
    "+1 555 010 0123 ext. 5": "extension",
    "+1 555 010 0123x5": "extension",
    "+1 555 010 0123 #5": "extension",
    "+1 555 010 0123 24": "no number in United States (+1)",
    "4.9E+11": "shortened",
    "4,9e+11": "shortened",
    "1.555010E+10": "shortened",
    "'+15550100123": "apostrophe",
    '"15550100123"': "quote",
    '="15550100123"': "equals sign",
    "whatsapp:+15550100123": "whatsapp:",
    "tel:+15550100123": "tel:",
    "wa.me/15550100123": "wa.me/",
    "https://wa.me/15550100123?text=a": "wa.me/",
    "(212) 555-0100": "would go to Morocco (+212)",
    "13812345678": "would go to United States (+1)",
    "(12) 99123-4567": "would go to United States (+1)",
    "07911 123456": "no country code",
    "+1 5550100": "no number in United States (+1)",
    "+200000000000": "no number in Egypt (+20)",
    "+999 123 456 789": "digits that are not a country code",
    "1-800-FLOWERS": "not part of a phone number",
    b"+15550100123": "not bytes",
    True: "not bool",
}


@pytest.mark.parametrize(("given", "key"), READ.items(), ids=repr)
def test_each_way_to_write_a_number_has_its_right_value(given, key):
    assert recipient_key(given) == key
    assert recipient_key(address(key)) == key


@pytest.mark.parametrize(("given", "cause"), REFUSED.items(), ids=repr)
def test_what_is_no_number_is_refused_by_its_cause(given, cause):
    with pytest.raises(PayloadError) as caught:
        recipient_key(given)
    assert cause in caught.value.message
    assert ".." not in str(caught.value)
    digits = "".join(filter(str.isdigit, str(given)))
    assert len(digits) < 9 or digits not in str(caught.value)


@functools.cache
def national_numbers():
    """Return numbers of all countries and types as people there write them, each once, with its country."""
    found = {}
    for country, kind in itertools.product(phonenumbers.SUPPORTED_REGIONS, range(11)):
        example = phonenumbers.example_number_for_type(country, kind)
        if example is None:
            continue
        national = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
        prefix = phonenumbers.PhoneMetadata.metadata_for_region(country).national_prefix or ""
        significant = phonenumbers.national_significant_number(example)
        for written in (
            national,
            significant,
            f"{prefix}{significant}",
            f"({significant[:3]}) {significant[3:]}",
        ):
            found.setdefault((written, country), example)
    return found


def test_a_bare_national_number_is_taken_only_where_it_is_valid_where_it_would_go():
    every, taken = national_numbers(), 0
    assert len(every) > 3000
    for written, _ in every:
        digits = "".join(filter(str.isdigit, written))
        try:
            key = normalise(written)
        except PayloadError:
            assert not is_valid(digits), written
        else:
            taken += 1
            assert is_valid(key), written
            assert key == digits or phonenumbers.parse(f"+{digits}") == phonenumbers.parse(f"+{key}")
    assert taken < len(every) / 10


def is_valid(digits, country=None):
    try:
        parsed = phonenumbers.parse(digits if country else f"+{digits}", country)
    except phonenumbers.NumberParseException:
        return False
    # Some short numbers are valid inside their country alone.
    possible = (
        phonenumbers.is_possible_number_with_reason(parsed) == phonenumbers.ValidationResult.IS_POSSIBLE
    )
    return possible and phonenumbers.is_valid_number(parsed)


def test_with_its_country_a_national_number_is_read_as_its_own():
    wrong = []
    for (written, country), example in national_numbers().items():
        own = f"{example.country_code}{phonenumbers.national_significant_number(example)}"
        try:
            key = normalise(written, default_country=country)
        except PayloadError:
            key = ""
        if key != own and is_valid(written, country):
            wrong.append((country, written, key))
    assert wrong == []


@st.deferred
def every():
    """Draw a valid number of any country and type; processes that do not run this test list none."""
    valid = {
        phonenumbers.FrozenPhoneNumber(example)
        for example in national_numbers().values()
        if len(own := f"{example.country_code}{phonenumbers.national_significant_number(example)}") >= 7
        and is_valid(own)
    }
    return st.sampled_from(sorted(valid, key=str))


@given(every, st.sampled_from(["+", "00", ""]), st.sampled_from(["", " ", "-", "."]))
def test_no_valid_number_changes_its_digits(example, prefix, separator):
    national = phonenumbers.national_significant_number(example)
    separator = separator if prefix and separator else " "  # 49.3012345 is a decimal
    own = f"{example.country_code}{national}"
    assert normalise(f"{prefix}{example.country_code}{separator}{national}") == own


@given(st.sampled_from(["+", "00", ""]), st.text("0123456789", min_size=7, max_size=16))
def test_digits_change_by_the_rules_alone(prefix, digits):
    """What is taken ends as it was written; in between only a trunk prefix is gone, or Argentina's 15 became its 9."""
    try:
        key = normalise(prefix + digits)
    except PayloadError:
        return
    digits = digits.removeprefix("00") if not prefix else digits
    assert normalise(address(key)) == key
    if key == digits:
        return
    plan = numbering.plan_of(key)
    national = key.removeprefix(plan.code)
    assert digits.startswith(plan.code)
    trunk = digits[len(plan.code) : len(digits) - len(national)]
    assert (digits.endswith(national) and trunk[:1] in set("018")) or plan.code == "54"


@given(st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True, alphabet="0123456789"))
def test_numbering_is_what_phonenumbers_says(digits):
    try:
        parsed = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        assert numbering.read(digits) is None
        return
    own = f"{parsed.country_code}{phonenumbers.national_significant_number(parsed)}"
    if (
        own == digits
        and numbering.read(digits) is not None
        and not digits.startswith(("1555", "521", "549", "55"))
    ):
        assert numbering.is_assigned(digits) == phonenumbers.is_valid_number(parsed)
        assert phonenumbers.is_possible_number(parsed)


@pytest.mark.parametrize(
    ("written", "country", "key"),
    [
        ("(12) 99123-4567", "BR", "5512991234567"),
        ("13812345678", "CN", "8613812345678"),
        ("0151 12345678", "DE", "4915112345678"),
        ("(212) 555-0100", "US", "12125550100"),
        ("555 010 0123", "US", "15550100123"),
        ("4915112345678", "US", "4915112345678"),
        ("+49 151 12345678", "US", "4915112345678"),
        ("0049 151 12345678", "US", "4915112345678"),
        ("011 49 151 12345678", "US", "4915112345678"),
        ("5215512345678", "MX", "5215512345678"),
        ("551191234567", "BR", "551191234567"),
    ],
)
def test_the_country_of_national_numbers(written, country, key):
    assert normalise(written, default_country=country) == key


def test_a_number_of_neither_says_so():
    with pytest.raises(PayloadError, match=r"would go to Morocco \(\+212\).*nor is it a number of Singapore"):
        normalise("(212) 555-0100", default_country="SG")


@pytest.mark.parametrize("given", ["br", "BR", " br "])
def test_the_country_is_read_from_the_connection(given):
    config = client_config("c", password="k", host=None, extra={"default_country": given})
    assert config.default_country == "BR"


@pytest.mark.parametrize("given", ["Brazil", "+55", "XX", "55"])
def test_a_country_that_is_none_is_refused(given):
    with pytest.raises(ConfigurationError, match="default_country"):
        ClientConfig(api_key="k", default_country=given)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5215512345678", "525512345678"),
        ("5491112345678", "541112345678"),
        ("5511991234567", "551191234567"),
        ("15550100123", "15550100123"),
        ("US.134", "US.134"),
    ],
)
def test_forms_of_one_number_have_one_canonical_form(one, other):
    assert canonical(one) == canonical(other)


def test_a_landline_of_brazil_is_nobodys_mobile():
    assert canonical("551131234567") != canonical("5511931234567")


@pytest.mark.parametrize(
    ("given", "bare"),
    [
        ("15550100123", True),
        (15550100123, True),
        ("(212) 555-0100", True),
        ("\u0661\u0665", True),
        ("+15550100123", False),
        (" (+1) 555 010 0123", False),
        ("\uff0b15550100123", False),
        ("0015550100123", False),
        ("US.134", False),
        (None, False),
    ],
)
def test_whether_only_the_digits_tell_the_country(given, bare):
    assert is_bare(given) is bare
