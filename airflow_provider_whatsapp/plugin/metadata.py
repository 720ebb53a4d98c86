"""
All reads of Airflow's metadata database, in one place, because Airflow promises nothing about its tables.

These functions block: call them through ``in_thread``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow.models.dag import DagModel
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.variable import Variable
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import Text, cast, func, select

MOST_CHARACTERS = 8_000_000
"""The largest XCom that is read; a larger one would use too much of the API server's memory."""
_XCOMS = ("return_value", "report")


def dag_is_there(dag_id: str) -> bool:
    """Return whether a DAG with this ID exists, including paused and stale ones."""
    with create_session(scoped=False) as session:
        found: Any = session.scalar(select(DagModel.dag_id).where(DagModel.dag_id == dag_id))
    return found is not None


@dataclass(frozen=True, slots=True)
class TaskRun:
    """What Airflow stores about a task instance, as far as a page shows it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int  # -1: the task is not mapped
    state: str | None = None  # Airflow's state; None: it has none yet
    operator: str = ""  # name of the operator's class
    hostname: str = ""  # the machine that ran it
    started: datetime | None = None  # when its latest try began
    ended: datetime | None = None  # when its latest try ended
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)  # the rendered fields
    xcoms: Mapping[str, Any] = field(default_factory=dict, repr=False)  # of _XCOMS, those not too large

    @property
    def names(self) -> tuple[str, str, str, int]:
        """The IDs that identify it."""
        return self.dag_id, self.run_id, self.task_id, self.map_index

    @property
    def is_running(self) -> bool:
        """Whether it may still send."""
        return self.state in ("running", "deferred", "up_for_retry", "up_for_reschedule", "restarting")


def read_task(dag_id: str, run_id: str, task_id: str, map_index: int) -> TaskRun | None:
    """Return a task instance; None: it does not exist."""
    names = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
    # Airflow 3.4 stores an instance for each try.
    latest = select(TaskInstance).where(*_are(TaskInstance, names)).order_by(TaskInstance.try_number.desc())
    with create_session(scoped=False) as session:
        ti: Any = session.scalars(latest.limit(1)).first()
        if ti is None:
            return None
        fields: Any = RenderedTaskInstanceFields.get_templated_fields(ti, session=session)
        kept = select(XComModel.key, XComModel.value).where(
            *_are(XComModel, names),
            *_of_the_try(ti),
            XComModel.key.in_(_XCOMS),
            func.length(cast(XComModel.value, Text)) < MOST_CHARACTERS,
        )
        xcoms: dict[str, Any] = {row[0]: row[1] for row in session.execute(kept)}
        return TaskRun(
            dag_id,
            run_id,
            task_id,
            map_index,
            state=str(ti.state) if ti.state else None,
            operator=str(ti.operator or ""),
            hostname=str(ti.hostname or ""),
            started=ti.start_date,
            ended=ti.end_date,
            fields=fields if isinstance(fields, dict) else {},
            xcoms=xcoms,
        )


def _of_the_try(ti: Any) -> list[Any]:
    """Return the conditions for the XComs of a try, if Airflow stores them per try."""
    column: Any = getattr(XComModel, "task_instance_id", None)
    return [] if column is None else [column == ti.id]


def _are(model: Any, names: Mapping[str, Any]) -> list[Any]:
    return [getattr(model, name) == value for name, value in names.items()]


def connection_type(conn_id: str) -> str | None:
    """Return the type of an Airflow connection; None: the API server finds no connection with this ID."""
    from airflow.sdk import BaseHook

    from airflow_provider_whatsapp._compat import AirflowNotFoundException

    try:
        return BaseHook.get_connection(conn_id).conn_type
    except AirflowNotFoundException:
        return None


def variable(key: str) -> str | None:
    """Return an Airflow Variable; None: it does not exist."""
    found: Any = Variable.get(key, default_var=None)
    return found if isinstance(found, str) else None
