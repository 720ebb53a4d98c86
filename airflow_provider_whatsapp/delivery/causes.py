"""Whom an error concerns: one recipient, or every further one as well."""

from __future__ import annotations

from typing import Literal

from airflow_provider_whatsapp.client.errors import (
    APIError,
    InvalidRequestError,
    NotSentError,
    OutcomeUnknownError,
    PayloadError,
    RateLimitError,
    RecipientError,
    ServerError,
    TemplateError,
    WhatsAppError,
)

Scope = Literal["one", "perhaps", "all"]

PAIR_LIMIT = 131056
"""Too many messages to this recipient: a rate limit that concerns nobody else."""
_ONE_ROW_S_VALUES = {132005, 132018}
"""The filled text is too long, or a value breaks a rule: template errors that depend on a row's values."""
_TRANSIENT = (NotSentError, OutcomeUnknownError, RateLimitError, ServerError)


def scope(error: WhatsAppError, *, varied: bool) -> Scope:
    """Return whom an error concerns: ``one`` recipient, ``all``, or ``perhaps`` all (a run of equal ones decides)."""
    if isinstance(error, RecipientError | PayloadError) or error.code == PAIR_LIMIT:
        return "one"
    # If the messages are varied, a refused value may concern only one recipient.
    if isinstance(error, TemplateError) and error.code in _ONE_ROW_S_VALUES and varied:
        return "one"
    if isinstance(error, _TRANSIENT):
        return "perhaps"
    if varied and (isinstance(error, InvalidRequestError) or type(error) is APIError):
        return "perhaps"
    return "all"


class Runs:
    """Watches for a run of failures with the same cause."""

    def __init__(self, limit: int, *, varied: bool) -> None:
        self._limit = limit  # the number of failures in a row that ends the delivery
        self._varied = varied
        self._run: list[tuple[str, int | None]] = []
        self._accepted = False

    def accepted(self) -> None:
        """Record a message that WhatsApp accepted."""
        self._accepted = True
        self._run.clear()

    def ends_with(self, error: WhatsAppError) -> bool:
        """Record a failure; return whether the delivery has to end, because the rest of the list would fail too."""
        found = scope(error, varied=self._varied)
        if found != "perhaps":
            self._run.clear()
            return found == "all"
        cause = (type(error).__name__, error.code)
        if cause not in self._run:
            self._run.clear()
        self._run.append(cause)
        # If nothing has succeeded yet, what was certainly refused will be refused again.
        first = not self._accepted and not isinstance(error, OutcomeUnknownError)
        return first or len(self._run) >= self._limit
