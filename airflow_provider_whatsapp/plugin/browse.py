"""The page under Browse: what belongs to no task."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from airflow_provider_whatsapp.plugin.access import sees_menu
from airflow_provider_whatsapp.plugin.html import page

router = APIRouter(prefix="/browse", dependencies=[Depends(sees_menu)])


@router.get("")
async def browse(request: Request) -> Response:
    """
    ``GET /browse``.

    :param request: Any.
    """
    sentence = "Open a task instance and its tab WhatsApp: it shows what the task has sent."
    return page(request, "error.html", title="WhatsApp", sentence=sentence)
