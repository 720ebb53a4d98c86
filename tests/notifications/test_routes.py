from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.client.errors import ConfigurationError, PayloadError
from airflow_provider_whatsapp.notifications.routes import choose, dag_tags, load_routes, usable

ROUTES = {
    "high": ["+15550001111", "+15550002222"],
    "low": "+15550003333",
    "tag:finance": ["+15550002222, +15550004444"],
    "default": ["+15550009999"],
}


class Variables:
    """Airflow's Variables, as far as reading goes."""

    def __init__(self, **values):
        self.values = values

    def get(self, name):
        return self.values[name]


def loaded():
    return load_routes(ROUTES, None)


@pytest.mark.parametrize(
    ("severity", "tags", "numbers"),
    [
        ("high", set(), ["15550001111", "15550002222"]),
        ("low", set(), ["15550003333"]),
        ("high", {"finance", "daily"}, ["15550001111", "15550002222", "15550004444"]),
        (None, {"finance"}, ["15550002222", "15550004444"]),
        (None, {"daily"}, ["15550009999"]),
        (None, set(), ["15550009999"]),
    ],
)
def test_every_route_that_matches_once_each(severity, tags, numbers):
    assert usable([choose(loaded(), severity=severity, tags=tags)]) == numbers


def test_an_unknown_severity_is_said_in_one_line_and_told_to_the_default(caplog):
    with caplog.at_level(logging.WARNING):
        assert choose(loaded(), severity="hihg") == ["+15550009999"]

    (record,) = caplog.records
    assert record.getMessage() == "WhatsApp: no alert route for severity 'hihg' (the routes are: high, low)"


def test_nobody_at_all_is_an_error():
    with pytest.raises(PayloadError, match="empty"):
        usable([choose({"high": ["+15550001111"]})])


def test_a_malformed_number_does_not_keep_the_others_from_being_told(caplog):
    assert usable(["+15550001111", ["call me", "+15550002222"], None]) == ["15550001111", "15550002222"]

    (record,) = caplog.records
    assert "leaves some recipients out" in record.getMessage()


def test_a_variable_and_files(tmp_path):
    yaml = tmp_path / "routes.yaml"
    yaml.write_text('high: ["+15550001111"]\n"tag:finance": "+15550002222"\n')
    plain = tmp_path / "routes.json"
    plain.write_text(json.dumps(ROUTES))

    assert load_routes(str(yaml), None) == {"high": ["+15550001111"], "tag:finance": ["+15550002222"]}
    assert load_routes(str(plain), None) == loaded()
    assert load_routes("oncall", Variables(oncall=json.dumps(ROUTES))) == loaded()


@pytest.mark.parametrize(
    "source", ["nowhere.yaml", "missing", "broken", "a_list", {"high": {"name": "+15550001111"}}]
)
def test_routes_that_cannot_be_read_say_so_without_a_number(source):
    variables = Variables(broken="{+15550001111", a_list='["+15550001111"]')
    with pytest.raises(ConfigurationError) as caught:
        load_routes(source, variables)

    assert caught.value.advice
    assert "15550001111" not in str(caught.value)


@pytest.mark.parametrize(
    ("context", "tags"),
    [
        ({"dag": SimpleNamespace(tags={"finance"})}, {"finance"}),
        ({"dag": SimpleNamespace(tags=[SimpleNamespace(name="finance")])}, {"finance"}),
        ({"dag": SimpleNamespace(tags=None)}, set()),
        ({"dag": {"tags": ["finance"]}}, {"finance"}),
        ({"dag_run": {"dag_id": "orders"}}, set()),
    ],
)
def test_tags_in_every_kind_of_context(context, tags):
    assert dag_tags(context) == tags


YAML = """no: ["0015550100101"]
on: [0015550100102, +15550100103]
1_0: 15550100104
default: '+15550100105'
"""


def test_yaml_is_read_as_it_is_written(tmp_path):
    """YAML 1.1 would make a switch of ``no`` and another number of one that begins with 00."""
    path = tmp_path / "routes.yaml"
    path.write_text(YAML)
    routes = load_routes(str(path), None)
    assert {name: usable([numbers]) for name, numbers in routes.items()} == {
        "no": ["15550100101"],
        "on": ["15550100102", "15550100103"],
        "1_0": ["15550100104"],
        "default": ["15550100105"],
    }


@pytest.mark.parametrize("name", ["routes.json", "routes.yaml"])
def test_a_byte_order_mark_is_no_part_of_it(tmp_path, name):
    path = tmp_path / name
    path.write_text("\ufeff" + json.dumps({"default": ["+15550100101"]}), encoding="utf-8")
    assert load_routes(str(path), None) == {"default": ["+15550100101"]}


