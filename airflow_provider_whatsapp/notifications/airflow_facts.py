"""Facts that an alert asks Airflow for, and can do without: no answer is an answer too, never an error."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Ask = Callable[[Callable[[], Any]], Any]  # asks Airflow for something, in a bounded time


def last_success(context: Mapping[str, Any], ask: Ask) -> float | None:
    """Return when the DAG's last successful run started, as Unix time in seconds; None: Airflow does not say."""

    def moment() -> float | None:
        found = context.get("prev_start_date_success")
        return float(found.timestamp()) if found is not None else None

    try:
        return ask(moment)  # type: ignore[no-any-return]
    except Exception:
        return None


def failed_of_the_task(context: Mapping[str, Any], key: str, ask: Ask) -> int:
    """Return how many instances of a callback's task have failed in its run; 0: Airflow does not say."""
    ti: Any = context.get("ti")
    try:
        if key != f"{ti.dag_id}.{ti.task_id}":  # Airflow's number applies only to the task's own key
            return 0
        # The instance that asks is not among them: Airflow learns of its failure after its callback.
        count = functools.partial(ti.get_ti_count, dag_id=ti.dag_id, task_ids=[ti.task_id])
        return 1 + int(ask(lambda: count(run_ids=[ti.run_id], states=["failed"])))
    except Exception:
        return 0
