from __future__ import annotations

import datetime as dt
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.client import messages as m
from airflow_provider_whatsapp.client.errors import PayloadError
from tests.client.strategies import MESSAGES, junk
from tests.examples import examples

MODERATE = settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
LINK = "https://example.com/a.jpg"
IMAGE = {"type": "image", "link": LINK}


def template(**more):
    return m.Template("order_update", **more)


def components(**more):
    return template(**more).to_payload()["template"].get("components")


# -- payloads, as the fact sheet's examples have them

PAYLOADS = {
    "text": (m.Text("Hi"), {"type": "text", "text": {"body": "Hi", "preview_url": False}}),
    "image by id": (m.Image(id="1"), {"type": "image", "image": {"id": "1"}}),
    "image with caption": (
        m.Image(link=LINK, caption="c"),
        {"type": "image", "image": {"link": LINK, "caption": "c"}},
    ),
    "empty caption is left out": (m.Image(id="1", caption=""), {"type": "image", "image": {"id": "1"}}),
    "video": (m.Video(id="1", caption="c"), {"type": "video", "video": {"id": "1", "caption": "c"}}),
    "document": (
        m.Document(id="1", caption="c", filename="a.pdf"),
        {"type": "document", "document": {"id": "1", "caption": "c", "filename": "a.pdf"}},
    ),
    "audio": (m.Audio(id="1"), {"type": "audio", "audio": {"id": "1"}}),
    "voice": (m.Audio(id="1", voice=True), {"type": "audio", "audio": {"id": "1", "voice": True}}),
    "sticker": (m.Sticker(link=LINK), {"type": "sticker", "sticker": {"link": LINK}}),
    "location": (
        m.Location(52.5, "13.4", "Office"),
        {"type": "location", "location": {"latitude": 52.5, "longitude": 13.4, "name": "Office"}},
    ),
    "reaction": (
        m.Reaction("wamid.x", "👍"),
        {"type": "reaction", "reaction": {"message_id": "wamid.x", "emoji": "👍"}},
    ),
    "reaction taken back": (
        m.Reaction("wamid.x", ""),
        {"type": "reaction", "reaction": {"message_id": "wamid.x", "emoji": ""}},
    ),
    "raw": (m.RawMessage("order", {"a": 1}), {"type": "order", "order": {"a": 1}}),
    "contacts from plain fields": (
        m.Contacts([{"name": "Ann Lee", "phones": ["+15550001111"], "birthday": dt.date(2012, 8, 18)}]),
        {
            "type": "contacts",
            "contacts": [
                {
                    "name": {"formatted_name": "Ann Lee", "first_name": "Ann Lee"},
                    "phones": [{"phone": "+15550001111"}],
                    "birthday": "2012-08-18",
                }
            ],
        },
    ),
    "reply buttons from titles": (
        m.ReplyButtons("Proceed?", ["Yes", m.ReplyButton("no", "No")], footer="Job 42"),
        {
            "type": "interactive",
            "interactive": {
                "type": "button",
                "body": {"text": "Proceed?"},
                "footer": {"text": "Job 42"},
                "action": {
                    "buttons": [
                        {"type": "reply", "reply": {"id": "Yes", "title": "Yes"}},
                        {"type": "reply", "reply": {"id": "no", "title": "No"}},
                    ]
                },
            },
        },
    ),
    "list": (
        m.ListMessage(
            "Choose one", "Options", [m.Section([m.Row("a1", "First", "optional")], "A")], header="Pick"
        ),
        {
            "type": "interactive",
            "interactive": {
                "type": "list",
                "header": {"type": "text", "text": "Pick"},
                "body": {"text": "Choose one"},
                "action": {
                    "button": "Options",
                    "sections": [
                        {"title": "A", "rows": [{"id": "a1", "title": "First", "description": "optional"}]}
                    ],
                },
            },
        },
    ),
    "link under a picture": (
        m.CtaUrl("Report ready", "Open", "https://example.com/r", header=m.Image(id="1")),
        {
            "type": "interactive",
            "interactive": {
                "type": "cta_url",
                "header": {"type": "image", "image": {"id": "1"}},
                "body": {"text": "Report ready"},
                "action": {
                    "name": "cta_url",
                    "parameters": {"display_text": "Open", "url": "https://example.com/r"},
                },
            },
        },
    ),
    "flow": (
        m.Flow("Sign up", "Start", flow_id="123", screen="FIRST"),
        {
            "type": "interactive",
            "interactive": {
                "type": "flow",
                "body": {"text": "Sign up"},
                "action": {
                    "name": "flow",
                    "parameters": {
                        "flow_message_version": "3",
                        "flow_id": "123",
                        "flow_cta": "Start",
                        "flow_action": "navigate",
                        "flow_action_payload": {"screen": "FIRST"},
                    },
                },
            },
        },
    ),
    "product": (
        m.ProductMessage("1", "sku"),
        {
            "type": "interactive",
            "interactive": {"type": "product", "action": {"catalog_id": "1", "product_retailer_id": "sku"}},
        },
    ),
    "template without variables": (
        m.Template("hello_world"),
        {"type": "template", "template": {"name": "hello_world", "language": {"code": "en_US"}}},
    ),
    "template with empty parts": (
        m.Template("hello_world", body=[], buttons=[]),
        {"type": "template", "template": {"name": "hello_world", "language": {"code": "en_US"}}},
    ),
}


