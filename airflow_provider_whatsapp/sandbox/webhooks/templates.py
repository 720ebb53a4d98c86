"""Changes of templates since the last check, as webhooks report them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.webhooks import events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_whatsapp.sandbox.model import Template
    from airflow_provider_whatsapp.sandbox.state import State


@dataclass(slots=True)
class Seen:
    """A template as it was at the last check."""

    template: Template
    status: str
    quality: str
    category: str
    correct: str | None
    components: list[dict[str, Any]]


def _seen(template: Template) -> Seen:
    return Seen(
        template,
        template.status,
        template.quality,
        template.category,
        template.correct_category,
        template.components,
    )


def template_changes(state: State) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield account, field and value of each change since the last check; none at first, or without an address."""
    hooks = state.webhooks
    if not (hooks.app_url and hooks.subscribed):
        hooks.of_templates = None
        return
    before, now = hooks.of_templates, {each.id: each for each in state.templates_of()}
    hooks.of_templates = {name: _seen(each) for name, each in now.items()}
    if before is None:
        return
    for name, template in now.items():
        for field, value in _changes(before.get(name), template):
            yield template.waba_id, field, value
    for name in before.keys() - now.keys():
        gone: Template = before[name].template
        yield gone.waba_id, "message_template_status_update", events.template_status(gone, "DELETED")


def next_change(state: State) -> float | None:
    """Return when time alone next changes a template, in seconds since the epoch; None if nothing is planned."""
    if not (state.webhooks.app_url and state.webhooks.subscribed):
        return None
    times: list[float] = []
    for each in state.templates.values():
        if each.status == "PENDING":
            times.append(each.review_at)
        elif each.status == "PAUSED":
            times.append(each.paused_until)
        if each.correct_category:
            times.append(each.category_at)
    return min((time for time in times if time != float("inf")), default=None)


def _changes(before: Seen | None, template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    if template.status != (before.status if before else "PENDING"):
        yield "message_template_status_update", events.template_status(template, template.status)
    if before is None:
        return
    if template.quality != before.quality:
        value = events.template_quality(template, before.quality)
        yield "message_template_quality_update", value
    if template.category != before.category:
        yield "template_category_update", events.category_changed(template, before.category)
    elif template.correct_category and template.correct_category != before.correct:
        yield "template_category_update", events.category_announced(template)
    if template.components != before.components:
        yield "message_template_components_update", events.components_changed(template)
