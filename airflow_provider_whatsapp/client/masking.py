"""
What may be shown: masks for numbers and message IDs, and the cleaning of every text from outside.

Two things happen to a text from outside, each in one place. When an answer is read, a :class:`Cleaner` removes the API
key and terminals' control characters from all its texts. When a text goes into an error, a log or onto a terminal,
:func:`clean_line` makes one short line of it and masks numbers and message IDs.
"""

from __future__ import annotations

import base64
import re
import traceback
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

MAX_QUOTE = 300
"""The most characters of a text from outside that our texts quote."""

HIDDEN = "•••"
_STARS = "***"
_LEAST = 7
"""The least digits of a phone number."""
_MOST = 15
_ID_SHOWN = 12
"""Number of characters at the end of a message's ID that are shown; those before them contain the number in base64."""

# Colours, cursor movements, window titles, links: a terminal's commands are dropped with their arguments.
_COMMANDS = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x90-\x9f]*"
    r"(?:\x07|\x1b\\|\x9c)|\x1b[@-_]"
)
_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff"
# Unicode's category Cf, and the separators of lines and paragraphs.
_FORMATS = (
    r"\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0001-\U000e007f"
)
_DOUBTFUL = bytes({*range(32), 127, *rb"\%&"} - {*b"\t\n\r"})
"""ASCII bytes that make it necessary to look at a text."""
_CONTROL = re.compile(f"[{_CONTROLS}]")
_FORMAT = re.compile(f"[{_FORMATS}]")
_UNPRINTABLE = re.compile(f"[{_CONTROLS}{_FORMATS}]")

_MESSAGE_ID = re.compile(r"wamid\.[A-Za-z0-9+/=_-]+")

# Characters that people and spreadsheets put between the digits of a number.
_BETWEEN = r"(?:[ \u00a0\u2000-\u200f\u202a-\u202f\u2060\u2066-\u2069\ufeff().\-\u2010-\u2015\u2212/]|%20)"
_GAP = r"[ \u00a0\u2009\u202f\-\u2010-\u2015]"
_IN_TEXT = re.compile(
    rf"""
      (?P<kept>                                                   # what looks alike and is none
          wamid\.[A-Za-z0-9+/=_-]+
        | (?<![0-9A-Fa-f])[0-9A-Fa-f]{{8}}-(?:[0-9A-Fa-f]{{4}}-){{3}}[0-9A-Fa-f]{{12}}(?![0-9A-Fa-f])
        | (?<!\d)\d{{4}}-\d\d-\d\d(?!\d)(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{{1,9}})?)?(?:Z|[+-]\d\d:?\d\d)?)?
        | (?<!\d)(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:T?[0-2]\d[0-5]\d[0-5]\d)?(?!\d)
        | (?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){{3}}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w]|\.\d)
      )
    | (?P<plus>                                                   # +1 (555) 000-1111, whatever touches it
        (?:[+\uff0b]|%(?:25)*2[bB]|\\u002[bB]|&\#(?:43|x2[bB]);|(?<![\w.])00(?=[1-9]))
        {_BETWEEN}?\(?\d(?:{_BETWEEN}{{0,2}}\d){{6,14}}\d*)
    | (?:(?<![\d•])(?<!\d\.)(?<![^\W_])|(?<=%[0-9A-Fa-f]{{2}}))  # 15550001111, no longer run; to15550001111
      (?P<before>[^\W\d_]*)(?P<run>\d{{8,14}})(?:\.0(?!\d))?(?P<after>[^\W\d_]*)(?![^\W_]|\.\d)
    | (?<![\d•])(?<!\d[.:/+-])(?P<groups>                                 # 1 (555) 000-1111
        \(?\d{{1,5}}\)?(?:{_GAP}\(?\d{{2,5}}\)?){{2,5}}
        | \(?\d{{1,5}}\)?(?:{_GAP}\(?\d{{1,5}}\)?){{1,3}}{_GAP}\d{{7,8}}  # 49 (0) 30 12345678
        | \(\d{{1,5}}\){_GAP}?\d{{6,8}})(?!\d|[.:]\d)
    | (?<![\d•])(?<!\d[.:/+-])(?P<dots>\d{{1,4}}(?:\.\d{{1,4}}){{2,5}})(?!\d|[.:]\d)  # 1.555.000.1111
    """,
    re.VERBOSE,
)


