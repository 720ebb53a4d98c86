"""Differences, plans and reports as text, for a terminal or a log."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.message_templates.definition import TemplateDefinition, content_data
from airflow_provider_whatsapp.message_templates.documents import dump, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_whatsapp.message_templates.apply import ApplyReport
    from airflow_provider_whatsapp.message_templates.plan import Change, Plan

_MARKS = {"create": "+", "edit": "~", "delete": "-", "blocked": "x", "drifted": "!"}

_COLOURS = {"+": "32", "-": "31", "~": "33", "x": "31", "!": "33"}


def diff(row: Mapping[str, Any] | None, definition: TemplateDefinition | None) -> list[str]:
    """Return a diff in the form of the files, as lines that begin with ``+``, ``-`` or a space; None: no template."""
    theirs = None if row is None else TemplateDefinition.from_graph(row)
    sample = _sample_of(definition) if definition else None
    old, new = _content_lines(theirs, definition, sample), _content_lines(definition, None, sample)
    lines = difflib.unified_diff(old, new, n=2, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _content_lines(
    definition: TemplateDefinition | None, other: TemplateDefinition | None, sample: str | None
) -> list[str]:
    if definition is None:
        return []
    content, parameters = content_data(definition)
    for key in ("body", "footer"):
        part = content.get(key)
        if isinstance(part, dict) and len(part) > 1:  # the text is Meta's own, even if the file has another
            part.pop("text", None)
    header = content.get("header")
    if sample and isinstance(header, dict):  # Graph does not list its sample, so it is not a difference
        content["header"] = {key: sample if value is None else value for key, value in header.items()}
    options = {
        name: value for name, value in definition.options.items() if other is None or name in other.options
    }
    data = {"category": definition.category, **options, **content, "parameters": dict(parameters)}
    return dump({key: value for key, value in data.items() if value not in ({}, None)}).splitlines()


def _sample_of(definition: TemplateDefinition) -> str | None:
    header = content_data(definition)[0].get("header")
    values = (
        [value for key, value in header.items() if key not in ("text", "example", "location")]
        if isinstance(header, dict)
        else []
    )
    return values[0] if values and isinstance(values[0], str) else None


def render_plan(plan: Plan) -> str:
    """Return a plan as text: a diff for each change, and one line of counts."""
    lines = [line for change in plan.changes if change.action in _MARKS for line in _change(change)]
    counts = [f"{count} {action}" for action, count in plan.counts().items() if count]
    lines.append(f"{', '.join(counts) or 'nothing defined'}.")
    if plan.leftover:
        names = ", ".join(f"{one_line(name)} ({one_line(language)})" for name, language in plan.leftover)
        lines.append(f"Not in the files any more; --prune would delete: {names}.")
    lines += [f"! {one_line(warning)}" for warning in plan.warnings]
    return "\n".join(lines)


def coloured(text: str) -> str:
    """Return a plan for a terminal: creations green, edits and drift yellow, deletions and blocked changes red."""
    lines = []
    for line in text.split("\n"):
        mark, _, rest = line.lstrip().partition(" ")
        lines.append(f"\x1b[{_COLOURS[mark]}m{line}\x1b[0m" if mark in _COLOURS and rest else line)
    return "\n".join(lines)


def _change(change: Change) -> Iterator[str]:
    wanted = f" {change.wanted}" if change.wanted else ""
    where = f"  [{change.definition.where}]" if change.definition and change.definition.where else ""
    status = f", {one_line(change.status)}" if change.status else ""
    called = f"{one_line(change.name)} ({one_line(change.language)}{status})"
    yield f"{_MARKS[change.action]} {change.action}{wanted}  {called}{where}"
    if change.reason:
        yield f"    {one_line(change.reason)}{_when(change.possible_at)}"
    for note in change.drift:
        yield f"    {one_line(note)}"
    for line in change.diff:
        yield f"      {line}"


def render_report(report: ApplyReport) -> str:
    """Return a report as text: one line for each change, and one of counts."""
    lines = []
    for outcome in report.outcomes:
        action = outcome.change.wanted or outcome.change.action
        facts = f"; now {one_line(outcome.status)}" if outcome.state == "done" and outcome.status else ""
        detail = f": {one_line(outcome.detail)}{_when(outcome.possible_at)}" if outcome.detail else ""
        name = f"{one_line(outcome.change.name)} ({one_line(outcome.change.language)})"
        lines.append(f"{outcome.state}  {action} {name}{facts}{detail}")
    lines += [f"! {one_line(note)}" for note in report.drift]
    return "\n".join([*lines, f"{report.summary()}."])


def _when(moment: float | None) -> str:
    return f" (possible from {iso(moment)})" if moment is not None else ""


def iso(moment: float | None) -> str | None:
    """Return a Unix time in seconds as ISO 8601 in UTC, or None."""
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
