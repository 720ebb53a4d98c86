"""Turns the sandbox's state into rows of text, and back."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.model import (
    Connection,
    Media,
    Message,
    Recipient,
    Reply,
    Request,
    Template,
    Upload,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_whatsapp.sandbox.state import State

_ALIKE: dict[str, type[Any]] = {
    "templates": Template,
    "connections": Connection,
    "uploads": Upload,
    "recipients": Recipient,
}
"""Attributes of the state that are dicts by id, each with the type of its values."""


def _fields(thing: Any, *without: str) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in type(thing).__slots__ if name not in without}


def accounts(state: State) -> dict[str, list[str]]:
    """Return the accounts and their numbers, which a file belongs to."""
    return {name: list(numbers) for name, numbers in state.settings.accounts.items()}


def things(state: State) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield everything but messages and requests: kind and key, and the value as JSON."""
    for kind in _ALIKE:
        for key, thing in getattr(state, kind).items():
            yield (kind, key), json.dumps(_fields(thing))
    for key, media in state.media.items():
        yield ("media", key), json.dumps(_fields(media, "data"))
    world = {
        "accounts": accounts(state),
        "ahead": state.clock.ahead,
        "ids": state.ids.position(),
        "busy_until": state.busy_until,
        "handles": state.handles,
        "faults": state.faults.listing(),
        "verdicts": [_fields(verdict) for verdict in state.verdicts],
        "profiles": {name: number.profile for name, number in state.numbers.items()},
        "pins": [name for name, number in state.numbers.items() if number.pin],
        "marketing": {
            name: [account.onboarding, account.cloud_marketing_off, account.refuses_marketing]
            for name, account in state.accounts.items()
        },
        "webhooks": {
            "app_url": state.webhooks.app_url,
            "subscribed": sorted(state.webhooks.subscribed),
            "overrides": state.webhooks.overrides,
        },
        "health": state.health,
        "health_refused": state.health_refused,
        "insights": {name: account.insights_since for name, account in state.accounts.items()},
        "quotas": {
            name: {"blocked_names": account.blocked_names, "creations": account.creations.times}
            for name, account in state.accounts.items()
        },
    }
    yield ("world", ""), json.dumps(world)


def restore(state: State, found: dict[str, dict[str, Any]], file: Callable[[str], bytes]) -> None:
    """Restore everything but messages, requests and webhooks, in a sandbox with the same accounts."""
    world = found["world"][""]
    state.clock.advance(max(0.0, world["ahead"]))
    state.ids.resume(world["ids"])
    state.busy_until = world["busy_until"]
    state.handles = world["handles"]
    state.faults.restore(world["faults"])
    state.verdicts = [Verdict(**each) for each in world["verdicts"]]
    for kind, made in _ALIKE.items():
        setattr(state, kind, {key: made(**value) for key, value in found.get(kind, {}).items()})
    for key, value in found.get("media", {}).items():
        state.keep_media(Media(**value, data=file(key)))
    for name, profile in world["profiles"].items():
        state.numbers[name].profile = profile
        state.numbers[name].pin = name in world.get("pins", ())  # not in the files of earlier versions
    for name, values in world.get("marketing", {}).items():  # not in the files of earlier versions
        account = state.accounts[name]
        account.onboarding, account.cloud_marketing_off, account.refuses_marketing = values
    # Files of earlier versions have neither.
    state.health = world.get("health", {})
    state.health_refused = world.get("health_refused", False)
    for name, since in world.get("insights", {}).items():  # not in the files of earlier versions
        state.accounts[name].insights_since = since
    for name, quota in world["quotas"].items():
        state.accounts[name].blocked_names = quota["blocked_names"]
        state.accounts[name].creations.times = quota["creations"]


def restore_webhooks(state: State, found: dict[str, dict[str, Any]]) -> None:
    """Restore subscriptions, after the messages: for those, the sandbox sends only what is still to happen."""
    kept = found["world"][""].get("webhooks", {})  # not in the files of earlier versions
    state.webhooks.app_url = state.webhooks.app_url or kept.get("app_url")
    state.webhooks.overrides = kept.get("overrides", {})
    for waba_id in kept.get("subscribed", ()):
        state.webhooks.subscribe(waba_id)


def content(item: Message | Reply) -> tuple[str | None, str]:
    """Return hash and JSON of a message's template, stored once as messages share it; None and "" without one."""
    if isinstance(item, Reply) or not item.components:
        return None, ""
    text = json.dumps(item.components)
    return hashlib.sha256(text.encode()).hexdigest(), text


def write_item(item: Message | Reply) -> str:
    """Return a message as JSON, without its template."""
    if isinstance(item, Reply):
        return json.dumps(_fields(item))
    return json.dumps({**_fields(item, "components"), "body": item.body.decode("latin-1")})


def read_item(text: str, components: list[dict[str, Any]]) -> Message | Reply:
    """Return a message from the JSON of :func:`write_item` and its template's components."""
    value = json.loads(text)
    if "body" not in value:
        return Reply(**value)
    return Message(**{**value, "body": value["body"].encode("latin-1")}, components=components)


def write_request(entry: Request) -> str:
    """Return a request as JSON, without its bodies."""
    return json.dumps(_fields(entry, "sent", "answered"))


def read_request(text: str) -> Request:
    """Return a request from the JSON of :func:`write_request`."""
    return Request(**json.loads(text))