_USER_ID_START = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]+\s*\Z")


def mask(text: str) -> str:
    """Return one phone number or user ID with its middle hidden, for logs and errors."""
    # The first two and the last four characters stay (the last two of 7 to 10, nothing of fewer), so that a reader
    # who knows the number recognises it in any spelling. Letters stay only in IDs, because a cell may contain a name.
    is_id = _USER_ID_START.match(str(text).lstrip()) is not None
    kept = "".join(filter(str.isalnum if is_id else str.isdecimal, str(text)))
    if len(kept) < _LEAST:
        return HIDDEN
    tail = 4 if len(kept) > 10 else 2
    return f"{kept[:2]}{HIDDEN}{kept[-tail:]}"


def mask_numbers(text: str) -> str:
    """Return free text with everything masked that looks like a phone number."""
    # Masked: 7 to 15 digits after a +; 8 to 14 bare ones, 10 to 14 beside letters; 8 to 15 in groups (10 with dots).
    # Not: IDs, UUIDs, ISO dates, IP addresses, decimals, up to 7 bare digits (error codes), 15 or more (Graph's IDs).
    return _IN_TEXT.sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    found = match[0]
    kind = match.lastgroup
    if kind == "kept":
        return found
    if kind == "plus":
        return mask(re.sub(r"^(?:00|%(?:25)*2[bB]|\\u002[bB]|&#(?:43|x2[bB]);)|%20", "", found))
    digits = sum(char.isdigit() for char in found)
    if kind == "after":
        before, run, after = match.group("before", "run", "after")
        touched = bool(before) + bool(after) + (match.start() > 0 and match.string[match.start() - 1] == "_")
        # With ASCII letters on both sides it is an ID; other scripts put no spaces around a number.
        if (before and after and f"{before}{after}".isascii()) or (touched and len(run) < 10):
            return found
        return f"{before}{mask(run)}{after}"
    least = 10 if kind == "dots" or _touches_a_letter(match) else 8
    return mask(found) if least <= digits <= _MOST else found


def _touches_a_letter(match: re.Match[str]) -> bool:
    around = (
        match.string[max(0, match.start() - 1) : match.start()] + match.string[match.end() : match.end() + 1]
    )
    return any(char.isalnum() or char == "_" for char in around)


def mask_id(message_id: str) -> str:
    """Return the end of a message's ID, for logs and errors: the part before it contains the recipient's number."""
    text = "".join(filter(str.isprintable, str(message_id)))
    return f"...{text[-min(_ID_SHOWN, len(text) // 2) :] if len(text) > 1 else ''}"


def place_of(error: BaseException) -> str:
    """Return an unexpected error's type and where it arose, not its text, which may quote a row or a secret."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    way = ", ".join(
        f"{PurePath(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in reversed(frames)
    )
    return f"{type(error).__name__} ({way})" if way else type(error).__name__


def printable(text: str) -> str:
    """Return a text without terminals' commands, control and format characters, and lone surrogates."""
    if text.isascii() and text.isprintable():
        return text
    # Line breaks and tabs stay.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNPRINTABLE.sub("", _COMMANDS.sub("", text))


def escaped(text: str) -> str:
    """Return JSON that cannot command a terminal: unprintable characters become escapes, and nothing is lost."""
    if text.isascii():
        return text

    def escape(found: re.Match[str]) -> str:
        units = found[0].encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))

    return _UNPRINTABLE.sub(escape, text)


def clean_line(text: object, *, limit: int = MAX_QUOTE, masked: bool = True) -> str:
    """Return a text from outside as one short printable line, with numbers and IDs masked, to be shown or logged."""
    # It does not know the API key, which a Cleaner has removed before. masked=False: the numbers have to be shown.
    words = " ".join(printable(str(text)).split())[: 64 * limit]
    if masked:
        words = mask_numbers(_MESSAGE_ID.sub(lambda found: mask_id(found[0]), words))
    return words if len(words) <= limit else f"{words[: limit - 1]}…"


