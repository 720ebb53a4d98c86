"""What happens to a template over time: categories, quality, pauses, quotas, and those nobody asked for."""

from __future__ import annotations

import pytest

DAY = 86_400
BODY = {"type": "BODY", "text": "Your report is here."}


def fields(sandbox, template_id, *names):
    found = sandbox.call("GET", template_id, params={"fields": ",".join(names)}).json()
    return tuple(found.get(name) for name in names)


def move(sandbox, name, **change):
    return sandbox.control("POST", "templates", name=name, **change)


def category(sandbox, template_id):
    return fields(sandbox, template_id, "category", "previous_category", "correct_category")


def test_another_category_is_announced_a_day_ahead(sandbox):
    made = sandbox.approved("late", BODY, message_send_ttl_seconds=600)
    move(sandbox, "late", correct_category="MARKETING")
    assert category(sandbox, made) == ("UTILITY", None, "MARKETING")
    sandbox.clock.advance(DAY - 60)
    assert category(sandbox, made) == ("UTILITY", None, "MARKETING")
    sandbox.clock.advance(61)
    assert category(sandbox, made) == ("MARKETING", "UTILITY", None)
    assert fields(sandbox, made, "message_send_ttl_seconds") == (None,)


def test_a_category_can_change_at_once(sandbox):
    made = sandbox.approved("warned", BODY)
    move(sandbox, "warned", category="MARKETING")
    assert category(sandbox, made) == ("MARKETING", "UTILITY", None)


def test_the_next_reviews_can_be_decided_ahead(sandbox):
    sandbox.control("POST", "reviews", name="bad_*", status="REJECTED", rejected_reason="SCAM")
    sandbox.control("POST", "reviews", name="promo", category="MARKETING")
    bad, promo = sandbox.create("bad_one", BODY).json(), sandbox.create("promo", BODY).json()
    again = sandbox.create("bad_two", BODY).json()
    assert (bad["status"], bad["category"]) == ("PENDING", "UTILITY")
    assert (promo["status"], promo["category"]) == ("PENDING", "MARKETING")
    sandbox.clock.advance(61)
    assert fields(sandbox, bad["id"], "status", "rejected_reason") == ("REJECTED", "SCAM")
    assert fields(sandbox, promo["id"], "status", "previous_category") == ("APPROVED", "UTILITY")
    assert fields(sandbox, again["id"], "status") == ("APPROVED",)


def test_an_edited_rejection_is_reviewed_anew(sandbox):
    sandbox.control("POST", "reviews", status="REJECTED")
    made = sandbox.create("second_try", BODY).json()["id"]
    sandbox.clock.advance(61)
    assert fields(sandbox, made, "status", "rejected_reason") == ("REJECTED", "INVALID_FORMAT")
    for text in ("Better now.", "Even better."):
        assert (
            sandbox.call("POST", made, json={"components": [{"type": "BODY", "text": text}]}).status_code
            == 200
        )
        assert fields(sandbox, made, "status", "rejected_reason") == ("PENDING", "NONE")
        sandbox.clock.advance(61)
        assert fields(sandbox, made, "status") == ("APPROVED",)
        sandbox.clock.advance(DAY)


def test_bad_quality_pauses_for_three_hours_then_six_then_for_good(sandbox, tools):
    made = sandbox.approved("disliked", BODY)
    move(sandbox, "disliked", quality_score="YELLOW")
    assert fields(sandbox, made, "status", "quality_score")[1]["score"] == "YELLOW"
    for hours in (3, 6):
        move(sandbox, "disliked", quality_score="RED")
        sandbox.clock.advance(hours * 3600 - 60)
        assert fields(sandbox, made, "status") == ("PAUSED",)
        assert tools.error(sandbox.send_template("disliked"))["code"] == 132015
        sandbox.clock.advance(61)
        assert sandbox.send_template("disliked").status_code == 200
    move(sandbox, "disliked", quality_score="RED")
    assert fields(sandbox, made, "status") == ("DISABLED",)
    assert tools.error(sandbox.send_template("disliked"))["code"] == 132016
    answer = sandbox.call("DELETE", f"{sandbox.waba}/message_templates", params={"name": "disliked"})
    assert tools.error(answer)["code"] == 100


