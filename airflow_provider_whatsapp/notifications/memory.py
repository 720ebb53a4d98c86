"""
What alerts remember of each other, so that a storm of failures does not become a storm of messages.

One record per key (a task of a DAG, unless told otherwise) holds when the last message went, and how many failures have
been kept back since; one per person (see ``turns``) when the next message may go. They live in Airflow Variables, which
callbacks can write on Airflow 3.1 to 3.3: a task's callback runs in the task, a DAG's in the DAG processor, an
asynchronous deadline's in the triggerer, and the task state store of 3.3 is open to the first alone. A synchronous
deadline's can only read them, so its records are files of its machine.

A Variable knows no compare-and-swap. The processes of one machine take turns by a lock on a file. Where tasks run on
several machines, whoever wants to tell of a failure writes a claim first, and looks a second later whether it is still
its own: of those who failed in the same moment the last one stands, and the others are kept back. What two machines
write in the same moment may be counted once only, so a summary asks Airflow for the number.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import time
import uuid
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_whatsapp.client.pace_board import own_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Self

K = TypeVar("K", bound="Held")
T = TypeVar("T")

logger = logging.getLogger(__name__)

PREFIX = "whatsapp_alert_"
CLAIM = "_claim"
SETTLING = 1.0
"""Seconds after which a claim is looked at again; all who read the record before it was made have claimed by then."""
LONGEST_TURN = 5.0
"""Seconds for which another process of this machine is waited for; an alert has 12 to wait with in all."""
TURN_EVERY = 0.01
"""Seconds between two looks whether the other is done."""
MAX_NAMES = 5
"""Failures that were kept back and are told by name; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """
    Failures that another message is to tell of.

    :param held: How many.
    :param names: The first few of them.
    """

    held: int = 0
    names: tuple[str, ...] = ()

    def with_more(self, count: int, names: tuple[str, ...]) -> Self:
        """
        Return the same with more of them.

        :param count: How many more.
        :param names: The first few of those.
        """
        return replace(self, held=self.held + count, names=(*self.names, *names)[:MAX_NAMES])


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Held):
    """
    What is remembered of one key; held are the failures since the last message.

    :param sent_at: Unix time in seconds at which the last message went.
    :param failures: Failures in a row, those kept back included.
    :param first_failed_at: Unix time in seconds of the first failure of the row.
    :param runs: Runs in a row that have failed; the many mapped tasks of one run count once.
    :param run: The last of them.
    :param told: Failures of that run that messages have told, less those of earlier runs that are held still: what
        Airflow counts in the run, less these, is what a summary should tell.
    :param waiter: The alert that waits for others to fail, to tell of them in a summary; empty: nobody.
    :param waits_until: Unix time in seconds up to which it waits.
    :param summed_up: The last message was a summary; there is no other before the next message.
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


@dataclass(frozen=True, slots=True)
class Decision:
    """
    Whether to send now.

    :param send: Send, or keep it back.
    :param record: What is remembered from now on.
    :param held: Failures kept back before, which this message should tell.
    :param names: The first few of them.
    :param escalated: So many runs in a row have failed that others are to be told as well.
    :param waits: It is for this alert to wait for others, and to tell of them.
    """

    send: bool
    record: Record
    held: int = 0
    names: tuple[str, ...] = field(default=())
    escalated: bool = False
    waits: bool = False


def on_failure(
    record: Record,
    *,
    name: str,
    now: float,
    cooldown: float,
    succeeded_at: float | None = None,
    run: str = "",
    escalate_after: int = 0,
    token: str = "",
    waits: float = 0.0,
) -> Decision:
    """
    Decide about a failure.

    Of many that come one after the other, one waits for the others. Airflow lets nobody wait for long, so whoever
    comes in the second half of its time takes its place: the one who waits in vain is the last, and tells of all.

    :param record: What is remembered.
    :param name: What failed, for a message that tells of several.
    :param now: Unix time in seconds.
    :param cooldown: Seconds after a message in which no further one goes, but for the one that escalates.
    :param succeeded_at: Unix time in seconds of the last success, where it is known; it ends a row of failures.
    :param run: The run that failed; empty: one of its own.
    :param escalate_after: Runs in a row after which others are told as well; 0: never.
    :param token: Tells this alert from all others.
    :param waits: Seconds for which it can wait for others; 0: it cannot.
    """
    if succeeded_at is not None and succeeded_at > record.first_failed_at:
        record = replace(record, failures=0, runs=0, run="")
    another = not run or run != record.run
    row = replace(
        record,
        failures=record.failures + 1,
        first_failed_at=record.first_failed_at if record.failures else now,
        runs=record.runs + another,
        run=run,
        told=-record.held if another else record.told,
    )
    escalated = 0 < escalate_after <= row.runs
    crossed = escalated and another and row.runs == escalate_after
    waiting = replace(row, waiter=token if waits else "", waits_until=now + waits)
    # A machine whose clock is ahead may have written a moment that is yet to come.
    if record.sent_at and abs(now - record.sent_at) < cooldown and not crossed:
        takes_over = waits > 0 and not record.summed_up and now >= record.waits_until - waits / 2
        kept = waiting if takes_over else row
        return Decision(False, kept.with_more(1, (name,)), waits=takes_over)
    told = replace(waiting, sent_at=now, held=0, names=(), told=row.told + record.held + 1, summed_up=False)
    return Decision(True, told, record.held, record.names, escalated, waits=waits > 0)


def on_unsent(record: Record, *, held: int, names: tuple[str, ...]) -> Decision:
    """
    Take back that failures were told, for the message was certainly not sent: the next failure tells of them.

    :param record: What is remembered.
    :param held: Failures that the message would have told.
    :param names: The first few of them.
    """
    again = replace(
        record, sent_at=0.0, waiter="", waits_until=0.0, held=0, names=(), told=record.told - held
    )
    return Decision(False, again.with_more(held, names).with_more(record.held, record.names))


def on_claimed(record: Record, *, token: str, waits_until: float) -> Decision:
    """
    Let the alert whose claim stands be the one that waits, whoever else has written so in the same moment.

    :param record: What is remembered.
    :param token: The alert.
    :param waits_until: Unix time in seconds up to which it waits.
    """
    return Decision(True, replace(record, waiter=token, waits_until=waits_until))


def on_overtaken(record: Record, *, name: str, held: int, names: tuple[str, ...]) -> Decision:
    """
    Keep a failure back after all, for another machine tells of the same one.

    :param record: What is remembered.
    :param name: What failed.
    :param held: Failures that its message would have told besides.
    :param names: The first few of them.
    """
    # What was told stays: both alerts have written so, and the record holds what one of them wrote.
    return Decision(False, record.with_more(held + 1, (name, *names)))


def on_summary(record: Record, *, now: float, token: str, failed: int = 0) -> Decision:
    """
    Decide about telling what has been kept back, when nobody else has failed for a while.

    :param record: What is remembered.
    :param now: Unix time in seconds.
    :param token: The alert that has waited.
    :param failed: How many of the run have failed, as Airflow counts them; 0: it was not asked.
    """
    if record.waiter != token:
        return Decision(send=False, record=record)
    quiet = replace(record, waiter="", waits_until=0.0)
    # Machines that write in the same moment lose what one of them has written.
    held = max(record.held, failed - record.told)
    if not held:
        return Decision(send=False, record=quiet)
    told = replace(quiet, sent_at=now, held=0, names=(), told=record.told + held, summed_up=True)
    return Decision(True, told, held, record.names)


def on_success(record: Record) -> Decision:
    """
    Decide about a success: it is worth a message when failures were told before.

    :param record: What is remembered.
    """
    return Decision(bool(record.failures), Record(), record.failures)


def on_untold_success(record: Record, *, failures: int) -> Decision:
    """
    Take back that a success was told, for the message was certainly not sent: the next success is told.

    :param record: What is remembered.
    :param failures: Failures that had been told before the success.
    """
    return Decision(False, replace(record, failures=record.failures + failures))


class Store(Protocol):
    """Where records live: an Airflow Variable's class methods."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""


