"""Who owns a ledger, if a try that was given up can still write: each try has its own turn, with its own records."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.delivery.stores import LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable


class NoOwner:
    """For a store in which only the present try can write: it needs no ownership, and one set of records."""

    turn = 0

    def take(self) -> None:
        """Do nothing, because the ledger has no owner."""

    def check(self) -> None:
        """Do nothing, because no other try can take over."""


class Owner(NoOwner):
    """The ownership of a ledger by a try."""

    def __init__(self, read: Callable[[str], Any], write: Callable[[str, Any], None]) -> None:
        self._read = read
        self._write = write
        self.name = uuid.uuid4().hex
        """A text that distinguishes this try from every other one."""

    def take(self) -> None:
        """Make the ledger this try's own, even if two tries begin together in a store without compare-and-swap."""
        # The try that writes the owner last gets a turn, which no other try gets. A try takes the next turn only if
        # this one is taken, so a try with a higher turn has written the owner later.
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
        """Check that the ledger is still this try's."""
        if self._read("owner") != self._record():
            raise LedgerError("another try of this task has taken over", permanent=True)

    def _record(self) -> dict[str, Any]:
        return {"name": self.name, "turn": self.turn}
