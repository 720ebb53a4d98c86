from __future__ import annotations

import html
import json
import re

import pytest
import requests

from airflow_provider_whatsapp.preview.message import message_bubble
from airflow_provider_whatsapp.preview.render import render

EVIL = '<script>alert("x")</script><img src=x onerror=alert(1)>&'


def test_everything_is_escaped(sandbox):
    sandbox.send_text(EVIL)
    sandbox.control("POST", "replies", text=EVIL, pressed="'" + EVIL, **{"from": "15550001111"})
    action = {"buttons": [{"type": "reply", "reply": {"id": "'><i>", "title": "<i>'\""}}]}
    sandbox.send(type="interactive", interactive={"type": "button", "body": {"text": EVIL}, "action": action})
    sandbox.send(
        type="document", document={"link": "https://example.com/a", "filename": EVIL, "caption": EVIL}
    )
    sandbox.create("evil", {"type": "BODY", "text": EVIL})
    sandbox.call("GET", "nothing", params={"q": EVIL})
    for path in ("/", "/templates", "/requests", "/faults"):
        page = sandbox.page(path)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "<i>'" not in page
        assert page.count("<script") == 1


def test_the_page_asks_no_other_host_and_stands_alone(sandbox):
    sandbox.send(type="image", image={"link": "https://example.com/a.png"})
    sandbox.send_text("see https://example.com/x")
    page = sandbox.page()
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', page)
    assert "<link" not in page
    assert "url(" not in page
    assert "<style>" in page


def test_policy_lets_only_the_page_s_own_script_run(sandbox):
    answer = requests.get(sandbox.url, timeout=10)
    policy = answer.headers["Content-Security-Policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)[1]
    assert "default-src 'none'" in policy
    assert f'<script nonce="{nonce}">' in answer.text
    assert nonce not in requests.get(sandbox.url, timeout=10).text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        (
            "*bold* and _it_ and ~no~ and `x`",
            "<strong>bold</strong> and <em>it</em> and <s>no</s> and <code>x</code>",
        ),
        ("_load_orders_ is late", "<em>load_orders</em> is late"),
        ("_*both*_", "<em><strong>both</strong></em>"),
        ("2*3*4 a_b_c * no *", "2*3*4 a_b_c * no *"),
        ("```a *b*```", "<code>a *b*</code>"),
        ("https://example.com/_a_ x", '<span class="link">https://example.com/_a_</span> x'),
    ],
)
def test_whatsapp_s_formatting(sandbox, text, html):
    sandbox.send_text(text)
    assert f'<div class="text" dir="auto">{html}</div>' in sandbox.page()


def test_a_bubble_alone_is_html_that_escapes_what_others_wrote():
    bubble = message_bubble("text", {"body": "*Sales* <script>window.hacked=1</script>"})

    html = render(bubble)

    assert "<strong>Sales</strong> &lt;script&gt;" in html
    assert "<script" not in html


def test_a_document_is_a_card_with_name_size_and_type(sandbox, tools):
    media = sandbox.upload(tools.pdf + b"0" * 2000, "application/pdf", "report.pdf").json()["id"]
    sandbox.send(type="document", document={"id": media, "filename": "sales.pdf"})
    page = sandbox.page()
    assert "sales.pdf" in page
    assert "PDF · 2 kB" in page


@pytest.mark.parametrize(
    ("mime", "name", "shown"),
    [
        ("text/plain", "orders.csv", "CSV"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "orders.xlsx", "XLSX"),
        ("application/pdf", "Orders of 2026.11 (final)", "PDF"),
        ("application/pdf", "orders", "PDF"),
    ],
)
def test_a_document_s_type_is_its_name_s_ending(sandbox, tools, mime, name, shown):
    data = tools.pdf if mime.endswith("pdf") else b"a,b\n1,2\n"
    media = sandbox.upload(data, mime, "upload").json()["id"]
    sandbox.send(type="document", document={"id": media, "filename": name})
    assert f">{shown} · {len(data)} B<" in sandbox.page()


def test_ticks_follow_the_clock(sandbox):
    sandbox.send_template("hello_world")
    sandbox.clock.advance(10)
    assert 'aria-label="read"' in sandbox.page()


def test_each_conversation_can_be_opened(sandbox):
    sandbox.send_text("for one", to="+15550001111")
    sandbox.send_text("for two", to="+15550002222")
    chosen = sandbox.page(**{"with": "15550001111"})
    assert '<div class="text" dir="auto">for one</div>' in chosen
    assert '<div class="text" dir="auto">for two</div>' not in chosen
    assert "Reply as +15550001111" in chosen


def test_a_button_is_pressed_below_its_own_message(sandbox):
    """The labels, and even the payloads, are the same on both."""
    buttons = [{"type": "QUICK_REPLY", "text": "Yes"}]
    parts = [{"type": "BODY", "text": "Go on?"}, {"type": "BUTTONS", "buttons": buttons}]
    sandbox.control("PUT", "templates", name="ask", components=parts)
    sandbox.send_template("ask")
    sandbox.send_template("ask")
    found = re.findall(r"data-body='([^']*pressed[^']*)'", sandbox.page())
    bodies = [json.loads(html.unescape(body)) for body in found]
    assert [body["context"] for body in bodies] == [sent["id"] for sent in sandbox.messages]
    for body in bodies:
        assert sandbox.control("POST", "replies", **body)["text"] == "Yes"


def test_the_page_tells_when_something_is_new(sandbox):
    with requests.get(f"{sandbox.url}/events", stream=True, timeout=10) as stream:
        lines = (line for line in stream.iter_lines() if line.startswith(b"data:"))
        first = next(lines)
        sandbox.send_text()
        assert any(line != first for line in lines)


def test_views(sandbox):
    sandbox.control("POST", "templates", name="hello_world", status="REJECTED", rejected_reason="SCAM")
    sandbox.control("POST", "faults", kind="slow", path="/somewhere")
    sandbox.send_text("in the log")
    assert "scam" in sandbox.page("/templates")
    assert "in the log" in sandbox.page("/requests")
    assert "/somewhere" in sandbox.page("/faults")
    assert requests.get(f"{sandbox.url}/connect/wrong", timeout=10).status_code == 404


def test_an_empty_sandbox_says_where_to_send(sandbox):
    assert sandbox.url in sandbox.page()


def test_templates_show_what_has_become_of_them(sandbox):
    body = {"type": "BODY", "text": "Done."}
    sandbox.control("PUT", "templates", name="made", source="AUTO_GENERATED", components=[body])
    sandbox.control("POST", "templates", name="made", quality_score="YELLOW")
    sandbox.control("POST", "templates", name="made", correct_category="MARKETING")
    assert "utility · positional · generated · quality yellow · becomes marketing" in sandbox.page(
        "/templates"
    )
    sandbox.clock.advance(86_401)
    assert "marketing · positional · generated · quality yellow · was utility" in sandbox.page("/templates")
