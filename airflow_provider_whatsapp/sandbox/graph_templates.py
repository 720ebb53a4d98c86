"""Templates: lists, creation, edits and deletion."""

from __future__ import annotations

import json
import re
import zlib
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox import template_library, template_rules
from airflow_provider_whatsapp.sandbox.errors import GraphError
from airflow_provider_whatsapp.sandbox.health import health
from airflow_provider_whatsapp.sandbox.model import DAY, NAME_BLOCK, Template, Verdict
from airflow_provider_whatsapp.sandbox.nodes import choose, page
from airflow_provider_whatsapp.sandbox.shape import missing
from airflow_provider_whatsapp.sandbox.template_rules import refuse
from airflow_provider_whatsapp.sandbox.wire import decoded, decoded_parts, read_params

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.state import State
    from airflow_provider_whatsapp.sandbox.wire import Call

STATUSES = (
    "APPROVED", "ARCHIVED", "DELETED", "DISABLED", "IN_APPEAL", "LIMIT_EXCEEDED", "PAUSED", "PENDING",
    "PENDING_DELETION", "REJECTED",
)  # fmt: skip
CATEGORIES = ("AUTHENTICATION", "MARKETING", "UTILITY")
REASONS = (
    "ABUSIVE_CONTENT", "CATEGORY_NOT_AVAILABLE", "INCORRECT_CATEGORY", "INVALID_FORMAT", "NONE", "PROMOTIONAL", "SCAM",
    "TAG_CONTENT_MISMATCH",
)  # fmt: skip
QUALITIES = ("GREEN", "YELLOW", "RED", "UNKNOWN")
SOURCES = ("AUTO_GENERATED", "MANUAL")
MAX_TEMPLATES = 6_000
NAME = re.compile(r"[a-z0-9_]{1,512}")
LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?")
_DEFAULT = (
    "name", "parameter_format", "components", "language", "status", "category", "sub_category", "previous_category",
    "id",
)  # fmt: skip
_OPTIONS = (
    "message_send_ttl_seconds", "cta_url_link_tracking_opted_out", "sub_category", "display_format",
    "is_primary_device_delivery_only", "send_type", "optimization_spec", "degrees_of_freedom_spec",
    "creative_sourcing_spec", "product_set_id",
)  # fmt: skip
_CREATE = {
    "name",
    "language",
    "category",
    "components",
    "parameter_format",
    "allow_category_change",
    *_OPTIONS,
    *template_library.FIELDS,
}
_STRUCTURED = frozenset(
    {
        *("body_text", "body_text_named_params", "header_handle", "header_text", "header_text_named_params"),
        *("buttons", "cards", "components", "example", "limited_time_offer", "supported_apps"),
        *("library_template_body_inputs", "library_template_button_inputs"),
        *("creative_sourcing_spec", "degrees_of_freedom_spec", "optimization_spec"),
    }
)
"""Names in a template whose values are objects or lists; a button's ``example`` may also be a text."""
_EDIT = {"category", "components", "parameter_format", *_OPTIONS}
_EDITABLE = ("APPROVED", "REJECTED", "PAUSED")
_EDITS_PER_MONTH = 10
_UNPAUSE_AFTER = 300.0


def describe(state: State, template: Template) -> dict[str, Any]:
    """Return a template with every field that it has in Graph."""
    return {
        "id": template.id,
        "name": template.name,
        "language": template.language,
        "status": template.status,
        "category": template.category,
        "previous_category": template.previous_category,
        "correct_category": template.correct_category,
        "components": [_reported(part) for part in template.components],
        "parameter_format": template.parameter_format,
        "quality_score": {
            "score": template.quality,
            "date": int(template.quality_at or template.updated_at),
        },
        "rejected_reason": template.rejected_reason if template.status == "REJECTED" else "NONE",
        "last_updated_time": int(template.updated_at),
        "source": template.source,
        "library_template_name": template.library_name,
        **health(state, template.waba_id, template=(template.id, template.status)),
        **{name: template.options.get(name) for name in _OPTIONS},
    }


