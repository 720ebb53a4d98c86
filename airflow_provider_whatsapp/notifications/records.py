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
    """Failures that another message has to report."""

    held: int = 0
    names: tuple[str, ...] = ()  # the first few of them

    def with_more(self, count: int, names: tuple[str, ...], *, most: int = MAX_NAMES) -> Self:
        """Return a copy with more failures, and with at most ``most`` names."""
        return replace(
            self, held=self.held + count, names=(*self.names, *names)[: max(most, len(self.names))]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Held):
    """The throttle state of one key; ``held``: failures since the last message. Moments are Unix time in seconds."""

    sent_at: float = 0.0  # when the last message was sent
    failures: int = 0  # in a row, suppressed ones included
    first_failed_at: float = 0.0  # when the row began
    runs: int = 0  # in a row that have failed; the many mapped tasks of one run count once
    run: str = ""  # the last of them
    told: int = 0  # failures of that run that messages have reported, minus earlier runs' that are still held
    waiter: str = ""  # the alert that waits for other failures, to report them in a summary; empty: none
    waits_until: float = 0.0
    summed_up: bool = False  # the last message was a summary, which no second one may follow
    sender: str = ""  # the alert whose message is in flight; empty: none
    sends_until: float = 0.0  # when that alert counts as dead
    sending: int = 0  # failures that its message reports
    sending_names: tuple[str, ...] = ()  # the first few of them
    sending_try: str = ""  # the ID of the try that it reports; empty: none
    paused_until: float = 0.0  # no message is sent before, because the last one may have arrived
    named: tuple[str, ...] = ()  # failures of the row that messages have named
    cooldown: float = 0.0  # seconds, as the last message's notifier set it; 0: none, or not recorded
    muted_until: float = 0.0  # 0: nobody has muted it
    muted_by: str = ""  # Airflow's name of the user, or who pressed the button: a name or a masked number
    mute_set_at: float = 0.0  # when it was last muted or unmuted; of two requests, the later one counts
    dags: tuple[str, ...] = ()  # of its failures, to check who may see it; empty: an earlier version wrote it

    def emptied(self) -> Self:
        """Return what remains when the row of failures is over: the mute, and the DAGs that say who may see it."""
        return type(self)(
            muted_until=self.muted_until,
            muted_by=self.muted_by,
            mute_set_at=self.mute_set_at,
            dags=self.dags,
        )

    def with_mute(self, *, until: float, by: str, at: float) -> Self:
        """Return a copy that is muted or unmuted, unless somebody has changed that since."""
        # `until` and `at` are Unix time in seconds; `until` 0: unmute it.
        if at <= self.mute_set_at:
            return self
        return replace(self, muted_until=until, muted_by=by if until else "", mute_set_at=at)

    def with_dag(self, dag: str) -> Self:
        """Return a copy that names the DAG of a failure, if it is known."""
        if not dag or dag in self.dags or ALL_DAGS in self.dags:
            return self
        return replace(self, dags=(*self.dags, dag) if len(self.dags) < MAX_DAGS else (ALL_DAGS,))

    def with_named(self, names: tuple[str, ...]) -> Self:
        """Return a copy after a message that has named failures."""
        return replace(self, named=tuple(dict.fromkeys((*self.named, *names)))[:MAX_NAMES])

    def unnamed(self) -> Held:
        """Return the suppressed failures without those that messages have named already."""
        names = tuple(name for name in self.names if name not in self.named)
        repeated = len(self.names) - len(names)
        # Failures beyond the recorded names count as more of the same.
        return Held(held=self.held - repeated, names=names) if names or not repeated else Held()

    def is_sending(self, now: float) -> bool:
        """Say whether a message is in flight at a Unix time in seconds."""
        return bool(self.sender) and 0 < self.sends_until - now <= LONGEST_SENDING

    def is_paused(self, now: float) -> bool:
        """Say whether no message is sent at a Unix time in seconds, because the last one may just have arrived."""
        return 0 < self.paused_until - now <= PAUSE + 1.0  # a clock that is ahead wrote any longer pause

    def is_muted(self, now: float) -> bool:
        """Say whether somebody has muted the key at a Unix time in seconds."""
        return 0 < self.muted_until - now <= LONGEST_MUTE + 60.0  # machines' clocks differ by seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Person(Held):
    """The recipient gap of one person; ``held`` are the failures that other alerts have handed over to the teller."""

    free_at: float = 0.0  # Unix time in seconds from which the next message may be sent
    teller: str = ""  # the alert that waits for that time and will report the others; empty: none


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to send now."""

    send: bool
    record: Record  # the key's new one
    held: int = 0  # failures suppressed before, which this message should report
    names: tuple[str, ...] = field(default=())  # the first few of them
    escalated: bool = False  # so many runs in a row have failed that it also goes to escalate_to
    waits: bool = False  # for other failures, to report them
    paused: bool = False  # not sent, because the last message may have arrived; the next one reports it
    busy: bool = False  # not sent, because another message is in flight
    muted: bool = False  # not sent, because somebody has muted the key
    in_hand: bool = False  # not sent, because somebody has the run in hand


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What the rules record of an alert that sends."""

    token: str = ""
    lasts: float = 0.0  # seconds after which it counts as dead; 0: it counts as reported at once
    attempt: str = ""  # the ID of the try that it reports; empty: none
    lost: bool = False  # that try's worker was lost: if it was sending an alert itself, it no longer does


AT_ONCE = Sending()


_KINDS: dict[type, tuple[type, ...]] = {
    float: (float, int),
    int: (int,),
    bool: (bool,),
    str: (str,),
    tuple: (tuple,),
}


def is_sound(record: Any) -> bool:
    """Say whether each field has the right type: somebody may have edited what was stored."""
    for item in fields(record):
        kind, value = type(item.default), getattr(record, item.name)
        if not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind is not bool):
            return False
        parts: tuple[Any, ...] = value if isinstance(value, tuple) else ()
        if not all(is_sound(each) if is_dataclass(each) else isinstance(each, str) for each in parts):
            return False
    return True
