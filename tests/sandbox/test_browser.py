"""The page in a real browser: pressed, typed into, watched, and kept from talking to anybody else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

# Whoever sets CHROMIUM means it: then a browser that is missing is a failure and no reason to skip.
ASKED = os.environ.get("CHROMIUM")
CHROMIUM = ASKED or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="there is no Chromium (Debian: apt-get install chromium)"
)
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
VIEWS = ("/", "/templates", "/requests", "/faults")
USER = "15550001111"
QUICK = [
    {"type": "HEADER", "format": "TEXT", "text": "Approve the run?"},
    {"type": "BODY", "text": "Run {{1}} waits for you.", "example": {"body_text": [["a"]]}},
    {"type": "FOOTER", "text": "Data platform"},
    {
        "type": "BUTTONS",
        "buttons": [{"type": "QUICK_REPLY", "text": "Approve"}, {"type": "QUICK_REPLY", "text": "No"}],
    },
]
LIST = {
    "type": "list",
    "body": {"text": "Which one?"},
    "action": {
        "button": "Options",
        "sections": [
            {"title": "Reports", "rows": [{"id": "daily", "title": "Daily", "description": "At seven"}]}
        ],
    },
}
ATTACKS = (
    "<script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "'\"><svg onload=window.hacked=1>",
    "https://example.com/'onmouseover='window.hacked=1",
)


@pytest.fixture(scope="module")
def chromium():
    api = (
        pytest.importorskip("playwright.sync_api")
        if not ASKED
        else __import__("playwright.sync_api").sync_api
    )
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


class Watched:
    """A page whose requests and complaints are written down."""

    def __init__(self, page, url):
        self.page, self.url = page, url
        self.hosts, self.problems = set(), []
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url)[:2]))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: self.problems.append(dialog.message))
        page.on("console", lambda line: self.problems.append(line.text) if line.type == "error" else None)

    def open(self, path="/"):
        """Go there, and wait until live updates arrive; leave a mark that a reload would wipe."""
        self.page.goto(self.url + path)
        self.page.locator(".live").wait_for(state="attached")
        self.page.evaluate("window.mark = 1")
        return self.page

    def stayed(self):
        return self.page.evaluate("window.mark === 1")


@pytest.fixture
def browse(chromium, sandbox):
    contexts = []

    def begin(**options):
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
        context.set_default_timeout(10_000)
        contexts.append(context)
        return Watched(context.new_page(), sandbox.url)

    yield begin
    for context in contexts:
        context.close()


@pytest.fixture
def watched(browse, sandbox):
    """A window of usual size, held at its end to what must always be so."""
    made = browse()
    yield made
    assert made.problems == []
    assert {host for scheme, host in made.hosts if scheme != "data"} <= {urlsplit(sandbox.url).netloc}


def ask_for_approval(sandbox):
    sandbox.control("PUT", "templates", json={"name": "approval", "components": QUICK})
    body = {"type": "body", "parameters": [{"type": "text", "text": "daily_orders"}]}
    payload = {"type": "payload", "payload": "approve-77"}
    button = {"type": "button", "sub_type": "quick_reply", "index": "0", "parameters": [payload]}
    return sandbox.send_template("approval", body, button)


def test_pressing_a_quick_reply_opens_the_window(watched, sandbox):
    ask_for_approval(sandbox)
    page = watched.open()
    page.get_by_text("24 h window closed").wait_for()
    page.locator(".msg", has_text="Run daily_orders waits for you.").wait_for()

    page.get_by_role("button", name="Approve", exact=True).click()

    page.locator(".msg.mine", has_text="Approve").wait_for()
    page.get_by_text("window open").wait_for()
    sandbox.send_text("Thank you")
    sandbox.advance(10)
    assert sandbox.messages[-1]["status"] == "read"
    assert watched.stayed()


def test_pressing_a_row_of_a_list_opens_the_window(watched, sandbox):
    sandbox.send(type="interactive", interactive=LIST)
    page = watched.open()

    page.get_by_text("Options", exact=True).click()
    sandbox.advance(60)
    page.get_by_label("failed", exact=True).nth(1).wait_for()
    page.get_by_role("button", name="Daily").click()

    page.locator(".msg.mine", has_text="Daily").wait_for()
    page.get_by_text("window open").wait_for()
    assert watched.stayed()


def test_a_button_of_an_interactive_message_can_be_pressed(watched, sandbox):
    reply = {"type": "reply", "reply": {"id": "yes", "title": "Yes, go on"}}
    sandbox.send(
        type="interactive",
        interactive={"type": "button", "body": {"text": "?"}, "action": {"buttons": [reply]}},
    )
    page = watched.open()
    page.get_by_role("button", name="Yes, go on").click()
    page.locator(".msg.mine", has_text="Yes, go on").wait_for()


def test_templates_are_approved_rejected_and_paused(watched, sandbox):
    sandbox.create("late", *QUICK)
    page = watched.open("/templates")
    card = page.locator(".tpl", has_text="late")
    card.locator(".chip", has_text="pending").wait_for()

    card.get_by_role("button", name="Approve", exact=True).first.click()
    card.locator(".chip", has_text="approved").wait_for()
    assert sandbox.send_template("late", *[]).json()["error"]["code"] == 132000
    card.get_by_role("button", name="Pause").click()
    card.locator(".chip", has_text="paused").wait_for()
    card.get_by_label("Reason for rejecting late").select_option("TAG_CONTENT_MISMATCH")
    card.get_by_role("button", name="Reject").click()
    card.locator(".chip", has_text="rejected").wait_for()
    card.get_by_text("tag content mismatch").first.wait_for()

    found = sandbox.call(
        "GET", f"{sandbox.waba}/message_templates", params={"fields": "rejected_reason,name"}
    ).json()
    assert {"TAG_CONTENT_MISMATCH"} == {
        each["rejected_reason"] for each in found["data"] if each["name"] == "late"
    }
    assert watched.stayed()


def test_messages_ticks_and_reviews_arrive_without_a_reload(watched, sandbox):
    page = watched.open()
    page.get_by_text("No messages yet").wait_for()
    sandbox.send_template("hello_world")
    page.get_by_text("Welcome and congratulations").first.wait_for()
    sandbox.advance(60)
    page.get_by_label("read", exact=True).first.wait_for()
    sandbox.send_template("hello_world", to="+15550002222")
    page.locator(".chat", has_text="15550002222").wait_for()
    assert watched.stayed()


def test_a_failure_shows_its_code(watched, sandbox):
    sandbox.send_text("too late")
    sandbox.advance(5)
    watched.open().get_by_text("131047").wait_for()


def test_what_is_typed_outlives_an_update_and_enter_sends_it(watched, sandbox):
    sandbox.send_template("hello_world")
    page = watched.open()
    field = page.get_by_label(f"Reply as +{USER}")
    field.fill("half a sent")
    sandbox.send_template("hello_world")
    page.locator(".msg.theirs").nth(1).wait_for()
    assert page.evaluate("document.activeElement.name") == "text"
    page.keyboard.type("ence")
    page.keyboard.press("Enter")
    page.locator(".msg.mine", has_text="half a sentence").wait_for()
    assert field.input_value() == ""


def test_the_keyboard_is_enough(watched, sandbox):
    for to in ("+15550002222", USER):
        sandbox.send_template("hello_world", to=to)
    ask_for_approval(sandbox)
    page = watched.open()

    def focused():
        return page.evaluate(
            "document.activeElement.className + ' ' + document.activeElement.textContent.trim()"
        )

    page.keyboard.press("Tab")
    assert "Skip to content" in focused()
    for _ in range(20):
        page.keyboard.press("Tab")
        if focused().startswith("chat"):
            break
    assert "15550001111" in focused()
    page.keyboard.press("ArrowDown")
    assert "15550002222" in focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?with=15550001111*")
    for _ in range(40):
        page.keyboard.press("Tab")
        if focused().endswith("Approve"):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.keyboard.press("Enter")
    page.locator(".msg.mine", has_text="Approve").wait_for()
    assert outline == "solid"


def brightness(page, selector):
    text = page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).backgroundColor")
    red, green, blue = (int(each) for each in text.removeprefix("rgb(").removesuffix(")").split(",")[:3])
    return (red * 3 + green * 6 + blue) / 10


@pytest.mark.parametrize("view", VIEWS)
def test_dark_is_dark_and_light_is_light(browse, sandbox, view):
    sandbox.send_template("hello_world")
    light, dark = (browse(color_scheme=scheme).open(view) for scheme in ("light", "dark"))
    assert brightness(light, "body") > 200
    assert brightness(dark, "body") < 60
    ink = dark.evaluate("getComputedStyle(document.body).color")
    assert int(ink.removeprefix("rgb(").split(",")[0]) > 180


@pytest.mark.parametrize("width", [360, 768])
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_wider_than_a_narrow_window(browse, sandbox, view, width):
    sandbox.send_text("a_very_long_word_" * 40)
    sandbox.approved("a_template_with_a_long_name_" * 5, *QUICK)
    sandbox.control("POST", "faults", json={"kind": "status", "path": "/messages" * 10, "times": 0})
    page = browse(viewport={"width": width, "height": 720}).open(view)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1280])
def test_the_table_of_faults_and_its_form_keep_their_lines(browse, sandbox, width):
    sandbox.control("POST", "faults", json={"kind": "status", "path": "/messages", "to": USER})
    page = browse(viewport={"width": width, "height": 860}).open("/faults")
    remove = page.get_by_role("button", name="Remove fault 1").bounding_box()
    assert remove["width"] > remove["height"]
    # A list and a field that stand side by side have their labels at one height.
    tops = [page.get_by_text(label).bounding_box()["y"] for label in ("Method", "Path contains")]
    assert tops[0] == tops[1]


def test_a_narrow_window_shows_one_thing_at_a_time(browse, sandbox):
    sandbox.send_template("hello_world")
    page = browse(viewport={"width": 390, "height": 780}).open()
    assert not page.locator(".phone").is_visible()
    page.locator(".chat").click()
    page.locator(".phone").wait_for()
    assert not page.locator(".chats").is_visible()
    page.get_by_label("Back to the conversations").click()
    page.locator(".chats").wait_for()


def attack(sandbox):
    """Put markup wherever somebody else's words end up on the page."""
    for text in ATTACKS:
        sandbox.send_text(text)
        sandbox.control("POST", "replies", json={"from": USER, "text": text, "pressed": text})
        name = {"formatted_name": text, "first_name": text}
        sandbox.send(type="contacts", contacts=[{"name": name, "phones": [{"phone": text[:20]}]}])
        sandbox.send(
            type="document",
            document={"link": "https://example.com/x.pdf", "filename": text + ".pdf", "caption": text},
        )
        rows = [{"id": text, "title": text[:24], "description": text[:72]}]
        sections = [{"title": text[:24], "rows": rows}]
        sandbox.send(
            type="interactive",
            interactive={
                "type": "list",
                "header": {"type": "text", "text": text},
                "body": {"text": text},
                "footer": {"text": text},
                "action": {"button": text[:20], "sections": sections},
            },
        )
        sandbox.control("POST", "faults", json={"kind": "status", "path": text, "times": 0})
        sandbox.call("GET", f"{sandbox.number}/{text}", params={"q": text})
    for index, text in enumerate(ATTACKS):
        components = [{"type": "BODY", "text": f"{text} end"}, {"type": "FOOTER", "text": text}]
        sandbox.approved(f"attack_{index}", *components)