def each_text(value: Any, change: Callable[[str], str], *, kept: Collection[str] = ()) -> Any:
    """Change all texts and names of fields in parsed JSON, in place, at any depth; the JSON must not be shared."""
    root = [value]
    rest: list[Any] = [root]
    names: dict[str, str] = {}  # the objects of a list repeat the same names
    while rest:
        node = rest.pop()
        for place, item in list(node.items()) if isinstance(node, dict) else enumerate(node):
            if isinstance(item, str):
                node[place] = change(item)
            elif isinstance(item, dict | list):
                rest.append(item)
            if not isinstance(place, str) or place in kept:
                continue
            name = names.get(place)
            if name is None:
                name = names[place] = change(place)
            if name != place:
                node[name] = node.pop(place)
    return root[0]


class Cleaner:
    """Cleans all texts of the other side: afterwards no text contains the API key or commands a terminal."""

    # It finds the key itself, with invisible characters in it, with escapes of some or all of its characters (\", \u,
    # \x, percent, HTML), and inside base64. Line breaks stay, and so do the joiners and direction marks that words and
    # emojis of real messages need.

    def __init__(self, key: str) -> None:
        self._key = key
        self._encoded = _in_base64(key)
        self._raw = [part.encode() for part in (key, *self._encoded)]
        doubtful = [re.escape(part) for part in (key, *self._encoded)]
        self._doubtful = re.compile(rf"[{_CONTROLS}{_FORMATS}\\%&]|{'|'.join(doubtful)}")

    @cached_property
    def _spelled(self) -> re.Pattern[str]:
        # Compiled on first use, which is rare, because the pattern is long.
        return re.compile("".join(map(_spellings, self._key)))

    def leaves(self, raw: bytes) -> bool:
        """Return whether JSON certainly contains nothing that :meth:`values` would change, by a fast check."""
        if not raw.isascii() or len(raw.translate(None, _DOUBTFUL)) != len(raw):
            return False
        for part in self._raw:  # noqa: SIM110  (a loop is quicker, and every answer is looked at)
            if part in raw:
                return False
        return True

    def text(self, text: str) -> str:
        """Clean one text from outside."""
        if not self._doubtful.search(text):
            return text
        text = _CONTROL.sub("", _COMMANDS.sub("", text))
        bare = _FORMAT.sub("", text)
        if bare != text and self._without_key(bare) != bare:
            text = bare
        return self._without_key(text)

    def line(self, text: object, *, limit: int = MAX_QUOTE) -> str:
        """Clean one text that did not come in an answer's JSON, and return it as a line like :func:`clean_line`."""
        return clean_line(self.text(str(text)), limit=limit)

    def values(self, value: Any) -> Any:
        """Clean all texts and names of fields in parsed JSON, in place; the JSON must not be shared."""
        return each_text(value, self.text)

    def _without_key(self, text: str) -> str:
        text = self._spelled.sub(_STARS, text)
        for part in self._encoded:
            text = text.replace(part, _STARS)
        return text


def _spellings(char: str) -> str:
    """Return a pattern for one character of the key in every spelling."""
    code = ord(char)
    digits = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in f"{code:02x}")
    # Longer spellings first, so that no part of one is left over.
    escapes = (
        rf"\\{{1,8}}(?:u00|x){digits}|%(?:25){{0,4}}{digits}|&\#(?:0{{0,8}}{code}|[xX]0{{0,8}}{digits});"
    )
    return rf"(?:{escapes}{_NAMED.get(char, '')}|\\{{0,8}}{re.escape(char)})"


_NAMED = {'"': "|&quot;", "&": "|&amp;", "<": "|&lt;", ">": "|&gt;", "'": "|&apos;"}


def _in_base64(key: str) -> list[str]:
    """Return the base64 fragments that contain the key, at each offset and in both alphabets."""
    found = []
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + key.encode()).decode().rstrip("=")
        whole = (before + len(key.encode())) * 8 // 6
        core = encoded[-(-before * 8 // 6) : whole]
        if len(core) >= 8:
            found += [core, core.translate(str.maketrans("+/", "-_"))]
    return sorted(set(found))
