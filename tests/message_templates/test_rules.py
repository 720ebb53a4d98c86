"""Meta's rules of texts and buttons, by how sure each is; the sandbox refuses what is documented and takes the rest."""

from __future__ import annotations

import json

import pytest

from airflow_provider_whatsapp.client.errors import APIError
from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
from airflow_provider_whatsapp.message_templates.documents import TemplateFileError
from airflow_provider_whatsapp.message_templates.files import load, load_data
from airflow_provider_whatsapp.message_templates.rules import emojis

FAMILY, FLAG = "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea"
THUMB, HEART = "\U0001f44d\U0001f3fd", "\u2764\ufe0f"
URL = "https://x.example/a"


def buttons(*listed):
    return [{"type": "BODY", "text": "It is late."}, {"type": "BUTTONS", "buttons": list(listed)}]


def url(address, **fields):
    return buttons({"type": "URL", "text": "Open", "url": address, **fields})


def label(text):
    return buttons({"type": "QUICK_REPLY", "text": text})


def code(example):
    return buttons({"type": "COPY_CODE", "example": example})


def body(text, *more):
    return [{"type": "BODY", "text": text}, *more]


def header(text):
    return body("It is late.", {"type": "HEADER", "format": "TEXT", "text": text})


def footer(text):
    return body("It is late.", {"type": "FOOTER", "text": text})


REFUSED = [
    (label("Yes \U0001f600"), "no variables, new lines or emojis"),
    (label(f"Yes {FLAG}"), "emojis"),
    (label("Yes\nno"), "new lines"),
    (label("*Yes*"), r"\* _ ~"),
    (label("`Yes`"), r"\* _ ~"),
    (label("Yes {{1}}"), "variables"),
    (buttons({"type": "CATALOG", "text": "See \U0001f600"}), "emojis"),
    (header("Late \U0001f600"), "a header has no emojis"),
    (header("Late\r\nagain"), "new lines"),
    (footer("Bye {{1}}"), "no variables"),
    (body("\U0001f600" * 11), "more than 10 emojis"),
    (body(FAMILY * 11), "more than 10 emojis"),
    (body("a\r\n\r\n\r\nb"), "more than two new lines"),
    (body("a\r\r\rb"), "more than two new lines"),
    (url("https://x.example/a b"), "no spaces"),
    (url("https://x.example/a\nb"), "no spaces"),
    (url("https://x.example/{{1"), "braces do not close"),
    (url("https://x.example/1}}"), "braces do not close"),
    (url("https:///a"), "names a host"),
    (url("https://"), "names a host"),
    (url("https://{{1}}", example=["x"]), "names a host"),
    (url("ftp://x.example/a"), "begins with https"),
    (url("x.example"), "begins with https"),
    (code("SAVE-20"), "letters and digits"),
    (code("SAVE 20"), "letters and digits"),
    (code("RÉDUC"), "letters and digits"),
    (code("x" * 21), "21 characters"),
]
WARNED = [
    (
        buttons({"type": "QUICK_REPLY", "text": "Yes"}, {"type": "QUICK_REPLY", "text": "Yes"}),
        "the same text 'Yes'",
    ),
    (url("https://wa.me/15550001111"), "wa.me"),
    (url("https://API.whatsapp.com/send"), "api.whatsapp.com"),
    (footer("Thanks \U0001f600"), "footers"),
    (footer("of data_platform"), "footers"),
    (footer("two\nlines"), "footers"),
    (footer("\U0001f600" * 31), "if Meta counts as UTF-16"),
]
FINE = [
    body(FAMILY * 10),
    body(FLAG * 10),
    body(THUMB * 10 + " \u2713 \u2764 \u00a9"),
    body(HEART * 10),
    body("a\r\n\r\nb"),
    body("*bold* _italic_ ~gone~ `code`"),
    url("HTTPS://x.example/{{1}}", example=["HTTPS://x.example/a"]),
    url("Http://x.example"),
    url("https://xn--bcher-kva.example:8443/a?b={{1}}", example=["1"]),
    url("https://x.example/%20?q=wa.me"),
    label("Yes - please! #1 (50%)"),
    label("\u00dcber caf\u00e9"),
    code("SAVE20"),
    code(["SAVE20"]),
    header("Late: 50% \u2713"),
]  # fmt: skip


