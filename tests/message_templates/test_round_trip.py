from __future__ import annotations

import json
import random
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_whatsapp import message_templates
from airflow_provider_whatsapp.message_templates.components import equal
from airflow_provider_whatsapp.message_templates.definition import TemplateDefinition
from airflow_provider_whatsapp.message_templates.documents import TemplateFileError, dump, parse
from airflow_provider_whatsapp.message_templates.files import TemplateSet, _Found, load_data
from airflow_provider_whatsapp.message_templates.plan import make_plan
from airflow_provider_whatsapp.message_templates.pull import template_data
from tests.examples import examples
from tests.message_templates.strategies import as_graph_lists, authentication, templates

SCHEMA = json.loads((Path(message_templates.__file__).parent / "template.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def shuffled(seed):
    def order(components):
        return random.Random(seed).sample(components, len(components))

    return order


def read(text, name):
    found = _Found()
    for data, source in parse(text, name):
        found.read(data, source, None)
    return found.result(name).definitions


@settings(deadline=None)
@given(templates, st.integers(0, 99))
def test_definition_to_graph_and_back(template, seed):
    """What Graph lists of a created template is no change, and reads as the same definition."""
    definitions = load_data([template]).definitions
    rows = [as_graph_lists(definition, shuffled(seed)) for definition in definitions.values()]

    plan = make_plan(TemplateSet(definitions), rows, now=0)
    assert plan.counts()["unchanged"] == len(definitions), [change.to_dict() for change in plan.changes]
    for row in rows:
        again = TemplateDefinition.from_graph(row)
        assert equal(again.canonical(), definitions[again.key].canonical())
        assert again.options == definitions[again.key].options


@settings(deadline=None)
@given(templates, st.integers(0, 99))
def test_what_is_pulled_can_be_read_and_changes_nothing(template, seed):
    definitions = load_data([template]).definitions
    rows = [as_graph_lists(definition, shuffled(seed)) for definition in definitions.values()]

    pulled = template_data([TemplateDefinition.from_graph(row) for row in rows])
    again = read(dump(pulled), "pulled.yaml")
    plan = make_plan(TemplateSet(again), rows, now=0)
    assert plan.counts()["unchanged"] == len(definitions), [change.to_dict() for change in plan.changes]
    VALIDATOR.validate(pulled)


@settings(deadline=None)
@given(templates, st.booleans())
def test_written_and_read_again(template, as_json):
    definitions = load_data([template]).definitions

    text = dump(template_data(definitions.values()), as_json=as_json)
    assert read(text, "t.json" if as_json else "t.yaml") == definitions


@settings(deadline=None)
@given(templates)
def test_the_schema_accepts_what_is_right(template):
    VALIDATOR.validate(template)
    VALIDATOR.validate([template])
    VALIDATOR.validate({"templates": [template], "prune": {"prefixes": ["a_"]}})


@st.composite
def damaged(draw):
    """A right template with one part of it replaced, taken away or added."""
    template = json.loads(json.dumps(draw(templates)))
    spots = []

    def collect(value):
        if isinstance(value, dict):
            spots.extend((value, key) for key in value)
            spots.append(
                (value, draw(st.sampled_from(["bodi", "text", "example", "type", "header", "location"])))
            )
            for item in list(value.values()):
                collect(item)
        elif isinstance(value, list):
            spots.extend((value, index) for index in range(len(value)))
            for item in value:
                collect(item)

    collect(template)
    holder, key = draw(st.sampled_from(spots))
    junk = draw(
        st.sampled_from(
            [None, True, 7, 1.5, "", "words", [], ["a"], {}, {"text": "a"}, {"image": "x.png"}, {"a": 1}]
        )
    )
    if junk is None and isinstance(holder, dict):
        holder.pop(key, None)
    else:
        holder[key] = junk
    return template


@settings(max_examples=examples(300), deadline=None)
@given(damaged())
def test_schema_and_loader_agree(template):
    """What the schema accepts the loader can read, if Meta's limits are kept; what it refuses the loader refuses."""
    try:
        load_data([template])
        problems = ()
    except TemplateFileError as error:
        problems = error.problems
    if VALIDATOR.is_valid(template):
        assert not any(problem.shape for problem in problems), problems
    else:
        assert problems, next(VALIDATOR.iter_errors(template)).message


@pytest.mark.parametrize("kind", ["copy_code", "one_tap", "zero_tap"])
def test_an_otp_button_comes_back_as_a_url(kind):
    button = {"type": "otp", "otp_type": kind}
    content = {"body": {"add_security_recommendation": True}, "buttons": [button]}
    template = {"name": "code", "category": "AUTHENTICATION", "languages": {"en": content}}
    (definition,) = load_data([template]).definitions.values()

    row = as_graph_lists(definition, list)
    row["components"][1]["buttons"][0]["text"] = "Copy code"  # Meta's own label
    plan = make_plan(TemplateSet({definition.key: definition}), [row], now=0)
    assert plan.counts()["unchanged"] == 1


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@settings(deadline=None)
@given(authentication)
def test_an_authentication_template_has_no_text_of_its_own(template):
    (definition,) = load_data([template]).definitions.values()
    assert "text" not in definition.create_payload()["components"][0]
