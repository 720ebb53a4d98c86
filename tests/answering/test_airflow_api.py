"""Airflow's REST API as `answer` uses it: who it says it is, where the token goes, and what ends it."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from airflow_provider_whatsapp.answering.airflow_api import (
    AirflowApi,
    AirflowAwayError,
    Credentials,
    RefusedError,
    TokenRefusedError,
)
from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.events.requests import Request
from tests.answering.fake_airflow import PASSWORD, USER

NAMES = {"dag_id": "a/b", "run_id": "manual__1+2", "task_id": "ask", "map_index": 3}
ASKED = Request(
    request_hash="h", send_hash="s", ti_id="1", options=("Yes",), asked_at=datetime(2026, 6, 1, tzinfo=UTC), **NAMES
)  # fmt: skip


@pytest.fixture
def client(airflow):
    """Make clients of the stand-in, and close them."""
    with contextlib.ExitStack() as stack:
        yield lambda **who: stack.enter_context(
            contextlib.closing(AirflowApi(airflow.url, Credentials(**who)))
        )


def test_a_token_that_has_expired_is_fetched_again_once(airflow, client):
    airflow.ask(SimpleNamespace(id="1", **NAMES))
    api = client(username=USER, password=PASSWORD)
    api.check()
    airflow.expire()
    assert api.request(ASKED)["task_instance"]["id"] == "1"
    paths = [path for _, path, _ in airflow.calls]
    assert paths.count("/air/auth/token") == 2
    assert paths[-1] == "/air/api/v2/dags/a%2Fb/dagRuns/manual__1%2B2/taskInstances/ask/3/hitlDetails"


@pytest.mark.parametrize(
    ("who", "complaint"),
    [
        ({"token": "token-0"}, "does not accept the token"),
        ({"username": USER, "password": "wrong"}, "refuses a token to AIRFLOW_API_USERNAME"),
        (
            {"token": "token-0", "username": USER, "password": "wrong"},
            "refuses a token to AIRFLOW_API_USERNAME",
        ),
    ],
    ids=["token", "password", "both"],
)
def test_credentials_that_are_refused_are_an_error_that_lasts(client, who, complaint):
    with pytest.raises(TokenRefusedError, match=complaint) as caught:
        client(**who).check()
    assert caught.value.permanent
    assert "wrong" not in str(caught.value)
    assert "token-0" not in str(caught.value)


def test_a_token_of_another_airflow_is_refused_too(airflow, client):
    airflow.failing = (403, {"detail": "Invalid JWT token"})
    with pytest.raises(TokenRefusedError, match="HTTP 403"):
        client(token="token-1").check()


def test_a_user_who_may_not_see_all_dags_may_begin(airflow, client):
    airflow.failing = (403, {"detail": "Forbidden"})
    api = client(token="token-1")
    api.check()
    with pytest.raises(RefusedError, match="Forbidden"):
        api.request(ASKED)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ((302, {}), "redirects to another address"),
        ((404, {"detail": "Not Found"}), "does not serve the API of Airflow 3.1"),
        ((405, {"detail": "Method Not Allowed"}), "does not serve the API of Airflow 3.1"),
    ],
    ids=["redirect", "404", "405"],
)
def test_an_address_that_is_not_airflow_s_is_an_error_that_lasts(airflow, client, answer, complaint):
    airflow.failing = answer
    with pytest.raises(ConfigurationError, match=complaint):
        client(token="token-1").check()


def test_an_auth_manager_without_tokens_says_what_to_do(airflow, client):
    airflow.failing = (404, {"detail": "Not Found"})
    with pytest.raises(ConfigurationError, match="AIRFLOW_API_TOKEN"):
        client(username=USER, password=PASSWORD).check()


def test_the_request_s_time_is_repeated_so_that_a_newer_one_is_not_answered(airflow, client):
    airflow.ask(SimpleNamespace(id="1", **NAMES), ["Yes"])
    client(token="token-1").answer(ASKED, "Yes", {"n": 1}, "2026-06-01T09:00:00Z")
    assert airflow.calls[-1][2] == {
        "chosen_options": ["Yes"],
        "params_input": {"n": 1},
        "request_created_at": "2026-06-01T09:00:00Z",
    }


@pytest.mark.parametrize("status", [400, 403, 409, 422])
def test_an_answer_that_airflow_refuses_is_said_with_its_reason(airflow, client, status):
    airflow.ask(SimpleNamespace(id="1", **NAMES), ["Yes"])
    airflow.refusal = (status, {"detail": "the reason"})
    with pytest.raises(RefusedError, match="the reason"):
        client(token="token-1").answer(ASKED, "Yes", {}, None)


def test_an_answer_without_end_is_cut_off(airflow, client):
    airflow.failing = (200, '{"a": "' + "x" * (9 * 1024 * 1024) + '"}')
    with pytest.raises(AirflowAwayError):
        client(token="token-1").check()


def test_a_netrc_of_the_machine_does_not_replace_the_token(airflow, client, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client(token="token-1").check()
    assert airflow.calls[-1][1].startswith("/air/api/v2/dags/~")


def test_nothing_shows_the_secrets():
    assert "secret" not in repr(Credentials(token="a secret", username="u", password="secret too"))
