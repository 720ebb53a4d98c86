"""
A text first, and a template where WhatsApp says that the recipient's 24-hour window is closed.

Meta seldom refuses such a text at once: it accepts it, and its message history says a moment later that it could not
be delivered (131047). A message that is merely in doubt is never followed by another.
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
from airflow_provider_whatsapp.notifications.records import PAUSE
from airflow_provider_whatsapp.notifications.wording import ACK_TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from airflow_provider_whatsapp.client.messages import Message
    from airflow_provider_whatsapp.client.resources.messages import SentMessage
    from airflow_provider_whatsapp.notifications.recipient_gap import RecipientGaps, Slot

logger = logging.getLogger(__name__)

WINDOW_CLOSED = 131047
SAME_FAILURES = 5
"""Failures in a row of the same cause, not the recipient's, that end the sending."""
LOOK_EVERY = 0.5
"""Seconds between two looks at the history."""
FIRST_PAUSE = 1.0
"""Seconds after which a message is sent again that the gateway has failed to pass on; each next pause is doubled."""

_FAILED_BY_THE_GATEWAY = (500, 502, 503)
"""Answers that say so. A lost answer and a 504 say nothing: the message may be there."""

_SAYS_CLOSED = re.compile(r"\b131047\b|re-?engagement", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    What became of an alert.

    :param sent: How many were notified.
    :param handed_over: How many another alert's message will notify.
    :param errors: Why others were not.
    :param missed: Whom a later message may reach.
    """

    sent: int = 0
    handed_over: int = 0
    errors: list[WhatsAppError] = field(default_factory=list)
    missed: tuple[str, ...] = ()

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
    """
    Send to each recipient, and go on where one of them cannot be reached, but not where nobody can be.

    Yields the seconds to wait before it goes on.

    :param gaps: Says when whom.
    :param recipients: Each once.
    :param send: Sends to one of them.
    """
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
    """
    Send to one recipient, and again after an outcome that is not known, while the alert has time.

    Yields the seconds to wait before it goes on.

    :param gaps: Record what the message names besides.
    :param slot: Who.
    :param send: Sends.
    :raises WhatsAppError: It was not sent, or it is not known.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            _send(gaps, slot, send)
        except OutcomeUnknownError as error:
            # What may be there already is not followed by another at once.
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
    """Send once, and begin the recipient's gap where it ends."""
    try:
        send(slot)
    finally:
        gaps.answered(slot)


class TextFirst:
    """
    Sends a text, and the template where the text cannot arrive; or a template alone.

    :param send: Sends a message to somebody.
    :param text: Makes the text that tells of a turn's others as well; None: the template alone.
    :param template: Makes the template's message; None: the text alone.
    """

    def __init__(
        self,
        send: Callable[[str, Any], SentMessage],
        text: Callable[[Slot], Any] | None,
        template: Callable[[Slot], Any] | None,
    ) -> None:
        self._send = send
        self._first = text or template
        self._template = template if text else None
        self._texts: dict[str, tuple[str, Slot]] = {}

    def __call__(self, slot: Slot) -> SentMessage:
        """
        Send to one recipient.

        :param slot: Who, and the others to tell of.
        :raises WhatsAppError: Neither was sent, or it is not known.
        """
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
        status_of: Callable[[str], Mapping[str, Any]],
        *,
        seconds: float,
    ) -> Generator[float, None, Delivery]:
        """
        Look what became of the texts, and send the template to those whose window is closed.

        Yields the seconds to wait before it goes on.

        :param delivery: What became of the alert so far.
        :param gaps: Says when whom: the text was a message to them as well.
        :param status_of: Asks the message history for one message.
        :param seconds: How long to look at most; 0: not at all.
        """
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
                gaps.give_back(before)  # the text has reached nobody after all
                raise

        again = yield from deliver(gaps, closed, send)
        return Delivery(
            delivery.sent - len(fates) + again.sent,
            delivery.handed_over + again.handed_over,
            [*delivery.errors, *failed, *again.errors],
            (*delivery.missed, *again.missed),
        )


class ButtonsFirst:
    """
    Sends the template with the buttons, and the alert without them where the account's template is not fit for use.

    :param send: Sends a message to somebody.
    :param template: Makes the message with the buttons.
    :param plain: Sends without them.
    """

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
        """
        Send to one recipient.

        :param slot: Who, and the others to tell of.
        :raises WhatsAppError: It was not sent, or it is not known.
        """
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
        """
        Look after what went without buttons, as :meth:`TextFirst.follow_up` does.

        :param delivery: What became of the alert so far.
        :param gaps: Says when whom.
        :param status_of: Asks the message history for one message.
        :param seconds: How long to look at most.
        """
        return (yield from self._plain.follow_up(delivery, gaps, status_of, seconds=seconds))


def failures_of(
    texts: Mapping[str, str], status_of: Callable[[str], Mapping[str, Any]], *, seconds: float
) -> Generator[float, None, dict[str, WhatsAppError]]:
    """
    Look until the history tells of every text that it left or failed, and return the failures by recipient.

    Yields the seconds to wait before it looks again.

    :param texts: wamids by recipient.
    :param status_of: Asks the message history for one message.
    :param seconds: How long at most; what is not known then counts as sent.
    """
    waiting = dict(texts)
    failed: dict[str, WhatsAppError] = {}
    until = time.monotonic() + seconds
    while waiting:
        for to, message_id in list(waiting.items()):
            try:
                fact = status_of(message_id)
            except WhatsAppError as error:
                if not error.permanent or (error.code is None and error.http_status is None):
                    continue  # a gap in the line, or the history does not know the message yet
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
