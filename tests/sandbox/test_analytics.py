"""Analytics of the sandbox: consistent with what was sent, refused where Meta refuses, and decaying as Meta's do."""

from __future__ import annotations

import json

import pytest

from tests.sandbox.conftest import error

DAY = 86_400
BUTTONS = {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Yes"}]}


@pytest.fixture
def today(sandbox):
    """Begin a day, so that no test runs across midnight, and return its first second."""
    now = sandbox.control("GET", "clock")["now"]
    begin = (now // DAY + 1) * DAY
    sandbox.clock.advance(begin - now)
    return int(begin)


def field(sandbox, text):
    answer = sandbox.call("GET", sandbox.waba, params={"fields": text})
    assert answer.status_code == 200, answer.text
    return answer.json()


def points(sandbox, name, start, days=1, more=""):
    chain = f"{name}.start({start}).end({start + days * DAY}).granularity(DAILY){more}"
    data = field(sandbox, chain).get(name, {}).get("data", [])
    return data[0]["data_points"] if data else []


def templates(sandbox, *ids, start, days=1, **query):
    query = {"start": start, "end": start + days * DAY, "granularity": "DAILY", **query}
    return sandbox.call(
        "GET", f"{sandbox.waba}/template_analytics", params={"template_ids": json.dumps(ids), **query}
    )


def enable(sandbox):
    answer = sandbox.call("POST", sandbox.waba, params={"is_enabled_for_insights": "true"})
    assert answer.json() == {"id": sandbox.waba}


def test_pricing_holds_what_was_delivered_by_every_dimension(sandbox, today):
    sandbox.approved("sale", {"type": "BODY", "text": "The sale begins."}, category="MARKETING")
    for to in ("+4915112345678", "+4915112345679", "+15550001111"):
        sandbox.send_template("hello_world", to=to)
    sandbox.send_template("sale", to="+4915112345678")
    sandbox.control("POST", "recipients", wa_id="4915112345670", on_whatsapp=False)
    sandbox.send_template("sale", to="+4915112345670")
    sandbox.control("POST", "replies", text="Hi", **{"from": "+4915112345678"})
    sandbox.send_text(to="+4915112345678")
    sandbox.clock.advance(60)

    dims = ".dimensions(COUNTRY,PHONE,PRICING_CATEGORY,PRICING_TYPE,TIER)"
    found = points(sandbox, "pricing_analytics", today, more=dims)
    shown = {
        (each["country"], each["pricing_category"], each["pricing_type"]): (
            each["volume"],
            each["cost"],
            each.get("tier"),
        )
        for each in found
    }
    assert shown == {
        ("DE", "UTILITY", "REGULAR"): (2, 0.08, "0:MAX"),
        ("US", "UTILITY", "REGULAR"): (1, 0.04, "0:MAX"),
        ("DE", "MARKETING", "REGULAR"): (1, 0.1, "0:MAX"),
        ("DE", "SERVICE", "FREE_CUSTOMER_SERVICE"): (1, 0.0, None),
    }
    assert {(each["start"], each["end"], each["phone_number"]) for each in found} == {
        (today, today + DAY, "15550101000")
    }
    assert points(sandbox, "pricing_analytics", today) == [
        {"start": today, "end": today + DAY, "volume": 5, "cost": 0.22}
    ]
    only = points(sandbox, "pricing_analytics", today, more='.country_codes(["US"]).metric_types(VOLUME)')
    assert only == [{"start": today, "end": today + DAY, "volume": 1}]
    assert points(sandbox, "pricing_analytics", today + DAY) == []
    assert points(sandbox, "conversation_analytics", today, more=".dimensions(COUNTRY)") == [
        {"start": today, "end": today + DAY, "country": "DE", "conversation": 4, "cost": 0.18},
        {"start": today, "end": today + DAY, "country": "US", "conversation": 1, "cost": 0.04},
    ]


def test_messages_are_counted_by_kind(sandbox, today):
    sandbox.send_template("hello_world")
    sandbox.control("POST", "replies", text="Hi", **{"from": "+15550001111"})
    sandbox.send_text()
    sandbox.clock.advance(60)
    chain = f"analytics.start({today}).end({today + DAY}).granularity(DAY)"

    whole = field(sandbox, chain)["analytics"]
    assert whole["data_points"] == [{"start": today, "end": today + DAY, "sent": 2, "delivered": 2}]
    assert (whole["granularity"], whole["phone_numbers"]) == ("DAY", ["15550101000"])
    for kind in (0, 2, 100):
        found = field(sandbox, f"{chain}.product_types({kind})")["analytics"]["data_points"]
        assert found == [{"start": today, "end": today + DAY, "sent": 1, "delivered": 1}]
    other = field(sandbox, f'{chain}.phone_numbers(["4900"])')["analytics"]
    assert (other["phone_numbers"], other["data_points"]) == ([], [])


def test_reads_and_clicks_of_a_day_fall_back_to_zero(sandbox, today):
    enable(sandbox)
    name = sandbox.approved("invite", {"type": "BODY", "text": "Come."}, BUTTONS, category="MARKETING")
    sandbox.send_template("invite")
    sandbox.clock.advance(60)
    sandbox.control("POST", "replies", text="Yes", pressed="Yes", **{"from": "+15550001111"})

    def figures():
        (point,) = templates(sandbox, name, start=today).json()["data"][0]["data_points"]
        return (
            point["sent"],
            point["delivered"],
            point["read"],
            [each["count"] for each in point["clicked"]],
        )

    assert figures() == (1, 1, 1, [1])
    sandbox.clock.advance(7 * DAY)
    assert figures() == (1, 1, 1, [1])
    sandbox.clock.advance(DAY)
    assert figures() == (1, 1, 0, [0])


def test_the_two_products_are_two_queries(sandbox, today):
    enable(sandbox)
    name = sandbox.approved("sale", {"type": "BODY", "text": "The sale begins."}, category="MARKETING")
    sandbox.send_template("sale")
    template = {"name": "sale", "language": {"code": "en_US"}}
    body = {"messaging_product": "whatsapp", "to": "+15550001111", "type": "template", "template": template}
    for _ in range(2):
        sandbox.call("POST", f"{sandbox.number}/marketing_messages", json=body)
    sandbox.clock.advance(60)

    def sent(**query):
        answer = templates(sandbox, name, start=today, metric_types="SENT,COST", **query).json()
        assert "read" not in answer["data"][0]["data_points"][0]
        return [(each["sent"], each["cost"][0]["value"]) for each in answer["data"][0]["data_points"]]

    assert sent() == sent(product_type="CLOUD_API") == [(1, 0.1)]
    assert sent(product_type="MARKETING_MESSAGES_API_FOR_WHATSAPP") == [(2, 0.18)]


def test_insights_begin_when_they_are_switched_on_and_stay(sandbox, today):
    (hello,) = (
        each["id"] for each in sandbox.call("GET", f"{sandbox.waba}/message_templates").json()["data"]
    )
    sandbox.send_template("hello_world")
    assert field(sandbox, "is_enabled_for_insights")["is_enabled_for_insights"] is False
    assert error(templates(sandbox, hello, start=today))["code"] == 200007
    enable(sandbox)
    sandbox.send_template("hello_world")
    sandbox.clock.advance(60)

    assert field(sandbox, "is_enabled_for_insights")["is_enabled_for_insights"] is True
    (point,) = templates(sandbox, hello, start=today).json()["data"][0]["data_points"]
    assert point["sent"] == 1
    off = sandbox.call("POST", sandbox.waba, params={"is_enabled_for_insights": "false"})
    assert error(off)["code"] == 200006
    for state in (False, True):  # for tests alone
        assert sandbox.control("POST", "accounts", insights=state)["insights"] is state
        assert field(sandbox, "is_enabled_for_insights")["is_enabled_for_insights"] is state


@pytest.mark.parametrize(
    "query",
    [
        {"granularity": "HALF_HOUR"},
        {"template_ids": "[]"},
        {"template_ids": json.dumps([str(number) for number in range(11)])},
        {"template_ids": '["1"]'},
        {"product_type": "CAMPAIGN"},
        {"metric_types": "LIKED"},
        {"start": "soon"},
        {"start": 1_000_000_000},
        {"use_waba_timezone": "true"},
    ],
    ids=lambda query: "-".join(map(str, query.items()))[:40],
)
def test_a_query_for_templates_that_meta_refuses(sandbox, today, query):
    enable(sandbox)
    (hello,) = (
        each["id"] for each in sandbox.call("GET", f"{sandbox.waba}/message_templates").json()["data"]
    )
    query = {"template_ids": json.dumps([hello]), **query}
    whole = {"start": today, "end": today + DAY, "granularity": "DAILY", **query}
    answer = sandbox.call("GET", f"{sandbox.waba}/template_analytics", params=whole)
    assert error(answer)["code"] == 100


@pytest.mark.parametrize(
    "chain",
    [
        "pricing_analytics.start(S).granularity(DAILY)",
        "pricing_analytics.start(S).end(S).granularity(DAILY)",
        "pricing_analytics.start(S).end(E).granularity(DAY)",
        "analytics.start(S).end(E).granularity(DAILY)",
        "analytics.start(S).end(E).granularity(DAY).dimensions(COUNTRY)",
        "pricing_analytics.start(S).end(E).granularity(DAILY).dimensions(CITY)",
        "pricing_analytics.start(S).end(E).granularity(DAILY).metric_types(SENT)",
        "conversation_analytics.start(100000000).end(E).granularity(DAILY)",
    ],
)
def test_a_field_that_meta_refuses(sandbox, today, chain):
    chain = chain.replace("(S)", f"({today})").replace("(E)", f"({today + DAY})")
    answer = sandbox.call("GET", sandbox.waba, params={"fields": chain})
    assert error(answer)["code"] == 100


def test_a_thousand_service_messages_are_free_in_a_month():
    from airflow_provider_whatsapp.sandbox import analytics
    from airflow_provider_whatsapp.sandbox.model import Message
    from airflow_provider_whatsapp.sandbox.settings import Settings
    from airflow_provider_whatsapp.sandbox.state import State

    state = State(Settings())
    number = state.settings.phone_number_ids[0]
    now = state.clock.now()
    for place in range(analytics.FREE_SERVICE + 2):
        message = Message(str(place), "15550001111", "15550001111", "text", b"{}", now - 60, number)
        state.messages[message.id] = message
    period = analytics.Period(now - 7_200, now, "DAY")
    charged = [sent.charged_as for sent in analytics.sent_in(state, state.settings.waba_id, period)]

    assert charged == ["FREE_CUSTOMER_SERVICE"] * analytics.FREE_SERVICE + ["REGULAR"] * 2


@pytest.mark.parametrize(
    ("unit", "at", "point"),
    [
        ("HALF_HOUR", 1_795_134_700, (1_795_134_600, 1_795_136_400)),
        ("DAY", 1_795_134_700, (1_795_132_800, 1_795_219_200)),
        ("MONTH", 1_795_134_700, (1_793_491_200, 1_796_083_200)),
        ("MONTH", 1_798_700_000, (1_796_083_200, 1_798_761_600)),
    ],
)
def test_points_begin_where_utc_s_hours_days_and_months_do(unit, at, point):
    from airflow_provider_whatsapp.sandbox.analytics import Period

    assert Period(0, 0, unit).point(at) == point
