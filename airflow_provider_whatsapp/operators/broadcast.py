"""The operator that sends a template to a list of people, each with their own values."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_whatsapp.hooks.object_stores import as_object_path
from airflow_provider_whatsapp.links import ResultsLink, WhatsAppManagerLink
from airflow_provider_whatsapp.operators._arguments import amount, flag, hours, one_of, optional, text, whole
from airflow_provider_whatsapp.operators._declare import Argument
from airflow_provider_whatsapp.operators._delivery import DeliveringOperator
from airflow_provider_whatsapp.operators._digest import digest
from airflow_provider_whatsapp.operators._private import hidden_recipients
from airflow_provider_whatsapp.operators._receipts import log_cleared_up, lost_answers
from airflow_provider_whatsapp.operators._recipients import ReadsRecipients
from airflow_provider_whatsapp.operators._results import (
    open_results,
    put_together,
    report_early_end,
    shard_file,
)
from airflow_provider_whatsapp.operators._routing import ROUTING, RoutesTemplates
from airflow_provider_whatsapp.operators._suppression import hidden_suppression
from airflow_provider_whatsapp.operators._template_check import Preparer, check_health
from airflow_provider_whatsapp.operators._window import WaitsForWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.delivery.approved import Approved
    from airflow_provider_whatsapp.delivery.callback_data import CallbackData
    from airflow_provider_whatsapp.delivery.ledger import Begin, Ledger
    from airflow_provider_whatsapp.delivery.recipients import Recipients, Row, Survey
    from airflow_provider_whatsapp.delivery.report import Outcome, Report
    from airflow_provider_whatsapp.delivery.results import Results
    from airflow_provider_whatsapp.delivery.windows import Gate, Window
    from airflow_provider_whatsapp.operators._arrivals import Waiting
    from airflow_provider_whatsapp.operators._declare import Arguments


class BroadcastTemplateOperator(ReadsRecipients, RoutesTemplates, WaitsForWindow):
    """
    Send an approved template to everybody in a file or list, with values per recipient.

    .. code-block:: python

        from airflow_provider_whatsapp.operators.broadcast import BroadcastTemplateOperator

        BroadcastTemplateOperator(
            task_id="invite",
            recipients="s3://bucket/people.csv",
            template_name="invitation",
            body=["{first_name}", "{{ ds }}"],
            results_path="s3://bucket/invited/{{ ds }}.jsonl",
        )

    ``"{column}"`` in the DAG's file takes the value of the row's column; braces that Jinja or an XCom bring stay
    braces. In ``header`` it is text, a link or a media ID, and a file only below the folder in front of it, as in
    ``"s3://bucket/invoices/{number}.pdf"``, or below ``[whatsapp] media_roots``. The operator normalises numbers, and
    sends to duplicates once. The report contains the counts and the first hundred failures; the file in
    ``results_path`` contains everybody.

    :param recipients: Path or URL of a CSV or JSON lines file, gzipped or not, or a list of dicts or numbers.
        (templated)
    :param template_name: Name of the approved template. (templated)
    :param language: Its language. (templated)
    :param to_field: Column of the number. (templated)
    :param header: As for ``SendTemplateOperator``, with ``"{column}"``. (templated)
    :param header_filename: Name that a document in the header shows. (templated)
    :param body: Values of the body's variables, with ``"{column}"``. (templated)
    :param buttons: Values of the buttons' variables, with ``"{column}"``. (templated)
    :param components: Graph's own JSON, instead of header, body and buttons. (templated)
    :param shard: Which part of the recipients this task sends to, from 0; for ``.partial().expand(shard=...)``.
        (templated)
    :param shards: Number of these parts. (templated)
    :param scope: With an earlier task's results file as recipients, and no other source: ``failed`` sends to those who
        failed or were never tried, ``unknown`` to those whose answer was lost. (templated)
    :param suppression: People who opted out: ``"events"`` for the opt-outs of the event store, a path, a list, or a
            text of numbers separated by commas or lines, for example an Airflow Variable's: ``"{{ var.value.opted_out
            }}"``. A list takes several: ``["events", "s3://bucket/optouts.csv"]``. The task fails if a list is empty,
            except ``[]`` and a file with only its header, and if a cell is not a number or an ID. (templated)
    :param results_path: JSON lines with every recipient's outcome; with several shards each writes its own. (templated)
    :param check_template: Look up first whether the template is approved and the values fit it; one request.
        (templated)
    :param check_health: Ask first whether number, template and account may send: a BLOCKED one ends the task with
        Meta's reason before the first message, a LIMITED one is a warning; the task ignores one that it cannot read in
        time. One request. (templated)
    :param marketing: As for ``SendTemplateOperator``, as are the next two. (templated)
    :param message_activity_sharing: Whether Meta may use what recipients do with a marketing message. (templated)
    :param expect_category: Send nothing if Meta has moved the template to another category. (templated)
    :param dry_run: Send nothing; the report says what the task would send. (templated)
    :param send_window: Send hours, ``("09:00", "20:00")`` or ``"09:00-20:00"``; outside
        them the task waits without a worker. (templated)
    :param timezone: Time zone of the send hours, or ``recipient``: each recipient's own, by the country code; None: the
        DAG's. (templated)
    :param rates: CSV file of Meta's rates in your currency, path or URL: the dry run then says what the broadcast costs
        at most, by country. (templated)
    :param max_cost: The most that the whole broadcast, all shards together, may cost in the currency of ``rates``; if
        it costs more, or a country has no rate, the task ends before the first message. (templated)
    :param kwargs: As for ``SendTemplateOperator``: ``maton_conn_id``, ``phone_number_id``, ``waba_id``,
        ``ledger_path``, ``on_unknown``, ``resend_on_clear``, ``max_failed``, ``callback_data`` (with
        ``"{column}"``), ``log_pii``, ``wait_for``, ``wait_timeout``, ``on_timeout``, ``poke_interval``, ``deferrable``.
    """

    operator_extra_links: tuple[BaseOperatorLink, ...] = (WhatsAppManagerLink(), ResultsLink())
    shown_outcomes: ClassVar[int | None] = 100

    declared_arguments: ClassVar[Arguments] = {
        "recipients": Argument(hide=hidden_recipients),
        "template_name": Argument(text, shown=True, content=True),
        "language": Argument(text, shown=True, content=True),
        "to_field": Argument(text, shown=True),
        "header": Argument(content=True, columns=True),
        "header_filename": Argument(text, content=True, columns=True),
        "body": Argument(content=True, columns=True, renderer="json"),
        "buttons": Argument(content=True, columns=True, renderer="json"),
        "components": Argument(content=True, columns=True, renderer="json"),
        "shard": Argument(whole, shown=True),
        "shards": Argument(whole, shown=True),
        "scope": Argument(one_of("all", "failed", "unknown"), shown=True),
        "suppression": Argument(hide=hidden_suppression),
        "results_path": Argument(shown=True),
        "check_template": Argument(flag, shown=True),
        "check_health": Argument(flag, shown=True),
        "dry_run": Argument(flag, shown=True),
        "send_window": Argument(optional(hours), shown=True),
        "timezone": Argument(shown=True),
        **ROUTING,
        "rates": Argument(shown=True),
        "max_cost": Argument(optional(amount), shown=True),
        **DeliveringOperator.declared_arguments,
    }

    def __init__(
        self,
        *,
        recipients: Any,
        template_name: str,
        language: str = "en_US",
        to_field: str = "to",
        header: Any = None,
        header_filename: str | None = None,
        body: Sequence[Any] | Mapping[str, Any] | None = None,
        buttons: Sequence[Any] | None = None,
        components: Sequence[Mapping[str, Any]] | None = None,
        shard: int | str = 0,
        shards: int | str = 1,
        scope: Literal["all", "failed", "unknown"] | str = "all",
        suppression: Any = None,
        results_path: Any = None,
        check_template: bool | str = True,
        check_health: bool | str = True,
        dry_run: bool | str = False,
        send_window: Sequence[str] | str | None = None,
        timezone: Any = None,
        rates: Any = None,
        max_cost: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.recipients = recipients
        self.template_name = template_name
        self.language = language
        self.to_field = to_field
        self.header = header
        self.header_filename = header_filename
        self.body = body
        self.buttons = buttons
        self.components = components
        self.shard: Any = shard
        self.shards: Any = shards
        self.scope: Any = scope
        self.suppression = suppression
        self.has_suppression = suppression is not None
        self.results_path = results_path
        self.check_template: Any = check_template
        self.check_health: Any = check_health
        self.dry_run: Any = dry_run
        self.send_window: Any = send_window
        self.timezone = timezone
        self.rates = rates
        self.max_cost: Any = max_cost

    def _send(self, context: Context) -> dict[str, Any]:
        from airflow_provider_whatsapp.operators._lists import log_bare
        from airflow_provider_whatsapp.operators._money import read_budget

        config = self.hook.client.config
        config.require("phone_number_id")
        self._check_routing()
        carried = self._carried(context, varies=True)  # refuses invalid callback data before any request
        window, budget = self._window(context), read_budget(self.rates, self.max_cost)
        recipients = self._recipients(context, window)
        survey = recipients.survey()
        log_bare(survey, self.log)
        waiting = None if self.dry_run else self._plan_wait(context, carried, survey.total)
        approved = None
        if self.check_template:
            approved = self._look_up(
                self.template_name, self.language, show_values=self.log_pii, health=self.check_health
            )
        if self._left_out is not None:
            self._left_out.concern(self)
        if budget is not None and budget.limit is not None and not self.dry_run:
            budget.check(self._countries(context, recipients), approved, self.log)
        if window is not None and not self.dry_run:
            self._wait_before(context, window, survey)
        if self.check_health and survey.total:
            check_health(self.hook.client, approved, self.log, stop=not self.dry_run)
        if self.dry_run:
            with self._last_use_of_part(context):
                found = self._preview(context, recipients, survey.total, approved)
            return found if budget is None else budget.preview(found, approved, self.log)
        return self._broadcast(context, recipients, survey, approved, window, waiting=waiting)

    def _broadcast(
        self,
        context: Context,
        recipients: Recipients,
        survey: Survey,
        approved: Approved | None,
        window: Window | None,
        *,
        waiting: Waiting | None,
    ) -> dict[str, Any]:
        from airflow_provider_whatsapp.delivery.ledger import Job
        from airflow_provider_whatsapp.delivery.windows import Gate
        from airflow_provider_whatsapp.hooks.event_store import recorded_send

        job = Job(survey.digest, self._message_digest(), survey.total)
        ledger, begin = self._open_ledger(context, job, remember_sent=waiting is not None and waiting.by_id)
        prepare = self._preparer(ledger, recipients, approved)
        carried = self._carried(context, varies=True)
        earlier = ledger.memo("results")
        results = self._results(context, begin, survey.total, earlier=earlier, carried=carried)
        self._begin_part(begin)
        gate = Gate(window) if window is not None else None
        route = self._route()
        clear_up = lost_answers(ledger, carried)
        self._delivery = self._new_delivery(
            ledger,
            prepare,
            route,
            begin=begin,
            total=survey.total,
            shards=self.shards,
            varied=bool(self._columns()),
            take=results.take if results is not None else None,
            later=gate.holds if gate is not None else None,
            callback_data=carried,
            clear_up=clear_up,
        )
        report = self._new_report(waiting, route)
        if results is not None:
            results.on_failure = self._delivery.halt
        with self._reporting_early_end(context, report, results):
            with recorded_send(context, carried.key, self.hook.client.config, self.template_name):
                self._delivery.run(recipients, report)
            log_cleared_up(clear_up)
        return self._end(context, ledger, report, results, gate, waiting=waiting)

    @contextmanager
    def _reporting_early_end(
        self, context: Context, report: Report, results: Results | None
    ) -> Iterator[None]:
        """Report what ends the send early, and delete the shard's part if no retry follows."""
        try:
            yield
        except BaseException as error:
            report_early_end(context, report, results, error, self.log)
            self._end_part(context, error)
            raise

    def _end(
        self,
        context: Context,
        ledger: Ledger,
        report: Report,
        results: Results | None,
        gate: Gate | None,
        *,
        waiting: Waiting | None,
    ) -> dict[str, Any]:
        """Put the results file together, and wait for the send hours of other recipients or for what arrives."""
        if self._left_out is not None:
            self._left_out.say()
        well = (results is None or results.flush()) and report.stopped is None
        if gate is not None and gate.closed and well and not report.reasons["stopped"]:
            self._wait_for_the_rest(gate, ledger, report)
        if results is None:
            return self._wait_or_conclude(context, waiting, report, ledger)
        path = str(self._results_path())
        put_together(context, results, report, self.log)
        if results.failure is None:
            ledger.keep("results", path)
        try:
            with self._last_use_of_part(context):
                return self._wait_or_conclude(context, waiting, report, ledger, results_path=path)
        finally:
            if results.failure is None and not ledger.behind:  # a later try continues from the file
                results.clean()

    def _recalled(self, context: Context) -> tuple[Ledger, CallbackData, Iterable[Row]]:
        recipients = self._recipients(context, self._window(context), recall=True)
        ledger = self._reopen_ledger(context, recipients.survey().digest)
        return ledger, self._carried(context, varies=True), recipients

    def delivery_complete(self, context: Context, event: Any = None, until: float = 0.0) -> dict[str, Any]:
        """Return the report once the wait for delivery is over; ``until`` is the Unix time in seconds of its end."""
        with self._last_use_of_part(context):
            return super().delivery_complete(context, event, until)

    def _message_digest(self) -> str:
        return digest(self._content(), self.shard, self.shards)

    def _preparer(
        self, ledger: Ledger | None, recipients: Iterable[Row], approved: Approved | None
    ) -> Callable[[Row], Message]:
        """Return what makes each row's message, and make the first one, so that an error of all rows stops the task."""
        preparer = Preparer(
            self.hook,
            self.template_name,
            self.language,
            header={"header": self.header, "header_filename": self.header_filename},
            parts={"body": self.body, "buttons": self.buttons, "components": self.components},
            approved=approved,
        )
        preparer.start(recipients, ledger)
        return preparer

    @property
    def results_file(self) -> Any:
        """The file with this shard's outcomes; None: the task writes none."""
        if not self.results_path or not isinstance(self.shards, int):
            return None
        return shard_file(self.results_path, self.shard, self.shards)

    def _results_path(self) -> Any:
        return as_object_path(self.results_file)

    def _results(self, context: Context, begin: Begin, total: int, **options: Any) -> Results | None:
        if not self.results_path:
            return None
        return open_results(context, self._results_path(), begin, total=total, **options)

    def _preview(
        self, context: Context, recipients: Recipients, total: int, approved: Approved | None
    ) -> dict[str, Any]:
        from airflow_provider_whatsapp.delivery.preview import preview

        results = self._results(context, "first", total)

        def take(row: Row, outcome: Outcome, shown: dict[str, Any] | None) -> None:
            if results is not None:
                results.take(row, outcome, shown)

        rate = self.hook.client.config.rate_limit
        prepare, route = self._preparer(None, recipients, approved), self._route()
        found = preview(recipients, prepare, approved, rate=rate, take=take)
        found["endpoint"] = route.endpoint if route is not None else "messages"
        if results is not None:
            results.finish()
            results.clean()
            found["results_path"] = str(self._results_path())
        if not self.log_pii:
            for message in found["messages"]:
                message["to"] = self._show(message["to"])
        self.log.info(
            "WhatsApp, dry run: the task would send to %d of %d recipients (%s), category %s, in %.0f s",
            found["would_send"],
            found["total"],
            ", ".join(f"{name} {count}" for name, count in found["countries"].items()) or "nobody",
            found["category"],
            found["seconds"],
        )
        return found
