"""
Recipients: phone numbers in E.164, business-scoped user ids, groups.

Meta may put the sender's own country code in front of a number without ``+``, and the message then reaches a
stranger. So this module parses a number, and sends it with its ``+`` unless the caller wants only digits.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from airflow_provider_whatsapp.client import numbering
from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.masking import mask, mask_numbers
from airflow_provider_whatsapp.client.phone_faults import WRITE, fault

__all__ = [
    "MAX_DIGITS",
    "MIN_DIGITS",
    "address",
    "canonical",
    "envelope",
    "is_bare",
    "is_user_id",
    "mask",
    "mask_numbers",
    "normalise",
    "recipient_fields",
    "recipient_key",
]

#: ITU-T E.164 allows 15 digits, country code included; fewer than 7 reach nobody.
MIN_DIGITS = 7
MAX_DIGITS = 15

_DOC = "Phone numbers"

# Invisible characters that are copied with a number from a page or a chat.
_INVISIBLE = dict.fromkeys(
    [0xFEFF, 0x2060, 0x061C, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
# Separators that people write.
_SEPARATORS = dict.fromkeys(
    [
        *map(ord, " \t\r\n-.()/"),
        *(0x00A0, 0x2007, 0x2009, 0x202F, 0x3000),  # spaces that do not break
        *range(0x2010, 0x2016),  # hyphens and dashes
        0x2212,
    ]
)
LONGEST_INTEGER = 40
_PLUS = {0xFF0B: "+", 0xFE62: "+"}
_NUMBER = re.compile(r"[1-9][0-9]{6,14}")
_PLAIN = re.compile(r"\+?[0-9]+")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_WHOLE_FLOAT = re.compile(r"(\+?[0-9]{7,15})\.0+")
_USER_ID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")

_NATIONAL = f"{WRITE} For lists of national numbers, set default_country in the connection's extra, for example to BR."


def normalise(number: object, *, default_country: str | None = None) -> str:
    """Return a phone number as E.164 digits, without ``+``; raises PayloadError, which shows it masked."""
    # default_country: ISO code of the country whose national numbers are read; None: numbers need a country code.
    text = _as_text(number)
    if not _PLAIN.fullmatch(text):
        if (found := fault(text)) is not None:
            raise _refused(f"{mask(text)} {found.problem}", advice=found.advice)
        text = text.translate(_SEPARATORS)
        if not _PLAIN.fullmatch(text):
            raise _explained(text)
    # With + or 00 in front, a number has to be possible in its country; without, it has to be assigned there (or
    # fictional, 1555...), because it could also be a national number of another country.
    if text.startswith("+"):
        return _international(text[1:])
    if not text.startswith("00"):
        return _bare(text, default_country)
    try:
        return _international(text[2:])
    except PayloadError:
        # Some countries dial 00 for another purpose.
        if default_country and (found_there := numbering.from_national(text, default_country)):
            return found_there
        raise


def _as_text(number: object) -> str:
    """Return the value as a text without invisible characters, with ASCII digits, and without a ``.0`` at its end."""
    if isinstance(number, str):
        if number.isascii():
            text = number.strip()
        else:
            text = "".join(map(_ascii_digit, number.translate(_INVISIBLE))).translate(_PLUS).strip()
        match = _WHOLE_FLOAT.fullmatch(text)
        return match[1] if match else text
    if isinstance(number, bool) or not isinstance(number, Real | Decimal):
        raise _refused(f"must be a string, not {type(number).__name__}")
    return _whole(number)


def _whole(number: Any) -> str:
    """Return the digits of an int, or of the float or Decimal that an int becomes in a column with an empty cell."""
    if isinstance(number, Integral) and number >= 10**LONGEST_INTEGER:  # Python does not write 5,000 digits
        raise _refused(f"has more than {LONGEST_INTEGER} digits", limit=f"{MIN_DIGITS}-{MAX_DIGITS} digits")
    try:
        whole = number == int(number) and number > 0
    except (ValueError, OverflowError):  # nan, inf
        whole = False
    if not whole or (not isinstance(number, Integral) and number >= 10**MAX_DIGITS):
        raise _refused(
            "is a decimal, a negative number or nan, not a phone number",
            advice=f"Check that this is the column of phone numbers, and that it has no empty cells. {WRITE}",
        )
    return str(int(number))


def _ascii_digit(char: str) -> str:
    return str(unicodedata.decimal(char)) if char.isdecimal() else char


def _international(digits: str) -> str:
    # With a trunk prefix it may be longer than E.164 allows.
    found = numbering.read(digits) if 0 < len(digits) <= MAX_DIGITS + 3 else None
    if found is None or not _NUMBER.fullmatch(found):
        raise _impossible(digits)
    return found


def _bare(digits: str, default_country: str | None) -> str:
    if default_country and (found := numbering.from_national(digits, default_country)):
        return found
    shown = mask(digits)
    if digits.startswith("0"):
        raise _refused(f"{shown} starts with a zero, so it has no country code", advice=_NATIONAL)
    if not MIN_DIGITS <= len(digits) <= MAX_DIGITS:
        raise _impossible(digits)
    found = numbering.read(digits)
    if found is not None and numbering.is_assigned(found):
        return found
    there = f", nor is it a number of {numbering.country_name(default_country)}" if default_country else ""
    raise _refused(
        f"{shown} has no + in front and would go to {numbering.place(digits)}, where there is no such number{there}; "
        "perhaps its country code is missing",
        advice=_NATIONAL,
    )


def _impossible(digits: str) -> PayloadError:
    shown = mask(digits)
    if not digits:
        return _refused("is empty")
    if digits.startswith("0"):
        return _refused(f"{shown} starts with a zero, so it has no country code", advice=_NATIONAL)
    if not MIN_DIGITS <= len(digits) <= MAX_DIGITS:
        size = "short" if len(digits) < MIN_DIGITS else "long"
        return _refused(
            f"{shown} is too {size}: {len(digits)} digits", limit=f"{MIN_DIGITS}-{MAX_DIGITS} digits"
        )
    plan = numbering.plan_of(digits)
    if plan is None:
        return _refused(f"{shown} begins with digits that are not a country code")
    lengths = ", ".join(map(str, sorted(length + len(plan.code) for length in plan.lengths)))
    return _refused(
        f"{shown} has {len(digits)} digits, a length that no number in {numbering.place(digits)} has",
        limit=f"{lengths} digits",
    )


def _explained(text: str) -> PayloadError:
    if not text or text == "+":
        return _refused("is empty")
    return _refused(f"{mask(text)} contains characters that are not part of a phone number")


def _refused(problem: str, *, limit: str | None = None, advice: str = WRITE) -> PayloadError:
    return PayloadError(problem, field="to", limit=limit, doc=_DOC, advice=advice)


def is_user_id(text: object) -> bool:
    """Return whether a text has the form of a business-scoped user ID: ``US.1349...`` or ``US.ENT.1349...``."""
    return isinstance(text, str) and _USER_ID.fullmatch(text) is not None


def recipient_key(to: object, *, group: bool = False, default_country: str | None = None) -> str:
    """Return a recipient's key in reports and ledgers: the digits of a number, or the unchanged ID."""
    # to: phone number, business-scoped user ID or, with group, group ID; default_country: as for normalise().
    if group:
        return _group_id(to)
    # Most numbers are written in their final form, and a broadcast reads each three times.
    if isinstance(to, str) and _E164.fullmatch(to):
        return _international(to[1:])
    if isinstance(to, str) and is_user_id(user_id := to.translate(_INVISIBLE).strip()):
        return user_id
    return normalise(to, default_country=default_country)