@pytest.mark.parametrize(
    ("message", "payload"), [pytest.param(*case, id=name) for name, case in PAYLOADS.items()]
)
def test_payload(message, payload):
    assert message.to_payload() == payload


@pytest.mark.parametrize("message", [pytest.param(case[0], id=name) for name, case in PAYLOADS.items()])
def test_the_payload_reads_back_as_the_same_message(message):
    read = m.parse_message(message.to_payload())
    assert type(read) is type(message)
    assert read.to_payload() == message.to_payload()


# -- templates

TEXT_77 = {"type": "text", "text": "77"}
COMPONENTS = {
    "positional body": (
        {"body": ["Ann", 77]},
        [{"type": "body", "parameters": [{"type": "text", "text": "Ann"}, TEXT_77]}],
    ),
    "named body": (
        {"body": {"n": "77"}},
        [{"type": "body", "parameters": [{**TEXT_77, "parameter_name": "n"}]}],
    ),
    "float": ({"body": [0.5]}, [{"type": "body", "parameters": [{"type": "text", "text": "0.5"}]}]),
    "text header": ({"header": "77"}, [{"type": "header", "parameters": [TEXT_77]}]),
    "named header": (
        {"header": {"n": 77}},
        [{"type": "header", "parameters": [{**TEXT_77, "parameter_name": "n"}]}],
    ),
    "image header as dict": (
        {"header": IMAGE},
        [{"type": "header", "parameters": [{"type": "image", "image": {"link": LINK}}]}],
    ),
    "image header in Graph's form": (
        {"header": {"type": "image", "image": {"link": LINK}}},
        [{"type": "header", "parameters": [{"type": "image", "image": {"link": LINK}}]}],
    ),
    "document header": (
        {"header": m.Document(id="1", filename="a.pdf")},
        [
            {
                "type": "header",
                "parameters": [{"type": "document", "document": {"id": "1", "filename": "a.pdf"}}],
            }
        ],
    ),
    "location header": (
        {"header": m.Location(1, 2, "n", "a")},
        [
            {
                "type": "header",
                "parameters": [
                    {
                        "type": "location",
                        "location": {"latitude": 1, "longitude": 2, "name": "n", "address": "a"},
                    }
                ],
            }
        ],
    ),
    "product header": (
        {"header": {"type": "product", "product_retailer_id": "s", "catalog_id": "1"}},
        [
            {
                "type": "header",
                "parameters": [
                    {"type": "product", "product": {"product_retailer_id": "s", "catalog_id": "1"}}
                ],
            }
        ],
    ),
    "header of a type without class": (
        {"header": {"type": "gif", "gif": {"link": LINK}}},
        [{"type": "header", "parameters": [{"type": "gif", "gif": {"link": LINK}}]}],
    ),
    "currency and date": (
        {
            "body": [
                {"type": "currency", "fallback_value": "$1", "code": "USD", "amount_1000": 1000},
                m.DateTime("March 1"),
            ]
        },
        [
            {
                "type": "body",
                "parameters": [
                    {
                        "type": "currency",
                        "currency": {"fallback_value": "$1", "code": "USD", "amount_1000": 1000},
                    },
                    {"type": "date_time", "date_time": {"fallback_value": "March 1"}},
                ],
            }
        ],
    ),
    "suffix at its position": (
        {"buttons": [None, "77"]},
        [{"type": "button", "sub_type": "url", "index": "1", "parameters": [TEXT_77]}],
    ),
    "button as dict": (
        {"buttons": [{"type": "URL", "index": "3", "text": 77}]},
        [{"type": "button", "sub_type": "url", "index": "3", "parameters": [TEXT_77]}],
    ),
    "button in Graph's form": (
        {"buttons": [{"type": "button", "sub_type": "voice_call", "index": 2, "parameters": []}]},
        [{"type": "button", "sub_type": "voice_call", "index": "2", "parameters": []}],
    ),
    "quick reply": (
        {"buttons": [m.QuickReplyButton(0, "p")]},
        [
            {
                "type": "button",
                "sub_type": "quick_reply",
                "index": "0",
                "parameters": [{"type": "payload", "payload": "p"}],
            }
        ],
    ),
    "copy code": (
        {"buttons": [{"type": "copy_code", "code": "SAVE25"}]},
        [
            {
                "type": "button",
                "sub_type": "copy_code",
                "index": "0",
                "parameters": [{"type": "coupon_code", "coupon_code": "SAVE25"}],
            }
        ],
    ),
    "flow": (
        {"buttons": [m.FlowButton(0, "t", {"a": 1})]},
        [
            {
                "type": "button",
                "sub_type": "flow",
                "index": "0",
                "parameters": [
                    {"type": "action", "action": {"flow_token": "t", "flow_action_data": {"a": 1}}}
                ],
            }
        ],
    ),
    "catalogue": (
        {"buttons": [m.CatalogButton(0, "s")]},
        [
            {
                "type": "button",
                "sub_type": "catalog",
                "index": "0",
                "parameters": [{"type": "action", "action": {"thumbnail_product_retailer_id": "s"}}],
            }
        ],
    ),
    "products": (
        {"buttons": [m.MpmButton(0, "s", [{"products": ["a"], "title": "t"}])]},
        [
            {
                "type": "button",
                "sub_type": "mpm",
                "index": "0",
                "parameters": [
                    {
                        "type": "action",
                        "action": {
                            "thumbnail_product_retailer_id": "s",
                            "sections": [{"title": "t", "product_items": [{"product_retailer_id": "a"}]}],
                        },
                    }
                ],
            }
        ],
    ),
    "Graph's components": (
        {"components": [{"type": "body", "parameters": []}]},
        [{"type": "body", "parameters": []}],
    ),
}


