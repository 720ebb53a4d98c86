"""
The gap between two messages to one person: WhatsApp requires six seconds, on any subject (131056).

If a recipient got a message a moment ago, the next alert waits for the gap. Alerts that come while one is waiting hand
their names over to it. So a hundred tasks that fail together cause two messages: one at once, and six seconds later one
that reports the others. WhatsApp allows bursts of up to 45 messages, so an alert that has waited long enough is sent in
any case.

WhatsApp counts from the moment at which a message arrives, which may be seconds after it left: on a busy machine, or
with a slow connection. So a message in flight holds its recipient, and the gap begins with its answer.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_whatsapp.client.phone import mask
from airflow_provider_whatsapp.notifications.missed import (
    Missed,
    Undelivered,
    entries_of,
    on_leave,
    on_strike,
    on_take,
)
from airflow_provider_whatsapp.notifications.records import Held, Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_whatsapp.notifications.throttle_state import ThrottleState
    from airflow_provider_whatsapp.notifications.time_budget import TimeBudget

T = TypeVar("T")

IN_FLIGHT = 1.0
"""Gaps for which a message in flight holds its recipient, at most: its process may have died."""
CLOCKS = 1.0
"""Gaps by which machines' clocks may differ; a wrong clock wrote a time that is further away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller(Held):
    """An alert that is about to be sent; its own message or another alert's reports its failures, ``held``."""

    names_others: bool  # its message can name other failures
    may_be_handed_over: bool  # another alert's message may report it
    gap: float  # seconds between two messages to one person; 0: none
    token: str
    key: str = ""
    room: int = 1000  # characters that its message has for the names of others


@dataclass(frozen=True, slots=True)
class Slot(Held):
    """What an alert has to do about one person; its message should report other alerts' failures, ``held``."""

    to: str = field(default="", repr=False)
    wait: float = 0.0  # seconds to wait
    handed_over: bool = False  # another alert's message reports this one
    missed: tuple[Missed, ...] = ()  # by the person, because earlier messages did not arrive
    holds_until: float = 0.0  # Unix time in seconds until which the message in flight holds the person


def on_slot(
    person: Person, caller: Caller, to: str, *, now: float, may_wait: bool = True
) -> tuple[Person, Slot]:
    """Decide at a Unix time in seconds about a message to a person; one that may not wait is sent."""
    wait = person.free_at - now
    if not 0 < wait <= (1.0 + IN_FLIGHT + CLOCKS) * caller.gap or not may_wait:
        until = now + (1.0 + IN_FLIGHT) * caller.gap
        gone = replace(person, free_at=until, teller="")
        if not caller.names_others:
            return gone, Slot(to, holds_until=until)
        return gone, Slot(to, held=person.held, names=person.names, holds_until=until)
    if caller.may_be_handed_over and person.teller not in ("", caller.token):
        return person.with_more(caller.held, caller.names), Slot(to, handed_over=True)
    teller = person.teller or (caller.token if caller.names_others else "")
    # The answer to a message in flight usually comes long before its hold ends, so wait for one gap at most.
    return replace(person, teller=teller), Slot(to, wait=min(wait, caller.gap))


def on_taken(person: Person, slot: Slot) -> tuple[Person, None]:
    """Remove the failures that were handed over to a message, once they are recorded as what it names."""
    # Others may have been handed over since.
    rest = max(0, person.held - slot.held)
    return replace(person, held=rest, names=person.names[len(slot.names) :]), None


def on_answer(person: Person, slot: Slot, gap: float, *, now: float) -> tuple[Person, None]:
    """Begin the gap after a message: by now it has arrived, if it ever does."""
    # `gap` is in seconds, `now` is Unix time in seconds.
    # A time other than the slot's own is that of another message, which did not wait.
    others = 0.0 if person.free_at == slot.holds_until else person.free_at
    return replace(person, free_at=max(others, now + gap)), None