def address(key: str) -> str:
    """Return a key of :func:`recipient_key` in a form that everything reads as the same recipient: with a ``+``."""
    # Bare digits may be read as a national number.
    return f"+{key}" if key.isdigit() else key


def canonical(key: str) -> str:
    """Return the common form of a number's spellings by WhatsApp and people, to compare by; do not send to it."""
    # Mexico's mobile numbers are written with and without a 1 after the country code, Argentina's with and without a
    # 9, and those of Brazil that once had eight digits with and without the 9 that was added in front.
    if not key.startswith("5"):
        return key
    if key.startswith("521") and len(key) == 13:
        return f"52{key[3:]}"
    if key.startswith("549") and len(key) == 13:
        return f"54{key[3:]}"
    if key.startswith("55") and len(key) == 13 and key[4] == "9" and key[5] in "6789":
        return f"{key[:4]}{key[5:]}"
    return key


def is_bare(given: object) -> bool:
    """Return whether a recipient is given without ``+`` or ``00``, so that only its digits say its country."""
    if isinstance(given, str):
        start = given.translate(_INVISIBLE).translate(_PLUS).lstrip(" \t\r\n(")
        return start[:1].isdigit() and not start.startswith("00")
    return isinstance(given, Real | Decimal)


def recipient_fields(
    to: object, *, plus_prefix: bool = True, group: bool = False, default_country: str | None = None
) -> dict[str, Any]:
    """Return the fields of a message's envelope that name its recipient."""
    # to, group, default_country: as for recipient_key(); plus_prefix: send +15550001111, which is Meta's advice.
    key = recipient_key(to, group=group, default_country=default_country)
    return envelope(key, plus_prefix=plus_prefix, group=group)


def envelope(key: str, *, plus_prefix: bool, group: bool) -> dict[str, Any]:
    """Return the fields of a message's envelope for a key of :func:`recipient_key`."""
    if group:
        return {"recipient_type": "group", "to": key}
    if is_user_id(key):
        return {"recipient_type": "individual", "recipient": key}
    return {"recipient_type": "individual", "to": f"+{key}" if plus_prefix else key}


def _group_id(to: object) -> str:
    if not isinstance(to, str) or not to or any(char.isspace() for char in to):
        raise PayloadError(
            "must be a group id: a string without spaces",
            field="to",
            doc="Groups API",
            advice="Give the id exactly as the Groups API returned it.",
        )
    return to
