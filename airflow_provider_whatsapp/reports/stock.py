"""The stock templates of reports, and their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

STOCK = ("airflow_report", "airflow_report_pdf")
"""The stock templates, whose definitions are beside this module."""
DEFAULT_TITLE = "Report"


def values_for(template_name: str, title: str | None, context: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the values of a stock template's body; None for any other template, whose values the author gives."""
    if template_name not in STOCK:
        return None
    instance: Any = context.get("ti")
    dag_id = getattr(instance, "dag_id", "") or DEFAULT_TITLE
    run: Any = context.get("dag_run")
    moment = context.get("logical_date") or getattr(run, "run_after", None)
    when = moment.strftime("%Y-%m-%d %H:%M") if moment is not None else "-"
    return {"title": title or dag_id, "source": f"DAG {dag_id}", "when": when}
