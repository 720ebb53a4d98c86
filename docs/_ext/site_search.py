"""
The site's search: Sphinx's own drops numbers, so an error code leads nowhere, and it ranks no guide before a changelog.

When the pages are written, their HTML is cut into entries (a page, a section, a documented name, an error code), and
the words of each get their weights. That file is all that ``_static/site_search.js`` loads; no other host
is asked. :func:`ask` ranks as the script does, for the promises below and for tests.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.util import logging

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sphinx.application import Sphinx

INDEX = "site_search_index.js"
PREFIX = "SITE_SEARCH_INDEX = "
IGNORED = {
    *[
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "can",
        "do",
        "does",
        "for",
        "from",
        "how",
        "i",
        "if",
        "in",
        "is",
        "it",
        "my",
        "of",
        "on",
        "or",
        "so",
        "the",
        "to",
        "what",
        "when",
        "with",
    ]
}
HEADING = re.compile(r"h[1-6]")
TITLE_TAG = "title"
"""What a heading, or a documented name, is called among the open tags."""
UNREAD = {"script", "style", "nav"}
TITLE, PAGE_TITLE, KEYWORD, CODE = 6.0, 10.0, 12.0, 40.0
"""Weights of a word in a title, a page's title, its keywords, and of a code in its own row; in a text it has 1 to 3."""
EXCERPT = 200
"""Characters that a result shows of its text."""


@dataclass
class Entry:
    """
    A place that a search can lead to.

    :param url: From the site's root, with the anchor.
    :param title: Its heading, name or code.
    :param page: The page's title.
    """

    url: str
    title: str = ""
    page: str = ""
    words: list[str] = field(default_factory=list)
    keywords: str = ""
    is_page: bool = False
    is_row: bool = False


class Cutter(HTMLParser):
    """
    Cuts the article of a page into entries.

    :param url: The page's address from the site's root.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self.entries: list[Entry] = []
        self._url = url
        self._open: list[tuple[str, Entry | None]] = []
        """The open tags, each with the entry that ends with it."""
        self._current: list[Entry] = []
        self._in_article = False
        self._row: list[Entry] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an entry where there is an anchor."""
        given = dict(attrs)
        if tag == "article" and given.get("role") == "main":
            self._in_article = True
        if not self._in_article or tag in {"br", "img", "input", "hr", "col", "wbr", "use", "meta", "link"}:
            return
        entry = None
        anchor = given.get("id")
        if anchor and tag in {"section", "dt"}:
            entry = Entry(f"{self._url}#{anchor}" if self.entries else self._url, is_page=not self.entries)
        elif anchor and tag == "a" and any(name == "td" for name, _ in self._open):
            entry = Entry(f"{self._url}#{anchor}", title=anchor, is_row=True)
            self._row.append(entry)
        if entry:
            self.entries.append(entry)
            self._current.append(entry)
        if (
            entry and tag == "dt"
        ):  # a name's description belongs to it, and both end with the list that they are in
            place = max(number for number, (name, _) in enumerate(self._open) if name == "dl")
            self._open[place] = ("dl", self._open[place][1] or entry)
        name = TITLE_TAG if (entry and tag == "dt") or HEADING.fullmatch(tag) else tag
        self._open.append((name, entry if tag == "section" else None))

    def handle_endtag(self, tag: str) -> None:
        """End what it began."""
        if tag == "article":
            self._in_article = False
        names = {tag, TITLE_TAG} if tag == "dt" or HEADING.fullmatch(tag) else {tag}
        if not self._in_article or not any(name in names for name, _ in self._open):
            return
        while self._open:
            name, entry = self._open.pop()
            if entry:
                self._end(entry)
            if name in names:
                break
        if tag == "tr" and self._row:
            for entry in self._row[:-1]:  # several codes share a row, whose text the last one has
                entry.words = self._row[-1].words
            self._end(self._row[0])
            self._row = []

    def _end(self, entry: Entry) -> None:
        while self._current and self._current.pop() is not entry:
            pass

    def handle_data(self, data: str) -> None:
        """Add to the entry's text, or to its title."""
        tags = [name for name, _ in self._open]
        if not self._in_article or not self._current or UNREAD & {*tags}:
            return
        entry = self._current[-1]
        if data in {"¶", "[source]"} or "svg" in tags:
            return
        if TITLE_TAG in tags:
            entry.title += data
        else:
            entry.words.append(data)


