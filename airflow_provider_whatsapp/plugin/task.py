"""The tab on a task instance: what it has sent, to whom, and whether it arrived."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from airflow_provider_whatsapp.plugin.access import sees_dag
from airflow_provider_whatsapp.plugin.html import page

router = APIRouter(prefix="/task/{dag_id}", dependencies=sees_dag)


@router.get("/{run_id}/{task_id}/{map_index}")
async def task(request: Request) -> Response:
    """
    ``GET /task/{dag_id}/{run_id}/{task_id}/{map_index}``.

    :param request: Its path names the task instance; Airflow leaves ``{MAP_INDEX}`` as it is where there is none.
    """
    return page(request, "error.html", title="WhatsApp", sentence="No messages from this task.")
