from __future__ import annotations

import pytest

from airflow_provider_whatsapp.client.config import CONTROL_HOST, DATA_HOST, ClientConfig
from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.client.transport import Transport

KEY = "maton-secret-key-123"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"api_key": ""}, "no Maton API key", id="no key"),
        pytest.param({"api_key": "with space"}, "an HTTP header cannot contain", id="key with a space"),
        pytest.param({"api_key": "line\nbreak"}, "an HTTP header cannot contain", id="key with a line break"),
        pytest.param(
            {"phone_number_id": "+15550001111"}, "phone_number_id is not a numeric ID", id="number as id"
        ),
        pytest.param(
            {"phone_number_id": "1/messages"}, "phone_number_id is not a numeric ID", id="path in an id"
        ),
        pytest.param({"waba_id": "abc"}, "waba_id is not a numeric ID", id="letters as id"),
        pytest.param({"connection_id": "a/b"}, "connection_id", id="path in a connection id"),
        pytest.param({"api_version": "25"}, "api_version", id="version without v"),
        pytest.param({"rate_limit": -1}, "rate_limit", id="negative rate"),
        pytest.param({"rate_limit": float("nan")}, "rate_limit", id="no number as rate"),
        pytest.param({"max_retries": -1}, "max_retries", id="negative retries"),
        pytest.param({"timeout": (0, 30)}, "timeout", id="no time to connect"),
        pytest.param({"host": "gateway.maton.ai"}, "host is not a URL", id="host without scheme"),
        pytest.param({"host": "ftp://gateway.maton.ai"}, "host is not a URL", id="other scheme"),
        pytest.param({"host": "http://gateway.maton.ai"}, "unencrypted", id="plain http"),
        pytest.param({"host": "http://127.0.0.1.evil.example"}, "unencrypted", id="loopback as a prefix"),
        pytest.param({"host": "http://10.0.0.1"}, "unencrypted", id="private address"),
        pytest.param({"verify": []}, "verify is", id="a list as verify"),
        pytest.param({"verify": ""}, "verify is", id="nothing as verify"),
        pytest.param({"rate_limit": 1e8}, "rate_limit", id="a rate that no account has"),
        pytest.param({"host": "https://user:pw@gateway.maton.ai"}, "user name", id="credentials in the host"),
    ],
)
def test_what_is_wrong_is_said_before_anything_connects(fields, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        ClientConfig(**{"api_key": KEY, **fields})

    assert caught.value.permanent
    assert caught.value.sent == "no"
    assert caught.value.advice


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:8425", "http://localhost:1", "http://[::1]:80", "https://x.example/"]
)
def test_loopback_may_be_plain(host):
    config = ClientConfig(api_key=KEY, host=host)

    assert config.data_url == config.control_url == host.rstrip("/")


def test_without_a_host_there_are_maton_s_two():
    config = ClientConfig(api_key=KEY)

    assert (config.data_url, config.control_url) == (DATA_HOST, CONTROL_HOST)


def test_the_key_does_not_show():
    config = ClientConfig(api_key=KEY, proxies={"https": "http://user:proxy-password@proxy.example"})

    assert KEY not in repr(config)
    assert "proxy-password" not in repr(config)


@pytest.mark.parametrize(
    "proxy",
    [
        "http://user:hunter2/x@proxy:8080",
        "http://user:hunter2#x@proxy:8080",
        "http://user:hunter2 x@proxy:8080",
        "http://user:hunter2@proxy:99999",
        "http://user:hunter2@[proxy:8080",
        "http://user:hunter2@",
    ],
)
@pytest.mark.parametrize("where", ["connection", "environment"])
def test_a_proxy_that_cannot_be_read_is_told_without_its_password(where, proxy, monkeypatch):
    if where == "environment":
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    config = ClientConfig(api_key=KEY, proxies={"https": proxy} if where == "connection" else None)

    with pytest.raises(
        ConfigurationError, match=r"proxy's address is not a valid URL.*percent-encoded"
    ) as caught:
        Transport(config)

    assert "hunter2" not in str(caught.value) + repr(caught.value.__cause__) + repr(caught.value.__context__)


@pytest.mark.parametrize(
    "proxy", ["", "127.0.0.1:8080", "http://proxy:8080", "http://user:pass%2Fword@proxy:8080"]
)
def test_a_proxy_that_can_be_read_is_taken(proxy):
    Transport(ClientConfig(api_key=KEY, proxies={"https": proxy, "no": "localhost"}))


@pytest.mark.parametrize("name", ["phone_number_id", "waba_id"])
def test_what_is_required_says_where_to_set_it(name):
    with pytest.raises(ConfigurationError, match=f"{name} is not set.*connection's extra"):
        ClientConfig(api_key=KEY).require(name)
