"""The tab and the page in Chromium: light and dark, wide and as narrow as a phone, and by the keyboard alone."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.chromium import needs_chromium
from tests.events.test_daily import fill, receipt, send
from tests.plugin.reports import ERROR, outcome, report
from tests.sandbox.test_browser import CONTRAST, chromium, unfold  # noqa: F401

pytestmark = needs_chromium
PICTURES = os.environ.get("PICTURES")
"""A folder that a picture of each view is written into."""
COMPONENTS = [
    {"type": "HEADER", "format": "TEXT", "text": "{{1}} is on its way"},
    {
        "type": "BODY",
        "text": "Hello {{1}}, it arrives on *{{2}}*: https://example.com/a/long/way/to/an/order",
    },
    {"type": "FOOTER", "text": "Reply STOP to unsubscribe"},
    {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Track it", "url": "https://example.com"}]},
]
LONG = "a_dag_with_a_name_that_nobody_can_break_in_two_because_it_has_no_space_anywhere"
REACHED = """
() => [...document.querySelectorAll("a[href], button, select, input, summary, [tabindex='0']")].filter((each) =>
  !each.disabled && each.type !== "hidden" && each.getClientRects().length).length
"""
FOCUS = """
() => {
  const it = document.activeElement, style = getComputedStyle(it);
  it.dataset.reached = "yes";
  const shown = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  return [it === document.body, shown, it.outerHTML.slice(0, 80)];
}
"""


@pytest.fixture
def rendered(tab, look, sandbox, store, alerts, monkeypatch):
    """The pages by their names: each with everything that it can show."""
    from airflow_provider_whatsapp.notifications.records import Record
    from airflow_provider_whatsapp.plugin import task_facts

    now = datetime.now(UTC).replace(microsecond=0)
    steps = [
        ("a", "sent", 0),
        ("a", "delivered", 130),
        ("b", "sent", 0),
        ("b", "failed", 1),
        ("c", "sent", 0),
    ]
    received = [
        receipt(number, f"{number}{name}", word, now - timedelta(days=number) + timedelta(seconds=seconds))
        for number in range(1, 6)
        for name, word, seconds in steps
    ]
    fill(store, [send(number, "sales", now - timedelta(days=number)) for number in range(1, 6)], received)
    for name in ("load", LONG):
        alerts(f"sales.{name}", name=name)
    alerts("stock.count", dag="stock", now=1.0)
    sandbox.templates.create("hello", category="UTILITY", body="Hello *you*")
    sandbox.templates.create("slow", category="UTILITY", body="Text")
    sandbox.templates.pause("slow")
    found = {
        name: look(
            f"browse/{name}?conn=" + ("" if name == "deliveries" else "maton_whatsapp_default"), "admin"
        ).text
        for name in ("deliveries", "templates", "alerts", "health")
    }
    found["refused"] = look("nothing", "admin").text
    found["nothing"] = tab({}).text
    row = {
        "name": "t",
        "language": "en_US",
        "status": "APPROVED",
        "category": "UTILITY",
        "components": COMPONENTS,
    }
    monkeypatch.setattr(task_facts, "find_template", lambda *_: row)
    monkeypatch.setattr(task_facts, "_list_templates", lambda *_: [row | {"quality_score": {"score": "RED"}}])
    record = Record(sent_at=now.timestamp(), held=2, failures=3, names=("load", LONG), muted_by="somebody")
    monkeypatch.setattr(task_facts, "_alert_record", lambda _: record)
    reasons = ["duplicate", "suppressed", "dry_run", "stopped"]
    people = [
        outcome("failed", "15550000001", error=ERROR | {"message": LONG}),
        outcome("unknown", "15550000002", error={"message": "lost"}),
        *(outcome("skipped", f"1555000001{n}", reason=reason) for n, reason in enumerate(reasons)),
        *(outcome(to=f"155500001{n:02}", message_id=f"wamid.{n:020}") for n in range(60)),
    ]
    fields = {"to": "•••", "template_name": "t", "language": "en_US"}
    found["tab"] = tab(fields, report(*people, results_path=f"/srv/{LONG}/{LONG}.jsonl")).text
    change = {
        "name": "t",
        "language": "en_US",
        "action": "edit",
        "state": "done",
        "diff": ["-body: a", f"+body: {LONG}"],
    }
    found["sync"] = tab({"templates": "t"}, {"outcomes": [change]}).text
    for name, sign in {"tab": "Send again to failed recipients", "sync": "plus", "deliveries": "<svg", "alerts": "chip",
                       "templates": "article", "health": "chip"}.items():  # fmt: skip
        assert sign in found[name], name
    return found


@pytest.fixture(scope="module")
def once():
    return {}


@pytest.fixture
def views(once, request):
    """The pages, which nobody changes: rendered for the first test alone."""
    if not once:
        once.update(request.getfixturevalue("rendered"))
    return once


@pytest.fixture(scope="module")
def window(chromium):  # noqa: F811
    """A window that all tests share: a new one costs more than what happens in it."""
    made = chromium.new_context().new_page()
    yield made
    made.context.close()


def show(window, html):
    """Show a page at an address of its own, under its own policy."""
    nonce = re.search(r'nonce="([^"]+)"', html)[1]
    policy = f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:"
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
    window.unroute_all()
    window.route("**/whatsapp/page", lambda route: route.fulfill(body=html, headers=headers))
    resize(window, 1280)
    window.emulate_media(color_scheme="light")
    window.goto("http://airflow.example/whatsapp/page")


def resize(window, width):
    window.set_viewport_size({"width": width, "height": 900})


@pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "not-allowed"])
def test_there_is_a_download_where_the_frame_allows_it(window, views, allowed):
    """Airflow's frame has a sandbox, in 3.1 without downloads: there the button would do nothing."""
    show(window, views["tab"])
    rights = f"allow-scripts allow-same-origin allow-forms{' allow-downloads' if allowed else ''}"
    frame = f'<iframe sandbox="{rights}" src="whatsapp/page"></iframe>'
    window.route("**/airflow", lambda route: route.fulfill(body=frame, content_type="text/html"))
    window.goto("http://airflow.example/airflow")
    button = window.frame_locator("iframe").get_by_role("button", name="Download as CSV", include_hidden=True)
    button.wait_for(state="visible" if allowed else "attached")

    assert button.is_visible() is allowed


