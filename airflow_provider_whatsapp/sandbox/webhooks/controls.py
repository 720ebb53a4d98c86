"""The sandbox's controls for webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.control_fields import ControlError, flag, text, whole
from airflow_provider_whatsapp.sandbox.webhooks import events
from airflow_provider_whatsapp.sandbox.webhooks.graph import configuration
from airflow_provider_whatsapp.sandbox.webhooks.hooks import BATCH
from airflow_provider_whatsapp.sandbox.webhooks.templates import template_changes

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.state import State
    from airflow_provider_whatsapp.sandbox.webhooks.hooks import Delivery

FIELDS = ("duplicate", "reorder", "drop", "pause", "batch", "app_url")
"""Fields of the control."""


def change(state: State, given: dict[str, Any]) -> dict[str, Any]:
    """``POST webhooks``: set the faults of deliveries and the app's own address; a field left out keeps its value."""
    unknown = set(given) - set(FIELDS)
    if unknown:
        raise ControlError(f"Unknown field {min(unknown)}")
    values: dict[str, Any] = {name: _share(given, name) for name in ("duplicate", "drop")}
    values |= {name: flag(given, name) for name in ("reorder", "pause")}
    values["batch"] = whole(given, "batch", 0) if "batch" in given else None
    if values["batch"] is not None and not 1 <= values["batch"] <= BATCH:
        raise ControlError(f"batch must be a whole number from 1 to {BATCH}")
    hooks = state.webhooks
    if given.get("app_url") == "":
        hooks.app_url = None
    elif given.get("app_url") is not None:
        url = text(given, "app_url") or ""
        if not url.lower().startswith(("http://", "https://")):
            raise ControlError("app_url must be a web address")
        hooks.app_url = url
        for waba_id in state.accounts:
            hooks.subscribe(waba_id)
        if hooks.of_templates is None:
            list(template_changes(state))  # the first call reports nothing, but later ones compare with it
    for name, value in values.items():
        if value is not None:
            setattr(hooks.faults, name, value)
    state.changed()
    return show(state)


def _share(given: dict[str, Any], name: str) -> float | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ControlError(f"{name} must be a share from 0 to 1")
    return float(value)


def show(state: State) -> dict[str, Any]:
    """``GET webhooks``: faults, addresses, and the latest deliveries with their outcomes."""
    hooks, faults = state.webhooks, state.webhooks.faults
    return {
        "duplicate": faults.duplicate,
        "reorder": faults.reorder,
        "drop": faults.drop,
        "pause": faults.pause,
        "batch": faults.batch,
        "app_url": hooks.app_url or "",
        "app_secret": state.settings.app_secret,
        "subscribed": sorted(hooks.subscribed),
        "addresses": {name: configuration(state, name) or {} for name in state.numbers},
        "due": hooks.due(state.clock.now()),  # once this is 0, a test has seen everything up to now
        "waiting": hooks.waiting,  # to be delivered now or later
        "deliveries": [describe(each) for each in hooks.log],
    }


def describe(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery as the control shows it to tests."""
    return {
        "number": delivery.number,
        "url": delivery.url,
        "level": delivery.level,
        "fields": list(delivery.fields),
        "updates": delivery.updates,
        "at": delivery.made_at,
        "attempts": delivery.attempts,
        "outcome": delivery.outcome,
        "status": delivery.status,
        "error": delivery.error,
        "next_at": delivery.next_at,
        "repeats": delivery.repeats,
    }


def notify_preference(state: State, wa_id: str, *, welcome: bool) -> None:
    """Notify the app that a user stopped marketing messages, or resumed them (``welcome``)."""
    # For every account that the user has written with, else for the first one.
    senders = [name for name, user in state.conversations if user == wa_id] or [next(iter(state.numbers))]
    accounts = {state.numbers[name].waba_id: state.numbers[name] for name in senders}
    for waba_id, number in accounts.items():
        value = events.preference(number, wa_id, state.clock.now(), welcome=welcome)
        state.webhooks.notify_app(waba_id, "user_preferences", value)
