"""What stands behind a reply button: an ID that nobody can guess, and which of the options it is."""

from __future__ import annotations

import re

from airflow_provider_whatsapp.events.kinds import QUESTION_BUTTON
from airflow_provider_whatsapp.events.presses import SECRET, SecretId

ANSWERED_BY = "answered_by"
"""Parameter of a request in which Airflow's page shows who pressed."""
MAX_OPTIONS = 10
"""Options of a request: rows of a list (Meta, interactive lists); a template has up to ten buttons as well."""
_FORM = re.compile(rf"{re.escape(QUESTION_BUTTON)}({SECRET})\.([0-9])", re.ASCII)


class RequestId(SecretId):
    """The ID behind the buttons of one message's question."""

    __slots__ = ()

    def payload(self, option: int) -> str:
        """
        Return what stands behind the button of an option.

        :param option: Its place among the options, from 0 to 9.
        """
        return f"{QUESTION_BUTTON}{self.secret}.{option}"


def parse_payload(text: str) -> tuple[RequestId, int] | None:
    """
    Return the ID and the option's place; None where the payload is none of ours.

    :param text: What a press repeats.
    """
    found = _FORM.fullmatch(text)
    return (RequestId(found[1]), int(found[2])) if found else None
