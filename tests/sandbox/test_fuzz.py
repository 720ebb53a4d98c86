"""Bodies turned inside out: whatever comes, the sandbox refuses or accepts, and never breaks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
BROAD = settings(
    max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BUTTONS = [
    {"type": "QUICK_REPLY", "text": "a"},
    {"type": "URL", "text": "a", "url": "https://example.com/{{1}}", "example": ["x"]},
    {"type": "COPY_CODE", "example": "x"},
    {"type": "FLOW", "text": "a", "flow_id": "1"},
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "name": "a",
        "language": "en_US",
        "category": "MARKETING",
        "message_send_ttl_seconds": 50_000,
        "components": [
            {"type": "HEADER", "format": "TEXT", "text": "h {{1}}", "example": {"header_text": ["x"]}},
            {"type": "BODY", "text": "b {{1}} c", "example": {"body_text": [["x"]]}},
            {"type": "FOOTER", "text": "f"},
            {"type": "BUTTONS", "buttons": BUTTONS},
        ],
    },
    {
        "name": "b",
        "language": "en_US",
        "category": "MARKETING",
        "parameter_format": "NAMED",
        "components": [
            {
                "type": "BODY",
                "text": "b {{x}} c",
                "example": {"body_text_named_params": [{"param_name": "x", "example": "y"}]},
            },
            {"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "o", "has_expiration": True}},
            {"type": "CAROUSEL", "cards": [{"components": [{"type": "HEADER", "format": "PRODUCT"}]}] * 2},
        ],
    },
    {
        "name": "c",
        "language": "en_US",
        "category": "AUTHENTICATION",
        "components": [
            {"type": "BODY", "add_security_recommendation": True},
            {"type": "FOOTER", "code_expiration_minutes": 5},
            {
                "type": "BUTTONS",
                "buttons": [
                    {
                        "type": "OTP",
                        "otp_type": "ONE_TAP",
                        "supported_apps": [{"package_name": "a", "signature_hash": "12345678901"}],
                    }
                ],
            },
        ],
    },
]
PROFILE = {
    "messaging_product": "whatsapp",
    "about": "a",
    "websites": ["https://example.com"],
    "vertical": "OTHER",
}


def places(body: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value below the body, however deep: each is as likely to be replaced as any other."""
    for key, inner in body.items() if isinstance(body, dict) else enumerate(body):
        yield (*way, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*way, key))


def mutated(data: st.DataObject, body: Any) -> Any:
    """The body with one value replaced by any other."""
    copy = inner = json.loads(json.dumps(body))
    *way, key = data.draw(st.sampled_from(list(places(copy))))
    for step in way:
        inner = inner[step]
    inner[key] = data.draw(ANY_JSON)
    return copy


def test_the_unchanged_templates_are_accepted(sandbox):
    first, _, third = TEMPLATES
    assert sandbox.call("POST", f"{sandbox.waba}/message_templates", json=first).status_code == 200
    assert sandbox.call("POST", f"{sandbox.waba}/message_templates", json=third).status_code == 200


@BROAD
@given(data=st.data())
def test_templates(sandbox, data):
    sandbox.control("POST", "reset")
    body = mutated(data, data.draw(st.sampled_from(TEMPLATES)))
    answer = sandbox.call("POST", f"{sandbox.waba}/message_templates", data=json.dumps(body))
    assert answer.status_code in (200, 400), (body, answer.text)
    assert sandbox.call("GET", f"{sandbox.waba}/message_templates").status_code == 200
    assert sandbox.page("/templates")


@BROAD
@given(data=st.data())
def test_profiles_connections_and_controls(sandbox, data):
    path, body = data.draw(
        st.sampled_from(
            [
                (f"whatsapp-business/v25.0/{sandbox.number}/whatsapp_business_profile", PROFILE),
                (
                    f"whatsapp-business/v25.0/{sandbox.app}/uploads",
                    {"file_name": "a", "file_length": 1, "file_type": "b"},
                ),
                ("connections", {"app": "whatsapp-business", "method": "OAUTH2"}),
                ("_sandbox/templates", {"name": "hello_world", "status": "PENDING", "language": "en_US"}),
                ("_sandbox/recipients", {"wa_id": "1", "marketing": False}),
                ("_sandbox/replies", {"from": "15550001111", "text": "a", "pressed": "b"}),
                ("_sandbox/clock", {"advance": 1}),
                ("_sandbox/faults", {"kind": "slow", "seconds": 0, "times": 1, "path": "/never", "to": "1"}),
            ]
        )
    )
    sent = json.dumps(mutated(data, body))
    answer = sandbox.session.post(f"{sandbox.url}/{path}", data=sent, timeout=10)
    assert answer.status_code in (200, 400, 404, 422), (path, sent, answer.text)
    for view in ("/", "/faults", "/requests"):
        assert sandbox.page(view)


@BROAD
@given(
    query=st.dictionaries(
        st.sampled_from(["limit", "after", "before", "status", "fields", "name"]), st.text(max_size=12)
    )
)
def test_queries(sandbox, query):
    for path in (
        f"{sandbox.waba}/message_templates",
        f"{sandbox.waba}/phone_numbers",
        f"{sandbox.number}/message_history",
    ):
        answer = sandbox.call("GET", path, params=query)
        assert answer.status_code in (200, 400), (path, query, answer.text)
