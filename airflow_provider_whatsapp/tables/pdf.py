"""A report as a PDF: title, picture, and the table on several pages with its header on each."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.charts.canvas import FontChain, is_right_to_left
from airflow_provider_whatsapp.charts.kpi import NO_FIGURE
from airflow_provider_whatsapp.charts.locales import DEFAULT_LOCALE, Formats
from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.tables.cells import Column, columns, one_line
from airflow_provider_whatsapp.tables.files import missing
from airflow_provider_whatsapp.tables.layout import narrowest, shortened
from airflow_provider_whatsapp.tables.rows import Written, counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airflow_provider_whatsapp.charts.data import Figure
    from airflow_provider_whatsapp.tables.rows import Rows

DEFAULT_ROWS = 2_000
MOST_ROWS = 20_000
"""The most rows of a table that people still read on pages; more belong in another file."""
WIDE_FROM = 7
"""Number of columns from which on the pages are in landscape format."""

MARGIN = 14.0
"""Margin in millimetres, the unit of all lengths here."""
TITLE, TEXT = 18, 9
"""Points."""
ROW, PAD = 6.0, 1.6
NARROWEST, LEAST_OF_A_TEXT, WIDEST = 12.0, 26.0, 70.0
"""Gap between columns."""
PICTURE = 150.0
"""The largest width of a picture."""
HEAD, ZEBRA, INK, GREY = (18, 84, 84), (240, 245, 245), (24, 32, 38), (98, 108, 116)
_log = logging.getLogger(__name__)


def write_pdf(
    path: Path,
    rows: Rows,
    *,
    title: str | None = None,
    max_rows: int | None = None,  # up to MOST_ROWS; None: DEFAULT_ROWS; 0: no table
    figures: Sequence[Figure] = (),  # below the title, with their earlier values
    formats: Formats | None = None,  # None: as in American English
    picture: Path | None = None,  # a PNG file above the table
    left_out: int = 0,  # how many rows the argument rows lacks already
    rest_at: str | None = None,  # where all rows are: an address or a path
    font: str | None = None,  # a TrueType file; None: one that has the characters
) -> Written:
    """Write rows as a PDF file with A4 pages, embedded fonts and selectable texts."""
    limit = checked_limit(max_rows)
    taken = list(rows.take(limit))
    left_out += rows.count_rest()
    table = columns(rows.columns, taken)
    heading = one_line(title or "")
    note = _note(left_out, rest_at) if limit else ""
    names = [figure.name for figure in figures]
    texts = [heading, note, *names, *(text for column in table for text in (column.title, *column.cells))]
    page = _Page(wide=len(table) >= WIDE_FROM and bool(limit), texts=texts, font=font)
    page.title(heading)
    if figures:
        page.figures(figures, formats or Formats(DEFAULT_LOCALE))
    if picture is not None:
        page.picture(picture)
    if limit:
        page.table(table, len(taken))
        page.note(note)
    page.save(path)
    return Written(len(taken), left_out)


def checked_limit(max_rows: int | None) -> int:
    """Return the limit for the rows of a PDF's table; raises PayloadError if it is more than people can read."""
    if max_rows is not None and max_rows > MOST_ROWS:
        raise PayloadError(
            f"a PDF of {max_rows:,} rows is too long to read",
            field="max_rows",
            limit=MOST_ROWS,
            advice="Leave it out, or give format='xlsx' or 'csv'.",
        )
    return DEFAULT_ROWS if max_rows is None else max_rows


def _note(left_out: int, rest_at: str | None) -> str:
    if not left_out:
        return ""
    where = f" All rows: {one_line(rest_at)}" if rest_at else ""
    return f"{counted(left_out)} more {'row' if left_out == 1 else 'rows'} not shown.{where}"


@dataclass(slots=True)
class _Drawn:
    """A column with its width in millimetres."""

    column: Column
    width: float


