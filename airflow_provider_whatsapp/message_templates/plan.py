"""What to do so that the account holds what the files define: list the account, and compare it with the files."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_whatsapp.client.errors import WhatsAppError
from airflow_provider_whatsapp.message_templates import blocks
from airflow_provider_whatsapp.message_templates.blocks import Record
from airflow_provider_whatsapp.message_templates.components import canonical, equal, same_format
from airflow_provider_whatsapp.message_templates.definition import listed_components, listed_key
from airflow_provider_whatsapp.message_templates.render import diff, iso
from airflow_provider_whatsapp.message_templates.shape import OPTION_TYPES
from airflow_provider_whatsapp.message_templates.statuses import status_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
    from airflow_provider_whatsapp.message_templates.definition import Key, TemplateDefinition
    from airflow_provider_whatsapp.message_templates.files import TemplateSet

Action = Literal["create", "edit", "delete", "unchanged", "drifted", "blocked"]
ACTIONS: tuple[Action, ...] = ("create", "edit", "delete", "blocked", "drifted", "unchanged")
PAGE_SIZE = 250
"""Templates per request: 1,500 come in 6 requests of some hundred kilobytes each."""

FIELDS = ",".join(
    (
        "id", "name", "language", "status", "category", "previous_category", "correct_category", "components",
        "parameter_format", "quality_score", "rejected_reason", "last_updated_time", "source", *OPTION_TYPES,
    )
)  # fmt: skip
"""The fields that a comparison needs."""
MARKETING = "MARKETING"
SHOWN = 10
"""Templates that a warning names, at most."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What to do with one template in one language."""

    # drifted: as defined, but Meta has changed something about it; blocked: it would have to change, and cannot now
    action: Action
    name: str
    language: str
    wanted: str | None = None  # if blocked: create, edit or delete
    reason: str | None = None  # if blocked: why; for an edit: what may prevent it
    possible_at: float | None = None  # Unix time in seconds; None: not known
    drift: tuple[str, ...] = ()
    category_drift: tuple[str, ...] = ()  # the part of drift that is about the category
    fields: tuple[str, ...] = ()  # what an edit changes
    diff: tuple[str, ...] = ()  # lines, from the account's content to the files'
    definition: TemplateDefinition | None = field(default=None, repr=False)  # None: a deletion
    template_id: str | None = None
    status: str | None = None  # in the account

    @property
    def key(self) -> Key:
        """Name and language."""
        return self.name, self.language

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON primitives, without empty values; times are ISO 8601 in UTC."""
        facts = {
            "action": self.action,
            "name": self.name,
            "language": self.language,
            "wanted": self.wanted,
            "reason": self.reason,
            "possible_at": iso(self.possible_at),
            "status": self.status,
            "drift": list(self.drift),
            "fields": list(self.fields),
            "diff": list(self.diff),
            "where": self.definition.where if self.definition else None,
        }
        return {name: value for name, value in facts.items() if value not in (None, [], "")}


@dataclass(frozen=True)
class Plan:
    """All changes, in the order of the files, deletions last."""

    changes: tuple[Change, ...]
    leftover: tuple[Key, ...] = ()  # what pruning would delete, if pruning was not requested
    others: int = 0  # how many other templates the account has
    warnings: tuple[str, ...] = ()  # what is not a change, but the user should know

    def of(self, *actions: Action) -> list[Change]:
        """Return the changes of some kinds."""
        return [change for change in self.changes if change.action in actions]

    @property
    def has_changes(self) -> bool:
        """Whether the account differs from the files in what files can define: something is to be done, or blocked."""
        return bool(self.of("create", "edit", "delete", "blocked"))

    def category_drift(self) -> list[str]:
        """Return where Meta has changed a category, or is going to, as one line for each template."""
        return [
            f"{change.name} ({change.language}): {'; '.join(change.category_drift)}"
            for change in self.changes
            if change.category_drift
        ]

    def counts(self) -> dict[str, int]:
        """Return how many changes there are of each kind."""
        found = Counter(change.action for change in self.changes)
        return {action: found[action] for action in ACTIONS}

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON primitives."""
        return {
            **self.counts(),
            "changes": [change.to_dict() for change in self.changes],
            "leftover": [{"name": name, "language": language} for name, language in self.leftover],
            "others": self.others,
            "warnings": list(self.warnings),
        }


def fetch_account(client: WhatsAppClient, *, page_size: int = PAGE_SIZE) -> list[dict[str, Any]]:
    """Return all templates of the account."""
    return list(client.templates.list(fields=FIELDS, page_size=page_size))


def plan_templates(
    client: WhatsAppClient,
    wanted: TemplateSet,
    *,
    prune: bool = False,  # plan the deletion of what the files cover and no longer define
    record: Record | None = None,
    now: float | None = None,  # Unix time in seconds; None: the machine's clock
) -> Plan:
    """Read the account once and compare it with the files."""
    moment = time.time() if now is None else now
    listed = fetch_account(client)
    plan = make_plan(wanted, listed, now=moment, prune=prune, record=record)
    return replace(plan, warnings=_marketing_warnings(client, wanted, listed))


