"""The site's search: what an index leads to, that the page ranks as the build does, that broken promises show."""

from __future__ import annotations

import json

import pytest

from tests.chromium import CHROMIUM, OPTIONS
from tests.docs.pages import ROOT

sphinx = pytest.importorskip("sphinx", reason="Sphinx builds the site")

ERRORS = """<nav><a id="menu">131026 alerts</a></nav><article role="main"><section id="errors"><h1>Errors<a>¶</a></h1>
<p>What codes mean: all of them are about messages.</p><section id="codes"><h2>Codes</h2><table>
<tr><td><a id="131026"></a><code>131026</code></td><td>undeliverable, not on WhatsApp</td></tr>
<tr><td><a id="100"></a><a id="2388024"></a><code>100</code></td><td>a template of this name exists</td></tr>
</table><p>After the table.</p></section></section></article>"""
ALERTS = """<article role="main"><section id="alerts"><h1>Alerts</h1><p>One message for a storm of failures.</p>
<dl><dt id="airflow_provider_whatsapp.x.send_alert">send_alert()<a>[source]</a></dt><dd><p>Sends 131026 times.</p>
<dl><dt>Parameters:</dt><dd>to</dd></dl><p>Raises nothing.</p></dd></dl><p>Beside it.</p>
<section id="who"><h2>Who gets alerts</h2><p>Each recipient.</p></section></section></article>"""
CHANGES = (
    '<article role="main"><section id="c"><h1>Changelog</h1><p>Alerts undeliverable.</p></section></article>'
)
QUERIES = {
    "131026": ["errors.html#131026", "alerts.html#airflow_provider_whatsapp.x.send_alert"],
    "2388024": ["errors.html#2388024"],
    "alerts": [
        "alerts.html",
        "alerts.html#airflow_provider_whatsapp.x.send_alert",
        "alerts.html#who",
        "changelog.html",
    ],
    "how do I get an alert": ["alerts.html#who"],
    "send_alert": ["alerts.html#airflow_provider_whatsapp.x.send_alert"],
    "undeliv": ["errors.html#131026", "changelog.html"],
    "burst": ["alerts.html"],
    "the": [],
    "<b>zebra": [],
}
"""What is typed, and where the first results lead."""


@pytest.fixture(scope="module")
def search():
    import sys

    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    import site_search

    yield site_search
    sys.path.remove(str(ROOT / "docs" / "_ext"))


@pytest.fixture
def browser():
    api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("Chromium is not installed")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def index(search):
    entries = [
        *search.cut(ALERTS, "alerts.html", keywords="burst"),
        *search.cut(CHANGES, "changelog.html"),
        *search.cut(ERRORS, "errors.html"),
    ]
    return search.index_of(entries, lower=["changelog.html"])


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.replace(" ", "-"))
def test_a_search_leads_to_the_place_itself(search, index, query):
    found = search.ask(index, query)

    assert found[: len(QUERIES[query])] == QUERIES[query]
    assert bool(found) == bool(QUERIES[query])


def test_a_row_keeps_its_text_and_what_follows_belongs_to_the_section(search):
    entries = {entry.url: entry for entry in search.cut(ERRORS, "errors.html")}

    assert list(entries) == [
        "errors.html",
        "errors.html#codes",
        "errors.html#131026",
        "errors.html#100",
        "errors.html#2388024",
    ]
    assert "After the table." in entries["errors.html#codes"].words
    assert "a template of this name exists" in entries["errors.html#100"].words
    assert "After the table." not in entries["errors.html#2388024"].words
    assert {entry.page for entry in entries.values()} == {"Errors"}


def test_a_name_has_its_description_and_no_more(search):
    page, name, _ = search.cut(ALERTS, "alerts.html")

    assert name.title == "send_alert()"
    assert {"Parameters:", "to", "Raises nothing."} <= {*name.words}
    assert "Beside it." in page.words
    assert page.title == name.page == "Alerts"


@pytest.mark.browser
def test_the_page_ranks_as_the_build_does(browser, search, index):
    """The build asks in Python what people ask in JavaScript: both have to give the same order."""
    page = browser.new_page()
    page.set_content("<div id='search-results'></div>")
    page.add_script_tag(content=f"{search.PREFIX}{json.dumps(index)};")
    page.add_script_tag(path=ROOT / "docs" / "_static" / "site_search.js")

    queries = [*QUERIES, "alert failures codes", "131026 template", "What are messages about?", "code"]
    asked = page.evaluate(
        "queries => queries.map(query => ask(SITE_SEARCH_INDEX, query).map(entry => entry[0]))", queries
    )
    shown = page.evaluate(
        """query => {
          const place = document.getElementById("search-results");
          show("../", SITE_SEARCH_INDEX, place, query);
          return [place.textContent, [...place.querySelectorAll("a")].map(link => link.getAttribute("href"))];
        }""",
        "undeliverable",
    )

    assert dict(zip(queries, asked, strict=True)) == {query: search.ask(index, query) for query in queries}
    assert "2 results for “undeliverable”" in shown[0]
    assert shown[1] == ["../errors.html#131026", "../changelog.html"]


def test_the_build_warns_of_a_search_that_leads_elsewhere(tmp_path):
    from io import StringIO

    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    promises = {"burst": "a.html", "131026": "a.html#131026", "blue moon": "index.html", "nothing": "a.html"}
    (tmp_path / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'docs' / '_ext')!r})\n"
        f"extensions = ['site_search']\nhtml_theme = 'furo'\nsearch_leads_to = {promises}\n"
    )
    (tmp_path / "index.rst").write_text("Home\n====\n\n.. toctree::\n\n   a\n\nOnce in a blue moon.\n")
    (tmp_path / "a.rst").write_text(":keywords: burst\n\nAlerts\n======\n\nOne message.\n")
    warned = StringIO()
    with docutils_namespace():
        Sphinx(
            *(tmp_path, tmp_path, tmp_path / "out", tmp_path / "trees", "html"),
            status=None,
            warning=warned,
            freshenv=True,
        ).build()

    told = warned.getvalue()
    assert "'131026' leads to nowhere first, not to a.html#131026" in told
    assert "'nothing' leads to nowhere" in told
    assert "burst" not in told
    assert "blue moon" not in told
