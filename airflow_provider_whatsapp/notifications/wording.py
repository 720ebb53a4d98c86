"""What an alert says: the default text, the stock template's values, and how many others failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.notifications.facts import cut, facts, fit
from airflow_provider_whatsapp.notifications.secrets import hidden

if TYPE_CHECKING:
    from airflow_provider_whatsapp.notifications.memory import Decision
    from airflow_provider_whatsapp.notifications.turns import Turn

STOCK_TEMPLATE = "airflow_alert"
"""The template whose definition lies beside this module; its values are filled in from the context."""

MAX_VALUE = 300
"""Characters of one value of a template; a body holds 1,024 with all of them."""
MAX_TEXT = 4096
"""Characters of a text (Meta, "Text messages")."""

# Each kind of callback has a context of its own; a DAG's brings along a task instance that need not be the one.
DEFAULT_TEXT = (
    "{% if ti and not reason %}Task {{ ti.dag_id }}.{{ ti.task_id }}, try {{ ti.try_number }}"
    "{% elif dag_run %}DAG {{ dag_run.dag_id }}"
    "{% elif dag %}DAG {{ dag.dag_id }}"
    "{% else %}Airflow{% endif %}"
    "{% if run_id %}, run {{ run_id }}"
    "{% elif dag_run and dag_run.dag_run_id %}, run {{ dag_run.dag_run_id }}{% endif %}"
    "{% if exception %}: {{ exception }}"
    "{% elif reason %}: {{ reason }}"
    "{% elif deadline %}: deadline missed"
    "{% elif ti and ti.state %}: {{ ti.state.value or ti.state }}"
    "{% elif ti and not ti.start_date %}: its worker was lost{% endif %}"
)


def others(decision: Decision | None, turn: Turn) -> str:
    """
    Tell how long a row of failures is and how many were kept back, with the first few of them last: they may be cut.

    :param decision: The memory's about the same task; None: it knows nothing.
    :param turn: What other alerts to the same person have handed over.
    """
    counts, lists = [], []
    if decision is not None and decision.escalated:
        counts.append(f"{decision.record.runs} runs in a row have failed")
    if decision is not None and decision.held:
        counts.append(_counted(decision.held, "more failure"))
        lists.append(_listed(decision.held, decision.names))
    if turn.held:
        counts.append(_counted(turn.held, "other alert"))
        lists.append(_listed(turn.held, turn.names))
    named = "; ".join(filter(None, lists))
    return "; ".join(counts) + (f": {named}" if named else "")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _listed(count: int, names: Sequence[str]) -> str:
    """Return the names; those that Airflow alone has counted have none."""
    return ", ".join((*names, "...") if names and count > len(names) else names)


def text_body(text: str, context: Mapping[str, Any], more: str, *, summary: bool) -> str:
    """
    Return a text message's words.

    :param text: The rendered text.
    :param context: The context of a callback.
    :param more: What :func:`others` says.
    :param summary: Tell of the others alone.
    """
    if summary:
        found = facts(context)
        return cut(hidden(f"DAG {found['dag']}, run {found['run']}: {more}"), MAX_TEXT)
    text, more = hidden(text), hidden(more)
    # Cut before it is added, so that the count survives a long text.
    return f"{cut(text, MAX_TEXT - len(more) - 3)} ({more})" if more else cut(text, MAX_TEXT)


def stock_values(
    context: Mapping[str, Any], more: str, *, summary: bool, recovered: bool = False
) -> dict[str, str]:
    """
    Return the stock template's values.

    :param context: The context of a callback.
    :param more: What :func:`others` says.
    :param summary: Tell of the others alone.
    :param recovered: Tell that what had failed works again.
    """
    found = facts(context)
    more = hidden(more)
    if recovered:
        found["error"] = "works again"
    if summary:
        found["error"] = more
    elif more:
        found["error"] = f"{found['error']} ({more})"
    return found


def fitted(body: Any) -> Any:
    """
    Fit what Jinja made of the values (the error's words, say) to WhatsApp's rules, lest the alert be refused.

    :param body: Values of a template: a list, a dict, or nothing.
    """
    if isinstance(body, Mapping):
        return {
            name: fit(value, MAX_VALUE) if isinstance(value, str) else value for name, value in body.items()
        }
    if isinstance(body, Sequence) and not isinstance(body, str):
        return [fit(value, MAX_VALUE) if isinstance(value, str) else value for value in body]
    return body
