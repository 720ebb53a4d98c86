"""The operator that brings a broadcast's results file up to date: who got the message, who did not, and why."""

from __future__ import annotations

import contextlib
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_provider_whatsapp._compat import conf
from airflow_provider_whatsapp.links import ResultsLink
from airflow_provider_whatsapp.operators._declare import Argument, DeclaresArguments
from airflow_provider_whatsapp.operators._wait_arguments import MARGIN, WAITING
from airflow_provider_whatsapp.policies import failing_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_whatsapp.delivery.delivery_report import DeliveryCounts, Survey
    from airflow_provider_whatsapp.delivery.report_sources import Source
    from airflow_provider_whatsapp.operators._declare import Arguments
    from airflow_provider_whatsapp.triggers.delivery import DeliveryTrigger


class DeliveryReportOperator(DeclaresArguments, BaseOperator):
    """
    Bring a results file up to date: who got the message, who has read it, who got nothing, and why.

    .. code-block:: python

        from airflow_provider_whatsapp.operators.delivery_report import DeliveryReportOperator

        DeliveryReportOperator(task_id="arrived", results_path="s3://bucket/invited.jsonl")

    It asks the event store that ``[whatsapp] events_conn_id`` names; without one it asks WhatsApp's message history,
    for up to 100 messages. It writes the status ``delivered``, ``read`` or ``failed`` into each line of the same file
    where that is known, with the times, the error and the price category; an ``unknown`` that a receipt names gets
    the receipt's status. A broadcast that reads the file with ``scope="failed"`` sends to those who got nothing. The
    task returns counts, and succeeds even if messages failed.

    :param results_path: The file in a sending task's ``results_path``; each of several shards has its own file.
        The operator also reads what a killed task has left beside it. (templated)
    :param wait_for: ``delivered``, ``read`` or ``sent``: wait until each message has this status or has failed;
        ``accepted``: report what is known now. A recipient who has switched read receipts off never becomes ``read``.
        (templated)
    :param wait_timeout: How long to wait, from the task's start: a ``timedelta``, or seconds; a minute to 30 days.
        (templated)
    :param on_timeout: ``report``: count those who are still pending, and succeed; ``fail``: fail the task. The
        operator writes the file in either case. (templated)
    :param poke_interval: Seconds between two polls, while waiting. (templated)
    :param maton_conn_id: The Airflow connection whose message history the operator asks if there is no event store.
        (templated)
    :param phone_number_id: Sender; None: the connection's. (templated)
    :param deferrable: Wait in the triggerer, without a worker slot; the default is Airflow's ``[operators]
        default_deferrable``.
    """

    declared_arguments: ClassVar[Arguments] = {
        "results_path": Argument(),
        **WAITING,
        "maton_conn_id": Argument(),
        "phone_number_id": Argument(),
    }
    operator_extra_links: tuple[BaseOperatorLink, ...] = (ResultsLink(),)
    ui_color = "#d9fdd3"

    def __init__(
        self,
        *,
        results_path: Any,
        wait_for: str = "delivered",
        wait_timeout: timedelta | float | str = timedelta(hours=1),
        on_timeout: str = "report",
        poke_interval: float | str = 30.0,
        maton_conn_id: str = "maton_whatsapp_default",
        phone_number_id: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.results_path = results_path
        self.wait_for: Any = wait_for
        self.wait_timeout: Any = wait_timeout
        self.on_timeout: Any = on_timeout
        self.poke_interval: Any = poke_interval
        self.maton_conn_id = maton_conn_id
        self.phone_number_id = phone_number_id
        self.deferrable = deferrable

    @property
    def results_file(self) -> Any:
        """The file, for the link to it."""
        return self.results_path

    def execute(self, context: Context) -> dict[str, Any]:
        """Write the report, and wait if ``wait_for`` says so."""
        return self._guarded(None)

    def report_complete(self, context: Context, event: Any = None, until: float = 0.0) -> dict[str, Any]:
        """Continue after the trigger's event; ``until`` is the Unix time in seconds at which the wait is over."""
        settled = isinstance(event, dict) and event.get("state") == "settled"
        return self._guarded(until if settled else 0.0)

    def _guarded(self, until: float | None) -> dict[str, Any]:
        with failing_at_once():
            self._read_arguments()
            return self._run(
                time.time() + self.wait_timeout if until is None else until, again=until is not None
            )

    def _run(self, until: float, *, again: bool) -> dict[str, Any]:
        """Write what is known; while messages are pending and there is time, wait and write again."""
        while True:
            found, counts = self._update()
            self.log.info("WhatsApp: %s; in %s", counts.summary(), self.results_path)
            # A count may be ahead of the lines: an unsigned failure does not turn an unknown message into a failed
            # one.
            waited = time.time() - until + self.wait_timeout
            not_before = time.time() + max(self.poke_interval, waited / 10) if again else 0.0
            trigger = self._trigger(found, counts, until, not_before) if time.time() < until else None
            if trigger is None:
                return self._conclude(counts)
            self._wait(trigger, until)
            again = True

    def _update(self) -> tuple[Survey, DeliveryCounts]:
        """Read the file, ask how far its messages got, and write it."""
        from airflow_provider_whatsapp.delivery.delivery_report import DeliveryCounts, rewrite, survey_of
        from airflow_provider_whatsapp.operators._lists import opened_list

        path = opened_list(self.results_path, "results_path")
        counts = DeliveryCounts(self.wait_for)
        found = survey_of(path)
        with self._source(found) as source:
            rewrite(path, source, counts)
        return found, counts

    @contextlib.contextmanager
    def _source(self, found: Survey) -> Iterator[Source]:
        from airflow_provider_whatsapp.client.errors import ConfigurationError
        from airflow_provider_whatsapp.delivery.delivery_report import MOST_BY_ID
        from airflow_provider_whatsapp.delivery.report_sources import HistorySource, StoreSource
        from airflow_provider_whatsapp.hooks.event_store import opened_event_store

        with opened_event_store() as store:
            if store is not None:
                yield StoreSource(store)
                return
            if found.with_id > MOST_BY_ID:
                raise ConfigurationError(
                    f"there is no event store ([whatsapp] events_conn_id is empty), and {found.with_id} messages are "
                    f"too many to ask WhatsApp's message history for each (limit: {MOST_BY_ID})",
                    advice="Set up the receiver of receipts, and name its database in events_conn_id.",
                )
            yield HistorySource(self.hook.get_message_status)

    def _trigger(
        self, found: Survey, counts: DeliveryCounts, until: float, not_before: float
    ) -> DeliveryTrigger | None:
        """Return a trigger that waits for the file's send, or for single messages; None: no receipt can be found."""
        from airflow_provider_whatsapp.client.errors import ConfigurationError
        from airflow_provider_whatsapp.delivery.delivery_report import MOST_BY_ID, Send
        from airflow_provider_whatsapp.hooks.event_store import events_conn_id
        from airflow_provider_whatsapp.triggers.delivery import DeliveryTrigger

        conn_id = events_conn_id()
        send_hash = next(iter(counts.pending_of), "") if conn_id is not None else ""
        ids = [] if send_hash else counts.pending_ids
        if not send_hash and not ids:
            return None
        if len(ids) > MOST_BY_ID:
            raise ConfigurationError(
                f'wait_for="{self.wait_for}": the messages carry callback data of your own, so the task has to '
                f"ask for each message by its ID, and {len(ids)} are too many for that (limit: {MOST_BY_ID})",
                advice='Leave callback_data out in the task that sends, or give wait_for="accepted" here.',
            )
        send = found.sends[send_hash] if send_hash else Send(len(ids), 0)
        return DeliveryTrigger(
            wait_for=self.wait_for,
            target=send.count,
            poke_interval=max(0.1, self.poke_interval),
            end_time=until,
            not_before=not_before,
            events_conn_id=conn_id,
            send_hash=send_hash,
            since=send.since,
            message_ids=ids,
            maton_conn_id=self.maton_conn_id,
            phone_number_id=self.phone_number_id,
        )

    def _wait(self, trigger: DeliveryTrigger, until: float) -> None:
        """Wait in the triggerer, or here."""
        from airflow_provider_whatsapp.hooks.event_store import event_store_url

        if self.deferrable:
            left = timedelta(seconds=max(0.0, until - time.time()))
            kwargs = {"until": until}
            self.defer(trigger=trigger, method_name="report_complete", kwargs=kwargs, timeout=left + MARGIN)
        trigger.wait_here(event_store_url() or self.hook.client)

    def _conclude(self, counts: DeliveryCounts) -> dict[str, Any]:
        from airflow_provider_whatsapp.client.errors import WhatsAppError

        if counts.pending and self.on_timeout == "fail":
            waited = timedelta(seconds=round(self.wait_timeout))
            raise WhatsAppError(
                f"not all messages were {self.wait_for} within {waited}: {counts.summary()}",
                advice="The results file says whose are pending. A retry waits again.",
            )
        return counts.to_dict() | {"results_path": str(self.results_path)}
