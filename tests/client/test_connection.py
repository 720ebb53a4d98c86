from __future__ import annotations

import pytest

from airflow_provider_whatsapp.client.config import DEFAULT_TIMEOUT
from airflow_provider_whatsapp.client.connection import API_KEY_VARIABLE, client_config, read_extra, unread
from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.get_provider_info import CONNECTION_FIELDS


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
        ({"rate_limit": 1e8}, "rate_limit"),
        ({"rate_limit": "1e400"}, "rate_limit"),
        ({"rate_limit": True}, "extra.rate_limit is True"),
        ({"rate_limit": 10**400}, "extra.rate_limit"),
        ({"max_retries": 1e9}, "max_retries"),
        ({"max_retries": "Infinity"}, "extra.max_retries"),
        ({"max_retries": 2.5}, "extra.max_retries is 2.5"),
        ({"timeout": 1e308}, "timeout"),
        ({"timeout": True}, "extra.timeout"),
        ({"timeout": {"5": 1, "30": 2}}, "extra.timeout"),
        ({"timeout": "[" * 100_000}, "extra.timeout"),
        ({"plus_prefix": "no"}, "extra.plus_prefix is 'no'"),
        ({"plus_prefix": []}, "extra.plus_prefix"),
        ({"plus_prefix": 2}, "extra.plus_prefix is 2"),
        *(({"verify": value}, "extra.verify") for value in ([], {}, 0, 1, 0.0, "no", "off", "None", [False])),
        ({"connection_id": "\x1b]0;x\x07" + "x" * 500}, "connection_id"),
    ],
)
def test_malformed_fields_are_named(extra, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        config(extra)

    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 350
    assert "\x1b" not in str(caught.value)


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


@pytest.mark.parametrize("field", ["connection_id", "api_version"])
def test_a_key_in_the_wrong_field_is_not_shown(field):
    with pytest.raises(ConfigurationError) as caught:
        config({field: "Bearer key-12345"})

    assert "key-12345" not in str(caught.value)
    assert "***" in str(caught.value)


OURS = ["https://gateway.maton.ai", "https://api.maton.ai/", "https://API.Maton.AI:443/x", None, ""]
LOOPBACK = ["http://127.0.0.1:8425", "http://localhost", "https://127.0.0.1", "http://[::1]:80"]
OTHERS = [
    "https://evil.example",
    "https://maton.ai.evil.example",
    "https://evilmaton.ai",
    "https://evil.example/.maton.ai",
    "https://localhost.evil.example",
    "https://127.0.0.1.evil.example",
    "https://10.0.0.1",
    "https://0x7f.1",
    "https://127.999.0.1",
    "https://127.0.0.256",
    "https://m\u00fcnchen.example",
]
UNREADABLE = [
    "https://maton.ai\u3002evil.example",
    "https://evil.example\\.maton.ai",
    "https://evil.example\\@api.maton.ai",
    "http://evil.example\\@127.0.0.1",
    "https://evil.example\t.maton.ai",
    "https://evil.example#@api.maton.ai",
    "https://evil.example?.maton.ai",
    "https://api.maton.ai@evil.example",
    "https://api.maton.ai:99999",
    "https://api.maton.ai:x",
    "http://127.0.0.1\n.evil.example",
    "https://\uff0fevil.example/.maton.ai",
]


@pytest.mark.parametrize("host", [*OURS, *LOOPBACK])
def test_the_environment_s_key_goes_to_maton_and_this_machine(monkeypatch, host):
    monkeypatch.setenv(API_KEY_VARIABLE, "from-environment")

    assert config(password=None, host=host).api_key == "from-environment"


@pytest.mark.parametrize("host", [*OTHERS, *UNREADABLE, "http://api.maton.ai"])
def test_the_environment_s_key_goes_to_nobody_else(monkeypatch, host):
    monkeypatch.setenv(API_KEY_VARIABLE, "from-environment")

    with pytest.raises(ConfigurationError) as caught:
        config(password=None, host=host)

    assert "from-environment" not in str(caught.value)
    if host in OTHERS:
        assert config(password="own", host=host).api_key == "own"
        assert "Put the key for this host" in str(caught.value)


@pytest.mark.parametrize("host", UNREADABLE)
def test_an_address_that_two_libraries_read_differently_is_none(host):
    with pytest.raises(ConfigurationError, match="host"):
        config(host=host)


def test_the_environment_s_key_goes_over_no_unchecked_line(monkeypatch):
    monkeypatch.setenv(API_KEY_VARIABLE, "from-environment")

    with pytest.raises(ConfigurationError, match="certificate is not checked"):
        config({"verify": False}, password=None)
    assert config({"verify": False}, password=None, host="https://127.0.0.1").verify is False
    assert config({"verify": False}, password="own").verify is False


def said(extra=None, conn_type="maton_whatsapp", port=None, host=None):
    return unread("wa", conn_type=conn_type, port=port, host=host, extra=extra or {})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"conn_type": "http"}, "Connection 'wa' is of type 'http', not 'maton_whatsapp'."),
        ({"port": 8425}, "Port 8425 of connection 'wa' has no effect"),
        ({"port": 8425, "host": "http://127.0.0.1"}, "has no effect"),
        (
            {"extra": {"proxies": {"http": "http://u:secret@p"}}, "host": "http://127.0.0.1:1"},
            "proxies of connection",
        ),
        (
            {"extra": {"phonenumber_id": "1"}},
            "'phonenumber_id' in the extra of connection 'wa' has no effect; did you mean 'phone",
        ),
        (
            {"extra": {"unheard-of": {"secret": 1}}},
            "'unheard-of' in the extra of connection 'wa' has no effect.",
        ),
        ({"extra": {"\x1b[31m+15550001111": 1}}, "'15•••1111' in the extra"),
    ],
)
def test_what_is_not_read_is_said(given, words):
    (sentence,) = said(**given)

    assert words in sentence
    assert "secret" not in sentence


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"conn_type": None},
        {"port": 443},
        {"port": 8425, "host": "http://127.0.0.1:8425"},
        {"port": 80, "host": "http://127.0.0.1"},
        {"extra": dict.fromkeys(CONNECTION_FIELDS, "")},
    ],
)
def test_what_is_read_is_not_spoken_of(given):
    assert said(**given) == []
