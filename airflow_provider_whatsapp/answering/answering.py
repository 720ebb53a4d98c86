"""
Reads presses from the event store, and answers Airflow's requests with those that count.

A press counts once, if its delivery was signed, the message went to the presser, the message is one of
the task's, the ID behind the button is the request's, the task still waits, and the time is not over. All others
change nothing, and the log has a line for each.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.answering.airflow_api import RefusedError
from airflow_provider_whatsapp.answering.press_reader import RECEIPT_WAIT, PressReader
from airflow_provider_whatsapp.answering.request_id import ANSWERED_BY, parse_payload
from airflow_provider_whatsapp.client.masking import clean_line, mask_id
from airflow_provider_whatsapp.events.kinds import QUESTION_BUTTON
from airflow_provider_whatsapp.events.requests import close_request, find_request, recipients_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_whatsapp.answering.airflow_api import AirflowApi
    from airflow_provider_whatsapp.events.presses import Press
    from airflow_provider_whatsapp.events.requests import Request
    from airflow_provider_whatsapp.events.store import EventStore

logger = logging.getLogger(__name__)

WAITING = ("running", "deferred", "awaiting_input", "scheduled", "queued")
"""States of a task instance that an answer can still reach: it asks, it waits, or it wakes up to remind people."""


class NotTakenError(Exception):
    """A press changes nothing; the text says why."""


class Later(Exception):  # noqa: N818  (not an error: the decision comes later)
    """It is not known yet whether a press counts."""


class Answering:
    """One reader of the presses, whose position is in the store."""

    def __init__(
        self,
        store: EventStore,
        api: AirflowApi,
        *,
        name: str,  # of this Airflow among those that share the store
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._api = api
        self._clock = clock
        self._reader = PressReader(store, prefix=QUESTION_BUTTON, name=f"answer/{name}")

    def look(self) -> int:
        """Decide all presses that can be decided now; return how many answered a request."""
        # If this is stopped in between, a press may be decided twice; Airflow accepts only the first answer.
        return self._reader.look(self._decide)

    def _decide(self, press: Press) -> int | None:
        """Return whether a press answers its request; None: that is not known yet."""
        who = f"{press.who} pressed a button"
        try:
            request, option = self._question(press)
            who = f"{press.who} pressed {clean_line(option)!r} for {_place(request)}"
            self._check_presser(press, request)
            self._answer(press, request, option)
        except Later:
            return None
        except (NotTakenError, RefusedError) as error:
            logger.warning("%s: ignored, because %s", who, error)
            return 0
        logger.info("%s: Airflow has the answer.", who)
        return 1

    def _question(self, press: Press) -> tuple[Request, str]:
        """Return the question that a press answers, and the chosen option."""
        if not press.verified:
            raise NotTakenError(
                "its webhook was not signed; presses count only if the receiver has the app secret"
            )
        parsed = parse_payload(press.payload)
        request = None if parsed is None else find_request(self._store, parsed[0].hash)
        if parsed is None or request is None:
            raise NotTakenError("there is no question with this ID")
        if parsed[1] >= len(request.options):
            raise NotTakenError("the question does not have this option")
        return request, request.options[parsed[1]]

    def _check_presser(self, press: Press, request: Request) -> None:
        """Check the presser by the receipts, in which WhatsApp itself says to whom a message went."""
        if not press.context_id:
            raise NotTakenError("it does not name the message that it answers")
        known = list(recipients_of(self._store, press.context_id))
        if not known and self._clock() - press.received_at < RECEIPT_WAIT:
            raise Later
        if not known:
            raise NotTakenError("no signed receipt says who got its message")
        ours = [each for each in known if each.send_hash == request.send_hash]
        if not ours:
            raise NotTakenError("it answers a message that did not ask this question")
        if not any(press.is_by(each.number, each.user_id) for each in ours):
            raise NotTakenError("the message went to another person")

    def _answer(self, press: Press, request: Request, option: str) -> None:
        if request.expires_at is not None and self._clock() >= request.expires_at:
            raise NotTakenError("the time for answers is over")
        found = self._api.request(request)
        task: Mapping[str, Any] = found["task_instance"] if found is not None else {}
        if found is None or str(task.get("id")) != request.ti_id:
            raise NotTakenError("the task has been cleared or retried since, and asks with other messages")
        params = _params(found, press)
        if found.get("response_received"):
            if found.get("chosen_options") != [option] or found.get("params_input") != params:
                raise NotTakenError(f"the question already has an answer: {_answer_of(found)}")
            # The API's last answer was lost, or this process was stopped before it wrote its position.
            close_request(self._store, request, press)
            return
        if task.get("state") not in WAITING:
            raise NotTakenError("the task no longer waits")
        if option not in found["options"]:
            raise NotTakenError("the request does not have this option")
        self._api.answer(request, option, params, found.get("created_at"))
        close_request(self._store, request, press)


def _params(found: Mapping[str, Any], press: Press) -> dict[str, Any]:
    """Return the request's parameters as they are, with the presser in the parameter for it."""
    declared = found.get("params")
    params = declared if isinstance(declared, dict) else {}
    given = {name: value.get("value") if isinstance(value, dict) else value for name, value in params.items()}
    if not given or ANSWERED_BY in given:
        given[ANSWERED_BY] = f"{press.who} by WhatsApp ({mask_id(press.message_id)})"
    return given


def _answer_of(found: Mapping[str, Any]) -> str:
    """Return what a request was answered with and by whom: who pressed, else Airflow's user, who may be `answer`'s."""
    options = found.get("chosen_options")
    chosen = ", ".join(map(str, options)) if isinstance(options, list) else ""
    params, user = found.get("params_input"), found.get("responded_by_user")
    who = params.get(ANSWERED_BY) if isinstance(params, dict) else None
    who = who or (user.get("name") or "somebody" if isinstance(user, dict) else "the time-out")
    return clean_line(f"{chosen!r} from {who}", limit=200)


def _place(request: Request) -> str:
    mapped = f" [{request.map_index}]" if request.map_index >= 0 else ""
    return clean_line(f"{request.dag_id}.{request.task_id}{mapped}, run {request.run_id}", masked=False)
