"""
What prevents a change, and what Meta changed itself.

Meta's limits depend on when a template was edited or deleted. Graph does not say that; a record beside the files does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.delivery.local_files import replacing
from airflow_provider_whatsapp.message_templates.statuses import STATUSES, rejection, status_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Self

    from airflow_provider_whatsapp.message_templates.definition import TemplateDefinition

DAY = 86_400.0
MONTH = 30 * DAY
EDITS_PER_MONTH = 10

FILE_NAME = ".whatsapp-templates.json"
"""A hidden file beside the template files; if you keep it, later plans give exact times. It holds no secrets."""

EDITABLE = ("APPROVED", "REJECTED", "PAUSED")
GONE = ("PENDING_DELETION", "DELETED")
SAMPLES_OF_META = ("hello_world",)


@dataclass
class Record:
    """Edits and deletions of approved templates, as Unix times in seconds."""

    edits: dict[str, list[float]] = field(default_factory=dict)  # by template ID
    deletions: dict[str, float] = field(default_factory=dict)  # the last one, by name

    def edit_possible_at(self, template_id: str, now: float) -> float | None:
        """Return the Unix time in seconds when an approved template can be edited again; None: now."""
        recent = sorted(at for at in self.edits.get(template_id, ()) if now - at < MONTH)
        moments = []
        if recent and now - recent[-1] < DAY:
            moments.append(recent[-1] + DAY)
        if len(recent) >= EDITS_PER_MONTH:
            moments.append(recent[-EDITS_PER_MONTH] + MONTH)
        return max(moments, default=None)

    def name_free_at(self, name: str, now: float) -> float | None:
        """Return the Unix time in seconds when a deleted name can be used again; None: now."""
        at = self.deletions.get(name)
        return at + MONTH if at is not None and now - at < MONTH else None

    def edited(self, template_id: str, now: float) -> None:
        """Record an edit of an approved template."""
        kept = [at for at in self.edits.get(template_id, ()) if now - at < MONTH]
        self.edits[template_id] = [*kept, now]

    def deleted(self, name: str, now: float) -> None:
        """Record the deletion of an approved template."""
        self.deletions[name] = now

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a record; a missing or broken file counts as empty, because it only makes plans more exact."""
        try:
            data = json.loads(path.read_text())
            edits = {str(key): [float(at) for at in times] for key, times in data["edits"].items()}
            return cls(edits, {str(name): float(at) for name, at in data["deletions"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def save(self, path: Path) -> None:
        """Add the record to what the file holds by now, perhaps entries of another apply, in one step."""
        if not (self.edits or self.deletions):
            return
        before = self.load(path)
        edits = {
            key: sorted({*before.edits.get(key, ()), *self.edits.get(key, ())})
            for key in {**before.edits, **self.edits}
        }
        deletions = {
            name: max(record.deletions.get(name, 0.0) for record in (before, self))
            for name in {**before.deletions, **self.deletions}
        }
        with replacing(path, mode=0o666) as file:
            file.write(json.dumps({"edits": edits, "deletions": deletions}, indent=1).encode() + b"\n")


def record_path(path: str | Path) -> Path:
    """Return where the record of edits and deletions is: a hidden file beside the template files."""
    root = Path(path)
    return (root if root.is_dir() else root.parent) / FILE_NAME


@dataclass(frozen=True, slots=True)
class Block:
    """Why something cannot be done now."""

    reason: str
    until: float | None = None  # Unix time in seconds when it becomes possible; None: not known


def is_gone(row: Mapping[str, Any]) -> bool:
    """Return whether a template is deleted or being deleted."""
    return status_of(row) in GONE


def of_creation(
    definition: TemplateDefinition,
    row: Mapping[str, Any] | None,  # the account's template of this name and language, which is being deleted
    siblings: Sequence[Mapping[str, Any]],  # the account's templates of this name in other languages
    *,
    now: float,  # Unix time in seconds
    record: Record,
) -> Block | None:
    """Return what prevents creating a template; None: nothing does."""
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
    fields: Iterable[str],  # what the edit changes
    *,
    now: float,  # Unix time in seconds
    record: Record,
) -> Block | None:
    """Return what prevents editing a template; None: nothing does."""
    status = status_of(row)
    if is_of_meta(row):
        return Block("Meta made this template itself: it cannot be edited")
    if status not in EDITABLE:
        if status in STATUSES:
            return Block(STATUSES[status].clause)
        unknown = f"its status is {status}" if status else "Graph does not list its status"
        return Block(f"{unknown}, and only {', '.join(EDITABLE)} can be edited")
    if status == "APPROVED":
        if "category" in fields:
            return Block(
                f"it is {row.get('category')}, and the category of an approved template cannot change: put Meta's "
                f"category into the file, or define it as {definition.category} under a new name"
            )
        until = record.edit_possible_at(str(row.get("id")), now)
        if until is not None:
            return Block("Meta allows one edit of an approved template in 24 hours and 10 in 30 days", until)
    return _gap(definition)


def of_deletion(row: Mapping[str, Any]) -> Block | None:
    """Return what prevents deleting a template; None: nothing does."""
    if is_of_meta(row):
        return Block("Meta made this template itself: it is left alone")
    if status_of(row) == "DISABLED":
        return Block("Meta has disabled it, and a disabled template cannot be deleted")
    return None


def caution(row: Mapping[str, Any], now: float) -> Block | None:
    """Return what may prevent an edit; Graph does not say whether the last change was one."""
    changed = updated_at(row)
    if status_of(row) != "APPROVED" or changed is None or not 0 <= now - changed < DAY:
        return None
    return Block(
        "it changed within the last 24 hours; if that was an edit, Meta refuses another until they have passed",
        changed + DAY,
    )


def is_of_meta(row: Mapping[str, Any]) -> bool:
    """Return whether Meta made a template itself."""
    return row.get("source") == "AUTO_GENERATED" or row.get("name") in SAMPLES_OF_META


def is_category_drift(definition: TemplateDefinition, row: Mapping[str, Any]) -> bool:
    """Return whether the category differs because Meta changed it."""
    return row.get("previous_category") == definition.category != row.get("category")


def category_drift(definition: TemplateDefinition, row: Mapping[str, Any]) -> Iterator[str]:
    """Yield how Meta changed a template's category, or is going to."""
    category, coming = row.get("category"), row.get("correct_category")
    if is_category_drift(definition, row):
        yield f"Meta has changed its category from {definition.category} to {category}"
    if coming and coming != category:
        yield f"Meta is going to change its category from {category} to {coming}"


def other_drift(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield what else Meta changed about a template: its status or its quality."""
    status = STATUSES.get(status_of(row))
    if status is not None and status.lasting:
        yield f"{status.meaning}{rejection(row)}: {status.remedy}"
    quality = row.get("quality_score")
    score = quality.get("score") if isinstance(quality, dict) else quality
    if score in ("RED", "LOW"):
        yield "its quality is low: Meta may pause it"


def updated_at(row: Mapping[str, Any]) -> float | None:
    """Return when a template last changed, as Unix time in seconds; None: Graph does not say."""
    value = str(row.get("last_updated_time"))  # a number or an ISO date
    try:
        return (
            float(value) if value.replace(".", "", 1).isdigit() else datetime.fromisoformat(value).timestamp()
        )
    except ValueError:
        return None


def _gap(definition: TemplateDefinition) -> Block | None:
    gaps = definition.gaps()
    return Block("; ".join(gaps)) if gaps else None
