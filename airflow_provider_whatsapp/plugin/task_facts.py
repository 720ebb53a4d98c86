"""What the tab on a task instance shows, gathered from Airflow, the event store, the results file and the gateway."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import ConfigurationError
from airflow_provider_whatsapp.get_provider_info import CONN_TYPE
from airflow_provider_whatsapp.notifications.alert_stores import name_of, parsed
from airflow_provider_whatsapp.notifications.records import Record
from airflow_provider_whatsapp.plugin import metadata, task_receipts
from airflow_provider_whatsapp.plugin.alerts_view import moment_of, record_text
from airflow_provider_whatsapp.plugin.phone import Phone, phone, template_of
from airflow_provider_whatsapp.plugin.recipients import from_receipt, is_report
from airflow_provider_whatsapp.plugin.sources import RECORDS, SOURCES, STORE, Answer
from airflow_provider_whatsapp.plugin.task_recipients import recipients_of_task

if TYPE_CHECKING:
    from airflow_provider_whatsapp.plugin.metadata import TaskRun

GATEWAY_SECONDS = 20.0
"""Seconds after which a request to the gateway is given up; the page itself waits for three."""
MOST_TEMPLATES = 500


async def message(run: TaskRun) -> tuple[Phone, Answer | None]:
    """Return the content of the phone for a task's message, and the template that it sends, if any."""
    named, answer = template_of(run.fields), None
    if named is not None:
        conn_id, waba_id = _connection(run)
        answer = await SOURCES.ask(
            ("template", conn_id, waba_id, *named), find_template, conn_id, waba_id, *named
        )
    template = answer.value if answer is not None and answer.ok else None
    return phone(run.fields, template), answer


def _connection(run: TaskRun) -> tuple[str, str | None]:
    conn_id, waba_id = run.fields.get("maton_conn_id"), run.fields.get("waba_id")
    return str(conn_id or "maton_whatsapp_default"), str(waba_id) if waba_id else None


def find_template(conn_id: str, waba_id: str | None, name: str, language: str) -> dict[str, Any]:
    """Return a template of the account (None: the connection's); raises WhatsAppError if it cannot be found."""
    found: dict[str, Any] | None = _client(conn_id, waba_id).templates.find(name, language)
    if found is None:
        raise ConfigurationError(f"The account no longer has a template {name} ({language})")
    return found


def _client(conn_id: str, waba_id: str | None) -> Any:
    """Return a client; a connection of another type is refused, so that its password is not sent to its host."""
    from airflow_provider_whatsapp.hooks.maton_whatsapp import MatonWhatsAppHook

    kind = metadata.connection_type(conn_id)
    if kind != CONN_TYPE:
        problem = "is not of type maton_whatsapp" if kind else "is not known to the API server"
        raise ConfigurationError(
            f"The page does not look up the template, because the connection {conn_id!r} {problem}",
            advice="Give the API server the same connections as the tasks.",
        )
    client = MatonWhatsAppHook(conn_id, waba_id=waba_id, until=time.monotonic() + GATEWAY_SECONDS).client
    client.config.require("waba_id")
    return client


def wanted_templates(run: TaskRun) -> list[tuple[str, str | None]]:
    """Return names and languages of the templates that a sensor waits for or a sync has made; otherwise none."""
    fields, value = run.fields, run.xcoms.get("return_value")
    report = value if isinstance(value, dict) else run.xcoms.get("report")
    rows: Any = []
    if isinstance(report, dict) and not is_report(report):
        rows = _rows_of(report)
    elif "to" not in fields and "recipients" not in fields and "template_name" in fields:
        language = fields.get("language")
        rows = fields.get("templates") or [{"name": fields.get("template_name"), "language": language}]
    if not isinstance(rows, list):  # Airflow replaces a field that is too long by a sentence
        return []
    rows = [{"name": row} if isinstance(row, str) else row for row in rows if isinstance(row, str | dict)]
    named = [(row.get("name"), row.get("language")) for row in rows[:MOST_TEMPLATES]]
    return [
        (name, lang if isinstance(lang, str) else None)
        for name, lang in named
        if name and isinstance(name, str)
    ]


