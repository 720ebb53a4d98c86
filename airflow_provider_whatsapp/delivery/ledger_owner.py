"""Whose a ledger is, where a try that was given up can still write: each try has a turn, with records of its own."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.delivery.stores import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable


class NoOwner:
    """For a store in which only the present try can write: there is nothing to take, and one set of records."""

    turn = 0

    def take(self) -> None:
        """Take nothing."""

    def check(self) -> None:
        """Find nothing wrong."""


class Owner(NoOwner):
    """
    The mark of the try that a ledger belongs to.

    :param read: Returns a record of the store; None: there is none.
    :param write: Writes a record.
    """

    def __init__(self, read: Callable[[str], Any], write: Callable[[str, Any], None]) -> None:
        self._read = read
        self._write = write
        self.name = uuid.uuid4().hex
        """What distinguishes this try from every other."""

    def take(self) -> None:
        """
        Make the ledger this try's own, also when two begin at once in a store that cannot compare and swap.

        The try that writes the owner last gets a turn, and nobody else gets the same one. The next turn is tried only
        when this one is taken, so a try with a higher turn has written the owner later.

        :raises LedgerError: The store failed, or another try has taken over meanwhile.
        """
        owner = self._read("owner")
        self.turn = owner["turn"] if isinstance(owner, dict) else 1
        while True:
            self._write("owner", self._record())
            if self._read(f"{self.turn}/taken") is None:
                break
            self.turn += 1
        self._write(f"{self.turn}/taken", True)
        self.check()

    def check(self) -> None:
        """
        Make sure that the ledger is still this try's.

        :raises LedgerError: The store failed, or another try has taken over.
        """
        if self._read("owner") != self._record():
            raise LedgerError("another try of this task has taken over", permanent=True)

    def _record(self) -> dict[str, Any]:
        return {"name": self.name, "turn": self.turn}
