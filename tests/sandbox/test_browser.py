"""The page in a real browser: pressed, typed into, watched, and kept from talking to anybody else."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.chromium import ASKED, CHROMIUM, OPTIONS, needs_chromium

pytestmark = needs_chromium
ROOT = Path(__file__).parents[2]
VIEWS = ("/", "/templates", "/requests", "/faults", "/webhooks")
USER = "15550001111"
NOBODY = "http://127.0.0.1:9/nobody"
"""Where webhooks fail to arrive."""
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


def load_script(name):
    """A script of the project as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Watched:
    """A page whose requests and complaints are written down."""

    def __init__(self, page, url):
        self.page, self.url = page, url
        self.hosts, self.problems = set(), []
        self._listeners = {
            "request": lambda request: self.hosts.add(urlsplit(request.url)[:2]),
            "pageerror": lambda error: self.problems.append(str(error)),
            "dialog": lambda dialog: self.problems.append(dialog.message),
            "console": lambda line: self.problems.append(line.text) if line.type == "error" else None,
        }
        for event, listener in self._listeners.items():
            page.on(event, listener)

    def leave(self):
        """Watch no longer, and leave the page as a new one is."""
        self.page.goto("about:blank")
        self.page.mouse.move(0, 0)
        for event, listener in self._listeners.items():
            self.page.remove_listener(event, listener)
        self.page.context.clear_cookies()
        self.page.context.clear_permissions()

    def open(self, path="/"):
        """Go there, and wait until live updates arrive; leave a mark that a reload would wipe."""
        self.page.goto(self.url + path)
        self.page.locator(".live").wait_for(state="attached")
        self.page.evaluate("window.mark = 1")
        return self.page

    def stayed(self):
        return self.page.evaluate("window.mark === 1")


def places(page, selector):
    """Where all matches stand, measured at one go: an update may replace an element that was found before."""
    return page.evaluate(
        "(selector) => [...document.querySelectorAll(selector)].map((each) => each.getBoundingClientRect().toJSON())",
        selector,
    )


def place(page, selector):
    """Where the first match stands."""
    return places(page, selector)[0]


def unfold(page):
    page.evaluate("() => { for (const each of document.querySelectorAll('details')) each.open = true }")


USUAL = {"viewport": {"width": 1280, "height": 860}}


def begin(chromium, **options):
    page = chromium.new_context(**(USUAL | options)).new_page()
    page.set_default_timeout(10_000)
    return page


@pytest.fixture(scope="module")
def pages(chromium):
    """Pages that no test uses at the moment: a new one, a process with an empty cache, is half of a test's cost."""
    kept = []
    yield kept
    for page in kept:
        page.context.close()


@pytest.fixture
def browse(chromium, sandbox, pages):
    used, other = [], []

    def open_one(*, url=sandbox.url, color_scheme="light", viewport=USUAL["viewport"], **options):
        """Give a page of this size; one that differs in more than size and colours is a new one."""
        if options:
            page = begin(chromium, color_scheme=color_scheme, viewport=viewport, **options)
            other.append(page.context)
            return Watched(page, url)
        page = pages.pop() if pages else begin(chromium)
        page.emulate_media(color_scheme=color_scheme)
        page.set_viewport_size(viewport)
        used.append(Watched(page, url))
        return used[-1]

    yield open_one
    for context in other:
        context.close()
    for watched in used:
        watched.leave()
        pages.append(watched.page)


@pytest.fixture
def watched(browse, sandbox):
    """A window of usual size, held at its end to what must always be so."""
    made = browse()
    yield made
    assert made.problems == []
    assert {host for scheme, host in made.hosts if scheme != "data"} <= {urlsplit(sandbox.url).netloc}


def ask_for_approval(sandbox):
    sandbox.control("PUT", "templates", name="approval", components=QUICK)
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
    sandbox.clock.advance(10)
    assert sandbox.messages[-1]["status"] == "read"
    assert watched.stayed()


