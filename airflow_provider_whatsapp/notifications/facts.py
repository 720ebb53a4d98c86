"""
What happened, read from the context of any callback, in values that fit a template.

Each kind of callback has a context of its own: a task's has the task instance and the exception, a DAG's a reason and
perhaps the last task instance, a deadline's plain dictionaries. A dash replaces a missing value, because WhatsApp
refuses an empty one.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow_provider_whatsapp.client.messages.texts import says_nothing, whole_characters
from airflow_provider_whatsapp.notifications.secrets import hidden

if TYPE_CHECKING:
    from collections.abc import Mapping

VALUE_LIMIT = 150
"""Characters of one value; WhatsApp allows 1,024 for a body with all its values."""

MISSING = "-"

NAMES = ("dag", "task", "run", "when", "error", "try")

_SPACES = re.compile(r"\s+")


def fit(value: object, limit: int = VALUE_LIMIT) -> str:
    """Make a value that WhatsApp accepts: one line, no tabs or runs of spaces, not empty, not too long."""
    text = whole_characters(_SPACES.sub(" ", str(value)).strip())
    return MISSING if not text or says_nothing(text) else cut(text, limit)


def cut(text: str, limit: int) -> str:
    """Shorten a text to a number of characters; a longer text ends with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def facts(context: Mapping[str, Any]) -> dict[str, str]:
    """Return what happened: ``dag``, ``task``, ``run``, ``when``, ``error`` and ``try``, each fit for a template."""
    ti = None if is_of_the_dag(context) else context.get("ti")
    found = {
        "dag": _dag(context),
        "task": _task(ti),
        "run": _run(context),
        "when": _when(context, context.get("dag_run")),
        "error": _error(context),
        "try": _read(ti, "try_number"),
    }
    return {name: _fitted(found[name]) for name in NAMES}


def log_path(context: Mapping[str, Any]) -> str:
    """Return the path of the task's log or of the run below Airflow's own address, for a URL button's variable."""
    url = None if is_of_the_dag(context) else _read(context.get("ti"), "log_url")
    if isinstance(url, str) and url:
        parts = urlsplit(url)
        # Airflow may be below a base path, which the button already has.
        _, found, below = parts.path.partition("/dags/")
        path = f"dags/{below}" if found else parts.path.lstrip("/")
        return str(hidden(path + (f"?{parts.query}" if parts.query else "")))
    dag, run = _fitted(_dag(context)), _run(context)
    if dag == MISSING:
        return "dags"
    return f"dags/{quote(dag)}" + (f"/runs/{quote(run)}" if run else "")


def default_key(context: Mapping[str, Any]) -> str:
    """Return the key of a callback without a ``dedupe_key``: the same for the failures of one task of one DAG."""
    dag = _fitted(_dag(context))
    ti = None if is_of_the_dag(context) else context.get("ti")
    task = _read(ti, "task_id")
    if task is None:
        return dag
    # An alert about a try must not suppress the alert about the task's end.
    return f"{dag}.{task}.retry" if _is_tried_again(ti) else f"{dag}.{task}"


def attempt_of(context: Mapping[str, Any]) -> str:
    """Return the ID of the try that a callback is about; empty: it is about none."""
    ti = None if is_of_the_dag(context) else context.get("ti")
    if _read(ti, "task_id") is None:
        return ""
    parts = [str(_read(ti, name)) for name in ("dag_id", "task_id", "run_id", "map_index", "try_number")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def is_failure(context: Mapping[str, Any]) -> bool:
    """Say whether a callback is about a failure: of a task, of one of its tries, or of a DAG."""
    if is_of_the_dag(context):
        return str(context["reason"]) not in ("success", "all_success")
    ti = context.get("ti")
    return context.get("exception") is not None or _state(ti) in ("failed", "up_for_retry") or is_lost(ti)


def is_lost(ti: object) -> bool:
    """Say whether a task's worker was lost."""
    # The DAG processor, which then runs the callback, knows neither the task's state nor its start.
    return _read(ti, "task_id") is not None and _read(ti, "state") is None and _read(ti, "start_date") is None


def is_of_the_dag(context: Mapping[str, Any]) -> bool:
    """Say whether a callback is the DAG's own."""
    # Its context may have the last task instance, which need not have failed.
    return bool(context.get("reason"))


def _is_tried_again(ti: object) -> bool:
    if is_lost(ti):
        number, most = _read(ti, "try_number"), _read(ti, "max_tries")
        return isinstance(number, int) and isinstance(most, int) and number <= most
    return _state(ti) == "up_for_retry"


def _state(ti: object) -> str:
    state = _read(ti, "state")
    return str(getattr(state, "value", state))


def _fitted(value: object) -> str:
    return MISSING if value is None else fit(value)


def _dag(context: Mapping[str, Any]) -> Any:
    things = (context.get("ti"), context.get("dag_run"), context.get("dag"))
    return next((found for thing in things if (found := _read(thing, "dag_id"))), None)


def _task(ti: object) -> str | None:
    name = _read(ti, "task_id")
    index = _read(ti, "map_index")
    return f"{name}[{index}]" if name is not None and isinstance(index, int) and index >= 0 else name


def _run(context: Mapping[str, Any]) -> str | None:
    run = context.get("dag_run")
    run_id = _read(context.get("ti"), "run_id") or context.get("run_id") or _read(run, "run_id")
    # A deadline's run is a dictionary with the field names of Airflow's REST API.
    return run_id or _read(run, "dag_run_id")  # type: ignore[no-any-return]


def _when(context: Mapping[str, Any], run: object) -> str | None:
    deadline = context.get("deadline")
    moments = (
        _read(deadline, "deadline_time"),
        context.get("logical_date"),
        _read(run, "logical_date"),
        _read(run, "run_after"),
        _read(run, "start_date"),
    )
    moment = next((moment for moment in moments if moment), None)
    if moment is None:
        return None
    return str(moment)[:16].replace("T", " ")


def _error(context: Mapping[str, Any]) -> str:
    exception = context.get("exception")
    if exception is not None and not isinstance(exception, str):
        # Mask before cutting: nobody could recognize a part of a secret.
        first = hidden(str(exception)).strip().partition("\n")[0]
        return f"{type(exception).__name__}: {first}" if first else type(exception).__name__
    if context.get("deadline") is not None:
        return "deadline missed"
    ti = context.get("ti")
    otherwise = "its worker was lost" if is_lost(ti) else "not stated"
    cause = exception or context.get("reason") or (_state(ti) if _read(ti, "state") else otherwise)
    return str(hidden(str(cause))).strip().partition("\n")[0]


def _read(thing: object, name: str) -> Any:
    """Read a field of an object or of a dictionary: a context may hold either."""
    if isinstance(thing, dict):
        return thing.get(name)
    return getattr(thing, name, None)
