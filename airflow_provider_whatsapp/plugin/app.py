"""The app: its routers, and what applies to every answer."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.responses import Response
from starlette.routing import Mount, Route, Router

from airflow_provider_whatsapp.client.masking import place_of
from airflow_provider_whatsapp.plugin import browse, task
from airflow_provider_whatsapp.plugin.access import get_user, same_origin
from airflow_provider_whatsapp.plugin.answer import lead_on
from airflow_provider_whatsapp.plugin.html import page
from airflow_provider_whatsapp.plugin.sources import SlowAirflowError

logger = logging.getLogger(__name__)

SENTENCES = {
    400: "The page does not understand this address.",
    401: "You are not logged in. Log in to Airflow and open this page again.",
    403: "You have no permission to see this.",
    404: "There is no such page.",
    405: "There is no such page.",
    500: "The page failed. The API server's log says where.",
}


_METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


def make_app() -> Any:
    """Return the ASGI app: every route except an answer's first requires a user, even one that does not exist."""
    app = FastAPI(
        dependencies=[Depends(get_user), Depends(same_origin)],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.router.redirect_slashes = False
    app.include_router(task.router)
    app.include_router(browse.router)
    app.add_api_route("/{path:path}", _nothing, methods=_METHODS)
    app.add_exception_handler(AnyHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _refused)
    app.add_exception_handler(SlowAirflowError, _refused)
    app.add_exception_handler(Exception, _refused)
    # Outside of that app, because anybody may open it: Airflow's page, to which it redirects, requires the user.
    public = Route("/a/{id}", lead_on, methods=["GET"])
    return Guarded(Router([public, Mount("", app)], redirect_slashes=False))


async def _nothing() -> None:
    raise HTTPException(404)


async def _refused(request: Request, error: Exception) -> Response:
    status = {RequestValidationError: 400, SlowAirflowError: 503}.get(type(error))
    said = str(error) if isinstance(error, SlowAirflowError) else ""
    if isinstance(error, AnyHTTPException):
        status, said = error.status_code, str(error.detail)
    status = status or 500
    # Airflow's own texts are short and for programs; ours are sentences.
    sentence = said if said.endswith(".") else SENTENCES.get(status, SENTENCES[500])
    return page(request, "error.html", title="WhatsApp", status=status, sentence=sentence)


class Guarded:
    """An app whose errors end here, after the page that reports them: the server's log would quote their texts."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            logger.error("A WhatsApp page failed: %s", place_of(error))  # noqa: TRY400
