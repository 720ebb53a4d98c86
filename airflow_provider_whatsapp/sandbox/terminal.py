"""The lines that the sandbox prints: each message and each refused request, with the page that shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_whatsapp.preview.render import exact_time
from airflow_provider_whatsapp.sandbox.page.windows import row_of

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.model import Request


def line(request: Request, url: str) -> str | None:
    """Return one line about a request after its answer; None for an accepted one that sent no message."""
    row = row_of(0, request)
    whom = f" to {_masked(request.to)}" if request.to else ""
    what = f"{exact_time(request.at)}  {_plain(row.words)}{whom}"
    if row.cut:
        return f"{what}: {row.cut} (fault {request.fault})  {url}/requests"
    if row.outcome == "accepted":
        return f"{what}: accepted  {url}/" if row.kind == "messages" and request.to else None
    fault = f"fault {request.fault}" if request.fault else ""
    why = ", ".join(filter(None, (str(request.code or ""), fault)))
    return f"{what}: {row.outcome}, {request.status}{f' ({_plain(why)})' if why else ''}  {url}/requests"


def _masked(to: str) -> str:
    kept = "".join(each for each in to if each.isalnum())
    tail = 4 if len(kept) > 10 else 2
    return f"{kept[:2]}\u2022\u2022\u2022{kept[-tail:]}" if len(kept) > 6 else "\u2022\u2022\u2022"


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
