"""The tab on a task instance: what it has sent, to whom, and whether it arrived."""

from __future__ import annotations

import csv
import io
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from airflow_provider_whatsapp.client.masking import mask, mask_id
from airflow_provider_whatsapp.plugin import task_facts, task_receipts
from airflow_provider_whatsapp.plugin.access import GetUserDep, sees_dag
from airflow_provider_whatsapp.plugin.form import read_form
from airflow_provider_whatsapp.plugin.html import HEADERS, page
from airflow_provider_whatsapp.plugin.metadata import TaskRun, read_task
from airflow_provider_whatsapp.plugin.phone import shows_values
from airflow_provider_whatsapp.plugin.recipients import OUTCOMES, Recipient, chosen
from airflow_provider_whatsapp.plugin.sources import in_thread
from airflow_provider_whatsapp.plugin.task_recipients import recipients_of_task, report_of

PAGE = 50
"""The number of recipients on a page."""
MOST_CHARACTERS = 100
"""The most characters of a search text."""
COLUMNS = ("position", "recipient", "outcome", "at", "code", "why", "advice", "message_id")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

router = APIRouter(prefix="/task/{dag_id}", dependencies=sees_dag)


async def _task(request: Request) -> TaskRun:
    names = request.path_params
    index = names["map_index"]
    # Without a map index, Airflow leaves {MAP_INDEX} in the path as it is.
    place = int(index) if index.isascii() and index.isdigit() and len(index) < 10 else -1
    run: TaskRun | None = await in_thread(
        read_task, names["dag_id"], names["run_id"], names["task_id"], place
    )
    if run is None:
        raise HTTPException(
            404, "There is no such task instance. It was deleted, or its map index has changed."
        )
    return run


async def _asked_for(request: Request) -> tuple[str, str, int]:
    """Return the requested outcome, text and page."""
    posted = request.method == "POST"
    form: Any = await read_form(request) if posted else request.query_params
    outcome, number = form.get("show", ""), form.get("page", "")
    # A text comes only by POST: a number in an address would appear in the API server's log and in the browser's
    # history.
    find = form.get("find", "") if posted else ""
    return outcome if outcome in OUTCOMES else "", find[:MOST_CHARACTERS], _number(number)


def _hide(run: TaskRun) -> tuple[Any, Any]:
    """Return the functions that show a number and a message's ID: masked, unless the task ran with log_pii."""
    return (str, str) if shows_values(run.fields) else (mask, mask_id)


@router.get("/{run_id}/{task_id}/{map_index}")
@router.post("/{run_id}/{task_id}/{map_index}")
async def task(request: Request, user: GetUserDep) -> Response:
    """``/task/{dag_id}/{run_id}/{task_id}/{map_index}``: the tab; ``show``, ``find``, ``page`` choose recipients."""
    run = await _task(request)
    found = await task_facts.gather(run, user)
    outcome, find, number = await _asked_for(request)
    people = found["people"]
    shown, shown_id = _hide(run)
    recipients = chosen(people.recipients, outcome, find, shown=shown) if people is not None else []
    pages = max(1, -(-len(recipients) // PAGE))
    number = min(max(number, 1), pages)
    return page(
        request,
        "task.html",
        title=f"WhatsApp · {run.task_id}",
        run=run,
        report=report_of(run),
        nothing=not any(found[name] for name in ("people", "templates", "alerts", "record", "template"))
        and found["phone"].bubble is None
        and not (found["problems"] or found["late"]),
        outcome=outcome,
        outcomes=OUTCOMES,
        find=find,
        rows=recipients[(number - 1) * PAGE : number * PAGE],
        matches=len(recipients),
        number=number,
        pages=pages,
        mask=shown,
        mask_id=shown_id,
        store=task_receipts.store_is_named(),
        **found,
    )


@router.post("/{run_id}/{task_id}/{map_index}/recipients.csv")
async def download(request: Request, user: GetUserDep) -> Response:
    """``POST .../recipients.csv``: the recipients that ``show`` and ``find`` choose, as on the page."""
    run = await _task(request)
    outcome, find, _ = await _asked_for(request)
    answer = await recipients_of_task(run, user)
    if answer is not None and answer.late:
        raise HTTPException(503, "The recipients have not all been read yet. Try again in a moment.")
    if answer is None or answer.value is None:
        raise HTTPException(
            404,
            answer.problem
            if answer is not None and answer.problem
            else "This task has no table of recipients.",
        )
    shown, shown_id = _hide(run)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for each in chosen(answer.value.recipients, outcome, find, shown=shown):
        writer.writerow([_cell(value) for value in _row(each, shown, shown_id)])
    headers = HEADERS | {"Content-Disposition": 'attachment; filename="recipients.csv"'}
    return Response(
        text.getvalue().encode("utf-8", "replace"), 200, headers, media_type="text/csv; charset=utf-8"
    )


def _row(it: Recipient, shown: Any, shown_id: Any) -> list[Any]:
    place = "" if it.position is None else it.position + 1
    at = f"{it.at:%Y-%m-%dT%H:%M:%SZ}" if it.at else ""
    ident = shown_id(it.message_id) if it.message_id else ""
    return [place, shown(it.to), it.outcome, at, "" if it.code is None else it.code, it.why, it.advice, ident]


def _cell(value: Any) -> str:
    """Return a cell that no spreadsheet runs as a formula."""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 1