def test_pressing_a_row_of_a_list_opens_the_window(watched, sandbox):
    sandbox.send(type="interactive", interactive=LIST)
    page = watched.open()

    page.get_by_text("Options", exact=True).click()
    sandbox.clock.advance(60)
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
    sandbox.clock.advance(60)
    page.get_by_label("read", exact=True).first.wait_for()
    sandbox.send_template("hello_world", to="+15550002222")
    page.locator(".chat", has_text="15550002222").wait_for()
    assert watched.stayed()


def test_a_failure_shows_its_code(watched, sandbox):
    sandbox.send_text("too late")
    sandbox.clock.advance(5)
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


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_wider_than_a_narrow_window(browse, sandbox, view):
    sandbox.send_text("a_very_long_word_" * 40)
    sandbox.approved("a_template_with_a_long_name_" * 5, *QUICK)
    sandbox.control("POST", "faults", kind="status", path="/messages" * 10, times=0)
    sandbox.control("POST", "webhooks", app_url=f"{NOBODY}/{'a' * 300}")
    sandbox.reply(USER, "long" * 100)
    page = browse(viewport={"width": 360, "height": 720}).open(view)
    for width in (360, 768):
        page.set_viewport_size({"width": width, "height": 720})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


FONTS = ("Liberation Sans", "DejaVu Sans", "Noto Sans")


@pytest.fixture(params=FONTS)
def font(request):
    """A family that this machine has, for layouts that have to hold with whatever a machine has."""
    listed = subprocess.run(
        ["fc-list", "--format", "%{family}\n"], capture_output=True, text=True, check=False
    )
    if request.param not in listed.stdout:
        pytest.skip(f"there is no {request.param} (Debian: apt-get install {PACKAGES[request.param]})")
    return f'* {{ font-family: "{request.param}" !important; }}'


PACKAGES = dict(zip(FONTS, ("fonts-liberation", "fonts-dejavu-core", "fonts-noto-core"), strict=True))


def test_the_table_of_faults_and_its_form_keep_their_lines(browse, sandbox, font):
    sandbox.control("POST", "faults", kind="status", path="/messages", to=USER)
    page = browse().open("/faults")
    page.add_style_tag(content=font)
    for kind, fields in (("drop_after", 8), ("status", 9), ("slow", 9)):
        page.get_by_label("What happens").select_option(kind)
        for width in (360, 390, 1280):
            page.set_viewport_size({"width": width, "height": 860})
            keeps_its_lines(page, fields, width)


def keeps_its_lines(page, fields, width):
    remove = place(page, "button[aria-label='Remove fault 1']")
    assert remove["width"] > remove["height"]
    labels = [each for each in places(page, ".maker label") if each["height"]]
    assert len(labels) == fields
    # What stands side by side has its label at one height, and nothing lies on anything else.
    for one in labels:
        assert one["x"] >= 0
        assert one["x"] + one["width"] <= width
        for other in labels:
            beside = abs(one["y"] - other["y"]) < min(one["height"], other["height"])
            assert not beside or one["y"] == other["y"]
            apart = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
            assert one is other or not beside or apart
    assert page.evaluate("document.documentElement.scrollWidth") <= width


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
        sandbox.control("POST", "replies", text=text, pressed=text, **{"from": USER})
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
        sandbox.control("POST", "faults", kind="status", path=text, times=0)
        sandbox.call("GET", f"{sandbox.number}/{text}", params={"q": text})
    for index, text in enumerate(ATTACKS):
        components = [{"type": "BODY", "text": f"{text} end"}, {"type": "FOOTER", "text": text}]
        sandbox.approved(f"attack_{index}", *components)


def test_foreign_markup_does_nothing(browse, sandbox):
    attack(sandbox)
    watched = browse()
    for view in VIEWS:
        page = watched.open(view)
        unfold(page)
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
    page.get_by_label("What happens").select_option("status")
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


