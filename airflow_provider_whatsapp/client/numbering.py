"""
The world's numbering plans, from ``phonenumbers``, read so that a list of 100,000 numbers takes little time.

With a list that spans many countries, ``phonenumbers`` compiles its patterns again for each number; this module reads
each calling code once. A test compares its answers with those of ``phonenumbers``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phonenumbers import PhoneMetadata, PhoneNumberDesc

_LONGEST_CODE = 3
_TYPES = (
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)
# Trunk prefixes between the country code and a number in its national form: 0, with a carrier's code in Brazil and
# Colombia; 8 and 80 in former Soviet countries, 06 in Hungary, 1 in North America.
_TRUNK = re.compile(r"0[0-9]{0,5}|80?|1")
_ARGENTINA = "54"
_FICTIONAL = re.compile(r"1555[0-9]{7}")
# The 1 in Mexico and the 9 in Argentina that WhatsApp inserts, and the 9 in Brazil that it omits.
_WHATSAPP = re.compile(r"521[0-9]{10}|549[0-9]{10}|55[1-9]{2}[6-9][0-9]{7}")


@dataclass(frozen=True, slots=True)
class Plan:
    """The numbers of one calling code."""

    code: str
    region: str  # ISO code of its (largest) country; 001: no country
    lengths: frozenset[int]  # numbers of digits that may follow the calling code
    prefix: re.Pattern[str] | None  # of a national number, not dialled from abroad; None: there is none
    valid: re.Pattern[str]  # the assigned numbers, without the calling code
    countries: tuple[tuple[str, re.Pattern[str]], ...]  # ISO code and numbers of each, if there are several


def plan_of(digits: str) -> Plan | None:
    """Return the numbering plan of a number, calling code first; None: its calling code is not assigned."""
    for length in range(1, _LONGEST_CODE + 1):
        plan = _plan(digits[:length])
        if plan is not None:  # no calling code is the beginning of another one
            return plan
    return None


@cache
def _plan(code: str) -> Plan | None:
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(code))
    if not regions:
        return None
    every = list(_metadata(int(code), regions))
    main = every[0]
    prefix = main.national_prefix_for_parsing
    return Plan(
        code,
        regions[0],
        frozenset(main.general_desc.possible_length if main.general_desc else ()),
        re.compile(prefix) if prefix else None,
        re.compile("|".join(pattern for metadata in every for pattern in _patterns(metadata))),
        tuple((metadata.id, _of_country(metadata)) for metadata in every if len(regions) > 1),
    )


def _metadata(code: int, regions: tuple[str, ...]) -> Iterator[PhoneMetadata]:
    from phonenumbers import PhoneMetadata

    for region in regions:
        found = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
        if found is not None:
            yield found


def _patterns(metadata: PhoneMetadata) -> Iterator[str]:
    general = _national(metadata.general_desc)
    for name in _TYPES:
        if pattern := _national(getattr(metadata, name)):
            yield f"(?={general}$){pattern}"


def _of_country(metadata: PhoneMetadata) -> re.Pattern[str]:
    leading = metadata.leading_digits
    return re.compile(f"(?:{leading})[0-9]*" if leading else "|".join(_patterns(metadata)))


def _national(kind: PhoneNumberDesc | None) -> str:
    pattern = kind.national_number_pattern if kind is not None else None
    return f"(?:{pattern})" if pattern else ""


@lru_cache(maxsize=1024)  # a recipient is read from its list, and again before the send
def read(digits: str) -> str | None:
    """Return a number, calling code first, as it is dialled from abroad; None: it is not possible in its country."""
    # A trunk prefix after the calling code is dropped, and Argentina's 15 of a mobile number becomes the 9 after the
    # calling code; all other digits stay.
    if _WHATSAPP.fullmatch(digits):
        return digits
    plan = plan_of(digits)
    if plan is None:
        return None
    national = digits[len(plan.code) :]
    if plan.prefix is not None and plan.prefix.match(national):
        written, national = national, _without_trunk(plan, national)
        if national not in (written, _without_trunk(plan, national)):
            return None  # one zero more than a trunk prefix: the result has to be read as itself again
    return plan.code + national if len(national) in plan.lengths else None


def _without_trunk(plan: Plan, national: str) -> str:
    import phonenumbers

    try:
        parsed = phonenumbers.parse(f"+{plan.code}{national}")
    except phonenumbers.NumberParseException:
        return national
    found = phonenumbers.national_significant_number(parsed)
    if found == national:
        return national
    left_out = national.removesuffix(found)
    if plan.code == _ARGENTINA or (left_out != national and _TRUNK.fullmatch(left_out)):
        return found
    return national


def is_assigned(digits: str) -> bool:
    """Return whether a number, calling code first, can be assigned: valid, in WhatsApp's form, or fictional."""
    if _FICTIONAL.fullmatch(digits) or _WHATSAPP.fullmatch(digits):
        return True
    plan = plan_of(digits)
    return plan is not None and plan.valid.fullmatch(digits, len(plan.code)) is not None


def country_of(digits: str) -> str | None:
    """Return the ISO code of the country of a number, calling code first; None: it is not assigned."""
    plan = plan_of(digits)
    if plan is None:
        return None
    if not plan.countries:
        return plan.region if plan.region != "001" else None
    start = len(plan.code)
    return next((iso for iso, pattern in plan.countries if pattern.fullmatch(digits, start)), None)


def from_national(digits: str, country: str) -> str | None:
    """Return a national number as it is dialled from abroad; None: it is not valid in the country (an ISO code)."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        return None
    found = f"{parsed.country_code}{phonenumbers.national_significant_number(parsed)}"
    ours = parsed.country_code == phonenumbers.country_code_for_region(country)
    return found if is_assigned(found) and (ours or digits.startswith("0")) else None


def is_country(code: str) -> bool:
    """Return whether telephone numbers of a country (ISO code) exist."""
    import phonenumbers

    return code in phonenumbers.SUPPORTED_REGIONS


def place(digits: str) -> str:
    """Return the country of a number, calling code first, in a form for people: ``Morocco (+212)``."""
    plan = plan_of(digits)
    if plan is None:
        return "no country"
    return f"{country_name(plan.region)} (+{plan.code})"


def country_name(iso: str) -> str:
    """Return the English name of a country (ISO code); the code if the name is not known."""
    return _names().get(iso, iso)


@cache
def _names() -> dict[str, str]:
    from importlib.resources import files

    try:
        table = files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    except OSError:
        return {}
    rows = (line.split("\t", 1) for line in table.splitlines() if not line.startswith("#"))
    return dict(rows) | {"001": "international services"}
