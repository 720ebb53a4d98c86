"""Bubbles as HTML: the templates and the style that every page of messages uses."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

if TYPE_CHECKING:
    from airflow_provider_whatsapp.preview.message import Bubble

FOLDER = Path(__file__).parent / "templates"
"""Holds ``bubble.html``, the macros, and ``bubble.css``, their style."""


def clock_time(at: float) -> str:
    """Return hours and minutes of a Unix time in this machine's time zone: ``14:05``."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M")


def exact_time(at: float) -> str:
    """Return hours, minutes and seconds of a Unix time in this machine's time zone: ``14:05:09``."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M:%S")


def day(at: float) -> str:
    """Return the date of a Unix time in this machine's time zone: ``28 November 2026``."""
    local = datetime.fromtimestamp(at, UTC).astimezone()
    return f"{local.day} {local:%B %Y}"


def environment(*folders: Path) -> Environment:
    """Return a Jinja environment with the macros, and with the templates of further folders, searched first."""
    made = Environment(
        loader=FileSystemLoader([*folders, FOLDER]), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"clock": clock_time, "exact": exact_time, "day": day}
    return made


def style() -> str:
    """Return the CSS of bubbles, light and dark, with the colours as variables of ``:root``."""
    return (FOLDER / "bubble.css").read_text("utf-8")


@cache
def _macros() -> Environment:
    return environment()


def render(bubble: Bubble) -> Markup:
    """Return a bubble as HTML without scripts; its addresses are only ``data:`` URLs and the ``href`` of files."""
    module = _macros().get_template("bubble.html").module
    return Markup(module.message(bubble, None))  # type: ignore[attr-defined]  # noqa: S704  the macros escape