def cut(html: str, url: str, keywords: str = "") -> list[Entry]:
    """
    Return the entries of a page; the first is the page.

    :param html: The page, as the browser gets it.
    :param url: Its address from the site's root.
    :param keywords: What people call the thing, beside what the page says itself.
    """
    cutter = Cutter(url)
    cutter.feed(html)
    for entry in cutter.entries:
        entry.title = " ".join(entry.title.split())
        entry.page = cutter.entries[0].title
    if cutter.entries:
        cutter.entries[0].keywords = keywords
    return cutter.entries


def words_of(text: str) -> list[str]:
    """
    Return the words of a text as they are looked up: in lower case, parts of names too, a plural as its singular.

    :param text: Any text.
    """
    found = []
    for word in re.findall(r"[^\W_]+(?:_[^\W_]+)*", text.lower()):
        found += [word, *word.split("_")] if "_" in word else [word]
    return [singular(word) for word in found if word not in IGNORED]


def singular(word: str) -> str:
    """Return a word without the s of its plural."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def index_of(entries: Iterable[Entry], lower: Iterable[str] = ()) -> dict[str, Any]:
    """
    Return the index: its entries, and for each word where it is and what it weighs there.

    :param entries: All entries.
    :param lower: Pages (their addresses) that come after others.
    """
    listed = list(entries)
    weights: dict[str, dict[int, float]] = defaultdict(dict)
    for number, entry in enumerate(listed):
        here: Counter[str] = Counter()
        for word, count in Counter(words_of(" ".join(entry.words))).items():
            here[word] += min(3.0, 1 + math.log(count))
        for word in {*words_of(entry.title)}:
            here[word] += PAGE_TITLE if entry.is_page else CODE if entry.is_row and word.isdigit() else TITLE
        for word in {*words_of(entry.keywords)}:
            here[word] += KEYWORD
        factor = 0.2 if entry.url.partition("#")[0] in lower else 1.0
        for word, weight in here.items():
            weights[word][number] = weight * factor
    total = len(listed)
    return {
        "entries": [
            [
                entry.url,
                entry.title,
                entry.page,
                " ".join(" ".join(entry.words).split()).removeprefix(entry.title).strip()[:EXCERPT],
            ]
            for entry in listed
        ],
        "words": {
            word: [
                [number, round(weight * math.log(1 + total / len(found)), 1)]
                for number, weight in found.items()
            ]
            for word, found in sorted(weights.items())
        },
    }


def ask(index: dict[str, Any], query: str) -> list[str]:
    """
    Return the addresses that a search gives, best first, as ``site_search.js`` does.

    :param index: The index.
    :param query: What was typed.
    """
    wanted = list(dict.fromkeys(words_of(query)))
    scores: dict[int, float] = defaultdict(float)
    matched: dict[int, int] = defaultdict(int)
    for word in wanted:
        best: dict[int, float] = {}
        for known, places in index["words"].items():
            # What is being typed is the beginning of a word; a beginning counts less than the word.
            likeness = 1.0 if known == word else 0.4 if len(word) > 3 and known.startswith(word) else 0.0
            for number, weight in places if likeness else ():
                best[number] = max(best.get(number, 0.0), weight * likeness)
        for number, weight in best.items():
            scores[number] += weight
            matched[number] += 1
    ranked = sorted(
        scores, key=lambda number: (-scores[number] * (matched[number] / len(wanted)) ** 2, number)
    )
    return [index["entries"][number][0] for number in ranked]


def write(app: Sphinx, failure: Exception | None) -> None:
    """
    Write the index of a site that was built, and warn of every search that does not lead where it should.

    :param app: Sphinx.
    :param failure: What ended the build.
    """
    if failure or app.builder.name != "html":
        return
    pages = sorted(app.env.found_docs)
    lower = [f"{page}.html" for page in app.config.search_comes_last]
    entries = [
        entry
        for page in pages
        for entry in cut(
            Path(app.outdir, f"{page}.html").read_text("utf-8"),
            f"{page}.html",
            app.env.metadata[page].get("keywords", ""),
        )
    ]
    index = index_of(entries, lower)
    Path(app.outdir, "_static", INDEX).write_text(
        f"{PREFIX}{json.dumps(index, ensure_ascii=False, separators=(',', ':'))};\n", "utf-8"
    )
    for query, promised in app.config.search_leads_to.items():
        first = (ask(index, query) or ["nowhere"])[0]
        if first != promised and not ("#" not in promised and first.startswith(f"{promised}#")):
            logging.getLogger(__name__).warning(
                "a search for %r leads to %s first, not to %s: give that page the keywords",
                query,
                first,
                promised,
            )


def setup(app: Sphinx) -> dict[str, Any]:
    """
    Add it.

    :param app: Sphinx.
    """
    app.add_config_value("search_leads_to", {}, "html")
    app.add_config_value("search_comes_last", [], "html")
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
