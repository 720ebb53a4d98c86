"""Reads an answer: whether it is a success, and if not, whose error it is and what it means."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.error_codes import Retry, look_up
from airflow_provider_whatsapp.client.errors import (
    APIError,
    AuthenticationError,
    ConnectionMissingError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.masking import Cleaner, clean_line
from airflow_provider_whatsapp.client.retry import parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_whatsapp.client.echo import Echo

MAX_ID = 128
"""The most characters of a request's or trace's ID that our errors quote."""

MAX_VALUES = 500_000
"""The most values in an answer's JSON; the longest requested list, 1,000 templates, has a tenth of them."""
_DONE = ("messages", "contacts", "id", "success")
"""Keys that only the answer to a successful request has."""
_NOT_CARRIED_OUT = (301, 302, 307, 308)
"""Redirects before the request was carried out; a 303, for example, comes after it."""
_MAX_CODE = 10**9


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, unchanged."""

    status: int
    headers: Mapping[str, str] = field(repr=False)  # their names ignore case
    body: bytes = field(repr=False)
    cleaner: Cleaner | None = None  # removes the API key from all texts; None: there is no key to hide
    echo: Echo | None = None  # hides the message's texts in a refusal; None: the request was no message

    @property
    def request_id(self) -> str | None:
        """Maton's ``X-Request-Id``."""
        stated = self.headers.get("X-Request-Id")
        if not stated:
            return None
        stated = self.echo.text(stated) if self.echo else stated
        return (self.cleaner.line if self.cleaner else clean_line)(stated, limit=MAX_ID) or None

    def json(self) -> Any:
        """Return the body as JSON; None: it is not JSON, or JSON that would fill the memory."""
        # A small text can become large objects: "[{},{},..." thirty times its size.
        if sum(map(self.body.count, (b",", b":", b"[", b"{"))) > MAX_VALUES:
            return None
        try:
            data = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        if self.cleaner is not None and not self.cleaner.leaves(self.body):
            data = self.cleaner.values(data)
        accepted = 200 <= self.status < 300 and isinstance(data, dict) and data.get("error") is None
        return data if accepted or self.echo is None else self.echo.values(data)


def read(answer: Answer, *, doubt: str | None) -> dict[str, Any]:
    """Return the JSON object of a successful answer; raises the error of a refusal or an unknown outcome."""
    # doubt: advice for an unknown outcome; None: the request may safely happen twice, so it is an ordinary failure.
    data = answer.json()
    accepted = 200 <= answer.status < 300
    if accepted and isinstance(data, dict) and data.get("error") is None:
        if data.get("success") is False:
            raise _in_doubt("the answer says that the request was not carried out", answer, doubt)
        return data
    if accepted and not answer.body and doubt is None:
        return {}
    if doubt is not None and isinstance(data, dict) and any(data.get(key) for key in _DONE):
        raise _in_doubt("the answer says both that the request failed and that it succeeded", answer, doubt)
    if accepted and not _is_graph_s(data) and not _gateway_text(data):
        raise _in_doubt("the answer was a success without a readable body", answer, doubt)
    raise to_error(answer, data, doubt=doubt)


def to_error(answer: Answer, data: Any, *, doubt: str | None) -> WhatsAppError:
    """Return the error of a refusal; ``doubt`` is as for :func:`read`."""
    # Graph's errors have an integer error.code; everything else comes from the gateway or a load balancer.
    if _is_graph_s(data):
        return _graph_error(answer, data["error"], doubt)
    return _gateway_error(answer, _gateway_text(data), doubt)


def _is_graph_s(data: Any) -> bool:
    error = data.get("error") if isinstance(data, dict) else None
    return isinstance(error, dict) and _is_int(error.get("code"))


def _graph_error(answer: Answer, error: dict[str, Any], doubt: str | None) -> WhatsAppError:
    code: int = error["code"]
    subcode = error.get("error_subcode") if _is_int(error.get("error_subcode")) else None
    info = look_up(code, subcode, http_status=answer.status, is_transient=error.get("is_transient") is True)
    stated = parse_retry_after(answer.headers.get("Retry-After"))
    facts: dict[str, Any] = {
        "code": code,
        "subcode": subcode,
        "http_status": answer.status,
        "details": _details(error),
        "fbtrace_id": _text(error.get("fbtrace_id")) or None,
        "request_id": answer.request_id,
    }
    message = f"WhatsApp refused: {_text(error.get('message')) or info.meaning}"
    # A refusal is only what Meta documents with this status; with any other 5xx, it is unknown what was done before.
    documented = info.http_status is not None and info.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR
    certain = answer.status < HTTPStatus.INTERNAL_SERVER_ERROR or documented
    if info.retry is Retry.AMBIGUOUS or (doubt is not None and not certain):
        if doubt is not None:
            return OutcomeUnknownError(message, advice=doubt, **facts)
        return ServerError(message, advice=info.advice, retry_after=stated, **facts)
    if info.retry is Retry.WAIT:
        wait = stated if stated is not None else info.wait
        return RateLimitError(message, advice=info.advice, retry_after=wait, **facts)
    return info.error(message, advice=info.advice, **facts)


