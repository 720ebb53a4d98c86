from __future__ import annotations

import pytest

from airflow_provider_whatsapp.client.config import DEFAULT_TIMEOUT
from airflow_provider_whatsapp.client.connection import API_KEY_VARIABLE, client_config, read_extra
from airflow_provider_whatsapp.client.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch):
    monkeypatch.delenv(API_KEY_VARIABLE, raising=False)


def config(extra=None, password="key-12345", host=None, **own):
    return client_config("wa", password=password, host=host, extra=extra or {}, **own)


def test_an_empty_form_gives_the_defaults():
    """Airflow's form stores untouched fields as empty strings or nulls."""
    empty = dict.fromkeys(
        [
            "phone_number_id",
            "waba_id",
            "connection_id",
            "api_version",
            "rate_limit",
            "timeout",
            "verify",
            "proxies",
        ],
        "",
    )
    for extra in ({}, empty, dict.fromkeys(empty)):
        made = config(extra)
        assert (made.api_version, made.rate_limit, made.timeout, made.max_retries) == (
            "v25.0",
            10,
            DEFAULT_TIMEOUT,
            4,
        )
        assert (made.verify, made.proxies, made.plus_prefix, made.host) == (True, None, True, None)
        assert made.phone_number_id is None


@pytest.mark.parametrize(
    ("extra", "field", "value"),
    [
        ({"phone_number_id": 106540352242922}, "phone_number_id", "106540352242922"),
        ({"waba_id": " 102290129340398 "}, "waba_id", "102290129340398"),
        ({"rate_limit": "0"}, "rate_limit", 0),
        ({"rate_limit": 2.5}, "rate_limit", 2.5),
        ({"timeout": [1, 2]}, "timeout", (1, 2)),
        ({"timeout": "[1, 2]"}, "timeout", (1, 2)),
        ({"timeout": 7}, "timeout", (7, 7)),
        ({"timeout": "7"}, "timeout", (7, 7)),
        ({"max_retries": 0}, "max_retries", 0),
        ({"proxies": {"https": "http://p.example"}}, "proxies", {"https": "http://p.example"}),
        ({"proxies": '{"https": "http://p.example"}'}, "proxies", {"https": "http://p.example"}),
        ({"verify": False}, "verify", False),
        ({"verify": "false"}, "verify", False),
        ({"verify": "/etc/ca.pem"}, "verify", "/etc/ca.pem"),
        ({"plus_prefix": False}, "plus_prefix", False),
        ({"plus_prefix": "false"}, "plus_prefix", False),
        ({"something_else": True}, "phone_number_id", None),
    ],
)
def test_fields(extra, field, value):
    assert getattr(config(extra), field) == value


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"rate_limit": "fast"}, "extra.rate_limit is 'fast'"),
        ({"timeout": "soon"}, "extra.timeout"),
        ({"timeout": [1, 2, 3]}, "extra.timeout"),
        ({"proxies": "http://user:secret@p.example"}, "extra.proxies"),
    ],
)
def test_malformed_fields_are_named(extra, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        config(extra)

    assert "secret" not in str(caught.value)


def test_the_operator_s_own_ids_win():
    extra = {"phone_number_id": "1", "waba_id": "2"}

    assert config(extra, phone_number_id="10").phone_number_id == "10"
    assert config(extra, waba_id="20").waba_id == "20"
    assert config(extra, phone_number_id="").phone_number_id == "1"


def test_no_key_says_where_to_put_it():
    with pytest.raises(ConfigurationError, match=r"'wa' has no Maton API key.*password.*MATON_API_KEY"):
        config(password=None)


def test_the_key_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv(API_KEY_VARIABLE, "from-environment\n")

    assert config(password="").api_key == "from-environment"
    assert config(password="own").api_key == "own"


@pytest.mark.parametrize("extra", ["[1]", "{broken", '"text"'])
def test_an_extra_that_is_no_object_is_told(extra):
    with pytest.raises(ConfigurationError, match="extra of connection 'wa'"):
        read_extra("wa", extra)


@pytest.mark.parametrize("extra", [None, "", "{}"])
def test_an_empty_extra_is_one(extra):
    assert read_extra("wa", extra) == {}
