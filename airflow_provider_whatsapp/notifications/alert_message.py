"""The message of one alert: what it says, how it is sent, and how another alert's message names it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.client.phone import address
from airflow_provider_whatsapp.delivery.routing import Router
from airflow_provider_whatsapp.notifications.defaults import ACK_TEMPLATE, STOCK_TEMPLATE
from airflow_provider_whatsapp.notifications.facts import MISSING, default_key, facts, is_failure, log_path
from airflow_provider_whatsapp.notifications.marked import MarkedSend
from airflow_provider_whatsapp.notifications.recipient_gap import Caller, Slot
from airflow_provider_whatsapp.notifications.records import Held
from airflow_provider_whatsapp.notifications.window import ButtonsFirst, TextFirst
from airflow_provider_whatsapp.notifications.wording import (
    ROOM_OF_TEMPLATE,
    ROOM_OF_TEXT,
    fitted,
    fitted_buttons,
    fitted_header,
    others,
    stock_values,
    text_body,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.events.alerts import AlertId
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
    from airflow_provider_whatsapp.notifications.fields import AlertFields
    from airflow_provider_whatsapp.notifications.missed import Missed
    from airflow_provider_whatsapp.notifications.records import Decision


class AlertMessage:
    """The message of an alert."""

    def __init__(self, notifier: AlertFields, context: Mapping[str, Any], hook: MatonWhatsAppHook) -> None:
        self._is = notifier
        self._context = context
        self._hook = hook
        self.facts = facts(context)
        """What happened, read from the context once."""
        self._failed = is_failure(context)
        self._late = bool(context.get("deadline"))
        self.template_name = notifier.template_name
        """The template that the alert uses; None: it uses none."""
        # If Meta has moved a template to another category, one endpoint refuses it and the other accepts it.
        self._send = MarkedSend(Router(hook.send), notifier.callback_data)

    @property
    def send_hash(self) -> str:
        """The hash in the callback data of the alert's messages."""
        return self._send.key

    def place(self, recipients: Iterable[str]) -> list[str]:
        """Give new recipients positions in the callback data, and return the numbers or IDs of all, in order."""
        placed = self._send.place(map(address, recipients))
        return [to.removeprefix("+") for to in placed]

    def sender(
        self, decision: Decision | None, *, summary: bool, offer: AlertId | None = None
    ) -> TextFirst | ButtonsFirst:
        """Return what sends the alert to one recipient; raises WhatsAppError for invalid values of the template."""
        plain = self._without_buttons(decision, summary=summary)
        if offer is None:
            return plain
        self.template_name = ACK_TEMPLATE
        buttons = [
            {"type": "quick_reply", "payload": offer.payload("on-it")},
            {"type": "quick_reply", "payload": offer.payload("mute")},
            log_path(self._context),
        ]

        def template(slot: Slot) -> Message:
            more = self._others(decision, slot)
            return self._stock(ACK_TEMPLATE, more, buttons, summary=summary)

        return ButtonsFirst(self._send, template, plain)

    def _without_buttons(self, decision: Decision | None, *, summary: bool) -> TextFirst:

        @functools.cache  # recipients of the same message share one upload of the header's file
        def template_saying(more: str) -> Message:
            return self._template(more, summary=summary)

        def template(slot: Slot) -> Message:
            return template_saying(self._others(decision, slot))

        def text(slot: Slot) -> Text:
            more = self._others(decision, slot)
            return Text(text_body(str(self._is.text), self.facts, more, summary=summary))

        if not self._is.text:
            template(Slot())  # an invalid template shows before anything is sent
            return TextFirst(self._send, None, template)
        usual = self._is.template_name and (not summary or self._is.template_name == STOCK_TEMPLATE)
        return TextFirst(self._send, text, template if usual else None)

    def _others(self, decision: Decision | None, slot: Slot) -> str:
        key, dag = self.key(), self.facts["dag"]
        own, other = Held(), Held()
        for entry in slot.missed:
            if entry.key == key:
                names = entry.names if self._is.dedupe_key else _within(dag, entry)
                own = own.with_more(entry.held, names, most=len(own.names) + len(names))
            else:
                other = other.with_more(entry.held, entry.names, most=len(other.names) + len(entry.names))
        if decision is not None and not self._failed:
            # A success reports the failures before it of which nobody was notified.
            own = own.with_more(decision.record.sending, decision.record.sending_names)
            decision = None
        return others(decision, slot, own, other)

    def _stock(self, name: str, more: str, buttons: list[Any], *, summary: bool) -> Message:
        """Make the message of a stock template; they all have the same variables."""
        values = stock_values(self.facts, more, summary=summary, recovered=self._is.recovery)
        return self._hook.template_message(
            name, self._is.language, header=None, body=fitted(values), buttons=fitted_buttons(buttons)
        )

    def _template(self, more: str, *, summary: bool) -> Message:
        body, buttons = self._is.body, self._is.buttons
        if self._is.template_name == STOCK_TEMPLATE and body is None:
            body = stock_values(self.facts, more, summary=summary, recovered=self._is.recovery)
            buttons = buttons or [log_path(self._context)]
        return self._hook.template_message(
            str(self._is.template_name),
            self._is.language,
            header=fitted_header(self._is.header),
            body=fitted(body),
            buttons=fitted_buttons(buttons),
        )

    def caller(self, held: Held, token: str) -> Caller:
        """Return what the recipient gap needs to know of the alert, whose message reports the failures ``held``."""
        said = f" ({self.facts['error']})" if self._late else ""
        return Caller(
            held=held.held,
            names=tuple(self.full_name(name) + said for name in held.names),
            names_others=self.names_others(),
            may_be_handed_over=self._failed or self._late,
            gap=self._is.gap,
            token=token,
            key=self.key(),
            room=ROOM_OF_TEXT if self._is.text and not self._is.template_name else ROOM_OF_TEMPLATE,
        )

    def full_name(self, name: str) -> str:
        """Return a failure's :meth:`name` for a message about another key: with its DAG."""
        # Names under a `dedupe_key` have their DAG already.
        return name if self._is.dedupe_key else self._in_full(name)

    def names_others(self) -> bool:
        """Say whether the message can name other failures; a template of the user's own cannot."""
        stock = self._is.template_name == STOCK_TEMPLATE and self._is.body is None
        return stock or bool(self._is.text)

    def name(self) -> str:
        """Return what failed, as another message names it: with its DAG if a ``dedupe_key`` may join several DAGs."""
        task = self.facts["task"]
        return self._in_full(task) if self._is.dedupe_key else task

    def _in_full(self, task: str) -> str:
        dag = self.facts["dag"]
        return dag if task == MISSING else f"{dag}.{task}"

    def key(self) -> str:
        """Return the key, which is the same for failures that are the same alert."""
        return self._is.dedupe_key or default_key(self._context)


def _within(dag: str, entry: Missed) -> tuple[str, ...]:
    return tuple(name.removeprefix(f"{dag}.") for name in entry.names)
