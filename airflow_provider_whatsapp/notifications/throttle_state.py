"""
What alerts record of each other, so that a storm of failures does not become a storm of messages.

There is one record per key (by default a task of a DAG): when the last message left, which alert is sending, and how
many failures have been suppressed since. There are two per person: when the next message may leave (see
``recipient_gap``), and what did not reach them (see ``missed``). The records are Airflow Variables, which callbacks can
write on Airflow 3.1 to 3.4: a task's callback runs in the task, a DAG's in the DAG processor, an asynchronous
deadline's in the triggerer; of these, only a task's can use the task state store of Airflow 3.3. A synchronous
deadline's callback can only read Variables, so its records are files on its machine.

Variables have no compare-and-swap. On one machine, processes take turns with a lock on a file. If tasks run on several
machines, an alert first writes a claim, and checks a second later that the claim is still its own: of several alerts at
the same time, the last one is sent, and the others are suppressed. What two machines write at the same time may be
counted only once, so a summary asks Airflow for the number.

If the connection names a Redis, the records are there (see ``redis_state``). Redis has compare and set, so alerts need
no claims, and count everything. While Redis is down, an alert uses its other store, as it would without Redis.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import random
import time
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_whatsapp.client.pace_board import own_folder
from airflow_provider_whatsapp.notifications.alert_stores import (
    CLAIM,
    Store,
    SwapStore,
    name_of,
    parsed,
    text_of,
)
from airflow_provider_whatsapp.notifications.bounded import Bounded, in_daemon
from airflow_provider_whatsapp.notifications.records import Decision, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed import DataclassInstance

    from airflow_provider_whatsapp.notifications.redis_state import RedisState

K = TypeVar("K", bound="DataclassInstance")
T = TypeVar("T")

logger = logging.getLogger(__name__)

SETTLING = 1.0
"""Seconds after which an alert checks its claim; by then, all that had read the record before it have claimed too."""
LONGEST_LOCK = 5.0
"""Seconds to wait for another process of this machine; an alert may wait for 12 in all."""
LONGEST = 10.0
"""Seconds that all uses of the throttle state may take together, by default."""
LONGEST_SWAP = 2.0
"""Seconds for which to retry a change of a text that others change as well."""
FOR_MOVING = 2.0
"""Seconds that each use of the other store may take when a record moves to Redis."""
LOOK_EVERY = 0.01
"""Seconds between two tries, at most, while another alert writes."""


class ThrottleState:
    """Records by their keys, for one alert; it does not ask a store again that has failed or taken too long."""

    def __init__(
        self,
        store: Store,
        *,
        seconds: float = LONGEST,  # for all uses together; the message needs the rest of the time budget
        bounded: Bounded = in_daemon,
        extra: bool = False,  # the alert can do without it: that it cannot be reached is logged at level info
    ) -> None:
        self._store = store
        self._level = logging.INFO if extra else logging.WARNING
        self._what = (
            "The list of failures not yet reported, in Variables,"
            if extra
            else ("The throttle state of alerts")
        )
        self._left = seconds
        self._bounded = bounded
        self._lost = False
        self._shared: RedisState | None = None
        self._known: dict[str, str] | None = None
        self._moved: set[str] = set()
        self._moves = True

    @property
    def is_exact(self) -> bool:
        """Whether it counts all that several machines write at the same time, so that no alert needs a claim."""
        return self._shared is not None

    def share(self, shared: RedisState | None) -> None:
        """Keep the records in Redis from now on, and in the store while Redis is down."""
        if shared is not None:
            self._shared = shared if shared.is_worth_asking() else None
            self._known = {}

    def decide(self, key: str, rule: Callable[[Record], Decision]) -> Decision | None:
        """Apply one of the rules of ``throttle`` to a key's record; None: the state cannot be reached, so send."""

        def both(record: Record) -> tuple[Record, Decision]:
            decision = rule(record)
            return decision.record, decision

        return self.change(key, Record, both)  # an alert too many is better than one too few

    def read(self, key: str, kind: type[K]) -> K | None:
        """Return a key's record as it is; None: the state cannot be reached."""
        name = name_of(key)
        return self._reach(lambda store: parsed(store.get(name, default=None), kind, name=name))

    def claim(self, key: str, token: str) -> None:
        """Write an alert's claim to a key; see :meth:`is_claimed_by`."""
        name = name_of(key) + CLAIM

        def act(store: Store) -> None:
            before = store.get(name, default=None)
            store.set(name, token)
            _check(store, name, before)

        self._reach(act)

    def is_claimed_by(self, key: str, token: str) -> bool:
        """Say whether an alert's claim still stands after a moment; True if the state cannot be reached."""
        found = self._reach(lambda store: store.get(name_of(key) + CLAIM, default=token))
        return found is None or found == token

    def change(
        self, key: str, kind: type[K], rule: Callable[[K], tuple[K, T]], *, label: str | None = None
    ) -> T | None:
        """Write what a rule makes of a key's record; return what it decided, None: the state cannot be reached."""
        # No other alert on this machine writes in between.
        name = name_of(key)
        self._take_over(name, kind)

        def revise(before: str | None) -> tuple[str | None, T]:
            # What this alert has written stays true if the store loses it: another alert may wait because of it.
            before = self._known.get(name) if before is None and self._known else before
            found = parsed(before, kind, name=name)
            record, decided = rule(found)
            return None if record == found else text_of(record, label or key, before), decided

        written, decided = self._reach(lambda store: revised(store, name, revise)) or (None, None)
        if written is not None and self._known is not None:
            self._known[name] = written
        return decided

    def _take_over(self, name: str, kind: type[K]) -> None:
        """Move a record to Redis that an earlier version, or an alert without Redis, has left in the store."""
        if self._shared is None or not self._moves or name in self._moved:
            return
        self._moved.add(name)
        seconds = min(FOR_MOVING, max(0.0, self._left))
        try:
            text = self._bounded(lambda: self._store.get(name, default=None), seconds)
            revise = self._shared.moving(text, kind)
            if revise is not None and self._reach_shared(lambda shared: revised(shared, name, revise)):
                self._bounded(lambda: forget(self._store, name, text), seconds)
        except Exception as error:  # another alert moves what this one cannot
            self._moves = False
            logger.debug(
                "The throttle state in %s stays there, and is not moved to Redis: %s",
                type(self._store).__name__,
                error,
            )

    def _reach(self, act: Callable[[Store], T]) -> T | None:
        found = self._reach_shared(act)
        return self._reach_store(act) if found is None else found[0]

    def _reach_shared(self, act: Callable[[Store], T]) -> tuple[T] | None:
        """Use Redis; None: there is none, or it is down, and this alert does not ask it again."""
        if self._shared is None:
            return None
        try:
            return (self._shared.reach(act),)
        except Exception as error:
            self._shared.went_away(error)
            self._shared = None
            return None

    def _reach_store(self, act: Callable[[Store], T]) -> T | None:
        if self._lost:
            return None
        began = time.monotonic()
        try:
            found = self._bounded(lambda: act(self._store), max(0.0, self._left))
        except TimeoutError as error:
            self._lost = True
            logger.warning(
                "The throttle state of alerts did not answer in time; the alert continues without it (%s)",
                str(error) or "no answer",
            )
            return None
        except Exception as error:  # no failure of the throttle state may stop the alert
            self._lost = True
            logger.log(
                self._level, "%s cannot be reached (%s); the alert is sent without it", self._what, error
            )
            return None
        took = time.monotonic() - began
        self._left -= took
        if took > LONGEST_LOCK:
            self._lost = True  # asking once more would take the time that the message needs
            logger.log(self._level, "%s did not answer in time; the alert continues without it", self._what)
        return found