def test_foreign_markup_does_nothing(browse, sandbox):
    attack(sandbox)
    watched = browse()
    for view in VIEWS:
        page = watched.open(view)
        for details in page.locator("details").all():
            details.evaluate("each => { each.open = true }")
        assert page.locator("main script, main svg[onload], main img[onerror], [onmouseover]").count() == 0
        assert page.evaluate("window.hacked") is None
    watched.open()
    assert "<img src=x onerror=window.hacked=1>" in page.locator("main").inner_text() or view != "/"
    page.get_by_text(ATTACKS[1], exact=True).first.wait_for()
    assert watched.problems == []


def test_pressing_foreign_markup_sends_it_as_it_is(watched, sandbox):
    attack(sandbox)
    page = watched.open()
    page.locator("details.list summary").last.click()
    page.locator("details.list[open] button").last.click()
    page.locator(".msg.mine", has_text=ATTACKS[3][:24]).last.wait_for()
    assert page.evaluate("window.hacked") is None


def test_the_browser_asks_no_other_host(watched, sandbox, tools):
    media = sandbox.upload().json()["id"]
    sandbox.send(type="image", image={"id": media})
    sandbox.send(type="image", image={"link": "https://pictures.example.com/a.png"})
    sandbox.send_text("https://links.example.com/ https://more.example.com/a.js")
    for view in VIEWS:
        page = watched.open(view)
        page.wait_for_load_state("load")
    assert ("http", urlsplit(sandbox.url).netloc) in watched.hosts