def _marketing_warnings(
    client: WhatsAppClient, wanted: TemplateSet, listed: Iterable[Mapping[str, Any]]
) -> tuple[str, ...]:
    """Warn of marketing templates if the account is not onboarded for them; one request, if there are any."""
    found = {key for key, definition in wanted.definitions.items() if definition.category == MARKETING} | {
        key
        for row in listed
        if row.get("category") == MARKETING and (key := listed_key(row)) in wanted.definitions
    }
    if not found:
        return ()
    try:
        status = client.account.marketing_status()
    except WhatsAppError:  # the plan does not need it
        return ()
    if status.onboarded or status.onboarding is None:
        return ()
    names = ", ".join(f"{name} ({language})" for name, language in sorted(found)[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    warning = (
        "marketing templates go through /messages, because the account is not onboarded to the Marketing Messages API "
        f"({status.onboarding}): {names}{more}. From October 2027, /messages is expected to refuse them: accept the "
        "terms in WhatsApp Manager."
    )
    return (warning,)


def make_plan(
    wanted: TemplateSet,
    listed: Iterable[Mapping[str, Any]],  # all templates of the account
    *,
    now: float,  # Unix time in seconds
    prune: bool = False,  # plan the deletion of what the files cover and no longer define
    record: Record | None = None,
) -> Plan:
    """Compare the files with the account; pure: no files, no requests, no clock."""
    record = record or Record()
    rows = {listed_key(row): row for row in listed}
    changes = []
    for key, definition in wanted.definitions.items():
        row = rows.get(key)
        if row is None or blocks.is_gone(row):
            changes.append(_create(definition, row, rows, now=now, record=record))
        else:
            changes.append(_compare(definition, row, now=now, record=record))
    alive = [key for key, row in rows.items() if key not in wanted.definitions and not blocks.is_gone(row)]
    covered = [key for key in alive if wanted.covers(key[0])]
    if prune:
        changes += [_delete(rows[key]) for key in covered]
    return Plan(tuple(changes), () if prune else tuple(covered), len(alive) - len(covered))


def _create(
    definition: TemplateDefinition,
    row: Mapping[str, Any] | None,
    rows: Mapping[Key, Mapping[str, Any]],
    *,
    now: float,
    record: Record,
) -> Change:
    siblings = [other for key, other in rows.items() if key[0] == definition.name]
    block = blocks.of_creation(definition, row, siblings, now=now, record=record)
    lines = tuple(diff(None, definition))
    if block is None:
        return _change("create", definition, row, diff=lines)
    return _change(
        "blocked", definition, row, wanted="create", reason=block.reason, possible_at=block.until, diff=lines
    )


def _compare(definition: TemplateDefinition, row: Mapping[str, Any], *, now: float, record: Record) -> Change:
    fields = changed_fields(definition, row)
    category = tuple(blocks.category_drift(definition, row))
    drift = (*category, *blocks.other_drift(row))
    facts: dict[str, Any] = {"drift": drift, "category_drift": category}
    if not fields:
        return _change("drifted" if drift else "unchanged", definition, row, **facts)
    facts |= {"fields": fields, "diff": tuple(diff(row, definition))}
    block = blocks.of_edit(definition, row, fields, now=now, record=record)
    hint = block or blocks.caution(row, now)
    if hint is not None:
        facts |= {"reason": hint.reason, "possible_at": hint.until}
    if block is not None:
        return _change("blocked", definition, row, wanted="edit", **facts)
    return _change("edit", definition, row, **facts)


def changed_fields(definition: TemplateDefinition, row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which fields an edit would have to change."""
    theirs = listed_components(row)
    fields = []
    if not equal(definition.canonical(), canonical(theirs, str(row.get("category")))):
        fields.append("components")
    # Files do not state it: it follows from the texts, but not always in what is kept as Meta has it.
    if not definition.as_is and not same_format(
        definition.components, definition.parameter_format, row.get("parameter_format")
    ):
        fields.append("parameter_format")
    if definition.category != (row.get("category") or "") and not blocks.is_category_drift(definition, row):
        fields.append("category")
    fields += [name for name, value in definition.options.items() if row.get(name) != value]
    return tuple(fields)


def _delete(row: Mapping[str, Any]) -> Change:
    name, language = listed_key(row)
    identity = {"name": name, "language": language}
    facts = {
        "template_id": str(row.get("id")),
        "status": status_of(row),
        "diff": tuple(diff(row, None)),
    }
    block = blocks.of_deletion(row)
    if block is None:
        return Change(action="delete", **identity, **facts)  # type: ignore[arg-type]
    return Change(action="blocked", wanted="delete", reason=block.reason, **identity, **facts)  # type: ignore[arg-type]


def _change(
    action: Action, definition: TemplateDefinition, row: Mapping[str, Any] | None, **facts: Any
) -> Change:
    return Change(
        action=action,
        name=definition.name,
        language=definition.language,
        definition=definition,
        template_id=str(row["id"]) if row is not None and row.get("id") else None,
        status=status_of(row) if row is not None else None,
        **facts,
    )


def in_order(changes: Sequence[Change]) -> list[Change]:
    """Return the changes to make, in the order in which they are made: create, edit, delete."""
    return [
        change for action in ("create", "edit", "delete") for change in changes if change.action == action
    ]
