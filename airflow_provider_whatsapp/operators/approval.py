"""The operators that ask people by WhatsApp: for an approval, or to choose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.standard.operators.hitl import ApprovalOperator

from airflow_provider_whatsapp._compat import conf
from airflow_provider_whatsapp.answering.request_id import MAX_OPTIONS
from airflow_provider_whatsapp.approvals.question import (
    REPLY_TEMPLATE,
    STOCK_TEMPLATE,
    check_base_url,
    values_for,
)
from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.links import WhatsAppManagerLink
from airflow_provider_whatsapp.operators._arguments import one_of, optional, text
from airflow_provider_whatsapp.operators._asking import AskingOperator
from airflow_provider_whatsapp.operators._declare import Argument

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.operators._declare import Arguments

MAX_TITLE = 24
"""Characters of a list's entry (Meta, interactive list messages)."""


class WhatsAppApprovalOperator(AskingOperator, ApprovalOperator):
    """
    Ask people by WhatsApp whether a run may continue, and wait for the answer of one of them.

    It is a subclass of Airflow's ``ApprovalOperator``, which defines what happens after *Approve* and *Reject*, who
    may answer (``assigned_users``), ``response_timeout``, ``defaults`` and ``fail_on_reject``.

    The message has two buttons. With ``buttons="link"`` they open Airflow's page for this request with one answer
    preselected: opening the page does not answer, and Airflow asks for its login and checks permissions. With
    ``buttons="reply"`` a press answers at once and without a login: anyone who holds the phone answers. This needs
    the receiver, with the app's secret, and ``python -m airflow_provider_whatsapp answer``. The stock templates are
    ``approvals/airflow_approval.yaml`` and ``approvals/airflow_approval_reply.yaml``.

    If the question reached nobody, the task fails: otherwise it would wait for an answer in silence.

    :param to: One recipient or a list. (templated)
    :param subject: The question. (templated)
    :param body: Text below the subject on Airflow's page; the message does not contain it. (templated)
    :param buttons: ``link``: the buttons open Airflow's page; ``reply``: a press answers. (templated)
    :param template_name: An approved template whose first button approves and whose second rejects: URLs below
        Airflow's address, or quick replies. None: the stock template. (templated)
    :param language: The template's language. (templated)
    :param template_body: Values of the template's variables, a list or a dict; None: ``subject``, ``dag`` and ``run``.
        (templated)
    :param base_url: Airflow's public address; None: ``[api] base_url``. It must be the address in the approved
        template. (templated)
    :param on_unsent: What the task does if the question reached nobody: ``fail``, or ``wait`` for an answer in
        Airflow. (templated)
    :param delivery_timeout: How long WhatsApp may take to deliver the question to at least one person: a
        ``timedelta``, or seconds; a minute to 30 days. It needs receipts. None: the task does not check delivery.
        (templated)
    :param remind_after: How long to wait for an answer before the task asks everybody again, and those in
        ``escalate_to`` too: a ``timedelta``, or seconds. None: it does not remind. (templated)
    :param reminders: Number of reminders, each ``remind_after`` later. (templated)
    :param escalate_to: Further people to ask, from the first reminder on. (templated)
    :param notify_outcome: Send the outcome to everybody who was asked, if there are several, with the template
        ``airflow_approval_outcome``. (templated)
    :param response_timeout: How long to wait for an answer, a ``timedelta``: Airflow's argument. After that
        ``defaults`` are the answer; without ``defaults`` the task fails.
    :param kwargs: As for Airflow's ``ApprovalOperator``, and ``maton_conn_id``, ``phone_number_id``, ``waba_id``,
        ``ledger_path``, ``on_unknown``, ``suppression`` and ``log_pii`` as for
        :class:`~airflow_provider_whatsapp.operators.messages.SendTemplateOperator`.
    :raises ValueError: An argument is not allowed here.
    """

    asks = ApprovalOperator
    operator_extra_links: tuple[BaseOperatorLink, ...] = (WhatsAppManagerLink(),)
    declared_arguments: ClassVar[Arguments] = {
        **AskingOperator.declared_arguments,
        "template_name": Argument(optional(text), shown=True, content=True),
        "language": Argument(text, shown=True, content=True),
        "template_body": Argument(content=True),
        "base_url": Argument(optional(text), shown=True, content=True),
        "buttons": Argument(one_of("link", "reply"), shown=True),
    }

    def __init__(
        self,
        *,
        to: str | Sequence[str],
        subject: str,
        body: str | None = None,
        buttons: str = "link",
        template_name: str | None = None,
        language: str = "en_US",
        template_body: Sequence[Any] | Mapping[str, Any] | None = None,
        base_url: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(to=to, subject=subject, body=body, **kwargs)
        self.buttons = buttons
        self.template_name = template_name
        self.language = language
        self.template_body = template_body
        self.base_url = base_url
        self._ends: list[str] = []

    @property
    def _by_reply(self) -> bool:
        return self.buttons == "reply"

    def _question_message(self) -> Message:
        buttons: list[Any] = self._ends
        if self._by_reply:
            buttons = [
                {"type": "quick_reply", "index": place, "payload": payload}
                for place, payload in enumerate(self._payloads)
            ]
        body = self._values if self.template_body is None else self.template_body
        base_url = None if self._by_reply else self._base
        return self._template_message(str(self.template_name), body, buttons, base_url=base_url)

    def _send(self, context: Context) -> dict[str, Any]:
        self.template_name = self.template_name or (REPLY_TEMPLATE if self._by_reply else STOCK_TEMPLATE)
        self._values = values_for(self.subject, context)
        if not self._by_reply:
            self._base = check_base_url(
                self.base_url or conf.get("api", "base_url", fallback=""),
                sandbox=self.hook.client.config.host,
            )
            with_plugin = conf.getboolean("whatsapp", "ui", fallback=True)
            self._ends = self._question.buttons(context["ti"], self.options, with_plugin=with_plugin)
        return super()._send(context)


class WhatsAppChoiceOperator(AskingOperator):
    """
    Ask people by WhatsApp to choose one of up to ten options, and wait for the choice of one of them.

    It is a subclass of Airflow's ``HITLOperator``. The message is a text with a list; a press on an entry answers at
    once and without a login, as with ``WhatsAppApprovalOperator(buttons="reply")``: it needs the receiver, with the
    app's secret, and ``python -m airflow_provider_whatsapp answer``. People can also choose on Airflow's page.

    A template cannot contain a list, so the message reaches only people who wrote to your number within the last 24
    hours (error 131047 otherwise). If it has failed for everybody after a minute, ``on_unsent`` says what the task
    does.

    :param to: One recipient or a list. (templated)
    :param subject: The question: the message's text, up to 4,096 characters. (templated)
    :param options: 1 to 10 texts of 1 to 24 characters each, all different.
    :param body: Text below the subject on Airflow's page; the message does not contain it. (templated)
    :param descriptions: Text below an option in the list, up to 72 characters: a mapping by option. (templated)
    :param button_text: Text of the button that opens the list, up to 20 characters. (templated)
    :param language: Language of the template ``airflow_approval_outcome``, for ``notify_outcome``. (templated)
    :param kwargs: As for Airflow's ``HITLOperator``, and as for :class:`WhatsAppApprovalOperator` from ``on_unsent``
        on.
    :raises ValueError: A list cannot hold these options, or an argument is not allowed here.
    """

    operator_extra_links: tuple[BaseOperatorLink, ...] = ()  # there is neither a template nor a results file
    declared_arguments: ClassVar[Arguments] = {
        **AskingOperator.declared_arguments,
        "options": Argument(templated=False),
        "descriptions": Argument(content=True),
        "button_text": Argument(text, shown=True, content=True),
        "language": Argument(text, shown=True),
    }
    _by_reply = True
    _needs_window = True

    def __init__(
        self,
        *,
        to: str | Sequence[str],
        subject: str,
        options: list[str],
        body: str | None = None,
        descriptions: Mapping[str, str] | None = None,
        button_text: str = "Choose",
        language: str = "en_US",
        **kwargs: Any,
    ) -> None:
        check_options(options)
        if kwargs.get("multiple"):
            msg = (
                "WhatsAppChoiceOperator does not allow multiple=True: a press on the list chooses one option"
            )
            raise ValueError(msg)
        super().__init__(to=to, subject=subject, options=options, body=body, **kwargs)
        self.descriptions = descriptions
        self.button_text = button_text
        self.language = language

    def _question_message(self) -> Message:
        from airflow_provider_whatsapp.client.messages import ListMessage, Row, Section

        descriptions = self.descriptions or {}
        unknown = [name for name in descriptions if name not in self.options]
        if unknown:
            raise ConfigurationError(
                f"descriptions names {unknown[0]!r}, which is not one of the options",
                advice="Give descriptions only for the options.",
            )
        rows = [
            Row(payload, option, descriptions.get(option))
            for payload, option in zip(self._payloads, self.options, strict=True)
        ]
        return ListMessage(self.subject, self.button_text, [Section(rows)])


def check_options(options: Sequence[Any]) -> None:
    """Check that a list can hold options; the ValueError states the limit."""
    if len(options) > MAX_OPTIONS:
        raise ValueError(f"options: {len(options)} are too many; a list holds {MAX_OPTIONS} at most")
    for option in options:
        if not isinstance(option, str) or not option.strip() or len(option) > MAX_TITLE:
            raise ValueError(f"options: {option!r} is not a text of 1 to {MAX_TITLE} characters")
    if len(set(options)) < len(options):
        raise ValueError("options: two are equal; make all options different")