@pytest.mark.parametrize("width", [360, 1280])
def test_a_saved_phone_opens_on_the_message_and_its_report_opens(browse, sandbox, tools, tmp_path, width):
    media = sandbox.upload(tools.pdf, "application/pdf", "sales.pdf").json()["id"]
    sandbox.send(type="document", document={"id": media, "caption": "Here it is"})
    demo = load_script("demo")
    demo.OUTPUT = tmp_path
    demo.save_phone(sandbox.url, USER)
    watched = browse(viewport={"width": width, "height": 740})
    watched.page.goto((tmp_path / "phone.html").as_uri())

    assert watched.page.locator(".msg .text").is_visible()
    if width == 360:
        phone = place(watched.page, ".phone")
        assert phone["y"] + phone["height"] == 740  # down to the window's end
    report = watched.page.locator("a.file")
    assert (tmp_path / report.get_attribute("href")).read_bytes() == tools.pdf
    assert report.is_visible()
    assert watched.problems == []


def test_a_file_opens_from_the_page_and_runs_nothing(sandbox, tools):
    media = sandbox.upload(tools.pdf, "application/pdf", "a.pdf").json()["id"]
    answer = requests.get(f"{sandbox.url}/files/{media}", timeout=10)
    assert (answer.content, answer.headers["Content-Type"]) == (tools.pdf, "application/pdf")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    office = sandbox.upload(b"PK", "application/msword", "a.doc").json()["id"]
    for nothing in (office, "123", "..%2Fsettings"):
        assert requests.get(f"{sandbox.url}/files/{nothing}", timeout=10).status_code == 404


def test_a_connection_is_authorised_in_the_browser(watched, sandbox):
    made = sandbox.session.post(f"{sandbox.url}/connections", json={"app": "whatsapp-business"}).json()
    path = f"{sandbox.url}/connections/{made['connection_id']}"
    watched.page.goto(sandbox.session.get(path).json()["connection"]["url"])
    watched.page.get_by_role("heading", name="Connected").wait_for()
    assert sandbox.session.get(path).json()["connection"]["status"] == "ACTIVE"


def fill(sandbox, people):
    """So many conversations, the highest number the latest."""
    for index in range(people):
        assert sandbox.send_template("hello_world", to=f"+1555{index:07}").status_code == 200


def scroll_to_the_end(page, name):
    """Scroll as far as older entries come."""
    older = f"document.querySelector('[data-older={name}]')"
    page.wait_for_function(
        f"() => {{ const each = {older}; if (each) each.scrollIntoView(); return !each; }}"
    )


def test_more_conversations_than_are_shown_are_counted_found_and_loaded(watched, sandbox):
    fill(sandbox, 130)
    page = watched.open()
    page.get_by_role("heading", name="Conversations 130").wait_for()
    assert page.locator(".chat").count() < 130
    scroll_to_the_end(page, "chats")
    numbers = page.locator(".chat .who").all_inner_texts()
    assert numbers == [f"+1555{index:07}" for index in reversed(range(130))]
    # What is new comes on top, and what was loaded stays.
    sandbox.send_template("hello_world", to="+15559999999")
    page.locator(".chat", has_text="15559999999").wait_for()
    assert page.locator(".chat").count() == 131
    page.get_by_label("Find a number").fill("+1 555 000 0007")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?find=*")
    assert page.locator(".chat .who").all_inner_texts() == ["+15550000007"]


def test_an_address_with_a_number_is_that_person_however_old(watched, sandbox):
    fill(sandbox, 70)
    for number in ("15550000003", "%2B15550000003", "1 555 000 0003"):
        page = watched.open(f"/?with={number}")
        assert page.locator(".owner b").inner_text() == "+15550000003"


def test_an_address_with_a_number_that_got_nothing_says_so(browse, sandbox):
    sandbox.send_template("hello_world")
    page = browse().open("/?with=15557654321")
    page.get_by_text("There is no conversation with +15557654321").wait_for()
    assert page.locator(".phone").count() == 0


