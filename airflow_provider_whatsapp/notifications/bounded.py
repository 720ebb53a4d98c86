"""Calls to what may hang (a store, Airflow, a database), each with a time limit."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Bounded(Protocol):
    """Calls something that may hang."""

    def __call__(self, act: Callable[[], T], seconds: float) -> T:
        """Call it and return its result; raises TimeoutError if it has not ended in time; it may still end later."""


def directly(act: Callable[[], T], seconds: float) -> T:  # noqa: ARG001  (as Bounded says)
    """Call something without a time limit, where Airflow allows none."""
    return act()


def in_daemon(act: Callable[[], T], seconds: float) -> T:
    """Call something in a thread that keeps no process alive; raises TimeoutError as :class:`Bounded` says."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(act())
        except BaseException as error:  # the waiting caller gets it
            done.set_exception(error)

    threading.Thread(target=run, name="whatsapp-alert-state", daemon=True).start()
    return done.result(seconds)