def _reported(part: dict[str, Any]) -> dict[str, Any]:
    handles = part.get("example", {}).get("header_handle") if isinstance(part.get("example"), dict) else None
    if not handles:
        return part
    # Graph returns an address instead of the handle, and refuses a template with that address: so does the sandbox.
    address = f"https://scontent.whatsapp.net/v/{zlib.crc32(str(handles[0]).encode())}"
    return {**part, "example": {"header_handle": [address]}}


def _filter(call: Call, name: str, allowed: tuple[str, ...] | None = None) -> set[str] | None:
    raw = call.query.get(name)
    if raw is None:
        return None
    try:
        loaded = json.loads(raw) if raw.startswith("[") else [raw]
    except (ValueError, RecursionError):
        loaded = None
    if not isinstance(loaded, list) or not all(isinstance(each, str) for each in loaded):
        raise GraphError(100, message=f"(#100) Param {name} must be a value or a JSON list of values")
    values = {each.upper() for each in loaded} if allowed else set(loaded)
    if allowed and not values <= set(allowed):
        raise GraphError(100, message=f"(#100) Param {name} must be one of {{{', '.join(allowed)}}}")
    return values


def _when(call: Call, name: str, usual: float) -> float:
    raw = call.query.get(name)
    if raw is None:
        return usual
    if not (raw.isascii() and raw.isdigit() and len(raw) < 15):
        raise GraphError(100, message=f"(#100) Param {name} must be a Unix time")
    return float(raw)


def _chosen(state: State, waba_id: str, call: Call) -> list[Template]:
    query = call.query
    statuses, categories = _filter(call, "status", STATUSES), _filter(call, "category", CATEGORIES)
    qualities, sources = _filter(call, "quality_score", QUALITIES), _filter(call, "source", SOURCES)
    languages = _filter(call, "language")
    since, until = _when(call, "since", 0), _when(call, "until", float("inf"))
    text = query.get("name_or_content", query.get("content", ""))
    return [
        template
        for template in state.templates_of(waba_id)
        if (statuses is None or template.status in statuses)
        and (categories is None or template.category in categories)
        and (qualities is None or template.quality in qualities)
        and (sources is None or template.source in sources)
        and (languages is None or template.language in languages)
        and since <= template.updated_at <= until
        and query.get("name", "") in template.name
        and (not text or text in template.name or text in json.dumps(template.components, ensure_ascii=False))
    ]


def listing(state: State, waba_id: str, call: Call) -> dict[str, Any]:
    """``GET /{waba_id}/message_templates``."""
    query, found = call.query, _chosen(state, waba_id, call)

    def show(template: Template) -> dict[str, Any]:
        return choose(describe(state, template), query.get("fields"), _DEFAULT, "WhatsAppMessageTemplate")

    answer = page(found, call, lambda template: template.id, show)
    if "summary" in query:
        totals = {"total_count": len(found), "message_template_count": _count(state, waba_id)}
        answer["summary"] = {
            **totals,
            "message_template_limit": MAX_TEMPLATES,
            "are_translations_complete": True,
        }
    return answer


def _count(state: State, waba_id: str) -> int:
    return sum(template.waba_id == waba_id for template in state.templates.values())


def get(state: State, template_id: str, call: Call) -> dict[str, Any]:
    """``GET /{template_id}``."""
    node = describe(state, state.template(template_id))
    return choose(node, call.query.get("fields"), _DEFAULT, "WhatsAppMessageTemplate")