def test_faults_are_made_and_removed(watched, sandbox):
    page = watched.open("/faults")
    page.get_by_label("What happens").select_option("status")
    page.get_by_label("Status", exact=True).fill("503")
    page.get_by_label("Recipient", exact=True).fill(USER)
    page.get_by_role("button", name="Add the fault").click()
    page.get_by_role("cell", name="status 503").wait_for()
    assert sandbox.send_text().status_code == 503
    page.get_by_role("row", name=f"status 503 any /messages to {USER} always 1 1 0 Remove fault 1").wait_for()
    page.get_by_role("button", name="Remove fault 1").click()
    page.get_by_text("No faults").wait_for()
    assert sandbox.send_text().status_code == 200


def test_a_fault_that_makes_no_sense_is_told(browse, sandbox):
    page = browse().open("/faults")
    page.get_by_label("Status", exact=True).evaluate("field => { field.min = 0; field.value = 7 }")
    page.get_by_role("button", name="Add the fault").click()
    page.get_by_text("status must be a whole number").wait_for()


def test_an_open_request_stays_open_while_others_arrive(watched, sandbox):
    sandbox.send_text("the first")
    page = watched.open("/requests")
    page.locator(".log summary").first.click()
    page.get_by_text("the first").wait_for()
    sandbox.send_text("the second")
    page.locator(".log > details").nth(1).wait_for()
    assert page.locator(".log > details[open]").count() == 1
    assert "the first" in page.locator(".log > details[open]").inner_text()
    assert watched.stayed()


@pytest.mark.parametrize("view", VIEWS)
def test_a_saved_page_leads_nowhere(browse, sandbox, tmp_path, view):
    ask_for_approval(sandbox)
    saved = Path(tmp_path / "page.html")
    saved.write_text(sandbox.page(view), "utf-8")
    watched = browse()
    watched.page.goto(saved.as_uri())

    assert not watched.page.get_by_role("navigation").is_visible()
    assert watched.page.locator("a[href]:not(.skip)").count() == 0
    assert watched.page.locator("button:not(:disabled)").count() == 0
    assert watched.problems == []
    assert {scheme for scheme, _ in watched.hosts} <= {"file", "data"}


def test_a_connection_is_authorised_in_the_browser(watched, sandbox):
    made = sandbox.session.post(f"{sandbox.url}/connections", json={"app": "whatsapp-business"}).json()
    path = f"{sandbox.url}/connections/{made['connection_id']}"
    watched.page.goto(sandbox.session.get(path).json()["connection"]["url"])
    watched.page.get_by_role("heading", name="Connected").wait_for()
    assert sandbox.session.get(path).json()["connection"]["status"] == "ACTIVE"