@pytest.mark.parametrize(
    ("given_parts", "expected"), [pytest.param(*c, id=name) for name, c in COMPONENTS.items()]
)
def test_components(given_parts, expected):
    assert components(**given_parts) == expected


def test_one_time_code_goes_into_body_and_button():
    made = m.Template.authentication("otp", "en", "123456").to_payload()["template"]["components"]
    code = [{"type": "text", "text": "123456"}]
    assert made == [
        {"type": "body", "parameters": code},
        {"type": "button", "sub_type": "url", "index": "0", "parameters": code},
    ]


# -- limits: whatever is over one is refused, by the field's name and without the value

LIMITS = {
    "text": (m.Text, "text.body", 4096),
    "caption": (lambda text: m.Image(id="1", caption=text), "image.caption", 1024),
    "document caption": (lambda text: m.Document(id="1", caption=text), "document.caption", 1024),
    "button body": (lambda text: m.ReplyButtons(text, ["a"]), "button.body", 1024),
    "button header": (lambda text: m.ReplyButtons("a", ["a"], header=text), "button.header", 60),
    "button footer": (lambda text: m.ReplyButtons("a", ["a"], footer=text), "button.footer", 60),
    "button title": (
        lambda text: m.ReplyButtons("a", [{"id": "a", "title": text}]),
        "button.buttons[0].title",
        20,
    ),
    "button id": (
        lambda text: m.ReplyButtons("a", [{"id": text, "title": "a"}]),
        "button.buttons[0].id",
        256,
    ),
    "list body": (lambda text: m.ListMessage(text, "b", [{"rows": [m.Row("a", "b")]}]), "list.body", 4096),
    "list button": (lambda text: m.ListMessage("a", text, [{"rows": [m.Row("a", "b")]}]), "list.button", 20),
    "section title": (
        lambda text: m.ListMessage("a", "b", [{"rows": [m.Row("a", "b")], "title": text}]),
        "list.sections[0].title",
        24,
    ),
    "row id": (
        lambda text: m.ListMessage("a", "b", [{"rows": [{"id": text, "title": "b"}]}]),
        "list.sections[0].rows[0].id",
        200,
    ),
    "row title": (
        lambda text: m.ListMessage("a", "b", [{"rows": [{"id": "a", "title": text}]}]),
        "list.sections[0].rows[0].title",
        24,
    ),
    "row description": (lambda text: m.Row("a", "b", text), "description", 72),
    "link label": (lambda text: m.CtaUrl("a", text, LINK), "cta_url.display_text", 20),
    "location request": (m.LocationRequest, "location_request_message.body", 1024),
    "flow footer": (lambda text: m.Flow("a", "b", flow_id="1", footer=text), "flow.footer", 60),
    "product body": (lambda text: m.ProductMessage("1", "s", body=text), "product.body", 1024),
    "product list header": (
        lambda text: m.ProductList(text, "b", "1", [{"products": ["a"]}]),
        "product_list.header",
        60,
    ),
    "product section title": (
        lambda text: m.ProductList("h", "b", "1", [{"products": ["a"], "title": text}]),
        "product_list.sections[0].title",
        24,
    ),
    "catalogue body": (m.CatalogMessage, "catalog_message.body", 1024),
    "card body": (
        lambda text: m.MediaCarousel(
            "a", [{"header": IMAGE, "display_text": "a", "url": LINK, "body": text}] * 2
        ),
        "media_carousel.cards[0].body",
        160,
    ),
    "card label": (
        lambda text: m.MediaCarousel("a", [{"header": IMAGE, "display_text": text, "url": LINK}] * 2),
        "media_carousel.cards[0].display_text",
        20,
    ),
    "product carousel body": (
        lambda text: m.ProductCarousel(text, "1", ["a", "b"]),
        "product_carousel.body",
        1024,
    ),
    "template header": (lambda text: template(header=text), "template.header", 60),
    "template body value": (lambda text: template(body=[text]), "template.body[0]", 1024),
    "template named value": (lambda text: template(body={"v": text}), "template.body.v", 1024),
    "offer body": (lambda text: template(body=[text], limited_time_offer=1), "template.body[0]", 600),
    "template card body": (
        lambda text: template(carousel=[{"header": IMAGE, "body": [text]}] * 2),
        "template.carousel[0].body[0]",
        160,
    ),
    "payload": (
        lambda text: template(buttons=[{"type": "quick_reply", "payload": text}]),
        "template.buttons[0].payload",
        256,
    ),
    "coupon": (
        lambda text: template(buttons=[{"type": "copy_code", "code": text}]),
        "template.buttons[0].code",
        20,
    ),
    "one-time code": (lambda text: m.Template.authentication("a", "en", text), "template.code", 15),
}