def test_older_messages_come_by_scrolling_and_stay(watched, sandbox):
    for index in range(130):
        sandbox.send_text(f"text {index}", to=f"+{USER}")
    page = watched.open()
    assert page.locator(".msg").count() < 130
    scroll_to_the_end(page, "thread")
    shown = page.locator(".msg .text").all_inner_texts()
    assert shown == [f"text {index}" for index in range(130)]
    sandbox.send_text("the newest", to=f"+{USER}")
    page.locator(".msg", has_text="the newest").wait_for()
    assert page.locator(".msg").count() == 131
    assert page.locator(".day").count() == 1
    assert watched.stayed()


def test_days_stand_between_messages(watched, sandbox):
    for _ in range(3):
        sandbox.send_template("hello_world")
        sandbox.clock.advance(86_400)
    page = watched.open()
    assert page.locator(".day").count() == 3
    assert all(re.fullmatch(r"\d+ \w+ \d{4}", each) for each in page.locator(".day").all_inner_texts())


def test_after_a_reply_the_thread_shows_it(watched, sandbox):
    for index in range(40):
        sandbox.send_text(f"text {index}")
    page = watched.open()
    page.locator(".thread").evaluate("each => { each.scrollTop = 0 }")
    page.get_by_label(f"Reply as +{USER}").fill("I have read it")
    page.keyboard.press("Enter")
    reply = page.locator(".msg.mine", has_text="I have read it")
    reply.wait_for()
    page.wait_for_function("(() => { const t = document.querySelector('.thread'); "
                           "return t.scrollHeight - t.scrollTop - t.clientHeight < 5 })()")  # fmt: skip


def test_requests_say_what_they_were_and_can_be_filtered(watched, sandbox):
    sandbox.send_text("hello")
    sandbox.send_template("no_such_template")
    sandbox.upload()
    sandbox.call("GET", f"{sandbox.waba}/message_templates")
    sandbox.control("POST", "faults", kind="drop_before")
    with contextlib.suppress(requests.ConnectionError):
        sandbox.send_text("lost")
    page = watched.open("/requests")
    rows = page.locator(".log summary")
    assert rows.count() == 5
    text = rows.nth(4).inner_text()
    assert re.search(r"\d\d:\d\d:\d\d", text)
    assert ("text" in text, "+15550001111" in text, "200" in text) == (True, True, True)
    refused = rows.nth(3).inner_text()
    assert ("template no_such_template" in refused, "132001" in refused) == (True, True)
    assert "no answer" in rows.nth(0).inner_text()
    page.get_by_label("Outcome").select_option("refused")
    page.wait_for_url("**outcome=refused*")
    assert page.locator(".log summary").count() == 1
    page.get_by_label("Outcome").select_option("")
    page.wait_for_url("**outcome=*")
    page.get_by_label("Kind").select_option("media")
    page.wait_for_url("**kind=media*")
    assert "change media" in page.locator(".log summary").inner_text()


def test_older_requests_come_by_scrolling(watched, sandbox):
    for index in range(130):
        sandbox.call("GET", f"{sandbox.number}/none{index}")
    page = watched.open("/requests")
    scroll_to_the_end(page, "requests")
    assert page.locator(".log > details").count() == 130
    sandbox.send_text("new")
    page.locator(".log summary", has_text="+15550001111").wait_for()
    assert page.locator(".log > details").count() == 131


def test_at_a_narrow_width_the_part_that_differs_is_seen(browse, sandbox):
    sandbox.send_template("hello_world")
    page = browse(viewport={"width": 360, "height": 720}).open("/requests")
    for part in (".what", ".to", ".status"):
        box = place(page, f".log summary {part}")
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
    assert page.locator(".log .path").inner_text() == "messages"


