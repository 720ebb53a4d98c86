"""What an alert asks Airflow for, and can do without: where no answer comes, that is an answer here."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Ask = Callable[[Callable[[], Any]], Any]


def last_success(context: Mapping[str, Any], ask: Ask) -> float | None:
    """
    Return the start of the DAG's last successful run in Unix time in seconds, where Airflow knows it.

    :param context: The context of a callback.
    :param ask: Asks Airflow for something, in a bounded time.
    """

    def moment() -> float | None:
        found = context.get("prev_start_date_success")
        return float(found.timestamp()) if found is not None else None

    try:
        return ask(moment)  # type: ignore[no-any-return]
    except Exception:
        return None


def failed_of_the_task(context: Mapping[str, Any], key: str, ask: Ask) -> int:
    """
    Return how many mapped tasks of a callback's task have failed in its run; 0 where Airflow does not say.

    :param context: The context of a callback.
    :param key: What is alerted of: Airflow's number is no other key's than the task's own.
    :param ask: Asks Airflow for something, in a bounded time.
    """
    ti: Any = context.get("ti")
    try:
        if key != f"{ti.dag_id}.{ti.task_id}":
            return 0
        # The one that asks is not among them: its own end reaches Airflow after its callback.
        count = functools.partial(ti.get_ti_count, dag_id=ti.dag_id, task_ids=[ti.task_id])
        return 1 + int(ask(lambda: count(run_ids=[ti.run_id], states=["failed"])))
    except Exception:
        return 0
