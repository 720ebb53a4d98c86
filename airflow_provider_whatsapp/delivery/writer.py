"""
Writes the ledger in a separate thread.

When a task's time is over, Airflow raises an exception in its main thread, at any point. In the middle of a write, it
would interrupt the exchange with the store, and nothing could be written afterwards.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.delivery.stores import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK = 0.5
"""Seconds after which a wait checks again whether there is still time."""


class Writer:
    """Runs one write after the other, for one thread, which does not change what is being written."""

    def __init__(self, write: Callable[[], None]) -> None:
        self._write = write
        self._todo: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._started = False
        # The thread reports its end here: an item that leaves a queue just as a time-out strikes is lost.
        self._busy = False
        self._error: BaseException | None = None

    def flush(self, until: Callable[[], float]) -> float:
        """Write, and return the seconds that it took; after a LedgerError call :meth:`settle`."""
        # until returns the time.monotonic() at which to stop waiting; it may change meanwhile.
        began = time.monotonic()
        if not self._started:
            threading.Thread(target=self._run, name="whatsapp-ledger", daemon=True).start()
            self._started = True
        if self._busy:
            raise LedgerError("an earlier write to the ledger has not ended")
        self._busy = True
        self._todo.put(True)
        if not self._settled(until):
            raise LedgerError("a write to the ledger did not end in time")
        if self._error is not None:
            raise self._error
        return time.monotonic() - began

    def settle(self, until: float) -> bool:
        """Wait for a write that an exception interrupted, and return whether the ledger may be changed again."""
        return self._settled(lambda: until)  # a time of time.monotonic(), in seconds

    def close(self) -> None:
        """Let the thread end."""
        self._todo.put(False)

    def _settled(self, until: Callable[[], float]) -> bool:
        while self._busy and (left := until() - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                self._ended.get(timeout=min(_LOOK, left))
        return not self._busy

    def _run(self) -> None:
        while self._todo.get():
            self._error = None
            try:
                self._write()
            except BaseException as error:  # raised again where the write was requested
                self._error = error
            self._busy = False
            self._ended.put(None)
