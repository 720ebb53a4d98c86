"""The tab WhatsApp of a real API server, below a base path: what it shows of a run that a real sandbox has answered."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import subprocess
import sys
import time
from urllib.parse import quote

import pytest
import requests

from tests.airflow.browse_walk import assert_an_alert_is_muted_by_hand, assert_browse_shows_the_run
from tests.airflow.running import end, refusal
from tests.chromium import CHROMIUM, OPTIONS
from tests.ports import free_port

DAG = "whatsapp_tab"
COMPONENTS = [
    {"type": "HEADER", "format": "TEXT", "text": "{{1}} is on its way", "example": {"header_text": ["a"]}},
    {"type": "BODY", "text": "Hello {{1}}, it arrives on {{2}}.", "example": {"body_text": [["a", "b"]]}},
    {"type": "FOOTER", "text": "Reply STOP to unsubscribe"},
    {
        "type": "BUTTONS",
        "buttons": [
            {"type": "URL", "text": "Track it", "url": "https://example.com/{{1}}", "example": ["a"]}
        ],
    },
]
VALUES = ("Ana Souza", "A-1042")
FAILS_LATER, WAITS = range(110, 114), range(114, 116)
PICTURES = os.environ.get("PICTURES")
"""A folder, docs/images say, that pictures are written into; take them again when the page has changed."""
USERS = {"viewer": "v", "admin": "a"}
API_SERVER = """
import gc
from airflow.__main__ import main

gc.disable()
main()
"""
"""The command, without the search for garbage, which takes a fifth of its start."""


@pytest.fixture
def api_server(dag_bag, tmp_path):
    """Start an API server on this Airflow's database, below /airflow; give what asks it as a user with a role."""
    with contextlib.ExitStack() as stack:

        def start(**variables):
            url = f"http://127.0.0.1:{free_port()}/airflow"
            settings = {
                "AIRFLOW__API__BASE_URL": url,
                "AIRFLOW__API__WORKERS": "1",
                "AIRFLOW__API_AUTH__JWT_SECRET": "s" * 64,
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(tmp_path / "passwords.json"),
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "v:viewer,a:admin",
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                **variables,
            }
            port = url.rpartition(":")[2].partition("/")[0]
            log = stack.enter_context((tmp_path / "api-server.log").open("wb"))
            options = ["--host", "127.0.0.1", "--port", port, "--apps", "core"]
            command = [sys.executable, "-c", API_SERVER, "api-server", *options]
            server = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | settings)
            stack.callback(end, server)
            until = time.monotonic() + 240
            while True:
                with contextlib.suppress(requests.RequestException):
                    if requests.get(f"{url}/api/v2/version", timeout=5).ok:
                        break
                assert time.monotonic() < until, (tmp_path / "api-server.log").read_text()
                assert server.poll() is None, (tmp_path / "api-server.log").read_text()
                time.sleep(0.2)
            return Site(url, json.loads((tmp_path / "passwords.json").read_text()))

        yield start


class Site:
    def __init__(self, url, passwords):
        self.url = url
        self._passwords = passwords

    @functools.cache  # noqa: B019  There is one of it.
    def token(self, role):
        """Log in as a user with a role."""
        user = {"username": USERS[role], "password": self._passwords[USERS[role]]}
        return requests.post(f"{self.url}/auth/token", json=user, timeout=60).json()["access_token"]

    def get(self, path, role="viewer"):
        """Open a page, again for as long as it says that something has not answered yet: the machine may be busy."""
        cookies, end = {"_token": self.token(role)} if role else {}, time.monotonic() + 120
        while True:
            answer = requests.get(f"{self.url}/{path}", cookies=cookies, timeout=60, allow_redirects=False)
            if " data-again>" not in answer.text or time.monotonic() > end:
                return answer
            time.sleep(0.5)


def words(html):
    """The text of a page."""
    return " ".join(re.sub(r"<(script|style)[^>]*>.*?</\1>|<[^>]+>", " ", html, flags=re.DOTALL).split())


def inner(html, opening, closing="</div>"):
    start = html.index(opening) + len(opening)
    return html[start : html.index(closing, start)]


def bubble_texts(html):
    """What stands in the bubbles of a page: header, text, footer, buttons."""
    found = re.findall(
        r'<h3 dir="auto">(.*?)</h3>|<div class="text" dir="auto">(.*?)</div>|<p class="foot" dir="auto">(.*?)</p>'
        r'|<span class="button"[^>]*>.*?<span dir="auto">(.*?)</span>',
        html,
        re.DOTALL,
    )
    return ["".join(each) for each in found]


@pytest.mark.timeout(600)
def test_the_tab_shows_what_a_run_has_sent(run, sandbox, whatsapp_events, api_server, tmp_path):
    sandbox.control("PUT", "templates", name="order_shipped", language="en_US", components=COMPONENTS)
    sandbox.fail_next("status", **refusal(131026, "15550000007"))
    for number in range(80, 116):
        fails, waits = number in FAILS_LATER, number in WAITS
        reaches = None if fails else "sent" if waits else "delivered"
        sandbox.recipient(f"1555000{number:04}", error=131026 if fails else None, reaches=reaches)
    dag_run = run(DAG, results=str(tmp_path / "results" / "all.jsonl"), ledger=str(tmp_path / "ledger"))
    whatsapp_events.deliver(3_600)
    site = api_server(AIRFLOW__WHATSAPP__UI_RESULTS_ROOTS=str(tmp_path / "results"))

    def tab(task_id, map_index="{MAP_INDEX}", query="", role="viewer", encode=lambda run_id: run_id):
        return site.get(f"whatsapp/task/{DAG}/{encode(dag_run.run_id)}/{task_id}/{map_index}{query}", role)

    people = tab("broadcast")
    assert people.status_code == 200, (tmp_path / "api-server.log").read_text()[-3_000:]
    assert_shows_the_broadcast(people.text, tab)
    assert_shows_the_message(sandbox, tab)
    assert_shows_templates_and_alerts(tab)
    assert_is_for_those_who_may_see_the_dag(site, tab, dag_run.run_id)
    assert_browse_shows_the_run(site, DAG, words)
    if CHROMIUM:  # the gate names it, and then it has to be there
        assert_it_is_in_airflow_s_own_page(site, dag_run.run_id)


