"""
The endpoint for a template's messages: ``/messages``, or ``/marketing_messages`` for what Meta counts as marketing.

The template's category and the account's onboarding decide before the first message. If Meta moves the template to
another category while a broadcast runs, the endpoint refuses it without sending anything, and the message is sent
through the other endpoint, once. Later messages go there directly.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_whatsapp.client.errors import NotSentError, PayloadError, WhatsAppError
from airflow_provider_whatsapp.client.resources.messages import Endpoint, Marketing

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_whatsapp.client.resources.accounts import MarketingStatus
    from airflow_provider_whatsapp.client.resources.messages import SentMessage
    from airflow_provider_whatsapp.delivery.approved import Approved

logger = logging.getLogger(__name__)

Mode = Literal["auto", "cloud_api", "strict"]
MARKETING = "MARKETING"

_OTHER: dict[Endpoint, Endpoint] = {"messages": "marketing_messages", "marketing_messages": "messages"}
REROUTED: dict[Endpoint, frozenset[int]] = {
    "messages": frozenset({131061, 131063}),
    "marketing_messages": frozenset({131055, 134100, 134102}),
}
"""Codes with which an endpoint says that nothing was sent and the other one is right (Meta, "Send marketing
messages" and "Route template messages by category"). 134101, a template that is still being copied, waits instead."""


def choose_endpoint(mode: Mode, approved: Approved | None, status: MarketingStatus | None) -> Endpoint:
    """Return the endpoint for a template's messages; raises PayloadError if ``strict`` would refuse every message."""
    category = approved.known_category if approved is not None else None  # None: it is not known
    if mode == "strict":
        if category not in (None, MARKETING):
            raise _strict(f"accepts only templates of the category MARKETING, and this one is {category}")
        if status is not None and status.onboarding is not None and not status.onboarded:
            raise _strict(
                f"needs an account that is onboarded to the Marketing Messages API, and this one is {status.onboarding}"
            )
        return "marketing_messages"
    by_marketing = mode == "auto" and category == MARKETING and status is not None and status.onboarded
    return "marketing_messages" if by_marketing else "messages"


def _strict(problem: str) -> PayloadError:
    return PayloadError(
        f'"strict" {problem}',
        field="marketing",
        advice='Nothing was sent. Leave marketing at "auto", or accept the terms of the Marketing Messages API in '
        "WhatsApp Manager.",
    )


class Router:
    """Sends a template's messages through the right endpoint; safe to use from many threads."""

    def __init__(
        self,
        send: Callable[..., SentMessage],
        *,
        mode: Mode = "auto",
        endpoint: Endpoint = "messages",
        category: str | None = None,
        activity_sharing: bool | None = None,  # message_activity_sharing; None: as the account is set
        permit: Callable[[threading.Event], Any] | None = None,
    ) -> None:
        self._send = send
        self._mode = mode
        self._endpoint = endpoint
        self._category = category
        self._marketing = Marketing(strict=mode == "strict", activity_sharing=activity_sharing)
        self._permit = permit  # waits for the rate limit before a second request; None: send does
        self._lock = threading.Lock()
        self._endpoints: Counter[str] = Counter()
        self._rerouted: Counter[int | None] = Counter()

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint for the next message."""
        return self._endpoint

    def __call__(self, to: str, message: Any, **options: Any) -> SentMessage:
        """Send to one recipient, through the other endpoint if the first one says that it is the right one."""
        endpoint = self._endpoint
        try:
            sent = self._by(endpoint, to, message, options)
        except WhatsAppError as error:
            if not self._is_rerouted(endpoint, error):
                raise
            sent = self._by(_OTHER[endpoint], to, message, self._once_more(options, error))
            self._learn(endpoint, error)
        with self._lock:
            self._endpoints[sent.endpoint] += 1
        return sent

    def _by(self, endpoint: Endpoint, to: str, message: Any, options: dict[str, Any]) -> SentMessage:
        if endpoint == "marketing_messages":
            return self._send(to, message, marketing=self._marketing, **options)
        return self._send(to, message, **options)

    def _is_rerouted(self, endpoint: Endpoint, error: WhatsAppError) -> bool:
        return self._mode == "auto" and error.sent == "no" and error.code in REROUTED[endpoint]

    def _once_more(self, options: dict[str, Any], error: WhatsAppError) -> dict[str, Any]:
        """Return the options of the second request, which waits for its own permit."""
        used = options.get("permit")
        if used is None or self._permit is None:
            return options
        permit = self._permit(used.stop)
        if permit is None:
            raise NotSentError(
                "the task was stopped before the message went by the other endpoint",
                advice="Nothing was sent. Retry the task.",
            ) from error
        return {**options, "permit": permit}

    def _learn(self, endpoint: Endpoint, error: WhatsAppError) -> None:
        """Send later messages through the other endpoint, now that it has accepted a message."""
        with self._lock:
            self._rerouted[error.code] += 1
            news = self._endpoint == endpoint
            self._endpoint = _OTHER[endpoint]
        if news:
            logger.warning(
                "WhatsApp no longer accepts the template on /%s (%s); from here on its messages go by /%s",
                endpoint,
                error.message,
                _OTHER[endpoint],
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the report's fields about the endpoint as JSON primitives, without empty ones."""
        facts = {
            "category": self._category,
            "endpoints": dict(self._endpoints),
            "rerouted": {str(code): count for code, count in self._rerouted.items()},
        }
        return {name: value for name, value in facts.items() if value}

    def summary(self) -> str:
        """Return how many messages the Marketing Messages API accepted, as text; empty for none."""
        count = self._endpoints["marketing_messages"]
        return f"{count} by /marketing_messages" if count else ""
