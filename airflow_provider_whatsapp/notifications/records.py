"""The records of the throttle state, of keys and of people, and the decisions about alerts."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

MAX_NAMES = 100
"""Failures that are recorded by name; others are only counted."""
PAUSE = 30.0
"""Seconds after a message of unknown outcome in which no other is sent: it may have arrived."""
LONGEST_SENDING = 3600.0
"""Seconds that a message may be in flight; a machine whose clock is wrong wrote a later end."""
LONGEST_MUTE = 7 * 86_400.0
"""Seconds for which a key can be muted, at most."""
MAX_DAGS = 20
"""DAGs that a record names; a record of more is one of all DAGs."""
ALL_DAGS = "~"
"""Airflow's own symbol for all DAGs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """
    Failures that another message has to report.

    :param held: How many.
    :param names: The first few of them.
    """

    held: int = 0
    names: tuple[str, ...] = ()

    def with_more(self, count: int, names: tuple[str, ...], *, most: int = MAX_NAMES) -> Self:
        """
        Return a copy with more of them.

        :param count: How many more.
        :param names: The first few of those.
        :param most: How many names to keep, at most.
        """
        return replace(
            self, held=self.held + count, names=(*self.names, *names)[: max(most, len(self.names))]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Held):
    """
    The throttle state of one key; ``held`` are the failures since the last message.

    :param sent_at: Unix time in seconds at which the last message was sent.
    :param failures: Failures in a row, suppressed ones included.
    :param first_failed_at: Unix time in seconds of the first failure of the row.
    :param runs: Runs in a row that have failed; the many mapped tasks of one run count once.
    :param run: The last of them.
    :param told: Failures of that run that messages have reported, minus those of earlier runs that are still held: a
        summary should report what Airflow counts in the run, minus this number.
    :param waiter: The alert that waits for other failures, to report them in a summary; empty: none does.
    :param waits_until: Unix time in seconds until which it waits.
    :param summed_up: The last message was a summary, which no second one may follow.
    :param sender: The alert whose message is in flight; empty: none is.
    :param sends_until: Unix time in seconds from which that alert counts as dead.
    :param sending: Failures that its message reports.
    :param sending_names: The first few of them.
    :param sending_try: The ID of the try that it reports; empty: it reports none.
    :param paused_until: Unix time in seconds until which no message is sent, because the last one may have arrived.
    :param named: Failures of the row that messages have named.
    :param cooldown: Seconds after the last message in which no further one is sent, as its notifier set it; 0: none, or
        an earlier version wrote the record.
    :param muted_until: Unix time in seconds until which somebody has muted the key; 0: nobody has.
    :param muted_by: Who muted it: Airflow's name of the user, or the name or masked number of the person who pressed
        the button.
    :param mute_set_at: Unix time in seconds at which it was last muted or unmuted; of two requests, the later one
        counts.
    :param dags: The DAGs whose failures it has counted, to check who may see it; empty: an earlier version wrote it.
    """

    sent_at: float = 0.0
    failures: int = 0
    first_failed_at: float = 0.0
    runs: int = 0
    run: str = ""
    told: int = 0
    waiter: str = ""
    waits_until: float = 0.0
    summed_up: bool = False
    sender: str = ""
    sends_until: float = 0.0
    sending: int = 0
    sending_names: tuple[str, ...] = ()
    sending_try: str = ""
    paused_until: float = 0.0
    named: tuple[str, ...] = ()
    cooldown: float = 0.0
    muted_until: float = 0.0
    muted_by: str = ""
    mute_set_at: float = 0.0
    dags: tuple[str, ...] = ()

    def emptied(self) -> Self:
        """Return what remains when the row of failures is over: the mute, and the DAGs that say who may see it."""
        return type(self)(
            muted_until=self.muted_until,
            muted_by=self.muted_by,
            mute_set_at=self.mute_set_at,
            dags=self.dags,
        )

    def with_mute(self, *, until: float, by: str, at: float) -> Self:
        """
        Return a copy that is muted or unmuted, unless somebody has changed that since.

        :param until: Unix time in seconds until which no message is sent; 0: unmute it.
        :param by: Who asks for it.
        :param at: Unix time in seconds of the request.
        """
        if at <= self.mute_set_at:
            return self
        return replace(self, muted_until=until, muted_by=by if until else "", mute_set_at=at)

    def with_dag(self, dag: str) -> Self:
        """
        Return a copy that names the DAG of a failure.

        :param dag: Its ID; empty: none is known.
        """
        if not dag or dag in self.dags or ALL_DAGS in self.dags:
            return self
        return replace(self, dags=(*self.dags, dag) if len(self.dags) < MAX_DAGS else (ALL_DAGS,))

    def with_named(self, names: tuple[str, ...]) -> Self:
        """
        Return a copy after a message that has named failures.

        :param names: The failures.
        """
        return replace(self, named=tuple(dict.fromkeys((*self.named, *names)))[:MAX_NAMES])

    def unnamed(self) -> Held:
        """Return the suppressed failures without those that messages have named already."""
        names = tuple(name for name in self.names if name not in self.named)
        repeated = len(self.names) - len(names)
        # Failures beyond the recorded names count as more of the same.
        return Held(held=self.held - repeated, names=names) if names or not repeated else Held()

    def is_sending(self, now: float) -> bool:
        """
        Say whether a message is in flight.

        :param now: Unix time in seconds.
        """
        return bool(self.sender) and 0 < self.sends_until - now <= LONGEST_SENDING

    def is_paused(self, now: float) -> bool:
        """
        Say whether no message is sent, because the last one may have arrived a moment ago.

        :param now: Unix time in seconds.
        """
        return 0 < self.paused_until - now <= PAUSE + 1.0  # a clock that is ahead wrote any longer pause

    def is_muted(self, now: float) -> bool:
        """
        Say whether somebody has muted the key.

        :param now: Unix time in seconds.
        """
        return 0 < self.muted_until - now <= LONGEST_MUTE + 60.0  # machines' clocks differ by seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Person(Held):
    """
    The recipient gap of one person; ``held`` are the failures that other alerts have handed over to the teller.

    :param free_at: Unix time in seconds from which the next message may be sent.
    :param teller: The alert that waits for that time and will report the others; empty: there is none.
    """

    free_at: float = 0.0
    teller: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """
    Whether to send now.

    :param send: Send, or suppress it.
    :param record: The key's new record.
    :param held: Failures suppressed before, which this message should report.
    :param names: The first few of them.
    :param escalated: So many runs in a row have failed that the message also goes to ``escalate_to``.
    :param waits: This alert has to wait for other failures, and to report them.
    :param paused: It is not sent, because the last message may have arrived; the next message reports it.
    :param busy: It is not sent, because another one is in flight.
    :param muted: It is not sent, because somebody has muted the key.
    :param in_hand: It is not sent, because somebody has the run in hand.
    """

    send: bool
    record: Record
    held: int = 0
    names: tuple[str, ...] = field(default=())
    escalated: bool = False
    waits: bool = False
    paused: bool = False
    busy: bool = False
    muted: bool = False
    in_hand: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """
    What the rules record of an alert that sends.

    :param token: Identifies the alert.
    :param lasts: Seconds after which it counts as dead; 0: it counts as reported at once.
    :param attempt: The ID of the try that it reports; empty: it reports none.
    :param lost: That try's worker was lost: if the worker was sending an alert itself, it no longer does.
    """

    token: str = ""
    lasts: float = 0.0
    attempt: str = ""
    lost: bool = False


AT_ONCE = Sending()


_KINDS: dict[type, tuple[type, ...]] = {
    float: (float, int),
    int: (int,),
    bool: (bool,),
    str: (str,),
    tuple: (tuple,),
}


def is_sound(record: Any) -> bool:
    """
    Say whether each field has the right type: somebody may have edited what was stored.

    :param record: A record, whose fields have defaults.
    """
    for item in fields(record):
        kind, value = type(item.default), getattr(record, item.name)
        if not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind is not bool):
            return False
        parts: tuple[Any, ...] = value if isinstance(value, tuple) else ()
        if not all(is_sound(each) if is_dataclass(each) else isinstance(each, str) for each in parts):
            return False
    return True