def test_an_armed_fault_is_seen_from_every_view(watched, sandbox):
    sandbox.send_template("hello_world")
    for view in VIEWS:
        page = watched.open(view)
        assert page.locator(".armed").bounding_box() is None, "without a fault it takes no space"
        sandbox.control("POST", "faults", kind="slow", path="/nowhere", times=1)
        page.get_by_text("1 fault armed").wait_for()
        sandbox.control("DELETE", "faults")
        page.get_by_text("1 fault armed").wait_for(state="detached")


def test_only_the_fields_of_the_chosen_fault_are_there(watched, sandbox):
    page = watched.open("/faults")
    for kind, fields in (("drop_after", ()), ("status", ("Status",)), ("slow", ("Seconds late",))):
        page.get_by_label("What happens").select_option(kind)
        for name in ("Status", "Seconds late"):
            assert page.get_by_label(name, exact=True).is_visible() == (name in fields)


def test_a_sandbox_that_has_stopped_is_not_live(browse, tools):
    process = tools.start("--port", "0")
    page = browse(url=tools.read_connection(process)["host"]).open()
    process.terminate()
    process.wait(60)
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        page.get_by_text("not connected").wait_for()


def test_an_empty_phone_has_the_connection_to_copy(browse, sandbox):
    watched = browse()
    watched.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = watched.open()
    line = page.locator(".line code").inner_text()
    assert line.startswith("export AIRFLOW_CONN_MATON_WHATSAPP_DEFAULT='{")
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == line


ARABIC = "\u062a\u0642\u0631\u064a\u0631 \u0627\u0644\u0645\u0628\u064a\u0639\u0627\u062a 42"


def test_text_from_right_to_left_stands_on_its_side(watched, sandbox):
    sandbox.send_text(ARABIC)
    page = watched.open()
    # Found and asked in one go: an update may put another element into its place in between.
    for place in (".msg .text", ".last span[dir=auto]"):
        assert page.evaluate(f"getComputedStyle(document.querySelector('{place}')).direction") == "rtl"


def test_a_long_text_is_folded_and_unfolds(watched, sandbox):
    sandbox.send_text("A line of a long report.\n" * 60)
    page = watched.open()
    folded = place(page, ".msg .text")["height"]
    page.get_by_text("Read more").or_(page.locator(".long summary")).first.click()
    assert place(page, ".msg .text")["height"] > 2 * folded
    sandbox.clock.advance(10)
    page.get_by_label("failed", exact=True).first.wait_for()
    assert place(page, ".msg .text")["height"] > 2 * folded  # an update leaves it unfolded


def hear_of(page, change):
    """Make a change, and wait until the page has heard of it, and has read what it reads at once."""
    page.evaluate(
        """() => new Promise((opened) => {
            const news = new EventSource("/events");
            window.heard = new Promise((yes) => {
                let first = true;  // comes with the connection
                news.onmessage = () => { if (first) { first = false; opened(); } else { news.close(); yes(); } };
            });
        })"""
    )
    change()
    page.evaluate("heard.then(() => fetch(location.href)).then((answer) => answer.text()).then(() => null)")
    page.evaluate("new Promise(requestAnimationFrame)")


def test_an_update_in_the_middle_of_a_press_does_not_swallow_it(watched, sandbox):
    sandbox.send_text("A line of a long report.\n" * 60)
    sandbox.clock.advance(10)
    page = watched.open()
    # Its last line moves what is to be pressed.
    page.get_by_label("failed", exact=True).first.wait_for()
    page.get_by_text("live", exact=True).wait_for()
    page.locator(".long summary").hover()

    page.mouse.down()
    hear_of(page, lambda: sandbox.send_text("The change"))
    page.mouse.up()

    page.locator(".msg .text", has_text="The change").wait_for()
    page.locator(".long[open]").wait_for()


