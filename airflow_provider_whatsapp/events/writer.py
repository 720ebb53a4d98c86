"""The writing thread: it commits deliveries that arrive together in one transaction, and reports each as done."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.masking import place_of
from airflow_provider_whatsapp.events.kinds import Inbound, Preference, Status
from airflow_provider_whatsapp.events.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_whatsapp.events.kinds import Event
    from airflow_provider_whatsapp.events.store import EventStore

logger = logging.getLogger(__name__)

GROUP = 2_000
"""The most events of one transaction, unless a single delivery has more."""
RETENTION_EVERY = 3_600.0
"""Seconds between two searches for old events."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery that waits to be written."""

    events: Sequence[Event]
    verified: bool  # its signature was checked
    done: Future[None] = field(default_factory=Future)  # when the events are durable; its exception: why not


class Writer:
    """Writes deliveries in the order of their arrival, and deletes old events when there is nothing else to do."""

    def __init__(
        self,
        store: EventStore,
        *,
        keep_days: float = 0,  # days after which events are deleted; 0: never
        observe: Callable[[Sequence[Delivery], float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,  # monotonic seconds
    ) -> None:
        self._store = store
        self._keep_days = keep_days
        self._observe = observe  # after each commit, with its duration in seconds
        self._clock = clock
        self._next_retention = clock()
        self._queue: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="whatsapp-events", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self, seconds: float = 30.0) -> None:
        """Write what has been submitted, and end; wait for that at most the given seconds."""
        self._queue.put(None)
        self._thread.join(seconds)

    def submit(self, events: Sequence[Event], *, verified: bool) -> Future[None]:
        """Hand over a delivery; the future is done once its events are durable, or has a StoreError."""
        delivery = Delivery(events, verified)
        self._queue.put(delivery)
        return delivery.done

    def _run(self) -> None:
        ended = False
        while not ended:
            group, ended = self._next_group()
            if group:
                self._write(group)
            elif not ended:
                self._delete_old()

    def _next_group(self) -> tuple[list[Delivery], bool]:
        """Wait for a delivery, and return it with those that wait behind it, and whether the group is the last one."""
        group: list[Delivery] = []
        size = 0
        wait = max(0.0, self._next_retention - self._clock()) if self._keep_days else None
        with contextlib.suppress(queue.Empty):
            delivery = self._queue.get(timeout=wait)
            while delivery is not None:
                group.append(delivery)
                size += len(delivery.events)
                if size >= GROUP:
                    return group, False
                delivery = self._queue.get_nowait()
            return group, True
        return group, False

    def _write(self, group: Sequence[Delivery]) -> None:
        began = self._clock()
        error = self._try(group)
        if error is not None and len(group) > 1 and not _is_away(error):
            for delivery in group:  # one is refused; the others have to be stored
                self._write([delivery])
            return
        for delivery in group:
            # The waiting request may have given up meanwhile.
            with contextlib.suppress(InvalidStateError):
                delivery.done.set_exception(error) if error else delivery.done.set_result(None)
        if error is None and self._observe is not None:
            self._observe(group, self._clock() - began)

    def _try(self, group: Sequence[Delivery]) -> StoreError | None:
        try:
            self._store.write([(delivery.events, delivery.verified) for delivery in group])
        except StoreError as error:
            return error
        except Exception as error:
            logger.error("The events could not be written: %s", place_of(error))  # noqa: TRY400
            return StoreError(f"the events could not be written ({type(error).__name__})", permanent=True)
        return None

    def _delete_old(self) -> None:
        try:
            count = self._store.delete_older(self._keep_days)
        except StoreError as error:
            logger.warning("Old events could not be deleted: %s", error)
            count = 0
        except Exception as error:  # the thread has to continue
            logger.error("Old events could not be deleted: %s", place_of(error))  # noqa: TRY400
            count = 0
        if count:
            logger.info("Deleted %d rows older than %g days", count, self._keep_days)
        # The rest is deleted next, but after deliveries that have arrived meanwhile.
        self._next_retention = self._clock() + (0.0 if count else RETENTION_EVERY)


def _is_away(error: StoreError) -> bool:
    """Return whether the store could not be reached, so that each delivery of a group would fail too."""
    return not error.permanent


def count_kinds(deliveries: Sequence[Delivery]) -> dict[str, int]:
    """Return the number of events by kind."""
    found = {"status": 0, "message": 0, "other": 0}
    for delivery in deliveries:
        for event in delivery.events:
            if isinstance(event, Status):
                found["status"] += 1
            elif isinstance(event, Inbound):
                found["message"] += 1
            elif not isinstance(event, Preference):  # it is kept with an event that is counted
                found["other"] += 1
    return found
