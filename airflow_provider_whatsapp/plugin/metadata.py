"""
What is read from Airflow's metadata database; all of it, for Airflow promises nothing about its tables.

These functions block: call them by ``in_thread``.
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
"""Of an XCom that is read: one with more would take the API server's memory."""
_XCOMS = ("return_value", "report")


def dag_is_there(dag_id: str) -> bool:
    """
    Say whether there is a DAG of this name, paused or stale ones included.

    :param dag_id: Its name.
    """
    with create_session(scoped=False) as session:
        found: Any = session.scalar(select(DagModel.dag_id).where(DagModel.dag_id == dag_id))
    return found is not None


@dataclass(frozen=True, slots=True)
class TaskRun:
    """
    What Airflow keeps of a task instance, as far as a page shows it.

    :param dag_id: The DAG.
    :param run_id: Its run.
    :param task_id: The task.
    :param map_index: Of a mapped task; -1 otherwise.
    :param state: Airflow's; None: it has none yet.
    :param operator: Name of the operator's class.
    :param hostname: The machine that ran it.
    :param started: When its latest try began.
    :param ended: When that ended.
    :param fields: The rendered fields.
    :param xcoms: ``return_value`` and ``report``, where they are not too large.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str | None = None
    operator: str = ""
    hostname: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    xcoms: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> tuple[str, str, str, int]:
        """What tells it from all others."""
        return self.dag_id, self.run_id, self.task_id, self.map_index

    @property
    def is_running(self) -> bool:
        """Whether it may send still."""
        return self.state in ("running", "deferred", "up_for_retry", "up_for_reschedule", "restarting")


def read_task(dag_id: str, run_id: str, task_id: str, map_index: int) -> TaskRun | None:
    """
    Return a task instance; None where there is none.

    :param dag_id: The DAG.
    :param run_id: Its run.
    :param task_id: The task.
    :param map_index: Of a mapped task; -1 otherwise.
    """
    names = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
    # Airflow 3.4 keeps an instance for each try.
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
    """Return what chooses the XComs of a try, where Airflow keeps them for each."""
    column: Any = getattr(XComModel, "task_instance_id", None)
    return [] if column is None else [column == ti.id]


def _are(model: Any, names: Mapping[str, Any]) -> list[Any]:
    return [getattr(model, name) == value for name, value in names.items()]


def connection_type(conn_id: str) -> str | None:
    """
    Return the type of an Airflow connection; None where the API server finds none of this ID.

    :param conn_id: Its ID.
    """
    from airflow.sdk import BaseHook

    from airflow_provider_whatsapp._compat import AirflowNotFoundException

    try:
        return BaseHook.get_connection(conn_id).conn_type
    except AirflowNotFoundException:
        return None


def variable(key: str) -> str | None:
    """
    Return an Airflow Variable; None where there is none.

    :param key: Its name.
    """
    found: Any = Variable.get(key, default_var=None)
    return found if isinstance(found, str) else None
