"""How a task learns how far its messages have got: from the event store, or from WhatsApp's message history."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_whatsapp.hooks.uses_hook import UsesHook

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow.sdk import Context
    from sqlalchemy.engine import URL

    from airflow_provider_whatsapp.delivery.arrivals import ArrivalReport, Arrivals
    from airflow_provider_whatsapp.delivery.callback_data import CallbackData
    from airflow_provider_whatsapp.delivery.ledger import Ledger, Note
    from airflow_provider_whatsapp.delivery.recipients import Row
    from airflow_provider_whatsapp.delivery.routing import Router
    from airflow_provider_whatsapp.events.store import EventStore

BY_ID = 100
"""The most messages that a task may ask for by their IDs, if no hash of the send leads to their receipts."""


@dataclass(frozen=True)
class Waiting:
    """Where a task learns how far its messages have got."""

    send_hash: str  # empty: the task asks for each message by its ID
    conn_id: str | None = None  # of the event store, as url; None: the task asks the message history
    url: URL | None = None

    @property
    def by_id(self) -> bool:
        """Whether the task has to ask for each message by its ID."""
        return not self.send_hash

    @contextlib.contextmanager
    def store(self) -> Iterator[EventStore]:
        """Open the event store, and close it at the end of the block."""
        from airflow_provider_whatsapp.events.store import EventStore

        store = EventStore.open(self.url or "", pool_size=1)
        try:
            yield store
        finally:
            store.close()


class LearnsArrivals(BaseOperator, UsesHook):  # in this order: Airflow wraps the __init__ of the first base
    """A task that can learn how far the messages of this try and of earlier ones have got."""

    shown_outcomes: ClassVar[int | None] = None
    """How many outcomes a report lists, of recipients who were not sent to; None: every outcome."""
    wait_for: Any
    ledger_path: Any

    def _plan_wait(self, context: Context, carried: CallbackData, total: int) -> Waiting | None:
        """Return, before anything is sent, where the task will learn what arrives; None: it does not wait."""
        from airflow_provider_whatsapp.client.errors import ConfigurationError

        if self.wait_for == "accepted":
            return None
        if not (self.ledger_path or context.get("task_state_store") is not None):
            raise ConfigurationError(
                f'wait_for="{self.wait_for}" needs a ledger that outlives the task\'s process',
                advice="Give ledger_path=, or use Airflow 3.3. Nothing was sent.",
            )
        waiting = self._known_by(carried)
        if waiting.by_id and total > BY_ID:
            why = "there is no event store ([whatsapp] events_conn_id is empty)"
            advice = "Set up the receiver of receipts"
            if waiting.url is not None:
                why, advice = "callback_data is your own", "Leave callback_data out"
            raise ConfigurationError(
                f'wait_for="{self.wait_for}": {why}, so the task has to ask for each message by its ID, and '
                f"{total} are too many for that (limit: {BY_ID})",
                advice=f"{advice}, or leave wait_for out. Nothing was sent.",
            )
        self._check_can_learn(waiting)
        return waiting

    def _known_by(self, carried: CallbackData) -> Waiting:
        from airflow_provider_whatsapp.hooks.event_store import event_store_url, events_conn_id

        url = event_store_url()
        send_hash = carried.key if url is not None and carried.given is None else ""
        return Waiting(send_hash, events_conn_id() if url is not None else None, url)

    def _check_can_learn(self, waiting: Waiting) -> None:
        """Refuse to send if nothing could report what arrived."""
        from airflow_provider_whatsapp.client.errors import ConfigurationError, WhatsAppError

        if waiting.url is not None:
            with waiting.store() as store:
                store.check()
            return
        try:
            self.hook.graph("GET", "{phone_number_id}/message_history", params={"limit": 1})
        except WhatsAppError as error:
            if not error.permanent:
                raise
            raise ConfigurationError(
                f'wait_for="{self.wait_for}": this task cannot learn what arrives. There is no event store '
                "([whatsapp] events_conn_id is empty), and WhatsApp's message history is closed to this connection "
                f"({error.message})",
                advice="Set up the receiver of receipts, or leave wait_for out. Nothing was sent.",
            ) from error

    def _warn_of_free_form(self, total: int) -> None:
        """Warn that WhatsApp may drop a message that is not a template, and that this task does not learn of it."""
        self.log.warning(
            "WhatsApp: %d %s a message that is not a template. WhatsApp accepts it, but drops it (131047) for "
            "people who have not written to this number in the last 24 hours, and this task does not learn of that. "
            'wait_for="delivered" reports who did not get it; an approved template (SendTemplateOperator) arrives '
            "at any time.",
            total,
            "recipient gets" if total == 1 else "recipients get",
        )

    def _note_late_failures(self, ledger: Ledger, carried: CallbackData) -> None:
        """Let a cleared task send again to recipients whose accepted message has certainly failed."""
        from airflow_provider_whatsapp.triggers.polls import said

        try:
            found = sum(ledger.note_failure(*each) for each in self._late_failures(ledger, carried))
        except Exception as error:  # a secrets backend raises errors of other types
            self.log.warning(
                "WhatsApp: this clear does not send again what failed after WhatsApp had accepted "
                "it, since receipts cannot be read: %s",
                said(error),
            )
            return
        if found:
            self.log.info(
                "WhatsApp: %d messages failed after WhatsApp had accepted them; this clear sends them again.",
                found,
            )

    def _late_failures(self, ledger: Ledger, carried: CallbackData) -> Iterator[tuple[int, int, Note]]:
        from airflow_provider_whatsapp.delivery.arrivals import late_failures, late_failures_by_id

        waiting = self._known_by(carried)
        if not waiting.by_id:
            with waiting.store() as store:
                yield from late_failures(store, waiting.send_hash, ledger.since)
            return
        sent = ledger.sent_messages()
        # The history takes one request for each message, so only a task that waits asks it.
        if sent and (waiting.url is not None or self.wait_for != "accepted"):
            yield from late_failures_by_id(self._ask(waiting, [*sent][:BY_ID]), sent)

    def _recall(
        self, ledger: Ledger, carried: CallbackData, rows: Iterable[Row], waiting: Waiting
    ) -> ArrivalReport:
        """Return a report on all recipients, from the ledger and what is known of their messages; send nothing."""
        from airflow_provider_whatsapp.client.errors import WhatsAppError
        from airflow_provider_whatsapp.delivery.arrivals import KnownArrivals, StoreArrivals
        from airflow_provider_whatsapp.delivery.stores import LedgerError

        try:
            if waiting.by_id:
                ids = self._read_ledger(ledger, carried, rows, waiting).ids
                return self._read_ledger(
                    ledger, carried, rows, waiting, KnownArrivals(self._ask(waiting, ids))
                )
            with waiting.store() as store:
                arrivals = StoreArrivals(store, waiting.send_hash, ledger.since)
                return self._read_ledger(ledger, carried, rows, waiting, arrivals)
        except LedgerError:
            raise
        except WhatsAppError as error:
            self.log.warning("WhatsApp: cannot read how far the messages got: %s", error)
            return self._read_ledger(ledger, carried, rows, waiting)

    def _ask(self, waiting: Waiting, ids: list[str]) -> Any:
        from airflow_provider_whatsapp.delivery.arrivals import arrivals_in_history, arrivals_in_store

        if waiting.url is None:
            return arrivals_in_history(self.hook.get_message_status, ids)
        with waiting.store() as store:
            return arrivals_in_store(store, ids)

    def _read_ledger(
        self,
        ledger: Ledger,
        carried: CallbackData,
        rows: Iterable[Row],
        waiting: Waiting,
        arrivals: Arrivals | None = None,
    ) -> ArrivalReport:
        from airflow_provider_whatsapp.delivery.engine import Delivery, Rules

        report: ArrivalReport = self._new_report(waiting)
        report.arrivals = arrivals
        delivery = Delivery(ledger, _nothing, _nothing, rules=Rules(recall=True), callback_data=carried)
        delivery.run(rows, report)
        return report

    def _new_report(self, waiting: Waiting | None, route: Router | None = None) -> Any:
        """Return the report that counts the outcomes; if the task waits, it also counts what arrives."""
        from airflow_provider_whatsapp.delivery.arrivals import ArrivalReport
        from airflow_provider_whatsapp.delivery.report import Report

        if waiting is None:
            return Report(limit=self.shown_outcomes, route=route)
        return ArrivalReport(
            limit=self.shown_outcomes, route=route, wait_for=self.wait_for, by_id=waiting.by_id
        )


def _nothing(*_: Any, **__: Any) -> Any:
    raise AssertionError
