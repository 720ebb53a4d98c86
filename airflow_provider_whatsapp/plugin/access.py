"""Who may see a page or change something, by Airflow's user and Airflow's permissions."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity
from airflow.api_fastapi.core_api.security import (
    GetUserDep,
    get_user,
    requires_access_dag,
    requires_access_view,
)
from airflow.configuration import conf
from fastapi import Depends, HTTPException, Request

from airflow_provider_whatsapp.plugin.metadata import dag_is_there
from airflow_provider_whatsapp.plugin.sources import in_thread

__all__ = ["GetUserDep", "get_user", "same_origin", "sees_dag", "sees_menu"]

# FastAPI evaluates the annotations as texts, so this module has to contain the names in them.
_SAFE = ("GET", "HEAD", "OPTIONS")
_entities = (DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)

sees_menu = requires_access_view(AccessView.PLUGINS)
"""A dependency: the user may see plugins' pages."""


async def dag_exists(dag_id: str) -> None:
    """Refuse a DAG that does not exist like one that the user may not see, so that users cannot learn names."""
    if not await in_thread(dag_is_there, dag_id):
        raise HTTPException(403, "There is no DAG with this ID, or you have no permission to see it.")


sees_dag = [
    *(Depends(requires_access_dag("GET", entity)) for entity in _entities),
    Depends(dag_exists),
]
"""Dependencies: the user may see task instances and XComs of the DAG in the path's ``dag_id``."""


def same_origin(request: Request) -> None:
    """Refuse a change that another page requests: Airflow's API server has no token against forgery."""
    if request.method in _SAFE:
        return
    # Browsers send Sec-Fetch-Site and Origin; a script with its own token sends neither, and no page can make a
    # browser send its Authorization.
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is None and origin is None:
        allowed = request.headers.get("authorization", "").lower().startswith("bearer ")
    else:
        ours = {request.headers.get("host"), urlsplit(conf.get("api", "base_url", fallback="")).netloc} - {
            None,
            "",
        }
        allowed = site in (None, "same-origin") and (origin is None or urlsplit(origin).netloc in ours)
    if not allowed:
        raise HTTPException(403, "This request comes from another page. Nothing was changed.")
