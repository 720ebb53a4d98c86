"""The payload of a reply button: an ID that nobody can guess, and the number of the option."""

from __future__ import annotations

import re

from airflow_provider_whatsapp.events.kinds import QUESTION_BUTTON
from airflow_provider_whatsapp.events.presses import SECRET, SecretId

ANSWERED_BY = "answered_by"
"""Name of the request's parameter in which Airflow's page shows who pressed."""
MAX_OPTIONS = 10
"""The most options of a request: rows of a list (Meta, interactive lists); a template has up to ten buttons too."""
_FORM = re.compile(rf"{re.escape(QUESTION_BUTTON)}({SECRET})\.([0-9])", re.ASCII)


class RequestId(SecretId):
    """The ID behind the buttons of one message's question."""

    __slots__ = ()

    def payload(self, option: int) -> str:
        """Return the payload of an option's button; the option is an index from 0 to 9."""
        return f"{QUESTION_BUTTON}{self.secret}.{option}"


def parse_payload(text: str) -> tuple[RequestId, int] | None:
    """Return the ID and the option's index; None: the payload is not this package's."""
    found = _FORM.fullmatch(text)
    return (RequestId(found[1]), int(found[2])) if found else None
