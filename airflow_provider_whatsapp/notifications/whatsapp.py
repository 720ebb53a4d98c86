"""The notifier: a WhatsApp message as a callback of a task, a DAG or a deadline."""

from __future__ import annotations

import asyncio
import copy
import functools
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from airflow_provider_whatsapp.notifications.defaults import ACK_TEMPLATE, DEFAULT_TEXT, STOCK_TEMPLATE
from airflow_provider_whatsapp.notifications.fields import AlertFields
from airflow_provider_whatsapp.rendering import TextFields

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
    from airflow_provider_whatsapp.notifications.alert_stores import Store
    from airflow_provider_whatsapp.notifications.time_budget import TimeBudget

logger = logging.getLogger(__name__)

__all__ = ["DEFAULT_TEXT", "STOCK_TEMPLATE", "WhatsAppNotifier"]


class WhatsAppNotifier(AlertFields, TextFields, BaseNotifier):
    """
    Send a WhatsApp message when a task or DAG fails, succeeds or misses a deadline.

    .. code-block:: python

        from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

        on_failure_callback = WhatsAppNotifier(to="+15550001111", template_name="airflow_alert")

    A template reaches anybody. The notifier fills in the values of the stock template, ``airflow_alert``; its
    definition is ``notifications/airflow_alert.yaml``. Text reaches only people who wrote within the last 24 hours;
    with both, the notifier sends the text, and the template only if WhatsApp says that the text cannot arrive. With
    neither, it sends a text that names the DAG, the task and the error. It writes each value of a template in one line,
    cut at 300 characters.

    After a message about a task, the notifier suppresses further failures of the same task for ``cooldown`` seconds and
    reports their number in the next message. If many mapped tasks fail at once, it sends one message and, once no more
    of them have failed for a while, one summary. Between two messages to one person it keeps the gap that WhatsApp
    requires: an alert waits for it, and if several come together, one of them reports the others.
    :mod:`~airflow_provider_whatsapp.notifications.throttle_state` says what the notifier records for that, and where;
    if it cannot reach that state, it sends the message.

    Contexts differ: a lost worker's has no ``exception``, and a DAG's may have no ``ti``. The message shows a missing
    name as a dash.

    If the alert fails, the callback raises nothing, unless ``strict`` is set: it logs one line at level error and
    increments the metric ``whatsapp.alerts.failed``. Two more metrics are ``whatsapp.alerts.sent`` (people notified)
    and ``whatsapp.alerts.held`` (alerts suppressed, or reported by another message to the same person).

    :param to: One recipient or a list; optional with ``routes``. (templated)
    :param template_name: Name of an approved template. (templated)
    :param language: The template's language. (templated)
    :param header: The template's header: text or media. (templated)
    :param body: Values of the template's variables, a list or a dict. (templated)
    :param buttons: Values of the template's buttons. (templated)
    :param text: Free text, instead of a template or before it. (templated)
    :param text_wait: With text and template: seconds for which the notifier checks whether WhatsApp failed to deliver
        the text; 0: it sends the template only if WhatsApp refuses the text at once.
    :param severity: The alert's severity: the name of a route. (templated)
    :param routes: Who gets the alerts, by severity and DAG tag: a mapping, the name of an Airflow Variable, or the path
        of a ``.json`` or ``.yaml`` file. (templated)
    :param escalate_to: Recipients to notify as well once ``escalate_after`` runs in a row have failed. (templated)
    :param escalate_after: Number of failed runs in a row; a success in between resets the count.
    :param dedupe_key: Failures with this key are the same alert, even if they are from several tasks or DAGs; None: the
        failures of one task of one DAG are. (templated)
    :param cooldown: Seconds after a message in which the notifier suppresses failures; 0: it reports every failure.
    :param roll_up: Seconds that the alert of a mapped task, or one with a ``dedupe_key``, waits for other failures, to
        report them in a summary; 0: no summary. An alert that comes in the second half of that time waits in its place.
        Airflow gives a callback ``[core] task_success_overtime`` seconds (20) in all, so an alert waits for at most 12
        of them. The stock template and text can report several failures, a template of your own cannot.
    :param gap: Seconds between two messages to one person, on any subject; 0: no gap. WhatsApp requires six seconds;
        the rest allows for the network's jitter.
    :param recovery: Send only on a success that follows failures; for ``on_success_callback``.
    :param acknowledge: Give the alert the quick replies "On it" and "Mute 1 h", by the stock template
        ``airflow_alert_ack``. "On it" ends escalation and repetitions of the key in this run; if the ``answer`` command
        runs, it also lets the other recipients know who has the run in hand. "Mute 1 h" mutes the key. The buttons need
        signed receipts in the event store (``[whatsapp] events_conn_id``); without them, or without the template, the
        notifier sends ``airflow_alert`` and logs a warning.
    :param names: Names that the others see when a recipient presses "On it": a mapping of names to numbers, the name
        of an Airflow Variable, or the path of a ``.json`` or ``.yaml`` file. For a recipient without a name they see
        the masked number. (templated)
    :param strict: Raise if the message certainly reached nobody: for ``notifiers=`` of a human-in-the-loop operator,
        which would otherwise wait for an answer although nobody got the question. Only for synchronous callbacks.
    :param callback_data: Up to 512 characters that Meta repeats in every status of the alert's messages; None: a value
        of this package's own, another one for each message. (templated)
    :param maton_conn_id: ID of the Airflow connection. (templated)
    :param phone_number_id: Sender; None: the connection's. (templated)
    :param kwargs: ``context``, which Airflow gives to asynchronous callbacks.
    :raises ValueError: There is neither ``to`` nor ``routes``, a severity without routes, or ``acknowledge`` with
        arguments that do not combine with the buttons.
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
        "names",
        "dedupe_key",
        "callback_data",
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
        roll_up: float = 10.0,
        gap: float = 6.5,
        recovery: bool = False,
        acknowledge: bool = False,
        names: str | Mapping[str, Any] | None = None,
        strict: bool = False,
        callback_data: str | None = None,
        maton_conn_id: str = "maton_whatsapp_default",
        phone_number_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.to = to
        self.template_name = template_name
        self.language = language
        self.header = header
        self.body = body
        self.buttons = buttons
        self.text = text
        self.text_wait = text_wait
        self.severity = severity
        self.routes = routes
        self.escalate_to = escalate_to
        self.escalate_after = escalate_after
        self.dedupe_key = dedupe_key
        self.cooldown = cooldown
        self.roll_up = roll_up
        self.gap = gap
        self.recovery = recovery
        self.acknowledge = acknowledge
        self.names = names
        self.strict = strict
        self.callback_data = callback_data
        self.maton_conn_id = maton_conn_id
        self.phone_number_id = phone_number_id
        self._reached_nobody = True
        self._settle_arguments()

    def _settle_arguments(self) -> None:
        """Refuse arguments that exclude each other, and choose the message if none is given."""
        if not self.to and not self.routes:
            raise ValueError("WhatsAppNotifier needs `to` or `routes`")
        if self.severity and not self.routes:
            raise ValueError("WhatsAppNotifier: `severity` needs `routes`")
        if self.acknowledge:
            own = {
                name: getattr(self, name) for name in ("header", "body", "buttons", "text", "callback_data")
            }
            _check_acknowledge(self.template_name, recovery=self.recovery, own=own)
            self.template_name = STOCK_TEMPLATE
        if not self.template_name and not self.text:
            self.text = DEFAULT_TEXT

    def __call__(self, *args: Any) -> None:
        """Send the alert; Airflow calls this with its context."""
        # Rendering replaces the templates with their results: without a copy, the next call would repeat this message.
        WhatsAppNotifier._report(copy.copy(self), args[0])

    def __await__(self) -> Generator[Any, None, str]:  # type: ignore[override]
        """Send from a coroutine; the context was given to the constructor."""
        return WhatsAppNotifier._areport(copy.copy(self)).__await__()

    def _report(self, context: Context) -> None:
        try:
            self._fill_in(context)
            self.notify(context)
        except Exception as error:
            line = self._log_failure(error)
            if self.strict and self._reached_nobody:
                raise _as_task_failure(error, line) from None

    async def _areport(self) -> str:
        from airflow_provider_whatsapp.hooks.maton_whatsapp import in_thread

        # If a callback raises, Airflow writes its arguments, numbers included, to the triggerer's log. It stores the
        # returned value with the callback.
        try:
            await in_thread(_load)
            self._fill_in(self.context)
            await self.async_notify(self.context)
        except Exception as error:
            return self._log_failure(error)
        return "sent"

    def _fill_in(self, context: Context) -> None:
        """Render the fields from the context, and remove secrets from the message."""
        from airflow_provider_whatsapp.hooks.media_source import media_of
        from airflow_provider_whatsapp.notifications.secrets import hidden

        self._update_context(context)
        self.render_template_fields(context)
        self.text, self.body, self.buttons = hidden(self.text), hidden(self.body), hidden(self.buttons)
        self.callback_data = hidden(self.callback_data)
        # A link or path of media is not text: without its parameters it would not work.
        if media_of(self.header) is None:
            self.header = hidden(self.header)

    def _log_failure(self, error: Exception) -> str:
        """Log and return one line that says why the alert failed; Airflow reports the task's own error."""
        from airflow_provider_whatsapp._compat import Stats
        from airflow_provider_whatsapp.client.errors import WhatsAppError
        from airflow_provider_whatsapp.client.masking import clean_line
        from airflow_provider_whatsapp.notifications.secrets import hidden

        known = isinstance(error, WhatsAppError)
        said = clean_line(hidden(str(error) if known else f"{type(error).__name__}: {error}"), limit=1_000)
        Stats.incr("whatsapp.alerts.failed")
        line = f"WhatsApp: the alert did not reach everybody. {said}"
        logger.error(line)
        return line

    def get_template_env(self, dag: Any = None) -> Any:
        """Return Jinja's environment, in which a name that the callback's context lacks renders as a dash."""
        # `airflow dags test` gives DAG callbacks a DAG that has no environment.
        from airflow_provider_whatsapp.notifications.wording import Dash

        env = super().get_template_env(dag if hasattr(dag, "get_template_env") else None)
        env.undefined = Dash
        return env

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render the fields; a header or button value that native rendering turns into None becomes a dash."""
        from airflow_provider_whatsapp.notifications.wording import without_gaps

        header, buttons = self.header, self.buttons
        super().render_template_fields(context, jinja_env)
        self.header = without_gaps(header, self.header)
        self.buttons = without_gaps(buttons, self.buttons)

    def notify(self, context: Context) -> None:
        """Send the alert, unless it is suppressed; raises WhatsAppError if it was not sent to every recipient."""
        from airflow_provider_whatsapp._compat import can_give_up_asking
        from airflow_provider_whatsapp.notifications.alert import Alert
        from airflow_provider_whatsapp.notifications.bounded import directly, in_daemon
        from airflow_provider_whatsapp.notifications.time_budget import TimeBudget

        budget = TimeBudget.of(context)
        store, behind = self._stores(context)
        bounded = in_daemon if can_give_up_asking() else directly
        alert = Alert(self, context, self._hook(budget), store, budget, behind=behind, bounded=bounded)
        try:
            for pause in alert.steps():
                time.sleep(pause)
        finally:
            self._reached_nobody = alert.reached_nobody

    async def async_notify(self, context: Context) -> None:
        """Send from a coroutine; cancelling the await does not recall a message that has left."""
        from airflow.sdk import Variable

        from airflow_provider_whatsapp._compat import ask_airflow
        from airflow_provider_whatsapp.hooks.maton_whatsapp import _pool
        from airflow_provider_whatsapp.notifications.alert import Alert
        from airflow_provider_whatsapp.notifications.time_budget import TimeBudget

        budget = TimeBudget.of(context)
        hook = self._hook(budget)
        await hook.aclient()
        loop = asyncio.get_running_loop()

        def bounded(act: Callable[[], Any], seconds: float) -> Any:
            # On Airflow 3.1, only threads that know its event loop can ask Airflow.
            asked = asyncio.run_coroutine_threadsafe(ask_airflow(_state_pool(), act), loop)
            return asked.result(seconds)

        steps = Alert(self, context, hook, Variable, budget, bounded=bounded).steps()
        while (pause := await ask_airflow(_pool(), next, steps, None)) is not None:  # noqa: ASYNC110
            await asyncio.sleep(pause)

    def _hook(self, budget: TimeBudget) -> MatonWhatsAppHook:
        from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

        return MatonWhatsAppHook(self.maton_conn_id, phone_number_id=self.phone_number_id, until=budget.until)

    def _stores(self, context: Context) -> tuple[Store, Store | None]:
        """Return the store to write to, and another that can only be read; None: there is none."""
        from airflow.sdk import Variable

        store = self._store(context)
        return store, Variable if context.get("deadline") and store is not Variable else None

    def _store(self, context: Context) -> Store:
        """Return the store to write to; in a synchronous deadline, Airflow 3.3 never answers a write of a Variable."""
        from airflow.sdk import Variable

        from airflow_provider_whatsapp.notifications.alert_stores import Files

        return Files() if context.get("deadline") else Variable


@functools.cache
def _state_pool() -> ThreadPoolExecutor:
    """Return a pool of its own: an alert's thread waits for the throttle state, so both must not share one pool."""
    return ThreadPoolExecutor(8, thread_name_prefix="whatsapp-alert-state")


