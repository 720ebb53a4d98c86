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
from airflow_provider_whatsapp.client.phone import address
from airflow_provider_whatsapp.delivery.causes import Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from airflow_provider_whatsapp.client.resources.messages import SentMessage
    from airflow_provider_whatsapp.notifications.turns import Turn, Turns

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
    :param handed_over: How many will be told by another alert's message.
    :param errors: Why others were not.
    """

    sent: int = 0
    handed_over: int = 0
    errors: list[WhatsAppError] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether certainly nothing was sent, not even perhaps, and nobody else tells of it."""
        anything = self.sent or self.handed_over or any(error.sent != "no" for error in self.errors)
        return bool(self.errors) and not anything


def tell(
    turns: Turns, recipients: Sequence[str], send: Callable[[Turn], SentMessage]
) -> Generator[float, None, Told]:
    """
    Send to each recipient, and go on where one of them cannot be reached, but not where nobody can be.

    Yields the seconds to wait before it goes on.

    :param turns: Says when whom.
    :param recipients: Each once.
    :param send: Sends to one of them.
    """
    sent, handed_over, errors = 0, 0, []
    runs = Runs(SAME_FAILURES, varied=False)
    for turn in turns.of(recipients):
        if turn.wait:
            yield turn.wait
            continue
        if turn.handed_over:
            handed_over += 1
            continue
        try:
            send(turn)
        except WhatsAppError as error:
            errors.append(error)
            if error.sent == "no":
                turns.give_back(turn)
            if runs.ends_with(error):
                break
        except Exception as error:
            logger.exception("WhatsApp: not known whether the alert was sent")
            errors.append(OutcomeUnknownError(f"an unexpected {type(error).__name__}"))
        else:
            sent += 1
            runs.accepted()
    return Told(sent, handed_over, errors)


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
        text: Callable[[Turn], Any] | None,
        template: Callable[[Turn], Any] | None,
    ) -> None:
        self._send = send
        self._first = text or template
        self._template = template if text else None
        self._texts: dict[str, tuple[str, Turn]] = {}

    def __call__(self, turn: Turn) -> SentMessage:
        """
        Send to one recipient.

        :param turn: Who, and the others to tell of.
        :raises WhatsAppError: Neither was sent, or it is not known.
        """
        assert self._first is not None  # noqa: S101  one of the two is always there
        try:
            sent = self._send(address(turn.to), self._first(turn))
        except WhatsAppError as error:
            if self._template is None or error.code != WINDOW_CLOSED or error.sent != "no":
                raise
            logger.info("WhatsApp: the 24-hour window of a recipient is closed; sending the template")
            return self._send(address(turn.to), self._template(turn))
        self._texts[turn.to] = (sent.message_id, turn)
        return sent

    def follow_up(
        self, told: Told, turns: Turns, status_of: Callable[[str], Mapping[str, Any]], *, seconds: float
    ) -> Generator[float, None, Told]:
        """
        Look what became of the texts, and send the template to those whose window is closed.

        Yields the seconds to wait before it goes on.

        :param told: What became of the alert so far.
        :param turns: Says when whom: the text was a message to them as well.
        :param status_of: Asks the message history for one message.
        :param seconds: How long to look at most; 0: not at all.
        """
        template = self._template
        if template is None or seconds <= 0 or not self._texts:
            return told
        texts = {to: message_id for to, (message_id, _) in self._texts.items()}
        fates = yield from fates_of(texts, status_of, seconds=seconds)
        failed = [error for error in fates.values() if error.code != WINDOW_CLOSED]
        closed = [to for to, error in fates.items() if error.code == WINDOW_CLOSED]
        if closed:
            logger.info("WhatsApp: the 24-hour window of %d is closed; sending the template", len(closed))

        def send(turn: Turn) -> SentMessage:
            _, before = self._texts[turn.to]
            return self._send(address(turn.to), template(turn.with_more(before.held, before.names)))

        again = yield from tell(turns, closed, send)
        sent = told.sent - len(fates) + again.sent
        return Told(sent, told.handed_over + again.handed_over, [*told.errors, *failed, *again.errors])


def fates_of(
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
                logger.warning("WhatsApp does not tell whether the text could be delivered: %s", error)
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