@pytest.mark.parametrize(
    ("make", "field", "limit"), [pytest.param(*case, id=name) for name, case in LIMITS.items()]
)
@MODERATE
@given(excess=st.integers(1, 3000))
@example(excess=1)
def test_a_text_over_its_limit_is_refused(make, field, limit, excess):
    make("a" * limit)
    with pytest.raises(PayloadError) as caught:
        make("a" * (limit + excess))
    assert caught.value.field == field
    assert str(limit) in str(caught.value.limit)
    assert "a" * 30 not in str(caught.value)
    assert caught.value.doc
    assert caught.value.advice


def test_values_that_fit_alone_but_not_together_are_refused():
    template(body=["a" * 512, m.DateTime("b" * 512)])
    with pytest.raises(PayloadError, match="1025 characters in total") as caught:
        template(body={"v": "a" * 512, "w": m.DateTime("b" * 513)})
    assert caught.value.field == "template.body"


COUNTS = {
    "reply buttons": (lambda n: m.ReplyButtons("a", [str(i) for i in range(n)]), "button.buttons", 1, 3),
    "sections": (
        lambda n: m.ListMessage("a", "b", [{"rows": [m.Row(str(i), "t")], "title": "t"} for i in range(n)]),
        "list.sections",
        1,
        10,
    ),
    "rows of a section": (lambda n: m.Section([m.Row(str(i), "t") for i in range(n)]), "rows", 1, 10),
    "contacts": (lambda n: m.Contacts([{"name": "a"}] * n), "contacts", 1, 257),
    "product sections": (
        lambda n: m.ProductList("h", "b", "1", [{"products": ["a"], "title": "t"}] * n),
        "product_list.sections",
        1,
        10,
    ),
    "products of a section": (lambda n: m.ProductSection(["a"] * n), "products", 1, 30),
    "media cards": (
        lambda n: m.MediaCarousel("a", [{"header": IMAGE, "display_text": "a", "url": LINK}] * n),
        "media_carousel.cards",
        2,
        10,
    ),
    "carousel products": (
        lambda n: m.ProductCarousel("a", "1", ["a"] * n),
        "product_carousel.products",
        2,
        10,
    ),
    "template cards": (lambda n: template(carousel=[{"header": IMAGE}] * n), "template.carousel", 2, 10),
    "template buttons": (lambda n: template(buttons=[str(i) for i in range(n)]), "template.buttons", 0, 10),
    "card buttons": (lambda n: m.Card(IMAGE, buttons=[str(i) for i in range(n)]), "buttons", 0, 2),
}


