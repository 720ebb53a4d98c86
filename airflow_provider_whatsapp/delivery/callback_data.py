"""
A message's ``biz_opaque_callback_data``: Meta repeats it in every status, so any receipt finds its send.

It identifies nobody: ``awp1.<hash of the ledger's key>.<epoch of the ledger>.<position in the list>``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_whatsapp.client.resources.messages import check_callback_data
from airflow_provider_whatsapp.delivery.fill import columns, fill

if TYPE_CHECKING:
    from airflow_provider_whatsapp.delivery.recipients import Row

_FORM = re.compile(r"awp1\.([A-Za-z0-9_-]{22})\.([0-9]{1,9})\.([0-9]{1,9})", re.ASCII)


def key_hash(*names: str) -> str:
    """Return the hash of a ledger's key (DAG, run, task and map index): 22 characters, 128 bits."""
    digest = hashlib.sha256(json.dumps(names).encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")


def make_callback_data(key: str, epoch: int, position: int) -> str:
    """Return the callback data of a message that leaves in an epoch; the key is from :func:`key_hash`."""
    return f"awp1.{key}.{epoch}.{position}"  # positions begin at 0


def parse_callback_data(text: str) -> tuple[str, int, int] | None:
    """Return hash, epoch and position; None: the data is not this package's."""
    found = _FORM.fullmatch(text)
    return (found[1], int(found[2]), int(found[3])) if found else None


@dataclass(frozen=True, slots=True)
class CallbackData:
    """Makes the callback data of each recipient of a task; the user's own data must be neither empty nor too long."""

    key: str  # from key_hash
    given: str | None = None  # the user's own data; None: this package's
    varies: bool = False  # "{column}" in the user's data is replaced by the row's value

    def __post_init__(self) -> None:
        if self.given is not None and not (self.varies and columns(self.given)):
            check_callback_data(fill(self.given, {}) if self.varies else self.given)

    def __call__(self, row: Row, epoch: int) -> str:
        """Return a recipient's callback data; raises PayloadError if a value is missing or the data is too long."""
        if self.given is None:
            return make_callback_data(self.key, epoch, row.position)
        return check_callback_data(fill(self.given, row.values) if self.varies else self.given)