async def templates(run: TaskRun) -> tuple[list[dict[str, Any]], Answer | None]:
    """Return the templates of a sensor or a sync: what the task says about each, and the account's present state."""
    wanted = wanted_templates(run)
    if not wanted:
        return [], None
    conn_id, waba_id = _connection(run)
    name = wanted[0][0] if len({each[0] for each in wanted}) == 1 else None
    answer = await SOURCES.ask(("templates", conn_id, waba_id, name), _list_templates, conn_id, waba_id, name)
    listed = answer.value if answer.ok else []
    rows = []
    for name, language in wanted:
        now = [row for row in listed if row.get("name") == name and language in (None, row.get("language"))]
        said = _said_of(run, name, language)
        rows += [{"name": name, "language": row.get("language"), "now": row, "said": said} for row in now]
        if not now:
            rows.append({"name": name, "language": language or "", "now": None, "said": said})
    return rows, answer


def _list_templates(conn_id: str, waba_id: str | None, name: str | None) -> list[dict[str, Any]]:
    return list(itertools.islice(_client(conn_id, waba_id).templates.list(name=name), MOST_TEMPLATES))


def _said_of(run: TaskRun, name: str, language: str | None) -> dict[str, Any]:
    """Return what a sync says about a template: its outcome, or with ``dry_run`` the change and its diff."""
    for key in ("return_value", "report"):
        for row in _rows_of(run.xcoms.get(key)):
            if isinstance(row, dict) and (row.get("name"), row.get("language")) == (name, language):
                return _said(row)
    return {}


def _rows_of(report: Any) -> list[Any]:
    """Return the rows of a sync's report; the tab is on every task, so the value may be of any form."""
    found = (report.get("outcomes") or report.get("changes")) if isinstance(report, dict) else None
    return found if isinstance(found, list) else []


def _said(row: dict[Any, Any]) -> dict[str, Any]:
    """Return the parts of a row that the page shows: texts, and the lines of a diff."""
    said: dict[str, Any] = {str(key): value for key, value in row.items() if isinstance(value, str)}
    diff = row.get("diff")
    if isinstance(diff, list):
        said["diff"] = [line for line in diff if isinstance(line, str)]
    return said


async def alerts(run: TaskRun) -> tuple[list[dict[str, Any]], Answer, Answer | None]:
    """Return the alerts that a task's callbacks have sent, and the suppressed failures of the task."""
    record = await RECORDS.ask((run.dag_id, run.task_id), _alert_record, run)
    if not task_receipts.store_is_named():
        return [], record, None
    answer = await STORE.ask(("alerts", *run.names, run.ended), task_receipts.alerts_of, run)
    found = [
        {**row, "recipients": [from_receipt(receipt) for receipt in receipts]}
        for row, receipts in (answer.value if answer.ok else [])
    ]
    return found, record, answer


def _alert_record(run: TaskRun) -> Record | None:
    """Return the throttle state of this task's alerts; Airflow stores no ``dedupe_key`` of the user's with the task."""
    text = record_text(name_of(f"{run.dag_id}.{run.task_id}"))
    record = parsed(text, Record) if text else None
    if record is not None and set(record.dags) - {run.dag_id}:
        return None  # a user's own key, shared with other DAGs: Browse shows it to people who may see all of them
    return (
        record
        if record is not None and (record.sent_at or record.held or record.is_muted(time.time()))
        else None
    )


async def gather(run: TaskRun, user: Any) -> dict[str, Any]:
    """Return all values of the tab on a task instance, for a user who may see the task's DAG."""
    people, (seen, template), (rows, account), (sent, recorded, store) = await asyncio.gather(
        recipients_of_task(run, user), message(run), templates(run), alerts(run)
    )
    answers = [each for each in (people, template, account, recorded, store) if each is not None]
    record: Record | None = recorded.value
    return {
        "people": people.value if people is not None and people.ok else None,
        "phone": seen,
        "template": template.value if template is not None and template.ok else None,
        "templates": rows,
        "alerts": sent,
        "record": record,
        "last_alert": moment_of(record.sent_at) if record is not None else None,
        "muted": record is not None and record.is_muted(time.time()),
        "problems": list(dict.fromkeys(each.problem for each in answers if not (each.ok or each.late))),
        "late": any(each.late for each in answers),
    }
