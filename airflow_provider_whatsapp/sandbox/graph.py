"""Meta's side: finds the object that a path names and hands the call to its handler."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox import (
    graph_analytics,
    graph_media,
    graph_messages,
    graph_numbers,
    graph_templates,
    graph_uploads,
    template_library,
)
from airflow_provider_whatsapp.sandbox.errors import GraphError, unknown_object, unknown_path
from airflow_provider_whatsapp.sandbox.webhooks import graph as webhooks
from airflow_provider_whatsapp.sandbox.wire import MalformedBodyError, as_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_whatsapp.sandbox.state import State
    from airflow_provider_whatsapp.sandbox.wire import Answer, Call

    Handler = Callable[[State, str, Call], dict[str, Any]]

_VERSION = re.compile(r"v(\d{1,3})\.(\d)")
_NEWEST = (26, 0)
_ID = re.compile(r"\d+|upload:.*|app|[A-Za-z]+_library")

EDGES: dict[tuple[str, str], dict[str, Handler]] = {
    ("number", "messages"): {"POST": graph_messages.send, "PUT": graph_messages.mark_read},
    ("number", "marketing_messages"): {"POST": graph_messages.send_marketing},
    ("number", "media"): {"POST": graph_media.upload},
    ("number", "message_history"): {"GET": graph_messages.history},
    ("number", "whatsapp_business_profile"): {
        "GET": graph_numbers.get_profile,
        "POST": graph_numbers.set_profile,
    },
    ("account", "message_templates"): {
        "GET": graph_templates.listing,
        "POST": graph_templates.create,
        "DELETE": graph_templates.delete,
    },
    ("account", "subscribed_apps"): {
        "GET": webhooks.subscriptions,
        "POST": webhooks.subscribe,
        "DELETE": webhooks.unsubscribe,
    },
    ("account", "phone_numbers"): {"GET": graph_numbers.listing},
    ("account", "template_analytics"): {"GET": graph_analytics.templates},
    ("app", "uploads"): {"POST": graph_uploads.start},
    ("template", "unpause"): {"POST": graph_templates.unpause},
    ("history", "events"): {"GET": graph_messages.events},
}
"""The methods that each edge answers, by the kind of object and the edge's name."""

NODES: dict[str, dict[str, Handler]] = {
    "number": {"GET": graph_numbers.get_number, "POST": graph_numbers.set_number},
    "account": {"GET": graph_numbers.get_account, "POST": graph_numbers.set_account},
    "media": {"GET": graph_media.get, "DELETE": graph_media.delete},
    "template": {"GET": graph_templates.get, "POST": graph_templates.edit},
    "upload": {"GET": graph_uploads.get, "POST": graph_uploads.append},
    "library": {"GET": template_library.listing},
}
"""The methods that each kind of object answers itself."""


def answer(state: State, call: Call) -> Answer:
    """Answer a request to the data plane, whose path begins with the app."""
    try:
        return as_json(_handle(state, call, call.path.strip("/").split("/")[1:] or [""]))
    except GraphError as error:
        return error.answer(state.ids)
    except MalformedBodyError as error:
        return GraphError(100, message=f"(#100) {error}").answer(state.ids)


def _handle(state: State, call: Call, segments: list[str]) -> dict[str, Any]:
    version = _VERSION.fullmatch(segments[0])
    if version:
        call.version = (int(version[1]), int(version[2]))
        segments = segments[1:]
    # A path without a version gets the app's default one, which `Call` has.
    if not segments or not segments[0] or call.version > _NEWEST:
        raise unknown_path("/".join(segments))
    return _answer_of(state, call, segments)


def _answer_of(state: State, call: Call, segments: list[str]) -> dict[str, Any]:
    name = segments[0]
    kind = _kind(state, name, call.waba_id)
    if kind is None and len(segments) > 1 and not _ID.fullmatch(name):
        raise unknown_path("/".join(segments[1:]))
    if kind is None:
        raise unknown_object(name, call.method)
    if len(segments) == 1:
        methods = NODES.get(kind, {})
    elif len(segments) == 2 and (kind, segments[1]) in EDGES:
        methods = EDGES[kind, segments[1]]
    elif len(segments) == 2 and any(edge == segments[1] for _, edge in EDGES):
        raise unknown_object(name, call.method)
    else:
        raise unknown_path("/".join(segments[1:]))
    handler = methods.get(call.method)
    if handler is None:
        raise unknown_object(name, call.method)
    if kind in {"account", "template"} and state.accounts[call.waba_id].calls.wait(state.clock.now()):
        raise GraphError(80008, "Too many calls to this WhatsApp Business Account within an hour")
    return handler(state, name, call)


def _kind(state: State, name: str, waba_id: str) -> str | None:
    """Return the kind of the object that an id names; None if the connection's account does not own it."""
    if name in {state.settings.app_id, "app"}:  # Graph's alias: the app of the token
        return "app"
    if name == "message_template_library":
        return "library"
    if name in state.uploads:
        return "upload"
    kind, owner = _owned(state, name)
    return kind if owner == waba_id else None


def _owned(state: State, name: str) -> tuple[str, str | None]:
    if name in state.numbers:
        return "number", state.numbers[name].waba_id
    if name in state.accounts:
        return "account", name
    if name in state.templates:
        return "template", state.templates[name].waba_id
    media = graph_media.find(state, name)
    if media:
        return "media", state.numbers[media.number_id].waba_id
    message = graph_messages.find_history(state, name)
    return "history", state.numbers[message.number_id].waba_id if message else None