class _Page:
    """The pages, filled from top to bottom."""

    def __init__(self, *, wide: bool, texts: Sequence[str], font: str | None) -> None:
        try:
            from fpdf import FPDF
        except ImportError as error:
            raise missing("fpdf2", "pdf") from error
        logging.getLogger("fontTools").setLevel(logging.WARNING)
        self._pdf: Any = FPDF(orientation="L" if wide else "P", format="A4")
        self._pdf.set_margin(MARGIN)
        self._pdf.c_margin = 0
        self._pdf.set_auto_page_break(auto=False)
        self._widths: dict[str, float] = {}
        self._choose_fonts(set("".join(texts)), font)
        self._add()

    def _choose_fonts(self, characters: set[str], font: str | None) -> None:
        chain = FontChain(font)
        self._drawable = chain.drawable
        chain.drawable("".join(sorted(characters)))
        chain.warn_of_unknown()
        for number, (_, file) in enumerate(chain.files()):
            self._pdf.add_font(f"font{number}", fname=file)
        self._pdf.set_fallback_fonts(
            [f"font{number}" for number in range(1, len(chain.families))], exact_match=False
        )
        # Scripts whose letters depend on their neighbours, or that are written from right to left.
        self._shapes = any("\u0590" <= character <= "\u109f" for character in characters)
        self._pdf.set_text_shaping(self._shapes)

    def _add(self) -> None:
        self._pdf.add_page()
        self._pdf.set_font("font0", size=TEXT)
        self._pdf.set_text_color(*GREY)
        self._pdf.text(self._pdf.w - MARGIN - 8, self._pdf.h - MARGIN / 2, str(self._pdf.page_no()))
        self._y = MARGIN

    @property
    def _bottom(self) -> float:
        return float(self._pdf.h) - MARGIN

    @property
    def _room(self) -> float:
        return float(self._pdf.w) - 2 * MARGIN

    def title(self, text: str) -> None:
        if not text:
            return
        align = "R" if is_right_to_left(text) else "L"
        self._pdf.set_font("font0", size=TITLE)
        self._pdf.set_text_color(*INK)
        self._pdf.set_xy(MARGIN, self._y)
        self._pdf.multi_cell(self._room, TITLE * 0.45, self._drawable(text), align=align)
        self._y = self._pdf.get_y() + TITLE * 0.45 + 2
        self._pdf.set_font("font0", size=TEXT)

    def figures(self, figures: Sequence[Figure], formats: Formats) -> None:
        """Write figures beside each other: name, value and change."""
        width = self._room / len(figures)
        for number, figure in enumerate(figures):
            lines = [(figure.name.replace("_", " "), TEXT, GREY), (NO_FIGURE, TITLE, INK)]
            if figure.value is not None:
                lines[1] = (formats.number(figure.value, compact=abs(figure.value) >= 1e7), TITLE, INK)
                if figure.compared is not None:
                    change = formats.change(figure.value, figure.compared)
                    lines.append((f"{change} ({formats.number(figure.compared, compact=True)})", TEXT, INK))
            y = self._y
            for text, size, color in lines:
                self._pdf.set_font("font0", size=size)
                self._pdf.set_text_color(*color)
                self._widths.clear()
                self._pdf.text(MARGIN + number * width, y + size * 0.38, self._fit(text, width - 2 * PAD))
                y += size * 0.5
        self._widths.clear()
        self._pdf.set_font("font0", size=TEXT)
        self._y += (TITLE + 2 * TEXT) * 0.5 + ROW

    def picture(self, path: Path) -> None:
        from PIL import Image

        with Image.open(path) as image:
            share = image.height / image.width
        width = min(self._room, PICTURE, (self._bottom - self._y) / share)
        self._pdf.image(str(path), x=MARGIN, y=self._y, w=width, h=width * share)
        self._y += width * share + ROW

    def table(self, table: list[Column], rows: int) -> None:
        if not table:
            self.note("No rows")
            return
        drawn = self._laid_out(table)
        if self._y + 4 * ROW > self._bottom:
            self._add()
        self._head(drawn)
        for row in range(rows):
            if self._y + ROW > self._bottom:
                self._add()
                self._head(drawn)
            self._row(
                [(one, one.column.cells[row]) for one in drawn], fill=ZEBRA if row % 2 else None, color=INK
            )
        if not rows:
            self.note("No rows")
        if len(drawn) < len(table):
            self.note(f"{len(table) - len(drawn)} more columns did not fit.")

    def note(self, text: str) -> None:
        if not text:
            return
        if self._y + ROW > self._bottom:
            self._add()
        self._pdf.set_text_color(*GREY)
        self._line(MARGIN, self._fit(text, self._room))
        self._y += ROW

    def _line(self, left: float, text: str) -> None:
        """Write one line; only a cell joins and orders letters as a script needs."""
        if self._shapes:
            self._pdf.set_xy(left, self._y)
            self._pdf.cell(self._width(text) + 2, ROW, text)
        else:
            self._pdf.text(left, self._y + ROW * 0.7, text)

    def _head(self, drawn: list[_Drawn]) -> None:
        titles = [(one, one.column.title.replace("_", " ")) for one in drawn]
        self._row(titles, fill=HEAD, color=(255, 255, 255))

    def _row(
        self,
        cells: list[tuple[_Drawn, str]],
        *,
        fill: tuple[int, int, int] | None,
        color: tuple[int, int, int],
    ) -> None:
        if fill:
            self._pdf.set_fill_color(*fill)
            self._pdf.rect(MARGIN, self._y, sum(one.width for one, _ in cells), ROW, style="F")
        self._pdf.set_font("font0", size=TEXT)
        self._pdf.set_text_color(*color)
        x = MARGIN
        for one, text in cells:
            shown = self._fit(text, one.width - 2 * PAD)
            right = one.column.numeric or is_right_to_left(shown)
            left = x + one.width - PAD - self._width(shown) if right else x + PAD
            self._line(left, shown)
            x += one.width
        self._y += ROW

    def _laid_out(self, table: list[Column]) -> list[_Drawn]:
        """Give each column the width that its texts need; if space is short, long texts get less, the last none."""
        wanted = [self._wanted(column) for column in table]
        least = narrowest(table, wanted, text=LEAST_OF_A_TEXT, room=self._room)
        wanted = wanted[: len(least)]
        # The rest goes first to columns that need it, in equal shares, then to all.
        missing_width = sum(wanted) - sum(least)
        share = min(1.0, max(0.0, self._room - sum(least)) / missing_width) if missing_width else 0.0
        widths = [low + share * (want - low) for low, want in zip(least, wanted, strict=True)]
        rest = max(0.0, self._room - sum(widths)) / len(widths)
        return [
            _Drawn(column, min(width + rest, self._room))
            for column, width in zip(table, widths, strict=False)
        ]

    def _wanted(self, column: Column) -> float:
        longest = sorted({column.title.replace("_", " "), *column.cells}, key=len)[-20:]
        wanted = max(map(self._width, map(self._drawable, longest))) + 2 * PAD + 0.5
        return max(NARROWEST, wanted if column.numeric else min(wanted, WIDEST))

    def _width(self, text: str) -> float:
        if text not in self._widths:
            if len(self._widths) > 50_000:
                self._widths.clear()
            self._widths[text] = float(self._pdf.get_string_width(text))
        return self._widths[text]

    def _fit(self, text: str, room: float) -> str:
        """Return a text that fits, cut if necessary."""
        return shortened(self._drawable(text), room, self._width)

    def save(self, path: Path) -> None:
        self._pdf.output(str(path))
