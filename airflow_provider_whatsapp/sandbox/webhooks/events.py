"""Webhooks as Meta writes them."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_provider_whatsapp.sandbox.analytics import country_of
from airflow_provider_whatsapp.sandbox.errors import CODES
from airflow_provider_whatsapp.sandbox.model import Message, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_whatsapp.sandbox.model import Number, Template
    from airflow_provider_whatsapp.sandbox.state import State
    from airflow_provider_whatsapp.sandbox.webhooks.hooks import Update

_ERRORS = "/documentation/business-messaging/whatsapp/support/error-codes"
_PAUSES = ("FIRST_PAUSE", "SECOND_PAUSE")


def envelope(waba_id: str, changes: list[tuple[str, dict[str, Any]]], time: int | None) -> dict[str, Any]:
    """Return a webhook's body; ``time`` is Unix time; None leaves it out, as Meta does for messages."""
    entry: dict[str, Any] = {"id": waba_id}
    if time is not None:
        entry["time"] = time
    entry["changes"] = [{"value": value, "field": name} for name, value in changes]
    return {"object": "whatsapp_business_account", "entry": [entry]}


def about_number(number: Number) -> dict[str, Any]:
    """Return the first fields of a value that is about a number."""
    digits = "".join(filter(str.isdigit, number.display))
    return {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": digits, "phone_number_id": number.id},
    }


@lru_cache(maxsize=65_536)
def user_id(wa_id: str) -> str:
    """Return a user's business-scoped id, which the sandbox derives from the number; such an id stays as it is."""
    if wa_id[:2].isalpha():
        return wa_id
    country = country_of(wa_id)
    made = int.from_bytes(hashlib.sha256(wa_id.encode()).digest()[:7], "big")
    return f"{country if country.isalpha() else 'XX'}.{made:017d}"


def contact(wa_id: str) -> dict[str, Any]:
    """Return the entry of ``contacts`` for the sender or the recipient of a message."""
    made: dict[str, Any] = {"profile": {"name": f"Person {wa_id[-4:]}"}}
    if user_id(wa_id) != wa_id:
        made["wa_id"] = wa_id
    return {**made, "user_id": user_id(wa_id)}


def status(update: Update) -> dict[str, Any]:
    """Return one entry of ``statuses``."""
    message = update.item
    if not isinstance(message, Message):
        raise TypeError("a reply has no status")
    made: dict[str, Any] = {"id": message.id, "status": update.status, "timestamp": str(int(update.at))}
    payload = message.payload
    if payload.get("recipient_type") == "group":
        made |= {"recipient_id": message.wa_id, "recipient_type": "group"}
    elif user_id(message.wa_id) != message.wa_id:
        made["recipient_id"] = message.wa_id
        if update.status != "failed":
            made["recipient_user_id"] = user_id(message.wa_id)
    else:
        made["recipient_user_id"] = message.wa_id
    if "biz_opaque_callback_data" in payload:
        made["biz_opaque_callback_data"] = payload["biz_opaque_callback_data"]
    if update.status == "failed":
        made["errors"] = [_failure(message.failure or 131000)]
    elif update.status in {"sent", "delivered"}:
        made["pricing"] = _pricing(message, free=update.free)
    return made


def _pricing(message: Message, *, free: bool) -> dict[str, Any]:
    return {
        "billable": not free,
        "pricing_model": "PMP",
        "category": message.category,
        "type": "free_customer_service" if free else "regular",
    }


def _failure(code: int) -> dict[str, Any]:
    title = CODES.get(code, (400, "Message failed to send"))[1]
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": f"{title}: the sandbox's controls or Meta's rules made it fail"},
        "href": _ERRORS,
    }


def received(state: State, reply: Reply) -> dict[str, Any]:
    """Return one entry of ``messages``: a message that a number received."""
    context, content = _tapped(state, reply)
    made: dict[str, Any] = {}
    if context is not None:
        display = state.numbers[reply.number_id].display
        made["context"] = {"from": "".join(filter(str.isdigit, display)), "id": context}
    if user_id(reply.wa_id) != reply.wa_id:
        made["from"] = reply.wa_id
    made |= {"from_user_id": user_id(reply.wa_id), "id": reply.id, "timestamp": str(int(reply.accepted_at))}
    return made | content


