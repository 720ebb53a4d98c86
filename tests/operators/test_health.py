"""A broadcast that WhatsApp lets nobody have ends before its first message, and nothing else ends it."""

from __future__ import annotations

import pytest

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator

PEOPLE = ["+15550001111", "+15550002222"]
PAY = [
    {"error_code": 141006, "error_description": "\x1b[31mPayment failed", "possible_solution": "Pay by card"}
]


def broadcast(**options):
    given = {"recipients": PEOPLE, "template_name": "hello_world", **options}
    return BroadcastTemplateOperator(task_id="send", **given)


@pytest.fixture
def log_lines(caplog, capfd):
    """Give what has been logged, however this Airflow does it."""
    caplog.set_level("INFO")
    return lambda: [
        *(f"{each.levelname} {each.getMessage()}" for each in caplog.records),
        *capfd.readouterr()[0].splitlines(),
    ]


def health_requests(sandbox):
    return [each for each in sandbox.requests if "health_status" in each["query"]]


@pytest.mark.parametrize(
    ("entity", "named"),
    [
        ({"entity_type": "PHONE_NUMBER"}, "PHONE_NUMBER 106540352242922 is BLOCKED (141000"),
        ({"entity_type": "MESSAGE_TEMPLATE", "name": "hello_world"}, "is BLOCKED (141002"),
        ({"entity_type": "WABA", "errors": PAY}, "is BLOCKED (141006: Payment failed. Pay by card)"),
        ({"entity_type": "BUSINESS"}, "BUSINESS 100000000000001 is BLOCKED"),
        ({"entity_type": "APP"}, "APP 670843887433847 is BLOCKED"),
    ],
    ids=["number", "template", "account", "business", "app"],
)
def test_a_blocked_entity_stops_it_before_the_first_message(sandbox, entity, named):
    sandbox.control("POST", "health_status", can_send_message="BLOCKED", **entity)

    with pytest.raises(AirflowFailException) as caught:
        broadcast().execute({})

    assert named in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert [
        each for each in sandbox.requests if each["method"] == "POST" and "_sandbox" not in each["path"]
    ] == []


@pytest.mark.parametrize(
    ("given", "level", "words"),
    [
        ({"can_send_message": "BLOCKED"}, "info", "overall word is BLOCKED"),
        (
            {"entity_type": "BUSINESS", "can_send_message": "LIMITED"},
            "warning",
            "is LIMITED (The business",
        ),
        ({"refused": True}, "info", "may not read health_status"),
        (
            {"entity_type": "WABA", "can_send_message": "AVAILABLE", "errors": [{"error_code": 138024}]},
            "info",
            "PHONE_NUMBER, WABA, BUSINESS, APP, MESSAGE_TEMPLATE AVAILABLE",
        ),
    ],
    ids=["overall", "limited", "refused", "calls"],
)
def test_what_does_not_keep_messages_from_going_is_said(sandbox, log_lines, given, level, words):
    sandbox.control("POST", "health_status", **given)

    report = broadcast().execute({})

    assert report["sent"] == 2
    said = next(line for line in log_lines() if words in line)
    assert ("warning" in said.lower()) == (level == "warning")


@pytest.mark.parametrize("kind", ["status", "half", "drop_before"])
def test_health_that_does_not_come_stops_nothing(sandbox, kind):
    """Neither the number's nor the template's, asked for once each; the look-up without it is repeated as usual."""
    number = f"*/v25.0/{sandbox.extra['phone_number_id']}"
    sandbox.fail_next(kind, times=0, method="GET", path=number)
    assert broadcast().execute({})["sent"] == 2
    assert len(sandbox.requests_to(sandbox.extra["phone_number_id"])) == 1 + 2

    sandbox.reset()
    sandbox.fail_next(kind, times=2, method="GET", path="/message_templates")
    assert broadcast().execute({})["sent"] == 2
    asked = sandbox.requests_to("/message_templates")
    assert ["health_status" in each["query"] for each in asked] == [True, False, False]


@pytest.mark.parametrize(
    ("category", "options", "change", "asked", "requests"),
    [
        ("UTILITY", {}, {}, 2, 2),
        ("UTILITY", {}, {"refused": True}, 1, 2),
        ("MARKETING", {}, {}, 2, 3),
        ("MARKETING", {}, {"refused": True}, 1, 3),
        ("UTILITY", {"check_template": False}, {}, 1, 1),
        ("UTILITY", {"check_health": False}, {"entity_type": "WABA", "can_send_message": "BLOCKED"}, 0, 1),
        ("UTILITY", {"check_health": False, "check_template": False}, {}, 0, 0),
        ("UTILITY", {"recipients": []}, {"entity_type": "WABA", "can_send_message": "BLOCKED"}, 1, 1),
    ],
    ids=[
        *(
            "usual",
            "refused",
            "marketing",
            "marketing, refused",
            "no look-up",
            "not asked",
            "nothing asked",
            "nobody",
        ),
    ],
)
def test_look_up_status_and_health_are_three_requests_at_most(
    sandbox, category, options, change, asked, requests
):
    sandbox.control("POST", "templates", name="hello_world", category=category)
    if change:
        sandbox.control("POST", "health_status", **change)

    report = broadcast(**options).execute({})

    assert report["sent"] == report["total"]
    assert len(health_requests(sandbox)) == asked
    reads = [each for each in sandbox.requests if each["method"] == "GET" and "_sandbox" not in each["path"]]
    assert len(reads) == requests


def test_a_dry_run_says_what_would_stop_it(sandbox, log_lines):
    sandbox.control("POST", "health_status", entity_type="WABA", can_send_message="BLOCKED")

    found = broadcast(dry_run=True).execute({})

    assert found["would_send"] == 2
    assert any("is BLOCKED (141006" in line for line in log_lines())


def test_words_of_any_length_make_a_short_error(sandbox):
    words = "+1 555 000 1111 " + "x" * 10_000
    for kind in ("PHONE_NUMBER", "WABA", "BUSINESS", "APP"):
        errors = [{"error_code": 141006, "error_description": words, "possible_solution": words}] * 9
        sandbox.control("POST", "health_status", entity_type=kind, can_send_message="BLOCKED", errors=errors)

    with pytest.raises(AirflowFailException) as caught:
        broadcast(check_template=False).execute({})

    assert len(str(caught.value)) < 2_000
    assert "5550001111" not in str(caught.value).replace(" ", "")
