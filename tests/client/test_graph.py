"""Raw calls to Graph, and templates by the Marketing Messages API."""

from __future__ import annotations

from datetime import date

import pytest

from airflow_provider_whatsapp.client.errors import (
    ConfigurationError,
    InvalidRequestError,
    OutcomeUnknownError,
    PayloadError,
    ServerError,
    TemplateError,
)
from airflow_provider_whatsapp.client.messages import Template, Text
from airflow_provider_whatsapp.client.resources.messages import Marketing

TO = "+15550001111"
NOT_JSON = (float("nan"), float("inf"), b"x", {1}, object(), "\ud800")
OPTIONS = ("product_policy", "message_activity_sharing")
SALE = [{"type": "BODY", "text": "The summer sale begins today."}]


def test_any_call_goes_below_the_version_with_the_connection_s_ids(client, sandbox):
    account = client.graph.call("get", "/{waba_id}/", params={"fields": "name,currency", "limit": None})
    assert account == {"id": sandbox.extra["waba_id"], "name": "WhatsApp Sandbox", "currency": "USD"}

    profile = {"messaging_product": "whatsapp", "about": "Here"}
    assert client.graph.call("POST", "{phone_number_id}/whatsapp_business_profile", json=profile)["success"]

    (get, post) = sandbox.requests
    assert get["path"] == f"/whatsapp-business/v25.0/{sandbox.extra['waba_id']}"
    assert "limit" not in get["query"]
    assert post["path"].endswith(f"/{sandbox.extra['phone_number_id']}/whatsapp_business_profile")


def test_lists_and_switches_in_the_query_are_json(client, sandbox):
    client.graph.call(
        "GET", "{waba_id}/message_templates", params={"status": ["APPROVED"], "summary": True, "limit": 5}
    )

    assert sandbox.requests[0]["query"] == "status=%5B%22APPROVED%22%5D&summary=true&limit=5"


def test_dates_in_a_list_of_the_query_are_text(client, sandbox):
    with pytest.raises(InvalidRequestError, match="Param status"):
        client.graph.call("GET", "{waba_id}/message_templates", params={"status": [date(2026, 11, 28)]})

    assert sandbox.requests[0]["query"] == "status=%5B%222026-11-28%22%5D"


def test_a_refusal_is_the_error_of_its_code(client):
    with pytest.raises(InvalidRequestError, match="nonexisting field") as caught:
        client.graph.call("GET", "{waba_id}", params={"fields": "nose"})

    assert caught.value.code == 100


@pytest.mark.parametrize(("method", "requests"), [("GET", 4), ("PUT", 4), ("DELETE", 4), ("POST", 1)])
def test_a_lost_answer_is_asked_for_again_but_not_a_post(client, sandbox, method, requests):
    sandbox.fail_next("status", status=503, times=0)
    expected = OutcomeUnknownError if method == "POST" else ServerError

    with pytest.raises(expected):
        client.graph.call(method, "{waba_id}")

    assert len(sandbox.requests) == requests


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("PATCH", "{waba_id}"), "method"),
        ((None, "{waba_id}"), "method"),
        (("GET", None), "path"),
        (("GET", ""), "path"),
        (("GET", "https://graph.facebook.com/1"), "path"),
        (("GET", "//evil.example/1"), "path"),
        (("GET", "../../connections"), "path"),
        (("GET", "1/../2"), "path"),
        (("GET", "%2e%2e/1"), "path"),
        (("GET", "1?fields=name"), "path"),
        (("GET", "1#x"), "path"),
        (("GET", "1\r\nX-A: b"), "path"),
        (("GET", "v25.0/{waba_id}"), "path"),
        (("GET", "/V25.0/1"), "path"),
        (("GET", "v25/1"), "path"),
        (("GET", "1/%2F..%2F2"), "path"),
        (("GET", "1/..;/2"), "path"),
        (("GET", "1\\..\\2"), "path"),
        (("GET", "{number_id}"), "path"),
        (("GET", "{waba_id", None), "path"),
        (("GET", "1", "fields=name"), "params"),
        (("GET", "1", {1: "x"}), "params"),
        (("GET", "1", {"access_token": "x"}), "params"),
        (("GET", "1", None, {"a": 1}), "json"),
        (("POST", "1", None, ["a"]), "json"),
        (("POST", "1", None, {"access_token": "x"}), "json"),
        (("GET", "1", {" Access_Token": "x"}), "params"),
        *((("POST", "1", {"a": value}), "params") for value in NOT_JSON),
        *((("POST", "1", None, {"a": [value]}), "json") for value in NOT_JSON),
    ],
    ids=range(27 + 2 * len(NOT_JSON)),
)
def test_what_cannot_be_right_is_refused_before_a_request(client, sandbox, arguments, field):
    with pytest.raises(PayloadError) as caught:
        client.graph.call(*arguments)

    assert caught.value.field == field
    assert caught.value.advice or caught.value.limit
    assert sandbox.requests == []


def test_an_id_that_the_connection_lacks_is_named(make_client):
    client = make_client(api_key="key", host="http://127.0.0.1:9")

    with pytest.raises(ConfigurationError, match="waba_id"):
        client.graph.call("GET", "{waba_id}/phone_numbers")