def test_an_entry_of_the_tab_is_as_wide_as_the_page(window, views):
    """The preview of a carousel's cards shares the document, and must not decide how wide they are."""
    show(window, views["sync"])
    entry = window.locator("article").first
    assert entry.evaluate("it => it.offsetWidth / it.parentElement.offsetWidth") == 1


def test_every_text_stands_out_and_nothing_is_wider_than_the_window(window, views):
    for name, html in views.items():
        show(window, html)
        unfold(window)
        for width in (1280, 360):
            resize(window, width)
            for scheme in ("light", "dark"):
                window.emulate_media(color_scheme=scheme)
                where = f"{name}, {scheme}, {width} px"
                assert window.evaluate(CONTRAST) == [], where
                assert window.evaluate("document.documentElement.scrollWidth") <= width, where
                if PICTURES:
                    path = Path(PICTURES) / f"{name}-{scheme}-{width}.png"
                    window.screenshot(path=path, full_page=True)


def test_the_keyboard_reaches_everything_and_shows_where_it_is(window, views):
    for name, html in views.items():
        show(window, html)
        for _ in range(window.evaluate(REACHED) + 2):
            window.keyboard.press("Tab")
            left, shown, what = window.evaluate(FOCUS)
            assert left or shown, f"{name}: no sign of the focus on {what}"
        missed = window.evaluate(
            f"({REACHED})() - document.querySelectorAll('[data-reached]:not(body)').length"
        )
        assert missed <= 0, name
