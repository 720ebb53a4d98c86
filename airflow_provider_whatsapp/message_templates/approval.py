"""Whether Meta has approved templates, judged only by what the account lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_whatsapp.message_templates.statuses import STATUSES, rejection, status_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Wanted = tuple[str, str | None] | tuple[str, str | None, str | None]
"""A template's name, its language (None: all that the account has) and the category that it should have."""

FIELDS = "id,name,language,status,category,rejected_reason"
"""The fields of each template that a poll needs."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a poll found."""

    state: Literal["approved", "waiting", "missing", "refused"]  # approved: all; missing: one does not exist
    message: str  # the reason, and what to do about it
    templates: list[dict[str, Any]] = field(default_factory=list)  # the wanted ones
    drift: list[str] = field(default_factory=list)  # where Meta's category is not the expected one


def judge(listed: Iterable[Mapping[str, Any]], wanted: Sequence[Wanted]) -> Verdict:
    """Judge whether all wanted templates are approved; ``listed`` may hold others."""
    rows = list(listed)
    found: dict[str, dict[str, Any]] = {}
    missing, refused, waiting, drift = [], [], [], []
    for name, language, category in map(_three, wanted):
        matches = [row for row in rows if row.get("name") == name and language in (None, row.get("language"))]
        missing += [] if matches else [_called(name, language)]
        found |= {_called(name, row.get("language")): dict(row) for row in matches}
        others = [row for row in matches if category and row.get("category") not in (None, category)]
        drift += [
            f"{_called(name, row.get('language'))} has the category {row['category']}, not {category}"
            for row in others
        ]
    for called, row in found.items():
        status = status_of(row)
        meant = STATUSES.get(status)
        if meant is not None and meant.lasting:
            refused.append(f"{called} is {status}{rejection(row)}. {meant.advice}")
        elif status != "APPROVED":
            waiting.append(f"{called} is {status or 'without status'}")
    templates = list(found.values())
    if refused:
        return Verdict("refused", " ".join(refused), templates, drift)
    if missing:
        message = (
            f"The account has no template {', '.join(missing)}. Create it first, and check name and language: en and "
            "en_US are different templates."
        )
        return Verdict("missing", message, templates, drift)
    if waiting:
        return Verdict("waiting", f"{', '.join(waiting)}.", templates, drift)
    return Verdict("approved", f"{', '.join(found)} approved.", templates, drift)


def _three(wanted: Wanted) -> tuple[str, str | None, str | None]:
    return wanted if len(wanted) == 3 else (*wanted, None)


def _called(name: str, language: Any) -> str:
    return f"{name} ({language})" if language else name
