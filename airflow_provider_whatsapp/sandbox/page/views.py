"""The page's routes: plain HTML from templates, its style and script inside it."""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from airflow_provider_whatsapp.sandbox import graph_templates, maton
from airflow_provider_whatsapp.sandbox.page.bubbles import bubble, clock_time, template_preview

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from airflow_provider_whatsapp.sandbox.model import Conversation
    from airflow_provider_whatsapp.sandbox.state import State

_HERE = Path(__file__).parent
_SHOWN_MESSAGES = 200
_SHOWN_CONVERSATIONS = 200
_SHOWN_REQUESTS = 200
_BEAT = 0.4
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Page:
    """
    The page.

    :param state: The sandbox's memory.
    """

    stopping: asyncio.Event

    def __init__(self, state: State) -> None:
        self._state = state
        self._jinja = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.filters["clock"] = clock_time
        self._jinja.globals["css"] = (_HERE / "static" / "page.css").read_text("utf-8")
        self._jinja.globals["js"] = (_HERE / "static" / "page.js").read_text("utf-8")

    def routes(self) -> list[Route]:
        """The page's routes."""
        return [
            Route("/", self.conversations),
            Route("/templates", self.templates),
            Route("/requests", self.requests),
            Route("/faults", self.faults),
            Route("/events", self.events),
            Route("/connect/{token}", self.connect),
            Route("/favicon.ico", self.icon),
        ]

    def _show(self, template: str, view: str, status: int = 200, **values: Any) -> Response:
        nonce = secrets.token_urlsafe(12)
        state = self._state
        html = self._jinja.get_template(template).render(
            view=view,
            nonce=nonce,
            url=state.base_url,
            now=state.clock.now(),
            settings=state.settings,
            **values,
        )
        headers = {
            "Content-Security-Policy": _POLICY.format(nonce=nonce),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-WhatsApp-Sandbox": "1",
        }
        return HTMLResponse(html.encode("utf-8", "replace"), status, headers)

    async def conversations(self, request: Request) -> Response:
        """``GET /``: all conversations, one of them open."""
        state = self._state
        found = list(reversed(state.conversations.values()))[:_SHOWN_CONVERSATIONS]
        found = [each for each in found if each.items]
        wanted = request.query_params.get("with", "")
        sender = request.query_params.get("from", "")
        opened = next(
            (each for each in found if each.wa_id == wanted and sender in ("", each.number_id)),
            found[0] if found else None,
        )
        items = list(opened.items)[-_SHOWN_MESSAGES:] if opened else []
        return self._show(
            "conversations.html",
            "conversations",
            chats=[self._chat(each) for each in found],
            opened=opened,
            chosen=bool(wanted),
            number=state.numbers[opened.number_id] if opened else None,
            bubbles=[bubble(state, item) for item in items],
        )

    def _chat(self, conversation: Conversation) -> dict[str, Any]:
        last = bubble(self._state, conversation.items[-1])
        return {
            "wa_id": conversation.wa_id,
            "number_id": conversation.number_id,
            "last": last,
            "count": len(conversation.items),
            "hue": sum(map(ord, conversation.wa_id)) * 47 % 360,
        }

    async def templates(self, request: Request) -> Response:
        """``GET /templates``."""
        state = self._state
        shown = [
            {
                **graph_templates.describe(state, each),
                "preview": template_preview(state, each.components),
                "waba_id": each.waba_id,
            }
            for each in reversed(state.templates_of())
        ]
        reasons = [reason for reason in graph_templates.REASONS if reason != "NONE"]
        return self._show(
            "templates.html", "templates", templates=shown, reasons=reasons, several=len(state.accounts) > 1
        )

    async def requests(self, request: Request) -> Response:
        """``GET /requests``: the latest, with their bodies and answers."""
        latest = [
            self._state.requests[-index]
            for index in range(1, min(len(self._state.requests), _SHOWN_REQUESTS) + 1)
        ]
        rows = [
            {"it": each, "sent": _readable(each.sent), "answered": _readable(each.answered)}
            for each in latest
        ]
        return self._show("requests.html", "requests", rows=rows, total=len(self._state.requests))

    async def faults(self, request: Request) -> Response:
        """``GET /faults``."""
        return self._show("faults.html", "faults", faults=self._state.faults.listing())

    async def connect(self, request: Request) -> Response:
        """``GET /connect/{token}``: the browser step of a Maton connection."""
        found = maton.activate(self._state, request.path_params["token"], request.query_params.get("account"))
        return self._show("connect.html", "", 200 if found else 404, connection=found)

    async def icon(self, request: Request) -> Response:
        """``GET /favicon.ico``: there is none."""
        return PlainTextResponse("", 404)

    async def events(self, request: Request) -> Response:
        """``GET /events``: a beat whenever there is something new to show."""
        return StreamingResponse(
            self._beats(request), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def _beats(self, request: Request) -> AsyncIterator[str]:
        state, seen, quiet = self._state, -1, 0.0
        while not self.stopping.is_set() and not await request.is_disconnected():
            # Ticks and reviews come by time alone, so a beat is due while any is still to come.
            if state.version != seen or state.clock.now() <= state.busy_until + 2 * _BEAT:
                seen, quiet = state.version, 0.0
                yield f"data: {seen}\n\n"
            elif quiet >= 15:
                quiet = 0.0
                yield ": quiet\n\n"
            quiet += _BEAT
            try:
                await asyncio.wait_for(self.stopping.wait(), _BEAT)
            except TimeoutError:
                continue


def _readable(body: bytes) -> str:
    if not body:
        return ""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = body[:2_000].decode("utf-8", "replace")
        return text if text.isprintable() or "\n" in text else f"{len(body)} bytes"