@pytest.fixture
def sale(client, sandbox):
    client.templates.create(name="sale", language="en_US", category="MARKETING", components=SALE)
    sandbox.control("POST", "templates", name="sale", status="APPROVED")


@pytest.mark.usefixtures("sale")
@pytest.mark.parametrize(
    ("marketing", "options"),
    [
        (Marketing(), {"product_policy": "CLOUD_API_FALLBACK"}),
        (
            Marketing(strict=True, activity_sharing=False),
            {"product_policy": "STRICT", "message_activity_sharing": False},
        ),
    ],
    ids=["fallback", "strict"],
)
def test_a_template_goes_by_the_marketing_messages_api(client, sandbox, marketing, options):
    sent = client.messages.send(TO, Template("sale"), marketing=marketing, callback_data="mine")

    (message,) = sandbox.messages
    assert (sent.endpoint, message["endpoint"]) == ("marketing_messages", "marketing_messages")
    assert message["category"] == "marketing_lite"
    assert message["payload"]["biz_opaque_callback_data"] == "mine"
    assert {name: message["payload"].get(name) for name in OPTIONS if name in message["payload"]} == options


@pytest.mark.parametrize(
    ("to", "message", "group"),
    [(TO, Text("hello"), False), ("group-1", Template("sale"), True)],
    ids=["text", "group"],
)
def test_what_is_no_template_to_one_person_does_not_go_by_it(client, sandbox, to, message, group):
    with pytest.raises(PayloadError, match="marketing"):
        client.messages.send(to, message, group=group, marketing=Marketing())

    assert sandbox.requests_to("messages") == []


@pytest.mark.usefixtures("sale")
def test_134102_is_refused_though_it_is_a_500(client, sandbox):
    sandbox.control("POST", "accounts", onboarding="ELIGIBLE")

    with pytest.raises(TemplateError) as caught:
        client.messages.send(TO, Template("sale"), marketing=Marketing(strict=True))

    assert (caught.value.code, caught.value.http_status, caught.value.sent) == (134102, 500, "no")
    assert caught.value.permanent


@pytest.mark.parametrize("code", [131055, 134100, 131063, 132001, 199999])
def test_any_other_5xx_leaves_the_outcome_of_a_send_open(client, sandbox, code):
    body = {"error": {"message": "no", "type": "OAuthException", "code": code}}
    sandbox.fail_next("status", status=500, body=body, path="messages")

    with pytest.raises(OutcomeUnknownError) as caught:
        client.messages.send(TO, Template("sale"), marketing=Marketing())

    assert caught.value.code == code
    assert len(sandbox.requests_to("messages")) == 1


def test_what_an_account_may_do_with_marketing_is_one_read(client, sandbox):
    assert client.account.marketing_status().onboarded

    sandbox.control("POST", "accounts", onboarding="INELIGIBLE_COUNTRY_NOT_SUPPORTED")
    client.graph.call("POST", "{waba_id}", json={"disable_marketing_messages_on_cloud_api": True})
    status = client.account.marketing_status()

    assert (status.onboarded, status.onboarding) == (False, "INELIGIBLE_COUNTRY_NOT_SUPPORTED")
    assert len(sandbox.requests_to(sandbox.extra["waba_id"])) == 3


@pytest.mark.parametrize(
    "said", [None, {"status": "TERM_OF_SERVICE_SIGNED"}, "ONBOARDED\nforged", 5], ids=range(4)
)
def test_a_status_of_another_form_says_nothing(client, sandbox, said):
    body = {"id": "1", "marketing_messages_onboarding_status": said}
    sandbox.fail_next("status", status=200, body=body, path=sandbox.extra["waba_id"])

    status = client.account.marketing_status()

    assert (status.onboarding, status.onboarded, status.off_cloud_api) == (None, False, False)


@pytest.mark.parametrize(
    "act",
    [
        lambda templates, spec: templates.edit("1", **spec),
        lambda templates, spec: templates.create(
            name="sale", language="en_US", category="MARKETING", components=SALE, **spec
        ),
    ],
    ids=["edit", "create"],
)
def test_bid_spec_on_a_template_is_refused_by_its_new_name(client, sandbox, act):
    with pytest.raises(PayloadError, match="optimization_spec"):
        act(client.templates, {"bid_spec": {"bid_strategy": "LOWEST_COST_WITH_BID_CAP", "bid_amount": 100}})

    assert sandbox.requests == []


def test_a_message_s_bid_is_bid_spec_still(client, sandbox):
    spec = {"bid_strategy": "LOWEST_COST_WITH_BID_CAP", "bid_amount": 100}
    client.templates.create(
        name="sale", language="en_US", category="MARKETING", components=SALE, optimization_spec=spec
    )
    sandbox.control("POST", "templates", name="sale", status="APPROVED")
    body = {"messaging_product": "whatsapp", "to": TO, "type": "template"}
    body |= {"template": {"name": "sale", "language": {"code": "en_US"}}}
    body |= {"bid_spec": {"per_message_bid_multiplier": 0.5}}

    client.graph.call("POST", "{phone_number_id}/marketing_messages", json=body)

    (message,) = sandbox.messages
    assert message["payload"]["bid_spec"] == {"per_message_bid_multiplier": 0.5}
