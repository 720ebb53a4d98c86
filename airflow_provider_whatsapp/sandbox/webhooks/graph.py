"""Graph's calls that set the addresses of webhooks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_whatsapp.sandbox.errors import GraphError
from airflow_provider_whatsapp.sandbox.shape import invalid, link, missing, obj, some_object, text
from airflow_provider_whatsapp.sandbox.wire import decoded, read_params

if TYPE_CHECKING:
    from airflow_provider_whatsapp.sandbox.state import State
    from airflow_provider_whatsapp.sandbox.webhooks.sender import Sender
    from airflow_provider_whatsapp.sandbox.wire import Answer, Call

MAX_URL = 200
_OVERRIDE = obj({"override_callback_uri": link(MAX_URL), "verify_token": text(100_000)})


def subscribe(state: State, waba_id: str, call: Call) -> dict[str, Any]:
    """``POST /{waba_id}/subscribed_apps``: without fields, subscribe the app and remove its override; else set it."""
    params = read_params(call)
    if not params:
        state.webhooks.subscribe(waba_id)
        state.webhooks.overrides.pop(waba_id, None)
        state.changed()
        return {"success": True}
    _check(state, waba_id, params)
    call.pending = partial(_confirm, state, waba_id, params)  # error 2200 if the address does not confirm
    return {"success": True}


def unsubscribe(state: State, waba_id: str, call: Call) -> dict[str, Any]:  # noqa: ARG001  (a handler)
    """``DELETE /{waba_id}/subscribed_apps``: end the subscription, with its override."""
    state.webhooks.unsubscribe(waba_id)
    state.changed()
    return {"success": True}


def subscriptions(state: State, waba_id: str, call: Call) -> dict[str, Any]:  # noqa: ARG001  (a handler)
    """``GET /{waba_id}/subscribed_apps``: the subscribed apps; in the sandbox one or none."""
    hooks, app = state.webhooks, state.settings.app_id
    if waba_id not in hooks.subscribed:
        return {"data": []}
    about = {"link": f"https://www.facebook.com/games/?app_id={app}", "name": "Sandbox app", "id": app}
    found: dict[str, Any] = {"whatsapp_business_api_data": about}
    if waba_id in hooks.overrides:
        found["override_callback_uri"] = hooks.overrides[waba_id]
    return {"data": [found]}


def configure_number(state: State, number_id: str, call: Call, given: Any) -> dict[str, Any]:
    """Set a number's override, from ``POST /{phone_number_id}``; an empty address removes it."""
    given = decoded(given)
    some_object(given, "webhook_configuration")
    if given.get("override_callback_uri") == "":
        state.webhooks.overrides.pop(number_id, None)
        state.changed()
        return {"success": True}
    _check(state, state.numbers[number_id].waba_id, given)
    call.pending = partial(_confirm, state, number_id, given)
    return {"success": True}


def configuration(state: State, number_id: str) -> dict[str, str] | None:
    """Return a number's ``webhook_configuration``: the address of each level that has one, or None if none has."""
    hooks = state.webhooks
    waba_id = state.numbers[number_id].waba_id
    levels = {
        "phone_number": hooks.overrides.get(number_id),
        "whatsapp_business_account": hooks.overrides.get(waba_id),
        "application": hooks.app_url,
    }
    return {name: url for name, url in levels.items() if url} or None


def _check(state: State, waba_id: str, params: dict[str, Any]) -> None:
    for name in ("override_callback_uri", "verify_token"):
        if not params.get(name):
            raise missing(name)
    _OVERRIDE(params, "webhook")
    try:
        host = urlsplit(params["override_callback_uri"]).hostname
    except ValueError:
        host = None
    if not host:
        raise invalid("override_callback_uri", "a web address")
    if waba_id not in state.webhooks.subscribed:
        text = "Before an override of the callback, your app must be subscribed to receive messages for this account"
        raise GraphError(100, message=f"(#100) {text}")


async def _confirm(state: State, name: str, params: dict[str, Any], sender: Sender) -> Answer | None:
    """Ask the address; store it if it confirms, else return the error."""
    url = params["override_callback_uri"]
    reason = await sender.verify(url, params["verify_token"], state.ids.number(10))
    if reason:
        text = f"(#2200) Callback verification failed with the following errors: {reason}"
        return GraphError(2200, message=text).answer(state.ids)
    state.webhooks.overrides[name] = url
    state.changed()
    return None
