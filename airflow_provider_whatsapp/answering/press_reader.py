"""Reads presses in order; those that could not be decided yet are read again later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.events.cursors import position, put_position
from airflow_provider_whatsapp.events.presses import PAGE, presses_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

    from airflow_provider_whatsapp.events.presses import Press
    from airflow_provider_whatsapp.events.store import EventStore

RECEIPT_WAIT = timedelta(minutes=10)
"""How long a press waits for a receipt that says to whom the message went: webhooks do not arrive in order."""


class PressReader:
    """A reader of the presses, whose position is in the store."""

    def __init__(
        self, store: EventStore, *, prefix: str, name: str, first: Callable[[Connection], int] | None = None
    ) -> None:
        self._store = store
        self._prefix = prefix  # of the payloads
        self._name = name
        # Where a reader begins that the store does not know; None: at the first press.
        self._first = first
        self._place: int | None = None
        self.done: set[int] = set()
        """Presses after the position that have been decided."""

    def look(self, decide: Callable[[Press], int | None]) -> int:
        """Decide all presses that can be decided now; return the sum of the decisions (None: not decided yet)."""
        place = self._place = self._begin() if self._place is None else self._place
        counted, after, first_open = 0, place, None
        try:
            while page := presses_after(self._store, self._prefix, after):
                for press in page:
                    after = press.id
                    if press.id in self.done:
                        continue
                    first_open = press.id if first_open is None else first_open
                    found = decide(press)
                    if found is None:
                        continue
                    counted += found
                    self.done.add(press.id)
                    first_open = None if first_open == press.id else first_open
                if len(page) < PAGE:
                    break
        finally:  # after a failure, the next call continues with the same press
            self._save(after if first_open is None else first_open - 1)
        return counted

    def _begin(self) -> int:
        with self._store.reading() as connection:
            found = position(connection, self._name)
            if found is not None or self._first is None:
                return found or 0
            place = self._first(connection)
        put_position(self._store, self._name, place, forward=True)
        return place

    def _save(self, place: int) -> None:
        """Write the position up to which all presses are decided."""
        if place != self._place:
            put_position(self._store, self._name, place, forward=True)
            self._place = place
            self.done = {each for each in self.done if each > place}