def create(state: State, waba_id: str, call: Call) -> dict[str, Any]:
    """``POST /{waba_id}/message_templates``."""
    params = decoded_parts(read_params(call), _STRUCTURED)
    _check_fields(params, _CREATE)
    name, language, category = _check_identity(state, waba_id, params)
    form = str(params.get("parameter_format", "POSITIONAL")).upper()
    if "library_template_name" in params:
        components = template_library.clone(params, category)
        verdict, delay = Verdict(), 0.0
    else:
        given = params.get("components")
        components = template_rules.check_components(state, given, category=category, named=form == "NAMED")
        verdict, delay = state.decide(name), state.settings.approve_after
    now = state.clock.now()
    if state.accounts[waba_id].creations.wait(now):
        raise GraphError(80008, message="(#80008) Too many templates created: 100 per hour and account")
    if _count(state, waba_id) >= MAX_TEMPLATES:
        raise refuse(template_rules.TOO_MANY_TEMPLATES, "Too many templates", f"The limit is {MAX_TEMPLATES}")
    made = Template(
        state.ids.number(), waba_id, name, language, category, components, form, now, now, now + delay
    )
    made.verdict, made.verdict_reason = verdict.status, verdict.reason
    made.library_name = params.get("library_template_name")
    made.options = {option: params[option] for option in _OPTIONS if option in params}
    if verdict.category:
        made.recategorise(verdict.category, now)
    state.templates[made.id] = made
    state.changed(made.review_at)
    return {"id": made.id, "status": made.settle(now).status, "category": made.category}


def _check_fields(params: dict[str, Any], known: set[str]) -> None:
    unknown = set(params) - known
    if unknown:
        raise GraphError(100, f'Unexpected key "{min(unknown)}" on param "template"')
    if str(params.get("parameter_format", "POSITIONAL")).upper() not in {"POSITIONAL", "NAMED"}:
        raise GraphError(100, message="(#100) Param parameter_format must be one of {NAMED, POSITIONAL}")


def _check_identity(state: State, waba_id: str, params: dict[str, Any]) -> tuple[str, str, str]:
    for field in ("name", "language", "category"):
        if field not in params:
            raise missing(field)
        if not isinstance(params[field], str):
            raise GraphError(100, message=f"(#100) Param {field} must be a string")
    name, language, category = params["name"], params["language"], params["category"].upper()
    _check_name(name)
    if not LANGUAGE.fullmatch(language):
        raise GraphError(100, message="(#100) Param language must be a language code")
    if category not in CATEGORIES:
        raise GraphError(100, message=f"(#100) Param category must be one of {{{', '.join(CATEGORIES)}}}")
    _check_ttl(params.get("message_send_ttl_seconds"), category)
    others = state.find_templates(name, waba_id=waba_id)
    if any(other.language == language for other in others):
        text = f"There is already a template {name} in {language}"
        raise refuse(template_rules.EXISTS, "Content in This Language Already Exists", text)
    if any(other.category != category for other in others):
        raise GraphError(100, message="(#100) The category does not match the template's other languages")
    if state.accounts[waba_id].blocked_names.get(name, 0.0) > state.clock.now():
        text = f"{name} was deleted; the name is free again after 30 days"
        raise refuse(template_rules.BEING_DELETED, "Message template language is being deleted", text)
    return name, language, category


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise refuse(template_rules.NAME, "Name", "A name has lower case letters, digits and underscores")
    if name == "hello_world":
        raise refuse(template_rules.SAMPLE, "Name", f"{name} is the name of a sample template")


def _check_ttl(seconds: Any, category: str) -> None:
    if seconds is None:
        return
    low, high = template_rules.TTL[category]
    if isinstance(seconds, str) and re.fullmatch(r"-?[0-9]{1,19}", seconds):
        seconds = int(seconds)
    whole = isinstance(seconds, int) and not isinstance(seconds, bool)
    if not (whole and (low <= seconds <= high or (seconds == -1 and category != "MARKETING"))):
        raise GraphError(
            100, message=f"(#100) message_send_ttl_seconds must be {low} to {high} for {category}"
        )


