"""The sources that know how far messages have got: the event store, or WhatsApp's message history."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_whatsapp.client.errors import NotFoundError
from airflow_provider_whatsapp.delivery.evidence import code_in, proof
from airflow_provider_whatsapp.delivery.reported_lines import STEPS, id_of, send_of
from airflow_provider_whatsapp.events.receipts import Receipt, receipts_at, receipts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_whatsapp.delivery.reported_lines import Line
    from airflow_provider_whatsapp.events.store import EventStore


class Source(Protocol):
    """A source that knows how far messages have got."""

    def look_up(self, lines: Sequence[Line]) -> list[Receipt | None]:
        """Return for each line what is known of its message; None: nothing is known."""


class StoreSource:
    """The event store as a source."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    def look_up(self, lines: Sequence[Line]) -> list[Receipt | None]:
        """Return for each line what the receipts say; None: nothing; raises StoreError if the store fails."""
        by_id = receipts_of(self._store, [name for line in lines if (name := id_of(line))])
        places: dict[str, list[int]] = {}
        for line in lines:
            if id_of(line) is None and (sent := send_of(line)) is not None:
                places.setdefault(sent[0], []).append(line["n"])
        at = {send_hash: receipts_at(self._store, send_hash, own) for send_hash, own in places.items()}
        return [self._of(line, by_id, at) for line in lines]

    def _of(
        self, line: Line, by_id: Mapping[str, Receipt], at: Mapping[str, Mapping[int, list[Receipt]]]
    ) -> Receipt | None:
        if (message_id := id_of(line)) is not None:
            # Only WhatsApp, the task and this file know the ID, so an unsigned receipt counts here.
            return by_id.get(message_id)
        sent = send_of(line)
        if sent is None:
            return None
        return proof(at[sent[0]].get(line["n"], ()), epoch=sent[1], to=line["to"])


class HistorySource:
    """WhatsApp's message history as a source, which is asked for each message by its ID."""

    def __init__(self, status_of: Callable[[str], Mapping[str, Any]]) -> None:
        self._status_of = status_of

    def look_up(self, lines: Sequence[Line]) -> list[Receipt | None]:
        """Return for each line what the history says; None: the message has no ID, or is not known."""
        return [self._ask(name) if (name := id_of(line)) is not None else None for line in lines]

    def _ask(self, message_id: str) -> Receipt | None:
        try:
            fact = self._status_of(message_id)
        except NotFoundError as error:
            if error.http_status is not None:  # the endpoint refuses, not only this message
                raise
            return None
        status = {"deleted": "failed"}.get(str(fact.get("status")), str(fact.get("status")))
        known: Any = status if status in (*STEPS, "failed") else "accepted"
        said = str(fact.get("error") or "")
        code = code_in(said) if known == "failed" else None
        facts: dict[str, Any] = dict.fromkeys(("send_hash", "epoch", "position", "recipient"))
        if known != "accepted":
            facts[f"{known}_at"] = _moment(fact.get("timestamp"))
        return Receipt(
            **facts,
            message_id=message_id,
            status=known,
            verified=True,
            error_code=code,
            error_title=said or None,
        )


def _moment(said: Any) -> datetime | None:
    """Return a time that the history gives in seconds since 1970, or as ISO 8601; None: it is neither."""
    text = str(said)
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text), UTC)
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
