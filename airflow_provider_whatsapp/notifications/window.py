"""
A text first, then a template if WhatsApp says that the recipient's customer service window is closed.

Meta seldom refuses such a text at once: it accepts the text, and a moment later its message history says that it could
not deliver it (131047). No template follows a text whose outcome is unknown.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import (
    OutcomeUnknownError,
    RecipientError,
    TemplateError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.masking import place_of
from airflow_provider_whatsapp.client.phone import address
from airflow_provider_whatsapp.delivery.causes import Runs, scope
from airflow_provider_whatsapp.notifications.defaults import ACK_TEMPLATE
from airflow_provider_whatsapp.notifications.records import PAUSE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.client.resources.messages import SentMessage
    from airflow_provider_whatsapp.notifications.recipient_gap import RecipientGaps, Slot

logger = logging.getLogger(__name__)

WINDOW_CLOSED = 131047
SAME_FAILURES = 5
"""Failures in a row, of one cause that is not the recipient's, after which the alert stops sending."""
LOOK_EVERY = 0.5
"""Seconds between two requests for a text's status."""
FIRST_PAUSE = 1.0
"""Seconds before the first retry of a message that the gateway failed to pass on; each pause is twice the last."""

_FAILED_BY_THE_GATEWAY = (500, 502, 503)
"""Statuses of answers that say so. After a lost answer or a 504, the message may have arrived."""

