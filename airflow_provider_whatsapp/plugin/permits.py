"""
What a user may do with which DAGs, asked once for a page that shows many.

These functions block: call them by ``in_thread``.
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
    """
    What a user may do.

    :param every: All DAGs, paused and stale ones included.
    :param allowed: For ``GET`` and ``PUT``, those with which the user may do it.
    """

    every: frozenset[str]
    allowed: dict[Method, frozenset[str]]

    def may(self, method: Method, dag_id: str) -> bool:
        """
        Say whether the user may do something with a DAG; one that is gone belongs to those who may do it with all.

        :param method: ``GET`` or ``PUT``.
        :param dag_id: The DAG.
        """
        return dag_id in self.allowed[method] or (dag_id not in self.every and self.may_all(method))

    def may_all(self, method: Method) -> bool:
        """
        Say whether the user may do something with every DAG; where there is none yet, nobody may.

        :param method: ``GET`` or ``PUT``.
        """
        return bool(self.every) and self.every <= self.allowed[method]


def dag_permits(user: Any) -> DagPermits:
    """
    Ask Airflow what a user may do.

    :param user: From ``GetUserDep``.
    """
    manager = get_auth_manager()
    with create_session(scoped=False) as session:
        every = frozenset(session.scalars(select(DagModel.dag_id)))
    methods: tuple[Method, ...] = ("GET", "PUT")
    return DagPermits(
        every,
        {method: frozenset(manager.get_authorized_dag_ids(user=user, method=method)) for method in methods},
    )
