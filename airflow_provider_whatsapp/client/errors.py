"""
Errors of the client: one hierarchy, and two facts that decide what a caller does next.

``permanent`` says that a retry cannot help; ``sent`` says whether a message may have left (``"no"`` or
``"unknown"``). WhatsApp has no idempotency key, so an ``"unknown"`` send must never be repeated blindly.

.. code-block:: text

    WhatsAppError
    ├── ConfigurationError      a key, ID or URL is missing or malformed; nothing was sent
    ├── PayloadError            a message or file was refused before any request
    ├── NotSentError            the request never left: no name, no connection, no TLS
    ├── OutcomeUnknownError     the request left and no usable answer came back
    └── APIError                the gateway or Graph refused
        ├── AuthenticationError     the Maton key, or the Meta token behind it, is not valid
        ├── PermissionDeniedError   a scope or capability is missing
        ├── ConnectionMissingError  Maton has no (such) WhatsApp connection
        ├── NotFoundError           the ID or route does not exist for this account
        ├── RateLimitError          too fast; ``retry_after`` says how long to wait
        ├── InvalidRequestError     a parameter is wrong
        ├── TemplateError           the template is missing, paused, or its parameters do not fit
        ├── RecipientError          this recipient cannot be reached this way
        ├── AccountError            the business account or number is blocked, locked or not registered
        └── ServerError             the service failed (reads only: a failed send is OutcomeUnknownError)
            └── AnswerTooLargeError     the answer is larger than the limit; so will the next one be
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from airflow_provider_whatsapp import DOCUMENTATION_URL
from airflow_provider_whatsapp.client.masking import printable

Sent = Literal["no", "unknown"]

ERRORS_PAGE = f"{DOCUMENTATION_URL}/e.html"
"""Leads to the page of errors, also if later versions move it; a code or a class follows ``#``."""