def _gateway_error(answer: Answer, text: str, doubt: str | None) -> WhatsAppError:
    status = answer.status
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return _in_doubt(_said("the gateway failed", text), answer, doubt)
    if status < HTTPStatus.BAD_REQUEST and status not in _NOT_CARRIED_OUT:
        return _in_doubt(_said(f"HTTP {status} is not a valid answer to this request", text), answer, doubt)
    facts: dict[str, Any] = {"http_status": status, "request_id": answer.request_id}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitError(
            _said("the request exceeded Maton's rate limit (10 requests per second and account)", text),
            advice="Other programs that use the same Maton account count too: lower rate_limit in the connection.",
            retry_after=parse_retry_after(answer.headers.get("Retry-After")),
            **facts,
        )
    cls, problem, advice = _GATEWAY.get(status, (APIError, "the gateway refused", None))
    if "connection" in text.lower() and status in _CONNECTION_STATUSES:
        cls, problem, advice = ConnectionMissingError, "Maton found no usable WhatsApp connection", _CONNECT
    if status in _NOT_CARRIED_OUT:
        problem = "the gateway redirected; the API key is not sent to another address"
        advice = "Check host in the connection."
    return cls(_said(problem, text), advice=advice, **facts)


_CONNECT = (
    "Create one at maton.ai and finish its browser step, and check connection_id in the Airflow connection's extra "
    "(empty: Maton's oldest active one)."
)
_CONNECTION_STATUSES = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED}

_GATEWAY: dict[int, tuple[type[APIError], str, str | None]] = {
    400: (InvalidRequestError, "the gateway refused the request", None),
    401: (
        AuthenticationError,
        "Maton did not accept the API key",
        "Check the connection's password, or MATON_API_KEY, against maton.ai/settings.",
    ),
    403: (
        PermissionDeniedError,
        "the Maton API key lacks the scope for this request",
        "Give the key access at maton.ai/settings.",
    ),
    404: (
        NotFoundError,
        "the gateway does not know this address",
        "Check host and api_version in the connection.",
    ),
    412: (ConnectionMissingError, "Maton found no usable WhatsApp connection", _CONNECT),
    422: (InvalidRequestError, "the gateway refused a parameter", None),
}


def _in_doubt(problem: str, answer: Answer, doubt: str | None) -> WhatsAppError:
    facts: dict[str, Any] = {"http_status": answer.status, "request_id": answer.request_id}
    stated = parse_retry_after(answer.headers.get("Retry-After"))
    if doubt is None:
        return ServerError(problem, advice="Try again later.", retry_after=stated, **facts)
    return OutcomeUnknownError(problem, advice=doubt, **facts)


def _gateway_text(data: Any) -> str:
    """Return the gateway's text from any of its formats."""
    if not isinstance(data, dict):
        return ""
    error = data.get("error")
    candidates = [data.get("message"), error, data.get("detail")]
    if isinstance(error, dict):
        candidates.insert(0, error.get("message"))
    for candidate in candidates:
        if isinstance(candidate, str):
            return _text(candidate)
        if isinstance(candidate, list):
            return _text("; ".join(_validation(item) for item in candidate[:5] if isinstance(item, dict)))
    return ""


def _validation(item: dict[str, Any]) -> str:
    place = item.get("loc")
    return f"{'.'.join(map(str, place)) if isinstance(place, list) else ''}: {item.get('msg', '')}"


def _details(error: dict[str, Any]) -> str | None:
    data = error.get("error_data")
    parts = [data.get("details") if isinstance(data, dict) else data]
    parts += [error.get("error_user_title"), error.get("error_user_msg")]
    return " ".join(filter(None, map(_text, parts))) or None


def _said(problem: str, text: str) -> str:
    return f"{problem}: {text}" if text else problem


def _text(value: Any) -> str:
    """Return a text from outside as a short line with phone numbers masked."""
    return clean_line(value) if isinstance(value, str) else ""


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_CODE
