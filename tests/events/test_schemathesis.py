"""Requests made up by schemathesis, signed and not: no answer is a 500, and what is not signed is not stored."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from airflow_provider_whatsapp.events import tables
from airflow_provider_whatsapp.events.receiver import Settings
from airflow_provider_whatsapp.events.serve import running
from airflow_provider_whatsapp.events.store import EventStore
from tests.events.bodies import SECRET, signed
from tests.events.test_store import rows

schemathesis = pytest.importorskip("schemathesis")

MADE_UP = settings(
    # The same ones in every run, and the test counts what they were.
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TEXT: dict[str, Any] = {"type": "string"}
ID = {"enum": ["wamid.A", "wamid.B", "15550100123", "a b", 7, None]}
STATUS = {
    "type": "object",
    "properties": {
        "id": ID,
        "status": {"enum": ["sent", "delivered", "failed", "", 5]},
        "timestamp": {"enum": ["1795860000", 1795860000, -1, "x", 1e300, None]},
        "recipient_id": ID,
        "biz_opaque_callback_data": TEXT,
        "errors": {"type": "array", "items": {"properties": {"code": {"type": "number"}, "title": TEXT}}},
        "pricing": {"properties": {"billable": {"type": "boolean"}, "category": TEXT}},
    },
    "required": ["id", "status"],
}
MESSAGE = {
    "type": "object",
    "properties": {
        "id": ID,
        "from": ID,
        "type": {"enum": ["text", "button"]},
        "text": {"properties": {"body": TEXT}},
    },
    "required": ["id", "type"],
}
PREFERENCE = {
    "type": "object",
    "properties": {
        "wa_id": ID,
        "category": {"const": "marketing_messages"},
        "value": {"enum": ["stop", "resume"]},
    },
}
VALUE = {
    "type": "object",
    "properties": {
        "metadata": {"properties": {"phone_number_id": ID}},
        "statuses": {"type": "array", "items": STATUS, "minItems": 1, "maxItems": 2},
        "messages": {"type": "array", "items": MESSAGE, "minItems": 1, "maxItems": 2},
        "user_preferences": {"type": "array", "items": PREFERENCE, "maxItems": 2},
        "contacts": {"type": "array", "items": {"properties": {"wa_id": ID}}, "maxItems": 1},
    },
    "required": ["statuses", "messages"],
}
CHANGE = {
    "type": "object",
    "properties": {"field": {"enum": ["messages", "user_preferences", "else"]}, "value": VALUE},
    "required": ["field", "value"],
}
ENTRY = {
    "type": "object",
    "properties": {"id": ID, "changes": {"type": "array", "items": CHANGE, "minItems": 1, "maxItems": 2}},
    "required": ["changes"],
}
WEBHOOK = {
    "type": "object",
    "properties": {
        "object": {"const": "whatsapp_business_account"},
        "entry": {"type": "array", "items": ENTRY, "minItems": 1, "maxItems": 2},
    },
    "required": ["object", "entry"],
}


def closed(value: Any) -> Any:
    """The description without fields that it does not name, so that what is made up gets to the bottom of it."""
    if isinstance(value, dict):
        made = {name: closed(each) for name, each in value.items()}
        return made | {"additionalProperties": False} if "properties" in made else made
    return [closed(each) for each in value] if isinstance(value, list) else value


GIVEN = {"enum": ["subscribe", "1", "\u00e4"]}
ASKED = ("hub.mode", "hub.verify_token", "hub.challenge")
ANSWERS = {"default": {"description": "any"}}
DESCRIPTION = {
    "openapi": "3.1.0",
    "info": {"title": "The receiver", "version": "1"},
    "paths": {
        "/webhook": {
            "get": {
                "parameters": [
                    {"name": name, "in": "query", "schema": {"enum": ["subscribe", "1", "\u00e4"]}}
                    for name in ASKED
                ],
                "responses": ANSWERS,
            },
            "post": {
                "requestBody": {"content": {"application/json": {"schema": closed(WEBHOOK)}}},
                "parameters": [{"name": "X-Hub-Signature-256", "in": "header", "schema": TEXT}],
                "responses": ANSWERS,
            },
        }
    },
}


def test_no_request_breaks_it(postgres_database):
    store = EventStore.open(postgres_database)
    store.create_or_upgrade()
    codes: Counter[tuple[str, int]] = Counter()

    def forged(case: Any) -> None:
        answer = case.call()
        codes[case.method, answer.status_code] += 1
        assert answer.status_code in {"GET": (200, 400, 403, 404), "POST": (400, 403)}[case.method], (
            answer.text
        )

    def signed_well(case: Any) -> None:
        content = json.dumps(case.body).encode() if isinstance(case.body, dict | list | str | int) else b""
        case.headers = None
        answer = case.call(data=content, headers=signed(content))
        codes["signed", answer.status_code] += 1
        assert answer.status_code == (200 if isinstance(case.body, dict) else 400), answer.text

    with running(store, Settings(verify_token="\u00e4", app_secret=SECRET)) as url:
        schema = schemathesis.openapi.from_dict(DESCRIPTION)
        schema.config.update(base_url=url)
        for result in schema.get_all_operations():
            MADE_UP(given(case=result.ok().as_strategy())(forged))()
            assert rows(store, tables.statuses) == rows(store, tables.others) == []
            if result.ok().method == "post":
                MADE_UP(given(case=result.ok().as_strategy())(signed_well))()

    assert codes["POST", 403] > 10
    assert codes["signed", 200] > 10
    assert rows(store, tables.statuses)
    assert rows(store, tables.messages)
    store.close()
