"""Uses of what may hang (a store, Airflow, a database), each with an end to it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


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
        except BaseException as error:  # the caller that waits gets it
            done.set_exception(error)

    threading.Thread(target=run, name="whatsapp-alert-state", daemon=True).start()
    return done.result(seconds)
