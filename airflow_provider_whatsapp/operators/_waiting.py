"""Waiting until messages have arrived: what sending tasks do with ``wait_for=``."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_whatsapp._compat import conf
from airflow_provider_whatsapp.operators._arguments import duration, one_of, seconds
from airflow_provider_whatsapp.operators._declare import Argument
from airflow_provider_whatsapp.operators._results import write_what_arrived

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow.sdk import Context
    from sqlalchemy.engine import URL

    from airflow_provider_whatsapp.client.errors import WhatsAppError
    from airflow_provider_whatsapp.delivery.arrivals import ArrivalReport, Arrivals
    from airflow_provider_whatsapp.delivery.callback_data import CallbackData
    from airflow_provider_whatsapp.delivery.ledger import Ledger, Note
    from airflow_provider_whatsapp.delivery.recipients import Row
    from airflow_provider_whatsapp.delivery.report import Report
    from airflow_provider_whatsapp.delivery.routing import Router
    from airflow_provider_whatsapp.events.store import EventStore
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
    from airflow_provider_whatsapp.operators._declare import Arguments

LEAST = 60.0
MOST = 30 * 86_400.0
"""Seconds that a task may wait: receipts take some, and WhatsApp keeps a message for 30 days."""
BY_ID = 100
"""Messages that can be waited for by their IDs, where no hash of the send leads to their receipts."""
MARGIN = timedelta(minutes=5)
"""How long after its end Airflow gives a trigger up that has not ended."""

WAITING: Arguments = {
    "wait_for": Argument(one_of("accepted", "sent", "delivered", "read"), shown=True),
    "wait_timeout": Argument(duration(LEAST, MOST), shown=True),
    "on_timeout": Argument(one_of("report", "fail"), shown=True),
    "poke_interval": Argument(seconds, shown=True),
    "deferrable": Argument(templated=False),
}
"""The arguments of :class:`WaitsForDelivery`."""


@dataclass(frozen=True)
class Waiting:
    """
    How a task learns how far its messages got.

    :param send_hash: The send; empty: its messages are known by their IDs.
    :param conn_id: Connection of the event store; None: the message history is asked.
    :param url: The store's.
    """

    send_hash: str
    conn_id: str | None = None
    url: URL | None = None

    @property
    def by_id(self) -> bool:
        """Whether messages are known by their IDs alone."""
        return not self.send_hash

    @contextlib.contextmanager
    def store(self) -> Iterator[EventStore]:
        """Open the event store."""
        from airflow_provider_whatsapp.events.store import EventStore

        store = EventStore.open(self.url or "", pool_size=1)
        try:
            yield store
        finally:
            store.close()


class WaitsForDelivery(BaseOperator):
    """
    A task that can wait until its messages have arrived.

    :param wait_for: ``accepted``: the task ends when WhatsApp has taken the messages; ``sent``, ``delivered`` or
        ``read``: it waits until each has got so far or has failed. (templated)
    :param wait_timeout: How long it waits, from the last message on: a ``timedelta``, or seconds; a minute to 30 days.
        (templated)
    :param on_timeout: ``report``: those who are still pending are counted, and the task succeeds; ``fail``. (templated)
    :param poke_interval: Seconds between two looks, while waiting. (templated)
    :param deferrable: Wait in the triggerer, without a worker slot; the default is Airflow's ``[operators]
        default_deferrable``.
    """

    shown_outcomes: ClassVar[int | None] = None
    """How many outcomes a report names, of those who were not sent to; None: every outcome."""
    ledger_path: Any
    _show: Callable[[str], str]
    _guarded: Callable[..., dict[str, Any]]
    _conclude: Callable[..., dict[str, Any]]

    def __init__(
        self,
        *,
        wait_for: str = "accepted",
        wait_timeout: timedelta | float | str = timedelta(hours=1),
        on_timeout: str = "report",
        poke_interval: float | str = 30.0,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wait_for: Any = wait_for
        self.wait_timeout: Any = wait_timeout
        self.on_timeout: Any = on_timeout
        self.poke_interval: Any = poke_interval
        self.deferrable = deferrable

    def _plan_wait(self, context: Context, carried: CallbackData, total: int) -> Waiting | None:
        """Find out before anything is sent how it can be known what arrives; None: nothing is waited for."""
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
                f'wait_for="{self.wait_for}": {why}, so messages are known by their IDs alone, and {total} are too '
                f"many (limit: {BY_ID})",
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
        """Refuse to send where nobody could say what became of it."""
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
                f'wait_for="{self.wait_for}": nothing tells this task what arrives. There is no event store '
                f"([whatsapp] events_conn_id is empty), and WhatsApp's message history is closed to this connection "
                f"({error.message})",
                advice="Set up the receiver of receipts, or leave wait_for out. Nothing was sent.",
            ) from error

    def _warn_of_free_form(self, total: int) -> None:
        """Say what becomes of a message that is no template, where the task does not learn of it."""
        self.log.warning(
            "WhatsApp: %d %s a message that is no template. WhatsApp accepts it, and drops it (131047) for whoever has "
            'not written to this number in the last 24 hours; this task does not learn of it. wait_for="delivered" '
            "reports who did not get it; an approved template (SendTemplateOperator) arrives at any time.",
            total,
            "recipient gets" if total == 1 else "recipients get",
        )

    def _note_late_failures(self, ledger: Ledger, carried: CallbackData) -> None:
        """Let a task that was cleared send again to whom WhatsApp certainly delivered nothing."""
        from airflow_provider_whatsapp.triggers.polls import said

        try:
            found = sum(ledger.note_failure(*each) for each in self._late_failures(ledger, carried))
        except Exception as error:  # a secrets backend has errors of its own
            self.log.warning("WhatsApp: not known whose accepted message failed later: %s", said(error))
            return
        if found:
            self.log.info("WhatsApp: %d accepted messages failed later; this clear sends them again.", found)

    def _late_failures(self, ledger: Ledger, carried: CallbackData) -> Iterator[tuple[int, int, Note]]:
        from airflow_provider_whatsapp.delivery.arrivals import late_failures, late_failures_by_id

        waiting = self._known_by(carried)
        if not waiting.by_id:
            with waiting.store() as store:
                yield from late_failures(store, waiting.send_hash, ledger.since)
            return
        sent = ledger.sent_messages()
        # The history is one request for each message, so only a task that waits asks it.
        if sent and (waiting.url is not None or self.wait_for != "accepted"):
            yield from late_failures_by_id(self._ask(waiting, [*sent][:BY_ID]), sent)

    def _wait_or_conclude(
        self, context: Context, waiting: Waiting | None, report: Report, ledger: Ledger, **extra: Any
    ) -> dict[str, Any]:
        """End the task, or wait first; a try that has not sent to everybody ends, so that the next one does."""
        from airflow_provider_whatsapp.client.errors import WhatsAppError
        from airflow_provider_whatsapp.delivery.arrivals import ArrivalReport

        if (
            waiting is None
            or not isinstance(report, ArrivalReport)
            or not report.awaited
            or self._ends_now(report)
        ):
            return self._conclude(context, report, ledger, **extra)
        kept = {name: value for name, value in report.to_dict().items() if name in _of_this_try(report)}
        try:
            ledger.keep("report", json.dumps(kept | extra))
            ledger.finish("waiting")
        except WhatsAppError as error:  # every result is written down already
            self.log.warning("%s", error)
        until = time.time() + self.wait_timeout
        self.log.info(
            "WhatsApp: %s. Waiting until %s, till %s at most.",
            report.summary(),
            f"it is {self.wait_for}" if report.awaited == 1 else f"{report.awaited} are {self.wait_for}",
            datetime.fromtimestamp(until, UTC).isoformat(" ", "seconds"),
        )
        self._wait_for_delivery(waiting, until, report, ledger.since)
        return self._after_wait(context, until)

    def _ends_now(self, report: Report) -> bool:
        raise NotImplementedError

    def _wait_for_delivery(
        self, waiting: Waiting, until: float, report: ArrivalReport, since: int, not_before: float = 0.0
    ) -> None:
        """Wait in the triggerer, or here."""
        from airflow_provider_whatsapp.triggers.delivery import DeliveryTrigger

        trigger = DeliveryTrigger(
            wait_for=self.wait_for,
            target=report.awaited,
            poke_interval=max(0.1, self.poke_interval),
            end_time=until,
            not_before=not_before,
            events_conn_id=waiting.conn_id,
            send_hash=waiting.send_hash,
            since=since,
            message_ids=report.ids if waiting.by_id else (),
            maton_conn_id=self.hook.maton_conn_id,
            phone_number_id=self.hook.phone_number_id,
        )
        client = waiting.url if waiting.url is not None else self.hook.client
        if not self.deferrable:
            trigger.wait_here(client)
            return
        # A retry may have nothing to wait for. One that came back at once would be back before the scheduler has seen
        # that its first process has ended, and Airflow takes such a task for one that got lost.
        if not_before or not trigger.wait_here(client, once=True):
            left = timedelta(seconds=max(0.0, until - time.time()))
            self.defer(
                trigger=trigger,
                method_name="delivery_complete",
                kwargs={"until": until},
                timeout=left + MARGIN,
            )

    def delivery_complete(self, context: Context, event: Any = None, until: float = 0.0) -> dict[str, Any]:
        """
        Report what has arrived.

        :param context: Airflow's context.
        :param event: What the trigger found.
        :param until: Unix time in seconds at which the wait is over.
        """
        over = not isinstance(event, dict) or event.get("state") != "settled"
        return self._guarded(lambda: self._after_wait(context, 0.0 if over else until))

    def _after_wait(self, context: Context, until: float) -> dict[str, Any]:
        """Put together what is known now; wait on where a count has been ahead of the messages themselves."""
        while True:
            ledger, carried, rows = self._recalled(context)
            waiting = self._known_by(carried)
            report = self._recall(ledger, carried, rows, waiting)
            if not report.unsettled or time.time() >= until:
                break
            # Receipts that name other people count, and settle nobody: each look reads the whole list, so ever fewer.
            later = time.time() + max(self.poke_interval, (time.time() - until + self.wait_timeout) / 10)
            self._wait_for_delivery(waiting, until, report, ledger.since, not_before=later)
        self._say_what_arrived(report)
        extra = json.loads(ledger.memo("report") or "{}")
        if "results_path" in extra:
            write_what_arrived(extra["results_path"], self.wait_for, self.hook, self.log)
        return self._conclude(context, report, ledger, **extra)

    def _recalled(self, context: Context) -> tuple[Ledger, CallbackData, Iterable[Row]]:
        """Return what the sending of this try has left: its ledger, and its recipients in their order."""
        raise NotImplementedError

    def _recall(
        self, ledger: Ledger, carried: CallbackData, rows: Iterable[Row], waiting: Waiting
    ) -> ArrivalReport:
        """Go through all recipients once more, sending to nobody, with what is known of their messages."""
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
            self.log.warning("WhatsApp: not known how far the messages got: %s", error)
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

    @cached_property
    def hook(self) -> MatonWhatsAppHook:
        """The hook of the operator's connection."""
        raise NotImplementedError

    def _new_report(self, waiting: Waiting | None, route: Router | None = None) -> Any:
        """Return what counts the outcomes; with a wait it counts what arrives, too."""
        from airflow_provider_whatsapp.delivery.arrivals import ArrivalReport
        from airflow_provider_whatsapp.delivery.report import Report

        if waiting is None:
            return Report(limit=self.shown_outcomes, route=route)
        return ArrivalReport(
            limit=self.shown_outcomes, route=route, wait_for=self.wait_for, by_id=waiting.by_id
        )

    def _say_what_arrived(self, report: ArrivalReport) -> None:
        from airflow_provider_whatsapp._compat import Stats

        for name, count in report.metrics.items():
            if count:
                Stats.incr(f"whatsapp.{name}", count)
        named = report.named(self._show)
        if named:
            self.log.warning("WhatsApp: %s", named)

    def _overdue(self, report: Report) -> WhatsAppError | None:
        """Return the error of a wait that is over, where the task is to fail then; a retry waits again."""
        from airflow_provider_whatsapp.client.errors import WhatsAppError
        from airflow_provider_whatsapp.delivery.arrivals import ArrivalReport

        if self.on_timeout != "fail" or not isinstance(report, ArrivalReport) or not report.pending:
            return None
        waited = timedelta(seconds=round(self.wait_timeout))
        return WhatsAppError(
            f"not all were {self.wait_for} within {waited}: {report.summary()}",
            advice="A retry waits again, and sends to nobody who was accepted.",
        )


def _of_this_try(report: Report) -> set[str]:
    """Return the fields of a report that only the try knows which has sent."""
    return {"held", *(report.route.to_dict() if report.route is not None else ())}


def _nothing(*_: Any, **__: Any) -> Any:
    raise AssertionError