@pytest.mark.parametrize(
    ("make", "field", "low", "high"), [pytest.param(*case, id=name) for name, case in COUNTS.items()]
)
def test_a_list_out_of_its_limits_is_refused(make, field, low, high):
    make(low)
    make(high)
    for wrong in {max(low - 1, 0), high + 1} - {low}:
        with pytest.raises(PayloadError) as caught:
            make(wrong)
        assert caught.value.field == field
        assert str(high) in str(caught.value.limit)


REFUSED = {
    "empty text": (lambda: m.Text(""), "text.body"),
    "text that is no string": (lambda: m.Text(5), "text.body"),
    "preview that is no flag": (lambda: m.Text("a", preview_url="yes"), "text.preview_url"),
    "no source": (m.Image, "image"),
    "both sources": (lambda: m.Sticker(id="1", link=LINK), "sticker"),
    "id with a space": (lambda: m.Audio(id="1 2"), "audio.id"),
    "link of another scheme": (lambda: m.Image(link="ftp://example.com/a"), "image.link"),
    "link without host": (lambda: m.Image(link="https:///a"), "image.link"),
    "link with a space": (lambda: m.Image(link="https://example.com/a b"), "image.link"),
    "link that is a path": (lambda: m.Document(link="/tmp/report.pdf"), "document.link"),
    "latitude": (lambda: m.Location(90.1, 0), "location.latitude"),
    "longitude": (lambda: m.Location(0, -180.1), "location.longitude"),
    "not a number": (lambda: m.Location(float("nan"), 0), "location.latitude"),
    "latitude that is a flag": (lambda: m.Location(True, 0), "location.latitude"),
    "latitude that is a word": (lambda: m.Location("north", 0), "location.latitude"),
    "two emoji": (lambda: m.Reaction("w", "👍👍"), "reaction.emoji"),
    "letter as emoji": (lambda: m.Reaction("w", "a"), "reaction.emoji"),
    "digit as emoji": (lambda: m.Reaction("w", "1"), "reaction.emoji"),
    "half a flag": (lambda: m.Reaction("w", "🇩"), "reaction.emoji"),
    "no name": (lambda: m.Contacts([{}]), "contacts[0].name"),
    "name without full name": (
        lambda: m.Contacts([{"name": {"first_name": "a"}}]),
        "contacts[0].name.formatted_name",
    ),
    "birthday in another form": (lambda: m.Contact("a", birthday="18.08.2012"), "birthday"),
    "birthday in basic form": (lambda: m.Contact("a", birthday="20120818"), "birthday"),
    "birthday that never was": (lambda: m.Contact("a", birthday="2013-02-29"), "birthday"),
    "phones that are a text": (lambda: m.Contact("a", phones="+1555"), "phones"),
    "button id with space around": (lambda: m.ReplyButton(" a", "a"), "id"),
    "buttons with one id": (
        lambda: m.ReplyButtons("a", [m.ReplyButton("x", "a"), m.ReplyButton("x", "b")]),
        "button.buttons",
    ),
    "buttons with one title": (
        lambda: m.ReplyButtons("a", [m.ReplyButton("x", "a"), m.ReplyButton("y", "a")]),
        "button.buttons",
    ),
    "header with caption": (
        lambda: m.ReplyButtons("a", ["b"], header=m.Image(id="1", caption="c")),
        "button.header.caption",
    ),
    "audio header": (lambda: m.ReplyButtons("a", ["b"], header=m.Audio(id="1")), "button.header"),
    "unknown field in a text header": (
        lambda: m.CtaUrl("a", "b", LINK, header={"type": "text", "text": "a", "sub_text": "b"}),
        "cta_url.header",
    ),
    "list with a picture": (
        lambda: m.ListMessage("a", "b", [m.Section([m.Row("a", "b")])], header=m.Image(id="1")),
        "list.header",
    ),
    "eleven rows in two sections": (
        lambda: m.ListMessage(
            "a",
            "b",
            [m.Section([m.Row(f"{s}{i}", "t") for i in range(6 - s)], "t") for s in (0, 1)],
        ),
        "list.sections",
    ),
    "row id twice": (
        lambda: m.ListMessage(
            "a", "b", [m.Section([m.Row("a", "x")], "s"), m.Section([m.Row("a", "y")], "t")]
        ),
        "list.sections",
    ),
    "untitled section among several": (
        lambda: m.ListMessage("a", "b", [m.Section([m.Row("a", "x")], "s"), m.Section([m.Row("b", "y")])]),
        "list.sections[1].title",
    ),
    "flow without id": (lambda: m.Flow("a", "b"), "flow"),
    "flow with id and name": (lambda: m.Flow("a", "b", flow_id="1", flow_name="n"), "flow"),
    "flow mode": (lambda: m.Flow("a", "b", flow_id="1", mode="test"), "flow.mode"),
    "flow without data": (lambda: m.Flow("a", "b", flow_id="1", data={}), "flow.data"),
    "data exchange with a screen": (
        lambda: m.Flow("a", "b", flow_id="1", flow_action="data_exchange", screen="S"),
        "flow.screen",
    ),
    "product list without header": (
        lambda: m.ProductList("", "b", "1", [{"products": ["a"]}]),
        "product_list.header",
    ),
    "31 products": (
        lambda: m.ProductList(
            "h", "b", "1", [{"products": ["a"] * 16, "title": "t"}, {"products": ["a"] * 15, "title": "u"}]
        ),
        "product_list.sections",
    ),
    "card without picture": (lambda: m.MediaCard("text", "a", LINK), "header"),
    "card with three line breaks": (lambda: m.MediaCard(m.Image(id="1"), "a", LINK, "1\n2\n3\n4"), "body"),
    "cards of two kinds": (
        lambda: m.MediaCarousel(
            "a", [m.MediaCard(m.Image(id="1"), "a", LINK), m.MediaCard(m.Video(id="1"), "a", LINK)]
        ),
        "media_carousel.cards",
    ),
    "template name": (lambda: m.Template("Order-Update"), "template.name"),
    "template name too long": (lambda: m.Template("a" * 513), "template.name"),
    "language with a dash": (lambda: m.Template("a", "en-US"), "template.language"),
    "newline in a value": (lambda: template(body=["a\nb"]), "template.body[0]"),
    "tab in a value": (lambda: template(body={"v": "a\tb"}), "template.body.v"),
    "five spaces in a value": (lambda: template(body=["a" + " " * 5 + "b"]), "template.body[0]"),
    "newline in a fallback": (
        lambda: template(body=[{"type": "date_time", "fallback_value": "a\n"}]),
        "template.body[0].fallback_value",
    ),
    "newline in a header": (lambda: template(header="a\nb"), "template.header"),
    "newline in a suffix": (lambda: template(buttons=["a\nb"]), "template.buttons[0].text"),
    "empty value": (lambda: template(body=[""]), "template.body[0]"),
    "no value": (lambda: template(body=[None]), "template.body[0]"),
    "list as value": (lambda: template(body=[["a"]]), "template.body[0]"),
    "bytes as value": (lambda: template(body=[b"a"]), "template.body[0]"),
    "no number as value": (lambda: template(body=[float("nan")]), "template.body[0]"),
    "word for nothing as value": (lambda: template(body=["None"]), "template.body[0]"),
    "half of a character": (lambda: template(body=["a\ud800"]), "template.body[0]"),
    "media as value": (lambda: template(body=[m.Image(id="1")]), "template.body[0]"),
    "body that is a text": (lambda: template(body="Ann"), "template.body"),
    "variable name": (lambda: template(body={"First Name": "a"}), "template.body"),
    "two header variables": (lambda: template(header={"a": "1", "b": "2"}), "template.header"),
    "named picture": (lambda: template(header={"a": m.Image(id="1")}), "template.header.a"),
    "sticker as header": (lambda: template(header=m.Sticker(id="1")), "template.header"),
    "caption in a header": (lambda: template(header=m.Image(id="1", caption="a")), "template.header.caption"),
    "currency code": (lambda: m.Currency("$1", "usd", 1), "code"),
    "button index": (
        lambda: template(buttons=[{"type": "url", "index": 10, "text": "a"}]),
        "template.buttons[0].index",
    ),
    "button index that is no number": (lambda: m.UrlButton("first", "a"), "index"),
    "two buttons at one index": (lambda: template(buttons=[m.UrlButton(1, "a"), "b"]), "template.buttons"),
    "unknown button": (lambda: template(buttons=[{"type": "phone_number"}]), "template.buttons[0]"),
    "coupon with a dash": (lambda: m.CopyCodeButton(0, "SAVE-25"), "code"),
    "components beside body": (lambda: template(body=["a"], components=[]), "template.components"),
    "component without type": (lambda: template(components=[{}]), "template.components[0].type"),
    "component that is a text": (lambda: template(components=["body"]), "template.components[0]"),
    "component button at 10": (
        lambda: template(components=[{"type": "button", "sub_type": "url", "index": "10"}]),
        "template.components[0].index",
    ),
    "carousel under a header": (
        lambda: template(header="a", carousel=[m.Card(IMAGE)] * 2),
        "template.header",
    ),
    "carousel cards of two kinds": (
        lambda: template(carousel=[m.Card(IMAGE), m.Card(m.Video(id="1"))]),
        "template.carousel",
    ),
    "card with a text header": (lambda: m.Card("text"), "header"),
    "offer with the code second": (
        lambda: template(buttons=["a", m.CopyCodeButton(1, "A")], limited_time_offer=1),
        "template.buttons",
    ),
    "offer that ended before 1970": (lambda: template(limited_time_offer=0), "template.limited_time_offer"),
    "one-time code with a link": (
        lambda: m.Template.authentication("a", "en", "http://a.b"),
        "template.code",
    ),
    "one-time code with an emoji": (lambda: m.Template.authentication("a", "en", "12😀"), "template.code"),
    "raw content that is a text": (lambda: m.RawMessage("a", "b"), "content"),
}