def _tapped(state: State, reply: Reply) -> tuple[str | None, dict[str, Any]]:
    """Return the id of the message that a reply answers, and the reply's content, which depends on the button."""
    if reply.pressed is None:
        return reply.context, {"type": "text", "text": {"body": reply.text}}
    conversation = state.conversations.get((reply.number_id, reply.wa_id))
    for item in reversed(conversation.items if conversation else ()):
        if isinstance(item, Message) and reply.context in (None, item.id):
            content = _button(item, reply)
            if content:
                return item.id, content
    return reply.context, {"type": "button", "button": {"payload": reply.pressed, "text": reply.text}}


def _button(message: Message, reply: Reply) -> dict[str, Any] | None:
    pressed = reply.pressed
    if message.type == "template":
        texts = {each.get("text") for each in _dicts(message.components) if each.get("type") == "QUICK_REPLY"}
        payloads = {each["payload"] for each in _dicts(message.payload) if "payload" in each}
        if pressed in payloads or reply.text in texts:
            return {"type": "button", "button": {"payload": pressed, "text": reply.text}}
    elif message.type == "interactive":
        action = message.payload["interactive"].get("action", {})
        for part in _dicts(action):
            for name in ("reply", "quick_reply"):
                if isinstance(part.get(name), dict) and part[name].get("id") == pressed:
                    return _interactive("button_reply", {"id": pressed, "title": part[name]["title"]})
            if part.get("id") == pressed and "title" in part and "sections" in action:
                kept = {str(name): part[name] for name in ("id", "title", "description") if name in part}
                return _interactive("list_reply", kept)
    return None


def _interactive(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "interactive", "interactive": {"type": kind, kind: content}}


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _dicts(each)


def preference(number: Number, wa_id: str, at: float, *, welcome: bool) -> dict[str, Any]:
    """The value of ``user_preferences``: a user stops marketing messages, or resumes them (``welcome``)."""
    who = contact(wa_id)
    value = {
        **({"wa_id": wa_id} if "wa_id" in who else {}),
        "user_id": who["user_id"],
        "detail": f"User requested to {'resume' if welcome else 'stop'} marketing messages",
        "category": "marketing_messages",
        "value": "resume" if welcome else "stop",
        "timestamp": int(at),
    }
    return {**about_number(number), "contacts": [who], "user_preferences": [value]}


def template_status(template: Template, event: str) -> dict[str, Any]:
    """The value of ``message_template_status_update``; ``event`` is the new status, as Meta names it."""
    made = {
        "event": event,
        **_named(template),
        "message_template_category": template.category,
        "reason": template.rejected_reason if event == "REJECTED" else None,
    }
    if event == "PAUSED":
        title = _PAUSES[min(template.pauses, len(_PAUSES)) - 1]
        hours = round((template.paused_until - template.paused_at) / 3_600)
        made["other_info"] = {"title": title, "description": f"Paused for {hours} hours for its low quality"}
    return made


def template_quality(template: Template, previous: str) -> dict[str, Any]:
    """The value of ``message_template_quality_update``."""
    return {
        "previous_quality_score": previous,
        "new_quality_score": template.quality,
        **_named(template),
    }


def category_announced(template: Template) -> dict[str, Any]:
    """The value of ``template_category_update`` when a change is announced; ``new_category`` is the current one."""
    return {
        **_named(template),
        "correct_category": template.correct_category,
        "new_category": template.category,
        "category_update_timestamp": int(template.category_at),
    }


def category_changed(template: Template, previous: str) -> dict[str, Any]:
    """The value of ``template_category_update`` when the change takes effect."""
    return {**_named(template), "previous_category": previous, "new_category": template.category}


def components_changed(template: Template) -> dict[str, Any]:
    """The value of ``message_template_components_update``."""
    texts = {part["type"].upper(): part for part in template.components}
    made = {**_named(template), "message_template_element": texts.get("BODY", {}).get("text", "")}
    for kind, name in (("HEADER", "message_template_title"), ("FOOTER", "message_template_footer")):
        if texts.get(kind, {}).get("text"):
            made[name] = texts[kind]["text"]
    buttons = [_shown_button(each) for each in texts.get("BUTTONS", {}).get("buttons", ())]
    return {**made, "message_template_buttons": buttons} if buttons else made


def _shown_button(button: dict[str, Any]) -> dict[str, Any]:
    made = {f"message_template_button_{name}": button.get(name) for name in ("type", "text", "url")}
    made["message_template_button_phone_number"] = button.get("phone_number")
    return {name: value for name, value in made.items() if value is not None}


def _named(template: Template) -> dict[str, Any]:
    return {
        "message_template_id": int(template.id),
        "message_template_name": template.name,
        "message_template_language": template.language.replace("_", "-"),
    }
