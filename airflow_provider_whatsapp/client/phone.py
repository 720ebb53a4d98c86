"""
Recipients: phone numbers in E.164, business-scoped user ids, groups.

Meta may put the sender's own country code in front of a number without ``+``, and the message then reaches a
stranger. So a number is taken apart here, and leaves with its ``+`` unless the caller wants digits alone.
"""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.masking import mask, mask_numbers

__all__ = [
    "MAX_DIGITS",
    "MIN_DIGITS",
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
_ADVICE = "Write it in international form, with the country code: +15550001111."

# Separators people write, and the invisible marks that copying from a page or a chat brings along.
_DROPPED = dict.fromkeys(
    [
        *map(ord, " \t\r\n-.()/"),
        *(0x00A0, 0x2007, 0x2009, 0x202F, 0x3000),  # spaces that do not break
        *range(0x2010, 0x2016),  # hyphens and dashes
        *(0x2212, 0xFEFF, 0x2060, 0x061C),
        *range(0x200B, 0x2010),  # zero width, left-to-right, right-to-left
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    ]
)
_NUMBER = re.compile(r"[1-9][0-9]{6,14}")
_TRUNK_ZERO = re.compile(r"\(\s*0\s*\)")
_USER_ID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")


def normalise(number: str) -> str:
    """
    Return a phone number as E.164 digits alone, without ``+``.

    Spaces, dashes, dots, parentheses, slashes and invisible direction marks are dropped; ``+`` or ``00`` may
    stand in front. A number in national form (one leading zero, or ``(0)`` inside) is refused: only its owner
    knows the country.

    :param number: The number, country code first: ``"+1 (555) 000-1111"`` say.
    :raises PayloadError: It is not a phone number in international form; the error shows it masked.
    """
    if type(number) is not str and not isinstance(number, str):
        raise _refused(f"must be a string, not {type(number).__name__}")
    digits = number.translate(_DROPPED)
    plus = digits.startswith("+")
    if plus:
        digits = digits[1:]
    elif digits.startswith("00"):
        digits = digits[2:]
    if _NUMBER.fullmatch(digits) and not _TRUNK_ZERO.search(number):
        return digits
    raise _explained(number, digits)


def _explained(number: str, digits: str) -> PayloadError:
    shown = mask(number)
    if not digits:
        return _refused("is empty")
    if not (digits.isascii() and digits.isdigit()):
        return _refused(f"{shown} holds characters that are not part of a phone number")
    if _TRUNK_ZERO.search(number):
        return _refused(
            f"{shown} holds the zero of the national form, (0)", advice=f"Leave (0) out. {_ADVICE}"
        )
    if digits.startswith("0"):
        return _refused(f"{shown} starts with a zero, so it has no country code")
    size = "short" if len(digits) < MIN_DIGITS else "long"
    return _refused(f"{shown} is too {size}: {len(digits)} digits", limit=f"{MIN_DIGITS}-{MAX_DIGITS} digits")


def _refused(problem: str, *, limit: str | None = None, advice: str = _ADVICE) -> PayloadError:
    return PayloadError(problem, field="to", limit=limit, doc=_DOC, advice=advice)


def is_user_id(text: object) -> bool:
    """
    Say whether a text has the form of a business-scoped user id: ``US.1349...`` or ``US.ENT.1349...``.

    :param text: What a caller gave as recipient.
    """
    return isinstance(text, str) and _USER_ID.fullmatch(text) is not None


def recipient_key(to: str, *, group: bool = False) -> str:
    """
    Return what a recipient is called in reports and ledgers: digits alone, or the id whole.

    :param to: Phone number, business-scoped user id or, with ``group``, group id.
    :param group: ``to`` is the id of a group.
    :raises PayloadError: It is none of them.
    """
    if group:
        return _group_id(to)
    return to if is_user_id(to) else normalise(to)


def recipient_fields(to: str, *, plus_prefix: bool = True, group: bool = False) -> dict[str, Any]:
    """
    Return the fields of a message's envelope that name its recipient.

    :param to: Phone number in any form that :func:`normalise` takes, business-scoped user id (sent unchanged,
        as ``recipient``) or, with ``group``, group id (sent unchanged).
    :param plus_prefix: Send a number as ``+15550001111`` (Meta's advice); False sends digits alone.
    :param group: ``to`` is the id of a group.
    :raises PayloadError: It is none of them.
    """
    if group:
        return {"recipient_type": "group", "to": _group_id(to)}
    if is_user_id(to):
        return {"recipient_type": "individual", "recipient": to}
    digits = normalise(to)
    return {"recipient_type": "individual", "to": f"+{digits}" if plus_prefix else digits}


def _group_id(to: str) -> str:
    given: object = to
    if not isinstance(given, str) or not given or any(char.isspace() for char in given):
        raise PayloadError(
            "must be a group id: a string without spaces",
            field="to",
            doc="Groups API",
            advice="Give the id exactly as the Groups API returned it.",
        )
    return to
