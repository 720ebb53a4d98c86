"""The callback data of an alert's messages, by which each receipt finds its message."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.resources.messages import MAX_CALLBACK_DATA
from airflow_provider_whatsapp.delivery.callback_data import key_hash, make_callback_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_whatsapp.client.resources.messages import SentMessage


class MarkedSend:
    """Sends the messages of one alert, each with callback data that no other message has."""

    def __init__(self, send: Callable[..., SentMessage], given: Any = None) -> None:
        self._send = send
        # The user's own callback data, to use instead; it is cut, because no alert may fail for its length.
        self._given = "" if given is None else str(given).strip()[:MAX_CALLBACK_DATA]
        # An alert has no ledger, so its key is random.
        self.key = key_hash("alert", uuid.uuid4().hex)
        """The hash in the callback data of all its messages."""
        self._places: dict[str, int] = {}
        # The epoch distinguishes a person's messages: a text, the template after it, a summary.
        self._epochs: Counter[int] = Counter()

    def place(self, recipients: Iterable[str]) -> list[str]:
        """Give new recipients the next positions, and return all recipients in order."""
        for to in recipients:
            self._places.setdefault(to, len(self._places))
        return list(self._places)

    def __call__(self, to: str, message: Any) -> SentMessage:
        """Send to one recipient; raises WhatsAppError if it was not sent, or its outcome is unknown."""
        place = self._places.setdefault(to, len(self._places))
        self._epochs[place] += 1
        carried = self._given or make_callback_data(self.key, self._epochs[place], place)
        return self._send(to, message, callback_data=carried)
