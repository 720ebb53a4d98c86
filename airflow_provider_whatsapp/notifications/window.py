"""
A text first, and a template where WhatsApp says that the recipient's 24-hour window is closed.

Meta seldom refuses such a text at once: it accepts it, and its message history says a moment later that it could not
be delivered (131047). A message that is merely in doubt is never followed by another.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import OutcomeUnknownError, RecipientError, WhatsAppError
from airflow_provider_whatsapp.delivery.causes import Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_whatsapp.client.resources.messages import SentMessage

logger = logging.getLogger(__name__)

WINDOW_CLOSED = 131047
SAME_FAILURES = 5
"""Failures in a row of the same cause, not the recipient's, that end the sending."""
LOOK_EVERY = 0.5
"""Seconds between two looks at the history."""

_SAYS_CLOSED = re.compile(r"\b131047\b|re-?engagement", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Told:
    """
    What became of an alert.

    :param sent: How many were told.
    :param errors: Why others were not.
    """

    sent: int = 0
    errors: list[WhatsAppError] = field(default_factory=list)

    @property
    def nobody(self) -> bool:
        """Whether certainly nothing was sent, not even perhaps."""
        return not self.sent and all(error.sent == "no" for error in self.errors)


def tell(recipients: Sequence[str], send: Callable[[str], SentMessage]) -> Told:
    """
    Send to each recipient, and go on where one of them cannot be reached, but not where nobody can be.

    :param recipients: Each once.
    :param send: Sends to one of them.
    """
    sent, errors, runs = 0, [], Runs(SAME_FAILURES, varied=False)
    for to in recipients:
        try:
            send(to)
        except WhatsAppError as error:
            errors.append(error)
            if runs.ends_with(error):
                break
        except Exception as error:
            logger.exception("WhatsApp: not known whether the alert was sent")
            errors.append(OutcomeUnknownError(f"an unexpected {type(error).__name__}"))
        else:
            sent += 1
            runs.accepted()
    return Told(sent, errors)


class TextFirst:
    """
    Sends a text, and the template where the text cannot arrive.

    :param send: Sends a message to somebody.
    :param text: The text.
    :param template: Makes the template's message, when it is needed; None: text alone.
    """

    def __init__(
        self, send: Callable[[str, Any], SentMessage], text: Any, template: Callable[[], Any] | None
    ) -> None:
        self._send = send
        self._text = text
        self._template = template
        self.texts: dict[str, str] = {}

    def __call__(self, to: str) -> SentMessage:
        """
        Send to one recipient.

        :param to: The recipient.
        :raises WhatsAppError: Neither was sent, or it is not known.
        """
        try:
            sent = self._send(to, self._text)
        except WhatsAppError as error:
            if self._template is None or error.code != WINDOW_CLOSED or error.sent != "no":
                raise
            logger.info("WhatsApp: the 24-hour window of a recipient is closed; sending the template")
            return self._send(to, self._template())
        self.texts[to] = sent.message_id
        return sent

    def follow_up(self, told: Told, status_of: Callable[[str], Mapping[str, Any]], *, seconds: float) -> Told:
        """
        Look what became of the texts, and send the template to those whose window is closed.

        :param told: What became of the alert so far.
        :param status_of: Asks the message history for one message.
        :param seconds: How long to look at most; 0: not at all.
        """
        if self._template is None or seconds <= 0 or not self.texts:
            return told
        fates = fates_of(self.texts, status_of, seconds=seconds)
        failed = [error for error in fates.values() if error.code != WINDOW_CLOSED]
        again = self._send_template([to for to, error in fates.items() if error.code == WINDOW_CLOSED])
        return Told(told.sent - len(fates) + again.sent, [*told.errors, *failed, *again.errors])

    def _send_template(self, closed: Sequence[str]) -> Told:
        if not closed or self._template is None:
            return Told()
        logger.info("WhatsApp: the 24-hour window of %d is closed; sending the template", len(closed))
        try:
            message = self._template()
        except WhatsAppError as error:
            return Told(0, [error])
        return tell(closed, lambda to: self._send(to, message))


def fates_of(
    texts: Mapping[str, str], status_of: Callable[[str], Mapping[str, Any]], *, seconds: float
) -> dict[str, WhatsAppError]:
    """
    Wait until the history tells of every text that it left or failed, and return the failures by recipient.

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
                logger.warning("WhatsApp does not tell whether the text could be delivered: %s", error)
                return failed
            if fact["status"] == "failed":
                failed[to] = _failure(str(fact.get("error") or "no reason was given"))
            if fact["status"] != "accepted":
                del waiting[to]
        if not waiting or time.monotonic() + LOOK_EVERY > until:
            break
        time.sleep(LOOK_EVERY)
    return failed


def _failure(said: str) -> WhatsAppError:
    code = WINDOW_CLOSED if _SAYS_CLOSED.search(said) else None
    return RecipientError("WhatsApp could not deliver the text", code=code, details=said)
