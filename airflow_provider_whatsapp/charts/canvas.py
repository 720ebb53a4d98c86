"""The canvas of all charts: sizes for a phone, colours, fonts, and texts that fit."""

from __future__ import annotations

import functools
import logging
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.tables.cells import one_line
from airflow_provider_whatsapp.tables.files import missing
from airflow_provider_whatsapp.tables.layout import shortened

if TYPE_CHECKING:
    from pathlib import Path

WIDTH = 1080
"""Width in pixels; a phone shows a picture 360 points wide, so three pixels are one point."""
SQUARE, PORTRAIT = 1080, 1350
MARGIN = 48
SMALL, NORMAL, TITLE, HUGE = 34, 38, 54, 120
"""Text sizes in pixels: :data:`SMALL` is 11 points on a phone, and no text is smaller."""
LINE = 1.25

INK, GREY, GRID, PAPER = "#18212b", "#5b6672", "#dfe4e8", "#ffffff"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#7a3b8f", "#4d4d4d")
"""Colours that people with any kind of colour blindness can distinguish, after Okabe and Ito, dark enough on white."""
NO_DATA = "No data"
UNKNOWN = "\N{WHITE SQUARE}"
"""Replaces a character that no font has."""
FAMILIES = (
    "Noto Sans", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK KR",
    "Noto Sans Devanagari", "Noto Sans Thai", "Noto Sans Bengali", "Noto Sans Tamil", "WenQuanYi Zen Hei",
    "Arial Unicode MS", "Hiragino Sans", "PingFang SC", "Microsoft YaHei", "Segoe UI",
)  # fmt: skip
"""Fonts that are searched for characters which matplotlib's own font lacks, if they are installed."""
_RIGHT_TO_LEFT = ("R", "AL")
_log = logging.getLogger(__name__)


class Canvas:
    """A picture that is drawn in pixels, with the origin at the upper left."""

    def __init__(self, height: int, font: str | None = None) -> None:  # font: path of a file
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError as error:
            raise missing("matplotlib", "charts") from error
        self.height = height
        # With 72 dots per inch, a point is a pixel.
        self.figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72, facecolor=PAPER)
        self._agg = FigureCanvasAgg(self.figure)
        self._fonts = FontChain(font)
        self._widths: dict[tuple[str, float, bool], float] = {}

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        """Return axes in a rectangle, in pixels, without a frame."""
        rectangle = (left / WIDTH, 1 - (top + height) / self.height, width / WIDTH, height / self.height)
        made = self.figure.add_axes(rectangle)
        made.set_axis_off()
        made.patch.set_visible(False)
        return made

    def text(
        self,
        x: float,  # pixels from the left
        y: float,  # pixels from the top
        text: str,
        *,
        size: float = NORMAL,
        color: str = INK,
        align: str = "left",  # left, center or right: the part of the text at x
        middle: bool = False,  # y is the line's middle instead of its top
        bold: bool = False,
    ) -> None:
        """Write one line of text without markup."""
        text = self._fonts.drawable(text)
        self.figure.text(
            x / WIDTH,
            1 - y / self.height,
            text,
            fontsize=size,
            color=color,
            ha=align,
            va="center" if middle else "top",
            family=[*self._fonts.families],
            weight="bold" if bold else "normal",
            parse_math=False,
        )

    def width(self, text: str, size: float = NORMAL, *, bold: bool = False) -> float:
        """Return the width of a text of one line, in pixels."""
        from matplotlib.font_manager import FontProperties

        text = self._fonts.drawable(text)
        key = (text, size, bold)
        if key not in self._widths:
            properties = FontProperties(
                family=[*self._fonts.families], size=size, weight="bold" if bold else "normal"
            )
            renderer = self._agg.get_renderer()  # type: ignore[no-untyped-call]
            self._widths[key] = renderer.get_text_width_height_descent(text, properties, ismath=False)[0]
        return self._widths[key]

    def fit(self, text: str, room: float, size: float = NORMAL, *, bold: bool = False) -> str:
        """Return a text that is no wider than the room, in pixels, cut with an ellipsis if necessary."""
        return shortened(text, room, functools.partial(self.width, size=size, bold=bold))

    def wrap(self, text: str, room: float, size: float, lines: int, *, bold: bool = False) -> list[str]:
        """Break a text between words into up to ``lines`` lines, ``room`` pixels wide; the last one is cut."""
        made: list[str] = []
        words = re.findall(r"\S+", text)
        while words and len(made) < lines - 1:
            count = len(words)
            while count > 1 and self.width(" ".join(words[:count]), size, bold=bold) > room:
                count -= 1
            if self.width(words[0], size, bold=bold) > room:
                break
            made.append(" ".join(words[:count]))
            words = words[count:]
        return [*made, self.fit(" ".join(words), room, size, bold=bold)] if words else made

    def heading(self, title: str | None, below: str = "") -> float:
        """Write a title and a grey line below it; return where the chart begins, in pixels from the top."""
        y = float(MARGIN)
        room = WIDTH - 2 * MARGIN
        for line in self.wrap(one_line(title or ""), room, TITLE, 2, bold=True):
            self._aligned(y, line, size=TITLE, bold=True)
            y += TITLE * LINE
        if below:
            self._aligned(y, self.fit(below, room, NORMAL), size=NORMAL, color=GREY)
            y += NORMAL * LINE
        return y + 28 if y > MARGIN else y

    def _aligned(self, y: float, text: str, **how: Any) -> None:
        right = is_right_to_left(text)
        self.text(WIDTH - MARGIN if right else MARGIN, y, text, align="right" if right else "left", **how)

    def save(self, path: Path) -> None:
        """Write a PNG file of up to 128 colours, without metadata about the machine or the time."""
        from PIL import Image

        self._fonts.warn_of_unknown()
        self._agg.draw()  # type: ignore[no-untyped-call]
        pixels = self._agg.buffer_rgba()  # type: ignore[no-untyped-call]
        picture = Image.frombuffer("RGBA", self._agg.get_width_height(), pixels, "raw", "RGBA", 0, 1)
        picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, "PNG", optimize=True)


