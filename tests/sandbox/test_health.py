"""What the sandbox says of ``health_status``, and what tests may set of it."""

from __future__ import annotations

import pytest
import requests

FIELDS = {"fields": "health_status"}


def health(sandbox, node):
    return sandbox.call("GET", node, params=FIELDS).json()["health_status"]


def states(sandbox, node):
    return {each["entity_type"]: each["can_send_message"] for each in health(sandbox, node)["entities"]}


def set_health(sandbox, **fields):
    return sandbox.control("POST", "health_status", **fields)


def test_every_node_names_what_its_messages_need(sandbox):
    template = sandbox.approved("late", {"type": "BODY", "text": "It is late."})
    common = {"WABA": "AVAILABLE", "BUSINESS": "AVAILABLE", "APP": "AVAILABLE"}

    assert states(sandbox, sandbox.waba) == common
    assert states(sandbox, sandbox.number) == {"PHONE_NUMBER": "AVAILABLE", **common}
    assert states(sandbox, template) == {"MESSAGE_TEMPLATE": "AVAILABLE", **common}


def test_a_template_that_is_not_approved_is_blocked(sandbox):
    template = sandbox.create("late", {"type": "BODY", "text": "It is late."}).json()["id"]

    found = health(sandbox, template)

    assert (found["can_send_message"], found["entities"][0]["can_send_message"]) == ("BLOCKED", "BLOCKED")
    assert found["entities"][0]["errors"][0]["error_code"] == 141002


@pytest.mark.parametrize(
    ("given", "overall"),
    [
        ({"entity_type": "WABA", "can_send_message": "BLOCKED"}, "BLOCKED"),
        ({"entity_type": "PHONE_NUMBER", "can_send_message": "LIMITED"}, "LIMITED"),
        ({"entity_type": "APP", "can_send_message": "AVAILABLE"}, "AVAILABLE"),
        ({"can_send_message": "BLOCKED"}, "BLOCKED"),
    ],
    ids=["blocked", "limited", "available", "overall alone"],
)
def test_what_is_set_is_what_is_said(sandbox, given, overall):
    set_health(sandbox, **given)

    assert health(sandbox, sandbox.number)["can_send_message"] == overall
    changed = {kind: state for kind, state in states(sandbox, sandbox.number).items() if state != "AVAILABLE"}
    wanted = {given["entity_type"]: overall} if overall != "AVAILABLE" and "entity_type" in given else {}
    assert changed == wanted
    sandbox.control("POST", "reset")
    assert health(sandbox, sandbox.number)["can_send_message"] == "AVAILABLE"


def test_reasons_are_filled_in_or_taken_as_given(sandbox):
    own = [{"error_code": 1, "error_description": "why", "possible_solution": "what"}]

    set_health(sandbox, entity_type="WABA", can_send_message="BLOCKED")
    set_health(sandbox, entity_type="BUSINESS", can_send_message="LIMITED")
    assert set_health(sandbox, entity_type="APP", can_send_message="BLOCKED", errors=own) == sandbox.control(
        "GET", "health_status"
    )

    number, account, business, app = health(sandbox, sandbox.number)["entities"]
    assert "errors" not in number
    assert account["errors"][0]["error_code"] == 141006
    assert business["additional_info"] == ["The business is not verified."]
    assert app["errors"] == own


def test_an_entity_is_let_go_again(sandbox):
    set_health(sandbox, entity_type="MESSAGE_TEMPLATE", name="hello_world", can_send_message="BLOCKED")
    (template,) = sandbox.call("GET", f"{sandbox.waba}/message_templates", params=FIELDS).json()["data"]
    assert template["health_status"]["can_send_message"] == "BLOCKED"

    set_health(sandbox, entity_type="MESSAGE_TEMPLATE", id=template["id"], can_send_message="AVAILABLE")

    assert health(sandbox, template["id"])["can_send_message"] == "AVAILABLE"


def test_the_field_itself_may_be_refused(sandbox):
    set_health(sandbox, refused=True)
    for node in (sandbox.number, sandbox.waba, f"{sandbox.waba}/message_templates"):
        assert sandbox.call("GET", node, params=FIELDS).json()["error"]["code"] == 100
        assert sandbox.call("GET", node).status_code == 200

    set_health(sandbox, refused=False)

    assert states(sandbox, sandbox.number)["WABA"] == "AVAILABLE"


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        ({}, 400, "can_send_message must be one of"),
        ({"entity_type": "PAGE", "can_send_message": "BLOCKED"}, 400, "entity_type must be one of"),
        ({"entity_type": "WABA", "id": "1", "can_send_message": "BLOCKED"}, 404, "no such WABA"),
        (
            {"entity_type": "MESSAGE_TEMPLATE", "name": "nobody", "can_send_message": "BLOCKED"},
            404,
            "no such MESSAGE_TEMPLATE",
        ),
        ({"can_send_message": "BLOCKED", "colour": "red"}, 400, "Unknown field colour"),
        ({"can_send_message": "BLOCKED", "errors": [{"code": 1}]}, 400, "errors must be"),
        ({"can_send_message": "BLOCKED", "additional_info": "why"}, 400, "additional_info must be"),
        ({"refused": "yes"}, 400, "refused must be true or false"),
    ],
    ids=["nothing", "kind", "id", "name", "field", "errors", "notes", "refused"],
)
def test_what_makes_no_sense_is_refused(sandbox, given, status, words):
    answer = requests.post(f"{sandbox.url}/_sandbox/health_status", json=given, timeout=10)

    assert answer.status_code == status
    assert words in answer.json()["message"]
    assert sandbox.control("GET", "health_status") == []