@pytest.mark.parametrize(("make", "field"), [pytest.param(*case, id=name) for name, case in REFUSED.items()])
def test_refused_by_the_name_of_the_field(make, field):
    with pytest.raises(PayloadError) as caught:
        make()
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")
    assert caught.value.advice


# -- parse_message

PARSED = {
    "text": ({"type": "text", "body": "a"}, m.Text("a")),
    "location": ({"type": "location", "latitude": 1, "longitude": 2}, m.Location(1, 2)),
    "contacts": ({"type": "contacts", "contacts": [{"name": "a"}]}, m.Contacts([m.Contact("a")])),
    "buttons": ({"type": "button", "body": "a", "buttons": ["b"]}, m.ReplyButtons("a", ["b"])),
    "template": ({"type": "template", "name": "a", "body": ["b"]}, m.Template("a", body=["b"])),
    "Graph's template": (
        {
            "type": "template",
            "template": {"name": "a", "language": {"code": "de", "policy": "deterministic"}},
        },
        m.Template("a", "de"),
    ),
    "unknown type in Graph's form": ({"type": "order", "order": {"a": 1}}, m.RawMessage("order", {"a": 1})),
    "unknown interactive type": (
        {"type": "interactive", "interactive": {"type": "voice_call", "action": {}}},
        m.RawMessage("interactive", {"type": "voice_call", "action": {}}),
    ),
}


