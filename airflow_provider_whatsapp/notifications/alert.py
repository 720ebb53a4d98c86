"""One alert: whether it goes, to whom, what it says, and what is remembered of it."""

from __future__ import annotations

import functools
import logging
import random
import time
import uuid
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
        if decision is not None and decision.send and self._keeps_back() and several_machines():
            decision = yield from self._claimed(decision)
        told = summary = Told()
        if decision is None or decision.send:
            told = yield from self._deliver(decision)
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
            # The winner writes at this very moment; a pause lets each see what the other has written.
            yield random.uniform(0, memory.SETTLING)  # noqa: S311  (nothing here is a secret)
            held, names = decision.held, decision.names
            return self._remember(memory.on_overtaken, name=self._name(), held=held, names=names) or decision
        if decision.waits:
            self._remember(memory.on_claimed, token=self._token, waits_until=decision.record.waits_until)
        return decision

    def _summarise(self, moment: float) -> Generator[float, None, Told]:
        """
        Wait for others to fail, and tell of them unless one of them waits in its turn.

        :param moment: Unix time in seconds up to which to wait.
        """
        yield min(max(0.0, moment - time.time()), self._patience.left())
        failed = self._failed_by_airflow()
        decision = self._remember(memory.on_summary, now=time.time(), token=self._token, failed=failed)
        if decision is None or not decision.send:
            return Told()
        return (yield from self._deliver(decision, summary=True))

    def _failed_by_airflow(self) -> int:
        """Return how many of this mapped task have failed; 0 where the memory's own count is as good."""
        ti: Any = self._context.get("ti")
        try:
            # Airflow counts a task's failures; its tries, a DAG's runs and what shares a key are others.
            of_the_task = not self._is.dedupe_key and self._key() == f"{ti.dag_id}.{ti.task_id}"
            if not of_the_task or not several_machines():
                return 0
            # This one is not among them: its own end is told to Airflow after its callback.
            return 1 + int(
                ti.get_ti_count(
                    dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], states=["failed"]
                )
            )
        except Exception:  # no answer is an answer here
            return 0

    def _deliver(self, decision: Decision | None, *, summary: bool = False) -> Generator[float, None, Told]:
        """
        Deliver, and leave to the next message what certainly nobody was told.

        :param decision: The memory's; None: it knows nothing.
        :param summary: Tell of the others alone.
        """
        row = decision if self._failed else None
        own = () if summary else (self._name(),)
        held, names = (row.held if row else 0) + len(own), (*own, *(row.names if row else ()))
        try:
            self._hook.get_conn()  # what is wrong with the connection is certain before anything is sent
            recipients = self._recipients(escalated=row is not None and row.escalated)
            send = self._sender(row, summary=summary)
            sender = self._hook.client.config.phone_number_id or ""
        except Exception:
            self._take_back(decision, held, names)
            raise
        turns = Turns(self._memory, sender, self._caller(held, names), self._patience)
        told = yield from tell(turns, recipients, send)
        told = yield from send.follow_up(
            told,
            turns,
            self._hook.get_message_status,
            seconds=min(self._is.text_wait, self._patience.left()),
        )
        if told.failed:
            self._take_back(decision, held, names)
        logger.info("WhatsApp: told %d of %d", told.sent, len(recipients))
        if told.handed_over:
            logger.info("WhatsApp: %d are told by the message that waits for them", told.handed_over)
        _count("sent", told.sent)
        _count("held", told.handed_over)
        return told

    def _take_back(self, decision: Decision | None, held: int, names: tuple[str, ...]) -> None:
        """Let the next message tell what this one has not."""
        if decision is None:
            return
        if self._failed:
            self._remember(memory.on_unsent, held=held, names=names)
        else:
            self._remember(memory.on_untold_success, failures=decision.held)

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
            body = stock_values(self._context, more, summary=summary, recovered=self._is.recovery)
            buttons = buttons or [log_path(self._context)]
        return self._hook.template_message(
            str(self._is.template_name),
            self._is.language,
            header=self._is.header,
            body=fitted(body),
            buttons=buttons,
        )

    def _caller(self, held: int, names: tuple[str, ...]) -> Caller:
        late = bool(self._context.get("deadline"))
        said = f" ({facts(self._context)['error']})" if late else ""
        if not self._is.dedupe_key:
            names = tuple(map(self._in_full, names))
        return Caller(
            held=held,
            names=tuple(name + said for name in names),
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
        return usable(named, default_country=self._hook.client.config.default_country)

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

    def _keeps_back(self) -> bool:
        """Say whether failures may be kept back: without a cooldown every one is told, by a message of its own."""
        return self._failed and self._is.cooldown > 0

    def _may_be_many(self) -> bool:
        index = getattr(self._context.get("ti"), "map_index", -1)
        several = self._is.dedupe_key or (isinstance(index, int) and index >= 0)
        able = self._is.roll_up > 0 and self._tells_several()
        return self._keeps_back() and able and bool(several)

    def _name(self) -> str:
        """Return what failed, as another message names it; a key of one's own may be that of several DAGs."""
        task = facts(self._context)["task"]
        return self._in_full(task) if self._is.dedupe_key else task

    def _in_full(self, task: str) -> str:
        dag = facts(self._context)["dag"]
        return dag if task == MISSING else f"{dag}.{task}"

    def _key(self) -> str:
        return self._is.dedupe_key or default_key(self._context)

    def _run(self) -> str:
        """Return the run: its mapped tasks, its tries and, if it is cleared, its failing anew count once."""
        run = facts(self._context)["run"]
        return "" if run == MISSING else run

    def _last_success(self) -> float | None:
        try:
            moment = self._context.get("prev_start_date_success")
            return float(moment.timestamp()) if moment is not None else None
        except Exception:  # asking Airflow for it may fail, and no answer is an answer here
            return None


def _count(what: str, count: int) -> None:
    if count:
        Stats.incr(f"whatsapp.alerts.{what}", count)
