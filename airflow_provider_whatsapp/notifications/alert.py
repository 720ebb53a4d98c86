"""One alert: whether it goes, to whom, what it says, and what is remembered of it."""

from __future__ import annotations

import functools
import logging
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import Variable

from airflow_provider_whatsapp._compat import Stats, several_machines
from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.client.messages import Text
from airflow_provider_whatsapp.notifications import memory
from airflow_provider_whatsapp.notifications.facts import MISSING, default_key, facts, is_failure, log_path
from airflow_provider_whatsapp.notifications.routes import choose, dag_tags, load_routes, usable
from airflow_provider_whatsapp.notifications.turns import Caller, Turn, Turns
from airflow_provider_whatsapp.notifications.window import TextFirst, Told, tell
from airflow_provider_whatsapp.notifications.wording import (
    STOCK_TEMPLATE,
    fitted,
    others,
    stock_values,
    text_body,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
    from airflow_provider_whatsapp.notifications.memory import Decision, Store
    from airflow_provider_whatsapp.notifications.patience import Patience
    from airflow_provider_whatsapp.notifications.whatsapp import WhatsAppNotifier

logger = logging.getLogger(__name__)


class Alert:
    """
    What a notifier does about one context. It never waits itself: its steps say for how long to wait.

    :param notifier: Its fields, already rendered.
    :param context: The context of a callback.
    :param hook: Sends.
    :param store: Where what alerts remember lives.
    :param patience: The time that it has.
    """

    def __init__(
        self,
        notifier: WhatsAppNotifier,
        context: Mapping[str, Any],
        hook: MatonWhatsAppHook,
        store: Store,
        patience: Patience,
    ) -> None:
        self._is = notifier
        self._context = context
        self._hook = hook
        self._memory = memory.Memory(store)
        self._patience = patience
        self._failed = is_failure(context)
        self._token = uuid.uuid4().hex[:12]

    def steps(self) -> Generator[float, None, None]:
        """
        Send, unless the same was told a moment ago; yields the seconds to wait before it goes on.

        :raises WhatsAppError: It was not sent to everybody.
        """
        decision = self._decide()
        if decision is not None and decision.send and self._failed and several_machines():
            decision = yield from self._claimed(decision)
        told = summary = Told()
        if decision is None or decision.send:
            told = yield from self._try_to_deliver(decision if self._failed else None, (self._name(),))
        else:
            _count("held", 1)
            logger.info("WhatsApp: kept back, for the same was told less than %g s ago", self._is.cooldown)
        if decision is not None and decision.waits and not told.failed:
            summary = yield from self._summarise(decision.record.waits_until)
        for error in (*told.errors, *summary.errors):
            raise error

    def _decide(self) -> Decision | None:
        """Ask the memory; None where it has nothing to say: a message that is no alert, or no memory at hand."""
        alert = self._is
        if alert.recovery:
            return self._remember(memory.on_success)
        if not self._failed or (alert.cooldown <= 0 and not alert.escalate_to):
            return None
        return self._remember(
            memory.on_failure,
            name=self._name(),
            now=time.time(),
            cooldown=alert.cooldown,
            succeeded_at=self._last_success(),
            run=self._run(),
            escalate_after=alert.escalate_after if alert.escalate_to else 0,
            token=self._token,
            waits=min(alert.roll_up, self._patience.left()) if self._may_be_many() else 0.0,
        )

    def _remember(self, rule: Callable[..., Decision], **values: Any) -> Decision | None:
        """Apply one of the memory's rules to what is remembered of this alert's key."""
        return self._memory.decide(self._key(), functools.partial(rule, **values))

    def _claimed(self, decision: Decision) -> Generator[float, None, Decision]:
        """Return the decision, or another where a task on another machine has failed in the same moment."""
        self._memory.claim(self._key(), self._token)
        yield memory.SETTLING
        if not self._memory.is_claimed_by(self._key(), self._token):
            held, names = decision.held, decision.names
            return self._remember(memory.on_overtaken, name=self._name(), held=held, names=names) or decision
        if decision.waits:
            self._remember(memory.on_claimed, token=self._token, waits_until=decision.record.waits_until)
        return decision

    def _try_to_deliver(
        self, decision: Decision | None, more: tuple[str, ...], *, summary: bool = False
    ) -> Generator[float, None, Told]:
        """
        Deliver, and leave to the next failure what certainly nobody was told.

        :param decision: Of the failures to tell; None: the memory knows nothing of them.
        :param more: Failures to tell besides those that were kept back.
        """

        def take_back() -> None:
            if decision is not None:
                held, names = decision.held + len(more), (*decision.names, *more)
                self._remember(memory.on_unsent, held=held, names=names)

        try:
            self._hook.get_conn()  # what is wrong with the connection is certain before anything is sent
            told = yield from self._deliver(decision, summary=summary)
        except Exception:
            take_back()
            raise
        if told.failed:
            take_back()
        return told

    def _summarise(self, moment: float) -> Generator[float, None, Told]:
        """
        Wait for others to fail, and tell of them unless one of them waits in its turn.

        :param moment: Unix time in seconds up to which to wait.
        """
        yield min(max(0.0, moment - time.time()), self._patience.left())
        decision = self._remember(memory.on_summary, now=time.time(), token=self._token)
        if decision is None or not decision.send:
            return Told()
        decision = replace(decision, held=max(decision.held, self._failed_by_airflow()))
        return (yield from self._try_to_deliver(decision, (), summary=True))

    def _failed_by_airflow(self) -> int:
        """Return how many others of this mapped task have failed; 0 where the memory's own count is as good."""
        if self._is.dedupe_key or not several_machines():
            return 0
        ti: Any = self._context.get("ti")
        try:
            # This one is not among them: its own end is told to Airflow after its callback.
            return int(
                ti.get_ti_count(
                    dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], states=["failed"]
                )
            )
        except Exception:  # no answer is an answer here
            return 0

    def _deliver(self, decision: Decision | None, *, summary: bool = False) -> Generator[float, None, Told]:
        recipients = self._recipients(escalated=decision is not None and decision.escalated)
        send = self._sender(decision, summary=summary)
        sender = self._hook.client.config.phone_number_id or ""
        turns = Turns(self._memory, sender, self._caller(), self._patience)
        told = yield from tell(turns, recipients, send)
        told = yield from send.follow_up(
            told,
            turns,
            self._hook.get_message_status,
            seconds=min(self._is.text_wait, self._patience.left()),
        )
        logger.info("WhatsApp: told %d of %d", told.sent, len(recipients))
        if told.handed_over:
            logger.info("WhatsApp: %d are told by the message that waits for them", told.handed_over)
        _count("sent", told.sent)
        _count("held", told.handed_over)
        return told

    def _sender(self, decision: Decision | None, *, summary: bool) -> TextFirst:
        @functools.cache  # a file in the template's header is uploaded once for all to whom the same is said
        def template_saying(more: str) -> Message:
            return self._template(more, summary=summary)

        def template(turn: Turn) -> Message:
            return template_saying(others(decision, turn))

        def text(turn: Turn) -> Text:
            return Text(text_body(str(self._is.text), self._context, others(decision, turn), summary=summary))

        if not self._is.text:
            template(Turn())  # what is wrong with it is certain before anything is sent
            return TextFirst(self._hook.send, None, template)
        usual = self._is.template_name and (not summary or self._is.template_name == STOCK_TEMPLATE)
        return TextFirst(self._hook.send, text, template if usual else None)

    def _template(self, more: str, *, summary: bool) -> Message:
        body, buttons = self._is.body, self._is.buttons
        if self._is.template_name == STOCK_TEMPLATE and body is None:
            body = stock_values(self._context, more, summary=summary)
            buttons = buttons or [log_path(self._context)]
        return self._hook.template_message(
            str(self._is.template_name),
            self._is.language,
            header=self._is.header,
            body=fitted(body),
            buttons=buttons,
        )

    def _caller(self) -> Caller:
        found = facts(self._context)
        late = bool(self._context.get("deadline"))
        name = found["dag"] if found["task"] == MISSING else f"{found['dag']}.{found['task']}"
        return Caller(
            name=f"{name} ({found['error']})" if late else name,
            tells_several=self._tells_several(),
            may_be_told=self._failed or late,
            gap=self._is.gap,
            token=self._token,
        )

    def _recipients(self, *, escalated: bool) -> list[str]:
        named = [self._is.to, self._is.escalate_to if escalated else None]
        routes = self._routes()
        if routes is not None:
            named.append(choose(routes, severity=self._is.severity, tags=dag_tags(self._context)))
        return usable(named)

    def _routes(self) -> dict[str, list[str]] | None:
        if not self._is.routes:
            return None
        try:
            return load_routes(self._is.routes, Variable)
        except ConfigurationError as error:
            if not self._is.to:
                raise
            logger.error("WhatsApp: only those in `to` are told. %s", error)  # noqa: TRY400
            return None

    def _tells_several(self) -> bool:
        stock = self._is.template_name == STOCK_TEMPLATE and self._is.body is None
        return stock or bool(self._is.text)

    def _may_be_many(self) -> bool:
        index = getattr(self._context.get("ti"), "map_index", -1)
        several = self._is.dedupe_key or (isinstance(index, int) and index >= 0)
        return self._is.roll_up > 0 and self._tells_several() and bool(several)

    def _name(self) -> str:
        """Return what failed, as another message names it; a key of one's own may be that of several DAGs."""
        found = facts(self._context)
        return f"{found['dag']}.{found['task']}" if self._is.dedupe_key else found["task"]

    def _key(self) -> str:
        return self._is.dedupe_key or default_key(self._context)

    def _run(self) -> str:
        """Return what tells one failing of a run from the next; a run that was cleared fails anew, by its try."""
        found = facts(self._context)
        return "" if found["run"] == MISSING else f"{found['run']}#{found['try']}"

    def _last_success(self) -> float | None:
        try:
            moment = self._context.get("prev_start_date_success")
            return float(moment.timestamp()) if moment is not None else None
        except Exception:  # asking Airflow for it may fail, and no answer is an answer here
            return None


def _count(what: str, count: int) -> None:
    if count:
        Stats.incr(f"whatsapp.alerts.{what}", count)
