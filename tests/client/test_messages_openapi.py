"""Any valid message validates against Meta's OpenAPI schema, corrected where it contradicts Meta's own pages."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp.client import messages as m
from tests.client.strategies import MESSAGES
from tests.examples import examples

jsonschema = pytest.importorskip("jsonschema")

SPEC = Path(__file__).parents[1] / "data" / "graph_shapes.json"

ENVELOPE = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": "+15550001111"}

# Each correction: what, why, and the name of Meta's own example that proves it where there is one.
FREE_TEXT = {"type": "string"}
INDEX = {"anyOf": [{"type": "string", "pattern": "^[0-9]$"}, {"type": "integer", "minimum": 0, "maximum": 9}]}


def _any_case(words: list[str]) -> list[str]:
    return words + [word.upper() for word in words]


ERRATA = [
    (
        "recipient_type is optional",
        "contact",
        ("BaseMessageProperties", "required"),
        ["messaging_product", "to", "type"],
    ),
    ("language.policy is a legacy option", "test", ("LanguageObject", "required"), ["code"]),
    (
        "coordinates are numbers too",
        "location",
        ("LocationMessage", "allOf", 1, "properties", "location", "properties", "latitude"),
        {"type": ["number", "string"]},
    ),
    (
        "coordinates are numbers too",
        "location",
        ("LocationMessage", "allOf", 1, "properties", "location", "properties", "longitude"),
        {"type": ["number", "string"]},
    ),
    (
        "the pattern of index excludes 0 and 1",
        "template-interactive",
        ("TemplateComponent", "properties", "index"),
        INDEX,
    ),
    (
        "the pattern of index excludes 0 and 1",
        "template-interactive",
        ("ButtonComponent", "allOf", 1, "properties", "index"),
        INDEX,
    ),
    (
        "more kinds of template buttons",
        "flow-template",
        ("TemplateComponent", "properties", "sub_type", "enum"),
        _any_case(["quick_reply", "url", "catalog", "copy_code", "flow", "mpm"]),
    ),
    (
        "more kinds of template buttons",
        "catalog-template",
        ("ButtonComponent", "allOf", 1, "properties", "sub_type", "enum"),
        _any_case(["quick_reply", "url", "catalog", "copy_code", "flow", "mpm"]),
    ),
    (
        "their parameters",
        "catalog-template",
        ("ButtonParameterObject", "properties", "type", "enum"),
        ["payload", "text", "action", "coupon_code"],
    ),
    (
        "a catalogue's or a flow's button without values has no parameters (Meta's catalogue template page)",
        None,
        ("ButtonComponent", "allOf", 1, "required"),
        ["sub_type", "index"],
    ),
    (
        "components of newer templates (Meta's carousel and offer pages)",
        None,
        ("TemplateComponent", "properties", "type", "enum"),
        ["header", "body", "button", "carousel", "limited_time_offer"],
    ),
    (
        "header kinds of newer templates (Meta's components page)",
        None,
        ("ParameterObject", "properties", "type", "enum"),
        [
            "currency",
            "date_time",
            "document",
            "image",
            "text",
            "video",
            "location",
            "product",
            "limited_time_offer",
        ],
    ),
    (
        "257 contacts (Meta's contacts page)",
        None,
        ("ContactsMessage", "allOf", 1, "properties", "contacts", "maxItems"),
        257,
    ),
    *[
        ("contact types are free text (Meta's contacts page)", None, (name, "properties", "type"), FREE_TEXT)
        for name in ("PhoneObject", "EmailObject", "UrlObject", "AddressObject")
    ],
    (
        "a list's body has 4096 (Meta's list page)",
        None,
        ("BodyObject", "properties", "text", "maxLength"),
        4096,
    ),
    (
        "30 characters of flow_cta are advice (Meta's flow page)",
        None,
        ("ActionObject", "oneOf", 4, "properties", "parameters", "properties", "flow_cta"),
        FREE_TEXT,
    ),
    (
        "a catalogue message needs no thumbnail (Meta's catalogue page)",
        None,
        ("ActionObject", "oneOf", 3, "required"),
        ["name"],
    ),
]
# interactive.type values that Meta has pages for and its OpenAPI does not know; checked by rules of our own below.
UNKNOWN_TO_SPEC = {"cta_url", "location_request", "media_carousel", "product_carousel"}


def _spec():
    return json.loads(SPEC.read_text("utf-8"))


def _rewritten(node, dispatched, *, inherits=False):
    """References into $defs; those to a base with a discriminator go to its dispatch, but not where it is inherited."""
    if isinstance(node, list):
        return [_rewritten(item, dispatched, inherits=inherits) for item in node]
    if not isinstance(node, dict):
        return node
    made = {}
    for key, value in node.items():
        if key == "$ref":
            name = value.rsplit("/", 1)[1]
            made[key] = f"#/$defs/{name}" + ("Dispatch" if name in dispatched and not inherits else "")
        else:
            made[key] = _rewritten(value, dispatched, inherits=key == "allOf")
    return made


def corrected_schema(spec, errata):
    schemas = copy.deepcopy(spec["components"]["schemas"])
    for _, _, path, value in errata:
        node = schemas
        for step in path[:-1]:
            node = node[step]
        assert path[-1] in node, path
        node[path[-1]] = value
    for schema in schemas.values():
        members = schema.get("allOf", [])
        if any(part.pop("additionalProperties", None) is False for part in members if isinstance(part, dict)):
            schema["unevaluatedProperties"] = False
    mappings = {name: s["discriminator"]["mapping"] for name, s in schemas.items() if "discriminator" in s}
    mappings = {name: mapping for name, mapping in mappings.items() if name.endswith(("Object", "Component"))}
    definitions = {name: _rewritten(schema, mappings) for name, schema in schemas.items()}
    for name, mapping in mappings.items():
        definitions[f"{name}Dispatch"] = {"allOf": [{"$ref": f"#/$defs/{name}"}, *_dispatch(mapping)]}
    message = spec["components"]["schemas"]["Message"]["discriminator"]["mapping"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": definitions,
        "required": ["type"],
        "properties": {"type": {"enum": list(message)}},
        "allOf": _dispatch(message),
    }


def _dispatch(mapping):
    return [
        {
            "if": {"properties": {"type": {"const": word}}},
            "then": {"$ref": "#/$defs/" + target.rsplit("/", 1)[1]},
        }
        for word, target in mapping.items()
    ]


@pytest.fixture(scope="module")
def spec():
    return _spec()


@pytest.fixture(scope="module")
def validator(spec):
    return jsonschema.Draft202012Validator(corrected_schema(spec, ERRATA))


def _examples(spec):
    content = spec["paths"]["/{Version}/{Phone-Number-ID}/messages"]["post"]["requestBody"]["content"]
    return {name: example["value"] for name, example in content["application/json"]["examples"].items()}


# Examples of Meta's that its own rules cannot accept, or that are no messages.
NOT_VALID = {
    "text-with-preview-url": "no type",
    "reply-to-list": "no type",
    "multi-product": "a placeholder as header type",
    "order-details": "an interactive type the specification does not know",
    "order-status": "an interactive type the specification does not know",
    "sample-issue-resolution-template": "true as text",
    "typing-indicator-and-read-receipt": "no message",
}


def test_every_example_of_metas_is_valid_or_named_with_a_reason(spec, validator):
    refused = {name for name, value in _examples(spec).items() if not validator.is_valid(value)}
    assert refused == NOT_VALID.keys()


@pytest.mark.parametrize(
    "position",
    [pytest.param(i, id=f"{e[1]}: {'.'.join(map(str, e[2]))}") for i, e in enumerate(ERRATA) if e[1]],
)
def test_an_erratum_is_needed_by_the_example_it_names(spec, position):
    without = [erratum for erratum in ERRATA if erratum[0] != ERRATA[position][0]]
    schema = corrected_schema(spec, without)
    assert not jsonschema.Draft202012Validator(schema).is_valid(_examples(spec)[ERRATA[position][1]])


@pytest.mark.parametrize(
    ("payload", "broken"),
    [
        pytest.param(m.Text("a"), {"text": {"body": "a", "extra": 1}}, id="unknown field in text"),
        pytest.param(m.Text("a"), {"txt": {}}, id="unknown field beside text"),
        pytest.param(m.Image(id="1"), {"image": {}}, id="image without source"),
        pytest.param(
            m.Image(id="1"), {"image": {"id": "1", "link": "https://a.example"}}, id="image with both"
        ),
        pytest.param(m.ReplyButtons("a", ["b"]), {"interactive": {"type": "button"}}, id="no action"),
        pytest.param(m.Template("a"), {"template": {"name": "a"}}, id="template without language"),
        pytest.param(
            m.Template("a", body=["b"]),
            {
                "template": {
                    "name": "a",
                    "language": {"code": "en"},
                    "components": [{"type": "body", "parameters": [{"type": "text"}]}],
                }
            },
            id="text parameter without text",
        ),
    ],
)
def test_the_corrected_schema_still_refuses(validator, payload, broken):
    good = {**ENVELOPE, **payload.to_payload()}
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, **broken})


MODERATE = settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, id=kind) for kind in MESSAGES if kind not in UNKNOWN_TO_SPEC]
)
@MODERATE
@given(data=st.data())
def test_any_valid_message_validates(validator, kind, data):
    payload = {**ENVELOPE, **data.draw(MESSAGES[kind]).to_payload()}
    errors = [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(payload)]
    assert errors == []


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind) for kind in MESSAGES])
@MODERATE
@given(data=st.data())
def test_any_valid_message_survives_json_and_comes_back_through_parse_message(kind, data):
    payload = data.draw(MESSAGES[kind]).to_payload()
    wire = json.loads(json.dumps(payload))
    assert wire == json.loads(json.dumps(m.parse_message(wire).to_payload()))


# -- what the OpenAPI does not know, by the rules of the fact sheet, sections 2.5 and 3


def _check_link(action):
    assert action.keys() == {"name", "parameters"}
    assert action["name"] == "cta_url"
    assert action["parameters"].keys() == {"display_text", "url"}
    assert 1 <= len(action["parameters"]["display_text"]) <= 20
    assert action["parameters"]["url"].lower().startswith(("http://", "https://"))


def _check_media_card(card):
    assert card["type"] == "cta_url"
    assert card["header"]["type"] in {"image", "video"}
    assert len(card[("body")]["text"] if "body" in card else "") <= 160
    _check_link(card["action"])


@MODERATE
@given(message=MESSAGES["cta_url"])
def test_a_link_follows_the_rules(message):
    payload = message.to_payload()
    assert payload["type"] == "interactive"
    found = payload["interactive"]
    assert found["type"] == "cta_url"
    assert found.keys() - {"header", "footer"} == {"type", "body", "action"}
    assert 1 <= len(found["body"]["text"]) <= 1024
    _check_link(found["action"])


@MODERATE
@given(message=MESSAGES["location_request"])
def test_a_location_request_follows_the_rules(message):
    found = message.to_payload()["interactive"]
    assert found == {
        "type": "location_request_message",
        "body": {"text": message.body},
        "action": {"name": "send_location"},
    }


@MODERATE
@given(message=MESSAGES["media_carousel"])
def test_a_media_carousel_follows_the_rules(message):
    found = message.to_payload()["interactive"]
    assert found.keys() == {"type", "body", "action"}
    assert found["type"] == "carousel"
    cards = found["action"]["cards"]
    assert [card["card_index"] for card in cards] == list(range(len(cards)))
    assert 2 <= len(cards) <= 10
    assert len({card["header"]["type"] for card in cards}) == 1
    for card in cards:
        _check_media_card(card)


@MODERATE
@given(message=MESSAGES["product_carousel"])
def test_a_product_carousel_follows_the_rules(message):
    found = message.to_payload()["interactive"]
    cards = found["action"]["cards"]
    assert 2 <= len(cards) <= 10
    assert {card["type"] for card in cards} == {"product"}
    assert len({card["action"]["catalog_id"] for card in cards}) == 1
    assert all(card.keys() == {"card_index", "type", "action"} for card in cards)


@MODERATE
@given(message=MESSAGES["template_carousel"])
def test_a_carousel_template_follows_the_rules(message):
    *above, carousel = message.to_payload()["template"]["components"]
    assert [component["type"] for component in above] in ([], ["body"])
    assert carousel.keys() == {"type", "cards"}
    assert 2 <= len(carousel["cards"]) <= 10
    for index, card in enumerate(carousel["cards"]):
        assert card["card_index"] == index
        assert card["components"][0]["type"] == "header"
        assert sum(component["type"] == "button" for component in card["components"]) <= 2


@MODERATE
@given(message=MESSAGES["template_offer"])
def test_an_offer_has_its_components_in_order(message):
    components = message.to_payload()["template"]["components"]
    order = [component["type"] for component in components]
    assert [kind for kind in order if kind != "button"] == [
        kind for kind in ("header", "limited_time_offer", "body") if kind in order
    ]
    offer = next(component for component in components if component["type"] == "limited_time_offer")
    (parameter,) = offer["parameters"]
    assert parameter["limited_time_offer"] == {"expiration_time_ms": message.limited_time_offer}


@MODERATE
@given(message=MESSAGES["template_authentication"])
def test_a_one_time_code_is_sent_twice(message):
    body, button = message.to_payload()["template"]["components"]
    assert body["parameters"] == button["parameters"]
    assert (button["sub_type"], button["index"]) == ("url", "0")