def test_unpausing_waits_five_minutes(sandbox, tools):
    made = sandbox.approved("paused", BODY)
    assert tools.error(sandbox.call("POST", f"{made}/unpause"))["code"] == 100
    move(sandbox, "paused", status="PAUSED")
    sandbox.clock.advance(240)
    assert tools.error(sandbox.call("POST", f"{made}/unpause"))["code"] == 100
    sandbox.clock.advance(61)
    assert sandbox.call("POST", f"{made}/unpause").json() == {"success": True}
    assert fields(sandbox, made, "status") == ("APPROVED",)


def test_ten_edits_in_thirty_days(sandbox, tools):
    made = sandbox.approved("restless", BODY)

    def edit(index):
        return sandbox.call("POST", made, json={"components": [{"type": "BODY", "text": f"Number {index}."}]})

    for index in range(10):
        assert edit(index).status_code == 200
        sandbox.clock.advance(DAY + 1)
    assert tools.error(edit(10))["code"] == 100
    sandbox.clock.advance(20 * DAY)
    assert edit(11).status_code == 200


def test_generated_templates_need_no_samples_and_no_quota(limited, tools):
    for index in range(101):
        made = limited.control("PUT", "templates", name=f"generated_{index}", source="AUTO_GENERATED", components=[
                {"type": "HEADER", "format": "DOCUMENT"},
                {"type": "BODY", "text": "Dear {{1}}, your report for {{2}} is attached."}])  # fmt: skip
    assert (made["status"], made["source"]) == ("APPROVED", "AUTO_GENERATED")
    query = {"source": "AUTO_GENERATED", "limit": 200, "fields": "name"}
    listed = limited.call("GET", f"{limited.waba}/message_templates", params=query).json()["data"]
    assert len(listed) == 101
    assert listed[0]["name"] == "generated_0"


def test_putting_a_template_replaces_the_older_one(sandbox):
    for text in ("Old.", "New."):
        made = sandbox.control("PUT", "templates", name="a", components=[{"type": "BODY", "text": text}])
    listed = sandbox.call("GET", f"{sandbox.waba}/message_templates", params={"name": "a"}).json()["data"]
    assert [each["components"][0]["text"] for each in listed] == ["New."]
    assert listed[0]["id"] == made["id"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"quality_score": "RED"}, ["red"]),
        ({"quality_score": '["RED","GREEN"]'}, ["green", "red"]),
        ({"source": "AUTO_GENERATED"}, ["made"]),
        ({"until": "1"}, []),
        ({"since": "1"}, ["hello_world", "green", "red", "made"]),
    ],
)
def test_filters_on_quality_source_and_time(sandbox, query, names):
    for name in ("green", "red"):
        sandbox.approved(name, BODY)
        move(sandbox, name, quality_score=name.upper())
    sandbox.control("PUT", "templates", name="made", source="AUTO_GENERATED", components=[BODY])
    listed = sandbox.call("GET", f"{sandbox.waba}/message_templates", params=query).json()["data"]
    assert [each["name"] for each in listed] == names


def library(sandbox, **query):
    return sandbox.call("GET", "message_template_library", params=query).json()["data"]


def clone(sandbox, **change):
    entry = library(sandbox, search="payment_is_due")[0]
    given = {
        "name": "due",
        "language": "en_US",
        "category": "UTILITY",
        "library_template_name": entry["name"],
        "library_template_button_inputs": [
            {
                "type": "URL",
                "url": {"base_url": "https://x.example/{{1}}", "url_suffix_example": "https://x.example/a"},
            },
            {"type": "PHONE_NUMBER", "phone_number": "+15550100101"},
        ],
        **change,
    }
    return sandbox.call("POST", f"{sandbox.waba}/message_templates", json=given)


def test_the_library_is_listed_and_searched(sandbox):
    assert len(library(sandbox)) > 2
    assert [each["name"] for each in library(sandbox, topic="payments")] == ["payment_is_due"]
    assert library(sandbox, language="pt_BR") == library(sandbox, search="no such words") == []


