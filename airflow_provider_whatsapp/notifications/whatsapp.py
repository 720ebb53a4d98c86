"""The notifier: a WhatsApp message as a callback of a task, a DAG or a deadline."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from airflow_provider_whatsapp.notifications.facts import cut, default_key, facts, fit, is_failure, log_path

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow.sdk import Context

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
    from airflow_provider_whatsapp.notifications.memory import Decision, Record, Store

STOCK_TEMPLATE = "airflow_alert"
"""The template whose definition lies beside this module; its values are filled in from the context."""

MAX_VALUE = 300
"""Characters of one value of a template; a body holds 1,024 with all of them."""
MAX_TEXT = 4096
"""Characters of a text (Meta, "Text messages")."""

# Each kind of callback has a context of its own, and looking into a name that is missing would lose the message.
DEFAULT_TEXT = (
    "{% if ti is defined and ti %}Task {{ ti.dag_id }}.{{ ti.task_id }}, try {{ ti.try_number }}"
    "{% elif dag_run is defined and dag_run %}DAG {{ dag_run.dag_id }}"
    "{% elif dag is defined and dag %}DAG {{ dag.dag_id }}"
    "{% else %}Airflow{% endif %}"
    "{% if run_id is defined and run_id %}, run {{ run_id }}{% endif %}"
    "{% if exception is defined and exception %}: {{ exception }}"
    "{% elif reason is defined and reason %}: {{ reason }}{% endif %}"
)


class WhatsAppNotifier(BaseNotifier):
    """
    Send a WhatsApp message when a task or DAG fails, succeeds or misses a deadline.

    .. code-block:: python

        on_failure_callback = WhatsAppNotifier(to="+15550001111", template_name="airflow_alert")

    A template reaches anybody. ``airflow_alert`` is the stock one, whose values are filled in by themselves; its
    definition is ``notifications/airflow_alert.yaml``. Text reaches only people who wrote within the last 24 hours;
    without template and text, a text that names the DAG, the task and the error is sent. Values of a template are made
    to fit: one line each, cut at 300 characters.

    After a message about a task, further failures of the same task are kept back for ``cooldown`` seconds and told by
    their number with the next one. Many mapped tasks that fail at once give one message and, after ``roll_up``
    seconds, one summary. What is remembered for that, and where, is told in
    :mod:`~airflow_provider_whatsapp.notifications.memory`; when it cannot be reached, the message is sent.

    :param to: One recipient or a list. (templated)
    :param template_name: Name of an approved template. (templated)
    :param language: The template's language. (templated)
    :param header: The template's header: text or media. (templated)
    :param body: Values of the template's variables, a list or a dict. (templated)
    :param buttons: Values of the template's buttons. (templated)
    :param text: Free text instead of a template. (templated)
    :param dedupe_key: What failures are the same; None: those of one task of one DAG. (templated)
    :param cooldown: Seconds after a message in which failures are kept back; 0: every failure is told.
    :param roll_up: Seconds that a mapped task's message waits for others to fail, to tell them in a summary; 0: no
        summary. The stock template and text can tell of several, a template of your own cannot.
    :param recovery: Send only at a success that follows told failures; for ``on_success_callback``.
    :param maton_conn_id: The Airflow connection. (templated)
    :param phone_number_id: Sender; None: the connection's. (templated)
    :param kwargs: ``context``, which Airflow gives to asynchronous callbacks.
    """

    template_fields: Sequence[str] = (
        "to",
        "template_name",
        "language",
        "header",
        "body",
        "buttons",
        "text",
        "dedupe_key",
        "maton_conn_id",
        "phone_number_id",
    )

    def __init__(
        self,
        *,
        to: str | Sequence[str],
        template_name: str | None = None,
        language: str = "en_US",
        header: Any = None,
        body: Sequence[Any] | Mapping[str, Any] | None = None,
        buttons: Sequence[Any] | None = None,
        text: str | None = None,
        dedupe_key: str | None = None,
        cooldown: float = 300.0,
        roll_up: float = 20.0,
        recovery: bool = False,
        maton_conn_id: str = "maton_whatsapp_default",
        phone_number_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if template_name and text:
            msg = "WhatsAppNotifier takes template_name or text, not both"
            raise ValueError(msg)
        self.to = to
        self.template_name = template_name
        self.language = language
        self.header = header
        self.body = body
        self.buttons = buttons
        self.text = text if template_name or text else DEFAULT_TEXT
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
        super(WhatsAppNotifier, copy.copy(self)).__call__(*args)

    def __await__(self) -> Generator[Any, None, None]:
        """Send from a coroutine; the context was given to the constructor."""
        return super(WhatsAppNotifier, copy.copy(self)).__await__()

    def get_template_env(self, dag: Any = None) -> Any:
        """
        Return Jinja's environment; ``airflow dags test`` gives DAG callbacks a DAG that has none.

        :param dag: The context's DAG.
        """
        return super().get_template_env(dag if hasattr(dag, "get_template_env") else None)

    def notify(self, context: Context) -> None:
        """
        Send, unless the same was told a moment ago.

        :param context: Airflow's context, already rendered into the fields.
        :raises WhatsAppError: It was not sent to everybody; Airflow logs it and leaves the task's state alone.
        """
        failed = is_failure(context)
        decision = self._decide(context, failed=failed)
        if decision is not None and not decision.send:
            self.log.info("WhatsApp: kept back, for the same was told less than %g s ago", self.cooldown)
            return
        hook = self._hook()
        self._deliver(hook, context, more=_others(decision) if failed else "")
        if failed and decision is not None and self._may_be_many(context):
            time.sleep(self.roll_up)
            self._summarise(hook, context)

    async def async_notify(self, context: Context) -> None:
        """
        Send from a coroutine; cancelling the await does not recall what has left.

        Deadlines come once for a run, so they are always told.

        :param context: Airflow's context, already rendered into the fields.
        :raises WhatsAppError: It was not sent to everybody.
        """
        from airflow_provider_whatsapp.hooks.maton_whatsapp import in_thread

        hook = self._hook()
        await hook.aclient()
        await in_thread(self._deliver, hook, context)

    def _hook(self) -> MatonWhatsAppHook:
        from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

        return MatonWhatsAppHook(self.maton_conn_id, phone_number_id=self.phone_number_id)

    def _decide(self, context: Context, *, failed: bool) -> Decision | None:
        """Ask the memory; None where it has nothing to say: a message that is no alert, or no memory at hand."""
        from airflow_provider_whatsapp.notifications import memory

        if self.recovery:
            return self._remember(context, memory.on_success)
        if not failed or self.cooldown <= 0:
            return None
        name = facts(context)["task"]
        return self._remember(
            context,
            lambda record: memory.on_failure(
                record,
                name=name,
                now=time.time(),
                cooldown=self.cooldown,
                succeeded_at=_last_success(context),
            ),
        )

    def _remember(self, context: Context, rule: Callable[[Record], Decision]) -> Decision | None:
        from airflow_provider_whatsapp.notifications.memory import decide

        return decide(self._store(), self.dedupe_key or default_key(context), rule)

    def _store(self) -> Store:
        from airflow.sdk import Variable

        return Variable

    def _may_be_many(self, context: Context) -> bool:
        index = getattr(context.get("ti"), "map_index", -1)
        tells_several = not self.template_name or self.template_name == STOCK_TEMPLATE
        return self.roll_up > 0 and tells_several and isinstance(index, int) and index >= 0

    def _summarise(self, hook: MatonWhatsAppHook, context: Context) -> None:
        from airflow_provider_whatsapp.notifications.memory import on_summary

        decision = self._remember(context, lambda record: on_summary(record, now=time.time()))
        if decision is not None and decision.send:
            self._deliver(hook, context, more=_others(decision), summary=True)

    def _deliver(
        self, hook: MatonWhatsAppHook, context: Context, *, more: str = "", summary: bool = False
    ) -> None:
        from airflow_provider_whatsapp.delivery.engine import deliver
        from airflow_provider_whatsapp.delivery.recipients import read_recipients

        recipients = read_recipients(self.to)
        message = self._message(hook, context, more, summary=summary)
        report = deliver(recipients, lambda to: hook.send(to, message))
        self.log.info("WhatsApp: %s", report.summary())
        for error in report.errors():
            raise error

    def _message(self, hook: MatonWhatsAppHook, context: Context, more: str, *, summary: bool) -> Message:
        from airflow_provider_whatsapp.client.messages import Text

        if not self.template_name:
            if summary:
                found = facts(context)
                return Text(cut(f"DAG {found['dag']}, run {found['run']}: {more}", MAX_TEXT))
            text = f"{self.text} ({more})" if more else str(self.text)
            return Text(cut(text, MAX_TEXT))
        body, buttons = self.body, self.buttons
        if self.template_name == STOCK_TEMPLATE and body is None:
            body, buttons = self._stock(context, more, summary=summary), buttons or [log_path(context)]
        return hook.template_message(
            self.template_name, self.language, header=self.header, body=_fitted(body), buttons=buttons
        )

    @staticmethod
    def _stock(context: Context, more: str, *, summary: bool) -> dict[str, str]:
        found = facts(context)
        if summary:
            found["error"] = more
        elif more:
            found["error"] = f"{found['error']} ({more})"
        return found


def _others(decision: Decision | None) -> str:
    """Tell how many failures were kept back, and the first few of them."""
    if decision is None or not decision.held:
        return ""
    names = ", ".join(decision.names)
    rest = ", ..." if decision.held > len(decision.names) else ""
    return f"{decision.held} more failure{'s' if decision.held > 1 else ''}: {names}{rest}"


def _last_success(context: Context) -> float | None:
    try:
        moment = context.get("prev_start_date_success")
        return float(moment.timestamp()) if moment is not None else None
    except Exception:  # asking Airflow for it may fail, and no answer is an answer here
        return None


def _fitted(body: Any) -> Any:
    """Fit what Jinja made of the values (the error's words, say) to WhatsApp's rules, lest the alert be refused."""
    if isinstance(body, Mapping):
        return {
            name: fit(value, MAX_VALUE) if isinstance(value, str) else value for name, value in body.items()
        }
    if isinstance(body, Sequence) and not isinstance(body, str):
        return [fit(value, MAX_VALUE) if isinstance(value, str) else value for value in body]
    return body
