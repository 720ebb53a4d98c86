"""Whether and when one request is repeated: pure decisions; the caller gives clock and jitter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.error_codes import look_up
from airflow_provider_whatsapp.client.errors import NotSentError, RateLimitError, ServerError

if TYPE_CHECKING:
    from airflow_provider_whatsapp.client.errors import WhatsAppError

LONGEST = 86_400.0
"""The longest ``Retry-After``, in seconds, that is believed; no service limits its rate for longer."""


@dataclass(frozen=True, kw_only=True)
class RequestRetry:
    """The rule for repeating one request inside one call."""

    # It repeats a request that certainly did nothing (it never left, or was refused as too fast), and after a failure
    # of the service also a request that may safely happen twice, such as a read.

    max_retries: int = 4  # repetitions after the first try
    max_elapsed: float = 90.0  # seconds of all tries and waits; the caller decides about a longer wait
    base: float = 0.5  # seconds of the first back-off, which doubles from try to try
    cap: float = 20.0  # seconds of the longest back-off

    def delay(self, error: WhatsAppError, *, attempt: int, elapsed: float, jitter: float) -> float | None:
        """Return the seconds to wait before the next try; None: give up."""
        # attempt: number of tries so far, from 1; elapsed: seconds since the first began; jitter: from 0 to 1.
        if attempt > self.max_retries or not self._is_safe(error):
            return None
        wait = self._wait(error, attempt=attempt, jitter=jitter)
        return wait if elapsed + wait <= self.max_elapsed else None

    @staticmethod
    def _is_safe(error: WhatsAppError) -> bool:
        # A request that must not happen twice ends in OutcomeUnknownError, any other one in ServerError.
        return not error.permanent and isinstance(error, NotSentError | RateLimitError | ServerError)

    def _wait(self, error: WhatsAppError, *, attempt: int, jitter: float) -> float:
        back_off = min(self.cap, self.base * 2.0 ** (attempt - 1)) * jitter
        if error.retry_after is None:
            return back_off
        growth = look_up(error.code, error.subcode).growth if error.code is not None else 1.0
        # A stated wait is a minimum, so jitter is only added.
        wait = error.retry_after * growth ** (attempt - 1)
        return wait + min(back_off, 0.1 * wait)


def parse_retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Return the seconds, 0 to a day, of a ``Retry-After`` header, a number or a date; None: missing or invalid."""
    if not value:
        return None
    value = value.strip()  # float() does not strip all white space that strip() does
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value, re.ASCII):
        return min(float(value), LONGEST)
    try:
        when = parsedate_to_datetime(value)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - (now or datetime.now(UTC))).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), LONGEST)
