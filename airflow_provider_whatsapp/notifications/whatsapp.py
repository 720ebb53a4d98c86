"""The notifier: a WhatsApp message as a callback of a task, a DAG or a deadline."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from airflow_provider_whatsapp.notifications.facts import cut, fit

if TYPE_CHECKING:
    from collections.abc import Generator

    from airflow.sdk import Context

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.delivery.report import Report
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

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
    Send a WhatsApp message when a task or DAG succeeds, fails or misses a deadline.

    .. code-block:: python

        on_failure_callback = WhatsAppNotifier(
            to="+15550001111", template_name="pipeline_failed", body=["{{ dag.dag_id }}"]
        )

    A template reaches anybody. Text reaches only people who wrote within the last 24 hours; without either, a text
    that names the DAG, the task and the error is sent. Values of a template are made to fit: one line each, cut at
    300 characters.

    :param to: One recipient or a list. (templated)
    :param template_name: Name of an approved template. (templated)
    :param language: The template's language. (templated)
    :param header: The template's header: text or media. (templated)
    :param body: Values of the template's variables, a list or a dict. (templated)
    :param buttons: Values of the template's buttons. (templated)
    :param text: Free text instead of a template. (templated)
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
        Send.

        :param context: Airflow's context, already rendered into the fields.
        :raises WhatsAppError: It was not sent to everybody; Airflow logs it and leaves the task's state alone.
        """
        self._deliver(self._hook())

    async def async_notify(self, context: Context) -> None:
        """
        Send from a coroutine; cancelling the await does not recall what has left.

        :param context: Airflow's context, already rendered into the fields.
        :raises WhatsAppError: It was not sent to everybody.
        """
        from airflow_provider_whatsapp.hooks.maton_whatsapp import in_thread

        hook = self._hook()
        await hook.aclient()
        await in_thread(self._deliver, hook)

    def _hook(self) -> MatonWhatsAppHook:
        from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

        return MatonWhatsAppHook(self.maton_conn_id, phone_number_id=self.phone_number_id)

    def _deliver(self, hook: MatonWhatsAppHook) -> Report:
        from airflow_provider_whatsapp.delivery.engine import deliver, read_recipients

        recipients = read_recipients(self.to)
        message = self._message(hook)
        report = deliver(recipients, lambda to: hook.send(to, message))
        self.log.info("WhatsApp: %s", report.summary())
        for error in report.errors():
            raise error
        return report

    def _message(self, hook: MatonWhatsAppHook) -> Message:
        from airflow_provider_whatsapp.client.messages import Text

        if self.template_name:
            return hook.template_message(
                self.template_name,
                self.language,
                header=self.header,
                body=_fitted(self.body),
                buttons=self.buttons,
            )
        return Text(cut(str(self.text), MAX_TEXT))


def _fitted(body: Any) -> Any:
    """Fit what Jinja made of the values (the error's words, say) to WhatsApp's rules, lest the alert be refused."""
    if isinstance(body, Mapping):
        return {
            name: fit(value, MAX_VALUE) if isinstance(value, str) else value for name, value in body.items()
        }
    if isinstance(body, Sequence) and not isinstance(body, str):
        return [fit(value, MAX_VALUE) if isinstance(value, str) else value for value in body]
    return body
