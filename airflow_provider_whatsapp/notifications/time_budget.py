"""
How long an alert may take: Airflow ends callbacks that take longer.

A task's callback runs when the task has ended, but before Airflow reports that to the scheduler. Airflow kills the
process ``[core] task_success_overtime`` seconds (20) after a success or a failure: the alert would be lost without a
log line, and Airflow would retry a task that had failed for good. The callbacks of DAGs, and of tasks whose worker was
lost, run one after the other in the DAG processor; all callbacks of a file share 50 seconds with its parsing. Callbacks
in a triggerer or an executor have no such limit.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp._compat import conf, in_task
from airflow_provider_whatsapp.notifications.facts import is_lost, is_of_the_dag
from airflow_provider_whatsapp.notifications.records import PAUSE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

OVERTIME = 20.0
"""Seconds after a task's end, if Airflow's configuration does not set them."""
OF_A_DAG = 25.0
"""Seconds for one callback of a DAG: half of Airflow's 50, because other callbacks may need the rest."""
OF_A_FILE = 40.0
"""Seconds for all callbacks of a DAG's file; the rest of Airflow's 50 is for the parsing."""
OF_A_DEADLINE = 60.0
"""Seconds for a deadline's callback; Airflow sets none, but somebody waits for the message."""

MARGIN = 3.0
"""Seconds between the end of an alert's time and Airflow's limit: to log what was not sent."""
FOR_A_REQUEST = 5.0
"""Seconds that an alert which waits keeps for its request."""
LEAST = 2.0
FOR_THROTTLE_STATE = 0.3
"""Share of the time that the throttle state may take: a locked or slow store must not cost the message."""


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """The time that one alert has."""

    until: float  # moment of time.monotonic() at which the alert gives up its last request

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> Self:
        """Return the time that a callback has from now on."""
        return cls(time.monotonic() + max(LEAST, _allowed(context) - MARGIN))

    def left(self) -> float:
        """Return the seconds for which the alert may still wait before it sends."""
        return max(0.0, self.until - FOR_A_REQUEST - time.monotonic())

    def for_throttle_state(self) -> float:
        """Return the seconds that all uses of the throttle state may take together."""
        return FOR_THROTTLE_STATE * max(0.0, self.until - time.monotonic())

    def lasts(self) -> float:
        """Return the seconds after which an alert that has not ended counts as dead, so that another may send."""
        return max(PAUSE, self.until + MARGIN - time.monotonic())


def _allowed(context: Mapping[str, Any]) -> float:
    if context.get("deadline"):
        return OF_A_DEADLINE
    if not in_task():
        return OF_A_DAG
    if is_of_the_dag(context) or is_lost(context.get("ti")):
        return _left_of_the_file()
    overtime = conf.getfloat("core", "task_success_overtime", fallback=OVERTIME)
    spent = _since_the_end(context)
    # After that, Airflow has killed the task's own process: this is another one.
    return overtime - spent if spent < overtime else OF_A_DAG


def _left_of_the_file() -> float:
    spent = time.monotonic() - _first_of_the_file()
    # A process that lives longer is not one of the DAG processor's.
    return min(OF_A_DAG, OF_A_FILE - spent) if spent < 2 * OF_A_DAG else OF_A_DAG


@functools.cache
def _first_of_the_file() -> float:
    """Return the moment of the process's first such callback: the DAG processor has a process for each file."""
    return time.monotonic()


def _since_the_end(context: Mapping[str, Any]) -> float:
    """Return the seconds since the task's end: all of its callbacks share one limit."""
    ended = getattr(context.get("ti"), "end_date", None)
    return (datetime.now(UTC) - ended).total_seconds() if isinstance(ended, datetime) else 0.0
