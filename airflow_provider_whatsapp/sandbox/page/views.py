"""The page's routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse
from starlette.routing import Route

if TYPE_CHECKING:
    import asyncio

    from starlette.requests import Request
    from starlette.responses import Response

    from airflow_provider_whatsapp.sandbox.state import State


class Page:
    """
    The page.

    :param state: The sandbox's memory.
    """

    stopping: asyncio.Event

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[Route]:
        """The page's routes."""
        return [Route("/", self.conversations)]

    async def conversations(self, request: Request) -> Response:
        """``GET /``."""
        return HTMLResponse("<!doctype html><title>WhatsApp sandbox</title>")
