"""``{base_url}`` in template files."""

from __future__ import annotations

import copy

import pytest

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.client.hosts import parse_base_url
from airflow_provider_whatsapp.message_templates.documents import TemplateFileError
from airflow_provider_whatsapp.message_templates.files import load_templates

FILE = """\
name: question
category: UTILITY
languages:
  en_US:
    body: Please decide.
    buttons:
      - {type: url, text: "Yes", url: "{base_url}/{{1}}", example: a/1}
      - {type: url, text: Help, url: "https://help.example.com/"}
"""
TEMPLATE = {
    "name": "question",
    "category": "UTILITY",
    "languages": {
        "en_US": {
            "body": "Please decide.",
            "buttons": [{"type": "url", "text": "Yes", "url": "{base_url}/{{1}}", "example": "a/1"}],
        }
    },
}


def urls(found):
    """Return the URLs of all buttons."""
    (definition,) = found.definitions.values()
    (buttons,) = [part["buttons"] for part in definition.components if part["type"] == "BUTTONS"]
    return [button["url"] for button in buttons]


@pytest.mark.parametrize("given", ["https://airflow.example.com/team", " https://airflow.example.com/team/ "])
def test_a_file_s_buttons_get_the_address(tmp_path, given):
    file = tmp_path / "question.yaml"
    file.write_text(FILE)
    found = urls(load_templates(file, base_url=given))
    assert found == ["https://airflow.example.com/team/{{1}}", "https://help.example.com/"]


def test_data_get_it_too_and_stay_as_they_were():
    data = copy.deepcopy(TEMPLATE)
    assert urls(load_templates([data], base_url="http://10.0.0.7:8080")) == ["http://10.0.0.7:8080/{{1}}"]
    assert data == TEMPLATE


def test_without_an_address_the_button_is_named(tmp_path):
    file = tmp_path / "question.yaml"
    file.write_text(FILE)
    with pytest.raises(
        TemplateFileError, match=r"question\.yaml:7: \{base_url\} has no value: give --base-url"
    ):
        load_templates(file)


def test_an_address_that_no_button_needs_is_not_looked_at():
    data = copy.deepcopy(TEMPLATE)
    del data["languages"]["en_US"]["buttons"]
    assert load_templates([data], base_url="none").definitions


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("airflow.example.com", "is not the address of a server"),
        ("ftp://airflow.example.com", "is not the address of a server"),
        ("https://", "is not the address of a server"),
        ("https://airflow.example.com:99999", "is not the address of a server"),
        ("https://airflow.example.com/{{1}}", "is not the address of a server"),
        ("https://airflow.example.com/a b", "is not the address of a server"),
        ("https://airflow.example.com/\u202e", "is not the address of a server"),
        ("https://ada:secret@airflow.example.com", "carries a user name or a password"),
        ("https://airflow.example.com?a=1", "carries a query or a fragment"),
        ("https://airflow.example.com/#x", "carries a query or a fragment"),
    ],
)
def test_what_is_not_an_address_is_refused(given, problem):
    with pytest.raises(ConfigurationError, match=problem) as caught:
        parse_base_url(given)
    assert "secret" not in str(caught.value)
