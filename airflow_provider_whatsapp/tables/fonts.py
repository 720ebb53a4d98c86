"""Fonts for pictures: finds one that has the characters of the text, and breaks lines to a width."""

from __future__ import annotations

import logging
import re
import unicodedata
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from PIL import ImageFont

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.tables.layout import fitting, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 34
"""Size in pixels; on a phone about as large as WhatsApp's own text."""

LARGE = 1.35
FALLBACKS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "LiberationSans-Regular.ttf",
    "Arial Unicode.ttf",
    "Arial.ttf",
    "arial.ttf",
    "msyh.ttc",
    "PingFang.ttc",
)
"""Names of fonts that are searched for in the system's folders."""

_BREAK_AFTER = re.compile(r"[_./,:;|](?=.)|(?= )")
_INSTEAD = {"€": "EUR", "£": "GBP", "ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "AE"}
_NOBODY_HAS = "\U0010ffff"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fonts:
    """A font in two sizes."""

    normal: Any  # of the table
    large: Any  # of the title
    size: int = SIZE  # of the normal font, in pixels
    instead: dict[int, str] = field(default_factory=dict)  # replacements for characters that the font lacks

    @classmethod
    def for_text(cls, text: str, path: str | None = None) -> Fonts:
        """Return the font that has the most characters of a text; a warning says how many it lacks."""
        needed = sorted(set(text) - {" "})
        best: Any = None
        lacking = needed
        for font in _candidates(path):
            without = _lacking(font, needed)
            if best is None or len(without) < len(lacking):
                best, lacking = font, without
            if not lacking:
                break
        if lacking:
            _log.warning(
                "The picture's font lacks %d of its characters: install a font with these characters on the worker "
                "(for example the package fonts-dejavu-core or fonts-noto), or give a font's path as font=.",
                len(lacking),
            )
        instead = {
            ord(character): replaced for character in lacking if (replaced := _simplified(best, character))
        }
        return cls(best, best.font_variant(size=int(SIZE * LARGE)), instead=instead)

    def drawable(self, text: str) -> str:
        """Return a text with plain letters for characters that the font lacks, such as an e for an accented e."""
        return text.translate(self.instead)

    def width(self, text: str, *, large: bool = False) -> int:
        """Return the width of a text in pixels."""
        return int((self.large if large else self.normal).getlength(text) + 0.99)

    def wrap(self, text: str, width: int, lines: int, *, large: bool = False) -> list[str]:
        """Break a text into at most ``lines`` lines of a width in pixels; the rest is cut with an ellipsis."""
        made: list[str] = []
        rest = text
        measure = partial(self.width, large=large)
        while rest and len(made) < lines:
            if measure(rest) <= width:
                made.append(rest)
                return made
            if len(made) == lines - 1:
                made.append(shortened(rest, width, measure, least=1))
                break
            fits = fitting(rest, width, measure, end="", least=1)
            breaks = [
                found.end() for found in _BREAK_AFTER.finditer(rest, 0, fits + 1) if 0 < found.end() <= fits
            ]
            cut = breaks[-1] if breaks else fits
            made.append(rest[:cut])
            rest = rest[cut:].lstrip()
        return made or [""]


def _candidates(path: str | None) -> Iterator[Any]:
    if path is not None:
        try:
            yield ImageFont.truetype(path, SIZE)
        except OSError as error:
            raise ConfigurationError(
                f"font {path!r} cannot be opened", advice="Give the path of a .ttf, .otf or .ttc file."
            ) from error
        return
    yield ImageFont.load_default(SIZE)
    for name in FALLBACKS:
        try:
            yield ImageFont.truetype(name, SIZE)
        except OSError:
            continue


def _lacking(font: Any, characters: list[str]) -> list[str]:
    nothing = bytes(font.getmask(_NOBODY_HAS))
    return [character for character in characters if bytes(font.getmask(character)) in (nothing, b"")]


def _simplified(font: Any, character: str) -> str:
    """Return a drawable replacement for a character; empty: there is none."""
    decomposed = unicodedata.normalize("NFKD", character)
    plain = _INSTEAD.get(character) or "".join(part for part in decomposed if not unicodedata.combining(part))
    return "" if _lacking(font, [part for part in plain if part != " "]) else plain
