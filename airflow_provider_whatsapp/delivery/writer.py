"""
Writes to the ledger, in a thread of their own.

Airflow ends a task whose time is over by an exception in its main thread, wherever that happens to be. In the middle
of a write it would leave a conversation with the store half-way, and nothing could be written after it.
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
"""Seconds after which a wait looks again whether it still has the time."""


class Writer:
    """
    Runs one write after the other; used by one thread, which touches nothing that is written meanwhile.

    :param write: Writes the ledger.
    """

    def __init__(self, write: Callable[[], None]) -> None:
        self._write = write
        self._todo: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._started = False
        # The thread says here that it is done: what comes out of a queue is lost when a time-out strikes just then.
        self._busy = False
        self._error: BaseException | None = None

    def flush(self, until: Callable[[], float]) -> float:
        """
        Write, and return the seconds that it took.

        :param until: Says at which moment of ``time.monotonic()`` to wait no longer; it may change meanwhile.
        :raises LedgerError: The store failed, or did not answer in time; see :meth:`settle` then.
        """
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
        """
        Wait for a write that an exception has left to itself, and say whether the ledger may be touched again.

        :param until: Moment of ``time.monotonic()`` to wait for it.
        """
        return self._settled(lambda: until)

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
            except BaseException as error:  # it is raised where the write was asked for
                self._error = error
            self._busy = False
            self._ended.put(None)
