"""
What a user may do with which DAGs, looked up once for a page that shows many.

These functions block: call them through ``in_thread``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from airflow.api_fastapi.app import get_auth_manager
from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from sqlalchemy import select

Method = Literal["GET", "PUT"]


@dataclass(frozen=True, slots=True)
class DagPermits:
    """A user's permissions."""

    every: frozenset[str]  # all DAGs, including paused and stale ones
    allowed: dict[Method, frozenset[str]]  # DAGs for which the user has the permission

    def may(self, method: Method, dag_id: str) -> bool:
        """Return whether the user may do something with a DAG; a deleted one requires the permission for all DAGs."""
        return dag_id in self.allowed[method] or (dag_id not in self.every and self.may_all(method))

    def may_all(self, method: Method) -> bool:
        """Return whether the user may do something with every DAG; if there is no DAG yet, nobody may."""
        return bool(self.every) and self.every <= self.allowed[method]


def dag_permits(user: Any) -> DagPermits:
    """Return a user's permissions from Airflow."""
    manager = get_auth_manager()
    with create_session(scoped=False) as session:
        every = frozenset(session.scalars(select(DagModel.dag_id)))
    methods: tuple[Method, ...] = ("GET", "PUT")
    return DagPermits(
        every,
        {method: frozenset(manager.get_authorized_dag_ids(user=user, method=method)) for method in methods},
    )
