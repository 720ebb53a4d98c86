"""Many messages at the allowed rate: each recipient is claimed first, sent to at most once, and gets an outcome."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import OutcomeUnknownError, WhatsAppError
from airflow_provider_whatsapp.client.masking import mask, place_of
from airflow_provider_whatsapp.client.resources.messages import DOUBT
from airflow_provider_whatsapp.delivery.book import Book
from airflow_provider_whatsapp.delivery.causes import Runs
from airflow_provider_whatsapp.delivery.claims import ClaimWindow
from airflow_provider_whatsapp.delivery.compact_sets import Places
from airflow_provider_whatsapp.delivery.notes import Note
from airflow_provider_whatsapp.delivery.report import Outcome, Report, from_note
from airflow_provider_whatsapp.delivery.retry_policy import OnUnknown, state_of
from airflow_provider_whatsapp.delivery.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from airflow_provider_whatsapp.client.resources.messages import SentMessage
    from airflow_provider_whatsapp.delivery.ledger import Ledger
    from airflow_provider_whatsapp.delivery.progress import Progress
    from airflow_provider_whatsapp.delivery.recipients import Row

__all__ = ["Delivery", "OnUnknown", "Rules"]

logger = logging.getLogger(__name__)

COMMIT_AFTER = 1.0
"""The longest time, in seconds, until a result is written if no new claims are written with it."""
GRACE = 4.0
"""Seconds for which a task that Airflow ends waits for answers; Airflow kills it after 5."""


class Delivery:
    """One pass over the recipients: several threads send, this one reads and decides, another writes the ledger."""

    def __init__(
        self,
        ledger: Ledger,  # begun already
        prepare: Callable[[Row], Any],  # makes a row's message, in the threads, before anything leaves
        send: Callable[..., SentMessage],
        *,
        rules: Rules,
        permit: Callable[[threading.Event], Any] | None = None,
        progress: Progress | None = None,
        take: Callable[[Row, Outcome], None] | None = None,  # gets each outcome with its row
        later: Callable[[str], bool] | None = None,  # whether a group waits for a later pass; True is final
        callback_data: Callable[[Row, int], str] | None = None,  # from row and epoch; None: there is none
        clear_up: Callable[[Row, Note], Note] | None = None,  # what is known now of a lost answer
    ) -> None:
        self._book = Book(ledger, away=rules.away)
        self._ledger = ledger
        self._prepare = prepare
        self._send = send
        self._rules = rules
        self._sendable = rules.sendable
        # Waits until the rate limit permits one message, or until the event is set (then it returns None); ``send``
        # gets the result as ``permit=``. None: ``send`` waits, and nobody who waits can be unclaimed.
        self._permit = permit
        self._progress = progress
        self._take = take
        self._later = later
        self._callback_data = callback_data
        self._clear_up = clear_up
        self._todo: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        # Separate from the queue that wakes this thread: an item that leaves a queue as a time-out strikes is lost.
        self._done: deque[tuple[Row, Outcome]] = deque()
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._runs = Runs(rules.run, varied=rules.varied)
        self._window = ClaimWindow(rules.threads, rules.rate)
        self._out: dict[int, Row] = {}
        self._workers = 0
        self._reported = Places()
        # The first message goes alone, so that an error of all messages is met only once.
        self._limit = 1
        if rules.recall:
            self.halt()

    def halt(self) -> None:
        """Send to nobody else, and wait for the messages in flight as long as they take."""
        self._stop.set()

    def stop(self) -> None:
        """End within seconds, with a short wait for the messages in flight. A signal handler may call this."""
        self._book.hurry(GRACE)
        self.halt()

    def run(self, rows: Iterable[Row], report: Report) -> Report:
        """Deliver to all recipients in order, including those of earlier tries, and return the report."""
        # If this raises LedgerError, nobody without a claim in the ledger was sent to.
        source = iter(rows)
        try:
            self._pump(source, report)
        except BaseException:
            # This includes a time-out or an exit from outside: messages in flight may still get an answer.
            self._wind_up(report)
            self._report_others(rows, report)
            raise
        finally:
            self._dismiss()
        self._pass_by_rest(source, report)
        if self._progress is not None:
            self._progress.end()
        return report

    def _pump(self, source: Iterator[Row], report: Report) -> None:
        exhausted, uncommitted_since = False, None
        while self._book.has_time():
            wanted = 0
            if not exhausted and not self._stop.is_set():
                wanted = self._window.next(self._limit - len(self._out), len(self._out))
            if wanted:
                batch = self._draw(source, wanted, report)
                exhausted = len(batch) < wanted
                if batch:
                    self._claim(batch, report)
                    uncommitted_since = None
            if not self._out:  # with nobody out, the window permits at least one claim, so nobody is left
                break
            if self._collect(report, COMMIT_AFTER) and uncommitted_since is None:
                uncommitted_since = time.monotonic()
            if uncommitted_since is not None and time.monotonic() - uncommitted_since > COMMIT_AFTER:
                self._commit(report)
                uncommitted_since = None
        if self._book.has_time():
            self._commit(report)
        else:  # a write within the time limit would be given up immediately
            self._wind_up(report)

    def _claim(self, batch: Sequence[Row], report: Report) -> None:
        """Write claims, together with all answers that have come, and hand them to the threads, which heed a stop."""
        self._collect(report, 0.0)
        self._book.claim(batch)
        self._commit(report)
        self._dispatch(batch)

    def _commit(self, report: Report) -> None:
        """Write the ledger; while that fails, nothing new is sent and the answers wait."""
        self._window.wrote(self._book.commit(lambda seconds: self._collect(report, seconds)))

    def _read(self, source: Iterator[Row], report: Report) -> Row | None:
        """Return the next row; a list that can no longer be read, or has changed, stops the delivery."""
        try:
            return next(source, None)
        except WhatsAppError as error:
            logger.error("No further message is sent: %s", error)  # noqa: TRY400
            report.stopped = report.stopped or error
            self._stop.set()
            return None

    def _draw(self, source: Iterator[Row], count: int, report: Report) -> list[Row]:
        """Return the next ``count`` rows to send to; rows before them that need no message get their outcome here."""
        batch: list[Row] = []
        while len(batch) < count:
            row = self._read(source, report)
            if row is None:
                break
            outcome = self._settled(row)
            if outcome is not None:
                self._report(row, outcome, report, now=False)
            elif self._later is None or not self._later(row.group):
                batch.append(row)
        return batch

    def _settled(self, row: Row) -> Outcome | None:
        """Return the outcome of a row that needs no message in this try; None: it needs one."""
        if row.error is not None:
            return Outcome(row.to, "failed", error=row.error)
        known = self._ledger.look_up(row.position, row.group)
        if known == "sent" and row.skip is None and "sent" not in self._sendable:  # the usual row of a retry
            return Outcome(row.to, "sent")
        if row.skip is not None and (known is None or row.skip == "duplicate"):
            outcome = Outcome(row.to, "skipped", reason=row.skip)
            if row.skip == "suppressed":  # the suppression list may have changed by the next try
                self._ledger.record(row.position, outcome.to_note())
            return outcome
        if isinstance(known, Note) and known.status == "unknown" and self._clear_up is not None:
            known = self._clear_up(row, known)
        if row.skip is None and state_of(known) in self._sendable:
            return None
        if known == "sent":
            return Outcome(row.to, "sent")
        return Outcome(row.to, "skipped", reason="stopped") if known is None else self._of_note(row, known)

    def _of_note(self, row: Row, note: Note) -> Outcome:
        """Return the outcome that an earlier try has recorded, with its message's callback data if that is known."""
        found, epoch = from_note(row.to, note), note.facts.get("epoch")
        return found if epoch is None else replace(found, callback_data=self._carried(row, epoch))

    def _carried(self, row: Row, epoch: int) -> str | None:
        """Return the callback data of a message that has left, or may have; None: the row cannot make it."""
        with contextlib.suppress(WhatsAppError):
            return None if self._callback_data is None else self._callback_data(row, epoch)
        return None

    def _pass_by_rest(self, source: Iterator[Row], report: Report) -> None:
        """Report the outcome of all other rows after the delivery has stopped; the ledger does not change."""
        while (row := self._read(source, report)) is not None:
            outcome = self._settled(row)
            self._report(row, outcome or Outcome(row.to, "skipped", reason="stopped"), report, now=False)

    def _dispatch(self, batch: Sequence[Row]) -> None:
        self._window.claimed(len(batch))
        for row in batch:
            # In this order for a time-out at any point: a row in neither or both has not left, or is unknown.
            self._out[row.position] = row
            self._book.hand_out(row)
            self._todo.put(row)
        while self._workers < min(self._rules.threads, len(self._out)):
            threading.Thread(target=self._work, name="whatsapp-send", daemon=True).start()
            self._workers += 1

    def _work(self) -> None:
        while (row := self._todo.get()) is not None:
            options, outcome = self._go_ahead(row)
            if self._window.left():
                self._news.put(None)  # time to claim the next group
            if not isinstance(outcome, Outcome):
                outcome = self._post(row.to, outcome, options)
            self._done.append((row, outcome))
            self._news.put(None)

    def _go_ahead(self, row: Row) -> tuple[dict[str, Any], Any]:
        """Make a message and wait for its permit; return the options of ``send`` and it, or the outcome without it."""
        if self._stop.is_set():
            return {}, Outcome(row.to, "skipped", reason="stopped")
        try:
            message = self._prepare(row)
            options: dict[str, Any] = {}
            if self._callback_data is not None:
                options["callback_data"] = self._callback_data(row, self._ledger.epoch)
        except WhatsAppError as error:
            return {}, Outcome(row.to, "failed", error=error)
        except Exception as error:
            logger.error("The message to %s could not be made: %s", mask(row.to), place_of(error))  # noqa: TRY400
            return {}, Outcome(row.to, "failed", error=WhatsAppError(_said(error), permanent=True))
        if self._permit is None:
            return options, message
        try:
            permit = self._permit(self._stop)
        except WhatsAppError as error:  # a setting of the rate limiter is wrong
            message = Outcome(row.to, "failed", error=error)
        else:
            options["permit"] = permit
            message = message if permit is not None else Outcome(row.to, "skipped", reason="stopped")
        return options, message

    def _post(self, to: str, message: Any, options: dict[str, Any]) -> Outcome:
        carried = options.get("callback_data")
        try:
            return Outcome(to, "sent", sent=self._send(to, message, **options), callback_data=carried)
        except WhatsAppError as error:
            if error.sent != "unknown":
                return Outcome(to, "failed", error=error)
            return Outcome(to, "unknown", error=error, callback_data=carried)
        except Exception as error:
            logger.error("Not known whether the message to %s was sent: %s", mask(to), place_of(error))  # noqa: TRY400
            return Outcome(to, "unknown", error=OutcomeUnknownError(_said(error)), callback_data=carried)

    def _collect(self, report: Report, seconds: float) -> bool:
        """Accept the answers that have come, and return whether there were any; wait for the first one up to a time."""
        with contextlib.suppress(queue.Empty):
            self._news.get(timeout=seconds)
            while True:
                self._news.get_nowait()
        found = bool(self._done)
        while self._done:
            self._settle(*self._done[0], report)
            self._done.popleft()
        if not found and self._progress is not None:
            self._progress.tick()
        return found

    def _settle(self, row: Row, outcome: Outcome, report: Report) -> None:
        if row.position not in self._out:  # a time-out struck right after it was settled
            return
        self._book.record(row, outcome)
        del self._out[row.position]
        self._judge(outcome, report)
        self._report(row, outcome, report, now=True)

    def _judge(self, outcome: Outcome, report: Report) -> None:
        if outcome.status == "sent":
            self._runs.accepted()
            self._limit = self._rules.in_flight
        elif outcome.error is not None and self._runs.ends_with(outcome.error) and not self._stop.is_set():
            report.stopped = outcome.error
            self._stop.set()
        elif outcome.status == "failed":
            self._limit = min(self._rules.in_flight, self._limit + 1)

    def _report_others(self, rows: Iterable[Row], report: Report) -> None:
        """Read again from the start after an end from outside, which may have struck within a row."""
        try:
            self._pass_by_rest((row for row in rows if row.position not in self._reported), report)
        except Exception as error:
            logger.error("The report is incomplete: %s", place_of(error))  # noqa: TRY400

    def _report(self, row: Row, outcome: Outcome, report: Report, *, now: bool) -> None:
        self._reported.add(row.position)
        report.add(outcome, row.position)
        if self._take is not None:
            self._take(row, outcome)
        if self._progress is not None:
            self._progress.count(outcome, now=now)

    def _wind_up(self, report: Report) -> None:
        """Wait a little for the messages in flight, and write their answers if that is possible."""
        self._stop.set()
        self._book.hurry(GRACE)
        while self._out and self._book.has_time():
            self._collect(report, 0.1)
        for row in self._book.close(self._out):
            self._report(row, Outcome(row.to, "skipped", reason="stopped"), report, now=False)
        self._give_up(report)

    def _give_up(self, report: Report) -> None:
        """Report recipients whose answers did not come in time as unknown; a later try finds their claims."""
        for row in self._out.values():
            lost = OutcomeUnknownError("the task ended before the answer came", advice=DOUBT)
            carried = self._carried(row, self._ledger.epoch)
            outcome = Outcome(row.to, "unknown", error=lost, callback_data=carried)
            self._report(row, outcome, report, now=True)
        self._out = {}

    def _dismiss(self) -> None:
        self._book.dismiss()
        for _ in range(self._workers):
            self._todo.put(None)


def _said(error: Exception) -> str:
    # The text may contain a number or a parameter; the log has all of it.
    return f"an unexpected {type(error).__name__}; the task's log has the details"
