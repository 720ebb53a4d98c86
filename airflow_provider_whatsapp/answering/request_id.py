"""What stands behind a reply button: an ID that nobody can guess, and which of the options it is."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field

PREFIX = "awr1."
"""Begins the payload of every reply button of this package, and of nothing else."""
ANSWERED_BY = "answered_by"
"""Parameter of a request in which Airflow's page shows who pressed."""
MAX_OPTIONS = 10
"""Options of a request: rows of a list (Meta, interactive lists); a template has up to ten buttons as well."""
_FORM = re.compile(r"awr1\.([A-Za-z0-9_-]{32})\.([0-9])", re.ASCII)


@dataclass(frozen=True, slots=True)
class RequestId:
    """
    The ID of one message's question. It is a secret: only the message holds it, and the event store its hash.

    :param secret: 192 random bits.
    """

    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> RequestId:
        """Return one that nobody has had before."""
        return cls(secrets.token_urlsafe(24))

    @property
    def hash(self) -> str:
        """What the event store knows it by: 43 characters."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.secret.encode()).digest()).decode().rstrip("=")

    def payload(self, option: int) -> str:
        """
        Return what stands behind the button of an option.

        :param option: Its place among the options, from 0 to 9.
        """
        return f"{PREFIX}{self.secret}.{option}"


def parse_payload(text: str) -> tuple[RequestId, int] | None:
    """
    Return the ID and the option's place; None where the payload is none of ours.

    :param text: What a press repeats.
    """
    found = _FORM.fullmatch(text)
    return (RequestId(found[1]), int(found[2])) if found else None
