"""The notifier: a WhatsApp message as a callback of a task, a DAG or a deadline."""

from __future__ import annotations

import copy
import logging
import time
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from airflow_provider_whatsapp.notifications.facts import MISSING, default_key, facts, is_failure, log_path
from airflow_provider_whatsapp.notifications.wording import (
    DEFAULT_TEXT,
    STOCK_TEMPLATE,
    fitted,
    others,
    stock_values,
    text_body,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
    from airflow_provider_whatsapp.notifications.memory import Decision, Record, Store
    from airflow_provider_whatsapp.notifications.window import TextFirst, Told

logger = logging.getLogger(__name__)

__all__ = ["DEFAULT_TEXT", "STOCK_TEMPLATE", "WhatsAppNotifier"]


class WhatsAppNotifier(BaseNotifier):
    """
    Send a WhatsApp message when a task or DAG fails, succeeds or misses a deadline.

    .. code-block:: python

        on_failure_callback = WhatsAppNotifier(to="+15550001111", template_name="airflow_alert")

    A template reaches anybody. ``airflow_alert`` is the stock one, whose values are filled in by themselves; its
    definition is ``notifications/airflow_alert.yaml``. Text reaches only people who wrote within the last 24 hours;
    with both, the text goes, and the template only where WhatsApp says that the text cannot arrive. Without both, a
    text that names the DAG, the task and the error is sent. Values of a template are made to fit: one line each, cut
    at 300 characters.

    After a message about a task, further failures of the same task are kept back for ``cooldown`` seconds and told by
    their number with the next one. Many mapped tasks that fail at once give one message and, after ``roll_up``
    seconds, one summary. What is remembered for that, and where, is told in
    :mod:`~airflow_provider_whatsapp.notifications.memory`; when it cannot be reached, the message is sent.

    Contexts differ: after a lost worker there is no ``exception``, for a DAG perhaps no ``ti``. A name that is missing
    is a dash in what is sent.

    As a callback it raises nothing: what goes wrong is one line at level error, and counted in the metric
    ``whatsapp.alerts.failed`` beside ``whatsapp.alerts.sent`` (messages) and ``whatsapp.alerts.held``.

    :param to: One recipient or a list; may be left out where there are ``routes``. (templated)
    :param template_name: Name of an approved template. (templated)
    :param language: The template's language. (templated)
    :param header: The template's header: text or media. (templated)
    :param body: Values of the template's variables, a list or a dict. (templated)
    :param buttons: Values of the template's buttons. (templated)
    :param text: Free text, instead of a template or before it. (templated)
    :param text_wait: Seconds in which to look, where there are text and template, whether WhatsApp could not deliver
        the text; 0: only a text that is refused at once is followed by the template.
    :param severity: The alert's severity, a name among the routes. (templated)
    :param routes: Who is told, by severity and DAG tag: a mapping, the name of an Airflow Variable, or the path of a
        ``.json`` or ``.yaml`` file. (templated)
    :param escalate_to: Whom to tell as well once ``escalate_after`` runs in a row have failed. (templated)
    :param escalate_after: After how many; a success in between begins anew.
    :param dedupe_key: What failures are the same; None: those of one task of one DAG. (templated)
    :param cooldown: Seconds after a message in which failures are kept back; 0: every failure is told.
    :param roll_up: Seconds that a mapped task's message waits for others to fail, to tell them in a summary; 0: no
        summary. The stock template and text can tell of several, a template of your own cannot.
    :param recovery: Send only at a success that follows told failures; for ``on_success_callback``.
    :param maton_conn_id: The Airflow connection. (templated)
    :param phone_number_id: Sender; None: the connection's. (templated)
    :param kwargs: ``context``, which Airflow gives to asynchronous callbacks.
    :raises ValueError: There is nobody to tell, or a severity without routes.
    """

    template_fields: Sequence[str] = (
        "to",
        "template_name",
        "language",
        "header",
        "body",
        "buttons",
        "text",
        "severity",
        "routes",
        "escalate_to",
        "dedupe_key",
        "maton_conn_id",
        "phone_number_id",
    )

    def __init__(
        self,
        *,
        to: str | Sequence[str] | None = None,
        template_name: str | None = None,
        language: str = "en_US",
        header: Any = None,
        body: Sequence[Any] | Mapping[str, Any] | None = None,
        buttons: Sequence[Any] | None = None,
        text: str | None = None,
        text_wait: float = 10.0,
        severity: str | None = None,
        routes: str | Mapping[str, Any] | None = None,
        escalate_to: str | Sequence[str] | None = None,
        escalate_after: int = 3,
        dedupe_key: str | None = None,
        cooldown: float = 300.0,
        roll_up: float = 20.0,
        recovery: bool = False,
        maton_conn_id: str = "maton_whatsapp_default",
        phone_number_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not to and not routes:
            raise ValueError("WhatsAppNotifier needs to or routes")
        if severity and not routes:
            raise ValueError("WhatsAppNotifier: severity chooses among routes, and there are none")
        self.to = to
        self.template_name = template_name
        self.language = language
        self.header = header
        self.body = body
        self.buttons = buttons
        self.text = text if template_name or text else DEFAULT_TEXT
        self.text_wait = text_wait
        self.severity = severity
        self.routes = routes
        self.escalate_to = escalate_to
        self.escalate_after = escalate_after
        self.dedupe_key = dedupe_key
        self.cooldown = cooldown
        self.roll_up = roll_up
        self.recovery = recovery
        self.maton_conn_id = maton_conn_id
        self.phone_number_id = phone_number_id

    def __call__(self, *args: Any) -> None:
        """
        Send: what Airflow calls.

        :param args: Airflow's context.
        """
        # Rendering replaces the templates by their results, so a notifier that serves twice would repeat itself.
        WhatsAppNotifier._tell(copy.copy(self), args[0])

    def __await__(self) -> Generator[Any, None, str]:  # type: ignore[override]
        """Send from a coroutine; the context was given to the constructor."""
        return WhatsAppNotifier._atell(copy.copy(self)).__await__()

    def _tell(self, context: Context) -> None:
        try:
            self._update_context(context)
            self.render_template_fields(context)
            self.notify(context)
        except Exception as error:
            self._log_failure(error)

    async def _atell(self) -> str:
        # Airflow writes the arguments of a callback that raises, numbers and all, into the triggerer's log; what is
        # returned it keeps with the callback.
        try:
            self._update_context(self.context)
            self.render_template_fields(self.context)
            await self.async_notify(self.context)
        except Exception as error:
            return self._log_failure(error)
        return "sent"

    def _log_failure(self, error: Exception) -> str:
        """Say in one line what kept the alert back; the task's own error is Airflow's to tell."""
        from airflow_provider_whatsapp.client.errors import WhatsAppError
        from airflow_provider_whatsapp.client.phone import mask_numbers

        known = isinstance(error, WhatsAppError)
        said = mask_numbers(str(error) if known else f"{type(error).__name__}: {error}")
        self._count("failed")
        line = f"WhatsApp: the alert did not reach everybody. {said}"
        logger.error(line)
        return line

    def get_template_env(self, dag: Any = None) -> Any:
        """
        Return Jinja's environment, in which a name that the callback's context lacks is a dash.

        :param dag: The context's DAG; ``airflow dags test`` gives DAG callbacks one that has no environment.
        """
        from airflow_provider_whatsapp.notifications.lenient import Missing

        env = super().get_template_env(dag if hasattr(dag, "get_template_env") else None)
        env.undefined = Missing
        return env

    def notify(self, context: Context) -> None:
        """
        Send, unless the same was told a moment ago.

        :param context: Airflow's context, already rendered into the fields.
        :raises WhatsAppError: It was not sent to everybody.
        """
        failed = is_failure(context)
        decision = self._decide(context, failed=failed)
        if decision is not None and not decision.send:
            self._count("held")
            logger.info("WhatsApp: kept back, for the same was told less than %g s ago", self.cooldown)
            return
        alarm = decision if failed else None
        try:
            hook = self._hook()
            hook.get_conn()  # what is wrong with the connection is certain before anything is sent
            told = self._deliver(hook, context, alarm)
        except Exception:
            self._take_back(context, alarm)
            raise
        if told.nobody:
            self._take_back(context, alarm)
        elif alarm is not None and self._may_be_many(context):
            time.sleep(self.roll_up)
            self._summarise(hook, context)
        for error in told.errors:
            raise error

    async def async_notify(self, context: Context) -> None:
        """
        Send from a coroutine; cancelling the await does not recall what has left.

        Deadlines come once for a run, so they are always told.

        :param context: Airflow's context, already rendered into the fields.
        :raises WhatsAppError: It was not sent to everybody.
        """
        from airflow_provider_whatsapp._compat import ask_airflow
        from airflow_provider_whatsapp.hooks.maton_whatsapp import _pool, in_thread

        own, hook = copy.copy(self), self._hook()
        await hook.aclient()
        own.routes = await ask_airflow(_pool(), self._routes)
        told = await in_thread(WhatsAppNotifier._deliver, own, hook, context, None)
        for error in told.errors:
            raise error

    def _hook(self) -> MatonWhatsAppHook:
        from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

        return MatonWhatsAppHook(self.maton_conn_id, phone_number_id=self.phone_number_id)

    def _count(self, what: str, count: int = 1) -> None:
        from airflow_provider_whatsapp._compat import Stats

        if count:
            Stats.incr(f"whatsapp.alerts.{what}", count)

    def _decide(self, context: Context, *, failed: bool) -> Decision | None:
        """Ask the memory; None where it has nothing to say: a message that is no alert, or no memory at hand."""
        from airflow_provider_whatsapp.notifications import memory

        if self.recovery:
            return self._remember(context, memory.on_success)
        if not failed or (self.cooldown <= 0 and not self.escalate_to):
            return None
        return self._remember(
            context,
            lambda record: memory.on_failure(
                record,
                name=facts(context)["task"],
                now=time.time(),
                cooldown=self.cooldown,
                succeeded_at=_last_success(context),
                run=_run(context),
                escalate_after=self.escalate_after if self.escalate_to else 0,
            ),
        )

    def _take_back(self, context: Context, decision: Decision | None) -> None:
        """Let the next failure tell what this message could not."""
        from airflow_provider_whatsapp.notifications.memory import on_unsent

        if decision is None:
            return
        name, held, names = facts(context)["task"], decision.held, decision.names
        self._remember(context, lambda record: on_unsent(record, name=name, held=held, names=names))

    def _remember(self, context: Context, rule: Callable[[Record], Decision]) -> Decision | None:
        from airflow_provider_whatsapp.notifications.memory import decide

        return decide(self._store(), self.dedupe_key or default_key(context), rule)

    def _store(self) -> Store:
        from airflow.sdk import Variable

        return Variable

    def _may_be_many(self, context: Context) -> bool:
        index = getattr(context.get("ti"), "map_index", -1)
        tells_several = self.text or self.template_name == STOCK_TEMPLATE
        return self.roll_up > 0 and bool(tells_several) and isinstance(index, int) and index >= 0

    def _summarise(self, hook: MatonWhatsAppHook, context: Context) -> None:
        from airflow_provider_whatsapp.notifications.memory import on_summary

        decision = self._remember(context, lambda record: on_summary(record, now=time.time()))
        if decision is not None and decision.send:
            for error in self._deliver(hook, context, decision, summary=True).errors:
                raise error

    def _deliver(
        self, hook: MatonWhatsAppHook, context: Context, decision: Decision | None, *, summary: bool = False
    ) -> Told:
        from airflow_provider_whatsapp.notifications.window import tell

        recipients = self._recipients(context, escalated=decision is not None and decision.escalated)
        send = self._sender(hook, context, others(decision), summary=summary)
        told = send.follow_up(tell(recipients, send), hook.get_message_status, seconds=self.text_wait)
        logger.info("WhatsApp: told %d of %d", told.sent, len(recipients))
        self._count("sent", told.sent)
        return told

    def _routes(self) -> dict[str, list[str]] | None:
        from airflow.sdk import Variable

        from airflow_provider_whatsapp.client.errors import ConfigurationError
        from airflow_provider_whatsapp.notifications.routes import load_routes

        if not self.routes:
            return None
        try:
            return load_routes(self.routes, Variable)
        except ConfigurationError as error:
            if not self.to:
                raise
            logger.error("WhatsApp: only those in `to` are told. %s", error)  # noqa: TRY400
            return None

    def _recipients(self, context: Context, *, escalated: bool) -> list[str]:
        from airflow_provider_whatsapp.notifications.routes import choose, dag_tags, usable

        named = [self.to, self.escalate_to if escalated else None]
        routes = self._routes()
        if routes is not None:
            named.append(choose(routes, severity=self.severity, tags=dag_tags(context)))
        return usable(named)

    def _sender(self, hook: MatonWhatsAppHook, context: Context, more: str, *, summary: bool) -> TextFirst:
        from airflow_provider_whatsapp.client.messages import Text
        from airflow_provider_whatsapp.notifications.window import TextFirst

        def template() -> Message:
            return self._template(hook, context, more, summary=summary)

        if not self.text:
            return TextFirst(hook.send, template(), None)
        text = Text(text_body(str(self.text), context, more, summary=summary))
        usual = self.template_name and (not summary or self.template_name == STOCK_TEMPLATE)
        return TextFirst(hook.send, text, template if usual else None)

    def _template(self, hook: MatonWhatsAppHook, context: Context, more: str, *, summary: bool) -> Message:
        body, buttons = self.body, self.buttons
        if self.template_name == STOCK_TEMPLATE and body is None:
            body, buttons = stock_values(context, more, summary=summary), buttons or [log_path(context)]
        return hook.template_message(
            str(self.template_name), self.language, header=self.header, body=fitted(body), buttons=buttons
        )


def _run(context: Context) -> str:
    """Return what tells one failing of a run from the next; a run that was cleared fails anew, by its try."""
    found = facts(context)
    return "" if found["run"] == MISSING else f"{found['run']}#{found['try']}"


def _last_success(context: Context) -> float | None:
    try:
        moment = context.get("prev_start_date_success")
        return float(moment.timestamp()) if moment is not None else None
    except Exception:  # asking Airflow for it may fail, and no answer is an answer here
        return None
