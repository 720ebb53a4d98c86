"""Messages: sends, receipts for received ones, and the message history."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox import graph_marketing, graph_media, template_send
from airflow_provider_whatsapp.sandbox.errors import GraphError, unknown_object
from airflow_provider_whatsapp.sandbox.model import Conversation, Message, Template
from airflow_provider_whatsapp.sandbox.nodes import page
from airflow_provider_whatsapp.sandbox.rules import READ, check_message, check_product
from airflow_provider_whatsapp.sandbox.shape import invalid, missing
from airflow_provider_whatsapp.sandbox.wire import read_params

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_whatsapp.sandbox.state import State
    from airflow_provider_whatsapp.sandbox.wire import Call

_DROPPED = str.maketrans("", "", " -.()/\u00a0\u200e\u200f\u202a\u202c\u202d\u202f")
_NUMBER = re.compile(r"\+?([1-9][0-9]{6,14})")
_BSUID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")
_MEDIA = frozenset(graph_media.TYPES)


def digits(to: str) -> str | None:
    """Return a number's digits, country code first; None if it is not a phone number."""
    plain = to.translate(_DROPPED)
    match = _NUMBER.fullmatch("+" + plain[2:] if plain.startswith("00") else plain)
    return match[1] if match else None


def whatsapp_id(number: str) -> str:
    """Return WhatsApp's id of a number (digits), which differs in two countries: Mexico adds a 1, Argentina a 9."""
    if number.startswith("52") and len(number) == 12:
        return "521" + number[2:]
    if number.startswith("54") and len(number) == 12:
        return "549" + number[2:]
    return number


def send(state: State, number_id: str, call: Call) -> dict[str, Any]:
    """``POST /{phone_number_id}/messages``: send a message, or mark one as read, maybe with a typing indicator."""
    params = read_params(call)
    return (
        _mark_read(state, number_id, params) if "status" in params else _send(state, number_id, call, params)
    )


def _send(
    state: State, number_id: str, call: Call, params: dict[str, Any], marketing: dict[str, Any] | None = None
) -> dict[str, Any]:
    call.about, call.to = _subject(params)
    kind = check_message(params)
    to, wa_id = _recipient(state, number_id, params)
    template, components = _check_content(state, number_id, params, kind, call)
    category = _category(state, number_id, template, marketing, call)
    now = state.clock.now()
    conversation = _take_place(state, number_id, wa_id, now)
    body = json.dumps({**params, **(marketing or {})}, separators=(",", ":")).encode()
    message = Message(state.ids.wamid(wa_id), to, wa_id, kind, body, now, number_id, components)
    message.endpoint = "messages" if marketing is None else "marketing_messages"
    message.category = category
    message.failure = _failure(state, conversation, message, params, template)
    state.remember(conversation, message)
    return _accepted(params, message)


def _subject(params: dict[str, Any]) -> tuple[str, str]:
    """Return what a message is and for whom, for the log; nothing of the message has been checked yet."""
    about, to = params.get("type", ""), params.get("to") or params.get("recipient") or ""
    template = params.get("template")
    if isinstance(template, dict) and isinstance(template.get("name"), str):
        about = f"template {template['name']}"
    elif about == "interactive" and isinstance(params.get("interactive"), dict):
        about = str(params["interactive"].get("type", about))
    return (about[:80] if isinstance(about, str) else ""), (to[:40] if isinstance(to, str) else "")


def send_marketing(state: State, number_id: str, call: Call) -> dict[str, Any]:
    """``POST /{phone_number_id}/marketing_messages``: send a marketing template."""
    params = read_params(call)
    call.about, call.to = _subject(params)
    options, plain = graph_marketing.take_options(params)
    return _send(state, number_id, call, plain, options)


def mark_read(state: State, number_id: str, call: Call) -> dict[str, Any]:
    """``PUT /{phone_number_id}/messages``: the older way to mark a message as read."""
    params = read_params(call)
    if "status" not in params:
        raise missing("status")
    return _mark_read(state, number_id, params)


def _accepted(params: dict[str, Any], message: Message) -> dict[str, Any]:
    contact = {"input": params["to"], "wa_id": message.wa_id} if "to" in params else None
    made: dict[str, Any] = {"id": message.id}
    if params.get("recipient_type") == "group":
        made["group_id"] = params["to"]
        contact = {"input": params["to"], "wa_id": params["to"]}
    if message.type == "template":
        made["message_status"] = "accepted"
    return {
        "messaging_product": "whatsapp",
        "contacts": [contact or {"input": params["recipient"], "user_id": params["recipient"]}],
        "messages": [made],
    }


def _recipient(state: State, number_id: str, params: dict[str, Any]) -> tuple[str, str]:
    """Return the recipient as the sandbox stores it, and WhatsApp's id of it."""
    if "to" not in params:
        recipient = params.get("recipient")
        if recipient is None:
            raise missing("to")
        if not _BSUID.fullmatch(recipient):
            raise invalid("recipient", "a business-scoped user id")
        return recipient, recipient
    to = params["to"]
    if params.get("recipient_type") == "group":
        return to, to
    plain = digits(to)
    if plain is None:
        raise invalid("to", "a phone number with its country code")
    if plain == digits(state.numbers[number_id].display):
        raise GraphError(131021, "The recipient is the sender")
    return plain, whatsapp_id(plain)


