"""What the sending operators ask the event store: the outcome of messages whose answer an earlier try lost."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_whatsapp.delivery.callback_data import CallbackData
    from airflow_provider_whatsapp.delivery.evidence import LostAnswers
    from airflow_provider_whatsapp.delivery.ledger import Ledger

logger = logging.getLogger(__name__)


def asks_receipts(callback_data: str | None) -> bool:
    """Return whether a retry may look up the outcome of unknown messages: there is an event store to ask."""
    from airflow_provider_whatsapp.hooks.event_store import events_conn_id

    # With a user's own callback data, no receipt finds its send.
    return callback_data is None and events_conn_id() is not None


def lost_answers(ledger: Ledger, carried: CallbackData) -> LostAnswers | None:
    """Return what resolves the answers that an earlier try lost; None: nobody is unknown, or no store answers."""
    from airflow_provider_whatsapp.client.errors import WhatsAppError
    from airflow_provider_whatsapp.delivery.evidence import LostAnswers
    from airflow_provider_whatsapp.hooks.event_store import opened_event_store

    count = len(ledger.unknown_positions)  # the ledger has begun already
    # With a user's own callback data, no receipt finds its send.
    if not count or carried.given is not None:
        return None
    try:
        with opened_event_store() as store:
            if store is None:
                return None
            from airflow_provider_whatsapp.events.receipts import receipts_at

            return LostAnswers(ledger, lambda positions: receipts_at(store, carried.key, positions))
    except WhatsAppError as error:
        why = str(error)
    except Exception as error:  # a secrets backend's errors may contain anything
        why = type(error).__name__
    logger.warning("Receipts could not be looked up for the %d unknown, who stay unknown: %s", count, why)
    return None


def log_cleared_up(found: LostAnswers | None) -> None:
    """Log the outcomes that receipts gave for recipients whose answer was lost."""
    if found is not None and (found.accepted or found.failed):
        logger.info(
            "Receipts give the outcome of %d messages whose answer an earlier try lost: WhatsApp accepted %d, %d "
            "failed.",
            found.accepted + found.failed,
            found.accepted,
            found.failed,
        )
