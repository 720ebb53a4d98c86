"""What a cell contains instead of one phone number, named so that the list's owner can correct it."""

from __future__ import annotations

import re
from typing import NamedTuple

WRITE = "Write it in international form, with the country code: +15550001111."


class Fault(NamedTuple):
    """Why a text is not a phone number."""

    problem: str  # what the text contains; errors put the masked text in front
    advice: str = WRITE


_TEXT_COLUMN = "Format the column as text before the numbers go into it, and write them as +15550001111."
_ONE = "Give each number its own row or list entry: +15550001111."
_ALONE = "Leave it out: WhatsApp needs only the number, such as +15550001111."
_COLUMN = f"Check that this is the column of phone numbers. {WRITE}"

_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE | re.VERBOSE | re.ASCII)


# In the order in which they are tried.
_ANYWHERE = (
    (
        _pattern(r"[-+]?\d+(?:[.,]\d+)?\s*e\+?\d+"),
        Fault("is a number that a spreadsheet has shortened; its last digits are lost", _TEXT_COLUMN),
    ),
    (
        _pattern("['`\"=\u2018\u2019\u201c\u201d].*"),
        Fault(
            "begins with an apostrophe, a quote or an equals sign",
            "Remove what a spreadsheet or a script has put around the number: +15550001111.",
        ),
    ),
    (
        _pattern(r"[a-z]\w*:.* | [a-z][\w.-]*\.[a-z]{2,}/.*"),
        Fault("is a link or an address (whatsapp:, tel:, wa.me/)", _ALONE),
    ),
    (
        _pattern(r"(?:nan|nat|none|null|<na>|n/?a|undefined|unknown|\#n/?a|true|false)"),
        Fault(
            "is what programs write for an empty cell, not a phone number",
            "Leave the row out, or give its number.",
        ),
    ),
)
_BARE = (
    (
        _pattern(
            rf"(?:{_YEAR}([-./]){_MONTH}\1{_DAY} | {_DAY}([-./]){_MONTH}\2{_YEAR} | {_MONTH}([-./]){_DAY}\3{_YEAR})"
            r"(?:[ t].*)?"
        ),
        Fault("is a date", _COLUMN),
    ),
    (_pattern(rf"{_OCTET}(?:\.{_OCTET}){{3}}"), Fault("is an IP address", _COLUMN)),
    (
        _pattern(
            r"-?(?:0|[1-9]\d*|[1-9]\d{0,2}(?:[ ,]\d{3})+)(?:\.\d+|,\d{1,6}) | [1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?"
        ),
        Fault(
            "is a decimal or an amount",
            "Check that this is the column of phone numbers. If it is a phone number, put a + in front.",
        ),
    ),
)
_TWO = _pattern(
    r"""
      .*\d\D*\+\D*\d.*                                    # a + behind a digit
    | [^,;|&]*\d[^,;|&]*(?:[,;|&\n]|\ (?:or|and|y|e|et|und|oder|ou)\ )[^,;|&]*\d.*
    | (?:\D*\d){7,}\D*/(?:\D*\d){7,}.*
    | \D*\d{7,}\s+\(?\d{7,}\)?                            # each could be one alone
    """
)
_EXTENSION = _pattern(
    r"""
    (?:\D*\d){6,}\D*?
    (?: (?:\b|(?<=\d)|(?=\#))(?:ext(?:ension|n)?|x|\#|anexo|ramal|int(?:erno)?|poste|durchwahl|p)\.?\s*:?\s*\d{1,7}\)?
      | доб\w*\.?\s*\d{1,7}
      | \(\s*\d{1,6}\s*\)
      | /\s*\d{1,3}
    )\s*
    """
)


def fault(text: str) -> Fault | None:
    """Return why a text is not one phone number; None: it has the form of one."""
    # The text has no invisible characters, and no spaces at its ends.
    for pattern, found in _ANYWHERE:
        if pattern.fullmatch(text):
            return found
    if not text.startswith(("+", "00", "(+", "(00")):
        for pattern, found in _BARE:
            if pattern.fullmatch(text):
                return found
    if _TWO.fullmatch(text):
        return Fault("contains more than one number", _ONE)
    if _EXTENSION.fullmatch(text):
        return Fault("has an extension or something else after the number", _ALONE)
    return None
