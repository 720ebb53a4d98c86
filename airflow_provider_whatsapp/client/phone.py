"""
Recipients: phone numbers in E.164, business-scoped user ids, groups; and masking for logs and errors.

Meta may put the sender's own country code in front of a number without ``+``, and the message then reaches a
stranger. So a number is taken apart here, and leaves with its ``+`` unless the caller wants digits alone.
"""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_whatsapp.client.errors import PayloadError

#: ITU-T E.164 allows 15 digits, country code included; fewer than 7 reach nobody.
MIN_DIGITS = 7
MAX_DIGITS = 15

_DOC = "Phone numbers"
_ADVICE = "Write it in international form, with the country code: +15550001111."
_HIDDEN = "•••"

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

_IN_TEXT = re.compile(
    r"""
      (?<!\w)\+\d(?:[ \u00a0().\-/]{0,2}\d){6,14}(?!\w)           # +1 (555) 000-1111
    | (?<![\w.+-])\d{8,14}(?!\w|[-.]\w)                            # 15550001111, no longer run
    | (?<![\w.:/+-])(?!\d{4}-\d\d-\d\d)                            # 1 (555) 000-1111, no date
      \(?\d{1,5}\)?(?:[ \u00a0-]\(?\d{2,5}\)?){2,4}(?!\w|[-.:/]\w)
    """,
    re.VERBOSE,
)


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


def mask(text: str) -> str:
    """
    Return one phone number or user id with its middle hidden, fit for logs and errors.

    The first two characters and the last four stay (the last two of 7 to 10, nothing of fewer), so that a
    reader who knows the number recognises it: ``+1 555 000 1111`` becomes ``+15•••1111``.

    :param text: The number or id, in any form.
    """
    kept = "".join(char for char in str(text) if char.isalnum())
    if len(kept) < MIN_DIGITS:
        return _HIDDEN
    plus = "+" if str(text).lstrip().startswith("+") else ""
    tail = 4 if len(kept) > 10 else 2
    return f"{plus}{kept[:2]}{_HIDDEN}{kept[-tail:]}"


def mask_numbers(text: str) -> str:
    """
    Mask what looks like a phone number inside free text.

    Masked are: 7 to 15 digits after a ``+``, with or without separators; a run of 8 to 14 bare digits; and
    three to five groups of digits, 8 to 15 in all, parted by single spaces or dashes. Left alone are digits
    that touch a letter (message ids, trace ids), a group of a UUID, decimals, ISO dates, error codes (7
    digits at most) and runs of 15 digits or more (phone number ids, media ids, user ids).

    :param text: A log line or the message of an error.
    """
    return _IN_TEXT.sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    found = match[0]
    digits = sum(char.isdigit() for char in found)
    if not found.startswith("+") and not 8 <= digits <= MAX_DIGITS:
        return found
    return mask(found)


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
