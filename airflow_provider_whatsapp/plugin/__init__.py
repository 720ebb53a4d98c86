"""
What people see of this package in Airflow: a page under Browse, and a tab on each task instance.

Every component of Airflow imports this module, so it is a handful of plain data: FastAPI and all else are imported at
the first request, in the API server alone.

How a page is added:

1. A module beside this one holds ``router = APIRouter(prefix="/name", dependencies=[...])``; ``app.py`` includes it.
   Its dependencies come from ``access.py``: ``[Depends(sees_menu)]`` for what belongs to no DAG, ``sees_dag`` for what
   does; ``dag_id`` is in the path then. What a user may do with each DAG ``permits.py`` says. An argument
   ``user: GetUserDep`` is the user. What holds everywhere ``app.py`` adds: no answer without a user, and no POST that
   comes from another page.
2. Routes are ``async def``; what blocks runs in threads of our own: ``await in_thread(function, ...)`` for Airflow's
   database, ``await SOURCES.ask(key, function, ...)`` for the gateway and the event store, which may be slow
   (``sources.py``). The API server's own threads wait for neither.
3. ``return page(request, "name.html", title=..., **values)`` (``html.py``) renders a template that extends
   ``base.html``; everything is escaped. ``parts.html`` holds macros that pages share, ``static/page.css`` the style.
   The policy allows no ``style=`` and no ``on...=`` attribute, and addresses are relative.
"""

from __future__ import annotations

from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

PREFIX = "/whatsapp"
"""Where the API server mounts the app, below its base path."""


class LazyApp:
    """An ASGI app that is made at its first request, because FastAPI takes a second to import."""

    _app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """
        Answer a request.

        :param scope: ASGI's.
        :param receive: ASGI's.
        :param send: ASGI's.
        """
        if self._app is None:
            from airflow_provider_whatsapp.plugin.app import make_app

            self._app = make_app()
        await self._app(scope, receive, send)


def _if_wanted(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is registered: nothing, where ``[whatsapp] ui`` is False."""
    return entries if conf.getboolean("whatsapp", "ui", fallback=True) else []


class WhatsAppPlugin(AirflowPlugin):
    """The page under Browse and the tab on a task instance."""

    name = "whatsapp"
    fastapi_apps: list[Any] = _if_wanted([{"app": LazyApp(), "url_prefix": PREFIX, "name": "WhatsApp"}])
    # Without a slash in front they are below Airflow's base path. IDs stand in the path: Airflow 3.1 encodes nothing,
    # and a plus sign in a query would be a space.
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
