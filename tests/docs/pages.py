"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if "_generated" not in path.parts and path.name != "CHANGELOG.md"
)

_MARK = re.compile(r"\s*<!--\s*(?P<name>[a-z ]+?)(?::\s*(?P<value>.*?))?\s*-->\s*", re.DOTALL)
MARKS = {"not run", "background", "file", "exit", "state", "parsed"}
"""
What a comment above a block may say: ``not run: WHY``; ``background`` for a program that stays; ``file: NAME`` for a
block without a comment of its own that names it; ``exit: STATUS`` that a shell block ends with; ``state: STATE`` that
the DAG's run ends with; ``parsed: WHY`` for a DAG that Airflow reads, and that is not run.
"""


class PageError(AssertionError):
    """A block is not as it should be."""


@dataclass(frozen=True)
class Block:
    """
    A fenced block.

    :param page: Its page, from the root.
    :param line: Its first line, from 1.
    :param language: What follows the fence.
    :param text: What is in it.
    :param marks: What the comment above it says.
    """

    page: str
    line: int
    language: str
    text: str
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file's name, where the block is one: from the comment above it, or from its own first line."""
        if "file" in self.marks:
            return self.marks["file"]
        found = re.match(r"# ([\w./-]+\.\w+)\n", self.text)
        return found[1] if found else None


def blocks_of(text: str, page: str) -> list[Block]:
    """
    Return a page's blocks in their order.

    :param text: The page.
    :param page: Its name.
    :raises PageError: A block is indented instead of fenced, or a mark is not known.
    """
    found, marks = [], {}
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        line = (token.map or [0])[0] + 1
        if token.type == "html_block" and (mark := _MARK.fullmatch(token.content)):
            if mark["name"] not in MARKS:
                raise PageError(f"{page}:{line}: no mark is called {mark['name']!r}")
            marks[mark["name"]] = mark["value"] or ""
            continue
        if token.type == "code_block":
            raise PageError(f"{page}:{line}: an indented block has no language; fence it")
        if token.type == "fence":
            found.append(Block(page, line, token.info.strip(), token.content, marks))
        if token.nesting != 1:
            marks = {}
    return found


def read(path: Path) -> list[Block]:
    """
    Return the blocks of a page.

    :param path: The page.
    """
    return blocks_of(path.read_text("utf-8"), str(path.relative_to(ROOT)))
