"""Applies a plan within Meta's limits, and reports what it did, also if it ended early."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_whatsapp.client.errors import (
    ConfigurationError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    PayloadError,
    RateLimitError,
    ServerError,
    TemplateError,
    WhatsAppError,
)
from airflow_provider_whatsapp.client.resources.media import SAMPLE_TYPES, as_media_file
from airflow_provider_whatsapp.message_templates import blocks
from airflow_provider_whatsapp.message_templates.blocks import Record
from airflow_provider_whatsapp.message_templates.plan import FIELDS, changed_fields, in_order
from airflow_provider_whatsapp.message_templates.render import iso
from airflow_provider_whatsapp.message_templates.statuses import status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_whatsapp.client.whatsapp import WhatsAppClient
    from airflow_provider_whatsapp.message_templates.definition import Key, TemplateDefinition
    from airflow_provider_whatsapp.message_templates.plan import Change, Plan

CREATIONS_PER_HOUR = 100
MAX_DELETIONS = 10
HOUR = 3600.0
BEING_DELETED, TEMPLATE_LIMIT, EXISTS = 2388023, 2388019, 2388024

State = Literal["done", "failed", "unknown", "blocked", "postponed", "not tried"]
STATES: tuple[State, ...] = ("done", "failed", "unknown", "blocked", "postponed", "not tried")

_ITS_OWN = (InvalidRequestError, NotFoundError, PayloadError, TemplateError)
"""Refusals that concern only one template; any other error ends the run."""
_ENDS_ALL = ("failed", "unknown")
"""After these nothing more is tried; a limit ends only the changes of its own kind."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one change ended."""

    change: Change
    # failed: nothing was changed; unknown: no answer came, and a check did not settle it; blocked: a limit of Meta's;
    # postponed: the hour's limit is used up; not tried: an earlier failure ended the run
    state: State
    detail: str | None = None
    possible_at: float | None = None  # Unix time in seconds; None: not known
    status: str | None = None  # the template's, afterwards
    category: str | None = None  # that Meta gave it
    template_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON primitives, without empty values."""
        facts = {
            "action": self.change.wanted or self.change.action,
            "name": self.change.name,
            "language": self.change.language,
            "state": self.state,
            "detail": self.detail,
            "possible_at": iso(self.possible_at),
            "status": self.status,
            "category": self.category,
            "id": self.template_id,
            "diff": list(self.change.diff) or None,
        }
        return {name: value for name, value in facts.items() if value is not None}


@dataclass(frozen=True)
class ApplyReport:
    """What was done, and what was not."""

    outcomes: tuple[Outcome, ...]
    plan: Plan
    drift: tuple[str, ...] = ()  # where Meta gave another category than the files ask for

    def of(self, *states: State) -> list[Outcome]:
        """Return the outcomes of some states."""
        return [outcome for outcome in self.outcomes if outcome.state in states]

    @property
    def failed(self) -> bool:
        """Whether anything went wrong; a change that has to wait did not."""
        return bool(self.of("failed", "unknown", "not tried"))

    @property
    def complete(self) -> bool:
        """Whether the account now holds what the files define."""
        return len(self.of("done")) == len(self.outcomes)

    def summary(self) -> str:
        """Return one line, with how many changes ended in which state."""
        found = Counter(outcome.state for outcome in self.outcomes)
        counts = [f"{found[state]} {state}" for state in STATES if found[state]]
        return ", ".join(counts) or "nothing to do"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON primitives."""
        found = Counter(outcome.state for outcome in self.outcomes)
        return {
            **{state.replace(" ", "_"): found[state] for state in STATES},
            "outcomes": [outcome.to_dict() for outcome in self.outcomes],
            "drift": list(self.drift),
        }


