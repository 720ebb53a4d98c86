"""What the operators that send one message to one or several people share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_whatsapp.operators._declare import Argument
from airflow_provider_whatsapp.operators._delivery import DeliveringOperator
from airflow_provider_whatsapp.operators._digest import digest
from airflow_provider_whatsapp.operators._private import hidden_recipients
from airflow_provider_whatsapp.operators._receipts import log_cleared_up, lost_answers
from airflow_provider_whatsapp.operators._suppression import hidden_suppression, rows_of, suppression_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow.sdk import Context

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.delivery.callback_data import CallbackData
    from airflow_provider_whatsapp.delivery.ledger import Ledger
    from airflow_provider_whatsapp.delivery.recipients import Row
    from airflow_provider_whatsapp.operators._declare import Arguments

REMEMBERED = 100
"""The most recipients for whom the ledger keeps message IDs, so that a retry's report contains them too."""


class MessageOperator(DeliveringOperator):
    """
    A task that sends one message to one or several people.

    :param to: One recipient or a list: numbers in international form, or business-scoped user ids. (templated)
    :param suppression: People who opted out and are left out, as for ``BroadcastTemplateOperator``. (templated)
    """

    declared_arguments: ClassVar[Arguments] = {
        "to": Argument(hide=hidden_recipients),
        "suppression": Argument(hide=hidden_suppression),
        **DeliveringOperator.declared_arguments,
    }

    def __init__(self, *, to: str | Sequence[str], suppression: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.to = to
        self.suppression = suppression
        self.has_suppression = suppression is not None
        self._upload: dict[str, Any] | None = None

    def build_message(self) -> Message:
        """Build and check the message; upload its file, if it has one, once for all recipients."""
        raise NotImplementedError

    def _pass_over_empty(self, source: Any) -> None:
        """Skip the task if ``skip_if_empty`` is set and the file is empty; a file uploaded before was not empty."""
        from airflow_provider_whatsapp._compat import AirflowSkipException
        from airflow_provider_whatsapp.client.media import file_size, source_form
        from airflow_provider_whatsapp.hooks.media_source import opened

        if self._upload is not None or source_form(source) not in ("file", "store"):
            return
        if file_size(opened(source)) == 0:
            name = source if isinstance(source, str) else getattr(source, "name", None)
            why = (
                f"{name or 'The file'} is empty (0 bytes), and skip_if_empty is set: the task sends nothing."
            )
            self.log.info("WhatsApp: %s", why)
            raise AirflowSkipException(why)

    def _send(self, context: Context) -> dict[str, Any]:
        from airflow_provider_whatsapp.client.messages import Template
        from airflow_provider_whatsapp.delivery.ledger import Job
        from airflow_provider_whatsapp.delivery.recipients import read_recipients
        from airflow_provider_whatsapp.hooks.event_store import recorded_send

        recipients = read_recipients(self.to, default_country=self.hook.client.config.default_country)
        total = len(recipients)
        self.hook.client.config.require("phone_number_id")
        carried = self._carried(context)
        waiting = self._plan_wait(context, carried, total)
        suppression = suppression_of(self, to_field="to")
        job = Job(digest(recipients), self._message_digest(), total)
        ledger, begin = self._open_ledger(context, job, remember_sent=total <= REMEMBERED)
        message = self._message(ledger)
        if waiting is None and not isinstance(message, Template):
            self._warn_of_free_form(total)
        route = self._route()
        clear_up = lost_answers(ledger, carried)
        self._delivery = self._new_delivery(
            ledger,
            lambda _: message,
            route,
            begin=begin,
            total=total,
            each=total <= REMEMBERED,
            callback_data=carried,
            clear_up=clear_up,
        )
        rows = rows_of(recipients, suppression, self)
        template_name = getattr(self, "template_name", None)
        with recorded_send(context, carried.key, self.hook.client.config, template_name):
            report = self._delivery.run(rows, self._new_report(waiting, route))
        log_cleared_up(clear_up)
        if suppression is not None:
            suppression.say()
        return self._wait_or_conclude(context, waiting, report, ledger)

    def _recalled(self, context: Context) -> tuple[Ledger, CallbackData, Iterable[Row]]:
        from airflow_provider_whatsapp.delivery.recipients import Row, read_recipients

        recipients = read_recipients(self.to, default_country=self.hook.client.config.default_country)
        ledger = self._reopen_ledger(context, digest(recipients), remember_sent=len(recipients) <= REMEMBERED)
        return ledger, self._carried(context), [Row(place, to) for place, to in enumerate(recipients)]

    def _message_digest(self) -> str:
        return digest(self._content())

    def _message(self, ledger: Ledger) -> Message:
        """Return the message, with the file that an earlier try uploaded, if there is one."""
        kept = ledger.memo("media")
        self._upload = None if kept is None else json.loads(kept)
        message = self.build_message()
        part: Any = getattr(message, "header", message)
        if kept is None and ledger.durable and getattr(part, "id", None):
            upload = {"type": part.kind, "media": part.id, "filename": getattr(part, "filename", None)}
            ledger.keep("media", json.dumps(upload))
            ledger.flush()
        return message
