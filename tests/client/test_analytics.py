"""Analytics by the client: as few requests as the limits allow, all dimensions, bad input before any request."""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_whatsapp.client import analytics_points
from airflow_provider_whatsapp.client.analytics_kinds import KINDS
from airflow_provider_whatsapp.client.analytics_span import read_span, read_unit, read_zone
from airflow_provider_whatsapp.client.bounds import MAX_ANSWER
from airflow_provider_whatsapp.client.errors import (
    AnswerTooLargeError,
    APIError,
    ConfigurationError,
    PayloadError,
    ServerError,
)
from airflow_provider_whatsapp.client.resources import analytics as resource

DAY = 86_400
NOW = datetime(2026, 11, 28, 18, 30, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
PARIS = ZoneInfo("Europe/Paris")


def span(kind="pricing", start="2026-11-01", end="2026-11-08", unit="day", zone=UTC_ZONE):
    return read_span(KINDS[kind], start, end, unit, zone, now=NOW)


@pytest.mark.parametrize(
    ("given", "zone", "start"),
    [
        ("2026-11-01", UTC_ZONE, "2026-11-01T00:00:00+00:00"),
        (date(2026, 11, 1), UTC_ZONE, "2026-11-01T00:00:00+00:00"),
        ("2026-11-01", PARIS, "2026-10-31T23:00:00+00:00"),
        ("2026-11-01T06:30:00+02:00", PARIS, "2026-11-01T04:30:00+00:00"),
        (datetime(2026, 11, 1, 6, tzinfo=UTC), PARIS, "2026-11-01T06:00:00+00:00"),
        ("2026-11-01T06:00", PARIS, "2026-11-01T05:00:00+00:00"),
    ],
)
def test_a_day_begins_at_the_midnight_of_the_zone(given, zone, start):
    assert span(start=given, zone=zone).start.astimezone(UTC).isoformat() == start


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"start": "soon"}, "start: 'soon' is not a date"),
        ({"end": None}, "end: 'None' is not a date"),
        ({"start": 5}, "start: '5' is not a date"),
        ({"start": "2026-11-08"}, "start: 2026-11-08 is not before the end, 2026-11-08"),
        ({"start": "2026-11-30", "end": "2026-12-01"}, "start: 2026-11-30 has not come yet"),
        (
            {"start": "2025-11-27"},
            "for 365 days, so no data is older than 2025-11-28.*Begin at 2025-11-28",
        ),
        (
            {"kind": "template", "start": "2026-08-29"},
            "keeps template analytics for 90 days, so no data is older than 2026-08-30",
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_time_that_cannot_be_asked_for(arguments, words):
    with pytest.raises(PayloadError, match=words):
        span(**arguments)


@pytest.mark.parametrize("kind", KINDS)
def test_the_oldest_day_there_is_data_of_can_be_asked_for(kind):
    first = NOW.date() - timedelta(days=KINDS[kind].days_back)
    assert span(kind, start=first).start.date() == first


@pytest.mark.parametrize(
    ("kind", "given", "meta"),
    [
        ("pricing", "day", "DAILY"),
        ("pricing", "MONTHLY", "MONTHLY"),
        ("messaging", "DAILY", "DAY"),
        ("messaging", "month", "MONTH"),
        ("conversation", "half_hour", "HALF_HOUR"),
        ("template", "Day", "DAILY"),
    ],
)
def test_granularities_have_one_name_here_and_two_at_meta(kind, given, meta):
    assert KINDS[kind].units[read_unit(KINDS[kind], given)] == meta


@pytest.mark.parametrize(
    ("kind", "given"), [("pricing", "week"), ("template", "month"), ("template", "half_hour")]
)
def test_an_unknown_granularity(kind, given):
    with pytest.raises(
        PayloadError, match=rf"granularity: '{given}' is not known for {kind} analytics \(limit: "
    ):
        read_unit(KINDS[kind], given)


def test_an_unknown_zone():
    for name in ("Mars/Base", "../etc/passwd", ""):
        with pytest.raises(PayloadError, match=r"timezone: .* is not a time zone"):
            read_zone(name)


@pytest.mark.parametrize("zone", [UTC_ZONE, ZoneInfo("America/New_York")], ids=str)
def test_halves_meet_at_a_midnight_until_a_day_is_left(zone):
    whole = span(start="2026-10-25", end="2026-11-10", zone=zone)
    waiting, days = [whole], []
    while waiting:
        one = waiting.pop()
        halves = one.halves()
        if halves is None:
            days.append(one)
            continue
        assert halves[0].end == halves[1].start
        assert halves[0].end.hour == 0
        waiting += halves
    days.sort(key=lambda each: each.start)
    assert [each.start.date() for each in days] == [date(2026, 10, 25) + timedelta(days=n) for n in range(16)]
    assert (days[0].start, days[-1].end) == (whole.start, whole.end)
    assert span(unit="month", start="2026-01-01", end="2026-11-01").halves() is None


# Against the sandbox.


@pytest.fixture
def today(sandbox):
    now = sandbox.control("GET", "clock")["now"]
    begin = (now // DAY + 1) * DAY
    sandbox.clock.advance(begin - now)
    return datetime.fromtimestamp(begin, UTC).date()


@pytest.fixture
def insights(sandbox):
    sandbox.control("POST", "accounts", insights=True)


def send(client, to, name="hello_world"):
    from airflow_provider_whatsapp.client.messages import Template

    client.messages.send(to, Template(name))


def reads(sandbox):
    return [each for each in sandbox.requests if each["method"] == "GET"]


def test_pricing_is_one_request_with_every_dimension(client, sandbox, today):
    send(client, "+4915112345678")
    send(client, "+15550001111")
    sandbox.clock.advance(60)
    rows = list(client.analytics.rows("pricing", today, today + timedelta(days=1)))

    assert len(reads(sandbox)) == 1
    assert [list(row) for row in rows] == [list(KINDS["pricing"].columns)] * 2
    by_country = {row["country"]: row for row in rows}
    assert set(by_country) == {"DE", "US"}
    row = by_country["DE"]
    assert isinstance(row["read_at"], datetime)
    assert row["read_at"].tzinfo is not None
    midnight = datetime(today.year, today.month, today.day, tzinfo=UTC)
    assert {**row, "read_at": None} == {
        "waba_id": sandbox.extra["waba_id"],
        "granularity": "day",
        "start": midnight,
        "end": midnight + timedelta(days=1),
        "phone_number": "15550101000",
        "country": "DE",
        "pricing_category": "UTILITY",
        "pricing_type": "REGULAR",
        "tier": "0:MAX",
        "volume": 1,
        "cost": 0.04,
        "currency": "USD",
        "read_at": None,
    }


def test_filters_are_part_of_the_one_request(client, sandbox, today):
    for to in ("+4915112345678", "+15550001111"):
        send(client, to)
    sandbox.clock.advance(60)
    tomorrow = today + timedelta(days=1)
    options = {"country_codes": ["US"], "phone_numbers": "+15550101000"}
    (row,) = client.analytics.rows("conversation", today, tomorrow, **options)

    assert (row["country"], row["conversation"], row["conversation_category"]) == ("US", 1, "UTILITY")
    (request,) = reads(sandbox)
    (fields,) = parse_qs(request["query"])["fields"]
    assert '.phone_numbers(["15550101000"]).country_codes(["US"]).dimensions(["PHONE","COUNTRY",' in fields


def test_messaging_has_a_row_for_each_number_and_country_that_is_named(client, sandbox, today):
    send(client, "+4915112345678")
    sandbox.clock.advance(60)
    tomorrow = today + timedelta(days=1)
    (row,) = client.analytics.rows("messaging", today, tomorrow)
    assert (row["phone_number"], row["country"], row["sent"], row["delivered"]) == (None, None, 1, 1)
    assert len(reads(sandbox)) == 1

    options = {"phone_numbers": ["15550101000"], "country_codes": ["DE", "US"]}
    (row,) = client.analytics.rows("messaging", today, tomorrow, **options)
    assert (row["phone_number"], row["country"], row["sent"]) == ("15550101000", "DE", 1)
    assert len(reads(sandbox)) == 3


def make_templates(sandbox, count, category="MARKETING"):
    for number in range(count):
        fields = {
            "name": f"sale_{number}",
            "language": "en_US",
            "category": category,
            "components": [{"type": "BODY", "text": "The sale begins."}],
            "status": "APPROVED",
        }
        sandbox.control("PUT", "templates", **fields)


@pytest.mark.usefixtures("insights")
def test_templates_go_by_ten_and_by_product(client, sandbox, today):
    make_templates(sandbox, 12)
    for name in ("sale_3", "sale_3", "sale_11"):
        send(client, "+15550001111", name)
    sandbox.clock.advance(60)
    rows = list(client.analytics.rows("template", today, today + timedelta(days=1)))

    found = {row["template_name"]: row for row in rows}
    assert set(found) == {"sale_3", "sale_11"}
    row = found["sale_3"]
    assert list(row) == list(KINDS["template"].columns)
    shown = (
        "language",
        "product_type",
        "sent",
        "delivered",
        "read",
        "clicked",
        "url_clicks",
        "cost",
        "currency",
    )
    assert [row[name] for name in shown] == ["en_US", "cloud_api", 2, 2, 2, [], 0, 0.2, "USD"]
    # hello_world is the thirteenth template: two requests of ten and three, for each product
    asked = [
        (len(json.loads(query["template_ids"][0])), query["product_type"][0])
        for each in reads(sandbox)
        if "template_analytics" in each["path"]
        for query in [parse_qs(each["query"])]
    ]
    assert asked == [(10, product) for product in resource.PRODUCTS] + [
        (3, product) for product in resource.PRODUCTS
    ]
    assert len(reads(sandbox)) == 2 + 4


@pytest.mark.usefixtures("insights")
def test_templates_by_name_or_id(client, sandbox, today):
    make_templates(sandbox, 2)
    for name in ("sale_0", "sale_1"):
        send(client, "+15550001111", name)
    sandbox.clock.advance(60)
    tomorrow = today + timedelta(days=1)
    (row,) = client.analytics.rows("template", today, tomorrow, templates=["sale_1"])
    assert row["template_name"] == "sale_1"

    before = len(reads(sandbox))
    (same,) = client.analytics.rows("template", today, tomorrow, templates=row["template_id"])
    assert (same["template_id"], same["template_name"], same["sent"]) == (row["template_id"], None, 1)
    assert len(reads(sandbox)) - before == 3  # an ID need not be looked up

    with pytest.raises(PayloadError, match="templates: the account has no template gone, lost"):
        list(client.analytics.rows("template", today, tomorrow, templates="sale_1, lost, gone"))


def test_an_account_without_insights_is_told_how_and_nothing_is_switched_on(client, sandbox, today):
    rows = client.analytics.rows("template", today, today + timedelta(days=1))
    with pytest.raises(ConfigurationError, match=r"not switched on.*WhatsApp Manager.*cannot be undone"):
        list(rows)
    assert [each["method"] for each in sandbox.requests] == ["GET"]
    assert not sandbox.requests_to("template_analytics")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"kind": "billing"},
            r"kind: 'billing' is not known \(limit: pricing, messaging, conversation, template\)",
        ),
        ({"granularity": "week"}, "granularity: 'week' is not known"),
        ({"timezone": "Mars/Base"}, "timezone: 'Mars/Base' is not a time zone"),
        ({"start": "2020-01-01"}, "start: 2020-01-01 is too long ago"),
        ({"phone_numbers": ["+49 30"]}, "phone_numbers: contains a value of another form"),
        ({"phone_numbers": []}, "phone_numbers: is empty"),
        ({"country_codes": "Germany"}, "country_codes: contains a value of another form"),
        ({"country_codes": 49}, "country_codes: is a int, not a list"),
        ({"templates": ["sale"]}, "templates: pricing analytics cannot be filtered by template"),
        ({"kind": "template", "country_codes": "DE"}, "country_codes: Meta does not split"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_input_is_refused_when_it_is_given_and_nothing_is_asked(client, sandbox, arguments, words):
    today = datetime.now(UTC).date()
    given = {"kind": "pricing", "start": today, "end": today + timedelta(days=1), **arguments}
    with pytest.raises(PayloadError, match=words):
        client.analytics.rows(given.pop("kind"), given.pop("start"), given.pop("end"), **given)
    assert sandbox.requests == []


def test_without_an_account_nothing_is_asked(sandbox, make_client):
    client = make_client(api_key=sandbox.connection["password"], host=sandbox.url)
    with pytest.raises(ConfigurationError, match="waba_id"):
        client.analytics.rows("pricing", "2026-11-01", "2026-11-02")


# Answers that the sandbox does not give.


class Gateway:
    """Answers every read by what it is given: JSON, or what makes it of the query."""

    def __init__(self):
        self.answer, self.status = {}, 200
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                gateway.status = 200 if callable(gateway.answer) else gateway.status
                answer = gateway.answer(query) if callable(gateway.answer) else gateway.answer
                body = json.dumps(answer).encode()
                self.send_response(gateway.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture(scope="module")
def one_gateway():
    made = Gateway()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def gateway(one_gateway):
    one_gateway.answer, one_gateway.status = {}, 200
    return one_gateway


def answering(gateway, make_client, answer, status=200):
    gateway.answer, gateway.status = answer, status
    return make_client(api_key="key", host=gateway.url, waba_id="900", phone_number_id="901", max_retries=0)


def week():
    now = datetime.now(UTC)
    start = datetime(now.year, now.month, now.day, tzinfo=UTC) - timedelta(days=6)
    return start, start + timedelta(days=7)


def test_points_at_the_top_level_and_points_after_the_end(gateway, make_client):
    start, end = week()
    first = int(start.timestamp())
    points = [
        {"start": first, "end": first + DAY, "country": "DE", "conversation": 3, "cost": 1},
        {"start": int(end.timestamp()), "end": int(end.timestamp()) + DAY, "conversation": 9},
    ]
    client = answering(gateway, make_client, {"data": [{"data_points": points}], "id": "900"})
    (row,) = client.analytics.rows("conversation", start, end)

    assert (row["country"], row["conversation"], row["cost"], row["currency"]) == ("DE", 3, 1.0, None)


@pytest.mark.parametrize(
    "answer", [{"id": "900"}, {"pricing_analytics": {}}, {"pricing_analytics": {"data": []}}]
)
def test_no_data_is_no_rows(gateway, make_client, answer):
    assert list(answering(gateway, make_client, answer).analytics.rows("pricing", *week())) == []


BROKEN = [
    {"pricing_analytics": []},
    {"pricing_analytics": {"data": [3]}},
    {"pricing_analytics": {"data_points": {"a": 1}}},
    *(
        {
            "pricing_analytics": {
                "data": [{"data_points": [{"start": 1_795_132_800, "end": 1_795_219_200, **point}]}]
            }
        }
        for point in (
            {"start": None},
            {"start": "yesterday"},
            {"start": True},
            {"end": 10**15},
            {"volume": "many"},
            {"volume": True},
            {"volume": -1},
            {"volume": 1.5},
            {"volume": 1e300},
            {"cost": [3]},
            {"cost": {"a": 1}},
        )
    ),
]


@pytest.mark.parametrize("answer", BROKEN, ids=lambda answer: re.sub(r"\W+", "-", json.dumps(answer))[-50:])
def test_an_answer_of_another_form_is_one_error(gateway, make_client, answer):
    client = answering(gateway, make_client, answer)
    with pytest.raises(ServerError, match=r"another form than Meta documents|something other than a list"):
        list(client.analytics.rows("pricing", "2026-11-01", datetime.now(UTC)))


def test_words_of_an_answer_are_short_lines():
    start, end = week()
    first = int(start.timestamp())
    points = [
        {
            "template_id": "701\n\x1b[31m",
            "start": first,
            "end": first + DAY,
            "clicked": [
                {"type": "url_button", "button_content": "Open\u202e" + "x" * 10_000, "count": 9},
                {"type": "unique_url_button", "button_content": "Open", "count": 7},
                {"type": "quick_reply_button", "button_content": "Yes", "count": 4},
                {"type": "quick_reply_button", "button_content": "No", "count": 1},
            ],
            "cost": [{"type": "cost_per_delivered", "value": 0.05}, {"type": "amount_spent", "value": 1.5}],
        }
    ]
    asked = read_span(KINDS["template"], start, end, "day", UTC_ZONE)
    (row,) = analytics_points.rows_of(points, KINDS["template"], asked, {})

    assert row["template_id"].isprintable()
    assert all(each["button_content"].isprintable() for each in row["clicked"])
    assert len(row["clicked"][0]["button_content"]) < 1_000
    assert (row["url_clicks"], row["unique_url_clicks"], row["quick_reply_clicks"]) == (9, 7, 5)
    assert row["cost"] == 1.5


@pytest.mark.parametrize("size", [resource.MAX_FIELD_ANSWER, MAX_ANSWER], ids=["of rows", "of any answer"])
def test_of_an_answer_that_is_too_large_the_halves_are_asked_for(gateway, make_client, size):
    asked = []

    def respond(query):
        start, end = map(int, re.search(r"start\((\d+)\)\.end\((\d+)\)", query["fields"]).groups())
        asked.append((end - start) // DAY)
        points = [{"start": at, "end": at + DAY, "volume": 1} for at in range(start, end, DAY)]
        padding = "x" * (size if end - start > 2 * DAY else 0)
        return {"pricing_analytics": {"data": [{"data_points": points}]}, "padding": padding}

    client = answering(gateway, make_client, respond)
    start, end = week()
    rows = list(client.analytics.rows("pricing", start, end))

    assert [row["start"] for row in rows] == [start + timedelta(days=day) for day in range(7)]
    assert asked == [7, 3, 1, 2, 4, 2, 2]

    with pytest.raises(AnswerTooLargeError, match=r"larger than [38] MiB"):
        list(client.analytics.rows("pricing", datetime(2026, 1, 1, tzinfo=UTC), end, granularity="month"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (200005, "EU and Japan; load pricing"),
        (200007, "WhatsApp Manager.*cannot be undone"),
    ],
)
def test_meta_s_refusals_of_insights_say_what_to_do(gateway, make_client, code, words):
    client = answering(
        gateway, make_client, {"error": {"code": code, "message": "no", "type": "x"}}, status=400
    )
    with pytest.raises(APIError, match=words) as caught:
        list(client.analytics.rows("template", *week()))
    assert caught.value.permanent


@pytest.mark.usefixtures("insights")
def test_in_another_zone_templates_are_asked_for_by_its_days(client, sandbox, today):
    list(client.analytics.rows("template", today, today + timedelta(days=2), timezone="Europe/Paris"))
    list(client.analytics.rows("template", today, today + timedelta(days=2)))
    paris, utc = (
        parse_qs(each["query"])
        for each in sandbox.requests_to("template_analytics")
        if "CLOUD_API" in each["query"]
    )
    days = [today.isoformat()], [(today + timedelta(days=2)).isoformat()]
    assert (paris["start"], paris["end"], paris["use_waba_timezone"]) == (*days, ["true"])
    assert (utc["start"], utc["end"], utc.get("use_waba_timezone")) == (*days, None)


@pytest.mark.parametrize(
    ("code", "refused", "passes"),
    [
        (100, resource.PRODUCTS[1], True),
        (131009, resource.PRODUCTS[1], False),
        (100, resource.PRODUCTS[0], False),
    ],
)
def test_a_product_that_meta_refuses_for_an_account_is_left_out(
    gateway, make_client, caplog, code, refused, passes
):
    start, end = week()
    first = int(start.timestamp())
    asked = []

    def respond(query):
        product = query.get("product_type")
        if product is None:
            return {"is_enabled_for_insights": True, "currency": "EUR"}
        asked.append(product)
        if product == refused:
            gateway.status = 400
            return {"error": {"code": code, "message": "no such product", "type": "OAuthException"}}
        ids = json.loads(query["template_ids"])
        points = [{"template_id": name, "start": first, "end": first + DAY, "sent": 1} for name in ids]
        return {"data": [{"data_points": points}]}

    client = answering(gateway, make_client, respond)
    rows = client.analytics.rows("template", start, end, templates=[str(10_000 + n) for n in range(12)])
    if not passes:
        with pytest.raises(APIError):
            list(rows)
        return
    assert [row["sent"] for row in rows] == [1] * 12
    assert asked == [*resource.PRODUCTS, "CLOUD_API"]
    assert "MARKETING_MESSAGES_API_FOR_WHATSAPP: left out" in caplog.text


def test_the_pages_of_templates_are_followed_and_end(gateway, make_client):
    start, end = week()
    first = int(start.timestamp())
    asked = []

    def respond(query):
        if "product_type" not in query:
            return {"is_enabled_for_insights": True}
        asked.append(query.get("after"))
        place = int(query.get("after", "c0")[1]) + 1
        point = {
            "template_id": "10000",
            "start": first + DAY * (place % 3),
            "end": first + DAY,
            "sent": place,
        }
        paging = {"cursors": {"after": f"c{place % 3}"}, "next": "https://elsewhere.example/steal"}
        return {"data": [{"data_points": [point]}], "paging": paging}

    client = answering(gateway, make_client, respond)
    rows = list(client.analytics.rows("template", start, end, templates="10000"))
    assert asked == [None, "c1", "c2", "c0"] * 2  # a cursor that comes again ends the list
    assert len(rows) == 8
