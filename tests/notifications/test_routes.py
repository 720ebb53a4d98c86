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
    assert record.getMessage() == "WhatsApp: no alert route for severity 'hihg' (there are: high, low)"


def test_nobody_at_all_is_an_error():
    with pytest.raises(PayloadError, match="empty"):
        usable([choose({"high": ["+15550001111"]})])


def test_a_malformed_number_does_not_keep_the_others_from_being_told(caplog):
    assert usable(["+15550001111", ["call me", "+15550002222"], None]) == ["15550001111", "15550002222"]

    (record,) = caplog.records
    assert "left out" in record.getMessage()


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
        ({"dag_run": {"dag_id": "orders"}}, set()),
    ],
)
def test_tags_in_every_kind_of_context(context, tags):
    assert dag_tags(context) == tags
