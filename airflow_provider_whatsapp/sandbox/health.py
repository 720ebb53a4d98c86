"""The ``health_status`` field: whether number, template, account, business and app may send; tests can set it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.control_fields import ControlError, flag, one_of, text

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_whatsapp.sandbox.state import State

KINDS = ("PHONE_NUMBER", "MESSAGE_TEMPLATE", "WABA", "BUSINESS", "APP")
STATES = ("AVAILABLE", "LIMITED", "BLOCKED")
"""Values of ``can_send_message``, the best first."""
OVERALL = "OVERALL"
"""Key of the overall value, which Meta shows as BLOCKED even if only calls by SIP are blocked."""
BUSINESS_ID = "100000000000001"

_USUAL: dict[str, tuple[int, str, str]] = {
    "PHONE_NUMBER": (141000, "The phone number is disconnected.", "Connect the number in WhatsApp Manager."),
    "MESSAGE_TEMPLATE": (141002, "The template is not approved.", "Wait until the template is approved."),
    "WABA": (141006, "There is an error with the payment method.", "Set a payment method up."),
    "BUSINESS": (141010, "The business is not verified.", "Verify the business in Meta Business Suite."),
    "APP": (141000, "The app may not send.", "Look at the app in Meta's dashboard."),
}
"""Why an entity is blocked if a test does not say: code, description and solution."""
_ERROR = ("error_code", "error_description", "possible_solution")


def health(
    state: State, waba_id: str, *, number_id: str | None = None, template: tuple[str, str] | None = None
) -> dict[str, Any]:
    """Return a node's field ``health_status``, none while a test has it refused; ``template`` is id and status."""
    if state.health_refused:
        return {}
    nodes = [("WABA", waba_id), ("BUSINESS", BUSINESS_ID), ("APP", state.settings.app_id)]
    if number_id is not None:
        nodes.insert(0, ("PHONE_NUMBER", number_id))
    if template is not None:
        nodes.insert(0, ("MESSAGE_TEMPLATE", template[0]))
    entities = [_entity(state, kind, name) for kind, name in nodes]
    if (
        template is not None
        and template[1] != "APPROVED"
        and f"MESSAGE_TEMPLATE:{template[0]}" not in state.health
    ):
        entities[0] |= {"can_send_message": "BLOCKED", "errors": [_usual_error("MESSAGE_TEMPLATE")]}
    worst = max((entity["can_send_message"] for entity in entities), key=STATES.index)
    overall = state.health.get(f"{OVERALL}:", {}).get("can_send_message", worst)
    return {"health_status": {"can_send_message": overall, "entities": entities}}


def _entity(state: State, kind: str, name: str) -> dict[str, Any]:
    usual: dict[str, Any] = {"entity_type": kind, "id": name, "can_send_message": "AVAILABLE"}
    return usual | state.health.get(f"{kind}:{name}", {})


def _usual_error(kind: str) -> dict[str, Any]:
    return dict(zip(_ERROR, _USUAL[kind], strict=True))


def set_health(state: State, given: dict[str, Any]) -> list[dict[str, Any]]:
    """``POST health_status``: block or limit an entity, or let it send; ``refused`` makes Graph refuse the field."""
    unknown = set(given) - {
        *("entity_type", "id", "name", "language", "can_send_message", "errors", "additional_info", "refused")
    }
    if unknown:
        raise ControlError(f"Unknown field {min(unknown)}")
    refused = flag(given, "refused")
    if refused is not None:
        state.health_refused = refused
    if refused is None or len(given) > 1:
        _set_entity(state, given)
    state.changed()
    return listing(state)


def listing(state: State) -> list[dict[str, Any]]:
    """``GET health_status``: the values that tests have set, by entity."""
    found = [(key.partition(":"), value) for key, value in state.health.items()]
    return [{"entity_type": kind, "id": name, **value} for (kind, _, name), value in found]


def _set_entity(state: State, given: dict[str, Any]) -> None:
    kind = one_of(given, "entity_type", KINDS)
    can = one_of(given, "can_send_message", STATES)
    if can is None:
        raise ControlError(f"can_send_message must be one of {', '.join(STATES)}")
    key = f"{kind}:{_id_of(state, kind, given)}" if kind else f"{OVERALL}:"
    if can == "AVAILABLE" and kind is None:
        state.health.pop(key, None)
        return
    state.health[key] = {"can_send_message": can, **_reasons(given, kind, can)}


def _reasons(given: dict[str, Any], kind: str | None, can: str) -> dict[str, Any]:
    errors, notes = given.get("errors"), given.get("additional_info")
    if errors is not None and not (
        isinstance(errors, list)
        and all(isinstance(each, dict) and set(each) <= set(_ERROR) for each in errors)
    ):
        raise ControlError(f"errors must be a list of objects with {', '.join(_ERROR)}")
    if notes is not None and not (isinstance(notes, list) and all(isinstance(each, str) for each in notes)):
        raise ControlError("additional_info must be a list of texts")
    if kind and errors is None and can == "BLOCKED":
        errors = [_usual_error(kind)]
    if kind and errors is None and notes is None and can == "LIMITED":
        notes = [_USUAL[kind][1]]
    return {
        name: value for name, value in (("errors", errors), ("additional_info", notes)) if value is not None
    }


def _id_of(state: State, kind: str, given: dict[str, Any]) -> str:
    name = text(given, "id", required=False)
    if kind == "MESSAGE_TEMPLATE" and name is None:
        wanted = text(given, "name"), text(given, "language", required=False) or "en_US"
        found = (each.id for each in state.templates.values() if (each.name, each.language) == wanted)
        name = next(found, "")
    there: dict[str, Collection[str]] = {
        "PHONE_NUMBER": state.numbers,
        "MESSAGE_TEMPLATE": state.templates,
        "WABA": state.accounts,
        "BUSINESS": (BUSINESS_ID,),
        "APP": (state.settings.app_id,),
    }
    if name is None:
        name = next(iter(there[kind]))
    if name not in there[kind]:
        raise ControlError(f"There is no such {kind}", 404)
    return name
