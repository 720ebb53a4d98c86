"""A plan warns of marketing templates on accounts that are not onboarded for them."""

from __future__ import annotations

import pytest

from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
from airflow_provider_whatsapp.message_templates.files import load_templates
from airflow_provider_whatsapp.message_templates.plan import plan_templates
from airflow_provider_whatsapp.message_templates.render import render_plan


def definition(category="MARKETING", name="sale"):
    return {"name": name, "category": category, "languages": {"en_US": {"body": "The sale begins today."}}}


@pytest.fixture
def client(sandbox):
    with sandbox.client(rate_limit=0, max_retries=0) as made:
        assert isinstance(made, WhatsAppClient)
        yield made


def plan(client, *definitions):
    return plan_templates(client, load_templates(list(definitions)))


def asked(sandbox):
    return [request for request in sandbox.requests if "marketing_messages" in request["query"]]


def test_it_names_them_and_what_to_do(sandbox, client):
    sandbox.control("POST", "accounts", onboarding="ELIGIBLE")

    found = plan(client, definition(), definition("UTILITY", "late"))

    (warning,) = found.warnings
    assert "not onboarded to the Marketing Messages API (ELIGIBLE): sale (en_US). " in warning
    assert "WhatsApp Manager" in warning
    assert render_plan(found).splitlines()[-1] == f"! {warning}"
    assert found.to_dict()["warnings"] == [warning]
    assert len(asked(sandbox)) == 1


def test_a_template_that_meta_has_moved_is_marketing_too(sandbox, client):
    client.templates.create(
        name="late", language="en_US", category="UTILITY", components=[{"type": "BODY", "text": "Late."}]
    )
    sandbox.control("POST", "templates", name="late", status="APPROVED", category="MARKETING")
    sandbox.control("POST", "accounts", onboarding="ELIGIBLE")

    assert "late (en_US)" in plan(client, definition("UTILITY", "late")).warnings[0]
    assert plan(client, definition("UTILITY", "other")).warnings == (), "not of the files"


def test_many_are_counted(sandbox, client):
    sandbox.control("POST", "accounts", onboarding="PENDING_INTERNAL_SETUP")

    (warning,) = plan(client, *(definition(name=f"sale_{place:02}") for place in range(12))).warnings

    assert "sale_09 (en_US) and 2 more" in warning
    assert "sale_10" not in warning
    (warning,) = plan(client, *(definition(name=f"sale_{place:02}") for place in range(10))).warnings
    assert "sale_09 (en_US). " in warning, "all are named"


@pytest.mark.parametrize(
    ("category", "onboarding", "requests"),
    [("MARKETING", "ONBOARDED", 1), ("UTILITY", "ELIGIBLE", 0)],
    ids=["onboarded", "no_marketing"],
)
def test_where_all_is_well_nothing_is_said(sandbox, client, category, onboarding, requests):
    sandbox.control("POST", "accounts", onboarding=onboarding)

    found = plan(client, definition(category))

    assert (found.warnings, found.to_dict()["warnings"]) == ((), [])
    assert len(asked(sandbox)) == requests


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 400, "body": {"error": {"code": 100}}},
        {"status": 503},
        {"status": 200, "body": {"id": "1"}},
    ],
    ids=["refused", "unavailable", "not_in_the_answer"],
)
def test_an_account_that_does_not_say_is_planned_for_all_the_same(sandbox, client, answer):
    sandbox.control("POST", "accounts", onboarding="ELIGIBLE")
    sandbox.fail_next("status", method="GET", path=f"/{sandbox.extra['waba_id']}", skip=1, times=0, **answer)

    found = plan(client, definition())

    assert found.warnings == ()
    assert [change.action for change in found.changes] == ["create"]