def test_a_clone_is_approved_at_once_and_can_be_sent(sandbox):
    made = clone(sandbox).json()
    assert made["status"] == "APPROVED"
    assert fields(sandbox, made["id"], "library_template_name") == ("payment_is_due",)
    body = {
        "type": "body",
        "parameters": [{"type": "text", "text": each} for each in ("Ann", "$5", "Monday")],
    }
    button = {
        "type": "button",
        "sub_type": "url",
        "index": "0",
        "parameters": [{"type": "text", "text": "9"}],
    }
    assert sandbox.send_template("due", body, button).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"library_template_name": "no_such_entry"},
        {"library_template_name": 5},
        {"components": [BODY]},
        {"category": "MARKETING"},
        {"language": "de"},
        {"library_template_button_inputs": []},
        {"library_template_button_inputs": [{"type": "URL"}, {"type": "PHONE_NUMBER"}]},
        {"library_template_button_inputs": "x"},
        {"library_template_body_inputs": {"unknown": True}},
    ],
)
def test_clones_that_are_refused(sandbox, change):
    assert clone(sandbox, **change).status_code == 400


@pytest.mark.parametrize(
    ("method", "name", "body"),
    [
        ("PUT", "templates", {"name": "Bad Name", "components": [BODY]}),
        ("PUT", "templates", {"name": "a"}),
        ("PUT", "templates", {"name": "a", "components": [BODY], "colour": "red"}),
        ("PUT", "templates", {"name": "a", "components": [BODY], "language": "English"}),
        ("PUT", "templates", {"name": "a", "components": [BODY], "waba_id": "1"}),
        ("PUT", "templates", {"name": "a", "components": [{"type": "BODY", "text": "{{1}}"}]}),
        ("POST", "reviews", {"status": "PENDING"}),
        ("POST", "reviews", {"times": -1}),
        ("POST", "reviews", {"colour": "red"}),
        ("POST", "templates", {"name": "hello_world", "quality_score": "PINK"}),
    ],
)
def test_controls_that_make_no_sense(sandbox, method, name, body):
    answer = sandbox.session.request(method, f"{sandbox.url}/_sandbox/{name}", json=body, timeout=10)
    assert answer.status_code in (400, 404)
    assert answer.json()["message"]


def test_an_announced_category_comes_by_time_whoever_asks(sandbox):
    template_id = sandbox.approved("late", BODY)
    move(sandbox, "late", correct_category="MARKETING")
    sandbox.clock.advance(86_401)
    # Nobody has asked for the template itself since: filter and rows must agree at once.
    for category, names in (("UTILITY", []), ("MARKETING", ["late"])):
        rows = sandbox.call(
            "GET", f"{sandbox.waba}/message_templates", params={"category": category, "name": "late"}
        ).json()["data"]
        assert [row["name"] for row in rows] == names
        assert {row["category"] for row in rows} <= {category}
    assert fields(sandbox, template_id, "category", "previous_category") == ("MARKETING", "UTILITY")


def test_a_recipient_who_stopped_marketing_gets_no_template_that_has_become_it(sandbox):
    sandbox.approved("late", BODY)
    move(sandbox, "late", correct_category="MARKETING")
    sandbox.control("POST", "recipients", wa_id="15550001111", marketing=False)
    sandbox.clock.advance(86_401)
    assert sandbox.send_template("late").status_code == 200
    sandbox.clock.advance(5)
    assert sandbox.messages[0]["error"] == 131050


CARD = {
    "components": [
        {"type": "HEADER", "format": "IMAGE"},
        {"type": "BODY", "text": "Today only: {{1}} is on sale."},
        {
            "type": "BUTTONS",
            "buttons": [
                {"type": "QUICK_REPLY", "text": "Tell me more"},
                {"type": "URL", "text": "Buy", "url": "https://example.com/{{1}}"},
            ],
        },
    ]
}


@pytest.mark.parametrize(
    "components",
    [
        [{"type": "BODY", "text": "Hello {{1}} and welcome."}],
        [{"type": "HEADER", "format": "DOCUMENT"}, {"type": "BODY", "text": "Your report is here."}],
        [
            {"type": "BODY", "text": "Your parcel has left."},
            {
                "type": "BUTTONS",
                "buttons": [{"type": "URL", "text": "Track", "url": "https://example.com/{{1}}"}],
            },
        ],
        [{"type": "BODY", "text": "Have a look."}, {"type": "CAROUSEL", "cards": [CARD, CARD]}],
    ],
)
def test_a_template_is_put_there_without_samples(sandbox, components):
    category = "MARKETING" if len(components[-1].get("cards", ())) else "UTILITY"
    made = {"name": "made", "category": category, "components": components}
    assert sandbox.control("PUT", "templates", **made)["status"] == "APPROVED"