@pytest.mark.parametrize(
    ("plain", "message"), [pytest.param(*case, id=name) for name, case in PARSED.items()]
)
def test_parse_message(plain, message):
    assert m.parse_message(plain) == message


UNREADABLE = {
    "no mapping": ("text", "message", "type"),
    "no type": ({"body": "a"}, "type", "location"),
    "type that is no string": ({"type": 1}, "type", "location"),
    "unknown type": ({"type": "txt", "body": "a"}, "type", "location"),
    "unknown field": ({"type": "text", "text_body": "a"}, "text", "preview_url"),
    "missing field": ({"type": "location", "latitude": 1}, "location.longitude", "address"),
    "recipient inside": ({"type": "text", "body": "a", "to": "+15550001111"}, "to", "arguments"),
    "part of a part": (
        {"type": "list", "body": "a", "button": "b", "sections": [{"rows": [{"id": "a", "titel": "b"}]}]},
        "list.sections[0].rows[0]",
        "title",
    ),
    "unknown field of interactive": (
        {"type": "interactive", "interactive": {"type": "button", "boddy": {}, "action": {}}},
        "interactive",
        "body",
    ),
    "interactive without action": (
        {"type": "interactive", "interactive": {"type": "list"}},
        "interactive.action",
        "dict",
    ),
    "cards of two catalogues": (
        {
            "type": "interactive",
            "interactive": {
                "type": "carousel",
                "body": {"text": "a"},
                "action": {
                    "cards": [
                        {"type": "product", "action": {"catalog_id": c, "product_retailer_id": "s"}}
                        for c in "12"
                    ]
                },
            },
        },
        "interactive.action.cards",
        "catalogue",
    ),
}