def test_what_changes_while_the_page_reads_an_earlier_change_is_shown_too(watched, sandbox):
    page = watched.open()
    page.get_by_text("live", exact=True).wait_for()
    # The next answer that the page reads is an old one when it comes.
    page.evaluate(
        """() => {
            const real = window.fetch;
            window.held = new Promise((yes) => {
                window.fetch = async (...given) => {
                    window.fetch = real;
                    const text = await (await real.apply(window, given)).text();
                    await new Promise((go) => { window.arrive = go; yes(); });
                    return new Response(text);
                };
            });
        }"""
    )
    sandbox.fail_next("status")
    page.evaluate("held")

    hear_of(page, lambda: sandbox.fail_next("status"))
    page.evaluate("arrive()")

    page.get_by_text("2 faults armed").wait_for()


def test_a_press_whose_release_the_page_did_not_see_holds_up_no_update(watched, sandbox):
    sandbox.send_text("Hello")
    page = watched.open()
    page.get_by_text("live", exact=True).wait_for()
    page.evaluate("document.dispatchEvent(new PointerEvent('pointerdown', {buttons: 1}))")
    sandbox.clock.advance(10)

    page.mouse.move(200, 200)

    page.get_by_label("failed", exact=True).first.wait_for()


def test_a_reaction_stands_on_its_message(watched, sandbox):
    message = sandbox.send_template("hello_world").json()["messages"][0]["id"]
    sandbox.control("POST", "replies", text="hi", **{"from": USER})
    sandbox.send(type="reaction", reaction={"message_id": message, "emoji": "\U0001f44d"})
    page = watched.open()
    assert page.locator(f"[id='m-{message}'] .reacted").inner_text() == "\U0001f44d"
    assert page.locator(".msg").count() == 2


def test_details_are_reached_by_touch(browse, sandbox):
    sandbox.send_template("hello_world")
    page = browse(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 780}).open(
        f"/?with={USER}"
    )
    page.locator(".facts summary").tap()
    page.get_by_text("wamid.").first.wait_for()


CONTRAST = (Path(__file__).parent / "contrast.js").read_text("utf-8")
"""Returns the texts that stand out from their ground by less than 4.5 : 1, as WCAG measures it."""


def brightness(page, selector):
    text = page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).backgroundColor")
    red, green, blue = (int(each) for each in text.removeprefix("rgb(").removesuffix(")").split(",")[:3])
    return (red * 3 + green * 6 + blue) / 10


@pytest.mark.parametrize("view", [*VIEWS, "/?with=1", "/empty"])
def test_dark_is_dark_light_is_light_and_every_text_stands_out_in_both(browse, sandbox, tools, view):
    if view == "/empty":
        view = "/"
    else:
        sandbox.control("POST", "webhooks", app_url=NOBODY)
        ask_for_approval(sandbox)
        sandbox.send(type="interactive", interactive=LIST)
        sandbox.control(
            "POST", "replies", text="Yes *now* https://example.com", pressed="y", **{"from": USER}
        )
        media = sandbox.upload(tools.pdf, "application/pdf", "a.pdf").json()["id"]
        sandbox.send(type="document", document={"id": media})
        sandbox.send(type="video", video={"link": "https://example.com/a.mp4"}, to="+15550002222")
        sandbox.send_text("`code` " * 300, to="+15550002222")
        sandbox.send_text("late", to="+15550002222")
        sandbox.send_template("nothing")
        for status in ("REJECTED", "PAUSED", "DISABLED", "PENDING"):
            sandbox.control("PUT", "templates", name=status.lower(), status=status, components=QUICK)
        for kind in ("status", "slow"):
            sandbox.control("POST", "faults", kind=kind, path="/nowhere")
        sandbox.clock.advance(8)
    page = browse().open(view)
    unfold(page)
    poor, bright = {}, {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        poor[scheme], bright[scheme] = page.evaluate(CONTRAST), brightness(page, "body")
    assert poor == {"light": [], "dark": []}
    assert bright["light"] > 200
    assert bright["dark"] < 60
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert int(ink.removeprefix("rgb(").split(",")[0]) > 180