SEEN_REFUSED = {"wa.me", "api.whatsapp.com"}
"""Of what is warned of, what the sandbox refuses as Meta was seen to; a new line in a footer as well."""


def read(components):
    return load_data(
        [{"name": "a", "category": "MARKETING", "languages": {"en_US": {"components": components}}}]
    )


def submit(components):
    MatonWhatsAppHook().create_template("a", "en_US", "MARKETING", components)


@pytest.mark.parametrize(("components", "words"), REFUSED)
def test_what_meta_documents_is_refused_before_a_request_and_by_the_sandbox(sandbox, components, words):
    with pytest.raises(TemplateFileError, match=words):
        read(components)
    with pytest.raises(APIError) as caught:
        submit(components)
    assert caught.value.code in (100, 131009)


@pytest.mark.parametrize(("components", "words"), WARNED)
def test_what_is_only_seen_is_warned_of(sandbox, components, words):
    assert any(words in problem.message for problem in read(components).warnings)
    if words not in SEEN_REFUSED and "\\n" not in json.dumps(components):
        submit(components)
        return
    with pytest.raises(APIError) as caught:
        submit(components)
    assert caught.value.code == 100


@pytest.mark.parametrize("components", FINE)
def test_what_is_right_is_taken(sandbox, components):
    assert read(components).warnings == ()
    submit(components)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("abc \u00fc \u6f22 \u2713 \u00a9 \u2764", 0),
        (FAMILY, 1),
        (FLAG * 2, 2),
        (THUMB, 1),
        (HEART, 1),
        ("1\ufe0f\u20e3", 1),
    ],
)
def test_emojis_are_counted_as_readers_see_them(text, count):
    assert emojis(text) == count


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("body: Your order is late # 5", "before ' #'"),
        ("body: {text: 'a'}\n    footer: Call us #now", "before ' #'"),
        (
            "body: a\n    buttons:\n      - {type: quick_reply,\n         text: Yes # or no\n         }",
            "before ' #'",
        ),
        ("body: 'Your order # 5'", None),
        ("body: Your order#5", None),
        ("body: |- # a comment\n      Your order # 5", None),
        ("body: a\n    # a comment", None),
    ],
)
def test_a_text_that_ends_at_a_comment_is_warned_of(tmp_path, line, words):
    path = tmp_path / "a.yaml"
    path.write_text(f"name: a # fine\ncategory: UTILITY # fine\nlanguages:\n  en:\n    {line}\n")

    warnings = load(path).warnings
    assert [words in str(warning) for warning in warnings] == ([True] if words else [])
    assert all(warning.where.startswith(f"{path}:") for warning in warnings)


@pytest.mark.parametrize("value", ["!!str 5", "!!str 08", "!!str true", "!!str null", "!!str 1.5"])
def test_a_tag_says_that_a_number_is_a_text(tmp_path, value):
    path = tmp_path / "a.yaml"
    path.write_text(f"name: a\ncategory: UTILITY\nlanguages:\n  en:\n    body: {value}\n")

    (definition,) = load(path).definitions.values()
    assert definition.components[0]["text"] == value.partition(" ")[2]


@pytest.mark.parametrize(("value", "found"), [('!!int "600"', 600), ("600", 600), ("!!int 600", 600)])
def test_a_tag_says_that_a_text_is_a_number(tmp_path, value, found):
    path = tmp_path / "a.yaml"
    text = f"name: a\ncategory: UTILITY\nmessage_send_ttl_seconds: {value}\nlanguages: {{en: {{body: a}}}}\n"
    path.write_text(text)

    (definition,) = load(path).definitions.values()
    assert definition.options == {"message_send_ttl_seconds": found}


@pytest.mark.parametrize("status", ["approved", "APPROVED", ["approved", "Pending"]])
def test_a_status_is_asked_for_in_any_case(sandbox, status):
    hook = MatonWhatsAppHook()

    assert [row["name"] for row in hook.list_templates(status=status)] == ["hello_world"]
    assert list(hook.list_templates(status="rejected")) == []
    assert list(hook.list_templates(category="utility", quality_score="unknown"))
