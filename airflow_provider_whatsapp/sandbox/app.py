"""Builds the sandbox from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette

from airflow_provider_whatsapp.sandbox.controls import Controls
from airflow_provider_whatsapp.sandbox.edge import Edge
from airflow_provider_whatsapp.sandbox.page.views import Page
from airflow_provider_whatsapp.sandbox.state import State

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.settings import Settings


def build(settings: Settings, state: State | None = None) -> Edge:
    """Return a sandbox as an ASGI application; tests may bring a state with a clock of their own."""
    state = state or State(settings)
    page = Page(state)
    inner = Starlette(routes=[*Controls(state).routes(), *page.routes()])
    edge = Edge(state, inner)
    page.stopping = edge.stopping
    return edge
