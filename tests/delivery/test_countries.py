"""Countries and time zones of numbers, beside those of phonenumbers."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from phonenumbers import timezone

from airflow_provider_whatsapp.delivery.countries import country, zones

# Where phonenumbers is wrong or knows no more than North America's 42 zones.
OURS = {
    "DZ": "Algeria has the time of Paris in winter all the year",
    "FM": "the states of Micronesia have two times; most people live in the later one",
    "LY": "Libya has no summer time",
    "MA": "Morocco has no summer time but in Ramadan",
    "NI": "Nicaragua has no summer time",
    "SS": "South Sudan left the time of Nairobi in 2021",
}
SASKATCHEWAN = "1474"
"""Has no summer time."""
NORTH_AMERICA = 40
"""Zones that phonenumbers gives to a number of which it knows no more than the calling code."""


def numbers():
    """Return example numbers of all countries and of every area code of North America, as digits."""
    found = []
    for iso in phonenumbers.SUPPORTED_REGIONS:
        for kind in range(3):
            example = phonenumbers.example_number_for_type(iso, kind)
            if example is not None:
                found.append(example)
    found += [phonenumbers.parse(f"+1{area}4345678") for area in range(200, 1000)]
    return {f"{one.country_code}{phonenumbers.national_significant_number(one)}": one for one in found}


@cache
def every():
    """Return those of them that are valid."""
    return {digits: number for digits, number in numbers().items() if phonenumbers.is_valid_number(number)}


def test_every_assigned_number_has_the_country_that_phonenumbers_gives():
    assert len(every()) > 800
    ours = {digits: country(digits) for digits in every()}
    assert ours == {digits: phonenumbers.region_code_for_number(number) for digits, number in every().items()}


def offsets(names):
    """Return the hours that zones are ahead of UTC in winter and summer."""
    return {
        tuple(
            datetime(2026, month, 15, 12, tzinfo=ZoneInfo(name)).utcoffset().total_seconds() / 3600
            for month in (1, 7)
        )
        for name in names
    }


def test_zones_are_those_of_phonenumbers_but_where_it_is_wrong():
    """A country with several zones may have its outermost two here, and the number's own there: that lies between."""
    wrong = []
    for digits, number in every().items():
        ours, theirs = offsets(zones(digits)), offsets(timezone.time_zones_for_number(number))
        if not ours:
            wrong.append(digits)
        if len(timezone.time_zones_for_number(number)) > NORTH_AMERICA or country(digits) in OURS:
            continue
        if digits.startswith(SASKATCHEWAN):
            continue
        for season in (0, 1):
            low, high = (pick(hours[season] for hours in ours) for pick in (min, max))
            if not any(low <= hours[season] <= high for hours in theirs):
                wrong.append((country(digits), digits, ours, theirs))
    assert wrong == []


@pytest.mark.parametrize("iso", OURS)
def test_where_phonenumbers_is_still_wrong(iso):
    """When this fails, phonenumbers has mended it: the exception can go."""
    own = {d: n for d, n in every().items() if country(d) == iso}
    assert own
    assert any(not offsets(zones(d)) <= offsets(timezone.time_zones_for_number(n)) for d, n in own.items())


@pytest.mark.parametrize(
    ("digits", "iso", "zone"),
    [
        ("19025550123", "CA", "America/Halifax"),
        ("17824345678", "CA", "America/Halifax"),
        ("14284345678", "CA", "America/Moncton"),
        ("18794345678", "CA", "America/St_Johns"),
        ("15550100123", "US", "America/New_York"),
        ("212650123456", "MA", "Africa/Casablanca"),
        ("211977123456", "SS", "Africa/Juba"),
        ("18764345678", "JM", "America/Jamaica"),
        ("12424345678", "BS", "America/Nassau"),
        ("262639012345", "YT", "Africa/Nairobi"),
        ("61891641234", "CX", "Asia/Bangkok"),
        ("447797712345", "JE", "Europe/London"),
        ("77011234567", "KZ", "Asia/Almaty"),
        ("24740123", "AC", "Africa/Abidjan"),
        ("YT.134", "YT", "Africa/Nairobi"),
        ("BR.134", "BR", "America/Sao_Paulo"),
    ],
)
def test_some_of_them_by_hand(digits, iso, zone):
    assert country(digits) == iso
    assert zones(digits)[0] == zone


OTHERS = {
    "an ID": ("DE.13491208655302741918", "DE", ("Europe/Berlin",)),
    "an ID of a territory": ("GG.13491208655302741918", "GG", ("Europe/London",)),
    "an ID of no country": ("ZZ.13491208655302741918", "ZZ", ()),
    "no calling code": ("999123456789", "??", ()),
    "a number that is assigned to nobody yet": ("4915550000001", "DE", ("Europe/Berlin",)),
}


@pytest.mark.parametrize(("to", "iso", "found"), OTHERS.values(), ids=list(OTHERS))
def test_whoever_has_no_assigned_number(to, iso, found):
    assert (country(to), zones(to)) == (iso, found)