@dataclass
class Applier:
    """Applies a plan."""

    client: WhatsAppClient
    record: Record = field(default_factory=Record)
    max_deletions: int = MAX_DELETIONS  # a plan with more is refused before anything is done
    max_creations: int = CREATIONS_PER_HOUR  # in one run; Meta allows 100 in an hour
    now: Callable[[], float] = time.time  # Unix time in seconds
    changed: Callable[[], None] | None = None  # called after each change that was made
    _handles: dict[str, str] = field(default_factory=dict)

    def apply(self, plan: Plan) -> ApplyReport:
        """Make the changes, in this order: creations, edits, deletions."""
        todo = in_order(plan.changes)
        self._check(todo)  # raises before anything is done: too many deletions, or a sample's type
        outcomes: list[Outcome] = []
        done = 0
        stop: Outcome | None = None
        for change in todo:
            # Creations come first, so all that is done by then is creations.
            full = change.action == "create" and done >= self.max_creations
            outcome = self._too_many(change) if full else _not_tried(stop, change)
            if outcome is None:
                outcome, ends = self._try(change)
                stop = outcome if ends else stop
            outcomes.append(outcome)
            if outcome.state == "done":
                done += 1
                if self.changed is not None:
                    self.changed()
        outcomes += [_blocked(change) for change in plan.of("blocked")]
        return ApplyReport(tuple(outcomes), plan, tuple(filter(None, map(_drift, outcomes))))

    def _check(self, todo: list[Change]) -> None:
        deletions = [change for change in todo if change.action == "delete"]
        if len(deletions) > self.max_deletions:
            msg = (
                f"the plan deletes {len(deletions)} templates, more than max_deletions ({self.max_deletions})"
            )
            raise ConfigurationError(
                msg, advice="Nothing was changed. Check the plan, and raise max_deletions if it is right."
            )
        for definition in filter(None, (change.definition for change in todo)):
            for sample in definition.samples():
                _check_sample(_sample_path(definition, sample))

    def _too_many(self, change: Change) -> Outcome:
        detail = f"Meta allows {self.max_creations} new templates in an hour: run it again after that"
        return Outcome(change=change, state="postponed", detail=detail, possible_at=self.now() + HOUR)

    def _try(self, change: Change) -> tuple[Outcome, bool]:
        """Make one change; the second value says whether the run ends with it."""
        try:
            return self._make(change), False
        except RateLimitError as error:
            moment = self.now() + (error.retry_after or HOUR)
            return Outcome(change=change, state="postponed", detail=str(error), possible_at=moment), True
        except OutcomeUnknownError as error:
            outcome = self._settle(change, error)
            return outcome, outcome.state == "unknown"
        except _ITS_OWN as error:
            return self._refused(change, error)
        except WhatsAppError as error:
            return Outcome(change=change, state="failed", detail=str(error)), True

    def _make(self, change: Change) -> Outcome:
        templates = self.client.templates
        if change.action == "delete":
            return self._delete(change)
        definition = change.definition
        assert definition is not None  # noqa: S101  (only deletions have none)
        handles = {sample: self._handle(definition, sample) for sample in definition.samples()}
        if change.action == "create":
            answer = templates.create(**definition.create_payload(handles))
            category = answer.get("category")
        else:
            answer = templates.edit(
                str(change.template_id), **self._edit_payload(change, definition, handles)
            )
            category = answer.get("category", definition.category if "category" in change.fields else None)
            if change.status == "APPROVED":
                self.record.edited(str(change.template_id), self.now())
        status, made = answer.get("status", "PENDING"), answer.get("id") or change.template_id
        return Outcome(change=change, state="done", status=status, category=category, template_id=made)

    @staticmethod
    def _edit_payload(
        change: Change, definition: TemplateDefinition, handles: Mapping[str, str]
    ) -> dict[str, Any]:
        payload: dict[str, Any] = {"components": definition.payload_components(handles)}
        if "category" in change.fields:
            payload["category"] = definition.category
        if "parameter_format" in change.fields:
            payload["parameter_format"] = definition.parameter_format
        return payload | {name: value for name, value in definition.options.items() if name in change.fields}

    def _handle(self, definition: TemplateDefinition, sample: str) -> str:
        path = _sample_path(definition, sample)
        if path not in self._handles:
            self._handles[path] = self.client.media.upload_sample(Path(path))
        return self._handles[path]

    def _delete(self, change: Change) -> Outcome:
        try:
            self.client.templates.delete(name=change.name, template_id=change.template_id)
        except WhatsAppError as error:
            # The client retries a deletion that got no answer, so the first try may have done what the last one could
            # not: what counts is whether the template is there.
            if not self._is_gone(change.key, error):
                if isinstance(error, ServerError):  # the check has settled it: the next may be tried
                    return Outcome(
                        change=change, state="failed", detail=str(error), template_id=change.template_id
                    )
                raise
        if change.status == "APPROVED":
            self.record.deleted(change.name, self.now())
        return Outcome(change=change, state="done", status="DELETED", template_id=change.template_id)

    def _is_gone(self, key: Key, refusal: WhatsAppError) -> bool:
        try:
            found = self.client.templates.find(*key)
        except WhatsAppError as error:  # an earlier request than the refused one may have deleted it
            raise OutcomeUnknownError(
                str(refusal), advice=f"Looking the template up afterwards failed as well: {error}"
            ) from error
        return found is None or blocks.is_gone(found)

    def _settle(self, change: Change, error: OutcomeUnknownError) -> Outcome:
        """Check an edit that got no answer against the account; a creation and a deletion have been checked already."""
        unknown = Outcome(change=change, state="unknown", detail=str(error), template_id=change.template_id)
        if change.action != "edit":
            return unknown
        try:
            row = self.client.templates.get(str(change.template_id), fields=FIELDS)
        except WhatsAppError:
            return unknown
        found = replace(unknown, status=row.get("status"), category=row.get("category"))
        if _differs(change, row):
            return replace(found, state="failed")
        if change.status == "APPROVED":
            self.record.edited(str(change.template_id), self.now())
        return replace(found, state="done", detail=None)

    def _refused(self, change: Change, error: WhatsAppError) -> tuple[Outcome, bool]:
        ends = error.subcode == TEMPLATE_LIMIT
        if error.subcode in (BEING_DELETED, TEMPLATE_LIMIT):
            return Outcome(change=change, state="blocked", detail=str(error)), ends
        found = self._found_since(change, error)
        if found is not None:
            return found, False
        if change.possible_at:  # only edits are tried although they may be too early
            detail = f"{error} Meta allows one edit of an approved template in 24 hours and 10 in 30 days."
            return Outcome(
                change=change, state="blocked", detail=detail, possible_at=change.possible_at
            ), False
        return Outcome(change=change, state="failed", detail=str(error)), False

    def _found_since(self, change: Change, error: WhatsAppError) -> Outcome | None:
        """Check whether another apply has changed the template since the plan; None: nothing explains the refusal."""
        created = change.action == "create"
        if change.definition is None or (created and error.subcode != EXISTS):
            return None
        name, language = change.key
        try:
            row = next(self.client.templates.list(name=name, language=language, fields=FIELDS), None)
        except WhatsAppError:
            return None
        if row is None or blocks.is_gone(row):
            return None
        facts = {"status": row.get("status"), "category": row.get("category"), "template_id": row.get("id")}
        if not _differs(change, row):
            detail = "the account already holds this content: it has changed since the plan, perhaps by another apply"
            return Outcome(change=change, state="done", detail=detail, **facts)
        if not created and status_of(row) in ("", change.status):
            return None  # a row without a status does not say that anything has changed either
        now = f"Since the plan it was {'created' if created else 'changed'} with other content: plan again."
        return Outcome(change=change, state="failed", detail=f"{error} {now}", **facts)