def revised(
    store: Store, name: str, revise: Callable[[str | None], tuple[str | None, T]]
) -> tuple[str | None, T]:
    """Write the revision of a text, with no other write in between; raises TimeoutError if others keep writing."""
    # `revise` may be called several times; it returns the new text (None: it stays) and what was decided.
    if isinstance(store, SwapStore):
        until = time.monotonic() + LONGEST_SWAP
        while time.monotonic() < until:
            before = store.get(name, default=None)
            after, decided = revise(before)
            if after is None or store.swap(name, before, after):
                return after, decided
            time.sleep(random.uniform(0, LOOK_EVERY))  # noqa: S311  (nothing here is a secret)
        raise TimeoutError(f"other alerts kept changing it for {LONGEST_SWAP:g} s")
    with _locked(name):
        before = store.get(name, default=None)
        after, decided = revise(before)
        if after is None:
            return None, decided
        store.set(name, after)
    _check(store, name, before)
    return after, decided


def forget(store: Store, name: str, text: str) -> None:
    """Delete a text that was moved elsewhere, unless somebody has written another since."""
    with _locked(name):
        if store.get(name, default=None) == text:
            store.delete(name)


def _check(store: Store, name: str, before: str | None) -> None:
    """Check that something was written: on Airflow 3.1 and 3.2, writing a Variable raises nothing if it fails."""
    if store.get(name, default=None) == before:
        raise OSError("the store does not have what was written")


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    handle = os.open(own_folder() / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(handle)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Lock a file, in limited time: the process that holds it may hang, and Airflow kills callbacks that last long."""
    until = time.monotonic() + LONGEST_LOCK
    while True:
        try:
            # A lock of this kind belongs to the open file, so it also excludes other threads.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError(f"another alert has locked it for over {LONGEST_LOCK:g} s") from None
            time.sleep(LOOK_EVERY)
        else:
            return
