"""How far single messages have got: from the event store's receipts, if there is a store, then from the history."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import (
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    WhatsAppError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.engine import URL

    from airflow_provider_whatsapp.events.receipts import Receipt

logger = logging.getLogger(__name__)


class ReceiptsFirst:
    """Returns how far a message has got, in the form of the message history."""

    def __init__(
        self,
        history: Callable[[str], Mapping[str, Any]],
        find: Callable[[Sequence[str]], Mapping[str, Receipt]] | None,
    ) -> None:
        self._history = history
        self._find = find  # None: there is no store
        self._found: dict[str, Receipt] = {}
        self._loaded: set[str] = set()
        self._closed = False
        self._away = False

    def load(self, message_ids: Sequence[str]) -> None:
        """Ask the store about several wamids together; if it cannot be reached, only one line appears in the log."""
        if self._find is None:
            return
        try:
            self._found = dict(self._find(message_ids))
        except Exception as error:  # a secrets backend and a bounded look-up raise errors of other types
            self._found = {}
            if not self._away:
                why = str(error) if isinstance(error, WhatsAppError) else type(error).__name__
                logger.warning("WhatsApp: receipts could not be looked up: %s", why)
            self._away = True
        else:
            self._away = False
        self._loaded = set(message_ids)

    def __call__(self, message_id: str) -> Mapping[str, Any]:
        """Return how far a message has got: ``{"status": ..., "timestamp": ..., "error": ...}``."""
        if self._find is None:
            return self._history(message_id)  # raises an error also if it is closed to this connection
        if message_id not in self._loaded:
            self.load([message_id])
        self._loaded.discard(message_id)
        receipt = self._found.get(message_id)
        return _fact(receipt) if receipt is not None else self._ask_history(message_id)

    def _ask_history(self, message_id: str) -> Mapping[str, Any]:
        # If the history is closed, a message that the store does not know is accepted: its receipt may still come.
        accepted = {"status": "accepted", "timestamp": None, "error": None}
        if self._closed:
            return accepted
        try:
            return self._history(message_id)
        except NotFoundError as error:
            if error.http_status is None:  # the message is refused, not the endpoint
                raise
        except (PermissionDeniedError, InvalidRequestError):
            pass
        self._closed = True
        return accepted


def _fact(receipt: Receipt) -> dict[str, Any]:
    moment = getattr(receipt, f"{receipt.status}_at", None)
    error = None
    if receipt.status == "failed":
        code = f"(#{receipt.error_code}) " if receipt.error_code is not None else ""
        error = f"{code}{receipt.error_title or receipt.error_details or 'no reason was given'}"
    return {
        "status": receipt.status,
        "timestamp": moment.isoformat(timespec="seconds") if moment is not None else None,
        "error": error,
    }


def receipts_first(
    history: Callable[[str], Mapping[str, Any]],
    *,
    ask: Callable[[Callable[[], Mapping[str, Receipt]]], Mapping[str, Receipt]] = lambda find: find(),
) -> ReceiptsFirst:
    """Return what asks this Airflow's event store, if there is one, before the message history."""
    from airflow_provider_whatsapp.hooks.event_store import event_store_url, events_conn_id

    if events_conn_id() is None:
        return ReceiptsFirst(history, None)

    def find(message_ids: Sequence[str]) -> Mapping[str, Receipt]:
        # ask calls the look-up in the store, for example within a time budget.
        return ask(lambda: receipts_in(event_store_url(), message_ids))

    return ReceiptsFirst(history, find)


def receipts_in(url: URL | None, message_ids: Sequence[str]) -> dict[str, Receipt]:
    """Return the receipts of messages in a store, by wamid; raises StoreError if it cannot be reached, or refuses."""
    if url is None:
        return {}
    from airflow_provider_whatsapp.events.receipts import receipts_of
    from airflow_provider_whatsapp.events.store import EventStore

    with EventStore.checked(url) as store:
        return receipts_of(store, message_ids)
