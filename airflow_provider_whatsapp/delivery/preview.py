"""What a broadcast would do, without doing it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.delivery.countries import country
from airflow_provider_whatsapp.delivery.report import SHOWN_FAILURES, Outcome, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_whatsapp.delivery.approved import Approved
    from airflow_provider_whatsapp.delivery.recipients import Row


def preview(
    rows: Iterable[Row],
    prepare: Callable[[Row], Any],
    approved: Approved | None,  # None: not looked up, so nothing is rendered
    *,
    rate: float,  # messages per second; 0: no limit
    take: Callable[[Row, Outcome, dict[str, Any] | None], None] | None = None,  # gets the rendered message
) -> dict[str, Any]:
    """Make every message and send none; return a report in the usual form, with what would be sent."""
    report, countries = Report(limit=SHOWN_FAILURES), Counter[str]()
    messages: list[dict[str, Any]] = []
    for row in rows:
        shown: dict[str, Any] | None = None
        outcome = _failure(row) or Outcome(row.to, "skipped", reason=row.skip or "dry_run")
        if outcome.reason == "dry_run":
            try:
                payload = prepare(row).to_payload()
                shown = approved.render(payload) if approved is not None else payload
                countries[country(row.to)] += 1
                if len(messages) < SHOWN_FAILURES:
                    messages.append({"to": row.to, **shown})
            except WhatsAppError as error:
                outcome = Outcome(row.to, "failed", error=error)
        report.add(outcome, row.position)
        if take is not None:
            take(row, outcome, shown)
    would = report.reasons["dry_run"]
    return report.to_dict() | {
        "dry_run": True,
        "would_send": would,
        "countries": dict(countries.most_common()),
        "category": approved.category if approved is not None else "unknown",
        "seconds": round(would / rate, 1) if rate else 0.0,
        "messages": messages,
    }


def _failure(row: Row) -> Outcome | None:
    return Outcome(row.to, "failed", error=row.error) if row.error is not None else None
