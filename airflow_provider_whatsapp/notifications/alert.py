"""One alert: whether to send it, to whom, with what message, and what to record."""

from __future__ import annotations

import functools
import logging
import random
import time
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_whatsapp._compat import Stats, several_machines
from airflow_provider_whatsapp.hooks.event_store import send_recorder
from airflow_provider_whatsapp.hooks.receipts_first import receipts_first
from airflow_provider_whatsapp.notifications import throttle, throttle_state
from airflow_provider_whatsapp.notifications.acknowledge import Acknowledgement
from airflow_provider_whatsapp.notifications.airflow_facts import failed_of_the_task, last_success
from airflow_provider_whatsapp.notifications.alert_message import AlertMessage
from airflow_provider_whatsapp.notifications.audience import Audience
from airflow_provider_whatsapp.notifications.bounded import in_daemon
from airflow_provider_whatsapp.notifications.facts import (
    MISSING,
    attempt_of,
    is_failure,
    is_lost,
)
from airflow_provider_whatsapp.notifications.mute import who_muted
from airflow_provider_whatsapp.notifications.recipient_gap import RecipientGaps
from airflow_provider_whatsapp.notifications.records import PAUSE, Held, Sending
from airflow_provider_whatsapp.notifications.redis_state import redis_state
from airflow_provider_whatsapp.notifications.window import Delivery, deliver

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook
    from airflow_provider_whatsapp.notifications.alert_stores import Store
    from airflow_provider_whatsapp.notifications.bounded import Bounded
    from airflow_provider_whatsapp.notifications.fields import AlertFields
    from airflow_provider_whatsapp.notifications.records import Decision
    from airflow_provider_whatsapp.notifications.time_budget import TimeBudget

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Alert:
    """What a notifier does about one context; it never waits itself: its steps yield the seconds to wait."""

    def __init__(
        self,
        notifier: AlertFields,
        context: Mapping[str, Any],
        hook: MatonWhatsAppHook,
        store: Store,
        budget: TimeBudget,
        *,
        behind: Store | None = None,  # a second, read-only store, for what the recipients have missed
        bounded: Bounded = in_daemon,
    ) -> None:
        self._is = notifier
        self._context = context
        self._hook = hook
        self._budget = budget
        seconds = budget.for_throttle_state()
        self._state = throttle_state.ThrottleState(store, seconds=seconds, bounded=bounded)
        self._behind = (
            throttle_state.ThrottleState(behind, seconds=seconds / 2, bounded=bounded, extra=True)
            if behind is not None
            else None
        )
        self._failed = is_failure(context)
        self._late = bool(context.get("deadline"))
        self._message = AlertMessage(notifier, context, hook)
        self._token = uuid.uuid4().hex[:12]
        self._bounded = bounded
        self._audience = Audience(notifier, context, self._ask)
        self._acknowledgement = Acknowledgement(
            notifier,
            self._message.facts,
            self._message.key(),
            failed=self._failed,
            ask=self._ask,
            seconds=budget.for_throttle_state,
        )
        self.reached_nobody = True
        """Whether it certainly reached nobody, though it was not suppressed and no other alert reports it."""

    def steps(self) -> Generator[float, None, None]:
        """Send the alert, unless it is suppressed; yields the seconds to wait."""
        problem = self._prepare()
        self._acknowledgement.look()
        decision = yield from self._decided()
        claims = not self._state.is_exact and self._may_suppress() and several_machines()
        if decision is not None and decision.send and claims:
            decision = yield from self._claimed(decision)
        delivery = summary = Delivery()
        if decision is None or decision.send:
            delivery = yield from self._deliver(decision, problem)
        elif decision.paused and self._failed:
            self._pause(decision, problem)
        elif decision.muted:
            _count("held", int(self._failed))
            logger.info("WhatsApp: suppressed, because %s", who_muted(decision.record))
        elif decision.in_hand:
            _count("held", 1)
            logger.info(
                "WhatsApp: suppressed, because %s has this run in hand", self._acknowledgement.in_hand
            )
        elif self._failed:
            _count("held", 1)
            logger.info(
                "WhatsApp: suppressed, because the same alert went out less than %g s ago", self._is.cooldown
            )
        self.reached_nobody = delivery.failed and not delivery.doubtful
        if decision is not None and decision.waits and not delivery.failed:
            summary = yield from self._summarise(decision.record.waits_until)
        for error in (*delivery.errors, *summary.errors):
            raise error  # it was not sent to every recipient

    def _prepare(self) -> Exception | None:
        """Ask Airflow for what the message needs before the throttle state, which may be slow; return any error."""
        try:
            self._hook.get_conn()  # an error in the connection shows before anything is sent
            self._state.share(redis_state(self._hook.client.config))
            self._audience.load()
        except Exception as error:
            return error
        return None

    def _decided(self) -> Generator[float, None, Decision | None]:
        """Decide; a success waits, if it can, until it is known whether a failure was reported."""
        while True:
            decision = self._decide()
            if decision is None or self._failed or not (decision.busy or decision.paused):
                return decision
            pause = decision.record.paused_until - time.time() if decision.paused else 1.0
            if pause > self._budget.left():
                logger.info(
                    "WhatsApp: not sent, because another message is in flight; the next success reports "
                    "this one"
                )
                return decision
            yield pause

    def _decide(self) -> Decision | None:
        """Ask the throttle state; None: it does not decide about this message, or cannot be reached."""
        alert = self._is
        if alert.recovery:
            return self._apply(throttle.on_success, now=time.time(), sending=self._sending())
        if not self._failed or not (alert.cooldown > 0 or alert.escalate_to or alert.acknowledge):
            return None
        return self._apply(
            throttle.on_failure,
            name=self._message.name(),
            now=time.time(),
            cooldown=alert.cooldown,
            succeeded_at=last_success(self._context, self._ask),
            run=self._known("run"),
            dag=self._known("dag"),
            escalate_after=alert.escalate_after if alert.escalate_to else 0,
            token=self._token,
            waits=min(alert.roll_up, self._budget.left()) if self._may_be_many() else 0.0,
            sending=self._sending(),
            in_hand=bool(self._acknowledgement.in_hand),
        )

    def _sending(self) -> Sending:
        lost = is_lost(self._context.get("ti"))
        # Without a cooldown each failure has a message of its own, and several may be in flight.
        lasts = self._budget.lasts() if self._is.recovery or self._may_suppress() else 0.0
        return Sending(token=self._token, lasts=lasts, attempt=attempt_of(self._context), lost=lost)

    def _apply(self, rule: Callable[..., Decision], **values: Any) -> Decision | None:
        """Apply one of the throttle's rules to the record of this alert's key."""
        rule = functools.partial(rule, **values)
        return self._state.decide(self._message.key(), self._acknowledgement.with_mute(rule))

    def _claimed(self, decision: Decision) -> Generator[float, None, Decision]:
        """Return the decision, or another one if a task on another machine has failed at the same time."""
        self._state.claim(self._message.key(), self._token)
        yield throttle_state.SETTLING
        if not self._state.is_claimed_by(self._message.key(), self._token):
            # The winner writes at the same time; a random pause lets each see what the other has written.
            yield random.uniform(0, throttle_state.SETTLING)  # noqa: S311  (nothing here is a secret)
            held, names = decision.held, decision.names
            return (
                self._apply(throttle.on_overtaken, name=self._message.name(), held=held, names=names)
                or decision
            )
        until = decision.record.waits_until if decision.waits else 0.0
        self._apply(throttle.on_claimed, token=self._token, waits_until=until)
        return decision

    def _summarise(self, moment: float) -> Generator[float, None, Delivery]:
        """Wait for other failures, and report them, unless one of their alerts waits in this one's place."""
        yield min(max(0.0, moment - time.time()), self._budget.left())
        self._acknowledgement.look()
        decision = self._apply(
            throttle.on_summary,
            now=time.time(),
            token=self._token,
            failed=self._failed_in_airflow(),
            sending=self._sending(),
            alone=self._state.is_exact or not several_machines(),
            in_hand=bool(self._acknowledgement.in_hand),
        )
        if decision is None or not decision.send:
            return Delivery()
        return (yield from self._deliver(decision, summary=True))

    def _failed_in_airflow(self) -> int:
        """Return how many instances of this mapped task have failed; 0: the throttle state's own count decides."""
        # Airflow counts a task's failed instances, but not its failed tries, a DAG's runs or what shares a key.
        if self._is.dedupe_key or not several_machines():
            return 0
        return failed_of_the_task(self._context, self._message.key(), self._ask)

    def _deliver(
        self, decision: Decision | None, problem: Exception | None = None, *, summary: bool = False
    ) -> Generator[float, None, Delivery]:
        """Send to the recipients, and leave to their next message what may not have arrived."""
        row = decision if self._failed else None
        own = () if summary else (self._message.name(),)
        reported = Held(held=(row.held if row else 0) + len(own), names=(*own, *(row.names if row else ())))
        try:
            if problem is not None:
                raise problem
            recipients = self._recipients(escalated=row is not None and row.escalated)
            placed, config = self._message.place(recipients), self._hook.client.config
            offer = self._acknowledgement.offer(placed, config, self._message.send_hash)
            send = self._message.sender(decision, summary=summary, offer=offer)
            # What the summary leaves to its recipients must not overwrite what the message has left to them.
            gaps = self._gaps(reported, f"{self._token}.summary" if summary else self._token)
        except Exception:
            self._take_back(decision, reported)
            raise
        delivery = yield from deliver(gaps, recipients, send)
        delivery = yield from send.follow_up(
            delivery,
            gaps,
            receipts_first(self._hook.get_message_status, ask=self._ask),
            seconds=min(self._is.text_wait, self._budget.left()),
        )
        self._settle(decision, delivery, gaps, reported, recipients)
        logger.info("WhatsApp: alert sent to %d of %d", delivery.sent, len(recipients))
        if delivery.handed_over:
            logger.info(
                "WhatsApp: %d recipients get this alert in another one's message, which already waits for them",
                delivery.handed_over,
            )
        _count("sent", delivery.sent)
        _count("held", delivery.handed_over)
        self._note()
        return delivery

    def _note(self) -> None:
        """Record in the event store, if there is one, which task sent these messages; none of them waits for that."""
        recorder = send_recorder(
            self._context,
            self._message.send_hash,
            self._hook.client.config,
            self._message.template_name,
            ask=self._ask,
        )
        if recorder is not None:
            recorder.start()
            recorder.finish(self._budget.left())

    def _settle(
        self,
        decision: Decision | None,
        delivery: Delivery,
        gaps: RecipientGaps,
        held: Held,
        recipients: list[str],
    ) -> None:
        """Record the outcome, and leave what recipients have missed to their next message."""
        left = True
        if self._failed or self._late:
            for to in recipients if delivery.failed else delivery.missed:
                left = gaps.leave(to) and left
        if not (delivery.failed or (self._failed and delivery.waits)):
            self._answered(decision)
        elif self._failed and left:
            self._leave_the_rest(decision, gaps, recipients, pause=PAUSE if delivery.doubtful else 0.0)
        else:
            self._take_back(decision, held, pause=PAUSE if delivery.doubtful else 0.0)

    def _answered(self, decision: Decision | None) -> None:
        if decision is None:
            return
        if self._failed:
            self._apply(throttle.on_sent, now=time.time(), token=self._token)
        else:
            self._apply(throttle.on_recovered, failures=decision.held, token=self._token)

    def _leave_the_rest(
        self, decision: Decision | None, gaps: RecipientGaps, recipients: list[str], *, pause: float
    ) -> None:
        """Begin a pause if the message may have arrived, and leave to its recipients what has failed meanwhile."""
        if decision is None:
            return
        rest = self._apply(throttle.on_left, now=time.time(), token=self._token, pause=pause)
        if rest is None or not rest.held:
            return
        names = tuple(map(self._message.full_name, rest.names))
        for to in recipients:
            gaps.leave(to, Held(held=rest.held, names=names))

    def _pause(self, decision: Decision, problem: Exception | None) -> None:
        """Leave a failure to the next message, because the last one may have arrived a moment ago."""
        _count("held", 1)
        logger.info(
            "WhatsApp: not sent, because the last message may have arrived; the next message reports this failure"
        )
        own = Held(held=1, names=(self._message.name(),))
        left = problem is None
        try:
            recipients = self._recipients(escalated=decision.escalated) if left else []
            gaps = self._gaps(own, self._token)
            for to in recipients:
                left = gaps.leave(to) and left
        except Exception:
            left = False
        if not left:
            self._apply(throttle.on_overtaken, name=self._message.name(), held=0, names=())

    def _take_back(self, decision: Decision | None, held: Held, *, pause: float = 0.0) -> None:
        """Let the key's next message report what this one has not."""
        if decision is None:
            return
        if self._failed:
            self._apply(throttle.on_unsent, held=held.held, names=held.names, token=self._token)
        else:
            self._apply(
                throttle.on_unsent_success,
                failures=decision.held,
                token=self._token,
                now=time.time(),
                pause=pause,
            )

    def _gaps(self, held: Held, token: str) -> RecipientGaps:
        sender = self._hook.client.config.phone_number_id or ""
        caller = self._message.caller(held, token)
        return RecipientGaps(self._state, sender, caller, self._budget, behind=self._behind)

    def _recipients(self, *, escalated: bool) -> list[str]:
        country = self._hook.client.config.default_country
        return self._audience.recipients(escalated=escalated, default_country=country)

    def _ask(self, act: Callable[[], T]) -> T:
        """Ask Airflow for something that the alert can do without, in a share of its time budget."""
        return self._bounded(act, self._budget.for_throttle_state())

    def _may_suppress(self) -> bool:
        """Say whether the alert may be suppressed: without a cooldown each failure has a message of its own."""
        return self._failed and self._is.cooldown > 0

    def _may_be_many(self) -> bool:
        index = getattr(self._context.get("ti"), "map_index", None)
        several = self._is.dedupe_key or (isinstance(index, int) and index >= 0)
        able = self._is.roll_up > 0 and self._message.names_others()
        return self._may_suppress() and able and bool(several)

    def _known(self, name: str) -> str:
        """Return what is known of the run or the DAG; empty: nothing."""
        found = self._message.facts[name]
        return "" if found == MISSING else found


def _count(what: str, count: int) -> None:
    if count:
        Stats.incr(f"whatsapp.alerts.{what}", count)