class RecipientGaps:
    """The slots of one alert for its recipients, and what they have missed."""

    def __init__(
        self,
        state: ThrottleState,  # if it cannot be reached, no alert waits
        sender: str,  # the sending number: the gap is between one sender and one person
        caller: Caller,
        budget: TimeBudget,
        *,
        behind: ThrottleState | None = None,  # read-only; what people have missed in it is reported too
    ) -> None:
        self._state = state
        self._sender = sender
        self._caller = caller
        self._behind = behind
        self.budget = budget

    def of(self, recipients: Sequence[str]) -> Iterator[Slot]:
        """Yield each recipient's slot, first those that need not wait; one with ``wait`` asks to wait for others."""
        waiting = list(recipients)  # each once
        while waiting:
            pause = math.inf
            for to in tuple(waiting):
                left = self.budget.left()
                slot = self._ask(to, may_wait=left > 0)
                if slot.wait:
                    pause = min(pause, slot.wait, left)
                    continue
                waiting.remove(to)
                yield slot if slot.handed_over else self._with_missed(slot)
            if waiting:
                yield Slot(wait=pause)

    def answered(self, slot: Slot) -> None:
        """Begin the gap after a message whose answer has come, or does not come in time."""
        if self._caller.gap > 0:
            self._change(slot.to, lambda person: on_answer(person, slot, self._caller.gap, now=time.time()))

    def accepted(self, slot: Slot) -> None:
        """Remove what an accepted message has reported."""
        if slot.missed:
            tokens = {entry.token for entry in slot.missed}
            self._of_missed(slot.to, lambda undelivered: on_strike(undelivered, tokens))

    def give_back(self, slot: Slot) -> None:
        """Leave to the next message the other failures that this one should report: it may not have arrived."""
        others = entries_of(f"{self._caller.token}.others", "", slot, now=time.time())
        entries = (*slot.missed, *others)
        if entries:
            self._of_missed(slot.to, lambda undelivered: on_leave(undelivered, entries))

    def leave(self, to: str, more: Held | None = None) -> bool:
        """Leave to a person's next message what they have missed of this alert; return whether that is recorded."""
        token = self._caller.token if more is None else f"{self._caller.token}.more"
        entries = tuple(entries_of(token, self._caller.key, more or self._caller, now=time.time()))
        return bool(self._of_missed(to, lambda undelivered: on_leave(undelivered, entries)))

    def _ask(self, to: str, *, may_wait: bool) -> Slot:
        if self._caller.gap <= 0:
            return Slot(to)
        decided = self._change(
            to, lambda person: on_slot(person, self._caller, to, now=time.time(), may_wait=may_wait)
        )
        return decided or Slot(to)

    def _with_missed(self, slot: Slot) -> Slot:
        """Add what the person has missed, if the message can name it; record what others hand over: it may die."""
        if not self._caller.names_others:
            return slot
        lasts = self.budget.lasts()

        def rule(undelivered: Undelivered) -> tuple[Undelivered, tuple[Missed, ...]]:
            kept, taken = on_take(undelivered, now=time.time(), lasts=lasts, room=self._caller.room)
            others = tuple(entries_of(f"{self._caller.token}.others", "", slot, now=time.time()))
            marked = (replace(entry, until=time.time() + lasts) for entry in others)
            return Undelivered(entries=(*kept.entries, *marked)), taken + others

        taken = self._of_missed(slot.to, rule) or ()
        if slot.held:
            self._change(slot.to, lambda person: on_taken(person, slot))
        if self._behind is not None:
            found = self._behind.read(_missed_by(slot.to), Undelivered)
            taken += found.entries if found else ()
        return replace(slot, missed=taken, held=0, names=()) if taken else slot

    def _of_missed(self, to: str, rule: Callable[[Undelivered], tuple[Undelivered, T]]) -> T | None:
        return self._state.change(_missed_by(to), Undelivered, rule, label=mask(to))

    def _change(self, to: str, rule: Callable[[Person], tuple[Person, T]]) -> T | None:
        return self._state.change(f"person {self._sender} {to}", Person, rule, label=mask(to))


def _missed_by(to: str) -> str:
    return f"missed {to}"
