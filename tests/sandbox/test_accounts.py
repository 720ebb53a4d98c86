"""Several numbers, several accounts: each Maton connection sees its own and nothing else."""

from __future__ import annotations

import pytest

FIRST, SECOND = ("100", ("101", "102")), ("200", ("201",))


@pytest.fixture(scope="module")
def two(tools):
    given = [
        "--waba-id",
        "100",
        "--phone-number-id",
        "101",
        "--phone-number-id",
        "102",
        "--account",
        "200:201",
    ]
    process = tools.start("--port", "0", "--rate-limit", "0", *given)
    yield tools.Sandbox(tools.read_connection(process))
    process.terminate()
    process.communicate(timeout=60)


@pytest.fixture
def connections(two):
    two.control("POST", "reset")
    listed = two.control("GET", "connections")
    assert [(each["waba_id"], tuple(each["phone_number_ids"])) for each in listed] == [FIRST, SECOND]
    return {each["waba_id"]: {"Maton-Connection": each["connection_id"]} for each in listed}


def text(two, number, **options):
    body = {"messaging_product": "whatsapp", "to": "+15550001111", "type": "text", "text": {"body": number}}
    return two.call("POST", f"{number}/messages", json=body, **options)


def test_a_connection_sees_its_own_account_only(two, connections):
    second = connections["200"]
    assert text(two, "101").status_code == text(two, "102").status_code == 200
    assert text(two, "201", headers=second).status_code == 200
    for number, options in (("201", {}), ("101", {"headers": second})):
        answer = text(two, number, **options)
        assert (answer.status_code, answer.json()["error"]["error_subcode"]) == (400, 33)
    assert two.call("GET", "100").status_code == two.call("GET", "200", headers=second).status_code == 200
    assert two.call("GET", "200").status_code == two.call("GET", "100", headers=second).status_code == 400
    assert [each["phone_number_id"] for each in two.messages] == ["101", "102", "201"]


def test_templates_and_media_stay_with_their_account(two, connections):
    second = connections["200"]
    body = {
        "name": "mine",
        "language": "en_US",
        "category": "UTILITY",
        "components": [{"type": "BODY", "text": "x"}],
    }
    made = two.call("POST", "200/message_templates", json=body, headers=second).json()["id"]
    names = [each["name"] for each in two.call("GET", "100/message_templates").json()["data"]]
    theirs = [
        each["name"] for each in two.call("GET", "200/message_templates", headers=second).json()["data"]
    ]
    assert (names, theirs) == (["hello_world"], ["hello_world", "mine"])
    assert two.call("GET", made).status_code == 400
    assert two.call("DELETE", "100/message_templates", params={"name": "mine"}).status_code == 400
    two.control("POST", "templates", name="mine", waba_id="200", status="APPROVED")
    template = {"type": "template", "template": {"name": "mine", "language": {"code": "en_US"}}}
    message = {"messaging_product": "whatsapp", "to": "+15550001111", **template}
    assert two.call("POST", "101/messages", json=message).json()["error"]["code"] == 132001
    assert two.call("POST", "201/messages", json=message, headers=second).status_code == 200
    form = {"messaging_product": "whatsapp", "type": "image/png"}
    file = {"file": ("a.png", b"\x89PNG\r\n\x1a\n", "image/png")}
    media = two.call("POST", "101/media", data=form, files=file).json()["id"]
    assert two.call("GET", media).status_code == 200
    assert two.call("GET", media, headers=second).status_code == 400
    image = {"messaging_product": "whatsapp", "to": "+15550001111", "type": "image", "image": {"id": media}}
    assert two.call("POST", "102/messages", json=image).json()["error"]["code"] == 131009


def test_a_new_connection_can_be_given_either_account(two, connections):
    made = two.session.post(f"{two.url}/connections", json={"app": "whatsapp-business"}).json()[
        "connection_id"
    ]
    url = two.session.get(f"{two.url}/connections/{made}").json()["connection"]["url"]
    assert text(two, "201", headers={"Maton-Connection": made}).status_code == 400
    assert two.session.get(url, params={"account": "200"}).status_code == 200
    assert text(two, "201", headers={"Maton-Connection": made}).status_code == 200


def test_the_second_account_s_messages_are_on_the_page(two, connections):
    text(two, "201", headers=connections["200"])
    assert "+1 555-010-1002" in two.page("/", **{"with": "15550001111", "from": "201"})


def test_the_page_moves_the_template_of_one_account(two, connections):
    two.control("POST", "templates", name="hello_world", waba_id="200", status="PAUSED")
    moved = {
        account: two.call("GET", f"{account}/message_templates", headers=headers).json()["data"][0]["status"]
        for account, headers in connections.items()
    }
    page = two.page("/templates")
    assert moved == {"100": "APPROVED", "200": "PAUSED"}
    assert page.count("account 200") == page.count("account 100") == 1
    assert page.count('"waba_id": "200"') == 3


@pytest.mark.parametrize(
    "given",
    [
        ["--account", "200"],
        ["--account", "200:"],
        ["--account", "a:1"],
        ["--account", "200:201", "--account", "300:201"],
        ["--waba-id", "200", "--account", "200:201"],
    ],
)
def test_accounts_that_make_no_sense(tools, given):
    process = tools.start("--port", "0", *given)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Traceback" not in err
