"""Airflow's REST API, as far as human-in-the-loop requests need it; the same on Airflow 3.1 to 3.4."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests
from requests.auth import AuthBase

from airflow_provider_whatsapp.client.bounds import MAX_ANSWER
from airflow_provider_whatsapp.client.errors import ConfigurationError, WhatsAppError
from airflow_provider_whatsapp.client.masking import clean_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_whatsapp.events.requests import Request

TIMEOUT = (5.0, 30.0)
"""Seconds to connect, and between two bytes of an answer."""


class AirflowAwayError(WhatsAppError):
    """Airflow does not answer now, or another server answers in its place; a retry may help."""


class TokenRefusedError(WhatsAppError):
    """Airflow accepts neither the token nor the password."""

    default_permanent = True


class RefusedError(WhatsAppError):
    """Airflow refuses this one answer."""

    default_permanent = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The user who answers: a token, or an Airflow user for whom tokens are fetched."""

    token: str | None = field(default=None, repr=False)  # None: fetched with username and password
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class _Bearer(AuthBase):
    """Sends the token, as authentication, so that the machine's ``.netrc`` does not replace it."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class AirflowApi:
    """A client of one Airflow, for one thread."""

    def __init__(self, base_url: str, credentials: Credentials) -> None:
        self._base = base_url  # including Airflow's base path
        self._credentials = credentials
        self._token = credentials.token
        self._session = requests.Session()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def check(self) -> None:
        """Check that Airflow answers and accepts the credentials."""
        try:
            status, _ = self._call("GET", "dags/~/dagRuns/~/hitlDetails?limit=1")
        except RefusedError:  # the user may be one who sees only some DAGs
            return
        if status in (404, 405):
            raise ConfigurationError(
                f"{self._base} does not serve the API of Airflow 3.1 or later",
                advice="Set AIRFLOW_API_URL to Airflow's address, including its base path.",
            )

    def request(self, asked: Request) -> dict[str, Any] | None:
        """Return the request with which a task waits; None: the task has none, or does not exist."""
        status, found = self._call("GET", _path(asked))
        if status == 404 and _detail(found) not in ("", "Not Found"):  # other servers use those texts
            return None
        task = found.get("task_instance")
        if not isinstance(task, dict) or not isinstance(found.get("options"), list):
            raise AirflowAwayError(
                f"Airflow's API did not answer with a human-in-the-loop request (HTTP {status})"
            )
        return found

    def answer(self, asked: Request, option: str, params: Mapping[str, Any], created_at: str | None) -> None:
        """Answer a request; if it raises AirflowAwayError, Airflow may have stored the answer."""
        # Airflow 3.4 refuses an answer if the request has been replaced since it was read.
        body = {"chosen_options": [option], "params_input": dict(params), "request_created_at": created_at}
        status, found = self._call("PATCH", _path(asked), body)
        if status != 200:
            raise RefusedError(f"Airflow refuses the answer (HTTP {status}): {_detail(found)}")

    def _call(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """Call the API; with a password, fetch a new token once if the present one is no longer accepted."""
        fresh = self._token is None
        if fresh:
            self._token = self._fetch_token()
        status, found = self._exchange(method, f"api/v2/{path}", body, self._token)
        if _is_no_token(status, found) and not fresh and self._credentials.password:
            self._token = self._fetch_token()
            status, found = self._exchange(method, f"api/v2/{path}", body, self._token)
        if _is_no_token(status, found):
            raise TokenRefusedError(
                f"Airflow does not accept the token (HTTP {status}: {_detail(found)})",
                advice="It may have expired ([api_auth] jwt_expiration_time): set a new AIRFLOW_API_TOKEN, or "
                "AIRFLOW_API_USERNAME and AIRFLOW_API_PASSWORD, with which this command fetches new ones.",
            )
        if status == 403:
            raise RefusedError(f"Airflow does not permit this to the user (HTTP 403): {_detail(found)}")
        return status, found

    def _fetch_token(self) -> str:
        user = {"username": self._credentials.username, "password": self._credentials.password}
        status, found = self._exchange("POST", "auth/token", user, None)
        token = found.get("access_token")
        if status in (200, 201) and isinstance(token, str) and token.isascii() and token.isprintable():
            return token
        if status in (404, 405):
            raise ConfigurationError(
                f"Airflow's auth manager does not issue tokens at {self._base}/auth/token (HTTP {status})",
                advice="Set AIRFLOW_API_TOKEN to a token from that auth manager.",
            )
        raise TokenRefusedError(
            f"Airflow refuses a token to AIRFLOW_API_USERNAME (HTTP {status})",
            advice="Check AIRFLOW_API_USERNAME and AIRFLOW_API_PASSWORD.",
        )

    def _exchange(self, method: str, path: str, body: Any, token: str | None) -> tuple[int, dict[str, Any]]:
        try:
            with self._session.request(
                method,
                f"{self._base}/{path}",
                json=body,
                auth=_Bearer(token),
                timeout=TIMEOUT,
                allow_redirects=False,
                stream=True,
            ) as answer:
                raw = answer.raw.read(MAX_ANSWER + 1, decode_content=True)
        except (requests.RequestException, OSError, ValueError) as error:
            # The library's own words contain only the address, and may quote what a proxy says.
            raise AirflowAwayError(
                f"Airflow's API does not answer ({clean_line(error, limit=200)})"
            ) from None
        except Exception as error:  # urllib3's own errors, while the body is read
            raise AirflowAwayError(f"Airflow's API does not answer ({type(error).__name__})") from None
        if 300 <= answer.status_code < 400:
            raise ConfigurationError(
                f"{self._base} redirects to another address (HTTP {answer.status_code}), to which this command does "
                "not send the token",
                advice="Set AIRFLOW_API_URL to the address to which it redirects.",
            )
        found = _parsed(raw)
        # A proxy in front of Airflow answers while Airflow cannot be reached, and not as Airflow does.
        if found is None or answer.status_code == 429 or answer.status_code >= 500:
            raise AirflowAwayError(f"Airflow's API does not answer (HTTP {answer.status_code})")
        return answer.status_code, found


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(raw) if len(raw) <= MAX_ANSWER else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_no_token(status: int, found: Mapping[str, Any]) -> bool:
    """Return whether Airflow refuses the token, rather than what its user does."""
    return status == 401 or (status == 403 and found.get("detail") == "Invalid JWT token")


def _path(asked: Request) -> str:
    dag, run, task = (quote(name, safe="") for name in (asked.dag_id, asked.run_id, asked.task_id))
    return f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/{asked.map_index}/hitlDetails"


def _detail(found: Mapping[str, Any]) -> str:
    return clean_line(found.get("detail", ""), limit=300)