def edit(state: State, template_id: str, call: Call) -> dict[str, Any]:
    """``POST /{template_id}``: replace the components and start another review."""
    template = state.template(template_id)
    params = decoded_parts(read_params(call), _STRUCTURED)
    _check_fields(params, _EDIT)
    now = state.clock.now()
    status = template.status
    if status not in _EDITABLE:
        raise GraphError(100, message=f"(#100) A template with status {status} cannot be edited")
    category = str(params.get("category", template.category)).upper()
    if category not in CATEGORIES or (status == "APPROVED" and category != template.category):
        raise GraphError(100, message="(#100) The category of an approved template cannot change")
    _check_ttl(params.get("message_send_ttl_seconds"), category)
    form = str(params.get("parameter_format", template.parameter_format)).upper()
    components = template.components
    if "components" in params:
        given = params["components"]
        components = template_rules.check_components(state, given, category=category, named=form == "NAMED")
    if status == "APPROVED":
        _count_edit(template, now)
    template.components, template.category, template.parameter_format = components, category, form
    template.options |= {option: params[option] for option in _OPTIONS if option in params}
    verdict = state.decide(template.name)
    template.verdict, template.verdict_reason = verdict.status, verdict.reason
    template.status, template.updated_at = "PENDING", now
    template.review_at = now + state.settings.approve_after
    state.changed(template.review_at)
    return {"success": True, "id": template.id, "name": template.name, "category": category}


def _count_edit(template: Template, now: float) -> None:
    recent = [at for at in template.edits if now - at < NAME_BLOCK]
    if len(recent) >= _EDITS_PER_MONTH or (recent and now - recent[-1] < DAY):
        text = "(#100) An approved template can be edited once in 24 hours and ten times in 30 days"
        raise GraphError(100, message=text)
    template.edits = [*recent, now]


def unpause(state: State, template_id: str, call: Call) -> dict[str, Any]:  # noqa: ARG001
    """``POST /{template_id}/unpause``."""
    template, now = state.template(template_id), state.clock.now()
    if template.status != "PAUSED":
        raise GraphError(100, message="(#100) The template is not paused")
    if now - template.paused_at < _UNPAUSE_AFTER:
        raise GraphError(100, message="(#100) A template can be unpaused five minutes after its pause")
    template.status, template.updated_at = "APPROVED", now
    state.changed()
    return {"success": True}


def delete(state: State, waba_id: str, call: Call) -> dict[str, Any]:
    """``DELETE /{waba_id}/message_templates`` by ``name``, ``hsm_id`` with ``name``, or ``hsm_ids``."""
    query = read_params(call)
    now, doomed = state.clock.now(), _doomed(state, waba_id, query)
    if any(template.status == "DISABLED" for template in doomed):
        raise GraphError(100, message="(#100) A disabled template cannot be deleted")
    for template in doomed:
        if template.status == "APPROVED":
            state.accounts[waba_id].blocked_names[template.name] = now + NAME_BLOCK
        del state.templates[template.id]
    state.changed()
    return {"success": True}


def _doomed(state: State, waba_id: str, query: dict[str, Any]) -> list[Template]:
    if "hsm_ids" in query:
        wanted = decoded(query["hsm_ids"])
        if not isinstance(wanted, list) or not 1 <= len(wanted) <= 100:
            raise GraphError(100, message="(#100) hsm_ids must be a JSON list of 1 to 100 ids")
        names = list(dict.fromkeys(map(str, wanted)))
        known = [state.template(each) for each in names if each in state.templates]
        found = [template for template in known if template.waba_id == waba_id]
        if len(found) != len(names):
            raise GraphError(100, message="(#100) A template in hsm_ids does not exist")
        return found
    name = query.get("name")
    if not isinstance(name, str) or not name:
        raise missing("name")
    known = state.find_templates(name, waba_id=waba_id)
    found = [each for each in known if query.get("hsm_id", each.id) == each.id]
    if not found:
        raise GraphError(100, message=f"(#100) There is no template {name[:64]}")
    return found
