"""The Marketing Messages API as Meta documents it: who may use it, what it takes, and what falls back."""

from __future__ import annotations

import pytest

SALE = {"type": "BODY", "text": "The summer sale begins today."}
MAX_PRICE = {"bid_strategy": "LOWEST_COST_WITH_BID_CAP", "bid_amount": 100}


def post(sandbox, name="sale", *, version="v25.0", **fields):
    """Send a template by the Marketing Messages API."""
    body = {
        "messaging_product": "whatsapp",
        "to": "+15550001111",
        "type": "template",
        "template": {"name": name, "language": {"code": "en_US"}},
        **fields,
    }
    body = {key: value for key, value in body.items() if value is not None}
    return sandbox.call("POST", f"{sandbox.number}/marketing_messages", version, json=body)


def account(sandbox, **change):
    return sandbox.control("POST", "accounts", **change)


def went(sandbox):
    return [(each["endpoint"], each["category"]) for each in sandbox.messages]


@pytest.fixture
def sale(sandbox):
    return sandbox.approved("sale", SALE, category="MARKETING")


@pytest.mark.usefixtures("sale")
def test_a_marketing_template_goes_by_it_and_by_messages_at_its_own_price(sandbox):
    answer = post(sandbox, product_policy="STRICT", message_activity_sharing=True)
    assert answer.status_code == 200
    assert answer.json()["messages"][0]["message_status"] == "accepted"
    assert sandbox.send_template("sale").status_code == 200
    assert sandbox.send_template("hello_world").status_code == 200
    assert went(sandbox) == [
        ("marketing_messages", "marketing_lite"),
        ("messages", "marketing"),
        ("messages", "utility"),
    ]


@pytest.mark.usefixtures("sale")
@pytest.mark.parametrize(
    ("fields", "code", "status"),
    [
        ({"type": "text", "template": None, "text": {"body": "hello"}}, 131055, 400),
        ({"name": "hello_world"}, 134100, 400),
        ({"name": "hello_world", "version": "v22.0"}, 131055, 400),
        ({"to": None}, 100, 400),
        ({"recipient_type": "group"}, 131009, 400),
        ({"product_policy": "LATER"}, 131009, 400),
        ({"message_activity_sharing": "perhaps"}, 131009, 400),
        ({"bid_spec": {"per_message_bid_multiplier": 0.5}}, 100, 400),
        ({"name": "nobody_knows_it"}, 132001, 404),
    ],
    ids=["text", "utility", "utility_v22", "nobody", "group", "policy", "sharing", "bid", "unknown_template"],
)
def test_what_it_does_not_take(sandbox, tools, fields, code, status):
    answer = post(sandbox, **fields)
    assert (tools.error(answer)["code"], answer.status_code) == (code, status)
    assert sandbox.messages == []


@pytest.mark.usefixtures("sale")
@pytest.mark.parametrize("onboarding", ["ELIGIBLE", "PENDING_VALID_PAYMENT_METHOD"])
def test_an_account_that_is_not_onboarded_falls_back_unless_it_is_strict(sandbox, tools, onboarding):
    account(sandbox, onboarding=onboarding)
    fields = "marketing_messages_onboarding_status"
    assert sandbox.call("GET", sandbox.waba, params={"fields": fields}).json()[fields] == onboarding

    strict = post(sandbox, product_policy="STRICT")

    assert (tools.error(strict)["code"], strict.status_code) == (134102, 500)
    assert post(sandbox).status_code == 200
    assert went(sandbox) == [("marketing_messages", "marketing")]


@pytest.mark.usefixtures("sale")
@pytest.mark.parametrize("by", ["the_account_s_own_switch", "the_year_2027"])
def test_messages_may_refuse_marketing_and_nothing_else(sandbox, tools, by):
    if by == "the_year_2027":
        account(sandbox, refuse_marketing=True)
    else:
        switch = {"disable_marketing_messages_on_cloud_api": True}
        assert sandbox.call("POST", sandbox.waba, json=switch).json() == {"id": sandbox.waba}
        fields = ",".join(switch)
        assert sandbox.call("GET", sandbox.waba, params={"fields": fields}).json()[fields] is True

    assert tools.error(sandbox.send_template("sale"))["code"] == 131063
    assert sandbox.send_template("hello_world").status_code == 200
    assert post(sandbox).status_code == 200
    account(sandbox, onboarding="PENDING_INTERNAL_SETUP")
    assert tools.error(post(sandbox))["code"] == 131063, "the fallback is blocked as well"
    assert went(sandbox) == [("messages", "utility"), ("marketing_messages", "marketing_lite")]


def test_the_switch_does_nothing_where_onboarding_has_not_begun(sandbox, tools):
    account(sandbox, onboarding="ELIGIBLE")
    switch = "disable_marketing_messages_on_cloud_api"
    assert sandbox.call("POST", sandbox.waba, json={switch: True}).status_code == 200
    assert sandbox.call("GET", sandbox.waba, params={"fields": switch}).json()[switch] is False
    other = sandbox.call("POST", sandbox.waba, json={"name": "Other"})
    assert tools.error(other)["code"] == 100, "what the sandbox does not offer is refused"


def test_a_template_with_a_max_price_goes_by_it_alone_and_to_numbers(sandbox, tools):
    sandbox.approved("sale", SALE, category="MARKETING", optimization_spec=MAX_PRICE)

    assert tools.error(sandbox.send_template("sale"))["code"] == 131061
    assert post(sandbox, bid_spec={"per_message_bid_multiplier": 0.5}).status_code == 200
    assert tools.error(post(sandbox, to=None, recipient="US.abc123"))["code"] == 131062


def test_bid_spec_on_a_template_is_called_optimization_spec_now(sandbox, tools):
    answer = sandbox.create("sale", SALE, category="MARKETING", bid_spec=MAX_PRICE)

    assert tools.error(answer)["code"] == 100
    assert "bid_spec" in tools.error(answer)["error_data"]["details"]


def test_another_category_may_come_at_a_moment_of_the_clock(sandbox, sale):
    sandbox.control("POST", "templates", name="sale", correct_category="UTILITY", notice=90)
    sandbox.clock.advance(60)
    assert post(sandbox).status_code == 200
    sandbox.clock.advance(31)
    assert post(sandbox).status_code == 400
    found = sandbox.call("GET", sale, params={"fields": "category,previous_category"}).json()
    assert (found["category"], found["previous_category"]) == ("UTILITY", "MARKETING")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"onboarding": "PERHAPS"}, "onboarding must be one of ELIGIBLE"),
        ({"refuse_marketing": 1}, "refuse_marketing must be true or false"),
        ({"waba_id": "1"}, "no such waba_id"),
        ({"onboardings": "ELIGIBLE"}, "Unknown field onboardings"),
    ],
    ids=["status", "flag", "account", "field"],
)
def test_a_control_that_makes_no_sense_is_refused(sandbox, change, said):
    answer = sandbox.session.post(f"{sandbox.url}/_sandbox/accounts", json=change, timeout=10)

    assert answer.status_code in (400, 404)
    assert said in answer.json()["message"]
