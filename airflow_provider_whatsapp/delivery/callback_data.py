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
    """
    Return the hash of a ledger's key: 22 characters, 128 bits.

    :param names: DAG, run, task and map index.
    """
    digest = hashlib.sha256(json.dumps(names).encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")


def make_callback_data(key: str, epoch: int, position: int) -> str:
    """
    Return the callback data of one message.

    :param key: Hash from :func:`key_hash`.
    :param epoch: The ledger's epoch in which the message leaves.
    :param position: The recipient's position in the list, from 0.
    """
    return f"awp1.{key}.{epoch}.{position}"


def parse_callback_data(text: str) -> tuple[str, int, int] | None:
    """
    Return hash, epoch and position; None: the data is not this package's.

    :param text: The callback data in a status.
    """
    found = _FORM.fullmatch(text)
    return (found[1], int(found[2]), int(found[3])) if found else None


@dataclass(frozen=True, slots=True)
class CallbackData:
    """
    Makes the callback data of each recipient of a task.

    :param key: Hash from :func:`key_hash`.
    :param given: The user's own data, which replaces this package's; None: this package's.
    :param varies: ``"{column}"`` in it is replaced by the row's value.
    :raises PayloadError: The user's own data is empty or too long.
    """

    key: str
    given: str | None = None
    varies: bool = False

    def __post_init__(self) -> None:
        if self.given is not None and not (self.varies and columns(self.given)):
            check_callback_data(fill(self.given, {}) if self.varies else self.given)

    def __call__(self, row: Row, epoch: int) -> str:
        """
        Return the callback data of one recipient's message.

        :param row: The recipient.
        :param epoch: The ledger's epoch in which the message leaves.
        :raises PayloadError: The row has no value for a column, or the filled data is too long.
        """
        if self.given is None:
            return make_callback_data(self.key, epoch, row.position)
        return check_callback_data(fill(self.given, row.values) if self.varies else self.given)
