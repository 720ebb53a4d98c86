"""What Meta does with templates: reviews, quality, categories, and templates that Meta makes itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox import template_rules
from airflow_provider_whatsapp.sandbox.model import DAY, PAUSES, Template
from airflow_provider_whatsapp.sandbox.template_text import variables

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.state import State

NOTICE = DAY
"""Seconds from the announcement of another category to the change, as Meta documents it."""

_SAMPLES = {"IMAGE": "image/png", "VIDEO": "video/mp4", "DOCUMENT": "application/pdf", "GIF": "video/mp4"}


def move(state: State, template: Template, status: str, reason: str = "NONE") -> None:
    """Set a status, as Meta's reviewers and quality rules do."""
    now = state.clock.now()
    # The first pause ends after three hours, the second after six; a third one disables the template.
    if status == "PAUSED":
        if template.pauses >= len(PAUSES):
            status = "DISABLED"
        else:
            template.paused_at, template.paused_until = now, now + PAUSES[template.pauses]
            template.pauses += 1
    template.status, template.updated_at = status, now
    template.rejected_reason = reason if status == "REJECTED" else "NONE"
    template.review_at = float("inf")  # PENDING stays until the next call
    state.changed()


def rate(state: State, template: Template, quality: str) -> None:
    """Set the quality that users' feedback gives; ``RED`` pauses an approved template."""
    now = state.clock.now()
    template.quality, template.quality_at = quality, now
    if quality == "RED" and template.status == "APPROVED":
        move(state, template, "PAUSED")
    state.changed()


def announce(state: State, template: Template, category: str, notice: float = NOTICE) -> None:
    """Announce another category, which the template gets after a notice, in seconds of the sandbox's clock."""
    template.correct_category, template.category_at = category, state.clock.now() + notice
    state.changed(template.category_at)


def put(state: State, waba_id: str, fields: dict[str, Any]) -> Template:
    """Add a template without a request, as Meta does with its own; it replaces one of the same name and language."""
    named = fields["parameter_format"] == "NAMED"
    given = fields["components"]
    if isinstance(given, list):  # samples may be left out: reviewers need them, tests do not
        given = [_with_sample(state, part, named=named) for part in given]
    components = template_rules.check_components(state, given, category=fields["category"], named=named)
    now = state.clock.now()
    for old in state.find_templates(fields["name"], fields["language"], waba_id):
        del state.templates[old.id]
    made = Template(
        state.ids.number(), waba_id, fields["name"], fields["language"], fields["category"], components,
        fields["parameter_format"], now, now, now + state.settings.approve_after,
    )  # fmt: skip
    made.source = fields["source"]
    state.templates[made.id] = made
    if fields["status"] != "PENDING":
        move(state, made, fields["status"])
    state.changed(now + state.settings.approve_after)
    return made


def _with_sample(state: State, part: Any, *, named: bool) -> Any:
    """Return a part with a sample where it needs one and has none; in its cards and buttons as well."""
    if not isinstance(part, dict) or "example" in part:
        return part
    for inner in ("cards", "components", "buttons"):
        if isinstance(part.get(inner), list):
            return {**part, inner: [_with_sample(state, each, named=named) for each in part[inner]]}
    if "{{" in str(part.get("url", "")):
        return {**part, "example": ["https://example.com/sample"]}
    kind, form = str(part.get("type", "")).upper(), str(part.get("format", "TEXT")).upper()
    if kind == "HEADER" and form in _SAMPLES:
        handle = f"4::{state.ids.token(60)}"
        state.handles[handle] = _SAMPLES[form]
        return {**part, "example": {"header_handle": [handle]}}
    return _with_text_sample(part, kind, named=named)


def _with_text_sample(part: dict[str, Any], kind: str, *, named: bool) -> dict[str, Any]:
    text = part.get("text")
    names = variables(text) if isinstance(text, str) and kind in {"HEADER", "BODY"} else []
    if not names:
        return part
    key = f"{kind.lower()}_text"
    if named:
        samples: Any = [{"param_name": name, "example": "sample"} for name in names]
        return {**part, "example": {f"{key}_named_params": samples}}
    samples = ["sample"] * len(names)
    return {**part, "example": {key: [samples] if kind == "BODY" else samples}}
