"""The page under Browse: deliveries, templates, alerts and health of each connection."""

from __future__ import annotations

import logging
import time
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.client.masking import clean_line
from airflow_provider_whatsapp.notifications.mute import mute
from airflow_provider_whatsapp.plugin import templates_view
from airflow_provider_whatsapp.plugin.access import GetUserDep, sees_menu
from airflow_provider_whatsapp.plugin.alert_presses import load_presses
from airflow_provider_whatsapp.plugin.alerts_view import (
    StoreAwayError,
    alert_rows,
    find_alert,
    is_allowed,
    stores,
)
from airflow_provider_whatsapp.plugin.connections import may_see, visible_connections
from airflow_provider_whatsapp.plugin.deliveries import (
    HEIGHT,
    SPANS,
    delivery_page,
    duration,
    load_deliveries,
)
from airflow_provider_whatsapp.plugin.form import read_form
from airflow_provider_whatsapp.plugin.health_view import load_health
from airflow_provider_whatsapp.plugin.html import page
from airflow_provider_whatsapp.plugin.permits import dag_permits
from airflow_provider_whatsapp.plugin.sources import SOURCES, STORE, in_thread, with_records

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/browse", dependencies=[Depends(sees_menu)])

SHEETS = ("deliveries", "templates", "alerts", "health")
MUTES = {3_600: "1 hour", 4 * 3_600: "4 hours", 86_400: "1 day", 7 * 86_400: "1 week"}
"""Seconds for which an alert can be muted on the page."""


@router.get("")
async def browse() -> Response:
    """``GET /browse``: redirects to the first sheet, by an address that is right below any base path."""
    return RedirectResponse("browse/deliveries", 303)


async def _bar(user: Any, sheet: str, conn: str) -> dict[str, Any]:
    """Return the values of the top of each sheet; refuse a connection that the user may not see."""
    choices = await in_thread(visible_connections, user)
    if conn and conn not in choices:
        if not await in_thread(may_see, user, conn):
            raise HTTPException(403, "You have no permission to see this connection.")
        choices = [*choices, conn]
    return {"sheets": SHEETS, "sheet": sheet, "choices": choices, "conn": conn}


@router.get("/deliveries")
async def deliveries(
    request: Request, user: GetUserDep, conn: str = "", days: str = "", dag: str = ""
) -> Response:
    """``GET /browse/deliveries``; an empty ``conn`` stands for all numbers, an empty ``dag`` for all DAGs."""
    bar = await _bar(user, "deliveries", conn)
    span = int(days) if days in map(str, SPANS) else SPANS[0]
    answer = await STORE.ask(("deliveries", span, conn), load_deliveries, span, conn)
    view = None
    if answer.ok:
        permits = await in_thread(dag_permits, user)
        view = delivery_page(
            answer.value.rows, lambda dag_id: permits.may("GET", dag_id), days=span, dag_id=dag
        )
    return page(
        request,
        "deliveries.html",
        title="Deliveries",
        **bar,
        answer=answer,
        view=view,
        days=span,
        spans=SPANS,
        dag=dag,
        height=HEIGHT,
        duration=duration,
    )


@router.get("/templates")
async def templates(request: Request, user: GetUserDep, conn: str = "") -> Response:
    """``GET /browse/templates``; an empty ``conn`` stands for the first connection."""
    # Words to search for, Meta's word for the status, and the page.
    q, status, number = (request.query_params.get(name, "") for name in ("q", "status", "number"))
    bar = await _bar(user, "templates", conn)
    conn = bar["conn"] = conn or next(iter(bar["choices"]), "")
    answer = await SOURCES.ask(("templates", conn), templates_view.load_templates, conn) if conn else None
    cards = answer.value.cards if answer and answer.ok else ()
    found = templates_view.matching(cards, q, status)
    size = templates_view.PAGE
    pages = max(1, -(-len(found) // size))
    at = min(max(int(number) if number.isascii() and number.isdigit() else 1, 1), pages)

    def address(to: int) -> str:
        return "?" + urlencode({"conn": conn, "q": q, "status": status, "number": to})

    return page(
        request,
        "templates.html",
        title="Templates",
        **bar,
        answer=answer,
        cards=found[(at - 1) * size : at * size],
        count=len(found),
        total=len(cards),
        statuses=sorted({card.status for card in cards}),
        q=q,
        chosen=status,
        number=at,
        pages=pages,
        before=address(at - 1) if at > 1 else "",
        after=address(at + 1) if at < pages else "",
    )


@router.get("/health")
async def health(request: Request, user: GetUserDep, conn: str = "") -> Response:
    """``GET /browse/health``; an empty ``conn`` stands for the first connection."""
    bar = await _bar(user, "health", conn)
    conn = bar["conn"] = conn or next(iter(bar["choices"]), "")
    answer = await SOURCES.ask(("health", conn), load_health, conn) if conn else None
    return page(request, "health.html", title="Health", **bar, answer=answer)


@router.get("/alerts")
async def alerts(request: Request, user: GetUserDep, conn: str = "") -> Response:
    """``GET /browse/alerts``; ``conn`` is that of the other sheets, and alerts are shown for all connections."""
    return await _alerts(request, user, conn)


async def _alerts(request: Request, user: Any, conn: str, problem: str = "") -> Response:
    bar = await _bar(user, "alerts", conn)
    permits = await in_thread(dag_permits, user)
    kept = await with_records(stores, conn)
    answer = await STORE.ask(("presses",), load_presses)
    rows, problems = await with_records(alert_rows, kept, permits, time.time(), answer.value or {})
    if not answer.ok:
        problems.append(f"The page cannot show what people pressed below alerts. {answer.problem}")
    return page(
        request,
        "alerts.html",
        title="Alerts",
        status=400 if problem else 200,
        **bar,
        rows=rows,
        mutes=MUTES,
        failures=list(dict.fromkeys([*filter(None, [problem]), *problems])),
    )


@router.post("/alerts/mute")
async def mute_alert(request: Request, user: GetUserDep) -> Response:
    """``POST /browse/alerts/mute``: a form with ``store``, ``key`` and ``seconds``; 0 ends a mute."""
    given = await read_form(request)
    conn = given.get("conn", "")
    seen = conn if conn and await in_thread(may_see, user, conn) else ""
    kept = (await with_records(stores, seen)).get(given.get("store", ""))
    key, seconds = given.get("key", ""), given.get("seconds", "")
    if kept is None or seconds not in map(str, (0, *MUTES)):
        raise HTTPException(400, "This form does not belong to this page. Nothing was changed.")
    permits = await in_thread(dag_permits, user)
    try:
        found = await with_records(find_alert, kept, key)
        if found is None or not is_allowed(found.record, "PUT", permits):
            raise HTTPException(403, "There is no such alert, or you have no permission to edit its DAGs.")
        await with_records(lambda: mute(kept, key, seconds=float(seconds), by=user.get_name()))
    except (StoreAwayError, WhatsAppError) as error:
        return await _alerts(request, user, conn, str(error))
    shown = clean_line(key, limit=300)
    logger.info(
        "WhatsApp: alert %s: %s muted it for %s s", shown, clean_line(user.get_name(), limit=100), seconds
    )
    return RedirectResponse("../alerts?" + urlencode({"conn": conn}), 303)