def assert_shows_the_broadcast(html, tab):
    text = words(html)
    assert "120 recipients accepted 115 96 % delivered 113 94 % read 83 69 % failed 5 4 %" in text
    assert "Accepted (2) Delivered (30) Read (83) Failed (5) Unknown (0)" in text
    assert "4 failed after WhatsApp had accepted them" in text
    assert "15•••0007 failed WhatsApp refused: no 131026 Check the number with its owner" in words(
        tab("broadcast", query="?show=failed").text
    )
    assert "Page 3 of 3" in words(tab("broadcast", query="?page=3").text)
    assert 'scope="failed",' in html
    assert "/results/all.jsonl" in html


def assert_shows_the_message(sandbox, tab):
    """With log_pii the text is the phone's own; without it no value is anywhere in the answer."""
    shown, hidden = tab("shown").text, tab("hidden").text
    phone = requests.get(f"{sandbox.url}/?with=15550001111", timeout=10).text

    assert bubble_texts(shown) == bubble_texts(phone) != []
    assert bubble_texts(shown)[0] == "Order A-1042 is on its way"
    assert "+15550001111" in shown.replace(">1555", ">+1555")
    assert bubble_texts(hidden)[:2] == ["{{1}} is on its way", "Hello {{1}}, it arrives on {{2}}."]
    for value in (*VALUES, "15550002222", "Monday"):
        assert value not in hidden
    assert "for the second" in tab("mapped", "1").text
    assert "for the first" in tab("mapped", "0").text


def assert_shows_templates_and_alerts(tab):
    assert "order_shipped en_US APPROVED" in words(tab("approved").text)
    assert "+body: Your order is late." in words(tab("planned").text)
    assert "Last alert" in tab("alerted").text
    assert "15•••5555 failed" in words(tab("alerted").text)
    assert "No messages from this task" in tab("nothing").text


def assert_is_for_those_who_may_see_the_dag(site, tab, run_id):
    assert tab("shown", role=None).status_code == 401
    assert tab("shown", encode=lambda text: quote(text, safe="")).status_code == 200
    assert site.get(f"whatsapp/task/no_such_dag/{run_id}/shown/-1", "admin").status_code == 403
    assert site.get(f"whatsapp/task/{DAG}/no_such_run/shown/-1").status_code == 404
    listed = site.get("api/v2/plugins", "admin").json()["plugins"]
    (ours,) = [each for each in listed if each["name"] == "whatsapp"]
    assert {view["destination"] for view in ours["external_views"]} == {"nav", "task_instance"}


def assert_it_is_in_airflow_s_own_page(site, run_id):
    """The tab stands among Airflow's own, opens, follows its theme, and is paged by a press."""
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        context = browser.new_context(viewport={"width": 1400, "height": 900}, color_scheme="light")
        context.add_cookies([{"name": "_token", "value": site.token("viewer"), "url": f"{site.url}/"}])
        context.add_init_script("localStorage.setItem('theme', localStorage.getItem('theme') || 'dark')")
        page, problems = context.new_page(), []
        page.set_default_timeout(30_000)
        page.on(
            "console", lambda line: problems.append(line.text) if "Security Policy" in line.text else None
        )
        open_the_tab(page, site, run_id)
        frame = page.frame_locator("iframe")
        expect(frame.get_by_role("heading", name="120 recipients")).to_be_visible(timeout=30_000)
        assert frame.locator("html").evaluate("it => getComputedStyle(it).colorScheme") == "dark"
        frame.get_by_role("button", name="Next").click()
        expect(frame.get_by_text("Page 2 of 3")).to_be_visible(timeout=30_000)
        frame.get_by_label("Outcome").select_option("failed")
        expect(frame.get_by_text("5 of 120 listed.")).to_be_visible(timeout=30_000)
        assert problems == []
        if PICTURES:
            take_pictures(page, site, run_id)
        assert_an_alert_is_muted_by_hand(page, site, expect, f"{DAG}.alerted")
        browser.close()


def open_the_tab(page, site, run_id):
    """Follow the tab's link, not by the mouse: a press may come while Airflow draws the page again, and is lost."""
    page.goto(f"{site.url}/dags/{DAG}/runs/{quote(run_id, safe='')}/tasks/broadcast")
    page.get_by_role("link", name="WhatsApp", exact=True).last.dispatch_event("click")


def take_pictures(page, site, run_id):
    """Pictures for the documentation: in Airflow's own page, and as narrow as a phone."""
    page.evaluate("localStorage.setItem('theme', 'light')")
    page.set_viewport_size({"width": 1280, "height": 900})
    open_the_tab(page, site, run_id)
    page.frame_locator("iframe").get_by_role("heading", name="120 recipients").wait_for()
    page.wait_for_timeout(1_500)  # the shell's own lists
    page.screenshot(path=f"{PICTURES}/airflow-tab.png")
    page.set_viewport_size({"width": 360, "height": 780})
    page.emulate_media(color_scheme="dark")
    page.goto(f"{site.url}/whatsapp/task/{DAG}/{run_id}/shown/-1")
    page.screenshot(path=f"{PICTURES}/airflow-tab-narrow.png")
