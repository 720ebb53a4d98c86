"""Waiting until messages have arrived: what sending tasks do with ``wait_for=``."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp._compat import Stats, conf
from airflow_provider_whatsapp.operators._arrivals import LearnsArrivals
from airflow_provider_whatsapp.operators._results import write_what_arrived
from airflow_provider_whatsapp.operators._wait_arguments import MARGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow.sdk import Context

    from airflow_provider_whatsapp.client.errors import WhatsAppError
    from airflow_provider_whatsapp.delivery.arrivals import ArrivalReport
    from airflow_provider_whatsapp.delivery.callback_data import CallbackData
    from airflow_provider_whatsapp.delivery.ledger import Ledger
    from airflow_provider_whatsapp.delivery.recipients import Row
    from airflow_provider_whatsapp.delivery.report import Report
    from airflow_provider_whatsapp.operators._arrivals import Waiting


class WaitsForDelivery(LearnsArrivals):
    """
    A task that can wait until its messages have arrived.

    :param wait_for: ``accepted``: the task ends when WhatsApp has accepted the messages; ``sent``, ``delivered`` or
        ``read``: it waits until each has this status or has failed. (templated)
    :param wait_timeout: How long to wait, from the last message on: a ``timedelta``, or seconds; a minute to 30 days.
        (templated)
    :param on_timeout: ``report``: count those who are still pending, and succeed; ``fail``: fail the task.
        (templated)
    :param poke_interval: Seconds between two polls, while waiting. (templated)
    :param deferrable: Wait in the triggerer, without a worker slot; the default is Airflow's ``[operators]
        default_deferrable``.
    """

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

    def _wait_or_conclude(
        self, context: Context, waiting: Waiting | None, report: Report, ledger: Ledger, **extra: Any
    ) -> dict[str, Any]:
        """End the task, or wait first; a try that has not sent to everybody ends, so that the next one can."""
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
        except WhatsAppError as error:  # every result has been written already
            self.log.warning("%s", error)
        until = time.time() + self.wait_timeout
        self.log.info(
            "WhatsApp: %s. The task waits until %s, but no longer than until %s.",
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
        # A retry may have nothing to wait for. If it returned immediately, the scheduler might not have seen yet that
        # the first process has ended, and would treat the task as lost.
        if not_before or not trigger.wait_here(client, once=True):
            left = timedelta(seconds=max(0.0, until - time.time()))
            self.defer(
                trigger=trigger,
                method_name="delivery_complete",
                kwargs={"until": until},
                timeout=left + MARGIN,
            )

    def delivery_complete(self, context: Context, event: Any = None, until: float = 0.0) -> dict[str, Any]:
        """Return the report once the wait for delivery is over, at ``until`` (Unix time, seconds) at the latest."""
        over = not isinstance(event, dict) or event.get("state") != "settled"
        return self._guarded(lambda: self._after_wait(context, 0.0 if over else until))

    def _after_wait(self, context: Context, until: float) -> dict[str, Any]:
        """Return the report from what is known now; wait again if receipts were counted that settle no message."""
        while True:
            ledger, carried, rows = self._recalled(context)
            waiting = self._known_by(carried)
            report = self._recall(ledger, carried, rows, waiting)
            if not report.unsettled or time.time() >= until:
                break
            # Receipts of other people's messages count but settle nobody. Each look reads the whole list, so looks
            # get rarer.
            later = time.time() + max(self.poke_interval, (time.time() - until + self.wait_timeout) / 10)
            self._wait_for_delivery(waiting, until, report, ledger.since, not_before=later)
        self._log_what_arrived(report)
        extra = json.loads(ledger.memo("report") or "{}")
        if "results_path" in extra:
            write_what_arrived(extra["results_path"], self.wait_for, self.hook, self.log)
        return self._conclude(context, report, ledger, **extra)

    def _recalled(self, context: Context) -> tuple[Ledger, CallbackData, Iterable[Row]]:
        """Return this try's ledger, its callback data, and its recipients in their order."""
        raise NotImplementedError

    def _log_what_arrived(self, report: ArrivalReport) -> None:
        for name, count in report.metrics.items():
            if count:
                Stats.incr(f"whatsapp.{name}", count)
        named = report.named(self._show)
        if named:
            self.log.warning("WhatsApp: %s", named)

    def _overdue(self, report: Report) -> WhatsAppError | None:
        """Return the error of a wait whose time is over, if the task should fail then; None otherwise."""
        from airflow_provider_whatsapp.client.errors import WhatsAppError
        from airflow_provider_whatsapp.delivery.arrivals import ArrivalReport

        if self.on_timeout != "fail" or not isinstance(report, ArrivalReport) or not report.pending:
            return None
        waited = timedelta(seconds=round(self.wait_timeout))
        return WhatsAppError(
            f"not all messages were {self.wait_for} within {waited}: {report.summary()}",
            advice="A retry waits again, and sends no accepted message a second time.",
        )


def _of_this_try(report: Report) -> set[str]:
    """Return the fields of a report that only the try that sent knows."""
    return {"held", *(report.route.to_dict() if report.route is not None else ())}
