"""What all sending operators share: the ledger, how a task ends, and which arguments Airflow shows."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_whatsapp._suggest import refuse_unknown
from airflow_provider_whatsapp.links import ResultsLink
from airflow_provider_whatsapp.operators._arguments import count_or_share, flag, one_of, optional, text
from airflow_provider_whatsapp.operators._declare import Argument, DeclaresArguments
from airflow_provider_whatsapp.operators._ledgers import log_beginning, names_of, store_of
from airflow_provider_whatsapp.operators._private import hidden
from airflow_provider_whatsapp.operators._receipts import asks_receipts
from airflow_provider_whatsapp.operators._suppression import OptOutsHeard
from airflow_provider_whatsapp.operators._template_check import look_up
from airflow_provider_whatsapp.operators._wait_arguments import WAITING
from airflow_provider_whatsapp.operators._waiting import WaitsForDelivery
from airflow_provider_whatsapp.policies import failing_at_once, partial_with_policy, with_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.client.resources.messages import SentMessage
    from airflow_provider_whatsapp.delivery.approved import Approved
    from airflow_provider_whatsapp.delivery.callback_data import CallbackData
    from airflow_provider_whatsapp.delivery.engine import Delivery, OnUnknown
    from airflow_provider_whatsapp.delivery.ledger import Begin, Job, Ledger
    from airflow_provider_whatsapp.delivery.recipients import Row
    from airflow_provider_whatsapp.delivery.report import Report
    from airflow_provider_whatsapp.delivery.routing import Router
    from airflow_provider_whatsapp.delivery.stores import Store
    from airflow_provider_whatsapp.operators._declare import Arguments

DEFAULT_CONN_ID = "maton_whatsapp_default"


class DeliveringOperator(DeclaresArguments, WaitsForDelivery):
    """
    A task that sends to each recipient at most once, over all its tries.

    :param maton_conn_id: The Airflow connection. (templated)
    :param phone_number_id: Sender; None: the connection's. (templated)
    :param waba_id: Business account in which to look up the template; None: the connection's. (templated)
    :param ledger_path: Folder (path or URL of an object store) for the record of recipients. None: Airflow's task
        state store, on 3.3 and later; without either, Airflow does not retry the task once it has sent anything.
        (templated)
    :param on_unknown: What a retry does with those whose answer was lost: ``report`` them, or ``resend``, which may
        reach them twice. (templated)
    :param resend_on_clear: Clearing the task sends to everybody again; False: only to those who certainly have
        nothing. (templated)
    :param max_failed: How many may fail, or be unknown, while the task succeeds: a count, or a share below 1.
        (templated)
    :param callback_data: Up to 512 characters that Meta repeats in every status of the messages; None: a value of
        this package's, which identifies nobody and by which a receipt finds its send. (templated)
    :param log_pii: Show numbers and values in logs and rendered fields. (templated)
    """

    declared_arguments: ClassVar[Arguments] = {
        "maton_conn_id": Argument(shown=True),
        "phone_number_id": Argument(shown=True),
        "waba_id": Argument(shown=True),
        "ledger_path": Argument(shown=True),
        "on_unknown": Argument(one_of("report", "resend"), shown=True),
        "resend_on_clear": Argument(flag, shown=True),
        "max_failed": Argument(count_or_share, shown=True),
        "callback_data": Argument(optional(text), columns=True),
        "log_pii": Argument(flag, shown=True),
        **WAITING,
    }
    operator_extra_links: tuple[BaseOperatorLink, ...] = (ResultsLink(),)
    template_id: str | None = None
    """Meta's ID of the template, for the link to it; None until the task has looked it up."""
    ui_color = "#d9fdd3"

    def __init__(
        self,
        *,
        maton_conn_id: str = DEFAULT_CONN_ID,
        phone_number_id: str | None = None,
        waba_id: str | None = None,
        ledger_path: Any = None,
        on_unknown: OnUnknown | str = "report",
        resend_on_clear: bool | str = False,
        max_failed: float | str = 0,
        callback_data: str | None = None,
        log_pii: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**with_policy(kwargs))
        self.maton_conn_id = maton_conn_id
        self.phone_number_id = phone_number_id
        self.waba_id = waba_id
        self.ledger_path = ledger_path
        self.on_unknown: Any = on_unknown
        self.resend_on_clear: Any = resend_on_clear
        self.max_failed: Any = max_failed
        self.callback_data = callback_data
        self.log_pii: Any = log_pii
        self._revealed: dict[str, Any] | None = None
        self._delivery: Delivery | None = None
        self._heard = OptOutsHeard()

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Return the operator for mapping by ``.expand()``, with the same retry policy as without mapping."""
        refuse_unknown(cls, kwargs)
        return partial_with_policy(super().partial(**kwargs), kwargs)

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        # Airflow stores and shows the fields right after this, for mapped tasks too.
        if parent is self:
            self._render_own(*args, **kwargs)
        else:
            super()._do_render_template_fields(parent, *args, **kwargs)
        if parent is self and not self._shows_all():
            self._revealed = {name: getattr(self, name) for name in self._hidden_fields()}
            self._set(
                {name: self.hidden_by.get(name, hidden)(value) for name, value in self._revealed.items()}
            )

    def _hidden_fields(self) -> set[str]:
        """Return the fields to hide; fields that a user's subclass adds are not among them."""
        package = __name__.partition(".")[0]
        ours = (vars(kind) for kind in type(self).__mro__ if kind.__module__.partition(".")[0] == package)
        declared = (each for kind in ours for each in kind.get("declared_arguments", {}).items())
        private = {name for name, argument in declared if argument.templated and not argument.shown}
        return private - self.shown_fields

    def _render_own(self, *args: Any, **kwargs: Any) -> None:
        """Render this task's own fields, before any of them is hidden."""
        super()._do_render_template_fields(self, *args, **kwargs)

    def _shows_all(self) -> bool:
        """Return the value of ``log_pii``; an invalid value shows nothing, and is refused when the task runs."""
        try:
            return flag("log_pii", self.log_pii)
        except ValueError:
            return False

    @contextlib.contextmanager
    def _arguments(self) -> Iterator[None]:
        """Set the real arguments while the task runs."""
        hidden = {name: getattr(self, name) for name in self._revealed or ()}
        self._set(self._revealed or {})
        try:
            self._read_arguments()
            yield
        finally:
            self._set(hidden)

    def _set(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(self, name, value)

    def execute(self, context: Context) -> dict[str, Any]:
        """Send, and return the report."""
        # AirflowFailException: a retry cannot help, or would send to somebody twice; WhatsAppError: it may help.
        return self._guarded(lambda: self._send(context))

    def _guarded(self, action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        with failing_at_once(), self._arguments():
            try:
                return action()
            finally:
                self._heard.save(self.log, lambda: self.hook.client.config)

    def _send(self, context: Context) -> dict[str, Any]:
        raise NotImplementedError

    def _content(self) -> dict[str, Any]:
        """Return the message's arguments and its sender, which have to be the same in a retry."""
        return {name: getattr(self, name) for name in (*self.content_fields, "phone_number_id")}

    def _send_to(self, key: str, message: Message, **options: Any) -> SentMessage:
        """Send to a canonical recipient; bare digits could be read again as a national number."""
        from airflow_provider_whatsapp.client.phone import address

        try:
            return self.hook.send(address(key), message, **options)
        except Exception as error:
            self._heard.listen(key, error)
            raise

    def _route(self) -> Router | None:
        """Return what chooses the endpoint of each message; None: there is no choice."""
        return None

    def _carried(self, context: Context, *, varies: bool = False) -> CallbackData:
        """Return what makes the callback data of each message; refuse a user's own data if it is too long."""
        from airflow_provider_whatsapp.delivery.callback_data import CallbackData, key_hash

        # Without a task instance there is no key, and two sends must not carry the same callback data.
        key = key_hash(*(names_of(context) or [uuid.uuid4().hex]))
        return CallbackData(key, self.callback_data, varies=varies)

    def _new_delivery(
        self,
        ledger: Ledger,
        prepare: Callable[[Row], Message],
        route: Router | None,
        *,
        begin: Begin,
        total: int,
        shards: int = 1,
        each: bool = False,
        varied: bool = False,
        **steps: Any,
    ) -> Delivery:
        """Return the engine that sends at the connection's rate; ``steps`` are passed on to it."""
        from airflow_provider_whatsapp.delivery.claims import threads_for
        from airflow_provider_whatsapp.delivery.engine import Delivery, Rules
        from airflow_provider_whatsapp.delivery.progress import Progress

        client = self.hook.client
        rate = client.config.rate_limit
        threads = threads_for(rate, total, shards)
        return Delivery(
            ledger,
            prepare,
            route or self._send_to,
            rules=Rules(on_unknown=self.on_unknown, begin=begin, varied=varied, threads=threads, rate=rate),
            permit=client.messages.permit,
            progress=Progress(total, each=each, show=self._show, observe=self._observe),
            **steps,
        )

    def on_kill(self) -> None:
        """Stop sending; the task waits for the requests in flight and records their outcomes."""
        if self._delivery is not None:
            self._delivery.stop()

    def _show(self, to: str) -> str:
        from airflow_provider_whatsapp.client.phone import mask

        return to if self.log_pii else mask(to)

    def _look_up(
        self,
        name: str,
        language: str,
        *,
        show_values: bool = False,
        health: bool = False,
        required: bool = False,
    ) -> Approved | None:
        """Look a template up; if that fails and ``required`` is not set, log it and continue without the template."""
        found = look_up(
            self.hook, name, language, self.log, show_values=show_values, health=health, required=required
        )
        self.template_id = found.id if found is not None else None
        return found

    def _find_store(self, context: Context) -> Store:
        """Return the store of the ledger."""
        return store_of(context, self.ledger_path)

    def _open_ledger(self, context: Context, job: Job, *, remember_sent: bool) -> tuple[Ledger, Begin]:
        """Read what earlier tries have done, log what follows from it, and return the ledger and how to begin."""
        from airflow_provider_whatsapp.delivery.ledger import Ledger, Try
        from airflow_provider_whatsapp.delivery.retry_policy import sends_late_failures
        from airflow_provider_whatsapp.delivery.stores import MarkedMemory

        ti: Any = context.get("ti")
        this = Try(ti.try_number, ti.max_tries) if ti is not None else Try()
        store = self._find_store(context)
        if not store.durable:
            self.log.warning(
                "No ledger outlives this try: give ledger_path=, or use Airflow 3.3. Without one Airflow does not "
                "retry the task once it has sent anything, and a retry after its worker died while sending refuses "
                "to continue. Clearing a task that has succeeded sends to everybody again."
            )
        again = isinstance(store, MarkedMemory) and store.admit(
            this.number, this.max_tries, resend_on_clear=self.resend_on_clear
        )
        ledger = Ledger(store, remember_sent=remember_sent)
        begin = ledger.begin(job, this, resend_on_clear=self.resend_on_clear)
        begin = "fresh" if again else begin
        if sends_late_failures(begin):
            self._note_late_failures(ledger, self._carried(context))
        log_beginning(begin, this, ledger, job.total, self.log)
        return ledger, begin

    def _reopen_ledger(self, context: Context, source: str, *, remember_sent: bool = False) -> Ledger:
        """Open the ledger of a list that this task has sent to, only to read it."""
        from airflow_provider_whatsapp.delivery.ledger import Ledger

        ledger = Ledger(self._find_store(context), remember_sent=remember_sent)
        ledger.reopen(source)
        return ledger

    def _observe(self, news: dict[str, int], rate: float) -> None:
        from airflow_provider_whatsapp._compat import Stats

        for status, count in news.items():
            if count:
                Stats.incr(f"whatsapp.{status}", count)
        Stats.gauge("whatsapp.rate", rate)

    def _conclude(self, context: Context, report: Report, ledger: Ledger, **extra: Any) -> dict[str, Any]:
        """Return the report, or fail in a way that sends nothing twice."""
        from airflow_provider_whatsapp.client.errors import WhatsAppError

        result = report.to_dict() | extra
        self.log.info("WhatsApp: %s", report.summary())
        too_many = self._ends_now(report) or report.count("failed") + report.count("unknown") > self._most(
            report
        )
        overdue = self._overdue(report)
        outcome = "failed" if too_many or overdue is not None else "success"
        try:
            ledger.finish(outcome)
        except WhatsAppError as error:  # every result has been written already
            self.log.warning("%s", error)
        if outcome == "success":
            return result
        ti: Any = context.get("ti")
        if ti is not None:
            ti.xcom_push(key="report", value=result)
        if overdue is not None and not too_many:
            raise overdue
        self._fail(report, ledger)
        return result

    def _most(self, report: Report) -> float:
        return float(self.max_failed if self.max_failed >= 1 else int(self.max_failed * report.total))

    def _ends_now(self, report: Report) -> bool:
        """Return whether the task fails no matter what arrives: too many failed, or it has not sent to everybody."""
        stopped = bool(report.reasons["stopped"]) or report.stopped is not None
        return stopped or report.count("failed") > self._most(report)

    def _fail(self, report: Report, ledger: Ledger) -> None:
        from airflow_provider_whatsapp._compat import AirflowFailException
        from airflow_provider_whatsapp.client.errors import WhatsAppError
        from airflow_provider_whatsapp.delivery.ledger import SourceChangedError
        from airflow_provider_whatsapp.delivery.result_parts import ResultsError
        from airflow_provider_whatsapp.delivery.retry_policy import can_retry_help

        first = report.stopped or report.first_again or report.first_error
        first = first or WhatsAppError("something outside stopped the task before it had sent to everybody")
        reached = report.count("sent") + report.count("unknown")
        msg = str(first)
        if report.total > 1:
            why = report.named(self._show) or f"First error: {first}"
            msg = f"{report.summary()}; the XCom 'report' holds the outcomes. {why}"
        worth_it = can_retry_help(
            retryable=report.again,
            unknown=report.count("unknown"),
            on_unknown=self.on_unknown,
            has_receipts=asks_receipts(self.callback_data),
        )
        # A retry writes the results, and reads the rest of the list, which the report does not contain.
        worth_it = worth_it or isinstance(report.stopped, ResultsError | SourceChangedError)
        hopeless = report.stopped is not None and report.stopped.permanent
        if not worth_it or hopeless or (reached and not ledger.durable):
            raise AirflowFailException(msg) from first
        if report.total == 1:
            raise first
        raise WhatsAppError(msg, retry_after=first.retry_after, permanent=False) from first