def is_right_to_left(text: str) -> bool:
    """Return whether a text's first letter belongs to a script that is written from right to left."""
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in _RIGHT_TO_LEFT or kind == "L":
            return kind != "L"
    return False


class FontChain:
    """Fonts that are searched one after the other for a character; that of a file, if given, comes first."""

    def __init__(self, font: str | None = None) -> None:
        from matplotlib import font_manager

        self.families: list[str] = []
        self._has: set[str] = set(" \N{NO-BREAK SPACE}")
        self._unknown: set[str] = set()
        if font is not None:
            try:
                font_manager.fontManager.addfont(font)
                name = font_manager.FontProperties(fname=font).get_name()
            except (OSError, RuntimeError) as error:
                raise ConfigurationError(
                    f"font {font!r} cannot be opened", advice="Give the path of a .ttf, .otf or .ttc file."
                ) from error
            self._add(name)
        self._add("DejaVu Sans")  # matplotlib's own, the same on every machine

    def drawable(self, text: str) -> str:
        """Return a text with :data:`UNKNOWN` for characters that no font has, not even one of :data:`FAMILIES`."""
        from matplotlib import font_manager

        if lacking := set(text) - self._has - self._unknown:
            installed = {entry.name for entry in font_manager.fontManager.ttflist}
            for family in FAMILIES:
                if family in installed and family not in self.families and lacking & _characters(family):
                    self._add(family)
                    lacking -= self._has
            self._unknown |= lacking
        return "".join(UNKNOWN if character in self._unknown else character for character in text)

    def warn_of_unknown(self) -> None:
        """Log in one line how many characters no font has."""
        if self._unknown:
            _log.warning(
                "The picture's fonts lack %d of its characters: install a font with these characters on the worker "
                "(for example the package fonts-noto-core or fonts-noto-cjk), or give a font's path as font=.",
                len(self._unknown),
            )

    def files(self) -> list[tuple[str, str]]:
        """Return the fonts' names, each with its file."""
        return [(family, _file(family)) for family in self.families]

    def _add(self, family: str) -> None:
        self.families.append(family)
        self._has |= _characters(family)


@functools.cache
def _characters(family: str) -> frozenset[str]:
    from matplotlib import font_manager

    return frozenset(map(chr, font_manager.get_font(_file(family)).get_charmap()))


def _file(family: str) -> str:
    from matplotlib import font_manager

    return str(font_manager.findfont(font_manager.FontProperties(family=[family]), fallback_to_default=False))
