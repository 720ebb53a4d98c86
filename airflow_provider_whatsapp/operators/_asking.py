"""What the operators that ask people and wait share: whom they ask and when, and what ends the wait."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.standard.operators.hitl import HITLOperator

from airflow_provider_whatsapp._compat import AirflowFailException
from airflow_provider_whatsapp.approvals.question import OUTCOME_TEMPLATE, Question, outcome_values
from airflow_provider_whatsapp.approvals.schedule import Schedule
from airflow_provider_whatsapp.client.errors import ConfigurationError, WhatsAppError
from airflow_provider_whatsapp.hooks.event_store import events_conn_id
from airflow_provider_whatsapp.operators._arguments import duration, flag, one_of, optional, text, whole
from airflow_provider_whatsapp.operators._declare import Argument
from airflow_provider_whatsapp.operators._ledgers import names_of, store_of
from airflow_provider_whatsapp.operators._parking import PARKED, TAKES_RESPONSE_TIMEOUT, park
from airflow_provider_whatsapp.operators._private import hidden_recipients
from airflow_provider_whatsapp.operators._replies import declare_presser, open_replies, receipts_of
from airflow_provider_whatsapp.operators._sending import MessageOperator
from airflow_provider_whatsapp.operators._wait_arguments import LEAST, MOST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.delivery.callback_data import CallbackData
    from airflow_provider_whatsapp.delivery.ledger import Ledger
    from airflow_provider_whatsapp.delivery.report import Report
    from airflow_provider_whatsapp.delivery.stores import Store
    from airflow_provider_whatsapp.operators._declare import Arguments

STATE = "approval"
"""Key of the XCom that says how far a question has got."""
NOT_TAKEN = (
    "max_failed",
    "wait_for",
    "wait_timeout",
    "on_timeout",
    "deferrable",
    "callback_data",
    "resend_on_clear",
)
"""Arguments of the sending operators that have no meaning here, because one person is enough for an answer."""


class AskingOperator(MessageOperator, HITLOperator):
    """
    Ask people, and wait until one of them has answered; a mixin for Airflow's human-in-the-loop operators.

    A question that reached nobody is an error: otherwise the task would wait for an answer that cannot come.
    The operators that users import document the arguments.
    """

    asks: ClassVar[type[HITLOperator]] = HITLOperator
    """Airflow's operator that a subclass mixes this class into."""
    language: str
    declared_arguments: ClassVar[Arguments] = {
        **{name: each for name, each in MessageOperator.declared_arguments.items() if name not in NOT_TAKEN},
        "body": Argument(shown=True),
        "escalate_to": Argument(hide=hidden_recipients),
        "subject": Argument(text, shown=True, content=True),
        "on_unsent": Argument(one_of("fail", "wait"), shown=True),
        "delivery_timeout": Argument(optional(duration(LEAST, MOST)), shown=True),
        "remind_after": Argument(optional(duration(LEAST, MOST)), shown=True),
        "reminders": Argument(whole, shown=True),
        "notify_outcome": Argument(flag, shown=True),
        "response_timeout": Argument(templated=False),
    }

    def __init__(
        self,
        *,
        on_unsent: str = "fail",
        delivery_timeout: timedelta | float | str | None = None,
        remind_after: timedelta | float | str | None = None,
        reminders: int | str = 1,
        escalate_to: str | Sequence[str] | None = None,
        notify_outcome: bool | str = False,
        response_timeout: timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        wrong = [name for name in NOT_TAKEN if name in kwargs]
        if wrong:
            msg = f"Passing {', '.join(wrong)} to {type(self).__name__} is not allowed"
            raise ValueError(msg)
        if TAKES_RESPONSE_TIMEOUT:
            kwargs["response_timeout"] = response_timeout
        super().__init__(resend_on_clear=True, **kwargs)
        # Without response_timeout, older providers used execution_timeout for the answer, which could also stop the
        # asking.
        self.response_timeout = (
            getattr(self, "response_timeout", None) or response_timeout or self.execution_timeout
        )
        if self.response_timeout is self.execution_timeout:
            self.execution_timeout = None
        self.on_unsent: Any = on_unsent
        self.delivery_timeout: Any = delivery_timeout
        self.remind_after: Any = remind_after
        self.reminders: Any = reminders
        self.escalate_to = escalate_to
        self.notify_outcome: Any = notify_outcome
        self._question = Question("ask")
        self._asked_at = 0.0
        self._reached = 0
        self._payloads: list[str] = []
        self._outcome: dict[str, str] = {}

    @property
    def _by_reply(self) -> bool:
        """Whether people answer by pressing a button on the phone."""
        raise NotImplementedError

    @property
    def _needs_window(self) -> bool:
        """Whether the message reaches only people with an open customer service window."""
        return False

    def execute(self, context: Context) -> Any:
        """Write the request for an answer, ask, and wait; raises an error if the question reached nobody."""
        # AirflowFailException: a retry cannot help; WhatsAppError: it may help.
        return self._guarded(lambda: self._begin(context))

    def _begin(self, context: Context) -> Any:
        self._question = Question.first(store_of(context, self.ledger_path))
        self._asked_at = time.time()
        if self._by_reply:
            declare_presser(self)
        defaults, self.notifiers = self.defaults, [*self.notifiers, self._ask_everybody]  # type: ignore[list-item]
        if self._schedule().in_parts:
            # Airflow would accept them when the first part of the wait ends; execute_complete does it when the last
            # one ends.
            self.defaults = None
        try:
            self.asks.execute(self, context)
        except PARKED:
            state = {
                "asked_at": self._asked_at,
                "reminded": 0,
                "looked": False,
                "question": self._question.number,
                "reached": self._reached,
            }
            context["ti"].xcom_push(key=STATE, value=state)
            self._park(context, state, defaults)

    def _park(self, context: Context, state: dict[str, Any], defaults: list[str] | None) -> None:
        schedule = self._schedule()
        left = schedule.seconds_left(state, time.time())
        park(
            self,
            context["ti"],
            seconds=None if left is None else timedelta(seconds=left),
            defaults=None if schedule.in_parts else defaults,
        )

    def _schedule(self) -> Schedule:
        response = self.response_timeout.total_seconds() if self.response_timeout else None
        return Schedule(
            response=response,
            delivery=self._looks_after,
            remind=self.remind_after,
            reminders=self.reminders if self.remind_after else 0,
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Continue with the answer, or do what is due if nobody has answered."""
        return self._guarded(lambda: self._go_on(context, event))

    def _go_on(self, context: Context, event: dict[str, Any]) -> Any:
        if self._by_reply:
            declare_presser(self)
        if event.get("error_type") == "timeout":
            event = self._on_time(context, event)
        if "error" not in event and self.notify_outcome:
            # An answer that Airflow refuses below is not an outcome, and a rejection ends the task before anything
            # can follow.
            self.validate_chosen_options(event["chosen_options"])
            self.validate_params_input(event["params_input"] or {})
            self._notify_of_outcome(context, event)
        return self.asks.execute_complete(self, context, event)

    def _on_time(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Do what is due, and continue to wait; return the event that ends the wait once its time is over."""
        ti: Any = context["ti"]
        state = ti.xcom_pull(task_ids=self.task_id, map_indexes=ti.map_index, key=STATE)
        schedule = self._schedule()
        if not isinstance(state, dict) or not schedule.in_parts:
            return event
        self._question = Question("ask", int(state["question"]))
        self._asked_at = state["asked_at"]
        due = schedule.due(state, time.time())
        if due == "end":
            return event if self.defaults is None else self._by_default()
        if due == "look":
            state["looked"] = True
            self._check_delivered(context, state)
        elif due == "remind":
            state["reminded"] += 1
            self._remind(context, state["reminded"])
        ti.xcom_push(key=STATE, value=state)
        self._park(context, state, self.defaults)
        return event

    def _by_default(self) -> dict[str, Any]:
        params = {name: value.get("value") for name, value in self.serialized_params.items()}
        return {
            "chosen_options": list(self.defaults or ()),
            "params_input": params,
            "responded_at": datetime.now(UTC),
            "responded_by_user": None,
            "timedout": True,
        }

    def _ask_everybody(self, context: Context) -> None:
        self._send(context)

    def _remind(self, context: Context, number: int) -> None:
        """Ask again, with the people to escalate to; the task continues if somebody cannot be reached."""
        self._question = Question("remind", self._question.number, number)
        self.to = self._everybody(escalated=True)
        self._try_to_send(context, "the reminder")

    def _notify_of_outcome(self, context: Context, event: dict[str, Any]) -> None:
        state: Any = context["ti"].xcom_pull(
            task_ids=self.task_id, map_indexes=context["ti"].map_index, key=STATE
        )
        state = state if isinstance(state, dict) else {}
        everybody = self._everybody(escalated=bool(state.get("reminded")))
        if len(everybody) < 2:
            return
        self.to = everybody
        self._question = Question("outcome", int(state.get("question", 1)))
        self._outcome = outcome_values(self.subject, event, context)
        self._try_to_send(context, "the outcome")

    def _everybody(self, *, escalated: bool) -> list[str]:
        """Return everybody whom the task asked or should have asked, each once even if given in several forms."""
        from airflow_provider_whatsapp.client.phone import address
        from airflow_provider_whatsapp.delivery.recipients import read_recipients

        country = self.hook.client.config.default_country
        groups = [self.to, self.escalate_to if escalated else None]
        found = (read_recipients(group, default_country=country) for group in groups if group)
        return [address(key) for key in dict.fromkeys(key for group in found for key in group)]

    def _try_to_send(self, context: Context, what: str) -> None:
        try:
            self._send(context)
        except (WhatsAppError, AirflowFailException) as error:
            self.log.warning("WhatsApp: %s was not sent: %s", what, error)

    @property
    def _looks_after(self) -> float | None:
        """Seconds after which the task reads the receipts; None: it does not."""
        seconds: float | None = self.delivery_timeout
        return LEAST if seconds is None and self._needs_window else seconds

    def _check_delivered(self, context: Context, state: Mapping[str, Any]) -> None:
        """Fail if the question has failed for everybody, or has been delivered to nobody in time."""
        number, reminded = self._question.number, state["reminded"]
        asked = [self._question, *(Question("remind", number, each + 1) for each in range(reminded))]
        try:
            found = receipts_of(self._key(context, question) for question in asked)
        except WhatsAppError as error:
            self.log.warning("WhatsApp: cannot read whether the question was delivered: %s", error)
            return
        overdue = self.delivery_timeout is not None and not found.delivered + found.read
        failed = found.failed == found.total >= state.get("reached", 1)
        if not overdue and not failed:
            return
        problem = f"WhatsApp did not deliver the question to anybody within {self._looks_after:g} s"
        problem += f" ({found.failed} failed)"
        if self._needs_window:
            problem += "; it reaches only people who wrote within the last 24 hours"
        if self.on_unsent == "fail":
            advice = "Ask other people, or set on_unsent='wait' to wait for an answer in Airflow."
            raise AirflowFailException(f"{problem}. {advice}")
        self.log.warning("%s; the task waits for an answer in Airflow.", problem)

    def build_message(self) -> Message:
        """Build the question, or the message about its outcome."""
        if self._question.kind == "outcome":
            return self._template_message(OUTCOME_TEMPLATE, self._outcome, [])
        return self._question_message()

    def _question_message(self) -> Message:
        raise NotImplementedError

    def _template_message(
        self, name: str, body: Any, buttons: Sequence[Any], *, base_url: str | None = None
    ) -> Message:
        """Build a message from a template, and check it against the approved template."""
        approved = self._look_up(name, self.language, show_values=self.log_pii)
        if approved is not None and base_url is not None:
            approved.check_base_url(base_url)
        message = self.hook.template_message(name, self.language, body=body, buttons=list(buttons) or None)
        if approved is not None:
            approved.check(message.to_payload())
        return message

    def _send(self, context: Context) -> dict[str, Any]:
        needs = [("delivery_timeout", self.delivery_timeout is not None), ("a reply", self._by_reply)]
        wanted = next((name for name, given in needs if given), None)
        if wanted is not None and events_conn_id() is None:
            raise ConfigurationError(
                f"{wanted} needs receipts, and [whatsapp] events_conn_id is empty",
                advice="Set up the receiver of receipts, or leave it out. Nothing was sent.",
            )
        if self._by_reply and self._question.kind != "outcome":
            self._payloads = self._open_replies(context)
        return super()._send(context)

    def _open_replies(self, context: Context) -> list[str]:
        response = self._schedule().response
        return open_replies(
            context,
            self._key(context, self._question),
            self.options,
            expires_at=None if response is None else self._asked_at + response,
            resumed=Question.outlives(store_of(context, self.ledger_path)),
        )

    def _find_store(self, context: Context) -> Store:
        return self._question.store(store_of(context, self.ledger_path))

    def _carried(self, context: Context, *, varies: bool = False) -> CallbackData:
        from airflow_provider_whatsapp.delivery.callback_data import CallbackData

        return CallbackData(self._key(context, self._question), None, varies=varies)

    def _key(self, context: Context, question: Question) -> str:
        from airflow_provider_whatsapp.delivery.callback_data import key_hash

        return key_hash(*names_of(context), question.name)

    def _conclude(self, context: Context, report: Report, ledger: Ledger, **extra: Any) -> dict[str, Any]:
        """Continue if the question reached somebody, since one person is enough for an answer; otherwise fail."""
        result = report.to_dict() | extra
        self.log.info("WhatsApp: %s: %s", self._question.name, report.summary())
        reached = self._reached = report.count("sent") + report.count("unknown")
        try:
            ledger.finish("success" if reached else "failed")
        except WhatsAppError as error:  # every result has been written already
            self.log.warning("%s", error)
        context["ti"].xcom_push(key="report", value=result)
        if reached and self._question.kind == "ask":
            self._question.close(store_of(context, self.ledger_path))
        if not reached and self.on_unsent == "wait":
            self.log.warning(
                "WhatsApp: the question reached nobody; the task waits for an answer in Airflow. %s",
                report.first_error,
            )
        elif not reached:
            self._fail(report, ledger)
        return result
