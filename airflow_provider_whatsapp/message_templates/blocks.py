"""What stands in the way of a change, and what Meta changed by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.message_templates.record import DAY, MONTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from airflow_provider_whatsapp.message_templates.definition import TemplateDefinition
    from airflow_provider_whatsapp.message_templates.record import Record

EDITABLE = ("APPROVED", "REJECTED", "PAUSED")
GONE = ("PENDING_DELETION", "DELETED")
SAMPLES_OF_META = ("hello_world",)

_NOT_EDITABLE = {
    "PENDING": "it is in Meta's review: edit it when that has ended",
    "IN_APPEAL": "its rejection is being appealed: edit it when that has ended",
    "DISABLED": "Meta has disabled it for good: define it under a new name",
    "ARCHIVED": "it is archived: unarchive it in WhatsApp Manager first",
    "LIMIT_EXCEEDED": "the account holds as many templates as Meta allows it: delete some",
}
_DRIFTED = {
    "PAUSED": "Meta has paused it for low quality (3 hours, then 6); it then comes back",
    "DISABLED": "Meta has disabled it for good",
    "ARCHIVED": "it is archived, and will be removed 28 days after that",
    "LIMIT_EXCEEDED": "the account holds as many templates as Meta allows it",
}


@dataclass(frozen=True, slots=True)
class Block:
    """
    Why something cannot be done now.

    :param reason: The reason.
    :param until: Unix time in seconds when it becomes possible, where that is known.
    """

    reason: str
    until: float | None = None


def is_gone(row: Mapping[str, Any]) -> bool:
    """
    Tell whether the account lists a template that is being deleted.

    :param row: The template as Graph lists it.
    """
    return _status(row) in GONE


def of_creation(
    definition: TemplateDefinition,
    row: Mapping[str, Any] | None,
    siblings: Sequence[Mapping[str, Any]],
    *,
    now: float,
    record: Record,
) -> Block | None:
    """
    Return what stands in the way of creating a template.

    :param definition: What the files say.
    :param row: The account's template of this name and language, which is being deleted; or None.
    :param siblings: The account's templates of this name in other languages.
    :param now: The present Unix time in seconds.
    :param record: Earlier deletions.
    """
    if row is not None:
        since = updated_at(row)
        until = None if since is None else since + MONTH
        return Block(
            "the template of this name is still being deleted; the name is free again after 30 days", until
        )
    until = record.name_free_at(definition.name, now)
    if until is not None:
        return Block("the name was deleted; Meta keeps the name of an approved template for 30 days", until)
    for sibling in siblings:
        category = sibling.get("category")
        if category != definition.category and not is_gone(sibling):
            language = sibling.get("language")
            return Block(
                f"the account has this name in {language} as {category}, and all languages of a name share one category"
            )
    return _gap(definition)


def of_edit(
    definition: TemplateDefinition,
    row: Mapping[str, Any],
    fields: Iterable[str],
    *,
    now: float,
    record: Record,
) -> Block | None:
    """
    Return what stands in the way of editing a template.

    :param definition: What the files say.
    :param row: The template as Graph lists it.
    :param fields: What the edit changes.
    :param now: The present Unix time in seconds.
    :param record: Earlier edits.
    """
    status = _status(row)
    if is_of_meta(row):
        return Block("Meta made this template itself: it cannot be edited")
    if status not in EDITABLE:
        unknown = f"its status is {status}" if status else "Meta does not tell its status"
        return Block(_NOT_EDITABLE.get(status, f"{unknown}, and only {', '.join(EDITABLE)} can be edited"))
    if status == "APPROVED":
        if "category" in fields:
            return Block(
                f"it is {row.get('category')}, and the category of an approved template cannot change: take Meta's "
                f"category into the file, or define it as {definition.category} under a new name"
            )
        until = record.edit_possible_at(str(row.get("id")), now)
        if until is not None:
            return Block("Meta allows one edit of an approved template in 24 hours and 10 in 30 days", until)
    return _gap(definition)


def of_deletion(row: Mapping[str, Any]) -> Block | None:
    """
    Return what stands in the way of deleting a template.

    :param row: The template as Graph lists it.
    """
    if is_of_meta(row):
        return Block("Meta made this template itself: it is left alone")
    if _status(row) == "DISABLED":
        return Block("Meta has disabled it, and a disabled template cannot be deleted")
    return None


def caution(row: Mapping[str, Any], now: float) -> Block | None:
    """
    Return what may stand in the way of an edit; Graph does not tell whether the last change was an edit.

    :param row: The template as Graph lists it.
    :param now: The present Unix time in seconds.
    """
    changed = updated_at(row)
    if _status(row) != "APPROVED" or changed is None or not 0 <= now - changed < DAY:
        return None
    return Block(
        "it changed within the last 24 hours; if that was an edit, Meta refuses another until they have passed",
        changed + DAY,
    )


def is_of_meta(row: Mapping[str, Any]) -> bool:
    """
    Tell whether Meta made a template by itself.

    :param row: The template as Graph lists it.
    """
    return row.get("source") == "AUTO_GENERATED" or row.get("name") in SAMPLES_OF_META


def is_category_drift(definition: TemplateDefinition, row: Mapping[str, Any]) -> bool:
    """
    Tell whether the category differs because Meta changed it.

    :param definition: What the files say.
    :param row: The template as Graph lists it.
    """
    return row.get("previous_category") == definition.category != row.get("category")


def category_drift(definition: TemplateDefinition, row: Mapping[str, Any]) -> Iterator[str]:
    """
    Yield how Meta changed a template's category, or is going to.

    :param definition: What the files say.
    :param row: The template as Graph lists it.
    """
    category, coming = row.get("category"), row.get("correct_category")
    if is_category_drift(definition, row):
        yield f"Meta has changed its category from {definition.category} to {category}"
    if coming and coming != category:
        yield f"Meta is going to change its category from {category} to {coming}"


def other_drift(row: Mapping[str, Any]) -> Iterator[str]:
    """
    Yield what else Meta changed about a template: its status, its quality.

    :param row: The template as Graph lists it.
    """
    status = _status(row)
    if status == "REJECTED":
        reason = row.get("rejected_reason")
        yield f"Meta has rejected it{f' ({reason})' if reason and reason != 'NONE' else ''}: change it, and apply"
    elif status in _DRIFTED:
        yield _DRIFTED[status]
    quality = row.get("quality_score")
    score = quality.get("score") if isinstance(quality, dict) else quality
    if score in ("RED", "LOW"):
        yield "its quality is low: Meta may pause it"


def updated_at(row: Mapping[str, Any]) -> float | None:
    """
    Return when a template last changed, as Unix time in seconds, or None.

    :param row: The template as Graph lists it; the time is a number or an ISO date.
    """
    value = str(row.get("last_updated_time"))
    try:
        return (
            float(value) if value.replace(".", "", 1).isdigit() else datetime.fromisoformat(value).timestamp()
        )
    except ValueError:
        return None


def _gap(definition: TemplateDefinition) -> Block | None:
    gaps = definition.gaps()
    return Block("; ".join(gaps)) if gaps else None


def _status(row: Mapping[str, Any]) -> str:
    return str(row.get("status") or "").upper()
