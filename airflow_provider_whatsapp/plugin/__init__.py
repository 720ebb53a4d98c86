"""
This package's pages in Airflow: a page under Browse, and a tab on each task instance.

Every component of Airflow imports this module, so it contains only plain data: FastAPI and everything else is imported
at the first request, only in the API server.

How to add a page:

1. A module beside this one has ``router = APIRouter(prefix="/name", dependencies=[...])``; ``app.py`` includes it.
   Its dependencies come from ``access.py``: ``[Depends(sees_menu)]`` for a page that belongs to no DAG, ``sees_dag``
   for one that does; its path then contains ``dag_id``. ``permits.py`` says what a user may do with each DAG. An
   argument ``user: GetUserDep`` is the user. ``app.py`` adds what applies everywhere: no answer without a user, and no
   POST from another page.
2. Routes are ``async def``; blocking calls run in this package's own threads: ``await in_thread(function, ...)`` for
   Airflow's database, ``await SOURCES.ask(key, function, ...)`` for the gateway and the event store, which may be slow
   (``sources.py``). The API server's own threads wait for neither.
3. ``return page(request, "name.html", title=..., **values)`` (``html.py``) renders a template that extends
   ``base.html``; everything is escaped. ``parts.html`` has macros that pages share, ``static/page.css`` the style.
   The policy allows no ``style=`` and no ``on...=`` attribute, and addresses are relative.
"""

from __future__ import annotations

from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

PREFIX = "/whatsapp"
"""The path at which the API server mounts the app, below its base path."""


class LazyApp:
    """An ASGI app that is made at its first request, because importing FastAPI takes a second."""

    _app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if self._app is None:
            from airflow_provider_whatsapp.plugin.app import make_app

            self._app = make_app()
        await self._app(scope, receive, send)


def _if_wanted(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is registered; nothing if ``[whatsapp] ui`` is False."""
    return entries if conf.getboolean("whatsapp", "ui", fallback=True) else []


class WhatsAppPlugin(AirflowPlugin):
    """The page under Browse and the tab on a task instance."""

    name = "whatsapp"
    fastapi_apps: list[Any] = _if_wanted([{"app": LazyApp(), "url_prefix": PREFIX, "name": "WhatsApp"}])
    # Without a leading slash they are below Airflow's base path. IDs are part of the path: Airflow 3.1 does not encode
    # them, and a plus sign in a query would be a space.
    external_views: list[Any] = _if_wanted(
        [
            {
                "name": "WhatsApp",
                "href": "whatsapp/browse",
                "destination": "nav",
                "category": "browse",
                "url_route": "whatsapp",
            },
            {
                "name": "WhatsApp",
                "href": "whatsapp/task/{DAG_ID}/{RUN_ID}/{TASK_ID}/{MAP_INDEX}",
                "destination": "task_instance",
                "url_route": "whatsapp_task",
            },
        ]
    )
