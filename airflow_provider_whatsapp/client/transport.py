"""The only module that sends bytes: one ``requests`` session with its pace, its retries and its errors."""

from __future__ import annotations

import json
import logging
import math
import random
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import requests
from requests.models import PreparedRequest
from requests.utils import select_proxy
from urllib3.util import Timeout

from airflow_provider_whatsapp import __version__
from airflow_provider_whatsapp.client.answers import Answer, read
from airflow_provider_whatsapp.client.bounds import AnswerError, LargeAnswerError, read_body
from airflow_provider_whatsapp.client.config import check_proxy
from airflow_provider_whatsapp.client.echo import Echo
from airflow_provider_whatsapp.client.errors import (
    AnswerTooLargeError,
    ConfigurationError,
    NotSentError,
    OutcomeUnknownError,
    PayloadError,
    RateLimitError,
    ServerError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.hosts import CURRENT_HOST, is_loopback
from airflow_provider_whatsapp.client.masking import Cleaner
from airflow_provider_whatsapp.client.messages.texts import half_of_a_character, text_of
from airflow_provider_whatsapp.client.pacers import limiter
from airflow_provider_whatsapp.client.retry import RequestRetry
from airflow_provider_whatsapp.client.wire import RecordingAdapter, end_record, request_began, start_record

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from airflow_provider_whatsapp.client.config import ClientConfig
    from airflow_provider_whatsapp.client.rate_limit import Departure, Limiter

logger = logging.getLogger(__name__)

_LEAST = 0.5
"""Seconds for a request whose permit came at the very end of the time."""
_ADDRESSES = 4
"""The number of a host's addresses that are tried before the time is over."""

USER_AGENT = f"airflow-provider-whatsapp/{__version__}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to make, as a resource states it."""

    method: str
    url: str  # complete, without a query
    # None values are left out, lists become JSON arrays as Graph reads them
    query: Mapping[str, Any] = field(default_factory=dict, repr=False)
    json: Any = field(default=None, repr=False)
    # opens a new streamed body for each try: an object with ``read`` and a length in bytes
    open_body: Callable[[], Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # of only this call
    # advice for an unknown outcome; None: the request may safely happen twice, so it is repeated instead
    doubt: str | None = None
    permit: Departure | None = None  # to leave, from Transport.permit; None: the request waits for one
    # gets the size in bytes of each answer's body, and may refuse it by an AnswerError
    on_size: Callable[[int], None] | None = None

    @property
    def stop(self) -> threading.Event | None:
        """The event that ends its waits, if the holder of its permit may take it back."""
        return None if self.permit is None else self.permit.stop


class Transport:
    """Sends requests to the configured hosts; safe to use from many threads."""

    def __init__(
        self,
        config: ClientConfig,
        *,
        retry: RequestRetry | None = None,  # None: the default rule with the configuration's max_retries
        pacer: Limiter | None = None,  # None: the account's, by the configuration
        until: float | None = None,  # time.monotonic() in seconds at which requests are given up
    ) -> None:
        self._config = config
        self._retry = retry or RequestRetry(max_retries=config.max_retries)
        self._pacer = pacer or limiter(
            config.api_key,
            config.data_url,
            config.rate_limit,
            redis=config.pace_redis,
            share=config.pace_share,
        )
        self._until = until
        # No text of the other side may carry the key into an error, a log or a report.
        self._cleaner = Cleaner(config.api_key)
        self._session = requests.Session()
        # A session would replace our Authorization header by an entry of ~/.netrc, and read proxies for each request.
        settings = self._session.merge_environment_settings(
            config.data_url, dict(config.proxies or {}), None, config.verify, None
        )
        # Requests to this machine must not go through another one, least of all by plain http with the key in them.
        self._proxies = {} if is_loopback(config.host) else settings["proxies"]
        for url in (config.data_url, config.control_url):
            check_proxy(select_proxy(url, self._proxies))
        self._verify = settings["verify"] or False
        self._adapter = RecordingAdapter()
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Authorization": f"Bearer {config.api_key}",
            "User-Agent": USER_AGENT,
        }

    def close(self) -> None:
        """Close the connections that are kept alive."""
        self._adapter.close()

    def request(self, call: Call) -> dict[str, Any]:
        """Make a call and return the JSON object of its answer; repeat it if that is safe."""
        started = 0.0
        attempt = 0
        while True:
            attempt += 1
            departure = call.permit if call.permit is not None and attempt == 1 else self._leave(call.stop)
            started = started or time.monotonic()
            try:
                return self._exchange(call, departure)
            except WhatsAppError as error:
                if isinstance(error, RateLimitError) and error.code is None:
                    self._pacer.refused(departure)
                wait = self._retry.delay(
                    error,
                    attempt=attempt,
                    elapsed=time.monotonic() - started,
                    jitter=random.random(),  # noqa: S311  not a secret
                )
                if wait is None or wait >= self._left():
                    raise
                logger.warning(
                    "%s: trying again in %.1f s (try %d of %d)",
                    error,
                    wait,
                    attempt + 1,
                    self._retry.max_retries + 1,
                )
                if _paused(wait, call.stop):
                    raise

    def permit(self, stop: threading.Event) -> Departure | None:
        """Wait for the permit of one request, which counts even if it is not used; None: ``stop`` ended the wait."""
        # Later, `stop` also ends the waits between the request's repetitions.
        return self._pacer.acquire(stop=stop)

    def _exchange(self, call: Call, departure: Departure) -> dict[str, Any]:
        """Send once and read the answer; the connection records whether the request has left, for any error."""
        timeout = self._timeout()
        request = self._prepare(call)
        start_record(
            departure, progress_timeout=self._config.timeout[1], until=self._given_up(), cleaner=self._cleaner
        )
        try:
            response = self._adapter.send(
                request, timeout=timeout, verify=self._verify, proxies=self._proxies
            )
            body = read_body(response.raw, response.headers)
            if call.on_size is not None:
                call.on_size(len(body))
            answer = Answer(response.status_code, response.headers, body, self._cleaner, Echo(call.json))
            return read(answer, doubt=call.doubt)
        except WhatsAppError:
            raise
        except Exception as error:
            failure = self._failure(error, call)
        finally:
            end_record()
            close = getattr(request.body, "close", None)
            if close is not None:
                close()
        # Raised outside of the except block, so that the library's error, which may quote the other side, is not its
        # context.
        raise failure

    def _given_up(self) -> float:
        """Return the time at which a request that leaves now is given up; a late one has a little time."""
        return math.inf if self._until is None else max(self._until, time.monotonic() + _LEAST)

    def _left(self) -> float:
        return math.inf if self._until is None else self._until - time.monotonic()

    def _leave(self, stop: threading.Event | None) -> Departure:
        """Wait for the request's permit, unless there is no time for it."""
        departure = self._pacer.acquire(self._left(), stop) if self._left() > 0 else None
        if departure is None:
            if stop is not None and stop.is_set():
                raise NotSentError(
                    "the task was stopped before the request left", advice="Nothing was sent. Retry the task."
                )
            raise NotSentError(
                "no time was left for the request",
                advice="Nothing was sent. Give its caller a larger time budget.",
            )
        return departure

    def _timeout(self) -> Any:
        """Return the time that a request may take, in a form that ``requests`` reads."""
        if self._until is None:
            return self._config.timeout
        left = max(_LEAST, self._left())
        connect, answer = self._config.timeout
        # Each address of a host gets the full time to connect.
        return Timeout(total=left, connect=min(connect, left / _ADDRESSES), read=min(answer, left))

    def _prepare(self, call: Call) -> PreparedRequest:
        """Build the request without ``requests``' own preparation, which costs more than the rest of a send."""
        request = PreparedRequest()
        request.method = call.method
        request.url = call.url + encode_query(call.query)
        headers = {**self._headers, **call.headers}
        if call.open_body is not None:
            request.body = call.open_body()
            headers["Content-Length"] = str(len(request.body))
        elif call.json is not None:
            request.body = encode_json(call.json)
            headers["Content-Type"] = "application/json"
            headers["Content-Length"] = str(len(request.body))
        elif call.method == "POST":
            headers["Content-Length"] = "0"
        request.headers = headers  # type: ignore[assignment]  # a mapping is all that is asked of it
        return request

    def _failure(self, error: Exception, call: Call) -> WhatsAppError:
        """Return the error of a request that got no answer."""
        reason = self._cleaner.line(Echo(call.json).text(_reason(error)))
        if request_began():
            return _unanswered(error, reason, call.doubt)
        if isinstance(error, OSError) and "CA certificate" in str(error):
            return ConfigurationError(
                "the CA bundle of the connection's verify does not exist",
                advice="Give the path of an existing file.",
            )
        if isinstance(error, ValueError):
            # A library quotes what it cannot parse, and a proxy's address may contain a password.
            words = reason if isinstance(error, requests.exceptions.InvalidSchema) else type(error).__name__
            return ConfigurationError(
                f"the request could not be made: {words}", advice="Check host and proxies."
            )
        return NotSentError(f"no connection to the gateway: {reason}", advice=self._connect_advice())

    def _connect_advice(self) -> str:
        if is_loopback(self._config.host):
            return (
                "Nothing was sent. If host in the connection is the sandbox's, start the sandbox: "
                "`python -m airflow_provider_whatsapp.sandbox`."
            )
        if self._config.host:
            return (
                "Nothing was sent. Check host and proxies in the connection, and that the server is running."
            )
        return (
            "Nothing was sent. Check the network and the connection's proxies; if Maton's older hosts are gone, set "
            f"host to {CURRENT_HOST} in the connection."
        )


def _unanswered(error: Exception, reason: str, doubt: str | None) -> WhatsAppError:
    unusable = isinstance(error, AnswerError)
    if doubt is not None:
        lost = f"cannot be used: {error}" if unusable else f"was lost: {reason}"
        return OutcomeUnknownError(f"the request left but its answer {lost}", advice=doubt)
    if isinstance(error, LargeAnswerError):
        return AnswerTooLargeError(f"the gateway's answer cannot be used: {error}", advice="Ask for less.")
    lost = (
        f"the gateway's answer cannot be used: {error}"
        if unusable
        else f"no answer from the gateway: {reason}"
    )
    return ServerError(lost, advice="Try again later.")


def _paused(seconds: float, stop: threading.Event | None) -> bool:
    """Wait, and return whether ``stop`` ended the wait."""
    if stop is not None:
        return stop.wait(seconds)
    time.sleep(seconds)
    return False


def encode_json(content: Any, field: str = "message") -> bytes:
    """Write a body as JSON, with dates, times and UUIDs as text; raises PayloadError if JSON cannot represent it."""
    scalar_text = partial(text_of, field=field)
    try:
        text = json.dumps(
            content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=scalar_text
        )
        return text.encode()
    except UnicodeEncodeError:
        raise half_of_a_character(field) from None
    except PayloadError:
        raise
    except (ValueError, RecursionError) as error:  # nan and infinity, or a value that contains itself
        raise PayloadError(
            f"cannot be written as JSON: {error}",
            field=field,
            advice="JSON has no nan or infinity, and a value must not contain itself.",
        ) from None


def encode_query(query: Mapping[str, Any]) -> str:
    """Return query parameters as Graph reads them, with the question mark; an empty text if there are none."""
    pairs = {
        key: json.dumps(value, separators=(",", ":"), default=partial(text_of, field=key))
        if isinstance(value, list | tuple | dict | bool)
        else str(value)
        for key, value in query.items()
        if value is not None
    }
    return f"?{urlencode(pairs, quote_via=quote)}" if pairs else ""


def _reason(error: BaseException) -> str:
    """Return what the network said in a few words; the library's texts contain object addresses and whole URLs."""
    cause: BaseException | None = error
    deepest = error
    while cause is not None:
        deepest = cause
        inner = getattr(cause, "reason", None)
        context = None if cause.__suppress_context__ else cause.__context__
        cause = inner if isinstance(inner, BaseException) else cause.__cause__ or context
    words = str(deepest.args[-1]) if deepest.args else ""
    name = type(deepest).__name__
    return f"{name}: {words}" if words and "object at 0x" not in words else name