def test_a_variable_with_a_byte_order_mark():
    variables = Variables(routes="\ufeff" + json.dumps({"default": ["+15550100101"]}))
    assert load_routes("routes", variables) == {"default": ["+15550100101"]}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("routes.yaml", "high: ['+15550100101']\nhigh: ['+15550100102']"),
        ("routes.json", '{"high": ["+15550100101"], "high": ["+15550100102"]}'),
        ("routes.yaml", "high: ['+15550100101']\n---\nlow: ['+15550100102']"),
    ],
)
def test_a_name_that_stands_twice_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_routes(str(tmp_path / name), None)
    assert "15550100101" not in str(caught.value)


def test_the_routes_of_a_float_column():
    assert usable(
        [{"a": 1}.get("b"), load_routes({"default": [15550100123.0, "15550100124.0"]}, None)["default"]]
    ) == [
        "15550100123",
        "15550100124",
    ]


ANN, BOB = "15550001111", "15550002222"
NAMED = {
    "one": ([f"+{ANN}"], [ANN]),
    "a number": ([int(ANN)], [ANN]),
    "parted by anything": ([f"+{ANN}, +{BOB};\n+{ANN}"], [ANN, BOB]),
    "lists": ([[f"+{ANN}"], None, (f"+{BOB}",)], [ANN, BOB]),
    "a list in a list": ([[f"+{ANN}; +{BOB}"]], [ANN, BOB]),
    "empty parts": ([f" ;+{ANN}, "], [ANN]),
}


@pytest.mark.parametrize(("named", "found"), NAMED.values(), ids=list(NAMED))
def test_who_can_be_sent_to(named, found, caplog):
    assert usable(named) == found
    assert not caplog.records


def test_a_national_number_is_good_where_its_country_is_set(caplog):
    national = "(11) 98765-4321"
    assert usable([national], default_country="BR") == ["5511987654321"]
    assert usable([national, "x"], default_country="BR") == ["5511987654321"]
    assert len(caplog.records) == 1
    with pytest.raises(PayloadError):
        usable([national])


SOURCES = {
    "a mapping": ({"default": ANN, "high": [ANN, f"{BOB},{ANN}"], 7: int(BOB)}, None),
    "a text in a Variable": ("routes", json.dumps({"default": ANN, "high": [ANN, f"{BOB},{ANN}"], "7": BOB})),
}


@pytest.mark.parametrize(("source", "text"), SOURCES.values(), ids=list(SOURCES))
def test_routes_are_lists_of_numbers(source, text):
    found = load_routes(source, SimpleNamespace(get=lambda name: text))

    assert found == {"default": [ANN], "high": [ANN, BOB, ANN], "7": [BOB]}


@pytest.mark.parametrize("text", ["[]", "1", "null", "--- {a: b}\n--- {c: d}\n"])
def test_what_is_no_mapping_is_refused(text):
    with pytest.raises(ConfigurationError, match=r"are not a mapping|cannot be read"):
        load_routes("routes", SimpleNamespace(get=lambda name: text))


@pytest.mark.parametrize("numbers", [None, {"a": 1}, {ANN}], ids=["none", "a mapping", "a set"])
def test_a_route_that_is_no_list_is_refused(numbers):
    with pytest.raises(ConfigurationError, match="The alert route 'high' in routes is not a list of numbers"):
        load_routes({"high": numbers}, None)


CHOICES = {
    "nothing matches": ({}, ["d"]),
    "a severity": ({"severity": "high"}, ["h"]),
    "tags in their order": ({"tags": ["b", "a"]}, ["ta", "tb"]),
    "both": ({"severity": "high", "tags": ["a"]}, ["h", "ta"]),
    "an unknown severity": ({"severity": "low"}, ["d"]),
    "an unknown severity with a tag": ({"severity": "low", "tags": ["a"]}, ["ta"]),
    "an unknown tag": ({"tags": ["z"]}, ["d"]),
}


@pytest.mark.parametrize(("asked", "numbers"), CHOICES.values(), ids=list(CHOICES))
def test_whom_a_route_names(asked, numbers, caplog):
    routes = {"default": ["d"], "high": ["h"], "tag:a": ["ta"], "tag:b": ["tb"]}

    assert choose(routes, **asked) == numbers
    unknown = [
        record
        for record in caplog.records
        if "no alert route for severity 'low' (the routes are: high)" in record.getMessage()
    ]
    assert len(caplog.records) == len(unknown) == (asked.get("severity") == "low")


def test_without_any_severity_none_is_named(caplog):
    assert choose({"tag:a": ["x"]}, severity="low") == []
    assert "(the routes are: none)" in caplog.text


def test_where_no_number_is_good_the_first_fault_is_said_and_nobody_is_left_out(caplog):
    with pytest.raises(PayloadError, match="too short: 2 digits"):
        usable(["+12, +13"])
    assert not caplog.records
