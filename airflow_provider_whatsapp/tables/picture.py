"""A table as a picture that can be read on a phone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.tables.cells import Column, columns, one_line
from airflow_provider_whatsapp.tables.files import missing
from airflow_provider_whatsapp.tables.layout import ELLIPSIS, narrowest
from airflow_provider_whatsapp.tables.rows import Written, counted

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_whatsapp.tables.fonts import Fonts
    from airflow_provider_whatsapp.tables.rows import Rows

DEFAULT_ROWS = 25
"""Number of rows that fill a phone's screen in portrait format."""

MOST_ROWS = 100

# WhatsApp scales a picture to the screen (some 400 points wide), and its longer side to about 1,600 pixels.
NARROWEST, COMFORTABLE, WIDEST = 720, 1080, 1600
MARGIN = 36
GAP = 40
"""Pixels between columns."""

LINES = 3
"""The most lines of a text before it is cut."""

INK, GREY, WHITE = (24, 32, 38), (98, 108, 116), (255, 255, 255)
HEAD, ZEBRA, LINE = (18, 84, 84), (240, 245, 245), (206, 216, 216)


@dataclass
class _Drawn:
    """A column with its width in pixels and its cells, each as lines."""

    column: Column
    width: int
    title: list[str]
    cells: list[list[str]]


def write_png(
    path: Path, rows: Rows, *, max_rows: int | None = None, title: str | None = None, font: str | None = None
) -> Written:
    """Draw a table: title, header, striped rows, numbers to the right, and how many rows and columns are left out."""
    if max_rows is not None and max_rows > MOST_ROWS:
        raise PayloadError(
            f"a picture of {max_rows:,} rows cannot be read on a phone",
            field="max_rows",
            limit=MOST_ROWS,
            advice="Leave it out, or give format='xlsx' or 'csv'.",
        )
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise missing("Pillow", "png") from error
    from airflow_provider_whatsapp.tables.fonts import Fonts

    taken = list(rows.take(max_rows or DEFAULT_ROWS)) if rows.columns else []
    left_out = rows.count_rest()
    all_columns = columns(rows.columns or [""], taken)
    heading = one_line(title or "")
    texts = [
        heading,
        *(text for column in all_columns for text in [column.title, *column.cells]),
    ]
    fonts = Fonts.for_text("".join(texts), font)
    for column in all_columns:
        column.title = fonts.drawable(column.title)
        column.cells = [fonts.drawable(cell) for cell in column.cells]
    drawn = _laid_out(all_columns, fonts)
    note = _note(len(taken), left_out, len(all_columns) - len(drawn))
    _draw(path, drawn, len(taken), title=fonts.drawable(heading), note=note, fonts=fonts)
    return Written(len(taken), left_out)


def _note(rows: int, left_out: int, hidden: int) -> str:
    """Return what the picture does not show, as text."""
    notes = []
    if not rows:
        notes.append("No rows")
    if left_out:
        notes.append(f"{ELLIPSIS} and {counted(left_out)} more {'row' if left_out == 1 else 'rows'}")
    if hidden:
        notes.append(f"{hidden} more {'column' if hidden == 1 else 'columns'} did not fit")
    return "; ".join(notes)


def _laid_out(all_columns: list[Column], fonts: Fonts) -> list[_Drawn]:
    """Give each column its width: numbers what they need, texts the rest, and none to the last columns."""
    room = WIDEST - 2 * MARGIN
    wanted = [_wanted(column, fonts) for column in all_columns]
    least = narrowest(all_columns, wanted, text=7 * fonts.size, room=room, gap=GAP)
    shown = len(least)
    widths, gaps = wanted[:shown], GAP * (shown - 1)
    room = min(room, max(COMFORTABLE - 2 * MARGIN, sum(least) + gaps)) - gaps
    while sum(widths) > room and widths != least:
        longest = max(
            (index for index in range(shown) if widths[index] > least[index]), key=widths.__getitem__
        )
        widths[longest] = max(least[longest], widths[longest] - fonts.size // 2)
    widths = [min(width, room) for width in widths]
    spare = NARROWEST - 2 * MARGIN - gaps - sum(widths)
    if spare > 0:
        widths = [width + spare // shown for width in widths]
    return [
        _Drawn(
            column,
            width,
            fonts.wrap(column.title.replace("_", " "), width, LINES),
            [fonts.wrap(cell, width, LINES) for cell in column.cells],
        )
        for column, width in zip(all_columns[:shown], widths, strict=True)
    ]


def _wanted(column: Column, fonts: Fonts) -> int:
    cells = max((fonts.width(cell) for cell in column.cells), default=0)
    words = column.title.replace("_", " ").split()
    longest_word = max((fonts.width(word) for word in words), default=0)
    # A title may have two lines, so that it does not widen a column of short numbers.
    title = min(fonts.width(column.title), max(longest_word, fonts.width(column.title) * 0.65))
    most = WIDEST if column.numeric else 20 * fonts.size
    return int(min(max(cells, title, 2 * fonts.size), most)) + 2


def _draw(path: Path, drawn: list[_Drawn], rows: int, *, title: str, note: str, fonts: Fonts) -> None:
    from PIL import Image, ImageDraw

    line = int(fonts.size * 1.3)
    pad = int(fonts.size * 0.42)
    width = sum(column.width for column in drawn) + GAP * (len(drawn) - 1) + 2 * MARGIN
    titles = fonts.wrap(title, width - 2 * MARGIN, LINES, large=True) if title else []
    notes = fonts.wrap(note, width - 2 * MARGIN, LINES) if note else []
    large = int(fonts.size * 1.75)
    top = len(titles) * large + MARGIN if titles else 0
    heads = max(len(column.title) for column in drawn)
    lines = [max(len(column.cells[row]) for column in drawn) for row in range(rows)]
    bottom = len(notes) * line + 2 * pad if notes else 0
    height = top + sum(count * line + 2 * pad for count in [heads, *lines]) + bottom
    image = Image.new("RGB", (width, height), WHITE)
    canvas = ImageDraw.Draw(image)

    for number, text in enumerate(titles):
        canvas.text((MARGIN, MARGIN // 2 + number * large), text, INK, fonts.large, stroke_width=1)
    y = top
    canvas.rectangle((0, y, width, y + heads * line + 2 * pad - 1), HEAD)
    _draw_row(canvas, drawn, [column.title for column in drawn], y + pad, fonts=fonts, color=WHITE)
    y += heads * line + 2 * pad
    for row, count in enumerate(lines):
        below = y + count * line + 2 * pad
        if row % 2:
            canvas.rectangle((0, y, width, below - 1), ZEBRA)
        _draw_row(canvas, drawn, [column.cells[row] for column in drawn], y + pad, fonts=fonts, color=INK)
        y = below
    canvas.line((0, y - 1, width, y - 1), LINE, 2)
    for number, text in enumerate(notes):
        canvas.text((MARGIN, y + pad + number * line), text, GREY, fonts.normal)
    image.quantize(64).save(path, "PNG", optimize=True)


def _draw_row(
    canvas: Any,
    drawn: list[_Drawn],
    cells: list[list[str]],
    y: int,
    *,
    fonts: Fonts,
    color: tuple[int, int, int],
) -> None:
    line = int(fonts.size * 1.3)
    x = MARGIN
    for column, cell in zip(drawn, cells, strict=True):
        for number, text in enumerate(cell):
            left = x + column.width - fonts.width(text) if column.column.numeric else x
            canvas.text((left, y + number * line), text, color, fonts.normal)
        x += column.width + GAP