@pytest.mark.parametrize(
    ("plain", "field", "hint"), [pytest.param(*case, id=name) for name, case in UNREADABLE.items()]
)
def test_parse_message_says_what_it_takes(plain, field, hint):
    with pytest.raises(PayloadError) as caught:
        m.parse_message(plain)
    assert caught.value.field == field
    assert hint in caught.value.advice
    assert "15550001111" not in str(caught.value)


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind) for kind in MESSAGES])
@MODERATE
@given(data=st.data())
def test_junk_in_a_field_gives_a_payload_error_or_a_message_never_another_error(kind, data):
    message = data.draw(MESSAGES[kind])
    plain = {spec.name: getattr(message, spec.name) for spec in fields(message)}
    plain[data.draw(st.sampled_from(sorted(plain)))] = data.draw(junk)
    try:
        parsed = m.parse_message({"type": message.kind, **plain})
    except PayloadError:
        return
    assert parsed.to_payload()["type"]


def _leaves(node, path=()):
    steps = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for step, inner in steps:
        yield (*path, step)
        yield from _leaves(inner, (*path, step))


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind) for kind in MESSAGES])
@MODERATE
@given(data=st.data())
def test_junk_in_graphs_form_gives_a_payload_error_or_a_message_never_another_error(kind, data):
    payload = data.draw(MESSAGES[kind]).to_payload()
    *above, last = data.draw(st.sampled_from(list(_leaves(payload))))
    node = payload
    for step in above:
        node = node[step]
    node[last] = data.draw(junk)
    try:
        parsed = m.parse_message(payload)
    except PayloadError:
        return
    assert parsed.to_payload()["type"]


# -- the package


def test_messages_are_frozen():
    message = m.Text("a")
    with pytest.raises(FrozenInstanceError):
        message.body = "b"


def test_lists_are_copied():
    body = ["Ann"]
    message = template(body=body)
    body.append("Bob")
    assert len(message.body) == 1


def test_every_public_name_is_there():
    assert [name for name in m.__all__ if not hasattr(m, name)] == []
    assert set(m.__all__) <= set(dir(m))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Txet"):
        m.Txet  # noqa: B018


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind) for kind in m.MESSAGE_TYPES])
def test_every_type_lists_its_fields(kind):
    with pytest.raises(PayloadError) as caught:
        m.parse_message({"type": kind, "no such field": 1})
    assert caught.value.field == kind
    assert caught.value.advice.startswith("Fields: ")


def test_importing_the_package_loads_no_model():
    code = (
        "import sys, airflow_provider_whatsapp.client.messages as m;"
        "loaded = [n for n in sys.modules if n.startswith(m.__name__ + '.')];"
        "sys.exit(repr(loaded) if loaded or 'dataclasses' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


NEEDED = {"body": "b", "name": "Ann", "flow_cta": "Go", "flow_id": "1"}


@pytest.mark.parametrize("model", [m.Text, m.Contact, m.Flow, m.Template, m.LocationRequest])
def test_none_stands_for_the_default_of_every_field(model):
    given = {spec.name: NEEDED.get(spec.name) for spec in fields(model)}
    needed = {name: value for name, value in given.items() if value is not None}
    if model is m.Template:
        given["name"] = needed["name"] = "order_update"
        given["body"] = needed["body"] = None

    assert model(**given) == model(**needed)


def documented(model, name):
    """The sentence about a field in its model's docstring, numbers without separators."""
    return model.__doc__.partition(f":param {name}:")[2].partition(":param ")[0].replace(",", "")


def test_docstrings_name_the_limits_that_fields_declare():
    models = [model for name in m.__all__ if is_dataclass(model := getattr(m, name))]
    declared = [(model, spec.name, spec.metadata.get("limit")) for model in models for spec in fields(model)]
    limits = [each for each in declared if each[2]]
    assert len(limits) > 30
    assert [limit for limit in limits if str(limit[2]) not in documented(*limit[:2])] == []
