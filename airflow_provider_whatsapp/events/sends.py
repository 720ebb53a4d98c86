"""Records in the event store what a task is about to send, in parallel: no message waits for it."""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.masking import place_of

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import URL

logger = logging.getLogger(__name__)

WAIT = 2.0
"""Seconds for which the end of a task waits for its row, if the store is slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """A row of ``whatsapp_sends``: one for a task instance, for any number of recipients."""

    send_hash: str  # from key_hash(); statuses carry it
    dag_id: str
    run_id: str
    task_id: str
    map_index: int  # -1: the task is not mapped
    account_id: str | None  # WhatsApp Business Account
    phone_number_id: str | None  # of the sending number
    template_name: str | None  # None: the messages use no template
    sent_at: datetime  # when the task's first try began to send


class SendRecorder:
    """Writes rows in a separate thread; a store that cannot be reached causes only one log line."""

    def __init__(self, url: URL, *sends: Send) -> None:
        self._url = url
        self._sends = sends
        self._thread = threading.Thread(target=self._run, name="whatsapp-sends", daemon=True)
        self._reported = False

    def start(self) -> None:
        """Begin to write."""
        try:
            self._thread.start()
        except RuntimeError:  # the process may have too many threads; sending does not need this one
            self._report("no thread could start")

    def finish(self, most: float | None = None) -> None:
        """Wait until the rows are written, at most ``most`` seconds, and never longer than :data:`WAIT`."""
        seconds = WAIT if most is None else max(0.0, min(WAIT, most))
        if self._thread.ident is None:
            return
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._report(f"it took longer than {seconds:.3g} s")

    def _report(self, why: str) -> None:
        """Log only one line, even if several things fail: the thread may fail after the task has stopped waiting."""
        if not self._reported:
            self._reported = True
            logger.warning("The event store could not record this task: %s", why)

    def _run(self) -> None:
        from airflow_provider_whatsapp.events.store import EventStore

        try:
            with EventStore.checked(self._url) as store:
                store.record_sends([asdict(send) for send in self._sends])
        except WhatsAppError as error:
            self._report(str(error))
        except Exception as error:
            self._report(place_of(error))
