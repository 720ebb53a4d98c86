"""Controls for templates: what reviewers, users' feedback and Meta's own generator do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox import graph_templates, template_life
from airflow_provider_whatsapp.sandbox.control_fields import ControlError, one_of, text, whole
from airflow_provider_whatsapp.sandbox.errors import GraphError
from airflow_provider_whatsapp.sandbox.model import Verdict

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.state import State


def move(state: State, given: dict[str, Any]) -> list[dict[str, Any]]:
    """``POST templates``: set the status, the quality or the category, in one language or in all."""
    name, language = text(given, "name"), text(given, "language", required=False)
    status = one_of(given, "status", graph_templates.STATUSES)
    reason = one_of(given, "rejected_reason", graph_templates.REASONS) or "NONE"
    quality = one_of(given, "quality_score", graph_templates.QUALITIES)
    category = one_of(given, "category", graph_templates.CATEGORIES)  # at once
    announced = one_of(given, "correct_category", graph_templates.CATEGORIES)  # after the notice
    notice = whole(given, "notice", int(template_life.NOTICE))  # seconds of the sandbox's clock
    found = state.find_templates(name or "", language, text(given, "waba_id", required=False))
    if not found:
        raise ControlError("There is no such template", 404)
    now = state.clock.now()
    for template in found:
        if category:
            template.recategorise(category, now)
        if announced:
            template_life.announce(state, template, announced, notice)
        if status:
            template_life.move(state, template, status, reason)
        if quality:
            template_life.rate(state, template, quality)
    state.changed()
    return [graph_templates.describe(state, template) for template in found]


def put(state: State, given: dict[str, Any]) -> dict[str, Any]:
    """``PUT templates``: add or replace a template without Graph's API and its quotas; samples may be left out."""
    unknown = set(given) - {
        *("name", "language", "category", "components", "parameter_format", "status", "source", "waba_id")
    }
    if unknown:
        raise ControlError(f"Unknown field {min(unknown)}")
    name, waba_id = text(given, "name") or "", text(given, "waba_id", required=False)
    if not graph_templates.NAME.fullmatch(name):
        raise ControlError("name must have only lower case letters, digits and underscores")
    language = text(given, "language", required=False) or "en_US"
    if not graph_templates.LANGUAGE.fullmatch(language):
        raise ControlError("language must be a language code")
    if waba_id is not None and waba_id not in state.accounts:
        raise ControlError("There is no such waba_id", 404)
    fields = {
        "name": name,
        "language": language,
        "components": given.get("components"),
        "category": one_of(given, "category", graph_templates.CATEGORIES) or "UTILITY",
        "parameter_format": one_of(given, "parameter_format", ("NAMED", "POSITIONAL")) or "POSITIONAL",
        "status": one_of(given, "status", graph_templates.STATUSES) or "APPROVED",
        "source": one_of(given, "source", graph_templates.SOURCES) or "MANUAL",
    }
    try:
        made = template_life.put(state, waba_id or state.settings.waba_id, fields)
    except GraphError as error:
        said = error.user[1] if error.user else str(error)
        raise ControlError(said) from error
    return graph_templates.describe(state, made)


def review(state: State, given: dict[str, Any]) -> dict[str, Any]:
    """``POST reviews``: decide reviews to come, even before there is a template."""
    unknown = set(given) - {"name", "status", "rejected_reason", "category", "times"}
    if unknown:
        raise ControlError(f"Unknown field {min(unknown)}")
    made = Verdict(
        name=text(given, "name", required=False) or "*",
        status=one_of(given, "status", ("APPROVED", "REJECTED")) or "APPROVED",
        reason=one_of(given, "rejected_reason", graph_templates.REASONS) or "INVALID_FORMAT",
        category=one_of(given, "category", graph_templates.CATEGORIES),
        times=whole(given, "times", 1),
    )
    state.verdicts.append(made)
    return {"success": True}