def _load() -> None:
    """Import what an alert needs, in a thread: the imports take long enough to hold up a triggerer's event loop."""
    from airflow_provider_whatsapp.hooks import media_source  # noqa: F401
    from airflow_provider_whatsapp.notifications import alert, secrets  # noqa: F401


def _check_acknowledge(template_name: str | None, *, recovery: bool, own: Mapping[str, Any]) -> None:
    """Refuse arguments that do not combine with the buttons, which need the stock template and its own values."""
    given = [name for name, value in own.items() if value is not None]
    if template_name not in (None, STOCK_TEMPLATE, ACK_TEMPLATE):
        given.insert(0, "template_name")
    if recovery:
        given.append("recovery")
    if given:
        raise ValueError(
            f"WhatsAppNotifier: acknowledge=True sends the stock template {ACK_TEMPLATE} with its own values and "
            f"buttons. Leave {', '.join(given)} out, or send without acknowledge."
        )


def _as_task_failure(error: Exception, line: str) -> Exception:
    """Return the error that fails the task, without the original one's traceback, which may quote numbers."""
    from airflow_provider_whatsapp._compat import AirflowFailException
    from airflow_provider_whatsapp.client.errors import WhatsAppError

    permanent = getattr(error, "permanent", False)
    return AirflowFailException(line) if permanent else WhatsAppError(line, permanent=False)
