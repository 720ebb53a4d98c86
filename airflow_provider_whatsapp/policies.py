"""When Airflow tries a task again: a retry policy for Airflow 3.3 and later."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp._compat import AirflowFailException, RetryDecision, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

MARGIN = 1.0
"""Seconds added to a wait that the gateway states, since clocks differ."""

if RetryPolicy is None:
    _Base: Any = object
else:
    _Base = RetryPolicy


@contextmanager
def failing_at_once() -> Iterator[None]:
    """End the task without Airflow's retries if a retry cannot succeed: AirflowFailException for a permanent error."""
    from airflow_provider_whatsapp.client.errors import WhatsAppError

    try:
        yield
    except WhatsAppError as error:
        if not error.permanent:
            raise
        # What is wrong with an argument or the connection is said whole by its one line: no cause below it.
        raise AirflowFailException(str(error)) from None if isinstance(error, ValueError) else error


class WhatsAppRetryPolicy(_Base):  # type: ignore[misc]
    """
    Wait as long as WhatsApp or the gateway asks (``Retry-After``), and do not retry permanent errors.

    The sending operators use it automatically on Airflow 3.3 and later, unless you give them another one. It cannot
    add retries: ``retries`` says how many there are.

    :param longest: Longest wait; None: no limit.
    :raises RuntimeError: This Airflow is older than 3.3 and has no retry policies.
    """

    def __init__(self, longest: timedelta | None = timedelta(hours=6)) -> None:
        if RetryPolicy is None:
            msg = "retry policies need Airflow 3.3"
            raise RuntimeError(msg)
        self.longest = longest

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> Any:
        """
        Decide: what Airflow calls when the task has failed.

        :param exception: What it failed with.
        :param try_number: Number of the try, from 1.
        :param max_tries: How many retries there are.
        :param context: Airflow's context.
        """
        if getattr(exception, "permanent", False) is True:
            return RetryDecision.fail("A retry cannot succeed.")
        seconds = getattr(exception, "retry_after", None)
        if not isinstance(seconds, int | float) or seconds < 0:
            return RetryDecision.default()
        wait = timedelta(seconds=seconds + MARGIN)
        if self.longest is not None:
            wait = min(wait, self.longest)
        return RetryDecision.retry(wait, reason=f"WhatsApp asks to wait {seconds:g} s.")

    def serialize(self) -> dict[str, Any]:
        """Return the policy as JSON primitives."""
        return {"longest": None if self.longest is None else self.longest.total_seconds()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> WhatsAppRetryPolicy:
        """Return the policy that :meth:`serialize` has written."""
        longest = data.get("longest")
        return cls(None if longest is None else timedelta(seconds=longest))


def partial_with_policy(partial: Any, arguments: dict[str, Any]) -> Any:
    """
    Give a mapped operator this policy, where Airflow has them and the user gave none.

    :param partial: What Airflow has made of ``.partial()``; it holds an argument for each that was left out.
    :param arguments: Keyword arguments of ``.partial()``.
    """
    sources = (
        arguments,
        arguments.get("default_args") or {},
        getattr(partial.kwargs.get("dag"), "default_args", None) or {},
    )
    given = partial.kwargs.get("retry_policy") or any("retry_policy" in source for source in sources)
    if RetryPolicy is not None and not given:
        partial.kwargs["retry_policy"] = WhatsAppRetryPolicy()
    return partial


def with_policy(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return an operator's arguments with this policy, where Airflow has them and the user gave none."""
    given = "retry_policy" in arguments or "retry_policy" in (arguments.get("default_args") or {})
    if RetryPolicy is None or given:
        return arguments
    return {**arguments, "retry_policy": WhatsAppRetryPolicy()}
