"""
What is read from Airflow's metadata database; all of it, for Airflow promises nothing about its tables.

These functions block: call them by ``in_thread``.
"""

from __future__ import annotations

from typing import Any

from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from sqlalchemy import select


def dag_is_there(dag_id: str) -> bool:
    """
    Say whether there is a DAG of this name, paused or stale ones included.

    :param dag_id: Its name.
    """
    with create_session(scoped=False) as session:
        found: Any = session.scalar(select(DagModel.dag_id).where(DagModel.dag_id == dag_id))
    return found is not None