_SAYS_CLOSED = re.compile(r"\b131047\b|re-?engagement", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The outcome of an alert."""

    sent: int = 0  # how many were notified
    handed_over: int = 0  # how many another alert's message will notify
    errors: list[WhatsAppError] = field(default_factory=list)  # why others were not
    missed: tuple[str, ...] = ()  # the recipients whom a later message may reach

    @property
    def failed(self) -> bool:
        """Whether certainly nobody was notified, and no other message reports it."""
        return bool(self.errors) and not self.sent and not self.handed_over

    @property
    def waits(self) -> bool:
        """Whether nobody was notified yet, and another alert's message will do it."""
        return bool(self.handed_over) and not self.sent

    @property
    def doubtful(self) -> bool:
        """Whether somebody may have been notified, though nobody knows."""
        return any(error.sent != "no" for error in self.errors)


def deliver(
    gaps: RecipientGaps, recipients: Sequence[str], send: Callable[[Slot], SentMessage]
) -> Generator[float, None, Delivery]:
    """Send to each recipient, unless nobody can be reached; yields the seconds to wait."""
    sent, handed_over, errors = 0, 0, []
    missed = list(recipients)
    runs = Runs(SAME_FAILURES, varied=False)
    for slot in gaps.of(recipients):
        if slot.wait:
            yield slot.wait
            continue
        if slot.handed_over:
            handed_over += 1
            missed.remove(slot.to)
            continue
        try:
            yield from _attempts(gaps, slot, send)
        except WhatsAppError as error:
            errors.append(error)
            if error.permanent and error.sent == "no" and scope(error, varied=False) == "one":
                missed.remove(slot.to)
            if runs.ends_with(error):
                break
        else:
            sent += 1
            missed.remove(slot.to)
            runs.accepted()
    return Delivery(sent, handed_over, errors, tuple(missed))


def _attempts(
    gaps: RecipientGaps, slot: Slot, send: Callable[[Slot], SentMessage]
) -> Generator[float, None, None]:
    """Send to one recipient; retry after an unknown outcome, while the alert has time; yields the seconds to wait."""
    pause = FIRST_PAUSE
    while True:
        try:
            _send(gaps, slot, send)
        except OutcomeUnknownError as error:
            # The message may have arrived, so do not send another one at once.
            wait = pause if error.http_status in _FAILED_BY_THE_GATEWAY else PAUSE
            if wait > gaps.budget.left():
                gaps.give_back(slot)
                raise
            logger.warning("WhatsApp: %s; the notifier sends the alert again in %g s", error.message, wait)
        except WhatsAppError:
            gaps.give_back(slot)
            raise
        except Exception as error:
            msg = "WhatsApp: the outcome of the alert is unknown; it may have been sent: %s"
            logger.error(msg, place_of(error))  # noqa: TRY400
            gaps.give_back(slot)
            raise OutcomeUnknownError(f"an unexpected {type(error).__name__}") from error
        else:
            gaps.accepted(slot)
            return
        yield wait
        pause *= 2


def _send(gaps: RecipientGaps, slot: Slot, send: Callable[[Slot], SentMessage]) -> None:
    """Send once, and then begin the recipient's gap."""
    try:
        send(slot)
    finally:
        gaps.answered(slot)


class TextFirst:
    """Sends a text, and the template if the text cannot arrive; or only a template."""

    def __init__(
        self,
        send: Callable[[str, Any], SentMessage],
        text: Callable[[Slot], Any] | None,  # None: send only the template
        template: Callable[[Slot], Any] | None,  # None: send only the text
    ) -> None:
        self._send = send
        self._first = text or template
        self._template = template if text else None
        self._texts: dict[str, tuple[str, Slot]] = {}

    def __call__(self, slot: Slot) -> SentMessage:
        """Send to one recipient; raises WhatsAppError if neither was sent, or the outcome is unknown."""
        assert self._first is not None  # noqa: S101  one of the two is always there
        try:
            sent = self._send(address(slot.to), self._first(slot))
        except WhatsAppError as error:
            if self._template is None or error.code != WINDOW_CLOSED or error.sent != "no":
                raise
            logger.info(
                "WhatsApp: a recipient's customer service window is closed; the notifier sends the template"
            )
            return self._send(address(slot.to), self._template(slot))
        self._texts[slot.to] = (sent.message_id, slot)
        return sent

    def follow_up(
        self,
        delivery: Delivery,
        gaps: RecipientGaps,
        status_of: Callable[[str], Mapping[str, Any]],  # from receipts or the message history
        *,
        seconds: float,  # for which to check at most; 0: not at all
    ) -> Generator[float, None, Delivery]:
        """Check the texts, and send the template to people whose window is closed; yields the seconds to wait."""
        template = self._template
        if template is None or seconds <= 0 or not self._texts:
            return delivery
        texts = {to: message_id for to, (message_id, _) in self._texts.items()}
        fates = yield from failures_of(texts, status_of, seconds=seconds)
        failed = [error for error in fates.values() if error.code != WINDOW_CLOSED]
        closed = [to for to, error in fates.items() if error.code == WINDOW_CLOSED]
        if closed:
            logger.info(
                "WhatsApp: the customer service window of %d recipients is closed; the notifier sends the "
                "template",
                len(closed),
            )

        def send(slot: Slot) -> SentMessage:
            _, before = self._texts[slot.to]
            whole = replace(slot.with_more(before.held, before.names), missed=(*before.missed, *slot.missed))
            try:
                return self._send(address(slot.to), template(whole))
            except WhatsAppError:
                gaps.give_back(before)  # the text has not arrived after all
                raise

        again = yield from deliver(gaps, closed, send)
        return Delivery(
            delivery.sent - len(fates) + again.sent,
            delivery.handed_over + again.handed_over,
            [*delivery.errors, *failed, *again.errors],
            (*delivery.missed, *again.missed),
        )


class ButtonsFirst:
    """Sends the template with the buttons, or the alert without them if WhatsApp refuses that template."""

    def __init__(
        self,
        send: Callable[[str, Any], SentMessage],
        template: Callable[[Slot], Message],
        plain: TextFirst,
    ) -> None:
        self._send = send
        self._template = template
        self._plain = plain
        self._refused = False

    def __call__(self, slot: Slot) -> SentMessage:
        """Send to one recipient; raises WhatsAppError if it was not sent, or its outcome is unknown."""
        if self._refused:
            return self._plain(slot)
        try:
            return self._send(address(slot.to), self._template(slot))
        except TemplateError as error:
            if error.sent != "no":
                raise
            self._refused = True
            logger.warning(
                "WhatsApp: the alert is sent without its buttons, because WhatsApp refuses the template %s: %s",
                ACK_TEMPLATE,
                error,
            )
        return self._plain(slot)

    def follow_up(
        self,
        delivery: Delivery,
        gaps: RecipientGaps,
        status_of: Callable[[str], Mapping[str, Any]],
        *,
        seconds: float,
    ) -> Generator[float, None, Delivery]:
        """Check the texts that were sent without buttons, as :meth:`TextFirst.follow_up` does."""
        return (yield from self._plain.follow_up(delivery, gaps, status_of, seconds=seconds))


def failures_of(
    texts: Mapping[str, str], status_of: Callable[[str], Mapping[str, Any]], *, seconds: float
) -> Generator[float, None, dict[str, WhatsAppError]]:
    """Check until each text is sent or has failed; return failures by recipient; yields the seconds to wait."""
    # `texts` has message IDs by recipient; one whose status is still unknown after `seconds` counts as sent.
    waiting = dict(texts)
    failed: dict[str, WhatsAppError] = {}
    until = time.monotonic() + seconds
    while waiting:
        for to, message_id in list(waiting.items()):
            try:
                fact = status_of(message_id)
            except WhatsAppError as error:
                if not error.permanent or (error.code is None and error.http_status is None):
                    continue  # the network failed, or the history does not know the message yet
                logger.warning("WhatsApp does not say whether it delivered the text: %s", error)
                return failed
            if fact["status"] == "failed":
                failed[to] = _failure(str(fact.get("error") or "no reason was given"))
            if fact["status"] != "accepted":
                del waiting[to]
        if not waiting or time.monotonic() + LOOK_EVERY > until:
            break
        yield LOOK_EVERY
    return failed


def _failure(said: str) -> WhatsAppError:
    code = WINDOW_CLOSED if _SAYS_CLOSED.search(said) else None
    return RecipientError("WhatsApp could not deliver the text", code=code, details=said)
