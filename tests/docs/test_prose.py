"""The words that the documentation does not use any more, each with the one that stands in its place."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.pages import PAGES, ROOT

MODULES = sorted(
    path
    for path in (ROOT / "airflow_provider_whatsapp").rglob("*")
    if path.suffix in (".py", ".html", ".js", ".css", ".lua")
)

RETIRED = {
    r"by (itself|themselves)": "automatically, without a setting; or name who does it",
    r"anew": "again",
    r"(is|are|be|been|was|were|being) (kept|held) back|keeps? back": "suppressed",
    r"told": "notified, reported, said; an alert goes to somebody",
    r"in earnest": "in production, with a real account",
    r"whoever": "people who, anyone who, the person who",
    r"patience": "time budget",
    r"mend(s|ed|ing)?": "fix, correct, put right",
    r"until the log-in": "until you log in again",
    r"(is|are) no (window|mapping|results file|source|token)": "is not a ..., are not a ...",
    r"parted by": "separated by",
    r"whatever": "any, every, no matter which",
    r"(what|that) (became|becomes) of": "the outcome of",
    r"has it that": "says that",
    r"at one go": "together, in one step",
    r"(go|goes|went|going) on": "continue",
    r"(is|are|was|were|stays) away": "is down, cannot be reached",
    r"for (it|they|he|nobody|who) (is|are|was|has|have|had|may|can|could|knows?|begins?|gives?)": "because",
    r"was to (be|report)": "should",
    r"(is|are) waited (for|out)": "name who waits",
    r"log-in": "login; the verb: log in",
}
WORD = re.compile(rf"\b({'|'.join(f'(?:{word})' for word in RETIRED)})\b", re.IGNORECASE)


def prose(text):
    """Return a page without code, comments and addresses, its lines where they were."""

    def blank(found):
        return re.sub(r"[^\n]", " ", found[0])

    for unread in (
        r"(?ms)^ *(`{3,}|~{3,}).*?^ *\1 *$",
        r"(?s)<!--.*?-->",
        r"`[^`]+`",
        r"(?<=\])\([^)\s]*\)",
    ):
        text = re.sub(unread, blank, text)
    return text


def retired(text):
    """Return each retired word with its line, in a paragraph that may break it."""
    text = prose(text)
    joined = re.sub(r"\n(?=\S)", " ", text)
    return [(text.count("\n", 0, found.start()) + 1, found[0]) for found in WORD.finditer(joined)]


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_no_page_uses_a_retired_word(page):
    found = retired(page.read_text("utf-8"))

    words = {
        word: next(RETIRED[each] for each in RETIRED if re.fullmatch(each, word, re.IGNORECASE))
        for _, word in found
    }
    assert found == [], f"say instead: {words}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Alerts are kept back.", [(1, "are kept back")]),
        ("One line.\nIt is sent anew, by\nitself.", [(2, "anew"), (2, "by itself")]),
        ("`told` and\n```text\ntold 1 of 1\n```\n<!-- whoever -->\n[x](#who-is-told)", []),
        ("**Whoever** mends it", [(1, "Whoever"), (1, "mends")]),
        ("The recommended, foretold way; back is kept.", []),
    ],
    ids=["phrase", "lines", "code", "emphasis", "parts"],
)
def test_the_check_reads_prose_alone(text, found):
    assert retired(text) == found


CODE = re.compile(
    r"(?<![^\W_])(anew|kept back|keeps back|in earnest|mended|until the log-in|parted by|told|whoever|patience|"
    r"by itself|(is|are) no (window|mapping|results file|token|source))(?![^\W_])",
    re.IGNORECASE,
)
"""Of the retired words, those that the code uses no more: neither in texts, comments and docstrings nor in names."""


STORED = re.compile(r":param told:|\.told\b|\btold(?==|: int\b)")
"""A field of what alerts store: Variables, files and Redis hold it by this name."""


def retired_in_code(text):
    """Return the retired words of a module; a phrase may go over two lines, and a name is made of words."""
    text = STORED.sub("", text)
    return [found[0] for found in CODE.finditer(re.sub(r"\s*\n\s*(?:#:? )?", " ", text))]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_uses_a_retired_word(path):
    assert retired_in_code(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# It is kept\n    # back, whoever asks.", ["kept back", "whoever"]),
        ("self._told_at = patience", ["told", "patience"]),
        ('"""Sent anew."""', ["anew"]),
        ("foretold = bytes_itself", []),
    ],
    ids=["comment", "names", "docstring", "parts"],
)
def test_the_check_reads_comments_and_names(text, found):
    assert retired_in_code(text) == found


ALERTS = sorted((ROOT / "airflow_provider_whatsapp" / "notifications").glob("*.py"))


@pytest.mark.parametrize("path", ALERTS, ids=lambda path: path.name)
def test_what_alerts_record_is_their_throttle_state(path):
    assert re.findall(r"(?i)remember|memor(?:y|ies)", path.read_text("utf-8")) == []


DIRECTIVE = re.compile(r"^\.\. automodule:: airflow_provider_whatsapp\.(\S+)\n((?: +:.*\n)*)", re.MULTILINE)


def directives():
    """Return the modules that the reference describes, each with the options of its directive."""
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs" / "reference").glob("*.md"))
    return sorted(DIRECTIVE.findall(pages))


def described():
    """Return the modules that the reference describes, each with whether their classes are in it."""
    return [(name, ":no-members:" not in options) for name, options in directives()]


def shown(module, members):
    """Return the docstrings that the reference shows of a module."""
    path = ROOT / "airflow_provider_whatsapp" / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    nodes = [ast.parse(file.read_text("utf-8"))]
    for node in nodes:
        yield (ast.get_docstring(node) or "").replace("``", "`")
        if members:
            nodes += [
                each
                for each in node.body
                if isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                and not each.name.startswith("_")
                and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            ]


@pytest.mark.parametrize(("module", "members"), described())
def test_no_docstring_of_the_reference_uses_a_retired_word(module, members):
    found = [word for docstring in shown(module, members) for _, word in retired(docstring)]

    assert found == []
