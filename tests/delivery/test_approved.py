"""Messages held against the template of the account."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_whatsapp.client.errors import PayloadError
from airflow_provider_whatsapp.client.messages import Template
from airflow_provider_whatsapp.delivery.approved import Approved, _values_fit

TEMPLATE = {
    "name": "order",
    "language": "en_US",
    "status": "APPROVED",
    "category": "UTILITY",
    "components": [
        {"type": "HEADER", "format": "TEXT", "text": "Order {{1}}"},
        {"type": "BODY", "text": "Dear {{1}}, {{2}} is on its way."},
        {"type": "FOOTER", "text": "The shop"},
        {
            "type": "BUTTONS",
            "buttons": [
                {"type": "URL", "text": "Track", "url": "https://shop.example/{{1}}"},
                {"type": "QUICK_REPLY", "text": "Stop"},
            ],
        },
    ],
}
NAMED = TEMPLATE | {"components": [{"type": "BODY", "text": "Dear {{name}}, {{day}}."}]}
IMAGE = TEMPLATE | {"components": [{"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Hello."}]}
FITS = {"header": "77", "body": ["Ann", "the box"], "buttons": ["t/77"]}


def check(template=TEMPLATE, **parts):
    Approved(template, "order", "en_US").check(Template("order", "en_US", **parts).to_payload())


def test_what_fits_passes_and_is_rendered():
    check(**FITS)
    shown = Approved(TEMPLATE, "order", "en_US").render(Template("order", **FITS).to_payload())

    assert shown == {
        "header": "Order 77",
        "body": "Dear Ann, the box is on its way.",
        "footer": "The shop",
        "buttons": ["Track", "Stop"],
    }
    check(NAMED, body={"name": "Ann", "day": "Monday"})
    check(IMAGE, header={"type": "image", "link": "https://shop.example/a.png"})


@pytest.mark.parametrize(
    ("template", "parts", "problem"),
    [
        (
            TEMPLATE,
            {**FITS, "body": ["Ann"]},
            r"body needs 2 values, not 1.*'Dear •••, \{\{2\}\} is on its way\.'",
        ),
        (TEMPLATE, {**FITS, "body": ["Ann", "b", "c"]}, "body needs 2 values, not 3"),
        (TEMPLATE, {**FITS, "body": ["x" * 1020]}, "body needs 2 values, not 1(?!.*characters)"),
        (TEMPLATE, {**FITS, "body": {"name": "Ann"}}, "by position, not by name"),
        (TEMPLATE, {**FITS, "header": None}, "header needs 1 values, not 0"),
        (
            TEMPLATE,
            {**FITS, "header": {"type": "image", "id": "1"}},
            "header must be of kind text, not image",
        ),
        (TEMPLATE, {**FITS, "header": "7" * 55}, r"header has 61 characters filled \(limit: 60\)"),
        (TEMPLATE, {**FITS, "body": ["Ann", "x" * 1000]}, r"body has 1025 characters filled \(limit: 1024\)"),
        (TEMPLATE, {**FITS, "buttons": None}, r"buttons\[0\] needs the end of its URL"),
        (TEMPLATE, {**FITS, "buttons": ["a", None, "c"]}, r"buttons\[2\] is given, but the template has 2"),
        (NAMED, {"body": ["Ann", "Monday"]}, "by name: give a dict of name, day"),
        (NAMED, {"body": {"name": "Ann", "hour": "9"}}, "body lacks day; body has no variable hour"),
        (IMAGE, {}, "header must be of kind image, not nothing"),
        (
            NAMED,
            {"header": "x", "body": {"name": "Ann", "day": "9"}},
            "header is given, but the template has none",
        ),
    ],
)
def test_what_does_not_fit_is_named(template, parts, problem):
    with pytest.raises(PayloadError, match=problem):
        check(template, **{name: part for name, part in parts.items() if part is not None})


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        (None, "the account has no template order"),
        (TEMPLATE | {"status": "PAUSED"}, "is PAUSED"),
        (TEMPLATE | {"status": "REJECTED", "rejected_reason": "SCAM"}, r"is REJECTED \(SCAM\)"),
    ],
)
def test_a_template_that_cannot_be_sent_is_refused(template, problem):
    with pytest.raises(PayloadError, match=problem):
        Approved(template, "order", "en_US").check_usable()


@pytest.mark.parametrize(
    ("form", "header", "taken"),
    [
        ("TEXT", "/etc/hostname", {"type": "text", "text": "/etc/hostname"}),
        ("TEXT", "1555000111222", {"type": "text", "text": "1555000111222"}),
        ("TEXT", {"name": "x"}, {"name": "x"}),
        ("TEXT", 4711, 4711),
        ("TEXT", None, None),
        ("LOCATION", "/x.pdf", {"type": "text", "text": "/x.pdf"}),
        (None, "/x.pdf", {"type": "text", "text": "/x.pdf"}),
        ("DOCUMENT", "/x.pdf", "/x.pdf"),
        ("image", "1555000111222", "1555000111222"),
    ],
)
def test_what_the_template_takes_decides_what_a_header_is(form, header, taken):
    parts = [{"type": "HEADER", "format": form}] if form else []

    assert Approved({"components": parts}, "x", "en_US").as_header(header) == taken
    assert Approved(None, "x", "en_US").as_header(header) == header


@pytest.mark.parametrize("header", [{"type": "document", "media": "/x.pdf"}, b"%PDF", Path("/x.pdf")])
def test_media_for_a_header_of_text_is_refused(header):
    approved = Approved({"components": [{"type": "HEADER", "format": "TEXT"}]}, "x", "en_US")

    with pytest.raises(PayloadError, match="must be of kind text, not media"):
        approved.as_header(header)


@pytest.mark.parametrize(
    ("facts", "category", "known", "announced"),
    [
        ({"category": "UTILITY"}, "UTILITY", "UTILITY", None),
        ({"category": "utility", "correct_category": "MARKETING"}, "utility", "UTILITY", "MARKETING"),
        ({"category": "MARKETING", "correct_category": "marketing"}, "MARKETING", "MARKETING", None),
        ({"category": None}, "unknown", None, None),
        ({}, "unknown", None, None),
    ],
    ids=lambda value: str(sorted(value)) if isinstance(value, dict) else str(value),
)
def test_the_category_that_decides(facts, category, known, announced):
    found = Approved({"status": "APPROVED", **facts}, "late", "en_US")

    assert (found.category, found.known_category, found.announced_category) == (category, known, announced)


@pytest.mark.parametrize(
    ("names", "values", "problems"),
    [
        pytest.param(["1", "2"], [{}, {}], [], id="by position"),
        pytest.param(["1", "2"], [{}], ["x needs 2 values, not 1"], id="too few"),
        pytest.param(
            ["1"],
            [{"parameter_name": "a"}],
            ["x has variables by position, not by name: give a list of 1"],
            id="names for positions",
        ),
        pytest.param(["a", "b"], [{"parameter_name": "b"}, {"parameter_name": "a"}], [], id="by name"),
        pytest.param(
            ["a", "b"], [{}, {}], ["x has variables by name: give a dict of a, b"], id="positions for names"
        ),
        pytest.param(["a", "b"], [{"parameter_name": "a"}], ["x lacks b"], id="one is missing"),
        pytest.param(["a", "b"], [], ["x lacks a, b"], id="all are missing"),
        pytest.param(
            ["a"],
            [{"parameter_name": "a"}, {"parameter_name": "c"}],
            ["x has no variable c"],
            id="one too many",
        ),
    ],
)
def test_the_values_of_a_part(names, values, problems):
    assert _values_fit("x", names, values) == problems


def test_what_fits_to_the_last_character_passes():
    check(header="7" * 54, body=["Ann", "x" * 999], buttons=["t"])


@pytest.mark.parametrize(
    ("template", "known", "shown", "announced"),
    [
        (None, None, "unknown", None),
        ({}, None, "unknown", None),
        ({"category": ""}, None, "unknown", None),
        ({"category": "utility"}, "UTILITY", "utility", None),
        ({"category": "UTILITY", "correct_category": "marketing"}, "UTILITY", "UTILITY", "MARKETING"),
        ({"category": "UTILITY", "correct_category": "utility"}, "UTILITY", "UTILITY", None),
        ({"correct_category": "MARKETING"}, None, "unknown", "MARKETING"),
    ],
    ids=str,
)
def test_what_the_account_says_of_a_template(template, known, shown, announced):
    found = Approved(template, "order", "en_US")

    assert (found.known_category, found.category, found.announced_category) == (known, shown, announced)
    assert found.id is None
    assert Approved({"id": "77"}, "order", "en_US").id == "77"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        (None, "has a category that WhatsApp does not report"),
        ({"category": "marketing"}, "is MARKETING, not UTILITY"),
        ({"category": "MARKETING", "previous_category": "utility"}, r"not UTILITY \(Meta has moved it\)"),
        ({"category": "MARKETING", "previous_category": "AUTHENTICATION"}, "not UTILITY(?! \\(Meta)"),
    ],
    ids=str,
)
def test_another_category_than_was_counted_on_is_refused(template, problem):
    with pytest.raises(PayloadError, match=problem):
        Approved(template, "order", "en_US").check_category("UTILITY")
    Approved({"category": "utility"}, "order", "en_US").check_category("UTILITY")


@pytest.mark.parametrize(
    ("components", "parts", "shown"),
    [
        ([], {}, {"body": ""}),
        ([{"type": "BODY"}, {"type": "HEADER", "format": "IMAGE"}], {}, {"header": "[nothing]", "body": ""}),
        ([{"type": "body", "text": "Hello."}, {"type": "FOOTER"}], {}, {"body": "Hello.", "footer": None}),
        (
            [{"type": "BUTTONS", "buttons": [{"type": "OTP"}, {"type": "URL", "text": "Go"}]}],
            {},
            {"body": "", "buttons": ["OTP", "Go"]},
        ),
        (
            [{"type": "HEADER", "format": "DOCUMENT"}, {"type": "BODY", "text": "{{1}} and {{2}}"}],
            {"header": {"type": "document", "id": "1"}, "body": ["a"]},
            {"header": "[document]", "body": "a and {{2}}"},
        ),
    ],
    ids=range(5),
)
def test_whatever_a_template_has_is_shown(components, parts, shown):
    payload = Template("order", "en_US", **parts).to_payload()

    assert Approved({"components": components}, "order", "en_US").render(payload) == shown
    assert Approved(None, "order", "en_US").render(payload) == {"body": ""}


@pytest.mark.parametrize(
    ("status", "usable"),
    [("APPROVED", True), ("approved", True), ("", True), (None, True), ("PENDING", False)],
)
def test_a_template_whose_status_is_not_told_is_not_refused(status, usable):
    found = Approved({"status": status}, "order", "en_US")
    if usable:
        found.check_usable()
    else:
        with pytest.raises(PayloadError, match="is PENDING") as caught:
            found.check_usable()
        assert "TemplateApprovalSensor" in caught.value.advice


BUTTONS = [
    {"type": "URL", "url": "https://shop.example/"},
    {"type": "QUICK_REPLY"},
    {"type": "URL", "url": "https://shop.example/{{1}}"},
    {"type": "COPY_CODE"},
    {"type": "PHONE_NUMBER"},
    {"type": "URL"},
]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, None),
        ({1: "quick_reply"}, None),
        ({4: "voice_call"}, None),
        ({2: None}, "buttons[2] needs the end of its URL"),
        ({3: None}, "buttons[3] needs its code"),
        ({0: "url"}, "buttons[0] has a URL without a variable"),
        ({5: "url"}, "buttons[5] has a URL without a variable"),
        ({0: "quick_reply"}, "buttons[0] is a url button, not quick_reply"),
        ({1: "url"}, "buttons[1] is a quick_reply button, not url"),
        ({2: "quick_reply"}, "buttons[2] is a url button, not quick_reply"),
        ({3: "url"}, "buttons[3] is a copy_code button, not url"),
        ({6: "url"}, "buttons[6] is given, but the template has 6"),
        ({-1: "url"}, "buttons[-1] is given, but the template has 6"),
    ],
    ids=str,
)
def test_each_button_takes_what_it_is_made_for(given, problem):
    values = {index: kind for index, kind in ({2: "url", 3: "copy_code"} | given).items() if kind}
    components = [{"type": "button", "index": str(index), "sub_type": kind} for index, kind in values.items()]
    found = Approved({"components": [{"type": "BUTTONS", "buttons": BUTTONS}]}, "order", "en_US")
    if problem is None:
        found.check({"components": components})
    else:
        with pytest.raises(PayloadError) as caught:
            found.check({"components": components})
        assert str(caught.value).startswith(f"template: {problem}. The body")


BASE = "https://airflow.example/af"
LEADS = {
    "below it": ("https://airflow.example/af/{{1}}", None),
    "with the usual port": ("https://airflow.example:443/af/{{1}}", None),
    "in capitals": ("HTTPS://Airflow.Example/af/{{1}}", None),
    "with spaces around the name": ("https://airflow.example/af/{{ 1 }}", None),
    "without a variable": ("https://elsewhere.example/", None),
    "nothing": (None, None),
    "to another host": ("https://elsewhere.example/af/{{1}}", "https://elsewhere.example/af/"),
    "to another path": ("https://airflow.example/{{1}}", "https://airflow.example/"),
    "by another port": ("https://airflow.example:8443/af/{{1}}", "https://airflow.example:8443/af/"),
    "by another scheme": ("http://airflow.example/af/{{1}}", "http://airflow.example/af/"),
}


@pytest.mark.parametrize(("url", "start"), LEADS.values(), ids=list(LEADS))
def test_a_button_leads_to_this_airflow(url, start):
    buttons = [{"type": "QUICK_REPLY"}, {"type": "URL", "url": url}]
    found = Approved({"components": [{"type": "BUTTONS", "buttons": buttons}]}, "order", "en_US")
    if start is None:
        found.check_base_url(BASE)
    else:
        with pytest.raises(PayloadError) as caught:
            found.check_base_url(BASE)
        assert caught.value.message == (
            f"base_url: button 1 of order (en_US) leads to {start}, but Airflow is at {BASE}/."
        )
        assert caught.value.field == "base_url"


def test_a_port_that_is_usual_for_its_scheme_is_none():
    http = Approved(
        {"components": [{"type": "BUTTONS", "buttons": [{"url": "http://a.example:80/{{1}}"}]}]}, "o", "en"
    )
    http.check_base_url("http://a.example")
    for template in (None, {}, {"components": [{"type": "BUTTONS"}]}):
        Approved(template, "o", "en").check_base_url(BASE)


HEADERS = {
    "none, and none given": (None, [], None),
    "none, and one given": (None, [{"type": "image"}], "header is given, but the template has none"),
    "an image": ({"format": "IMAGE"}, [{"type": "image"}], None),
    "an image, not given": ({"format": "image"}, [], "header must be of kind image, not nothing"),
    "another file": ({"format": "VIDEO"}, [{"type": "image"}], "header must be of kind video, not image"),
    "two": ({"format": "VIDEO"}, [{"type": "video"}] * 2, "header must be of kind video, not video, video"),
    "a place": ({"format": "LOCATION"}, [{"type": "location"}], None),
    "a new kind": ({"format": "GIF"}, [{"type": "gif"}], None),
    "text": ({"text": "Order {{1}}"}, [{"type": "text", "text": "7"}], None),
    "text that takes none": ({"format": "TEXT", "text": "Order"}, [], None),
    "an image for text": ({"format": "TEXT"}, [{"type": "image"}], "header must be of kind text, not image"),
    "no value for text": ({"text": "Order {{1}}"}, [], "header needs 1 values, not 0"),
    "as long as may be": ({"text": "{{1}}"}, [{"type": "text", "text": "x" * 60}], None),
    "longer": (
        {"text": "{{1}}"},
        [{"type": "text", "text": "x" * 61}],
        "header has 61 characters filled (limit: 60)",
    ),
}


@pytest.mark.parametrize(("header", "values", "problem"), HEADERS.values(), ids=list(HEADERS))
def test_each_header_takes_what_it_is_made_for(header, values, problem):
    components = [] if header is None else [{"type": "HEADER", **header}]
    found = Approved({"components": components}, "order", "en_US")
    payload = {"components": [{"type": "header", "parameters": values}]}
    found.check(payload, header=False)
    if problem is None:
        found.check(payload)
    else:
        with pytest.raises(PayloadError) as caught:
            found.check(payload)
        assert str(caught.value).startswith(f"template: {problem}. The body with these values: ''")
    if problem and "characters" in problem:
        found.check(payload, lengths=False)


@pytest.mark.parametrize(("length", "fits"), [(1_024, True), (1_025, False)])
def test_a_body_is_as_long_as_whatsapp_takes_it(length, fits):
    found = Approved({"components": [{"type": "BODY", "text": "{{1}}"}]}, "order", "en_US")
    payload = {"components": [{"type": "body", "parameters": [{"text": "x" * length}]}]}
    found.check(payload, lengths=False)
    if fits:
        found.check(payload)
    else:
        with pytest.raises(PayloadError, match=r"body has 1025 characters filled \(limit: 1024\)"):
            found.check(payload)


@pytest.mark.parametrize(
    "body", [{}, {"text": None}, {"text": "{{1}}", "with": {"type": "CAROUSEL"}}], ids=str
)
def test_a_body_that_is_not_known_or_lies_in_cards_is_not_looked_at(body):
    more = [body["with"]] if "with" in body else []
    Approved({"components": [{"type": "BODY", **body}, *more]}, "order", "en_US").check({})


@pytest.mark.parametrize(("show", "shown"), [(True, "Dear Ann, {{2}}"), (False, "Dear •••, {{2}}")])
def test_an_error_shows_the_values_where_that_is_wanted(show, shown):
    template = {"components": [{"type": "BODY", "text": "Dear {{1}}, {{2}}"}]}
    found = Approved(template, "order", "en_US", show_values=show)
    with pytest.raises(PayloadError) as caught:
        found.check(
            {"template": {"components": [{"type": "BODY", "parameters": [{"type": "text", "text": "Ann"}]}]}}
        )

    assert f"body needs 2 values, not 1. The body with these values: {shown!r}" in str(caught.value)
    assert "template order (en_US)" in caught.value.advice


def test_what_graph_s_other_values_look_like():
    template = {"components": [{"type": "BODY", "text": "{{1}} {{2}} {{3}} {{name}}"}]}
    values = [
        {"type": "currency", "currency": {"fallback_value": "$7"}},
        {"type": "date_time", "date_time": None},
        {"type": "date_time", "date_time": {}},
        {"text": "Ann", "parameter_name": "name"},
    ]
    found = Approved(template, "order", "en_US").render(
        {"components": [{"type": "body", "parameters": values}]}
    )

    assert found == {"body": "$7   Ann"}


HEADER_FORMS = {
    "the account has none": (None, "report.pdf", "report.pdf"),
    "none": ([], "report.pdf", {"type": "text", "text": "report.pdf"}),
    "text": ([{"type": "HEADER", "format": "text"}], "report.pdf", {"type": "text", "text": "report.pdf"}),
    "a file": ([{"type": "HEADER", "format": "DOCUMENT"}], "report.pdf", "report.pdf"),
    "a place": ([{"type": "HEADER", "format": "LOCATION"}], {"latitude": 1}, {"latitude": 1}),
    "nothing given": ([], None, None),
    "media": ([], {"media": "report.pdf"}, "header must be of kind none, not media"),
    "bytes": ([{"type": "HEADER"}], b"%PDF", "header must be of kind text, not media"),
}


@pytest.mark.parametrize(("components", "header", "taken"), HEADER_FORMS.values(), ids=list(HEADER_FORMS))
def test_a_header_as_the_template_takes_it(components, header, taken):
    found = Approved(None if components is None else {"components": components}, "order", "en_US")
    if isinstance(taken, str) and taken.startswith("header must"):
        with pytest.raises(PayloadError, match=taken):
            found.as_header(header)
    else:
        assert found.as_header(header) == taken


REFUSALS = {
    "PAUSED": ("low quality", None, ""),
    "REJECTED": ("Meta's reason no longer applies", "SCAM", " (SCAM)"),
    "DISABLED": ("disabled it for good", "NONE", ""),
    "SOMETHING_NEW": ("WhatsApp Manager", None, ""),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_why_a_template_cannot_be_sent(status):
    advice, reason, because = REFUSALS[status]
    with pytest.raises(PayloadError) as caught:
        Approved({"status": status.lower(), "rejected_reason": reason}, "order", "en_US").check_usable()

    assert caught.value.message == f"template_name: order (en_US) is {status}{because}."
    assert advice in caught.value.advice


def test_spaces_around_a_variable_s_name_are_none_of_its_name():
    template = {"components": [{"type": "BODY", "text": "Dear {{ name }}, {{day }}."}]}
    payload = Template("order", "en_US", body={"name": "Ann", "day": "Monday"}).to_payload()
    found = Approved(template, "order", "en_US")

    found.check(payload)
    assert found.render(payload) == {"body": "Dear Ann, Monday."}
