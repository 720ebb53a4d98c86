"""The page's routes: HTML from templates, with style and script inline."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from airflow_provider_whatsapp.preview.message import template_bubble
from airflow_provider_whatsapp.preview.render import environment, style
from airflow_provider_whatsapp.sandbox import graph_messages, graph_templates, maton
from airflow_provider_whatsapp.sandbox.page import windows
from airflow_provider_whatsapp.sandbox.page.bubbles import OPENS, bubble, with_reactions
from airflow_provider_whatsapp.sandbox.settings import connection_line
from airflow_provider_whatsapp.sandbox.webhooks.graph import configuration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from airflow_provider_whatsapp.sandbox.model import Conversation
    from airflow_provider_whatsapp.sandbox.state import State

_HERE = Path(__file__).parent
_BEAT = 0.4
_BODY = 16_384
"""Bytes of a webhook that the page shows."""
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Page:
    """The page."""

    stopping: asyncio.Event

    def __init__(self, state: State) -> None:
        self._state = state
        self._jinja = environment(_HERE / "templates")
        self._jinja.filters["readable"] = lambda body: windows.readable(body[:_BODY])
        self._jinja.globals["css"] = style() + (_HERE / "static" / "page.css").read_text("utf-8")
        self._jinja.globals["js"] = (_HERE / "static" / "page.js").read_text("utf-8")

    def routes(self) -> list[Route]:
        """The page's routes."""
        return [
            Route("/", self.conversations),
            Route("/templates", self.templates),
            Route("/requests", self.requests),
            Route("/faults", self.faults),
            Route("/webhooks", self.webhooks),
            Route("/events", self.events),
            Route("/files/{media_id}", self.file),
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
            armed=[
                each for each in state.faults.listing() if not each["times"] or each["struck"] < each["times"]
            ],
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
        """``GET /``: conversations, one of them open."""
        # `with` (and `from`, the sender) opens the conversation with that user or none; `before` shows older items.
        # `find` filters the list of conversations by number; `after` continues it after one of them.
        state, query = self._state, request.query_params
        wanted, sender = query.get("with", ""), query.get("from", "")
        found = windows.find_chats(state, query.get("find", ""))
        opened = self._opened(wanted, sender) if wanted else next(iter(found), None)
        chats, more_chats = windows.chats(state, found, query.get("after", ""))
        items, more = windows.thread(opened, query.get("before", "")) if opened else ([], "")
        return self._show(
            "conversations.html",
            "conversations",
            404 if wanted and opened is None else 200,
            chats=chats,
            total=len(found),
            more_chats=more_chats,
            find=query.get("find", ""),
            opened=opened,
            wanted=wanted,
            number=state.numbers[opened.number_id] if opened else None,
            bubbles=with_reactions(bubble(state, item) for item in items),
            more=more,
            connection=connection_line(state.settings, state.base_url),
        )

    def _opened(self, wanted: str, sender: str) -> Conversation | None:
        """Return the latest conversation with a user, or the one with a sender, even if the list does not show it."""
        wa_id = graph_messages.digits(wanted) or wanted
        names = {wanted, wa_id, graph_messages.whatsapp_id(wa_id)}
        return next(
            (
                each
                for each in reversed(self._state.conversations.values())
                if each.items and each.wa_id in names and sender in ("", each.number_id)
            ),
            None,
        )

    async def file(self, request: Request) -> Response:
        """``GET /files/{media_id}``: an uploaded file, if its type is one of :data:`OPENS`."""
        found = self._state.media.get(request.path_params["media_id"])
        if found is None or not found.data or found.mime not in OPENS:
            return PlainTextResponse("There is no such file", 404)
        headers = {
            "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        return Response(found.data, 200, headers, media_type=found.mime)

    async def templates(self, request: Request) -> Response:
        """``GET /templates``."""
        state = self._state
        shown = [
            {
                **graph_templates.describe(state, each),
                "preview": template_bubble(each.components),
                "waba_id": each.waba_id,
            }
            for each in reversed(state.templates_of())
        ]
        reasons = [reason for reason in graph_templates.REASONS if reason != "NONE"]
        return self._show(
            "templates.html", "templates", templates=shown, reasons=reasons, several=len(state.accounts) > 1
        )

    async def requests(self, request: Request) -> Response:
        """``GET /requests``: the latest requests, or those ``before`` one, filtered by ``kind`` and ``outcome``."""
        query = request.query_params
        kind = query.get("kind", "") if query.get("kind") in windows.KINDS else ""
        outcome = query.get("outcome", "") if query.get("outcome") in windows.OUTCOMES else ""
        before = _number(query.get("before", ""))
        rows, more = windows.requests(self._state, kind=kind, outcome=outcome, before=before)
        kept = {name: value for name, value in (("kind", kind), ("outcome", outcome)) if value}
        return self._show(
            "requests.html",
            "requests",
            rows=rows,
            total=self._state.logged,
            kind=kind,
            outcome=outcome,
            kinds=windows.KINDS,
            outcomes=windows.OUTCOMES,
            older=f"/requests?{urlencode({**kept, 'before': more})}" if more else "",
        )

    async def faults(self, request: Request) -> Response:
        """``GET /faults``."""
        return self._show("faults.html", "faults", faults=self._state.faults.listing())

    async def webhooks(self, request: Request) -> Response:
        """``GET /webhooks``: the addresses, and the latest deliveries or those ``before`` one."""
        hooks, before = self._state.webhooks, _number(request.query_params.get("before", ""))
        shown, more = windows.deliveries(self._state, before)
        return self._show(
            "webhooks.html",
            "webhooks",
            hooks=hooks,
            addresses=[
                (each.display, configuration(self._state, each.id) or {})
                for each in self._state.numbers.values()
            ],
            misbehaviour=hooks.faults.words(),
            deliveries=shown,
            older=f"/webhooks?before={more}" if more else "",
        )

    async def connect(self, request: Request) -> Response:
        """``GET /connect/{token}``: the browser step of a Maton connection."""
        found = maton.activate(self._state, request.path_params["token"], request.query_params.get("account"))
        return self._show("connect.html", "", 200 if found else 404, connection=found)

    async def icon(self, request: Request) -> Response:
        """``GET /favicon.ico``: 404, since the page has no icon."""
        return PlainTextResponse("", 404)

    async def events(self, request: Request) -> Response:
        """``GET /events``: an event whenever the page has something new to show."""
        return StreamingResponse(
            self._beats(request), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def _beats(self, request: Request) -> AsyncIterator[str]:
        state, seen, quiet = self._state, -1, 0.0
        while not self.stopping.is_set() and not await request.is_disconnected():
            # Statuses and reviews change with time alone, so beats continue while a change is still to come.
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


def _number(raw: str) -> int | None:
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 12 else None