def _check_content(
    state: State, number_id: str, params: dict[str, Any], kind: str, call: Call
) -> tuple[Template | None, list[dict[str, Any]]]:
    if kind == "template":
        found = template_send.find(state, number_id, params["template"])
        template_send.check(found, params["template"], modern=call.version >= (23, 0))
        if "to" not in params and (
            found.category == "AUTHENTICATION" or graph_marketing.has_max_price(found)
        ):
            raise GraphError(131062, "This template can be sent only to phone numbers")
        _check_media(state, number_id, params["template"])
        return found, found.components
    if kind in _MEDIA or kind == "interactive":
        _check_media(state, number_id, {kind: params[kind]} if kind in _MEDIA else params[kind])
    return None, []


def _category(
    state: State, number_id: str, template: Template | None, marketing: dict[str, Any] | None, call: Call
) -> str:
    """Return the category that the message is charged as; the endpoint may refuse its template's category."""
    if template is None:
        return "service"
    account = state.accounts[state.numbers[number_id].waba_id]
    return graph_marketing.price_of(account, template, marketing, call.version)


def _sources(value: Any) -> Iterator[tuple[str, str]]:
    """Yield every media id in a payload, with the kind of media that it is used as."""
    if isinstance(value, list):
        for each in value:
            yield from _sources(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in _MEDIA and isinstance(each, dict) and isinstance(each.get("id"), str):
                yield key, each["id"]
            else:
                yield from _sources(each)


def _check_media(state: State, number_id: str, content: dict[str, Any]) -> None:
    for _, media_id in _sources(content):
        found = graph_media.find(state, media_id)
        if found is None or found.number_id != number_id:
            raise GraphError(131009, f"Media {media_id} does not exist for this phone number, or has expired")


def _take_place(state: State, number_id: str, wa_id: str, now: float) -> Conversation:
    if state.throughput[number_id].wait(now):
        raise GraphError(130429, "The phone number sends faster than its throughput")
    conversation = state.conversation(number_id, wa_id)
    if conversation.pair and not conversation.pair.take(now):
        raise GraphError(131056, "Too many messages from this sender to this user in a short time")
    return conversation


def _failure(
    state: State,
    conversation: Conversation,
    message: Message,
    params: dict[str, Any],
    template: Template | None,
) -> int | None:
    """Return the code of an error that Meta notices after it has accepted: in the status, not in the answer."""
    user = state.recipients.get(message.wa_id)
    if user:
        message.reaches = user.reaches
        code = user.refuses(template)
        if code is not None:
            return code
    if template is None and message.accepted_at >= conversation.open_until:
        return 131047
    if message.type == "reaction" and params["reaction"]["message_id"] not in state.messages:
        return 131009
    for kind, media_id in _sources({message.type: params[message.type]}):
        media = state.media[media_id]
        if not media.sound or media.mime not in graph_media.TYPES[kind][1]:
            return 131053
    return None


def _mark_read(state: State, number_id: str, params: dict[str, Any]) -> dict[str, Any]:
    check_product(params)
    READ(params, "message")
    found = state.messages.get(params["message_id"])
    if found is None or not found.incoming or found.number_id != number_id:
        raise invalid(
            "message_id", "the id of a message that was received (POST /_sandbox/replies makes one)"
        )
    return {"success": True}


def history(state: State, number_id: str, call: Call) -> dict[str, Any]:
    """``GET /{phone_number_id}/message_history``: the events of one message, or of all, in pages."""
    wanted = call.query.get("message_id")
    found: list[Message]
    if wanted is not None:
        one = state.messages.get(wanted)
        found = [one] if isinstance(one, Message) and one.number_id == number_id else []
    else:
        found = [
            item
            for item in state.messages.values()
            if isinstance(item, Message) and item.number_id == number_id
        ]
    return page(found, call, lambda message: message.id, lambda message: _history(state, message), most=100)


def _history(state: State, message: Message) -> dict[str, Any]:
    return {
        "id": _history_id(message),
        "message_id": message.id,
        "events": {"data": _events(state, message, "timestamp")},
    }


def _history_id(message: Message) -> str:
    return "history-" + message.id.removeprefix("wamid.").replace("/", "_").replace("+", "-").rstrip("=")


def find_history(state: State, name: str) -> Message | None:
    """Return the message of a history id, or None."""
    if not name.startswith("history-"):
        return None
    core = name.removeprefix("history-").replace("_", "/").replace("-", "+")
    found = state.messages.get("wamid." + core + "=" * (-len(core) % 4))
    return found if isinstance(found, Message) else None


def _events(state: State, message: Message, stamp: str) -> list[dict[str, Any]]:
    events = []
    for index, (status, at) in enumerate(state.timeline(message)):
        event: dict[str, Any] = {
            "id": f"{_history_id(message)}-{index}",
            "delivery_status": status.upper(),
            stamp: int(at),
            "webhook_update_state": "DELIVERED",
            "application": {"id": state.settings.app_id},
        }
        if status == "failed" and message.failure is not None:
            event["error_description"] = str(GraphError(message.failure))
        events.append(event)
    return events


def events(state: State, history_id: str, call: Call) -> dict[str, Any]:
    """``GET /{history_id}/events``."""
    message = find_history(state, history_id)
    if message is None:
        raise unknown_object(history_id, call.method)
    found = _events(state, message, "occurrence_timestamp")
    return page(found, call, lambda event: str(event["id"]), lambda event: event, most=100)
