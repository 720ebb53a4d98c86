"""
What alerts remember of each other, so that a storm of failures does not become a storm of messages.

One record per key (a task of a DAG, unless told otherwise) holds when the last message went, which alert is sending,
and how many failures have been suppressed since; one per person (see ``turns``) when the next message may go, and
another (see ``missed``) what did not reach them. They live in Airflow Variables, which callbacks can write on Airflow
3.1 to 3.4: a task's callback runs in the task, a DAG's in the DAG processor, an asynchronous deadline's in the
triggerer, and the task state store of 3.3 is open to the first alone. A synchronous deadline's can only read them, so
its records are files of its machine.

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
import threading
import time
import uuid
from concurrent.futures import Future
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_whatsapp.client.pace_board import own_folder
from airflow_provider_whatsapp.notifications.records import MAX_NAMES, Decision, Held, Record, is_sound
from airflow_provider_whatsapp.notifications.throttle import (
    on_claimed,
    on_failure,
    on_overtaken,
    on_success,
    on_summary,
    on_unsent,
    on_untold_success,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from _typeshed import DataclassInstance

K = TypeVar("K", bound="DataclassInstance")
T = TypeVar("T")

logger = logging.getLogger(__name__)

__all__ = [
    "MAX_NAMES",
    "Decision",
    "Files",
    "Held",
    "Memory",
    "Record",
    "Store",
    "on_claimed",
    "on_failure",
    "on_overtaken",
    "on_success",
    "on_summary",
    "on_unsent",
    "on_untold_success",
]

PREFIX = "whatsapp_alert_"
CLAIM = "_claim"
SETTLING = 1.0
"""Seconds after which a claim is looked at again; all who read the record before it was made have claimed by then."""
LONGEST_TURN = 5.0
"""Seconds for which another process of this machine is waited for; an alert has 12 to wait with in all."""
LONGEST = 10.0
"""Seconds that all uses of the memory take at most, where nobody says otherwise."""
MOST_LISTED = 2_000
"""Records of a store that are listed."""
TURN_EVERY = 0.01
"""Seconds between two looks whether the other is done."""


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

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield names and values."""
        for path in sorted((self._folder or own_folder()).glob(f"{PREFIX}*.json"))[:MOST_LISTED]:
            yield path.stem, path.read_text(encoding="utf-8")

    def _path(self, key: str) -> Path:
        return (self._folder or own_folder()) / f"{key}.json"


class Bounded(Protocol):
    """Runs something that may hang."""

    def __call__(self, act: Callable[[], T], seconds: float) -> T:
        """
        Return what it returns.

        :param act: What may hang.
        :param seconds: How long to wait for it.
        :raises TimeoutError: It was not done in time; it may be done later.
        """


def directly(act: Callable[[], T], seconds: float) -> T:  # noqa: ARG001  (as Bounded says)
    """
    Run something without an end to it, where Airflow allows nothing else.

    :param act: What may hang.
    :param seconds: Not regarded.
    """
    return act()


def in_daemon(act: Callable[[], T], seconds: float) -> T:
    """
    Run something in a thread that keeps no process alive, as :class:`Bounded` says.

    :param act: What may hang.
    :param seconds: How long to wait for it.
    :raises TimeoutError: It was not done in time.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(act())
        except BaseException as error:  # whoever waits is told
            done.set_exception(error)

    threading.Thread(target=run, name="whatsapp-alert-memory", daemon=True).start()
    return done.result(seconds)


class Memory:
    """
    Records by their keys, for one alert: where it cannot be reached once, or not in time, it is not asked again.

    :param store: Where the records live.
    :param seconds: How long all of its uses may take together: a share of the alert's time, for the message needs the
        rest.
    :param bounded: Keeps a use to that.
    :param extra: It can be done without, and nobody is warned where it cannot be reached.
    """

    def __init__(
        self,
        store: Store,
        *,
        seconds: float = LONGEST,
        bounded: Bounded = in_daemon,
        extra: bool = False,
    ) -> None:
        self._store = store
        self._level = logging.INFO if extra else logging.WARNING
        self._what = "What alerts in Variables have not told" if extra else "The memory of alerts"
        self._left = seconds
        self._bounded = bounded
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

    def read(self, key: str, kind: type[K]) -> K | None:
        """
        Return a key's record as it is.

        :param key: What the record is found by.
        :param kind: The record's class.
        :return: None when the memory cannot be reached.
        """
        return self._reach(lambda: parsed(self._store.get(name_of(key), default=None), kind))

    def claim(self, key: str, token: str) -> None:
        """
        Say that an alert is about to tell; see :meth:`is_claimed_by`.

        :param key: What is alerted of.
        :param token: The alert.
        """
        name = name_of(key) + CLAIM

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
        found = self._reach(lambda: self._store.get(name_of(key) + CLAIM, default=token))
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
        name = name_of(key)

        def act() -> T:
            with _turn(name):
                before = self._store.get(name, default=None)
                found = parsed(before, kind)
                record, decided = rule(found)
                if record == found:
                    return decided
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
            found = self._bounded(act, max(0.0, self._left))
        except TimeoutError as error:
            self._lost = True
            logger.warning(
                "The memory of alerts is slow; going on without it (%s)", str(error) or "no answer"
            )
            return None
        except Exception as error:  # whatever keeps the memory away must not keep the alert away
            self._lost = True
            logger.log(self._level, "%s cannot be reached (%s); sending without it", self._what, error)
            return None
        took = time.monotonic() - began
        self._left -= took
        if took > LONGEST_TURN:
            self._lost = True  # asking once more would take the time that the message needs
            logger.log(self._level, "%s is slow; going on without it", self._what)
        return found


def name_of(key: str) -> str:
    """
    Return the name under which a key's record lives.

    :param key: What is alerted of.
    """
    return PREFIX + hashlib.sha256(key.encode()).hexdigest()[:16]


def _check(store: Store, name: str, before: str | None) -> None:
    """Look whether something was written: on Airflow 3.1 and 3.2 a Variable that cannot be written raises nothing."""
    if store.get(name, default=None) == before:
        raise OSError("what was written is not there")


def is_name_of(name: str, key: str) -> bool:
    """
    Say whether a key's record lives under a name.

    :param name: The name in the store.
    :param key: The key.
    """
    return name == name_of(key)


def parsed(text: str | None, kind: type[K]) -> K:
    """
    Read a record; one that is damaged, or of a version that is yet to come, is begun again as far as need be.

    :param text: What the store holds; None: nothing.
    :param kind: The record's class.
    """
    known = {item.name for item in fields(kind)}
    try:
        found = json.loads(text) if text else {}
        values = {key: value for key, value in found.items() if key in known}
        record = kind(
            **{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        )
        return record if is_sound(record) else kind()
    except (ValueError, TypeError, AttributeError):
        return kind()


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
