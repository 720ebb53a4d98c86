"""The throttle state of one key, and what is decided from it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

MAX_NAMES = 100
"""Failures that are recorded by name; the others are counted."""
PAUSE = 30.0
"""Seconds after a message of unknown outcome in which no other goes: it may have arrived."""
LONGEST_SENDING = 3600.0
"""Seconds beyond which the end of a sending was written by a machine whose clock is wrong."""
LONGEST_MUTE = 7 * 86_400.0
"""Seconds for which a key can be muted at most."""
MAX_DAGS = 20
"""DAGs that a record names; one of more is that of all."""
ALL_DAGS = "~"
"""Airflow's own sign for every DAG."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """
    Failures that another message is to tell of.

    :param held: How many.
    :param names: The first few of them.
    """

    held: int = 0
    names: tuple[str, ...] = ()

    def with_more(self, count: int, names: tuple[str, ...], *, most: int = MAX_NAMES) -> Self:
        """
        Return the same with more of them.

        :param count: How many more.
        :param names: The first few of those.
        :param most: How many names are kept at most.
        """
        return replace(
            self, held=self.held + count, names=(*self.names, *names)[: max(most, len(self.names))]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Held):
    """
    The throttle state of one key; held are the failures since the last message.

    :param sent_at: Unix time in seconds at which the last message went.
    :param failures: Failures in a row, suppressed ones included.
    :param first_failed_at: Unix time in seconds of the first failure of the row.
    :param runs: Runs in a row that have failed; the many mapped tasks of one run count once.
    :param run: The last of them.
    :param told: Failures of that run that messages have reported, less those of earlier runs that are held still: what
        Airflow counts in the run, less these, is what a summary should tell.
    :param waiter: The alert that waits for others to fail, to tell of them in a summary; empty: nobody.
    :param waits_until: Unix time in seconds up to which it waits.
    :param summed_up: The last message was a summary; there is no other before the next message.
    :param sender: The alert whose message is on its way; empty: none is.
    :param sends_until: Unix time in seconds from which on it counts as dead.
    :param sending: Failures that its message tells.
    :param sending_names: The first few of them.
    :param sending_try: The try of a task that it tells of.
    :param paused_until: Unix time in seconds up to which no message goes, for the last one may have arrived.
    :param named: Failures of the row that messages have named.
    :param cooldown: Seconds after the last message in which no further one goes, as its notifier had it; 0: none, or an
        earlier version wrote it.
    :param muted_until: Unix time in seconds up to which somebody has muted the key; 0: nobody has.
    :param muted_by: Who muted it: Airflow's name of the user, or the name or masked number of who pressed the button.
    :param mute_set_at: Unix time in seconds at which it was last muted or unmuted; of two wishes the later one counts.
    :param dags: The DAGs whose failures it has counted, for the check of who may see it; empty: an earlier version
        wrote it.
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
        """Return what is left when the row of failures is over: who may see it, and that it is muted."""
        return type(self)(
            muted_until=self.muted_until,
            muted_by=self.muted_by,
            mute_set_at=self.mute_set_at,
            dags=self.dags,
        )

    def with_mute(self, *, until: float, by: str, at: float) -> Self:
        """
        Return the same muted, or muted no longer, unless somebody has wished otherwise since.

        :param until: Unix time in seconds up to which no message goes; 0: it is muted no longer.
        :param by: Who wants it.
        :param at: Unix time in seconds of the wish.
        """
        if at <= self.mute_set_at:
            return self
        return replace(self, muted_until=until, muted_by=by if until else "", mute_set_at=at)

    def with_dag(self, dag: str) -> Self:
        """
        Return the same after a failure of a DAG.

        :param dag: Its ID; empty: none is known.
        """
        if not dag or dag in self.dags or ALL_DAGS in self.dags:
            return self
        return replace(self, dags=(*self.dags, dag) if len(self.dags) < MAX_DAGS else (ALL_DAGS,))

    def with_named(self, names: tuple[str, ...]) -> Self:
        """
        Return the same after a message that has named failures.

        :param names: The failures.
        """
        return replace(self, named=tuple(dict.fromkeys((*self.named, *names)))[:MAX_NAMES])

    def unnamed(self) -> Held:
        """Return the suppressed failures without repetitions of what messages have named."""
        names = tuple(name for name in self.names if name not in self.named)
        repeated = len(self.names) - len(names)
        # Those beyond the names are taken for more of what the names show.
        return Held(held=self.held - repeated, names=names) if names or not repeated else Held()

    def is_sending(self, now: float) -> bool:
        """
        Say whether a message is on its way.

        :param now: Unix time in seconds.
        """
        return bool(self.sender) and 0 < self.sends_until - now <= LONGEST_SENDING

    def is_paused(self, now: float) -> bool:
        """
        Say whether the last message may have arrived a moment ago.

        :param now: Unix time in seconds.
        """
        return 0 < self.paused_until - now <= PAUSE + 1.0  # more was written by a clock that is ahead

    def is_muted(self, now: float) -> bool:
        """
        Say whether somebody has muted the key.

        :param now: Unix time in seconds.
        """
        return 0 < self.muted_until - now <= LONGEST_MUTE + 60.0  # machines' clocks differ by seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Person(Held):
    """
    The recipient gap of one person; held are the failures that have been handed over to the teller.

    :param free_at: Unix time in seconds from which the next message may go.
    :param teller: The alert that waits for that moment and will tell of others; empty: there is none.
    """

    free_at: float = 0.0
    teller: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """
    Whether to send now.

    :param send: Send, or suppress it.
    :param record: The key's new record.
    :param held: Failures suppressed before, which this message should tell.
    :param names: The first few of them.
    :param escalated: So many runs in a row have failed that others are notified as well.
    :param waits: It is for this alert to wait for others, and to tell of them.
    :param paused: It is not sent, for the last message may have arrived; the next message notifies its recipients.
    :param busy: It is not sent, for another one is on its way.
    :param muted: It is not sent, for somebody has muted the key.
    :param in_hand: It is not sent, for somebody has the run in hand.
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
    How an alert sends, where the rules record that it does.

    :param token: Tells it from all others.
    :param lasts: Seconds after which it counts as dead; 0: it counts as reported at once.
    :param attempt: The try of a task that it tells of; empty: of none.
    :param lost: That try's worker was lost: if it was sending itself, it does so no more.
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
    Say whether each field is of its kind: somebody may have edited what was stored.

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