class WhatsAppError(Exception):
    """
    Base class of every error that this package raises itself.

    :param message: What happened, in one sentence, without keys and full phone numbers.
    :param advice: What to do about it.
    :param code: Graph's error code, if there is one.
    :param subcode: Graph's error subcode, which is only meaningful for template errors.
    :param http_status: Status of the HTTP answer, if one came.
    :param details: Graph's own explanation (``error_data.details`` or ``error_user_msg``).
    :param fbtrace_id: Meta's trace ID, for Meta's support.
    :param request_id: Maton's request ID, for Maton's support.
    :param retry_after: Seconds to wait before the same request can succeed; None: not known.
    :param permanent: A retry cannot help; None: the class's default.
    :param sent: Whether a message may have left; None: the class's default.
    """

    default_permanent: ClassVar[bool] = False
    default_sent: ClassVar[Sent] = "no"

    def __init__(
        self,
        message: str,
        *,
        advice: str | None = None,
        code: int | None = None,
        subcode: int | None = None,
        http_status: int | None = None,
        details: str | None = None,
        fbtrace_id: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        permanent: bool | None = None,
        sent: Sent | None = None,
    ) -> None:
        # A row's value, a file's name or the other side's text may contain commands for the terminal that shows the
        # error.
        message = printable(message)
        super().__init__(message)
        self.message = message
        self.advice = _printable(advice)
        self.code = code
        self.subcode = subcode
        self.http_status = http_status
        self.details = _printable(details)
        self.fbtrace_id = _printable(fbtrace_id)
        self.request_id = _printable(request_id)
        self.retry_after = retry_after
        self.permanent = self.default_permanent if permanent is None else permanent
        self.sent: Sent = self.default_sent if sent is None else sent

    def __str__(self) -> str:
        facts = [
            f"{label} {value}"
            for label, value in (
                ("code", self.code),
                ("subcode", self.subcode),
                ("HTTP", self.http_status),
                ("request", self.request_id),
                ("trace", self.fbtrace_id),
            )
            if value is not None
        ]
        text = f"{self.message} [{', '.join(facts)}]" if facts else self.message
        if self.details and self.details not in self.message:
            text = f"{text} {self.details.rstrip('.')}."
        if self.advice:
            text = f"{_sentence(text)} {self.advice}"
        # An error that quotes another one already ends with that error's link.
        return text if ERRORS_PAGE in text else f"{_sentence(text)} See {self.link}"

    @property
    def link(self) -> str:
        """The address of the documentation of this error: its code's row, otherwise its class's."""
        from airflow_provider_whatsapp.client.error_rows import anchor_of

        own = (item.__name__ for item in type(self).__mro__ if item.__module__ == __name__)
        return f"{ERRORS_PAGE}#{anchor_of(self.code, self.subcode) or next(own)}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own pickling loses keyword-only arguments (process pools, xdist).
        return _rebuild, (type(self), self.message, self.__dict__.copy())

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for a report, a log line or an XCom, as JSON primitives without empty ones."""
        facts = {
            "type": type(self).__name__,
            "message": self.message,
            "code": self.code,
            "subcode": self.subcode,
            "http_status": self.http_status,
            "details": self.details,
            "advice": self.advice,
            "fbtrace_id": self.fbtrace_id,
            "request_id": self.request_id,
            "retry_after": self.retry_after,
            "permanent": self.permanent,
        }
        return {key: value for key, value in facts.items() if value is not None}


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "]")) else f"{text}."


def _printable(text: str | None) -> str | None:
    return text if text is None else printable(text)


def _rebuild(cls: type[WhatsAppError], message: str, state: dict[str, Any]) -> WhatsAppError:
    error = cls.__new__(cls, message)
    error.args = (message,)
    error.__dict__.update(state)
    return error


class ConfigurationError(WhatsAppError, ValueError):
    """A key, an ID, a URL or an option is missing or malformed; nothing was sent."""

    default_permanent = True


class PayloadError(WhatsAppError, ValueError):
    """
    A message, a number or a file breaks a limit; it was refused before any request.

    :param problem: What is wrong, with the size of the value but never the value of a phone number or key.
    :param field: Path of the field in the message, such as ``"text.body"``.
    :param limit: The limit that was broken, as Meta states it.
    :param doc: Title of the Meta or Maton document that the limit comes from.
    :param advice: What to do about it.
    """

    default_permanent = True

    def __init__(
        self,
        problem: str,
        *,
        field: str,
        limit: str | int | None = None,
        doc: str | None = None,
        advice: str | None = None,
    ) -> None:
        text = f"{field}: {problem}"
        if limit is not None:
            text += f" (limit: {limit})"
        if doc:
            text += f" (Meta: {doc})"
        super().__init__(text if text.endswith(".") else f"{text}.", advice=advice)
        self.field = field
        self.limit = limit
        self.doc = doc

    def at(self, prefix: str) -> Self:
        """Return the same error from the view of an enclosing model, with the prefix in front of its field."""
        problem = self.message.removeprefix(f"{self.field}: ")
        moved = type(self).__new__(type(self), self.message)
        moved.__dict__.update(self.__dict__)
        moved.field = f"{prefix}.{self.field}"
        moved.message = f"{moved.field}: {problem}"
        moved.args = (moved.message,)
        return moved


class NotSentError(WhatsAppError):
    """The request never left this machine (name look-up, connection or TLS failed), so repeating it is safe."""


class OutcomeUnknownError(WhatsAppError):
    """
    The request left, but no usable answer came back: a lost connection, a time-out, a 5xx, a broken body.

    The message may or may not have been sent. This package never repeats it.
    """

    default_sent = "unknown"


class APIError(WhatsAppError):
    """The gateway or Graph answered with an error that none of the subclasses describes."""

    default_permanent = True


class AuthenticationError(APIError):
    """The Maton API key, or the Meta token of the connection behind it, is missing, wrong or expired."""


class PermissionDeniedError(APIError):
    """The key or the connection lacks a scope or a capability for this call."""


class ConnectionMissingError(APIError):
    """Maton has no WhatsApp connection for this key, or not the one that was named."""


class NotFoundError(APIError):
    """The ID or the route does not exist, or this account may not see it."""


class RateLimitError(APIError):
    """Too many requests; refused before anything was done, so a repetition after ``retry_after`` is safe."""

    default_permanent = False


class InvalidRequestError(APIError):
    """A parameter is missing, unknown or has a value that Graph refuses."""


class TemplateError(APIError):
    """The template is missing, not approved, paused or disabled, or the parameters do not fit it."""


class RecipientError(APIError):
    """This recipient cannot be reached, or not in this way."""


class AccountError(APIError):
    """The business account, its number or its billing prevents it from sending."""


class ServerError(APIError):
    """The service failed to answer a read or another request that may be repeated."""

    default_permanent = False


class AnswerTooLargeError(ServerError):
    """The answer to a read is larger than the limit; a request for less may help, the same request does not."""

    default_permanent = True