class Files:
    """
    A store of this machine alone, for synchronous deadlines: Airflow 3.3 lets them read Variables and not write any.

    :param folder: Where the files are; None: this user's own folder for temporary files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def get(self, key: str, default: Any = None) -> Any:
        """
        Return a value.

        :param key: Its name.
        :param default: What is returned where there is none.
        """
        path = self._path(key)
        return path.read_text(encoding="utf-8") if path.exists() else default

    def set(self, key: str, value: Any) -> None:
        """
        Keep a value.

        :param key: Its name.
        :param value: Text.
        """
        self._path(key).write_text(str(value), encoding="utf-8")

    def _path(self, key: str) -> Path:
        return (self._folder or own_folder()) / f"{key}.json"


class Memory:
    """
    Records by their keys, for one alert: where it cannot be reached once, it is not asked again.

    :param store: Where the records live.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lost = False

    def decide(self, key: str, rule: Callable[[Record], Decision]) -> Decision | None:
        """
        Apply one of the rules above to a key's record.

        :param key: What is alerted of.
        :param rule: Takes what is remembered and decides.
        :return: None when the memory cannot be reached: send then, for an alert too many is better than one too few.
        """

        def both(record: Record) -> tuple[Record, Decision]:
            decision = rule(record)
            return decision.record, decision

        return self.change(key, Record, both)

    def claim(self, key: str, token: str) -> None:
        """
        Say that an alert is about to tell; see :meth:`is_claimed_by`.

        :param key: What is alerted of.
        :param token: The alert.
        """
        name = _name(key) + CLAIM

        def act() -> None:
            before = self._store.get(name, default=None)
            self._store.set(name, token)
            _check(self._store, name, before)

        self._reach(act)

    def is_claimed_by(self, key: str, token: str) -> bool:
        """
        Say whether an alert's claim still stands, a moment after it was made; so it does where nobody can tell.

        :param key: What is alerted of.
        :param token: The alert.
        """
        found = self._reach(lambda: self._store.get(_name(key) + CLAIM, default=token))
        return found is None or found == token

    def change(
        self, key: str, kind: type[K], rule: Callable[[K], tuple[K, T]], *, label: str | None = None
    ) -> T | None:
        """
        Read a key's record and write what a rule makes of it; nobody else on this machine comes between.

        :param key: What the record is found by; only its hash is kept.
        :param kind: The record's class, with a default for each field.
        :param rule: Takes what is remembered; returns what is remembered from now on, and what was decided.
        :param label: What is written beside the record for people who look at it; None: the key.
        :return: What was decided; None when the memory cannot be reached.
        """
        name = _name(key)

        def act() -> T:
            with _turn(name):
                before = self._store.get(name, default=None)
                record, decided = rule(_parsed(before, kind))
                # The stamp makes each text another: two machines can write the same numbers.
                kept = {"key": label or key, "stamp": uuid.uuid4().hex[:12], **asdict(record)}
                self._store.set(name, json.dumps(kept))
            _check(self._store, name, before)
            return decided

        return self._reach(act)

    def _reach(self, act: Callable[[], T]) -> T | None:
        if self._lost:
            return None
        began = time.monotonic()
        try:
            found = act()
        except Exception as error:  # whatever keeps the memory away must not keep the alert away
            self._lost = True
            logger.warning("The memory of alerts cannot be reached (%s); sending without it", error)
            return None
        if time.monotonic() - began > LONGEST_TURN:
            self._lost = True  # asking once more would take the time that the message needs
            logger.warning("The memory of alerts is slow; going on without it")
        return found


def _name(key: str) -> str:
    return PREFIX + hashlib.sha256(key.encode()).hexdigest()[:16]


def _check(store: Store, name: str, before: str | None) -> None:
    """Look whether something was written: on Airflow 3.1 and 3.2 a Variable that cannot be written raises nothing."""
    if store.get(name, default=None) == before:
        raise OSError("what was written is not there")


def _parsed(text: str | None, kind: type[K]) -> K:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        found = {}
    known = {item.name for item in fields(kind)}
    values = {key: value for key, value in found.items() if key in known}
    return kind(**{**values, "names": tuple(values.get("names", ()))})


@contextlib.contextmanager
def _turn(name: str) -> Iterator[None]:
    handle = os.open(own_folder() / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(handle)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Lock a file; whoever holds it may hang, and Airflow kills callbacks that wait for too long."""
    until = time.monotonic() + LONGEST_TURN
    while True:
        try:
            # A lock of this kind belongs to the open file, so it parts threads as well as processes.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError(f"another alert holds it for more than {LONGEST_TURN:g} s") from None
            time.sleep(TURN_EVERY)
        else:
            return
