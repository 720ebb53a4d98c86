"""The pages of the documentation, and the blocks of code in them and in the package's docstrings."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import textwrap
from dataclasses import dataclass, field, replace
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if "_generated" not in path.parts and path.name != "CHANGELOG.md"
)
MODULES = sorted((ROOT / "airflow_provider_whatsapp").rglob("*.py"))

HOLDING_TEXT = {"if-there", "important"}
DIRECTIVES = {*HOLDING_TEXT, "eval-rst", "from-code", "image", "include", "toctree"}
"""What Sphinx reads when it builds; none of them shows code that is not run."""

_MARK = re.compile(r"\s*<!--\s*(?P<name>[a-z ]+?)(?::\s*(?P<value>.*?))?\s*-->\s*", re.DOTALL)
MARKS = {"not run", "background", "file", "exit", "state", "parsed"}
"""
What a comment above a block may say: ``not run: WHY``; ``background`` for a program that stays; ``file: NAME`` for a
block without a comment of its own that names it; ``exit: STATUS`` that a shell block ends with; ``state: STATE`` that
the DAG's run ends with; ``parsed: WHY`` for a DAG that Airflow reads, and that is not run.
"""
_COLONS = re.compile(r"(?m)^:::+(\{.*)$")
_CODE = re.compile(
    r"(?m)^(?P<indent> *)\.\. code-block:: *(?P<language>.*)\n(?:(?P=indent) +:[\w-]+:.*\n)*"
    r"\n(?P<text>(?:(?P=indent) +.*\n|\n)+)"
)
_OTHER_CODE = re.compile(r"(?m)^ *\.\. |::$|^ *>>> ")
_ANY_CODE = re.compile(r"(?<!\.)\.\. |::|>>> ")
"""Is in every module that has a block, and in few others."""


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
    def directive(self) -> str | None:
        """The directive's name, where the block is one."""
        found = re.match(r"\{(.*?)\}", self.language)
        return found[1] if found else None

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
        if token.type == "inline":
            found += [Block(page, line, opened.strip(), "") for opened in _COLONS.findall(token.content)]
        if token.type == "fence":
            found.append(Block(page, line, token.info.strip(), token.content, marks))
            if found[-1].directive in HOLDING_TEXT:
                found += [replace(each, line=line + each.line) for each in blocks_of(token.content, page)]
        if token.nesting != 1:
            marks = {}
    return found


def docstring_blocks_of(code: str, page: str) -> list[Block]:
    """
    Return the blocks in a module's docstrings, those of attributes too.

    :param code: The module.
    :param page: Its name.
    :raises PageError: There is code that is not in a block with a language.
    """
    found: list[Block] = []
    if not _ANY_CODE.search(code):
        return found
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(docstring))):
                text = inspect.cleandoc(docstring) + "\n"
                first = node.lineno + docstring.startswith("\n")
                for block in _CODE.finditer(text):
                    line = first + text.count("\n", 0, block.start())
                    shown = textwrap.dedent(block["text"]).strip("\n") + "\n"
                    found.append(Block(page, line, block["language"].strip(), shown))
                if _OTHER_CODE.search(_CODE.sub("", text)):
                    raise PageError(f"{page}:{first}: code in a docstring stands below a `.. code-block::`")
    return sorted(found, key=lambda block: block.line)


@functools.cache
def read(path: Path) -> tuple[Block, ...]:
    """
    Return the blocks of a page, or of a module's docstrings.

    :param path: The page or module, which is read once: each process of a run of tests collects them all.
    """
    blocks = docstring_blocks_of if path.suffix == ".py" else blocks_of
    return tuple(blocks(path.read_text("utf-8"), str(path.relative_to(ROOT))))
