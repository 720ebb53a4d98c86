"""A shape says what an answer is made of, and nothing of what it says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.client.config import ClientConfig
from airflow_provider_whatsapp.client.errors import NotFoundError
from airflow_provider_whatsapp.client.shapes import MAX_DEPTH, MAX_NAMES, RecordingTransport, merged, shape
from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
from tests.examples import examples

SECRET = "zq"
"""Stands in every value below, and in no type's name."""

values = st.recursive(
    st.none() | st.booleans() | st.integers(10_000) | st.text().map(lambda text: f"{text}{SECRET}"),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["id", "data", "15550001111", f" {SECRET}"]), inner)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"id": "1", "at": 5, "share": 0.5, "on": True, "no": None},
         {"id": "text", "at": "integer", "share": "number", "on": "boolean", "no": "null"}),
        ([], []),
        ([1, "a", 2], ["integer|text"]),
        ([{"id": "1"}, {"id": 1, "more": {}}], [{"id": "integer|text", "more?": {}}]),
        ([{"a": 1}, {}, {"a": 2}], [{"a?": "integer"}]),
        ([{"a": [1]}, {"a": []}, {"a": ["x"]}], [{"a": ["integer|text"]}]),
        ([{"a": 1}, [1], "x"], ["list|object|text"]),
        ({"15550001111": 1, "wamid.HBg": 2, "Ana Costa": "x"}, {"<name>": "integer|text"}),
        ("anything", "text"),
    ],
    ids=["types", "empty", "mixed", "optional", "absent", "lists", "kinds", "names", "text"],
)  # fmt: skip
def test_shapes(value, told):
    assert shape(value) == told


@given(values)
@settings(max_examples=examples(50), deadline=None)
def test_no_value_is_in_a_shape(value):
    told = json.dumps(shape(value))

    assert SECRET not in told
    assert not any(char.isdigit() for char in told)


@given(values, values)
@settings(max_examples=examples(50), deadline=None)
def test_what_covers_two_does_not_depend_on_their_order(one, other):
    first, second = shape(one), shape(other)

    assert merged(first, first) == first
    assert merged(first, second) == merged(second, first)


def test_it_is_bounded():
    deep = wide = {}
    for _ in range(10_000):
        deep = {"a": deep}
    wide = {f"a{'b' * place}": 1 for place in range(60)} | {f"n{place}": 1 for place in range(5_000)}

    assert json.dumps(shape(deep)).count("{") == MAX_DEPTH
    assert len(shape(wide)) == MAX_NAMES


def test_requests_are_told_without_ids(sandbox):
    config = ClientConfig(
        api_key=sandbox.connection["password"],
        host=sandbox.url,
        rate_limit=0,
        phone_number_id=sandbox.extra["phone_number_id"],
        waba_id=sandbox.extra["waba_id"],
    )
    transport = RecordingTransport(config)
    with WhatsAppClient(config, transport=transport) as client:
        client.connections.list()
        template = client.templates.find("hello_world", "en_US", fields="id")
        client.templates.get(template["id"], fields="status")
        with pytest.raises(NotFoundError):
            client.media.get("9" * 15)
        connection = client.connections.list()[0]["connection_id"]
        client.connections.get(connection)

    listed, found, one, refused, _, asked = transport.answers
    assert listed["request"] == "GET connections"
    assert (found["request"], found["fields"]) == ("GET {waba_id}/message_templates", "id")
    assert one == {"request": "GET {id}", "fields": "status", "shape": {"id": "text", "status": "text"}}
    assert refused["request"] == "GET {id}"
    assert refused["refused"] == {"error": "NotFoundError", "http_status": 400, "code": 100, "subcode": 33}
    told = json.dumps(transport.answers)
    assert asked["request"] == "GET connections/{id}"
    for secret in (config.api_key, config.waba_id, template["id"], connection):
        assert secret not in told
