"""
The ledger: the claims and results of a delivery, with which no crash sends twice or loses anybody.

The rule: a claim is durable before its request leaves, and a result is written after the answer came. A claim without
a result when a later try begins is *unknown*: the message may have left.

Recipients are identified by their position in the source, which is read in the same order each time (a digest ensures
that). One record, the head, contains how far the claims have got, the claimed positions, and notes on recipients who
were not simply sent to. A recipient before that mark without claim or note was sent to. So the ledger's size depends on
what is in flight and what failed, and it contains no phone number, unless it keeps message IDs (short lists).

If a try that was given up can still write (files), each try has its own turn with its own records, such as ``3/head``.
A try writes its claims, then checks whether the ledger is still its own; the next try first makes the ledger its own,
then reads. So either the next try finds the claims, or they are not sent. A late write goes to a head that no try reads
any more.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_whatsapp.delivery.ledger_owner import NoOwner, Owner
from airflow_provider_whatsapp.delivery.notes import LOST, Job, Note, Try
from airflow_provider_whatsapp.delivery.retry_policy import BEGINS, STARTS_OVER, Begin, Found, cause_of
from airflow_provider_whatsapp.delivery.stores import PAUSES, LedgerError, Store, attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["LOST", "Begin", "Job", "Ledger", "LedgerError", "Note", "SourceChangedError", "Try"]

VERSION = 1
HEAD_NOTES = 12_000
"""The most bytes of notes in the head; beyond that they move to separate records, because the head is written with
every group."""
CHUNK = 40_000
"""The most bytes of notes in a record; stores accept 64 kB per value."""
MEMO_DAYS = 25
"""Days for which the ID of an upload is reused; WhatsApp keeps the file for 30 days."""


class SourceChangedError(LedgerError):
    """The recipients or the message differ from those that an earlier try began to send."""

    default_permanent = True


class Ledger:
    """The record of one task's delivery, for one thread at a time."""

    def __init__(
        self,
        store: Store,
        *,
        remember_sent: bool = False,  # also keep the message IDs of sent messages; only for short lists
        clock: Callable[[], float] = time.time,  # returns seconds since 1970
        pauses: Sequence[float] = PAUSES,  # seconds before each further try at a store that fails
    ) -> None:
        self.store = store
        self.remember_sent = remember_sent
        self.behind = False
        """Whether the end could not be written, so that a later try does not find the last kept values."""
        self._clock = clock
        self._pauses = pauses
        self._owner = NoOwner() if store.exclusive else Owner(self._read, self._write)
        self._head: dict[str, Any] = {}
        self._marks: dict[str, int] = {}
        self._claimed: set[int] = set()
        self._earlier: dict[int, Note] = {}
        self._notes: list[list[Any]] = []

    @property
    def durable(self) -> bool:
        """Whether a later try will find the ledger."""
        return self.store.durable

    @property
    def epoch(self) -> int:
        """A number that no earlier try had; this try's messages carry it."""
        return int(self._head.get("epoch", 0))

    @property
    def since(self) -> int:
        """The first epoch that counts: messages of earlier ones left before a clear that sends to everybody again."""
        return int(self._head.get("since", 0))

    @property
    def claimed(self) -> int:
        """The number of claims without a result."""
        return len(self._claimed)

    @property
    def sent(self) -> int:
        """The number of recipients who were sent to, including those of earlier tries."""
        return int(self._head.get("sent", 0))

    @property
    def unknown(self) -> int:
        """The number of recipients for whom an earlier try left no result."""
        return len(self.unknown_positions)

    @property
    def unknown_positions(self) -> list[int]:
        """The positions for which an earlier try left no result."""
        return [position for position, note in self._earlier.items() if note.status == "unknown"]

    def begin(self, job: Job, this: Try, *, resend_on_clear: bool = False) -> Begin:
        """Read what earlier tries have left, and return how to continue."""
        # Raises SourceChangedError if an earlier try began to send something else, and LedgerError if the store failed,
        # its content is not a ledger, or another try has taken over.
        self._owner.take()
        found = self._find(job)
        cleared = found != "nothing" and this.max_tries != self._head["max_tries"]
        begin = BEGINS[found][cause_of(cleared=cleared, resend_on_clear=resend_on_clear)]
        if begin == "refuse":
            raise self._changed(job.source)
        if begin in STARTS_OVER:
            self._start(job, this)
            return begin
        self._head |= {
            "epoch": self._next_epoch(this),
            "try": this.number,
            "max_tries": this.max_tries,
            "finished": None,
        }
        return begin

    def _find(self, job: Job) -> Found:
        """Load what earlier tries have left, and return how it relates to this job."""
        if not self._load():
            return "nothing"
        if self._is_same_list(job.source) and job.message == self._head["message"]:
            return "same"
        return "changed_after_sends" if self._may_have_sent() else "changed"

    def _may_have_sent(self) -> bool:
        return bool(self.sent or self.unknown)

    def reopen(self, source: str) -> None:
        """Read what this try has written, to report it; nothing will be sent."""
        self._owner.take()
        if not self._load():
            raise LedgerError(
                f"{self.store.name} has nothing of this try: another try took over", permanent=True
            )
        if not self._is_same_list(source) and self._may_have_sent():
            raise self._changed(source)

    def sent_messages(self) -> dict[str, tuple[int, int]]:
        """Return position and epoch of each message with a known ID, by that ID."""
        return {
            note.facts["message_id"]: (position, note.facts.get("epoch", 0))
            for position, note in self._earlier.items()
            if note.status == "sent" and "message_id" in note.facts
        }

    def note_failure(self, position: int, epoch: int, note: Note) -> bool:
        """Record that a message of an epoch failed after WhatsApp had accepted it; return whether that was new."""
        known = self._earlier.get(position)
        if known and (known.status != "sent" or known.facts.get("epoch", 0) > epoch):
            return False
        self._head["sent"] = max(0, self.sent - 1)
        self._earlier[position] = note
        self._keep(position, note)
        return True

    def _next_epoch(self, this: Try) -> int:
        # A deferred task comes back as the same try; a store that forgets knows only the number of the try.
        return max(self._owner.turn, self.epoch + 1, this.number)

    def _start(self, job: Job, this: Try) -> None:
        self._head = {
            "v": VERSION,
            "epoch": self._next_epoch(this),
            "since": self._next_epoch(this),
            "source": job.source,
            "message": job.message,
            "total": job.total,
            "try": this.number,
            "max_tries": this.max_tries,
            "chunks": 0,
            "sent": 0,
            "memo": {},
            "finished": None,
        }
        self._marks, self._claimed, self._earlier = {}, set(), {}
        self._notes, self._size = [], 0

    def _load(self) -> bool:
        """Load the last head, and return whether there is one; a turn may have none. Turn 0's keys have no number."""
        earlier = [0] if self.store.exclusive else range(self._owner.turn - 1, -1, -1)
        for turn in earlier:
            head = self._read(_key(turn, "head"))
            if head is not None:
                self._adopt(head, turn)
                return True
        return False

    def _adopt(self, head: Any, turn: int) -> None:
        if not isinstance(head, dict) or head.get("v") != VERSION:
            raise LedgerError(
                f"{self.store.name} contains something that is not a ledger of this version",
                permanent=True,
                advice="Finish the task with the version of the provider that began it, or delete the entry.",
            )
        self._head = dict(head)  # every flush replaces the marks, claims and notes in it
        self._marks = dict(head["marks"])
        rows: list[Any] = []
        for number in range(head["chunks"]):
            key = _key(turn, f"notes/{number}")
            chunk = self._read(key)
            if chunk is None:
                raise LedgerError(f"{self.store.name} has lost a part ({key})", permanent=True)
            rows += chunk
        self._notes = list(head["notes"])
        self._earlier = {position: Note(*rest) for position, *rest in [*rows, *self._notes]}
        if turn != self._owner.turn:  # that try may still write to its records, so this one uses none of them
            self._head["chunks"] = 0
            self._notes = [_row(position, note) for position, note in self._earlier.items()]
        self._size = len(json.dumps(self._notes))
        lost = replace(LOST, facts=LOST.facts | ({"epoch": self.epoch} if self.epoch else {}))
        for position in head["claimed"]:
            self._earlier[position] = lost
            self._keep(position, lost)

    def _is_same_list(self, source: str) -> bool:
        """Return whether it is the list that was begun; earlier versions did not record which rows were malformed."""
        begun = self._head["source"]
        return bool(begun == source or begun == source.partition(".")[0])

    def _changed(self, source: str) -> SourceChangedError:
        what = "message" if self._is_same_list(source) else "list of recipients"
        return SourceChangedError(
            f"the {what} is not the one that an earlier try began to send: {self.sent} of {self._head['total']} have "
            f"been sent, {self.unknown} are unknown",
            advice="Put it back as it was, or clear the task with resend_on_clear=True to start over. Arguments that "
            "change from try to try (the present time, the try's number) do this as well.",
        )

    def look_up(self, position: int, group: str = "") -> Note | Literal["sent"] | None:
        """Return what earlier tries know of a recipient; None: the recipient was never claimed."""
        note = self._earlier.get(position)
        if note is not None:
            return note
        return "sent" if position < self._marks.get(group, 0) else None  # positions in a group only rise

    def claim(self, rows: Iterable[tuple[int, str]]) -> None:
        """Claim recipients; their requests may leave only after :meth:`flush` has returned."""
        for position, group in rows:
            self._claimed.add(position)
            self._marks[group] = max(self._marks.get(group, 0), position + 1)

    def record(self, position: int, note: Note) -> None:
        """Accept a result; the next :meth:`flush` makes it durable."""
        self._claimed.discard(position)
        earlier = self._earlier.pop(position, None)
        if note.status == "sent":
            self._head["sent"] += 1
        if note.status != "sent" or earlier is not None or self.remember_sent:
            left = note.status in ("sent", "unknown")
            self._keep(position, replace(note, facts={"epoch": self.epoch} | note.facts) if left else note)

    def _keep(self, position: int, note: Note) -> None:
        row = _row(position, note)
        self._notes.append(row)
        self._size += len(json.dumps(row)) + 2

    def memo(self, key: str) -> str | None:
        """Return a value that an earlier try kept, such as an upload's ID; None: there is none, or it is too old."""
        value, kept_at = self._head["memo"].get(key, (None, 0))
        return value if self._clock() - kept_at < MEMO_DAYS * 86_400 else None

    def keep(self, key: str, value: str) -> None:
        """Keep a value for later tries; the next :meth:`flush` makes it durable."""
        self._head["memo"][key] = [value, int(self._clock())]

    def flush(self) -> None:
        """Write results and claims; claimed recipients may be sent to once this method has returned."""
        # After a LedgerError nothing that was claimed since the last flush may leave.
        if self._size > HEAD_NOTES:
            self._move_notes()
        head = {
            **self._head,
            "marks": self._marks,
            "claimed": sorted(self._claimed),
            "notes": self._notes,
        }
        self._write(_key(self._owner.turn, "head"), head)
        # After the write: a try that takes over later finds these claims.
        self._owner.check()

    def _move_notes(self) -> None:
        """Write the head's notes to separate records, which count once the head that lists them is written."""
        while self._notes:
            size, count = 0, 0
            while count < len(self._notes) and size < CHUNK:
                size += len(json.dumps(self._notes[count]))
                count += 1
            self._write(_key(self._owner.turn, f"notes/{self._head['chunks']}"), self._notes[:count])
            self._head["chunks"] += 1
            self._notes = self._notes[count:]
        self._size = 0

    def _read(self, key: str) -> Any:
        what = f"{self.store.name} could not be read"
        return attempt(lambda: self.store.get(key), what, self._pauses)

    def _write(self, key: str, value: Any) -> None:
        attempt(lambda: self.store.set(key, value), f"{self.store.name} could not be written", self._pauses)

    def finish(self, outcome: str) -> None:
        """Record that every recipient has an outcome, and how the task ends."""
        self._head["finished"] = outcome
        self.behind = True
        self.flush()
        self.behind = False


def _key(turn: int, name: str) -> str:
    return f"{turn}/{name}" if turn else name


def _row(position: int, note: Note) -> list[Any]:
    return [position, note.status, note.facts, note.again]
