"""One message to one or several recipients, each at most once, and what became of each."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.errors import (
    OutcomeUnknownError,
    PayloadError,
    RecipientError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.phone import mask, recipient_key
from airflow_provider_whatsapp.delivery.report import Outcome, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_provider_whatsapp.client.resources.messages import SentMessage

logger = logging.getLogger(__name__)

MAX_SHOWN = 5
"""Bad recipients that one error names."""
_SEPARATORS = re.compile(r"[,;\n]")


def read_recipients(to: str | Iterable[str]) -> list[str]:
    """
    Check recipients before anything is sent, and drop those that are named twice.

    :param to: One number or user id, or several: a list, or a string that parts them by commas or semicolons.
    :return: Each once, in the form that reports use: digits, or the id.
    :raises PayloadError: There is none, or some are malformed; the error names their places, masked.
    """
    given = [part for part in _SEPARATORS.split(to) if part.strip()] if isinstance(to, str) else list(to)
    if not given:
        raise PayloadError(
            "is empty", field="to", advice="Pass a number in international form, or a list of them."
        )
    recipients: dict[str, None] = {}
    wrong: list[tuple[int, PayloadError]] = []
    for place, number in enumerate(given):
        try:
            recipients[recipient_key(number)] = None
        except PayloadError as error:
            wrong.append((place, error))
    if wrong:
        raise _all_wrong(wrong, len(given))
    return list(recipients)


def _all_wrong(wrong: Sequence[tuple[int, PayloadError]], total: int) -> PayloadError:
    first = wrong[0][1]
    if total == 1:
        return first
    places = ", ".join(f"to[{place}]" for place, _ in wrong[:MAX_SHOWN]) + (
        ", ..." if len(wrong) > MAX_SHOWN else ""
    )
    problem = f"{len(wrong)} of {total} recipients are malformed ({places}); the first: {first.message}"
    return PayloadError(problem, field="to", advice=first.advice)


def deliver(recipients: Sequence[str], send: Callable[[str], SentMessage]) -> Report:
    """
    Send to each recipient once, and go on where one of them cannot be reached.

    An error that every other recipient would meet as well (a bad template, a bad key, the account, no connection)
    ends it; the recipients that are left are skipped.

    :param recipients: Checked by :func:`read_recipients`.
    :param send: Sends to one of them.
    """
    report = Report()
    for place, to in enumerate(recipients):
        outcome = _deliver_one(to, send)
        report.outcomes.append(outcome)
        if outcome.error is not None and not _is_this_recipients(outcome.error):
            report.outcomes += [Outcome(rest, "skipped") for rest in recipients[place + 1 :]]
            break
    return report


def _deliver_one(to: str, send: Callable[[str], SentMessage]) -> Outcome:
    try:
        sent = send(to)
    except OutcomeUnknownError as error:
        logger.error("Not known whether the message to %s was sent: %s", mask(to), error)  # noqa: TRY400
        return Outcome(to, "unknown", error=error)
    except WhatsAppError as error:
        logger.error("Not sent to %s: %s", mask(to), error)  # noqa: TRY400  the error says all that a trace would
        return Outcome(to, "failed", error=error)
    logger.info("WhatsApp accepted the message to %s: %s", mask(to), sent.message_id)
    return Outcome(to, "sent", sent=sent)


def _is_this_recipients(error: WhatsAppError) -> bool:
    return isinstance(error, RecipientError | OutcomeUnknownError)
