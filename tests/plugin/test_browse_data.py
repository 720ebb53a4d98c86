"""What the page under Browse makes of the gateway's and the store's answers, without a web server."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from airflow_provider_whatsapp.events.daily import DailyDelivery
from airflow_provider_whatsapp.events.parse import parse
from airflow_provider_whatsapp.events.store import EventStore
from airflow_provider_whatsapp.plugin.deliveries import HEIGHT, SPANS, delivery_page, duration
from airflow_provider_whatsapp.plugin.health_view import Receipts, ago, judge, read_arrivals
from airflow_provider_whatsapp.plugin.templates_view import matching, read_pauses, template_card
from tests.events.bodies import ACCOUNT, body
from tests.events.test_daily import NUMBER, fill, receipt, send

TODAY = date(2026, 11, 28)
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    made = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    made.create_or_upgrade()
    yield made
    made.close()


def row(dag_id="sales", before=0, sent=10, delivered=7, failed=2):
    return DailyDelivery(TODAY - timedelta(days=before), dag_id, sent, delivered, 0, failed, 0, None)


def page(*rows, days=7, see=lambda _: True, dag_id=""):
    return delivery_page(rows, see, days=days, today=TODAY, dag_id=dag_id)


def test_a_column_is_as_high_as_its_share_and_its_parts_stand_on_each_other():
    view = page(
        row(), row("stock", sent=10, delivered=10, failed=0), row(before=1, sent=5, delivered=0, failed=5)
    )

    assert view.most == 20
    *_, yesterday, today = view.columns
    assert [(part.name, part.height) for part in today.parts] == [
        ("delivered", HEIGHT * 17 / 20),
        ("pending", HEIGHT * 1 / 20),
        ("failed", HEIGHT * 2 / 20),
    ]
    assert [part.y for part in today.parts] == [HEIGHT * 3 / 20, HEIGHT * 2 / 20, 0.0]
    assert [(part.name, part.y, part.height) for part in yesterday.parts] == [("failed", 112.5, 37.5)]
    assert today.title == "28 November 2026: 20 sent, 17 delivered, 2 failed"
    assert (view.sent, view.delivered, view.read, view.failed) == (25, 17, 0, 7)


@pytest.mark.parametrize("days", SPANS)
def test_there_is_a_column_for_each_day_and_few_are_named(days):
    view = page(row(), days=days)

    assert len(view.columns) == days
    labels = [column.label for column in view.columns if column.label]
    assert labels[-1] == "28 Nov"
    assert len(labels) <= 7
    assert all(0 <= column.x < column.x + column.width <= 100 for column in view.columns)
    assert [bool(column.parts) for column in view.columns] == [False] * (days - 1) + [True]


def test_what_a_user_may_not_see_is_in_no_figure():
    view = page(row(), row("stock"), row("stock", before=3), see=lambda dag_id: dag_id == "stock")

    assert (view.dags, view.sent, view.most) == (("stock",), 20, 10)
    assert [each.day for each in view.rows] == [TODAY, TODAY - timedelta(days=3)]
    assert page(row(), row("stock"), dag_id="sales").dags == ("sales", "stock")
    assert page(row(), row("stock"), dag_id="sales").sent == 10
    assert page().columns[0].parts == ()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""),
        (0, "0 s"),
        (4.0, "4 s"),
        (12.5, "12.5 s"),
        (60, "1 min 0 s"),
        (125, "2 min 5 s"),
        (59.7, "1 min 0 s"),
        (11_400, "3 h 10 min"),
    ],
)
def test_a_time_for_people(seconds, said):
    assert duration(seconds) == said


GRAPH = {"name": "hello", "language": "en_US", "status": "APPROVED", "category": "UTILITY"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"declared": "", "coming": "", "quality": "", "advice": "", "paused_until": None}),
        ({"previous_category": "UTILITY", "category": "MARKETING"}, {"declared": "UTILITY"}),
        ({"previous_category": "UTILITY"}, {"declared": ""}),
        ({"correct_category": "MARKETING"}, {"coming": "MARKETING", "declared": ""}),
        ({"correct_category": "UTILITY"}, {"coming": ""}),
        ({"quality_score": {"score": "RED"}}, {"quality": "RED"}),
        ({"quality_score": {"score": "UNKNOWN"}}, {"quality": ""}),
        ({"quality_score": "RED"}, {"quality": ""}),
        ({"status": "PAUSED"}, {"paused_until": NOW}),
        ({"status": "PAUSED", "language": "de"}, {"paused_until": None}),
        ({"status": None}, {"status": "UNKNOWN"}),
        ({"name": 3, "language": None, "category": []}, {"name": "", "language": "", "category": ""}),
        ({"components": "x"}, {"status": "APPROVED"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_template_as_graph_gives_it(fields, expected):
    card = template_card({**GRAPH, **fields}, {("hello", "en_US"): NOW})

    assert {name: getattr(card, name) for name in expected} == expected


def test_a_refused_template_says_why_and_what_to_do():
    card = template_card({**GRAPH, "status": "REJECTED", "rejected_reason": "INVALID_FORMAT"}, {})

    assert card.advice.startswith("Meta's reason: INVALID_FORMAT. Meta has rejected it: change it so that")


@pytest.mark.parametrize(
    "components",
    [
        [{"type": "BODY"}],
        [None],
        [{"type": "HEADER", "format": "TEXT"}],
        [{"type": "BODY", "text": 3}],
        [{"type": "BUTTONS", "buttons": [{"type": "URL", "text": "x"}]}],
        [{"type": "BUTTONS", "buttons": {}}],
        {"type": "BODY"},
        7,
    ],
    ids=range(8),
)
def test_components_of_no_known_form_cost_the_preview_at_most(components):
    card = template_card({**GRAPH, "components": components}, {})

    assert card.name == "hello"
    assert "hello" in card.searched


def test_a_search_wants_all_words_in_any_case():
    texts = {"invoice": "Your invoice", "offer": "Twenty percent OFF"}
    cards = [
        template_card({**GRAPH, "name": name, "components": [{"type": "BODY", "text": text}]}, {})
        for name, text in texts.items()
    ]

    def names(text, status=""):
        return [card.name for card in matching(cards, text, status)]

    assert names("") == ["invoice", "offer"]
    assert names("percent off") == ["offer"]
    assert names("percent invoice") == []
    assert names("EN_us", "APPROVED") == ["invoice", "offer"]
    assert names("", "PAUSED") == []


def status_update(event, title=None, language="en-US", **more):
    value = {"event": event, "message_template_name": "hello", "message_template_language": language, **more}
    if title:
        value["other_info"] = {"title": title, "description": "d"}
    return {"field": "message_template_status_update", "value": value}


@pytest.mark.parametrize(
    ("changes", "verified", "hours"),
    [
        ([status_update("PAUSED", "FIRST_PAUSE")], True, 3),
        ([status_update("PAUSED", "SECOND_PAUSE")], True, 6),
        ([status_update("PAUSED", "FIRST_PAUSE")], False, None),
        ([status_update("PAUSED")], True, None),
        ([status_update("PAUSED", "A_NEW_WORD")], True, None),
        ([status_update("APPROVED", "FIRST_PAUSE")], True, None),
        ([status_update("PAUSED", "FIRST_PAUSE", other_info=[])], True, 3),
    ],
    ids=["first", "second", "unsigned", "untitled", "unknown", "approved", "overwritten"],
)
def test_until_when_a_template_is_paused_as_webhooks_say(store, changes, verified, hours):
    store.write([(parse(body(*changes)), verified)])

    found = read_pauses(store, ACCOUNT)

    assert read_pauses(store, "1") == {}
    assert list(found) == ([] if hours is None else [("hello", "en_US")])
    if hours is not None:
        left = found["hello", "en_US"] - datetime.now(UTC)
        assert timedelta(0) <= timedelta(hours=hours) - left < timedelta(minutes=5)


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("found", "outcome", "said"),
    [
        (Receipts(), "SKIPPED", "no task has sent with this number yet."),
        (Receipts(last=NOW - HOUR), "OK", "the last receipt came 1 hour ago."),
        (Receipts(last_reply=NOW - 26 * HOUR), "OK", "the last reply came 1 day ago."),
        (
            Receipts(last=NOW, last_reply=NOW - HOUR, last_send=NOW - HOUR),
            "OK",
            "the last receipt came less than a minute ago, the last reply came 1 hour ago.",
        ),
        (
            Receipts(last_send=NOW - timedelta(minutes=2)),
            "OK",
            "a task sent 2 minutes ago; its receipts are due.",
        ),
        (Receipts(last_send=NOW - HOUR), "FAIL", "a task sent 1 hour ago, and no receipt has come since."),
        (
            Receipts(last=NOW - 48 * HOUR, last_send=NOW - HOUR),
            "FAIL",
            "the last receipt came 2 days ago, a task sent 1 hour ago, and no receipt has come since.",
        ),
    ],
    ids=range(7),
)
def test_whether_receipts_arrive(found, outcome, said):
    finding = judge(found, NOW)

    assert (finding.outcome, finding.said.startswith(said)) == (outcome, True)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "less than a minute ago"),
        (59, "less than a minute ago"),
        (61, "1 minute ago"),
        (9e5, "10 days ago"),
    ],
)
def test_how_long_ago(seconds, said):
    assert ago(timedelta(seconds=seconds)) == said


def test_what_the_store_has_got_of_a_number(store):
    fill(store, [send(1, "sales", NOW), send(2, "sales", NOW + HOUR, "2")], [receipt(1, "a", "sent", NOW)])

    assert read_arrivals(store, NUMBER) == Receipts(last=NOW, last_send=NOW)
    assert read_arrivals(store, "2") == Receipts(last_send=NOW + HOUR)