def _differs(change: Change, row: Mapping[str, Any]) -> bool:
    """Say whether the account still lacks what a change was to make."""
    assert change.definition is not None  # noqa: S101  (only deletions have none)
    missing = set(changed_fields(change.definition, row))
    if change.fields != ("category",):
        missing.discard("category")  # Meta may give another category than was asked for
    return bool(missing)


def _check_sample(path: str) -> None:
    mime_type = as_media_file(Path(path)).mime_type
    if mime_type not in SAMPLE_TYPES:
        raise PayloadError(
            f"{path} is {mime_type}", field="sample", advice=f"Samples are {', '.join(SAMPLE_TYPES)}."
        )


def _sample_path(definition: TemplateDefinition, sample: str) -> str:
    return str(Path(definition.folder or "", sample))


def _not_tried(stop: Outcome | None, change: Change) -> Outcome | None:
    """Return the outcome of a change that is not tried because of an earlier one; None: try it."""
    if stop is None:
        return None
    if stop.state in _ENDS_ALL:
        return Outcome(change=change, state="not tried", detail="the run ended with an earlier failure")
    if stop.change.action != change.action:
        return None
    return Outcome(change=change, state=stop.state, detail=stop.detail, possible_at=stop.possible_at)


def _blocked(change: Change) -> Outcome:
    return Outcome(change=change, state="blocked", detail=change.reason, possible_at=change.possible_at)


def _drift(outcome: Outcome) -> str | None:
    definition, category = outcome.change.definition, outcome.category
    if outcome.state != "done" or definition is None or category in (None, definition.category):
        return None
    name, language = outcome.change.key
    return f"{name} ({language}): Meta has made it {category}, not {definition.category}"
